r"""How far a reduced solution is from the full one, without the full one.

The error of the effective stiffness is the energy of the field's error, hence a dual norm of the
residual: :math:`\Delta C_{kl} = r_k^T K^{-1} r_l / |Y|`. Here K is replaced by
:math:`D^{1/2} K_{ref} D^{1/2}`, with :math:`K_{ref}` the same element with one isotropic stiffness
everywhere and D the mean stiffness around each node (geometric mean of a phase's eigenvalues, mean
over the adjacent phases), and the norm by a sketch: for white noise :math:`\omega_s`,

.. math:: r_k^T D^{-1/2} K_{ref}^{-1} D^{-1/2} r_l \approx \frac{1}{m} \sum_{s=1}^m
          (w_s^T D^{-1/2} r_k)(w_s^T D^{-1/2} r_l), \qquad w_s = K_{ref}^{-1/2} \omega_s .

:math:`w_s^T D^{-1/2} r_k` is a mean strain product of the field :math:`D^{-1/2} w_s` with the
reduced solution, so with the nodes split by the phases around them it costs nothing
that depends on the grid, whatever the stiffness (Balabanov & Nouy, *Adv. Comput. Math.* 45, 2019,
2969-3019, section 4, sketch the residual's norm for one fixed inner product).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from offline.homogenization.fourier import reference_symbol
from offline.homogenization.grid import HexGrid
from offline.homogenization.mesh import SolidMesh
from offline.homogenization.solver import CellSolver
from offline.labels.reduced_basis import Reduced
from offline.labels.strain_products import StrainProducts

__all__ = ["ResidualSketch", "stiffness_scale"]

N_TESTS = 64  # relative standard deviation of a squared norm: sqrt(2 / 64) = 18 %
MAX_GROUPS = 8  # of nodes; beyond, a node counts for its dominant phase
BATCH = 32  # samples at a time
REFERENCE = np.eye(6)  # isotropic with nu = 0: every eigenvalue is 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualSketch:
    """Random test fields and their strain products with the fields of a reduced basis.

    Attributes
    ----------
    products : StrainProducts
    tests : tuple of (3 n_nodes, m) float32
        Test fields, each group of nodes on its own.
    shares : (n_groups, n_phases)
        Mean share of each phase around the nodes of a group.
    macro : (n_groups, n_pairs, m, 6)
        Strain products with the unit macro strains.
    fields : (n_groups, n_pairs, m, n_raw)
        Strain products with the raw fields of the basis.
    """

    products: StrainProducts
    tests: tuple[np.ndarray, ...]
    shares: np.ndarray
    macro: np.ndarray
    fields: np.ndarray

    @classmethod
    def of(cls, solver: CellSolver, products: StrainProducts, seed: int = 0) -> ResidualSketch:
        """Draw the test fields for a cell; deterministic for a seed."""
        group, shares = _node_groups(solver.mesh, solver.rve.n_phases)
        white = _white_energy_fields(solver.grid, solver.mesh, seed)
        tests = tuple(
            np.where(np.repeat(group == g, 3)[:, None], white, np.float32(0.0))
            for g in range(len(shares))
        )
        macro = [np.swapaxes(products.macro_field(test), 1, 2) for test in tests]
        n_pairs = len(products.pairs)
        return cls(
            products=products,
            tests=tests,
            shares=shares,
            macro=np.array(macro),
            fields=np.zeros((len(tests), n_pairs, N_TESTS, 0)),
        )

    def extended(self, products: Sequence[np.ndarray]) -> ResidualSketch:
        """The sketch after m fields with these products (n_pairs, m, k) per group joined."""
        new = np.swapaxes(np.array(products), 2, 3)
        return replace(self, fields=np.concatenate([self.fields, new], axis=3))

    def errors(
        self, phase_stiffness: np.ndarray, reduced: Sequence[Reduced], transform: np.ndarray
    ) -> np.ndarray:
        """Uncalibrated relative Frobenius errors (n,) of the reduced effective stiffnesses.

        Parameters
        ----------
        phase_stiffness : (n, n_phases, 6, 6)
        reduced : n reduced solutions
        transform : (n_raw, N)
            Of the reduced basis: raw amplitudes are ``transform @ coefficients``.
        """
        factors = self.products.coefficients(phase_stiffness)
        scales = stiffness_scale(phase_stiffness) @ self.shares.T  # (n, n_groups)
        weights = (factors[:, None, :] / np.sqrt(scales)[:, :, None]).reshape(len(factors), -1)
        width = self.fields.shape[3] + 6
        table = np.concatenate([self.fields, self.macro], axis=3).reshape(-1, N_TESTS * width)
        result = np.empty(len(factors))
        for start in range(0, len(factors), BATCH):
            rows = (weights[start : start + BATCH] @ table).reshape(-1, N_TESTS, width)
            for i, row in enumerate(rows, start):
                y = np.vstack([transform @ reduced[i].coefficients, np.eye(6)])
                sketch = row @ y  # (m, 6): w_s . D^-1/2 r_k
                error = np.linalg.norm(sketch.T @ sketch) / N_TESTS
                result[i] = error / np.linalg.norm(reduced[i].effective)
        return result

    def field_error(
        self,
        phase_stiffness: np.ndarray,
        residual: np.ndarray,
        effective: np.ndarray,
        volume: float,
    ) -> float:
        """The same for any field, from its residual ``f - K u`` (3 n_nodes, 6) and |Y|."""
        scales = stiffness_scale(phase_stiffness) @ self.shares.T
        sketch = sum(
            test.T @ residual / (volume * np.sqrt(scale))
            for test, scale in zip(self.tests, scales, strict=True)
        )
        return float(np.linalg.norm(sketch.T @ sketch) / N_TESTS / np.linalg.norm(effective))


def stiffness_scale(phase_stiffness: np.ndarray) -> np.ndarray:
    """Geometric mean of the eigenvalues of stiffnesses (..., 6, 6); 0 for void."""
    values = np.maximum(np.linalg.eigvalsh(phase_stiffness), 0.0)
    return np.asarray(np.prod(values ** (1.0 / 6.0), axis=-1))


def _node_groups(mesh: SolidMesh, n_phases: int) -> tuple[np.ndarray, np.ndarray]:
    """Group of each node (n_nodes,) by the phases around it, and the groups' phase shares."""
    share = np.zeros((mesh.n_nodes, n_phases))
    for corner in range(8):
        np.add.at(share, (mesh.elements[:, corner], mesh.phase), mesh.density / 8.0)
    _, group = np.unique(share > 0.0, axis=0, return_inverse=True)
    group = group.reshape(-1)
    if group.max() >= MAX_GROUPS:
        _, group = np.unique(share.argmax(axis=1), return_inverse=True)
    if group.max() >= MAX_GROUPS:
        group = np.zeros(mesh.n_nodes, dtype=int)
    return group, np.array([share[group == g].mean(axis=0) for g in range(group.max() + 1)])


