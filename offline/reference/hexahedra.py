r"""Eight trilinear elements at a time, as vector lanes: displacements, gradients, strains, forces.

The cell is mapped to unit voxels (`offline.reference.laws`), so all geometry is in the numbers
below. Along each axis the trilinear displacement has a gradient that does not depend on the place
along this axis: four values per axis and component, from the modes ``xi_1^a xi_2^b xi_3^c`` by
additions (rows ``4 (3 axis + component) + place``). Strains at the eight Gauss points pick from
these 36 rows; forces go the transposed way.

**Dilatation.** Fully integrated trilinear hexahedra lock where plastic flow keeps the volume. With
mean dilatation (B-bar: Hughes, *The Finite Element Method*, 1987, section 4.5) the volume change at
all Gauss points is its mean over the element. On unit voxels the volume change is a . eps and a
strain of unit volume change in all directions is 3 b (`offline.reference.laws`).

Functions here are compiled into the kernels that call them.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math

from numba import njit

from matnet.simd import LANES, lane, load, store

__all__ = [
    "GAUSS",
    "WEIGHT",
    "add",
    "add_mean_stress",
    "add_stress",
    "column",
    "dot",
    "four",
    "from_gradients",
    "full_times",
    "gather",
    "half_times",
    "inline",
    "lanes6",
    "load6",
    "mean_strain",
    "plus",
    "row",
    "scaled",
    "scaled_by",
    "scatter",
    "store6",
    "strain",
    "sum",
    "times",
    "to_gradients",
    "to_modes",
    "to_nodes",
    "transposed_times",
    "zeros6",
]

GAUSS = 8
WEIGHT = 1.0 / GAUSS  # unit voxels
S = 1.0 / math.sqrt(3.0)  # of the Gauss points, -S and S
R = math.sqrt(0.5)  # of a shear strain in Mandel form

inline = njit(forceinline=True, error_model="numpy")
plain = njit(error_model="numpy")


@plain
def gather(u, nodes, g, w):
    """w[3 a + i] = component i at local node a."""
    for b in range(LANES):
        for a in range(8):
            node = nodes[g, b, a]
            w[3 * a, b] = u[node, 0]
            w[3 * a + 1, b] = u[node, 1]
            w[3 * a + 2, b] = u[node, 2]


@plain
def scatter(q, nodes, count, g, first, last, shift, w):
    """Add the forces of local nodes `first` to `last`; row `shift` of the mesh is row 0 of q."""
    for b in range(LANES):
        if count[g, b] > 0.0:
            for a in range(first, last):
                row = nodes[g, b, a] - shift
                q[row, 0] += w[3 * a, b]
                q[row, 1] += w[3 * a + 1, b]
                q[row, 2] += w[3 * a + 2, b]


@plain
def to_modes(w):
    """In place: nodal values to amplitudes of the modes, scaled for gradients at Gauss points."""
    linear, bilinear, trilinear = 0.25, 0.25 * S, 0.25 * S * S
    for i in range(3):
        a0, a1, a2, a3 = load(w, i), load(w, 3 + i), load(w, 6 + i), load(w, 9 + i)
        a4, a5, a6, a7 = load(w, 12 + i), load(w, 15 + i), load(w, 18 + i), load(w, 21 + i)
        b0, b1, b2, b3 = a0 + a1, a1 - a0, a2 + a3, a3 - a2
        b4, b5, b6, b7 = a4 + a5, a5 - a4, a6 + a7, a7 - a6
        c0, c1, c2, c3 = b0 + b2, b1 + b3, b2 - b0, b3 - b1
        c4, c5, c6, c7 = b4 + b6, b5 + b7, b6 - b4, b7 - b5
        store(w, 3 + i, linear * (c1 + c5))
        store(w, 6 + i, linear * (c2 + c6))
        store(w, 9 + i, bilinear * (c3 + c7))
        store(w, 12 + i, linear * (c4 - c0))
        store(w, 15 + i, bilinear * (c5 - c1))
        store(w, 18 + i, bilinear * (c6 - c2))
        store(w, 21 + i, trilinear * (c7 - c3))


@plain
def to_nodes(w):
    """In place: the transpose of `to_modes` times the weight of a Gauss point."""
    linear, bilinear, trilinear = 0.25 * WEIGHT, 0.25 * S * WEIGHT, 0.25 * S * S * WEIGHT
    for i in range(3):
        a1, a2 = linear * load(w, 3 + i), linear * load(w, 6 + i)
        a3, a4 = bilinear * load(w, 9 + i), linear * load(w, 12 + i)
        a5, a6 = bilinear * load(w, 15 + i), bilinear * load(w, 18 + i)
        a7 = trilinear * load(w, 21 + i)
        b0, b1, b2, b3 = 0.0 - a4, a1 - a5, a2 - a6, a3 - a7
        b4, b5, b6, b7 = a4, a1 + a5, a2 + a6, a3 + a7
        c0, c1, c2, c3 = b0 - b2, b1 - b3, b0 + b2, b1 + b3
        c4, c5, c6, c7 = b4 - b6, b5 - b7, b4 + b6, b5 + b7
        store(w, i, c0 - c1)
        store(w, 3 + i, c0 + c1)
        store(w, 6 + i, c2 - c3)
        store(w, 9 + i, c2 + c3)
        store(w, 12 + i, c4 - c5)
        store(w, 15 + i, c4 + c5)
        store(w, 18 + i, c6 - c7)
        store(w, 21 + i, c6 + c7)


@inline
def four(w, lin, x, y, both, i, d, row):
    """Gradient at the places (-,-), (-,+), (+,-), (+,+) of the two other axes."""
    c, s = load(w, 3 * lin + i), load(w, 3 * x + i)
    t, v = load(w, 3 * y + i), load(w, 3 * both + i)
    a, b, e, f = c + s, c - s, t + v, t - v
    store(d, row, b - f)
    store(d, row + 1, b + f)
    store(d, row + 2, a - e)
    store(d, row + 3, a + e)


@plain
def to_gradients(w, d):
    for i in range(3):
        four(w, 4, 6, 5, 7, i, d, 4 * i)
        four(w, 2, 6, 3, 7, i, d, 12 + 4 * i)
        four(w, 1, 5, 3, 7, i, d, 24 + 4 * i)


@plain
def from_gradients(d, w):
    """The transpose of `to_gradients`."""
    for i in range(3):
        a0, a1, a2, a3 = load(d, 4 * i), load(d, 4 * i + 1), load(d, 4 * i + 2), load(d, 4 * i + 3)
        b0, b1 = load(d, 12 + 4 * i), load(d, 13 + 4 * i)
        b2, b3 = load(d, 14 + 4 * i), load(d, 15 + 4 * i)
        c0, c1 = load(d, 24 + 4 * i), load(d, 25 + 4 * i)
        c2, c3 = load(d, 26 + 4 * i), load(d, 27 + 4 * i)
        a_low, a_high, b_low, b_high = a0 + a1, a2 + a3, b0 + b1, b2 + b3
        c_low, c_high = c0 + c1, c2 + c3
        store(w, 12 + i, a_low + a_high)
        store(w, 6 + i, b_low + b_high)
        store(w, 3 + i, c_low + c_high)
        store(w, 18 + i, a_high - a_low + b_high - b_low)
        store(w, 15 + i, a1 - a0 + a3 - a2 + c_high - c_low)
        store(w, 9 + i, b1 - b0 + b3 - b2 + c1 - c0 + c3 - c2)
        store(w, 21 + i, a3 - a2 + a0 - a1 + b3 - b2 + b0 - b1 + c3 - c2 + c0 - c1)


@inline
def strain(d, point):
    """Strain of the fluctuation at a Gauss point, on unit voxels."""
    p0, p1, p2 = point >> 2, (point >> 1) & 1, point & 1
    x, y, z = 2 * p1 + p2, 12 + 2 * p0 + p2, 24 + 2 * p0 + p1
    return (
        load(d, x),
        load(d, y + 4),
        load(d, z + 8),
        R * (load(d, y) + load(d, x + 4)),
        R * (load(d, z) + load(d, x + 8)),
        R * (load(d, z + 4) + load(d, y + 8)),
    )


@inline
def _mean(d, row):
    return 0.25 * (load(d, row) + load(d, row + 1) + load(d, row + 2) + load(d, row + 3))


@inline
def mean_strain(d):
    """Mean over the element of `strain`."""
    return (
        _mean(d, 0),
        _mean(d, 16),
        _mean(d, 32),
        R * (_mean(d, 12) + _mean(d, 4)),
        R * (_mean(d, 24) + _mean(d, 8)),
        R * (_mean(d, 28) + _mean(d, 20)),
    )


@inline
def add(d, row, value):
    store(d, row, load(d, row) + value)


@inline
def add_stress(d, point, s):
    """The transpose of `strain`."""
    p0, p1, p2 = point >> 2, (point >> 1) & 1, point & 1
    x, y, z = 2 * p1 + p2, 12 + 2 * p0 + p2, 24 + 2 * p0 + p1
    s3, s4, s5 = R * s[3], R * s[4], R * s[5]
    add(d, x, s[0])
    add(d, y + 4, s[1])
    add(d, z + 8, s[2])
    add(d, y, s3)
    add(d, x + 4, s3)
    add(d, z, s4)
    add(d, x + 8, s4)
    add(d, z + 4, s5)
    add(d, y + 8, s5)


@inline
def _add_mean(d, row, value):
    quarter = 0.25 * value
    add(d, row, quarter)
    add(d, row + 1, quarter)
    add(d, row + 2, quarter)
    add(d, row + 3, quarter)


@inline
def add_mean_stress(d, s):
    """The transpose of `mean_strain`."""
    s3, s4, s5 = R * s[3], R * s[4], R * s[5]
    _add_mean(d, 0, s[0])
    _add_mean(d, 16, s[1])
    _add_mean(d, 32, s[2])
    _add_mean(d, 12, s3)
    _add_mean(d, 4, s3)
    _add_mean(d, 24, s4)
    _add_mean(d, 8, s4)
    _add_mean(d, 28, s5)
    _add_mean(d, 20, s5)


@inline
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] + a[4] * b[4] + a[5] * b[5]


@inline
def sum(a, b):
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5])


@inline
def plus(a, factor, b):
    """a + factor b."""
    return (
        a[0] + factor * b[0],
        a[1] + factor * b[1],
        a[2] + factor * b[2],
        a[3] + factor * b[3],
        a[4] + factor * b[4],
        a[5] + factor * b[5],
    )


@inline
def scaled_by(factor, v):
    return (
        factor * v[0],
        factor * v[1],
        factor * v[2],
        factor * v[3],
        factor * v[4],
        factor * v[5],
    )


@inline
def row(m, p, k):
    return (m[p, k, 0], m[p, k, 1], m[p, k, 2], m[p, k, 3], m[p, k, 4], m[p, k, 5])


@inline
def column(m, p, k):
    return (m[p, 0, k], m[p, 1, k], m[p, 2, k], m[p, 3, k], m[p, 4, k], m[p, 5, k])


@inline
def times(m, p, v):
    """m[p] v."""
    return (
        dot(row(m, p, 0), v),
        dot(row(m, p, 1), v),
        dot(row(m, p, 2), v),
        dot(row(m, p, 3), v),
        dot(row(m, p, 4), v),
        dot(row(m, p, 5), v),
    )


@inline
def transposed_times(m, p, v):
    """m[p].T v."""
    return (
        dot(column(m, p, 0), v),
        dot(column(m, p, 1), v),
        dot(column(m, p, 2), v),
        dot(column(m, p, 3), v),
        dot(column(m, p, 4), v),
        dot(column(m, p, 5), v),
    )


@inline
def scaled(m, p, v):
    """m[p] v with a diagonal m[p]."""
    return (
        m[p, 0, 0] * v[0],
        m[p, 1, 1] * v[1],
        m[p, 2, 2] * v[2],
        m[p, 3, 3] * v[3],
        m[p, 4, 4] * v[4],
        m[p, 5, 5] * v[5],
    )


@inline
def load6(a, row):
    return (
        load(a, row),
        load(a, row + 1),
        load(a, row + 2),
        load(a, row + 3),
        load(a, row + 4),
        load(a, row + 5),
    )


@inline
def store6(a, row, v):
    store(a, row, v[0])
    store(a, row + 1, v[1])
    store(a, row + 2, v[2])
    store(a, row + 3, v[3])
    store(a, row + 4, v[4])
    store(a, row + 5, v[5])


@inline
def half_times(c, r, e):
    """Symmetric matrix in the 21 rows from r on (upper triangle by rows) times e."""
    c01, c02, c03, c04, c05 = (
        load(c, r + 1),
        load(c, r + 2),
        load(c, r + 3),
        load(c, r + 4),
        load(c, r + 5),
    )
    c12, c13, c14, c15 = load(c, r + 7), load(c, r + 8), load(c, r + 9), load(c, r + 10)
    c23, c24, c25 = load(c, r + 12), load(c, r + 13), load(c, r + 14)
    c34, c35, c45 = load(c, r + 16), load(c, r + 17), load(c, r + 19)
    return (
        load(c, r) * e[0] + c01 * e[1] + c02 * e[2] + c03 * e[3] + c04 * e[4] + c05 * e[5],
        c01 * e[0] + load(c, r + 6) * e[1] + c12 * e[2] + c13 * e[3] + c14 * e[4] + c15 * e[5],
        c02 * e[0] + c12 * e[1] + load(c, r + 11) * e[2] + c23 * e[3] + c24 * e[4] + c25 * e[5],
        c03 * e[0] + c13 * e[1] + c23 * e[2] + load(c, r + 15) * e[3] + c34 * e[4] + c35 * e[5],
        c04 * e[0] + c14 * e[1] + c24 * e[2] + c34 * e[3] + load(c, r + 18) * e[4] + c45 * e[5],
        c05 * e[0] + c15 * e[1] + c25 * e[2] + c35 * e[3] + c45 * e[4] + load(c, r + 20) * e[5],
    )


@inline
def full_times(c, r, e):
    """Matrix in the 36 rows from r on (by rows) times e."""
    return (
        dot(load6(c, r), e),
        dot(load6(c, r + 6), e),
        dot(load6(c, r + 12), e),
        dot(load6(c, r + 18), e),
        dot(load6(c, r + 24), e),
        dot(load6(c, r + 30), e),
    )


@inline
def lanes6(v):
    return (lane(v[0]), lane(v[1]), lane(v[2]), lane(v[3]), lane(v[4]), lane(v[5]))


@inline
def zeros6():
    return (lane(0.0), lane(0.0), lane(0.0), lane(0.0), lane(0.0), lane(0.0))
