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


def engine_options(command: Command) -> Command:
    """Add ``--engine`` and ``--weights`` to a verb."""
    weights = click.option(
        "--weights",
        "weights_path",
        type=click.Path(path_type=Path),
        help="Weights for the engine cgins, a file or the folder of a training. Default: the "
        "shipped ones that fit the cell best.",
    )
    engine = click.option(
        "--engine",
        type=click.Choice(["auto", "fourier", "multigrid", "cgins"]),
        default="auto",
        show_default=True,
        help="Solver: conjugate gradients with a Fourier or multigrid preconditioner; cgins starts "
        "them from a network's prediction. All go on until the tolerance is met.",
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
    if engine not in ("auto", "cgins"):
        raise ParameterError(
            f"--weights are for the engine cgins, not for '{engine}'. Leave one of the two out."
        )
    from offline.surrogates.cgins.predict import load_network
    from offline.surrogates.evaluation.predictor import weights_stem

    stem = weights_stem(weights_path)
    load_network(stem)
    return f"cgins:{stem}"


@contextmanager
def fallback_notes(engine: str) -> Iterator[None]:
    """Say on stderr, once, why there is no learned start: a sentence, not a warning."""
    if not engine.startswith("cgins"):
        yield
        return
    from offline.surrogates.cgins.engine import NoLearnedStartWarning

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
