"""How good a network in space is on cells it has never seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.surrogates.voigt_reuss.calibration import rank_correlation
from offline.surrogates.voigt_reuss.judge import UNSEEN
from offline.surrogates.voigt_reuss.space.cells import SpaceCells, generate_3d
from offline.surrogates.voigt_reuss.space.compare import space_estimates
from offline.surrogates.voigt_reuss.space.evaluation import SpaceEvaluation
from offline.surrogates.voigt_reuss.space.phases import contrasts
from offline.surrogates.voigt_reuss.space.seen import outside
from offline.surrogates.voigt_reuss.space.surrogate import SpaceSurrogate

__all__ = ["SpaceJudgement", "judge", "unseen_cells"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpaceJudgement:
    """A network on labelled cells.

    Attributes
    ----------
    network : SpaceEvaluation
        Of predictions averaged over the symmetries of the cube.
    references : dict of str to SpaceEvaluation
        See `compare.space_estimates`.
    spread : (n,)
        Relative uncertainty of each cell.
    spearman : float
        Rank correlation of spread and error.
    outside : int or None
        Cells that the range of the card rules out; None without one.
    """

    network: SpaceEvaluation
    references: dict[str, SpaceEvaluation]
    spread: np.ndarray
    spearman: float
    outside: int | None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "cells": len(self.network.error),
            "network": _finite(self.network.as_dict()),
            "references": {name: _finite(one.as_dict()) for name, one in self.references.items()},
            "spread": _finite({"median": float(np.median(self.spread)), "spearman": self.spearman}),
            "outside_training": self.outside,
        }


def unseen_cells(
    n: int, seed: int, *, resolution: int, progress: Callable[[int], None] | None = None
) -> SpaceCells:
    """n labelled cells, one per image, that no training by the command line sees."""
    return generate_3d(n, UNSEEN + seed, resolution=resolution, contrasts=1, progress=progress)


def judge(net: SpaceSurrogate, cells: SpaceCells) -> SpaceJudgement:
    """Errors, counted violations, what the spread says of them, and estimates without learning."""
    predicted = net.of_cells_spread(cells)
    found = SpaceEvaluation.of(predicted.stiffness, cells.stiffness, cells.gap)
    strange = None
    if net.seen is not None:
        rows = cells.descriptors[cells.image]
        reasons = outside(net.seen, rows, contrasts(cells.moduli))
        strange = sum(reason is not None for reason in reasons)
    return SpaceJudgement(
        network=found,
        references=space_estimates(cells),
        spread=predicted.spread,
        spearman=rank_correlation(predicted.spread, found.error),
        outside=strange,
    )


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
