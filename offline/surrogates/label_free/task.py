"""The label-free CNN as a training task: four losses, two of them with labels of our solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.homogenization import SolverOptions, homogenize
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.predict import DensePredictor
from offline.surrogates.dense.task import DenseBatch, DenseTask, LossSettings
from offline.surrogates.families import Sample
from offline.surrogates.label_free.network import LabelFreeConfig
from offline.surrogates.registry import Architecture
from offline.surrogates.stream import DataOptions
from offline.surrogates.training import TrainOptions

__all__ = ["ARCHITECTURE", "KIND", "LOSSES", "LabelFreeLoss", "LabelFreeTask", "load_predictor"]

KIND = "label-free"  # in the cards of weights
LOSSES = ("energy", "weak", "displacement", "stiffness")
LABEL_TOL = 1e-6  # of the labels' C^H; their displacements are good to about its square root


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFreeLoss(LossSettings):
    r"""What is minimised; means over cells and loads.

    Parameters
    ----------
    loss : {"energy", "weak", "displacement", "stiffness"}
        Potential energy over the Voigt mean (eq. 22); :math:`\|K u - f\|^2 / \|f\|^2` (eq. 21);
        :math:`\|u - u_{ref}\|^2 / \|u_{ref}\|^2` over the nodes of the solid (eq. 36);
        :math:`\|C - C_{ref}\|_F^2` of the pooled network (eq. 4). The paper sums without the
        divisors, which weigh cells, not fields.

    Raises
    ------
    ParameterError
        The loss is unknown.
    """

    loss: str = "energy"

    def __post_init__(self) -> None:
        LossSettings.__post_init__(self)
        if self.loss not in LOSSES:
            raise ParameterError(f"loss is '{self.loss}', expected one of {', '.join(LOSSES)}.")


class LabelFreeTask(DenseTask):
    """Trains a `LabelFreeCNN`, or with the loss "stiffness" a `PooledCNN`.

    The last one's validation is the mean error of C^H relative to the references, all validation
    cells; see `DenseTask` for the others.

    Parameters
    ----------
    data : DataOptions
    config : LabelFreeConfig
    settings : LabelFreeLoss

    Raises
    ------
    ParameterError
        Network and loss do not go together, or see `DenseTask`.
    """

    kind = KIND

    def __init__(self, data: DataOptions, config: LabelFreeConfig, settings: LabelFreeLoss) -> None:
        if config.combine and settings.loss != "energy":
            raise ParameterError(
                f"combine is for the loss 'energy', which it makes least, not '{settings.loss}'."
            )
        if settings.loss == "stiffness":
            config = replace(config, net="stiffness", resolution=data.resolution)
            settings = replace(settings, references=data.validation_cells)
        elif config.net == "stiffness":
            raise ParameterError(
                f"net 'stiffness' has no displacements for loss '{settings.loss}'."
            )
        super().__init__(data, config, settings)
        self.what = settings.loss
        self._labels: dict[tuple[str, int], np.ndarray] = {}

    def prepare(self, batch: Sequence[Sample], device: torch.device) -> DenseBatch:
        """Cells and, if the loss asks for them, labels; made once and kept in memory."""
        ready = self.unlabelled(batch, device)
        if self.what in ("energy", "weak"):
            return ready
        found = [self._label(sample, ready.cells, b) for b, sample in enumerate(batch)]
        labels = torch.from_numpy(np.stack(found)).to(device, ready.inputs.dtype)
        return DenseBatch(ready.cells, ready.inputs, labels)

    def measured(self, out: Tensor, batch: DenseBatch) -> Tensor:
        """The chosen loss of what the network says."""
        if self.what == "energy":
            return super().measured(out, batch)
        if self.what == "weak":
            r, f = batch.cells.residuals(out), batch.cells.load()
            return _ratio(_square(r), _square(f)).mean()
        assert batch.labels is not None
        if self.what == "stiffness":
            return (out - batch.labels).square().sum((1, 2)).mean()
        gap = (out - batch.labels) * batch.cells.solid[:, None, None]
        return _ratio(_square(gap), _square(batch.labels)).mean()

    def validate(self, module: nn.Module) -> dict[str, float]:
        """See the class."""
        if self.what != "stiffness":
            return super().validate(module)
        device = next(module.parameters()).device
        batches = self.validation.all_in_order()
        found = torch.cat([module(self.unlabelled(batch, device).inputs) for batch in batches])
        errors = self.references.errors(found.double().cpu().numpy())
        return {"validation": errors["delta"], **errors}

    def _label(self, sample: Sample, cells: DenseCells, b: int) -> np.ndarray:
        """u (3, 6, n1, n2, n3) on unit cubes with mean zero over the solid, or C^H (6, 6)."""
        key = (sample.family, sample.seed)
        if key not in self._labels:
            fields = self.what == "displacement"
            found = homogenize(
                sample.rve,
                sample.stiffnesses,
                SolverOptions(tol=LABEL_TOL),
                keep_displacement=fields,
            )
            label = found.stiffness
            if fields:
                u = cells.shapes[b].to_cube_displacement(found.displacement)
                label = np.ascontiguousarray(u.transpose(4, 0, 1, 2, 3))
            self._labels[key] = label.astype(np.float32)
        return self._labels[key]


def _square(field: Tensor) -> Tensor:
    """Squared norms (B, 6) of the loads' fields."""
    return field.square().sum((1, 3, 4, 5))


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return a / b.clamp_min(torch.finfo(b.dtype).tiny)


def load_predictor(stem: Any, device: str = "cpu") -> DensePredictor:
    """Trained weights in use; see `DensePredictor.load`."""
    return DensePredictor.load(stem, device, kind=KIND, config_type=LabelFreeConfig)


ARCHITECTURE = Architecture(
    name=KIND,
    about="a plain CNN from voxels to displacements, four losses to compare",
    settings=(LabelFreeConfig, LabelFreeLoss),
    recipe=TrainOptions(
        epochs=6000, learning_rate=0.01, schedule="one-cycle", optimizer="sgd", warm_up=0
    ),
    batch=8,
    make_task=LabelFreeTask,
    predictor=load_predictor,
)
