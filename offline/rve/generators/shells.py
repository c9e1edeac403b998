"""Shell lattices: smooth skins around trusses, plates along lattice planes, closed-cell foams.

All are given by a mid-surface and a thickness; a voxel is solid if its centre is within half the
thickness of the mid-surface. Each of the shipped truss topologies gives a skin (the idea of the
parametric shell lattices of P. Liu et al., Additive Manufacturing 60, 2022, 103258: surfaces
spanned over a truss; here the surface is a blended tube instead of an optimised mesh), seven sets
of lattice planes give plates, and every set of seeds a foam.
"""

from __future__ import annotations

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
from offline.rve.generators.distance import blended_distance, wall_distances
from offline.rve.generators.lattice import TAPER, joint_distance
from offline.rve.generators.topology import find_topology
from offline.rve.generators.voxelgrid import (
    fill_to_fraction,
    grid_shape,
    require_count,
    require_fraction,
    require_in_range,
)
from offline.rve.rve import Rve

__all__ = ["FOAMS", "PLATES", "foam", "plate", "shell", "skin_distance"]

# Miller indices of the plane families (cubic symmetry) in each plate lattice, with the convention
# of Tancogne-Dejean et al., Advanced Materials 30, 2018, 1803334
_SC = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_BCC = ((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))
_FCC = ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1))
PLATES = {
    "sc": _SC,
    "bcc": _BCC,
    "fcc": _FCC,
    "sc-bcc": _SC + _BCC,
    "sc-fcc": _SC + _FCC,
    "bcc-fcc": _BCC + _FCC,
    "sc-bcc-fcc": _SC + _BCC + _FCC,
}

_FACE_CENTRED = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
_DIAMOND = tuple(tuple(x + 0.25 for x in site) for site in _FACE_CENTRED)
# seeds of the cells, fractions of the unit cell
FOAMS: dict[str, tuple[tuple[float, ...], ...]] = {
    "cube": ((0.5, 0.5, 0.5),),
    "kelvin": ((0, 0, 0), (0.5, 0.5, 0.5)),
    "rhombic-dodecahedron": _FACE_CENTRED,
    "diamond": _FACE_CENTRED + _DIAMOND,
    "weaire-phelan": (
        (0, 0, 0),
        (0.5, 0.5, 0.5),
        *((0.25, 0, 0.5), (0.75, 0, 0.5), (0.5, 0.25, 0), (0.5, 0.75, 0)),
        *((0, 0.5, 0.25), (0, 0.5, 0.75)),
    ),
}
RANDOM = "random"
FLATTEST = 0.25  # gradient of the smooth minimum that counts at least


@recorded
def shell(
    *,
    topology: str = "simple-cubic",
    n: Triple = 48,
    volume_fraction: float | None = None,
    thickness: float | None = None,
    enclosed: float | None = None,
    tube_radius: float | None = None,
    blend: float = 0.05,
    periods: Triple = 1,
    cell: Numbers | None = None,
) -> Rve:
    r"""Smooth skin around a truss, hollow tubes that flow into each other.

    The mid-surface is the level R of the smooth minimum F of the distances to the struts
    (`distance.blended_distance`); a voxel is solid where

    .. math:: |F - R| \le t/2 \; |\nabla F|

    that is within half the thickness t to first order (Taubin, ACM TOG 13, 1994). Where the struts
    balance, the gradient counts as 1/4 at least.

    Parameters
    ----------
    topology : str
        Name of a shipped truss topology, or path of a .json file.
    n : int or three ints
        Voxels per axis.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    thickness : float, optional
        Thickness of the skin [length unit of the cell, whose longest edge is 1 by default], > 0.
    enclosed : float, optional
        Fraction of the cell inside the mid-surface, in (0, 1). Default 0.5.
    tube_radius : float, optional
        Instead of that, the distance R of the mid-surface from a strut's axis [length], > 0.
    blend : float
        Length over which tubes flow into each other [length], >= 0; 0 gives sharp creases.
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
        The topology is unknown, or a length is out of range.

    Examples
    --------
    >>> print(shell(topology="bcc", n=24, volume_fraction=0.2))
    Rve 24 x 24 x 24: void 79.86 %, solid 20.14 %
    """
    _check_amount(thickness, volume_fraction)
    require_in_range("blend", blend, 0.0, np.inf)
    net = find_topology(topology)
    shape, counts = grid_shape(n), period_counts(periods)
    vectors = cell_vectors(cell, shape)
    lattice = vectors / np.array(counts)[:, None]
    field, slope = blended_distance(
        net.segments(), net.segment_radii(), blend, lattice, shape, counts
    )
    distance = skin_distance(field, slope, enclosed, tube_radius)
    if volume_fraction is not None:
        distance += TAPER * joint_distance(net, lattice, shape, counts)
    return _shell_rve(distance, thickness, volume_fraction, vectors)


