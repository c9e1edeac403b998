r"""Bounds and estimates of effective stiffness, and the exact laminate.

`stiffnesses` are Mandel matrices (..., n, 6, 6) with volume fractions (n,) or (..., n) that sum
to 1; a zero matrix is a void. Leading axes are a batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from matnet.elasticity.anisotropy import isotropic_projection
from matnet.elasticity.stiffness import check_stiffness, isotropic
from matnet.errors import ParameterError, ShapeError, require_finite, require_shape
from matnet.mandel import IDENTITY, interface_matrix

__all__ = [
    "HashinShtrikman",
    "hashin_shtrikman",
    "hill",
    "laminate",
    "loewner_leq",
    "mori_tanaka",
    "reuss",
    "voigt",
]


def voigt(stiffnesses: Any, fractions: Any) -> np.ndarray:
    r"""Voigt's upper bound :math:`\langle C \rangle` (..., 6, 6).

    Examples
    --------
    >>> voigt([np.eye(6), 3 * np.eye(6)], [0.5, 0.5])[0, 0]
    2.0
    """
    C, f = _phases(stiffnesses, fractions)
    return np.asarray(np.einsum("...p,...pij->...ij", f, C))


def reuss(stiffnesses: Any, fractions: Any) -> np.ndarray:
    r"""Reuss's lower bound :math:`\langle C^{-1} \rangle^{-1}` (..., 6, 6), zero with any void.

    Examples
    --------
    >>> reuss([np.eye(6), 3 * np.eye(6)], [0.5, 0.5])[0, 0]
    1.5
    """
    C, f = _phases(stiffnesses, fractions)
    void = ~C.any(axis=(-2, -1))
    porous = (void & (f > 0.0)).any(axis=-1)
    safe = np.where(void[..., None, None], np.eye(6), C)
    compliance = np.einsum("...p,...pij->...ij", np.where(void, 0.0, f), _inverse(safe))
    compliance = np.where(porous[..., None, None], np.eye(6), compliance)
    return np.asarray(np.where(porous[..., None, None], 0.0, _inverse(compliance)))


def hill(stiffnesses: Any, fractions: Any) -> np.ndarray:
    """Hill's average (..., 6, 6): the mean of `voigt` and `reuss`."""
    return np.asarray(0.5 * (voigt(stiffnesses, fractions) + reuss(stiffnesses, fractions)))


class HashinShtrikman(NamedTuple):
    """Bounds on the bulk and shear modulus of an isotropic mixture [stress unit]."""

    K_lower: float
    K_upper: float
    G_lower: float
    G_upper: float

    def contains(self, K: float, G: float, tol: float = 1e-9) -> bool:
        """Whether K and G lie within the bounds, up to `tol` relative to the upper ones."""
        K_ok = self.K_lower - tol * self.K_upper <= K <= self.K_upper * (1.0 + tol)
        return bool(K_ok and self.G_lower - tol * self.G_upper <= G <= self.G_upper * (1.0 + tol))


def hashin_shtrikman(K: Any, G: Any, fractions: Any) -> HashinShtrikman:
    r"""Hashin-Shtrikman bounds for n isotropic phases in Walpole's form (not well ordered too).

    .. math:: K^\pm = \Bigl[\sum_i \frac{f_i}{K_i + \frac43 G_0}\Bigr]^{-1} - \tfrac43 G_0, \quad
              G^\pm = \Bigl[\sum_i \frac{f_i}{G_i + H_0}\Bigr]^{-1} - H_0, \quad
              H_0 = \frac{G_0}{6} \frac{9 K_0 + 8 G_0}{K_0 + 2 G_0}

    with :math:`K_0, G_0` the largest (upper bound) or smallest (lower bound) moduli present.
    They hold for statistically isotropic mixtures only.

    Parameters
    ----------
    K, G : (n,)
        Bulk and shear moduli [stress unit], >= 0; zeros for a void.
    fractions : (n,)
        Volume fractions, sum 1.

    References
    ----------
    Walpole, J. Mech. Phys. Solids 14, 1966, 151-162; Milton, *The Theory of Composites*, 2002,
    ch. 23.

    Examples
    --------
    >>> hs = hashin_shtrikman(K=[0.0, 1.0], G=[0.0, 1.0], fractions=[0.5, 0.5])
    >>> hs.K_lower, round(hs.K_upper, 6)
    (0.0, 0.363636)
    """
    k, g = np.asarray(K, dtype=float), np.asarray(G, dtype=float)
    f = _fractions(fractions, k.shape[-1] if k.ndim else 0)
    require_shape("K", k, f.shape)
    require_shape("G", g, f.shape)
    require_finite("K", k)
    require_finite("G", g)
    if k.min() < 0.0 or g.min() < 0.0:
        raise ParameterError("hashin_shtrikman: a modulus is negative, expected K >= 0 and G >= 0.")
    k, g, f = k[f > 0.0], g[f > 0.0], f[f > 0.0]
    lower = _walpole(k, g, f, float(k.min()), float(g.min()))
    upper = _walpole(k, g, f, float(k.max()), float(g.max()))
    return HashinShtrikman(lower[0], upper[0], lower[1], upper[1])


