r"""What pictures a plane network has seen, and a sentence where another one lies outside.

Pictures are described by eleven numbers that need no network. With the Fourier coefficients
:math:`F_k` of the picture less its mean and :math:`P_k = |F_k|^2`, some of them are

- mean wave number :math:`\sum |k| P_k / \sum P_k` [1 / edge of the cell],
- anisotropy :math:`|\sum P_k (k_1 + i k_2)^2 / |k|^2| / \sum P_k`, 0 for equal axes, 1 for layers,
- point asymmetry :math:`1 - \max_s \sum_x f(x) f(s - x) / \sum_x f^2`, where the correlation with
  the reflected picture is the inverse transform of :math:`F_k^2`.

Numbers that belong to an axis are sorted, because the networks see every cell in the symmetries of
the square. A picture is outside where a number leaves the interval of the training cells, or where
it is further from all of some representative cells (scaled by standard deviations) than a
thousandth of the training cells is. The representatives are the training cells that an
algorithm of Gonzalez (Theor. Comput. Sci. 38, 1985, 293-306) picks: each is the furthest from those
before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, ShapeError

__all__ = ["DESCRIPTORS", "TrainingRange", "describe"]

DESCRIPTORS = (
    "volume fraction of phase 0",
    "number of phase changes per line, along the axis with fewer",
    "number of phase changes per line, along the axis with more",
    "mean wave number",
    "anisotropy of the spectrum",
    "share of straight lines within phase 0, axis with fewer",
    "share of straight lines within phase 0, axis with more",
    "share of straight lines within phase 1, axis with fewer",
    "share of straight lines within phase 1, axis with more",
    "share of the contrast without point symmetry",
    "share of grey at the network's resolution",
)
MARGIN = 0.02  # of the width of an interval, beyond it
LEAST = 0.02  # room where nothing varies; all such numbers are shares
REPRESENTATIVES = 512
KEPT = 0.999  # share of training cells within the largest distance
DIGITS = 5  # of numbers in a card
CHUNK = 1024


def describe(pictures: Any) -> np.ndarray:
    """The `DESCRIPTORS` (n, 11) of square periodic pictures (n, s, s) with values from 0 to 1.

    Examples
    --------
    Layers: two changes along axis 1, none along axis 2, half of the lines in either phase.

    >>> layers = np.zeros((1, 8, 8))
    >>> layers[:, :4] = 1.0
    >>> describe(layers)[0, [0, 1, 2, 4, 5, 6, 7, 8]].round(3)
    array([0.5, 0. , 2. , 1. , 0. , 0.5, 0. , 0.5])
    """
    array = np.asarray(pictures)
    if array.ndim != 3 or array.shape[1] != array.shape[2] or 0 in array.shape:
        raise ShapeError(f"pictures have shape {array.shape}, expected (n, s, s).")
    parts = [_describe(array[i : i + CHUNK].astype(float)) for i in range(0, len(array), CHUNK)]
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRange:
    """Intervals and representatives of the descriptors of training cells.

    Of pictures these are the eleven `DESCRIPTORS`; a network in space has others (`of`).

    Attributes
    ----------
    names : (11,) str
    low, high : (11,)
    scale : (11,)
        Standard deviations; 0 for numbers that do not vary, which then do not count as distance.
    cells : (n, 11)
        Descriptors of the representatives.
    limit : float
        Largest distance from the nearest of them [standard deviations].
    """

    names: tuple[str, ...] = DESCRIPTORS
    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    cells: np.ndarray
    limit: float

    @classmethod
    def of_pictures(cls, pictures: Any) -> TrainingRange:
        """The range of square pictures (n, s, s)."""
        return cls.of(describe(pictures), DESCRIPTORS)

    @classmethod
    def of(cls, described: np.ndarray, names: Sequence[str]) -> TrainingRange:
        """The range of cells with these descriptors (n, k)."""
        found = _rounded(described)
        low, high = found.min(axis=0), found.max(axis=0)
        scale = _rounded(np.where(high > low, found.std(axis=0), 0.0))
        # representatives from every other cell, the limit from those between: a cell is at no
        # distance from itself
        points, others = _standard(found[::2], scale), _standard(found[len(found) > 1 :: 2], scale)
        chosen, nearest = [0], _distance(points, points[:1])
        while len(chosen) < REPRESENTATIVES and nearest.max() > 0.0:
            chosen.append(int(nearest.argmax()))
            nearest = np.minimum(nearest, _distance(points, points[chosen[-1:]]))
        limit = float(_rounded(np.quantile(_distance(others, points[chosen]), KEPT)))
        cells = found[::2][chosen]
        return cls(names=tuple(names), low=low, high=high, scale=scale, cells=cells, limit=limit)

    def distance(self, described: np.ndarray) -> np.ndarray:
        """Standard deviations (n,) between descriptors (n, 11) and the nearest representative."""
        points = _standard(described, self.scale)
        return _distance(points, _standard(self.cells, self.scale))

    def outside(self, pictures: Any) -> list[str | None]:
        """Why each of some square pictures (n, s, s) is outside, or None where it is not."""
        return self.reasons(describe(pictures))

    def reasons(self, found: np.ndarray) -> list[str | None]:
        """The same for descriptors (n, 11)."""
        width = self.high - self.low
        room = np.where(width > 0.0, MARGIN * width, LEAST)
        beyond = (found < self.low - room) | (found > self.high + room)
        return [
            self._reason(row, flags, float(distance))
            for row, flags, distance in zip(found, beyond, self.distance(found), strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """For a weights card."""
        return {
            "descriptors": list(self.names),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "scale": self.scale.tolist(),
            "limit": self.limit,
            "cells": self.cells.tolist(),
        }

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], names: Sequence[str] = DESCRIPTORS
    ) -> TrainingRange:
        """What `as_dict` wrote of these descriptors.

        Raises
        ------
        FileFormatError
            An entry is missing, or of another size or kind.
        """
        try:
            if list(values["descriptors"]) != list(names):
                raise ValueError("other descriptors")
            size = len(names)
            return cls(
                names=tuple(names),
                low=np.array(values["low"], dtype=float).reshape(size),
                high=np.array(values["high"], dtype=float).reshape(size),
                scale=np.array(values["scale"], dtype=float).reshape(size),
                cells=np.array(values["cells"], dtype=float).reshape(-1, size),
                limit=float(values["limit"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"weights: the card's training range cannot be used ({error}). Train again."
            ) from error

    def _reason(self, row: np.ndarray, flags: np.ndarray, distance: float) -> str | None:
        intervals = [_interval(a, b) for a, b in zip(self.low, self.high, strict=True)]
        facts = [
            f"its {self.names[i]} is {row[i]:.3g} (training: {intervals[i]})"
            for i in np.flatnonzero(flags)
        ]
        if not facts and distance > self.limit:
            facts = [
                f"no training cell is like it: the nearest is {distance:.2g} standard deviations "
                f"away (within training: up to {self.limit:.2g})"
            ]
        return ", ".join(facts) or None


def _rounded(values: Any) -> np.ndarray:
    """A few digits: a card is text, and what is judged later has to be what is stored."""
    array = np.asarray(values, dtype=float)
    return np.array([float(f"{x:.{DIGITS}g}") for x in array.flat]).reshape(array.shape)


def _standard(described: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray(described[:, scale > 0.0] / scale[scale > 0.0])


def _distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance (n,) of points (n, k) from the nearest of others (m, k)."""
    parts = [
        np.linalg.norm(points[i : i + CHUNK, None] - others, axis=2).min(axis=1)
        for i in range(0, len(points), CHUNK)
    ]
    return np.concatenate(parts)


