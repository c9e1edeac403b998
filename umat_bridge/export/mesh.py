"""Meshes of the decks: a block of bricks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CORNERS", "Block"]

CORNERS = (
    (0, 0, 0),
    (1, 0, 0),
    (1, 1, 0),
    (0, 1, 0),
    (0, 0, 1),
    (1, 0, 1),
    (1, 1, 1),
    (0, 1, 1),
)
"""Of a brick, in the order of Abaqus, CalculiX and LS-DYNA."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of equal bricks with one corner at the origin.

    Parameters
    ----------
    size : (3,)
        Edges [length unit].
    cells : (3,)
        Bricks along each.

    Examples
    --------
    >>> block = Block((2.0, 1.0, 1.0), (2, 1, 1))
    >>> block.points().shape, block.bricks()[0].tolist(), block.on(0, 2.0).tolist()
    ((12, 3), [1, 2, 5, 4, 7, 8, 11, 10], [3, 6, 9, 12])
    """

    size: tuple[float, float, float]
    cells: tuple[int, int, int]

    def points(self) -> np.ndarray:
        """Coordinates (n, 3) of the nodes, x running fastest."""
        axes = [np.linspace(0.0, a, n + 1) for a, n in zip(self.size, self.cells, strict=True)]
        z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
        return np.column_stack([x.ravel(), y.ravel(), z.ravel()])

    def bricks(self) -> np.ndarray:
        """Node numbers (m, 8) of the elements, from 1."""
        nx, ny, nz = self.cells
        first = [
            i + (nx + 1) * (j + (ny + 1) * k)
            for k in range(nz)
            for j in range(ny)
            for i in range(nx)
        ]
        offsets = [i + (nx + 1) * (j + (ny + 1) * k) for i, j, k in CORNERS]
        return np.add.outer(first, offsets) + 1

    def on(self, axis: int, value: float) -> np.ndarray:
        """Numbers of the nodes in the plane where the coordinate `axis` has this value, from 1."""
        return np.flatnonzero(np.isclose(self.points()[:, axis], value)) + 1
