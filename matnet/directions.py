"""Random directions and rotations, uniform on their spheres."""

from __future__ import annotations

import numpy as np

__all__ = ["random_rotations", "random_unit_vectors"]


def random_unit_vectors(n: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors (n, 3), uniform on the sphere."""
    vectors = rng.standard_normal((n, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def random_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Rotation matrices (n, 3, 3), uniform, from random unit quaternions."""
    q = rng.standard_normal((n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.moveaxis(np.array(rows), 2, 0)
