"""Surrogates of any architecture on the same unseen cells, family by family."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.errors import FileFormatError, MatnetError, ParameterError
from offline.surrogates.dense.predict import DensePredictor
from offline.surrogates.evaluation.evaluate import EvaluationOptions
from offline.surrogates.evaluation.exam import Exam, Marks
from offline.surrogates.evaluation.predictor import Predictor, load_predictor
from offline.surrogates.families import family_names
from offline.surrogates.symmetrise import symmetrise

__all__ = [
    "Contest",
    "Entrant",
    "Outcome",
    "common_resolution",
    "contest",
    "entrants",
    "families_seen_by_none",
]

# what a network trained on one family has seen of another
DRAWN_FROM = {"mixed": ("truss", "tpms", "psl")}
KINDS_OF = {"truss-types": "truss", "shell-types": "psl"}  # some of the other's kinds of cells
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entrant:
    """A trained network, or why it is none.

    Attributes
    ----------
    name : str
        Of the run, unique in the contest.
    predictor : Predictor or None
    reason : str or None
        Why it was refused.
    """

    name: str
    predictor: Predictor | None = None
    reason: str | None = None

    @property
    def card(self) -> Mapping[str, Any]:
        """Of the weights; empty if refused."""
        return {} if self.predictor is None else self.predictor.card

    def seen(self, family: str) -> str:
        """Whether cells of a family were in its training: ``yes``, ``no`` or ``partly``."""
        trained = _with_parts((self.card.get("data") or {}).get("families", ()))
        if family in trained:
            return "yes"
        wanted = _with_parts([family])
        akin = {KINDS_OF.get(name) for name in wanted}
        akin |= {kinds for kinds, whole in KINDS_OF.items() if whole in wanted}
        return "partly" if trained & (wanted | akin) else "no"


def _with_parts(names: Iterable[str]) -> set[str]:
    return {part for name in names for part in (name, *DRAWN_FROM.get(name, ()))}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One network on one family.

    Attributes
    ----------
    entrant, family : str
    seen : {"yes", "no", "partly"}
        Whether the family was in training.
    marks : tuple of Marks
        A cell each; empty if refused.
    seconds : (n,)
        Of each prediction, one cell at a time [s].
    iterations_zero : (n,) int
        Jacobi-PCG steps from zero.
    reason : str or None
        Why the network cannot take these cells.
    """

    entrant: str
    family: str
    seen: str
    marks: tuple[Marks, ...] = ()
    seconds: np.ndarray
    iterations_zero: np.ndarray
    reason: str | None = None

    def values(self, mark: str) -> np.ndarray:
        """One mark of every cell (n,); empty where the network predicts no displacements."""
        found = [getattr(marks, mark) for marks in self.marks]
        return np.array([x for x in found if x is not None], dtype=float)

    def saved(self) -> float | None:
        """Mean share of the steps from zero that the prediction saves; negative if it costs."""
        left = self.values("iterations")
        if not len(left):
            return None
        return float((1.0 - left / np.maximum(self.iterations_zero, 1)).mean())

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        found: dict[str, Any] = {
            "entrant": self.entrant,
            "family": self.family,
            "in_training": self.seen,
            "reason": self.reason,
        }
        if self.reason is None:
            for mark in ("delta", "components", "residual", "iterations"):
                found[mark] = _statistics(self.values(mark))
            found["iterations_zero"] = _statistics(self.iterations_zero)
            found["iterations_saved"] = self.saved()
            found["seconds"] = _statistics(self.seconds)
            found["cells"] = [asdict(marks) for marks in self.marks]
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contest:
    """Everything that was found.

    Attributes
    ----------
    entrants : tuple of Entrant
    options : EvaluationOptions
        Families in order, resolution, cells of each family.
    outcomes : tuple of Outcome
        Families outside, entrants inside; refused entrants have none.
    seconds_solver : dict of str to float
        Family -> median seconds of our solver at tolerance 1e-8.
    """

    entrants: tuple[Entrant, ...]
    options: EvaluationOptions
    outcomes: tuple[Outcome, ...]
    seconds_solver: dict[str, float]

    def of_family(self, family: str) -> list[Outcome]:
        """The outcomes on one family, in the order of the entrants."""
        return [outcome for outcome in self.outcomes if outcome.family == family]

    def as_dict(self) -> dict[str, Any]:
        """JSON values, every cell included."""
        return {
            "options": asdict(self.options),
            "entrants": [_entrant_as_dict(entrant) for entrant in self.entrants],
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
            "seconds_solver": self.seconds_solver,
            "version": matnet.__version__,
        }


def entrants(paths: Sequence[str | Path], device: str = "auto") -> tuple[Entrant, ...]:
    """Load runs; those that cannot be used are entered with the reason.

    Parameters
    ----------
    paths : sequence of path
        Folders of runs, or weights files.
    device : str
        See `load_predictor`.

    Raises
    ------
    FileFormatError
        None can be used; the message is the first one's.
    """
    found = []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            found.append(Entrant(name=name, predictor=load_predictor(path, device)))
        except FileFormatError as error:
            found.append(Entrant(name=name, reason=str(error)))
    if all(entrant.predictor is None for entrant in found):
        raise FileFormatError(found[0].reason if found else "no runs were named to compare.")
    return tuple(found)


