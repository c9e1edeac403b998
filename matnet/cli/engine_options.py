"""The options that choose how cells are solved, for the verbs that solve cells."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from matnet.errors import ParameterError

__all__ = ["chosen_engine", "engine_options", "fallback_notes"]

Command = Callable[..., Any]
SOLVERS = ("auto", "fourier", "multigrid")
LEARNED = ("cgins", "phnet", "label-free")  # as in `offline.homogenization.engines`


def engine_options(command: Command) -> Command:
    """Add ``--engine`` and ``--weights`` to a verb."""
    weights = click.option(
        "--weights",
        "weights_path",
        type=click.Path(path_type=Path),
        help="Weights for the engines cgins, phnet and label-free, a file or the folder of a "
        "training. Default: the shipped ones that fit the cell best.",
    )
    engine = click.option(
        "--engine",
        type=click.Choice([*SOLVERS, *LEARNED]),
        default="auto",
        show_default=True,
        help="Solver: conjugate gradients with a Fourier or multigrid preconditioner; cgins, "
        "phnet and label-free start them from a network's prediction. All go on until the "
        "tolerance is met.",
    )
    return engine(weights(command))


def chosen_engine(engine: str, weights_path: Path | None) -> str:
    """The solver's name for the library; weights are read once, so that bad ones stop the verb now.

    Raises
    ------
    ParameterError
        Weights were named for another engine.
    FileFormatError
        They are missing or damaged.
    """
    if weights_path is None:
        return engine
    if engine not in ("auto", *LEARNED):
        raise ParameterError(
            f"--weights are for the engines {', '.join(LEARNED)}, not for '{engine}'. "
            "Leave one of the two out."
        )
    from offline.surrogates.evaluation.predictor import load_predictor, weights_stem

    stem = weights_stem(weights_path)
    kind = load_predictor(stem, "cpu").card["kind"]
    if engine not in ("auto", kind):
        raise ParameterError(
            f"--engine {engine}, but {stem}.json is a card of '{kind}'. Leave --engine out."
        )
    return f"{kind}:{stem}"


@contextmanager
def fallback_notes(engine: str) -> Iterator[None]:
    """Say on stderr, once, why there is no learned start: a sentence, not a warning."""
    if not engine.startswith(LEARNED):
        yield
        return
    from offline.surrogates.learned_start import NoLearnedStartWarning

    told: set[str] = set()
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if not issubclass(category, NoLearnedStartWarning):
                before(message, category, *rest, **more)
            elif str(message) not in told:
                told.add(str(message))
                print(f"Note: {message}", file=sys.stderr)

        warnings.simplefilter("always", NoLearnedStartWarning)
        warnings.showwarning = show
        yield
