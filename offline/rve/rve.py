"""The microstructure as a value: phases on a periodic voxel grid."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite, require_shape

__all__ = ["MAX_PHASES", "Rve"]

MAX_PHASES = 256  # phases are stored as uint8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rve:
    """Representative volume element: a periodic parallelepiped of voxels.

    Voxel ``(i, j, k)`` is centred at ``((i, j, k) + 1/2) / shape @ cell``: array axis 0 runs along
    the first lattice vector.

    Parameters
    ----------
    phases : (n1, n2, n3) integers
        Phase index of each voxel, 0 to 255; stored as uint8, read-only.
    cell : (3, 3), optional
        Rows are the lattice vectors [any length unit], right-handed. Default: cubic voxels,
        longest edge 1.
    phase_names : sequence of str, optional
        One name per phase index. Default ``phase0, phase1, ...``. The name ``void`` marks a phase
        without stiffness.
    density : (n1, n2, n3) floats, optional
        Factor in [0, 1] on the stiffness of each voxel (topology-optimisation fields).
    orientations : (n_phases, 3, 3), optional
        Rotation of each phase's material frame into the cell frame (polycrystals).
    source : str
        Where the microstructure came from, for the record.

    Raises
    ------
    ShapeError, ParameterError
        An array has the wrong shape, dtype or range; the message names it.

    Examples
    --------
    >>> rve = Rve(phases=np.arange(8).reshape(2, 2, 2) % 2, phase_names=("void", "solid"))
    >>> rve.fractions
    array([0.5, 0.5])
    """

    phases: np.ndarray
    cell: np.ndarray = None  # type: ignore[assignment]  # filled in __post_init__
    phase_names: tuple[str, ...] = ()
    density: np.ndarray | None = None
    orientations: np.ndarray | None = None
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        phases = _checked_phases(self.phases)
        names = _checked_names(self.phase_names, int(phases.max()) + 1)
        _set(self, "phases", phases)
        _set(self, "phase_names", names)
        _set(self, "cell", _checked_cell(self.cell, phases.shape))
        _set(self, "density", _checked_density(self.density, phases.shape))
        _set(self, "orientations", _checked_orientations(self.orientations, len(names)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each lattice vector."""
        n1, n2, n3 = self.phases.shape
        return (n1, n2, n3)

    @property
    def n_phases(self) -> int:
        """Number of phases, including named phases that no voxel has."""
        return len(self.phase_names)

    @property
    def volume(self) -> float:
        """Volume of the cell [length unit cubed]."""
        return float(np.linalg.det(self.cell))

    @property
    def fractions(self) -> np.ndarray:
        """Volume fraction of each phase (n_phases,), sums to 1."""
        counts = np.bincount(self.phases.ravel(), minlength=self.n_phases)
        return np.asarray(counts / self.phases.size)

    @property
    def void(self) -> np.ndarray:
        """Which phases are called ``void`` (n_phases,) bool."""
        return np.array([name == "void" for name in self.phase_names])

    @property
    def solid_mask(self) -> np.ndarray:
        """Voxels that carry stiffness (n1, n2, n3) bool."""
        mask: np.ndarray = ~self.void[self.phases]
        return mask if self.density is None else mask & (self.density > 0.0)

    def phase_index(self, name: str) -> int:
        """Index of the phase called `name`; an index given as text (``"1"``) works too."""
        if name in self.phase_names:
            return self.phase_names.index(name)
        if name.isdigit() and int(name) < self.n_phases:
            return int(name)
        known = ", ".join(f"{i} '{n}'" for i, n in enumerate(self.phase_names))
        raise ParameterError(f"phase '{name}' is unknown, this cell has {known}.")

    def hash(self) -> str:
        """Hexadecimal SHA-256 of everything that determines the stiffness of the cell."""
        digest = hashlib.sha256()
        digest.update(repr((self.shape, self.phase_names)).encode())
        for array in (self.phases, self.cell, self.density, self.orientations):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def with_phases(self, phases: np.ndarray) -> Rve:
        """A copy with other voxels, everything else kept."""
        return replace(self, phases=phases)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rve) and self.hash() == other.hash()

    def __hash__(self) -> int:
        return int(self.hash()[:15], 16)

    def __str__(self) -> str:
        parts = ", ".join(
            f"{name} {100 * f:.2f} %"
            for name, f in zip(self.phase_names, self.fractions, strict=True)
        )
        return f"Rve {' x '.join(map(str, self.shape))}: {parts}"


def _set(rve: Rve, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    object.__setattr__(rve, name, value)


def _checked_phases(phases: Any) -> np.ndarray:
    array = np.asarray(phases)
    if array.ndim != 3:
        raise ShapeError(f"phases has shape {array.shape}, expected three axes (n1, n2, n3).")
    if 0 in array.shape:
        raise ShapeError(f"phases has shape {array.shape}: axis {array.shape.index(0)} is empty.")
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iu":
        raise ParameterError(
            f"phases has dtype {array.dtype}, expected integers (phase indices). "
            "Pass a field of values in [0, 1] as density instead."
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= MAX_PHASES:
        raise ParameterError(
            f"phases holds indices from {low} to {high}, expected 0 to {MAX_PHASES - 1}."
        )
    return np.array(array, dtype=np.uint8, order="C")


def _checked_names(names: Sequence[str], n_used: int) -> tuple[str, ...]:
    if not names:
        return tuple(f"phase{i}" for i in range(n_used))
    result = tuple(str(name) for name in names)
    if len(result) < n_used:
        raise ParameterError(
            f"phase_names has {len(result)} entries, but the highest phase index is {n_used - 1}."
        )
    if len(result) > MAX_PHASES:
        raise ParameterError(
            f"phase_names has {len(result)} entries, expected at most {MAX_PHASES}."
        )
    if len(set(result)) < len(result):
        raise ParameterError(f"phase_names {result} repeats a name, expected distinct names.")
    return result


def _checked_cell(cell: Any, shape: tuple[int, ...]) -> np.ndarray:
    if cell is None:
        return np.diag(np.array(shape) / max(shape))
    array = np.array(cell, dtype=float)
    require_shape("cell", array, (3, 3))
    require_finite("cell", array)
    volume = np.linalg.det(array)
    if volume <= 1e-12 * np.prod(np.linalg.norm(array, axis=1)):
        raise ParameterError(
            f"cell has volume {volume:.3g}, expected three right-handed lattice vectors (rows)."
        )
    return array


def _checked_density(density: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if density is None:
        return None
    array = np.array(density, dtype=float)
    require_shape("density", array, shape)
    require_finite("density", array)
    low, high = float(array.min()), float(array.max())
    if low < 0.0 or high > 1.0:
        raise ParameterError(f"density ranges from {low:.4g} to {high:.4g}, expected [0, 1].")
    return array


def _checked_orientations(orientations: Any, n_phases: int) -> np.ndarray | None:
    if orientations is None:
        return None
    array = np.array(orientations, dtype=float)
    require_shape("orientations", array, (n_phases, 3, 3))
    require_finite("orientations", array)
    defect = np.abs(array @ np.swapaxes(array, 1, 2) - np.eye(3)).max()
    if defect > 1e-6 or np.linalg.det(array).min() < 0.0:
        raise ParameterError(
            f"orientations: Q Q^T differs from the identity by up to {defect:.2g}, "
            "expected proper rotations (3, 3) per phase."
        )
    return array
