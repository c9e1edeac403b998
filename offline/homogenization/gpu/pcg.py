r"""Conjugate gradients in mixed precision for batches of six load cases on a torch device.

The recurrence of `offline.homogenization.pcg` with fields in single precision; fluctuations, dot
products and step lengths are in double precision. The residual that the recurrence carries along
drifts from the true one. It is replaced by ``f - K u``, assembled in double precision from total
displacements, whenever it has fallen by `REPLACE_AFTER`, and before a result is accepted (van der
Vorst & Ye, *SIAM J. Sci. Comput.* 22, 2000, 835-852). If the two have parted, the search starts
again from the true residual. A sample that rounding keeps from its tolerance ends as not converged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from offline.homogenization.error_estimate import EnergyErrorEstimate
from offline.homogenization.gpu.cell import LOADS, DeviceCell
from offline.homogenization.gpu.precondition import FourierInverse
from offline.homogenization.options import SolverOptions, Status
from offline.homogenization.pcg import FEW_NODES, FEWEST_STEPS, PATIENCE, Progress

__all__ = ["BatchSolution", "Stencil", "Vectors", "solve"]

REPLACE_AFTER = 1e-3  # single precision carries a residual through three decades
PARTED = 0.3  # relative distance of the two residuals from which the search starts again
FRUITLESS = 3  # replacements that may leave the residual as it was: rounding in double precision


class Stencil(Protocol):
    """The element operator."""

    def apply(self, p: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out = K p; returns p . K p (samples, 6)."""

    def forces(self, u: torch.Tensor, out: torch.Tensor) -> None:
        """out = f - K u, computed in double precision."""

    def energies(self, u: torch.Tensor) -> torch.Tensor:
        """Energy products |Y| C of the fluctuations u (samples, 6, 6)."""


