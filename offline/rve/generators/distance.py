"""Distance from every voxel centre to periodic struts, skins and cell walls (compiled)."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import itertools

import numpy as np
from numba import njit, prange

__all__ = [
    "blended_distance",
    "periodic_images",
    "strut_distance",
    "wall_distances",
]

BLOCK = 4  # voxels per block edge: far struts are ruled out block by block
CUTOFF = 22.0  # blending lengths after which a strut's share, exp(-22), is dropped


def periodic_images(
    segments: np.ndarray, lattice: np.ndarray, periods: tuple[int, int, int], margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """All copies of the segments that come within `margin` of the cell.

    Parameters
    ----------
    segments : (s, 2, 3)
        End points in fractions of the unit cell.
    lattice : (3, 3)
        Vectors of the unit cell (rows) [length].
    periods : three ints
        Unit cells in the sampled cell.
    margin : float
        Distance [length] beyond the cell.

    Returns
    -------
    ends : (m, 2, 3)
        End points [length].
    owner : (m,) ints
        Index of the segment that each one copies.
    """
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = margin / heights  # in fractions
    ends: list[np.ndarray] = []
    owner: list[np.ndarray] = []
    for i, segment in enumerate(segments):
        first = np.ceil(-reach - segment.max(axis=0)).astype(int)
        last = np.floor(np.array(periods) + reach - segment.min(axis=0)).astype(int)
        ranges = (range(a, b + 1) for a, b in zip(first, last, strict=True))
        shifts = np.array(list(itertools.product(*ranges)), dtype=float).reshape(-1, 1, 3)
        ends.append((segment + shifts) @ lattice)
        owner.append(np.full(len(shifts), i))
    return np.concatenate(ends), np.concatenate(owner)


def half_diagonal(lattice: np.ndarray) -> float:
    """Largest distance of any point from the nearest lattice point, at most [length]."""
    signs = np.array(list(itertools.product((1, -1), repeat=3)))
    return 0.5 * float(np.linalg.norm(signs @ lattice, axis=1).max())


def strut_distance(
    segments: np.ndarray,
    radii: np.ndarray,
    lattice: np.ndarray,
    shape: tuple[int, int, int],
    periods: tuple[int, int, int] = (1, 1, 1),
) -> np.ndarray:
    r"""Smallest relative distance :math:`\min_i d_i(x) / r_i` to the struts.

    Its level set at `level` bounds round struts of radius ``level * radii`` with spherical ends.

    Parameters
    ----------
    segments : (s, 2, 3)
        End points in fractions of the unit cell; periodic copies are implied.
    radii : (s,)
        Relative radius of each, > 0.
    lattice : (3, 3)
        Vectors of the unit cell (rows) [length].
    shape, periods : three ints
        Voxels and unit cells per axis of the sampled cell.

    Returns
    -------
    (n1, n2, n3) floats
        At voxel centres [length].
    """
    ends, owner = periodic_images(segments, lattice, periods, half_diagonal(lattice))
    step = lattice * (np.array(periods) / np.array(shape))[:, None]
    field = np.empty(shape)
    _strut_distance(ends[:, 0].copy(), ends[:, 1] - ends[:, 0], radii[owner], step, field)
    return field


def blended_distance(
    segments: np.ndarray,
    radii: np.ndarray,
    blend: float,
    lattice: np.ndarray,
    shape: tuple[int, int, int],
    periods: tuple[int, int, int] = (1, 1, 1),
) -> tuple[np.ndarray, np.ndarray]:
    r"""Smooth minimum of the relative distances to the struts, and the norm of its gradient.

    .. math:: F = -b \log \sum_i \exp(-d_i / (r_i b))

    Level sets of F are tubes around the struts that flow into each other within the length b.
    Terms below exp(-22) of the largest are dropped: an error of F below 1e-9 b per strut in reach.

    Parameters
    ----------
    segments : (s, 2, 3)
        End points in fractions of the unit cell; periodic copies are implied.
    radii : (s,)
        Relative radius r of each, > 0.
    blend : float
        Blending length b [length], >= 0; 0 is the plain minimum, with sharp creases.
    lattice, shape, periods
        As in `strut_distance`.

    Returns
    -------
    field, slope : (n1, n2, n3) floats
        F [length] and its gradient's norm at voxel centres.
    """
    margin = half_diagonal(lattice) + CUTOFF * blend * float(radii.max())
    ends, owner = periodic_images(segments, lattice, periods, margin)
    step = lattice * (np.array(periods) / np.array(shape))[:, None]
    field, slope = np.empty(shape), np.empty(shape)
    start = ends[:, 0].copy()
    _blended_distance(start, ends[:, 1] - ends[:, 0], radii[owner], blend, step, field, slope)
    return field, slope


def wall_distances(
    seeds: np.ndarray,
    lattice: np.ndarray,
    shape: tuple[int, int, int],
    periods: tuple[int, int, int] = (1, 1, 1),
) -> tuple[np.ndarray, np.ndarray]:
    r"""Distance to the nearest wall, and to the next two, of a periodic Voronoi cell.

    The wall between seeds p and q is the plane half-way, at
    :math:`(|x - q|^2 - |x - p|^2) / (2 |p - q|)` from a point x that is nearest to p.

    Parameters
    ----------
    seeds : (s, 3)
        Fractions of the unit cell; periodic copies are implied.
    lattice, shape, periods
        As in `strut_distance`.

    Returns
    -------
    nearest, corner : (n1, n2, n3) floats
        At voxel centres [length]; `corner` grows with the distances to the next two walls.
    """
    longest = float(np.linalg.norm(lattice, axis=1).max())
    margin = 3.0 * half_diagonal(lattice) + longest  # see the bound in _wall_distances
    points, _ = periodic_images(np.repeat(seeds[:, None], 2, axis=1), lattice, periods, margin)
    step = lattice * (np.array(periods) / np.array(shape))[:, None]
    nearest, corner = np.empty(shape), np.empty(shape)
    _wall_distances(points[:, 0].copy(), step, nearest, corner)
    return nearest, corner


@njit(cache=True)
def _to_segment(x, y, z, start, along, away):
    """Distance of a point to a segment; `away` (3,) becomes the vector from its nearest point."""
    x, y, z = x - start[0], y - start[1], z - start[2]
    a, b, c = along
    length2 = a * a + b * b + c * c
    t = (x * a + y * b + z * c) / length2 if length2 > 0.0 else 0.0  # a point has no length
    t = min(max(t, 0.0), 1.0)
    away[0], away[1], away[2] = x - t * a, y - t * b, z - t * c
    return np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)


@njit(cache=True)
def _position(i, j, k, step):
    """Point at voxel coordinates (i, j, k)."""
    return (
        i * step[0, 0] + j * step[1, 0] + k * step[2, 0],
        i * step[0, 1] + j * step[1, 1] + k * step[2, 1],
        i * step[0, 2] + j * step[1, 2] + k * step[2, 2],
    )


@njit(cache=True)
def _block(number, shape, step):
    """Voxel ranges of a block, its centre, and the distance from there to its farthest voxel."""
    blocks_k = (shape[2] + BLOCK - 1) // BLOCK
    blocks_j = (shape[1] + BLOCK - 1) // BLOCK
    first = (
        number // (blocks_j * blocks_k) * BLOCK,
        number // blocks_k % blocks_j * BLOCK,
        number % blocks_k * BLOCK,
    )
    last = (
        min(first[0] + BLOCK, shape[0]),
        min(first[1] + BLOCK, shape[1]),
        min(first[2] + BLOCK, shape[2]),
    )
    middle = _position(
        0.5 * (first[0] + last[0]), 0.5 * (first[1] + last[1]), 0.5 * (first[2] + last[2]), step
    )
    far = 0.0
    for corner in range(4):
        si = 1.0 if corner & 1 else -1.0
        sj = 1.0 if corner & 2 else -1.0
        x, y, z = _position(
            0.5 * (last[0] - first[0]),
            0.5 * si * (last[1] - first[1]),
            0.5 * sj * (last[2] - first[2]),
            step,
        )
        far = max(far, np.sqrt(x * x + y * y + z * z))
    return first, last, middle, far


@njit(cache=True)
def _n_blocks(shape):
    count = 1
    for n in shape:
        count *= (n + BLOCK - 1) // BLOCK
    return count


@njit(cache=True, parallel=True)
def _strut_distance(start, along, radii, step, field):
    for number in prange(_n_blocks(field.shape)):
        first, last, middle, far = _block(number, field.shape, step)
        away = np.empty(3)
        reach = np.empty(len(start))
        best = np.inf
        for s in range(len(start)):
            d = _to_segment(middle[0], middle[1], middle[2], start[s], along[s], away)
            reach[s] = (d - far) / radii[s]
            best = min(best, (d + far) / radii[s])
        near = np.flatnonzero(reach <= best)
        for i in range(first[0], last[0]):
            for j in range(first[1], last[1]):
                for k in range(first[2], last[2]):
                    x, y, z = _position(i + 0.5, j + 0.5, k + 0.5, step)
                    value = np.inf
                    for s in near:
                        d = _to_segment(x, y, z, start[s], along[s], away)
                        value = min(value, d / radii[s])
                    field[i, j, k] = value


@njit(cache=True, parallel=True)
def _blended_distance(start, along, radii, blend, step, field, slope):
    for number in prange(_n_blocks(field.shape)):
        first, last, middle, far = _block(number, field.shape, step)
        away = np.empty(3)
        reach = np.empty(len(start))
        best = np.inf
        for s in range(len(start)):
            d = _to_segment(middle[0], middle[1], middle[2], start[s], along[s], away)
            reach[s] = (d - far) / radii[s]
            best = min(best, (d + far) / radii[s])
        near = np.flatnonzero(reach <= best + CUTOFF * blend)
        relative = np.empty(len(near))
        normal = np.empty((len(near), 3))
        for i in range(first[0], last[0]):
            for j in range(first[1], last[1]):
                for k in range(first[2], last[2]):
                    x, y, z = _position(i + 0.5, j + 0.5, k + 0.5, step)
                    for m, s in enumerate(near):
                        d = _to_segment(x, y, z, start[s], along[s], away)
                        relative[m] = d / radii[s]
                        normal[m] = away / max(d * radii[s], 1e-300)
                    field[i, j, k], slope[i, j, k] = _smooth_minimum(relative, normal, blend)


@njit(cache=True)
def _smooth_minimum(values, gradients, blend):
    """-b log sum exp(-v / b) and the norm of its gradient."""
    lowest = values.min()
    total = 0.0
    gx = gy = gz = 0.0
    for m in range(len(values)):
        if values[m] - lowest > CUTOFF * blend or (blend == 0.0 and total > 0.0):
            continue
        weight = np.exp((lowest - values[m]) / blend) if blend > 0.0 else 1.0
        total += weight
        gx += weight * gradients[m, 0]
        gy += weight * gradients[m, 1]
        gz += weight * gradients[m, 2]
    return lowest - blend * np.log(total), np.sqrt(gx * gx + gy * gy + gz * gz) / total


@njit(cache=True, parallel=True)
def _wall_distances(seeds, step, nearest, corner):
    for number in prange(_n_blocks(nearest.shape)):
        first, last, middle, far = _block(number, nearest.shape, step)
        reach = np.empty(len(seeds))
        for s in range(len(seeds)):
            reach[s] = _between(middle[0], middle[1], middle[2], seeds[s])
        # with d1 <= ... <= d4 the seeds nearest to x, the wall of seed s is at (d_s - d1) / 2 or
        # more and that of seed 4 at (d1 + d4) / 2 or less: seeds beyond d4 + 2 d1 do not matter
        low = _four_smallest(reach)
        near = np.flatnonzero(reach <= low[3] + 2.0 * low[0] + 4.0 * far)
        d = np.empty(len(near))
        for i in range(first[0], last[0]):
            for j in range(first[1], last[1]):
                for k in range(first[2], last[2]):
                    x, y, z = _position(i + 0.5, j + 0.5, k + 0.5, step)
                    for m, s in enumerate(near):
                        d[m] = _between(x, y, z, seeds[s])
                    own = np.argmin(d)
                    w1 = w2 = w3 = np.inf
                    for m, s in enumerate(near):
                        if m != own:
                            p = seeds[near[own]]
                            gap = _between(p[0], p[1], p[2], seeds[s])
                            wall = 0.5 * (d[m] - d[own]) * (d[m] + d[own]) / gap
                            w3 = min(w3, max(w2, wall))
                            w2 = min(w2, max(w1, wall))
                            w1 = min(w1, wall)
                    nearest[i, j, k] = w1
                    corner[i, j, k] = _corner_measure(w2, w3)


@njit(cache=True)
def _four_smallest(values):
    low = np.full(4, np.inf)
    for value in values:
        for m in range(4):
            if value < low[m]:
                value, low[m] = low[m], value
    return low


@njit(cache=True)
def _corner_measure(second, third):
    """Smaller towards edges and corners of cells; orders points equally far from a wall."""
    return second + 0.618 * third


@njit(cache=True)
def _between(x, y, z, p):
    return np.sqrt((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2)
