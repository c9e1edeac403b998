"""Compiled loops over elements: the stiffness matrix and the load vectors without assembling.

Fields are ``(n_nodes, 18)`` with component ``6 * i + load``. Eight elements of one phase are
handled together: their nodal values are copied to a buffer with rows ``[node or mode][component]``
of 48 lanes (element, load), which the compiler turns into vector instructions. There,

- three additions and subtractions per axis turn nodal values into the amplitudes of the eight modes
  ``xi_1^a xi_2^b xi_3^c`` (`grid.MODES`), times 8;
- in modes the 24x24 matrix of a parallelepiped with full 2x2x2 integration splits into a 9x9 block
  of the linear modes, a 9x9 block of the bilinear ones and a 3x3 block of the trilinear one,
  whatever the anisotropy: the strains of different blocks have opposite parity about the
  centre. The constant mode carries no force. This saves 70 % of the products;
- the transposed additions turn forces back to the nodes.

Slabs along axis 0 run in parallel. The plane behind a slab belongs to the next one; forces on it
are gathered in a private buffer and added afterwards, in a fixed order.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from offline.homogenization.mesh import LANES
from offline.homogenization.node_kernels import LOADS, WIDTH

__all__ = ["BILINEAR", "LINEAR", "TRILINEAR", "apply_stiffness", "assemble_loads", "energies"]

LINEAR, BILINEAR, TRILINEAR = (1, 2, 4), (3, 5, 6), (7,)  # rows of grid.MODES
ROW = LANES * LOADS  # lanes of one component
MODE = 3 * ROW  # lanes of one node or mode
FUSED = {"contract"}  # allow multiply-add; NaN and infinity keep their meaning


@njit(cache=True, fastmath=FUSED)
def _gather(p: np.ndarray, nodes: np.ndarray, g: int, w: np.ndarray) -> None:
    for b in range(LANES):
        for a in range(8):
            node = nodes[g, b, a]
            o = a * MODE + LOADS * b
            for k in range(LOADS):
                w[o + k] = p[node, k]
            for k in range(LOADS):
                w[o + ROW + k] = p[node, LOADS + k]
            for k in range(LOADS):
                w[o + 2 * ROW + k] = p[node, 2 * LOADS + k]


@njit(cache=True, fastmath=FUSED)
def _scatter(
    q: np.ndarray,
    nodes: np.ndarray,
    density: np.ndarray,
    g: int,
    first: int,
    last: int,
    shift: int,
    y: np.ndarray,
) -> None:
    """Add the forces of local nodes `first` to `last`; row `shift` of the mesh is row 0 of q."""
    for b in range(LANES):
        s = density[g, b]
        for a in range(first, last):
            row = nodes[g, b, a] - shift
            o = a * MODE + LOADS * b
            for k in range(LOADS):
                q[row, k] += s * y[o + k]
            for k in range(LOADS):
                q[row, LOADS + k] += s * y[o + ROW + k]
            for k in range(LOADS):
                q[row, 2 * LOADS + k] += s * y[o + 2 * ROW + k]


@njit(cache=True, fastmath=FUSED)
def _to_modes(w: np.ndarray) -> None:
    """In place: nodal values to mode amplitudes times 8; the constant mode is not needed."""
    for i in range(MODE):
        a0, a1, a2, a3 = w[i], w[MODE + i], w[2 * MODE + i], w[3 * MODE + i]
        a4, a5, a6, a7 = w[4 * MODE + i], w[5 * MODE + i], w[6 * MODE + i], w[7 * MODE + i]
        b0, b1, b2, b3 = a0 + a1, a1 - a0, a2 + a3, a3 - a2
        b4, b5, b6, b7 = a4 + a5, a5 - a4, a6 + a7, a7 - a6
        c0, c1, c2, c3 = b0 + b2, b1 + b3, b2 - b0, b3 - b1
        c4, c5, c6, c7 = b4 + b6, b5 + b7, b6 - b4, b7 - b5
        w[MODE + i] = c1 + c5
        w[2 * MODE + i] = c2 + c6
        w[3 * MODE + i] = c3 + c7
        w[4 * MODE + i] = c4 - c0
        w[5 * MODE + i] = c5 - c1
        w[6 * MODE + i] = c6 - c2
        w[7 * MODE + i] = c7 - c3


@njit(cache=True, fastmath=FUSED)
def _to_nodes(y: np.ndarray) -> None:
    """In place: the transpose of `_to_modes`, with nothing in the constant mode."""
    for i in range(MODE):
        a1, a2, a3, a4 = y[MODE + i], y[2 * MODE + i], y[3 * MODE + i], y[4 * MODE + i]
        a5, a6, a7 = y[5 * MODE + i], y[6 * MODE + i], y[7 * MODE + i]
        b0, b1, b2, b3 = -a4, a1 - a5, a2 - a6, a3 - a7
        b4, b5, b6, b7 = a4, a1 + a5, a2 + a6, a3 + a7
        c0, c1, c2, c3 = b0 - b2, b1 - b3, b0 + b2, b1 + b3
        c4, c5, c6, c7 = b4 - b6, b5 - b7, b4 + b6, b5 + b7
        y[i] = c0 - c1
        y[MODE + i] = c0 + c1
        y[2 * MODE + i] = c2 - c3
        y[3 * MODE + i] = c2 + c3
        y[4 * MODE + i] = c4 - c5
        y[5 * MODE + i] = c4 + c5
        y[6 * MODE + i] = c6 - c7
        y[7 * MODE + i] = c6 + c7


@njit(cache=True, fastmath=FUSED)
def _three_rows(
    k: np.ndarray, r: int, w: np.ndarray, a: int, b: int, c: int, y: np.ndarray, out: int
) -> None:
    """Forces of mode `out`: rows r to r + 2 of a 9x9 block times modes a, b, c."""
    for i in range(3):
        k0, k1, k2 = k[r + i, 0], k[r + i, 1], k[r + i, 2]
        k3, k4, k5 = k[r + i, 3], k[r + i, 4], k[r + i, 5]
        k6, k7, k8 = k[r + i, 6], k[r + i, 7], k[r + i, 8]
        for j in range(ROW):  # indexed flat: views would keep the compiler from vectorising
            y[out * MODE + ROW * i + j] = (
                k0 * w[a * MODE + j]
                + k1 * w[a * MODE + ROW + j]
                + k2 * w[a * MODE + 2 * ROW + j]
                + k3 * w[b * MODE + j]
                + k4 * w[b * MODE + ROW + j]
                + k5 * w[b * MODE + 2 * ROW + j]
                + k6 * w[c * MODE + j]
                + k7 * w[c * MODE + ROW + j]
                + k8 * w[c * MODE + 2 * ROW + j]
            )


@njit(cache=True, fastmath=FUSED)
def _trilinear(k: np.ndarray, w: np.ndarray, y: np.ndarray) -> None:
    for i in range(3):
        k0, k1, k2 = k[i, 0], k[i, 1], k[i, 2]
        for j in range(ROW):
            y[7 * MODE + ROW * i + j] = (
                k0 * w[7 * MODE + j] + k1 * w[7 * MODE + ROW + j] + k2 * w[7 * MODE + 2 * ROW + j]
            )


@njit(cache=True, fastmath=FUSED)
def _add_work(
    density: np.ndarray, g: int, w: np.ndarray, y: np.ndarray, lanes: np.ndarray, work: np.ndarray
) -> None:
    """work[load] += density w . y of the eight elements."""
    for j in range(ROW):
        total = 0.0
        for c in range(3):
            i = c * ROW + j
            total += (
                w[MODE + i] * y[MODE + i]
                + w[2 * MODE + i] * y[2 * MODE + i]
                + w[3 * MODE + i] * y[3 * MODE + i]
                + w[4 * MODE + i] * y[4 * MODE + i]
                + w[5 * MODE + i] * y[5 * MODE + i]
                + w[6 * MODE + i] * y[6 * MODE + i]
                + w[7 * MODE + i] * y[7 * MODE + i]
            )
        lanes[j] = total
    for b in range(LANES):
        for k in range(LOADS):
            work[k] += density[g, b] * lanes[LOADS * b + k]


@njit(cache=True, fastmath=FUSED)
def _multiply(
    linear: np.ndarray, bilinear: np.ndarray, trilinear: np.ndarray, w: np.ndarray, y: np.ndarray
) -> None:
    """Forces y of eight elements from their displacements w, both in modes."""
    _three_rows(linear, 0, w, 1, 2, 4, y, 1)
    _three_rows(linear, 3, w, 1, 2, 4, y, 2)
    _three_rows(linear, 6, w, 1, 2, 4, y, 4)
    _three_rows(bilinear, 0, w, 3, 5, 6, y, 3)
    _three_rows(bilinear, 3, w, 3, 5, 6, y, 5)
    _three_rows(bilinear, 6, w, 3, 5, 6, y, 6)
    _trilinear(trilinear, w, y)


@njit(cache=True)
def _private(shared: np.ndarray) -> np.ndarray:
    """A buffer for each slab's plane behind; empty for a single slab, which owns all nodes."""
    n_slabs = shared.shape[1]
    widest = 0
    if n_slabs > 1:
        for c in range(n_slabs):
            widest = max(widest, shared[1, c] - shared[0, c])
    return np.zeros((n_slabs, widest, WIDTH))


