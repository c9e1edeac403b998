"""What tasks on labelled cells share: random orders, whole batches, the card."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError

__all__ = ["LabelledTask", "generator"]

Batch = TypeVar("Batch")


class LabelledTask(ABC, Generic[Batch]):
    """The part of `offline.surrogates.training.TrainingTask` that knows cells by number only.

    Parameters
    ----------
    n_cells : int
    batch : int
        Cells per process and step, at least 2.
    augment : bool
    seed : int
        Of orders and of what augments.
    members : int
        Networks that are trained side by side.
    data : mapping, optional
        How the cells were made, for the card.
    """

    def __init__(
        self,
        n_cells: int,
        *,
        batch: int,
        augment: bool,
        seed: int,
        members: int,
        data: Mapping[str, Any] | None,
    ) -> None:
        if batch < 2:
            raise ParameterError(f"batch is {batch}, expected at least 2 (batch norm).")
        self.n_cells, self.batch, self.augment = n_cells, batch, augment
        self.seed, self.members = seed, members
        self.data = {} if data is None else {"data": dict(data)}

    def steps(self, world: int) -> int:
        """Batches per epoch and process; what does not fill a batch waits for another epoch."""
        count = self.n_cells // (self.batch * world)
        if count == 0:
            raise ParameterError(
                f"{self.n_cells} cells do not fill {world} x {self.batch}. Take a smaller batch."
            )
        return count

    def batches(self, epoch: int, rank: int, world: int, start: int = 0) -> Iterator[Batch]:
        """Batches of one epoch in a random order."""
        order = torch.randperm(self.n_cells, generator=generator(self.seed, epoch))
        for step in range(start, self.steps(world)):
            first = (step * world + rank) * self.batch
            yield self._batch(order[first : first + self.batch], epoch, step * world + rank)

    def card(self) -> dict[str, Any]:
        """Network, data and batches."""
        return {
            **self._network_card,
            **self.data,
            "cells": self.n_cells,
            "batch": self.batch,
            "augment": self.augment,
            "data_seed": self.seed,
            "range": self._range,
        }

    @abstractmethod
    def _batch(self, index: Tensor, epoch: int, number: int) -> Batch:
        """Cells by number, augmented as this batch of this epoch always is."""

    @cached_property
    @abstractmethod
    def _network_card(self) -> dict[str, Any]:
        """Kind and configuration."""

    @cached_property
    @abstractmethod
    def _range(self) -> dict[str, Any]:
        """What the cells cover."""


def generator(*numbers: int) -> torch.Generator:
    """A generator whose stream depends on all the numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator().manual_seed(seed)
