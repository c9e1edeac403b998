"""The discrete cell: unknowns, internal forces, linearised forces, means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from matnet.phases import PhaseLaw
from matnet.simd import LANES
from offline.homogenization.fourier import reference_medium
from offline.homogenization.grid import HexGrid
from offline.homogenization.solver import CellSolver
from offline.reference import kernels
from offline.reference.hexahedra import GAUSS
from offline.reference.kernels import COLUMNS, FULL, HALF, Mesh
from offline.reference.laws import CellLaws, chosen_laws, is_linear
from offline.reference.preconditioner import ReferencePreconditioner
from offline.reference.vectors import dot
from offline.rve.rve import Rve

__all__ = ["Evaluation", "Memory", "NonlinearCell", "memory_estimate"]

VOXELS_PER_THREAD = 8192  # below, threads gain little, and lose much on a busy machine


class Memory(NamedTuple):
    """Bytes that a simulation needs, about."""

    tangents: int
    state: int
    other: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    def __str__(self) -> str:
        mib = [f"{part / 2**20:.0f}" for part in (self.total, *self)]
        return f"{mib[0]} MiB (tangents {mib[1]}, state {mib[2]}, fields and mesh {mib[3]})"


def memory_estimate(rve: Rve, phases: Mapping[str, PhaseLaw]) -> Memory:
    """Memory of `simulate` for this cell, without building anything.

    Examples
    --------
    >>> from matnet.phases import Elastic
    >>> cell = Rve(phases=np.zeros((64, 64, 64), dtype=int), phase_names=("solid",))
    >>> print(memory_estimate(cell, {"solid": Elastic(E=1.0, nu=0.3)}))
    198 MiB (tangents 0, state 0, fields and mesh 198)
    """
    laws = chosen_laws(rve, phases)
    counts = np.bincount(rve.phases.ravel(), minlength=rve.n_phases)
    solid = [(law, n) for law, n in zip(laws, counts.tolist(), strict=True) if law.stiffness.any()]
    entries = HALF if all(law.symmetric for law, n in solid if n) else FULL
    stored = sum(n for law, n in solid if not is_linear(law))
    n_solid = sum(n for _, n in solid)
    state = sum(2 * 8 * GAUSS * law.n_state * n for law, n in solid)
    fields = n_solid * (8 * COLUMNS + 80 + 12 * 24 + 96) + 160 * rve.phases.size
    return Memory(8 * GAUSS * entries * stored, state, fields + 40 * n_solid)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What the cell answers to unknowns.

    Attributes
    ----------
    residual : (n_nodes + 2, 3)
        Forces that are missing for equilibrium; the last six entries of the macroscopic stress
        times volume, zero for prescribed strains.
    error, size : float
        Of the residual and of the stress in the cell, as square roots of energies of the reference
        medium (on unit voxels): their ratio is the relative residual.
    stress : (6,)
        Macroscopic [stress unit].
    stored, dissipated, work : float
        Energy density; that dissipated in the step; mean of stress times strain.
    """

    residual: np.ndarray
    error: float
    size: float
    stress: np.ndarray
    stored: float
    dissipated: float
    work: float


