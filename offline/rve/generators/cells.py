"""What the cellular generators share: lattice vectors, voxel centres, the record of the call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeAlias

import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite
from offline.rve.generators.voxelgrid import (
    TIE,
    call_text,
    cell_edges,
    fill_to_fraction,
    require_fraction,
)
from offline.rve.rve import Rve

__all__ = [
    "CELLULAR",
    "Numbers",
    "cell_vectors",
    "exactly_one",
    "period_counts",
    "recorded",
    "solid_below",
    "voxel_centres",
]

CELLULAR = ("void", "solid")  # phase names of every cellular generator

Numbers: TypeAlias = float | Sequence[float] | np.ndarray
Triple: TypeAlias = int | tuple[int, int, int]

P = ParamSpec("P")


def recorded(generator: Callable[P, Rve]) -> Callable[P, Rve]:
    """Decorate a keyword-only generator so that the cell's `source` tells the call that made it."""

    @functools.wraps(generator)
    def call(*args: P.args, **kwargs: P.kwargs) -> Rve:
        rve = generator(*args, **kwargs)
        given = {name: value for name, value in kwargs.items() if value is not None}
        return replace(rve, source=call_text(generator.__name__, **given))

    return call


def period_counts(periods: Triple) -> tuple[int, int, int]:
    """Repeats of the unit cell per axis from one number or three.

    >>> period_counts(2), period_counts((1, 1, 3))
    ((2, 2, 2), (1, 1, 3))
    """
    counts = np.asarray(periods)
    if counts.dtype.kind not in "iu" or counts.shape not in ((), (3,)) or (counts < 1).any():
        raise ParameterError(
            f"periods is {periods!r}, expected unit cells per axis: one positive integer, or three."
        )
    p1, p2, p3 = (int(p) for p in np.broadcast_to(counts, 3))
    return (p1, p2, p3)


def cell_vectors(cell: Numbers | None, shape: tuple[int, int, int]) -> np.ndarray:
    """Lattice vectors (3, 3) as rows.

    Parameters
    ----------
    cell : None, 3, 6 or 9 numbers
        None: cubic voxels, longest edge 1. Three edge lengths; or three lengths and the angles
        between vectors 2-3, 1-3 and 1-2 [degrees], as in crystallography, with vector 1 along x
        and vector 2 in the x-y plane; or the nine components.
    shape : three ints
        Voxels per axis.

    Raises
    ------
    ShapeError, ParameterError
        Another count of numbers, or no right-handed parallelepiped.

    Examples
    --------
    >>> cell_vectors((1, 1, 2, 90, 90, 60), (8, 8, 8)).round(3) + 0.0
    array([[1.   , 0.   , 0.   ],
           [0.5  , 0.866, 0.   ],
           [0.   , 0.   , 2.   ]])
    """
    if cell is None:
        return np.diag(cell_edges(shape))
    numbers = np.asarray(cell, dtype=float).ravel()
    require_finite("cell", numbers)
    if numbers.size == 3:
        vectors = np.diag(numbers)
    elif numbers.size == 6:
        vectors = _from_lengths_and_angles(numbers[:3], np.radians(numbers[3:]))
    elif numbers.size == 9:
        vectors = numbers.reshape(3, 3)
    else:
        raise ShapeError(
            f"cell has {numbers.size} numbers, expected 3 edge lengths, 3 lengths and 3 angles "
            "[degrees], or the 9 components of the lattice vectors (rows)."
        )
    one_voxel = Rve(phases=np.zeros((1, 1, 1), dtype=np.uint8), cell=vectors)  # checks it
    return np.array(one_voxel.cell)


def _from_lengths_and_angles(lengths: np.ndarray, angles: np.ndarray) -> np.ndarray:
    alpha, beta, gamma = np.cos(angles)
    sine = np.sin(angles[2])
    y = (alpha - beta * gamma) / sine if sine > 1e-12 else 2.0
    height = 1.0 - beta**2 - y**2
    if height <= 0.0:
        degrees = ", ".join(f"{angle:g}" for angle in np.degrees(angles))
        raise ParameterError(f"cell: no parallelepiped has the angles {degrees} degrees.")
    rows = np.array([[1, 0, 0], [gamma, sine, 0], [beta, y, np.sqrt(height)]])
    return np.asarray(rows * lengths[:, None])


def voxel_centres(
    shape: tuple[int, int, int], periods: tuple[int, int, int] = (1, 1, 1)
) -> list[np.ndarray]:
    """Fractional coordinates of the voxel centres, (n1, 1, 1), (1, n2, 1), (1, 1, n3).

    With `periods` they run from 0 to that number of unit cells.
    """
    axes = [(np.arange(n) + 0.5) * (p / n) for n, p in zip(shape, periods, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def solid_below(
    field: np.ndarray, level: float | None = None, volume_fraction: float | None = None
) -> np.ndarray:
    """Voxels with ``field <= level``, or those of smallest value that fill the fraction.

    Voxels equal up to rounding (symmetric partners) are treated alike, so that the symmetry and
    periodicity of the field survive; a volume fraction is met to half the largest such group.

    Raises
    ------
    ParameterError
        The grid cannot meet the fraction.
    """
    if level is not None:
        return np.asarray(field <= level + TIE * np.ptp(field))
    assert volume_fraction is not None, "callers check with exactly_one"
    require_fraction("volume_fraction", volume_fraction)
    return fill_to_fraction(field, volume_fraction)[0]


def exactly_one(**options: float | None) -> None:
    """Raise `ParameterError` unless exactly one of the options is given.

    >>> exactly_one(radius=0.1, volume_fraction=None)
    """
    given = [name for name, value in options.items() if value is not None]
    if len(given) != 1:
        came = " and ".join(given) if given else "none"
        raise ParameterError(
            f"options fixing the amount of solid: {came} given, expected exactly one of "
            f"{' or '.join(options)}."
        )
