r"""Effective stiffness by a Galerkin projection onto a few displacement fields.

With fields :math:`u_1 \dots u_N` the reduced problem for load k is

.. math:: \min_y \frac{1}{|Y|} \int \Big(e_0^k - \sum_j y_j B u_j\Big) : C : \Big(\dots\Big)

whose matrix is a sum of phase stiffness entries times strain products (`StrainProducts`). Its
minimum bounds the energy of the cell from above, so the reduced stiffness minus the exact one is
positive semidefinite, and it can only fall when fields are added (Quarteroni, Manzoni & Negri,
*Reduced Basis Methods for Partial Differential Equations*, 2016, ch. 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from offline.labels.strain_products import StrainProducts

__all__ = ["Reduced", "ReducedBasis"]

DROPPED = 1e-10  # energy of a new field outside the basis, relative to the batch's largest
BATCH_BYTES = 64e6  # of reduced matrices held at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """What the reduced problem says about one sample.

    Attributes
    ----------
    effective : (6, 6)
        Upper bound of the effective stiffness.
    coefficients : (N, 6)
        Amplitudes y of the basis fields, one column per load.
    """

    effective: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReducedBasis:
    """Displacement fields with their strain products; immutable, `extended` returns a larger one.

    Attributes
    ----------
    products : StrainProducts
    reference : (n_pairs,)
        Stiffness entries of the energy in which the basis is orthonormal.
    fields : (3 n_nodes, n_raw) float32
        Raw fields. Rounding them is harmless: any field bounds the energy from above.
    transform : (n_raw, N)
        The orthonormal basis is ``fields @ transform``.
    tensor : (n_pairs, N + 6, N + 6)
        Strain products of the basis and, last, the unit macro strains.
    """

    products: StrainProducts
    reference: np.ndarray
    fields: np.ndarray
    transform: np.ndarray
    tensor: np.ndarray

    @classmethod
    def empty(cls, products: StrainProducts, reference: np.ndarray) -> ReducedBasis:
        """No fields yet: its effective stiffness is the Voigt mean."""
        return cls(
            products=products,
            reference=reference,
            fields=np.zeros((3 * products.mesh.n_nodes, 0), dtype=np.float32),
            transform=np.zeros((0, 0)),
            tensor=products.macro_macro(),
        )

    @property
    def size(self) -> int:
        """Number N of basis fields."""
        return self.transform.shape[1]

    @property
    def memory(self) -> float:
        """Memory of fields and products [bytes]; both grow with every snapshot."""
        return float(self.fields.nbytes + self.tensor.nbytes)

    def extended(self, new: np.ndarray) -> ReducedBasis:
        """The basis with fields (3 n_nodes, m) added, those already inside it left out."""
        return self.extended_beside(new, ())[0]

    def extended_beside(
        self, new: np.ndarray, others: Sequence[np.ndarray]
    ) -> tuple[ReducedBasis, list[np.ndarray]]:
        """The same, and the products (n_pairs, m, k) of the new fields with each of `others`."""
        raw = np.asarray(new, dtype=np.float32)
        cross, own, *beside = self.products.field_field(raw, (self.fields, raw, *others))
        return self._with_products(raw, cross @ self.transform, own), beside

    def _with_products(self, raw: np.ndarray, cross: np.ndarray, own: np.ndarray) -> ReducedBasis:
        own = 0.5 * (own + np.swapaxes(own, 1, 2))
        macro = self.products.macro_field(raw)
        project, mix = self._orthonormal(cross, own)
        # new basis field = raw @ mix - basis @ (project @ mix)
        n, m = self.size, mix.shape[1]
        shift = project @ mix
        tensor = np.empty((len(own), n + m + 6, n + m + 6))
        old, old_macro = self.tensor[:, :n, :n], self.tensor[:, :n, n:]
        mixed_cross = mix.T @ cross  # (n_pairs, m, n)
        tensor[:, :n, :n] = old
        tensor[:, n : n + m, :n] = mixed_cross - shift.T @ old
        tensor[:, n : n + m, n : n + m] = (
            mix.T @ own @ mix
            - mixed_cross @ shift
            - np.swapaxes(mixed_cross @ shift, 1, 2)
            + shift.T @ old @ shift
        )
        tensor[:, n + m :, :n] = np.swapaxes(old_macro, 1, 2)
        tensor[:, n + m :, n : n + m] = macro @ mix - np.swapaxes(old_macro, 1, 2) @ shift
        tensor[:, n + m :, n + m :] = self.tensor[:, n:, n:]
        return replace(
            self,
            fields=np.concatenate([self.fields, raw], axis=1),
            transform=np.block(
                [[self.transform, -self.transform @ shift], [np.zeros((raw.shape[1], n)), mix]]
            ),
            tensor=_mirrored(tensor),
        )

    def _orthonormal(self, cross: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projection (N, m_raw) of raw fields on the basis and mix (m_raw, m) of the rest."""
        project = np.tensordot(self.reference, cross, axes=1).T
        energy: np.ndarray = np.tensordot(self.reference, own, axes=1) - project.T @ project
        values, vectors = np.linalg.eigh(0.5 * (energy + energy.T))
        full = np.einsum("q,qii->i", self.reference, own).max(initial=0.0)
        kept = values > DROPPED * full
        return project, vectors[:, kept] / np.sqrt(values[kept])

    def solve(self, phase_stiffness: np.ndarray) -> Iterator[Reduced]:
        """Solve the reduced problem for phase stiffnesses (n, n_phases, 6, 6), one by one."""
        coefficients = self.products.coefficients(phase_stiffness)
        width = self.size + 6
        flat = self.tensor.reshape(len(self.tensor), -1)
        step = max(1, int(BATCH_BYTES / (8 * width**2)))
        for start in range(0, len(coefficients), step):
            matrices = coefficients[start : start + step] @ flat
            for matrix in matrices.reshape(-1, width, width):
                yield _condense(matrix, self.size)

    def effective(self, phase_stiffness: np.ndarray) -> np.ndarray:
        """Upper bounds (n, 6, 6) of the effective stiffness."""
        return np.array([reduced.effective for reduced in self.solve(phase_stiffness)])

    def displacement(self, coefficients: np.ndarray) -> np.ndarray:
        """Displacements (3 n_nodes, k) of basis amplitudes (N, k)."""
        return np.asarray(self.fields @ (self.transform @ coefficients))


def _condense(matrix: np.ndarray, n: int) -> Reduced:
    """Eliminate the first n unknowns: the Cholesky factor's last block is that of C^H."""
    # the matrix is symmetric, so its transpose is the Fortran array that LAPACK wants
    factor, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
    if info != 0:
        raise np.linalg.LinAlgError("the reduced matrix is not positive definite")
    last = factor[n:, n:]
    amplitudes = np.zeros((0, 6))
    if n:
        amplitudes, _ = lapack.dtrtrs(factor[:n, :n], -factor[n:, :n].T, lower=1, trans=1)
    return Reduced(effective=last @ last.T, coefficients=amplitudes)


def _mirrored(tensor: np.ndarray) -> np.ndarray:
    """Copy the lower triangles of (n_pairs, m, m) to the upper ones."""
    lower = np.tril(tensor)
    return np.asarray(lower + np.swapaxes(np.tril(tensor, -1), 1, 2))
