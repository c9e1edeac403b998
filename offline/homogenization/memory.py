"""Memory of a solve: what it takes, and where it comes from."""

from __future__ import annotations

import numpy as np

from offline.homogenization.node_kernels import WIDTH

__all__ = ["Workspace", "peak_bytes"]

FIELD = 4 * WIDTH  # bytes of six fields at a node, single precision
SYMBOL = 6 * 4 / 2  # bytes per voxel of the symbol's inverse, half of the frequencies
MAPS = 8 + 8 + 4 + 1  # per voxel: the cell itself, masks and the numbering
PER_NODE = 8 + 4  # grid number, density scaling
PER_ELEMENT = 2 * 32 + 8 + 8 + 1 + 8 + 4 + 2  # nodes twice, numbers, phases, densities


class Workspace:
    """Fields that only live during a solve, kept for the next one.

    Attributes
    ----------
    n_nodes, n_voxels : int
    """

    def __init__(self, n_nodes: int, n_voxels: int) -> None:
        self.n_nodes, self.n_voxels = n_nodes, n_voxels
        self._pair: np.ndarray | None = None
        self._grid: np.ndarray | None = None

    @property
    def pair(self) -> np.ndarray:
        """Two fields (2, n_nodes, 18) in single precision."""
        if self._pair is None:
            self._pair = np.empty((2, self.n_nodes, WIDTH), dtype=np.float32)
        return self._pair

    @property
    def pair_as_double(self) -> np.ndarray:
        """The memory of `pair` as one field (n_nodes, 18) in double precision."""
        return self.pair.reshape(-1).view(np.float64).reshape(self.n_nodes, WIDTH)

    @property
    def grid(self) -> np.ndarray:
        """Fields (n_voxels, 18) on the whole grid in single precision."""
        if self._grid is None:
            self._grid = np.empty((self.n_voxels, WIDTH), dtype=np.float32)
        return self._grid


def peak_bytes(n_voxels: int, n_elements: int, n_nodes: int) -> int:
    """Peak memory of `homogenize` beyond the cell's own arrays [bytes], stated in advance.

    Holds for solves that single precision carries (``tol`` down to about 1e-9). Four fields live at
    the nodes (displacements, residuals, direction, its forces); one more on the grid where some
    voxels are void. Tighter solves and solves from a start hold up to three fields in double
    precision on top, ``432 n_nodes`` bytes.

    Parameters
    ----------
    n_voxels, n_elements, n_nodes : int
        Voxels of the cell, voxels with stiffness, nodes they touch.

    Examples
    --------
    >>> round(peak_bytes(64**3, 64**3, 64**3) / 1e6)  # all voxels solid
    112
    """
    fields = 4 * FIELD * n_nodes + (FIELD * n_voxels if n_nodes < n_voxels else 0)
    mesh = MAPS * n_voxels + PER_NODE * n_nodes + PER_ELEMENT * n_elements
    return int(fields + mesh + SYMBOL * n_voxels)
