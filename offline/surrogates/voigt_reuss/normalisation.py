r"""Effective tensors relative to their Voigt and Reuss bounds, and back.

With the gap :math:`G = C_V - C_R \succeq 0` and its symmetric square root :math:`L`,

.. math:: \tilde C = L^+ (C_V - C)\, L^+, \qquad C = C_V - L \tilde C L,

so that :math:`C_R \preceq C \preceq C_V` exactly when :math:`0 \preceq \tilde C \preceq I`
(Voigt-Reuss net paper, eq. 17-22). Any symmetric m x m matrices will do: plane strain (m = 3,
Mandel 11 22 12), elasticity in space (m = 6), conductivity (m = 2, 3); any anisotropy, any number
of phases.

The paper's factor is :math:`Q_0 \sqrt{\Lambda_0}`, with columns in whatever order and sign the
eigenvectors come. For isotropic phases most eigenvalues of the gap repeat, and the eigenvectors
then depend on rounding. The symmetric root (the paper's eq. 24 for equal bulk moduli) is unique,
changes smoothly with the phases and turns with the frame:
:math:`C \to R C R^T` gives :math:`\tilde C \to R \tilde C R^T`.

Directions without a gap. Where phases share a modulus (equal K or G), G is singular: eigenvalues
up to ``rtol`` times the largest eigenvalue of :math:`C_V` count as zero, L and :math:`L^+` vanish
there, and C equals :math:`C_V` in these directions. With all phases equal, C = C_V. The
difference of two given bounds is known to rounding only, hence ``rtol = 1e-12`` for `from_bounds`;
`from_phases` forms the gap without a difference, as the sum of squares
:math:`G = \langle (C_i - C_R)\, C_i^{-1} (C_i - C_R) \rangle`, whose error is quadratic, hence
``rtol = 1e-15``. A true gap below ``rtol`` costs C no more than :math:`\tfrac12\sqrt{rtol}` of its
coupling with the other directions, because :math:`0 \preceq C_V - C \preceq G`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite, require_shape

__all__ = ["SpectralGap", "bound_tolerance", "denormalise", "normalise", "voigt_reuss"]

BOUNDS_RTOL, PHASES_RTOL = 1e-12, 1e-15
SYMMETRY_TOLERANCE = 1e-6  # relative to the largest entry, as for phase stiffnesses


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectralGap:
    """The bounds of a batch of mixtures and the square root of their gap.

    Attributes
    ----------
    upper, lower : (..., m, m)
        Voigt's and Reuss's bound [unit of the tensors].
    root, inverse_root : (..., m, m)
        L and its pseudo-inverse, symmetric [square root of the unit, and its inverse].
    rank : (...) int
        Directions in which the bounds differ.

    Examples
    --------
    >>> gap = SpectralGap.from_phases([np.eye(3), 3.0 * np.eye(3)], [0.5, 0.5])
    >>> gap.upper[0, 0], gap.lower[0, 0].round(12), int(gap.rank)
    (2.0, 1.5, 3)
    >>> gap.denormalise(0.5 * np.eye(3))[0, 0].round(12)
    1.75
    """

    upper: np.ndarray
    lower: np.ndarray
    root: np.ndarray
    inverse_root: np.ndarray
    rank: np.ndarray

    @classmethod
    def from_bounds(cls, upper: Any, lower: Any, rtol: float = BOUNDS_RTOL) -> SpectralGap:
        """The gap between given bounds (..., m, m); see the module for `rtol`.

        Raises
        ------
        ShapeError, ParameterError
            A bound is not square, finite and symmetric, or `lower` exceeds `upper` by more than
            `rtol` times the largest eigenvalue of `upper`.
        """
        high, low = _symmetric("C_V", upper), _symmetric("C_R", lower)
        if high.shape != low.shape:
            raise ShapeError(f"C_V has shape {high.shape} and C_R {low.shape}, expected the same.")
        return _factorise(high, high - low, rtol)

    @classmethod
    def from_phases(cls, phases: Any, fractions: Any, rtol: float = PHASES_RTOL) -> SpectralGap:
        """The gap of phases (..., n, m, m) with volume fractions (..., n).

        Phases are positive definite; those without volume have no influence.

        Raises
        ------
        ShapeError, ParameterError
            Shapes do not fit, a phase is not symmetric positive definite, or fractions are
            negative or do not sum to 1.
        """
        c = _symmetric("phases", phases)
        if c.ndim < 3:
            raise ShapeError(f"phases have shape {c.shape}, expected (..., n, m, m).")
        f = _checked_fractions(fractions, c.shape[-3])
        lowest = np.linalg.eigvalsh(c).min()
        if lowest <= 0.0:
            raise ParameterError(
                f"phases: smallest eigenvalue {lowest:.4g}, expected positive definite tensors "
                "(a void has no Reuss bound above zero: give it a small stiffness)."
            )
        c = np.broadcast_to(c, (*f.shape, *c.shape[-2:]))
        upper = np.einsum("...p,...pij->...ij", f, c)
        lower = np.linalg.inv(np.einsum("...p,...pij->...ij", f, np.linalg.inv(c)))
        step = c - lower[..., None, :, :]
        squares = np.swapaxes(step, -1, -2) @ np.linalg.solve(c, step)
        gap = np.einsum("...p,...pij->...ij", f, squares)
        return _factorise(upper, 0.5 * (gap + np.swapaxes(gap, -1, -2)), rtol)

    @property
    def m(self) -> int:
        """Rows of a tensor."""
        return int(self.upper.shape[-1])

    def normalise(self, tensor: Any) -> np.ndarray:
        """C (..., m, m) to its normalised form, spectrum in [0, 1] if C respects the bounds."""
        c = np.asarray(tensor, dtype=float)
        require_shape("C", c, (*c.shape[:-2], self.m, self.m))
        return _sandwich(self.inverse_root, self.upper - c)

    def denormalise(self, normalised: Any) -> np.ndarray:
        """Normalised tensors (..., m, m) back to C (..., m, m)."""
        ct = np.asarray(normalised, dtype=float)
        require_shape("normalised tensor", ct, (*ct.shape[:-2], self.m, self.m))
        return np.asarray(self.upper - _sandwich(self.root, ct))

    def violations(self, tensor: Any, tol: float | None = None) -> dict[str, np.ndarray]:
        """Where C (..., m, m) breaks a bound: boolean arrays (...) ``voigt reuss definite``.

        A bound counts as broken when an eigenvalue of the difference is below ``-tol`` times the
        largest eigenvalue of the upper bound (default: `bound_tolerance` of float64); C is not
        definite when it has an eigenvalue <= 0.
        """
        c = np.asarray(tensor, dtype=float)
        share = bound_tolerance(np.float64, self.m) if tol is None else tol
        limit = -share * np.linalg.eigvalsh(self.upper)[..., -1]
        return {
            "voigt": np.asarray(np.linalg.eigvalsh(self.upper - c)[..., 0] < limit),
            "reuss": np.asarray(np.linalg.eigvalsh(c - self.lower)[..., 0] < limit),
            "definite": np.asarray(np.linalg.eigvalsh(c)[..., 0] <= 0.0),
        }


def voigt_reuss(phases: Any, fractions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Voigt's and Reuss's bound (..., m, m) of phases (..., n, m, m), fractions (..., n)."""
    gap = SpectralGap.from_phases(phases, fractions)
    return gap.upper, gap.lower


