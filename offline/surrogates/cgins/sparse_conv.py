"""Sparse 3x3x3 convolution over the active nodes of periodic cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from offline.surrogates.cgins.sparse_grid import SparseGrid

__all__ = ["SparseConv3"]


class SparseConv3(nn.Module):
    r"""Convolution ``y_i = b + \sum_o W_o x_{i + o}`` over the 27 neighbours.

    Neighbours that are not active count as zero.

    Parameters
    ----------
    in_channels, out_channels : int
    bias : bool

    Attributes
    ----------
    weight : (27, in_channels, out_channels)
        In the order of `offline.surrogates.cgins.sparse_grid.OFFSETS`.
    bias : (out_channels,) or None
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        options = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(27, in_channels, out_channels, **options))  # type: ignore[arg-type]
        self.bias = nn.Parameter(torch.empty(out_channels, **options)) if bias else None  # type: ignore[arg-type]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(27 in_channels), as `torch.nn.Conv3d`."""
        bound = 1.0 / math.sqrt(27 * self.in_channels)
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, grid: SparseGrid) -> Tensor:
        """Output (N, out_channels) of `x` (N, in_channels)."""
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
        result = x @ self.weight[13]
        for o in range(27):
            if o != 13:
                result = result + padded.index_select(0, grid.neighbours[:, o]) @ self.weight[o]
        return result if self.bias is None else result + self.bias
