"""Compiled loops over elements: load vectors, energies and residuals without assembling.

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

Slabs along axis 0 run in parallel, all but their last layers first. The plane behind a last layer
belongs to the next slab, which has finished its own part by then: no two slabs write to one node at
a time, and the order of all sums is fixed.

Kernels that take the blocks of the element matrix compute in the precision of the blocks.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from offline.homogenization.mesh import LANES
from offline.homogenization.node_kernels import LOADS

__all__ = ["BILINEAR", "LINEAR", "TRILINEAR", "assemble_loads", "evaluate"]

LINEAR, BILINEAR, TRILINEAR = (1, 2, 4), (3, 5, 6), (7,)  # rows of grid.MODES
ROW = LANES * LOADS  # lanes of one component
MODE = 3 * ROW  # lanes of one node or mode
U = np.uint64
FUSED = {"contract"}  # allow multiply-add; NaN and infinity keep their meaning


@njit(cache=True, fastmath=FUSED)
def _gather(p: np.ndarray, nodes: np.ndarray, g: int, w: np.ndarray) -> None:
    for b in range(LANES):
        for a in range(8):
            node = U(nodes[g, b, a])
            o = U(a * MODE + LOADS * b)
            for k in range(U(LOADS)):  # unsigned: no look for negative indices
                w[o + k] = p[node, k]
            for k in range(U(LOADS)):
                w[o + U(ROW) + k] = p[node, U(LOADS) + k]
            for k in range(U(LOADS)):
                w[o + U(2 * ROW) + k] = p[node, U(2 * LOADS) + k]


@njit(cache=True, fastmath=FUSED)
def _scatter(q: np.ndarray, nodes: np.ndarray, density: np.ndarray, g: int, y: np.ndarray) -> None:
    for b in range(LANES):
        s = density[g, b]
        if s != 0.0:
            for a in range(8):
                row = U(nodes[g, b, a])
                o = U(a * MODE + LOADS * b)
                for k in range(U(LOADS)):
                    q[row, k] += s * y[o + k]
                for k in range(U(LOADS)):
                    q[row, U(LOADS) + k] += s * y[o + U(ROW) + k]
                for k in range(U(LOADS)):
                    q[row, U(2 * LOADS) + k] += s * y[o + U(2 * ROW) + k]


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


@njit(cache=True, parallel=True)
def assemble_loads(
    nodes: np.ndarray,
    phase: np.ndarray,
    density: np.ndarray,
    load: np.ndarray,
    slabs: np.ndarray,
    f: np.ndarray,
) -> None:
    """f (n_nodes, 18) = sum of element loads (n_phases, 8 * MODE) in lanes.

    nodes, phase, density, slabs are the arrays of `SolidMesh.groups`.
    """
    for last in range(2):
        for c in prange(slabs.shape[1]):
            if last == 0:
                f[slabs[3, c] : slabs[4, c]] = 0.0
            for g in range(slabs[2 * last, c], slabs[2 - last, c]):
                _scatter(f, nodes, density, g, load[phase[g]])


@njit(cache=True, parallel=True)
def evaluate(
    nodes: np.ndarray,
    phase: np.ndarray,
    density: np.ndarray,
    linear: np.ndarray,
    bilinear: np.ndarray,
    trilinear: np.ndarray,
    slabs: np.ndarray,
    affine: np.ndarray,
    factor: np.ndarray,
    u: np.ndarray,
    r: np.ndarray,
    products: np.ndarray,
) -> None:
    """Energies and forces of the total displacements ``affine - factor u``.

    Subtracting displacements, not energies or forces, keeps the digits of a C^H far below the
    Voigt mean and of a residual far below the loads.

    Parameters
    ----------
    nodes, phase, density, slabs : arrays of `SolidMesh.groups`
    linear, bilinear, trilinear : (n_phases, 9, 9), (n_phases, 9, 9), (n_phases, 3, 3)
        Blocks of the element stiffness in mode amplitudes times 8.
    affine : (8 * MODE,)
        Macroscopic displacements of an element in modes, in lanes; the constant mode is unused.
    factor : (6,)
        Per load case.
    u : (n_nodes, 18)
        Fluctuations, in any precision.
    r : (n_nodes, 18)
        Filled with the residuals ``f - K (factor u)``; left alone if it has no rows.
    products : (2, n_slabs, 6, 6)
        Energy products of load cases k and m; the caller sums.
    """
    for last in range(2):
        for c in prange(slabs.shape[1]):
            with_forces = r.shape[0] > 0
            if last == 0 and with_forces:
                r[slabs[3, c] : slabs[4, c]] = 0.0
            w = np.empty(8 * MODE, linear.dtype)
            y = np.empty(8 * MODE, linear.dtype)
            lane_factor = np.empty(MODE, linear.dtype)
            for i in range(MODE):
                lane_factor[i] = factor[i % LOADS]
            total = np.zeros((LOADS, LOADS))
            for g in range(slabs[2 * last, c], slabs[2 - last, c]):
                kind = phase[g]
                _gather(u, nodes, g, w)
                _to_modes(w)
                for a in range(8):
                    for i in range(MODE):
                        w[a * MODE + i] = affine[a * MODE + i] - lane_factor[i] * w[a * MODE + i]
                _multiply(linear[kind], bilinear[kind], trilinear[kind], w, y)
                for row in range(3, 24):
                    for b in range(LANES):
                        o = row * ROW + LOADS * b
                        for k in range(LOADS):
                            x = density[g, b] * w[o + k]
                            for m in range(LOADS):
                                total[k, m] += x * y[o + m]
                if with_forces:
                    _to_nodes(y)
                    _scatter(r, nodes, density, g, y)
            products[last, c] = total
