"""Compiled loops over elements and nodes.

Fields hold six load cases: ``(n_nodes, 18)`` with component ``6 * i + load``, so that the innermost
loop runs over the loads. An element's stiffness acts on the amplitudes of its eight modes
``xi_1^a xi_2^b xi_3^c`` (`grid.MODES`): there the 24x24 matrix of a parallelepiped splits into two
9x9 blocks (linear and bilinear modes) and one 3x3 block (trilinear mode), which saves two
thirds of the products. Sums are cut into a fixed number of parts: results do not depend on the
number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["LOADS", "WIDTH", "apply_stiffness", "gram", "squares"]

LOADS = 6
WIDTH = 18  # three components, six load cases
PARTS = 32  # of every sum over nodes


@njit(cache=True)
def _to_modes(w):
    """In place: nodal values (8, 18) to mode amplitudes times 8."""
    for a, b, c in ((0, 0, 1), (0, 1, 0), (1, 0, 0)):
        step = 4 * a + 2 * b + c
        for lo in range(8):
            if lo & step == 0:
                hi = lo + step
                for i in range(WIDTH):
                    x, y = w[lo, i], w[hi, i]
                    w[lo, i] = y + x
                    w[hi, i] = y - x


@njit(cache=True)
def _from_modes(w):
    """In place: the transpose of `_to_modes`."""
    for step in (1, 2, 4):
        for lo in range(8):
            if lo & step == 0:
                hi = lo + step
                for i in range(WIDTH):
                    x, y = w[lo, i], w[hi, i]
                    w[lo, i] = x - y
                    w[hi, i] = x + y


@njit(cache=True)
def _block(k, rows, scale, w, y, power):
    """Rows of the element's product that belong to the modes `rows`, and its work per load."""
    for i in range(3 * len(rows)):
        acc0 = acc1 = acc2 = acc3 = acc4 = acc5 = 0.0
        for m in range(len(rows)):
            for j in range(3):
                f = k[i, 3 * m + j]
                x = w[rows[m]]
                acc0 += f * x[6 * j]
                acc1 += f * x[6 * j + 1]
                acc2 += f * x[6 * j + 2]
                acc3 += f * x[6 * j + 3]
                acc4 += f * x[6 * j + 4]
                acc5 += f * x[6 * j + 5]
        out = y[rows[i // 3]]
        c = 6 * (i % 3)
        out[c] = scale * acc0
        out[c + 1] = scale * acc1
        out[c + 2] = scale * acc2
        out[c + 3] = scale * acc3
        out[c + 4] = scale * acc4
        out[c + 5] = scale * acc5
        x = w[rows[i // 3]]
        for l in range(LOADS):
            power[l] += x[c + l] * out[c + l]


LINEAR = (1, 2, 4)
BILINEAR = (3, 5, 6)
TRILINEAR = (7,)


@njit(cache=True, parallel=True)
def apply_stiffness(
    elements, phase, density, linear, bilinear, trilinear, slabs, shared, p, q, power
):
    """q = K p and power[load] = p . K p.

    Parameters
    ----------
    elements, phase, density : arrays of `SolidMesh`
    linear, bilinear, trilinear : (n_phases, 9, 9), (n_phases, 9, 9), (n_phases, 3, 3)
        Blocks of the element stiffness in mode amplitudes times 8.
    slabs : (5, n_slabs) int
        First element, stop element, first element of the last layer, first and stop owned node.
    shared : (2, n_slabs) int
        First and stop node of the plane behind each slab.
    p, q : (n_nodes, 18)
    power : (n_slabs, 6)
        Work of each slab; the caller sums.
    """
    n_slabs = slabs.shape[1]
    widest = 0
    for c in range(n_slabs):
        widest = max(widest, shared[1, c] - shared[0, c])
    private = np.empty((n_slabs, widest if n_slabs > 1 else 0, WIDTH))
    for c in prange(n_slabs):
        q[slabs[3, c] : slabs[4, c]] = 0.0
        private[c] = 0.0
        w = np.empty((8, WIDTH))
        y = np.empty((8, WIDTH))
        y[0] = 0.0  # a rigid translation carries no force
        work = np.zeros(LOADS)
        for e in range(slabs[0, c], slabs[1, c]):
            for a in range(8):
                node = elements[e, a]
                for i in range(WIDTH):
                    w[a, i] = p[node, i]
            _to_modes(w)
            kind, scale = phase[e], density[e]
            _block(linear[kind], LINEAR, scale, w, y, work)
            _block(bilinear[kind], BILINEAR, scale, w, y, work)
            _block(trilinear[kind], TRILINEAR, scale, w, y, work)
            _from_modes(y)
            far = n_slabs > 1 and e >= slabs[2, c]
            for a in range(8):
                node = elements[e, a]
                if far and a >= 4:
                    row = node - shared[0, c]
                    for i in range(WIDTH):
                        private[c, row, i] += y[a, i]
                else:
                    for i in range(WIDTH):
                        q[node, i] += y[a, i]
            y[0] = 0.0
        for l in range(LOADS):
            power[c, l] = work[l]
    if n_slabs > 1:
        for c in prange(n_slabs):
            for row in range(shared[1, c] - shared[0, c]):
                for i in range(WIDTH):
                    q[shared[0, c] + row, i] += private[c, row, i]


@njit(cache=True)
def _part(n, c):
    return n * c // PARTS, n * (c + 1) // PARTS


@njit(cache=True, parallel=True)
def gram(a, b, parts):
    """parts[c, k, l] = a^k . b^l over part c of the nodes; a, b (n, 18), parts (PARTS, 6, 6)."""
    for c in prange(PARTS):
        start, stop = _part(a.shape[0], c)
        acc = np.zeros((LOADS, LOADS))
        for n in range(start, stop):
            for i in range(3):
                for k in range(LOADS):
                    for l in range(LOADS):
                        acc[k, l] += a[n, LOADS * i + k] * b[n, LOADS * i + l]
        parts[c] = acc


@njit(cache=True, parallel=True)
def squares(a, parts):
    """parts[c, l] = a^l . a^l over part c of the nodes."""
    for c in prange(PARTS):
        start, stop = _part(a.shape[0], c)
        acc = np.zeros(LOADS)
        for n in range(start, stop):
            for i in range(3):
                for l in range(LOADS):
                    acc[l] += a[n, LOADS * i + l] ** 2
        parts[c] = acc


@njit(cache=True, parallel=True)
def advance(alpha, p, q, u, r, parts):
    """u += alpha p, r -= alpha q per load; parts[c, l] = r^l . r^l."""
    for c in prange(PARTS):
        start, stop = _part(p.shape[0], c)
        acc = np.zeros(LOADS)
        for n in range(start, stop):
            for i in range(3):
                for l in range(LOADS):
                    j = LOADS * i + l
                    u[n, j] += alpha[l] * p[n, j]
                    r[n, j] -= alpha[l] * q[n, j]
                    acc[l] += r[n, j] * r[n, j]
        parts[c] = acc


@njit(cache=True, parallel=True)
def to_grid(scale, r, nodes, grid):
    """grid[nodes] = scale r, in the grid's precision; other rows stay as they are."""
    for n in prange(r.shape[0]):
        row = nodes[n]
        for i in range(3):
            for l in range(LOADS):
                grid[row, LOADS * i + l] = scale[l] * r[n, LOADS * i + l]


@njit(cache=True, parallel=True)
def grid_dot(scale, r, nodes, grid, parts):
    """parts[c, l] = scale r^l . grid^l over active nodes."""
    for c in prange(PARTS):
        start, stop = _part(r.shape[0], c)
        acc = np.zeros(LOADS)
        for n in range(start, stop):
            row = nodes[n]
            for i in range(3):
                for l in range(LOADS):
                    acc[l] += r[n, LOADS * i + l] * grid[row, LOADS * i + l]
        for l in range(LOADS):
            parts[c, l] = acc[l] * scale[l]


@njit(cache=True, parallel=True)
def new_direction(scale, grid, nodes, beta, p):
    """p = scale grid[nodes] + beta p per load."""
    for n in prange(p.shape[0]):
        row = nodes[n]
        for i in range(3):
            for l in range(LOADS):
                j = LOADS * i + l
                p[n, j] = scale[l] * grid[row, j] + beta[l] * p[n, j]


@njit(cache=True, parallel=True)
def apply_symbol(inverse, spectrum):
    """spectrum <- inverse spectrum at every frequency.

    `inverse` (m, 6) holds the symmetric 3x3 matrices 11 22 33 12 13 23, `spectrum` (m, 36) real and
    imaginary parts innermost, component 12 i + ....
    """
    for f in prange(spectrum.shape[0]):
        a, b, c = inverse[f, 0], inverse[f, 1], inverse[f, 2]
        d, e, g = inverse[f, 3], inverse[f, 4], inverse[f, 5]
        for l in range(2 * LOADS):
            x, y, z = spectrum[f, l], spectrum[f, 12 + l], spectrum[f, 24 + l]
            spectrum[f, l] = a * x + d * y + e * z
            spectrum[f, 12 + l] = d * x + b * y + g * z
            spectrum[f, 24 + l] = e * x + g * y + c * z


@njit(cache=True, parallel=True)
def assemble_loads(elements, phase, density, load, slabs, shared, f):
    """f = sum of element loads (n_phases, 8, 18) times density; arguments as `apply_stiffness`."""
    n_slabs = slabs.shape[1]
    widest = 0
    for c in range(n_slabs):
        widest = max(widest, shared[1, c] - shared[0, c])
    private = np.empty((n_slabs, widest if n_slabs > 1 else 0, WIDTH))
    for c in prange(n_slabs):
        f[slabs[3, c] : slabs[4, c]] = 0.0
        private[c] = 0.0
        for e in range(slabs[0, c], slabs[1, c]):
            far = n_slabs > 1 and e >= slabs[2, c]
            scale = density[e]
            y = load[phase[e]]
            for a in range(8):
                node = elements[e, a]
                if far and a >= 4:
                    for i in range(WIDTH):
                        private[c, node - shared[0, c], i] += scale * y[a, i]
                else:
                    for i in range(WIDTH):
                        f[node, i] += scale * y[a, i]
    if n_slabs > 1:
        for c in prange(n_slabs):
            for row in range(shared[1, c] - shared[0, c]):
                for i in range(WIDTH):
                    f[shared[0, c] + row, i] += private[c, row, i]
