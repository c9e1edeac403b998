r"""The two sweeps of the tree Newton, for eight points at once.

Nodes of the tree are base nodes 0 .. n_base - 1, then blocks; block k is node ``n_base + k``.
Arrays have the node first and the lanes last: strain and stress (n_nodes, 6, LANES), tangent
(n_nodes, 36, LANES) by rows. With the children's stresses s and tangents C linearised at their
current strains, traction continuity across a block's interface reads

.. math::
    H^T (s_1 + C_1 (\delta\varepsilon + f_2 H \delta a)) =
    H^T (s_2 + C_2 (\delta\varepsilon - f_1 H \delta a))

so that, with :math:`M = H^T (f_2 C_1 + f_1 C_2) H` and :math:`D = C_2 - C_1`,

.. math::
    \delta a = J \delta\varepsilon + g, \quad J = M^{-1} H^T D, \quad g = M^{-1} H^T (s_2 - s_1)

and the block answers like one material of tangent and stress

.. math::
    C = f_1 C_1 + f_2 C_2 - f_1 f_2 D H J, \qquad s = f_1 s_1 + f_2 s_2 - f_1 f_2 D H g.

Doing this from the leaves to the root and handing strains back down is Gaussian elimination of the
dense Newton system of He et al., algorithm 3, without fill-in: the same iterates at O(n) cost.
`matnet.online.sweeps` is the plain form.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math

from numba import njit, types
from numba.extending import intrinsic

from matnet.addresses import call_at
from matnet.simd import lane, load, mask_of, select, store

__all__ = [
    "CONDENSE",
    "DISTRIBUTE",
    "PREDICT",
    "call_condense",
    "call_distribute",
    "call_predict",
    "condense_general",
    "condense_symmetric",
    "distribute",
    "predict",
]

_F1, _F2, _F3 = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_I2 = types.int64[:, ::1]
CONDENSE = types.void(_F3, _F3, _F3, _F3, _F3, _F3, _F2, _F1, _F1, _F2, _I2)
DISTRIBUTE = types.void(_F3, _F3, _F3, _F3, _F3, _F3, _F3, _F1, types.int64, _F1, _F2, _I2)
PREDICT = types.void(_F3, _F3, _F3, _F3, _F3, _F1, _F3, _F1, _F2, _I2)


@intrinsic
def call_condense(typing, at, tangent, stress, mean, jump, gap, step, totals, f, weight, n, nodes):
    """`condense_symmetric` or `condense_general`, whichever lies at the address."""
    return call_at(CONDENSE)


@intrinsic
def call_distribute(typing, at, d_eps, eps, jump, gap, acc, trial, step, alpha, fresh, f, n, nodes):
    """`distribute`."""
    return call_at(DISTRIBUTE)


@intrinsic
def call_predict(typing, at, d_eps, eps, concentration, start, before, share, trial, f, n, nodes):
    """`predict`."""
    return call_at(PREDICT)


SQRT_HALF = math.sqrt(0.5)
PIVOT_FLOOR = 1e-13  # as in matnet.online.condense: pivots below are round-off (void)

inline = njit(forceinline=True, error_model="numpy")
kernel = njit(cache=True, error_model="numpy")


@inline
def load3(array, row):
    return (load(array, row), load(array, row + 1), load(array, row + 2))


@inline
def load6(array, row):
    return (
        load(array, row),
        load(array, row + 1),
        load(array, row + 2),
        load(array, row + 3),
        load(array, row + 4),
        load(array, row + 5),
    )


@inline
def store3(array, row, a):
    store(array, row, a[0])
    store(array, row + 1, a[1])
    store(array, row + 2, a[2])


@inline
def store6(array, row, a):
    store(array, row, a[0])
    store(array, row + 1, a[1])
    store(array, row + 2, a[2])
    store(array, row + 3, a[3])
    store(array, row + 4, a[4])
    store(array, row + 5, a[5])


@inline
def load_rows(tangent, node):
    """All rows of a node's tangent."""
    at = 36 * node
    return (
        load6(tangent, at),
        load6(tangent, at + 6),
        load6(tangent, at + 12),
        load6(tangent, at + 18),
        load6(tangent, at + 24),
        load6(tangent, at + 30),
    )


