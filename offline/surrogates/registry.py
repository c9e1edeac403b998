"""The architectures by name, and how their settings are read from text.

A new architecture needs a module with an `ARCHITECTURE` and one line in `ARCHITECTURES`; the
command line follows.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matnet.errors import MissingExtraError, ParameterError

if TYPE_CHECKING:
    from pathlib import Path

    from offline.surrogates.evaluation.predictor import Predictor
    from offline.surrogates.stream import DataOptions
    from offline.surrogates.training import TrainingTask, TrainOptions
    from offline.surrogates.voigt_reuss.space import SpaceSurrogate
    from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "architecture_of",
    "configured",
    "find_architecture",
]

# name -> module with an ARCHITECTURE; imported when it is asked for
ARCHITECTURES = {
    "cgins": "offline.surrogates.cgins.task",
    "label-free": "offline.surrogates.label_free.task",
    "phnet": "offline.surrogates.phnet.task",
    "voigt-reuss": "offline.surrogates.voigt_reuss.architecture",
    "voigt-reuss-3d": "offline.surrogates.voigt_reuss.space.architecture",
}
KINDS = {"voigt-reuss-2d": "voigt-reuss"}  # kinds of weights that are not named as the architecture

NONE = ("none", "null")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What the command line has to know of an architecture.

    Attributes
    ----------
    name : str
    about : str
        One line.
    settings : tuple of dataclass types
        What can be set about the module and its loss; no name in two of them.
    recipe : TrainOptions
        How it is trained unless something else is asked for.
    batch : int
        Cells per step, likewise.
    make_task : callable
        ``make_task(data, *settings)`` with an instance of each of the types.
    predictor : callable, optional
        ``predictor(stem, device)`` loads weights for `offline.surrogates.evaluation`; None for an
        architecture that predicts no displacements.
    stiffness : callable, optional
        ``stiffness(stem, device)`` loads weights that predict the stiffness itself.
    data : mapping
        Defaults of data options (resolution, cells, validation_cells) that are its own.
    own_cells : bool
        It makes its own cells and keeps them in the folder of the run instead of learning from
        families: ``make_task(data, *settings, folder=..., progress=...)``, where
        ``progress(done, total)`` hears of made cells.
    """

    name: str
    about: str
    settings: tuple[type, ...]
    recipe: TrainOptions
    batch: int
    make_task: Callable[..., TrainingTask]
    predictor: Callable[[Path, str], Predictor] | None = None
    stiffness: Callable[[Path, str], PlaneSurrogate | SpaceSurrogate] | None = None
    data: Mapping[str, int] = field(default_factory=dict)
    own_cells: bool = False

    def task(
        self,
        data: DataOptions,
        texts: Mapping[str, str],
        folder: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> TrainingTask:
        """The task for these cells with settings given as text.

        Parameters
        ----------
        data : DataOptions
        texts : mapping of str to str
        folder : path, optional
            Of the run, for an architecture with `own_cells`.
        progress : callable, optional
            Likewise.

        Raises
        ------
        ParameterError
            A setting is unknown or its value cannot be read.
        """
        settings = configured(texts, self.settings, f"'{self.name}'")
        if self.own_cells:
            return self.make_task(data, *settings, folder=folder, progress=progress)
        return self.make_task(data, *settings)


def find_architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises
    ------
    ParameterError
        The name is unknown.
    MissingExtraError
        A library that it needs is not installed.
    """
    if name not in ARCHITECTURES:
        raise ParameterError(
            f"architecture '{name}' is unknown, expected one of {', '.join(ARCHITECTURES)}."
        )
    try:
        found: Architecture = importlib.import_module(ARCHITECTURES[name]).ARCHITECTURE
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"architecture '{name}' needs '{missing.name}', which is not installed. "
            "Install it with: pip install 'matnet[offline]'"
        ) from missing
    return found


def architecture_of(kind: str) -> Architecture:
    """The architecture whose weights are of that kind, as their card says.

    Raises as `find_architecture`.
    """
    return find_architecture(KINDS.get(kind, kind))


def configured(texts: Mapping[str, str], kinds: tuple[type, ...], owner: str) -> list[Any]:
    """An instance of each dataclass with the fields that the texts name.

    Parameters
    ----------
    texts : mapping
        Field -> value as text: numbers, true or false, none, or numbers joined by commas.
    kinds : tuple of dataclass types
    owner : str
        For messages.

    Raises
    ------
    ParameterError
        No class has such a field, or the value is not of its type; the message names what is
        known. Or the class refuses the value.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Net:
    ...     depth: int = 2
    ...     soft: float | None = 1e-4
    >>> configured({"depth": "3", "soft": "none"}, (Net,), "'net'")
    [Net(depth=3, soft=None)]
    """
    homes = {f.name: kind for kind in kinds for f in dataclasses.fields(kind)}
    values: dict[type, dict[str, Any]] = {kind: {} for kind in kinds}
    for key, text in texts.items():
        if key not in homes:
            raise ParameterError(
                f"setting '{key}' is unknown to {owner}, expected one of {', '.join(homes)}."
            )
        wanted = typing.get_type_hints(homes[key])[key]
        values[homes[key]][key] = _value(key, text, wanted)
    return [kind(**values[kind]) for kind in kinds]


def _value(key: str, text: str, wanted: Any) -> Any:
    """The text as the field's type."""
    options = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    if type(None) in options and text.lower() in NONE:
        return None
    for option in options:
        try:
            return _read(text, option)
        except (ValueError, KeyError):
            continue
    expected = " or ".join(_words(option) for option in options)
    raise ParameterError(f"setting {key}={text}: expected {expected}.")


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)


def _read(text: str, kind: Any) -> Any:
    if kind is bool:
        return TRUTH[text.lower()]
    if kind in (int, float, str):
        return kind(text)
    if typing.get_origin(kind) is tuple:
        return tuple(_read(part, typing.get_args(kind)[0]) for part in text.split(","))
    raise ValueError(kind)


def _words(kind: Any) -> str:
    known = {bool: "true or false", int: "a whole number", float: "a number", type(None): "none"}
    return known.get(kind, "text" if kind is str else "values joined by commas")