def _interval(low: float, high: float) -> str:
    return f"{low:.3g}" if high - low < 1e-9 else f"{low:.3g} to {high:.3g}"


def _describe(pictures: np.ndarray) -> np.ndarray:
    share = pictures.mean(axis=(1, 2))
    changes = [
        np.abs(pictures - np.roll(pictures, 1, axis)).sum(axis=axis).mean(axis=1) for axis in (1, 2)
    ]
    solid = pictures < 0.5
    lines = [[phase.all(axis=axis).mean(axis=1) for axis in (1, 2)] for phase in (solid, ~solid)]
    waves, anisotropy, asymmetry = _spectral(pictures - share[:, None, None])
    return np.stack(
        [
            1.0 - share,
            *np.sort(changes, axis=0),
            waves,
            anisotropy,
            *np.sort(lines[0], axis=0),
            *np.sort(lines[1], axis=0),
            asymmetry,
            4.0 * (pictures * (1.0 - pictures)).mean(axis=(1, 2)),
        ],
        axis=1,
    )


def _spectral(field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean wave number, anisotropy and point asymmetry (n,) of fields (n, s, s) of zero mean."""
    side = field.shape[1]
    spectrum = np.fft.fft2(field)
    power = np.abs(spectrum) ** 2
    total = power.sum(axis=(1, 2))
    flat = total <= 1e-12 * side**4  # one phase only
    safe = np.where(flat, 1.0, total)
    wave = np.fft.fftfreq(side, 1.0 / side)
    number = wave[:, None] + 1j * wave[None, :]
    size = np.abs(number)
    double_angle = np.where(size > 0.0, number**2 / np.where(size > 0.0, size, 1.0) ** 2, 0.0)
    if side % 2 == 0:  # the highest wave stands for both signs
        double_angle[side // 2] = double_angle[side // 2].real
        double_angle[:, side // 2] = double_angle[:, side // 2].real
    reflected = np.fft.ifft2(spectrum**2).real.max(axis=(1, 2)) * side**2
    asymmetry = np.maximum(1.0 - reflected / safe, 0.0)
    return (
        (power * size).sum(axis=(1, 2)) / safe,
        np.abs((power * double_angle).sum(axis=(1, 2))) / safe,
        # rounding would make an interval of what does not vary
        np.where(flat | (asymmetry < 1e-9), 0.0, asymmetry),
    )
