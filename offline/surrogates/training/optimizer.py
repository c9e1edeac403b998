"""The optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

from offline.surrogates.training.options import TrainOptions
from offline.surrogates.training.schedule import momentum

__all__ = ["MuonAdam", "make_optimizer"]


def make_optimizer(parameters: Sequence[Tensor], options: TrainOptions) -> Optimizer:
    """The optimiser that the options name, for parameters on their device."""
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "sgd":
        return SGD(parameters, lr=rate, momentum=momentum(options, 0.0), weight_decay=decay)
    kinds: dict[str, type[Adam | AdamW | MuonAdam]] = {
        "adam": Adam,
        "adamw": AdamW,
        "muon": MuonAdam,
    }
    return kinds[options.optimizer](parameters, lr=rate, weight_decay=decay)


class MuonAdam(Optimizer):
    """Muon for weights, AdamW for biases and factors (Jordan et al., 2024).

    Muon orthogonalises the step of a matrix, so that all its directions move alike. Weights of
    convolutions are matrices of their outputs times everything else. Steps are scaled to the size
    of AdamW's (Liu et al., arXiv:2502.16982), so that one learning rate serves both.

    Parameters
    ----------
    parameters : sequence of Tensor
        On their device; their memory must stay where it is.
    lr, weight_decay : float
        The rate is read from `param_groups` at each step.
    """

    def __init__(
        self, parameters: Sequence[Tensor], *, lr: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr})
        self.weights = [p for p in parameters if p.ndim > 1]
        self.orders = [_in_memory(p) for p in self.weights]
        self.matrices = [
            p.detach().permute(order).view(len(p), -1)  # the same memory
            for p, order in zip(self.weights, self.orders, strict=True)
        ]
        rest = [p for p in parameters if p.ndim < 2]
        self.parts: dict[str, Optimizer] = {}
        if self.matrices:
            self.parts["muon"] = Muon(
                self.matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        if rest:
            self.parts["adamw"] = AdamW(rest, lr=lr, weight_decay=weight_decay)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move the parameters along their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for weight, order, matrix in zip(self.weights, self.orders, self.matrices, strict=True):
            gradient = weight.grad
            matrix.grad = (
                None if gradient is None else gradient.permute(order).reshape(matrix.shape)
            )
        for part in self.parts.values():
            for group in part.param_groups:
                group["lr"] = self.param_groups[0]["lr"]
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the states of both."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])


def _in_memory(weight: Tensor) -> tuple[int, ...]:
    """The axes in the order of memory, outputs first; "channels last" has the inputs last."""
    return 0, *sorted(range(1, weight.ndim), key=weight.stride, reverse=True)
