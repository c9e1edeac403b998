"""The CGiNS network: sparse periodic U-Nets on one to three grids, each with its embedded solver.

On every grid, from the coarsest to the finest, a U-Net predicts the displacements of six load cases
on top of what the coarser grid found; then the mean is taken off and a few iterations of conjugate
gradients follow, inside the network, in training as in use (METHODS 2).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.embedded_pcg import embedded_pcg
from offline.surrogates.cgins.features import MATERIAL, FourierFeatures, material_encoding
from offline.surrogates.cgins.sparse_conv import SparseConv3
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.transfer import Transfer

if TYPE_CHECKING:
    from offline.surrogates.cgins.cell_batch import CellBatch

__all__ = ["CGiNS", "Prediction", "SparseUNet"]

LOADS = 6
OUTPUT = 3 * LOADS
START = 0.1  # size of the last layer's first weights relative to the usual


@dataclass(frozen=True, slots=True)
class Prediction:
    """Displacements on each grid, the finest first.

    Attributes
    ----------
    starts : list of (N_l, 3, 6)
        What the network says, with mean zero.
    displacements : list of (N_l, 3, 6)
        The same after the embedded solver.
    shifts : list of (n_cells, 3, 6)
        Translation of what each U-Net says, relative to the cell's edge; for the penalty.
    """

    starts: list[Tensor]
    displacements: list[Tensor]
    shifts: list[Tensor]


class SparseUNet(nn.Module):
    """Two convolutions in, a U-Net, two convolutions out, ReLU between.

    Parameters
    ----------
    inputs, outputs : int
        Features per node that enter and leave.
    widths : sequence of int
        Features on the grid itself and on each coarser one.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        first = widths[0]
        self.embed = nn.Linear(inputs, first)
        self.encode = nn.ModuleList([_conv(first, first), _conv(first, first)])
        steps = list(itertools.pairwise(widths))
        self.enter = nn.ModuleList([_conv(fine, coarse) for fine, coarse in steps])
        self.stay = nn.ModuleList([_conv(coarse, coarse) for _, coarse in steps])
        self.join = nn.ModuleList([nn.Linear(fine + coarse, fine) for fine, coarse in steps])
        self.leave = nn.ModuleList([_conv(fine, fine) for fine, _ in steps])
        self.decode = _conv(first, first)
        self.out = _conv(first, outputs)
        with torch.no_grad():
            self.out.weight.mul_(START)

    def forward(
        self, x: Tensor, grids: Sequence[SparseGrid], transfers: Sequence[Transfer]
    ) -> tuple[Tensor, Tensor]:
        """Output (N, outputs) and the last latent features (N, widths[0])."""
        h = torch.relu(self.embed(x))
        for conv in self.encode:
            h = torch.relu(conv(h, grids[0]))
        skips = []
        for level, (enter, stay) in enumerate(zip(self.enter, self.stay, strict=True)):
            skips.append(h)
            h = torch.relu(enter(_pool(h, transfers[level]), grids[level + 1]))
            h = h + torch.relu(stay(h, grids[level + 1]))
        for level in reversed(range(len(skips))):
            h = torch.cat([skips[level], transfers[level].prolong(h)], dim=1)
            h = torch.relu(self.join[level](h))
            h = h + torch.relu(self.leave[level](h, grids[level]))
        h = h + torch.relu(self.decode(h, grids[0]))
        return self.out(h, grids[0]), h


