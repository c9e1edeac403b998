# mypy: disable-error-code="no-untyped-def"
"""Compiled steps of conjugate gradients and of their adjoint; see `embedded_pcg`.

Fields, `pieces` and `parts` are those of `stencil_kernels`. Scalars are per cell and load
(n_cells, 6), in double precision.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from offline.surrogates.cgins.stencil_kernels import FUSED, LANES, LOADS, WIDTH

__all__ = [
    "add_scaled",
    "adjoint_dots",
    "adjoint_fields",
    "advance",
    "direction",
    "norms",
]


@njit(cache=True, fastmath=FUSED, parallel=True)
def add_scaled(p, factor, pieces, q):
    """q += factor p."""
    for c in prange(len(pieces)):
        for n in range(pieces[c, 0], pieces[c, 1]):
            for j in range(WIDTH):
                q[n, j] += factor * p[n, j]


@njit(cache=True, fastmath=FUSED, parallel=True)
def norms(inverse, r, pieces, parts):
    """parts[c] = r . D r and r . r."""
    for c in prange(len(pieces)):
        power = np.zeros(LANES)
        square = np.zeros(LANES)
        for n in range(pieces[c, 0], pieces[c, 1]):
            for i in range(3):
                for j in range(LANES):
                    value = r[n, LANES * i + j]
                    power[j] += value * value * inverse[n, i]
                    square[j] += value * value
        for load in range(LOADS):
            parts[c, 0, load] = power[load]
            parts[c, 1, load] = square[load]


@njit(cache=True, fastmath=FUSED)
def _lanes(scalars, cell, out):
    """Scalars (n_cells, 6) of a cell in lanes, in the precision of the fields."""
    for load in range(LOADS):
        out[load] = scalars[cell, load]


@njit(cache=True, fastmath=FUSED, parallel=True)
def advance(alpha, inverse, p, q, pieces, u, r, r_next, parts):
    """u += alpha p, r_next = r - alpha q; parts[c] = r_next . D r_next and r_next . r_next."""
    for c in prange(len(pieces)):
        a = np.zeros(LANES, u.dtype)
        _lanes(alpha, pieces[c, 2], a)
        power = np.zeros(LANES)
        square = np.zeros(LANES)
        for n in range(pieces[c, 0], pieces[c, 1]):
            for i in range(3):
                d = inverse[n, i]
                for j in range(LANES):
                    m = LANES * i + j
                    u[n, m] += a[j] * p[n, m]
                    value = r[n, m] - a[j] * q[n, m]
                    r_next[n, m] = value
                    power[j] += value * value * d
                    square[j] += value * value
        for load in range(LOADS):
            parts[c, 0, load] = power[load]
            parts[c, 1, load] = square[load]


@njit(cache=True, fastmath=FUSED, parallel=True)
def direction(beta, inverse, r, p, pieces, p_next):
    """p_next = D r + beta p."""
    for c in prange(len(pieces)):
        b = np.zeros(LANES, p.dtype)
        _lanes(beta, pieces[c, 2], b)
        for n in range(pieces[c, 0], pieces[c, 1]):
            for i in range(3):
                d = inverse[n, i]
                for j in range(LANES):
                    m = LANES * i + j
                    p_next[n, m] = d * r[n, m] + b[j] * p[n, m]


@njit(cache=True, fastmath=FUSED, parallel=True)
def adjoint_dots(over_alpha, inverse, p, r, r_next, u_bar, p_bar, r_bar, pieces, q, parts):
    """q = (r - r_next) / alpha; parts[c] = p_bar . p, u_bar . p, (r_bar + D p_bar) . q and
    r_next . D q."""
    for c in prange(len(pieces)):
        a = np.zeros(LANES, p.dtype)
        _lanes(over_alpha, pieces[c, 2], a)
        dots = np.zeros((4, LANES))
        for n in range(pieces[c, 0], pieces[c, 1]):
            for i in range(3):
                d = inverse[n, i]
                for j in range(LANES):
                    m = LANES * i + j
                    value = a[j] * (r[n, m] - r_next[n, m])
                    q[n, m] = value
                    dots[0, j] += p_bar[n, m] * p[n, m]
                    dots[1, j] += u_bar[n, m] * p[n, m]
                    dots[2, j] += (r_bar[n, m] + d * p_bar[n, m]) * value
                    dots[3, j] += d * r_next[n, m] * value
        for k in range(4):
            for load in range(LOADS):
                parts[c, k, load] = dots[k, load]


@njit(cache=True, fastmath=FUSED, parallel=True)
def adjoint_fields(scalars, inverse, p, q, r_next, u_bar, pieces, p_bar, r_bar, s):
    """r_bar += rho D r_next + D p_bar; s = pi p - alpha r_bar; p_bar = beta p_bar + alpha u_bar
    + pi q, with rho, alpha, beta, pi the four rows of `scalars` (4, n_cells, 6)."""
    for c in prange(len(pieces)):
        k = np.zeros((4, LANES), p.dtype)
        for number in range(4):
            _lanes(scalars[number], pieces[c, 2], k[number])
        rho, alpha, beta, pi = k[0], k[1], k[2], k[3]
        for n in range(pieces[c, 0], pieces[c, 1]):
            for i in range(3):
                d = inverse[n, i]
                for j in range(LANES):
                    m = LANES * i + j
                    value = r_bar[n, m] + d * (rho[j] * r_next[n, m] + p_bar[n, m])
                    r_bar[n, m] = value
                    s[n, m] = pi[j] * p[n, m] - alpha[j] * value
                    p_bar[n, m] = beta[j] * p_bar[n, m] + alpha[j] * u_bar[n, m] + pi[j] * q[n, m]
