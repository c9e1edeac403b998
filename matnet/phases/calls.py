"""How compiled code calls a law: two fixed signatures, reached through addresses.

The tree solvers are compiled once, for all laws; a law is compiled once, for all solvers. Between
them stands a number, the address of the law's kernel.

A **point kernel** evaluates a law at one point::

    status = kernel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy)

    strain (6,)        strain at the end of the step, Mandel, thermal strain taken off
    dt, temperature    length of the step, temperature at its end
    parameters (k,)    `PhaseLaw.parameters`
    state_n (m,)       state at the start, read only
    stress (6,)        filled: stress at the end
    state (m,)         filled: state at the end
    tangent (6, 6)     filled: d stress / d strain, exact for this step
    energy (2,)        filled: stored energy density; energy density dissipated in the step
    status             0, or any other number for "no solution": then nothing filled in counts

It allocates nothing it can avoid, raises nothing and always computes from ``state_n``. A **lane
kernel** does the same for ``n`` nodes of ``LANES`` points at once, arrays being
``(n, ..., LANES)`` and the tangent ``(n, 36, LANES)``, and returns the failed lanes as bits::

    failed = kernel(point, active, strain, dt, temperature, parameters,
                    state_n, stress, state, tangent, energy)

``active`` has a bit per lane; what is left in the results of other lanes is of no interest. Laws
with a symmetric tangent fill at least its upper triangle. Laws without a lane kernel are called
through `lanes_by_points`, which is what the address ``point`` is for.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from matnet.addresses import address_of, call_at
from matnet.simd import LANES

__all__ = [
    "LANE_KERNEL",
    "POINT_KERNEL",
    "call_lanes",
    "call_point",
    "evaluate_points",
    "lane_address",
    "lanes_by_points",
    "point_address",
]

_F8 = types.float64
_F1, _F2, _F3 = _F8[::1], _F8[:, ::1], _F8[:, :, ::1]
POINT_KERNEL = types.int64(_F1, _F8, _F8, _F1, _F1, _F1, _F1, _F2, _F1)
LANE_KERNEL = types.int64(types.int64, types.int64, _F3, _F1, _F1, _F1, _F3, _F3, _F3, _F3, _F3)


@intrinsic
def call_point(typing, address, strain, dt, temperature, par, state_n, stress, state, tangent, e):
    """The point kernel at an address; arguments as in the module's text."""
    return call_at(POINT_KERNEL)


@intrinsic
def call_lanes(typing, address, point, active, strain, dt, temperature, par, sn, stress, s, c, e):
    """The lane kernel at an address; arguments as in the module's text."""
    return call_at(LANE_KERNEL)


def point_address(kernel: Any) -> int:
    """Address of a point kernel, compiled at the first call and cached on disk."""
    return address_of(kernel, POINT_KERNEL)


def lane_address(kernel: Any) -> int:
    """Address of a lane kernel, compiled at the first call and cached on disk."""
    return address_of(kernel, LANE_KERNEL)


@njit(cache=True, error_model="numpy")
def lanes_by_points(
    point, active, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """Lane kernel of any law: its point kernel, one active lane after the other."""
    n, n_state = strain.shape[0], state_n.shape[1]
    eps, sig, c, work = np.empty(6), np.empty(6), np.empty((6, 6)), np.empty(2)
    s_n, s = np.empty(n_state), np.empty(n_state)
    failed = 0
    for lane in range(LANES):
        if not (active >> lane) & 1:
            continue
        for i in range(n):
            for k in range(6):
                eps[k] = strain[i, k, lane]
            for k in range(n_state):
                s_n[k] = state_n[i, k, lane]
            code = call_point(
                point, eps, dt[lane], temperature[lane], parameters, s_n, sig, s, c, work
            )
            if code != 0:
                failed |= 1 << lane
                break
            for k in range(n_state):
                state[i, k, lane] = s[k]
            energy[i, 0, lane] = work[0]
            energy[i, 1, lane] = work[1]
            for k in range(6):
                stress[i, k, lane] = sig[k]
                for m in range(6):
                    tangent[i, 6 * k + m, lane] = c[k, m]
    return failed


@njit(cache=True, error_model="numpy", nogil=True)
def evaluate_points(
    point, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy, status
):
    """A point kernel at many points: strain (n, 6), tangent (n, 6, 6), the rest alike."""
    for i in range(strain.shape[0]):
        status[i] = call_point(
            point,
            strain[i],
            dt,
            temperature[i],
            parameters,
            state_n[i],
            stress[i],
            state[i],
            tangent[i],
            energy[i],
        )
