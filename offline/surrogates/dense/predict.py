"""Trained dense networks in use: displacements, effective stiffness, a start for the solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import FileFormatError, ParameterError
from offline.rve.rve import Rve
from offline.surrogates import weights
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.task import DenseConfig

__all__ = ["DensePredictor"]

SOFT = "soft filling"  # name of the phase that stands for filled void


class DensePredictor:
    """A `Predictor` of the evaluation: a network on its device, in evaluation mode.

    Parameters
    ----------
    name : str
    card : mapping
        Of its weights.
    config : dataclass with the methods of `DenseConfig`
    module : torch.nn.Module
    """

    steps = 0  # of a solver inside a prediction: none

    def __init__(
        self, name: str, card: Mapping[str, Any], config: DenseConfig, module: nn.Module
    ) -> None:
        self.name, self.config, self.module = name, config, module.eval()
        parameters = sum(p.numel() for p in module.parameters())
        self.card: Mapping[str, Any] = {**card, "parameters": parameters}

    @classmethod
    def load(
        cls, stem: str | Path, device: str, *, kind: str, config_type: type[Any]
    ) -> DensePredictor:
        """Read weights of a surrogate `kind` with a configuration of `config_type`.

        Raises
        ------
        FileFormatError
            The files are missing, damaged, of another surrogate, or do not fit their own card.
        """
        found = weights.load(stem, kind=kind)
        try:
            config = config_type(**found.card["config"])
        except (ParameterError, TypeError) as error:
            raise FileFormatError(
                f"{found.path}: card with an invalid config ({error})."
            ) from error
        module = config.module()
        weights.fill(module, found)
        return cls(Path(stem).name, found.card, config, module.to(device))

    @property
    def says_stiffness_only(self) -> bool:
        """Whether the network says C^H directly and predicts no displacements."""
        return getattr(self.config, "net", "displacement") == "stiffness"

    def predict(self, cells: Sequence[tuple[Rve, Any]]) -> np.ndarray:
        """Fluctuations u (n_cells, 6, n1, n2, n3, 3) [length] of cells of one shape.

        Zero at nodes that touch no solid. Of a network that predicts no displacements: raises.

        Raises
        ------
        ShapeError, ParameterError
            The cells differ in shape, or the network cannot take them.
        """
        batch, u = self._run(cells)
        if u.ndim != 6:
            raise ParameterError(
                "these weights say C^H directly, and no displacements. Use `matnet surrogate "
                "predict` for one cell, `matnet surrogate compare` for errors."
            )
        return batch.to_displacement(u)

    def stiffness(self, cells: Sequence[tuple[Rve, Any]]) -> np.ndarray:
        """C^H (n_cells, 6, 6) in energy form of the prediction, or what the network says itself.

        Raises
        ------
        ShapeError, ParameterError
            See `predict`.
        """
        batch, out = self._run(cells)
        found = batch.effective(out) if out.ndim == 6 else out * self._modulus(batch)
        return np.asarray(found.double().cpu().numpy())

    def problem(self, rve: Rve, stiffnesses: Any) -> tuple[Rve, Any]:
        """The cell with its void filled by the network's soft material."""
        c = np.array(stiffnesses, dtype=float)
        void = ~c.any(axis=(1, 2))
        if not void.any() or rve.density is not None:
            return rve, c
        first = c[~void][0] if (~void).any() else c[0]
        c[void] = self.config.soft * first
        names = [
            SOFT if v and n == "void" else n for n, v in zip(rve.phase_names, void, strict=True)
        ]
        return replace(rve, phase_names=tuple(names)), c

    def misfit(self, rve: Rve) -> str | None:
        """Why the network cannot take the cell, or None if it can."""
        return self.config.misfit(rve)

    def breakdown(self, cells: Sequence[tuple[Rve, Any]]) -> dict[str, float]:
        """Seconds of preparation, network, and effective stiffness."""
        marks = [perf_counter()]
        batch = self._batch(cells)
        inputs = self.config.inputs(batch)
        marks.append(perf_counter())
        with torch.no_grad():
            out = self.module(inputs)
            marks.append(perf_counter())
            if self.config.combine:
                out = batch.combined(out)
            if out.ndim == 6:
                batch.effective(out).cpu()
        marks.append(perf_counter())
        return dict(zip(("prepare", "network", "stiffness"), np.diff(marks).tolist(), strict=True))

    def _batch(self, cells: Sequence[tuple[Rve, Any]]) -> DenseCells:
        for rve, _ in cells:
            reason = self.misfit(rve)
            if reason is not None:
                raise ParameterError(f"the network cannot take the cell: {reason}.")
        device = next(self.module.parameters()).device
        return DenseCells.of(cells, soft=self.config.soft, device=device)

    def _run(self, cells: Sequence[tuple[Rve, Any]]) -> tuple[DenseCells, Tensor]:
        batch = self._batch(cells)
        with torch.no_grad():
            out = self.module(self.config.inputs(batch))
            return batch, batch.combined(out) if self.config.combine else out

    @staticmethod
    def _modulus(batch: DenseCells) -> Tensor:
        """Young's modulus (B, 1, 1) of the solid along axis 1 [stress unit]."""
        compliance: Tensor = torch.linalg.inv(batch.stiffness[:, 0].double())
        return batch.scale[:, None, None].double() / compliance[:, :1, :1]