@njit(cache=True, parallel=True)
def _merge(private: np.ndarray, shared: np.ndarray, q: np.ndarray) -> None:
    if shared.shape[1] > 1:
        for c in prange(shared.shape[1]):  # every slab has its own plane
            for row in range(shared[1, c] - shared[0, c]):
                for i in range(WIDTH):
                    q[shared[0, c] + row, i] += private[c, row, i]


@njit(cache=True, parallel=True)
def apply_stiffness(
    nodes: np.ndarray,
    phase: np.ndarray,
    density: np.ndarray,
    linear: np.ndarray,
    bilinear: np.ndarray,
    trilinear: np.ndarray,
    slabs: np.ndarray,
    shared: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    power: np.ndarray,
) -> None:
    """q = K p and power[slab, load], the work p . K p.

    Parameters
    ----------
    nodes, phase, density, slabs, shared : arrays of `SolidMesh.groups`
    linear, bilinear, trilinear : (n_phases, 9, 9), (n_phases, 9, 9), (n_phases, 3, 3)
        Blocks of the element stiffness in mode amplitudes times 8.
    p, q : (n_nodes, 18)
    power : (n_slabs, 6)
        The caller sums.
    """
    private = _private(shared)
    n_slabs = slabs.shape[1]
    for c in prange(n_slabs):
        q[slabs[3, c] : slabs[4, c]] = 0.0
        w = np.empty(8 * MODE)
        y = np.empty(8 * MODE)
        lanes = np.empty(ROW)
        work = np.zeros(LOADS)
        behind = private[c]
        for g in range(slabs[0, c], slabs[1, c]):
            kind = phase[g]
            _gather(p, nodes, g, w)
            _to_modes(w)
            _multiply(linear[kind], bilinear[kind], trilinear[kind], w, y)
            _add_work(density, g, w, y, lanes, work)
            _to_nodes(y)
            if n_slabs > 1 and g >= slabs[2, c]:
                _scatter(q, nodes, density, g, 0, 4, 0, y)
                _scatter(behind, nodes, density, g, 4, 8, shared[0, c], y)
            else:
                _scatter(q, nodes, density, g, 0, 8, 0, y)
        power[c] = work
    _merge(private, shared, q)


