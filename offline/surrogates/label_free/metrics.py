r"""The error measure of the label-free CNN paper (eq. 32 to 34).

.. math:: \Delta_m = \frac1{36} \sum_{\alpha\beta} \delta_{\alpha\beta},\quad
          \delta_{\alpha\beta} = \left|\frac{\hat D_{\alpha\beta} - D_{\alpha\beta}}
          {D_{\alpha\beta}}\right| \text{ where } |D_{\alpha\beta}| \ge \varepsilon, \text{ else } 0

Entries below the threshold count as zero, yet divide: for an orthotropic cell 12 of the 36
remain, so that the measure is a third of the mean error of those. The paper does not give epsilon,
and prints no absolute value, without which errors would cancel; here epsilon is a share of the
largest entry.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ShapeError

__all__ = ["THRESHOLD", "component_error", "condition_numbers"]

THRESHOLD = 0.01
LARGEST = 2000  # unknowns up to which eigenvalues are computed


def component_error(found: Any, wanted: Any, threshold: float = THRESHOLD) -> np.ndarray:
    """Delta_m (n,) of stiffnesses `found` against `wanted` (n, 6, 6).

    The ratios are the same in Mandel and Voigt form. The mean over cells is eq. 34.

    Raises
    ------
    ShapeError
        The shapes differ.

    Examples
    --------
    >>> component_error(1.01 * np.ones((1, 6, 6)), np.ones((1, 6, 6))).round(4)
    array([0.01])
    """
    a, b = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    if a.shape != b.shape or a.shape[-2:] != (6, 6):
        raise ShapeError(f"stiffnesses have shapes {a.shape} and {b.shape}, expected equal 6x6.")
    counted = np.abs(b) >= threshold * np.abs(b).max(axis=(-2, -1), keepdims=True)
    ratio = np.abs(a - b) / np.where(counted, np.abs(b), 1.0)
    return np.asarray(np.where(counted, ratio, 0.0).mean(axis=(-2, -1)))


def condition_numbers(stiffness_matrix: Any) -> tuple[float, float]:
    """Condition numbers of K and of K^T K without the three translations.

    Parameters
    ----------
    stiffness_matrix : (m, m)
        Symmetric, positive definite but for translations; see `dense_matrix`.

    Raises
    ------
    ShapeError
        The matrix is not square, or larger than the eigenvalue solver should see.

    Examples
    --------
    >>> condition_numbers(np.diag([0.0, 0.0, 0.0, 1.0, 10.0]))
    (10.0, 100.0)
    """
    k = np.asarray(stiffness_matrix, dtype=float)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or not 3 < len(k) <= LARGEST:
        raise ShapeError(
            f"stiffness matrix has shape {k.shape}, expected a square one of 4 to {LARGEST} rows."
        )
    values = np.linalg.eigvalsh(k)[3:]
    first = float(values[-1] / values[0])
    squares = np.sort(values**2)
    return first, float(squares[-1] / squares[0])
