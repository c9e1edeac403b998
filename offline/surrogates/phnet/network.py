"""The dense U-Net of PH-Net.

Peng, Liu, Huang, Cao, Liu & Lu, "PH-Net: Parallelepiped microstructure homogenization via 3D
convolutional neural networks", Additive Manufacturing 60, 2022, table 1 and section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.convolution import conv3, require_network, require_width, scaled
from offline.surrogates.dense.integration import Integration

__all__ = ["CHANNELS", "HALVINGS", "PHNet", "PHNetConfig", "material_voxels"]

CHANNELS = 36  # of the material-voxel tensor
DOWN, UP = (64, 128, 256), (128, 64, 32)
HALVINGS = len(DOWN)
LOADS = 6
MOST_FIELDS = 192


@dataclass(frozen=True, slots=True, kw_only=True)
class PHNetConfig:
    """What the weights have to fit.

    Parameters
    ----------
    width : float
        Factor on all widths; 1 is the paper's.
    last_width : float, optional
        Factor on the 32 channels of the last block, which the 18 outputs are combinations of: with
        fewer than 18 channels they depend on each other. None: `width`.
    padding : {"periodic", "zero"}
    soft : float
        Stiffness of void relative to the solid.
    integrate : bool
        Predict what `dense.integration` makes the displacement from; the paper does not.
    combine : bool
        Combine the displacements for the least energy, see `DenseCells.combined`; the paper does
        not.
    fields : int
        Displacement fields to predict and combine, 6 or more; more than 6 need `combine`.

    Raises
    ------
    ParameterError
        A value is unknown or out of range.
    """

    width: float = 1.0
    last_width: float | None = None
    padding: str = "periodic"
    soft: float = 1e-6
    integrate: bool = False
    combine: bool = False
    fields: int = LOADS

    def __post_init__(self) -> None:
        require_network(self.width, self.padding, self.soft)
        if self.last_width is not None:
            require_width("last_width", self.last_width)
        if not LOADS <= self.fields <= MOST_FIELDS:
            raise ParameterError(
                f"fields is {self.fields}, expected a whole number from {LOADS} to {MOST_FIELDS}."
            )
        if self.fields > LOADS and not self.combine:
            raise ParameterError(
                f"fields is {self.fields}, and without combine each of the {LOADS} loads has one."
            )

    def module(self) -> nn.Module:
        """A fresh network."""
        return PHNet(self)

    def inputs(self, cells: DenseCells) -> Tensor:
        """What the network sees, see `material_voxels`."""
        return material_voxels(cells)

    def misfit(self, rve: Rve) -> str | None:
        """Why the network cannot take a cell, or None if it can.

        >>> import numpy as np
        >>> PHNetConfig().misfit(Rve(phases=np.zeros((8, 8, 12), dtype=np.uint8)))
        'it halves the grid 3 times, and 8 x 8 x 12 voxels are not multiples of 8'
        """
        if any(n % 2**HALVINGS for n in rve.shape):
            shape = " x ".join(map(str, rve.shape))
            return (
                f"it halves the grid {HALVINGS} times, "
                f"and {shape} voxels are not multiples of {2**HALVINGS}"
            )
        return None


def material_voxels(cells: DenseCells) -> Tensor:
    """The stiffness of each voxel on the cube (B, 36, n1, n2, n3), over `DenseCells.scale`."""
    voxels = torch.einsum("bpv,bpij->bijv", cells.shares().flatten(2), cells.stiffness)
    return voxels.reshape(len(voxels), CHANNELS, *cells.grid)


class PHNet(nn.Module):
    """Material voxels (B, 36, n1, n2, n3) to displacements (B, 3, fields, n1, n2, n3) in voxels.

    Three blocks halve the grid, three double it; what enters a halving block joins what the block
    of the same grid on the way up makes larger. Every block is two 3^3 convolutions, each with ReLU
    and batch norm.

    >>> sum(p.numel() for p in PHNet(PHNetConfig()).parameters())
    5821074
    """

    def __init__(self, config: PHNetConfig) -> None:
        super().__init__()
        self.config = config
        down = [scaled(c, config.width) for c in DOWN]
        up = [scaled(c, config.width) for c in UP]
        if config.last_width is not None:
            up[-1] = scaled(UP[-1], config.last_width)
        entering = [CHANNELS, *down[:-1]]
        padding = config.padding
        self.down = nn.ModuleList(
            _block(i, o, padding) for i, o in zip(entering, down, strict=True)
        )
        below = [down[-1], *up[:-1]]
        self.up = nn.ModuleList(
            _block(i + skip, o, padding)
            for i, skip, o in zip(below, reversed(entering), up, strict=True)
        )
        self.pool = nn.MaxPool3d(2)
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.Conv3d(up[-1], 3 * config.fields, 1)
        self.integration = Integration() if config.integrate else nn.Identity()

    def forward(self, voxels: Tensor) -> Tensor:
        """Displacements of the six unit strains on the cube, or fields to combine to them."""
        x, skips = voxels, []
        for block in self.down:
            skips.append(x)
            x = block(self.pool(x))
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = block(torch.cat([self.enlarge(x), skip], dim=1))
        out: Tensor = self.integration(self.last(x))
        u: Tensor = out.unflatten(1, (self.config.fields, 3)).transpose(1, 2)
        return u

    def grown(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a network with fewer fields, with this one's further fields added.

        The new rows of the last layer are as large as the old ones.
        """
        own = {f"last.{name}": value for name, value in self.last.state_dict().items()}
        old = {name: tensors[name] for name in own if name in tensors}
        if any(name not in old or old[name].shape[1:] != own[name].shape[1:] for name in own):
            return tensors  # of another network, which whoever fills it in will say
        size = float(old["last.weight"].std() / own["last.weight"].std())
        added = {name: size * value[len(old[name]) :] for name, value in own.items()}
        return tensors | {name: torch.cat([old[name], added[name]]) for name in own}


def _block(inputs: int, outputs: int, padding: str) -> nn.Module:
    return nn.Sequential(
        conv3(inputs, outputs, padding),
        nn.ReLU(),
        nn.BatchNorm3d(outputs),
        conv3(outputs, outputs, padding),
        nn.ReLU(),
        nn.BatchNorm3d(outputs),
    )
