"""Every error matnet raises on purpose: where, what came, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "ConvergenceError",
    "FileFormatError",
    "MatnetError",
    "MissingExtraError",
    "ParameterError",
    "RangeWarning",
    "ShapeError",
    "require_between",
    "require_finite",
    "require_non_negative",
    "require_positive",
    "require_shape",
]


class MatnetError(Exception):
    """Base of all errors that a user can cause and cure."""


class ParameterError(MatnetError, ValueError):
    """A value is not finite, out of range, or unknown; the message names it."""


class ShapeError(MatnetError, ValueError):
    """An array has the wrong shape; the message gives both shapes."""


class FileFormatError(MatnetError):
    """A file cannot be read as what it should be; the message starts with its name."""


class MissingExtraError(MatnetError, ImportError):
    """An optional library is not installed; the message gives the install line."""


class RangeWarning(UserWarning):
    """A network is used with phases outside the range it was trained for."""


class ConvergenceError(MatnetError):
    """A solver stopped above its tolerance.

    Parameters
    ----------
    message : str
        What stopped, where, and what to try.
    result : object, optional
        The last iterate, as the solver would have returned it.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


def require_finite(name: str, value: Any) -> None:
    """Raise `ParameterError` if `value` (a number or array) holds NaN or infinity."""
    array = np.asarray(value, dtype=float)
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ParameterError(
            f"{name}: {bad} of {array.size} values are not finite, expected numbers."
        )


def require_shape(name: str, array: np.ndarray, shape: Sequence[int | None]) -> None:
    """Raise `ShapeError` unless `array.shape` equals `shape` (None matches any length)."""
    fits = len(array.shape) == len(shape) and all(
        want is None or got == want for got, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ShapeError(f"{name} has shape {array.shape}, expected {wanted}.")


def require_positive(owner: Any, *names: str, unit: str = "") -> None:
    """Raise `ParameterError` unless the attributes `names` of `owner` are finite and > 0."""
    _require(owner, names, unit, lambda value: value > 0.0, "> 0")


def require_non_negative(owner: Any, *names: str, unit: str = "") -> None:
    """Raise `ParameterError` unless the attributes `names` of `owner` are finite and >= 0."""
    _require(owner, names, unit, lambda value: value >= 0.0, ">= 0")


def require_between(owner: Any, *names: str, low: float, high: float, unit: str = "") -> None:
    """Raise `ParameterError` unless ``low < value < high`` for the attributes `names`."""
    _require(
        owner,
        names,
        unit,
        lambda value: low < value < high,
        f"a value between {low:g} and {high:g}",
    )


def _require(
    owner: Any, names: Sequence[str], unit: str, holds: Callable[[float], bool], wanted: str
) -> None:
    for name in names:
        value = getattr(owner, name)
        where = f"{type(owner).__name__}: {name} = {value!r}"
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise ParameterError(f"{where}, expected a number.")
        if not np.isfinite(value) or not holds(float(value)):
            unit_text = f" {unit}" if unit else ""
            raise ParameterError(f"{where}{unit_text}, expected {wanted}.")
