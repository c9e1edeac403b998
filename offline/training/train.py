"""Fit a network to labels: shallow random starts, the best one grown layer by layer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from matnet.errors import ParameterError
from matnet.network import Network
from offline.training.checkpoint import Checkpoint, Stage
from offline.training.choice import Choice, Judge, cut, thinned
from offline.training.levenberg import Step, levenberg_marquardt
from offline.training.options import Candidate, History, TrainingOptions, TrainingResult
from offline.training.parameters import Layout, Point, grown
from offline.training.problem import Problem
from offline.training.refine import refine

if TYPE_CHECKING:
    from offline.labels import LabelSet

__all__ = ["Progress", "split_labels", "train"]

Progress = Callable[[str, int, int, str], None]
"""Called as ``progress(stage, done, total, note)``; the note holds the errors."""

PRUNE = 1e-7  # weights below carry no stiffness that the labels could see
SHALLOWER = 2  # layers that a judged network may lack
EVERY = 3  # iterations from one judged network to the next


def train(
    labels: LabelSet,
    options: TrainingOptions | None = None,
    *,
    checkpoint: Path | None = None,
    judge: Judge | None = None,
    refine_iterations: int = 0,
    on_progress: Progress | None = None,
) -> TrainingResult:
    """Fit a material network to the effective stiffness of a cell.

    Random shallow networks are fitted to a part of the training labels; the one with the smallest
    validation error is grown to the wanted depth, one layer and one fit at a time. Random networks
    of the full depth compete with it, and the best of all is fitted once more. The network's
    phase fractions are those of the labels, exactly.

    With a `judge`, networks of the last three depths compete: the end of each fit and every third
    iterate before it. The chain that leads by the judge is polished beside the one that leads by
    elastic error. Returned is the network with the least sum of its mean error by the judge and
    its validation error.

    Parameters
    ----------
    labels : LabelSet
    options : TrainingOptions, optional
    checkpoint : Path, optional
        File that keeps finished stages. A later call with the same labels and options goes on
        there and returns the same network, bit for bit on the same machine; a file of another run
        is replaced. Not used by "adam".
    judge : callable, optional
        Takes a network, returns its errors along inelastic paths; see `offline.selection`. With
        "adam", it only tells the errors of the one network.
    refine_iterations : int
        Iterations on elastic labels and the judge's ``residuals`` together, from the network that
        would be returned; see `offline.training.refine`. Its iterates compete as well.
    on_progress : callable, optional
        See `Progress`.

    Raises
    ------
    ParameterError
        Too few labels to split, or more phases than base nodes.
    MissingExtraError
        "adam" without PyTorch.
    """
    options = options or TrainingOptions()
    report = on_progress or (lambda stage, done, total, note: None)
    if options.optimizer == "adam":
        from offline.training.recipe import train_recipe

        alone = train_recipe(labels, options, report)
        return alone if judge is None else _told(alone, judge)
    started = time.perf_counter()
    run = _Run(labels, options, checkpoint, report, trails=judge is not None)
    starts = [run.start(i) for i in range(options.starts)]
    chains = [[min(starts, key=unseen_error)]]
    for depth in range(run.start_depth + 1, options.depth + 1):
        chains[0].append(run.grow(chains[0][-1], depth))
    chains += [[run.full_start(i)] for i in range(run.full_starts)]
    leader = min(chains, key=lambda chain: unseen_error(chain[-1]))
    if judge is None:
        stages = [*leader, run.polish(leader[-1])]
        candidates: tuple[Candidate, ...] = ()
    else:
        stages, candidates = run.chosen(chains, leader, judge, refine_iterations)
    return summary(
        stages[-1].point.network().pruned(PRUNE),
        labels,
        run.validation_indices,
        options,
        history=joined([stage.history for stage in stages]),
        starts=tuple(stage.history.training[-1] for stage in starts),
        seconds=time.perf_counter() - started,
        candidates=candidates,
    )


def _told(result: TrainingResult, judge: Judge) -> TrainingResult:
    """The result of a single run, with what the judge says of it."""
    only = Candidate(
        stage="training",
        iteration=len(result.history.loss),
        at_end=True,
        depth=result.network.depth,
        elastic=result.validation_mean,
        inelastic=tuple(float(error) for error in judge(result.network)),
        chosen=True,
    )
    return replace(result, candidates=(only,))


def blas_threads(point: Point) -> int | None:
    """One thread for small factorisations, where more cost more than they bring; else all."""
    return 1 if point.layout.n_parameters < 1000 else None


def unseen_error(stage: Stage) -> float:
    """Mean validation error at the end of a stage."""
    return stage.history.validation[-1]


def split_labels(n: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation labels, at least one of each."""
    if n < 2:
        raise ParameterError(f"{n} label is too few: training and validation need one each.")
    n_validation = min(max(1, round(fraction * n)), n - 1)
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def summary(
    network: Network,
    labels: LabelSet,
    validation: np.ndarray,
    options: TrainingOptions,
    *,
    history: History,
    starts: tuple[float, ...],
    seconds: float,
    candidates: tuple[Candidate, ...] = (),
) -> TrainingResult:
    """The result with the network's errors on all labels, training and validation apart."""
    difference = network.homogenize(labels.phase_stiffness) - labels.effective
    norm = np.linalg.norm(labels.effective, axis=(1, 2))
    errors = np.linalg.norm(difference, axis=(1, 2)) / norm
    seen = np.delete(errors, validation)
    network = network.with_card(
        elastic_error_mean=float(errors[validation].mean()),
        elastic_error_worst=float(errors[validation].max()),
        elastic_error_mean_training=float(seen.mean()),
        optimizer=options.optimizer,
        seed=options.seed,
    )
    return TrainingResult(
        network=network,
        history=history,
        train_mean=float(seen.mean()),
        train_worst=float(seen.max()),
        validation_mean=float(errors[validation].mean()),
        validation_worst=float(errors[validation].max()),
        validation_indices=validation,
        starts=starts,
        seconds=seconds,
        candidates=candidates,
    )


