r"""A plane network with its output layer: pictures in, admissible stiffness out.

Several networks of one kind with different starts make a deep ensemble (Lakshminarayanan,
Pritzel & Blundell, NeurIPS 2017). Its prediction is the mean of the normalised tensors, which keeps
the bounds because admissible tensors form a convex set; the standard deviation of the members is
its uncertainty. A single network has the same by the eight symmetries of the square, under
which the exact answer would only turn with the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import FileFormatError, MatnetError, ParameterError, ShapeError, require_finite
from offline.surrogates import weights
from offline.surrogates.voigt_reuss.calibration import Calibration
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
from offline.surrogates.voigt_reuss.training_range import TrainingRange

__all__ = ["KIND", "Evaluation", "PlaneSurrogate", "Prediction", "ensemble", "load_surrogate"]

KIND = "voigt-reuss-2d"
BATCH = 256
OF_DATA = ("range", "cells", "data", "data_seed", "augment", "batch")  # facts of all members


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """Stiffness with its uncertainty.

    Attributes
    ----------
    stiffness : (n, 3, 3)
        Mandel 11 22 12 [unit of the phases].
    deviation : (n, 3, 3)
        Standard deviation of each entry among the ensemble's members, or among the symmetries
        of the square for a single network. NaN where there is only one of either.
    """

    stiffness: np.ndarray
    deviation: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """Norm (n,) of the deviation over that of the stiffness."""
        axes = (-2, -1)
        size = np.linalg.norm(self.stiffness, axis=axes)
        return np.asarray(np.linalg.norm(self.deviation, axis=axes) / size)


class PlaneSurrogate(nn.Module):
    """Effective plane-strain stiffness of two-phase pictures.

    Parameters
    ----------
    config : NetConfig
    output : str
        One of `outputs.OUTPUTS`.
    phases : (2, 3, 3)
        Stiffness of phase 0 and 1, Mandel 11 22 12 [stress unit].
    members : int
        Networks of the ensemble.

    Attributes
    ----------
    facts : dict
        The card it was loaded with, less what describes the network.
    seen : TrainingRange or None
        What its training cells were, if the card says so.
    calibration : Calibration or None
        From spreads to errors, likewise.

    Notes
    -----
    `forward` gives raw numbers, for training; `stiffness` is differentiable, for design;
    `predict` takes arrays, and `predict_spread` tells the uncertainty as well.
    """

    def __init__(self, config: NetConfig, output: str, phases: Any, members: int = 1) -> None:
        super().__init__()
        if members < 1:
            raise ParameterError(f"members is {members}, expected at least 1.")
        self.config, self.members = config, members
        self.net = PlaneNet(config)
        self.others = nn.ModuleList(PlaneNet(config) for _ in range(members - 1))
        self.facts: dict[str, Any] = {}
        self.seen: TrainingRange | None = None
        self.calibration: Calibration | None = None
        self.output = OutputLayer(output, phases)
        self.turns = SQUARE if invariant(np.asarray(phases, dtype=float)) else 1

    def forward(self, inputs: Tensor, auxiliary: Tensor) -> Tensor:
        """Raw numbers (members * n, 6), member by member, of n pictures or amplitudes.

        `auxiliary` holds c0 or (c0, tau): see `PlaneNet`.
        """
        nets = [self.net, *self.others]
        return torch.cat([net(inputs, auxiliary) for net in nets])

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
        views = self._views(inputs, self.auxiliary(c0, tau), symmetric)
        return self.output.stiffness(views.mean(dim=(0, 1)), c0)

    def _views(self, inputs: Tensor, auxiliary: Tensor, symmetric: bool = True) -> Tensor:
        """Normalised tensors (symmetries, members, n, 3, 3), turned back."""
        inputs = inputs.to(auxiliary.dtype)
        turned = []
        for k in range(self.turns if symmetric else 1):
            turn = torch.full((len(inputs),), k, device=inputs.device)
            normalised = self.output.normalised(self(turn_pictures(inputs, turn), auxiliary))
            back = torch.full((len(normalised),), _inverse(k), device=inputs.device)
            turned.append(turn_stiffness(normalised, back))
        views: Tensor = torch.stack(turned).unflatten(1, (self.members, len(inputs)))
        return views

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
        parts = [
            self.stiffness(shown, c0, symmetric=symmetric).cpu().numpy()
            for shown, c0 in self._shown(pictures)
        ]
        return np.concatenate(parts)

    @torch.no_grad()
    def predict_spread(self, pictures: Any) -> Prediction:
        """As `predict`, with the uncertainty."""
        parts = [self._prediction(shown, c0, None) for shown, c0 in self._shown(pictures)]
        return _joined(parts)

    def outside(self, pictures: Any) -> list[str | None]:
        """Why each picture (n, h, w) lies outside of what the network was trained on.

        None where it does not, or where the card does not tell the range.
        """
        if self.seen is None:
            return [None] * len(pictures)
        found: list[str | None] = []
        for shown, _ in self._shown(pictures):
            found += self.seen.outside(shown.cpu().numpy())
        return found

    def _shown(self, pictures: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of pictures at the network's resolution, and c0 of the given ones."""
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
        for first in range(0, len(array), BATCH):
            part = torch.tensor(array[first : first + BATCH], device=device)
            shown = part if part.shape[1:] == (side, side) else _area_means(part, side)
            yield shown, 1.0 - part.mean(dim=(1, 2))

    def _prediction(self, inputs: Tensor, c0: Tensor, tau: Tensor | None) -> Prediction:
        views = self._views(inputs, self.auxiliary(c0, tau))
        parts = views.mean(dim=0) if self.members > 1 else views[:, 0]
        tensors = self.output.stiffness(parts.flatten(0, 1), c0.repeat(len(parts)))
        tensors = tensors.unflatten(0, parts.shape[:2])
        return Prediction(
            stiffness=self.output.stiffness(views.mean(dim=(0, 1)), c0).cpu().numpy(),
            deviation=tensors.std(dim=0).cpu().numpy()
            if len(parts) > 1
            else np.full((len(c0), 3, 3), np.nan),
        )

    @torch.no_grad()
    def of_cells(self, cells: LabelledCells, symmetric: bool = True) -> np.ndarray:
        """C (n, 3, 3) of labelled cells, from their pictures or amplitudes, with tau."""
        parts = [
            self.stiffness(inputs, c0, tau, symmetric).cpu().numpy()
            for inputs, c0, tau in self._cell_batches(cells)
        ]
        return np.concatenate(parts)

    @torch.no_grad()
    def of_cells_spread(self, cells: LabelledCells) -> Prediction:
        """As `of_cells`, with the uncertainty."""
        return _joined([self._prediction(*batch) for batch in self._cell_batches(cells)])

    def _cell_batches(self, cells: LabelledCells) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        source = cells.images if self.config.inputs == "picture" else cells.amplitudes
        device = next(self.parameters()).device
        c0, tau = (torch.tensor(a, device=device) for a in (cells.c0, cells.tau))
        for first in range(0, len(cells), BATCH):
            some = slice(first, first + BATCH)
            inputs = torch.tensor(source[some], device=device)
            yield inputs, c0[some], tau[some] if self.config.with_tau else None

    def evaluate(self, cells: LabelledCells, symmetric: bool = True) -> Evaluation:
        """Errors and violations on labelled cells."""
        return Evaluation.of(self.of_cells(cells, symmetric), cells.stiffness, cells.gap)

    def save(self, stem: str | Path, **card: Any) -> Path:
        """Write weights and card (`offline.surrogates.weights`), `facts` included."""
        return weights.save(stem, self, {**self.facts, **self.card(), **card})

    def card(self) -> dict[str, Any]:
        """Kind and config, enough to build it again."""
        config: dict[str, Any] = {
            "net": self.config.as_dict(),
            "output": self.output.kind,
            "phases": self.output.phases.tolist(),
        }
        if self.members > 1:
            config["members"] = self.members
        return {"kind": KIND, "config": config}


