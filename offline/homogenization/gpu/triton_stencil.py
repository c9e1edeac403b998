# mypy: disable-error-code="no-untyped-def"
r"""Triton kernels of the element operator: one lane per node, no atomics, fixed order of sums.

A node gathers from the 26 nodes around it,

.. math:: (K u)_n = \sum_d C_d\, (u_{n+d} - u_n), \qquad
          C_d = \sum_{e \ni n, n+d} \rho_e\, K_e[n, n+d],

with the 3x3 blocks of the up to four elements that hold both nodes. The diagonal block drops out
because rigid translations carry no force; differences also spare single precision's digits on fine
grids. The blocks are put together once per node and serve six load cases. Programs work on tiles of
T1 x T2 x T3 nodes; axis 2 of the grid runs along lanes, so that loads are coalesced. Tiles inside
void only write zeros.

Local node and element share a number: element e of a node is the one in which it is local node e.
Neighbour d = 9 (d1 + 1) + 3 (d2 + 1) + (d3 + 1) sits at offset (d1, d2, d3). The 56 pairs of a
neighbour and an element that holds it come from a table (`pair_table`), in a loop: written out, the
kernel took minutes to compile and its registers did not suffice.
"""

from __future__ import annotations

import numpy as np
import triton
import triton.language as tl

__all__ = ["energy_kernel", "pair_table", "stencil_kernel"]


