"""Do the classical bounds hold for an effective stiffness?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.elasticity import (
    HashinShtrikman,
    hashin_shtrikman,
    isotropic,
    isotropic_projection,
    loewner_leq,
)
from matnet.mandel import rotate_stiffness
from offline.rve.rve import Rve

__all__ = ["Bounds", "cell_bounds"]

ISOTROPIC = 1e-8  # relative distance from isotropy up to which a phase counts as isotropic


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """What volume fractions alone say about the effective stiffness of a cell.

    Attributes
    ----------
    voigt, reuss : (6, 6)
        Upper and lower bound in the sense of quadratic forms [stress unit]; Reuss's is zero with
        void.
    hashin_shtrikman : HashinShtrikman or None
        Bounds on bulk and shear modulus, for statistically isotropic mixtures; None if a phase is
        anisotropic or densities vary.
    """

    voigt: np.ndarray
    reuss: np.ndarray
    hashin_shtrikman: HashinShtrikman | None

    def hold(self, stiffness: Any, tol: float = 1e-6) -> dict[str, bool | None]:
        """Which bounds hold for `stiffness` (6, 6), up to `tol`; None where there is no bound.

        Hashin-Shtrikman is compared with the isotropic part of the stiffness.
        """
        c = np.asarray(stiffness, dtype=float)
        hs = self.hashin_shtrikman
        inside = None if hs is None else hs.contains(*isotropic_projection(c), tol=tol)
        return {
            "voigt": loewner_leq(c, self.voigt, tol),
            "reuss": loewner_leq(self.reuss, c, tol),
            "hashin_shtrikman": inside,
        }


def cell_bounds(rve: Rve, stiffnesses: Any) -> Bounds:
    """Bounds from the phases (n_phases, 6, 6) of a cell; densities and orientations are included.

    Examples
    --------
    >>> rve = Rve(phases=np.array([0, 1]).reshape(2, 1, 1))
    >>> bounds = cell_bounds(rve, [np.eye(6), 3.0 * np.eye(6)])
    >>> bounds.voigt[0, 0], round(bounds.reuss[0, 0], 12)
    (2.0, 1.5)
    """
    c = np.asarray(stiffnesses, dtype=float)
    if rve.orientations is not None:
        c = rotate_stiffness(c, rve.orientations)
    phase = rve.phases.ravel()
    density = np.ones(phase.size) if rve.density is None else rve.density.ravel()
    n = rve.n_phases
    stiff = np.bincount(phase, weights=density, minlength=n) / phase.size
    voigt = np.einsum("p,pij->ij", stiff, c)
    present = rve.fractions > 0.0
    reuss = np.zeros((6, 6))
    if density.min() > 0.0 and c[present].any(axis=(1, 2)).all():
        soft = np.bincount(phase, weights=1.0 / density, minlength=n) / phase.size
        compliance = np.linalg.inv(c[present])
        reuss = np.linalg.inv(np.einsum("p,pij->ij", soft[present], compliance))
    return Bounds(
        voigt=voigt,
        reuss=reuss,
        hashin_shtrikman=_hashin_shtrikman(c[present], rve.fractions[present], rve.density),
    )


def _hashin_shtrikman(
    c: np.ndarray, fractions: np.ndarray, density: np.ndarray | None
) -> HashinShtrikman | None:
    if density is not None and density.min() < 1.0:
        return None
    moduli = np.array([isotropic_projection(one) for one in c])
    for one, (bulk, shear) in zip(c, moduli, strict=True):
        if one.any():
            distance = np.linalg.norm(one - isotropic(K=bulk, G=shear)) / np.linalg.norm(one)
            if distance > ISOTROPIC:
                return None
    return hashin_shtrikman(moduli[:, 0], moduli[:, 1], fractions)
