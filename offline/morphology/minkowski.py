"""Minkowski functionals of both phases from the counts of a periodic cell complex.

With numbers of voxels, faces, edges and vertices of the closed set of a phase,

    euler   = -voxels + faces - edges + vertices
    breadth = (3 voxels - 2 faces + edges) / 2

(Michielsen & De Raedt, *Integral-geometry morphological image analysis*, Phys. Rep. 347, 2001,
461-538, table 3; volume and surface are found elsewhere). `breadth` is the mean breadth of the
voxel body, averaged over the three axes: an edge of a cube has 1.
"""

from __future__ import annotations

import numpy as np

__all__ = ["minkowski"]


def minkowski(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean breadth (2,) [edges of the cell] and Euler characteristic (2,) of each phase."""
    n = len(image)
    breadth, euler = np.empty(2), np.empty(2)
    for phase in (0, 1):
        voxels = image == phase
        cells = np.count_nonzero(voxels)
        # a face, edge or vertex belongs to the closed set if any of its voxels does
        once = [voxels | np.roll(voxels, 1, axis) for axis in range(3)]
        twice = [once[a] | np.roll(once[a], 1, b) for a, b in ((0, 1), (0, 2), (1, 2))]
        vertices = np.count_nonzero(twice[0] | np.roll(twice[0], 1, 2))
        faces, edges = (sum(map(np.count_nonzero, part)) for part in (once, twice))
        euler[phase] = -cells + faces - edges + vertices
        breadth[phase] = 0.5 * (3 * cells - 2 * faces + edges) / n
    return breadth, euler
