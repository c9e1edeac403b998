r"""Conjugate gradients for six load cases at once, stopped on the effective stiffness.

Iterations run in single precision on the scaled system
:math:`(K / k_0)\, \tilde u^k = r_0^k / s_k` with :math:`u^k = (s_k / k_0)\, \tilde u^k`, where
:math:`k_0` is a power of two near the entries of K and :math:`s_k` the norm of the load: units
and element sizes cannot leave the range of single precision. Before a solve ends, and whenever all
residuals have dropped by `DROP`, the true residual :math:`f - K u` is computed in double precision
and replaces the one of the recurrence, while the search direction is kept (Sleijpen & van der
Vorst, *Computing* 56, 1996, 141-163; mixed precision: Clark et al., *Comput. Phys. Commun.* 181,
2010, 1517-1528, section 5). Where rounding keeps the true residual above the recurrence's again,
all goes on in double precision. A solve is never ended on the recurrence's word alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matnet.errors import require_finite
from offline.homogenization.error_estimate import EnergyErrorEstimate
from offline.homogenization.node_kernels import (
    LOADS,
    PARTS,
    WIDTH,
    advance,
    new_direction,
    per_component,
    per_load,
    products,
    scaled,
    squares,
)
from offline.homogenization.options import SolverOptions, Status
from offline.homogenization.preconditioner import Preconditioner

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["Preconditioner", "Progress", "Solution", "pcg"]


FEWEST_STEPS = 5  # a warm start's first drops say little about the remainder
# Where convergence is irregular, one small step says little: 13 of 657 random cells of up to 216
# nodes and high contrast stopped above tol, by up to 94 times; with three steps 8, by up to 3.6.
PATIENCE = 3  # steps in a row whose estimates are small, in cells of few nodes
FEW_NODES = 256
DROP = 1e-4  # of the residual between replacements; rounding of single precision is far below
GAP = 2.0  # rounding dominates where the true residual is above the recurrence's by this factor
SLOW = 0.1  # two such gaps with less progress in between end single precision
# Stiff islands in a soft matrix: rounding of their forces in single precision is no longer small
# beside those of the matrix, which a residual does not show. At 1e6 some cells went astray.
# Long voxels do the same to an element matrix: incompressible struts of voxels 1:1:10 diverged.
SINGLE_CONTRAST = 1e5
SINGLE_RANGE = (1e-25, 1e25)  # results of these sizes are kept in single precision
Progress = Callable[[int, float], None]  # iteration, estimated relative error of C^H


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What an engine returns.

    Attributes
    ----------
    u : (n_nodes, 18) float32 or float64
        Fluctuations at active nodes, component ``6 * i + load``; single where it was enough for
        the tolerance.
    r : (n_nodes, 18) float32 or float64
        True residuals ``f - K u``.
    effective : (6, 6)
        Effective stiffness of u in energy form.
    iterations, residual : (6,)
        Iterations and ``||f - K u|| / ||f||`` per load case.
    energy_error : (6,)
        Estimate of ``||u - u_exact||_K^2`` per load case; 0 where the residual is rounding error.
    """

    u: np.ndarray
    r: np.ndarray
    effective: np.ndarray
    iterations: np.ndarray
    residual: np.ndarray
    energy_error: np.ndarray
    status: Status


def norms(a: np.ndarray) -> np.ndarray:
    """Euclidean norm of each load case (6,) of a field (n_nodes, 18)."""
    return np.asarray(np.sqrt(squares(a)))