@inline
def mirror(c):
    """Rows whose lower triangle repeats the upper one; what is not used is never loaded."""
    return (
        c[0],
        (c[0][1], c[1][1], c[1][2], c[1][3], c[1][4], c[1][5]),
        (c[0][2], c[1][2], c[2][2], c[2][3], c[2][4], c[2][5]),
        (c[0][3], c[1][3], c[2][3], c[3][3], c[3][4], c[3][5]),
        (c[0][4], c[1][4], c[2][4], c[3][4], c[4][4], c[4][5]),
        (c[0][5], c[1][5], c[2][5], c[3][5], c[4][5], c[5][5]),
    )


@inline
def transposed(c):
    return (
        (c[0][0], c[1][0], c[2][0], c[3][0], c[4][0], c[5][0]),
        (c[0][1], c[1][1], c[2][1], c[3][1], c[4][1], c[5][1]),
        (c[0][2], c[1][2], c[2][2], c[3][2], c[4][2], c[5][2]),
        (c[0][3], c[1][3], c[2][3], c[3][3], c[4][3], c[5][3]),
        (c[0][4], c[1][4], c[2][4], c[3][4], c[4][4], c[5][4]),
        (c[0][5], c[1][5], c[2][5], c[3][5], c[4][5], c[5][5]),
    )


@inline
def normal_of(normals, k):
    """Unit normal, and the same times sqrt(1/2) for the shear rows of H."""
    a, b, c = normals[k, 0], normals[k, 1], normals[k, 2]
    return (a, b, c, SQRT_HALF * a, SQRT_HALF * b, SQRT_HALF * c)


@inline
def to_interface(s, n):
    """H^T s: the traction (3,) of a stress (6,)."""
    return (
        s[0] * n[0] + s[3] * n[4] + s[4] * n[5],
        s[1] * n[1] + s[3] * n[3] + s[5] * n[5],
        s[2] * n[2] + s[4] * n[3] + s[5] * n[4],
    )


@inline
def from_interface(a, n):
    """H a: the strain (6,) of a jump (3,)."""
    return (
        n[0] * a[0],
        n[1] * a[1],
        n[2] * a[2],
        n[4] * a[0] + n[3] * a[1],
        n[5] * a[0] + n[3] * a[2],
        n[5] * a[1] + n[4] * a[2],
    )


@inline
def rows_to_interface(c, n):
    """C H, row by row."""
    return (
        to_interface(c[0], n),
        to_interface(c[1], n),
        to_interface(c[2], n),
        to_interface(c[3], n),
        to_interface(c[4], n),
        to_interface(c[5], n),
    )