@njit(cache=True, parallel=True)
def assemble_loads(
    nodes: np.ndarray,
    phase: np.ndarray,
    density: np.ndarray,
    load: np.ndarray,
    slabs: np.ndarray,
    shared: np.ndarray,
    f: np.ndarray,
) -> None:
    """f = sum of element loads (n_phases, 8 * MODE) in lanes; other arguments as above."""
    private = _private(shared)
    n_slabs = slabs.shape[1]
    for c in prange(n_slabs):
        f[slabs[3, c] : slabs[4, c]] = 0.0
        behind = private[c]
        for g in range(slabs[0, c], slabs[1, c]):
            y = load[phase[g]]
            if n_slabs > 1 and g >= slabs[2, c]:
                _scatter(f, nodes, density, g, 0, 4, 0, y)
                _scatter(behind, nodes, density, g, 4, 8, shared[0, c], y)
            else:
                _scatter(f, nodes, density, g, 0, 8, 0, y)
    _merge(private, shared, f)


@njit(cache=True, parallel=True)
def energies(
    nodes: np.ndarray,
    phase: np.ndarray,
    density: np.ndarray,
    linear: np.ndarray,
    bilinear: np.ndarray,
    trilinear: np.ndarray,
    slabs: np.ndarray,
    affine: np.ndarray,
    u: np.ndarray,
    products: np.ndarray,
) -> None:
    """products[slab, k, m], energy products of the total displacements of load cases k and m.

    `affine` (8 * MODE) holds the macroscopic displacements of an element in modes, in lanes; the
    total displacement is ``affine - u``. The constant mode does not matter. Subtracting
    displacements and not energies keeps the digits of a C^H far below the Voigt mean.
    """
    for c in prange(slabs.shape[1]):
        w = np.empty(8 * MODE)
        y = np.empty(8 * MODE)
        total = np.zeros((LOADS, LOADS))
        for g in range(slabs[0, c], slabs[1, c]):
            kind = phase[g]
            _gather(u, nodes, g, w)
            _to_modes(w)
            for i in range(8 * MODE):
                w[i] = affine[i] - w[i]
            _multiply(linear[kind], bilinear[kind], trilinear[kind], w, y)
            for row in range(3, 24):
                for b in range(LANES):
                    o = row * ROW + LOADS * b
                    for k in range(LOADS):
                        x = density[g, b] * w[o + k]
                        for m in range(LOADS):
                            total[k, m] += x * y[o + m]
        products[c] = total
