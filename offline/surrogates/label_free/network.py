r"""The two networks of the label-free CNN paper.

Zhu, Wang, Zhong & Li, "Learning microstructure-property mapping via label-free 3D convolutional
neural network", section 4.4, give the channels (1, 9), (9, 18), (18, 36), (36, 72) of four blocks,
the order of the layers, 14 convolutions and 437 642 parameters. The widths between the two first
convolutions of a block and between the last two are not given. No plain rule (width of the input,
of the output, their mean) meets the number; `HIDDEN` and `HIDDEN_LAST` do, and grow with the
blocks. `DENSE_LAYERS` likewise meets the 592 643 of the pooled network (figure 11) at 40^3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.convolution import conv3, require_network, scaled
from offline.surrogates.dense.integration import Integration

__all__ = ["BLOCKS", "LabelFreeCNN", "LabelFreeConfig", "PooledCNN", "symmetric_stiffness"]

BLOCKS = ((1, 9), (9, 18), (18, 36), (36, 72))
HIDDEN, HIDDEN_LAST = (6, 16, 27, 38), 36
DENSE_LAYERS = (106, 86, 77)
SLOPE = 0.01
TILT = 1e-6  # of edges and angles that count as those of a cube
NETS = ("displacement", "stiffness")
NINE = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2), (3, 3), (4, 4), (5, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFreeConfig:
    """What the weights have to fit.

    Parameters
    ----------
    net : {"displacement", "stiffness"}
        The CNN of figure 7, or the pooled one of figure 11 that says C^H directly.
    width : float
        Factor on all widths; 1 is the paper's.
    padding : {"periodic", "zero"}
        The paper pads with zeros; cells are periodic.
    soft : float
        Stiffness of void relative to the solid, the paper's rho_min.
    resolution : int
        Voxels per axis that the net "stiffness" takes, a multiple of 8; else unused.
    integrate : bool
        Predict what `dense.integration` makes the displacement from; the paper does not. Unused by
        the net "stiffness".
    combine : bool
        Combine the six displacements for the least energy, see `DenseCells.combined`; the paper
        does not. Not for the net "stiffness".

    Raises
    ------
    ParameterError
        A value is unknown or out of range.
    """

    net: str = "displacement"
    width: float = 1.0
    padding: str = "periodic"
    soft: float = 1e-9
    resolution: int = 40
    integrate: bool = False
    combine: bool = False

    def __post_init__(self) -> None:
        require_network(self.width, self.padding, self.soft)
        if self.net not in NETS:
            raise ParameterError(f"net is '{self.net}', expected one of {', '.join(NETS)}.")
        if self.combine and self.net == "stiffness":
            raise ParameterError("combine is set, and the net 'stiffness' has no displacements.")
        if self.resolution < 8 or self.resolution % 8:
            raise ParameterError(f"resolution is {self.resolution}, expected a multiple of 8.")

    def module(self) -> nn.Module:
        """A fresh network."""
        return LabelFreeCNN(self) if self.net == "displacement" else PooledCNN(self)

    def inputs(self, cells: DenseCells) -> Tensor:
        """What the network sees: densities (B, 1, n1, n2, n3).

        Raises
        ------
        ParameterError
            More than one phase has a stiffness, whatever their names are.
        """
        shares = cells.shares()
        if shares.shape[1] > 1:
            raise ParameterError(
                f"the network sees one density, and {shares.shape[1]} phases have a stiffness."
            )
        return shares

    def misfit(self, rve: Rve) -> str | None:
        """Why the network cannot take a cell, or None if it can."""
        if rve.n_phases - int(rve.void.sum()) > 1:
            return f"it sees one density, and the cell has phases {', '.join(rve.phase_names)}"
        edges = np.linalg.norm(rve.cell, axis=1)
        cosines = rve.cell @ rve.cell.T / np.outer(edges, edges)
        steps = edges / np.array(rve.shape)
        if np.abs(cosines - np.eye(3)).max() > TILT or np.ptp(steps) > TILT * steps.max():
            return "it sees no shape, and the voxels are not cubes"
        if self.net == "stiffness" and set(rve.shape) != {self.resolution}:
            shape = " x ".join(map(str, rve.shape))
            return f"it takes {self.resolution} voxels per axis, and the cell has {shape}"
        return None


class LabelFreeCNN(nn.Module):
    """Densities (B, 1, n1, n2, n3) to displacements (B, 3, 6, n1, n2, n3) in voxels.

    >>> sum(p.numel() for p in LabelFreeCNN(LabelFreeConfig()).parameters())
    437642
    """

    def __init__(self, config: LabelFreeConfig) -> None:
        super().__init__()
        self.config = config
        blocks, last = _blocks(config, len(BLOCKS))
        hidden = scaled(HIDDEN_LAST, config.width)
        ends = (conv3(last, hidden, config.padding), conv3(hidden, 18, config.padding))
        self.layers = nn.Sequential(*blocks, *ends)
        self.integration = Integration() if config.integrate else nn.Identity()

    def forward(self, density: Tensor) -> Tensor:
        """Displacements of the six unit strains."""
        out: Tensor = self.integration(self.layers(density))
        u: Tensor = out.unflatten(1, (6, 3)).transpose(1, 2)
        return u


class PooledCNN(nn.Module):
    """Densities (B, 1, n, n, n) to C^H (B, 6, 6) of orthotropic cells over Young's modulus.

    Three blocks, each with a pooling by two, four dense layers, nine numbers.
    """

    def __init__(self, config: LabelFreeConfig) -> None:
        super().__init__()
        self.config = config
        blocks, last = _blocks(config, 3)
        features = last * (config.resolution // 8) ** 3
        layers: list[nn.Module] = [m for block in blocks for m in (block, nn.MaxPool3d(2))]
        layers.append(nn.Flatten())
        for width in (scaled(w, config.width) for w in DENSE_LAYERS):
            layers += [nn.Linear(features, width), nn.LeakyReLU(SLOPE)]
            features = width
        self.layers = nn.Sequential(*layers, nn.Linear(features, len(NINE)))

    def forward(self, density: Tensor) -> Tensor:
        """Stiffness in Mandel form."""
        return symmetric_stiffness(self.layers(density))


def symmetric_stiffness(nine: Tensor) -> Tensor:
    """The matrix (B, 6, 6) of entries 11, 12, 13, 22, 23, 33, 44, 55, 66 (B, 9)."""
    rows = torch.zeros(9, 6, 6, dtype=nine.dtype, device=nine.device)
    for entry, (i, j) in enumerate(NINE):
        rows[entry, i, j] = rows[entry, j, i] = 1.0
    return torch.einsum("be,eij->bij", nine, rows)


def _blocks(config: LabelFreeConfig, count: int) -> tuple[list[nn.Module], int]:
    """The first blocks, and the channels that come out of the last."""
    inputs, made = 1, []
    for (_, outputs), hidden in list(zip(BLOCKS, HIDDEN, strict=True))[:count]:
        wide = scaled(outputs, config.width)
        made.append(_block(inputs, scaled(hidden, config.width), wide, config.padding))
        inputs = wide
    return list(made), inputs


def _block(inputs: int, hidden: int, outputs: int, padding: Any) -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm3d(inputs),
        conv3(inputs, hidden, padding),
        conv3(hidden, outputs, padding),
        nn.BatchNorm3d(outputs),
        nn.LeakyReLU(SLOPE),
        conv3(outputs, outputs, padding),
    )
