"""Compiled loops over the unknowns.

On one thread: they are short beside the loops over elements, and threads that have to wait for a
busy processor cost more than these loops take (measured: six times the whole simulation).
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from numba import njit

__all__ = ["add_scaled", "dot", "from_grid", "scale_and_add", "to_grid"]

fused = njit(cache=True, fastmath={"contract"})  # multiply-add; NaN and infinity keep their meaning


@fused
def dot(a, b):
    """Product of two vectors (n, 3)."""
    x, y, z = 0.0, 0.0, 0.0
    for i in range(a.shape[0]):
        x += a[i, 0] * b[i, 0]
        y += a[i, 1] * b[i, 1]
        z += a[i, 2] * b[i, 2]
    return x + y + z


@fused
def add_scaled(y, alpha, x):
    """y += alpha x, of vectors (n, 3)."""
    for i in range(y.shape[0]):
        for k in range(3):
            y[i, k] += alpha * x[i, k]


@fused
def scale_and_add(y, beta, x):
    """y = x + beta y, of vectors (n, 3)."""
    for i in range(y.shape[0]):
        for k in range(3):
            y[i, k] = x[i, k] + beta * y[i, k]


@fused
def to_grid(r, factor, nodes, grid):
    """grid (3, n_voxels), single precision = factor r at the nodes; the rest stays."""
    for i in range(nodes.shape[0]):
        for k in range(3):
            grid[k, nodes[i]] = factor * r[i, k]


@fused
def from_grid(grid, factor, nodes, z):
    """z (n, 3) = factor grid at the nodes."""
    for i in range(nodes.shape[0]):
        for k in range(3):
            z[i, k] = factor * grid[k, nodes[i]]
