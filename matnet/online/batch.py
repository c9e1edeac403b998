"""Points in, points out: blocks of eight, spread over threads."""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit

from matnet.online.layout import HEADER
from matnet.online.tree_newton import attempt, continue_lane, make_work, prepare, set_target
from matnet.simd import LANES

__all__ = ["Points", "solve_points"]

CHUNK = 64  # blocks of points per scratch allocation
NODES_PER_THREAD = 512  # base nodes times blocks; below, starting threads costs more than it saves


class Points(NamedTuple):
    """A batch, in and out; n points, base nodes in the network's order, global frame."""

    strain: np.ndarray  # (n, 6)
    temperature: np.ndarray  # (n,), NaN for each phase's own reference
    state_n: np.ndarray  # (n, n_state)
    stress: np.ndarray  # (n, 6)
    tangent: np.ndarray  # (n, 6, 6)
    state: np.ndarray  # (n, n_state)
    status: np.ndarray  # (n,) int8
    iterations: np.ndarray  # (n,)
    base_strain: np.ndarray  # (n, n_base, 6), or no points: not wanted
    base_stress: np.ndarray  # the same
    base_energy: np.ndarray  # (n, n_base, 2), the same


def solve_points(plan, points, dt, tol, max_iterations, max_cuts):
    """Fill the results of all points, in as many threads as numba is set to use."""
    n_blocks = -(-points.strain.shape[0] // LANES)
    options = (dt, tol, max_iterations, max_cuts)
    threads = min(get_num_threads(), n_blocks * len(plan.order) // NODES_PER_THREAD)
    if threads < 2:
        solve_chunk(plan, points, 0, n_blocks, *options)
        return
    size = min(CHUNK, -(-n_blocks // (4 * threads)))

    def work(first):
        solve_chunk(plan, points, first, min(first + size, n_blocks), *options)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, n_blocks, size)))


@njit(cache=True, error_model="numpy", nogil=True)
def solve_chunk(plan, points, first, last, dt, tol, max_iterations, max_cuts):
    """Blocks first .. last - 1 of eight points, with one scratch."""
    n_local = 0
    for p in range(plan.kind.shape[0]):
        if plan.is_local[p]:
            n_local = max(n_local, plan.first_node[p + 1] - plan.first_node[p])
    work = make_work(
        plan.base_weight.shape[0],
        plan.nodes.shape[0],
        plan.first_row[-1],
        n_local,
        plan.kind.shape[0],
    )
    prepare(plan, work)
    for block in range(first, last):
        begin = LANES * block
        count = min(LANES, points.strain.shape[0] - begin)
        active = 0
        for k in range(LANES):
            active |= gather(plan, points, work, begin + min(k, count - 1), k, dt) << k
        active &= (1 << count) - 1
        set_target(plan, work, 0.0, 1.0)
        done = attempt(plan, work, active, tol, max_iterations)
        for k in range(count):
            if (done >> k) & 1:
                scatter(plan, points, work, begin + k, k)
        for k in range(count):
            if (active & ~done) >> k & 1:
                gather(plan, points, work, begin + k, k, dt)
                if continue_lane(plan, work, k, dt, tol, max_iterations, max_cuts):
                    scatter(plan, points, work, begin + k, k)
                else:
                    give_up(points, work, begin + k, k, 2)
        for k in range(count):
            if not (active >> k) & 1:
                give_up(points, work, begin + k, k, 1)


@njit(cache=True, error_model="numpy")
def gather(plan, points, work, i, k, dt):
    """Point i into lane k; returns 0 if its strain (then taken as zero) or state is not finite."""
    finite = 1
    for c in range(points.state_n.shape[1]):
        if not np.isfinite(points.state_n[i, c]):
            finite = 0
    for c in range(6):
        work.macro_n[0, c, k] = points.state_n[i, c]
        work.macro_before[0, c, k] = points.state_n[i, HEADER - 6 + c]
        work.macro[0, c, k] = points.strain[i, c]
        if not np.isfinite(points.strain[i, c]):
            finite = 0
    if not finite:
        work.macro[0, :, k] = 0.0
    n_jumps = 3 * plan.nodes.shape[0]
    column = HEADER
    for b in range(plan.nodes.shape[0]):
        for c in range(3):
            work.start[b, c, k] = points.state_n[i, column]
            work.before[b, c, k] = points.state_n[i, column + n_jumps]
            column += 1
    column += n_jumps
    for row in range(plan.first_row[-1]):
        work.state_n[0, row, k] = points.state_n[i, column + row]
    for p in range(plan.kind.shape[0]):
        given = points.temperature[i]
        work.temperature[p, k] = plan.reference[p] if np.isnan(given) else given
    work.dt[k] = dt
    work.iterations[k] = 0
    return finite


@njit(cache=True, error_model="numpy")
def scatter(plan, points, work, i, k):
    """Results of lane k to point i."""
    n_base, n_blocks = plan.base_weight.shape[0], plan.nodes.shape[0]
    root = n_base if n_blocks > 0 else 0
    points.status[i] = 0
    points.iterations[i] = work.iterations[k]
    for c in range(6):
        points.stress[i, c] = work.stress[root, c, k]
        points.state[i, c] = work.macro[0, c, k]
        points.state[i, HEADER - 6 + c] = work.macro[0, c, k] - points.state_n[i, c]
        for d in range(6):
            upper = 6 * min(c, d) + max(c, d) if plan.symmetric else 6 * c + d
            points.tangent[i, c, d] = work.tangent[root, upper, k]
    stored, dissipated = 0.0, 0.0
    for b in range(n_base):
        stored += plan.base_weight[b] * work.energy[b, 0, k]
        dissipated += plan.base_weight[b] * work.energy[b, 1, k]
    points.state[i, 6] = stored
    points.state[i, 7] = points.state_n[i, 7] + dissipated
    column = HEADER
    for b in range(n_blocks):
        for c in range(3):
            points.state[i, column] = work.trial[b, c, k]
            moved = work.trial[b, c, k] - points.state_n[i, column]
            points.state[i, column + 3 * n_blocks] = moved
            column += 1
    column += 3 * n_blocks
    for row in range(plan.first_row[-1]):
        points.state[i, column + row] = work.state[0, row, k]
    if points.base_strain.shape[0] > 0:
        for b in range(n_base):
            node = plan.order[b]
            points.base_energy[i, node, 0] = work.energy[b, 0, k]
            points.base_energy[i, node, 1] = work.energy[b, 1, k]
            for c in range(6):
                points.base_strain[i, node, c] = work.strain[b, c, k]
                points.base_stress[i, node, c] = work.stress[b, c, k]


@njit(cache=True, error_model="numpy")
def give_up(points, work, i, k, status):
    """Point i keeps its old state, its results are NaN."""
    points.status[i] = status
    points.iterations[i] = work.iterations[k]
    points.stress[i] = np.nan
    points.tangent[i] = np.nan
    points.state[i] = points.state_n[i]
    if points.base_strain.shape[0] > 0:
        points.base_strain[i] = np.nan
        points.base_stress[i] = np.nan
        points.base_energy[i] = np.nan
