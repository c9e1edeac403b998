# mypy: disable-error-code="no-untyped-def"
"""Compiled loops of the smoothers, in single precision, fields (n, 18) as elsewhere."""

from __future__ import annotations

from numba import njit, prange

from offline.homogenization.node_kernels import LOADS, WIDTH

__all__ = ["first_step", "further_step", "subtract"]

FUSED = {"contract", "reassoc", "nsz"}  # NaN and infinity keep their meaning


@njit(cache=True, parallel=True, fastmath=FUSED)
def subtract(b, q, r):
    """r = b - q; r may be either."""
    for n in prange(b.shape[0]):
        for k in range(WIDTH):
            r[n, k] = b[n, k] - q[n, k]


@njit(cache=True, parallel=True, fastmath=FUSED)
def first_step(inverse, scale, r, keep, d, x):
    """d = scale D^-1 r; x = keep x + d, with the inverses (n, 9) of the diagonal blocks D.

    d may be x or r.
    """
    for n in prange(r.shape[0]):
        for load in range(LOADS):
            r_1, r_2, r_3 = r[n, load], r[n, LOADS + load], r[n, 2 * LOADS + load]
            for i in range(3):
                k = LOADS * i + load
                step = scale * (
                    inverse[n, 3 * i] * r_1
                    + inverse[n, 3 * i + 1] * r_2
                    + inverse[n, 3 * i + 2] * r_3
                )
                d[n, k] = step
                x[n, k] = x[n, k] + step if keep else step


@njit(cache=True, parallel=True, fastmath=FUSED)
def further_step(inverse, momentum, scale, r, d, x):
    """d = momentum d + scale D^-1 r; x += d."""
    for n in prange(r.shape[0]):
        for load in range(LOADS):
            r_1, r_2, r_3 = r[n, load], r[n, LOADS + load], r[n, 2 * LOADS + load]
            for i in range(3):
                k = LOADS * i + load
                step = (
                    inverse[n, 3 * i] * r_1
                    + inverse[n, 3 * i + 1] * r_2
                    + inverse[n, 3 * i + 2] * r_3
                )
                d[n, k] = momentum * d[n, k] + scale * step
                x[n, k] += d[n, k]