@recorded
def plate(
    *,
    topology: str = "sc",
    n: Triple = 48,
    volume_fraction: float | None = None,
    thickness: float | None = None,
    periods: Triple = 1,
    cell: Numbers | None = None,
) -> Rve:
    """Plate lattice: closed cells between families of lattice planes.

    Parameters
    ----------
    topology : str
        sc ({100} planes), bcc ({110}), fcc ({111}), or the unions sc-bcc, sc-fcc, bcc-fcc and
        sc-bcc-fcc.
    n : int or three ints
        Voxels per axis.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    thickness : float, optional
        Thickness of the plates [length unit of the cell, whose longest edge is 1 by default], > 0.
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
        The topology is unknown, or not exactly one of thickness and volume fraction is given.

    Examples
    --------
    >>> print(plate(topology="sc", n=20, thickness=0.1))
    Rve 20 x 20 x 20: void 72.90 %, solid 27.10 %
    """
    _check_amount(thickness, volume_fraction)
    if topology not in PLATES:
        raise ParameterError(
            f"topology '{topology}' is unknown, expected one of {', '.join(PLATES)}."
        )
    shape, counts = grid_shape(n), period_counts(periods)
    vectors = cell_vectors(cell, shape)
    reciprocal = np.linalg.inv(vectors / np.array(counts)[:, None]).T
    x = voxel_centres(shape, counts)
    distances = []
    for miller in PLATES[topology]:
        phase = sum(h * f for h, f in zip(miller, x, strict=True))
        spacing = 1.0 / np.linalg.norm(np.array(miller) @ reciprocal)
        distances.append(np.broadcast_to(np.abs(phase - np.round(phase)) * spacing, shape))
    nearest, second = np.partition(np.array(distances), 1, axis=0)[:2]
    # among voxels equally far from a plate, those nearest to other plates come first
    corner = second + 0.618 * np.mean(distances, axis=0)
    field = nearest + TAPER * corner if volume_fraction is not None else nearest
    return _shell_rve(field, thickness, volume_fraction, vectors)


@recorded
def foam(
    *,
    topology: str = "kelvin",
    n: Triple = 48,
    volume_fraction: float | None = None,
    thickness: float | None = None,
    seeds: int = 20,
    seed: int = 0,
    periods: Triple = 1,
    cell: Numbers | None = None,
) -> Rve:
    """Closed-cell foam: the walls of a periodic Voronoi tessellation.

    Parameters
    ----------
    topology : str
        cube, kelvin, rhombic-dodecahedron, diamond, weaire-phelan (flat walls), or random.
    n : int or three ints
        Voxels per axis.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    thickness : float, optional
        Thickness of the walls [length unit of the cell, whose longest edge is 1 by default], > 0.
    seeds : int
        Cells of the random foam, 2 to 1000.
    seed : int
        Seed of the random numbers (random foam).
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
        The topology is unknown, or not exactly one of thickness and volume fraction is given.

    Examples
    --------
    >>> print(foam(topology="kelvin", n=24, volume_fraction=0.2))
    Rve 24 x 24 x 24: void 80.21 %, solid 19.79 %
    """
    _check_amount(thickness, volume_fraction)
    sites = _seed_points(topology, seeds, seed)
    shape, counts = grid_shape(n), period_counts(periods)
    vectors = cell_vectors(cell, shape)
    nearest, corner = wall_distances(sites, vectors / np.array(counts)[:, None], shape, counts)
    field = nearest + TAPER * corner if volume_fraction is not None else nearest
    return _shell_rve(field, thickness, volume_fraction, vectors)


def skin_distance(
    field: np.ndarray,
    slope: np.ndarray,
    enclosed: float | None = None,
    tube_radius: float | None = None,
) -> np.ndarray:
    """Distance of every voxel to the mid-surface of a skin, to first order [length].

    Parameters
    ----------
    field, slope : (n1, n2, n3)
        The smooth minimum F and the length of its gradient, from `distance.blended_distance`.
    enclosed, tube_radius : float, optional
        As for `shell`.
    """
    middle = _mid_level(field, enclosed, tube_radius)
    return np.asarray(np.abs(field - middle) / np.maximum(slope, FLATTEST))


def _mid_level(field: np.ndarray, enclosed: float | None, tube_radius: float | None) -> float:
    if tube_radius is None:
        enclosed = 0.5 if enclosed is None else enclosed
        require_fraction("enclosed", enclosed)
        return fill_to_fraction(field, enclosed)[1]
    exactly_one(enclosed=enclosed, tube_radius=tube_radius)
    require_in_range("tube_radius", tube_radius, 0.0, np.inf)
    if not field.min() < tube_radius < field.max():
        raise ParameterError(
            f"tube_radius {tube_radius:g} leaves no skin: between {max(field.min(), 0.0):.3g} and "
            f"{field.max():.3g} the tubes neither vanish nor fill the cell."
        )
    return tube_radius


def _check_amount(thickness: float | None, volume_fraction: float | None) -> None:
    exactly_one(thickness=thickness, volume_fraction=volume_fraction)
    if thickness is not None:
        require_in_range("thickness", thickness, 0.0, np.inf)


def _shell_rve(
    distance: np.ndarray,
    thickness: float | None,
    volume_fraction: float | None,
    vectors: np.ndarray,
) -> Rve:
    level = None if thickness is None else 0.5 * thickness
    solid = solid_below(distance, level, volume_fraction)
    return Rve(phases=solid, cell=vectors, phase_names=CELLULAR)


def _seed_points(topology: str, seeds: int, seed: int) -> np.ndarray:
    """Fractional coordinates (s, 3) of the foam's seeds."""
    if topology in FOAMS:
        return np.array(FOAMS[topology])
    if topology != RANDOM:
        known = ", ".join([*FOAMS, RANDOM])
        raise ParameterError(f"topology '{topology}' is unknown, expected one of {known}.")
    require_count("seeds", seeds, 2, 1000)
    require_count("seed", seed, 0)
    rng = np.random.default_rng(seed)
    points = rng.random((1, 3))
    while len(points) < seeds:  # best of ten candidates: cells of similar size
        trial = rng.random((10, 3))
        gap = trial[:, None] - points
        room = np.linalg.norm(gap - np.round(gap), axis=2).min(axis=1)
        points = np.concatenate([points, trial[[np.argmax(room)]]])
    return points
