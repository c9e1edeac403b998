"""The state of a run on disk, so that it can be killed at any time and go on."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError
from offline.surrogates.training.schedule import Plateau

__all__ = ["RunState", "read_checkpoint", "write_checkpoint"]

FORMAT = "matnet-surrogate-checkpoint 1"


@dataclass(slots=True)
class RunState:
    """Where a run is.

    Attributes
    ----------
    epoch, done : int
        Finished epochs, and finished steps of the present one.
    step : int
        Finished steps in all.
    seconds : float
        Training time so far.
    skipped : int
        Steps without finite loss in a row, up to now.
    sums : dict
        Sums of the losses over the steps of the present epoch.
    plateau : Plateau
    best, best_epoch : float, int
        Smallest validation so far, and the epoch (from 1) after which it came.
    history : list of dict
        One row per finished epoch.
    """

    epoch: int = 0
    done: int = 0
    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    plateau: Plateau = field(default_factory=Plateau)
    best: float = float("inf")
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def write_checkpoint(
    path: Path, state: RunState, parts: dict[str, Any], identity: dict[str, Any]
) -> None:
    """Write the run; the file before it stays until the new one is whole.

    Parameters
    ----------
    path : Path
    state : RunState
    parts : dict
        Objects with `state_dict`: module, optimiser, loss scaling.
    identity : dict
        What another run must share to take this one up; JSON values.
    """
    content = {
        "format": FORMAT,
        "identity": json.dumps(identity, sort_keys=True),
        "state": asdict(state),
        "parts": {name: part.state_dict() for name, part in parts.items()},
    }
    with whole_file(path) as beside:
        torch.save(content, beside)


def read_checkpoint(
    path: Path, parts: dict[str, Any], identity: dict[str, Any], device: torch.device
) -> RunState:
    """Fill the parts from the file and return where the run was.

    Raises
    ------
    FileFormatError
        The file is damaged or no checkpoint.
    ParameterError
        It belongs to a run with other options; the message names the first difference.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        if content["format"] != FORMAT:
            raise KeyError(content["format"])
        theirs = json.loads(content["identity"])
        state = RunState(**{**content["state"], "plateau": Plateau(**content["state"]["plateau"])})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.PickleError):
        raise FileFormatError(
            f"{path}: no readable checkpoint. Remove it, or start anew with --force."
        ) from None
    _require_same(path, theirs, json.loads(json.dumps(identity)))
    for name, part in parts.items():
        part.load_state_dict(content["parts"][name])
    return state


def _require_same(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    before, now = _flat(theirs), _flat(ours)
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise ParameterError(
                f"{path}: belongs to a run with {key} = {before.get(key)}, asked is "
                f"{now.get(key)}. Choose another folder, or start anew with --force."
            )


def _flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat
