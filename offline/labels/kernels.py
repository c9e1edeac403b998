"""Compiled loop over elements: nodal forces of many fields under many sparse element matrices."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = ["apply_pairs"]


@njit(cache=True, parallel=True)
def apply_pairs(
    elements: np.ndarray,
    density: np.ndarray,
    start: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    u: np.ndarray,
    forces: np.ndarray,
) -> None:
    """Add the nodal forces (3 n_nodes, n_pairs, m) of fields u (3 n_nodes, m), pair by pair.

    Entries start[q] to start[q + 1] of rows, columns, values are the element matrix of pair q.
    """
    for q in prange(len(start) - 1):
        for e in range(len(elements)):
            for k in range(start[q], start[q + 1]):
                i = 3 * elements[e, rows[k] // 3] + rows[k] % 3
                j = 3 * elements[e, columns[k] // 3] + columns[k] % 3
                v = density[e] * values[k]
                for c in range(u.shape[1]):
                    forces[i, q, c] += v * u[j, c]
