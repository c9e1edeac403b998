r"""Convolutions of nodal fields with a kernel given by its symbol, by fast Fourier transforms.

The convolution is real, so it acts on real and imaginary parts alike: load cases k and k + 3 make
the two parts of one complex field. Nine complex fields fill the memory of eighteen real ones; they
are transformed in place, with no half spectrum and for every size.

Three passes over the grid, each in parallel over independent blocks that fit the cache: slabs along
axis 0 (gather nodes, transform axes 2 and 1), pencils along axis 0 (transform, multiply by the
symbol, transform back), slabs again (transform back axes 1 and 2, scatter to nodes). Rows without
nodes are left out of the transforms along axis 2. A row (i, j) of the grid holds the real parts
``[k][component, load]`` and then the imaginary ones.

Transforms are Stockham's (no reordering) with radices 8, 4, 2, 3 and small primes, on 144 sequences
at a time as vector lanes (Van Loan, *Computational Frameworks for the FFT*, 1992, section 1.7).
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["LARGEST_PRIME", "convolve", "plan", "transform"]

LARGEST_PRIME = 13  # sizes with larger factors cost too much here
FIELDS = 9  # complex
POINTS = 16  # points or rows handled together
LANES = FIELDS * POINTS  # of 48, 96, 144 and 240 the best on AVX-512 with 48 KiB of level 1
ROWS = 8  # largest radix with a butterfly of its own
HALF = ROWS * LANES
ROOT = np.float32(np.sqrt(0.5))
SIN_3 = np.float32(np.sqrt(0.75))
FUSED = {"contract"}
U = np.uint64


def plan(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Radices of a transform of length n, and exp(-2 pi i k / n) as (n, 2) float32.

    Examples
    --------
    >>> plan(96)[0].tolist()
    [8, 4, 3]
    """
    radices, rest = [1] if n == 1 else [], n
    for radix in (8, 4, 2, *range(3, n + 1)):
        while rest % radix == 0 and rest > 1:
            radices.append(radix)
            rest //= radix
    if radices[-1:] == [2] and radices[-2:-1] == [8]:
        radices[-2:] = [4, 4]
    angle = -2.0 * np.pi * np.arange(n) / n
    twiddles = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return np.array(radices, dtype=np.int64), twiddles


@njit(cache=True, fastmath=FUSED)
def _radix_8(b):
    for i in range(LANES):
        a0, a4 = b[i], b[4 * LANES + i]
        a2, a6 = b[2 * LANES + i], b[6 * LANES + i]
        a1, a5 = b[LANES + i], b[5 * LANES + i]
        a3, a7 = b[3 * LANES + i], b[7 * LANES + i]
        c0, c4 = b[HALF + i], b[HALF + 4 * LANES + i]
        c2, c6 = b[HALF + 2 * LANES + i], b[HALF + 6 * LANES + i]
        c1, c5 = b[HALF + LANES + i], b[HALF + 5 * LANES + i]
        c3, c7 = b[HALF + 3 * LANES + i], b[HALF + 7 * LANES + i]
        s0, d0, s2, d2 = a0 + a4, a0 - a4, a2 + a6, a2 - a6
        s1, d1, s3, d3 = a1 + a5, a1 - a5, a3 + a7, a3 - a7
        t0, e0, t2, e2 = c0 + c4, c0 - c4, c2 + c6, c2 - c6
        t1, e1, t3, e3 = c1 + c5, c1 - c5, c3 + c7, c3 - c7
        # four points of the even and of the odd members
        p0, p2, p1, p3 = s0 + s2, s0 - s2, d0 + e2, d0 - e2
        q0, q2, q1, q3 = t0 + t2, t0 - t2, e0 - d2, e0 + d2
        g0, g2, g1, g3 = s1 + s3, s1 - s3, d1 + e3, d1 - e3
        h0, h2, h1, h3 = t1 + t3, t1 - t3, e1 - d3, e1 + d3
        x1, y1 = ROOT * (g1 + h1), ROOT * (h1 - g1)
        x3, y3 = ROOT * (h3 - g3), -ROOT * (g3 + h3)
        b[i], b[4 * LANES + i] = p0 + g0, p0 - g0
        b[LANES + i], b[5 * LANES + i] = p1 + x1, p1 - x1
        b[2 * LANES + i], b[6 * LANES + i] = p2 + h2, p2 - h2
        b[3 * LANES + i], b[7 * LANES + i] = p3 + x3, p3 - x3
        b[HALF + i], b[HALF + 4 * LANES + i] = q0 + h0, q0 - h0
        b[HALF + LANES + i], b[HALF + 5 * LANES + i] = q1 + y1, q1 - y1
        b[HALF + 2 * LANES + i], b[HALF + 6 * LANES + i] = q2 - g2, q2 + g2
        b[HALF + 3 * LANES + i], b[HALF + 7 * LANES + i] = q3 + y3, q3 - y3


