"""Predictions against labels in space: errors, counted violations, and what is anisotropic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.mandel import rotation_matrix
from offline.morphology.symmetry import CUBE
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.space.phases import DEVIATORIC, VOLUMETRIC

__all__ = ["PARTS", "SpaceEvaluation", "parts"]

PARTS = ("isotropic", "anisotropic", "cubic", "beyond_cubic", "couplings")
# normal-shear and shear-shear couplings: the paper's anisotropy-revealing entries
COUPLINGS = np.array([(i, j) for i in range(6) for j in range(3, 6) if i < j])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpaceEvaluation:
    """How good predictions are.

    Attributes
    ----------
    error : (n,)
        Relative Frobenius error of each cell.
    normalised_error : (n,)
        Eq. 25 of each cell; may exceed 1 for predictions beyond the bounds.
    r2 : (6, 6)
        Coefficient of determination per component of C relative to its Voigt bound's norm, so that
        all cells count alike; NaN for a component that does not vary.
    r2_parts : dict of str to float
        The same for `parts`, the components of a part pooled.
    r2_raw : dict of str to float
        The same for C with K1 = 1, as the paper has it: stiff second phases dominate.
    violations : dict of str to int
        Cells that break the Voigt bound, the Reuss bound, positive definiteness.
    """

    error: np.ndarray
    normalised_error: np.ndarray
    r2: np.ndarray
    r2_parts: dict[str, float]
    r2_raw: dict[str, float]
    violations: dict[str, int]

    @classmethod
    def of(cls, predicted: Any, true: Any, gap: SpectralGap) -> SpaceEvaluation:
        """Compare stiffness (n, 6, 6) with labels (n, 6, 6), both for K1 = 1."""
        p, t = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
        axes = (-2, -1)
        normalised = np.linalg.norm(gap.normalise(p) - gap.normalise(t), axis=axes)
        unit = np.linalg.norm(gap.upper, axis=axes)[:, None, None]
        found, wanted = parts(p / unit), parts(t / unit)
        raw, raw_wanted = parts(p), parts(t)
        return cls(
            error=np.linalg.norm(p - t, axis=axes) / np.linalg.norm(t, axis=axes),
            normalised_error=normalised / np.sqrt(t.shape[-1]),
            r2=_determination(p / unit, t / unit),
            r2_parts={name: _pooled(found[name], wanted[name]) for name in PARTS},
            r2_raw={name: _pooled(raw[name], raw_wanted[name]) for name in PARTS},
            violations={name: int(bad.sum()) for name, bad in gap.violations(p).items()},
        )

    def as_dict(self) -> dict[str, float]:
        """All numbers by name."""
        return {
            "median_error": float(np.median(self.error)),
            "mean_error": float(self.error.mean()),
            "std_error": float(self.error.std()),
            "normalised_error": float(self.normalised_error.mean()),
            **{f"{name}_violations": float(count) for name, count in self.violations.items()},
            **{f"r2_{name}": value for name, value in self.r2_parts.items()},
            **{f"r2_raw_{name}": value for name, value in self.r2_raw.items()},
        }


def parts(stiffness: np.ndarray) -> dict[str, np.ndarray]:
    """Parts of stiffness (n, 6, 6), each (n, k).

    ``isotropic``: the two numbers of the isotropic projection (eq. 28); ``anisotropic``: C less
    that projection; ``cubic``: projection on cubic tensors of the same axes less the isotropic one;
    ``beyond_cubic``: C less its cubic projection; ``couplings``: the twelve entries of C that
    couple normal with shear and shear with other shear components.

    Descriptors that do not change under the cube's symmetries can tell the cubic part, never what
    is beyond.
    """
    bulk = np.einsum("nij,ij->n", stiffness, VOLUMETRIC)
    shear = np.einsum("nij,ij->n", stiffness, DEVIATORIC) / 5.0
    isotropic = bulk[:, None, None] * VOLUMETRIC + shear[:, None, None] * DEVIATORIC
    r = rotation_matrix(CUBE)
    # mean of r C r^T over the group, as one matrix product
    mean = np.einsum("gik,gjl->ijkl", r, r).reshape(36, 36) / len(r)
    cubic = (stiffness.reshape(-1, 36) @ mean.T).reshape(-1, 6, 6)
    rows, columns = COUPLINGS.T
    return {
        "isotropic": np.stack([bulk, np.sqrt(5.0) * shear], axis=1),
        "anisotropic": (stiffness - isotropic).reshape(-1, 36),
        "cubic": (cubic - isotropic).reshape(-1, 36),
        "beyond_cubic": (stiffness - cubic).reshape(-1, 36),
        "couplings": stiffness[:, rows, columns],
    }


def _determination(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    spread = ((t - t.mean(axis=0)) ** 2).sum(axis=0)
    varies = spread > 1e-20 * len(t) * np.abs(t).max() ** 2
    missed = ((p - t) ** 2).sum(axis=0)
    return np.where(varies, 1.0 - missed / np.where(varies, spread, 1.0), np.nan)


def _pooled(p: np.ndarray, t: np.ndarray) -> float:
    spread = ((t - t.mean(axis=0)) ** 2).sum()
    return float(1.0 - ((p - t) ** 2).sum() / spread) if spread > 0.0 else float("nan")