def joined(histories: list[History]) -> History:
    """Histories one after another."""
    names = ("loss", "training", "validation", "seconds")
    return History(
        **{name: tuple(x for part in histories for x in getattr(part, name)) for name in names}
    )


@dataclass
class _Run:
    labels: LabelSet
    options: TrainingOptions
    path: Path | None
    report: Progress
    trails: bool = False

    def __post_init__(self) -> None:
        options, labels = self.options, self.labels
        self.started = time.perf_counter()
        trained, self.validation_indices = split_labels(
            len(labels.effective), options.validation_fraction, options.seed
        )
        problem = Problem(phase_stiffness=labels.phase_stiffness, effective=labels.effective)
        self.training = problem.subset(trained)
        self.validation = problem.subset(self.validation_indices)
        self.few = self.training.subset(np.arange(min(options.start_samples, len(trained))))
        # every phase needs a base node, and a void phase needs eight to share
        enough = int(np.ceil(np.log2(len(labels.phase_names)))) + 1
        self.start_depth = min(options.depth, max(options.start_depth, enough))
        void = ~np.any(labels.phase_stiffness, axis=(0, 2, 3))
        self.layout, self.full_layout = (
            Layout.complete(options.network, depth, labels.phase_names, labels.fractions, void)
            for depth in (self.start_depth, options.depth)
        )
        layers = options.depth - self.start_depth
        self.full_starts = options.full_starts if layers else 0
        self.total = options.starts * options.start_iterations + options.max_iterations * (
            layers + 2 * self.full_starts + 2
        )
        self.done = 0
        self.checkpoint = Checkpoint.open(self.path, labels, options, self.trails)

    def start(self, index: int) -> Stage:
        """One random start of the shallow network."""
        rng = np.random.default_rng([self.options.seed, 0, index])
        alone = self.start_depth == self.options.depth  # no growth follows
        return self._stage(
            f"start {index + 1} of {self.options.starts}",
            lambda: self.layout.random_point(rng),
            self.training if alone else self.few,
            self.options.start_iterations,
        )

    def grow(self, stage: Stage, depth: int) -> Stage:
        """The network one layer deeper."""
        rng = np.random.default_rng([self.options.seed, 1, depth])
        return self._stage(
            f"depth {depth} of {self.options.depth}",
            lambda: grown(stage.point, rng),
            self.training,
            self.options.max_iterations,
        )

    def full_start(self, index: int) -> Stage:
        """One random start of the full network."""
        rng = np.random.default_rng([self.options.seed, 2, index])
        return self._stage(
            f"full start {index + 1} of {self.full_starts}",
            lambda: self.full_layout.random_point(rng),
            self.training,
            2 * self.options.max_iterations,
        )

    def polish(self, stage: Stage, name: str = "polish") -> Stage:
        """The chosen network, fitted once more to all training labels."""
        return self._stage(
            name, lambda: stage.point, self.training, 2 * self.options.max_iterations
        )

    def chosen(
        self, chains: list[list[Stage]], leader: list[Stage], judge: Judge, refinements: int
    ) -> tuple[list[Stage], tuple[Candidate, ...]]:
        """The stages that lead to the network of least inelastic error, and all that were judged.

        The chain that has it so far and the one of least elastic error are polished.
        """
        choice = Choice(judge=judge, prune=PRUNE)
        for stage in [stage for chain in chains for stage in chain]:
            if stage.trail:
                choice.add(stage)
        best, _ = choice.best(self._judging)
        favourite = next(chain for chain in chains if best in chain)
        polished = [leader] if favourite is leader else [leader, favourite]
        self.total = self.done + len(polished) * 2 * self.options.max_iterations
        for chain in polished:
            chain.append(self.polish(chain[-1], f"polish of {chain[-1].name}"))
            choice.add(chain[-1])
        stage, place = choice.best(self._judging)
        chain = next(chain for chain in chains if stage in chain)
        path = [*chain[: chain.index(stage)], cut(stage, place)]
        if refinements:
            refined = self.refine(path[-1], judge, refinements)
            choice.add(refined)
            after = choice.best(self._judging)
            if after[0] is refined:
                return [*path, cut(*after)], choice.candidates(after)
        return path, choice.candidates((stage, place))

    def refine(self, stage: Stage, judge: Any, iterations: int) -> Stage:
        """The network, fitted to the judge's simulations beside the training labels."""
        begun = np.ascontiguousarray(judge.residuals(stage.point.network()))
        digest = hashlib.sha256(begun.tobytes()).hexdigest()[:12]  # another judge, another result
        name = f"refinement of {stage.name}"
        self.total = self.done + iterations
        return self._stage(
            name,
            lambda: stage.point,
            self.training,
            iterations,
            fit=lambda problem, point, n: refine(problem, point, judge.residuals, n),
            key=f"{name} {digest} {iterations}",
            every=1,
        )

    def _judging(self, done: int, total: int, note: str) -> None:
        self.report("selection", done, total, note)

    def _stage(
        self,
        name: str,
        first: Callable[[], Point],
        problem: Problem,
        iterations: int,
        *,
        fit: Callable[[Problem, Point, int], Iterator[Step]] = levenberg_marquardt,
        key: str | None = None,
        every: int = EVERY,
    ) -> Stage:
        begin = self.done
        self.done += iterations
        kept = self.checkpoint.get(key or name)
        if kept is not None:
            return replace(kept, name=name)
        point, rows = first(), []
        points = []
        with threadpool_limits(blas_threads(point), user_api="blas"):
            for step in fit(problem, point, iterations):
                point = step.point
                points.append(point)
                rows.append(self._row(point, step.loss))
                error, unseen = 100 * rows[-1][1], 100 * rows[-1][2]
                note = f"{name}, error {error:.2f} %, validation {unseen:.2f} %"
                self.report("training", begin + len(rows), self.total, note)
        rows = rows or [self._row(point, float(np.mean(problem.errors(point) ** 2)))]
        shown = self.trails and point.layout.depth >= self.options.depth - SHALLOWER
        stage = Stage(
            point=point,
            history=History(*map(tuple, zip(*rows, strict=True))),
            name=name,
            trail=thinned(points or [point], every) if shown else (),
        )
        self.checkpoint = self.checkpoint.keep(key or name, stage)
        self.report("training", self.done, self.total, f"{name} done")
        return stage

    def _row(self, point: Point, loss: float) -> tuple[float, float, float, float]:
        return (
            loss,
            float(self.training.errors(point).mean()),
            float(self.validation.errors(point).mean()),
            time.perf_counter() - self.started,
        )