@njit(cache=True, fastmath=FUSED)
def _radix_4(b):
    for i in range(LANES):
        a0, a1, a2, a3 = b[i], b[LANES + i], b[2 * LANES + i], b[3 * LANES + i]
        c0, c1 = b[HALF + i], b[HALF + LANES + i]
        c2, c3 = b[HALF + 2 * LANES + i], b[HALF + 3 * LANES + i]
        s, d, t, e = a0 + a2, a0 - a2, a1 + a3, a1 - a3
        v, f, w, g = c0 + c2, c0 - c2, c1 + c3, c1 - c3
        b[i], b[2 * LANES + i] = s + t, s - t
        b[LANES + i], b[3 * LANES + i] = d + g, d - g
        b[HALF + i], b[HALF + 2 * LANES + i] = v + w, v - w
        b[HALF + LANES + i], b[HALF + 3 * LANES + i] = f - e, f + e


@njit(cache=True, fastmath=FUSED)
def _radix_3(b):
    for i in range(LANES):
        a0, a1, a2 = b[i], b[LANES + i], b[2 * LANES + i]
        c0, c1, c2 = b[HALF + i], b[HALF + LANES + i], b[HALF + 2 * LANES + i]
        s, t = a1 + a2, c1 + c2
        d, e = SIN_3 * (a1 - a2), SIN_3 * (c1 - c2)
        h, g = a0 - np.float32(0.5) * s, c0 - np.float32(0.5) * t
        b[i], b[HALF + i] = a0 + s, c0 + t
        b[LANES + i], b[2 * LANES + i] = h + e, h - e
        b[HALF + LANES + i], b[HALF + 2 * LANES + i] = g - d, g + d


@njit(cache=True, fastmath=FUSED)
def _radix_2(b):
    for i in range(LANES):
        a0, a1 = b[i], b[LANES + i]
        c0, c1 = b[HALF + i], b[HALF + LANES + i]
        b[i], b[LANES + i] = a0 + a1, a0 - a1
        b[HALF + i], b[HALF + LANES + i] = c0 + c1, c0 - c1


@njit(cache=True, fastmath=FUSED)
def _copy(x, start, b, to, count):
    """Unsigned indices: the compiler need not look for negative ones, and vectorises."""
    o, t = U(start), U(to)
    if count == LANES:  # a constant number of turns makes a third of the time
        for i in range(U(LANES)):
            b[t + i] = x[o + i]
    else:
        for i in range(U(count)):
            b[t + i] = x[o + i]


@njit(cache=True, fastmath=FUSED)
def _turned(b, j, c, s, y, re, im, count):
    """Row j of b times c + i s into y."""
    u, v, yr, yi = U(j * LANES), U(HALF + j * LANES), U(re), U(im)
    if count == LANES:
        for i in range(U(LANES)):
            y[yr + i] = c * b[u + i] - s * b[v + i]
            y[yi + i] = s * b[u + i] + c * b[v + i]
    else:
        for i in range(U(count)):
            y[yr + i] = c * b[u + i] - s * b[v + i]
            y[yi + i] = s * b[u + i] + c * b[v + i]


@njit(cache=True, fastmath=FUSED)
def _accumulate(x, xr, xi, c, s, y, yr, yi, count):
    """y += (c + i s) x."""
    u, v, re, im = U(xr), U(xi), U(yr), U(yi)
    for i in range(U(count)):
        y[re + i] += c * x[u + i] - s * x[v + i]
        y[im + i] += s * x[u + i] + c * x[v + i]


