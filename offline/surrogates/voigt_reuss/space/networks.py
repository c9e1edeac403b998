"""Regressors for cells in space: descriptors or voxels, and contrasts, to raw numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError, ShapeError
from offline.morphology import GROUPS, selection
from offline.morphology.catalogue import swap, turns
from offline.surrogates.voigt_reuss.networks import MixedPerceptron

__all__ = ["INPUTS", "SpaceConfig", "SpaceNet", "documented", "small", "standardisation", "voxels"]

INPUTS = ("descriptors", "voxels")
SCALARS = 5  # three contrasts, both volume fractions
RATIO_SPREAD = 2.0 / 3.0**0.5  # standard deviation of a contrast in decades
LIMIT = 6.0  # of standardised descriptors: far tails say little


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceConfig:
    """Sizes of a network for cells in space.

    Parameters
    ----------
    inputs : {"descriptors", "voxels"}
    groups : tuple of str
        Which descriptors it sees: of isotropic, directional, conduction.
    widths : tuple of int
        Hidden layers of the perceptron.
    resolution : int
        Voxels per axis of the images that a network of voxels takes.
    patch : int
        Voxels per axis that are stacked into channels first.
    channels, kernels : tuple of int
        Per residual block; kernels odd. Each block but the last halves the resolution.
    """

    inputs: str = "descriptors"
    groups: tuple[str, ...] = GROUPS
    widths: tuple[int, ...] = (1024, 512, 256, 128, 128)
    resolution: int = 24
    patch: int = 2
    channels: tuple[int, ...] = (24, 48, 64)
    kernels: tuple[int, ...] = (3, 3, 3)

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ParameterError(
                f"inputs are '{self.inputs}', expected one of {', '.join(INPUTS)}."
            )
        selection(self.groups)
        if not self.widths or len(self.channels) != len(self.kernels) or not self.channels:
            raise ParameterError("expected hidden layers, and one kernel per entry of channels.")
        if any(k % 2 == 0 for k in self.kernels):
            raise ParameterError(f"kernels are {self.kernels}, expected odd numbers.")
        if self.positions < 1 or self.resolution % (self.patch * 2 ** (len(self.channels) - 1)):
            raise ParameterError(
                f"resolution {self.resolution} cannot be divided by the patch of {self.patch} and "
                f"halved {len(self.channels) - 1} times."
            )

    @property
    def positions(self) -> int:
        """Per axis of the last feature map."""
        return int(self.resolution // self.patch // 2 ** (len(self.channels) - 1))

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def documented(**changes: Any) -> SpaceConfig:
    """The paper's perceptron, 1024-512-256-128-128."""
    return SpaceConfig(**changes)


def small(**changes: Any) -> SpaceConfig:
    """A perceptron for short training on a CPU."""
    return SpaceConfig(**{"widths": (512, 256, 128, 128), **changes})


def voxels(**changes: Any) -> SpaceConfig:
    """A periodic residual network on voxels."""
    return SpaceConfig(**{"inputs": "voxels", "widths": (256, 128, 128), **changes})


class SpaceNet(nn.Module):
    """Inputs and contrasts to raw numbers.

    Parameters
    ----------
    config : SpaceConfig
    n_outputs : int

    Attributes
    ----------
    mean, scale : (d,)
        Standardise all descriptors; stored with the weights. See `standardisation`.
    """

    mean: Tensor
    scale: Tensor
    chosen: Tensor

    def __init__(self, config: SpaceConfig, n_outputs: int) -> None:
        super().__init__()
        self.config = config
        count = len(swap())
        if config.inputs == "voxels":
            self.encoder: nn.Module = VoxelEncoder(config)
            features = config.channels[-1]
        else:
            self.register_buffer("mean", torch.zeros(count))
            self.register_buffer("scale", torch.ones(count))
            index = torch.tensor(selection(config.groups))
            self.register_buffer("chosen", index, persistent=False)
            features = len(index)
        self.regressor = MixedPerceptron(features + SCALARS, config.widths, n_outputs)

    def forward(self, inputs: Tensor, ratios: Tensor, fraction: Tensor) -> Tensor:
        """Raw numbers (n, n_outputs).

        Parameters
        ----------
        inputs : (n, d) descriptors, or (n, r, r, r) voxels in [0, 1]
        ratios : (n, 3)
            Decimal logarithms of the contrasts.
        fraction : (n,)
            Of phase 1.
        """
        if self.config.inputs == "voxels":
            features = self.encoder(inputs)
        else:
            scaled = (inputs - self.mean) / self.scale
            features = scaled[:, self.chosen].clamp(-LIMIT, LIMIT).float()
        share = fraction[:, None].to(features)
        scalars = [ratios.to(features) / RATIO_SPREAD, 2.0 * share - 1.0, 1.0 - 2.0 * share]
        raw: Tensor = self.regressor(torch.cat([features, *scalars], dim=1))
        return raw


class VoxelEncoder(nn.Module):
    """Periodic residual blocks with 2 x 2 x 2 mean pooling between them, then the mean."""

    def __init__(self, config: SpaceConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [config.patch**3, *config.channels]
        pairs = zip(sizes[:-1], sizes[1:], config.kernels, strict=True)
        self.blocks = nn.ModuleList([PeriodicBlock3d(a, b, k) for a, b, k in pairs])

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, k) of images (n, r, r, r)."""
        side = self.config.resolution
        if images.shape[1:] != (side, side, side):
            raise ShapeError(
                f"images have shape {tuple(images.shape)}, expected (n, {side}, {side}, {side})."
            )
        maps = _patches(2.0 * images - 1.0, self.config.patch)
        for number, block in enumerate(self.blocks):
            maps = block(maps if number == 0 else nn.functional.avg_pool3d(maps, 2))
        return maps.mean(dim=(-3, -2, -1))


class PeriodicBlock3d(nn.Module):
    """Two periodic convolutions with batch norm and ReLU beside a 1 x 1 x 1 one."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _periodic(n_in, n_out, kernel),
            nn.BatchNorm3d(n_out),
            nn.ReLU(),
            _periodic(n_out, n_out, kernel),
            nn.BatchNorm3d(n_out),
        )
        self.skip = nn.Conv3d(n_in, n_out, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, n_in, a, b, c) to (n, n_out, a, b, c)."""
        return torch.relu(self.body(maps) + self.skip(maps))


def standardisation(descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (d,) over images (n, d), all their symmetries and swapped phases.

    They are those of a set that holds every image in all 96 forms, so standardising commutes with
    turning. Descriptors that do not vary keep their scale.
    """
    source, sign = turns()
    mean, square = descriptors.mean(axis=0), (descriptors**2).mean(axis=0)
    mean, square = 0.5 * (mean + mean[swap()]), 0.5 * (square + square[swap()])
    mean = (sign * mean[source]).mean(axis=0)
    square = square[source].mean(axis=0)
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return mean, np.where(spread > 1e-6 * np.sqrt(square) + 1e-12, spread, 1.0)


def _patches(images: Tensor, patch: int) -> Tensor:
    """(n, r, r, r) to (n, patch^3, r / patch, ...): nothing is lost."""
    n, side = len(images), images.shape[-1] // patch
    split = images.reshape(n, side, patch, side, patch, side, patch)
    return split.permute(0, 2, 4, 6, 1, 3, 5).reshape(n, patch**3, side, side, side)


def _periodic(n_in: int, n_out: int, kernel: int) -> nn.Conv3d:
    # batch norm follows and has the bias
    return nn.Conv3d(n_in, n_out, kernel, padding=kernel // 2, padding_mode="circular", bias=False)
