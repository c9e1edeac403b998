"""CGiNS for the evaluation that all surrogates share."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from offline.rve.rve import Rve
from offline.surrogates import weights
from offline.surrogates.cgins.cell_batch import padded_cell
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.predict import KIND, batch_of, load_network, misfit
from offline.surrogates.cgins.stiffness import to_displacement

__all__ = ["CGiNSPredictor"]

Cell = tuple[Rve, Any]
PARTS = {"encode": "encoder", "embed": "encoder", "decode": "decoder", "out": "decoder"}


class CGiNSPredictor:
    """A `Predictor`: a network on its device, in evaluation mode.

    Parameters
    ----------
    network : CGiNS
    name : str
    card : mapping
        Of its weights.
    """

    def __init__(self, network: CGiNS, name: str, card: Mapping[str, Any]) -> None:
        self.network, self.name = network.eval(), name
        parameters = sum(p.numel() for p in network.parameters())
        self.card: Mapping[str, Any] = {**card, "parameters": parameters}
        self.steps = network.config.fine_steps

    @classmethod
    def load(cls, stem: Path, device: str = "cpu") -> CGiNSPredictor:
        """From a pair of files; errors of `load_network`."""
        card = weights.load(stem, kind=KIND).card
        return cls(load_network(stem).to(device), stem.name, card)

    def predict(self, cells: Sequence[Cell]) -> np.ndarray:
        """See `Predictor`."""
        batch = batch_of(self.network, cells)
        with torch.no_grad():
            return to_displacement(self.network(batch).displacements[0], batch.grid)

    def problem(self, rve: Rve, stiffnesses: Any) -> Cell:
        """The cell with its layer of padding as a phase."""
        return padded_cell(rve, stiffnesses, self.network.config.soft)

    def misfit(self, rve: Rve) -> str | None:
        """See `Predictor`."""
        return misfit(self.network.config, rve)

    def breakdown(self, cells: Sequence[Cell]) -> dict[str, float]:
        """Seconds of preparation, the parts of the nets, and the rest: solver and transfers."""
        begin = self._now()
        batch = batch_of(self.network, cells)
        begun = self._now()
        watch = _Watch(self._now)
        hooks = [hook for net in self.network.nets for hook in watch.attach(net)]
        try:
            with torch.no_grad():
                self.network(batch)
            end = self._now()
        finally:
            for hook in hooks:
                hook.remove()
        inside = dict(watch.seconds)
        nets = inside.pop("nets", 0.0)
        parts = {name: inside.get(name, 0.0) for name in ("encoder", "decoder")}
        return {
            "preparation": begun - begin,
            "encoder": parts["encoder"],
            "U-Net": nets - sum(parts.values()),
            "decoder": parts["decoder"],
            "solver": end - begun - nets,
        }

    def _now(self) -> float:
        if next(self.network.parameters()).is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


class _Watch:
    """Adds up the time that modules take, through forward hooks."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._begun: dict[int, float] = {}

    def attach(self, net: nn.Module) -> list[Any]:
        """Hooks on a net and on those of its modules that `PARTS` names."""
        hooks = self._hooks(net, "nets")
        for path, module in net.named_modules():
            part = next((PARTS[key] for key in path.split(".") if key in PARTS), None)
            if part is not None and not isinstance(module, nn.ModuleList):
                hooks += self._hooks(module, part)
        return hooks

    def _hooks(self, module: nn.Module, part: str) -> list[Any]:
        def before(m: nn.Module, inputs: Any) -> None:
            self._begun[id(m)] = self.now()

        def after(m: nn.Module, inputs: Any, outputs: Any) -> None:
            self.seconds[part] += self.now() - self._begun.pop(id(m))

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
