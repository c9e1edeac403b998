"""How good a plane network is on pictures it has never seen, and how far its spread is a guide."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.rve.generators.trigonometric import random_amplitudes
from offline.surrogates.voigt_reuss.calibration import FEWEST, Calibration, rank_correlation
from offline.surrogates.voigt_reuss.cells import LabelledCells, generate_2d
from offline.surrogates.voigt_reuss.compare import estimates
from offline.surrogates.voigt_reuss.surrogate import Evaluation, PlaneSurrogate
from offline.surrogates.voigt_reuss.sweep import ThresholdSweep, threshold_sweep

__all__ = ["PlaneJudgement", "calibrated", "judge", "sweep_of", "unseen_cells"]

UNSEEN = 2000  # seeds of tests are beyond those of training (0 to 999) and validation (1000 more)
SWEEP_MODES = 5
SWEEP_STEPS = 60
ORDER = ("11", "22", "12")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneJudgement:
    """A network on labelled cells.

    Attributes
    ----------
    network : Evaluation
    references : dict of str to Evaluation
        Hill's mean, Mori-Tanaka's estimate, Hashin-Shtrikman's bounds.
    spread : (n,)
        Relative uncertainty of each cell; see `surrogate.Prediction`.
    spearman : float
        Rank correlation of spread and error.
    within : dict of str to float
        Shares of cells whose error is below the calibrated median and ninth decile; empty without
        a calibration.
    outside : int or None
        Cells that the range of the card rules out; None without one.
    """

    network: Evaluation
    references: dict[str, Evaluation]
    spread: np.ndarray
    spearman: float
    within: dict[str, float]
    outside: int | None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        r2 = [[None if np.isnan(x) else float(x) for x in row] for row in self.network.r2]
        return {
            "cells": len(self.network.error),
            "network": self.network.as_dict(),
            "r2": {"order": list(ORDER), "values": r2},
            "references": {name: one.as_dict() for name, one in self.references.items()},
            "spread": {
                "median": _finite(np.median(self.spread)),
                "spearman": _finite(self.spearman),
                "within": self.within,
            },
            "outside_training": self.outside,
        }

    def plot(self, ax: Any = None) -> Any:
        """Error over spread, cell by cell."""
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(5.0, 4.0), layout="constrained").subplots()
        ax.loglog(100.0 * self.spread, 100.0 * self.network.error, ".", ms=3, alpha=0.5)
        ax.set(
            xlabel="spread of the prediction [%]",
            ylabel="error of C [%]",
            title=f"rank correlation {self.spearman:.2f}",
        )
        return ax


def unseen_cells(
    net: PlaneSurrogate,
    n: int,
    seed: int = 0,
    *,
    resolution: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> LabelledCells:
    """n labelled cells of the network's phases that no training by the command line sees."""
    return generate_2d(
        n,
        UNSEEN + seed,
        resolution=resolution or net.config.resolution,
        phases=net.output.phases.cpu().numpy(),
        executor=executor,
        progress=progress,
    )


def judge(net: PlaneSurrogate, cells: LabelledCells) -> PlaneJudgement:
    """Errors, counted violations, what the spread says of them, and estimates without learning."""
    predicted = net.of_cells_spread(cells)
    found = Evaluation.of(predicted.stiffness, cells.stiffness, cells.gap)
    spread = predicted.spread
    known = bool(np.isfinite(spread).all())
    within = {}
    if known and net.calibration is not None:
        median, ninety = net.calibration.expected(spread)
        within = {
            "median": float((found.error <= median).mean()),
            "ninety": float((found.error <= ninety).mean()),
        }
    pictures = net.config.inputs == "picture" and net.seen is not None
    return PlaneJudgement(
        network=found,
        references=estimates(cells),
        spread=spread,
        spearman=rank_correlation(spread, found.error) if known else float("nan"),
        within=within,
        outside=sum(x is not None for x in net.outside(cells.images)) if pictures else None,
    )


def calibrated(net: PlaneSurrogate, cells: LabelledCells) -> Calibration | None:
    """From spreads to errors by these cells; None for too few, or a network without spread."""
    predicted = net.of_cells_spread(cells)
    if len(cells) < FEWEST or not np.isfinite(predicted.spread).all():
        return None
    found = Evaluation.of(predicted.stiffness, cells.stiffness, cells.gap)
    return Calibration.of(predicted.spread, found.error)


def sweep_of(net: PlaneSurrogate, name: str, seed: int = 0) -> ThresholdSweep:
    """One random field of 5 x 5 modes at all thresholds."""
    return threshold_sweep({name: net}, random_amplitudes(SWEEP_MODES, seed), n=SWEEP_STEPS)


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
