r"""Effective stiffness of a network and its full Jacobian, compiled, one thread per sample.

The effective energy is stationary in the jump vectors, so only explicit derivatives count:
one sweep up (condense) and one sweep down (strain concentration A_k of every block) give the
derivative of the 21 entries of C for every parameter. For block k of weight W_k, with ``J`` its
jump matrix, ``D = C_2 - C_1``, ``N = (f_2 C_1 + f_1 C_2) H`` and the stress difference
``S = N J - D`` of the children,

.. math::
    \partial C / \partial f_1 &= W_k A_k^T (S - (H^T C_k)^T J) A_k \\
    \partial C / \partial n_i &= W_k f_1 f_2 \, 2\,\mathrm{sym}(A_k^T S^T H(e_i) J A_k) \\
    \partial C / \partial \omega_i &= w_j \, 2\,\mathrm{sym}(A_j^T G_i C_j A_j)

with ``G_i`` the Mandel generator of a rotation of base node j about global axis i. Weights act
through the fractions of their ancestors, ``df_1 = f_2 dw / W_k`` below the first child and
``-f_1 dw / W_k`` below the second.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit, prange

from matnet.online.condense import (
    add_interface_strain,
    apply_interface,
    condense_stiffness,
    gather_base,
)

__all__ = ["N_ENTRIES", "stiffness_jacobian"]

N_ENTRIES = 21
"""Entries of the upper triangle of a symmetric 6x6 matrix, row by row."""

_SQRT_HALF = float(np.sqrt(0.5))
_SQRT2 = float(np.sqrt(2.0))


@njit(cache=True)
def _matmul(a, b, out):
    """out (p, 6) = a (p, 6) @ b (6, 6)."""
    for i in range(a.shape[0]):
        for j in range(6):
            out[i, j] = 0.0
        for k in range(6):
            x = a[i, k]
            for j in range(6):
                out[i, j] += x * b[k, j]


@njit(cache=True)
def _write_symmetric(x, y, scale, out):
    """out (21,) = upper triangle of scale * (x^T y + y^T x) / 2 for x, y (p, 6)."""
    e = 0
    half = 0.5 * scale
    for i in range(6):
        for j in range(i, 6):
            total = 0.0
            for k in range(x.shape[0]):
                total += x[k, i] * y[k, j] + y[k, i] * x[k, j]
            out[e] = half * total
            e += 1


@njit(cache=True)
def _stress_difference(c1, c2, f1, n, jump, out, work):
    """out (6, 6) = (f2 C1 + f1 C2) H J - (C2 - C1)."""
    h1, h2 = work[0:6, 0:3], work[0:6, 3:6]
    apply_interface(c1, n, h1)
    apply_interface(c2, n, h2)
    f2 = 1.0 - f1
    for i in range(6):
        m0 = f2 * h1[i, 0] + f1 * h2[i, 0]
        m1 = f2 * h1[i, 1] + f1 * h2[i, 1]
        m2 = f2 * h1[i, 2] + f1 * h2[i, 2]
        for j in range(6):
            out[i, j] = c1[i, j] - c2[i, j] + m0 * jump[0, j] + m1 * jump[1, j] + m2 * jump[2, j]


@njit(cache=True)
def _traction(stress, axis, out):
    """out (3, 6): row k = stress (6, 6 columns) contracted with sym(e_axis x e_k)."""
    s = _SQRT_HALF
    if axis == 0:
        for j in range(6):
            out[0, j], out[1, j], out[2, j] = stress[0, j], s * stress[3, j], s * stress[4, j]
    elif axis == 1:
        for j in range(6):
            out[0, j], out[1, j], out[2, j] = s * stress[3, j], stress[1, j], s * stress[5, j]
    else:
        for j in range(6):
            out[0, j], out[1, j], out[2, j] = s * stress[4, j], s * stress[5, j], stress[2, j]


@njit(cache=True)
def _spin(strain, axis, out):
    """out (6, 6) = G_axis^T @ strain: Mandel columns turned by an infinitesimal rotation."""
    r = _SQRT2
    s = strain
    for j in range(6):
        if axis == 0:
            out[0, j] = 0.0
            out[1, j], out[2, j] = r * s[5, j], -r * s[5, j]
            out[3, j], out[4, j] = s[4, j], -s[3, j]
            out[5, j] = r * (s[2, j] - s[1, j])
        elif axis == 1:
            out[1, j] = 0.0
            out[0, j], out[2, j] = -r * s[4, j], r * s[4, j]
            out[3, j], out[5, j] = -s[5, j], s[3, j]
            out[4, j] = r * (s[0, j] - s[2, j])
        else:
            out[2, j] = 0.0
            out[0, j], out[1, j] = r * s[3, j], -r * s[3, j]
            out[4, j], out[5, j] = s[5, j], -s[4, j]
            out[3, j] = r * (s[1, j] - s[0, j])


@njit(cache=True)
def _block_sensitivity(
    c1, c2, c, f1, n, tangents, jump, strain, weight, d_fraction, d_normal, jump_strain, work
):
    """Derivatives of one block: d_fraction (21,) per f1, d_normal (2, 21) per tangent."""
    stress, turned, t0, t1 = work[0:6], work[6:12], work[12:15], work[15:18]
    scratch = work[18:24]
    _stress_difference(c1, c2, f1, n, jump, scratch, turned)
    _matmul(scratch, strain, stress)
    _matmul(jump, strain, jump_strain)
    # fraction: A^T S A - (H^T C A)^T (J A)
    apply_interface(c, n, turned[:, 0:3])
    for i in range(3):
        for j in range(6):
            t0[i, j] = 0.0
            for k in range(6):
                t0[i, j] += turned[k, i] * strain[k, j]
    e = 0
    for i in range(6):
        for j in range(i, 6):
            total = 0.0
            for k in range(6):
                total += strain[k, i] * stress[k, j]
            for k in range(3):
                total -= t0[k, i] * jump_strain[k, j]
            d_fraction[e] = weight * total
            e += 1
    scale = 2.0 * weight * f1 * (1.0 - f1)
    for side in range(2):
        for i in range(3):
            for j in range(6):
                t1[i, j] = 0.0
        for axis in range(3):
            _traction(stress, axis, t0)
            x = tangents[side, axis]
            for i in range(3):
                for j in range(6):
                    t1[i, j] += x * t0[i, j]
        _write_symmetric(t1, jump_strain, scale, d_normal[side])


@njit(cache=True)
def _weight_sums(children, weights, fraction, block_weight):
    """Fills the first child's fraction and the weight of every block."""
    for k in range(children.shape[0] - 1, -1, -1):
        i, j = children[k]
        w1 = block_weight[i] if i >= 0 else weights[~i]
        w2 = block_weight[j] if j >= 0 else weights[~j]
        block_weight[k] = w1 + w2
        fraction[k] = w1 / (w1 + w2)


