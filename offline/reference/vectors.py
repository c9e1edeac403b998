"""Compiled loops over the unknowns, in a fixed number of parts: sums do not depend on threads."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["add_scaled", "dot", "from_grid", "scale_and_add", "to_grid"]

PARTS = 16


@njit(cache=True, parallel=True, fastmath={"contract"})
def _dot_parts(a, b, parts):
    n = a.shape[0]
    for c in prange(PARTS):
        total = 0.0
        for i in range(n * c // PARTS, n * (c + 1) // PARTS):
            total += a[i, 0] * b[i, 0] + a[i, 1] * b[i, 1] + a[i, 2] * b[i, 2]
        parts[c] = total


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Product of two vectors (n, 3)."""
    parts = np.empty(PARTS)
    _dot_parts(a, b, parts)
    return float(parts.sum())


@njit(cache=True, parallel=True, fastmath={"contract"})
def add_scaled(y, alpha, x):
    """y += alpha x, of vectors (n, 3)."""
    for i in prange(y.shape[0]):
        for k in range(3):
            y[i, k] += alpha * x[i, k]


@njit(cache=True, parallel=True, fastmath={"contract"})
def scale_and_add(y, beta, x):
    """y = x + beta y, of vectors (n, 3)."""
    for i in prange(y.shape[0]):
        for k in range(3):
            y[i, k] = x[i, k] + beta * y[i, k]


@njit(cache=True, parallel=True)
def to_grid(r, factor, nodes, grid):
    """grid (3, n_voxels), single precision = factor r at the nodes; the rest stays."""
    for i in prange(nodes.shape[0]):
        for k in range(3):
            grid[k, nodes[i]] = factor * r[i, k]


@njit(cache=True, parallel=True)
def from_grid(grid, factor, nodes, z):
    """z (n, 3) = factor grid at the nodes."""
    for i in prange(nodes.shape[0]):
        for k in range(3):
            z[i, k] = factor * grid[k, nodes[i]]
