"""A U-Net of sparse periodic convolutions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offline.surrogates.cgins.sparse_conv import SparseConv3
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.transfer import Transfer

__all__ = ["SparseUNet", "conv3", "pool"]


class SparseUNet(nn.Module):
    """Encoder of two convolutions, a U-Net, a decoding convolution; ReLU after each.

    Restriction over its weights pools, trilinear prolongation goes back up, where the features that
    went down are joined in. The last layer, whose output has no ReLU, is the caller's.

    Parameters
    ----------
    inputs : int
        Features per node that enter.
    widths : sequence of int
        Features on the grid itself and on each coarser one.
    """

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        first = widths[0]
        self.embed = nn.Linear(inputs, first)
        self.encode = nn.ModuleList([conv3(first, first), conv3(first, first)])
        steps = list(itertools.pairwise(widths))
        self.enter = nn.ModuleList([conv3(fine, coarse) for fine, coarse in steps])
        self.stay = nn.ModuleList([conv3(coarse, coarse) for _, coarse in steps])
        self.join = nn.ModuleList([nn.Linear(fine + coarse, fine) for fine, coarse in steps])
        self.leave = nn.ModuleList([conv3(fine, fine) for fine, _ in steps])
        self.decode = conv3(first, first)

    def forward(
        self, x: Tensor, grids: Sequence[SparseGrid], transfers: Sequence[Transfer]
    ) -> list[Tensor]:
        """Features (N_l, widths[l]) on every grid, from `x` (N, inputs) on the first.

        Parameters
        ----------
        x : (N, inputs)
        grids, transfers
            The grid itself and the coarser ones, as many as there are widths, and what is between.
        """
        h = torch.relu(self.embed(x))
        for conv in self.encode:
            h = torch.relu(conv(h, grids[0]))
        found = []
        for level, (enter, stay) in enumerate(zip(self.enter, self.stay, strict=True)):
            found.append(h)
            h = torch.relu(enter(pool(h, transfers[level]), grids[level + 1]))
            h = h + torch.relu(stay(h, grids[level + 1]))
        found.append(h)
        for level in reversed(range(len(found) - 1)):
            h = torch.cat([found[level], transfers[level].prolong(h)], dim=1)
            h = torch.relu(self.join[level](h))
            h = h + torch.relu(self.leave[level](h, grids[level]))
            found[level] = h
        found[0] = h + torch.relu(self.decode(h, grids[0]))
        return found


def pool(x: Tensor, transfer: Transfer) -> Tensor:
    """Weighted mean of the fine nodes around each coarse node."""
    weight = transfer.restrict(x.new_ones(x.shape[0], 1))
    return transfer.restrict(x) / weight


def conv3(inputs: int, outputs: int) -> SparseConv3:
    """A convolution whose outputs keep the size of its inputs behind ReLU (He et al., 2015)."""
    conv = SparseConv3(inputs, outputs)
    with torch.no_grad():
        conv.weight.normal_(0.0, (2.0 / (27 * inputs)) ** 0.5)
        assert conv.bias is not None
        conv.bias.zero_()
    return conv
