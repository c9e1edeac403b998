"""Compiled loops over elements: the laws at all integration points, and the linearised forces.

Eight elements of one phase are handled together. Slabs along axis 0 run in parallel. The plane
behind a slab belongs to the next one; forces on it are gathered in a private buffer and added
afterwards, in a fixed order: results do not depend on the number of threads.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from matnet.phases.calls import call_lanes
from matnet.simd import LANES, lane, load, store
from offline.reference.hexahedra import (
    GAUSS,
    WEIGHT,
    add,
    add_mean_stress,
    add_stress,
    dot,
    from_gradients,
    full_times,
    gather,
    half_times,
    inline,
    load6,
    mean_strain,
    plus,
    row,
    scaled,
    scaled_by,
    scatter,
    store6,
    strain,
    sum,
    times,
    to_gradients,
    to_modes,
    to_nodes,
    transposed_times,
    zeros6,
)

__all__ = [
    "COLUMNS",
    "FULL",
    "HALF",
    "LawTable",
    "Mesh",
    "apply_tangent",
    "evaluate",
    "sum_state",
]

COLUMNS = 16  # of `means`: strain, stress, stored, dissipated, stress . strain, stress . S stress
HALF, FULL = 21, 36  # numbers of a stored tangent

kernel = njit(cache=True, error_model="numpy")


class Mesh(NamedTuple):
    """Elements in eights of one phase; `offline.homogenization.mesh.Groups` without frills."""

    nodes: np.ndarray  # (n_groups, 8 elements, 8 nodes) int32
    phase: np.ndarray  # (n_groups,)
    real: np.ndarray  # (n_groups, 8) 1.0, or 0.0 where an element is repeated to fill the group
    slabs: np.ndarray  # (5, n_slabs)
    shared: np.ndarray  # (2, n_slabs)
    tangent_row: np.ndarray  # (n_groups,) first row of the stored tangents, -1 for linear phases
    state_row: np.ndarray  # (n_groups,) first row of the state


class LawTable(NamedTuple):
    """All phases. ``frame`` takes strains on unit voxels to the frame of the law."""

    linear: np.ndarray  # (n_phases,) bool
    half: np.ndarray  # (n_phases,) bool: only the upper triangle of the tangent is filled for sure
    lane_kernel: np.ndarray  # (n_phases,) addresses
    point_kernel: np.ndarray
    n_state: np.ndarray
    first_parameter: np.ndarray  # (n_phases + 1,)
    parameters: np.ndarray
    diagonal: np.ndarray  # (n_phases,) bool: only the diagonal of frame is not zero
    frame: np.ndarray  # (n_phases, 6, 6)
    stiffness: np.ndarray  # (n_phases, 6, 6) on unit voxels
    dilatation: np.ndarray  # (1, 2, 6) vectors a and b of `offline.reference.hexahedra`


@kernel
def _private(shared):
    """A buffer for each slab's plane behind; empty for a single slab, which owns all nodes."""
    n_slabs, widest = shared.shape[1], 0
    if n_slabs > 1:
        for c in range(n_slabs):
            widest = max(widest, shared[1, c] - shared[0, c])
    return np.zeros((n_slabs, widest, 3))


@kernel
def _merge(behind, shared, q):
    if shared.shape[1] > 1:
        for c in range(shared.shape[1]):
            for row in range(shared[1, c] - shared[0, c]):
                for i in range(3):
                    q[shared[0, c] + row, i] += behind[c, row, i]


@kernel
def _forces(mesh, c, g, d, w, q, behind):
    """From dual gradients of group g to the forces at its nodes."""
    from_gradients(d, w)
    to_nodes(w)
    if mesh.slabs.shape[1] > 1 and g >= mesh.slabs[2, c]:
        scatter(q, mesh.nodes, mesh.real, g, 0, 4, 0, w)
        scatter(behind, mesh.nodes, mesh.real, g, 4, 8, mesh.shared[0, c], w)
    else:
        scatter(q, mesh.nodes, mesh.real, g, 0, 8, 0, w)


@inline
def _with_mean_dilatation(eps, a, b, mean):
    """Strain whose volume change is `mean`."""
    return plus(eps, mean - dot(a, eps), b)


