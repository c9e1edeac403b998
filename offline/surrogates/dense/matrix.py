"""The stiffness matrix of a small cell written out."""

from __future__ import annotations

import numpy as np
import torch

from offline.surrogates.dense.cells import DenseCells

__all__ = ["dense_matrix"]


def dense_matrix(cells: DenseCells) -> np.ndarray:
    """K (3N, 3N) of the only cell of a batch with N voxels, over its `scale`.

    Six columns at a time: the six loads of a field carry six unit vectors.
    """
    n = 3 * cells.soft[0].numel()
    columns = []
    for first in range(0, n, 6):
        u = torch.zeros(6, n, dtype=cells.density.dtype)
        for load in range(min(6, n - first)):
            u[load, first + load] = 1.0
        field = u.reshape(1, 6, 3, *cells.grid).transpose(1, 2)
        product = cells.product(field).transpose(1, 2).reshape(6, n)
        columns.append(product[: min(6, n - first)].numpy())
    return np.concatenate(columns)