class NonlinearCell:
    """A cell of trilinear hexahedra with a law in each phase.

    Unknowns are arrays (n_nodes + 2, 3): the fluctuations at the active nodes as covariant
    components (`offline.reference.laws`), then the six macroscopic strains in Mandel form.

    Parameters
    ----------
    rve : Rve
    phases : mapping
        Law by phase name.
    threads : int
        At most; small cells use fewer.
    allow_disconnected : bool
        Accept a solid that does not percolate.
    element : str
        See `ReferenceOptions`.

    Raises
    ------
    ParameterError
        See `chosen_laws` and `CellSolver`.
    """

    def __init__(
        self,
        rve: Rve,
        phases: Mapping[str, PhaseLaw],
        *,
        threads: int = 1,
        allow_disconnected: bool = False,
        element: str = "b-bar",
    ) -> None:
        laws = chosen_laws(rve, phases)
        void = np.array([not law.stiffness.any() for law in laws])
        solver = CellSolver(rve, void=void, allow_disconnected=allow_disconnected)
        self.rve, self.mesh, self.removed_voxels = rve, solver.mesh, solver.removed_voxels
        self.threads = max(1, min(threads, self.mesh.n_elements // VOXELS_PER_THREAD))
        self.edges = rve.cell / np.array(rve.shape)[:, None]
        self.volume = float(rve.phases.size)  # in unit voxels
        present = solver.phase_volume > 0.0
        self.laws = CellLaws.of(rve, laws, present, element)
        self.to_unit = np.linalg.inv(self.laws.from_unit)
        self.groups = self._lay_out()
        rows = len(self.groups.phase)
        self.half = self.laws.symmetric
        per_point = HALF if self.half else FULL
        stored = ~self.laws.table.linear[self.groups.phase]
        self.tangent = np.zeros((GAUSS * per_point * int(stored.sum()), LANES))
        self.state_n = self._initial_state()
        self.state = self.state_n.copy()
        self.means = np.zeros((rows, COLUMNS, LANES))
        medium = reference_medium(self.laws.stiffness, solver.phase_volume)
        self.preconditioner = self._precondition_with(medium)

    def _lay_out(self) -> Mesh:
        groups, table = self.mesh.groups, self.laws.table
        linear = table.linear[groups.phase]
        entries = GAUSS * (HALF if self.laws.symmetric else FULL)
        states = GAUSS * table.n_state[groups.phase]
        return Mesh(
            nodes=groups.nodes,
            phase=groups.phase,
            real=groups.density,
            slabs=groups.slabs,
            shared=groups.shared,
            tangent_row=np.where(linear, -1, entries * (np.cumsum(~linear) - 1)).astype(np.int64),
            state_row=(np.cumsum(states) - states).astype(np.int64),
        )

    def _initial_state(self) -> np.ndarray:
        n_state = self.laws.table.n_state[self.groups.phase]
        result = np.zeros((GAUSS * int(n_state.sum()), LANES))
        for p, law in enumerate(self.laws.laws):
            start = law.initial_state()
            if start.any():
                rows = self.state_rows(p)
                result[rows] = start[None, None, :, None]
        return result

    def state_rows(self, phase: int) -> np.ndarray:
        """Rows (groups of the phase, 8, n_state) of the state arrays."""
        groups = np.flatnonzero(self.groups.phase == phase)
        m = int(self.laws.table.n_state[phase])
        return np.asarray(
            self.groups.state_row[groups][:, None, None]
            + m * np.arange(GAUSS)[:, None]
            + np.arange(m)
        )

    def _precondition_with(self, medium: np.ndarray) -> ReferencePreconditioner:
        grid = HexGrid(self.rve.shape, np.diag(np.array(self.rve.shape, dtype=float)))
        stiffness = self.laws.from_unit.T @ medium @ self.laws.from_unit
        return ReferencePreconditioner(grid, self.mesh.nodes, stiffness, self.to_unit, self.threads)

    def zeros(self) -> np.ndarray:
        """Unknowns at rest."""
        return np.zeros((self.mesh.n_nodes + 2, 3))

    def evaluate(
        self,
        x: np.ndarray,
        dt: float,
        temperature: np.ndarray,
        target: np.ndarray,
        free: np.ndarray,
    ) -> Evaluation | None:
        """Laws at all points, from `state_n` into `state` and `tangent`; None if a law failed.

        Parameters
        ----------
        x : (n_nodes + 2, 3)
        dt : float
        temperature : (n_phases,)
        target : (6,)
            Macroscopic stress of the components `free`, others of no interest.
        free : (m,) int
        """
        residual = np.empty_like(x)
        kelvin = temperature - self.laws.reference_temperature
        thermal = (kelvin[:, None] * self.laws.expansion) @ self.to_unit.T
        compliance = self.preconditioner.compliance[None]
        failures = kernels.evaluate(
            self.groups,
            self.laws.table,
            self.to_unit @ x[-2:].ravel(),
            thermal,
            temperature,
            dt,
            compliance,
            self.half,
            x,
            self.state_n,
            self.state,
            self.tangent,
            residual,
            self.means,
        )
        if failures:
            return None
        mean = np.einsum("gkl,gl->k", self.means, self.groups.real) / self.volume
        stress = self.to_unit.T @ mean[6:12]
        residual *= -1.0
        residual[-2:] = 0.0
        residual[-2:].reshape(6)[free] = self.volume * (target - stress)[free]
        size = float(np.sqrt(mean[15] * self.volume))
        z = np.empty_like(residual)
        missing = self.precondition(residual, free, z)
        if not np.isfinite(missing) or not np.isfinite(size):
            return None
        return Evaluation(
            residual=residual,
            error=float(np.sqrt(max(missing, 0.0))),
            size=size,
            stress=stress,
            stored=float(mean[12]),
            dissipated=float(mean[13]),
            work=float(mean[14]),
        )

    def apply(self, p: np.ndarray, free: np.ndarray, q: np.ndarray) -> np.ndarray:
        """q = tangent times p; returns the linearised macroscopic stress (6,)."""
        parts = np.empty((self.groups.slabs.shape[1], 6))
        kernels.apply_tangent(
            self.groups,
            self.laws.table,
            self.tangent,
            self.half,
            self.to_unit @ p[-2:].ravel(),
            p,
            q,
            parts,
        )
        stress = self.to_unit.T @ parts.sum(axis=0) / self.volume
        q[-2:] = 0.0
        q[-2:].reshape(6)[free] = self.volume * stress[free]
        return np.asarray(stress)

    def precondition(self, r: np.ndarray, free: np.ndarray, z: np.ndarray) -> float:
        """z = M r; returns r . z."""
        size = float(np.sqrt(dot(r, r)))
        self.preconditioner.apply(r, size, free, z)
        return float(dot(r, z))

    def accept(self) -> None:
        """Make the new state the old one."""
        self.state_n, self.state = self.state, self.state_n

    def phase_state(self) -> np.ndarray:
        """Mean internal variables of each phase in turn (sum of the laws' n_state,), NaN if absent.

        Of the old state, which after `accept` is that of the last step.
        """
        n_state = self.laws.table.n_state
        shape = (self.groups.slabs.shape[1], len(n_state), int(n_state.max(initial=0)))
        sums = np.zeros(shape)
        kernels.sum_state(self.groups, self.laws.table, self.state_n, sums)
        counts = np.bincount(self.mesh.phase, minlength=len(n_state)).astype(float)
        counts[counts == 0.0] = np.nan
        means = sums.sum(axis=0) / counts[:, None]
        return np.concatenate([means[p, :m] for p, m in enumerate(n_state.tolist())])

    def phase_means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean strains and stresses (n_phases, 6) of the last evaluation, NaN where absent."""
        per_group = np.einsum("gkl,gl->gk", self.means[:, :12], self.groups.real)
        n_phases = len(self.laws.laws)
        sums = np.zeros((n_phases, 12))
        np.add.at(sums, self.groups.phase, per_group)
        counts = np.bincount(self.mesh.phase, minlength=n_phases).astype(float)
        counts[counts == 0.0] = np.nan
        sums /= counts[:, None]
        return sums[:, :6] @ self.laws.from_unit.T, sums[:, 6:] @ self.to_unit

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Group and lane of each element, in the order of ``mesh.voxels``."""
        group, element = np.nonzero(self.groups.real > 0.0)
        first = self.groups.nodes[group, element, 0]  # the node nearest the origin numbers a voxel
        order = np.argsort(self.mesh.nodes[first], kind="stable")
        return group[order], element[order]

    @contextmanager
    def use_threads(self) -> Iterator[None]:
        """Run compiled loops on this cell's number of threads."""
        before = numba.get_num_threads()
        launched = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        numba.set_num_threads(min(self.threads, launched))
        try:
            yield
        finally:
            numba.set_num_threads(before)
