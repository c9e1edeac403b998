"""The fitting problem: scaled residuals of a label set and their Jacobian at a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matnet.online.condense import homogenize_batch
from matnet.tree import first_fractions
from offline.training.parameters import Layout, Point
from offline.training.sensitivity import N_ENTRIES, stiffness_jacobian

__all__ = ["Problem", "upper_triangle"]

_ROWS, _COLS = np.triu_indices(6)
_TWICE = np.where(_ROWS == _COLS, 1.0, np.sqrt(2.0))  # both halves count in the Frobenius norm


def upper_triangle(stiffness: np.ndarray) -> np.ndarray:
    """Upper triangles (m, 21), row by row, of symmetric matrices (m, 6, 6)."""
    return np.asarray(stiffness[:, _ROWS, _COLS])


@dataclass(frozen=True, kw_only=True)
class Problem:
    r"""Least squares over labels: rows :math:`(\hat C_j - C_j) / \lVert C_j \rVert_F`.

    Parameters
    ----------
    phase_stiffness : (m, n_phases, 6, 6) array
    effective : (m, 6, 6) array
    """

    phase_stiffness: np.ndarray
    effective: np.ndarray

    def __len__(self) -> int:
        return len(self.effective)

    def subset(self, index: np.ndarray) -> Problem:
        """The problem on some of the samples."""
        return Problem(
            phase_stiffness=np.ascontiguousarray(self.phase_stiffness[index]),
            effective=np.ascontiguousarray(self.effective[index]),
        )

    def residuals(self, point: Point) -> np.ndarray:
        """Residual rows (m, 21); the squares of row j sum to its squared relative error."""
        layout = point.layout
        c = np.empty_like(self.effective)
        homogenize_batch(
            self.phase_stiffness,
            layout.base_phase,
            point.turns,
            first_fractions(layout.children, point.weights),
            point.normals,
            layout.children,
            c,
        )
        return np.asarray(upper_triangle(c - self.effective) * self._scale())

    def errors(self, point: Point) -> np.ndarray:
        """Relative Frobenius error (m,) of every sample."""
        return np.asarray(np.linalg.norm(self.residuals(point), axis=1))

    def linearised(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (m, 21) and Jacobian (n_parameters, m, 21) for `Point.moved` steps."""
        layout = point.layout
        m = len(self)
        c = np.empty((m, N_ENTRIES))
        jac = np.empty((layout.n_parameters, m, N_ENTRIES))
        stiffness_jacobian(
            self.phase_stiffness,
            layout.base_phase,
            point.turns,
            point.weights,
            point.normals,
            point.tangents,
            layout.children,
            self._scale(),
            c,
            jac,
        )
        _weights_to_logs(jac, point.weights, layout)
        return c - upper_triangle(self.effective) * self._scale(), jac

    def _scale(self) -> np.ndarray:
        norm = np.linalg.norm(self.effective, axis=(1, 2))
        return np.asarray(_TWICE / norm[:, None])


def _weights_to_logs(jac: np.ndarray, weights: np.ndarray, layout: Layout) -> None:
    """Chain rule, in place: dw_i / dz_j = w_i (delta_ij - w_j / v) within a phase of fraction v."""
    by_weight = jac[: layout.n_base]
    for phase in np.unique(layout.base_phase):
        nodes = np.flatnonzero(layout.base_phase == phase)
        share = weights[nodes] / weights[nodes].sum()
        mean = np.tensordot(share, by_weight[nodes], axes=1)
        by_weight[nodes] = weights[nodes, None, None] * (by_weight[nodes] - mean)
