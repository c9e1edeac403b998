r"""What the best laminate reaches: the known optimum of shear-normal coupling, in closed form.

A rank-one laminate at 45 degrees, soft between stiff layers, carries load along its layers only:
:math:`C \approx E\, N \otimes N` with :math:`N = (1, 1, \sqrt 2) / 2`, whose coupling (eq. 44 of
the Voigt-Reuss net paper) is :math:`1 / \sqrt 2`. No positive semidefinite C exceeds that: the
coupling is :math:`C : B` with B of eigenvalues :math:`\pm 1 / \sqrt 2, 0`, for unit norm of C.
Phases of finite contrast stay below; `best_coupling` is what they reach.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from matnet.elasticity import laminate
from offline.surrogates.voigt_reuss.plane_strain import plane_strain_stiffness

__all__ = ["ABSOLUTE", "best_coupling", "coupling", "laminate_45"]

ABSOLUTE = 1.0 / math.sqrt(2.0)


def laminate_45(phases: Any, c0: float) -> np.ndarray:
    """Plane-strain stiffness (3, 3) of two phases (2, 6, 6) in layers along (1, -1).

    Exact (`matnet.elasticity.laminate`); `c0` is the volume fraction of phase 0.
    """
    normal = np.array([1.0, 1.0, 0.0]) / math.sqrt(2.0)
    return plane_strain_stiffness(laminate(np.asarray(phases), [c0, 1.0 - c0], normal))


def coupling(stiffness: Any) -> float:
    """Shear-normal coupling of one plane stiffness (3, 3), eq. 44."""
    c = np.asarray(stiffness, dtype=float)
    return float((abs(c[0, 2]) + abs(c[1, 2])) / np.linalg.norm(c))


def best_coupling(phases: Any) -> tuple[float, float]:
    """Largest coupling of such a laminate, and its c0.

    Parameters
    ----------
    phases : (2, 6, 6)
        Mandel [stress unit].

    Examples
    --------
    >>> from matnet.elasticity import isotropic
    >>> limit, c0 = best_coupling([isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)])
    >>> round(limit, 4), round(c0, 2)
    (0.6626, 0.5)
    """
    found = minimize_scalar(
        lambda c0: -coupling(laminate_45(phases, float(c0))),
        bounds=(1e-4, 1.0 - 1e-4),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return -float(found.fun), float(found.x)
