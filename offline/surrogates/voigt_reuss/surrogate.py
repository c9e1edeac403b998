"""A plane network with its output layer: pictures in, admissible stiffness out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import FileFormatError, MatnetError, ParameterError, ShapeError, require_finite
from offline.surrogates import weights
from offline.surrogates.voigt_reuss.cells import LabelledCells
from offline.surrogates.voigt_reuss.fields import render
from offline.surrogates.voigt_reuss.networks import NetConfig, PlaneNet
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.outputs import OutputLayer
from offline.surrogates.voigt_reuss.symmetry import (
    SQUARE,
    invariant,
    turn_pictures,
    turn_stiffness,
)

__all__ = ["KIND", "Evaluation", "PlaneSurrogate", "load_surrogate"]

KIND = "voigt-reuss-2d"
BATCH = 256


class PlaneSurrogate(nn.Module):
    """Effective plane-strain stiffness of two-phase pictures.

    Parameters
    ----------
    config : NetConfig
    output : str
        One of `outputs.OUTPUTS`.
    phases : (2, 3, 3)
        Stiffness of phase 0 and 1, Mandel 11 22 12 [stress unit].

    Notes
    -----
    `forward` gives raw numbers, for training; `stiffness` is differentiable, for design;
    `predict` takes arrays.
    """

    def __init__(self, config: NetConfig, output: str, phases: Any) -> None:
        super().__init__()
        self.config = config
        self.net = PlaneNet(config)
        self.output = OutputLayer(output, phases)
        self.turns = SQUARE if invariant(np.asarray(phases, dtype=float)) else 1

    def forward(self, inputs: Tensor, auxiliary: Tensor) -> Tensor:
        """Raw numbers (n, 6) of pictures or amplitudes, and c0 or (c0, tau): see `PlaneNet`."""
        raw: Tensor = self.net(inputs, auxiliary)
        return raw

    def stiffness(
        self, inputs: Tensor, c0: Tensor, tau: Tensor | None = None, symmetric: bool = True
    ) -> Tensor:
        """Stiffness C (n, 3, 3) in float64, differentiable in all arguments.

        Parameters
        ----------
        inputs : (n, res, res) pictures chi in [0, 1], or (n, 11, 11) amplitudes
        c0 : (n,)
            Volume fraction of phase 0.
        tau : (n,), optional
            For networks that take it.
        symmetric : bool
            Mean over the eight symmetries of the square: turning the picture then turns the
            prediction exactly. The normalised tensors are averaged, so the bounds hold.
        """
        number = range(self.turns if symmetric else 1)
        auxiliary = self.auxiliary(c0, tau)
        inputs = inputs.to(auxiliary.dtype)
        turned = []
        for k in number:
            turn = torch.full((len(inputs),), k, device=inputs.device)
            normalised = self.output.normalised(self(turn_pictures(inputs, turn), auxiliary))
            turned.append(turn_stiffness(normalised, torch.full_like(turn, _inverse(k))))
        return self.output.stiffness(torch.stack(turned).mean(dim=0), c0)

    def design(self, amplitudes: Tensor, tau: Tensor, temperature: float) -> Tensor:
        """C (n, 3, 3) of generator parameters through the renderer, with their derivatives."""
        picture = render(amplitudes, tau, self.config.resolution, temperature)
        c0 = 1.0 - picture.mean(dim=(-2, -1))
        inputs = picture if self.config.inputs == "picture" else amplitudes
        return self.stiffness(inputs, c0, tau if self.config.with_tau else None)

    def auxiliary(self, c0: Tensor, tau: Tensor | None) -> Tensor:
        """The scalars beside the picture."""
        dtype = next(self.net.parameters()).dtype
        if not self.config.with_tau:
            return c0[:, None].to(dtype)
        if tau is None:
            raise ParameterError(
                "this network takes the threshold tau besides the picture, and none was given. "
                "For pictures from elsewhere use a network with with_tau = False."
            )
        return torch.stack([c0, tau], dim=1).to(dtype)

    @torch.no_grad()
    def predict(self, pictures: Any, symmetric: bool = True) -> np.ndarray:
        """C (n, 3, 3) of periodic pictures (n, h, w) of any size: 0 phase 0, 1 phase 1.

        They are brought to the network's resolution by area means; values between 0 and 1 are
        shares of phase 1. c0, and with it the bounds, are those of the given pictures.
        """
        array = np.asarray(pictures, dtype=float)
        if array.ndim != 3 or 0 in array.shape:
            raise ShapeError(f"pictures have shape {array.shape}, expected (n, h, w).")
        require_finite("pictures", array)
        if array.min() < 0.0 or array.max() > 1.0:
            raise ParameterError(
                f"pictures hold values from {array.min():g} to {array.max():g}, expected 0 to 1."
            )
        if self.config.inputs != "picture":
            raise ParameterError("this network takes generator parameters, not pictures.")
        device = next(self.parameters()).device
        side = self.config.resolution
        parts = []
        for first in range(0, len(array), BATCH):
            part = torch.tensor(array[first : first + BATCH], device=device)
            c0 = 1.0 - part.mean(dim=(1, 2))
            shown = part if part.shape[1:] == (side, side) else _area_means(part, side)
            parts.append(self.stiffness(shown, c0, symmetric=symmetric).cpu().numpy())
        return np.concatenate(parts)

    @torch.no_grad()
    def of_cells(self, cells: LabelledCells, symmetric: bool = True) -> np.ndarray:
        """C (n, 3, 3) of labelled cells, from their pictures or amplitudes, with tau."""
        source = cells.images if self.config.inputs == "picture" else cells.amplitudes
        device = next(self.parameters()).device
        c0, tau = (torch.tensor(a, device=device) for a in (cells.c0, cells.tau))
        parts = []
        for first in range(0, len(cells), BATCH):
            some = slice(first, first + BATCH)
            inputs = torch.tensor(source[some], device=device)
            chosen = tau[some] if self.config.with_tau else None
            parts.append(self.stiffness(inputs, c0[some], chosen, symmetric).cpu().numpy())
        return np.concatenate(parts)

    def evaluate(self, cells: LabelledCells, symmetric: bool = True) -> Evaluation:
        """Errors and violations on labelled cells."""
        return Evaluation.of(self.of_cells(cells, symmetric), cells.stiffness, cells.gap)

    def save(self, stem: str | Path, **card: Any) -> Path:
        """Write weights and card (`offline.surrogates.weights`)."""
        return weights.save(stem, self, {**self.card(), **card})

    def card(self) -> dict[str, Any]:
        """Kind and config, enough to build it again."""
        config = {
            "net": self.config.as_dict(),
            "output": self.output.kind,
            "phases": self.output.phases.tolist(),
        }
        return {"kind": KIND, "config": config}


def load_surrogate(stem: str | Path) -> PlaneSurrogate:
    """A trained surrogate, in evaluation mode.

    Raises
    ------
    FileFormatError
        The files are missing, damaged, or of another kind.
    """
    found = weights.load(stem, kind=KIND)
    try:
        config = found.card["config"]
        sizes = config["net"].items()
        net: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes}
        surrogate = PlaneSurrogate(NetConfig(**net), config["output"], config["phases"])
    except (KeyError, TypeError, AttributeError, MatnetError) as error:
        raise FileFormatError(
            f"{found.path}: its card does not describe a network ({error})."
        ) from error
    weights.fill(surrogate, found)
    return surrogate.eval()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Predictions against labels.

    Attributes
    ----------
    error : (n,)
        Relative Frobenius error of each cell.
    normalised_error : (n,)
        Eq. 25 of each cell; may exceed 1 for predictions beyond the bounds.
    r2 : (3, 3)
        Coefficient of determination per component; NaN for a component that does not vary.
    violations : dict of str to int
        Cells that break the Voigt bound, the Reuss bound, positive definiteness.
    """

    error: np.ndarray
    normalised_error: np.ndarray
    r2: np.ndarray
    violations: dict[str, int]

    @classmethod
    def of(cls, predicted: Any, true: Any, gap: SpectralGap) -> Evaluation:
        """Compare stiffness (n, 3, 3) with labels (n, 3, 3)."""
        p, t = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
        axes = (-2, -1)
        normalised = np.linalg.norm(gap.normalise(p) - gap.normalise(t), axis=axes)
        spread = ((t - t.mean(axis=0)) ** 2).sum(axis=0)
        varies = spread > 1e-20 * np.abs(t).max() ** 2
        missed = ((p - t) ** 2).sum(axis=0)
        return cls(
            error=np.linalg.norm(p - t, axis=axes) / np.linalg.norm(t, axis=axes),
            normalised_error=normalised / np.sqrt(t.shape[-1]),
            r2=np.where(varies, 1.0 - missed / np.where(varies, spread, 1.0), np.nan),
            violations={name: int(found.sum()) for name, found in gap.violations(p).items()},
        )

    def as_dict(self) -> dict[str, float]:
        """The numbers of the paper's table 5."""
        return {
            "median_error": float(np.median(self.error)),
            "mean_error": float(self.error.mean()),
            "std_error": float(self.error.std()),
            "normalised_error": float(self.normalised_error.mean()),
            **{f"{name}_violations": float(count) for name, count in self.violations.items()},
        }


def _inverse(number: int) -> int:
    """The symmetry that undoes symmetry `number`."""
    if number < 4:
        return number  # mirrors undo themselves
    # mirrors, then a swap: the same as a swap, then mirrors of the other axes
    return 4 | (number & 1) << 1 | (number & 2) >> 1


def _area_means(pictures: Tensor, side: int) -> Tensor:
    """Exact means over the pixels of a side x side grid: (n, h, w) to (n, side, side)."""
    for axis in (1, 2):
        pictures = torch.tensordot(pictures, _overlap(pictures, axis, side), dims=([1], [0]))
    return pictures


def _overlap(pictures: Tensor, axis: int, side: int) -> Tensor:
    """Share (size, side) of each coarse pixel that a fine one covers along an axis."""
    size = pictures.shape[1]
    fine = torch.arange(size + 1, dtype=torch.float64, device=pictures.device) / size
    coarse = torch.arange(side + 1, dtype=torch.float64, device=pictures.device) / side
    high = torch.minimum(fine[1:, None], coarse[None, 1:])
    low = torch.maximum(fine[:-1, None], coarse[None, :-1])
    return (side * (high - low).clamp(min=0.0)).to(pictures.dtype)
