"""Reading a stiffness: engineering constants, isotropic part, anisotropy, directional moduli.

Mandel matrices (6, 6), order 11 22 33 12 13 23, any consistent stress unit. A singular stiffness
(void, mechanism) has no compliance: these functions then raise `ParameterError`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_shape
from matnet.mandel import IDENTITY, to_mandel

__all__ = [
    "isotropic_constants",
    "isotropic_projection",
    "linear_compressibility",
    "orthotropic_constants",
    "shear_modulus",
    "universal_anisotropy",
    "youngs_modulus",
    "zener",
]


def isotropic_projection(C: Any) -> tuple[float, float]:
    r"""Bulk and shear modulus of the isotropic stiffness nearest to `C` in the Frobenius norm.

    .. math:: K = \tfrac19 \sum_{i,j \le 3} C_{ij}, \quad
              G = \tfrac1{10} \bigl(\operatorname{tr} C - 3 K\bigr)

    Source: Voigt-Reuss net paper, eq. 28 and 29.

    Examples
    --------
    >>> from matnet.elasticity import isotropic
    >>> K, G = isotropic_projection(isotropic(K=2.0, G=1.0))
    >>> round(K, 12), round(G, 12)
    (2.0, 1.0)
    """
    array = _stiffness(C)
    K = float(array[:3, :3].sum()) / 9.0
    return K, (float(np.trace(array)) - 3.0 * K) / 10.0


def isotropic_constants(C: Any) -> dict[str, float]:
    """E, nu, K, G of the isotropic stiffness nearest to `C` (`isotropic_projection`)."""
    K, G = isotropic_projection(C)
    if 3.0 * K + G <= 0.0:
        raise ParameterError(
            "stiffness is zero or not positive definite: no engineering constants."
        )
    return {
        "E": 9.0 * K * G / (3.0 * K + G),
        "nu": (3.0 * K - 2.0 * G) / (2.0 * (3.0 * K + G)),
        "K": K,
        "G": G,
    }


def orthotropic_constants(C: Any) -> dict[str, float]:
    r"""E1 E2 E3, nu12 nu13 nu23, G12 G13 G23 along the coordinate axes.

    They are read from the compliance, :math:`E_i = 1 / S_{ii}`,
    :math:`\nu_{ij} = -S_{ij} / S_{ii}`, so they mean what a tensile or shear test along the axes
    would measure, for any anisotropy.

    Examples
    --------
    >>> from matnet.elasticity import isotropic
    >>> constants = orthotropic_constants(isotropic(E=70.0, nu=0.3))
    >>> {name: round(value, 3) for name, value in constants.items()}
    {'E1': 70.0, 'E2': 70.0, 'E3': 70.0, 'nu12': 0.3, 'nu13': 0.3, 'nu23': 0.3,
     'G12': 26.923, 'G13': 26.923, 'G23': 26.923}
    """
    S = _compliance(C)
    constants = {f"E{i + 1}": 1.0 / S[i, i] for i in range(3)}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        constants[f"nu{i + 1}{j + 1}"] = -S[i, j] / S[i, i]
    for m, name in ((3, "G12"), (4, "G13"), (5, "G23")):
        constants[name] = 0.5 / S[m, m]
    return {name: float(value) for name, value in constants.items()}


def zener(C: Any) -> float:
    r"""Zener's ratio :math:`2 C_{44} / (C_{11} - C_{12})`, 1 when isotropic.

    Means over the three axes are used, so it has its usual meaning for cubic symmetry with the
    cube along the coordinate axes.
    """
    array = _stiffness(C)
    shear = float(np.diag(array)[3:].mean())  # Mandel: 2 C44
    direct = float(np.diag(array)[:3].mean())
    coupling = float(array[0, 1] + array[0, 2] + array[1, 2]) / 3.0
    if direct <= coupling:
        raise ParameterError(
            f"Zener's ratio: C11 - C12 = {direct - coupling:.6g}, expected > 0 (no such stiffness)."
        )
    return shear / (direct - coupling)


def universal_anisotropy(C: Any) -> float:
    r"""Universal anisotropy index :math:`A^U = 5 G^V / G^R + K^V / K^R - 6`, 0 when isotropic.

    V and R are Voigt's and Reuss's averages over all orientations of one crystal.
    Source: Ranganathan & Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008), eq. 9.
    """
    K_voigt, G_voigt = isotropic_projection(C)
    S = _compliance(C)
    K_reuss = 1.0 / float(S[:3, :3].sum())
    G_reuss = 5.0 / (2.0 * (float(np.trace(S)) - 1.0 / (3.0 * K_reuss)))
    return 5.0 * G_voigt / G_reuss + K_voigt / K_reuss - 6.0


def youngs_modulus(C: Any, directions: Any) -> np.ndarray:
    r"""Young's modulus along `directions` (..., 3), of any length: array (...).

    .. math:: 1 / E(d) = (d \otimes d) : S : (d \otimes d), \quad |d| = 1

    Examples
    --------
    >>> from matnet.elasticity import cubic
    >>> copper = cubic(C11=168.4, C12=121.4, C44=75.4)  # GPa
    >>> youngs_modulus(copper, [[1, 0, 0], [1, 1, 1]]).round(1)
    array([ 66.7, 191.1])
    """
    d = _unit(directions, "directions")
    dd = to_mandel(d[..., :, None] * d[..., None, :])
    return np.asarray(1.0 / np.einsum("...i,ij,...j->...", dd, _compliance(C), dd))


def shear_modulus(C: Any, normals: Any, directions: Any) -> np.ndarray:
    r"""Shear modulus in planes with `normals` along `directions`, both (..., 3): array (...).

    .. math:: 1 / G(n, m) = 4\, \mathrm{sym}(n \otimes m) : S : \mathrm{sym}(n \otimes m)

    Raises
    ------
    ParameterError
        A direction is not perpendicular to its normal (to 1e-8).
    """
    n, m = _unit(normals, "normals"), _unit(directions, "directions")
    tilt = float(np.abs((n * m).sum(axis=-1)).max())
    if tilt > 1e-8:
        raise ParameterError(
            f"shear_modulus: normal and direction have cosine {tilt:.3g}, expected a right angle."
        )
    outer = n[..., :, None] * m[..., None, :]
    nm = to_mandel(0.5 * (outer + np.swapaxes(outer, -1, -2)))
    return np.asarray(0.25 / np.einsum("...i,ij,...j->...", nm, _compliance(C), nm))


def linear_compressibility(C: Any, directions: Any) -> np.ndarray:
    r"""Contraction along `directions` (..., 3) per unit pressure [1 / stress unit]: array (...).

    .. math:: \beta(d) = (d \otimes d) : S : I
    """
    d = _unit(directions, "directions")
    dd = to_mandel(d[..., :, None] * d[..., None, :])
    return np.asarray(dd @ _compliance(C) @ IDENTITY)


def _stiffness(C: Any) -> np.ndarray:
    array = np.asarray(C, dtype=float)
    require_shape("stiffness", array, (6, 6))
    return array


def _compliance(C: Any) -> np.ndarray:
    array = _stiffness(C)
    eigenvalues = np.linalg.eigvalsh(array)
    if not eigenvalues[0] > 1e-13 * abs(eigenvalues[-1]):
        raise ParameterError(
            f"stiffness is singular: its eigenvalues reach from {eigenvalues[0]:.3g} to "
            f"{eigenvalues[-1]:.3g}, so it has no engineering constants."
        )
    return np.asarray(np.linalg.inv(array))


def _unit(directions: Any, name: str) -> np.ndarray:
    d = np.asarray(directions, dtype=float)
    if d.ndim == 0 or d.shape[-1] != 3:
        raise ParameterError(f"{name} has shape {d.shape}, expected (..., 3).")
    length = np.linalg.norm(d, axis=-1, keepdims=True)
    if not (length > 0.0).all() or not np.isfinite(length).all():
        raise ParameterError(f"{name}: a vector is zero or not finite, expected directions.")
    return np.asarray(d / length)
