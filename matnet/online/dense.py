r"""Newton's method of He et al. with dense matrices (algorithm 3).

All jumps of a network are one vector a (3 n_blocks), all base strains another (6 n_base), and

.. math::
    \varepsilon^{nodes} = \varepsilon^{macro} + A a, \qquad R = A^T W \sigma^{nodes}, \qquad
    \frac{dR}{da} = A^T W K A

(eq. 25, 28, 31; W and K are block-diagonal: the base nodes' weights and tangents). Block k has
``+f2 H`` in the rows of the base nodes below its first child and ``-f1 H`` below its second. The
document's jump vectors are these times the block's weight and f1 f2, which changes neither the
strains nor the iterates.
"""

from __future__ import annotations

import numpy as np

from matnet.mandel import interface_matrix
from matnet.network import Network

__all__ = ["architecture", "dense_correction", "dense_tangent"]

RANK_FLOOR = 1e-11
"""Singular values of the scaled Jacobian below this fraction of the largest are a void's zeros."""


def architecture(network: Network) -> np.ndarray:
    """The matrix A (n_base, 6, n_blocks, 3), from which base nodes lie below each child."""
    below: dict[int, list[int]] = {~node: [node] for node in range(network.n_base)}
    matrix = np.zeros((network.n_base, 6, network.n_blocks, 3))
    for block in range(network.n_blocks - 1, -1, -1):  # children come after their parent
        first, second = (below[int(child)] for child in network.children[block])
        below[block] = first + second
        h = interface_matrix(network.normals[block])
        f1 = network.first_fractions[block]
        matrix[first, :, block] = (1.0 - f1) * h
        matrix[second, :, block] = -f1 * h
    return matrix


def dense_correction(network: Network, tangent: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """Newton corrections (n, n_blocks, 3) for base tangents (n, n_base, 6, 6), stresses alike."""
    a, _, weighted = _flat(network)
    corrections = np.zeros((len(stress), a.shape[1]))
    for point, (k, sig) in enumerate(zip(tangent, stress, strict=True)):
        jacobian = weighted.T @ _times(k, a)
        corrections[point] = -_solve(jacobian, weighted.T @ sig.ravel())
    return corrections.reshape(len(stress), network.n_blocks, 3)


def dense_tangent(network: Network, tangent: np.ndarray) -> np.ndarray:
    """Macroscopic tangents (n, 6, 6): the mean of K, less what the jumps relax (R stays zero)."""
    a, uniform, weighted = _flat(network)
    mean = np.repeat(network.weights, 6)[:, None] * uniform
    macro = np.empty((len(tangent), 6, 6))
    for point, k in enumerate(tangent):
        relaxed = _solve(weighted.T @ _times(k, a), weighted.T @ _times(k, uniform))
        macro[point] = mean.T @ _times(k, uniform - a @ relaxed)
    return macro


def _flat(network: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A (6 n_base, 3 n_blocks), the macro strain's matrix (6 n_base, 6), and W A."""
    n_base = network.n_base
    a = architecture(network).reshape(6 * n_base, 3 * network.n_blocks)
    uniform = np.tile(np.eye(6), (n_base, 1))
    return a, uniform, np.repeat(network.weights, 6)[:, None] * a


def _times(k: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Block-diagonal K (n_base, 6, 6) times columns (6 n_base, m)."""
    return np.asarray(k @ columns.reshape(len(k), 6, -1)).reshape(columns.shape)


def _solve(jacobian: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Solve scaled to unit diagonal; with a singular (void) Jacobian, the least solution."""
    diagonal = np.abs(np.diagonal(jacobian))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    columns = scale[:, None] * (rhs if rhs.ndim == 2 else rhs[:, None])
    scaled = scale[:, None] * jacobian * scale
    if not np.isfinite(scaled).all():
        return np.full(rhs.shape, np.nan)
    solution = np.linalg.lstsq(scaled, columns, rcond=RANK_FLOOR)[0]
    return np.asarray(scale[:, None] * solution).reshape(rhs.shape)