class CGiNS(nn.Module):
    """Displacements of a batch of cells under six unit strains.

    Parameters
    ----------
    config : CGiNSConfig

    Notes
    -----
    Material enters relative to the cell's stiffest node and displacements leave relative to the
    cell's edge: neither the unit of stiffness nor that of length matters.
    """

    def __init__(self, config: CGiNSConfig) -> None:
        super().__init__()
        self.config = config
        self.fourier = FourierFeatures(
            config.frequencies, config.frequency_scale, config.frequency_seed
        )
        own = 2 * config.frequencies + MATERIAL
        self.nets = nn.ModuleList()
        for level in range(config.levels):
            widths = [config.width(level + step) for step in range(config.depth + 1)]
            below = config.width(level + 1) if level + 1 < config.levels else 0
            extra = 2 * OUTPUT if config.condition else 0
            self.nets.append(SparseUNet(own + below + extra, OUTPUT, widths))

    def forward(self, batch: CellBatch) -> Prediction:
        """Displacements [length of the cells] on every grid that predicts."""
        config = self.config
        grids, transfers = _grids(batch, config)
        dtype = batch.load.dtype
        length = batch.volume ** (1.0 / 3.0)
        inputs = [material_encoding(batch)]
        for transfer in transfers[: config.levels - 1]:
            inputs.append(_pool(inputs[-1], transfer))
        starts: list[Tensor] = []
        found: list[Tensor] = []
        shifts: list[Tensor] = []
        latent: Tensor | None = None
        for level in reversed(range(config.levels)):
            below = transfers[level].prolong(found[0]) if found else None
            x = [self.fourier(grids[level].positions(dtype)), inputs[level]]
            if latent is not None:
                x.append(transfers[level].prolong(latent))
            if config.condition:
                x.append(self._condition(batch, level, below))
            net = self.nets[level]
            out, latent = net(torch.cat(x, dim=1), grids[level:], transfers[level:])
            u = out.view(-1, 3, LOADS)
            shifts.insert(0, _shift(u, grids[level], config.constraint))
            u = (u - grids[level].spread(shifts[0])) * grids[level].spread(length)[:, None, None]
            starts.insert(0, u if below is None else below + u)
            found.insert(0, self._solve(batch, level, starts[0]))
        return Prediction(starts, found, shifts)

    def _condition(self, batch: CellBatch, level: int, below: Tensor | None) -> Tensor:
        """Displacement from below and the Jacobi step of its residual, (N, 36), dimensionless."""
        grid, operator = batch.grids[level], batch.operators[level]
        residual = batch.loads[level]
        if below is not None:
            residual = residual - operator.apply(below)
        step = residual / operator.diagonal[:, :, None]
        length = grid.spread(batch.volume ** (1.0 / 3.0))[:, None, None]
        voxels = max(grid.shape)
        u = torch.zeros_like(step) if below is None else below / length
        return torch.cat([u.flatten(1), (step * (voxels / length)).flatten(1)], dim=1)

    def _solve(self, batch: CellBatch, level: int, start: Tensor) -> Tensor:
        config = self.config
        steps = config.coarse_pcg_steps * level if level else config.pcg_steps
        return embedded_pcg(
            batch.operators[level], batch.loads[level], start, steps, batch.grids[level]
        )


def _grids(batch: CellBatch, config: CGiNSConfig) -> tuple[list[SparseGrid], list[Transfer]]:
    """Grids that convolutions read, cut at the faces where the configuration says so."""
    grids = list(batch.grids[: config.n_grids])
    if not config.periodic:
        grids = [grid.cut() for grid in grids]
    return grids, list(batch.transfers[: config.n_grids - 1])


def _pool(x: Tensor, transfer: Transfer) -> Tensor:
    """Weighted mean of the fine nodes around each coarse node."""
    weight = transfer.restrict(x.new_ones(x.shape[0], 1))
    return transfer.restrict(x) / weight


def _shift(u: Tensor, grid: SparseGrid, constraint: str) -> Tensor:
    """Translation (n_cells, 3, 6): the mean, or the displacement of the first node."""
    return u[grid.offsets[:-1]] if constraint == "anchor" else grid.mean(u)


def _conv(inputs: int, outputs: int) -> SparseConv3:
    """A convolution whose outputs keep the size of its inputs behind ReLU."""
    conv = SparseConv3(inputs, outputs)
    with torch.no_grad():
        conv.weight.normal_(0.0, (2.0 / (27 * inputs)) ** 0.5)
        conv.bias.zero_()  # type: ignore[union-attr]
    return conv
