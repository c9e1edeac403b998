r"""From the spread of an ensemble to the error to expect, learned on cells with known answers.

The spread s of the members is far below the error e, because they share data and mistakes, but it
ranks errors well. On labelled cells, a line through :math:`(\log s, \log e)` and the quantiles of
what is left over say how large the error is at a given spread: :math:`e_q = s^b \exp(a_q)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, ParameterError, require_shape

__all__ = ["Calibration", "rank_correlation"]

FEWEST = 20  # cells, for a ninth decile
CONSTANT = 1e-9  # standard deviation of log s below which it does not vary
TINY = 1e-12  # spreads and errors below count as this


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Errors to expect from spreads.

    Attributes
    ----------
    exponent : float
        b of the module's formula, >= 0.
    median, ninety : float
        a_q of the median and the ninth decile.
    spearman : float
        Rank correlation of spread and error on the cells it was made with.
    cells : int
        How many these were.
    """

    exponent: float
    median: float
    ninety: float
    spearman: float
    cells: int

    @classmethod
    def of(cls, spread: Any, error: Any) -> Calibration:
        """Learn from relative spreads (n,) and errors (n,) of the same cells."""
        s, e = _positive("spread", spread), _positive("error", error)
        require_shape("error", e, s.shape)
        if len(s) < FEWEST:
            raise ParameterError(f"{len(s)} cells to calibrate with, expected at least {FEWEST}.")
        x, y = np.log(s), np.log(e)
        off = x - x.mean()
        varies = x.std() > CONSTANT
        exponent = max(float((off * y).sum() / (off * off).sum()), 0.0) if varies else 0.0
        median, ninety = np.quantile(y - exponent * x, [0.5, 0.9])
        return cls(
            exponent=exponent,
            median=float(median),
            ninety=float(ninety),
            spearman=rank_correlation(s, e),
            cells=len(s),
        )

    def expected(self, spread: Any) -> tuple[np.ndarray, np.ndarray]:
        """Median and ninth decile (n,) of the relative error at relative spreads (n,).

        Examples
        --------
        >>> four, nine = np.log([4.0, 9.0])
        >>> rule = Calibration(exponent=1.0, median=four, ninety=nine, spearman=0.9, cells=20)
        >>> [float(x.round(9)) for x in rule.expected(0.01)]
        [0.04, 0.09]
        """
        base = np.maximum(np.asarray(spread, dtype=float), TINY) ** self.exponent
        return np.asarray(base * np.exp(self.median)), np.asarray(base * np.exp(self.ninety))

    def as_dict(self) -> dict[str, float]:
        """For a weights card."""
        return {
            "exponent": self.exponent,
            "median": self.median,
            "ninety": self.ninety,
            "spearman": self.spearman,
            "cells": self.cells,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """What `as_dict` wrote; a `FileFormatError` if it is something else."""
        try:
            numbers = {name: float(values[name]) for name in ("exponent", "median", "ninety")}
            return cls(**numbers, spearman=float(values["spearman"]), cells=int(values["cells"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"weights: the card's calibration cannot be used ({error}). Train again."
            ) from error


def rank_correlation(a: Any, b: Any) -> float:
    """Spearman's rank correlation of two series (n,); NaN if one of them does not vary.

    >>> round(rank_correlation([1, 2, 3, 4], [1, 4, 9, 8]), 3)
    0.8
    """
    ranks = [_ranks(np.asarray(x, dtype=float)) for x in (a, b)]
    if any(rank.std() == 0.0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks (n,), equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - 0.5 * (counts + 1))[inverse])


def _positive(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not np.isfinite(array).all() or (array < 0.0).any():
        raise ParameterError(f"{name}: expected finite values >= 0, one per cell.")
    return np.maximum(array, TINY)