@njit(cache=True)
def _accumulate_weights(children, fraction, block_weight, by_fraction, by_block, by_weight):
    """Chain rule from fractions (n_blocks, 21) to weights (n_base, 21), root to leaves."""
    for k in range(children.shape[0]):
        for side in range(2):
            child = children[k, side]
            factor = 1.0 - fraction[k] if side == 0 else -fraction[k]
            factor /= block_weight[k]
            target = by_block[child] if child >= 0 else by_weight[~child]
            for e in range(N_ENTRIES):
                target[e] = by_block[k, e] + factor * by_fraction[k, e]


@njit(cache=True)
def _sample(
    phases, base_phase, turns, weights, fraction, block_weight, normals, tangents, children, c, jac
):
    """One sample: fills c (21,) and jac (n_params, 21), columns by weight, normal, rotation."""
    n_base, n_blocks = base_phase.shape[0], children.shape[0]
    base = np.empty((n_base, 6, 6))
    blocks = np.empty((n_blocks, 6, 6))
    jumps = np.empty((n_blocks, 3, 6))
    strains = np.empty((n_blocks, 6, 6))
    leaf = np.empty((n_base, 6, 6))
    by_fraction = np.empty((n_blocks, N_ENTRIES))
    by_block = np.empty((n_blocks, N_ENTRIES))
    d_normal = np.empty((2, N_ENTRIES))
    jump_strain = np.empty((3, 6))
    work = np.empty((24, 6))
    gather_base(phases, base_phase, turns, base, work)
    condense_stiffness(base, blocks, jumps, fraction, normals, children, work)
    root = blocks[0] if n_blocks > 0 else base[0]
    e = 0
    for i in range(6):
        for j in range(i, 6):
            c[e] = root[i, j]
            e += 1
    if n_blocks > 0:
        strains[0] = np.eye(6)
        by_block[0] = 0.0
    else:
        leaf[0] = np.eye(6)
        jac[0] = 0.0
    for k in range(n_blocks):
        i, j = children[k]
        c1 = blocks[i] if i >= 0 else base[~i]
        c2 = blocks[j] if j >= 0 else base[~j]
        _block_sensitivity(
            c1, c2, blocks[k], fraction[k], normals[k], tangents[k], jumps[k], strains[k],
            block_weight[k], by_fraction[k], d_normal, jump_strain, work,
        )  # fmt: skip
        first = n_base + 2 * k
        jac[first] = d_normal[0]
        jac[first + 1] = d_normal[1]
        target = strains[i] if i >= 0 else leaf[~i]
        add_interface_strain(strains[k], jump_strain, normals[k], 1.0 - fraction[k], target)
        target = strains[j] if j >= 0 else leaf[~j]
        add_interface_strain(strains[k], jump_strain, normals[k], -fraction[k], target)
    _accumulate_weights(children, fraction, block_weight, by_fraction, by_block, jac[0:n_base])
    if turns.shape[0] > 0:
        first = n_base + 2 * n_blocks
        for i in range(n_base):
            _matmul(base[i], leaf[i], work[0:6])
            for axis in range(3):
                _spin(leaf[i], axis, work[6:12])
                row = jac[first + 3 * i + axis]
                _write_symmetric(work[6:12], work[0:6], 2.0 * weights[i], row)


@njit(cache=True, parallel=True)
def stiffness_jacobian(
    phase_stiffness, base_phase, turns, weights, normals, tangents, children, scale, c, jac
):
    """Scaled effective stiffness and its Jacobian for every sample.

    phase_stiffness (m, n_phases, 6, 6); turns (n_base, 6, 6) or (0, 6, 6); weights (n_base,) with
    sum 1; normals (n_blocks, 3); tangents (n_blocks, 2, 3): directions in which normals are
    varied;
    children (n_blocks, 2); scale (m, 21). Fills c (m, 21), the upper triangle row by row, and
    jac (n_params, m, 21): n_base weights (taken as independent), 2 per block, 3 rotations per
    base node if `turns` are given.
    """
    n_blocks = children.shape[0]
    fraction = np.empty(n_blocks)
    block_weight = np.empty(n_blocks)
    _weight_sums(children, weights, fraction, block_weight)
    for sample in prange(phase_stiffness.shape[0]):
        _sample(
            phase_stiffness[sample], base_phase, turns, weights, fraction, block_weight, normals,
            tangents, children, c[sample], jac[:, sample],
        )  # fmt: skip
        for e in range(N_ENTRIES):
            c[sample, e] *= scale[sample, e]
        for p in range(jac.shape[0]):
            for e in range(N_ENTRIES):
                jac[p, sample, e] *= scale[sample, e]
