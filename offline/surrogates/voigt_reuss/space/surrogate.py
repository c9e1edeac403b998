"""A network for cells in space with its output layer: images and moduli in, stiffness out."""

from __future__ import annotations

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
from offline.surrogates.voigt_reuss.space.symmetry import (
    turn_descriptors,
    turn_stiffness_back,
    turn_voxels,
)

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

    Notes
    -----
    `forward` gives raw numbers, for training; `stiffness` is differentiable, for design;
    `predict` takes arrays.
    """

    def __init__(self, config: SpaceConfig, output: str) -> None:
        super().__init__()
        self.config = config
        self.output = SpaceOutput(output)
        self.net = SpaceNet(config, self.output.n_outputs)

    def forward(self, inputs: Tensor, ratios: Tensor, fraction: Tensor) -> Tensor:
        """Raw numbers: see `SpaceNet`."""
        raw: Tensor = self.net(inputs, ratios, fraction)
        return raw

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
        ratios = torch.log10(moduli[:, [2, 1, 3]] / moduli[:, :1])
        turn = turn_descriptors if self.config.inputs == "descriptors" else turn_voxels
        total = None
        for k in range(len(CUBE) if symmetric else 1):
            number = torch.full((len(inputs),), k, device=inputs.device)
            normalised = self.output.normalised(self(turn(inputs, number), ratios, fraction))
            back = turn_stiffness_back(normalised, number)
            total = back if total is None else total + back
        assert total is not None
        mean = total / (len(CUBE) if symmetric else 1)
        return self.output.stiffness(mean, moduli, fraction)

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
        array = np.asarray(images)
        if array.ndim != 4 or 0 in array.shape:
            raise ShapeError(f"images have shape {array.shape}, expected (n, r, r, r).")
        if not np.isin(array, (0, 1)).all():
            raise ParameterError("images hold other values than 0 and 1. Pass phase numbers.")
        moduli = np.stack(np.broadcast_arrays(K1, G1, K2, G2, np.zeros(len(array)))[:4], axis=1)
        contrasts(moduli)  # checks them
        fraction = array.mean(axis=(1, 2, 3))
        return self._in_batches(self.inputs_of(array), moduli, fraction, symmetric)

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
        wanted = self.config.inputs == "descriptors"
        source = cells.descriptors if wanted else self.inputs_of(cells.images)
        return self._in_batches(source[cells.image], cells.moduli, cells.fraction, symmetric)

    def evaluate(self, cells: SpaceCells, symmetric: bool = False) -> SpaceEvaluation:
        """Errors and violations on labelled cells."""
        return SpaceEvaluation.of(self.of_cells(cells, symmetric), cells.stiffness, cells.gap)

    @torch.no_grad()
    def _in_batches(
        self, inputs: np.ndarray, moduli: np.ndarray, fraction: np.ndarray, symmetric: bool
    ) -> np.ndarray:
        device = next(self.parameters()).device
        parts = []
        for first in range(0, len(inputs), BATCH):
            some = slice(first, first + BATCH)
            shown = torch.tensor(inputs[some], dtype=torch.float32, device=device)
            values, share = (torch.tensor(a[some], device=device) for a in (moduli, fraction))
            parts.append(self.stiffness(shown, values, share, symmetric).cpu().numpy())
        return np.concatenate(parts)

    def save(self, stem: str | Path, **card: Any) -> Path:
        """Write weights and card (`offline.surrogates.weights`)."""
        return weights.save(stem, self, {**self.card(), **card})

    def card(self) -> dict[str, Any]:
        """Kind and config, enough to build it again."""
        config = {"net": self.config.as_dict(), "output": self.output.kind}
        return {"kind": KIND, "config": config}


def load_surrogate(stem: str | Path) -> SpaceSurrogate:
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
        surrogate = SpaceSurrogate(SpaceConfig(**net), config["output"])
    except (KeyError, TypeError, AttributeError, MatnetError) as error:
        raise FileFormatError(
            f"{found.path}: its card does not describe a network ({error})."
        ) from error
    weights.fill(surrogate, found)
    return surrogate.eval()
