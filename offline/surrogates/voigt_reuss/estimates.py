r"""What volume fractions alone say in plane strain: Hill, Hashin-Shtrikman, Mori-Tanaka.

Two isotropic phases with the plane bulk modulus :math:`k = K + G / 3` and the shear modulus G; an
isotropic plane stiffness is :math:`C_{11} = k + G,\; C_{12} = k - G,\; C_{33} = 2 G` (Mandel).
These are the geometry-agnostic references of the Voigt-Reuss net paper (fig. 15).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError
from offline.surrogates.voigt_reuss.normalisation import voigt_reuss

__all__ = [
    "hashin_shtrikman_plane",
    "hill_plane",
    "isotropic_plane",
    "mori_tanaka_plane",
    "plane_moduli",
]

ISOTROPIC = 1e-8  # relative distance up to which a stiffness counts as isotropic


def isotropic_plane(k: Any, G: Any) -> np.ndarray:
    """Plane-strain stiffness (..., 3, 3) of plane bulk and shear moduli (...) [stress unit]."""
    bulk, shear = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(G, dtype=float))
    c = np.zeros((*bulk.shape, 3, 3))
    c[..., 0, 0] = c[..., 1, 1] = bulk + shear
    c[..., 0, 1] = c[..., 1, 0] = bulk - shear
    c[..., 2, 2] = 2.0 * shear
    return c


def plane_moduli(stiffness: Any) -> tuple[np.ndarray, np.ndarray]:
    """Moduli k and G (...) of the nearest isotropic plane stiffness to (..., 3, 3).

    Examples
    --------
    >>> k, G = plane_moduli(isotropic_plane(5.0, 2.0))
    >>> round(float(k), 12), round(float(G), 12)
    (5.0, 2.0)
    """
    c = np.asarray(stiffness, dtype=float)
    if c.shape[-2:] != (3, 3):
        raise ShapeError(f"stiffness has shape {c.shape}, expected (..., 3, 3).")
    bulk = 0.25 * (c[..., 0, 0] + c[..., 1, 1] + 2.0 * c[..., 0, 1])
    return np.asarray(bulk), np.asarray((np.trace(c, axis1=-2, axis2=-1) - 2.0 * bulk) / 4.0)


def hill_plane(phases: Any, c0: Any) -> np.ndarray:
    """Mean (n, 3, 3) of Voigt's and Reuss's bound of two phases (2, 3, 3), c0 (n,) of phase 0."""
    f = np.asarray(c0, dtype=float)
    upper, lower = voigt_reuss(np.asarray(phases, dtype=float), np.stack([f, 1.0 - f], axis=-1))
    return np.asarray(0.5 * (upper + lower))


def hashin_shtrikman_plane(phases: Any, c0: Any) -> tuple[np.ndarray, np.ndarray]:
    r"""Lower and upper bound (n, 3, 3) for isotropic plane mixtures of two isotropic phases.

    .. math:: k^\pm = \Bigl[\sum_i \frac{f_i}{k_i + G_0}\Bigr]^{-1} - G_0, \quad
              G^\pm = \Bigl[\sum_i \frac{f_i}{G_i + H_0}\Bigr]^{-1} - H_0, \quad
              H_0 = \frac{k_0 G_0}{k_0 + 2 G_0}

    with the largest (upper) or smallest (lower) moduli as :math:`k_0, G_0` (Hashin, J. Mech. Phys.
    Solids 13, 1965, 119-134, transverse moduli, in Walpole's form). They hold for mixtures that
    are isotropic in the plane; an anisotropic cell may lie outside.
    """
    k, G = _phase_moduli(phases)
    low = _walpole(k, G, c0, float(k.min()), float(G.min()))
    return low, _walpole(k, G, c0, float(k.max()), float(G.max()))


def mori_tanaka_plane(phases: Any, c0: Any, matrix: int = 1) -> np.ndarray:
    r"""Mori-Tanaka's estimate (n, 3, 3) for circular inclusions in phase number `matrix`.

    For long circular fibres in plane strain it coincides with Walpole's form with the matrix as
    :math:`k_0, G_0` (Benveniste, Mech. Mater. 6, 1987, 147-157). Phase 1 is the matrix by default:
    at small c0, phase 0 is what is embedded.
    """
    if matrix not in (0, 1):
        raise ParameterError(f"matrix is {matrix}, expected phase 0 or 1.")
    k, G = _phase_moduli(phases)
    return _walpole(k, G, c0, float(k[matrix]), float(G[matrix]))


def _walpole(k: np.ndarray, G: np.ndarray, c0: Any, k0: float, G0: float) -> np.ndarray:
    f = np.asarray(c0, dtype=float)
    shares = np.stack([f, 1.0 - f], axis=-1)
    if f.size and (f.min() < 0.0 or f.max() > 1.0):
        raise ParameterError(
            f"c0 lies between {f.min():g} and {f.max():g}, expected values from 0 to 1."
        )
    H0 = k0 * G0 / (k0 + 2.0 * G0)
    bulk = 1.0 / (shares / (k + G0)).sum(axis=-1) - G0
    shear = 1.0 / (shares / (G + H0)).sum(axis=-1) - H0
    return isotropic_plane(bulk, shear)


def _phase_moduli(phases: Any) -> tuple[np.ndarray, np.ndarray]:
    c = np.asarray(phases, dtype=float)
    if c.shape != (2, 3, 3):
        raise ShapeError(f"phases have shape {c.shape}, expected (2, 3, 3).")
    k, G = plane_moduli(c)
    if np.linalg.norm(isotropic_plane(k, G) - c) > ISOTROPIC * np.linalg.norm(c):
        raise ParameterError("a phase is not isotropic in the plane, and this estimate needs it.")
    return k, G
