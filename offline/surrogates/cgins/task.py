"""CGiNS as a training task: streamed cells, the energy loss, errors of C^H on unseen cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.rve.rve import Rve
from offline.surrogates.cgins.cell_batch import CellBatch
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.loss import energy_loss
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.predict import KIND, misfit, residuals
from offline.surrogates.cgins.predictor import CGiNSPredictor
from offline.surrogates.families import Sample
from offline.surrogates.references import References
from offline.surrogates.registry import Architecture
from offline.surrogates.stream import CellStream, DataOptions
from offline.surrogates.training import TrainOptions

__all__ = ["ARCHITECTURE", "CGiNSLoss", "CGiNSTask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CGiNSLoss:
    """What is minimised, and how it is judged.

    Parameters
    ----------
    translation : float
        The penalty on mean displacements is this times the learning rate.
    relative : bool
        Sum logarithms of energies, so that soft cells count as much as stiff ones.
    references : int
        Validation cells whose C^H is computed by the solver, once, for delta_C.

    Raises
    ------
    ParameterError
        A number is negative.
    """

    translation: float = 1.0
    relative: bool = False
    references: int = 32

    def __post_init__(self) -> None:
        for name in ("translation", "references"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected a number >= 0.")


class CGiNSTask:
    """Trains a `CGiNS` network without labels.

    Validation is the mean over unseen cells of the logarithm of the energies that the loss sums,
    on the finest grid: smaller is better for every load, whatever the cell. Beside it
    ``residual`` is the mean of ``||K u - f|| / ||f||`` and, for cells with a reference, ``delta``
    the mean and ``delta_worst`` the largest of ``||C - C_ref||_F / ||C_ref||_F`` [-].

    Parameters
    ----------
    data : DataOptions
    config : CGiNSConfig
    loss : CGiNSLoss

    Raises
    ------
    ParameterError
        The network cannot take cells of this resolution.
    """

    def __init__(self, data: DataOptions, config: CGiNSConfig, loss: CGiNSLoss) -> None:
        n = data.resolution
        reason = misfit(config, Rve(phases=np.zeros((n, n, n), dtype=np.uint8)))
        if reason is not None:
            raise ParameterError(f"the network cannot be trained on these cells: {reason}.")
        self.data, self.config, self.settings = data, config, loss
        self.training = CellStream(data)
        self.validation = CellStream(data, "validation")
        self.references = References(self.validation, loss.references)

    def module(self) -> nn.Module:
        """A fresh network."""
        return CGiNS(self.config)

    def steps(self, world: int) -> int:
        """See `TrainingTask`."""
        return self.training.steps(world)

    def batches(
        self, epoch: int, rank: int, world: int, start: int = 0
    ) -> Iterator[Sequence[Sample]]:
        """See `TrainingTask`."""
        return self.training.batches(epoch, rank, world, start)

    def prepare(self, batch: Sequence[Sample], device: torch.device) -> CellBatch:
        """Grids, operators and loads of the cells."""
        return CellBatch.of(
            [(sample.rve, sample.stiffnesses) for sample in batch],
            levels=self.config.n_grids,
            soft=self.config.soft,
            device=device,
        )

    def loss(self, module: nn.Module, batch: CellBatch, learning_rate: float) -> dict[str, Tensor]:
        """Energies relative to the Voigt mean on every grid, and the penalty on translations."""
        penalty = self.settings.translation * learning_rate
        return energy_loss(batch, module(batch), penalty, relative=self.settings.relative)

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Mean log energy, and errors of C^H where references are known."""
        device = next(module.parameters()).device
        energies, residual, effective = [], [], []
        for batch in self.validation.all_in_order():
            cells = self.prepare(batch, device)
            prediction = module(cells)
            parts = energy_loss(cells, prediction, 0.0, relative=True)
            energies += [float(parts["energy_0"])] * len(batch)
            u = prediction.displacements[0]
            residual += residuals(cells, u).mean(1).tolist()
            effective.append(cells.operator.effective(u).double().cpu().numpy())
        result = {"validation": float(np.mean(energies)), "residual": float(np.mean(residual))}
        return result | self.references.errors(np.concatenate(effective))

    def card(self) -> dict[str, Any]:
        """See `TrainingTask`."""
        return {
            "kind": KIND,
            "config": asdict(self.config),
            "loss": asdict(self.settings),
            "data": self.data.card(),
        }


ARCHITECTURE = Architecture(
    name=KIND,
    about="sparse periodic U-Nets with an embedded solver, trained without labels",
    settings=(CGiNSConfig, CGiNSLoss),
    recipe=TrainOptions(epochs=150, learning_rate=1e-3, warm_up=100),
    batch=16,
    make_task=CGiNSTask,
    predictor=CGiNSPredictor.load,
)
