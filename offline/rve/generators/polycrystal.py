"""Voronoi polycrystals: periodic grains around random points, one orientation per grain."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from matnet.errors import ParameterError
from offline.rve.generators.voxelgrid import (
    call_text,
    cell_edges,
    grid_shape,
    random_source,
    require_count,
)
from offline.rve.rve import MAX_PHASES, Rve

__all__ = ["random_rotations", "voronoi"]


def voronoi(
    *,
    n: int | tuple[int, int, int] = 64,
    n_grains: int = 50,
    lloyd_steps: int = 0,
    texture: Literal["random", "none"] = "random",
    seed: int = 0,
) -> Rve:
    """Periodic Voronoi polycrystal with uniformly random points and orientations.

    A voxel belongs to the grain whose point is nearest to its centre, periodic images included.
    Along axes with a single voxel the grains are columns.

    Parameters
    ----------
    n : int or tuple of int
        Voxels per axis: one number for a cube, or three.
    n_grains : int
        Number of grains, each a phase of its own, at most 256.
    lloyd_steps : int
        Times that each point moves to the centroid of its grain; some steps make the grains more
        equal in size and shape.
    texture : {'random', 'none'}
        Uniformly distributed orientations (Haar measure), or none at all.
    seed : int
        Seed of points and orientations.

    Returns
    -------
    Rve
        Phases ``grain0``, ``grain1``, ... and their orientations (n_grains, 3, 3).

    Raises
    ------
    ParameterError
        A value is out of range, or a grain would own no voxel.

    Examples
    --------
    >>> rve = voronoi(n=16, n_grains=8)
    >>> rve.n_phases, rve.orientations.shape
    (8, (8, 3, 3))
    """
    source = call_text(
        "voronoi", n=n, n_grains=n_grains, lloyd_steps=lloyd_steps, texture=texture, seed=seed
    )
    shape = grid_shape(n)
    require_count("n_grains", n_grains, 1, MAX_PHASES)
    require_count("lloyd_steps", lloyd_steps, 0)
    if texture not in ("random", "none"):
        raise ParameterError(f"texture is {texture!r}, expected 'random' or 'none'.")
    rng = random_source(seed)
    edges = cell_edges(shape)
    points = rng.random((n_grains, 3)) * edges
    points[:, np.array(shape) == 1] = 0.0
    orientations = random_rotations(n_grains, rng) if texture == "random" else None
    voxels = np.stack(np.meshgrid(*_voxel_centres(shape, edges), indexing="ij"), axis=-1)
    grains = _nearest_point(points, voxels.reshape(-1, 3), edges)
    for _ in range(lloyd_steps):
        points = _centroids(points, grains, voxels.reshape(-1, 3), edges)
        grains = _nearest_point(points, voxels.reshape(-1, 3), edges)
    _require_all_grains(grains, n_grains)
    return Rve(
        phases=grains.reshape(shape),
        phase_names=tuple(f"grain{i}" for i in range(n_grains)),
        orientations=orientations,
        source=source,
    )


def random_rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Rotation matrices (count, 3, 3), uniform in the Haar measure.

    Normalised Gaussian quaternions are uniform on the sphere in four dimensions.
    """
    return np.asarray(Rotation.from_quat(rng.standard_normal((count, 4))).as_matrix())


def _voxel_centres(shape: tuple[int, int, int], edges: np.ndarray) -> list[np.ndarray]:
    # an axis with one voxel is a plane through the points: grains are columns
    return [
        (np.arange(m) + 0.5) / m * edge if m > 1 else np.zeros(1)
        for m, edge in zip(shape, edges, strict=True)
    ]


def _nearest_point(points: np.ndarray, voxels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Index (n_voxels,) of the point nearest to each voxel centre in the periodic cell."""
    tree = cKDTree(points % edges, boxsize=edges)
    return np.asarray(tree.query(voxels)[1])


def _centroids(
    points: np.ndarray, grains: np.ndarray, voxels: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Centroid (n_grains, 3) of each grain, images unwrapped; an empty grain keeps its point."""
    offset = voxels - points[grains]
    offset -= edges * np.round(offset / edges)
    size = np.bincount(grains, minlength=len(points))
    moved = [np.bincount(grains, weights=offset[:, k], minlength=len(points)) for k in range(3)]
    return np.asarray((points + np.stack(moved, axis=1) / np.maximum(size, 1)[:, None]) % edges)


def _require_all_grains(grains: np.ndarray, n_grains: int) -> None:
    empty = np.flatnonzero(np.bincount(grains, minlength=n_grains) == 0)
    if empty.size:
        raise ParameterError(
            f"{empty.size} of {n_grains} grains own no voxel (first: grain{empty[0]}). "
            "Use more voxels (n), fewer grains, or a Lloyd step."
        )
