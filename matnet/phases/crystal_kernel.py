r"""Compiled update of `CrystalPlasticity`: backward Euler, solved for stress and slip resistance.

In the crystal's frame a cubic stiffness is diagonal over five deviatoric components (`BASIS`), with
moduli c, and the pressure stays elastic. With the elastic trial strain e and
:math:`\tau_a = m_a \cdot s`, the unknowns are s (5) and the hardening S (4) of each slip plane P

.. math::

    0 &= s_i / c_i - e_i + \sum_a \Delta\gamma_a m_{ai}, \qquad
         \Delta\gamma_a = \dot\gamma_0 \Delta t\, |\tau_a / g_P|^n \operatorname{sign} \tau_a \\
    0 &= S_P - h(g_P) \sum_{a \in P} |\Delta\gamma_a|, \qquad
         g_P = g_{P,n} + q \sum_{P'} S_{P'} + (1 - q) S_P

because all systems of one plane have the same resistance, by coplanar hardening. For given g the
first line is the minimum of a strictly convex function of s, which a safeguarded Newton method
finds from anywhere (`stress_at_fixed_resistance`). Alternating with the second line, it starts a
Newton method for both, whose Jacobian also gives the tangent.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["BASIS", "N_PLANES", "SLIP", "SYSTEMS", "crystal_point"]

N_PLANES = 4
N_SYSTEMS = 12
SYSTEMS = (
    ((1, 1, 1), (0, 1, -1)),
    ((1, 1, 1), (-1, 0, 1)),
    ((1, 1, 1), (1, -1, 0)),
    ((-1, 1, 1), (0, 1, -1)),
    ((-1, 1, 1), (1, 0, 1)),
    ((-1, 1, 1), (1, 1, 0)),
    ((1, -1, 1), (0, 1, 1)),
    ((1, -1, 1), (-1, 0, 1)),
    ((1, -1, 1), (1, 1, 0)),
    ((1, 1, -1), (0, 1, 1)),
    ((1, 1, -1), (1, 0, 1)),
    ((1, 1, -1), (1, -1, 0)),
)
"""Plane normals and slip directions of the octahedral systems, three on each plane."""

_R2, _R3, _R6 = math.sqrt(2.0), math.sqrt(3.0), math.sqrt(6.0)
BASIS = np.zeros((5, 6))
BASIS[0, :3] = np.array([1.0, -1.0, 0.0]) / _R2
BASIS[1, :3] = np.array([1.0, 1.0, -2.0]) / _R6
BASIS[2:, 3:] = np.eye(3)
"""Orthonormal deviatoric Mandel vectors (5, 6) over which cubic stiffness is diagonal."""


def _schmid(plane: tuple[int, ...], direction: tuple[int, ...]) -> np.ndarray:
    n, d = np.array(plane) / _R3, np.array(direction) / _R2
    full = 0.5 * (np.outer(n, d) + np.outer(d, n))
    mandel = np.array([full[0, 0], full[1, 1], full[2, 2], *(_R2 * full[[0, 0, 1], [1, 2, 2]])])
    return np.asarray(BASIS @ mandel)


SLIP = np.array([_schmid(*system) for system in SYSTEMS])
"""Symmetric Schmid tensors (12, 5) over `BASIS`: resolved shear stress is ``SLIP @ s``."""

START = 12  # parameters before B
PRESSURE, RATE, POWER, SATURATION, H0, A, LATENT, MODULI = 0, 1, 2, 3, 4, 5, 6, 7
MAX_STRESS_ITERATIONS = 200
MAX_ROUNDS = 25
MAX_NEWTON = 40
MAX_HALVINGS = 12
MAX_LOADS = 60
N_WORK = 34  # numbers that the local solvers keep in v


@njit(cache=True, error_model="numpy")
def eliminate(A, n, m):
    """Solve in place the n equations A[:n, :n] x = A[:n, n:n + m]; False if singular."""
    for k in range(n):
        pivot, largest = k, abs(A[k, k])
        for i in range(k + 1, n):
            if abs(A[i, k]) > largest:
                pivot, largest = i, abs(A[i, k])
        if not 0.0 < largest < math.inf:
            return False
        if pivot != k:
            for j in range(k, n + m):
                A[k, j], A[pivot, j] = A[pivot, j], A[k, j]
        inverse = 1.0 / A[k, k]
        for i in range(k + 1, n):
            factor = A[i, k] * inverse
            if factor != 0.0:
                for j in range(k + 1, n + m):
                    A[i, j] -= factor * A[k, j]
    for j in range(n, n + m):
        for i in range(n - 1, -1, -1):
            value = A[i, j]
            for k in range(i + 1, n):
                value -= A[i, k] * A[k, j]
            A[i, j] = value / A[i, i]
    return True


@njit(cache=True, error_model="numpy")
def resistances(par, state_n, S, g):
    """g of each plane from its start and the hardening S; returns the smallest."""
    q, total, least = par[LATENT], S[0] + S[1] + S[2] + S[3], math.inf
    for p in range(N_PLANES):
        g[p] = state_n[6 + p] + q * total + (1.0 - q) * S[p]
        least = min(least, g[p])
    return least


@njit(cache=True, error_model="numpy")
def ratios(s, g, r):
    """r_a = tau_a / g_a."""
    for a in range(N_SYSTEMS):
        tau = 0.0
        for i in range(5):
            tau += SLIP[a, i] * s[i]
        r[a] = tau / g[a // 3]


@njit(cache=True, error_model="numpy")
def strain_residual(e, par, s, slip, residual):
    """s / c - e + sum of slip_a m_a; returns its norm."""
    norm = 0.0
    for i in range(5):
        value = s[i] / par[MODULI + i] - e[i]
        for a in range(N_SYSTEMS):
            value += slip[a] * SLIP[a, i]
        residual[i] = value
        norm += value * value
    return math.sqrt(norm)


@njit(cache=True, error_model="numpy")
def slips(k, n, r, slip, weight):
    """Slip increments k |r|^n sign r and their derivatives k n |r|^(n-1) by r."""
    whole = int(n - 1.0)
    if whole == n - 1.0:  # by squaring, four times as fast as the general power
        for a in range(N_SYSTEMS):
            weight[a] = k
            slip[a] = abs(r[a])
        while whole > 0:
            if whole & 1:
                for a in range(N_SYSTEMS):
                    weight[a] *= slip[a]
            for a in range(N_SYSTEMS):
                slip[a] *= slip[a]
            whole >>= 1
    else:
        for a in range(N_SYSTEMS):
            weight[a] = k * math.pow(abs(r[a]), n - 1.0)
    for a in range(N_SYSTEMS):
        slip[a] = weight[a] * r[a]
        weight[a] *= n


@njit(cache=True, error_model="numpy")
def stress_matrix(par, g, weight, A):
    """Derivative of the strain residual by s, in A[:5, :5]."""
    for i in range(5):
        for j in range(i + 1):
            A[i, j] = 1.0 / par[MODULI + i] if i == j else 0.0
    for a in range(N_SYSTEMS):
        w = weight[a] / g[a // 3]
        for i in range(5):
            wi = w * SLIP[a, i]
            for j in range(i + 1):
                A[i, j] += wi * SLIP[a, j]
    for i in range(5):
        for j in range(i):
            A[j, i] = A[i, j]


@njit(cache=True, error_model="numpy")
def longest_step(r, dr, bound):
    """Largest factor <= 1 that keeps every |r + factor dr| within the bound."""
    factor = 1.0
    for a in range(N_SYSTEMS):
        if abs(r[a] + factor * dr[a]) > bound:
            room = bound - r[a] if dr[a] > 0.0 else bound + r[a]
            factor = max(room / abs(dr[a]), 0.0)
    return factor


@njit(cache=True, error_model="numpy")
def stress_at_fixed_resistance(e, size, k, n, par, g, s, r, slip, weight, A, v):
    """Improve s until the strain residual is below 1 % of |e|; number of iterations, < 0: failed.

    The solution obeys g_a |r_a slip_a| <= s . e, and |s| < 4 max |tau| in this crystal, so that no
    slip exceeds 4 |e| max g / min g and every |r_a| is below `bound`. Iterates stay within it;
    along each Newton direction the derivative of the convex function, residual . direction, may
    not turn to more than half its size.
    """
    spread = max(g[0], g[1], g[2], g[3]) / min(g[0], g[1], g[2], g[3])
    bound = math.pow(4.0 * size * spread / k, 1.0 / n)
    ratios(s, g, r)
    largest = 0.0
    for a in range(N_SYSTEMS):
        largest = max(largest, abs(r[a]))
    if largest > bound:
        for i in range(5):
            s[i] *= bound / largest
        for a in range(N_SYSTEMS):
            r[a] *= bound / largest
    bound *= 1.0 + 1.0 / n
    slips(k, n, r, slip, weight)
    norm = strain_residual(e, par, s, slip, v)
    for iteration in range(MAX_STRESS_ITERATIONS):
        if norm <= 0.01 * size:
            return iteration
        stress_matrix(par, g, weight, A)
        for i in range(5):
            A[i, 5] = -v[i]
        if not eliminate(A, 5, 1):
            return -1
        slope = 0.0
        for i in range(5):
            v[5 + i] = A[i, 5]
            slope += v[i] * A[i, 5]
        for a in range(N_SYSTEMS):
            dr = 0.0
            for i in range(5):
                dr += SLIP[a, i] * A[i, 5]
            v[10 + a] = dr / g[a // 3]
            v[22 + a] = r[a]
        factor, done = longest_step(r, v[10:22], bound), 0.0
        for _ in range(MAX_HALVINGS):
            for i in range(5):
                s[i] += (factor - done) * v[5 + i]
            for a in range(N_SYSTEMS):
                r[a] = v[22 + a] + factor * v[10 + a]
            done = factor
            slips(k, n, r, slip, weight)
            norm = strain_residual(e, par, s, slip, v)
            turned = 0.0
            for i in range(5):
                turned += v[i] * v[5 + i]
            if turned <= -0.5 * slope:
                break
            factor *= max(0.2, min(0.7, slope / (slope - turned)))
    return -1


@njit(cache=True, error_model="numpy")
def hardening(par, g):
    """h(g) and its derivative."""
    if par[H0] == 0.0:
        return 0.0, 0.0
    limit = par[SATURATION]
    rest = 1.0 - g / limit
    power = par[H0] * math.pow(abs(rest), par[A] - 1.0)
    return power * rest, -par[A] / limit * power


@njit(cache=True, error_model="numpy")
def harden_at_fixed_slip(par, state_n, slip, S, g, A):
    """Solve the second line for S at given slip; returns the largest relative change of g."""
    q, change = par[LATENT], 0.0
    old = (g[0], g[1], g[2], g[3])
    for _ in range(20):
        largest = 0.0
        for p in range(N_PLANES):
            total = abs(slip[3 * p]) + abs(slip[3 * p + 1]) + abs(slip[3 * p + 2])
            h, slope = hardening(par, g[p])
            for j in range(N_PLANES):
                A[p, j] = -slope * total * (1.0 if j == p else q)
            A[p, p] += 1.0
            A[p, N_PLANES] = h * total - S[p]
        if not eliminate(A, N_PLANES, 1):
            break
        for p in range(N_PLANES):
            S[p] += A[p, N_PLANES]
            largest = max(largest, abs(A[p, N_PLANES]))
        if not resistances(par, state_n, S, g) > 0.0:
            break
        if largest <= 1e-6 * g[0]:
            break
    for p in range(N_PLANES):
        change = max(change, abs(g[p] / old[p] - 1.0))
    return change


@njit(cache=True, error_model="numpy")
def residual_of_both(e, k, n, par, state_n, s, S, g, r, slip, weight, v):
    """The norm of both parts, relative to |e| and g; not finite where g <= 0.

    Fills v: the residual [:9], h' [9:13] and h [13:17].
    """
    least = resistances(par, state_n, S, g)
    if not least > 0.0:
        return math.inf
    ratios(s, g, r)
    slips(k, n, r, slip, weight)
    norm, size = 0.0, 1e-60
    strain_residual(e, par, s, slip, v)
    for i in range(5):
        size += e[i] * e[i]
        norm += v[i] * v[i]
    norm /= size
    for p in range(N_PLANES):
        total = abs(slip[3 * p]) + abs(slip[3 * p + 1]) + abs(slip[3 * p + 2])
        h, v[9 + p] = hardening(par, g[p])
        v[13 + p] = h
        v[5 + p] = S[p] - h * total
        norm += (v[5 + p] / least) ** 2
    return math.sqrt(norm)


@njit(cache=True, error_model="numpy")
def jacobian_of_both(par, g, r, slip, weight, A, v):
    """Derivatives of the residual by s and S, in A[:9, :9]; v from `residual_of_both`."""
    q = par[LATENT]
    stress_matrix(par, g, weight, A)
    for p in range(N_PLANES):
        slope, h = v[9 + p], v[13 + p]
        total, by_g = 0.0, 0.0
        for i in range(5):
            A[i, 5 + p] = 0.0  # for now by g_p, below by S
            A[5 + p, i] = 0.0
        for a in range(3 * p, 3 * p + 3):
            w = weight[a] / g[p]
            size = h * (w if r[a] >= 0.0 else -w)
            total += abs(slip[a])
            by_g -= w * abs(r[a])
            for i in range(5):
                A[i, 5 + p] -= w * r[a] * SLIP[a, i]
                A[5 + p, i] -= size * SLIP[a, i]
        by_g = -slope * total - h * by_g
        for j in range(N_PLANES):
            A[5 + p, 5 + j] = by_g * (1.0 if j == p else q)
        A[5 + p, 5 + p] += 1.0
    for i in range(5):
        total = A[i, 5] + A[i, 6] + A[i, 7] + A[i, 8]
        for p in range(N_PLANES):
            A[i, 5 + p] = q * total + (1.0 - q) * A[i, 5 + p]


@njit(cache=True, error_model="numpy")
def newton_for_both(e, k, n, par, state_n, s, S, g, r, slip, weight, A, v):
    """Damped Newton to rounding accuracy; False if it stalls before."""
    rounding = 1e-14 * (1.0 + n)
    norm = residual_of_both(e, k, n, par, state_n, s, S, g, r, slip, weight, v)
    for _ in range(MAX_NEWTON):
        if norm <= rounding:
            return True
        if not norm < math.inf:
            return False
        jacobian_of_both(par, g, r, slip, weight, A, v)
        for i in range(9):
            A[i, 9] = -v[i]
        if not eliminate(A, 9, 1):
            return False
        before, factor, done = norm, 1.0, 0.0
        for _ in range(MAX_HALVINGS):
            for i in range(5):
                s[i] += (factor - done) * A[i, 9]
            for p in range(N_PLANES):
                S[p] += (factor - done) * A[5 + p, 9]
            done = factor
            norm = residual_of_both(e, k, n, par, state_n, s, S, g, r, slip, weight, v)
            if norm <= (1.0 - 0.1 * factor) * before or before <= 1e-9:
                break
            factor *= 0.4
        if before <= 1e-9 and norm > 0.25 * before:  # rounding: no digit to be gained
            return norm <= 1e-9
        if not norm < before:
            return False
    return False


@njit(cache=True, error_model="numpy")
def solve_from_here(e, k, n, close, par, state_n, s, S, g, r, slip, weight, A, v):
    """Alternate between stress and hardening until they are `close`, then Newton for both.

    Starts from s, S and their g. False if there is no solution to be found.
    """
    size = 0.0
    for i in range(5):
        size += e[i] * e[i]
    size = math.sqrt(size)
    for _ in range(MAX_ROUNDS):
        if stress_at_fixed_resistance(e, size, k, n, par, g, s, r, slip, weight, A, v) < 0:
            return False
        before = g[0] + g[1] + g[2] + g[3]
        change = harden_at_fixed_slip(par, state_n, slip, S, g, A)
        if not change < math.inf:
            return False
        for i in range(5):
            s[i] *= (g[0] + g[1] + g[2] + g[3]) / before
        if n * change < close:
            break
    return newton_for_both(e, k, n, par, state_n, s, S, g, r, slip, weight, A, v)


@njit(cache=True, error_model="numpy")
def solve_crystal(e, k, n, par, state_n, s, S, g, r, slip, weight, A, v):
    """Find s and S; False if there is no solution to be found.

    The first two attempts take the whole trial strain e. If they fail, it is raised from a small
    part of it, in factors that adapt, each solution starting the next: at a fixed pattern of slip,
    stress grows like strain^(1/n).
    """
    largest = 0.0
    part, good = v[N_WORK : N_WORK + 5], v[N_WORK + 5 : N_WORK + 14]
    for i in range(5):
        largest = max(largest, abs(e[i]))
        good[i] = par[MODULI + i] * e[i]
    for p in range(N_PLANES):
        good[5 + p] = 0.0
    if not 1e-100 < largest < 1e100:
        s[:] = 0.0
        S[:] = 0.0
        residual_of_both(e, k, n, par, state_n, s, S, g, r, slip, weight, v)
        return largest == 0.0
    reached, factor, close = 1.0, 1.0, 0.2
    for attempt in range(MAX_LOADS):
        load = min(1.0, reached * factor)
        grown = math.pow(load / reached, 1.0 / n)
        for i in range(5):
            part[i] = load * e[i]
            s[i] = grown * good[i]
        for p in range(N_PLANES):
            S[p] = good[5 + p]
        resistances(par, state_n, S, g)
        if solve_from_here(part, k, n, close, par, state_n, s, S, g, r, slip, weight, A, v):
            if load == 1.0:
                return True
            reached, factor = load, max(min(factor * factor, 4.0), 1.1)
            for i in range(5):
                good[i] = s[i]
            for p in range(N_PLANES):
                good[5 + p] = S[p]
        elif attempt == 0:
            close = 1e-4
        elif attempt == 1:
            reached, close = min(1.0, 1e-4 / largest), 0.01
            for i in range(5):
                good[i] *= reached
        elif factor < 1.001:
            return False
        else:
            factor = math.sqrt(factor)
    return False


@njit(cache=True, error_model="numpy")
def crystal_point(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    """Update of one point.

    parameters: K, gammadot0, n, g_inf, h0, a, q, moduli (5) and the rows of B (5, 6),
    which takes Mandel vectors of the given frame to `BASIS`; state: eps_p (6), g (4), slip.
    """
    par = parameters
    A, work = np.empty((9, 14)), np.empty(102)
    e, s, S, g = work[0:5], work[5:10], work[10:14], work[14:18]
    r, slip, weight, v = work[18:30], work[30:42], work[42:54], work[54:102]
    vol = 0.0
    for i in range(3):
        vol += strain[i] - state_n[i]
    for i in range(5):
        e[i] = 0.0
        for j in range(6):
            e[i] += par[START + 6 * i + j] * (strain[j] - state_n[j])
    if not (math.isfinite(vol + e[0] + e[1] + e[2] + e[3] + e[4]) and 0.0 < dt < math.inf):
        return 1
    k, n = par[RATE] * dt, par[POWER]
    if not solve_crystal(e, k, n, par, state_n, s, S, g, r, slip, weight, A, v):
        return 2
    jacobian_of_both(par, g, r, slip, weight, A, v)
    for j in range(5):
        for i in range(9):
            A[i, 9 + j] = 1.0 if i == j else 0.0
    if not eliminate(A, 9, 5):
        return 3
    finish(vol, par, state_n, s, g, r, slip, A, stress, state, tangent, energy)
    return 0


@njit(cache=True, error_model="numpy")
def finish(vol, par, state_n, s, g, r, slip, A, stress, state, tangent, energy):
    """Back to the given frame: ``p I + B^T s``, tangent ``K I I + B^T T B`` with T = A[:5, 9:]."""
    K = par[PRESSURE]
    for p in range(N_PLANES):
        state[6 + p] = g[p]
    total, dissipated = 0.0, 0.0
    for a in range(N_SYSTEMS):
        total += abs(slip[a])
        dissipated += abs(r[a] * slip[a]) * g[a // 3]
    state[10] = state_n[10] + total
    energy[0] = 0.5 * K * vol * vol
    energy[1] = dissipated
    for i in range(5):
        energy[0] += 0.5 * s[i] * s[i] / par[MODULI + i]
    for j in range(6):
        stress[j] = K * vol if j < 3 else 0.0
        state[j] = state_n[j]
        for i in range(6):
            tangent[i, j] = K if i < 3 and j < 3 else 0.0
    for i in range(5):
        plastic = 0.0
        for a in range(N_SYSTEMS):
            plastic += slip[a] * SLIP[a, i]
        for j in range(6):
            b = par[START + 6 * i + j]
            stress[j] += b * s[i]
            state[j] += b * plastic
            half = 0.0  # row i of T B
            for m in range(5):
                half += A[i, 9 + m] * par[START + 6 * m + j]
            for m in range(6):
                tangent[m, j] += par[START + 6 * i + m] * half