def normalise(C: Any, C_V: Any, C_R: Any, rtol: float = BOUNDS_RTOL) -> np.ndarray:
    r"""Normalised tensor :math:`\tilde C` (..., m, m) of C between its bounds.

    Examples
    --------
    >>> normalise(1.75 * np.eye(3), 2.0 * np.eye(3), 1.5 * np.eye(3)).diagonal()
    array([0.5, 0.5, 0.5])
    """
    return SpectralGap.from_bounds(C_V, C_R, rtol).normalise(C)


def denormalise(Ct: Any, C_V: Any, C_R: Any, rtol: float = BOUNDS_RTOL) -> np.ndarray:
    """Inverse of `normalise`; equal bounds give C_V itself."""
    return SpectralGap.from_bounds(C_V, C_R, rtol).denormalise(Ct)


def bound_tolerance(dtype: Any, m: int) -> float:
    r"""By how much rounding can break a bound, relative to :math:`\lVert C_V \rVert_2`.

    One product of symmetric m x m matrices is off by at most :math:`m^{3/2} u` times the product of
    their spectral norms (:math:`u` = eps / 2: m u per entry, and a factor of at most
    :math:`\sqrt m` from entries to norms, Higham, *Accuracy and Stability of Numerical
    Algorithms*, 2nd ed., sec. 3.5). Forming
    :math:`\tilde C = Q \Lambda Q^T` (one product with Q of orthogonality m u, twice), L times it
    times L, and the subtraction make six such errors of norms up to
    :math:`\lVert L \rVert^2 \le \lVert C_V \rVert`, and an eigenvalue solver that checks the result
    adds a few more: :math:`8\, m^{3/2} eps` covers them with twice the room.
    """
    return float(8.0 * m**1.5 * np.finfo(dtype).eps)


