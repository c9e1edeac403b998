"""Newton's method on the jumps of a network, for eight points at once.

An attempt evaluates all phase laws at the trial strains, condenses to the root, and hands a Newton
step down; a step that does not reduce the traction jumps is shortened. Where an attempt fails, the
load increment is approached in parts. These parts are one step all the same: each starts from the
state at the beginning of the step, so that stress, state and tangent do not depend on whether parts
were needed, and the tangent stays the exact derivative.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from matnet.online.lane_sweeps import (
    call_condense,
    call_distribute,
    call_predict,
    dot6,
    inline,
    load3,
    load6,
    load_rows,
    mirror,
    mix6,
    store6,
)
from matnet.phases.calls import call_lanes
from matnet.simd import LANES, any_of, lane, load, mask_bits, mask_of, select, store

__all__ = ["Work", "attempt", "continue_lane", "make_work", "prepare", "set_target"]

VOID, LINEAR, LAW = 0, 1, 2  # as in matnet.online.plan
CONDENSE_AT, DISTRIBUTE_AT, PREDICT_AT = 0, 1, 2
MOST_AHEAD = 4.0  # times the last increment that the next one is guessed from it
SHORTEST = 2.0**-10  # of a Newton step
UPHILL = 0.5  # slope up to which a trial is accepted, over the slope at the step's beginning
FALLEN = 0.25  # squared traction jump below which it is accepted anyway, over the last one
AMPLIFIED = 100.0  # largest strain in the base nodes, over the macroscopic one
RUNAWAY = 1e3  # strain in a base node that no law is meant for
EASY = 8  # iterations after which the next part is made larger
ROUND_OFF = 1e-14  # of stiffness times strain: what is left of a stress after cancellation


class Work(NamedTuple):
    """Scratch for one block of points; last axis LANES. Nodes as in `lane_sweeps`."""

    strain: np.ndarray  # (n_nodes, 6)
    correction: np.ndarray  # (n_nodes, 6) strain increments of a Newton step
    stress: np.ndarray  # (n_nodes, 6) condensed
    mean: np.ndarray  # (n_nodes, 6) average of the base nodes' stress
    tangent: np.ndarray  # (n_nodes, 36)
    jump: np.ndarray  # (n_blocks, 18)
    gap: np.ndarray  # (n_blocks, 3)
    start: np.ndarray  # (n_blocks, 3) jump vectors at the start of the step
    before: np.ndarray  # (n_blocks, 3) increments of the last step
    accepted: np.ndarray  # (n_blocks, 3)
    trial: np.ndarray  # (n_blocks, 3)
    step: np.ndarray  # (n_blocks, 3)
    energy: np.ndarray  # (n_base, 2) stored, dissipated
    state_n: np.ndarray  # (1, all internal variables)
    state: np.ndarray  # (1, all internal variables)
    local_strain: np.ndarray  # (n_base, 6)
    local_stress: np.ndarray  # (n_base, 6)
    local_tangent: np.ndarray  # (n_base, 36)
    macro_before: np.ndarray  # (1, 6) increment of the last step
    macro_n: np.ndarray  # (1, 6)
    macro: np.ndarray  # (1, 6)
    dt: np.ndarray  # ()
    temperature: np.ndarray  # (n_phases,)
    totals: np.ndarray  # (3,) squared traction jumps, slope, decrement; see condense_symmetric
    length: np.ndarray  # () of the Newton step
    iterations: np.ndarray  # () int64


@njit(cache=True)
def make_work(n_base, n_blocks, n_rows, n_local, n_phases):
    """Scratch for a network; n_rows internal variables per point, n_local turned base nodes."""
    n_nodes = n_base + n_blocks
    return Work(
        np.zeros((n_nodes, 6, LANES)),
        np.zeros((n_nodes, 6, LANES)),
        np.zeros((n_nodes, 6, LANES)),
        np.zeros((n_nodes, 6, LANES)),
        np.zeros((n_nodes, 36, LANES)),
        np.zeros((n_blocks, 18, LANES)),
        np.zeros((n_blocks, 3, LANES)),
        np.zeros((n_blocks, 3, LANES)),
        np.zeros((n_blocks, 3, LANES)),
        np.zeros((n_blocks, 3, LANES)),
        np.zeros((n_blocks, 3, LANES)),
        np.zeros((n_blocks, 3, LANES)),
        np.zeros((n_base, 2, LANES)),
        np.zeros((1, n_rows, LANES)),
        np.zeros((1, n_rows, LANES)),
        np.zeros((n_local, 6, LANES)),
        np.zeros((n_local, 6, LANES)),
        np.zeros((n_local, 36, LANES)),
        np.zeros((1, 6, LANES)),
        np.zeros((1, 6, LANES)),
        np.zeros((1, 6, LANES)),
        np.zeros(LANES),
        np.zeros((n_phases, LANES)),
        np.zeros((3, LANES)),
        np.zeros(LANES),
        np.zeros(LANES, dtype=np.int64),
    )


@njit(cache=True, error_model="numpy")
def prepare(plan, work):
    """Tangents of the linear base nodes, which never change."""
    for p in range(plan.kind.shape[0]):
        if plan.kind[p] != LAW:
            for i in range(plan.first_node[p], plan.first_node[p + 1]):
                for k in range(36):
                    store(work.tangent, 36 * i + k, plan.stiffness[i, k // 6, k % 6])


@inline
def row_of(matrix, i, k):
    return (
        matrix[i, k, 0],
        matrix[i, k, 1],
        matrix[i, k, 2],
        matrix[i, k, 3],
        matrix[i, k, 4],
        matrix[i, k, 5],
    )


@inline
def times(matrix, i, v):
    """matrix[i] (6, 6) times v (6,)."""
    return (
        dot6(v, row_of(matrix, i, 0)),
        dot6(v, row_of(matrix, i, 1)),
        dot6(v, row_of(matrix, i, 2)),
        dot6(v, row_of(matrix, i, 3)),
        dot6(v, row_of(matrix, i, 4)),
        dot6(v, row_of(matrix, i, 5)),
    )


@inline
def column_of(matrix, i, k):
    return (
        matrix[i, 0, k],
        matrix[i, 1, k],
        matrix[i, 2, k],
        matrix[i, 3, k],
        matrix[i, 4, k],
        matrix[i, 5, k],
    )


@inline
def transposed_times(matrix, i, v):
    """matrix[i].T times v (6,)."""
    return (
        dot6(v, column_of(matrix, i, 0)),
        dot6(v, column_of(matrix, i, 1)),
        dot6(v, column_of(matrix, i, 2)),
        dot6(v, column_of(matrix, i, 3)),
        dot6(v, column_of(matrix, i, 4)),
        dot6(v, column_of(matrix, i, 5)),
    )


@inline
def without_thermal(plan, i, eps, warming):
    """Strain of a base node less its thermal strain."""
    return mix6(1.0, eps, -1.0, scaled(row_of2(plan.expansion, i), warming))


@inline
def row_of2(matrix, i):
    return (matrix[i, 0], matrix[i, 1], matrix[i, 2], matrix[i, 3], matrix[i, 4], matrix[i, 5])


@inline
def scaled(a, factor):
    return (
        factor * a[0],
        factor * a[1],
        factor * a[2],
        factor * a[3],
        factor * a[4],
        factor * a[5],
    )


@njit(cache=True, error_model="numpy")
def linear_phase(plan, work, p):
    """Stress and energy of the base nodes of a linear phase."""
    warming = load(work.temperature, p) - plan.reference[p]
    for i in range(plan.first_node[p], plan.first_node[p + 1]):
        eps = without_thermal(plan, i, load6(work.strain, 6 * i), warming)
        sig = times(plan.stiffness, i, eps)
        store6(work.stress, 6 * i, sig)
        store(work.energy, 2 * i, 0.5 * dot6(sig, eps))


@njit(cache=True, error_model="numpy")
def to_local(plan, work, p):
    """Strains in the law's frame, without thermal strain, into the local arrays."""
    first = plan.first_node[p]
    warming = load(work.temperature, p) - plan.reference[p]
    for i in range(first, plan.first_node[p + 1]):
        eps = transposed_times(plan.turns, i, load6(work.strain, 6 * i))
        store6(work.local_strain, 6 * (i - first), without_thermal(plan, i, eps, warming))