def load_surrogate(stem: str | Path | None = None) -> PlaneSurrogate:
    """A trained surrogate, in evaluation mode.

    Parameters
    ----------
    stem : path, optional
        A weights file with or without suffix, or the folder of a run (its best weights). Default:
        the network that comes with matnet.

    Raises
    ------
    FileFormatError
        The files are missing, damaged, or of another kind.
    """
    found = weights.load(weights.stem_of(KIND if stem is None else stem), kind=KIND)
    try:
        config = found.card["config"]
        sizes = config["net"].items()
        net: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes}
        members = int(config.get("members", 1))
        surrogate = PlaneSurrogate(NetConfig(**net), config["output"], config["phases"], members)
    except (KeyError, TypeError, ValueError, AttributeError, MatnetError) as error:
        raise FileFormatError(
            f"{found.path}: its card does not describe a network ({error})."
        ) from error
    weights.fill(surrogate, found)
    own = ("format", "kind", "config", "sha256")
    surrogate.facts = {key: value for key, value in found.card.items() if key not in own}
    if "range" in found.card:
        surrogate.seen = TrainingRange.from_dict(found.card["range"])
    if "calibration" in found.card:
        surrogate.calibration = Calibration.from_dict(found.card["calibration"])
    return surrogate.eval()


def ensemble(members: Sequence[PlaneSurrogate]) -> PlaneSurrogate:
    """One surrogate of several that were trained apart, in evaluation mode.

    Raises
    ------
    ParameterError
        There is none, or they differ in network, output layer or phases.
    """
    if not members:
        raise ParameterError("an ensemble of 0 surrogates, expected at least 1.")
    first = members[0]
    nets = [net for one in members for net in (one.net, *one.others)]
    for number, one in enumerate(members):
        same = one.card()["config"] | {"members": 1} == first.card()["config"] | {"members": 1}
        if not same:
            raise ParameterError(
                f"member {number} differs from the first in network, output layer or phases. "
                "Train all members with the same settings and different seeds."
            )
    joined = PlaneSurrogate(
        first.config, first.output.kind, first.output.phases.cpu(), members=len(nets)
    )
    for own, given in zip((joined.net, *joined.others), nets, strict=True):
        own.load_state_dict(given.state_dict())
    joined.facts = {key: value for key, value in first.facts.items() if key in OF_DATA}
    joined.seen = first.seen
    return joined.to(next(first.parameters()).device).eval()


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


def _joined(parts: Sequence[Prediction]) -> Prediction:
    return Prediction(
        stiffness=np.concatenate([part.stiffness for part in parts]),
        deviation=np.concatenate([part.deviation for part in parts]),
    )


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