def _factorise(upper: np.ndarray, gap: np.ndarray, rtol: float) -> SpectralGap:
    values, vectors = np.linalg.eigh(gap)
    size = np.linalg.eigvalsh(upper)[..., -1:]
    if (values < -rtol * size).any():
        worst = float((values / size).min())
        raise ParameterError(
            f"C_V - C_R has an eigenvalue of {worst:.3g} times the largest of C_V, expected >= 0: "
            "Voigt's bound lies above Reuss's. Are they interchanged?"
        )
    kept = values > rtol * size
    roots = np.where(kept, np.sqrt(np.where(kept, values, 1.0)), 0.0)
    inverse = np.where(kept, 1.0 / np.where(kept, roots, 1.0), 0.0)
    gap = _compose(vectors, roots**2)
    return SpectralGap(
        upper=upper,
        lower=np.asarray(upper - gap),
        root=_compose(vectors, roots),
        inverse_root=_compose(vectors, inverse),
        rank=np.asarray(kept.sum(axis=-1)),
    )


def _compose(vectors: np.ndarray, values: np.ndarray) -> np.ndarray:
    product = (vectors * values[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.asarray(0.5 * (product + np.swapaxes(product, -1, -2)))


def _sandwich(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    product = outer @ inner @ outer
    return np.asarray(0.5 * (product + np.swapaxes(product, -1, -2)))


def _symmetric(name: str, tensor: Any) -> np.ndarray:
    array = np.asarray(tensor, dtype=float)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] == 0:
        raise ShapeError(f"{name} has shape {array.shape}, expected square matrices (..., m, m).")
    require_finite(name, array)
    transposed = np.swapaxes(array, -1, -2)
    asymmetry = float(np.abs(array - transposed).max())
    if asymmetry > SYMMETRY_TOLERANCE * float(np.abs(array).max()):
        raise ParameterError(
            f"{name} is not symmetric: entries differ by {asymmetry:.3g}. Pass Mandel matrices."
        )
    return np.asarray(0.5 * (array + transposed))


def _checked_fractions(fractions: Any, n: int) -> np.ndarray:
    f = np.asarray(fractions, dtype=float)
    if f.ndim == 0 or f.shape[-1] != n:
        raise ShapeError(f"fractions have shape {f.shape}, expected (..., {n}).")
    require_finite("fractions", f)
    if f.min() < 0.0 or np.abs(f.sum(axis=-1) - 1.0).max() > 1e-6:
        raise ParameterError("fractions: expected values >= 0 that sum to 1 for every mixture.")
    return f
