# mypy: disable-error-code="no-untyped-def"
"""Distances to the other phase and local thickness, periodic."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["contact_distance", "local_thickness"]


def contact_distance(image: np.ndarray) -> np.ndarray:
    """Distance of every voxel centre (n, n, n) to the nearest centre of the other phase [voxels].

    Exact Euclidean distances, one axis after the other (Saito & Toriwaki, *Pattern Recognition*
    27, 1994, 1551-1565); periodic images count. `image` holds both phases.
    """
    return np.asarray(np.sqrt(np.where(image == 1, _squared(image, 1), _squared(image, 0))))


def local_thickness(distance: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Radius (n, n, n) [voxels] of the largest ball within the phase that covers the voxel.

    Hildebrand & Rueegsegger, *J. Microscopy* 185, 1997, 67-75; half the local thickness. Balls
    have the contact distances as radii and contain the voxels whose centres lie inside.
    """
    order = np.argsort(-distance, axis=None, kind="stable")
    return np.asarray(_paint(distance, image, order))


@njit(cache=True)
def _squared(image, phase):
    """Squared distance of voxels of `phase` to the others; zero for the others."""
    n = image.shape[0]
    far = 3.0 * n * n
    field = np.where(image == phase, far, 0.0)
    line = np.empty(n)
    for axis in range(3):
        for a in range(n):
            for b in range(n):
                if axis == 0:
                    view = field[:, a, b]
                elif axis == 1:
                    view = field[a, :, b]
                else:
                    view = field[a, b, :]
                for i in range(n):
                    line[i] = view[i]
                for i in range(n):
                    best = line[i]
                    step = 1
                    while step <= n // 2 and step * step < best:
                        near = min(line[(i + step) % n], line[(i - step) % n])
                        best = min(best, near + step * step)
                        step += 1
                    view[i] = best
    return field


@njit(cache=True)
def _paint(distance, image, order):
    """Balls in order of falling radius: what is covered first keeps its radius."""
    n = image.shape[0]
    covered = np.zeros((n, n, n))
    wrap = np.arange(3 * n) % n
    for flat in order:
        i, j, k = flat // (n * n), flat // n % n, flat % n
        radius = distance[i, j, k]
        if covered[i, j, k] == 0.0:
            covered[i, j, k] = radius
        if _inside_a_neighbour(distance, image, i, j, k):
            continue
        square = radius * radius - 1e-9  # centres inside, not on the sphere
        reach = min(int(np.sqrt(square)), n // 2)
        for x in range(-reach, reach + 1):
            for y in range(-reach, reach + 1):
                left = square - x * x - y * y
                if left > 0.0:
                    depth = min(int(np.sqrt(left)), n // 2)
                    row = covered[wrap[i + x + n], wrap[j + y + n]]
                    for z in range(k - depth + n, k + depth + n + 1):
                        if row[wrap[z]] == 0.0:
                            row[wrap[z]] = radius
    return covered


@njit(cache=True)
def _inside_a_neighbour(distance, image, i, j, k):
    """Whether the ball of a voxel lies in that of a neighbour, so that it covers nothing new."""
    n = image.shape[0]
    for x in range(-1, 2):
        for y in range(-1, 2):
            for z in range(-1, 2):
                if x == 0 and y == 0 and z == 0:
                    continue
                p, q, r = (i + x) % n, (j + y) % n, (k + z) % n
                step = np.sqrt(float(x * x + y * y + z * z))
                same = image[p, q, r] == image[i, j, k]
                if same and distance[p, q, r] >= distance[i, j, k] + step - 1e-9:
                    return True
    return False
