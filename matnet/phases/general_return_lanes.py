"""Radial return for eight points at once, with backstresses and flow rates.

Step by step `matnet.phases.radial_return`, whose equations and names it shares; lanes where that
branches are masked here. Rows of the tangent hold B and W until the tangent is known.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math

import numpy as np
from numba import njit

from matnet.phases.radial_return import (
    BACK,
    BULK,
    MAX_ITERATIONS,
    N_BACK,
    NEWTON_ITERATIONS,
    RATE,
    RATE_A,
    RATE_B,
    ROOT_3_2,
    SHAPE,
    SHEAR,
    THIRD,
    TOLERANCE,
    P,
    X,
)
from matnet.phases.radial_return_lanes import yield_lanes
from matnet.phases.rates import LOGARITHMIC, VISCOUS
from matnet.simd import any_of, lane, load, mask_bits, mask_of, select, store
from matnet.simd_math import exp_lanes, log_lanes

__all__ = ["general_return_lanes"]


@njit(cache=True, error_model="numpy", forceinline=True)
def _relative_stress(dp, par, trial, e, state_n, s, scratch, c):
    """B and W in 12 rows of scratch; q(B), sqrt(3/2) m : W, and the sums of theta C."""
    for k in range(6):
        store(scratch, c + k, load(trial, e + k))
        store(scratch, c + 6 + k, 0.0)
    drag, drag_slope = lane(0.0), lane(0.0)
    for i in range(int(par[N_BACK])):
        modulus, gamma = par[BACK + 2 * i], par[BACK + 2 * i + 1]
        theta = 1.0 / (1.0 + gamma * dp)
        recall = gamma * theta * theta
        drag = drag + theta * modulus
        drag_slope = drag_slope + theta * theta * modulus
        for k in range(6):
            x = load(state_n, s + X + 6 * i + k)
            store(scratch, c + k, load(scratch, c + k) - theta * x)
            store(scratch, c + 6 + k, load(scratch, c + 6 + k) + recall * x)
    square, along = lane(0.0), lane(0.0)
    for k in range(6):
        b = load(scratch, c + k)
        square = square + b * b
        along = along + b * load(scratch, c + 6 + k)
    norm = math.sqrt(square)
    turn = select(norm > 0.0, ROOT_3_2 * along / norm, 0.0)
    return ROOT_3_2 * norm, turn, drag, drag_slope


@njit(cache=True, error_model="numpy", forceinline=True)
def _power(x, n):
    return exp_lanes(n * log_lanes(x))


@njit(cache=True, error_model="numpy", forceinline=True)
def _residual(x, rate, flows, fast, dt, par, trial, e, state_n, s, scratch, c):
    """r and -dr/dx at x (z for overstress, else dp); then dp, the flow stress, D and q(B).

    Lanes outside `flows` get dp = 0; `fast` are those above Johnson and Cook's kink.
    """
    n = par[RATE_B]
    dp = select(flows, x, 0.0)
    if rate == VISCOUS:
        dp = select(flows, dt * x if n == 1.0 else dt * _power(x, n), 0.0)
    q_b, turn, drag, drag_slope = _relative_stress(dp, par, trial, e, state_n, s, scratch, c)
    p = load(state_n, s + P) + dp
    flow, slope = yield_lanes(int(par[SHAPE]), par, BACK + 2 * int(par[N_BACK]), p)
    stiff = 3.0 * par[SHEAR] + drag_slope - turn
    fall = stiff + slope
    d = fall
    if rate == VISCOUS:
        flow = flow + par[RATE_A] * x
        d = fall + select(dp > 0.0, par[RATE_A] * x / (n * dp), np.inf)
        fall = fall * n * dp / x + par[RATE_A]
    elif rate == LOGARITHMIC:
        factor = select(fast, 1.0 + par[RATE_A] * log_lanes(dp / (dt * n)), 1.0)
        fall = stiff + slope * factor + select(fast, flow * par[RATE_A] / dp, 0.0)
        flow = flow * factor
        d = fall
    r = q_b - (3.0 * par[SHEAR] + drag) * dp - flow
    return r, fall, dp, flow, d, q_b


@njit(cache=True, error_model="numpy", forceinline=True)
def _solve(q_bound, overstress, flows, dt, par, trial, e, state_n, s, scratch, c):
    """dp, the flow stress, D and q(B) at the roots, and the lanes where none was found."""
    rate = int(par[RATE])
    low, high = lane(0.0), q_bound / (3.0 * par[SHEAR])
    x, fast = low, flows
    if rate == VISCOUS:
        most = high / dt
        most = most if par[RATE_B] == 1.0 else _power(most, 1.0 / par[RATE_B])
        high = overstress / par[RATE_A]
        high = select(high < most, high, most)
        x = high
    elif rate == LOGARITHMIC:
        kink = dt * par[RATE_B]
        at_kink = _residual(kink, rate, flows, fast, dt, par, trial, e, state_n, s, scratch, c)[0]
        fast = flows & (at_kink > 0.0) & (kink < high)
        x = low = select(fast, kink, low)
        high = select(fast | (high < kink), high, kink)
    left = flows
    r, fall, dp, flow, d, q_b = _residual(
        x, rate, flows, fast, dt, par, trial, e, state_n, s, scratch, c
    )
    for iteration in range(MAX_ITERATIONS):
        left = left & (abs(r) > TOLERANCE * q_bound)
        short = r > 0.0
        low, high = select(short, x, low), select(short, high, x)
        new, middle = x + r / fall, 0.5 * (low + high)
        new = select((new > low) & (new < high), new, middle)
        if iteration > NEWTON_ITERATIONS and iteration % 2 == 0:
            new = middle
        left = left & (abs(new - x) > 4e-16 * x)
        if not any_of(left):
            break
        x = select(left, new, x)
        r, fall, dp, flow, d, q_b = _residual(
            x, rate, flows, fast, dt, par, trial, e, state_n, s, scratch, c
        )
    solved = (abs(r) < np.inf) & (q_b > 0.0)
    return dp, flow, d, q_b, left | (flows & ~solved)


@njit(cache=True, error_model="numpy", forceinline=True)
def _store_row(tangent, row, side, a, m0, m1, m2, m3, m4, m5):
    store(tangent, row, side + a * m0)
    store(tangent, row + 1, side + a * m1)
    store(tangent, row + 2, side + a * m2)
    store(tangent, row + 3, a * m3)
    store(tangent, row + 4, a * m4)
    store(tangent, row + 5, a * m5)


@njit(cache=True, error_model="numpy", forceinline=True)
def _store_tangent(tangent, c, bulk, diagonal, scale, mm, wm):
    """The tangent from B and W in its own rows; m is `scale` times B."""
    m0, m1 = scale * load(tangent, c), scale * load(tangent, c + 1)
    m2, m3 = scale * load(tangent, c + 2), scale * load(tangent, c + 3)
    m4, m5 = scale * load(tangent, c + 4), scale * load(tangent, c + 5)
    w0, w1, w2 = load(tangent, c + 6), load(tangent, c + 7), load(tangent, c + 8)
    w3, w4, w5 = load(tangent, c + 9), load(tangent, c + 10), load(tangent, c + 11)
    mm = mm - wm * (m0 * w0 + m1 * w1 + m2 * w2 + m3 * w3 + m4 * w4 + m5 * w5)
    side = bulk - THIRD * diagonal
    zero = lane(0.0)
    _store_row(tangent, c, side, mm * m0 + wm * w0, m0, m1, m2, m3, m4, m5)
    _store_row(tangent, c + 6, side, mm * m1 + wm * w1, m0, m1, m2, m3, m4, m5)
    _store_row(tangent, c + 12, side, mm * m2 + wm * w2, m0, m1, m2, m3, m4, m5)
    _store_row(tangent, c + 18, zero, mm * m3 + wm * w3, m0, m1, m2, m3, m4, m5)
    _store_row(tangent, c + 24, zero, mm * m4 + wm * w4, m0, m1, m2, m3, m4, m5)
    _store_row(tangent, c + 30, zero, mm * m5 + wm * w5, m0, m1, m2, m3, m4, m5)
    for k in range(6):
        store(tangent, c + 7 * k, load(tangent, c + 7 * k) + diagonal)


@njit(cache=True, error_model="numpy", forceinline=True)
def _standing_shear(par, dt, q_trial, yield_now):
    """2G, or less for a Maxwell fluid at zero stress."""
    shear2 = lane(2.0 * par[SHEAR])
    if par[RATE] == VISCOUS and par[RATE_B] == 1.0:
        stiff = 3.0 * par[SHEAR]
        back = 0.0
        for i in range(int(par[N_BACK])):
            back += par[BACK + 2 * i]
        soft = shear2 * (1.0 - stiff / (stiff + back + par[RATE_A] / dt))
        return select((q_trial <= 0.0) & (yield_now <= 0.0), soft, shear2)
    return shear2


@njit(cache=True, error_model="numpy", forceinline=True)
def _finish(par, v, dp, flow, step, stress, e, state_n, state, s, scratch, c, energy, u):
    """Stress, state and energies at the end; the plastic strain grows by `step` times B."""
    bulk, shear = par[BULK], par[SHEAR]
    square = lane(0.0)
    for k in range(6):
        grown = step * load(scratch, c + k)
        store(state, s + k, load(state_n, s + k) + grown)
        dev = load(stress, e + k) - 2.0 * shear * grown
        square = square + dev * dev
        store(stress, e + k, dev + bulk * v if k < 3 else dev)
    store(state, s + P, load(state_n, s + P) + dp)
    stored = 0.5 * bulk * v * v + square / (4.0 * shear)
    lost = flow * dp
    for i in range(int(par[N_BACK])):
        modulus, gamma = par[BACK + 2 * i], par[BACK + 2 * i + 1]
        theta = 1.0 / (1.0 + gamma * dp)
        square = lane(0.0)
        for k in range(6):
            row = s + X + 6 * i + k
            grown = step * load(scratch, c + k)
            x = theta * (load(state_n, row) + 2.0 * THIRD * modulus * grown)
            store(state, row, x)
            square = square + x * x
        stored = stored + 0.75 * square / modulus
        lost = lost + 1.5 * gamma * square / modulus * dp
    store(energy, u, stored)
    store(energy, u + 1, lost)


@njit(cache=True, error_model="numpy")
def general_return_lanes(
    point, active, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """One step at every node; fills whole tangents, returns failed lanes."""
    par = parameters
    shear, n_back, n_state = par[SHEAR], int(par[N_BACK]), state_n.shape[1]
    shape, time, running = int(par[SHAPE]), load(dt, 0), mask_of(active)
    failed = 0
    for node in range(strain.shape[0]):
        e, s, c = 6 * node, n_state * node, 36 * node
        v = load(strain, e) + load(strain, e + 1) + load(strain, e + 2)
        square, q_bound = lane(0.0), lane(0.0)
        for k in range(6):
            dev = load(strain, e + k) - load(state_n, s + k)
            dev = 2.0 * shear * (dev - THIRD * v if k < 3 else dev)
            store(stress, e + k, dev)
            square = square + dev * dev
        q_trial = ROOT_3_2 * math.sqrt(square)
        for i in range(n_back):
            square = lane(0.0)
            for k in range(6):
                x = load(state_n, s + X + 6 * i + k)
                square = square + x * x
            q_bound = q_bound + ROOT_3_2 * math.sqrt(square)
        q_bound = q_bound + q_trial
        p_n = load(state_n, s + P)
        failed |= ~mask_bits(abs(v) + q_bound + p_n < np.inf)
        dp = flow = lane(0.0)
        d = lane(1.0)
        q_b = _relative_stress(dp, par, stress, e, state_n, s, tangent, c)[0]
        yield_now = yield_lanes(shape, par, BACK + 2 * n_back, p_n)[0]
        flows = (q_b > yield_now) & running
        if any_of(flows):
            over = q_b - yield_now
            dp, flow, d, q_b, lost = _solve(
                q_bound, over, flows, time, par, stress, e, state_n, s, tangent, c
            )
            failed |= mask_bits(lost)
        scale = select(flows, ROOT_3_2 / q_b, 0.0)
        drop = select(flows, 6.0 * shear * shear * dp / q_b, 0.0)
        mm = select(flows, drop - 6.0 * shear * shear / d, 0.0)
        wm = select(flows, 0.0 - ROOT_3_2 * drop / d, 0.0)
        dp, flow = select(flows, dp, 0.0), select(flows, flow, 0.0)
        step = ROOT_3_2 * dp * scale
        _finish(par, v, dp, flow, step, stress, e, state_n, state, s, tangent, c, energy, 2 * node)
        diagonal = select(flows, 2.0 * shear - drop, _standing_shear(par, time, q_trial, yield_now))
        _store_tangent(tangent, c, par[BULK], diagonal, scale, mm, wm)
    return failed & active
