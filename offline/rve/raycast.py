"""Orthographic pictures of voxels: rays through the grid, soft light, nothing but numpy arrays.

Each pixel's ray walks from voxel to voxel (Amanatides & Woo, *A fast voxel traversal algorithm for
ray tracing*, Eurographics 1987) in lattice coordinates, so that sheared cells need no extra care.
The hit is lit by a lamp with shadow, by the open sky (ambient occlusion from the blurred solid)
and shaded with the gradient of the blurred solid, which hides the stairs but moves no surface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy import ndimage

__all__ = ["HAZE", "HIDDEN", "Camera", "render"]

HIDDEN = 0  # code of voxels that are not drawn
HAZE = 255  # code of voxels that only tint what lies behind them

LAMP = np.array([-0.55, 0.8, -1.4])  # towards the lamp: left, up, to the viewer (right, up, depth)
FILL = np.array([0.9, 0.1, -0.45])  # a weaker lamp from the right, without shadow
AMBIENT, DIFFUSE, FILLING, SHADOW = 0.56, 0.64, 0.3, 0.55
HAZE_DENSITY = 1.1  # optical depth of haze per longest cell edge


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Parallel projection onto the plane of ``right`` and ``up``; ``depth`` points away.

    Parameters
    ----------
    azimuth, elevation : float
        Where the viewer stands [degrees]: 0, 0 looks from +x1; elevation lifts towards +x3.
    """

    azimuth: float = -58.0
    elevation: float = 24.0

    @property
    def axes(self) -> np.ndarray:
        """Rows right, up, depth (3, 3): a rotation of space."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        to_viewer = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        right = np.array([-math.sin(a), math.cos(a), 0.0])
        return np.array([right, np.cross(to_viewer, right), -to_viewer])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Picture coordinates and depth (..., 3) of points (..., 3) [same length unit]."""
        return np.asarray(points @ self.axes.T)


