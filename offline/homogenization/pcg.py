"""Conjugate gradients for six load cases at once, stopped on the effective stiffness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from offline.homogenization.error_estimate import EnergyErrorEstimate
from offline.homogenization.node_kernels import LOADS, PARTS, advance, squares
from offline.homogenization.options import SolverOptions, Status
from offline.homogenization.preconditioner import Preconditioner

__all__ = ["FusedPreconditioner", "Preconditioner", "Progress", "Solution", "pcg"]


FEWEST_STEPS = 5  # a warm start's first drops say little about the remainder
Progress = Callable[[int, float], None]  # iteration, estimated relative error of C^H


class FusedPreconditioner(Protocol):
    """Applies an approximate inverse of the stiffness matrix."""

    def apply(self, r: np.ndarray, norm: np.ndarray) -> np.ndarray:
        """Compute and keep z = M r (n_nodes, 18) of sizes `norm` (6,); returns r . z (6,)."""

    def new_direction(self, beta: np.ndarray, p: np.ndarray) -> None:
        """p = z + beta p, with the z kept by `apply`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What an engine returns.

    Attributes
    ----------
    u : (n_nodes, 18)
        Fluctuations at active nodes, component ``6 * i + load``.
    r : (n_nodes, 18)
        Residuals ``f - K u`` as the recurrence left them.
    iterations, residual : (6,)
        Iterations and ``||f - K u|| / ||f||`` per load case.
    energy_error : (6,)
        Estimate of ``||u - u_exact||_K^2`` per load case; 0 where the residual is rounding error.
    """

    u: np.ndarray
    r: np.ndarray
    iterations: np.ndarray
    residual: np.ndarray
    energy_error: np.ndarray
    status: Status


def norms(a: np.ndarray) -> np.ndarray:
    """Euclidean norm of each load case (6,) of a field (n_nodes, 18)."""
    parts = np.empty((PARTS, LOADS))
    squares(a, parts)
    return np.asarray(np.sqrt(parts.sum(axis=0)))


def pcg(
    operator: Any,
    preconditioner: FusedPreconditioner,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    r"""Solve :math:`K u^k = f^k` for the six load cases of a `CellOperator`.

    Every load case has its own step lengths; operator and preconditioner act on all of them. A load
    case whose residual has reached rounding error, or `residual_tol`, stands still from then on.
    Without `residual_tol` all go on until the summed energy errors, which bound the error of
    :math:`|Y| C^H`, fall below ``tol |Y| ||C^H||`` (see `error_estimate`).
    """
    r = operator.load_vectors()
    f_norm = norms(r)
    u = np.zeros_like(r)
    if start is not None:
        u += start
        r -= operator.apply(u)[0]
    norm = norms(r)
    estimate = EnergyErrorEstimate(LOADS)
    floor = operator.force_scale * 1e-14
    goal = floor if options.residual_tol is None else options.residual_tol * f_norm
    effective = operator.mean_stiffness if start is None else operator.energy(u)
    energy = effective.diagonal() * operator.solver.grid.volume
    p, q = np.zeros_like(r), np.empty_like(r)
    parts = np.empty((PARTS, LOADS))
    rz_old = np.ones(LOADS)
    iterations = np.zeros(LOADS, dtype=int)
    status = Status.MAX_ITERATIONS
    for step in range(options.max_iterations + 1):
        moving = norm > np.maximum(goal, floor)
        if not moving.any() or (
            options.residual_tol is None
            and estimate.steps >= FEWEST_STEPS
            and estimate.current.sum() <= options.tol * operator.energy_norm(energy)
        ):
            status = Status.CONVERGED
            break
        if step == options.max_iterations:
            break
        rz = preconditioner.apply(r, norm)
        beta = np.where(moving & (step > 0), rz / rz_old, 0.0)
        preconditioner.new_direction(beta, p)
        power = operator.apply(p, out=q)[1]
        moving &= power > 0.0
        alpha = np.where(moving, rz / np.where(moving, power, 1.0), 0.0)
        advance(alpha, p, q, u, r, parts)
        norm = np.sqrt(parts.sum(axis=0))
        rz_old = np.where(moving, rz, 1.0)
        iterations += moving
        energy = energy - alpha * rz
        estimate.add(alpha * rz)
        if progress is not None:
            progress(step + 1, estimate.current.sum() / operator.energy_norm(energy))
    residual = np.where(f_norm > floor, norm / np.where(f_norm > floor, f_norm, 1.0), 0.0)
    return Solution(
        u=u,
        r=r,
        iterations=iterations,
        residual=residual,
        # a residual of rounding size says more than the energies of a step or two
        energy_error=np.where(norm > floor, estimate.current, 0.0),
        status=status,
    )
