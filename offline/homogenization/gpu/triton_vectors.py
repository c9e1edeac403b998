# mypy: disable-error-code="no-untyped-def"
"""Triton kernels of the vector operations: each reads and writes every value once.

Arrays are (rows, n) with one row per sample and load; sums of a block go to (rows, n_blocks) in
double precision, so that results do not depend on the order in which blocks run.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["advance_kernel", "direction_kernel", "dot_kernel", "gap_kernel", "symbol_kernel"]


@triton.jit
def _block(n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return tl.program_id(1).to(tl.int64) * n, at, at < n


@triton.jit
def _store_sum(parts, n_blocks, values):
    at = parts + tl.program_id(1).to(tl.int64) * n_blocks + tl.program_id(0)
    tl.store(at, tl.sum(values, axis=0))


@triton.jit
def dot_kernel(a, b, parts, n, n_blocks, BLOCK: tl.constexpr):
    """parts = sums of a b."""
    row, at, mask = _block(n, BLOCK)
    x = tl.load(a + row + at, mask=mask, other=0.0).to(tl.float64)
    y = tl.load(b + row + at, mask=mask, other=0.0).to(tl.float64)
    _store_sum(parts, n_blocks, x * y)


@triton.jit
def gap_kernel(a, b, parts, n, n_blocks, BLOCK: tl.constexpr):
    """parts = sums of (a - b)^2."""
    row, at, mask = _block(n, BLOCK)
    x = tl.load(a + row + at, mask=mask, other=0.0)
    y = tl.load(b + row + at, mask=mask, other=0.0)
    gap = (x - y).to(tl.float64)
    _store_sum(parts, n_blocks, gap * gap)


@triton.jit
def direction_kernel(z, p, beta, n, BLOCK: tl.constexpr):
    """p = z + beta p; beta (rows,) in double precision."""
    row, at, mask = _block(n, BLOCK)
    factor = tl.load(beta + tl.program_id(1)).to(tl.float32)
    new = tl.load(z + row + at, mask=mask) + factor * tl.load(p + row + at, mask=mask)
    tl.store(p + row + at, new, mask=mask)


@triton.jit
def advance_kernel(p, q, u, r, alpha, parts, n, n_blocks, BLOCK: tl.constexpr):
    """u += alpha p in double precision, r -= alpha q; parts = sums of r^2."""
    row, at, mask = _block(n, BLOCK)
    step = tl.load(alpha + tl.program_id(1))
    moved = tl.load(u + row + at, mask=mask) + step * tl.load(p + row + at, mask=mask).to(
        tl.float64
    )
    tl.store(u + row + at, moved, mask=mask)
    rest = tl.load(r + row + at, mask=mask, other=0.0)
    rest -= step.to(tl.float32) * tl.load(q + row + at, mask=mask, other=0.0)
    tl.store(r + row + at, rest, mask=mask)
    long = rest.to(tl.float64)
    _store_sum(parts, n_blocks, long * long)


@triton.jit
def symbol_kernel(inverse, spectrum, n, LOADS: tl.constexpr, BLOCK: tl.constexpr):
    """In place: spectrum (samples, LOADS, 3, n, 2) times the symmetric inverse (samples, 6, n).

    Real and imaginary parts are lanes side by side.
    """
    sample = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < 2 * n
    stride = sample * 0 + n
    m = inverse + sample * 6 * stride + at // 2
    m0, m1 = tl.load(m, mask=mask), tl.load(m + stride, mask=mask)
    m2, m3 = tl.load(m + 2 * stride, mask=mask), tl.load(m + 3 * stride, mask=mask)
    m4, m5 = tl.load(m + 4 * stride, mask=mask), tl.load(m + 5 * stride, mask=mask)
    for load in tl.static_range(LOADS):
        x = spectrum + (sample * LOADS + load) * 6 * stride + at
        x0, x1 = tl.load(x, mask=mask), tl.load(x + 2 * stride, mask=mask)
        x2 = tl.load(x + 4 * stride, mask=mask)
        tl.store(x, m0 * x0 + m3 * x1 + m4 * x2, mask=mask)
        tl.store(x + 2 * stride, m3 * x0 + m1 * x1 + m5 * x2, mask=mask)
        tl.store(x + 4 * stride, m4 * x0 + m5 * x1 + m2 * x2, mask=mask)