def render(
    codes: np.ndarray,
    cell: np.ndarray,
    palette: np.ndarray,
    camera: Camera,
    *,
    pixels: int = 700,
    cut: float = 0.0,
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Draw voxels.

    Parameters
    ----------
    codes : (n1, n2, n3) uint8
        Row of `palette` per voxel; `HIDDEN` and `HAZE` as above.
    cell : (3, 3)
        Lattice vectors [length].
    palette : (256, 3)
        Colours, 0 to 1.
    camera : Camera
        The view.
    pixels : int
        Pixels along the longer side of the picture.
    cut : float
        Share of white mixed into the faces that the cell's boundary cuts.

    Returns
    -------
    image : (rows, columns, 4)
        Colours and opacity, first row at the top.
    extent : (left, right, bottom, top)
        Picture coordinates of its edges [length].
    """
    corners = np.array(list(np.ndindex(2, 2, 2))) @ cell
    flat = camera.project(corners)
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = (high - low)[:2].max() / pixels
    columns, rows = np.maximum(np.ceil((high - low)[:2] / scale), 1).astype(int)
    fine = 2  # rays per pixel and direction, averaged
    axes = camera.axes
    opaque = (codes != HIDDEN) & (codes != HAZE)
    blurred = ndimage.gaussian_filter(opaque.astype(np.float32), 1.2, mode="nearest")
    sky = ndimage.gaussian_filter(opaque.astype(np.float32), 2.5, mode="nearest")
    key = LAMP / np.linalg.norm(LAMP) @ axes
    index_per_length = np.linalg.inv(cell) * codes.shape
    image = _trace(
        np.ascontiguousarray(codes),
        palette.astype(np.float64),
        blurred,
        sky,
        index_per_length,
        low,
        axes,
        np.array([key, FILL / np.linalg.norm(FILL) @ axes, key @ index_per_length]),
        HAZE_DENSITY / np.linalg.norm(cell, axis=1).max(),
        cut,
        scale / fine,
        rows * fine,
        columns * fine,
    )
    image = image.reshape(rows, fine, columns, fine, 4).mean(axis=(1, 3))[::-1]
    image[..., :3] /= np.maximum(image[..., 3:], 1e-9)  # averaged with premultiplied opacity
    extent = (low[0], low[0] + columns * scale, low[1], low[1] + rows * scale)
    return np.clip(image, 0.0, 1.0), extent


@njit(cache=True, parallel=True)
def _trace(  # type: ignore[no-untyped-def]
    codes, palette, blurred, sky, to_index, low, axes, lamps, haze, cut, step, rows, columns
):
    image = np.zeros((rows, columns, 4))
    direction = axes[2] @ to_index
    for row in prange(rows):
        start, hit, work = np.empty(3), np.empty(3), np.empty((3, 3))
        for column in range(columns):
            for i in range(3):
                start[i] = 0.0
                for j in range(3):
                    across = (low[0] + (column + 0.5) * step) * axes[0, j]
                    along = (low[1] + (row + 0.5) * step) * axes[1, j]
                    start[i] += (across + along + (low[2] - 1.0) * axes[2, j]) * to_index[j, i]
            code, axis, t, fog = _walk(codes, start, direction, work)
            veil = 1.0 - math.exp(-haze * fog)
            if code == HIDDEN:
                for i in range(3):
                    image[row, column, i] = veil * palette[HAZE, i]
                image[row, column, 3] = veil
                continue
            for i in range(3):
                hit[i] = start[i] + t * direction[i]
            light = _light(codes, blurred, sky, hit, axis, direction, to_index, lamps, work)
            white = cut if _on_box(codes, hit, axis) else 0.0
            for i in range(3):
                shade = min((white + (1.0 - white) * palette[code, i]) * light, 1.0)
                image[row, column, i] = (1.0 - veil) * shade + veil * palette[HAZE, i]
            image[row, column, 3] = 1.0
    return image


@njit(cache=True)
def _walk(codes, start, direction, work):  # type: ignore[no-untyped-def]
    """First opaque voxel on a ray: its code, the axis of the entered face, t there, way in haze."""
    place, next_t, delta = work[0], work[1], work[2]
    near, far, axis = 0.0, np.inf, -1
    for i in range(3):
        if direction[i] == 0.0:
            if start[i] < 0.0 or start[i] >= codes.shape[i]:
                return HIDDEN, -1, 0.0, 0.0
            continue
        a, b = -start[i] / direction[i], (codes.shape[i] - start[i]) / direction[i]
        if min(a, b) > near:
            near, axis = min(a, b), i
        far = min(far, max(a, b))
    if near >= far:
        return HIDDEN, -1, 0.0, 0.0
    for i in range(3):
        x = math.floor(start[i] + near * direction[i])
        place[i] = min(max(x, 0.0), codes.shape[i] - 1.0)
        if i == axis:
            place[i] = 0.0 if direction[i] > 0.0 else codes.shape[i] - 1.0
        next_t[i], delta[i] = np.inf, np.inf
        if direction[i] != 0.0:
            delta[i] = abs(1.0 / direction[i])
            edge = place[i] + (1.0 if direction[i] > 0.0 else 0.0)
            next_t[i] = (edge - start[i]) / direction[i]
    t, fog = near, 0.0
    while True:
        code = codes[int(place[0]), int(place[1]), int(place[2])]
        if code != HIDDEN and code != HAZE:
            return code, axis, t, fog
        axis = 0
        for i in range(1, 3):
            if next_t[i] < next_t[axis]:
                axis = i
        if code == HAZE:
            fog += next_t[axis] - t
        t = next_t[axis]
        place[axis] += 1.0 if direction[axis] > 0.0 else -1.0
        if place[axis] < 0.0 or place[axis] >= codes.shape[axis]:
            return HIDDEN, axis, t, fog
        next_t[axis] += delta[axis]


@njit(cache=True)
def _light(codes, blurred, sky, hit, axis, direction, to_index, lamps, work):  # type: ignore[no-untyped-def]
    """Brightness of the face through `hit`; `lamps` holds key lamp, fill, key in index steps."""
    outward = -1.0 if direction[axis] > 0.0 else 1.0
    inside = not _on_box(codes, hit, axis)
    length = outward * math.sqrt(
        to_index[0, axis] ** 2 + to_index[1, axis] ** 2 + to_index[2, axis] ** 2
    )
    face_0, face_1, face_2 = (
        to_index[0, axis] / length,
        to_index[1, axis] / length,
        to_index[2, axis] / length,
    )
    normal_0, normal_1, normal_2 = face_0, face_1, face_2
    occluded = 0.0
    if inside:
        g0, g1, g2 = _gradient(blurred, hit)
        s0 = -(to_index[0, 0] * g0 + to_index[0, 1] * g1 + to_index[0, 2] * g2)
        s1 = -(to_index[1, 0] * g0 + to_index[1, 1] * g1 + to_index[1, 2] * g2)
        s2 = -(to_index[2, 0] * g0 + to_index[2, 1] * g1 + to_index[2, 2] * g2)
        length = math.sqrt(s0 * s0 + s1 * s1 + s2 * s2)
        if length > 0.0:  # mostly the smooth normal, a little of the face's
            n0, n1, n2 = s0 / length, s1 / length, s2 / length
            n0, n1, n2 = n0 + 0.3 * face_0, n1 + 0.3 * face_1, n2 + 0.3 * face_2
            length = max(math.sqrt(n0 * n0 + n1 * n1 + n2 * n2), 1e-9)
            normal_0, normal_1, normal_2 = n0 / length, n1 / length, n2 / length
        hit[axis] += 2.0 * outward
        occluded = _sample(sky, hit[0], hit[1], hit[2])
        hit[axis] -= 2.0 * outward
    diffuse = max(normal_0 * lamps[0, 0] + normal_1 * lamps[0, 1] + normal_2 * lamps[0, 2], 0.0)
    filling = max(normal_0 * lamps[1, 0] + normal_1 * lamps[1, 1] + normal_2 * lamps[1, 2], 0.0)
    facing = face_0 * lamps[0, 0] + face_1 * lamps[0, 1] + face_2 * lamps[0, 2] > 0.0
    if inside and facing and diffuse > 0.0:
        hit[axis] += 1e-4 * outward
        code, _, _, _ = _walk(codes, hit, lamps[2], work)
        hit[axis] -= 1e-4 * outward
        if code != HIDDEN and code != HAZE:
            diffuse *= 1.0 - SHADOW
    return (1.0 - 0.75 * occluded) * (AMBIENT + FILLING * filling) + DIFFUSE * diffuse


@njit(cache=True)
def _on_box(codes, hit, axis):  # type: ignore[no-untyped-def]
    """Whether the face through `hit` lies on the boundary of the cell."""
    return hit[axis] < 1e-6 or hit[axis] > codes.shape[axis] - 1e-6


@njit(cache=True)
def _sample(field, x, y, z):  # type: ignore[no-untyped-def]
    """Trilinear value at a point in index coordinates; the nearest value outside the box."""
    x = min(max(x - 0.5, 0.0), field.shape[0] - 1.0)
    y = min(max(y - 0.5, 0.0), field.shape[1] - 1.0)
    z = min(max(z - 0.5, 0.0), field.shape[2] - 1.0)
    i, j, k = int(x), int(y), int(z)
    a, b, c = x - i, y - j, z - k
    i1 = min(i + 1, field.shape[0] - 1)
    j1 = min(j + 1, field.shape[1] - 1)
    k1 = min(k + 1, field.shape[2] - 1)
    low = (1.0 - b) * ((1.0 - a) * field[i, j, k] + a * field[i1, j, k]) + b * (
        (1.0 - a) * field[i, j1, k] + a * field[i1, j1, k]
    )
    high = (1.0 - b) * ((1.0 - a) * field[i, j, k1] + a * field[i1, j, k1]) + b * (
        (1.0 - a) * field[i, j1, k1] + a * field[i1, j1, k1]
    )
    return (1.0 - c) * low + c * high


@njit(cache=True)
def _gradient(field, at):  # type: ignore[no-untyped-def]
    """Central differences over two voxels, per index step."""
    x, y, z = at[0], at[1], at[2]
    g0 = _sample(field, x + 1.0, y, z) - _sample(field, x - 1.0, y, z)
    g1 = _sample(field, x, y + 1.0, z) - _sample(field, x, y - 1.0, z)
    g2 = _sample(field, x, y, z + 1.0) - _sample(field, x, y, z - 1.0)
    return 0.5 * g0, 0.5 * g1, 0.5 * g2
