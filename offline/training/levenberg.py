r"""Levenberg-Marquardt on the normal equations of a label set.

The loss is the mean squared relative error plus a weak pull of the log-weights towards their
phase's mean, which keeps base nodes from dying early,

.. math:: \frac{1}{m} \sum_j \lVert r_j \rVert^2 + \frac{\rho}{n} \sum_i (z_i - \bar z_{p(i)})^2 .

Damping is Marquardt's diagonal with a floor: without the floor insensitive parameters run away,
with a multiple of the identity instead the step is ruled by the stiffest one. A Jacobian costs
ten times a
residual, so damping is raised at once until the loss falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from offline.training.parameters import Point
from offline.training.problem import Problem

__all__ = ["Step", "levenberg_marquardt"]

PULL = 1e-6  # rho
FLOOR = 1e-2  # of the mean diagonal, added to Marquardt's
LARGEST_STEP = 1.0  # radians, or e-folds of a weight
TRIALS = 15
DAMPING = (1e-2, 1e-1, 1e8)  # lowest, first, highest; below, weak parameters use up the step
SLOW = (15, 2e-3)  # stop when the loss falls by less than this share in so many iterations


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An accepted step: the new point, the mean squared relative error there, the damping used."""

    point: Point
    loss: float
    damping: float


def levenberg_marquardt(problem: Problem, point: Point, max_iterations: int) -> Iterator[Step]:
    """Accepted steps, until `max_iterations` or until the loss hardly falls."""
    damping = DAMPING[1]
    loss = _loss(problem, point)
    losses = [loss]
    for _ in range(max_iterations):
        gradient, gram = _normal_equations(problem, point)
        diagonal = np.diag(gram)
        shift = diagonal + FLOOR * diagonal.mean()
        for _ in range(TRIALS):
            step = _damped_step(gram, gradient, damping * shift)
            trial = point.moved(step)
            trial_loss = _loss(problem, trial)
            if trial_loss < loss:
                break
            damping = min(4.0 * damping, DAMPING[2])
        else:
            return
        gain = (loss - trial_loss) / -(2.0 * step @ gradient + step @ gram @ step)
        point, loss = trial, trial_loss
        yield Step(point=point, loss=loss - PULL * _spread(point), damping=damping)
        if gain > 0.75:
            damping = max(0.25 * damping, DAMPING[0])
        elif gain < 0.25:
            damping *= 2.0
        losses.append(loss)
        if len(losses) > SLOW[0] and loss > (1.0 - SLOW[1]) * losses[-1 - SLOW[0]]:
            return


def _damped_step(gram: np.ndarray, gradient: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Minus (gram + diag(shift))^-1 gradient, shortened to the largest step."""
    matrix = gram.copy()
    matrix[np.diag_indices_from(matrix)] += shift
    try:
        factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
    except LinAlgError:  # round-off made it indefinite; the caller raises the damping
        return np.zeros_like(gradient)
    step = -cho_solve(factor, gradient, check_finite=False)
    largest = np.abs(step).max()
    return np.asarray(step if largest <= LARGEST_STEP else step * (LARGEST_STEP / largest))


def _normal_equations(problem: Problem, point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Half the gradient of the loss (n,) and the Gauss-Newton matrix (n, n)."""
    residuals, jacobian = problem.linearised(point)
    rows = jacobian.reshape(len(jacobian), -1)
    m, n_base = len(problem), point.layout.n_base
    gram = rows @ rows.T / m
    gradient = rows @ residuals.ravel() / m
    weights = np.arange(n_base)
    gradient[:n_base] += PULL / n_base * _centred(point)
    gram[weights, weights] += PULL / n_base
    return gradient, gram


def _loss(problem: Problem, point: Point) -> float:
    residuals = problem.residuals(point)
    return float(np.vdot(residuals, residuals)) / len(problem) + PULL * _spread(point)


def _spread(point: Point) -> float:
    return float(np.mean(_centred(point) ** 2))


def _centred(point: Point) -> np.ndarray:
    """Log-weights (n_base,) minus the mean of their phase."""
    phase, z = point.layout.base_phase, point.log_weight
    count = np.bincount(phase)
    return np.asarray(z - (np.bincount(phase, z) / np.maximum(count, 1))[phase])
