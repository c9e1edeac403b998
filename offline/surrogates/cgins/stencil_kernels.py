# mypy: disable-error-code="no-untyped-def"
"""Compiled loops over the active nodes of a batch, for the CPU.

Fields are rows of 24 numbers, component ``8 * i + load``: six loads in lanes of eight, so that one
vector instruction handles all of them. A last row of zeros stands for every missing neighbour.
Chunks of nodes (first row, stop row, cell) and not threads cut the sums, which therefore do not
depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = [
    "LANES",
    "LOADS",
    "WIDTH",
    "assemble",
    "gather_sum",
    "narrow",
    "row_product",
    "stencil_product",
    "widen",
]

LOADS = 6
LANES = 8
WIDTH = 24
ROWS = 1024  # per piece of work where there are no cells to keep apart
FUSED = {"contract"}  # allow multiply-add; NaN and infinity keep their meaning


@njit(cache=True, parallel=True)
def widen(u, w):
    """Copy u (N, 18) into w (N + 1, 24); w holds zeros elsewhere."""
    n = u.shape[0]
    for c in prange((n + ROWS - 1) // ROWS):
        for row in range(c * ROWS, min(n, (c + 1) * ROWS)):
            for i in range(3):
                for load in range(LOADS):
                    w[row, LANES * i + load] = u[row, LOADS * i + load]


@njit(cache=True, parallel=True)
def narrow(w, u):
    """Copy w (N + 1, 24) into u (N, 18)."""
    n = u.shape[0]
    for c in prange((n + ROWS - 1) // ROWS):
        for row in range(c * ROWS, min(n, (c + 1) * ROWS)):
            for i in range(3):
                for load in range(LOADS):
                    u[row, LOADS * i + load] = w[row, LANES * i + load]


@njit(cache=True, fastmath=FUSED)
def row_product(w, neighbours, stencil, row, acc):
    """acc (24,) = row `row` of K w; `stencil` (27, 9) holds its blocks row by row."""
    missing = neighbours.shape[0]
    for j in range(WIDTH):
        acc[j] = 0.0
    for o in range(27):
        other = neighbours[row, o]
        if other == missing:
            continue
        s = stencil[o]
        s0, s1, s2, s3, s4, s5, s6, s7, s8 = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
        for j in range(LANES):
            x = w[other, j]
            y = w[other, LANES + j]
            z = w[other, 2 * LANES + j]
            acc[j] += s0 * x + s1 * y + s2 * z
            acc[LANES + j] += s3 * x + s4 * y + s5 * z
            acc[2 * LANES + j] += s6 * x + s7 * y + s8 * z


@njit(cache=True, fastmath=FUSED, parallel=True)
def stencil_product(w, neighbours, pattern, table, out):
    """out (N, 18) = K w with the blocks ``table[pattern[n]]`` (27, 9) of node n."""
    n = neighbours.shape[0]
    for c in prange((n + ROWS - 1) // ROWS):
        acc = np.empty(WIDTH, w.dtype)
        for row in range(c * ROWS, min(n, (c + 1) * ROWS)):
            row_product(w, neighbours, table[pattern[row]], row, acc)
            for i in range(3):
                for load in range(LOADS):
                    out[row, LOADS * i + load] = acc[LANES * i + load]


@njit(cache=True, fastmath=FUSED, parallel=True)
def gather_sum(x, rows, weights, out):
    """out[n] = sum_k weights[n, k] x[rows[n, k]]; rows past the end of x stand for zero."""
    n, width = out.shape
    for c in prange((n + ROWS - 1) // ROWS):
        for row in range(c * ROWS, min(n, (c + 1) * ROWS)):
            for j in range(width):
                out[row, j] = 0.0
            for k in range(rows.shape[1]):
                source = rows[row, k]
                if source < x.shape[0]:
                    weight = weights[row, k]
                    for j in range(width):
                        out[row, j] += weight * x[source, j]


@njit(cache=True, parallel=True)
def assemble(rows, around, material, density, ke, neighbour_of, blocks):
    """blocks (U, 27, 3, 3) of the nodes `rows` (U,), summed over the elements around them."""
    missing = material.shape[0]
    for c in prange((rows.shape[0] + ROWS - 1) // ROWS):
        for u in range(c * ROWS, min(rows.shape[0], (c + 1) * ROWS)):
            for a in range(8):
                element = around[rows[u], a]
                if element == missing:
                    continue
                matrix = ke[material[element]]
                for b in range(8):
                    for i in range(3):
                        for j in range(3):
                            blocks[u, neighbour_of[a, b], i, j] += (
                                density[element] * matrix[3 * a + i, 3 * b + j]
                            )