@njit(cache=True)
def _any_radix(x, y, radix, p, m, first, out, stride, places, count, twiddles, fold):
    """One butterfly of a radix without code of its own: every output a sum over all inputs."""
    xr, xi, x_step, yr, yi, y_step = places
    n = twiddles.shape[0]
    for j in range(radix):
        row = (out + stride * j) * y_step
        y[yr + row : yr + row + count] = 0.0
        y[yi + row : yi + row + count] = 0.0
        for k in range(radix):
            source = (first + stride * m * k) * x_step
            t = (j * (p + m * k) * fold) % n  # w_radix^jk times the twiddle w^jp
            c, s = twiddles[t, 0], twiddles[t, 1]
            _accumulate(x, xr + source, xi + source, c, s, y, yr + row, yi + row, count)


@njit(cache=True)
def _butterfly(radix, b):
    if radix == 8:
        _radix_8(b)
    elif radix == 4:
        _radix_4(b)
    elif radix == 3:
        _radix_3(b)
    else:
        _radix_2(b)


@njit(cache=True)
def _pass(x, y, radix, lengths, places, count, twiddles, b):
    """One pass of radix `radix` over sequences of `length` points `stride` rows apart.

    `lengths` holds these two; `places` says where rows of x begin, real and imaginary, and how far
    apart they are; then the same of y.
    """
    length, stride = lengths
    xr, xi, x_step, yr, yi, y_step = places
    m, fold = length // radix, twiddles.shape[0] // length
    for p in range(m):
        for q in range(stride):
            first, out = q + stride * p, q + stride * radix * p
            if not has_butterfly(radix):
                _any_radix(x, y, radix, p, m, first, out, stride, places, count, twiddles, fold)
                continue
            for k in range(radix):
                row = (first + stride * m * k) * x_step
                _copy(x, xr + row, b, k * LANES, count)
                _copy(x, xi + row, b, HALF + k * LANES, count)
            _butterfly(radix, b)
            for j in range(radix):
                row, t = (out + stride * j) * y_step, j * p * fold
                c, s = twiddles[t, 0], twiddles[t, 1]
                _turned(b, j, c, s, y, yr + row, yi + row, count)


@njit(cache=True)
def has_butterfly(radix):
    return radix == 2 or radix == 3 or radix == 4 or radix == 8


@njit(cache=True)
def transform(
    grid, start, step, part, count, radices, twiddles, swap, from_grid, to_grid, x, y, scratch
):
    """Transform `count` <= 144 neighbouring sequences of n points.

    Parameters
    ----------
    grid : (...,) float32
        Point k of the sequences begins at ``start + k * step``, its imaginary parts `part` behind.
    radices, twiddles : see `plan`
    swap : bool
        Exchange the roles of real and imaginary parts, which transforms backward.
    from_grid, to_grid : bool
        Whether the data come from the grid or from x, and whether they go there.
    x, y : (2 n 144,) float32
        Rows ``[k][144 lanes]``, imaginary ones behind all real ones.
    scratch : (2304,) float32

    Returns
    -------
    x and y, the first one holding the result if it does not go to the grid.
    """
    n = twiddles.shape[0]
    half = n * LANES
    outer, inner = (start, start + part, step), (0, half, LANES)
    if swap:
        outer, inner = (start + part, start, step), (half, 0, LANES)
    on_grid = from_grid
    last = len(radices) - 1
    if from_grid and (last == 0 or not has_butterfly(radices[0])):  # not in place
        for k in range(n):
            _copy(grid, outer[0] + k * step, x, inner[0] + k * LANES, count)
            _copy(grid, outer[1] + k * step, x, inner[1] + k * LANES, count)
        on_grid = False
    length, stride = n, 1
    for stage in range(last + 1):
        radix = radices[stage]
        args = (length, stride)
        if on_grid and stage == last and to_grid:
            _pass(grid, grid, radix, args, outer + outer, count, twiddles, scratch)
        elif on_grid:
            _pass(grid, x, radix, args, outer + inner, count, twiddles, scratch)
        elif stage == last and to_grid:
            _pass(x, grid, radix, args, inner + outer, count, twiddles, scratch)
        else:
            _pass(x, y, radix, args, inner + inner, count, twiddles, scratch)
            x, y = y, x
        on_grid = False
        length //= radix
        stride *= radix
    return x, y


