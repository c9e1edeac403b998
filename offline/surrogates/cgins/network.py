"""The CGiNS network: sparse periodic U-Nets on one to three grids, each with its embedded solver.

On every grid, from the coarsest to the finest, a net predicts the displacements of six load cases
on top of what the coarser grid found; then the mean is taken off and a few iterations of conjugate
gradients follow, inside the network, in training as in use (METHODS 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.embedded_pcg import embedded_pcg
from offline.surrogates.cgins.features import MATERIAL, FourierFeatures, material_encoding
from offline.surrogates.cgins.mode_net import ModeNet
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.transfer import Transfer
from offline.surrogates.cgins.unet import SparseUNet, conv3, pool

if TYPE_CHECKING:
    from offline.surrogates.cgins.cell_batch import CellBatch

__all__ = ["CGiNS", "DirectNet", "Prediction"]

LOADS = 6
OUTPUT = 3 * LOADS
START = 0.01  # size of the last layer's first weights relative to the usual


@dataclass(frozen=True, slots=True)
class Prediction:
    """Displacements on each grid, the finest first.

    Attributes
    ----------
    starts : list of (N_l, 3, 6)
        What the network says, on top of the coarser grid's displacement; translation taken off.
    displacements : list of (N_l, 3, 6)
        The same after the embedded solver.
    shifts : list of (n_cells, 3, 6)
        Translation of what each net says, relative to the cell's edge; for the penalty.
    """

    starts: list[Tensor]
    displacements: list[Tensor]
    shifts: list[Tensor]


class DirectNet(nn.Module):
    """The documents' net: a U-Net whose last convolution gives all six displacements.

    Parameters
    ----------
    inputs : int
        Features per node, without those of `condition`.
    widths : list of int
        See `SparseUNet`.
    condition : bool
        Also take displacements from below and the Jacobi step of their residual.
    """

    def __init__(self, inputs: int, widths: list[int], condition: bool) -> None:
        super().__init__()
        self.condition = condition
        self.unet = SparseUNet(inputs + (2 * OUTPUT if condition else 0), widths)
        self.out = conv3(widths[0], OUTPUT)
        with torch.no_grad():
            self.out.weight.mul_(START)

    def forward(
        self, x: Tensor, s: Tensor, grids: list[SparseGrid], transfers: list[Transfer]
    ) -> tuple[Tensor, Tensor]:
        """Displacements (N, 3, 6) in voxels and the last features; arguments of `ModeNet`."""
        if self.condition:
            x = torch.cat([x, s.flatten(1)], dim=1)
        h = self.unet(x, grids, transfers)[0]
        return self.out(h, grids[0]).view(-1, 3, LOADS), h


class CGiNS(nn.Module):
    """Displacements of a batch of cells under six unit strains.

    Parameters
    ----------
    config : CGiNSConfig

    Notes
    -----
    Material enters relative to the cell's stiffest phase and displacements leave relative to the
    cell's edge: neither the unit of stiffness nor that of length matters.
    """

    def __init__(self, config: CGiNSConfig) -> None:
        super().__init__()
        self.config = config
        self.fourier = FourierFeatures(
            config.frequencies, config.frequency_scale, config.frequency_seed
        )
        self.nets = nn.ModuleList([_net(config, level) for level in range(config.levels)])

    def forward(self, batch: CellBatch) -> Prediction:
        """Displacements [length of the cells] on every grid that predicts.

        Parameters
        ----------
        batch : CellBatch
            With at least ``config.n_grids`` grids.
        """
        config = self.config
        grids, transfers = _grids(batch, config)
        materials = [material_encoding(batch)]
        for transfer in transfers[: config.levels - 1]:
            materials.append(pool(materials[-1], transfer))
        starts: list[Tensor] = []
        found: list[Tensor] = []
        shifts: list[Tensor] = []
        latent: Tensor | None = None
        for level in reversed(range(config.levels)):
            below = transfers[level].prolong(found[0]) if found else None
            x = [self.fourier(grids[level].positions(batch.load.dtype)), materials[level]]
            if latent is not None:
                x.append(transfers[level].prolong(latent))
            voxel = batch.volume ** (1.0 / 3.0) / max(grids[level].shape)
            size = grids[level].spread(voxel)[:, None, None]
            residual = _residual(batch, level, below)
            s = _state(batch, level, below, residual) / size
            u, latent = self.nets[level](torch.cat(x, 1), s, grids[level:], transfers[level:])
            u = u.to(residual.dtype)  # from mixed precision
            shift = _shift(u, grids[level], config.constraint)
            start = u * size
            if config.line_search:
                start = start * _best_step(batch, level, start, residual)
            if below is not None:
                start = start + below
            held = _shift(start, grids[level], config.constraint)
            starts.insert(0, start - grids[level].spread(held))
            shifts.insert(0, shift / max(grids[level].shape))
            found.insert(0, self._solve(batch, level, starts[0]))
        return Prediction(starts, found, shifts)

    def _solve(self, batch: CellBatch, level: int, start: Tensor) -> Tensor:
        u = self._iterate(batch, level, batch.loads[level], start)
        if level == 0 and self.config.levels > 1:
            for _ in range(self.config.cycles - 1):
                u = self._iterate(batch, 0, batch.load, u + self._correction(batch, u))
        return u

    def _iterate(self, batch: CellBatch, level: int, f: Tensor, start: Tensor) -> Tensor:
        """PCG steps of one grid towards the load `f`."""
        config = self.config
        steps = config.coarse_pcg_steps * level if level else config.pcg_steps
        return embedded_pcg(batch.operators[level], f, start, steps, batch.grids[level])

    def _correction(self, batch: CellBatch, u: Tensor) -> Tensor:
        """What the coarser grids, from the coarsest up, say to the residual of `u` (N, 3, 6)."""
        transfers = batch.transfers[: self.config.levels - 1]
        residuals = [batch.load - batch.operator.apply(u)]
        for transfer in transfers:
            residuals.append(transfer.restrict(residuals[-1]))
        e = torch.zeros_like(residuals[-1])
        for level in reversed(range(1, self.config.levels)):
            e = self._iterate(batch, level, residuals[level], e)
            e = transfers[level - 1].prolong(e)
        return e


def _net(config: CGiNSConfig, level: int) -> nn.Module:
    """The net of one grid."""
    widths = [config.width(level + step) for step in range(config.depth + 1)]
    below = config.width(level + 1) if level + 1 < config.levels else 0
    inputs = 2 * config.frequencies + MATERIAL + below
    if config.net == "modes":
        return ModeNet(inputs, widths, config.modes, START)
    return DirectNet(inputs, widths, config.condition)


def _grids(batch: CellBatch, config: CGiNSConfig) -> tuple[list[SparseGrid], list[Transfer]]:
    """Grids that convolutions read, cut at the faces where the configuration says so."""
    grids = list(batch.grids[: config.n_grids])
    if not config.periodic:
        grids = [grid.cut() for grid in grids]
    return grids, list(batch.transfers[: config.n_grids - 1])


def _residual(batch: CellBatch, level: int, below: Tensor | None) -> Tensor:
    """What the displacement from below leaves of the load, (N, 3, 6)."""
    if below is None:
        return batch.loads[level]
    return batch.loads[level] - batch.operators[level].apply(below)


def _state(batch: CellBatch, level: int, below: Tensor | None, residual: Tensor) -> Tensor:
    """Displacement from below and the Jacobi step of its residual, (N, 6, 6) [length]."""
    if below is None:
        below = torch.zeros_like(residual)
    return torch.cat([below, residual / batch.operators[level].diagonal[:, :, None]], dim=1)


def _best_step(batch: CellBatch, level: int, w: Tensor, residual: Tensor) -> Tensor:
    r"""Length of the step along `w` with the least energy, :math:`w^T r / w^T K w`, (N, 1, 6).

    No prediction can then raise the energy, however far a cell is from those of the training.
    """
    grid, operator = batch.grids[level], batch.operators[level]
    gain = grid.sum((w * residual).sum(1))
    cost = grid.sum((w * operator.apply(w)).sum(1))
    useful = cost > torch.finfo(cost.dtype).tiny
    step = torch.where(useful, gain / torch.where(useful, cost, torch.ones_like(cost)), 0.0)
    return grid.spread(step)[:, None, :]


def _shift(u: Tensor, grid: SparseGrid, constraint: str) -> Tensor:
    """Translation (n_cells, 3, 6): the mean, or the displacement of the first node."""
    return u[grid.offsets[:-1]] if constraint == "anchor" else grid.mean(u)
