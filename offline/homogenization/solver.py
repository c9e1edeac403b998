"""Everything about a cell that does not depend on stiffness values, and the operator that does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite, require_shape
from matnet.mandel import from_mandel, rotate_stiffness
from offline.homogenization import element_kernels, element_rows, fields, node_kernels
from offline.homogenization.engines import engine
from offline.homogenization.fourier import FourierPreconditioner, reference_medium
from offline.homogenization.grid import CORNERS, MODES, HexGrid
from offline.homogenization.memory import Workspace, peak_bytes, warn_if_short
from offline.homogenization.mesh import LANES, SolidMesh, build_mesh
from offline.homogenization.node_kernels import LOADS, WIDTH, per_component
from offline.homogenization.options import SolverOptions
from offline.homogenization.pcg import Progress, Solution
from offline.rve.connectivity import check_solid, connectivity
from offline.rve.rve import Rve

__all__ = ["CellOperator", "CellSolver", "checked_stiffnesses"]

SIZES = (1e-60, 1e60)  # beyond, products of stiffnesses and volumes leave double precision
# Islands of two stiffnesses in a much softer matrix: beyond this contrast, C^H below this share of
# the mean stiffness came out wrong (10 decades: 2e-4 off, 14: by orders of magnitude). Two phases
# alone keep their digits at 1e12.
FAINT, FAINT_CONTRAST = 1e-7, 1e10
VOXELS_PER_THREAD = 16384  # below, starting threads costs more than they save


def checked_stiffnesses(stiffnesses: Any, phase_names: tuple[str, ...]) -> np.ndarray:
    """Phase stiffnesses (n_phases, 6, 6) as floats, each zero or symmetric positive definite.

    Raises
    ------
    ShapeError, ParameterError
        The message names the phase and its smallest eigenvalue.
    """
    array = np.array(stiffnesses, dtype=float)
    require_shape("stiffnesses", array, (len(phase_names), 6, 6))
    for name, c in zip(phase_names, array, strict=True):
        require_finite(f"stiffness of phase '{name}'", c)
        size = np.abs(c).max()
        if size == 0.0:
            continue
        if not SIZES[0] < size < SIZES[1]:
            raise ParameterError(
                f"stiffness of phase '{name}' has entries up to {size:.2g}, expected between "
                f"{SIZES[0]:g} and {SIZES[1]:g}. Choose another unit."
            )
        asymmetry = np.abs(c - c.T).max() / size
        if asymmetry > 1e-8:
            raise ParameterError(
                f"stiffness of phase '{name}' is not symmetric (entries differ by "
                f"{asymmetry:.2g} of the largest). Pass a symmetric 6x6 Mandel matrix."
            )
        lowest = np.linalg.eigvalsh(c)[0]
        if lowest <= 1e-14 * size:
            raise ParameterError(
                f"stiffness of phase '{name}' has smallest eigenvalue {lowest:.4g}, expected a "
                "positive definite matrix, or all zeros for void."
            )
    return np.asarray(0.5 * (array + np.swapaxes(array, 1, 2)))


class CellSolver:
    """The cell's mesh, set up once for many stiffnesses.

    Parameters
    ----------
    rve : Rve
        Its orientations turn, its density scales the phase stiffnesses.
    void : (n_phases,) bool, optional
        Phases whose voxels carry no stiffness. Default: those called ``void``.
    threads : int
        Threads of kernels and Fourier transforms, at most; small cells use fewer.
    allow_disconnected : bool
        Accept a solid that does not hold together in every direction.

    Attributes
    ----------
    grid : HexGrid
    mesh : SolidMesh
    workspace : Workspace
        Memory of the solves, reused by each: two solves at once need two solvers.
    phase_volume : (n_phases,)
        Volume of each phase times density, without void [length cubed].
    removed_voxels : int
        Voxels of floating islands, treated as void: they carry no load.

    Raises
    ------
    ParameterError
        No voxel carries stiffness, or the solid does not percolate.

    Notes
    -----
    Fields are arrays (n_nodes, 18) over active nodes, component ``6 * i + load``; `pack` and
    `unpack` convert from and to displacements (6, n1, n2, n3, 3).

    Examples
    --------
    >>> rve = Rve(phases=np.arange(8).reshape(2, 2, 2) % 2, phase_names=("soft", "stiff"))
    >>> operator = CellSolver(rve).with_stiffness([np.eye(6), 3.0 * np.eye(6)])
    >>> u = np.zeros((8, 18))
    >>> operator.energy(u).diagonal()  # no fluctuation: the Voigt mean
    array([2., 2., 2., 2., 2., 2.])
    """

    def __init__(
        self,
        rve: Rve,
        *,
        void: Any = None,
        threads: int = 1,
        allow_disconnected: bool = False,
    ) -> None:
        self.rve = rve
        self.threads = max(1, min(threads, rve.phases.size // VOXELS_PER_THREAD))
        self.grid = HexGrid(rve.shape, rve.cell)
        self.void = np.asarray(rve.void if void is None else void, dtype=bool)
        if self.void.shape != (rve.n_phases,):
            raise ShapeError(f"void has shape {self.void.shape}, expected ({rve.n_phases},).")
        active = ~self.void[rve.phases]
        if rve.density is not None:
            active &= rve.density > 0.0
        if not active.any():
            raise ParameterError(
                "the cell has no solid: every voxel is void or has density 0. "
                "Check the phase names and the stiffness of each phase."
            )
        active, self.removed_voxels = _without_islands(active, allow_disconnected)
        self.mesh: SolidMesh = build_mesh(self.grid, active, rve.phases, rve.density)
        self.workspace = Workspace(self.mesh.n_nodes, self.grid.n_voxels)
        self.phase_volume = np.bincount(
            self.mesh.phase, weights=self.mesh.density, minlength=rve.n_phases
        ) * (self.grid.volume / self.grid.n_voxels)

    def with_stiffness(
        self, stiffnesses: Any, *, preconditioner: FourierPreconditioner | None = None
    ) -> CellOperator:
        """The operator with phase stiffnesses (n_phases, 6, 6) in their material frames [Pa].

        Raises
        ------
        ShapeError, ParameterError
            See `checked_stiffnesses`; a phase that is not void has no stiffness.
        """
        c = checked_stiffnesses(stiffnesses, self.rve.phase_names)
        empty = (self.phase_volume > 0.0) & ~np.abs(c).max(axis=(1, 2)).astype(bool)
        if empty.any():
            name = self.rve.phase_names[int(np.argmax(empty))]
            raise ParameterError(
                f"phase '{name}' has zero stiffness but was not set up as void. "
                "Pass void=... to CellSolver, or name the phase 'void'."
            )
        if self.rve.orientations is not None:
            c = rotate_stiffness(c, self.rve.orientations)
        return CellOperator(self, c, preconditioner)

    def pack(self, displacement: Any) -> np.ndarray:
        """Field (n_nodes, 18) of nodal displacements (6, n1, n2, n3, 3)."""
        array = np.asarray(displacement, dtype=float)
        require_shape("displacement", array, (LOADS, *self.grid.shape, 3))
        rows = array.reshape(LOADS, -1, 3)[:, self.mesh.nodes]
        return np.ascontiguousarray(rows.transpose(1, 2, 0)).reshape(-1, WIDTH)

    def unpack(self, field: np.ndarray) -> np.ndarray:
        """Nodal displacements (6, n1, n2, n3, 3) of a field; zero at nodes inside void."""
        result = np.zeros((LOADS, self.grid.n_voxels, 3))
        result[:, self.mesh.nodes] = field.reshape(-1, 3, LOADS).transpose(2, 0, 1)
        return result.reshape(LOADS, *self.grid.shape, 3)

    def strains(self, field: np.ndarray) -> np.ndarray:
        """Mean total strains (6 loads, n_elements, 6): e0^k - B u^k averaged over each element."""
        with self.use_threads():
            return fields.element_strains(self.grid, self.mesh, field)

    @contextmanager
    def use_threads(self) -> Iterator[None]:
        """Run compiled loops on this solver's number of threads."""
        before = numba.get_num_threads()
        numba.set_num_threads(min(self.threads, _launched_threads()))
        try:
            yield
        finally:
            numba.set_num_threads(before)


