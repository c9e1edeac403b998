"""Compiled loops over nodes and frequencies, in single or double precision.

Fields hold six load cases: ``(n_nodes, 18)`` with component ``6 * i + load``, so that the innermost
loop runs over the loads. Factors per load come as rows of 18 (`per_component`) in the precision of
the fields; sums are double. They are cut into a fixed number of parts, which the caller adds:
results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

__all__ = [
    "LOADS",
    "PARTS",
    "WIDTH",
    "advance",
    "apply_symbol",
    "dots",
    "from_grid",
    "new_direction",
    "per_component",
    "scaled",
    "squares",
    "to_grid",
]

LOADS = 6
WIDTH = 18  # three components, six load cases
PARTS = 32


def per_component(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Values (6,) per load as a row of 18 components.

    >>> per_component(np.arange(6), float)[[0, 5, 6, 17]]
    array([0., 5., 0., 5.])
    """
    return np.tile(values, 3).astype(dtype)


def per_load(parts: np.ndarray) -> np.ndarray:
    """Sums (6,) of the parts (PARTS, 18)."""
    return np.asarray(parts.sum(axis=0).reshape(3, LOADS).sum(axis=0))


@njit(cache=True)
def _part(n: int, c: int) -> tuple[int, int]:
    return n * c // PARTS, n * (c + 1) // PARTS


@njit(cache=True, parallel=True)
def dots(a: np.ndarray, b: np.ndarray, parts: np.ndarray) -> None:
    """parts[c, component] = sum of a b over part c of the nodes."""
    for c in prange(PARTS):
        start, stop = _part(a.shape[0], c)
        acc = np.zeros(WIDTH)
        for n in range(start, stop):
            for j in range(WIDTH):
                acc[j] += a[n, j] * b[n, j]
        parts[c] = acc


def squares(a: np.ndarray) -> np.ndarray:
    """a . a (6,) of each load case of a field (n_nodes, 18)."""
    return products(a, a)


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a . b (6,) of each load case of two fields (n_nodes, 18)."""
    parts = np.empty((PARTS, WIDTH))
    dots(a, b, parts)
    return per_load(parts)


@njit(cache=True, parallel=True)
def advance(
    alpha: np.ndarray, p: np.ndarray, q: np.ndarray, u: np.ndarray, r: np.ndarray, parts: np.ndarray
) -> None:
    """u += alpha p, r -= alpha q per component (18,); parts[c, component] = sum of r r."""
    for c in prange(PARTS):
        start, stop = _part(p.shape[0], c)
        acc = np.zeros(WIDTH)
        for n in range(start, stop):
            for j in range(WIDTH):
                u[n, j] += alpha[j] * p[n, j]
                x = r[n, j] - alpha[j] * q[n, j]
                r[n, j] = x
                acc[j] += x * x
        parts[c] = acc


@njit(cache=True, parallel=True)
def new_direction(z: np.ndarray, beta: np.ndarray, p: np.ndarray) -> None:
    """p = z + beta p per component (18,)."""
    for n in prange(p.shape[0]):
        for j in range(WIDTH):
            p[n, j] = z[n, j] + beta[j] * p[n, j]


@njit(cache=True, parallel=True)
def scaled(factor: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
    """out = factor a per component (18,), in the precision of `out`."""
    for n in prange(a.shape[0]):
        for j in range(WIDTH):
            out[n, j] = factor[j] * a[n, j]


@njit(cache=True, parallel=True)
def to_grid(nodal: np.ndarray, r: np.ndarray, number: np.ndarray, grid: np.ndarray) -> None:
    """grid[g] = nodal r at active node ``number[g]``, 0 where that is negative."""
    for g in prange(grid.shape[0]):
        n = number[g]
        if n >= 0:
            s = nodal[n]
            for j in range(WIDTH):
                grid[g, j] = s * r[n, j]
        else:
            for j in range(WIDTH):
                grid[g, j] = 0.0


@njit(cache=True, parallel=True)
def from_grid(nodal: np.ndarray, grid: np.ndarray, nodes: np.ndarray, z: np.ndarray) -> None:
    """z = nodal grid[nodes]."""
    for n in prange(z.shape[0]):
        g, s = nodes[n], nodal[n]
        for j in range(WIDTH):
            z[n, j] = s * grid[g, j]


@njit(cache=True, parallel=True)
def apply_symbol(inverse: np.ndarray, spectrum: np.ndarray) -> None:
    """spectrum <- inverse spectrum at every frequency.

    Parameters
    ----------
    inverse : (n1, n2, n3 // 2 + 1, 6)
        Symmetric 3x3 matrices 11 22 33 12 13 23; opposite frequencies share one.
    spectrum : (n1, n2, n3, 18)
        Three components of six numbers each, real and imaginary alike.
    """
    n1, n2, n3 = spectrum.shape[0], spectrum.shape[1], spectrum.shape[2]
    for i in prange(n1):
        for j in range(n2):
            for k in range(n3):
                m = inverse[i, j, k] if 2 * k <= n3 else inverse[-i % n1, -j % n2, n3 - k]
                a, b, c, d, e, g = m[0], m[1], m[2], m[3], m[4], m[5]
                s = spectrum[i, j, k]
                for load in range(LOADS):
                    x, y, z = s[load], s[LOADS + load], s[2 * LOADS + load]
                    s[load] = a * x + d * y + e * z
                    s[LOADS + load] = d * x + b * y + g * z
                    s[2 * LOADS + load] = e * x + g * y + c * z
