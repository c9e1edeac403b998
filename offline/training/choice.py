"""Choosing the network among all that training came by, with a judge of inelastic response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from matnet.network import Network
from offline.training.checkpoint import Stage
from offline.training.options import Candidate
from offline.training.parameters import Point

__all__ = ["Choice", "Judge"]

Judge = Callable[[Network], Sequence[float] | np.ndarray]
"""Returns the network's error along each path that the judge knows, infinite where it fails."""

NEAR = 2.0  # elastic error up to which networks on the way are judged, over the least one found


@dataclass
class Choice:
    """Stages of training and what the judge says of the networks in them.

    Parameters
    ----------
    judge : callable
        See `Judge`.
    prune : float
        Weights below are removed before a network is judged.
    """

    judge: Judge
    prune: float
    stages: list[Stage] = field(default_factory=list)
    _judged: dict[tuple[str, int], tuple[float, ...]] = field(default_factory=dict)

    def add(self, stage: Stage) -> None:
        """Let the networks of a stage compete."""
        self.stages.append(stage)

    def best(self, report: Callable[[int, int, str], None] | None = None) -> tuple[Stage, int]:
        """The stage and the place in its trail of the least sum of both mean errors.

        Considered are the ends of all stages and the networks on the way whose elastic validation
        error is at most twice the least one. Where the judge fails on all of them, the elastic
        error decides.
        """
        limit = NEAR * min(_unseen(s, i) for s in self.stages for i in range(len(s.trail)))
        places = [
            (stage, place)
            for stage in self.stages
            for place in range(len(stage.trail))
            if _unseen(stage, place) <= limit or place == len(stage.trail) - 1
        ]
        for done, (stage, place) in enumerate(places):
            self._errors(stage, place)
            if report is not None:
                report(done + 1, len(places), f"{stage.name} judged")
        # the sum, so that a doubled elastic error is not paid for a trifle
        return min(places, key=lambda at: (np.mean(self._errors(*at)) + _unseen(*at), _unseen(*at)))

    def candidates(self, chosen: tuple[Stage, int]) -> tuple[Candidate, ...]:
        """All networks that were judged."""
        return tuple(
            Candidate(
                stage=stage.name,
                iteration=stage.trail[place][0] + 1,
                at_end=place == len(stage.trail) - 1,
                depth=stage.trail[place][1].layout.depth,
                elastic=_unseen(stage, place),
                inelastic=self._judged[stage.name, place],
                chosen=stage is chosen[0] and place == chosen[1],
            )
            for stage in self.stages
            for place in range(len(stage.trail))
            if (stage.name, place) in self._judged
        )

    def _errors(self, stage: Stage, place: int) -> tuple[float, ...]:
        key = stage.name, place
        if key not in self._judged:
            network = stage.trail[place][1].network().pruned(self.prune)
            self._judged[key] = tuple(float(error) for error in self.judge(network))
        return self._judged[key]


def _unseen(stage: Stage, place: int) -> float:
    """Mean validation error of a point of the trail."""
    return stage.history.validation[stage.trail[place][0]]


def thinned(points: Sequence[Point], every: int) -> tuple[tuple[int, Point], ...]:
    """Each `every`-th point with its index, the last one always."""
    last = len(points) - 1
    return tuple((i, points[i]) for i in range(last + 1) if (last - i) % every == 0)


def cut(stage: Stage, place: int) -> Stage:
    """The stage as if it had ended at this place of its trail."""
    index, point = stage.trail[place]
    history = stage.history
    parts = (history.loss, history.training, history.validation, history.seconds)
    return replace(
        stage,
        point=point,
        history=type(history)(*(part[: index + 1] for part in parts)),
        trail=stage.trail[: place + 1],
    )
