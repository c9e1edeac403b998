"""The 48 symmetries of the cube: they act on voxel images, directions and tensors alike."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError

__all__ = ["CUBE", "ROTATIONS", "signed_permutation", "turn_image"]

ROTATIONS = 24  # the first of `CUBE`


def _cube() -> np.ndarray:
    """Signed permutation matrices (48, 3, 3), proper rotations first, the identity at 0."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), dtype=int)
            matrix[range(3), order] = signs
            found.append(matrix)
    found.sort(key=lambda q: round(np.linalg.det(q)) < 0)  # stable: the identity stays first
    return np.stack(found)


CUBE = _cube()
CUBE.setflags(write=False)


def signed_permutation(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetry `number` as order and signs: x'_i = signs[i] x[order[i]].

    >>> order, signs = signed_permutation(0)
    >>> order.tolist(), signs.tolist()
    ([0, 1, 2], [1, 1, 1])
    """
    if not 0 <= number < len(CUBE):
        raise ParameterError(f"symmetry {number} is unknown, expected 0 to {len(CUBE) - 1}.")
    order = np.abs(CUBE[number]).argmax(axis=1)
    return order, CUBE[number].sum(axis=1)


def turn_image(image: Any, number: int) -> np.ndarray:
    """The image (n, n, n) turned by symmetry `number`: voxel x moves to Q x.

    Raises
    ------
    ShapeError
        The image is no cube of voxels.
    """
    array = np.asarray(image)
    if array.ndim != 3 or len(set(array.shape)) != 1:
        raise ShapeError(f"image has shape {array.shape}, expected (n, n, n).")
    order, signs = signed_permutation(number)
    turned = array.transpose(order)
    return np.ascontiguousarray(np.flip(turned, [i for i in range(3) if signs[i] < 0]))
