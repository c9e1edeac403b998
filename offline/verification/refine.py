"""The same cell on a finer mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matnet.errors import ParameterError
from offline.rve import Rve

__all__ = ["refined"]


def refined(rve: Rve, factor: int) -> Rve:
    """The cell with each voxel cut into `factor` along every axis: the same shapes, finer mesh.

    Axes of a single voxel stay, as nothing varies along them.

    Examples
    --------
    >>> cell = Rve(phases=np.array([0, 1, 1]).reshape(3, 1, 1))
    >>> refined(cell, 2).phases.ravel()
    array([0, 0, 1, 1, 1, 1], dtype=uint8)
    """
    if factor < 1:
        raise ParameterError(f"refine = {factor}, expected a whole number >= 1.")
    phases, density = rve.phases, rve.density
    for axis, n in enumerate(rve.shape):
        if n > 1 and factor > 1:
            phases = np.repeat(phases, factor, axis=axis)
            density = None if density is None else np.repeat(density, factor, axis=axis)
    return replace(rve, phases=phases, density=density)