class Vectors(Protocol):
    """The vector operations; see `PlainVectors`."""

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor: ...

    def gap(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor: ...

    def direction(self, z: torch.Tensor, beta: torch.Tensor, p: torch.Tensor) -> None: ...

    def advance(
        self,
        alpha: torch.Tensor,
        p: torch.Tensor,
        q: torch.Tensor,
        u: torch.Tensor,
        r: torch.Tensor,
    ) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchSolution:
    """Dimensionless solution of every sample.

    Attributes
    ----------
    u : (samples, 6, 3, n1, n2, n3) float64 tensor
    r : the same, float32
        Residuals.
    stiffness : (samples, 6, 6)
        C^H in energy form.
    iterations, residual, energy_error : (samples, 6)
        As in `offline.homogenization.Solution`.
    status : list of Status
    """

    u: torch.Tensor
    r: torch.Tensor
    stiffness: np.ndarray
    iterations: np.ndarray
    residual: np.ndarray
    energy_error: np.ndarray
    status: list[Status]


def solve(
    cell: DeviceCell,
    stencil: Stencil,
    vectors: Vectors,
    inverse: FourierInverse,
    options: SolverOptions,
    start: torch.Tensor | None = None,
    progress: Progress | None = None,
) -> BatchSolution:
    """Solve all samples until each meets `options`; `start` is a field in double precision."""
    return _Iteration(cell, stencil, vectors, inverse, options, start).run(progress)


class _Iteration:
    """State of the iteration; scalars are arrays (samples, 6)."""

    def __init__(
        self,
        cell: DeviceCell,
        stencil: Stencil,
        vectors: Vectors,
        inverse: FourierInverse,
        options: SolverOptions,
        start: torch.Tensor | None,
    ) -> None:
        self.cell, self.stencil, self.vectors = cell, stencil, vectors
        self.inverse, self.options = inverse, options
        n = len(cell.samples)
        self.p, self.q, self.r = (cell.zeros(torch.float32) for _ in range(3))
        self.u = cell.zeros(torch.float64)
        stencil.forces(self.u, self.r)
        self.f_norm = self.norm = self._norm(self.r)
        mean = np.array([s.mean_stiffness for s in cell.samples])
        self.energy = np.einsum("skk->sk", mean) * cell.grid.n_voxels
        self.least_energy = 1e-12 * np.linalg.norm(mean, axis=(1, 2)) * cell.grid.n_voxels
        if start is not None:
            self.u.copy_(start)
            energy = np.einsum("skk->sk", _host(stencil.energies(self.u)))
            worse = ~(energy <= self.energy)  # than no fluctuation; NaN is worse, too
            self.u[torch.as_tensor(worse, device=cell.device)] = 0.0
            self.energy = np.where(worse, self.energy, energy)
            stencil.forces(self.u, self.r)
            self.norm = self._norm(self.r)
        self.floor = np.repeat(cell.force_scale[:, None] * 1e-14, LOADS, axis=1)
        tol = options.residual_tol
        self.goal = self.floor if tol is None else np.maximum(tol * self.f_norm, self.floor)
        self.products: np.ndarray | None = None  # energy products of u, where they are known
        self.estimates = [EnergyErrorEstimate(LOADS) for _ in range(n)]
        self.last_drop = np.full((n, LOADS), np.inf)
        self.patience = PATIENCE if cell.grid.n_voxels < FEW_NODES else 1
        self.small = np.zeros(n, dtype=int)  # steps in a row with a small estimate
        self.iterations = np.zeros((n, LOADS), dtype=int)
        self.replaced_at, self.fruitless = self.norm.copy(), np.zeros(n, dtype=int)
        self.open = np.ones(n, dtype=bool)  # samples not yet accepted
        self.met = np.zeros(n, dtype=bool)  # the tolerance, by true residuals
        self.stalled = np.zeros(n, dtype=bool)  # no load case found a descent
        self.restart = np.ones((n, LOADS), dtype=bool)
        self.rz_old = torch.ones((n, LOADS), dtype=torch.float64, device=cell.device)

    def run(self, progress: Progress | None) -> BatchSolution:
        """Iterate and collect the results."""
        true_residual = True  # r is f - K u itself, not carried along
        for step in range(self.options.max_iterations + 1):
            done = self._finished()
            if true_residual:
                self.met |= done
            elif done.any() or self._has_fallen():
                done = self._replace_residual(done)
            self.open &= ~done
            if not self.open.any():
                break
            if step == self.options.max_iterations:
                if not true_residual:
                    self._replace_residual(self.open.copy())
                break
            self._step()
            true_residual = False
            if progress is not None:
                worst = max(self._relative_error(s) for s in np.flatnonzero(self.open))
                progress(step + 1, worst)
        status = [Status.CONVERGED if met else Status.MAX_ITERATIONS for met in self.met]
        return self._result(status)

    def _finished(self) -> np.ndarray:
        """Open samples (samples,) that meet the tolerance as far as r tells."""
        done = self.open & (self.stalled | (self.norm <= self.goal).all(axis=1))
        if self.options.residual_tol is None:
            near = 0.1 * self.last_drop.sum(axis=1) <= self.options.tol * self._energy_norm()
            small = np.zeros_like(done)
            for s in np.flatnonzero(self.open & ~done & near):
                enough = self.estimates[s].steps >= FEWEST_STEPS
                small[s] = enough and self._relative_error(s) <= self.options.tol
            self.small = np.where(small, self.small + 1, 0)
            done |= self.small >= self.patience
        return np.asarray(done)

    def _has_fallen(self) -> bool:
        moving = (self.norm > self.goal) & self.open[:, None]
        return bool((moving & (self.norm < REPLACE_AFTER * self.replaced_at)).any())

    def _replace_residual(self, done: np.ndarray) -> np.ndarray:
        """r = f - K u; returns which samples take no more steps.

        Those of `done` that meet the tolerance by true residuals, and those whose true residuals
        rounding has left as they were several times.
        """
        self.stencil.forces(self.u, self.q)
        recurred, true = self.norm, self._norm(self.q)
        gap = np.sqrt(_host(self.vectors.gap(self.q, self.r)))
        self.r, self.q = self.q, self.r
        rest = np.maximum(self.goal, 10.0 * self.floor)
        # "not below" rather than "above": NaN has parted, too
        parted = ~(gap <= np.maximum(PARTED * recurred, rest)) & self.open[:, None]
        better = (true < 0.5 * self.replaced_at).any(axis=1)
        suspect = parted.any(axis=1) | self.stalled
        self.fruitless = np.where(suspect & ~better, self.fruitless + 1, 0)
        given_up = self.open & (self.fruitless >= FRUITLESS)
        self.restart |= parted | self.stalled[:, None]
        self.norm, self.replaced_at = true, true.copy()
        settled = (true <= rest).all(axis=1)
        ends = (done & settled) | given_up
        if done.any() or given_up.any():
            self.products = _host(self.stencil.energies(self.u))
            self.energy = np.einsum("skk->sk", self.products)
        for s in np.flatnonzero((done | given_up) & ~settled):
            rise = np.where(parted[s], true[s] / np.where(recurred[s] > 0.0, recurred[s], 1.0), 1.0)
            near = self._meets_energy(s, rise**2)
            ends[s] |= near and not suspect[s]
            settled[s] = near and ends[s]
        self.met |= ends & settled
        for s in np.flatnonzero(done & ~ends):
            self.estimates[s] = EnergyErrorEstimate(LOADS)  # it judged another residual
            self.stalled[s] = False
            self.restart[s] = True
        return np.asarray(ends)

    def _meets_energy(self, s: int, rise: np.ndarray) -> bool:
        """Whether the estimated error of C^H, times `rise` per load case, is within `tol`."""
        if self.options.residual_tol is not None or self.estimates[s].steps < FEWEST_STEPS:
            return False
        error = (self.estimates[s].current * rise).sum() / self._energy_norm()[s]
        return bool(error <= self.options.tol)

    def _step(self) -> None:
        """One iteration of all load cases that move."""
        device = self.cell.device
        wanted = (self.norm > self.goal) & self.open[:, None]
        moving = torch.as_tensor(wanted, device=device)
        goes_on = torch.as_tensor(wanted & ~self.restart, device=device)
        self.inverse.apply(self.r, out=self.q)
        rz = self.vectors.dot(self.r, self.q)
        beta = torch.where(goes_on, rz / self.rz_old, 0.0)
        self.vectors.direction(self.q, beta, self.p)
        power = self.stencil.apply(self.p, out=self.q)
        moving &= power > 0.0
        alpha = torch.where(moving, rz / torch.where(moving, power, 1.0), 0.0)
        squares = self.vectors.advance(alpha, self.p, self.q, self.u, self.r)
        self.rz_old = torch.where(moving, rz, 1.0)
        rows = _host(torch.stack([squares, alpha * rz, moving.double()]))
        self.norm, self.last_drop, moved = np.sqrt(rows[0]), rows[1], rows[2] > 0.5
        self.restart &= ~moved
        self.iterations += moved
        self.stalled = self.open & ~moved.any(axis=1)
        self.energy, self.products = self.energy - self.last_drop, None
        for s in np.flatnonzero(self.open):
            self.estimates[s].add(self.last_drop[s])

    def _energy_norm(self) -> np.ndarray:
        """Lower bound of |Y| ||C||_F per sample, guarded against no stiffness."""
        return np.asarray(np.maximum(np.linalg.norm(self.energy, axis=1), self.least_energy))

    def _relative_error(self, s: int) -> float:
        return float(self.estimates[s].current.sum() / self._energy_norm()[s])

    def _norm(self, a: torch.Tensor) -> np.ndarray:
        return np.asarray(np.sqrt(_host(self.vectors.dot(a, a))))

    def _result(self, status: list[Status]) -> BatchSolution:
        current = np.array([estimate.current for estimate in self.estimates])
        some = self.f_norm > self.floor
        products = self.products
        if products is None:
            products = _host(self.stencil.energies(self.u))
        return BatchSolution(
            u=self.u,
            r=self.r,
            stiffness=products / self.cell.grid.n_voxels,
            iterations=self.iterations,
            residual=np.where(some, self.norm / np.where(some, self.f_norm, 1.0), 0.0),
            energy_error=np.where(self.norm > self.floor, current, 0.0),
            status=status,
        )


def _host(a: torch.Tensor) -> np.ndarray:
    return np.asarray(a.cpu().numpy())
