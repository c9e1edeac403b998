"""Many designs at once through the network: batched AdamW while the threshold sharpens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError
from offline.design.limits import Limits
from offline.design.objective import Objective, admissible_fractions
from offline.design.pictures import raster, soft_pictures, start_amplitudes
from offline.surrogates.voigt_reuss.fields import MODES, embed_modes
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

__all__ = ["SearchOptions", "Starts", "predicted", "search"]

SMALLEST_C0, LARGEST_C0 = 0.1, 0.9  # of random starts, if the limits leave room


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How to search.

    Parameters
    ----------
    starts : int
    steps : int
        Of AdamW.
    modes : int
        Amplitudes per direction, odd, up to 11.
    learning_rate : float
        Largest one; it falls to a tenth along a cosine.
    temperature : (float, float)
        Of the soft threshold at the first and the last step, in units of the scaled field.
    batch : int
        Starts that go through the network together.
    seed : int
    """

    starts: int = 200
    steps: int = 80
    modes: int = 9
    learning_rate: float = 0.06
    temperature: tuple[float, float] = (0.1, 0.01)
    batch: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("starts", "steps", "batch"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.modes % 2 == 0 or not 3 <= self.modes <= MODES:
            raise ParameterError(f"modes is {self.modes}, expected an odd number, 3 to {MODES}.")
        if min(self.temperature) <= 0.0 or self.learning_rate <= 0.0:
            raise ParameterError(
                f"temperature {self.temperature} and learning rate {self.learning_rate:g} have to "
                "be > 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Starts:
    """Where the starts ended, in their order.

    Attributes
    ----------
    amplitudes : (n, m, m)
    c0 : (n,)
    stiffness : (n, 3, 3)
        Predicted for the pictures with sharp phases [stress unit].
    objective : (n,)
        Of that.
    """

    amplitudes: np.ndarray
    c0: np.ndarray
    stiffness: np.ndarray
    objective: np.ndarray


def search(
    net: PlaneSurrogate,
    objective: Objective,
    limits: Limits,
    options: SearchOptions,
    progress: Callable[[int, float], None] | None = None,
) -> Starts:
    """Minimise the objective of predicted stiffness from random starts.

    Parameters
    ----------
    net : PlaneSurrogate
    objective : Objective
    limits : Limits
        The volume is kept at every step; feature size caps the modes. Connectivity has no
        derivative and is judged afterwards.
    options : SearchOptions
    progress : callable, optional
        Called with the steps done, of all batches together, and the best objective so far.
    """
    modes = limits.largest_modes(options.modes)
    amplitudes = start_amplitudes(options.starts, modes, options.seed)
    c0 = _start_fractions(net, objective, limits, options)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    best = np.inf
    for first in range(0, options.starts, options.batch):
        some = slice(first, first + options.batch)
        run = _Batch(net, objective, limits, options, amplitudes[some], c0[some])
        for step in range(options.steps):
            best = min(best, run.step(step))
            if progress is not None:
                progress(len(parts) * options.steps + step + 1, best)
        parts.append(run.result())
    found, fractions = (np.concatenate([part[k] for part in parts]) for k in range(2))
    stiffness = predicted(net, found, fractions)
    return Starts(
        amplitudes=found,
        c0=fractions,
        stiffness=stiffness,
        objective=objective.of(stiffness),
    )


@torch.no_grad()
def predicted(net: PlaneSurrogate, amplitudes: np.ndarray, c0: np.ndarray) -> np.ndarray:
    """Predicted stiffness (n, 3, 3) of designs with sharp phases, symmetric prediction."""
    side = net.config.resolution
    device = next(net.parameters()).device
    result = []
    for one, fraction in zip(amplitudes, c0, strict=True):
        picture = raster(one, float(fraction), side)
        matrix = torch.tensor(one, device=device)[None]
        share = torch.tensor([1.0 - picture.mean()], device=device)
        # tau as the soft renderer has it, at a temperature that leaves nothing grey
        tau = soft_pictures(matrix, share, side, 1e-4)[1] if net.config.with_tau else None
        chi = torch.tensor(picture, dtype=matrix.dtype, device=device)[None]
        result.append(net.stiffness(_inputs(net, chi, matrix), share, tau)[0].cpu().numpy())
    return np.stack(result)


class _Batch:
    """Starts that are optimised together."""

    def __init__(
        self,
        net: PlaneSurrogate,
        objective: Objective,
        limits: Limits,
        options: SearchOptions,
        amplitudes: np.ndarray,
        c0: np.ndarray,
    ) -> None:
        weight = next(net.parameters())
        self.net, self.objective, self.options = net, objective, options
        self.low, self.width = limits.volume[0], limits.volume[1] - limits.volume[0]
        share = (c0 - self.low) / self.width if self.width else np.full(len(c0), 0.5)
        self.amplitudes = torch.tensor(amplitudes, dtype=weight.dtype, device=weight.device)
        self.logit = torch.tensor(share, dtype=weight.dtype, device=weight.device).logit(1e-3)
        variables = [self.amplitudes.requires_grad_(), self.logit.requires_grad_()]
        self.optimizer = torch.optim.AdamW(variables, lr=options.learning_rate)

    def step(self, number: int) -> float:
        """One step; returns the smallest objective before it."""
        done = number / max(1, self.options.steps - 1)
        hot, cold = self.options.temperature
        rate = 0.55 + 0.45 * np.cos(np.pi * done)
        self.optimizer.param_groups[0]["lr"] = self.options.learning_rate * rate
        self.optimizer.zero_grad()
        values = self.objective(self._stiffness(hot * (cold / hot) ** done))
        values.sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(values.detach().min())

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Amplitudes (n, m, m) and c0 (n,)."""
        with torch.no_grad():
            return self.amplitudes.double().cpu().numpy(), self._c0().double().cpu().numpy()

    def _c0(self) -> Tensor:
        return self.low + self.width * torch.sigmoid(self.logit)

    def _stiffness(self, temperature: float) -> Tensor:
        c0 = self._c0()
        chi, tau = soft_pictures(self.amplitudes, c0, self.net.config.resolution, temperature)
        inputs = _inputs(self.net, chi, self.amplitudes)
        # without the mean over eight symmetries, which costs eight times as much
        return self.net.stiffness(
            inputs, c0, tau if self.net.config.with_tau else None, symmetric=False
        )


def _inputs(net: PlaneSurrogate, pictures: Tensor, amplitudes: Tensor) -> Tensor:
    """What the network takes."""
    if net.config.inputs == "picture":
        return pictures
    return embed_modes(amplitudes)


def _start_fractions(
    net: PlaneSurrogate, objective: Objective, limits: Limits, options: SearchOptions
) -> np.ndarray:
    """Random c0 (starts,) within the limits and, for a target, where its bounds let it be."""
    low, high = limits.volume
    if low < SMALLEST_C0 < LARGEST_C0 < high:
        low, high = SMALLEST_C0, LARGEST_C0
    for target in objective.targets:
        found = admissible_fractions(target.stiffness, net.output.phases.cpu().numpy())
        if found is not None and max(found[0], low) < min(found[1], high):
            low, high = max(found[0], low), min(found[1], high)
    draws = np.random.default_rng([options.seed, options.starts]).uniform(size=options.starts)
    return np.asarray(low + (high - low) * draws)
