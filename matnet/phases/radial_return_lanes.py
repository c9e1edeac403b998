"""Radial return for eight points at once: von Mises plasticity with isotropic hardening alone.

The equations are those of `matnet.phases.radial_return`; without backstresses B is the trial
deviator and ``r = q - 3 G dp - yield stress``.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math

import numpy as np
from numba import njit

from matnet.phases.hardening import EXPONENTIAL, LINEAR, POWER
from matnet.phases.radial_return import (
    BACK,
    BULK,
    MAX_ITERATIONS,
    NEWTON_ITERATIONS,
    NUMBERS,
    ROOT_3_2,
    SHAPE,
    SHEAR,
    THIRD,
    TOLERANCE,
)
from matnet.simd import any_of, lane, load, mask_bits, mask_of, select, store
from matnet.simd_math import exp_lanes, log_lanes

__all__ = ["radial_return_lanes", "yield_lanes"]


@njit(cache=True, error_model="numpy", forceinline=True)
def _table_lanes(par, table, p):
    """Row by row: later rows overwrite where p lies beyond them; flat after the last."""
    rows = int(par[NUMBERS])
    y, h = lane(par[table + rows]), lane(0.0)
    for k in range(rows):
        p_k, y_k = par[table + k], par[table + rows + k]
        slope = 0.0
        if k + 1 < rows:
            slope = (par[table + rows + k + 1] - y_k) / (par[table + k + 1] - p_k)
        beyond = p >= p_k
        y = select(beyond, y_k + slope * (p - p_k), y)
        h = select(beyond, slope, h)
    return y, h


@njit(cache=True, error_model="numpy", forceinline=True)
def yield_lanes(shape, par, table, p):
    """`matnet.phases.hardening.yield_stress` for lanes."""
    a, h = par[NUMBERS], par[NUMBERS + 1]
    if shape == LINEAR:
        return a + h * p, lane(h)
    if shape == EXPONENTIAL:
        q, b = par[NUMBERS + 2], par[NUMBERS + 3]
        rest = q * exp_lanes(-b * p)
        return a + h * p + q - rest, h + b * rest
    if shape == POWER:
        e0, n = par[NUMBERS + 2], par[NUMBERS + 3]
        power = h * exp_lanes(n * log_lanes(e0 + p))
        return a + power, n * power / (e0 + p)
    return _table_lanes(par, table, p)


@njit(cache=True, error_model="numpy", forceinline=True)
def _increment_lanes(shape, par, q, p_n, y_n, h_n, plastic):
    """dp, the yield stress and its slope there, and which lanes have r left."""
    stiff = 3.0 * par[SHEAR]
    low, high = lane(0.0), q / stiff
    dp = (q - y_n) / (stiff + h_n)
    if shape == LINEAR:
        dp = select(plastic, dp, 0.0)
        return dp, y_n + h_n * dp, h_n, plastic & (low > high)
    dp = select(plastic, select(dp < high, dp, 0.5 * high), 0.0)
    y, h = y_n, h_n
    left = plastic
    for iteration in range(MAX_ITERATIONS):
        y, h = yield_lanes(shape, par, BACK, p_n + dp)
        r = q - stiff * dp - y
        left = plastic & (abs(r) > TOLERANCE * q)
        if not any_of(left):
            break
        short = r > 0.0
        low, high = select(short, dp, low), select(short, high, dp)
        new = dp + r / (stiff + h)
        middle = 0.5 * (low + high)
        new = select((new > low) & (new < high), new, middle)
        if iteration > NEWTON_ITERATIONS and iteration % 2 == 0:
            new = middle
        dp = select(left, new, dp)
    return dp, y, h, left


@njit(cache=True, error_model="numpy", forceinline=True)
def _store_isotropic(tangent, row, bulk, shear2):
    """Upper triangle of the elastic tangent."""
    side = bulk - THIRD * shear2
    for i in range(3):
        for j in range(i, 6):
            store(tangent, row + 6 * i + j, side if j < 3 else 0.0)
        store(tangent, row + 7 * i, side + shear2)
    for i in range(3, 6):
        for j in range(i + 1, 6):
            store(tangent, row + 6 * i + j, 0.0)
        store(tangent, row + 7 * i, shear2)


@njit(cache=True, error_model="numpy", forceinline=True)
def _store_tangent(tangent, row, side, diagonal, mm, m0, m1, m2, m3, m4, m5):
    """Upper triangle of ``side 1x1 + diagonal I + mm m x m``."""
    n = mm * m0
    store(tangent, row, side + diagonal + n * m0)
    store(tangent, row + 1, side + n * m1)
    store(tangent, row + 2, side + n * m2)
    store(tangent, row + 3, n * m3)
    store(tangent, row + 4, n * m4)
    store(tangent, row + 5, n * m5)
    n = mm * m1
    store(tangent, row + 7, side + diagonal + n * m1)
    store(tangent, row + 8, side + n * m2)
    store(tangent, row + 9, n * m3)
    store(tangent, row + 10, n * m4)
    store(tangent, row + 11, n * m5)
    n = mm * m2
    store(tangent, row + 14, side + diagonal + n * m2)
    store(tangent, row + 15, n * m3)
    store(tangent, row + 16, n * m4)
    store(tangent, row + 17, n * m5)
    n = mm * m3
    store(tangent, row + 21, diagonal + n * m3)
    store(tangent, row + 22, n * m4)
    store(tangent, row + 23, n * m5)
    n = mm * m4
    store(tangent, row + 28, diagonal + n * m4)
    store(tangent, row + 29, n * m5)
    store(tangent, row + 35, diagonal + mm * m5 * m5)


@njit(cache=True, error_model="numpy")
def radial_return_lanes(
    point, active, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """One step at every node; fills the upper triangle of the tangents, returns failed lanes."""
    par = parameters
    bulk, shear = par[BULK], par[SHEAR]
    shear2, stiff = 2.0 * shear, 3.0 * shear
    shape = int(par[SHAPE])
    running = mask_of(active)
    failed = 0
    for node in range(strain.shape[0]):
        e, s, c = 6 * node, 7 * node, 36 * node
        v = load(strain, e) + load(strain, e + 1) + load(strain, e + 2)
        mean = THIRD * v
        pressure = bulk * v
        b0 = shear2 * (load(strain, e) - mean - load(state_n, s))
        b1 = shear2 * (load(strain, e + 1) - mean - load(state_n, s + 1))
        b2 = shear2 * (load(strain, e + 2) - mean - load(state_n, s + 2))
        b3 = shear2 * (load(strain, e + 3) - load(state_n, s + 3))
        b4 = shear2 * (load(strain, e + 4) - load(state_n, s + 4))
        b5 = shear2 * (load(strain, e + 5) - load(state_n, s + 5))
        p_n = load(state_n, s + 6)
        q = ROOT_3_2 * math.sqrt(b0 * b0 + b1 * b1 + b2 * b2 + b3 * b3 + b4 * b4 + b5 * b5)
        y_n, h_n = yield_lanes(shape, par, BACK, p_n)
        failed |= ~mask_bits(abs(v) + q + p_n < np.inf)
        plastic = (q > y_n) & running
        if not any_of(plastic):
            store(stress, e, b0 + pressure)
            store(stress, e + 1, b1 + pressure)
            store(stress, e + 2, b2 + pressure)
            store(stress, e + 3, b3)
            store(stress, e + 4, b4)
            store(stress, e + 5, b5)
            for k in range(7):
                store(state, s + k, load(state_n, s + k))
            _store_isotropic(tangent, c, bulk, shear2)
            store(energy, 2 * node, 0.5 * v * pressure + q * q / (6.0 * shear))
            store(energy, 2 * node + 1, 0.0)
            continue
        dp, y, h, left = _increment_lanes(shape, par, q, p_n, y_n, h_n, plastic)
        failed |= mask_bits(left)
        scale = select(plastic, ROOT_3_2 / q, 0.0)
        m0, m1, m2 = scale * b0, scale * b1, scale * b2
        m3, m4, m5 = scale * b3, scale * b4, scale * b5
        step = ROOT_3_2 * dp
        back = shear2 * step
        store(state, s, load(state_n, s) + step * m0)
        store(state, s + 1, load(state_n, s + 1) + step * m1)
        store(state, s + 2, load(state_n, s + 2) + step * m2)
        store(state, s + 3, load(state_n, s + 3) + step * m3)
        store(state, s + 4, load(state_n, s + 4) + step * m4)
        store(state, s + 5, load(state_n, s + 5) + step * m5)
        store(state, s + 6, p_n + dp)
        store(stress, e, b0 - back * m0 + pressure)
        store(stress, e + 1, b1 - back * m1 + pressure)
        store(stress, e + 2, b2 - back * m2 + pressure)
        store(stress, e + 3, b3 - back * m3)
        store(stress, e + 4, b4 - back * m4)
        store(stress, e + 5, b5 - back * m5)
        q_end = q - stiff * dp
        store(energy, 2 * node, 0.5 * v * pressure + q_end * q_end / (6.0 * shear))
        store(energy, 2 * node + 1, y * dp)
        drop = select(plastic, shear2 * (stiff * dp / q), 0.0)
        mm = select(plastic, drop - 2.0 * stiff * shear / (stiff + h), 0.0)
        diagonal = shear2 - drop
        side = bulk - THIRD * diagonal
        _store_tangent(tangent, c, side, diagonal, mm, m0, m1, m2, m3, m4, m5)
    return failed & active
