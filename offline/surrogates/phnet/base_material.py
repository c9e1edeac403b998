r"""C^H of an orthotropic cell after a change of its base material, without another solve.

PH-Net, eq. 11, after the theorem of Cherkaev, Lurie and Milton (1992): with the compliance S, the
moduli E_b and Poisson's ratios nu_b of the isotropic base material,

.. math:: \bar S = \frac{E_b}{\bar E_b} S + \frac{\nu_b - \bar\nu_b}{\bar E_b} W

where W has 1 at the entries 12, 13, 23 of the normal strains and -1 at 44, 55, 66 (Mandel). This
is eq. 11 with the last line's term over :math:`\bar E_b`, which the paper leaves out (there it is
1). It is exact for porous plates in plane stress and for the base material itself; for cells in
three dimensions it is an approximation, whose error grows with the change of nu.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_finite, require_shape

__all__ = ["change_base_material"]

SHIFT = np.zeros((6, 6))
SHIFT[:3, :3] = 1.0 - np.eye(3)
SHIFT[range(3, 6), range(3, 6)] = -1.0
SHIFT.setflags(write=False)
COUPLING = 1e-2  # of the largest entry, up to which a cell counts as orthotropic


def change_base_material(
    stiffness: Any, old: tuple[float, float], new: tuple[float, float]
) -> np.ndarray:
    """C^H (6, 6) with another isotropic base material.

    Parameters
    ----------
    stiffness : (6, 6)
        C^H in Mandel form, orthotropic along the axes [stress unit].
    old, new : (E, nu)
        Young's modulus [stress unit] and Poisson's ratio of the base material.

    Raises
    ------
    ShapeError, ParameterError
        Not a positive definite orthotropic matrix, or no isotropic material.

    Examples
    --------
    >>> from matnet.elasticity import isotropic
    >>> solid = change_base_material(isotropic(E=1.0, nu=0.3), (1.0, 0.3), (70.0, 0.25))
    >>> np.allclose(solid, isotropic(E=70.0, nu=0.25))
    True
    """
    c = np.array(stiffness, dtype=float)
    require_shape("stiffness", c, (6, 6))
    require_finite("stiffness", c)
    for name, (E, nu) in (("old", old), ("new", new)):
        if not (E > 0.0 and -1.0 < nu < 0.5):
            raise ParameterError(
                f"{name} base material has E = {E:g}, nu = {nu:g}, expected E > 0, -1 < nu < 0.5."
            )
    coupling = np.abs(c * (np.abs(SHIFT) + np.eye(6) == 0.0)).max()
    if coupling > COUPLING * np.abs(c).max():
        raise ParameterError(
            f"stiffness couples normal and shear strains by {coupling / np.abs(c).max():.2g} of "
            "its largest entry, expected an orthotropic cell along its axes."
        )
    if np.linalg.eigvalsh(c)[0] <= 0.0:
        raise ParameterError("stiffness is not positive definite.")
    compliance = np.linalg.inv(c)
    changed = (old[0] * compliance + (old[1] - new[1]) * SHIFT) / new[0]
    return np.asarray(np.linalg.inv(changed))
