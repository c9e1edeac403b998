"""What the seeded generators share: grid sizes, exact volume fractions, the call as text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from matnet.errors import ParameterError

__all__ = [
    "call_text",
    "cell_edges",
    "fill_to_fraction",
    "grid_shape",
    "random_source",
    "require_count",
    "require_fraction",
    "require_in_range",
]

TIE = 1e-9  # field values closer than this share of the field's range are equal: rounding only
MAX_VOXELS = 2**31


def grid_shape(n: int | tuple[int, int, int], *, flat: bool = False) -> tuple[int, int, int]:
    """Voxels per axis from a number (a cube, or n x n x 1 if `flat`) or three numbers.

    Raises
    ------
    ParameterError
        Not one or three positive integers, or more than 2^31 voxels.

    Examples
    --------
    >>> grid_shape(8), grid_shape(8, flat=True), grid_shape((4, 6, 8))
    ((8, 8, 8), (8, 8, 1), (4, 6, 8))
    """
    sizes = np.asarray(n)
    if sizes.dtype.kind not in "iu" or sizes.shape not in ((), (3,)) or (sizes < 1).any():
        raise ParameterError(
            f"n is {n!r}, expected voxels per axis: one positive integer, or three."
        )
    n1, n2, n3 = (
        (int(sizes), int(sizes), 1 if flat else int(sizes))
        if sizes.ndim == 0
        else (int(sizes[0]), int(sizes[1]), int(sizes[2]))
    )
    if n1 * n2 * n3 > MAX_VOXELS:
        raise ParameterError(f"n is {n!r}: {n1 * n2 * n3:.3g} voxels, expected at most 2^31.")
    return (n1, n2, n3)


def cell_edges(shape: tuple[int, int, int]) -> np.ndarray:
    """Edge lengths (3,) of the default cell: cubic voxels, longest edge 1."""
    return np.array(shape) / max(shape)


def fill_to_fraction(field: np.ndarray, volume_fraction: float) -> tuple[np.ndarray, float]:
    """Voxels with the smallest values, as many as come closest to the asked fraction.

    Voxels of equal value (symmetric positions) go in or stay out together, so that symmetry
    survives; without such ties the count is the nearest integer to fraction times voxels.

    Parameters
    ----------
    field : (n1, n2, n3) floats
        The level of each voxel; infinite for voxels that may not be chosen.
    volume_fraction : float
        Asked share of voxels, strictly between 0 and 1.

    Returns
    -------
    mask : (n1, n2, n3) bool
        The chosen voxels.
    level : float
        Chosen voxels lie below it, all others above: half-way between the two neighbours.

    Raises
    ------
    ParameterError
        The grid is too coarse for the fraction: no voxel, or every voxel, would be chosen.

    Examples
    --------
    >>> mask, level = fill_to_fraction(np.arange(10.0).reshape(1, 2, 5), 0.3)
    >>> int(mask.sum()), level
    (3, 2.5)
    """
    values = np.sort(field, axis=None)
    finite = values[np.isfinite(values)]
    groups = np.flatnonzero(np.diff(finite) > TIE * (finite[-1] - finite[0])) + 1
    wanted = volume_fraction * field.size
    # a count is possible where a group of equal values ends
    counts = np.append(groups, finite.size) if finite.size < values.size else groups
    if counts.size == 0 or wanted < 0.5 or wanted > field.size - 0.5:
        raise ParameterError(
            f"volume_fraction {volume_fraction:.4g} cannot be met on {_times(field.shape)} voxels: "
            "one phase would be empty. Use more voxels (n)."
        )
    count = int(counts[np.argmin(np.abs(counts - wanted))])
    above = values[count] if np.isfinite(values[count]) else values[count - 1]
    level = 0.5 * float(values[count - 1] + above)
    return np.asarray(field <= level), level


def require_fraction(name: str, value: float) -> None:
    """Raise `ParameterError` unless 0 < value < 1."""
    if not 0.0 < value < 1.0:
        raise ParameterError(f"{name} is {value:g}, expected a number strictly between 0 and 1.")


def require_count(name: str, value: int, low: int = 1, high: int | None = None) -> None:
    """Raise `ParameterError` unless `value` is an integer from `low` to `high`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        limit = f"{low} to {high}" if high is not None else f"{low} or more"
        raise ParameterError(f"{name} is {value!r}, expected an integer, {limit}.")


def require_in_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise `ParameterError` unless low <= value <= high and the value is finite."""
    if not (math.isfinite(value) and low <= value <= high):
        limit = f"{low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
        raise ParameterError(f"{name} is {value:g}, expected {limit}.")


def random_source(seed: int) -> np.random.Generator:
    """Random numbers of a seed; raises `ParameterError` unless it is an integer >= 0."""
    require_count("seed", seed, 0)
    return np.random.default_rng(seed)


def call_text(function: str, **arguments: Any) -> str:
    """The call that makes a microstructure again, for `Rve.source`.

    >>> call_text("ud_random", n=64, volume_fraction=0.6, seed=0)
    'ud_random(n=64, volume_fraction=0.6, seed=0)'
    """
    return f"{function}({', '.join(f'{k}={_plain(v)!r}' for k, v in arguments.items())})"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return type(value)(_plain(item) for item in value)
    return value


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
