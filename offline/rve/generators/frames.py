"""The nine frame topologies of Dong, Tang & Zhao with their series of strut radii.

They are the frame data set of L. Zhu et al., "Learning the 3D microstructure-property mapping
without labels", 2024 (598 cells of 40^3 voxels, tens of radii per topology), who take the
topologies from G. Dong, Y. Tang & Y. F. Zhao, "A 149 line homogenization code for
three-dimensional cellular materials written in MATLAB", J. Eng. Mater. Technol. 141, 2019. Neither
lists the radii; here they are evenly spaced between two volume fractions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from matnet.errors import ParameterError
from offline.rve.generators.cells import Numbers, Triple, recorded
from offline.rve.generators.distance import strut_distance
from offline.rve.generators.lattice import truss_cell
from offline.rve.generators.topology import find_topology
from offline.rve.generators.voxelgrid import grid_shape, require_count, require_fraction
from offline.rve.rve import Rve

__all__ = ["FRAMES", "frame", "frame_data_set", "frame_radii", "frame_series"]

# the frame's name -> the topology with the same struts
FRAMES = {
    "grid": "simple-cubic",
    "x": "bcc",
    "star": "star",
    "face-center": "face-center",
    "x-cross-grid": "x-cross-grid",
    "octet": "octet",
    "grid-octet": "grid-octet",
    "tesseract": "tesseract",
    "vintiles": "vintiles",
}


@recorded
def frame(
    *,
    topology: str = "grid",
    n: Triple = 40,
    volume_fraction: float | None = None,
    radius: float | None = None,
    cell: Numbers | None = None,
) -> Rve:
    """One of the nine frames: round struts in a cube.

    Parameters
    ----------
    topology : str
        grid, x, star, face-center, x-cross-grid, octet, grid-octet, tesseract or vintiles.
    n : int or three ints
        Voxels per axis.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    radius : float, optional
        Strut radius [length unit of the cell, whose longest edge is 1 by default], > 0.
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

    Examples
    --------
    >>> print(frame(topology="grid", n=20, radius=0.1))
    Rve 20 x 20 x 20: void 92.10 %, solid 7.90 %
    """
    net = find_topology(_net_of(topology))
    return truss_cell(net, n=n, volume_fraction=volume_fraction, radius=radius, cell=cell)


def frame_radii(
    topology: str, count: int, *, n: Triple = 40, low: float = 0.05, high: float = 0.9
) -> np.ndarray:
    """Evenly spaced radii (count,) [edge of the cell] for a series of one frame.

    Parameters
    ----------
    topology : str
        One of `FRAMES`.
    count : int
        How many, at least 1.
    n : int or three ints
        Voxels per axis.
    low, high : float
        Volume fractions of the first and the last cell.

    Examples
    --------
    >>> frame_radii("grid", 3, n=20).round(3)
    array([0.079, 0.272, 0.465])
    """
    require_count("count", count, 1)
    require_fraction("low", low)
    require_fraction("high", high)
    net = find_topology(_net_of(topology))
    distance = strut_distance(net.segments(), net.segment_radii(), np.eye(3), grid_shape(n))
    first, last = np.quantile(distance, [low, high])
    return np.asarray(np.linspace(first, last, count))


def frame_series(count: int = 598, *, n: Triple = 40) -> list[tuple[str, float]]:
    """Topology and radius of each cell of the data set, shared evenly among the nine frames.

    >>> [topology for topology, radius in frame_series(10, n=8)][:3]
    ['grid', 'grid', 'x']
    """
    require_count("count", count, 1)
    series: list[tuple[str, float]] = []
    for i, topology in enumerate(FRAMES):
        share = count // len(FRAMES) + (i < count % len(FRAMES))
        radii = frame_radii(topology, share, n=n) if share else ()
        series += [(topology, float(radius)) for radius in radii]
    return series


def frame_data_set(count: int = 598, *, n: Triple = 40) -> Iterator[Rve]:
    """The frame data set, cell by cell."""
    for topology, radius in frame_series(count, n=n):
        yield frame(topology=topology, n=n, radius=radius)


def _net_of(topology: str) -> str:
    if topology not in FRAMES:
        raise ParameterError(
            f"topology '{topology}' is unknown, expected one of {', '.join(FRAMES)}."
        )
    return FRAMES[topology]
