"""Plane cells as a task of the training harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.surrogates.voigt_reuss.cells import LabelledCells
from offline.surrogates.voigt_reuss.labelled_task import LabelledTask, generator
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


class PlaneTask(LabelledTask[PlaneBatch]):
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
        super().__init__(
            len(cells), batch=batch, augment=augment, seed=seed, members=members, data=data
        )
        self.config, self.output = config, output
        self._cells = cells
        self.phases, self.validation = cells.phases, validation
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

    @cached_property
    def _network_card(self) -> dict[str, Any]:
        return PlaneSurrogate(self.config, self.output, self.phases, self.members).card()

    @cached_property
    def _range(self) -> dict[str, Any]:
        return TrainingRange.of_pictures(self._cells.images).as_dict()

    def _batch(self, index: Tensor, epoch: int, number: int) -> PlaneBatch:
        inputs, labels = self._inputs[index], self._labels[index]
        if self.augment:
            random = generator(self.seed, epoch, number + 1)
            turn = torch.randint(0, self.turns, (len(index),), generator=random)
            inputs, labels = turn_pictures(inputs, turn), turn_stiffness(labels, turn)
            if self.config.inputs == "picture":
                side = self.config.resolution
                steps = torch.randint(0, side, (len(index), 2), generator=random)
                inputs = shift_pictures(inputs, steps)
        return PlaneBatch(inputs, self._auxiliary[index], labels)
