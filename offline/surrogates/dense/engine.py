"""A dense network's displacement as the start of the solver, to the asked tolerance from there."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matnet.errors import FileFormatError, ParameterError
from offline.homogenization.options import SolverOptions
from offline.homogenization.pcg import Progress, Solution
from offline.surrogates import weights
from offline.surrogates.cgins.engine import NoLearnedStartWarning
from offline.surrogates.evaluation.predictor import Predictor
from offline.surrogates.registry import find_architecture

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["DenseStart"]


class DenseStart:
    """An engine, see `offline.homogenization.engines`, for any surrogate that has a predictor.

    Parameters
    ----------
    kind : str
        ``phnet`` or ``label-free``.
    stem : path, optional
        Weights to use. Default: the first shipped ones that take the cell.

    Raises
    ------
    FileFormatError
        At the start: weights were named and cannot be read; shipped ones are passed over.
    """

    def __init__(self, kind: str, stem: str | Path | None = None) -> None:
        self.kind, self.named = kind, stem is not None
        self.stems = weights.shipped(kind) if stem is None else [Path(stem)]

    def __call__(
        self,
        operator: CellOperator,
        options: SolverOptions,
        start: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Solution:
        """Solve; a `start` (n_nodes, 18) that is given takes the network's place."""
        from offline.homogenization.engines import engine

        if start is None:
            start = self.start(operator)
        return engine("auto")(operator, options, start, progress)

    def start(self, operator: CellOperator) -> np.ndarray | None:
        """The network's displacement (n_nodes, 18), or None, with a warning, if none fits."""
        reason = f"no weights are shipped, train some with `matnet surrogate train {self.kind}`"
        solver = operator.solver
        # the stiffness is in the cell's frame already
        cell = replace(solver.rve, orientations=None)
        stiffness = np.where(solver.void[:, None, None], 0.0, operator.stiffness)
        for stem in self.stems:
            try:
                u = _predictor(self.kind, stem).predict([(cell, stiffness)])[0]
            except FileFormatError as damaged:
                if self.named:
                    raise
                reason = str(damaged).rstrip(".")
                continue
            except ParameterError as unfit:
                reason = f"{stem.name}: {str(unfit).rstrip('.')}"
                continue
            if np.isfinite(u).all():
                return solver.pack(u)
            reason = f"network {stem.name} predicts values that are not finite"
        warnings.warn(
            f"no learned start: {reason}. Iterations begin at zero; the result is the same.",
            NoLearnedStartWarning,
            stacklevel=2,
        )
        return None


@lru_cache(maxsize=8)
def _predictor(kind: str, stem: Path) -> Predictor:
    found = find_architecture(kind).predictor
    assert found is not None
    return found(stem, "cpu")