@inline
def _add_with_mean_dilatation(t, point, sig, a, share):
    """The transpose of `_with_mean_dilatation`, less the part of the mean; `share` is b . sig."""
    add_stress(t, point, plus(sig, 0.0 - share, a))


@kernel
def _apply_slab(mesh, laws, tangent, half, macro, p, q, c, behind, mean):
    w, d, t = np.zeros((24, LANES)), np.zeros((36, LANES)), np.zeros((36, LANES))
    total = np.zeros((6, LANES))
    e_macro = (macro[0], macro[1], macro[2], macro[3], macro[4], macro[5])
    a, b = row(laws.dilatation, 0, 0), row(laws.dilatation, 0, 1)
    q[mesh.slabs[3, c] : mesh.slabs[4, c]] = 0.0
    for g in range(mesh.slabs[0, c], mesh.slabs[1, c]):
        gather(p, mesh.nodes, g, w)
        to_modes(w)
        to_gradients(w, d)
        for k in range(36):
            store(t, k, 0.0)
        sums = zeros6()
        kind, first = mesh.phase[g], mesh.tangent_row[g]
        dilatation, shares = dot(a, mean_strain(d)), lane(0.0)
        for point in range(GAUSS):
            eps = sum(_with_mean_dilatation(strain(d, point), a, b, dilatation), e_macro)
            if first < 0:
                sig = times(laws.stiffness, kind, eps)
            elif half:
                sig = half_times(tangent, first + HALF * point, eps)
            else:
                sig = full_times(tangent, first + FULL * point, eps)
            sums = sum(sums, sig)
            share = dot(b, sig)
            shares = shares + share
            _add_with_mean_dilatation(t, point, sig, a, share)
        add_mean_stress(t, scaled_by(shares, a))
        count = load(mesh.real, g)
        _store_sums(total, count, sums)
        _forces(mesh, c, g, t, w, q, behind)
    for k in range(6):
        mean[c, k] = WEIGHT * total[k].sum()


@inline
def _store_sums(total, count, sums):
    add(total, 0, count * sums[0])
    add(total, 1, count * sums[1])
    add(total, 2, count * sums[2])
    add(total, 3, count * sums[3])
    add(total, 4, count * sums[4])
    add(total, 5, count * sums[5])


@njit(cache=True, parallel=True, error_model="numpy")
def apply_tangent(mesh, laws, tangent, half, macro, p, q, mean):
    """Forces q of a fluctuation p (n_nodes, 3) and a macroscopic strain (6,), linearised.

    `mean` (n_slabs, 6) takes the sums of the stress over the voxels; the caller adds.
    """
    behind = _private(mesh.shared)
    for c in prange(mesh.slabs.shape[1]):
        _apply_slab(mesh, laws, tangent, half, macro, p, q, c, behind[c], mean)
    _merge(behind, mesh.shared, q)


@kernel
def _pack(laws, kind, c, row, half, out, at):
    """Tangent of the law (36 rows from `row`) to unit voxels: frame^T C frame."""
    if laws.diagonal[kind]:
        f = laws.frame
        for i in range(6):
            for j in range(6):
                if half:
                    if j >= i:
                        place = at + 6 * i - (i * (i + 1)) // 2 + j
                        store(
                            out, place, (f[kind, i, i] * f[kind, j, j]) * load(c, row + 6 * i + j)
                        )
                else:
                    from_upper = laws.half[kind] and j < i
                    k = 6 * j + i if from_upper else 6 * i + j
                    store(out, at + 6 * i + j, (f[kind, i, i] * f[kind, j, j]) * load(c, row + k))
    else:
        if laws.half[kind]:
            for i in range(1, 6):
                for j in range(i):
                    store(c, row + 6 * i + j, load(c, row + 6 * j + i))
        for i in range(6):  # C frame, row by row
            store6(c, row + 6 * i, transposed_times(laws.frame, kind, load6(c, row + 6 * i)))
        for j in range(6):  # frame^T (C frame), column by column
            column = (
                load(c, row + j),
                load(c, row + 6 + j),
                load(c, row + 12 + j),
                load(c, row + 18 + j),
                load(c, row + 24 + j),
                load(c, row + 30 + j),
            )
            new = transposed_times(laws.frame, kind, column)
            if half:
                # entries (i, j) with i <= j
                store(out, at + j, new[0])
                if j >= 1:
                    store(out, at + 5 + j, new[1])
                if j >= 2:
                    store(out, at + 9 + j, new[2])
                if j >= 3:
                    store(out, at + 12 + j, new[3])
                if j >= 4:
                    store(out, at + 14 + j, new[4])
                if j >= 5:
                    store(out, at + 15 + j, new[5])
            else:
                store(out, at + j, new[0])
                store(out, at + 6 + j, new[1])
                store(out, at + 12 + j, new[2])
                store(out, at + 18 + j, new[3])
                store(out, at + 24 + j, new[4])
                store(out, at + 30 + j, new[5])


