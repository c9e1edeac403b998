# mypy: disable-error-code="no-untyped-def"
"""Compiled loops over the active nodes of a batch, for the CPU.

Fields are rows of 24 numbers, component ``8 * i + load``: six loads in lanes of eight, so that one
vector instruction handles all of them. A last row of zeros stands for every missing neighbour.
Each row of `pieces` is a run of nodes of one cell (first, stop, cell). Sums over a piece go to its
row of `parts`, in double precision, and do not depend on the number of threads.
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
    "multiply",
    "narrow",
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


@njit(cache=True, fastmath=FUSED, parallel=True)
def multiply(w, neighbours, pattern, blocks, pieces, q, parts):
    """q = K w with the blocks (27, 9) of pattern[n] for node n; parts[c, 0] = w . q.

    Three neighbours at a time and by explicit scalars: shorter bodies of the loop over lanes are
    unrolled before they can be vectorised, which costs a factor of four.
    """
    for c in prange(len(pieces)):
        acc = np.zeros(WIDTH, w.dtype)
        dot = np.zeros(LANES)
        for n in range(pieces[c, 0], pieces[c, 1]):
            s = pattern[n]
            for j in range(WIDTH):
                acc[j] = 0.0
            for g in range(0, 27, 3):
                ka, kb, kc = neighbours[n, g], neighbours[n, g + 1], neighbours[n, g + 2]
                a0, a1, a2 = blocks[s, g, 0], blocks[s, g, 1], blocks[s, g, 2]
                a3, a4, a5 = blocks[s, g, 3], blocks[s, g, 4], blocks[s, g, 5]
                a6, a7, a8 = blocks[s, g, 6], blocks[s, g, 7], blocks[s, g, 8]
                b0, b1, b2 = blocks[s, g + 1, 0], blocks[s, g + 1, 1], blocks[s, g + 1, 2]
                b3, b4, b5 = blocks[s, g + 1, 3], blocks[s, g + 1, 4], blocks[s, g + 1, 5]
                b6, b7, b8 = blocks[s, g + 1, 6], blocks[s, g + 1, 7], blocks[s, g + 1, 8]
                c0, c1, c2 = blocks[s, g + 2, 0], blocks[s, g + 2, 1], blocks[s, g + 2, 2]
                c3, c4, c5 = blocks[s, g + 2, 3], blocks[s, g + 2, 4], blocks[s, g + 2, 5]
                c6, c7, c8 = blocks[s, g + 2, 6], blocks[s, g + 2, 7], blocks[s, g + 2, 8]
                for j in range(LANES):
                    xa, ya, za = w[ka, j], w[ka, LANES + j], w[ka, 2 * LANES + j]
                    xb, yb, zb = w[kb, j], w[kb, LANES + j], w[kb, 2 * LANES + j]
                    xc, yc, zc = w[kc, j], w[kc, LANES + j], w[kc, 2 * LANES + j]
                    acc[j] += (
                        (a0 * xa + a1 * ya + a2 * za)
                        + (b0 * xb + b1 * yb + b2 * zb)
                        + (c0 * xc + c1 * yc + c2 * zc)
                    )
                    acc[LANES + j] += (
                        (a3 * xa + a4 * ya + a5 * za)
                        + (b3 * xb + b4 * yb + b5 * zb)
                        + (c3 * xc + c4 * yc + c5 * zc)
                    )
                    acc[2 * LANES + j] += (
                        (a6 * xa + a7 * ya + a8 * za)
                        + (b6 * xb + b7 * yb + b8 * zb)
                        + (c6 * xc + c7 * yc + c8 * zc)
                    )
            for j in range(WIDTH):
                q[n, j] = acc[j]
            for j in range(LANES):
                dot[j] += (
                    w[n, j] * acc[j]
                    + w[n, LANES + j] * acc[LANES + j]
                    + w[n, 2 * LANES + j] * acc[2 * LANES + j]
                )
        for load in range(LOADS):
            parts[c, 0, load] = dot[load]


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