def _without_islands(active: np.ndarray, allow_disconnected: bool) -> tuple[np.ndarray, int]:
    """Voxels that can carry load, and how many were dropped."""
    if active.all():
        return active, 0
    view = Rve(phases=active, phase_names=("void", "solid"))
    check_solid(view, allow_disconnected)
    found = connectivity(view, "node")  # what shares a node is joined in the stiffness matrix
    if not found.n_islands:
        return active, 0
    floating = np.concatenate([[False], found.islands])[found.labels]
    return active & ~floating, int(floating.sum())


class CellOperator:
    """Stiffness matrix, load vectors, energies and preconditioner of a cell.

    Made by `CellSolver.with_stiffness`.

    Attributes
    ----------
    solver : CellSolver
    stiffness : (n_phases, 6, 6)
        Phase stiffnesses in the cell's frame [Pa].
    mean_stiffness : (6, 6)
        Volume mean over the whole cell, the Voigt bound [Pa].
    """

    def __init__(
        self,
        solver: CellSolver,
        stiffness: np.ndarray,
        preconditioner: FourierPreconditioner | None = None,
    ) -> None:
        self.solver, self.mesh, self.stiffness = solver, solver.mesh, stiffness
        grid, mesh = solver.grid, solver.mesh
        weights = solver.phase_volume
        self.mean_stiffness = np.einsum("p,pij->ij", weights, stiffness) / grid.volume
        in_modes = _in_modes(grid, stiffness)
        blocks = tuple(_mode_blocks(in_modes))
        largest = max(float(np.abs(block).max()) for block in blocks)
        self.unit = float(2.0 ** np.round(np.log2(largest)))  # a power of two: exact
        self._blocks = tuple(block / self.unit for block in blocks)
        table = element_rows.coefficients(in_modes / self.unit)
        self._tables = {dtype: table.astype(dtype) for dtype in (np.float32, np.float64)}
        self._uniform = bool(np.all(mesh.density == 1.0))
        self._element_load = _lane_load(grid, stiffness)
        self._preconditioner = preconditioner
        # a nodal force if one voxel bore the Voigt stress alone
        area = (grid.volume / grid.n_voxels) ** (2.0 / 3.0)
        self.force_scale = float(np.linalg.norm(self.mean_stiffness) * area * np.sqrt(mesh.n_nodes))

    @property
    def preconditioner(self) -> FourierPreconditioner:
        """Inverse with the reference medium, made at first use."""
        if self._preconditioner is None:
            reference = reference_medium(self.stiffness, self.solver.phase_volume)
            self._preconditioner = FourierPreconditioner(
                self.solver.grid,
                self.mesh,
                reference,
                self.solver.threads,
                self.solver.workspace,
            )
        return self._preconditioner

    @property
    def contrast(self) -> float:
        """Largest over smallest eigenvalue of the stiffnesses, density included."""
        present = self.solver.phase_volume > 0.0
        eigenvalues = np.linalg.eigvalsh(self.stiffness[present])
        return float(eigenvalues.max() / eigenvalues.min() / self.mesh.density.min())

    def solve(
        self,
        options: SolverOptions | None = None,
        start: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Solution:
        """Fluctuations of the six load cases, from `start` (n_nodes, 18) or zero.

        `progress` is called with the iteration and the estimated relative error of C^H.

        Raises
        ------
        ParameterError
            The contrast is too high for double precision.

        Warns
        -----
        MemoryWarning
            The fields do not fit the free memory.
        """
        options = SolverOptions() if options is None else options
        if self.solver.workspace.is_empty and not options.device.startswith("cuda"):
            sizes = (self.solver.grid.n_voxels, self.mesh.n_elements, self.mesh.n_nodes)
            warn_if_short(peak_bytes(*sizes))
        with self.solver.use_threads():
            solution = engine(options.engine)(self, options, start, progress)
        self._require_digits(solution.effective)
        return solution

    def _require_digits(self, effective: np.ndarray) -> None:
        """Refuse C^H that drowns in the rounding errors of stiff islands in a very soft matrix."""
        size, mean = np.linalg.norm(effective), np.linalg.norm(self.mean_stiffness)
        several = np.count_nonzero(self.solver.phase_volume) > 2
        if several and size < FAINT * mean and self.contrast > FAINT_CONTRAST:
            raise ParameterError(
                f"C^H is {size / mean:.1g} of the mean stiffness of its phases, at contrast "
                f"{self.contrast:.1g}: too little for double precision. Make the stiffest "
                "phase softer (islands are rigid at 1e6 times their matrix) or the softest void."
            )

    def apply(self, p: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """K p (n_nodes, 18) and the works p . K p (6,) of six fields in double precision."""
        q = np.empty(p.shape, p.dtype) if out is None else out
        power = self.apply_scaled(p, q)
        q *= self.unit
        return q, power * self.unit

    def apply_scaled(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """q = K p / unit in the precision of the fields; returns the works p . q (6,)."""
        mesh, rows = self.mesh, self.mesh.rows
        p = np.ascontiguousarray(p)  # the kernel does not look at strides
        power = np.empty((2, len(rows.layers) - 1, LOADS))
        with self.solver.use_threads():
            element_rows.apply_rows(
                self.solver.grid.shape,
                mesh.number,
                rows.runs,
                rows.row_start,
                mesh.phase,
                mesh.density,
                self._uniform,
                self._tables[p.dtype.type],
                rows.layers,
                rows.planes,
                p,
                q,
                power,
            )
        return np.asarray(power.sum(axis=(0, 1)))

    def load_vectors(self, out: np.ndarray | None = None) -> np.ndarray:
        """f (n_nodes, 18): column k balances the unit macro strain k."""
        f = np.empty((self.mesh.n_nodes, WIDTH)) if out is None else out
        groups = self.mesh.groups
        with self.solver.use_threads():
            element_kernels.assemble_loads(
                groups.nodes, groups.phase, groups.density, self._element_load, groups.slabs, f
            )
        return f

    def precondition(self, r: np.ndarray) -> np.ndarray:
        """Reference inverse of six residuals (n_nodes, 18), at active nodes."""
        preconditioner = self.preconditioner
        norm = np.sqrt(node_kernels.squares(r))
        norm = np.where(norm > 0.0, norm, 1.0)
        z = np.empty(r.shape, dtype=np.float32)
        with self.solver.use_threads():
            preconditioner.apply((r / per_component(norm, float)).astype(np.float32), z)
        return np.asarray(per_component(norm * preconditioner.magnitude, float) * z)

    def energy(self, u: np.ndarray) -> np.ndarray:
        r"""Effective stiffness (6, 6) that fluctuations u give, in energy form [Pa].

        .. math:: C_{kl} = \frac{1}{|Y|} \int (e_0^k - B u^k)^T C\, (e_0^l - B u^l)
        """
        return self.evaluate(u, out=np.empty((0, WIDTH)))

    def evaluate(
        self, u: np.ndarray, factor: np.ndarray | None = None, *, out: np.ndarray
    ) -> np.ndarray:
        """Effective stiffness (6, 6) and residuals of fluctuations, in double precision.

        Parameters
        ----------
        u : (n_nodes, 18) float32 or float64
        factor : (6,), optional
            The fluctuations are `factor` times u.
        out : (n_nodes, 18) float64
            Filled with ``f - K u``; without rows it is left alone.
        """
        groups = self.mesh.groups
        linear, bilinear, trilinear = self._blocks
        products = np.empty((2, groups.slabs.shape[1], LOADS, LOADS))
        with self.solver.use_threads():
            element_kernels.evaluate(
                groups.nodes,
                groups.phase,
                groups.density,
                linear,
                bilinear,
                trilinear,
                groups.slabs,
                _lane_affine(self.solver.grid),
                np.ones(LOADS) if factor is None else factor,
                u,
                out,
                products,
            )
            out *= self.unit
        c = products.sum(axis=(0, 1)) * (self.unit / self.solver.grid.volume)
        return np.asarray(0.5 * (c + c.T))

    def energy_norm(self, diagonal: np.ndarray) -> float:
        """Lower bound of |Y| ||C||_F from the energies |Y| C_kk; guarded against no stiffness."""
        floor = 1e-12 * float(np.linalg.norm(self.mean_stiffness)) * self.solver.grid.volume
        return max(float(np.linalg.norm(diagonal)), floor)


def _launched_threads() -> int:
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def _in_modes(grid: HexGrid, stiffness: np.ndarray) -> np.ndarray:
    """Element stiffnesses (n_phases, 24, 24) in mode amplitudes times 8."""
    transform = np.kron(MODES, np.eye(3)) / 8.0  # u_e = MODES^T (MODES u_e) / 8
    return np.asarray(transform @ grid.element_stiffness(stiffness) @ transform.T)


def _mode_blocks(in_modes: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the element stiffnesses in modes, by parity of the modes."""
    for modes in (element_kernels.LINEAR, element_kernels.BILINEAR, element_kernels.TRILINEAR):
        dofs = np.array([3 * m + i for m in modes for i in range(3)])
        yield np.ascontiguousarray(in_modes[:, dofs[:, None], dofs])


def _lane_affine(grid: HexGrid) -> np.ndarray:
    """Modes of the displacements ``E x`` of one element under unit strains, in lanes."""
    corners = CORNERS @ (grid.cell / np.array(grid.shape)[:, None])
    nodal = np.einsum("ad,kdi->aik", corners, from_mandel(np.eye(6)))
    modes = (MODES @ nodal.reshape(8, -1)).reshape(24, 1, LOADS)
    return np.ascontiguousarray(np.tile(modes, (1, LANES, 1))).ravel()


def _lane_load(grid: HexGrid, stiffness: np.ndarray) -> np.ndarray:
    """Element load vectors in the kernels' lanes: row (node, component), then (element, load)."""
    load = grid.element_load(stiffness).reshape(len(stiffness), 24, 1, LOADS)
    return np.ascontiguousarray(np.tile(load, (1, 1, LANES, 1)).reshape(len(stiffness), -1))
