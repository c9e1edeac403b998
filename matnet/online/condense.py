r"""Kernels that condense stiffness from the base nodes to the root, and hand strains down.

One block joins two children of fractions f1 + f2 = 1 over an interface of unit normal n. With
``H = H(n)`` (6, 3) and the jump vector a, the children's strains are ``eps + f2 H a`` and
``eps - f1 H a``, and stationarity of the energy in a gives (He et al., eq. 20 to 22; their b is
``f1 f2 a``, which loses digits when a child is small):

.. math::
    M = H^T (f_2 C_1 + f_1 C_2) H, \qquad
    a = J \varepsilon, \quad J = M^{-1} H^T (C_2 - C_1), \qquad
    C = f_1 C_1 + f_2 C_2 - f_1 f_2 (C_2 - C_1) H J

Both children are positive semi-definite, so ``M v = 0`` means ``C_1 H v = C_2 H v = 0``: the
right-hand side has no part along v, every generalised inverse of M gives the same C, and C is the
limit of vanishing stiffness. Cholesky pivots at the level of round-off are therefore skipped, and a
has no part there.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = [
    "add_interface_strain",
    "apply_interface",
    "apply_interface_transposed",
    "concentration_batch",
    "condense_stiffness",
    "distribute_strain",
    "gather_base",
    "homogenize_batch",
    "laminate",
]

SQRT_HALF = float(np.sqrt(0.5))
PIVOT_FLOOR = 1e-13
"""Pivots below this fraction of the weighted trace of both children are round-off."""


@njit(cache=True)
def apply_interface(c, n, out):
    """out (6, 3) = c (6, 6) @ H(n), using the three nonzero entries of each column of H."""
    s = SQRT_HALF
    for i in range(6):
        out[i, 0] = c[i, 0] * n[0] + s * (c[i, 3] * n[1] + c[i, 4] * n[2])
        out[i, 1] = c[i, 1] * n[1] + s * (c[i, 3] * n[0] + c[i, 5] * n[2])
        out[i, 2] = c[i, 2] * n[2] + s * (c[i, 4] * n[0] + c[i, 5] * n[1])


@njit(cache=True)
def apply_interface_transposed(a, n, out):
    """out (3, 3) = H(n)^T @ a (6, 3)."""
    s = SQRT_HALF
    for j in range(3):
        out[0, j] = a[0, j] * n[0] + s * (a[3, j] * n[1] + a[4, j] * n[2])
        out[1, j] = a[1, j] * n[1] + s * (a[3, j] * n[0] + a[5, j] * n[2])
        out[2, j] = a[2, j] * n[2] + s * (a[4, j] * n[0] + a[5, j] * n[1])


@njit(cache=True)
def semidefinite_solve(m, floor, rhs, x):
    """Solve ``m x = rhs.T`` for rhs (6, 3), x (3, 6) by LDL^T, skipping pivots below `floor`."""
    d0 = m[0, 0]
    i0 = 1.0 / d0 if d0 > floor else 0.0
    l10 = m[1, 0] * i0
    l20 = m[2, 0] * i0
    d1 = m[1, 1] - l10 * m[1, 0]
    i1 = 1.0 / d1 if d1 > floor else 0.0
    c21 = m[2, 1] - l20 * m[1, 0]
    l21 = c21 * i1
    d2 = m[2, 2] - l20 * m[2, 0] - l21 * c21
    i2 = 1.0 / d2 if d2 > floor else 0.0
    if d0 != d0 or d1 != d1 or d2 != d2:  # NaN has to stay visible
        i0 = np.nan
    for k in range(6):
        y0 = rhs[k, 0]
        y1 = rhs[k, 1] - l10 * y0
        y2 = rhs[k, 2] - l20 * y0 - l21 * y1
        x[2, k] = y2 * i2
        x[1, k] = y1 * i1 - l21 * x[2, k]
        x[0, k] = y0 * i0 - l10 * x[1, k] - l20 * x[2, k]


@njit(cache=True)
def laminate(c1, c2, f1, n, c, a, work):
    """One block: fills c (6, 6) and the jump matrix a (3, 6); work is (21, 6) scratch."""
    f2 = 1.0 - f1
    mixed, jump = work[0:6], work[6:12]
    mixed_h, jump_h, m = work[12:18, 0:3], work[12:18, 3:6], work[18:21, 0:3]
    trace = 0.0
    for i in range(6):
        for j in range(6):
            mixed[i, j] = f2 * c1[i, j] + f1 * c2[i, j]
            jump[i, j] = c2[i, j] - c1[i, j]
        trace += mixed[i, i]
    apply_interface(mixed, n, mixed_h)
    apply_interface(jump, n, jump_h)
    apply_interface_transposed(mixed_h, n, m)
    semidefinite_solve(m, PIVOT_FLOOR * trace, jump_h, a)
    f12 = f1 * f2
    for i in range(6):
        for j in range(i, 6):
            drop = jump_h[i, 0] * a[0, j] + jump_h[i, 1] * a[1, j] + jump_h[i, 2] * a[2, j]
            c[i, j] = f1 * c1[i, j] + f2 * c2[i, j] - f12 * drop
            c[j, i] = c[i, j]


@njit(cache=True)
def _turn(c, rotation, out, work):
    """out = R c R^T."""
    for i in range(6):
        for j in range(6):
            work[i, j] = 0.0
            for k in range(6):
                work[i, j] += rotation[i, k] * c[k, j]
    for i in range(6):
        for j in range(6):
            out[i, j] = 0.0
            for k in range(6):
                out[i, j] += work[i, k] * rotation[j, k]


@njit(cache=True)
def condense_stiffness(base, blocks, jumps, fraction, normals, children, work):
    """Leaves to root: base (n_base, 6, 6) -> blocks (n_blocks, 6, 6) and jumps (n_blocks, 3, 6)."""
    for k in range(children.shape[0] - 1, -1, -1):
        i, j = children[k]
        c1 = blocks[i] if i >= 0 else base[~i]
        c2 = blocks[j] if j >= 0 else base[~j]
        laminate(c1, c2, fraction[k], normals[k], blocks[k], jumps[k], work)


@njit(cache=True)
def gather_base(phase_stiffness, base_phase, turns, base, work):
    for i in range(base_phase.shape[0]):
        if turns.shape[0] == 0:
            base[i] = phase_stiffness[base_phase[i]]
        else:
            _turn(phase_stiffness[base_phase[i]], turns[i], base[i], work)


@njit(cache=True, parallel=True)
def homogenize_batch(phase_stiffness, base_phase, turns, fraction, normals, children, out):
    """Effective stiffness of every sample.

    phase_stiffness (m, n_phases, 6, 6), base_phase (n_base,), turns (n_base, 6, 6) or (0, 6, 6),
    fraction (n_blocks,) of the first child, normals (n_blocks, 3), children (n_blocks, 2); fills
    out (m, 6, 6).
    """
    n_base, n_blocks = base_phase.shape[0], children.shape[0]
    for sample in prange(phase_stiffness.shape[0]):
        base = np.empty((n_base, 6, 6))
        blocks = np.empty((n_blocks, 6, 6))
        jumps = np.empty((n_blocks, 3, 6))
        work = np.empty((21, 6))
        gather_base(phase_stiffness[sample], base_phase, turns, base, work)
        condense_stiffness(base, blocks, jumps, fraction, normals, children, work)
        out[sample] = blocks[0] if n_blocks > 0 else base[0]


@njit(cache=True)
def add_interface_strain(strain, a, n, scale, out):
    """out (6, 6) = strain + scale * H(n) @ a, with a (3, 6)."""
    s = SQRT_HALF
    n0, n1, n2 = scale * n[0], scale * n[1], scale * n[2]
    for j in range(6):
        out[0, j] = strain[0, j] + n0 * a[0, j]
        out[1, j] = strain[1, j] + n1 * a[1, j]
        out[2, j] = strain[2, j] + n2 * a[2, j]
        out[3, j] = strain[3, j] + s * (n1 * a[0, j] + n0 * a[1, j])
        out[4, j] = strain[4, j] + s * (n2 * a[0, j] + n0 * a[2, j])
        out[5, j] = strain[5, j] + s * (n2 * a[1, j] + n1 * a[2, j])


@njit(cache=True)
def distribute_strain(base_strain, block_strain, jumps, fraction, normals, children):
    """Root to leaves: block_strain[0] given; fills the strains (6, 6) of blocks and base nodes."""
    for k in range(children.shape[0]):
        a = jumps[k] @ block_strain[k]
        for side in range(2):
            child = children[k, side]
            scale = 1.0 - fraction[k] if side == 0 else -fraction[k]
            target = block_strain[child] if child >= 0 else base_strain[~child]
            add_interface_strain(block_strain[k], a, normals[k], scale, target)


@njit(cache=True, parallel=True)
def concentration_batch(phase_stiffness, base_phase, turns, fraction, normals, children, out):
    """Strain concentration: fills out (m, n_base, 6, 6) with A_i of eps_i = A_i eps."""
    n_base, n_blocks = base_phase.shape[0], children.shape[0]
    for sample in prange(phase_stiffness.shape[0]):
        base = np.empty((n_base, 6, 6))
        blocks = np.empty((n_blocks, 6, 6))
        jumps = np.empty((n_blocks, 3, 6))
        work = np.empty((21, 6))
        if n_blocks == 0:
            out[sample, 0] = np.eye(6)
        else:
            gather_base(phase_stiffness[sample], base_phase, turns, base, work)
            condense_stiffness(base, blocks, jumps, fraction, normals, children, work)
            blocks[0] = np.eye(6)
            distribute_strain(out[sample], blocks, jumps, fraction, normals, children)
