"""Inverse design from end to end: search by the network, judge and polish by the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from matnet.errors import ConvergenceError, ParameterError
from offline.design.difference import DIFFERENT, distinct
from offline.design.limits import Limits, Verdict
from offline.design.objective import Objective
from offline.design.pictures import raster
from offline.design.polish import Point, Polisher
from offline.design.search import SearchOptions, Starts, predicted, search
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

__all__ = ["Design", "DesignOptions", "Designs", "design"]

ACCURACY = 1e-8  # of the reported stiffness
VERIFIED, POLISHED = 4, 2  # candidates per wanted design that are homogenised, and polished
Report = Callable[[str, int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignOptions:
    """What to do with the starts.

    Parameters
    ----------
    search : SearchOptions
    count : int
        Designs wanted.
    rounds : int
        Most homogenisations that polishing one design may take; 0: none.
    resolution : int, optional
        Pixels per side of the designs; default: those of the network.
    difference : float
        Least `difference` between any two designs.
    """

    search: SearchOptions = field(default_factory=SearchOptions)
    count: int = 6
    rounds: int = 25
    resolution: int | None = None
    difference: float = DIFFERENT

    def __post_init__(self) -> None:
        if self.count < 1 or self.rounds < 0:
            raise ParameterError(
                f"count is {self.count} and rounds {self.rounds}, expected at least 1 and 0."
            )
        if not 0.0 <= self.difference < 1.0:
            raise ParameterError(f"difference is {self.difference:g}, expected 0 to less than 1.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """One cell.

    Attributes
    ----------
    picture : (res, res) uint8
        Phase of each pixel, index 0 along axis 1.
    amplitudes : (m, m)
    stiffness : (3, 3)
        By the engine, Mandel 11 22 12 [unit of the phases].
    predicted : (3, 3)
        By the network for the same cell.
    objective, predicted_objective : float
        True and predicted.
    unpolished : float
        True objective of the candidate as the network left it.
    values : dict of str to float
        True value of each term of the objective.
    verdict : Verdict
        Volume, connectivity, features.
    within_bounds : bool
        Voigt's and Reuss's bound hold for `stiffness`.
    refined_change : float
        Relative change of the stiffness when the same field is drawn with twice the pixels.
    """

    picture: np.ndarray
    amplitudes: np.ndarray
    stiffness: np.ndarray
    predicted: np.ndarray
    objective: float
    predicted_objective: float
    unpolished: float
    values: dict[str, float]
    verdict: Verdict
    within_bounds: bool
    refined_change: float

    @property
    def surrogate_error(self) -> float:
        """Relative Frobenius error of `predicted`."""
        missed = np.linalg.norm(self.predicted - self.stiffness)
        return float(missed / np.linalg.norm(self.stiffness))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Designs:
    """The best designs, best first.

    Attributes
    ----------
    designs : tuple of Design
    starts : Starts
        What the search found.
    kept : int
        Starts whose pictures keep the limits.
    phases : (2, 3, 3)
    """

    designs: tuple[Design, ...]
    starts: Starts
    kept: int
    phases: np.ndarray


def design(
    net: PlaneSurrogate,
    objective: Objective,
    limits: Limits | None = None,
    options: DesignOptions | None = None,
    progress: Report | None = None,
) -> Designs:
    """Plane cells with the smallest true objective that keep the limits and differ in structure.

    Hundreds of random starts are optimised through the network. Of those that keep the limits the
    best distinct ones are homogenised, the best of these polished with the engine's own
    derivatives, and ranked by their true objective.

    Parameters
    ----------
    net : PlaneSurrogate
        Its phases are those of the designs.
    objective : Objective
    limits : Limits, optional
        Default: none.
    options : DesignOptions, optional
    progress : callable, optional
        Called with the name of the stage, what is done, what there is to do, the best objective.

    Raises
    ------
    ConvergenceError
        No design keeps the limits.
    """
    limits, options = limits or Limits(), options or DesignOptions()
    report: Report = progress or (lambda stage, done, total, best: None)
    resolution = options.resolution or net.config.resolution
    phases = net.output.phases.cpu().numpy()
    polisher = Polisher(phases, objective, limits, resolution)
    batches = -(-options.search.starts // options.search.batch)
    total = batches * options.search.steps
    starts = search(
        net,
        objective,
        limits,
        options.search,
        lambda done, best: report("network", done, total, best),
    )
    candidates, kept = _candidates(starts, limits, resolution, options)
    judged = []
    for number, index in enumerate(candidates):
        judged.append(polisher.judge(starts.amplitudes[index], float(starts.c0[index])))
        best = min(point.objective for point in judged)
        report("homogenisation", number + 1, len(candidates), best)
    judged = sorted(judged, key=lambda point: point.rank)[: POLISHED * options.count]
    pairs = []
    for number, point in enumerate(judged):
        pairs.append((point, polisher.polish(point, options.rounds)))
        report("polishing", number + 1, len(judged), min(after.objective for _, after in pairs))
    found = _selected(pairs, options)
    if not found:
        raise ConvergenceError(
            f"None of {options.search.starts} starts led to a cell that keeps the limits "
            f"({_wish(limits)}). Use more starts, another seed or looser limits."
        )
    return Designs(
        designs=_described(net, objective, limits, found, resolution),
        starts=starts,
        kept=kept,
        phases=phases,
    )


def _candidates(
    starts: Starts, limits: Limits, resolution: int, options: DesignOptions
) -> tuple[list[int], int]:
    """Distinct starts, those that keep the limits first; and how many keep them."""
    pictures = [
        raster(a, float(c0), resolution) for a, c0 in zip(starts.amplitudes, starts.c0, strict=True)
    ]
    violation = np.array([limits.violation(picture) for picture in pictures])
    order = [int(i) for i in np.lexsort((starts.objective, violation))]
    few = islice(distinct(pictures, order, options.difference), VERIFIED * options.count)
    return list(few), int((violation == 0.0).sum())


def _selected(
    pairs: list[tuple[Point, Point]], options: DesignOptions
) -> list[tuple[Point, Point]]:
    """The best distinct ones that keep the limits, each before and after polishing."""
    ranked = sorted((pair for pair in pairs if pair[1].violation == 0.0), key=lambda p: p[1].rank)
    pictures = [after.picture for _, after in ranked]
    few = islice(distinct(pictures, range(len(ranked)), options.difference), options.count)
    return [ranked[i] for i in few]


def _described(
    net: PlaneSurrogate,
    objective: Objective,
    limits: Limits,
    found: list[tuple[Point, Point]],
    resolution: int,
) -> tuple[Design, ...]:
    """Everything that is reported, with stiffness of high accuracy, best first."""
    phases = net.output.phases.cpu().numpy()
    points = [after for _, after in found]
    stiffness = homogenize_images([p.picture for p in points], phases, tol=ACCURACY)
    finer = [raster(p.amplitudes, p.c0, 2 * resolution) for p in points]
    refined = homogenize_images(finer, phases, tol=1e-4)
    guessed = predicted(
        net, np.stack([p.amplitudes for p in points]), np.array([p.c0 for p in points])
    )
    true, promised = objective.of(stiffness), objective.of(guessed)
    result = []
    for i, (before, after) in enumerate(found):
        verdict = limits.judge(after.picture)
        gap = SpectralGap.from_phases(phases, [verdict.c0, 1.0 - verdict.c0])
        change = np.linalg.norm(refined[i] - stiffness[i]) / np.linalg.norm(stiffness[i])
        result.append(
            Design(
                picture=after.picture,
                amplitudes=after.amplitudes,
                stiffness=stiffness[i],
                predicted=guessed[i],
                objective=float(true[i]),
                predicted_objective=float(promised[i]),
                unpolished=before.objective,
                values=objective.values(stiffness[i]),
                verdict=verdict,
                within_bounds=not any(
                    bool(broken.any()) for broken in gap.violations(stiffness[i]).values()
                ),
                refined_change=float(change),
            )
        )
    return tuple(sorted(result, key=lambda one: one.objective))


def _wish(limits: Limits) -> str:
    """The limits in words."""
    low, high = limits.volume
    words = [f"c0 {low:g}" if low == high else f"c0 {low:g} to {high:g}"]
    words += [f"phase {phase} connected" for phase in limits.connected]
    if limits.feature:
        words.append(f"features of {limits.feature:g} cell edges")
    return ", ".join(words)
