r"""Plane-strain stiffness of grey pictures and its derivative by every pixel.

A grey value chi stands for :math:`C_0 + \chi\,(C_1 - C_0)`. The energy form is stationary in the
displacement, so that the explicit part is the whole derivative
(`offline.homogenization.sensitivity`):

.. math:: \frac{\partial C_{kl}}{\partial \chi_e}
          = \frac{1}{|Y|} \int_e \varepsilon^k : (C_1 - C_0) : \varepsilon^l .
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ParameterError
from offline.surrogates.voigt_reuss.plane_strain import PlaneStrainSolver, pixel_coefficients

__all__ = ["GreySolver"]

LEVELS = 255  # phase numbers of the engine
LOADS = 3


class GreySolver:
    """Cells of one size between two phases.

    Parameters
    ----------
    shape : (int, int)
    phases : (2, 3, 3)
        Plane strain, Mandel 11 22 12 [stress unit].
    """

    def __init__(self, shape: tuple[int, int], phases: Any) -> None:
        pair = np.asarray(phases, dtype=float)
        chi = np.linspace(0.0, 1.0, LEVELS)[:, None, None]
        self._solver = PlaneStrainSolver(shape, pair[0] + chi * (pair[1] - pair[0]))
        self._gap = pair[1] - pair[0]
        self._hourglass = pixel_coefficients(pair)[1, 6:] - pixel_coefficients(pair)[0, 6:]

    def solve(self, picture: Any, tol: float = 1e-4) -> tuple[np.ndarray, np.ndarray]:
        """Stiffness (3, 3) of chi (n1, n2) in [0, 1] and derivatives (3, 3, n1, n2).

        Grey values are rounded to 255 levels.
        """
        chi = np.asarray(picture, dtype=float)
        if not (chi.min() >= 0.0 and chi.max() <= 1.0):
            raise ParameterError(
                f"picture holds values from {chi.min():g} to {chi.max():g}, expected 0 to 1."
            )
        found = self._solver.solve(np.rint(chi * (LEVELS - 1)).astype(np.uint8), tol)
        return found.stiffness, self._derivatives(found.displacement)

    def _derivatives(self, u: np.ndarray) -> np.ndarray:
        strain, hour = _strains(u)
        a, b, c = self._hourglass
        block = np.array([[a, c], [c, b]])
        result = np.einsum("kaij,ab,lbij->klij", strain, self._gap, strain, optimize=True)
        result += np.einsum("kaij,ab,lbij->klij", hour, block, hour, optimize=True)
        return np.asarray(result / strain[0, 0].size)


def _strains(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Total strains (3, 3, n1, n2) at pixel centres, load first, and amplitudes of xi eta."""
    a = u.reshape(2, LOADS, *u.shape[1:])
    b = np.roll(a, -1, axis=2)
    total, slope = a + b, b - a
    next_total, next_slope = np.roll(total, -1, axis=3), np.roll(slope, -1, axis=3)
    gradient1, gradient2 = 0.5 * (slope + next_slope), 0.5 * (next_total - total)
    strain = -np.stack(
        [gradient1[0], gradient2[1], np.sqrt(0.5) * (gradient2[0] + gradient1[1])], axis=1
    )
    strain[np.arange(LOADS), np.arange(LOADS)] += 1.0
    hour = 0.25 * (next_slope - slope)
    return strain, np.moveaxis(hour, 0, 1)
