"""Regressors for plane cells: pictures or generator parameters to the numbers of an output layer.

Any periodic picture goes through `PictureEncoder` and `MixedPerceptron`; parameters go straight
to the perceptron. What the numbers mean is the output layer's business (`outputs`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from matnet.errors import ParameterError, ShapeError
from offline.surrogates.voigt_reuss.fields import MODES

__all__ = ["INPUTS", "READOUTS", "NetConfig", "PlaneNet", "documented", "small"]

INPUTS = ("picture", "parameters")
READOUTS = ("flatten", "mean")
RAW = 6  # m (m + 1) / 2 with m = 3
WIDTHS = (256, 128, 64, 64, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    """Sizes of a plane network.

    Parameters
    ----------
    inputs : {"picture", "parameters"}
        Pictures, or the vector (c0, tau, amplitudes).
    resolution : int
        Pixels per side of the pictures it takes.
    patch : int
        Pixels per side that are stacked into channels first (1: none): nothing is lost, and the
        convolutions have that many times fewer positions per direction.
    channels, kernels : tuple of int
        Per residual block; kernels odd. Each block halves the resolution.
    readout : {"flatten", "mean"}
        Of the last feature map: all of it, as documented, or the mean over positions, which does
        not depend on where the picture starts.
    widths : tuple of int
        Hidden layers of the perceptron.
    with_tau : bool
        The threshold is an input beside c0. Pictures from elsewhere have none, so such a network
        cannot take them.
    """

    inputs: str = "picture"
    resolution: int = 100
    patch: int = 1
    channels: tuple[int, ...] = (18, 24, 30, 36)
    kernels: tuple[int, ...] = (3, 5, 7, 9)
    readout: str = "flatten"
    widths: tuple[int, ...] = WIDTHS
    with_tau: bool = True

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ParameterError(f"inputs is '{self.inputs}', expected {' or '.join(INPUTS)}.")
        if self.readout not in READOUTS:
            raise ParameterError(f"readout is '{self.readout}', expected {' or '.join(READOUTS)}.")
        if len(self.channels) != len(self.kernels) or any(k % 2 == 0 for k in self.kernels):
            raise ParameterError(
                f"channels {self.channels} and kernels {self.kernels}: expected as many of one as "
                "of the other, and odd kernels."
            )
        if self.resolution % self.patch or self.positions < 1:
            raise ParameterError(
                f"resolution {self.resolution} with patches of {self.patch} and "
                f"{len(self.channels)} halvings: expected a multiple of the patch, and at least "
                "one position at the end."
            )

    @property
    def positions(self) -> int:
        """Positions per side of the last feature map."""
        return int(self.resolution // self.patch // 2 ** len(self.channels))

    @property
    def auxiliary(self) -> int:
        """Scalars beside the picture: c0, and tau."""
        return 2 if self.with_tau else 1

    def as_dict(self) -> dict[str, Any]:
        """For a weights card."""
        return asdict(self)


def documented(**changes: Any) -> NetConfig:
    """The paper's convolutional network, for 100 x 100 pixels."""
    return NetConfig(**changes)


def small(**changes: Any) -> NetConfig:
    """A network for training on a CPU: 64 x 64 pixels, patches of 2, mean readout, no tau."""
    values: dict[str, Any] = {
        "resolution": 64,
        "patch": 2,
        "channels": (24, 48, 64, 96),
        "kernels": (5, 5, 5, 3),
        "readout": "mean",
        "with_tau": False,
    }
    return NetConfig(**(values | changes))


class PlaneNet(nn.Module):
    """Six numbers per cell, for an output layer.

    Parameters
    ----------
    config : NetConfig
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        if config.inputs == "picture":
            self.encoder: nn.Module = PictureEncoder(config)
            features = config.channels[-1]
            features *= config.positions**2 if config.readout == "flatten" else 1
        else:
            self.encoder = nn.Flatten()
            features = MODES**2
        self.regressor = MixedPerceptron(features + config.auxiliary, config.widths, RAW)

    def forward(self, inputs: Tensor, auxiliary: Tensor) -> Tensor:
        """Raw outputs (n, 6).

        Parameters
        ----------
        inputs : (n, res, res) chi in [0, 1], or (n, 11, 11) amplitudes
        auxiliary : (n, 1) c0, or (n, 2) c0 and tau
        """
        if auxiliary.shape[-1] != self.config.auxiliary:
            names = "(n, 2) c0 and tau" if self.config.with_tau else "(n, 1) c0"
            raise ShapeError(f"auxiliary has shape {tuple(auxiliary.shape)}, expected {names}.")
        features = self.encoder(inputs)
        raw: Tensor = self.regressor(torch.cat([features, 2.0 * auxiliary - 1.0], dim=1))
        return raw


class PictureEncoder(nn.Module):
    """Periodic residual blocks, each followed by 2 x 2 average pooling."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.stack = nn.PixelUnshuffle(config.patch)
        sizes = [config.patch**2, *config.channels]
        pairs = zip(sizes[:-1], sizes[1:], config.kernels, strict=True)
        self.blocks = nn.Sequential(*[PeriodicBlock(a, b, k) for a, b, k in pairs])

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (n, k) of pictures (n, res, res)."""
        side = self.config.resolution
        if pictures.shape[1:] != (side, side):
            raise ShapeError(
                f"pictures have shape {tuple(pictures.shape)}, expected (n, {side}, {side})."
            )
        maps: Tensor = self.blocks(self.stack(2.0 * pictures[:, None] - 1.0))
        if self.config.readout == "mean":
            return maps.mean(dim=(-2, -1))
        return maps.flatten(1)


class PeriodicBlock(nn.Module):
    """Two periodic convolutions with batch norm and ReLU beside a 1 x 1 one, then pooling."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _periodic(n_in, n_out, kernel),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            _periodic(n_out, n_out, kernel),
            nn.BatchNorm2d(n_out),
        )
        self.skip = nn.Conv2d(n_in, n_out, 1)
        self.pool = nn.AvgPool2d(2)

    def forward(self, maps: Tensor) -> Tensor:
        """(n, n_in, h, w) to (n, n_out, h // 2, w // 2)."""
        pooled: Tensor = self.pool(torch.relu(self.body(maps) + self.skip(maps)))
        return pooled


class MixedPerceptron(nn.Sequential):
    """Linear layers with batch norm and mixed activations, and a linear one at the end."""

    def __init__(self, n_in: int, widths: tuple[int, ...], n_out: int) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(n_in, width), nn.BatchNorm1d(width), MixedActivation()]
            n_in = width
        super().__init__(*layers, nn.Linear(n_in, n_out))


class MixedActivation(nn.Module):
    """SELU, tanh, sigmoid and identity, each on a quarter of the channels.

    The identity lets values pass as a skip connection does.
    """

    def forward(self, values: Tensor) -> Tensor:
        """(n, k) to (n, k); the last quarter takes what is left over."""
        quarter = values.shape[1] // 4
        a, b, c, d = values.split([quarter, quarter, quarter, values.shape[1] - 3 * quarter], 1)
        return torch.cat([torch.selu(a), torch.tanh(b), torch.sigmoid(c), d], dim=1)


def _periodic(n_in: int, n_out: int, kernel: int) -> nn.Conv2d:
    # batch norm follows and has the bias
    return nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, padding_mode="circular", bias=False)
