"""What the tasks of dense networks share: streams, batches, validation, the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.families import Sample, family
from offline.surrogates.references import References
from offline.surrogates.stream import CellStream, DataOptions

__all__ = ["DenseBatch", "DenseConfig", "DenseTask", "LossSettings"]

LOGARITHM_FLOOR = 1e-6  # of the Voigt mean; rounding only, the energies are positive


class DenseConfig(Protocol):
    """A frozen dataclass that describes a network."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def soft(self) -> float:
        """Stiffness of void relative to the solid."""
        ...

    @property
    def combine(self) -> bool:
        """Whether displacements are combined, see `DenseCells.combined`."""
        ...

    def module(self) -> nn.Module:
        """A fresh network."""
        ...

    def inputs(self, cells: DenseCells) -> Tensor:
        """What the network sees of the cells."""
        ...

    def misfit(self, rve: Rve) -> str | None:
        """Why the network cannot take a cell, or None if it can."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """What is common to the losses.

    Parameters
    ----------
    relative : bool
        Sum logarithms of energies, so that soft cells count as much as stiff ones.
    references : int
        Validation cells whose C^H is computed by the solver, once.

    Raises
    ------
    ParameterError
        A number is negative.
    """

    relative: bool = False
    references: int = 32

    def __post_init__(self) -> None:
        if self.references < 0:
            raise ParameterError(f"references is {self.references}, expected a number >= 0.")


@dataclass(frozen=True, slots=True, eq=False)
class DenseBatch:
    """Cells on the device, what the network sees of them, and labels where the loss has some."""

    cells: DenseCells
    inputs: Tensor
    labels: Tensor | None = None


class DenseTask:
    """Trains a network that maps dense cells to displacements, by their energy.

    Validation is the mean over unseen cells of the logarithm of the energies, as for CGiNS; beside
    it ``residual`` is the mean of ``||K u - f|| / ||f||`` and, for cells with a reference,
    ``delta`` the mean and ``delta_worst`` the largest of ``||C - C_ref||_F / ||C_ref||_F`` [-].

    Parameters
    ----------
    data : DataOptions
    config : dataclass with the methods of `DenseConfig`
    settings : LossSettings

    Raises
    ------
    ParameterError
        The network cannot take cells of these families.
    """

    kind = "dense"

    def __init__(self, data: DataOptions, config: DenseConfig, settings: LossSettings) -> None:
        self.data, self.config, self.settings = data, config, settings
        self.training = CellStream(data)
        self.validation = CellStream(data, "validation")
        self.references = References(self.validation, settings.references)
        for name in data.families:
            reason = config.misfit(family(name).sample(0, data.resolution).rve)
            if reason is not None:
                raise ParameterError(
                    f"the network cannot be trained on cells of family '{name}': {reason}."
                )

    def module(self) -> nn.Module:
        """A fresh network."""
        return self.config.module()

    def steps(self, world: int) -> int:
        """See `TrainingTask`."""
        return self.training.steps(world)

    def batches(
        self, epoch: int, rank: int, world: int, start: int = 0
    ) -> Iterator[Sequence[Sample]]:
        """See `TrainingTask`."""
        return self.training.batches(epoch, rank, world, start)

    def prepare(self, batch: Sequence[Sample], device: torch.device) -> DenseBatch:
        """What the loss needs of the cells."""
        return self.unlabelled(batch, device)

    def unlabelled(self, batch: Sequence[Sample], device: torch.device) -> DenseBatch:
        """Densities, stiffnesses and what the network sees."""
        cells = DenseCells.of(
            [(sample.rve, sample.stiffnesses) for sample in batch],
            soft=self.config.soft,
            device=device,
        )
        return DenseBatch(cells, self.config.inputs(cells))

    def loss(self, module: nn.Module, batch: DenseBatch, learning_rate: float) -> dict[str, Tensor]:
        """What `measured` says of the output; in single precision, whatever the network's is."""
        out = module(batch.inputs).float()
        with torch.autocast(out.device.type, enabled=False):
            if self.config.combine:
                out = batch.cells.combined(out)
            return {"loss": self.measured(out, batch)}

    def measured(self, out: Tensor, batch: DenseBatch) -> Tensor:
        """Mean energy relative to the Voigt mean of displacements `out`."""
        energies = batch.cells.energies(out)
        if self.settings.relative:
            energies = energies.clamp_min(LOGARITHM_FLOOR).log()
        return energies.mean()

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Mean log energy and residual, and errors of C^H where references are known."""
        device = next(module.parameters()).device
        energies, residual, effective = [], [], []
        for samples in self.validation.all_in_order():
            batch = self.unlabelled(samples, device)
            u, cells = module(batch.inputs), batch.cells
            if self.config.combine:
                u = cells.combined(u)
            energies.append(cells.energies(u).clamp_min(LOGARITHM_FLOOR).log().mean(1))
            residual.append(relative_residuals(cells, u).mean(1))
            effective.append(cells.effective(u))
        found = {
            "validation": float(torch.cat(energies).mean()),
            "residual": float(torch.cat(residual).mean()),
        }
        return found | self.references.errors(torch.cat(effective).cpu().numpy())

    def card(self) -> dict[str, Any]:
        """See `TrainingTask`."""
        return {
            "kind": self.kind,
            "config": asdict(self.config),
            "loss": asdict(self.settings),
            "data": self.data.card(),
        }


def relative_residuals(cells: DenseCells, u: Tensor) -> Tensor:
    """``||K u - f|| / ||f||`` (B, 6); 0 where f is zero."""
    f = cells.load()
    r = (cells.product(u) - f).square().sum((1, 3, 4, 5)).sqrt()
    norm = f.square().sum((1, 3, 4, 5)).sqrt()
    return torch.where(norm > 0, r / norm.clamp_min(torch.finfo(norm.dtype).tiny), 0.0)