def mori_tanaka(
    matrix: Any, inclusion: Any, fraction: float, *, shape: str = "sphere"
) -> np.ndarray:
    r"""Mori-Tanaka estimate (6, 6) for aligned equal inclusions in an isotropic matrix.

    .. math:: C = C_m + f (C_i - C_m) A \,[(1 - f) I + f A]^{-1}, \quad
              A = [I + S\, C_m^{-1} (C_i - C_m)]^{-1}

    Parameters
    ----------
    matrix : (6, 6)
        Isotropic stiffness of the matrix [stress unit].
    inclusion : (6, 6)
        Stiffness of the inclusions [stress unit], any anisotropy, zeros for pores.
    fraction : float
        Volume fraction of the inclusions, 0 to 1.
    shape : {"sphere", "cylinder"}
        Spheres, or long circular fibres along axis 3.

    Raises
    ------
    ParameterError
        The matrix is not isotropic, or an argument is out of range.

    References
    ----------
    Benveniste, Mech. Mater. 6, 1987, 147-157; Eshelby's S: Mura, *Micromechanics of Defects in
    Solids*, 2nd ed., 1987, eq. 11.21 (sphere) and 11.22 (cylinder).
    """
    Cm = check_stiffness(matrix, "matrix")
    Ci = check_stiffness(inclusion, "inclusion", allow_void=True)
    if not 0.0 <= fraction <= 1.0:
        raise ParameterError(f"fraction = {fraction:g}, expected a value from 0 to 1.")
    K, G = isotropic_projection(Cm)
    if np.abs(isotropic(K=K, G=G) - Cm).max() > 1e-6 * np.abs(Cm).max():
        raise ParameterError("mori_tanaka: the matrix is not isotropic, Eshelby's tensor needs it.")
    if fraction == 1.0:
        return Ci
    S = _eshelby(K, G, shape)
    difference = Ci - Cm
    dilute = np.linalg.inv(np.eye(6) + S @ np.linalg.solve(Cm, difference))
    mean = (1.0 - fraction) * np.eye(6) + fraction * dilute
    effective = Cm + fraction * difference @ dilute @ np.linalg.inv(mean)
    return np.asarray(0.5 * (effective + effective.T))


def laminate(stiffnesses: Any, fractions: Any, normal: Any) -> np.ndarray:
    r"""Exact effective stiffness (6, 6) of parallel layers, any anisotropy, any number.

    Strain is uniform in each layer, :math:`\varepsilon_i = \varepsilon + H b_i` with
    :math:`\langle b \rangle = 0`, and the traction :math:`H^T \sigma_i` is the same in all. With
    :math:`A_i = H^T C_i H` this gives

    .. math:: C = \langle C - C H A^{-1} H^T C \rangle
              + \langle C H A^{-1} \rangle \langle A^{-1} \rangle^{-1}
              \langle A^{-1} H^T C \rangle ,

    where the last term is zero if a layer is void (free surfaces).

    Parameters
    ----------
    stiffnesses : (n, 6, 6)
        Stiffness of each layer [stress unit], zeros for void.
    fractions : (n,)
        Volume fractions, sum 1.
    normal : (3,)
        Normal of the layers, any length.

    References
    ----------
    Milton, *The Theory of Composites*, 2002, ch. 9 (Backus' formula in projected form).

    Examples
    --------
    >>> from matnet.elasticity import isotropic
    >>> C = laminate([isotropic(E=1.0, nu=0.0), isotropic(E=3.0, nu=0.0)], [0.5, 0.5], [0, 0, 1])
    >>> C[0, 0].round(12), C[2, 2].round(12)  # in parallel, in series
    (2.0, 1.5)
    """
    C, f = _phases(stiffnesses, fractions)
    n = np.asarray(normal, dtype=float)
    require_shape("stiffnesses", C, (None, 6, 6))
    require_shape("normal", n, (3,))
    length = float(np.linalg.norm(n))
    if not 0.0 < length < np.inf:
        raise ParameterError(f"normal = {n}, expected a vector that is finite and not zero.")
    H = interface_matrix(n / length)
    present = f > 0.0
    solid = present & C.any(axis=(1, 2))
    C_solid, f_solid = C[solid], f[solid]
    HC = H.T @ C_solid
    A_inverse = _inverse(HC @ H)
    relaxed = A_inverse @ HC
    effective = np.einsum("p,pij->ij", f_solid, C_solid - np.swapaxes(HC, 1, 2) @ relaxed)
    if solid.any() and (present == solid).all():
        mean = np.einsum("p,pij->ij", f_solid, relaxed)
        effective = effective + mean.T @ np.linalg.solve(
            np.einsum("p,pij->ij", f_solid, A_inverse), mean
        )
    return np.asarray(0.5 * (effective + effective.T))


