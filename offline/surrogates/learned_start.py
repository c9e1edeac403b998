"""A network's displacement as the start of the solver, which goes on to the asked tolerance.

The network cannot make the result wrong, only the way to it shorter or longer: the engine ``auto``
goes on until the tolerance is met, from wherever it begins. Predictions are averaged over the
symmetries of the cell: see `offline.surrogates.symmetrise`.
"""

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
from offline.rve.rve import Rve
from offline.surrogates import weights
from offline.surrogates.evaluation.predictor import Predictor, weights_stem
from offline.surrogates.registry import find_architecture
from offline.surrogates.symmetrise import symmetrise

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["LearnedStart", "NoLearnedStartWarning", "choose"]


class NoLearnedStartWarning(UserWarning):
    """No weights fit a cell, so that the solver began at zero."""


class LearnedStart:
    """An engine, see `offline.homogenization.engines`, for any surrogate that has a predictor.

    Parameters
    ----------
    kind : str
        One of `offline.homogenization.engines.LEARNED`.
    stem : path, optional
        Weights to use, a file or a run's folder. Default: of the shipped ones those that fit the
        cell best.

    Raises
    ------
    FileFormatError
        At the start: weights were named and cannot be read; shipped ones are passed over.
    """

    def __init__(self, kind: str, stem: str | Path | None = None) -> None:
        self.kind = kind
        self.stem = None if stem is None else weights_stem(stem)

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
        solver = operator.solver
        stems, reason = self._candidates(solver.rve)
        # the stiffness is in the cell's frame already
        cell = replace(solver.rve, orientations=None)
        stiffness = np.where(solver.void[:, None, None], 0.0, operator.stiffness)
        for stem in stems:
            try:
                u = _predictor(self.kind, stem).predict([(cell, stiffness)])[0]
            except ParameterError as unfit:
                reason = f"network {stem.name}: {str(unfit).rstrip('.')}"
                continue
            if np.isfinite(u).all():
                return solver.pack(symmetrise(u, cell, stiffness))
            reason = f"network {stem.name} predicts values that are not finite"
        warnings.warn(
            f"no learned start: {reason}. Iterations begin at zero; the result is the same.",
            NoLearnedStartWarning,
            stacklevel=2,
        )
        return None

    def _candidates(self, rve: Rve) -> tuple[list[Path], str]:
        """Weights to try, the best first, and why others are not among them."""
        if self.stem is None:
            return choose(self.kind, rve, weights.shipped(self.kind))
        reason = _predictor(self.kind, self.stem).misfit(rve)
        return ([self.stem], "") if reason is None else ([], reason)


def choose(kind: str, rve: Rve, stems: list[Path]) -> tuple[list[Path], str]:
    """Of some weights of one kind those that take a cell, the best first; why not the others.

    Those trained nearest to the cell's resolution come first; of equals those trained on most
    families.
    """
    reason = f"no weights are shipped, train some with `matnet surrogate train {kind}`"
    fitting: list[tuple[float, int, Path]] = []
    for stem in stems:
        try:
            predictor = _predictor(kind, stem)
        except FileFormatError as error:
            reason = str(error).rstrip(".")
            continue
        unfit = predictor.misfit(rve)
        if unfit is None:
            fitting.append((*_distance(predictor, rve), stem))
        else:
            reason = f"of the shipped network {stem.name}, {unfit}"
    return [stem for *_, stem in sorted(fitting)], reason


def _distance(predictor: Predictor, rve: Rve) -> tuple[float, int]:
    """Ratio of the resolutions of cell and training as a logarithm; minus the families."""
    data = predictor.card.get("data")
    data = data if isinstance(data, dict) else {}
    resolution = float(data.get("resolution", 0) or 1.0)
    return float(abs(np.log(max(rve.shape) / resolution))), -len(data.get("families", ()))


def _predictor(kind: str, stem: Path) -> Predictor:
    """Weights in use on the CPU; read again when the file has changed."""
    return _read_predictor(kind, stem, *_changed(stem))


@lru_cache(maxsize=8)
def _read_predictor(kind: str, stem: Path, *changed: int) -> Predictor:
    found = find_architecture(kind).predictor
    assert found is not None
    return found(stem, "cpu")


def _changed(stem: Path) -> tuple[int, ...]:
    """Times of the last change of both files [ns]; of none that is missing."""
    files = (Path(f"{stem}{suffix}") for suffix in (".safetensors", ".json"))
    return tuple(file.stat().st_mtime_ns for file in files if file.exists())
