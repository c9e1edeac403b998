"""Cells in space as a task of the training harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.morphology import CUBE
from offline.surrogates.voigt_reuss.labelled_task import LabelledTask, generator
from offline.surrogates.voigt_reuss.space.cells import SpaceCells
from offline.surrogates.voigt_reuss.space.networks import SpaceConfig, SpaceNet, standardisation
from offline.surrogates.voigt_reuss.space.outputs import SpaceOutput
from offline.surrogates.voigt_reuss.space.phases import swapped_contrasts
from offline.surrogates.voigt_reuss.space.seen import range_of_images
from offline.surrogates.voigt_reuss.space.surrogate import SpaceSurrogate
from offline.surrogates.voigt_reuss.space.symmetry import (
    swap_descriptors,
    turn_descriptors,
    turn_stiffness,
    turn_voxels,
)

__all__ = ["SpaceBatch", "SpaceTask"]


@dataclass(frozen=True, slots=True, eq=False)
class SpaceBatch:
    """Inputs (b, d) or (b, r, r, r), ratios (b, 3), fraction (b,), labels (b, 6, 6)."""

    inputs: Tensor
    ratios: Tensor
    fraction: Tensor
    labels: Tensor


class SpaceTask(LabelledTask[SpaceBatch]):
    """Train a `SpaceSurrogate` on labelled cells (`offline.surrogates.training.TrainingTask`).

    Every cell is shown in one of the 48 symmetries of the cube, with its phases exchanged or not
    and, as voxels, with a periodic shift, drawn anew each time: all are free, exact labels.

    Parameters
    ----------
    cells, validation : SpaceCells
    config : SpaceConfig
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
        cells: SpaceCells,
        validation: SpaceCells,
        config: SpaceConfig,
        output: str = "voigt-reuss",
        *,
        batch: int = 256,
        augment: bool = True,
        seed: int = 0,
        members: int = 1,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        if config.inputs == "voxels" and cells.resolution != config.resolution:
            raise ParameterError(
                f"cells have {cells.resolution} voxels per axis, the network takes "
                f"{config.resolution}."
            )
        super().__init__(
            len(cells), batch=batch, augment=augment, seed=seed, members=members, data=data
        )
        self.config, self.output = config, output
        self._descriptors = cells.descriptors
        self.validation = validation
        described = config.inputs == "descriptors"
        self._scaling = standardisation(cells.descriptors) if described else None
        source = cells.descriptors if described else cells.images
        self._inputs = torch.tensor(source, dtype=torch.float32 if described else torch.uint8)
        self._image = torch.tensor(cells.image)
        self._ratios = torch.tensor(cells.ratios, dtype=torch.float32)
        self._fraction = torch.tensor(cells.fraction, dtype=torch.float32)
        self._layer = SpaceOutput(output)
        labels = self._layer.label(cells.stiffness, cells.moduli, cells.fraction)
        self._labels = torch.tensor(labels)

    def module(self) -> nn.Module:
        """A fresh `SpaceSurrogate`, its inputs standardised by the training cells."""
        surrogate = SpaceSurrogate(self.config, self.output, self.members)
        if self._scaling is not None:
            mean, scale = map(torch.tensor, self._scaling)
            for net in (surrogate.net, *surrogate.others):
                assert isinstance(net, SpaceNet)
                net.mean.copy_(mean)
                net.scale.copy_(scale)
        return surrogate

    def prepare(self, batch: SpaceBatch, device: torch.device) -> SpaceBatch:
        """The batch on the device, inputs as float32."""
        return SpaceBatch(
            batch.inputs.to(device).float(),
            batch.ratios.to(device),
            batch.fraction.to(device),
            batch.labels.to(device),
        )

    def loss(self, module: nn.Module, batch: SpaceBatch, learning_rate: float) -> dict[str, Tensor]:
        """The output layer's loss."""
        raw = module(batch.inputs, batch.ratios, batch.fraction)
        with torch.autocast(raw.device.type, enabled=False):
            labels = batch.labels.repeat(self.members, 1, 1)
            return {"loss": self._layer.to(raw.device).loss(raw.float(), labels)}

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Errors on the validation cells, one pass each; the mean error decides."""
        assert isinstance(module, SpaceSurrogate)
        found = module.evaluate(self.validation).as_dict()
        return {"validation": found["mean_error"], **found}

    @cached_property
    def _network_card(self) -> dict[str, Any]:
        return SpaceSurrogate(self.config, self.output, self.members).card()

    @cached_property
    def _range(self) -> dict[str, Any]:
        return range_of_images(self._descriptors).as_dict()

    def _batch(self, index: Tensor, epoch: int, number: int) -> SpaceBatch:
        inputs, labels = self._inputs[self._image[index]], self._labels[index]
        ratios, fraction = self._ratios[index], self._fraction[index]
        if self.augment:
            random = generator(self.seed, epoch, number + 1)
            turn = torch.randint(0, len(CUBE), (len(index),), generator=random)
            swap = torch.rand(len(index), generator=random) < 0.5
            labels = turn_stiffness(labels, turn)
            ratios = torch.where(swap[:, None], swapped_contrasts(ratios), ratios)
            fraction = torch.where(swap, 1.0 - fraction, fraction)
            if self.config.inputs == "descriptors":
                inputs = swap_descriptors(turn_descriptors(inputs, turn), swap)
            else:
                inputs = torch.where(swap[:, None, None, None], 1 - inputs, inputs)
                inputs = turn_voxels(_shifted(inputs, random), turn)
        return SpaceBatch(inputs, ratios, fraction, labels)


def _shifted(images: Tensor, random: torch.Generator) -> Tensor:
    """All images (n, r, r, r), each by its own periodic shift."""
    steps = torch.randint(0, images.shape[-1], (len(images), 3), generator=random).tolist()
    return torch.stack([i.roll(s, (0, 1, 2)) for i, s in zip(images, steps, strict=True)])