def families_seen_by_none(some: Sequence[Entrant]) -> tuple[str, ...]:
    """The families that were in the training of none.

    Raises
    ------
    ParameterError
        There is no such family.
    """
    able = [entrant for entrant in some if entrant.predictor is not None]
    names = tuple(
        name for name in family_names() if all(entrant.seen(name) == "no" for entrant in able)
    )
    # cells drawn from other families are those families' cells
    names = tuple(name for name in names if name not in {*DRAWN_FROM, *KINDS_OF})
    if not names:
        raise ParameterError(
            "every family was in the training of some run. Name the families to compare on."
        )
    return names


def common_resolution(some: Sequence[Entrant]) -> int:
    """The resolution at which all were trained.

    Raises
    ------
    ParameterError
        They differ, or a card names none.
    """
    sizes = {e.name: (e.card.get("data") or {}).get("resolution") for e in some if e.predictor}
    if len(set(sizes.values())) != 1 or None in sizes.values():
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ParameterError(
            f"runs were trained at different resolutions ({listed}). Name the one to compare at."
        )
    return int(next(iter(sizes.values())))  # type: ignore[arg-type]


def contest(
    some: Sequence[Entrant], options: EvaluationOptions, progress: Progress | None = None
) -> Contest:
    """Judge networks on the same cells of the test split.

    Parameters
    ----------
    some : sequence of Entrant
    options : EvaluationOptions
        `cells` of each of its families; `batch` and `spectrum` are not used. With `symmetrise`
        the mean over a cell's symmetries is judged, and its time counted.
    progress : callable, optional
        Called with solved cells and their number.
    """
    outcomes: list[Outcome] = []
    seconds: dict[str, float] = {}
    for number, name in enumerate(options.families):
        exams = []
        for sample in _samples(name, options):
            exams.append(Exam.of(sample))
            if progress is not None:
                done = number * options.cells + len(exams)
                progress(done, options.cells * len(options.families))
        seconds[name] = float(np.median([exam.seconds for exam in exams]))
        for entrant in some:
            if entrant.predictor is not None:
                asked = _Asked(entrant.predictor, options.symmetrise)
                outcomes.append(_outcome(entrant, asked, name, exams))
    return Contest(
        entrants=tuple(some),
        options=options,
        outcomes=tuple(outcomes),
        seconds_solver=seconds,
    )


def _samples(name: str, options: EvaluationOptions) -> Any:
    return EvaluationOptions(
        families=(name,),
        resolution=options.resolution,
        cells=options.cells,
        first=options.first,
        nu=options.nu,
    ).samples()


def _outcome(entrant: Entrant, asked: _Asked, family: str, exams: list[Exam]) -> Outcome:
    """All cells of a family by one network, one at a time."""
    marks, seconds, reason = [], [], None
    try:
        asked.answer(exams[0])  # compiles, once
        for exam in exams:
            began = time.perf_counter()
            answer = asked.answer(exam)
            seconds.append(time.perf_counter() - began)
            marks.append(
                exam.of_stiffness(answer) if answer.ndim == 2 else exam.of_displacement(answer)
            )
    except MatnetError as error:
        marks, seconds, reason = [], [], str(error)
    return Outcome(
        entrant=entrant.name,
        family=family,
        seen=entrant.seen(family),
        marks=tuple(marks),
        seconds=np.array(seconds),
        iterations_zero=np.array([exam.iterations for exam in exams[: len(marks)]]),
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A network that answers whatever it can."""

    predictor: Predictor
    symmetric: bool

    def answer(self, exam: Exam) -> np.ndarray:
        """A displacement (6, n1, n2, n3, 3), or C^H (6, 6) of a network that has none.

        Raises
        ------
        ParameterError
            The network cannot take the cell, or predicts values that are not finite.
        """
        rve, stiffnesses = exam.sample.rve, exam.sample.stiffnesses
        reason = self.predictor.misfit(rve)
        if reason is not None:
            raise ParameterError(f"the network cannot take the cells: {reason}.")
        if isinstance(self.predictor, DensePredictor) and self.predictor.says_stiffness_only:
            found = self.predictor.stiffness([(rve, stiffnesses)])[0]
        else:
            found = self.predictor.predict([(rve, stiffnesses)])[0]
            if self.symmetric:
                found = symmetrise(found, rve, stiffnesses)
        if not np.isfinite(found).all():
            raise ParameterError(
                f"the network predicts values that are not finite for cell {exam.sample.seed}."
            )
        return np.asarray(found)


def _names(paths: Sequence[str | Path]) -> list[str]:
    """Names of folders and of shipped kinds; of files, the folder's and the file's.

    Whole paths where those meet.
    """
    short = []
    for path in map(Path, paths):
        parts = path.absolute().with_suffix("" if path.suffix in WEIGHTS else path.suffix).parts
        kind = len(path.parts) == 1 and not path.with_suffix(".json").exists()
        short.append("/".join(parts[-1:] if path.is_dir() or kind else parts[-2:]))
    whole = [str(path) for path in paths]
    return [name if short.count(name) == 1 else whole[i] for i, name in enumerate(short)]


WEIGHTS = (".safetensors", ".json")


def _statistics(values: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }


def _entrant_as_dict(entrant: Entrant) -> dict[str, Any]:
    card = entrant.card
    keys = ("kind", "config", "parameters", "data", "training", "sha256")
    return {"name": entrant.name, "reason": entrant.reason, **{key: card.get(key) for key in keys}}
