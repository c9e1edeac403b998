"""What all readers share: opening, decoding and checking, with the file's name in every message."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, MatnetError, MissingExtraError
from offline.rve.rve import MAX_PHASES, Rve

__all__ = ["as_phases", "build", "check_size", "decoding", "extra", "require_file"]


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
