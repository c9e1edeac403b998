"""Labels as a value: phase stiffnesses and the effective stiffnesses they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite, require_shape

__all__ = ["LabelSet"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSet:
    """Samples of the map from phase stiffnesses to the effective stiffness of one cell.

    Stiffnesses are Mandel matrices in any consistent unit; a phase's stiffness is given in its
    material frame, the effective one in the cell's frame.

    Parameters
    ----------
    phase_stiffness : (n, n_phases, 6, 6)
        Zero for void.
    effective : (n, 6, 6)
    phase_names : (n_phases,) str
    fractions : (n_phases,)
        Volume fractions, sum 1.
    error : (n,), optional
        Estimated relative Frobenius error of `effective`; default NaN (unknown).
    rve_hash : str
        `Rve.hash` of the cell, empty if unknown.
    seed : int
    card : mapping
        How the labels were made: options, snapshots, tolerance (JSON-able).

    Raises
    ------
    ShapeError, ParameterError
        An array does not fit, is not finite, or a stiffness is not symmetric and positive definite.

    Examples
    --------
    >>> C = np.stack([np.eye(6), 2.0 * np.eye(6)])[None]
    >>> labels = LabelSet(
    ...     phase_stiffness=C, effective=1.4 * np.eye(6)[None],
    ...     phase_names=("matrix", "fibre"), fractions=np.array([0.6, 0.4]),
    ... )
    >>> print(labels)
    1 labels, 2 phases (matrix 60.00 %, fibre 40.00 %), error unknown
    """

    phase_stiffness: np.ndarray
    effective: np.ndarray
    phase_names: tuple[str, ...]
    fractions: np.ndarray
    error: np.ndarray = None  # type: ignore[assignment]  # filled in __post_init__
    rve_hash: str = ""
    seed: int = 0
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.phase_names)
        effective = np.array(self.effective, dtype=float)
        n = len(effective) if effective.ndim else 0
        phases = np.array(self.phase_stiffness, dtype=float)
        fractions = np.array(self.fractions, dtype=float)
        error = np.full(n, np.nan) if self.error is None else np.array(self.error, dtype=float)
        if n == 0 or not names:
            raise ShapeError("a label set needs at least one label and one phase.")
        require_shape("effective", effective, (n, 6, 6))
        require_shape("phase_stiffness", phases, (n, len(names), 6, 6))
        require_shape("fractions", fractions, (len(names),))
        require_shape("error", error, (n,))
        _check_stiffness("effective", effective, void=False)
        _check_stiffness("phase_stiffness", phases, void=True)
        require_finite("fractions", fractions)
        if fractions.min() < 0.0 or abs(fractions.sum() - 1.0) > 1e-6:
            raise ParameterError(f"fractions are {fractions}, expected numbers >= 0 with sum 1.")
        if np.isinf(error).any() or (error < 0.0).any():
            raise ParameterError("error holds negative or infinite values, expected >= 0 or NaN.")
        values = {
            "phase_stiffness": phases,
            "effective": effective,
            "phase_names": names,
            "fractions": fractions,
            "error": error,
            "card": dict(self.card),
        }
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.effective)

    def __str__(self) -> str:
        parts = ", ".join(
            f"{name} {100 * f:.2f} %"
            for name, f in zip(self.phase_names, self.fractions, strict=True)
        )
        known = self.error[np.isfinite(self.error)]
        error = f"error <= {known.max():.1e}" if known.size else "error unknown"
        return f"{len(self)} labels, {len(self.phase_names)} phases ({parts}), {error}"

    @property
    def void(self) -> np.ndarray:
        """Which phases have no stiffness in any sample (n_phases,) bool."""
        return np.asarray(~np.any(self.phase_stiffness, axis=(0, 2, 3)))

    @property
    def contrast(self) -> np.ndarray:
        """Largest over smallest mean eigenvalue of the solid phases of each sample (n,)."""
        mean = np.trace(self.phase_stiffness[:, ~self.void], axis1=2, axis2=3)
        return np.asarray(mean.max(axis=1) / mean.min(axis=1))

    def subset(self, index: Any) -> LabelSet:
        """The labels picked by an index array, mask or slice."""
        return replace(
            self,
            phase_stiffness=self.phase_stiffness[index],
            effective=self.effective[index],
            error=self.error[index],
        )

    def split(self, n_validation: int) -> tuple[LabelSet, LabelSet]:
        """Training and validation labels: the last `n_validation` of the stream are held out."""
        if not 0 < n_validation < len(self):
            raise ParameterError(
                f"n_validation is {n_validation}, expected 1 to {len(self) - 1} "
                f"for {len(self)} labels."
            )
        cut = len(self) - n_validation
        return self.subset(slice(None, cut)), self.subset(slice(cut, None))

    def joined(self, other: LabelSet) -> LabelSet:
        """These labels followed by more of the same cell."""
        if other.phase_names != self.phase_names or other.rve_hash != self.rve_hash:
            raise ParameterError(
                "the labels belong to different cells: phases "
                f"{', '.join(self.phase_names)} (hash {self.rve_hash[:8] or 'unknown'}) and "
                f"{', '.join(other.phase_names)} (hash {other.rve_hash[:8] or 'unknown'}). "
                "Join labels of one cell only."
            )
        return replace(
            self,
            phase_stiffness=np.concatenate([self.phase_stiffness, other.phase_stiffness]),
            effective=np.concatenate([self.effective, other.effective]),
            error=np.concatenate([self.error, other.error]),
        )

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file; see `offline.labels.store`."""
        from offline.labels.store import write_labels

        write_labels(path, self)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the estimated error of each label over its contrast; returns the axes."""
        import matplotlib.pyplot as plt

        ax = plt.figure().add_subplot() if ax is None else ax
        ax.loglog(self.contrast, self.error, **{"ls": "", "marker": ".", **style})
        ax.set_xlabel("contrast of the phases' mean stiffness [-]")
        ax.set_ylabel(r"estimated error $\delta C^H$ [-]")
        return ax


def _check_stiffness(name: str, stiffness: np.ndarray, *, void: bool) -> None:
    require_finite(name, stiffness)
    size = np.abs(stiffness).max(axis=(-2, -1))
    if not void and size.min() == 0.0:
        raise ParameterError(f"{name} of label {int(size.argmin())} is zero.")
    skew = np.abs(stiffness - np.swapaxes(stiffness, -1, -2)).max(axis=(-2, -1))
    if (skew > 1e-6 * size).any():
        raise ParameterError(f"{name} is not symmetric at {_first(skew > 1e-6 * size)}.")
    lowest = np.linalg.eigvalsh(stiffness)[..., 0]
    bad = (lowest <= 0.0) & (size > 0.0)
    if bad.any():
        raise ParameterError(
            f"{name} is not positive definite at {_first(bad)} "
            f"(smallest eigenvalue {lowest[bad][0]:.3g})."
        )


def _first(bad: np.ndarray) -> str:
    index = np.argwhere(bad)[0]
    where = f"label {index[0]}"
    return where if len(index) == 1 else f"{where}, phase {index[1]}"