@njit(cache=True)
def _take_row(r, nodal, nodes, first, stop, origin, lane, half, x):
    """Nodes first to stop of one row of the grid into lanes of x."""
    for n in range(first, stop):
        s, o = nodal[n], U((nodes[n] - origin) * LANES + lane)
        h = o + U(half)
        for c in range(U(3)):
            for k in range(U(3)):
                x[o + U(3) * c + k] = s * r[n, U(6) * c + k]
                x[h + U(3) * c + k] = s * r[n, U(6) * c + U(3) + k]


@njit(cache=True)
def _give_row(x, nodal, nodes, first, stop, origin, lane, half, z):
    for n in range(first, stop):
        s, o = nodal[n], U((nodes[n] - origin) * LANES + lane)
        h = o + U(half)
        for c in range(U(3)):
            for k in range(U(3)):
                z[n, U(6) * c + k] = s * x[o + U(3) * c + k]
                z[n, U(6) * c + U(3) + k] = s * x[h + U(3) * c + k]


@njit(cache=True)
def _move_row(x, x_start, x_step, y, y_start, y_step, n):
    """Nine numbers at each of n points."""
    for k in range(n):
        o, t = U(x_start + k * x_step), U(y_start + k * y_step)
        for c in range(U(FIELDS)):
            y[t + c] = x[o + c]


@njit(cache=True, fastmath=FUSED)
def _multiply(inverse, j, k0, points, n3, x):
    """x <- symbol x at frequencies (all, j, k0 to k0 + points)."""
    n1, n2 = inverse.shape[0], inverse.shape[1]
    for i in range(n1):
        for point in range(points):
            k = k0 + point
            m = inverse[i, j, k] if 2 * k <= n3 else inverse[-i % n1, -j % n2, n3 - k]
            a, b, c, d, e, g = m[0], m[1], m[2], m[3], m[4], m[5]
            for part in range(2):
                o = U((part * n1 + i) * LANES + FIELDS * point)
                for load in range(U(3)):
                    u, v, w = x[o + load], x[o + U(3) + load], x[o + U(6) + load]
                    x[o + load] = a * u + d * v + e * w
                    x[o + U(3) + load] = d * u + b * v + g * w
                    x[o + U(6) + load] = e * u + g * v + c * w


@njit(cache=True)
def _buffers(n):
    size = 2 * LANES * n
    return (
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(2 * HALF, np.float32),
    )


@njit(cache=True)
def _along_axis_1(i, shape, radices, twiddles, swap, grid, x, y, b):
    """Transform slab i along axis 1."""
    n2, n3 = shape[1], shape[2]
    width = 2 * FIELDS * n3
    for k in range(0, n3, POINTS):
        count = min(POINTS, n3 - k) * FIELDS
        start = i * n2 * width + k * FIELDS
        transform(
            grid, start, width, width // 2, count, radices, twiddles, swap, True, True, x, y, b
        )


@njit(cache=True)
def _rows_with_nodes(rows, row, stop, taken):
    """The next rows with nodes, at most 16, into `taken`; their number, and the row behind."""
    count = 0
    while row < stop and count < POINTS:
        if rows[row] < rows[row + 1]:
            taken[count] = row
            count += 1
        row += 1
    return count, row


