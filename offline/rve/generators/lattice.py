"""Truss lattices: round struts along the edges of a periodic net."""

from __future__ import annotations

import numpy as np

from offline.rve.generators.cells import (
    CELLULAR,
    Numbers,
    Triple,
    cell_vectors,
    exactly_one,
    period_counts,
    recorded,
    solid_below,
)
from offline.rve.generators.distance import strut_distance
from offline.rve.generators.topology import Topology, find_topology
from offline.rve.generators.voxelgrid import grid_shape, require_in_range
from offline.rve.rve import Rve

__all__ = ["truss", "truss_cell"]


TAPER = 1e-4  # orders voxels that are equally far from a strut's axis


@recorded
def truss(
    *,
    topology: str = "octet",
    n: Triple = 48,
    volume_fraction: float | None = None,
    radius: float | None = None,
    periods: Triple = 1,
    cell: Numbers | None = None,
) -> Rve:
    """Truss lattice of round struts.

    A voxel is solid if its centre is within the radius of a strut's axis (spherical ends),
    measured in the cell's own metric. With a volume fraction the radius follows from sorting the
    distances. Many voxels lie equally far from a strut; they join the solid from the joints
    outwards (struts taper by one part in 10^4), so that the fraction is exact up to groups of
    symmetric voxels.

    Parameters
    ----------
    topology : str
        Name of a shipped topology (octet, bcc, fcc, simple-cubic, kelvin, diamond, ...) or path
        of a .json file with "nodes" (fractional coordinates), "struts" (index pairs) and,
        optionally, "radii" (relative, one per strut).
    n : int or three ints
        Voxels per axis.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    radius : float, optional
        Strut radius [length unit of the cell, whose longest edge is 1 by default], > 0.
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
        The topology is unknown, or not exactly one of radius and volume fraction is given.
    FileFormatError
        The JSON file is not a topology.

    Examples
    --------
    >>> print(truss(topology="octet", n=24, volume_fraction=0.2))
    Rve 24 x 24 x 24: void 80.09 %, solid 19.91 %
    """
    return truss_cell(
        find_topology(topology),
        n=n,
        volume_fraction=volume_fraction,
        radius=radius,
        periods=periods,
        cell=cell,
    )


def truss_cell(
    topology: Topology,
    *,
    n: Triple = 48,
    volume_fraction: float | None = None,
    radius: float | None = None,
    periods: Triple = 1,
    cell: Numbers | None = None,
) -> Rve:
    """The same for a `Topology` in memory; the parameters are those of `truss`."""
    exactly_one(volume_fraction=volume_fraction, radius=radius)
    if radius is not None:
        require_in_range("radius", radius, 0.0, np.inf)
    shape, counts = grid_shape(n), period_counts(periods)
    vectors = cell_vectors(cell, shape)
    lattice = vectors / np.array(counts)[:, None]
    field = strut_distance(topology.segments(), topology.segment_radii(), lattice, shape, counts)
    if volume_fraction is not None:
        field += TAPER * joint_distance(topology, lattice, shape, counts)
    solid = solid_below(field, radius, volume_fraction)
    return Rve(phases=solid, cell=vectors, phase_names=CELLULAR)


def joint_distance(
    topology: Topology,
    lattice: np.ndarray,
    shape: tuple[int, int, int],
    periods: tuple[int, int, int],
) -> np.ndarray:
    """Distance of every voxel centre to the nearest joint (n1, n2, n3) [length]."""
    points = np.repeat(topology.joints()[:, None], 2, axis=1)  # segments without length
    return strut_distance(points, np.ones(len(points)), lattice, shape, periods)