@njit(cache=True, error_model="numpy")
def from_local(plan, work, p):
    """Stresses and tangents back into the global frame."""
    first = plan.first_node[p]
    for i in range(first, plan.first_node[p + 1]):
        at = i - first
        store6(work.stress, 6 * i, times(plan.turns, i, load6(work.local_stress, 6 * at)))
        c = load_rows(work.local_tangent, at)
        if plan.half[p]:
            turn_rows(plan, work, i, mirror(c))
        else:
            turn_rows(plan, work, i, c)


@inline
def turn_rows(plan, work, i, c):
    """Q C Q^T, column by column of Q^T."""
    half0 = times(plan.turns, i, c[0])
    half1 = times(plan.turns, i, c[1])
    half2 = times(plan.turns, i, c[2])
    half3 = times(plan.turns, i, c[3])
    half4 = times(plan.turns, i, c[4])
    half5 = times(plan.turns, i, c[5])
    for k in range(6):
        q = row_of(plan.turns, i, k)
        row = mix6(q[0], half0, q[1], half1)
        row = mix6(1.0, row, 1.0, mix6(q[2], half2, q[3], half3))
        row = mix6(1.0, row, 1.0, mix6(q[4], half4, q[5], half5))
        store6(work.tangent, 36 * i + 6 * k, row)