def loewner_leq(A: Any, B: Any, tol: float = 1e-9) -> bool:
    r"""Whether :math:`A \preceq B`: the smallest eigenvalue of B - A is at least -tol * norm(B).

    Examples
    --------
    >>> loewner_leq(np.eye(6), 2 * np.eye(6)), loewner_leq(2 * np.eye(6), np.eye(6))
    (True, False)
    """
    a, b = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    gap = 0.5 * ((b - a) + (b - a).T)
    return bool(np.linalg.eigvalsh(gap)[0] >= -tol * np.linalg.norm(b, 2))


def _walpole(
    k: np.ndarray, g: np.ndarray, f: np.ndarray, k0: float, g0: float
) -> tuple[float, float]:
    if g0 == 0.0:  # the comparison medium carries no shear
        return (0.0 if k.min() == 0.0 else 1.0 / float((f / k).sum())), 0.0
    h0 = g0 / 6.0 * (9.0 * k0 + 8.0 * g0) / (k0 + 2.0 * g0)
    bulk = 1.0 / float((f / (k + 4.0 / 3.0 * g0)).sum()) - 4.0 / 3.0 * g0
    shear = 1.0 / float((f / (g + h0)).sum()) - h0
    return max(bulk, 0.0), max(shear, 0.0)


def _eshelby(K: float, G: float, shape: str) -> np.ndarray:
    if shape == "sphere":
        volumetric = np.outer(IDENTITY, IDENTITY) / 3.0
        alpha = 3.0 * K / (3.0 * K + 4.0 * G)
        beta = 6.0 * (K + 2.0 * G) / (5.0 * (3.0 * K + 4.0 * G))
        return np.asarray(alpha * volumetric + beta * (np.eye(6) - volumetric))
    if shape != "cylinder":
        raise ParameterError(f"shape '{shape}' is unknown, expected 'sphere' or 'cylinder'.")
    nu = (3.0 * K - 2.0 * G) / (2.0 * (3.0 * K + G))
    scale = 1.0 / (8.0 * (1.0 - nu))
    S = np.zeros((6, 6))
    S[0, 0] = S[1, 1] = (5.0 - 4.0 * nu) * scale
    S[0, 1] = S[1, 0] = (4.0 * nu - 1.0) * scale
    S[0, 2] = S[1, 2] = 4.0 * nu * scale
    S[3, 3] = 2.0 * (3.0 - 4.0 * nu) * scale  # Mandel: 2 S1212
    S[4, 4] = S[5, 5] = 0.5
    return S


def _phases(stiffnesses: Any, fractions: Any) -> tuple[np.ndarray, np.ndarray]:
    C = np.asarray(stiffnesses, dtype=float)
    if C.ndim < 3 or C.shape[-2:] != (6, 6):
        raise ShapeError(f"stiffnesses has shape {C.shape}, expected (..., n_phases, 6, 6).")
    return C, _fractions(fractions, C.shape[-3])


def _fractions(fractions: Any, n_phases: int) -> np.ndarray:
    f = np.asarray(fractions, dtype=float)
    if f.ndim == 0 or f.shape[-1] != n_phases or n_phases == 0:
        raise ShapeError(f"fractions has shape {f.shape}, expected (..., {n_phases}).")
    require_finite("fractions", f)
    if f.min() < 0.0 or np.abs(f.sum(axis=-1) - 1.0).max() > 1e-6:
        raise ParameterError(f"fractions = {f}, expected values >= 0 that sum to 1.")
    return f


def _inverse(matrices: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(np.linalg.inv(matrices))
    except np.linalg.LinAlgError:
        raise ParameterError(
            "a stiffness is singular but not zero, expected positive definite (or zero for void)."
        ) from None