@inline
def dot3(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inline
def dot6(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] + a[4] * b[4] + a[5] * b[5]


@inline
def mix3(f, a, g, b):
    return (f * a[0] + g * b[0], f * a[1] + g * b[1], f * a[2] + g * b[2])


@inline
def mix6(f, a, g, b):
    return (
        f * a[0] + g * b[0],
        f * a[1] + g * b[1],
        f * a[2] + g * b[2],
        f * a[3] + g * b[3],
        f * a[4] + g * b[4],
        f * a[5] + g * b[5],
    )


@inline
def mix_rows3(f, p, g, q):
    return (
        mix3(f, p[0], g, q[0]),
        mix3(f, p[1], g, q[1]),
        mix3(f, p[2], g, q[2]),
        mix3(f, p[3], g, q[3]),
        mix3(f, p[4], g, q[4]),
        mix3(f, p[5], g, q[5]),
    )


@inline
def column(p, j):
    return (p[0][j], p[1][j], p[2][j], p[3][j], p[4][j], p[5][j])


@inline
def inverse_or_zero(d, floor):
    return select(abs(d) > floor, 1.0 / d, 0.0)


@inline
def factor(m, floor):
    """L and U of M (3, 3) = L U; pivots below the floor are left out, as are their unknowns."""
    i0 = inverse_or_zero(m[0][0], floor)
    l10 = m[1][0] * i0
    l20 = m[2][0] * i0
    u11 = m[1][1] - l10 * m[0][1]
    u12 = m[1][2] - l10 * m[0][2]
    i1 = inverse_or_zero(u11, floor)
    l21 = (m[2][1] - l20 * m[0][1]) * i1
    i2 = inverse_or_zero(m[2][2] - l20 * m[0][2] - l21 * u12, floor)
    return (l10, l20, l21, i0, i1, i2, m[0][1], m[0][2], u12)


@inline
def solve(lu, b):
    """x with M x = b."""
    l10, l20, l21, i0, i1, i2, u01, u02, u12 = lu
    y1 = b[1] - l10 * b[0]
    x2 = (b[2] - l20 * b[0] - l21 * y1) * i2
    x1 = (y1 - u12 * x2) * i1
    x0 = (b[0] - u01 * x1 - u02 * x2) * i0
    return (x0, x1, x2)


@inline
def eliminate(c1, c2, d_h, h_d, s1, s2, f1, n, jump, gap, k):
    """Stores J and g of block k; returns the columns of J, g, and the decrement r . g."""
    f2 = 1.0 - f1
    p = rows_to_interface(c1, n)
    mixed = mix_rows3(f2, p, 1.0, mix_rows3(f1, d_h, f1, p))  # C2 H = D H + C1 H
    m0 = to_interface(column(mixed, 0), n)
    m1 = to_interface(column(mixed, 1), n)
    m2 = to_interface(column(mixed, 2), n)
    trace = c1[0][0] + c1[1][1] + c1[2][2] + c1[3][3] + c1[4][4] + c1[5][5]
    trace = trace + c2[0][0] + c2[1][1] + c2[2][2] + c2[3][3] + c2[4][4] + c2[5][5]
    m = ((m0[0], m1[0], m2[0]), (m0[1], m1[1], m2[1]), (m0[2], m1[2], m2[2]))
    lu = factor(m, PIVOT_FLOOR * abs(trace))
    j = (
        solve(lu, h_d[0]),
        solve(lu, h_d[1]),
        solve(lu, h_d[2]),
        solve(lu, h_d[3]),
        solve(lu, h_d[4]),
        solve(lu, h_d[5]),
    )
    r = to_interface(mix6(1.0, s2, -1.0, s1), n)
    g = solve(lu, r)
    store3(gap, 3 * k, g)
    at = 18 * k
    store3(jump, at, j[0])
    store3(jump, at + 3, j[1])
    store3(jump, at + 6, j[2])
    store3(jump, at + 9, j[3])
    store3(jump, at + 12, j[4])
    store3(jump, at + 15, j[5])
    return j, g, dot3(r, g)


@inline
def condensed_row(a, b, d, j, f1):
    """Row of f1 C1 + f2 C2 - f1 f2 D H J."""
    f2 = 1.0 - f1
    f12 = f1 * f2
    return (
        f1 * a[0] + f2 * b[0] - f12 * dot3(d, j[0]),
        f1 * a[1] + f2 * b[1] - f12 * dot3(d, j[1]),
        f1 * a[2] + f2 * b[2] - f12 * dot3(d, j[2]),
        f1 * a[3] + f2 * b[3] - f12 * dot3(d, j[3]),
        f1 * a[4] + f2 * b[4] - f12 * dot3(d, j[4]),
        f1 * a[5] + f2 * b[5] - f12 * dot3(d, j[5]),
    )


@inline
def condense_stress(s1, s2, d_h, g, f1, stress, node):
    f2 = 1.0 - f1
    s = mix6(f1, s1, f2, s2)
    drop = (
        dot3(d_h[0], g),
        dot3(d_h[1], g),
        dot3(d_h[2], g),
        dot3(d_h[3], g),
        dot3(d_h[4], g),
        dot3(d_h[5], g),
    )
    store6(stress, 6 * node, mix6(1.0, s, -f1 * f2, drop))


@inline
def average(mean, i, j, f1, n, node):
    """Mean stress of a block; returns its traction jump."""
    s1, s2 = load6(mean, 6 * i), load6(mean, 6 * j)
    store6(mean, 6 * node, mix6(f1, s1, 1.0 - f1, s2))
    return to_interface(mix6(1.0, s2, -1.0, s1), n)


@kernel
def condense_symmetric(
    tangent, stress, mean, jump, gap, step, totals, fraction, weight, normals, nodes
):
    """Leaves to root, upper triangles only.

    Base nodes' tangent, stress and mean (the stress again) are given. Fills those of the blocks:
    tangent, condensed stress, mean of the base nodes' stress, jump (n_blocks, 18, LANES) with J by
    columns, gap (n_blocks, 3, LANES) with g. nodes (n_blocks, 2) are the children of each block,
    weight (n_blocks,) its volume times f1 f2, step (n_blocks, 3, LANES) the Newton step that led
    here. totals (3, LANES), sums over the blocks with these weights of: the squared traction jump;
    its product with the step, which is the potential's slope along it, downward; and the slope that
    the next Newton step begins with.
    """
    first = tangent.shape[0] - nodes.shape[0]
    jumps, slope, decrement = lane(0.0), lane(0.0), lane(0.0)
    for k in range(nodes.shape[0] - 1, -1, -1):
        i, j, node = nodes[k, 0], nodes[k, 1], first + k
        f1, n = fraction[k], normal_of(normals, k)
        r = average(mean, i, j, f1, n, node)
        jumps = jumps + weight[k] * dot3(r, r)
        slope = slope + weight[k] * dot3(r, load3(step, 3 * k))
        c1, c2 = mirror(load_rows(tangent, i)), mirror(load_rows(tangent, j))
        d_h = mix_rows3(1.0, rows_to_interface(c2, n), -1.0, rows_to_interface(c1, n))
        s1, s2 = load6(stress, 6 * i), load6(stress, 6 * j)
        x, g, fall = eliminate(c1, c2, d_h, d_h, s1, s2, f1, n, jump, gap, k)
        decrement = decrement + weight[k] * fall
        condense_stress(s1, s2, d_h, g, f1, stress, node)
        at = 36 * node
        store6(tangent, at, condensed_row(c1[0], c2[0], d_h[0], x, f1))
        row = condensed_row(c1[1], c2[1], d_h[1], x, f1)
        store(tangent, at + 7, row[1])
        store(tangent, at + 8, row[2])
        store(tangent, at + 9, row[3])
        store(tangent, at + 10, row[4])
        store(tangent, at + 11, row[5])
        row = condensed_row(c1[2], c2[2], d_h[2], x, f1)
        store(tangent, at + 14, row[2])
        store(tangent, at + 15, row[3])
        store(tangent, at + 16, row[4])
        store(tangent, at + 17, row[5])
        row = condensed_row(c1[3], c2[3], d_h[3], x, f1)
        store(tangent, at + 21, row[3])
        store(tangent, at + 22, row[4])
        store(tangent, at + 23, row[5])
        row = condensed_row(c1[4], c2[4], d_h[4], x, f1)
        store(tangent, at + 28, row[4])
        store(tangent, at + 29, row[5])
        store(tangent, at + 35, condensed_row(c1[5], c2[5], d_h[5], x, f1)[5])
    store3(totals, 0, (jumps, slope, decrement))


@kernel
def condense_general(
    tangent, stress, mean, jump, gap, step, totals, fraction, weight, normals, nodes
):
    """`condense_symmetric` for tangents without symmetry."""
    first = tangent.shape[0] - nodes.shape[0]
    jumps, slope, decrement = lane(0.0), lane(0.0), lane(0.0)
    for k in range(nodes.shape[0] - 1, -1, -1):
        i, j, node = nodes[k, 0], nodes[k, 1], first + k
        f1, n = fraction[k], normal_of(normals, k)
        r = average(mean, i, j, f1, n, node)
        jumps = jumps + weight[k] * dot3(r, r)
        slope = slope + weight[k] * dot3(r, load3(step, 3 * k))
        c1, c2 = load_rows(tangent, i), load_rows(tangent, j)
        t1, t2 = transposed(c1), transposed(c2)
        d_h = mix_rows3(1.0, rows_to_interface(c2, n), -1.0, rows_to_interface(c1, n))
        h_d = mix_rows3(1.0, rows_to_interface(t2, n), -1.0, rows_to_interface(t1, n))
        s1, s2 = load6(stress, 6 * i), load6(stress, 6 * j)
        x, g, fall = eliminate(c1, c2, d_h, h_d, s1, s2, f1, n, jump, gap, k)
        decrement = decrement + weight[k] * fall
        condense_stress(s1, s2, d_h, g, f1, stress, node)
        at = 36 * node
        store6(tangent, at, condensed_row(c1[0], c2[0], d_h[0], x, f1))
        store6(tangent, at + 6, condensed_row(c1[1], c2[1], d_h[1], x, f1))
        store6(tangent, at + 12, condensed_row(c1[2], c2[2], d_h[2], x, f1))
        store6(tangent, at + 18, condensed_row(c1[3], c2[3], d_h[3], x, f1))
        store6(tangent, at + 24, condensed_row(c1[4], c2[4], d_h[4], x, f1))
        store6(tangent, at + 30, condensed_row(c1[5], c2[5], d_h[5], x, f1))
    store3(totals, 0, (jumps, slope, decrement))


@inline
def hand_down(array, node, i, j, f1, n, a):
    """Children's strains eps + f2 H a and eps - f1 H a."""
    eps, part = load6(array, 6 * node), from_interface(a, n)
    store6(array, 6 * i, mix6(1.0, eps, 1.0 - f1, part))
    store6(array, 6 * j, mix6(1.0, eps, -f1, part))


@kernel
def distribute(
    correction, strain, jump, gap, accepted, trial, step, length, bits, fraction, normals, nodes
):
    """Root to leaves: new Newton steps where `bits` say so, then the trial strains.

    trial = accepted + length (LANES,) * step for every jump vector (n_blocks, 3, LANES). Lanes with
    a bit accept their last trial and take a new step from J and g; the others keep their step and
    try another length of it. `strain` of the root is given, `correction` is
    scratch of the same shape.
    """
    first = strain.shape[0] - nodes.shape[0]
    zero, alpha, fresh = lane(0.0), load(length, 0), mask_of(bits)
    store6(correction, 6 * first, (zero, zero, zero, zero, zero, zero))
    for k in range(nodes.shape[0]):
        i, j, node = nodes[k, 0], nodes[k, 1], first + k
        f1, n = fraction[k], normal_of(normals, k)
        d_eps = load6(correction, 6 * node)
        at = 18 * k
        j0, j1, j2 = load3(jump, at), load3(jump, at + 3), load3(jump, at + 6)
        j3, j4, j5 = load3(jump, at + 9), load3(jump, at + 12), load3(jump, at + 15)
        g = load3(gap, 3 * k)
        new = (
            g[0] + dot6((j0[0], j1[0], j2[0], j3[0], j4[0], j5[0]), d_eps),
            g[1] + dot6((j0[1], j1[1], j2[1], j3[1], j4[1], j5[1]), d_eps),
            g[2] + dot6((j0[2], j1[2], j2[2], j3[2], j4[2], j5[2]), d_eps),
        )
        hand_down(correction, node, i, j, f1, n, new)
        old, base, tried = load3(step, 3 * k), load3(accepted, 3 * k), load3(trial, 3 * k)
        d_a = (
            select(fresh, new[0], old[0]),
            select(fresh, new[1], old[1]),
            select(fresh, new[2], old[2]),
        )
        a = (
            select(fresh, tried[0], base[0]),
            select(fresh, tried[1], base[1]),
            select(fresh, tried[2], base[2]),
        )
        store3(step, 3 * k, d_a)
        store3(accepted, 3 * k, a)
        a = mix3(1.0, a, alpha, d_a)
        store3(trial, 3 * k, a)
        hand_down(strain, node, i, j, f1, n, a)


@kernel
def predict(
    correction, strain, concentration, start, before, share, trial, fraction, normals, nodes
):
    """Root to leaves: the first trial, ``start + share * before + J correction``.

    The root's `strain` and `correction` (the part of its increment that is taken as elastic) are
    given; concentration (n_blocks, 3, 6) is J of the initial stiffness; share (LANES,) of the last
    step's increments `before`; start, before and trial (n_blocks, 3, LANES).
    """
    part = load(share, 0)
    first = strain.shape[0] - nodes.shape[0]
    for k in range(nodes.shape[0]):
        i, j, node = nodes[k, 0], nodes[k, 1], first + k
        f1, n = fraction[k], normal_of(normals, k)
        d_eps = load6(correction, 6 * node)
        c = concentration[k]
        d_a = (
            dot6((c[0, 0], c[0, 1], c[0, 2], c[0, 3], c[0, 4], c[0, 5]), d_eps),
            dot6((c[1, 0], c[1, 1], c[1, 2], c[1, 3], c[1, 4], c[1, 5]), d_eps),
            dot6((c[2, 0], c[2, 1], c[2, 2], c[2, 3], c[2, 4], c[2, 5]), d_eps),
        )
        hand_down(correction, node, i, j, f1, n, d_a)
        a = mix3(1.0, mix3(1.0, load3(start, 3 * k), part, load3(before, 3 * k)), 1.0, d_a)
        store3(trial, 3 * k, a)
        hand_down(strain, node, i, j, f1, n, a)
