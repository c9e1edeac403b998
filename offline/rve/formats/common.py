"""What all readers share: opening, decoding and checking, with the file's name in every message."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, MatnetError, MissingExtraError, ParameterError
from offline.rve.rve import MAX_PHASES, Rve

__all__ = [
    "MAX_INFLATION",
    "as_phases",
    "box_shape",
    "build",
    "check_size",
    "decoding",
    "extra",
    "grey_to_fields",
    "labels_to_phases",
    "require_file",
    "threshold_phases",
]

MAX_INFLATION = 1100  # deflate cannot expand by more than 1032


def require_file(path: Path) -> None:
    """Raise `FileFormatError` unless `path` is a file that is not empty."""
    try:
        if path.is_dir():
            raise FileFormatError(f"{path}: is a folder, expected a file.")
        if not path.exists():
            raise FileFormatError(f"{path}: no such file.")
        if path.stat().st_size == 0:
            raise FileFormatError(f"{path}: the file is empty.")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as wrong:
        raise FileFormatError(f"{path}: cannot be opened ({wrong}).") from wrong


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged bytes into a `FileFormatError`.

    Decoders raise a zoo of types on hostile bytes (struct.error, zlib.error, OverflowError, ...),
    so every exception counts as "damaged"; the original stays as the cause.
    """
    try:
        yield
    except MatnetError:
        raise
    except Exception as wrong:
        reason = " ".join(str(wrong).split()) or type(wrong).__name__
        raise FileFormatError(f"{path}: not a readable {what} ({reason[:200]}).") from wrong


@contextmanager
def extra(library: str) -> Iterator[None]:
    """Turn the ImportError of an optional library into a `MissingExtraError`."""
    try:
        yield
    except ImportError as wrong:
        raise MissingExtraError(
            f"{library} is not installed and this file format needs it. "
            "Install it with: pip install 'matnet[offline]'"
        ) from wrong


def build(path: Path, **fields: Any) -> Rve:
    """`Rve(**fields)` with the file's name in front of any complaint."""
    fields.setdefault("source", path.name)
    try:
        return Rve(**fields)
    except MatnetError as wrong:
        raise FileFormatError(f"{path}: {wrong}") from wrong


def check_size(path: Path, shape: Sequence[int], itemsize: int, available: int) -> None:
    """Refuse a header that claims more bytes than the file can hold, before allocating them."""
    needed = math.prod(int(n) for n in shape) * itemsize
    if min(shape, default=1) < 0 or needed > available:
        raise FileFormatError(
            f"{path}: the header claims an array {tuple(shape)} of {needed} bytes, "
            f"but the file holds at most {available}. It is truncated or damaged."
        )


def as_phases(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Phase indices as uint8 from any array that holds whole numbers from 0 to 255."""
    if values.dtype.kind not in "biuf":
        raise FileFormatError(
            f"{path}: '{name}' has dtype {values.dtype}, expected integers (phase indices)."
        )
    if 0 in values.shape:
        axis = values.shape.index(0)
        raise FileFormatError(f"{path}: '{name}' has shape {values.shape}: axis {axis} is empty.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: '{name}' holds NaN or infinity, expected indices.")
        if (values != np.rint(values)).any():
            raise FileFormatError(
                f"{path}: '{name}' holds values that are not whole numbers, expected phase "
                "indices. A field of values in [0, 1] belongs into 'density'."
            )
    low, high = values.min(), values.max()
    if low < 0 or high >= MAX_PHASES:
        raise FileFormatError(
            f"{path}: '{name}' holds indices from {low:g} to {high:g}, "
            f"expected 0 to {MAX_PHASES - 1}."
        )
    return values.astype(np.uint8)


def labels_to_phases(path: Path, name: str, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Renumber the distinct whole numbers in `values` to 0, 1, ...; each name keeps its label.

    Masks of 0 and 255 become phases ``phase0`` and ``phase255``; labels that are 0, 1, ... already
    stay as they are.
    """
    if values.dtype.kind not in "biuf":
        raise FileFormatError(f"{path}: {name} have dtype {values.dtype}, expected numbers.")
    if values.size == 0:
        raise FileFormatError(f"{path}: {name} have shape {values.shape}: an axis is empty.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise FileFormatError(f"{path}: {name} hold NaN or infinity, expected phase labels.")
    labels, indices = np.unique(values, return_inverse=True)
    if len(labels) > MAX_PHASES or (labels != np.rint(labels)).any():
        raise FileFormatError(
            f"{path}: {name} hold {len(labels)} different values from {labels[0]:g} to "
            f"{labels[-1]:g}, expected at most {MAX_PHASES} whole phase labels. "
            "For grey values pass threshold, for example threshold=(128,)."
        )
    names = [f"phase{int(label)}" for label in labels]
    return indices.reshape(values.shape).astype(np.uint8), names


def threshold_phases(path: Path, values: np.ndarray, threshold: Any) -> np.ndarray:
    """Phase k where exactly k of the ascending thresholds are <= the grey value."""
    limits = np.atleast_1d(np.asarray(threshold, dtype=float))
    if limits.ndim != 1 or not np.isfinite(limits).all() or (np.diff(limits) <= 0).any():
        raise ParameterError(
            f"{path}: threshold is {tuple(limits.ravel())}, expected numbers in ascending order."
        )
    if len(limits) >= MAX_PHASES:
        raise ParameterError(f"{path}: {len(limits)} thresholds, expected at most 255.")
    if not np.isfinite(values).all():
        raise FileFormatError(f"{path}: grey values hold NaN or infinity, expected numbers.")
    return np.digitize(values, limits).astype(np.uint8)


def grey_to_fields(path: Path, name: str, values: np.ndarray, threshold: Any) -> dict[str, Any]:
    """`Rve` fields ``phases`` and ``phase_names`` from grey values or labels."""
    if threshold is not None:
        return {"phases": threshold_phases(path, values, threshold)}
    phases, names = labels_to_phases(path, name, values)
    return {"phases": phases, "phase_names": names}


def box_shape(name: str, shape: Any) -> tuple[int, int, int]:
    """Three voxel counts > 0 from a hint; one number stands for a cube."""
    values = np.atleast_1d(np.asarray(shape))
    values = np.repeat(values, 3) if values.shape == (1,) else values
    if values.shape != (3,) or values.dtype.kind not in "iu" or (values < 1).any():
        raise ParameterError(f"{name} is {shape!r}, expected three whole numbers > 0.")
    return (int(values[0]), int(values[1]), int(values[2]))
