r"""Triply periodic minimal surfaces in their level-set approximations.

With :math:`X = 2\pi x - \pi` and so on, x in [0, 1] the fraction of the unit cell:

===============  =====================================================================
schwarz-p        cos X + cos Y + cos Z
gyroid           sin X cos Y + sin Z cos X + sin Y cos Z
schwarz-d        cos X cos Y cos Z - sin X sin Y sin Z
iwp              2 (cos X cos Y + cos Y cos Z + cos Z cos X) - (cos 2X + cos 2Y + cos 2Z)
frd              4 cos X cos Y cos Z - (cos 2X cos 2Y + cos 2X cos 2Z + cos 2Y cos 2Z)
tubular-gyroid   10 (sin X cos Y + sin Z cos X + sin Y cos Z)
                 - 1/2 (cos 2X cos 2Y + cos 2Y cos 2Z + cos 2Z cos 2X) - 14
tubular-p        10 (cos X + cos Y + cos Z)
                 - 5.1 (cos X cos Y + cos Y cos Z + cos Z cos X) - 14.6
===============  =====================================================================

The first five are the table of L. Zhu et al., "Learning the 3D microstructure-property mapping
without labels", 2024; the tubular ones (networks of round tubes around the labyrinth's axes) follow
Lord & Mackay, "Periodic minimal surfaces of cubic symmetry", Current Science 85, 2003.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from matnet.errors import ParameterError
from offline.rve.generators.cells import (
    CELLULAR,
    Numbers,
    Triple,
    cell_vectors,
    exactly_one,
    period_counts,
    recorded,
    solid_below,
    voxel_centres,
)
from offline.rve.generators.voxelgrid import grid_shape, require_in_range
from offline.rve.rve import Rve

__all__ = ["SURFACES", "surface_field", "tpms"]

Kind = Literal["network", "sheet"]
Side = Literal["below", "above"]


def _schwarz_p(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(np.cos(x) + np.cos(y) + np.cos(z))


def _gyroid(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(x) * np.cos(y) + np.sin(z) * np.cos(x) + np.sin(y) * np.cos(z))


def _schwarz_d(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(np.cos(x) * np.cos(y) * np.cos(z) - np.sin(x) * np.sin(y) * np.sin(z))


def _pairs(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(np.cos(x) * np.cos(y) + np.cos(y) * np.cos(z) + np.cos(z) * np.cos(x))


def _iwp(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(2.0 * _pairs(x, y, z) - _schwarz_p(2 * x, 2 * y, 2 * z))


def _frd(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(4.0 * np.cos(x) * np.cos(y) * np.cos(z) - _pairs(2 * x, 2 * y, 2 * z))


def _tubular_gyroid(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(10.0 * _gyroid(x, y, z) - 0.5 * _pairs(2 * x, 2 * y, 2 * z) - 14.0)


def _tubular_p(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(10.0 * _schwarz_p(x, y, z) - 5.1 * _pairs(x, y, z) - 14.6)


SURFACES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "schwarz-p": _schwarz_p,
    "gyroid": _gyroid,
    "schwarz-d": _schwarz_d,
    "iwp": _iwp,
    "frd": _frd,
    "tubular-gyroid": _tubular_gyroid,
    "tubular-p": _tubular_p,
}
SHORT_NAMES = {
    "p": "schwarz-p",
    "g": "gyroid",
    "d": "schwarz-d",
    "i-wp": "iwp",
    "f-rd": "frd",
    "tg": "tubular-gyroid",
}


def surface_field(surface: str, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Value of the surface's function at fractional coordinates (arrays that broadcast).

    Raises
    ------
    ParameterError
        The surface is unknown.

    Examples
    --------
    >>> float(surface_field("schwarz-p", np.array(0.5), np.array(0.5), np.array(0.5)))
    3.0
    """
    name = surface.lower()
    name = SHORT_NAMES.get(name, name)
    if name not in SURFACES:
        known = ", ".join(SURFACES)
        raise ParameterError(f"surface '{surface}' is unknown, expected one of {known}.")
    return SURFACES[name](*(2.0 * np.pi * f - np.pi for f in (x, y, z)))


@recorded
def tpms(
    *,
    surface: str = "gyroid",
    n: Triple = 48,
    kind: Kind = "network",
    volume_fraction: float | None = None,
    level: float | None = None,
    offset: float | None = None,
    side: Side = "below",
    periods: Triple = 1,
    cell: Numbers | None = None,
) -> Rve:
    """Triply periodic minimal surface, one labyrinth solid or a sheet.

    A network is solid where ``f <= level`` (side "above": ``f >= level``). A sheet, also called
    the two-sided or tubular variant, is the shell ``|f - level| <= offset`` between two offset
    surfaces. With a volume fraction the level (network) or offset (sheet) follows from sorting
    the field, see `cells.solid_below`.

    Parameters
    ----------
    surface : str
        schwarz-p, gyroid, schwarz-d, iwp, frd (short P, G, D, I-WP, F-RD), tubular-gyroid or
        tubular-p (the tubes are their "above" side).
    n : int or three ints
        Voxels per axis.
    kind : {"network", "sheet"}
        One labyrinth filled, or a shell around the surface.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    level : float, optional
        Level of the surface. Default for sheets: 0.
    offset : float, optional
        Half the range of field values inside a sheet, > 0.
    side : {"below", "above"}
        Which side of the level is solid in a network.
    periods : int or three ints
        Unit cells per axis.
    cell : 3, 6 or 9 numbers, optional
        Edge lengths, lengths and angles [degrees], or lattice vectors; cubic voxels by default.

    Returns
    -------
    Rve
        Phases ("void", "solid").

    Raises
    ------
    ParameterError
        The surface is unknown, or the options do not fix the structure.

    Examples
    --------
    >>> print(tpms(surface="schwarz-p", n=16, level=0.0))
    Rve 16 x 16 x 16: void 50.00 %, solid 50.00 %
    """
    shape = grid_shape(n)
    field = surface_field(surface, *voxel_centres(shape, period_counts(periods)))
    if kind == "sheet":
        solid = _sheet(field, volume_fraction, level, offset)
    elif kind == "network":
        solid = _network(field, volume_fraction, level, offset, side)
    else:
        raise ParameterError(f"kind is '{kind}', expected network or sheet.")
    return Rve(phases=solid, cell=cell_vectors(cell, shape), phase_names=CELLULAR)


def _network(
    field: np.ndarray,
    volume_fraction: float | None,
    level: float | None,
    offset: float | None,
    side: Side,
) -> np.ndarray:
    if offset is not None:
        raise ParameterError("offset belongs to kind 'sheet'. Give level for a network.")
    if side not in ("below", "above"):
        raise ParameterError(f"side is '{side}', expected below or above.")
    exactly_one(volume_fraction=volume_fraction, level=level)
    if level is not None:
        require_in_range("level", level, -np.inf, np.inf)
    sign = 1.0 if side == "below" else -1.0
    return solid_below(sign * field, level if level is None else sign * level, volume_fraction)


def _sheet(
    field: np.ndarray, volume_fraction: float | None, level: float | None, offset: float | None
) -> np.ndarray:
    middle = 0.0 if level is None else level
    require_in_range("level", middle, -np.inf, np.inf)
    exactly_one(volume_fraction=volume_fraction, offset=offset)
    if offset is not None:
        require_in_range("offset", offset, 0.0, np.inf)
    return solid_below(np.abs(field - middle), offset, volume_fraction)