@njit(cache=True, error_model="numpy")
def fill_lower(plan, work, p):
    """Lower triangles of a symmetric law's tangents, for sweeps that read them."""
    for i in range(plan.first_node[p], plan.first_node[p + 1]):
        c = mirror(load_rows(work.tangent, i))
        store6(work.tangent, 36 * i + 6, c[1])
        store6(work.tangent, 36 * i + 12, c[2])
        store6(work.tangent, 36 * i + 18, c[3])
        store6(work.tangent, 36 * i + 24, c[4])
        store6(work.tangent, 36 * i + 30, c[5])


@njit(cache=True, error_model="numpy")
def call_law(plan, work, p, open_bits, done_bits):
    """Evaluate a phase's law at all its base nodes; returns the failed lanes.

    Lanes that are done keep their strains, so point kernels may leave them alone. Not so lane
    kernels, which fill all lanes, and local arrays, which phases share.
    """
    again = plan.is_local[p] or not plan.by_points[p]
    active = open_bits | done_bits if again else open_bits
    i, j = plan.first_node[p], plan.first_node[p + 1]
    n, m = j - i, plan.law_state[p]
    r, s = plan.first_row[p], plan.first_row[p + 1]
    parameters = plan.parameters[plan.first_parameter[p] : plan.first_parameter[p + 1]]
    state_n = work.state_n[0, r:s].reshape(n, m, LANES)
    state = work.state[0, r:s].reshape(n, m, LANES)
    if plan.is_local[p]:
        to_local(plan, work, p)
        strain, stress = work.local_strain[:n], work.local_stress[:n]
        tangent = work.local_tangent[:n]
    else:
        strain, stress, tangent = work.strain[i:j], work.stress[i:j], work.tangent[i:j]
    failed = call_lanes(
        plan.lane_kernel[p],
        plan.point_kernel[p],
        active,
        strain,
        work.dt,
        work.temperature[p],
        parameters,
        state_n,
        stress,
        state,
        tangent,
        work.energy[i:j],
    )
    if plan.is_local[p]:
        from_local(plan, work, p)
    elif plan.half[p] and not plan.symmetric:
        fill_lower(plan, work, p)
    return failed


@njit(cache=True, error_model="numpy")
def evaluate(plan, work, open_bits, done_bits):
    """All laws at the base nodes' strains; returns the failed lanes."""
    failed = 0
    for p in range(plan.kind.shape[0]):
        if plan.kind[p] == LINEAR:
            linear_phase(plan, work, p)
        elif plan.kind[p] == LAW:
            failed |= call_law(plan, work, p, open_bits, done_bits)
    return failed


@njit(cache=True, error_model="numpy")
def accuracy(plan, work, tol):
    """Square of the traction jump that counts as none: of the stress, or of its round-off.

    Strains far beyond the macroscopic ones are a runaway iteration, not a source of round-off. Far
    out, stresses without stiffness (the apex of a cone) may cancel to nothing: no solution either.
    """
    stress, strain, square, stiffness = lane(0.0), lane(0.0), lane(0.0), 0.0
    for i in range(plan.base_weight.shape[0]):
        sig, eps, w = load6(work.stress, 6 * i), load6(work.strain, 6 * i), plan.base_weight[i]
        stiff = plan.stiffness[i, 0, 0] + plan.stiffness[i, 1, 1] + plan.stiffness[i, 2, 2]
        stress = stress + w * dot6(sig, sig)
        size = dot6(eps, eps)
        square = select(size > square, size, square)
        strain = strain + w * stiff * stiff * size
        stiffness += w * stiff * stiff
    old, new = load6(work.macro_n, 0), load6(work.macro, 0)
    macro = dot6(old, old) + dot6(new, new)
    largest = AMPLIFIED * AMPLIFIED * stiffness * macro
    strain = select(strain < largest, strain, largest)
    stress, strain = tol * tol * stress, ROUND_OFF * ROUND_OFF * strain
    near = square < RUNAWAY * RUNAWAY * (1.0 + macro)
    return select(near, select(stress > strain, stress, strain), -1.0)


@njit(cache=True, error_model="numpy")
def condense(plan, work):
    """Leaves to root, from the base nodes' stresses and tangents."""
    n_base = plan.base_weight.shape[0]
    work.mean[:n_base] = work.stress[:n_base]
    call_condense(
        plan.sweeps[CONDENSE_AT],
        work.tangent,
        work.stress,
        work.mean,
        work.jump,
        work.gap,
        work.step,
        work.totals,
        plan.fraction,
        plan.block_weight,
        plan.normals,
        plan.nodes,
    )


