r"""Refining a network on inelastic simulations, with its elastic fit held.

Gauss-Newton, damped as in `offline.training.levenberg`, on

.. math:: \frac{1}{m} \sum_j \lVert r_j \rVert^2 + \frac{w}{n} \sum_i e_i^2

with the elastic residuals r and the errors e along the n inelastic paths. Derivatives of the
elastic part are exact, those of the other part are forward differences, a network per parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from matnet.network import Network
from offline.training.levenberg import FLOOR, Step, _damped_step, _normal_equations
from offline.training.parameters import Point
from offline.training.problem import Problem

__all__ = ["Residuals", "refine"]

Residuals = Callable[[Network], np.ndarray]
"""Residuals (n_paths, k); row i has the square sum e_i^2. Not finite where the network fails."""

WEIGHT = 0.1  # w: stress errors are some ten times the elastic ones, and are to come down to them
DIFFERENCE = 1e-4  # radians, or e-folds of a weight
TRIALS = 8
DAMPING = (1e-2, 1e-1)  # lowest, first
SLOW = 0.01  # stop when two steps in a row lower the loss by less than this share each


def refine(problem: Problem, point: Point, residuals: Residuals, iterations: int) -> Iterator[Step]:
    """Accepted steps, until `iterations` or until the loss hardly falls."""
    damping = DAMPING[1]
    loss, elastic, now = _loss(problem, point, residuals)
    slow_before = False
    for _ in range(iterations if np.isfinite(loss) else 0):
        gradient, gram = _normal_equations(problem, point)
        rows = _differences(point, residuals, now)
        gram += WEIGHT / len(now) * rows @ rows.T
        gradient += WEIGHT / len(now) * rows @ now.ravel()
        diagonal = np.diag(gram)
        shift = diagonal + FLOOR * diagonal.mean()
        for _ in range(TRIALS):
            trial = point.moved(_damped_step(gram, gradient, damping * shift))
            trial_loss, elastic, there = _loss(problem, trial, residuals)
            if trial_loss < loss:
                break
            damping *= 4.0
        else:
            return
        slow = trial_loss > (1.0 - SLOW) * loss
        point, loss, now = trial, trial_loss, there
        yield Step(point=point, loss=elastic, damping=damping)
        if slow and slow_before:  # one slow step may only mean strong damping
            return
        slow_before = slow
        damping = max(0.25 * damping, DAMPING[0])


def _loss(problem: Problem, point: Point, residuals: Residuals) -> tuple[float, float, np.ndarray]:
    """The loss, its elastic part, the inelastic residuals."""
    elastic = float(np.mean(problem.errors(point) ** 2))
    there = residuals(point.network())
    loss = elastic + WEIGHT / len(there) * float(np.vdot(there, there))
    return (loss if np.isfinite(loss) else np.inf), elastic, there


def _differences(point: Point, residuals: Residuals, now: np.ndarray) -> np.ndarray:
    """Derivatives (n_parameters, n_residuals); zero where a network beside this one fails."""
    n = point.layout.n_parameters
    rows = np.empty((n, now.size))
    for i in range(n):
        step = np.zeros(n)
        step[i] = DIFFERENCE
        rows[i] = (residuals(point.moved(step).network()) - now).ravel() / DIFFERENCE
    return np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0)
