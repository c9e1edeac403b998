"""What an architecture gives the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

__all__ = ["TrainingTask"]


class TrainingTask(Protocol):
    """A module, its batches and its losses; `train` does the rest.

    One process calls the methods in any order. With several processes (`torchrun`) each has its
    own copy, and `rank` of `world` says which share of the batches is its own.
    """

    def module(self) -> nn.Module:
        """The module to train, freshly initialised, on the CPU.

        `train` seeds torch before the call, so that equal seeds give equal weights.
        """
        ...

    def steps(self, world: int) -> int:
        """Batches per epoch and process, the same for every process."""
        ...

    def batches(self, epoch: int, rank: int, world: int, start: int = 0) -> Iterator[Any]:
        """The batches of one epoch (from 0) for process `rank`, from batch `start` on.

        A function of its arguments alone: `train` resumes within an epoch by `start`.
        """
        ...

    def prepare(self, batch: Any, device: torch.device) -> Any:
        """What `loss` needs of a batch, on the device.

        Called in a background thread while earlier batches are trained on, without drawing from
        torch's global random numbers.
        """
        ...

    def loss(self, module: nn.Module, batch: Any, learning_rate: float) -> dict[str, Tensor]:
        """Scalars of one batch, means over its cells; ``"loss"`` is differentiated.

        `module` may be a wrapper for several processes: call it, do not reach into it. `batch`
        comes from `prepare`. `learning_rate` is that of this step, for penalties tied to it. With
        mixed precision this runs under autocast: parts that need all digits, such as a solver,
        switch it off for themselves.
        """
        ...

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Numbers after an epoch; ``"validation"`` decides which weights are best (smallest).

        The bare module, in evaluation mode, without gradients.
        """
        ...

    def card(self) -> dict[str, Any]:
        """What the weights' card says: ``kind``, ``config``, data; JSON values.

        A run is taken up again only by a task with an equal card.
        """
        ...
