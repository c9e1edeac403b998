r"""Radial return for the von Mises family: one scalar equation for all its laws.

With backward Euler, the deviatoric trial stress :math:`s^{tr}`, :math:`q(a) = \sqrt{3/2}\,|a|`, the
increment :math:`\Delta p` and :math:`\theta_i = 1 / (1 + \gamma_i \Delta p)`, the backstresses at
the end are :math:`X_i = \theta_i (X_i^n + \tfrac23 C_i \Delta\varepsilon^p)`. The relative stress
:math:`s - \sum X_i` is then parallel to :math:`B = s^{tr} - \sum \theta_i X_i^n`, the flow is
:math:`\Delta\varepsilon^p = \sqrt{3/2}\, \Delta p\, m` with :math:`m = B / |B|`, and there remains

.. math::
    r(\Delta p) = q(B) - (3G + \textstyle\sum \theta_i C_i) \Delta p
                  - \sigma(p_n + \Delta p, \Delta p / \Delta t) = 0

with the flow stress sigma: the yield stress, plus overstress or times rate factor. As long as
:math:`q(X_i) \le C_i / \gamma_i`, which the update preserves, q(B) rises by at most
:math:`\sum \theta_i^2 C_i` per unit of :math:`\Delta p`: r falls strictly and has one root, which
Newton's method in a bracket finds. For overstress, the unknown is
:math:`z = (\Delta p/\Delta t)^{1/n}`, in which r has finite slopes and is concave.

With :math:`W = \sum \gamma_i \theta_i^2 X_i^n`, :math:`\beta = 3G \Delta p / q(B)` and
:math:`D = 3G + \sum \theta_i^2 C_i - \sqrt{3/2}\, m : W + \partial\sigma/\partial\Delta p`, the
derivative of the stress is

.. math::
    K\, 1 \otimes 1 + 2G (1 - \beta) P + (2G\beta - 6 G^2 / D)\, m \otimes m
    - \sqrt{6} (G \beta / D)\, (W - m (m : W)) \otimes m

with the deviatoric projector P. It is symmetric unless a backstress has a recall term.

References
----------
Simo & Hughes, *Computational Inelasticity*, 1998, boxes 3.1 and 3.2; for recall terms Doghri, *Int.
J. Numer. Methods Eng.* 36, 1993, and Kobayashi & Ohno, *Int. J. Numer. Methods Eng.* 53, 2002.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from matnet.phases.hardening import yield_stress
from matnet.phases.rates import INSTANT, LOGARITHMIC, VISCOUS

if TYPE_CHECKING:
    from matnet.phases.backstress import Backstress
    from matnet.phases.hardening import Hardening
    from matnet.phases.rates import FlowRate

__all__ = ["pack", "radial_return_point", "state_names"]

# where what stands in the parameters; after the numbers of the hardening come C and gamma of each
# backstress, then the table
BULK, SHEAR, RATE, RATE_A, RATE_B, N_BACK, SHAPE, NUMBERS, BACK = 0, 1, 2, 3, 4, 5, 6, 7, 11
# and in the state: plastic strain, accumulated plastic strain, the backstresses
P, X = 6, 7

ROOT_3_2 = math.sqrt(1.5)
THIRD = 1.0 / 3.0
MAX_ITERATIONS = 120
NEWTON_ITERATIONS = 30  # from here on, every other step halves the bracket
TOLERANCE = 1e-14  # of r over the trial stress; round-off is about 3e-16


def pack(
    E: float,
    nu: float,
    hardening: Hardening | None,
    backstresses: tuple[Backstress, ...] = (),
    rate: FlowRate | None = None,
) -> np.ndarray:
    """The parameters that the kernels read; no hardening means a yield stress of zero."""
    bulk, shear = E / (3.0 * (1.0 - 2.0 * nu)), E / (2.0 * (1.0 + nu))
    flow = (INSTANT, 0.0, 0.0) if rate is None else rate.numbers
    shape, numbers = (0, (0.0,) * 4) if hardening is None else (hardening.shape, hardening.numbers)
    moduli = [number for part in backstresses for number in part.numbers]
    rows = () if hardening is None else hardening.rows
    return np.array([bulk, shear, *flow, len(backstresses), shape, *numbers, *moduli, *rows])


def state_names(n_backstresses: int) -> tuple[str, ...]:
    """Names of the internal variables: Mandel components of strain and backstresses, and p."""
    parts = ("11", "22", "33", "12", "13", "23")
    back = [f"X{i + 1}_{part}" for i in range(n_backstresses) for part in parts]
    return (*(f"eps_p_{part}" for part in parts), "p", *back)


@njit(cache=True, error_model="numpy", forceinline=True)
def _relative_stress(dp, par, trial, state_n, scratch):
    """B and W in the first rows of scratch; q(B), sqrt(3/2) m : W, and the sums of theta C."""
    for k in range(6):
        scratch[0, k] = trial[k]
        scratch[1, k] = 0.0
    drag, drag_slope = 0.0, 0.0
    for i in range(int(par[N_BACK])):
        c, gamma = par[BACK + 2 * i], par[BACK + 2 * i + 1]
        theta = 1.0 / (1.0 + gamma * dp)
        drag += theta * c
        drag_slope += theta * theta * c
        for k in range(6):
            x = state_n[X + 6 * i + k]
            scratch[0, k] -= theta * x
            scratch[1, k] += gamma * theta * theta * x
    square, along = 0.0, 0.0
    for k in range(6):
        square += scratch[0, k] * scratch[0, k]
        along += scratch[0, k] * scratch[1, k]
    norm = math.sqrt(square)
    turn = ROOT_3_2 * along / norm if norm > 0.0 else 0.0
    return ROOT_3_2 * norm, turn, drag, drag_slope


@njit(cache=True, error_model="numpy", forceinline=True)
def _residual(x, rate, dt, par, trial, state_n, scratch):
    """r and dr/dx at x (z for overstress, else dp); then dp, the flow stress, D and q(B)."""
    n = par[RATE_B]
    dp = dt * x**n if rate == VISCOUS else x
    q_b, turn, drag, drag_slope = _relative_stress(dp, par, trial, state_n, scratch)
    table = BACK + 2 * int(par[N_BACK])
    flow, slope = yield_stress(int(par[SHAPE]), par, NUMBERS, table, state_n[P] + dp)
    stiff = 3.0 * par[SHEAR] + drag_slope - turn
    if rate == VISCOUS:
        flow += par[RATE_A] * x
        fall = (stiff + slope) * n * dp / x + par[RATE_A]
        d = stiff + slope + (par[RATE_A] * x / (n * dp) if dp > 0.0 else np.inf)
    elif rate == LOGARITHMIC:
        factor = 1.0 + par[RATE_A] * math.log(dp / (dt * n))
        fall = stiff + slope * factor + flow * par[RATE_A] / dp
        flow *= factor
        d = fall
    else:
        fall = stiff + slope
        d = fall
    r = q_b - (3.0 * par[SHEAR] + drag) * dp - flow
    return r, -fall, dp, flow, d, q_b


@njit(cache=True, error_model="numpy", forceinline=True)
def _bracket(q_bound, overstress, dt, par, trial, state_n, scratch):
    """Which rate branch holds, a bracket of the root, and where to start."""
    rate = int(par[RATE])
    low, high = 0.0, q_bound / (3.0 * par[SHEAR])
    if rate == VISCOUS:  # r is concave: from the upper end, Newton's method is monotone
        high = min(overstress / par[RATE_A], (high / dt) ** (1.0 / par[RATE_B]))
        return rate, low, high, high
    if rate == LOGARITHMIC:  # each side of the kink is smooth
        kink = dt * par[RATE_B]
        if kink < high and _residual(kink, rate, dt, par, trial, state_n, scratch)[0] > 0.0:
            return rate, kink, high, kink
        return INSTANT, low, min(high, kink), low
    return rate, low, high, low


@njit(cache=True, error_model="numpy", forceinline=True)
def _solve(q_bound, overstress, dt, par, trial, state_n, scratch):
    """Whether r = 0 was reached; there, dp, the flow stress, D and q(B)."""
    rate, low, high, x = _bracket(q_bound, overstress, dt, par, trial, state_n, scratch)
    dp, flow, d, q_b = 0.0, 0.0, 0.0, 0.0
    for iteration in range(MAX_ITERATIONS):
        r, slope, dp, flow, d, q_b = _residual(x, rate, dt, par, trial, state_n, scratch)
        if abs(r) <= TOLERANCE * q_bound:
            return True, dp, flow, d, q_b
        if r != r:
            break
        if r > 0.0:
            low = x
        else:
            high = x
        new = x - r / slope
        halve = iteration > NEWTON_ITERATIONS and iteration % 2 == 0
        if halve or not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 4e-16 * x:  # no closer number
            return True, dp, flow, d, q_b
        x = new
    return False, dp, flow, d, q_b


@njit(cache=True, error_model="numpy", forceinline=True)
def _fill_isotropic(bulk, shear2, tangent):
    for i in range(6):
        for j in range(6):
            tangent[i, j] = bulk - THIRD * shear2 if i < 3 and j < 3 else 0.0
        tangent[i, i] += shear2


@njit(cache=True, error_model="numpy", forceinline=True)
def _stand(par, dt, vol, q_trial, yield_now, stress, tangent, energy):
    """No flow: the trial stress is the stress."""
    bulk, shear = par[BULK], par[SHEAR]
    shear2 = 2.0 * shear
    if q_trial == 0.0 and yield_now == 0.0 and par[RATE] == VISCOUS and par[RATE_B] == 1.0:
        # a Maxwell fluid is softer than elastic at zero stress too
        back = 0.0
        for i in range(int(par[N_BACK])):
            back += par[BACK + 2 * i]
        shear2 *= 1.0 - 3.0 * shear / (3.0 * shear + back + par[RATE_A] / dt)
    energy[0] = 0.5 * bulk * vol * vol + q_trial * q_trial / (6.0 * shear)
    energy[1] = 0.0
    for k in range(3):
        stress[k] += bulk * vol
    _fill_isotropic(bulk, shear2, tangent)


@njit(cache=True, error_model="numpy", forceinline=True)
def _flow(par, vol, dp, flow, d, q_b, stress, state, tangent, energy):
    """Stress, plastic strain, tangent and energies from dp; tangent holds B and W on entry."""
    bulk, shear = par[BULK], par[SHEAR]
    scale = ROOT_3_2 / q_b
    m = (
        scale * tangent[0, 0],
        scale * tangent[0, 1],
        scale * tangent[0, 2],
        scale * tangent[0, 3],
        scale * tangent[0, 4],
        scale * tangent[0, 5],
    )
    w = (
        tangent[1, 0],
        tangent[1, 1],
        tangent[1, 2],
        tangent[1, 3],
        tangent[1, 4],
        tangent[1, 5],
    )
    along, square = 0.0, 0.0
    for k in range(6):
        along += m[k] * w[k]
        step = ROOT_3_2 * dp * m[k]
        state[k] += step
        stress[k] -= 2.0 * shear * step
        square += stress[k] * stress[k]
        if k < 3:
            stress[k] += bulk * vol
    energy[0] = 0.5 * bulk * vol * vol + square / (4.0 * shear)
    energy[1] = flow * dp
    beta = 3.0 * shear * dp / q_b
    mm = 2.0 * shear * beta - 6.0 * shear * shear / d
    wm = -2.0 * ROOT_3_2 * shear * beta / d
    _fill_isotropic(bulk, 2.0 * shear * (1.0 - beta), tangent)
    for i in range(6):
        for j in range(6):
            tangent[i, j] += (mm * m[i] + wm * (w[i] - along * m[i])) * m[j]


@njit(cache=True, error_model="numpy", forceinline=True)
def _move_backstresses(par, dp, state_n, state, energy):
    """Backstresses at the end from the plastic strain there, their energies added."""
    for i in range(int(par[N_BACK])):
        c, gamma = par[BACK + 2 * i], par[BACK + 2 * i + 1]
        theta = 1.0 / (1.0 + gamma * dp)
        square = 0.0
        for k in range(6):
            at = X + 6 * i + k
            state[at] = theta * (state_n[at] + 2.0 * THIRD * c * (state[k] - state_n[k]))
            square += state[at] * state[at]
        energy[0] += 0.75 * square / c
        energy[1] += 1.5 * gamma * square / c * dp


@njit(cache=True, error_model="numpy", forceinline=True)
def radial_return_point(
    strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """One step of any law of the family; parameters as in `pack`, state as in `state_names`."""
    par = parameters
    vol = strain[0] + strain[1] + strain[2]
    trial_square, q_bound = 0.0, 0.0
    for k in range(6):
        dev = strain[k] - state_n[k] - (THIRD * vol if k < 3 else 0.0)
        stress[k] = 2.0 * par[SHEAR] * dev
        trial_square += stress[k] * stress[k]
    n_back = int(par[N_BACK])
    for k in range(X + 6 * n_back):
        state[k] = state_n[k]
    for i in range(n_back):
        square = 0.0
        for k in range(6):
            square += state_n[X + 6 * i + k] ** 2
        q_bound += ROOT_3_2 * math.sqrt(square)
    q_trial = ROOT_3_2 * math.sqrt(trial_square)
    q_bound += q_trial
    if not abs(vol) + q_bound < np.inf:
        return 1
    q_b = _relative_stress(0.0, par, stress, state_n, tangent)[0]
    yield_now = yield_stress(int(par[SHAPE]), par, NUMBERS, BACK + 2 * n_back, state_n[P])[0]
    if q_b <= yield_now:
        _stand(par, dt, vol, q_trial, yield_now, stress, tangent, energy)
        _move_backstresses(par, 0.0, state_n, state, energy)
        return 0
    found, dp, flow, d, q_b = _solve(q_bound, q_b - yield_now, dt, par, stress, state_n, tangent)
    if not found or not q_b > 0.0:
        return 1
    _flow(par, vol, dp, flow, d, q_b, stress, state, tangent, energy)
    _move_backstresses(par, dp, state_n, state, energy)
    state[P] = state_n[P] + dp
    return 0
