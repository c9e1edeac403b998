"""Many cells, and what their errors say together."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import matnet
from matnet.errors import ParameterError
from offline.surrogates.evaluation.judge import History, Judged, history, judge
from offline.surrogates.evaluation.predictor import Predictor
from offline.surrogates.families import Sample, family
from offline.surrogates.stream import split_seeds
from offline.surrogates.symmetrise import symmetrise

__all__ = ["BIN_WIDTH", "TARGETS", "Evaluation", "EvaluationOptions", "evaluate"]

BIN_WIDTH = 0.1  # of volume fractions
# what this project asks of a surrogate: delta_C mean and worst, steps as a share of those from zero
TARGETS = {"delta": 0.01, "delta_worst": 0.05, "steps": 0.5}
METRICS = (
    *("delta", "delta_soft", "residual", "residual_worst", "iterations_zero", "iterations"),
    *("projection", "projection_low", "projection_low_zero", "seconds", "seconds_reference"),
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """Which unseen cells, and what is computed.

    Parameters
    ----------
    families : tuple of str
        Cells alternate between them.
    resolution : int
        Voxels per axis.
    cells : int
    first : int
        Number of the first cell of the test split.
    nu : float, optional
        One Poisson's ratio for all.
    batch : int
        Cells predicted at once.
    spectrum : bool
        Compute the lowest modes where cells are small enough.
    symmetrise : bool
        Average predictions over the symmetries of each cell, see `symmetrise`.

    Raises
    ------
    ParameterError
        A family is unknown or a number out of range.
    """

    families: tuple[str, ...]
    resolution: int = 32
    cells: int = 50
    first: int = 0
    nu: float | None = None
    batch: int = 1
    spectrum: bool = True
    symmetrise: bool = False

    def __post_init__(self) -> None:
        if not self.families:
            raise ParameterError("no family was named, expected one or more, such as 'truss'.")
        for name in self.families:
            family(name, nu=self.nu)
        for name in ("cells", "batch"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected 1 or more.")
        if self.first < 0:
            raise ParameterError(f"first is {self.first}, expected 0 or more.")

    def samples(self) -> list[Sample]:
        """The cells, functions of the options alone."""
        seeds = split_seeds("test", self.first + self.cells)[self.first :]
        names = self.families
        return [
            family(names[seed % len(names)], nu=self.nu).sample(seed, self.resolution)
            for seed in seeds
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Errors of trained weights on unseen cells.

    Attributes
    ----------
    name : str
        Of the weights.
    card : mapping
        Of the weights.
    steps : int
        Solver steps on the finest grid inside the prediction.
    options : EvaluationOptions
    cells : tuple of Judged
    breakdown : dict of str to float
        Seconds of the parts of a prediction of one cell, median over some cells.
    history : History
        Of the cell whose delta is the median.
    shown : Judged
        That cell.
    """

    name: str
    card: Mapping[str, Any]
    steps: int
    options: EvaluationOptions
    cells: tuple[Judged, ...]
    breakdown: dict[str, float]
    history: History
    shown: Judged

    def values(self, metric: str) -> np.ndarray:
        """One number of every cell (n,)."""
        return np.array([getattr(cell, metric) for cell in self.cells], dtype=float)

    def statistics(self, metric: str, chosen: np.ndarray | None = None) -> dict[str, float]:
        """Mean, median, smallest and largest (worst) of a number; NaN is left out, or null."""
        values = self.values(metric)
        values = values if chosen is None else values[chosen]
        values = values[np.isfinite(values)]
        if not len(values):
            return {}
        return {
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "min": float(values.min()),
            "max": float(values.max()),
        }

    def bins(self) -> list[tuple[float, float, np.ndarray]]:
        """Ranges of volume fraction that hold cells, and which cells (n,) bool are in each."""
        fraction = self.values("volume_fraction")
        number = np.floor(fraction / BIN_WIDTH).astype(int)
        return [(k * BIN_WIDTH, (k + 1) * BIN_WIDTH, number == k) for k in np.unique(number)]

    def saved(self) -> np.ndarray:
        """Share (n,) of the steps from zero that are still needed from the prediction."""
        zero = np.maximum(self.values("iterations_zero"), 1.0)
        return np.asarray(self.values("iterations") / zero)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the cells, JSON values."""
        return {
            "weights": self.name,
            "kind": self.card.get("kind"),
            "config": self.card.get("config"),
            "trained_on": self.card.get("data"),
            "sha256": self.card.get("sha256"),
            "pcg_steps": self.steps,
            "options": asdict(self.options),
            "n_cells": len(self.cells),
            "statistics": {name: self.statistics(name) for name in METRICS},
            "iterations_share": float(self.saved().mean()),
            "bins": [
                {"from": low, "to": high, "cells": int(some.sum())}
                | {name: self.statistics(name, some) for name in METRICS}
                for low, high, some in self.bins()
            ],
            "seconds_of_parts": self.breakdown,
            "parameters": self.card.get("parameters"),
            "version": matnet.__version__,
        }


def evaluate(
    predictor: Predictor, options: EvaluationOptions, progress: Progress | None = None
) -> Evaluation:
    """Judge trained weights on cells of the test split.

    Raises
    ------
    ParameterError
        The network cannot take cells of this shape, or predicts values that are not finite.
    """
    samples = options.samples()
    for sample in samples:
        reason = predictor.misfit(sample.rve)
        if reason is not None:
            raise ParameterError(f"weights '{predictor.name}' do not fit the cells: {reason}.")
    predictor.predict([(samples[0].rve, samples[0].stiffnesses)])  # compiles, once
    judged: list[Judged] = []
    for begin in range(0, len(samples), options.batch):
        some = samples[begin : begin + options.batch]
        began = time.perf_counter()
        found = list(predictor.predict([(s.rve, s.stiffnesses) for s in some]))
        if options.symmetrise:
            pairs = zip(found, some, strict=True)
            found = [symmetrise(u, s.rve, s.stiffnesses) for u, s in pairs]
        seconds = (time.perf_counter() - began) / len(some)
        for sample, u in zip(some, found, strict=True):
            judged.append(judge(predictor, sample, u, seconds, spectrum=options.spectrum))
            if progress is not None:
                progress(len(judged), len(samples))
    middle = int(np.argsort([cell.delta for cell in judged])[len(judged) // 2])
    return Evaluation(
        name=predictor.name,
        card=predictor.card,
        steps=predictor.steps,
        options=options,
        cells=tuple(judged),
        breakdown=_breakdown(predictor, samples[:5]),
        history=history(predictor, samples[middle]),
        shown=judged[middle],
    )


def _breakdown(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, float]:
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for sample in samples:
        for name, seconds in predictor.breakdown([(sample.rve, sample.stiffnesses)]).items():
            parts[name].append(seconds)
    return {name: float(np.median(values)) for name, values in parts.items()}
