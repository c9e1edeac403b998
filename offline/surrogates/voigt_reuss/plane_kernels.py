"""Compiled loops of the plane-strain engine, row by row of pixels.

Fields are planes (6, n1, n2), component ``3 * i + load``. `table` (n_phases, 9) holds per phase the
stiffness 11 22 33 12 13 23 and the hourglass block 11 22 12 (`plane_strain`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "FIELDS",
    "LOADS",
    "advance",
    "apply_stiffness",
    "apply_symbol",
    "dot",
    "energies",
    "load_vectors",
    "new_direction",
    "shrink",
]

LOADS = 3
FIELDS = 2 * LOADS
FUSED = {"contract", "reassoc"}  # NaN and infinity keep their meaning


@njit(cache=True, fastmath=FUSED)
def _fill(phase: np.ndarray, i: int, table: np.ndarray, row: np.ndarray) -> None:
    for j in range(phase.shape[1]):
        kind = phase[i, j]
        for k in range(table.shape[1]):
            row[k, j] = table[kind, k]


@njit(cache=True, fastmath=FUSED)
def _strain(
    p: np.ndarray, i: int, below: int, load: int, e: np.ndarray, h: np.ndarray, w: np.ndarray
) -> None:
    """Mean strains e (3, n2) and bilinear amplitudes h (2, n2), times 2 and 4, of a row."""
    n2 = p.shape[2]
    for c in range(2):
        a, b = p[LOADS * c + load, i], p[LOADS * c + load, below]
        for j in range(n2):
            w[2 * c, j] = a[j] + b[j]
            w[2 * c + 1, j] = b[j] - a[j]
    root = np.sqrt(0.5)
    for j in range(n2 - 1):
        e[0, j] = w[1, j] + w[1, j + 1]
        e[1, j] = w[2, j + 1] - w[2, j]
        e[2, j] = root * (w[0, j + 1] - w[0, j] + w[3, j] + w[3, j + 1])
        h[0, j] = w[1, j + 1] - w[1, j]
        h[1, j] = w[3, j + 1] - w[3, j]
    j = n2 - 1
    e[0, j] = w[1, j] + w[1, 0]
    e[1, j] = w[2, 0] - w[2, j]
    e[2, j] = root * (w[0, 0] - w[0, j] + w[3, j] + w[3, 0])
    h[0, j] = w[1, 0] - w[1, j]
    h[1, j] = w[3, 0] - w[3, j]


@njit(cache=True, fastmath=FUSED)
def _forces(
    s: np.ndarray, t: np.ndarray, w: np.ndarray, i: int, below: int, load: int, q: np.ndarray
) -> None:
    """Add the transpose of `_strain` of stresses s (3, n2) and hourglass forces t (2, n2)."""
    n2 = s.shape[1]
    root = np.sqrt(0.5)
    for j in range(n2):
        shear = root * s[2, j]
        # force on the left and right node of the row's sum (0, 2) and difference (1, 3)
        w[0, j], w[1, j], w[2, j], w[3, j] = shear, s[0, j], s[1, j], shear
    for c in range(2):
        a, b = q[LOADS * c + load, i], q[LOADS * c + load, below]
        total, slope, hour = w[2 * c], w[2 * c + 1], t[c]
        last = n2 - 1
        plus = total[last] - total[0]
        minus = slope[0] + slope[last] + hour[last] - hour[0]
        a[0] += plus - minus
        b[0] += plus + minus
        for j in range(1, n2):
            plus = total[j - 1] - total[j]
            minus = slope[j] + slope[j - 1] + hour[j - 1] - hour[j]
            a[j] += plus - minus
            b[j] += plus + minus


@njit(cache=True, fastmath=FUSED)
def _stress(k: np.ndarray, e: np.ndarray, h: np.ndarray, s: np.ndarray, t: np.ndarray) -> None:
    """Stresses and hourglass forces, a quarter for the factors of `_strain` and its transpose."""
    for j in range(k.shape[1]):
        a, b, c = 0.25 * e[0, j], 0.25 * e[1, j], 0.25 * e[2, j]
        s[0, j] = k[0, j] * a + k[3, j] * b + k[4, j] * c
        s[1, j] = k[3, j] * a + k[1, j] * b + k[5, j] * c
        s[2, j] = k[4, j] * a + k[5, j] * b + k[2, j] * c
        g, f = 0.0625 * h[0, j], 0.0625 * h[1, j]
        t[0, j] = k[6, j] * g + k[8, j] * f
        t[1, j] = k[8, j] * g + k[7, j] * f


@njit(cache=True, fastmath=FUSED)
def apply_stiffness(phase: np.ndarray, table: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    """q = K p for the three loads."""
    n1, n2 = phase.shape
    k = np.empty((table.shape[1], n2))
    e, h, s, t, w = (
        np.empty((3, n2)),
        np.empty((2, n2)),
        np.empty((3, n2)),
        np.empty((2, n2)),
        np.empty((4, n2)),
    )
    q[:] = 0.0
    for i in range(n1):
        below = i + 1 if i + 1 < n1 else 0
        _fill(phase, i, table, k)
        for load in range(LOADS):
            _strain(p, i, below, load, e, h, w)
            _stress(k, e, h, s, t)
            _forces(s, t, w, i, below, load, q)


@njit(cache=True, fastmath=FUSED)
def load_vectors(phase: np.ndarray, table: np.ndarray, f: np.ndarray) -> None:
    """f of the three unit strains: total strain is unit strain minus that of u."""
    n1, n2 = phase.shape
    k = np.empty((table.shape[1], n2))
    e, h = np.empty((3, n2)), np.zeros((2, n2))
    s, t, w = np.empty((3, n2)), np.empty((2, n2)), np.empty((4, n2))
    for i in range(n1):
        below = i + 1 if i + 1 < n1 else 0
        _fill(phase, i, table, k)
        for load in range(LOADS):
            e[:] = 0.0
            e[load] = 2.0
            _stress(k, e, h, s, t)
            _forces(s, t, w, i, below, load, f)


@njit(cache=True, fastmath=FUSED)
def energies(phase: np.ndarray, table: np.ndarray, u: np.ndarray, products: np.ndarray) -> None:
    """Products of the total strains. Subtracting strains, not energies, keeps the digits."""
    n1, n2 = phase.shape
    k = np.empty((table.shape[1], n2))
    e, h = np.empty((LOADS, 3, n2)), np.empty((LOADS, 2, n2))
    s, t, w = np.empty((3, n2)), np.empty((2, n2)), np.empty((4, n2))
    products[:] = 0.0
    for i in range(n1):
        below = i + 1 if i + 1 < n1 else 0
        _fill(phase, i, table, k)
        for load in range(LOADS):
            _strain(u, i, below, load, e[load], h[load], w)
            e[load] *= -1.0
            e[load, load] += 2.0
        for load in range(LOADS):
            _stress(k, e[load], h[load], s, t)
            for other in range(LOADS):
                total = 0.0
                for j in range(n2):
                    total += e[other, 0, j] * s[0, j] + e[other, 1, j] * s[1, j]
                    total += e[other, 2, j] * s[2, j]
                    total += h[other, 0, j] * t[0, j] + h[other, 1, j] * t[1, j]
                products[load, other] += total
    for load in range(LOADS):
        for other in range(load):
            mean = 0.5 * (products[load, other] + products[other, load])
            products[load, other] = products[other, load] = mean


@njit(cache=True, fastmath=FUSED)
def advance(
    alpha: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    u: np.ndarray,
    r: np.ndarray,
    norm: np.ndarray,
) -> None:
    for load in range(LOADS):
        total = 0.0
        for c in range(2):
            f = LOADS * c + load
            for i in range(u.shape[1]):
                for j in range(u.shape[2]):
                    u[f, i, j] += alpha[load] * p[f, i, j]
                    r[f, i, j] -= alpha[load] * q[f, i, j]
                    total += r[f, i, j] * r[f, i, j]
        norm[load] = np.sqrt(total)


@njit(cache=True, fastmath=FUSED)
def shrink(scale: np.ndarray, r: np.ndarray, scaled: np.ndarray) -> None:
    for f in range(FIELDS):
        factor = scale[f % LOADS]
        for i in range(r.shape[1]):
            for j in range(r.shape[2]):
                scaled[f, i, j] = factor * r[f, i, j]


@njit(cache=True, fastmath=FUSED)
def new_direction(beta: np.ndarray, scale: np.ndarray, z: np.ndarray, p: np.ndarray) -> None:
    for f in range(FIELDS):
        b, factor = beta[f % LOADS], scale[f % LOADS]
        for i in range(p.shape[1]):
            for j in range(p.shape[2]):
                p[f, i, j] = factor * z[f, i, j] + b * p[f, i, j]


@njit(cache=True, fastmath=FUSED)
def dot(a: np.ndarray, b: np.ndarray, products: np.ndarray) -> None:
    for load in range(LOADS):
        total = 0.0
        for c in range(2):
            f = LOADS * c + load
            for i in range(a.shape[1]):
                for j in range(a.shape[2]):
                    total += a[f, i, j] * b[f, i, j]
        products[load] = total


@njit(cache=True, fastmath=FUSED)
def apply_symbol(symbol: np.ndarray, spectrum: np.ndarray) -> None:
    """In place: 2x2 products per frequency; `spectrum` (6, n1, 2 (n2 // 2 + 1)) floats."""
    for load in range(LOADS):
        for i in range(symbol.shape[0]):
            a, b = spectrum[load, i], spectrum[LOADS + load, i]
            for j in range(symbol.shape[1]):
                m11, m22, m12 = symbol[i, j, 0], symbol[i, j, 1], symbol[i, j, 2]
                for part in range(2 * j, 2 * j + 2):
                    x, y = a[part], b[part]
                    a[part] = m11 * x + m12 * y
                    b[part] = m12 * x + m22 * y