def _white_energy_fields(grid: HexGrid, mesh: SolidMesh, seed: int) -> np.ndarray:
    """Fields w = K_ref^-1/2 omega on active nodes (3 n_nodes, m) float32."""
    packed = reference_symbol(grid, REFERENCE)  # 11 22 33 12 13 23
    values, vectors = np.linalg.eigh(packed[..., ((0, 3, 4), (3, 1, 5), (4, 5, 2))])
    kept = values > 1e-10 * values.max()  # all but the translations
    root = np.where(kept, 1.0 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    symbol = np.einsum("...ij,...j,...kj->...ik", vectors, root, vectors)
    rng = np.random.default_rng([seed, 0x5E7C])
    fields = np.empty((mesh.n_nodes, 3, N_TESTS), dtype=np.float32)
    for s in range(N_TESTS):
        noise = rng.standard_normal((*grid.shape, 3))
        spectrum = scipy.fft.rfftn(noise, axes=(0, 1, 2))
        spectrum = np.einsum("...ij,...j->...i", symbol, spectrum)
        field = scipy.fft.irfftn(spectrum, s=grid.shape, axes=(0, 1, 2)).reshape(-1, 3)
        fields[:, :, s] = field[mesh.nodes]
    # strain products are means over the cell, K is an integral
    return fields.reshape(-1, N_TESTS) * np.float32(np.sqrt(grid.volume))