@njit(cache=True)
def _slab_forward(i, r, nodal, nodes, rows, shape, r2, t2, r3, t3, grid):
    """Gather slab i and transform along axes 2 and 1."""
    n2, n3 = shape[1], shape[2]
    width, half = 2 * FIELDS * n3, n3 * LANES
    x, y, b = _buffers(max(n2, n3))
    taken = np.empty(POINTS, np.int64)
    row = i * n2
    while row < (i + 1) * n2:
        begin = row
        count, row = _rows_with_nodes(rows, row, (i + 1) * n2, taken)
        for other in range(begin, row):
            if rows[other] == rows[other + 1]:
                grid[other * width : (other + 1) * width] = 0.0
        if count == 0:
            break
        x[: 2 * half] = 0.0
        for a in range(count):
            at = taken[a]
            _take_row(r, nodal, nodes, rows[at], rows[at + 1], at * n3, a * FIELDS, half, x)
        lanes = count * FIELDS
        x, y = transform(grid, 0, 0, 0, lanes, r3, t3, False, False, False, x, y, b)
        for a in range(count):
            to = taken[a] * width
            _move_row(x, a * FIELDS, LANES, grid, to, FIELDS, n3)
            _move_row(x, half + a * FIELDS, LANES, grid, to + width // 2, FIELDS, n3)
    _along_axis_1(i, shape, r2, t2, False, grid, x, y, b)


@njit(cache=True)
def _pencils(j, inverse, shape, r1, t1, grid):
    """Transform along axis 0, multiply by the symbol, transform back, for row j of all slabs."""
    n1, n2, n3 = shape
    width = 2 * FIELDS * n3
    step, part = n2 * width, width // 2
    x, y, b = _buffers(n1)
    for k in range(0, n3, POINTS):
        points = min(POINTS, n3 - k)
        start, count = j * width + k * FIELDS, points * FIELDS
        x, y = transform(grid, start, step, part, count, r1, t1, False, True, False, x, y, b)
        _multiply(inverse, j, k, points, n3, x)
        transform(grid, start, step, part, count, r1, t1, True, False, True, x, y, b)


@njit(cache=True)
def _slab_backward(i, nodal, nodes, rows, shape, r2, t2, r3, t3, grid, z):
    """Transform slab i back along axes 1 and 2 and scatter it to the nodes."""
    n2, n3 = shape[1], shape[2]
    width, half = 2 * FIELDS * n3, n3 * LANES
    x, y, b = _buffers(max(n2, n3))
    _along_axis_1(i, shape, r2, t2, True, grid, x, y, b)
    taken = np.empty(POINTS, np.int64)
    row = i * n2
    while row < (i + 1) * n2:
        count, row = _rows_with_nodes(rows, row, (i + 1) * n2, taken)
        if count == 0:
            break
        for a in range(count):
            of = taken[a] * width
            _move_row(grid, of, FIELDS, x, a * FIELDS, LANES, n3)
            _move_row(grid, of + width // 2, FIELDS, x, half + a * FIELDS, LANES, n3)
        lanes = count * FIELDS
        x, y = transform(grid, 0, 0, 0, lanes, r3, t3, True, False, False, x, y, b)
        for a in range(count):
            at = taken[a]
            _give_row(x, nodal, nodes, rows[at], rows[at + 1], at * n3, a * FIELDS, half, z)


@njit(cache=True, parallel=True)
def convolve(r, nodal, nodes, rows, inverse, shape, r1, t1, r2, t2, r3, t3, grid, z):
    """z = S M S r; M multiplies by n1 n2 n3 times the symbol between two transforms.

    Parameters
    ----------
    r, z : (n_nodes, 18) float32
        Fields, component ``6 * i + load``.
    nodal : (n_nodes,) float32
        Diagonal S.
    nodes : (n_nodes,)
        Grid number of each node, increasing.
    rows : (n1 n2 + 1,)
        First node of each row of the grid.
    inverse : (n1, n2, n3 // 2 + 1, 6) float32
        Symbol, real, even and symmetric 3x3: 11 22 33 12 13 23.
    shape : (n1, n2, n3)
    r1, t1, r2, t2, r3, t3 :
        `plan` of each axis.
    grid : (18 n1 n2 n3,) float32
        Scratch; may be the memory of z where all nodes are active.
    """
    n1, n2, n3 = shape
    plane = n2 * n3 * 2 * FIELDS
    for i in prange(n1):
        if rows[i * n2] < rows[(i + 1) * n2]:
            _slab_forward(i, r, nodal, nodes, rows, shape, r2, t2, r3, t3, grid)
        else:
            grid[i * plane : (i + 1) * plane] = 0.0
    for j in prange(n2):
        _pencils(j, inverse, shape, r1, t1, grid)
    for i in prange(n1):
        if rows[i * n2] < rows[(i + 1) * n2]:
            _slab_backward(i, nodal, nodes, rows, shape, r2, t2, r3, t3, grid, z)
