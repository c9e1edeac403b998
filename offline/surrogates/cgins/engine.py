"""The solver ``cgins``: a learned start, then conjugate gradients to the asked tolerance.

The network cannot make the result wrong, only the way to it shorter or longer: the engine ``auto``
goes on until the tolerance is met, from wherever it begins.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from matnet.errors import FileFormatError
from offline.homogenization.options import SolverOptions
from offline.homogenization.pcg import Progress, Solution
from offline.rve.rve import Rve
from offline.surrogates import weights
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.predict import KIND, batch_of, load_network, misfit
from offline.surrogates.cgins.stiffness import to_displacement

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["LearnedStart", "NoLearnedStartWarning", "choose", "learned_start"]


class NoLearnedStartWarning(UserWarning):
    """No weights fit a cell, so that the solver began at zero."""


class LearnedStart:
    """An engine, see `offline.homogenization.engines`: a network's displacement is the start.

    Parameters
    ----------
    stem : path, optional
        Weights to use. Default: of the shipped ones those that fit the cell best.

    Raises
    ------
    FileFormatError
        Weights were named and cannot be read; shipped ones that cannot are passed over.
    """

    def __init__(self, stem: str | Path | None = None) -> None:
        self.stem = None if stem is None else Path(stem)

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
        rve = operator.solver.rve
        if self.stem is None:
            stem, reason = choose(rve, weights.shipped(KIND))
        else:
            stem, reason = self.stem, misfit(_network(self.stem).config, rve)
        found = None
        if stem is not None and reason is None:
            found = learned_start(_network(stem), operator)
            reason = f"network {stem.stem} predicts values that are not finite"
        if found is None:
            warnings.warn(
                f"no learned start: {reason}. Iterations begin at zero; the result is the same.",
                NoLearnedStartWarning,
                stacklevel=2,
            )
        return found


def learned_start(network: CGiNS, operator: CellOperator) -> np.ndarray | None:
    """What `network` says about the cell of `operator`, as a field (n_nodes, 18).

    None if it is not finite: weights can be bad, the solver need not suffer.
    """
    solver = operator.solver
    stiffness = np.where(solver.void[:, None, None], 0.0, operator.stiffness)
    cell = replace(solver.rve, orientations=None)  # the stiffness is in the cell's frame already
    batch = batch_of(network, [(cell, stiffness)])
    with torch.no_grad():
        u = to_displacement(network(batch).displacements[0], batch.grid)[0]
    return solver.pack(u) if np.isfinite(u).all() else None


def choose(rve: Rve, stems: list[Path]) -> tuple[Path | None, str | None]:
    """Of some weights those that fit a cell best, or why none does.

    Among those whose halvings the shape allows, the ones trained nearest to the cell's resolution;
    then those trained on most families.
    """
    reason = "no weights are shipped, train some with `matnet surrogate train cgins`"
    fitting: list[tuple[float, int, Path]] = []
    for stem in stems:
        try:
            config, data = _described(stem)
        except FileFormatError as error:
            reason = str(error).rstrip(".")
            continue
        unfit = misfit(config, rve)
        if unfit is not None:
            reason = f"of the shipped network {stem.name}, {unfit}"
            continue
        resolution = float(data.get("resolution", 0) or 1.0)
        distance = abs(np.log(max(rve.shape) / resolution))
        fitting.append((float(distance), -len(data.get("families", ())), stem))
    if not fitting:
        return None, reason
    return min(fitting)[2], None


def _described(stem: Path) -> tuple[CGiNSConfig, dict[str, Any]]:
    """Configuration and data of a card."""
    card = weights.load(stem, kind=KIND).card
    data = card.get("data", {})
    return CGiNSConfig.from_dict(card.get("config")), data if isinstance(data, dict) else {}


@lru_cache(maxsize=8)
def _network(stem: Path) -> CGiNS:
    return load_network(stem)