def pair_table() -> np.ndarray:
    """Pairs in the order of the neighbours (140,) int32.

    28 starts (one per neighbour and the end), then 56 elements, then 56 offsets of the blocks in an
    element matrix.

    >>> int(pair_table()[27])
    56
    """
    starts, elements, blocks = [0], [], []
    for d in range(27):
        step = np.array([d // 9 - 1, d // 3 % 3 - 1, d % 3 - 1])
        for e in range(8) if d != 13 else ():
            other = np.array([e // 4, e // 2 % 2, e % 2]) + step
            if other.min() >= 0 and other.max() <= 1:
                elements.append(e)
                blocks.append(72 * e + 3 * int(other @ [4, 2, 1]))
        starts.append(len(elements))
    return np.array(starts + elements + blocks, dtype=np.int32)


@triton.jit
def _tile_nodes(n1, n2, n3, tiles2, tiles3, T1: tl.constexpr, T2: tl.constexpr, T3: tl.constexpr):
    """Indices of this program's nodes; lanes beyond the grid repeat its last nodes."""
    tile = tl.program_id(0)
    lane = tl.arange(0, T1 * T2 * T3)
    i = tile // (tiles2 * tiles3) * T1 + lane // (T2 * T3)
    j = tile // tiles3 % tiles2 * T2 + lane // T3 % T2
    k = tile % tiles3 * T3 + lane % T3
    inside = (i < n1) & (j < n2) & (k < n3)
    return tl.minimum(i, n1 - 1), tl.minimum(j, n2 - 1), tl.minimum(k, n3 - 1), inside


@triton.jit
def _shifted(i, n, step):
    """Periodic index i + step for a step of -1, 0 or 1."""
    i += step
    i = tl.where(i < 0, n - 1, i)
    return tl.where(i == n, 0, i)


@triton.jit
def _neighbour(i, j, k, n1, n2, n3, d):
    """Number within a component of the node at offset d."""
    a = _shifted(i, n1, d // 9 - 1)
    b = _shifted(j, n2, d // 3 % 3 - 1)
    return (a * n2 + b) * n3 + _shifted(k, n3, d % 3 - 1)


@triton.jit
def _difference(x, stride, load, here, there, affine, d, TOTAL: tl.constexpr):
    """Values of one load case at the neighbour minus those at the node, of E x - u if TOTAL."""
    first = x + 3 * load * stride
    d0 = tl.load(first + there) - tl.load(first + here)
    d1 = tl.load(first + stride + there) - tl.load(first + stride + here)
    d2 = tl.load(first + 2 * stride + there) - tl.load(first + 2 * stride + here)
    if TOTAL:
        step = affine + 18 * d + 3 * load
        d0, d1, d2 = tl.load(step) - d0, tl.load(step + 1) - d1, tl.load(step + 2) - d2
    return d0, d1, d2


@triton.jit
def _add_load(
    x, stride, load: tl.constexpr, here, there, affine, d, TOTAL: tl.constexpr,
    c00, c01, c02, c10, c11, c12, c20, c21, c22, a0, a1, a2,
):  # fmt: skip
    """Add C_d times the difference of one load case to the forces a."""
    d0, d1, d2 = _difference(x, stride, load, here, there, affine, d, TOTAL)
    a0 = c02 * d2 + (c01 * d1 + (c00 * d0 + a0))  # multiply-adds
    a1 = c12 * d2 + (c11 * d1 + (c10 * d0 + a1))
    a2 = c22 * d2 + (c21 * d1 + (c20 * d0 + a2))
    return a0, a1, a2


@triton.jit
def _finish(
    x, out, power, stride, sample, n_tiles, load: tl.constexpr, here, inside,
    TOTAL: tl.constexpr, a0, a1, a2,
):  # fmt: skip
    """Store the forces of one load case and the work of this tile."""
    first = out + 3 * load * stride + here
    tl.store(first, a0.to(out.dtype.element_ty), mask=inside)
    tl.store(first + stride, a1.to(out.dtype.element_ty), mask=inside)
    tl.store(first + 2 * stride, a2.to(out.dtype.element_ty), mask=inside)
    if not TOTAL:
        row = x + 3 * load * stride + here
        work = tl.load(row).to(tl.float64) * a0.to(tl.float64)
        work += tl.load(row + stride).to(tl.float64) * a1.to(tl.float64)
        work += tl.load(row + 2 * stride).to(tl.float64) * a2.to(tl.float64)
        total = tl.sum(tl.where(inside, work, 0.0), axis=0)
        tl.store(power + (sample * 6 + load) * n_tiles + tl.program_id(0), total)


@triton.jit
def _any_solid(material, i, j, k, n1, n2, n3):
    """Largest material number of the elements around the nodes of a tile."""
    most = 0
    for e in range(8):
        d = 13 - 9 * (e // 4) - 3 * (e // 2 % 2) - e % 2
        kind = tl.load(material + _neighbour(i, j, k, n1, n2, n3, d)).to(tl.int32)
        most = tl.maximum(most, tl.max(kind, axis=0))
    return most


@triton.jit
def stencil_kernel(
    x, out, power, table, affine, pairs, material, density,
    n1, n2, n3, tiles2, tiles3, n_tiles,
    T1: tl.constexpr, T2: tl.constexpr, T3: tl.constexpr,
    DENSITY: tl.constexpr, TOTAL: tl.constexpr,
):  # fmt: skip
    """out = K x and the work of each tile; with TOTAL the forces f - K x from E x - u instead.

    x, out (samples, 6, 3, n1, n2, n3); power (samples, 6, n_tiles); table (rows, 24, 24) in the
    precision of x; affine (27, 6, 3) in double precision; pairs from `pair_table`; material,
    density (samples, n1, n2, n3). Launched on (n_tiles, samples) programs.
    """
    sample = tl.program_id(1).to(tl.int64)
    stride = sample * 0 + n1 * n2 * n3  # 64 bits: 18 components may exceed 2**31 values
    x += sample * 18 * stride
    out += sample * 18 * stride
    material += sample * stride
    density += sample * stride
    i, j, k, inside = _tile_nodes(n1, n2, n3, tiles2, tiles3, T1, T2, T3)
    here = (i * n2 + j) * n3 + k
    zero = tl.zeros([T1 * T2 * T3], table.dtype.element_ty)
    a00, a01, a02, a10, a11, a12 = zero, zero, zero, zero, zero, zero
    a20, a21, a22, a30, a31, a32 = zero, zero, zero, zero, zero, zero
    a40, a41, a42, a50, a51, a52 = zero, zero, zero, zero, zero, zero
    if _any_solid(material, i, j, k, n1, n2, n3) > 0:
        for d in range(27):
            c00, c01, c02, c10, c11, c12 = zero, zero, zero, zero, zero, zero
            c20, c21, c22 = zero, zero, zero
            for t in range(tl.load(pairs + d), tl.load(pairs + d + 1)):
                e = tl.load(pairs + 28 + t)
                back = 13 - 9 * (e // 4) - 3 * (e // 2 % 2) - e % 2
                at = _neighbour(i, j, k, n1, n2, n3, back)
                b = table + tl.load(pairs + 84 + t) + tl.load(material + at).to(tl.int32) * 576
                f = zero + 1.0
                if DENSITY:
                    f = tl.load(density + at).to(f.dtype)
                c00 += f * tl.load(b)
                c01 += f * tl.load(b + 1)
                c02 += f * tl.load(b + 2)
                c10 += f * tl.load(b + 24)
                c11 += f * tl.load(b + 25)
                c12 += f * tl.load(b + 26)
                c20 += f * tl.load(b + 48)
                c21 += f * tl.load(b + 49)
                c22 += f * tl.load(b + 50)
            there = _neighbour(i, j, k, n1, n2, n3, d)
            a00, a01, a02 = _add_load(
                x, stride, 0, here, there, affine, d, TOTAL,
                c00, c01, c02, c10, c11, c12, c20, c21, c22, a00, a01, a02,
            )  # fmt: skip
            a10, a11, a12 = _add_load(
                x, stride, 1, here, there, affine, d, TOTAL,
                c00, c01, c02, c10, c11, c12, c20, c21, c22, a10, a11, a12,
            )  # fmt: skip
            a20, a21, a22 = _add_load(
                x, stride, 2, here, there, affine, d, TOTAL,
                c00, c01, c02, c10, c11, c12, c20, c21, c22, a20, a21, a22,
            )  # fmt: skip
            a30, a31, a32 = _add_load(
                x, stride, 3, here, there, affine, d, TOTAL,
                c00, c01, c02, c10, c11, c12, c20, c21, c22, a30, a31, a32,
            )  # fmt: skip
            a40, a41, a42 = _add_load(
                x, stride, 4, here, there, affine, d, TOTAL,
                c00, c01, c02, c10, c11, c12, c20, c21, c22, a40, a41, a42,
            )  # fmt: skip
            a50, a51, a52 = _add_load(
                x, stride, 5, here, there, affine, d, TOTAL,
                c00, c01, c02, c10, c11, c12, c20, c21, c22, a50, a51, a52,
            )  # fmt: skip
    _finish(x, out, power, stride, sample, n_tiles, 0, here, inside, TOTAL, a00, a01, a02)
    _finish(x, out, power, stride, sample, n_tiles, 1, here, inside, TOTAL, a10, a11, a12)
    _finish(x, out, power, stride, sample, n_tiles, 2, here, inside, TOTAL, a20, a21, a22)
    _finish(x, out, power, stride, sample, n_tiles, 3, here, inside, TOTAL, a30, a31, a32)
    _finish(x, out, power, stride, sample, n_tiles, 4, here, inside, TOTAL, a40, a41, a42)
    _finish(x, out, power, stride, sample, n_tiles, 5, here, inside, TOTAL, a50, a51, a52)


@triton.jit
def _corner_difference(x, stride, load, i, j, k, n1, n2, n3, affine, a):
    """Total displacement of local node a of each element minus that of local node 0."""
    d = 13 + 9 * (a // 4) + 3 * (a // 2 % 2) + a % 2
    here = (i * n2 + j) * n3 + k
    there = _neighbour(i, j, k, n1, n2, n3, d)
    return _difference(x, stride, load, here, there, affine, d, True)


@triton.jit
def _add_product(x, stride, load: tl.constexpr, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, total):
    d0, d1, d2 = _corner_difference(x, stride, load, i, j, k, n1, n2, n3, affine, a)
    return total + (y0 * d0 + y1 * d1 + y2 * d2)


@triton.jit
def _store_energy(energy, sample, row, n_tiles, column: tl.constexpr, total, factor):
    at = energy + ((sample * 6 + row) * 6 + column) * n_tiles + tl.program_id(0)
    tl.store(at, tl.sum(total * factor, axis=0))


@triton.jit
def energy_kernel(
    x, energy, table, affine, material, density,
    n1, n2, n3, tiles2, tiles3, n_tiles,
    T1: tl.constexpr, T2: tl.constexpr, T3: tl.constexpr, DENSITY: tl.constexpr,
):  # fmt: skip
    """Energy products of the total displacements E x - u per tile (samples, 6, 6, n_tiles).

    One lane per element. Displacements are taken relative to local node 0, whose rows and columns
    then drop out. Launched on (n_tiles, samples, 6) programs, the last axis for the load case of
    the forces; arguments in double precision, otherwise as above.
    """
    sample = tl.program_id(1).to(tl.int64)
    row = tl.program_id(2)
    stride = sample * 0 + n1 * n2 * n3
    x += sample * 18 * stride
    i, j, k, inside = _tile_nodes(n1, n2, n3, tiles2, tiles3, T1, T2, T3)
    at = sample * stride + (i * n2 + j) * n3 + k
    kind = tl.load(material + at).to(tl.int32)
    factor = tl.where(inside, 1.0, 0.0).to(tl.float64)
    if DENSITY:
        factor *= tl.load(density + at).to(tl.float64)
    zero = tl.zeros([T1 * T2 * T3], table.dtype.element_ty)
    e0, e1, e2, e3, e4, e5 = zero, zero, zero, zero, zero, zero
    if tl.max(kind, axis=0) > 0:
        for a in range(1, 8):
            y0, y1, y2 = zero, zero, zero
            for b in range(1, 8):
                d0, d1, d2 = _corner_difference(x, stride, row, i, j, k, n1, n2, n3, affine, b)
                m = table + kind * 576 + (72 * a + 3 * b)
                y0 += tl.load(m) * d0 + tl.load(m + 1) * d1 + tl.load(m + 2) * d2
                y1 += tl.load(m + 24) * d0 + tl.load(m + 25) * d1 + tl.load(m + 26) * d2
                y2 += tl.load(m + 48) * d0 + tl.load(m + 49) * d1 + tl.load(m + 50) * d2
            e0 = _add_product(x, stride, 0, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, e0)
            e1 = _add_product(x, stride, 1, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, e1)
            e2 = _add_product(x, stride, 2, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, e2)
            e3 = _add_product(x, stride, 3, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, e3)
            e4 = _add_product(x, stride, 4, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, e4)
            e5 = _add_product(x, stride, 5, i, j, k, n1, n2, n3, affine, a, y0, y1, y2, e5)
    _store_energy(energy, sample, row, n_tiles, 0, e0, factor)
    _store_energy(energy, sample, row, n_tiles, 1, e1, factor)
    _store_energy(energy, sample, row, n_tiles, 2, e2, factor)
    _store_energy(energy, sample, row, n_tiles, 3, e3, factor)
    _store_energy(energy, sample, row, n_tiles, 4, e4, factor)
    _store_energy(energy, sample, row, n_tiles, 5, e5, factor)
