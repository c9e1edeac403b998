"""Compiled loops over nodes and frequencies.

Fields hold six load cases: ``(n_nodes, 18)`` with component ``6 * i + load``, so that the innermost
loop runs over the loads. Sums are cut into a fixed number of parts, which the caller adds: results
do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = [
    "LOADS",
    "PARTS",
    "WIDTH",
    "advance",
    "apply_symbol",
    "grid_dot",
    "new_direction",
    "squares",
    "to_grid",
]

LOADS = 6
WIDTH = 18  # three components, six load cases
PARTS = 32


@njit(cache=True)
def _part(n: int, c: int) -> tuple[int, int]:
    return n * c // PARTS, n * (c + 1) // PARTS


@njit(cache=True, parallel=True)
def squares(a: np.ndarray, parts: np.ndarray) -> None:
    """parts[c, load] = a^load . a^load over part c of the nodes."""
    for c in prange(PARTS):
        start, stop = _part(a.shape[0], c)
        acc = np.zeros(LOADS)
        for n in range(start, stop):
            for i in range(3):
                for load in range(LOADS):
                    acc[load] += a[n, LOADS * i + load] ** 2
        parts[c] = acc


@njit(cache=True, parallel=True)
def advance(
    alpha: np.ndarray, p: np.ndarray, q: np.ndarray, u: np.ndarray, r: np.ndarray, parts: np.ndarray
) -> None:
    """u += alpha p, r -= alpha q per load; parts[c, load] = r^load . r^load."""
    for c in prange(PARTS):
        start, stop = _part(p.shape[0], c)
        acc = np.zeros(LOADS)
        for n in range(start, stop):
            for i in range(3):
                for load in range(LOADS):
                    j = LOADS * i + load
                    u[n, j] += alpha[load] * p[n, j]
                    r[n, j] -= alpha[load] * q[n, j]
                    acc[load] += r[n, j] * r[n, j]
        parts[c] = acc


@njit(cache=True, parallel=True)
def to_grid(
    scale: np.ndarray, nodal: np.ndarray, r: np.ndarray, nodes: np.ndarray, grid: np.ndarray
) -> None:
    """grid[nodes] = scale nodal r, in the grid's precision; other rows stay as they are."""
    for n in prange(r.shape[0]):
        row, s = nodes[n], nodal[n]
        for i in range(3):
            for load in range(LOADS):
                grid[row, LOADS * i + load] = s * scale[load] * r[n, LOADS * i + load]


@njit(cache=True, parallel=True)
def grid_dot(
    scale: np.ndarray,
    nodal: np.ndarray,
    r: np.ndarray,
    nodes: np.ndarray,
    grid: np.ndarray,
    parts: np.ndarray,
) -> None:
    """parts[c, load] = r^load . (scale nodal grid)^load over active nodes."""
    for c in prange(PARTS):
        start, stop = _part(r.shape[0], c)
        acc = np.zeros(LOADS)
        for n in range(start, stop):
            row, s = nodes[n], nodal[n]
            for i in range(3):
                for load in range(LOADS):
                    acc[load] += s * r[n, LOADS * i + load] * grid[row, LOADS * i + load]
        for load in range(LOADS):
            parts[c, load] = acc[load] * scale[load]


@njit(cache=True, parallel=True)
def new_direction(
    scale: np.ndarray,
    nodal: np.ndarray,
    grid: np.ndarray,
    nodes: np.ndarray,
    beta: np.ndarray,
    p: np.ndarray,
) -> None:
    """p = scale nodal grid[nodes] + beta p per load."""
    for n in prange(p.shape[0]):
        row, s = nodes[n], nodal[n]
        for i in range(3):
            for load in range(LOADS):
                j = LOADS * i + load
                p[n, j] = s * scale[load] * grid[row, j] + beta[load] * p[n, j]


@njit(cache=True, parallel=True)
def apply_symbol(inverse: np.ndarray, spectrum: np.ndarray) -> None:
    """spectrum <- inverse spectrum at every frequency.

    `inverse` (m, 6) holds the symmetric 3x3 matrices 11 22 33 12 13 23, `spectrum` (m, 36) real and
    imaginary parts innermost, component 12 i + ....
    """
    for f in prange(spectrum.shape[0]):
        a, b, c = inverse[f, 0], inverse[f, 1], inverse[f, 2]
        d, e, g = inverse[f, 3], inverse[f, 4], inverse[f, 5]
        for load in range(2 * LOADS):
            x, y, z = spectrum[f, load], spectrum[f, 12 + load], spectrum[f, 24 + load]
            spectrum[f, load] = a * x + d * y + e * z
            spectrum[f, 12 + load] = d * x + b * y + g * z
            spectrum[f, 24 + load] = e * x + g * y + c * z