def pcg(
    operator: CellOperator,
    preconditioner: Preconditioner,
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
    return _Run(operator, preconditioner, options, start, progress).solution()


class _Run:
    """One solve. Fields and norms are those of the scaled system unless said otherwise."""

    def __init__(
        self,
        operator: CellOperator,
        preconditioner: Preconditioner,
        options: SolverOptions,
        start: np.ndarray | None,
        progress: Progress | None,
    ) -> None:
        self.operator, self.preconditioner, self.options = operator, preconditioner, options
        self.progress = progress
        self.estimate = EnergyErrorEstimate(LOADS)
        self.earliest = FEWEST_STEPS
        self.iterations = np.zeros(LOADS, dtype=int)
        self.parts = np.empty((PARTS, WIDTH))
        self.settled: np.ndarray | None = None  # share of u in double precision, true units
        self.wide: np.ndarray | None = None  # true residuals where the direction is kept
        self.gaps = 0
        self.rise = np.ones(LOADS)  # of the energy errors, where true residuals are above r
        residual = operator.load_vectors(out=operator.solver.workspace.pair_as_double)
        self._scale_by(norms(residual))
        self.effective = operator.mean_stiffness
        if start is not None:
            self.settled = np.array(start, dtype=np.float64)
            require_finite("start", self.settled)
            self.effective = operator.evaluate(self.settled, out=residual)
        edges = operator.solver.grid.cell / np.array(operator.solver.grid.shape)[:, None]
        single = operator.contrast * np.linalg.cond(edges) ** 2 <= SINGLE_CONTRAST
        self.patience = PATIENCE if operator.mesh.n_nodes < FEW_NODES else 1
        self.small = 0
        self._begin(np.float32 if single else np.float64, residual)

    def _scale_by(self, f_norm: np.ndarray) -> None:
        """Scales of the load cases, and the scaled norms where they are done."""
        floor = self.operator.force_scale * 1e-14
        self.loaded = f_norm > floor
        self.scale = np.where(self.loaded, f_norm, self.operator.force_scale)
        self.factor = self.scale / self.operator.unit
        self.floor = floor / self.scale
        goal = self.options.residual_tol or 0.0
        self.goal = np.maximum(np.where(self.loaded, goal, 0.0), self.floor)

    def _begin(self, dtype: type, residual: np.ndarray) -> None:
        """Fields in single or double precision, from the true residuals of what is settled."""
        shape = residual.shape
        self.double = dtype is np.float64
        self.u: np.ndarray = np.zeros(shape, dtype)
        self.r: np.ndarray = np.empty(shape, dtype)
        self._take(residual)
        pair = self.operator.solver.workspace.pair
        if self.double:
            self.p, self.q = np.empty((2, *shape))
            self.r_single, self.z = pair
        else:
            self.p, self.q = pair
            self.r_single, self.z = self.r, self.q
        self._forget_direction()

    def _take(self, residual: np.ndarray) -> None:
        """Scale true residuals (n_nodes, 18) and note their size."""
        scaled(per_component(1.0 / self.scale, np.float64), residual, self.r)
        self.norm = self.true_norm = norms(self.r)
        self.energy = self.effective.diagonal() * self.operator.solver.grid.volume

    def _forget_direction(self) -> None:
        self.p[:] = 0.0
        self.rz, self.moved = np.ones(LOADS), np.zeros(LOADS, dtype=bool)

    def solution(self) -> Solution:
        """Iterate to the end."""
        status, is_true = Status.MAX_ITERATIONS, True  # whether r is the true residual
        for step in range(self.options.max_iterations + 1):
            if self._seems_done():
                if is_true or self._confirm():
                    status, is_true = Status.CONVERGED, True
                    break
                is_true = True
            if step == self.options.max_iterations:
                break
            if self._is_due():
                self._settle()
            if not self._iterate():
                if self.double:
                    break
                self._go_double()
            is_true = False
            if self.progress is not None:
                self.progress(step + 1, self._error())
        if not is_true:
            self._confirm()
        if np.all(self.norm <= np.maximum(self.goal, 10.0 * self.floor)):
            status = Status.CONVERGED  # rounding errors are all that is left: no step can be made
        return self._result(status)

    def _seems_done(self) -> bool:
        if not np.any(self.norm > self.goal):
            return True
        if self.options.residual_tol is not None or self.estimate.steps < self.earliest:
            return False
        self.small = self.small + 1 if self._error() <= self.options.tol else 0
        return self.small >= self.patience

    def _is_due(self) -> bool:
        """Whether the residuals have lost enough digits to be replaced by true ones."""
        low = self.norm <= np.maximum(DROP * self.true_norm, self.floor)
        if self.options.residual_tol is None:
            return bool(np.all(low))
        return bool(np.any(low & (self.norm > self.goal)))

    def _energy_error(self) -> np.ndarray:
        return np.asarray(self.estimate.current * self.rise)

    def _error(self) -> float:
        return float(self._energy_error().sum() / self.operator.energy_norm(self.energy))

    def _iterate(self) -> bool:
        """One step of conjugate gradients; False where it cannot be made."""
        moving = self.norm > self.goal
        if self.double:
            shrink = np.where(moving, 1.0 / np.where(moving, self.norm, 1.0), 0.0)
            scaled(per_component(shrink, np.float64), self.r, self.r_single)
        self.preconditioner.apply(self.r_single, self.z)
        rz = products(self.r, self.z)
        if self.double:
            scaled(per_component(self.norm, np.float32), self.z, self.z)
            rz *= self.norm
        beta = np.where(moving & self.moved, rz / self.rz, 0.0)
        new_direction(self.z, per_component(beta, self.p.dtype), self.p)
        power = self.operator.apply_scaled(self.p, self.q)
        usable = (power > 0.0) & np.isfinite(power) & np.isfinite(rz)
        if not np.any(moving & usable) or (np.any(moving & ~usable) and not self.double):
            return False
        moving &= usable
        alpha = np.where(moving, rz / np.where(usable, power, 1.0), 0.0)
        step = per_component(alpha, self.p.dtype)
        advance(step, self.p, self.q, self.u, self.r, self.parts)
        self.norm = np.sqrt(per_load(self.parts))
        self.rz, self.moved = np.where(moving, rz, 1.0), moving
        self.iterations += moving
        drop = alpha * rz * self.scale * self.factor
        self.energy = self.energy - drop
        self.estimate.add(drop)
        self.rise = np.ones(LOADS)
        return True

    def _settle(self) -> None:
        """Add u to its share in double precision; replace residuals, keep the direction."""
        if self.wide is None:
            self.wide = np.empty(self.r.shape)
        recurred = self.norm
        self.effective = self.operator.evaluate(self._move(), out=self.wide)
        self._take(self.wide)
        # a direction that belongs to a much smaller residual would lead astray
        self.moved &= self.norm <= GAP * recurred

    def _move(self) -> np.ndarray:
        """Add u to the share in double precision, and return that."""
        if self.settled is None:
            self.settled = np.zeros(self.u.shape)
        self.settled += per_component(self.factor, np.float64) * self.u
        self.u[:] = 0.0
        return self.settled

    def _confirm(self) -> bool:
        """Replace residuals by true ones, which ends the direction; whether they bear out r."""
        recurred, before = self.norm, self.true_norm
        residual = self.operator.solver.workspace.pair_as_double
        if self.settled is None:
            self.effective = self.operator.evaluate(self.u, self.factor, out=residual)
        else:
            self.effective = self.operator.evaluate(self._move(), out=residual)
        self._take(residual)
        gap = self.norm > np.maximum(GAP * recurred, 10.0 * self.floor)
        if self.options.residual_tol is None:
            ratio = self.norm / np.where(recurred > 0.0, recurred, 1.0)
            self.rise = np.where(gap, ratio**2, 1.0)
            if not np.any(gap & (recurred == 0.0)) and self._error() <= self.options.tol:
                return True
        elif np.all(self.norm <= np.maximum(self.goal, 10.0 * self.floor)):
            return True
        self.earliest = self.estimate.steps + FEWEST_STEPS
        if np.any(gap):
            self.gaps += 1
            if self.gaps > 1 and np.any(self.norm > SLOW * before) and not self.double:
                self._go_double()
                return False
        self._forget_direction()
        return False

    def _go_double(self) -> None:
        """Go on in double precision from what is settled or still finite."""
        if not np.isfinite(self.u).all():
            self.u[:] = 0.0
        self.wide = np.empty(self.r.shape) if self.wide is None else self.wide
        self.effective = self.operator.evaluate(self._move(), out=self.wide)
        self._begin(np.float64, self.wide)

    def _result(self, status: Status) -> Solution:
        if self.settled is None and _in_single_range(self.factor, self.scale):
            u, r = self.u, self.r
            scaled(per_component(self.factor, np.float32), u, u)
            scaled(per_component(self.scale, np.float32), r, r)
        else:
            u, r = self._move(), per_component(self.scale, np.float64) * self.r
        return Solution(
            u=u,
            r=r,
            effective=self.effective,
            iterations=self.iterations,
            residual=np.where(self.loaded, self.norm, 0.0),
            # a residual of rounding size says more than the energies of a step or two
            energy_error=np.where(self.norm > self.floor, self._energy_error(), 0.0),
            status=status,
        )


def _in_single_range(*scales: np.ndarray) -> bool:
    sizes = np.abs(np.concatenate(scales))
    return bool(sizes.min() > SINGLE_RANGE[0] and sizes.max() < SINGLE_RANGE[1])
