"""A network for cells in space with its output layer: images and moduli in, stiffness out.

Ensembles and their uncertainty are as in the plane (`voigt_reuss.surrogate`); a single network has
the 48 symmetries of the cube instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import FileFormatError, MatnetError, ParameterError, ShapeError
from offline.morphology import CUBE, descriptor_matrix
from offline.surrogates import weights
from offline.surrogates.voigt_reuss.space.cells import SpaceCells
from offline.surrogates.voigt_reuss.space.evaluation import SpaceEvaluation
from offline.surrogates.voigt_reuss.space.networks import SpaceConfig, SpaceNet
from offline.surrogates.voigt_reuss.space.outputs import SpaceOutput
from offline.surrogates.voigt_reuss.space.phases import contrasts
from offline.surrogates.voigt_reuss.space.seen import outside, range_of
from offline.surrogates.voigt_reuss.space.symmetry import (
    turn_descriptors,
    turn_stiffness_back,
    turn_voxels,
)
from offline.surrogates.voigt_reuss.surrogate import Prediction
from offline.surrogates.voigt_reuss.training_range import TrainingRange

__all__ = ["KIND", "SpaceSurrogate", "load_surrogate"]

KIND = "voigt-reuss-3d"
BATCH = 256


class SpaceSurrogate(nn.Module):
    """Effective stiffness of periodic two-phase images with isotropic phases.

    Parameters
    ----------
    config : SpaceConfig
    output : str
        One of `outputs.OUTPUTS`.
    members : int
        Networks of the ensemble.

    Attributes
    ----------
    facts : dict
        The card it was loaded with, less what describes the network.
    seen : TrainingRange or None
        What its training images were, if the card says so.

    Notes
    -----
    `forward` gives raw numbers, for training; `stiffness` is differentiable, for design;
    `predict` takes arrays.
    """

    def __init__(self, config: SpaceConfig, output: str, members: int = 1) -> None:
        super().__init__()
        if members < 1:
            raise ParameterError(f"members is {members}, expected at least 1.")
        self.config, self.members = config, members
        self.output = SpaceOutput(output)
        count = self.output.n_outputs
        self.net = SpaceNet(config, count)
        self.others = nn.ModuleList(SpaceNet(config, count) for _ in range(members - 1))
        self.facts: dict[str, Any] = {}
        self.seen: TrainingRange | None = None

    def forward(self, inputs: Tensor, ratios: Tensor, fraction: Tensor) -> Tensor:
        """Raw numbers (members * n, k), member by member: see `SpaceNet`."""
        return torch.cat([net(inputs, ratios, fraction) for net in (self.net, *self.others)])

    def stiffness(
        self, inputs: Tensor, moduli: Tensor, fraction: Tensor, symmetric: bool = False
    ) -> Tensor:
        """Stiffness C (n, 6, 6) in float64 [unit of the moduli], differentiable.

        Parameters
        ----------
        inputs : (n, d) descriptors, or (n, r, r, r) voxels in [0, 1]
        moduli : (n, 4)
            K1, G1 of phase 0 and K2, G2 of phase 1.
        fraction : (n,)
            Of phase 1.
        symmetric : bool
            Mean over the 48 symmetries of the cube: turning the image then turns the prediction
            exactly. The normalised tensors are averaged, so the bounds hold.
        """
        views = self._views(inputs, moduli, fraction, symmetric)
        return self.output.stiffness(views.mean(dim=(0, 1)), moduli, fraction)

    def _views(self, inputs: Tensor, moduli: Tensor, fraction: Tensor, symmetric: bool) -> Tensor:
        """Normalised tensors (symmetries, members, n, 6, 6), turned back."""
        ratios = torch.log10(moduli[:, [2, 1, 3]] / moduli[:, :1])
        turn = turn_descriptors if self.config.inputs == "descriptors" else turn_voxels
        turned = []
        for k in range(len(CUBE) if symmetric else 1):
            number = torch.full((len(inputs),), k, device=inputs.device)
            normalised = self.output.normalised(self(turn(inputs, number), ratios, fraction))
            turned.append(turn_stiffness_back(normalised, number.repeat(self.members)))
        views: Tensor = torch.stack(turned).unflatten(1, (self.members, len(inputs)))
        return views

    def _prediction(self, inputs: Tensor, moduli: Tensor, fraction: Tensor) -> Prediction:
        views = self._views(inputs, moduli, fraction, symmetric=True)
        parts = views.mean(dim=0) if self.members > 1 else views[:, 0]
        tensors = torch.stack([self.output.stiffness(one, moduli, fraction) for one in parts])
        mean = self.output.stiffness(views.mean(dim=(0, 1)), moduli, fraction)
        return Prediction(stiffness=mean.cpu().numpy(), deviation=tensors.std(dim=0).cpu().numpy())

    def predict(
        self, images: Any, K1: Any, G1: Any, K2: Any, G2: Any, symmetric: bool = True
    ) -> np.ndarray:
        """C (n, 6, 6) of images (n, r, r, r) of 0 and 1 [unit of the moduli].

        Parameters
        ----------
        images : (n, r, r, r)
        K1, G1 : float or (n,)
            Bulk and shear modulus of phase 0.
        K2, G2 : float or (n,)
            Of phase 1.
        symmetric : bool
            See `stiffness`.
        """
        shown, moduli, fraction = self._shown(images, K1, G1, K2, G2)
        return self._in_batches(shown, moduli, fraction, symmetric)

    def predict_spread(self, images: Any, K1: Any, G1: Any, K2: Any, G2: Any) -> Prediction:
        """As `predict`, with the uncertainty."""
        return self._spread_in_batches(*self._shown(images, K1, G1, K2, G2))

    def outside(self, images: Any, K1: Any, G1: Any, K2: Any, G2: Any) -> list[str | None]:
        """Why each image with its moduli is outside of what the network was trained on.

        None where it is not, or where the card does not tell the range.
        """
        if self.seen is None:
            return [None] * len(images)
        array, moduli = _checked(images, K1, G1, K2, G2)
        return outside(self.seen, descriptor_matrix(array), contrasts(moduli))

    def _shown(
        self, images: Any, K1: Any, G1: Any, K2: Any, G2: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs, moduli (n, 4) and fractions (n,) of phase 1."""
        array, moduli = _checked(images, K1, G1, K2, G2)
        return self.inputs_of(array), moduli, array.mean(axis=(1, 2, 3))

    def inputs_of(self, images: np.ndarray) -> np.ndarray:
        """What the network takes of images (n, r, r, r): descriptors (n, d), or voxels."""
        if self.config.inputs == "descriptors":
            return descriptor_matrix(images)
        side = self.config.resolution
        factor = images.shape[1] // side
        if set(images.shape[1:]) != {factor * side}:
            raise ShapeError(
                f"images have shape {images.shape}, expected cubes of a multiple of {side} voxels."
            )
        blocks = images.reshape(-1, side, factor, side, factor, side, factor)
        return np.asarray(blocks.mean(axis=(2, 4, 6)))

    def of_cells(self, cells: SpaceCells, symmetric: bool = False) -> np.ndarray:
        """C (n, 6, 6) of labelled cells for K1 = 1, from their descriptors or images."""
        return self._in_batches(
            self._inputs_of_cells(cells), cells.moduli, cells.fraction, symmetric
        )

    def of_cells_spread(self, cells: SpaceCells) -> Prediction:
        """As `of_cells`, symmetric, with the uncertainty."""
        shown = self._inputs_of_cells(cells)
        return self._spread_in_batches(shown, cells.moduli, cells.fraction)

    def _inputs_of_cells(self, cells: SpaceCells) -> np.ndarray:
        wanted = self.config.inputs == "descriptors"
        source = cells.descriptors if wanted else self.inputs_of(cells.images)
        return np.asarray(source[cells.image])

    def evaluate(self, cells: SpaceCells, symmetric: bool = False) -> SpaceEvaluation:
        """Errors and violations on labelled cells."""
        return SpaceEvaluation.of(self.of_cells(cells, symmetric), cells.stiffness, cells.gap)

    @torch.no_grad()
    def _in_batches(
        self, inputs: np.ndarray, moduli: np.ndarray, fraction: np.ndarray, symmetric: bool
    ) -> np.ndarray:
        batches = self._batches(inputs, moduli, fraction)
        parts = [self.stiffness(*batch, symmetric).cpu().numpy() for batch in batches]
        return np.concatenate(parts)

    @torch.no_grad()
    def _spread_in_batches(
        self, inputs: np.ndarray, moduli: np.ndarray, fraction: np.ndarray
    ) -> Prediction:
        parts = [self._prediction(*batch) for batch in self._batches(inputs, moduli, fraction)]
        return Prediction(
            stiffness=np.concatenate([part.stiffness for part in parts]),
            deviation=np.concatenate([part.deviation for part in parts]),
        )

    def _batches(
        self, inputs: np.ndarray, moduli: np.ndarray, fraction: np.ndarray
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        device = next(self.parameters()).device
        for first in range(0, len(inputs), BATCH):
            some = slice(first, first + BATCH)
            shown = torch.tensor(inputs[some], dtype=torch.float32, device=device)
            yield (
                shown,
                torch.tensor(moduli[some], device=device),
                torch.tensor(fraction[some], device=device),
            )

    def save(self, stem: str | Path, **card: Any) -> Path:
        """Write weights and card (`offline.surrogates.weights`)."""
        return weights.save(stem, self, {**self.facts, **self.card(), **card})

    def card(self) -> dict[str, Any]:
        """Kind and config, enough to build it again."""
        config: dict[str, Any] = {"net": self.config.as_dict(), "output": self.output.kind}
        if self.members > 1:
            config["members"] = self.members
        return {"kind": KIND, "config": config}


def load_surrogate(stem: str | Path) -> SpaceSurrogate:
    """A trained surrogate, in evaluation mode.

    Raises
    ------
    FileFormatError
        The files are missing, damaged, or of another kind.
    """
    found = weights.load(weights.stem_of(stem), kind=KIND)
    try:
        config = found.card["config"]
        sizes = config["net"].items()
        net: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes}
        members = int(config.get("members", 1))
        surrogate = SpaceSurrogate(SpaceConfig(**net), config["output"], members)
    except (KeyError, TypeError, ValueError, AttributeError, MatnetError) as error:
        raise FileFormatError(
            f"{found.path}: its card does not describe a network ({error})."
        ) from error
    weights.fill(surrogate, found)
    own = ("format", "kind", "config", "sha256")
    surrogate.facts = {key: value for key, value in found.card.items() if key not in own}
    if "range" in found.card:
        surrogate.seen = range_of(found.card["range"])
    return surrogate.eval()


def _checked(images: Any, K1: Any, G1: Any, K2: Any, G2: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, r, r, r) and moduli (n, 4)."""
    array = np.asarray(images)
    if array.ndim != 4 or 0 in array.shape or len(set(array.shape[1:])) > 1:
        raise ShapeError(f"images have shape {array.shape}, expected (n, r, r, r).")
    if not np.isin(array, (0, 1)).all():
        raise ParameterError("images hold other values than 0 and 1. Pass phase numbers.")
    moduli = np.stack(np.broadcast_arrays(K1, G1, K2, G2, np.zeros(len(array)))[:4], axis=1)
    contrasts(moduli)  # checks them
    return array, moduli
