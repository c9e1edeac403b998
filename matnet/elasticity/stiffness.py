r"""Stiffness matrices from engineering constants, and the check every given stiffness passes.

All matrices are Mandel, order 11 22 33 12 13 23, in the unit of the moduli. Poisson's ratios follow
:math:`\nu_{ij} = -\varepsilon_j / \varepsilon_i` under stress along i, so
:math:`\nu_{ij} / E_i = \nu_{ji} / E_j`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_finite, require_shape

__all__ = [
    "check_stiffness",
    "cubic",
    "isotropic",
    "orthotropic",
    "transversely_isotropic",
]

SYMMETRY_TOLERANCE = 1e-6  # relative to the largest entry; inputs printed with 7 digits pass
DEFINITE_TOLERANCE = 1e-12  # smallest over largest eigenvalue; below it is rounding


def isotropic(
    *,
    E: float | None = None,
    nu: float | None = None,
    K: float | None = None,
    G: float | None = None,
) -> np.ndarray:
    r"""Isotropic stiffness (6, 6): :math:`C = 3K J + 2G (I - J)`, J the volumetric projector.

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit], > 0, and Poisson's ratio, between -1 and 0.5; or
    K, G : float
        bulk and shear modulus [stress unit], both > 0.

    Raises
    ------
    ParameterError
        Neither or both pairs were given, or a value is out of range; the message names it.

    Examples
    --------
    >>> isotropic(K=1.0, G=3.0)[0, :4]
    array([ 5., -1., -1.,  0.])
    """
    if E is not None and nu is not None and K is None and G is None:
        _positive(E=E)
        if not -1.0 < nu < 0.5:
            raise ParameterError(f"nu = {nu:g}, expected a value between -1 and 0.5.")
        K, G = E / (3.0 * (1.0 - 2.0 * nu)), E / (2.0 * (1.0 + nu))
    elif K is None or G is None or E is not None or nu is not None:
        raise ParameterError("isotropic stiffness needs either E and nu, or K and G.")
    _positive(K=K, G=G)
    stiffness = 2.0 * G * np.eye(6)
    stiffness[:3, :3] += K - 2.0 * G / 3.0
    return stiffness


def cubic(*, C11: float, C12: float, C44: float) -> np.ndarray:
    """Cubic stiffness (6, 6), cube axes along the coordinates.

    Parameters
    ----------
    C11, C12, C44 : float
        The usual (Voigt) constants [stress unit]: stress 12 is C44 times engineering shear 12.

    Raises
    ------
    ParameterError
        One of C44 > 0, C11 - C12 > 0, C11 + 2 C12 > 0 fails; the message names it.

    Examples
    --------
    >>> cubic(C11=3.0, C12=1.0, C44=1.0)[3, 3]
    2.0
    """
    _finite(C11=C11, C12=C12, C44=C44)
    conditions = {"C44": C44, "C11 - C12": C11 - C12, "C11 + 2 C12": C11 + 2.0 * C12}
    for text, value in conditions.items():
        if value <= 0.0:
            raise ParameterError(f"cubic stiffness: {text} = {value:g}, expected > 0.")
    stiffness = np.diag([C11 - C12] * 3 + [2.0 * C44] * 3)
    stiffness[:3, :3] += C12
    return stiffness


def orthotropic(
    *,
    E1: float,
    E2: float,
    E3: float,
    nu12: float,
    nu13: float,
    nu23: float,
    G12: float,
    G13: float,
    G23: float,
) -> np.ndarray:
    """Orthotropic stiffness (6, 6), material axes along the coordinates.

    Parameters
    ----------
    E1, E2, E3, G12, G13, G23 : float
        Young's and shear moduli [stress unit], all > 0.
    nu12, nu13, nu23 : float
        Poisson's ratios, nu_ij = contraction along j over extension along i.

    Raises
    ------
    ParameterError
        A modulus is not positive, or the compliance is not positive definite; the message names
        the violated condition (Lempriere, AIAA Journal 6, 1968, 2226-2227).

    Examples
    --------
    >>> C = orthotropic(E1=1, E2=2, E3=3, nu12=0, nu13=0, nu23=0, G12=1, G13=1, G23=1)
    >>> np.diag(C).tolist()
    [1.0, 2.0, 3.0, 2.0, 2.0, 2.0]
    """
    _positive(E1=E1, E2=E2, E3=E3, G12=G12, G13=G13, G23=G23)
    _finite(nu12=nu12, nu13=nu13, nu23=nu23)
    for name, nu, Ei, Ej in (
        ("nu12", nu12, E1, E2),
        ("nu13", nu13, E1, E3),
        ("nu23", nu23, E2, E3),
    ):
        limit = math.sqrt(Ei / Ej)
        if abs(nu) >= limit:
            raise ParameterError(
                f"orthotropic stiffness: |{name}| = {abs(nu):g}, expected < "
                f"sqrt(E{name[2]} / E{name[3]}) = {limit:.6g} (positive definiteness)."
            )
    nu21, nu31, nu32 = nu12 * E2 / E1, nu13 * E3 / E1, nu23 * E3 / E2
    delta = 1.0 - nu12 * nu21 - nu23 * nu32 - nu13 * nu31 - 2.0 * nu21 * nu32 * nu13
    if delta <= DEFINITE_TOLERANCE:
        raise ParameterError(
            "orthotropic stiffness: 1 - nu12 nu21 - nu23 nu32 - nu31 nu13 - 2 nu21 nu32 nu13 = "
            f"{delta:.6g}, expected > 0 (positive definiteness)."
        )
    compliance = np.diag([1.0 / E1, 1.0 / E2, 1.0 / E3, 0.5 / G12, 0.5 / G13, 0.5 / G23])
    compliance[0, 1] = compliance[1, 0] = -nu12 / E1
    compliance[0, 2] = compliance[2, 0] = -nu13 / E1
    compliance[1, 2] = compliance[2, 1] = -nu23 / E2
    stiffness = np.linalg.inv(compliance)
    return np.asarray(0.5 * (stiffness + stiffness.T))


def transversely_isotropic(
    *,
    E_axial: float,
    E_transverse: float,
    nu_axial: float,
    nu_transverse: float,
    G_axial: float,
    axis: int = 3,
) -> np.ndarray:
    r"""Transversely isotropic stiffness (6, 6) about coordinate `axis` (1, 2 or 3).

    Parameters
    ----------
    E_axial, E_transverse, G_axial : float
        Young's moduli along and across the axis, shear modulus in planes that hold the axis
        [stress unit].
    nu_axial : float
        Contraction across the axis over extension along it.
    nu_transverse : float
        Poisson's ratio in the plane; :math:`G_t = E_t / (2 (1 + \nu_t))`.

    Raises
    ------
    ParameterError
        A value is out of range, or the compliance is not positive definite.

    Examples
    --------
    >>> C = transversely_isotropic(E_axial=10.0, E_transverse=2.0, nu_axial=0.3,
    ...                            nu_transverse=0.4, G_axial=1.0)
    >>> bool(np.isclose(C[0, 0] - C[0, 1], C[3, 3]))
    True
    """
    _positive(E_axial=E_axial, E_transverse=E_transverse, G_axial=G_axial)
    _finite(nu_axial=nu_axial)
    if axis not in (1, 2, 3):
        raise ParameterError(f"axis = {axis}, expected 1, 2 or 3.")
    if not -1.0 < nu_transverse < 1.0:
        raise ParameterError(
            f"nu_transverse = {nu_transverse:g}, expected a value between -1 and 1."
        )
    along_3 = orthotropic(
        E1=E_transverse,
        E2=E_transverse,
        E3=E_axial,
        nu12=nu_transverse,
        nu13=nu_axial * E_transverse / E_axial,
        nu23=nu_axial * E_transverse / E_axial,
        G12=0.5 * E_transverse / (1.0 + nu_transverse),
        G13=G_axial,
        G23=G_axial,
    )
    # swapping coordinate 3 with the axis permutes 11 22 33 12 13 23
    order = {1: [2, 1, 0, 5, 4, 3], 2: [0, 2, 1, 4, 3, 5], 3: [0, 1, 2, 3, 4, 5]}[axis]
    return along_3[np.ix_(order, order)]


def check_stiffness(C: Any, name: str = "stiffness", *, allow_void: bool = False) -> np.ndarray:
    """The stiffness as a symmetric float array (6, 6), if it is finite and positive definite.

    Parameters
    ----------
    C : (6, 6)
        Mandel stiffness [stress unit].
    name : str
        What to call it in the message.
    allow_void : bool
        Accept the zero matrix.

    Raises
    ------
    ShapeError, ParameterError
        Not (6, 6), not finite, not symmetric (to 1e-6 of its largest entry), or not positive
        definite.

    Examples
    --------
    >>> check_stiffness(-np.eye(6), "stiffness of 'solid'")
    Traceback (most recent call last):
    ...
    matnet.errors.ParameterError: stiffness of 'solid' is not positive definite: its smallest
    eigenvalue is -1, expected > 0.
    """
    array = _as_float(C, name)
    require_shape(name, array, (6, 6))
    require_finite(name, array)
    scale = float(np.abs(array).max())
    if allow_void and scale == 0.0:
        return array
    defect = np.abs(array - array.T)
    if defect.max() > SYMMETRY_TOLERANCE * scale:
        i, j = (int(n) for n in np.unravel_index(defect.argmax(), (6, 6)))
        raise ParameterError(
            f"{name} is not symmetric: entries ({i + 1}, {j + 1}) = {array[i, j]:g} and "
            f"({j + 1}, {i + 1}) = {array[j, i]:g} differ."
        )
    array = np.asarray(0.5 * (array + array.T))
    eigenvalues = np.linalg.eigvalsh(array)
    if eigenvalues[0] <= DEFINITE_TOLERANCE * eigenvalues[-1]:
        raise ParameterError(
            f"{name} is not positive definite: its smallest eigenvalue is {eigenvalues[0]:.6g}, "
            "expected > 0."
        )
    return array


def _as_float(value: Any, name: str) -> np.ndarray:
    try:
        return np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} is not an array of numbers (6, 6).") from None


def _positive(**values: float) -> None:
    _finite(**values)
    for name, value in values.items():
        if value <= 0.0:
            raise ParameterError(f"{name} = {value:g}, expected > 0.")


def _finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ParameterError(f"{name} = {value:g}, expected a finite number.")
