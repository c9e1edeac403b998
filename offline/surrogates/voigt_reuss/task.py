"""Plane cells as a task of the training harness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.surrogates.voigt_reuss.cells import LabelledCells
from offline.surrogates.voigt_reuss.networks import NetConfig
from offline.surrogates.voigt_reuss.outputs import OutputLayer
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate
from offline.surrogates.voigt_reuss.symmetry import (
    SQUARE,
    invariant,
    shift_pictures,
    turn_pictures,
    turn_stiffness,
)
from offline.surrogates.voigt_reuss.training_range import TrainingRange

__all__ = ["PlaneBatch", "PlaneTask"]


@dataclass(frozen=True, slots=True, eq=False)
class PlaneBatch:
    """Inputs (b, r, r) or (b, 11, 11), auxiliary (b, 1 or 2), labels (b, 3, 3)."""

    inputs: Tensor
    auxiliary: Tensor
    labels: Tensor


class PlaneTask:
    """Train a `PlaneSurrogate` on labelled cells (`offline.surrogates.training.TrainingTask`).

    Every cell is shown with one of the eight symmetries of the square and a periodic shift, drawn
    anew each time: both are free, exact labels. Amplitudes (the descriptor-based twin) are turned
    but cannot be shifted; anisotropic phases allow shifts only.

    Parameters
    ----------
    cells, validation : LabelledCells
        Of one resolution and with the same phases.
    config : NetConfig
    output : str
        One of `outputs.OUTPUTS`.
    batch : int
        Cells per process and step.
    augment : bool
    seed : int
        Of orders, symmetries and shifts.
    members : int
        Networks of a deep ensemble, trained side by side: equal batches, different starts.
    data : mapping, optional
        How the cells were made, for the card.
    """

    def __init__(
        self,
        cells: LabelledCells,
        validation: LabelledCells,
        config: NetConfig,
        output: str = "voigt-reuss",
        *,
        batch: int = 64,
        augment: bool = True,
        seed: int = 0,
        members: int = 1,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        for name, one in (("cells", cells), ("validation", validation)):
            if config.inputs == "picture" and one.resolution != config.resolution:
                raise ParameterError(
                    f"{name} have {one.resolution} pixels per side, the network takes "
                    f"{config.resolution}."
                )
        if not np.array_equal(cells.phases, validation.phases):
            raise ParameterError("cells and validation have different phases.")
        if batch < 2:
            raise ParameterError(f"batch is {batch}, expected at least 2 (batch norm).")
        self.config, self.output, self.batch = config, output, batch
        self.augment, self.seed, self.members = augment, seed, members
        self.data = {} if data is None else {"data": dict(data)}
        self._cells = cells
        self.phases, self.n_cells, self.validation = cells.phases, len(cells), validation
        self.turns = SQUARE if invariant(cells.phases) else 1
        pictures = config.inputs == "picture"
        self._inputs = torch.tensor(cells.images if pictures else cells.amplitudes)
        self._layer = OutputLayer(output, cells.phases)
        self._labels = torch.tensor(self._layer.label(cells.stiffness, cells.c0))
        scalars = [cells.c0, cells.tau] if config.with_tau else [cells.c0]
        self._auxiliary = torch.tensor(np.stack(scalars, axis=1), dtype=torch.float32)

    def module(self) -> nn.Module:
        """A fresh `PlaneSurrogate`."""
        surrogate = PlaneSurrogate(self.config, self.output, self.phases, self.members)
        for parameter in surrogate.parameters():
            if parameter.dim() == 4:  # a tenth faster on CPUs, more on GPUs
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return surrogate

    def steps(self, world: int) -> int:
        """Batches per epoch and process; what does not fill a batch waits for another epoch."""
        count = self.n_cells // (self.batch * world)
        if count == 0:
            raise ParameterError(
                f"{self.n_cells} cells do not fill {world} x {self.batch}. Take a smaller batch."
            )
        return count

    def batches(self, epoch: int, rank: int, world: int, start: int = 0) -> Iterator[PlaneBatch]:
        """Batches of one epoch in a random order."""
        order = torch.randperm(self.n_cells, generator=_generator(self.seed, epoch))
        for step in range(start, self.steps(world)):
            first = (step * world + rank) * self.batch
            yield self._batch(order[first : first + self.batch], epoch, step * world + rank)

    def prepare(self, batch: PlaneBatch, device: torch.device) -> PlaneBatch:
        """The batch on the device, inputs as float32."""
        return PlaneBatch(
            batch.inputs.to(device).float(),
            batch.auxiliary.to(device),
            batch.labels.to(device),
        )

    def loss(self, module: nn.Module, batch: PlaneBatch, learning_rate: float) -> dict[str, Tensor]:
        """The output layer's loss."""
        raw = module(batch.inputs, batch.auxiliary)
        with torch.autocast(raw.device.type, enabled=False):
            labels = batch.labels.repeat(self.members, 1, 1)
            return {"loss": self._layer.to(raw.device).loss(raw.float(), labels)}

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Errors on the validation cells, one pass each; the mean error decides."""
        assert isinstance(module, PlaneSurrogate)
        found = module.evaluate(self.validation, symmetric=False).as_dict()
        return {"validation": found["mean_error"], **found}

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

    @cached_property
    def _network_card(self) -> dict[str, Any]:
        return PlaneSurrogate(self.config, self.output, self.phases, self.members).card()

    @cached_property
    def _range(self) -> dict[str, Any]:
        return TrainingRange.of_pictures(self._cells.images).as_dict()

    def _batch(self, index: Tensor, epoch: int, number: int) -> PlaneBatch:
        inputs, labels = self._inputs[index], self._labels[index]
        if self.augment:
            generator = _generator(self.seed, epoch, number + 1)
            turn = torch.randint(0, self.turns, (len(index),), generator=generator)
            inputs, labels = turn_pictures(inputs, turn), turn_stiffness(labels, turn)
            if self.config.inputs == "picture":
                side = self.config.resolution
                steps = torch.randint(0, side, (len(index), 2), generator=generator)
                inputs = shift_pictures(inputs, steps)
        return PlaneBatch(inputs, self._auxiliary[index], labels)


def _generator(*numbers: int) -> torch.Generator:
    """A generator whose stream depends on all the numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator().manual_seed(seed)
