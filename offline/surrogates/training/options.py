"""How a surrogate is trained, and what training returns."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from matnet.errors import ParameterError

__all__ = [
    "DEVICES",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "Progress",
    "TrainOptions",
    "TrainResult",
]

OPTIMIZERS = ("adam", "adamw", "muon", "sgd")
SCHEDULES = ("cosine", "one-cycle", "plateau", "constant")
PRECISIONS = ("float32", "mixed")
DEVICES = ("auto", "cpu", "cuda")
# these may change when a run is taken up again: they do not belong to what is computed
# (of the weights to begin with, the checksum does, not the path)
FREE = ("device", "checkpoint_steps", "checkpoint_minutes", "minutes", "tensorboard", "start")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a surrogate is trained.

    Parameters
    ----------
    epochs : int
    learning_rate : float
        The largest of the schedule.
    warm_up : int
        Steps over which the learning rate rises linearly from zero (cosine, plateau, constant).
    schedule : {"cosine", "one-cycle", "plateau", "constant"}
        See `schedule.learning_rate`.
    optimizer : {"adam", "adamw", "muon", "sgd"}
        Muon for weights with AdamW for the rest, see `optimizer.MuonAdam`.
    weight_decay, momentum : float
        Momentum is that of SGD.
    precision : {"float32", "mixed"}
        Mixed: bfloat16 where the device has it, else float16 with loss scaling, by autocast.
    clip : float, optional
        Largest norm of the gradient; longer ones are shortened. None: never.
    most_skipped : int
        Steps in a row whose loss or gradient may be not finite; they are skipped.
    seed : int
        Of the first weights and of everything random in the module.
    device : {"auto", "cpu", "cuda"}
    checkpoint_steps : int
        Steps between checkpoints, 0: only by time and at the end of each epoch.
    checkpoint_minutes : float
    minutes : float, optional
        Time for training, over all resumed runs. The schedule then runs with the time where that
        is further on than the steps, so that it ends when the time does.
    tensorboard : bool
        Write event files for TensorBoard.
    start : path, optional
        Weights to begin with instead of random ones (fine-tuning), of a module with equal tensors.

    Raises
    ------
    ParameterError
        A value is unknown or out of range.
    """

    epochs: int = 20
    learning_rate: float = 1e-3
    warm_up: int = 100
    schedule: str = "cosine"
    optimizer: str = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    precision: str = "float32"
    clip: float | None = 1.0
    most_skipped: int = 10
    seed: int = 0
    device: str = "auto"
    checkpoint_steps: int = 0
    checkpoint_minutes: float = 10.0
    minutes: float | None = None
    tensorboard: bool = True
    start: str | Path | None = None

    def __post_init__(self) -> None:
        _require_one_of("schedule", self.schedule, SCHEDULES)
        _require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        _require_one_of("precision", self.precision, PRECISIONS)
        _require_one_of("device", self.device, DEVICES)
        for name in ("epochs", "learning_rate", "checkpoint_minutes"):
            _require(name, getattr(self, name), getattr(self, name) > 0, "a positive number")
        for name in ("warm_up", "most_skipped", "seed", "checkpoint_steps", "weight_decay"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "a number >= 0")
        _require("momentum", self.momentum, 0 <= self.momentum < 1, "a number in [0, 1)")
        for name in ("clip", "minutes"):
            if (value := getattr(self, name)) is not None:
                _require(name, value, value > 0, "a positive number")

    def fixed(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {key: value for key, value in asdict(self).items() if key not in FREE}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training is, after a step."""

    epoch: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    validation: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainResult:
    """Trained weights and how they came about.

    Attributes
    ----------
    module : torch.nn.Module
        With the last weights, on the training device.
    status : {"finished", "out of time"}
    epochs, steps : int
        Done, over all resumed runs; an epoch cut short counts as one.
    seconds : float
        Training time over all resumed runs.
    best, best_epoch : float, int
        Smallest validation and the epoch (from 1) it came after; infinite and 0 without one.
    history : tuple of dict
        One row per epoch, as in metrics.csv.
    folder : Path
        With final.safetensors, best.safetensors, their cards, metrics.csv and checkpoint.pt.
    """

    module: nn.Module = field(repr=False)
    status: str
    epochs: int
    steps: int
    seconds: float
    best: float
    best_epoch: int
    history: tuple[dict[str, float], ...] = field(repr=False)
    folder: Path


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParameterError(f"{name} is '{value}', expected one of {', '.join(known)}.")


def _require(name: str, value: float, holds: bool, wanted: str) -> None:
    if isinstance(value, bool) or not holds or math.isnan(value):
        raise ParameterError(f"{name} is {value}, expected {wanted}.")