@inline
def _to_law(laws, kind, eps):
    if laws.diagonal[kind]:
        return scaled(laws.frame, kind, eps)
    return times(laws.frame, kind, eps)


@inline
def _from_law(laws, kind, sig):
    if laws.diagonal[kind]:
        return scaled(laws.frame, kind, sig)
    return transposed_times(laws.frame, kind, sig)


class Scratch(NamedTuple):
    """Of one slab; see `make_scratch`."""

    w: np.ndarray
    d: np.ndarray
    t: np.ndarray
    mean: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray
    energy: np.ndarray
    dt: np.ndarray
    temperature: np.ndarray


@kernel
def _make_scratch():
    return Scratch(
        np.zeros((24, LANES)),
        np.zeros((36, LANES)),
        np.zeros((36, LANES)),
        np.zeros((COLUMNS, LANES)),
        np.zeros((GAUSS, 6, LANES)),
        np.zeros((GAUSS, 6, LANES)),
        np.zeros((GAUSS, 36, LANES)),
        np.zeros((GAUSS, 2, LANES)),
        np.zeros(LANES),
        np.zeros(LANES),
    )


@kernel
def _call_law(mesh, laws, g, state_n, state, s):
    """The law of group g at its 64 points; returns the failed lanes."""
    kind = mesh.phase[g]
    m, row = laws.n_state[kind], mesh.state_row[g]
    parameters = laws.parameters[laws.first_parameter[kind] : laws.first_parameter[kind + 1]]
    return call_lanes(
        laws.lane_kernel[kind],
        laws.point_kernel[kind],
        (1 << LANES) - 1,
        s.strain,
        s.dt,
        s.temperature,
        parameters,
        state_n[row : row + GAUSS * m].reshape(GAUSS, m, LANES),
        s.stress,
        state[row : row + GAUSS * m].reshape(GAUSS, m, LANES),
        s.tangent,
        s.energy,
    )


@kernel
def _evaluate_group(mesh, laws, g, macro, thermal, compliance, half, state_n, state, tangent, s):
    """Strains in ``s.d`` to dual gradients in ``s.t`` and means; returns the failed lanes."""
    kind, first, failed = mesh.phase[g], mesh.tangent_row[g], 0
    linear = first < 0
    a, b = row(laws.dilatation, 0, 0), row(laws.dilatation, 0, 1)
    dilatation, shares = dot(a, mean_strain(s.d)), lane(0.0)
    e_macro = (macro[0], macro[1], macro[2], macro[3], macro[4], macro[5])
    warm = (
        0.0 - thermal[kind, 0],
        0.0 - thermal[kind, 1],
        0.0 - thermal[kind, 2],
        0.0 - thermal[kind, 3],
        0.0 - thermal[kind, 4],
        0.0 - thermal[kind, 5],
    )
    if not linear:
        for point in range(GAUSS):
            eps = _with_mean_dilatation(strain(s.d, point), a, b, dilatation)
            eps = sum(sum(eps, e_macro), warm)
            store6(s.strain, 6 * point, _to_law(laws, kind, eps))
        failed = _call_law(mesh, laws, g, state_n, state, s)
    for k in range(36):
        store(s.t, k, 0.0)
    eps_sum, sig_sum = zeros6(), zeros6()
    stored, dissipated, work, size = lane(0.0), lane(0.0), lane(0.0), lane(0.0)
    for point in range(GAUSS):
        eps = sum(_with_mean_dilatation(strain(s.d, point), a, b, dilatation), e_macro)
        if linear:
            acting = sum(eps, warm)
            sig = times(laws.stiffness, kind, acting)
            stored = stored + 0.5 * dot(sig, acting)
        else:
            sig = _from_law(laws, kind, load6(s.stress, 6 * point))
            stored = stored + load(s.energy, 2 * point)
            dissipated = dissipated + load(s.energy, 2 * point + 1)
            entries = HALF if half else FULL
            _pack(laws, kind, s.tangent, 36 * point, half, tangent, first + entries * point)
        eps_sum, sig_sum = sum(eps_sum, eps), sum(sig_sum, sig)
        work = work + dot(sig, eps)
        size = size + dot(sig, times(compliance, 0, sig))
        share = dot(b, sig)
        shares = shares + share
        _add_with_mean_dilatation(s.t, point, sig, a, share)
    add_mean_stress(s.t, scaled_by(shares, a))
    store6(s.mean, 0, eps_sum)
    store6(s.mean, 6, sig_sum)
    store(s.mean, 12, stored)
    store(s.mean, 13, dissipated)
    store(s.mean, 14, work)
    store(s.mean, 15, size)
    return failed


@kernel
def _evaluate_slab(
    mesh,
    laws,
    macro,
    thermal,
    temperature,
    dt,
    compliance,
    half,
    u,
    state_n,
    state,
    tangent,
    q,
    means,
    c,
    behind,
):
    s = _make_scratch()
    s.dt[:] = dt
    failures = 0
    q[mesh.slabs[3, c] : mesh.slabs[4, c]] = 0.0
    for g in range(mesh.slabs[0, c], mesh.slabs[1, c]):
        gather(u, mesh.nodes, g, s.w)
        to_modes(s.w)
        to_gradients(s.w, s.d)
        s.temperature[:] = temperature[mesh.phase[g]]
        failed = _evaluate_group(
            mesh, laws, g, macro, thermal, compliance, half, state_n, state, tangent, s
        )
        if failed != 0:
            failures += 1
        for k in range(COLUMNS):
            store(means, COLUMNS * g + k, WEIGHT * load(s.mean, k))
        _forces(mesh, c, g, s.t, s.w, q, behind)
    return failures


@njit(cache=True, parallel=True, error_model="numpy")
def evaluate(
    mesh,
    laws,
    macro,
    thermal,
    temperature,
    dt,
    compliance,
    half,
    u,
    state_n,
    state,
    tangent,
    q,
    means,
):
    """Internal forces q at a fluctuation u, new states and tangents; returns failed groups.

    Parameters
    ----------
    macro : (6,)
        Macroscopic strain on unit voxels.
    thermal : (n_phases, 6)
        Thermal strains on unit voxels.
    temperature : (n_phases,)
    compliance : (1, 6, 6)
        For the size of the stress, on unit voxels.
    half : bool
        Whether upper triangles of tangents are stored, or all of them.
    u, q : (n_nodes, 3)
    state_n, state, tangent : (rows, 8)
    means : (n_groups, COLUMNS, 8)
        Filled: means over each element, on unit voxels.
    """
    n_slabs = mesh.slabs.shape[1]
    behind = _private(mesh.shared)
    failures = np.zeros(n_slabs, dtype=np.int64)
    for c in prange(n_slabs):
        failures[c] = _evaluate_slab(
            mesh,
            laws,
            macro,
            thermal,
            temperature,
            dt,
            compliance,
            half,
            u,
            state_n,
            state,
            tangent,
            q,
            means,
            c,
            behind[c],
        )
    _merge(behind, mesh.shared, q)
    return failures.sum()


@njit(cache=True, parallel=True, error_model="numpy")
def sum_state(mesh, laws, state, sums):
    """sums (n_slabs, n_phases, most internal variables): internal variables over the volume."""
    for c in prange(mesh.slabs.shape[1]):
        sums[c] = 0.0
        for g in range(mesh.slabs[0, c], mesh.slabs[1, c]):
            kind, row = mesh.phase[g], mesh.state_row[g]
            m = laws.n_state[kind]
            for point in range(GAUSS):
                for k in range(m):
                    for b in range(LANES):
                        value = state[row + m * point + k, b]
                        sums[c, kind, k] += WEIGHT * mesh.real[g, b] * value