@njit(cache=True, error_model="numpy")
def attempt(plan, work, active, tol, max_iterations):
    """Newton from the trial strains; returns the lanes among `active` that converged.

    Along a Newton step the potential of the increment (for laws that have one) first falls; its
    slope is at hand without evaluating it. A trial is accepted if no law failed and the slope is
    not yet steeply uphill, or if the traction jumps fell anyway; otherwise the step is shortened to
    where the slope, taken as linear, vanishes.
    """
    open_lanes, done = mask_of(active), 0
    alpha, last, start = lane(1.0), lane(np.inf), lane(np.inf)
    for _ in range(max_iterations):
        bits = mask_bits(open_lanes)
        for k in range(LANES):
            work.iterations[k] += (bits >> k) & 1
        failed = mask_of(evaluate(plan, work, bits, done))
        condense(plan, work)
        jumps, fall, decrement = load3(work.totals, 0)
        good = ~failed & (jumps < np.inf)
        there = jumps <= accuracy(plan, work, tol)
        accept = good & (there | (fall >= -UPHILL * start) | (jumps <= FALLEN * last))
        accept, closed = open_lanes & accept, open_lanes & good & there
        done |= mask_bits(closed)
        open_lanes = open_lanes & ~closed
        # nothing to shorten before the first accepted point, or below the shortest step
        open_lanes = open_lanes & (accept | ((last < np.inf) & (alpha > SHORTEST)))
        if not any_of(open_lanes):
            break
        shorter = start / (start - fall)
        shorter = select(good & (shorter > 0.1), select(shorter < 0.5, shorter, lane(0.5)), 0.1)
        alpha = select(accept, lane(1.0), shorter * alpha)
        last, start = select(accept, jumps, last), select(accept, decrement, start)
        frozen = mask_of(done)
        store(work.length, 0, select(frozen, lane(0.0), alpha))
        call_distribute(
            plan.sweeps[DISTRIBUTE_AT],
            work.correction,
            work.strain,
            work.jump,
            work.gap,
            work.accepted,
            work.trial,
            work.step,
            work.length,
            mask_bits(accept | frozen),
            plan.fraction,
            plan.normals,
            plan.nodes,
        )
    return done


@njit(cache=True, error_model="numpy")
def set_target(plan, work, begin, end):
    """Trial strains for the part from `begin` to `end` of the increment, from `work.start`."""
    root = plan.base_weight.shape[0]
    old, new = load6(work.macro_n, 0), load6(work.macro, 0)
    if plan.nodes.shape[0] == 0:  # the only base node is the root
        store6(work.strain, 0, mix6(1.0 - end, old, end, new))
        return
    store6(work.strain, 6 * root, mix6(1.0 - end, old, end, new))
    # the part of the increment along the last one goes on as that did, the rest elastically
    d_eps = scaled(mix6(-1.0, old, 1.0, new), end - begin)
    before = load6(work.macro_before, 0)
    length = dot6(before, before)
    share = select(length > 0.0, dot6(before, d_eps) / length, 0.0)
    share = select(share > 0.0, select(share < MOST_AHEAD, share, lane(MOST_AHEAD)), 0.0)
    store(work.length, 0, share)
    store6(
        work.correction,
        6 * root,
        (
            d_eps[0] - share * before[0],
            d_eps[1] - share * before[1],
            d_eps[2] - share * before[2],
            d_eps[3] - share * before[3],
            d_eps[4] - share * before[4],
            d_eps[5] - share * before[5],
        ),
    )
    call_predict(
        plan.sweeps[PREDICT_AT],
        work.correction,
        work.strain,
        plan.concentration,
        work.start,
        work.before,
        work.length,
        work.trial,
        plan.fraction,
        plan.normals,
        plan.nodes,
    )


@njit(cache=True, error_model="numpy")
def continue_lane(plan, work, k, dt, tol, max_iterations, max_cuts):
    """Approach the whole increment of lane k in parts; returns whether it was reached."""
    reached, part, shortest = 0.0, 0.25, 0.5**max_cuts
    while part >= shortest:
        end = min(reached + part, 1.0)
        work.dt[k] = end * dt
        spent = work.iterations[k]
        set_target(plan, work, reached, end)
        if attempt(plan, work, 1 << k, tol, max_iterations) == 0:
            part *= 0.5
            continue
        if end == 1.0:
            return True
        if work.iterations[k] - spent <= EASY:
            part *= 2.0
        work.macro_before[:] = (end - reached) * (work.macro - work.macro_n)
        work.before[:] = work.trial - work.start
        work.start[:] = work.trial
        reached = end
    return False
