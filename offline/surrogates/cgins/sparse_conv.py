"""Sparse 3x3x3 convolution over the active nodes of periodic cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from offline.surrogates.cgins.sparse_grid import SparseGrid

__all__ = ["SparseConv3"]

# Bytes of gathered rows at a time: what a core's cache holds, what a GPU keeps busy with.
GATHERED = {"cpu": 2**21, "cuda": 2**28}


class SparseConv3(nn.Module):
    r"""Convolution ``y_i = b + \sum_o W_o x_{i + o}`` over the 27 neighbours.

    Neighbours that are not active count as zero. Rows of 27 neighbours are gathered in chunks and
    multiplied by one matrix; the backward pass gathers again instead of keeping them. Inside
    `torch.autocast` the products run in its lower precision, sums of weight gradients do not.

    Parameters
    ----------
    in_channels, out_channels : int
    bias : bool
    device, dtype
        Of the parameters.

    Attributes
    ----------
    weight : (27, in_channels, out_channels)
        In the order of `offline.surrogates.cgins.sparse_grid.OFFSETS`.
    bias : (out_channels,) or None

    Examples
    --------
    >>> grid = SparseGrid.of(torch.ones(1, 4, 4, 4, dtype=torch.bool))
    >>> conv = SparseConv3(1, 1, bias=False)
    >>> _ = nn.init.ones_(conv.weight)
    >>> conv(torch.ones(64, 1), grid)[0].item()
    27.0
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
        weight = torch.empty(27, in_channels, out_channels, device=device, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(27 in_channels), as `torch.nn.Conv3d`."""
        bound = 1.0 / math.sqrt(27 * self.in_channels)
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, grid: SparseGrid) -> Tensor:
        """Output (N, out_channels) of `x` (N, in_channels)."""
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        result = _Convolution.apply(x.to(dtype), self.weight, self.bias, grid.neighbours)
        assert isinstance(result, Tensor)
        return result


class _Convolution(torch.autograd.Function):
    """The convolution in the precision of `x`; parameters may have a higher one."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, neighbours: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, weight, neighbours)
        ctx.has_bias = bias is not None
        return _convolve(x, weight.to(x.dtype), neighbours, bias)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight, neighbours = ctx.saved_tensors
        need_x, need_weight, need_bias, _ = ctx.needs_input_grad
        # j = i + o is the neighbour of i where i is the neighbour of j in the opposite direction
        transposed = weight.to(x.dtype).flip(0).transpose(1, 2).contiguous()
        return (
            _convolve(gradient, transposed, neighbours, None) if need_x else None,
            _weight_gradient(x, gradient, neighbours, weight) if need_weight else None,
            gradient.sum(0, dtype=weight.dtype) if ctx.has_bias and need_bias else None,
            None,
        )


def _chunks(x: Tensor, neighbours: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows and what their neighbours hold, (rows, 27 * channels), a cache full at a time."""
    n, channels = x.shape
    padded = torch.cat([x, x.new_zeros(1, channels)])
    size = max(64, GATHERED.get(x.device.type, 2**21) // (27 * channels * x.element_size()))
    for start in range(0, n, size):
        rows = slice(start, min(n, start + size))
        gathered = padded.index_select(0, neighbours[rows].reshape(-1))
        yield rows, gathered.reshape(-1, 27 * channels)


def _convolve(x: Tensor, weight: Tensor, neighbours: Tensor, bias: Tensor | None) -> Tensor:
    matrix = weight.reshape(-1, weight.shape[2])
    result = x.new_empty(x.shape[0], weight.shape[2])
    for rows, gathered in _chunks(x, neighbours):
        torch.mm(gathered, matrix, out=result[rows])
    return result if bias is None else result.add_(bias.to(x.dtype))


def _weight_gradient(x: Tensor, gradient: Tensor, neighbours: Tensor, weight: Tensor) -> Tensor:
    result = weight.new_zeros(27 * weight.shape[1], weight.shape[2])
    for rows, gathered in _chunks(x, neighbours):
        result += gathered.T @ gradient[rows]
    return result.reshape(weight.shape)
