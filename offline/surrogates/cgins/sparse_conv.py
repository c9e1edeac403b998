"""Sparse 3x3x3 convolution over the active nodes of periodic cells."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from offline.homogenization.gpu.backend import Kernels, KernelWarning, wants_triton
from offline.surrogates.cgins.sparse_grid import SparseGrid

__all__ = ["SparseConv3", "fused_for", "use_kernels"]

# Bytes of gathered rows at a time: what a core's cache holds, what a GPU keeps busy with.
GATHERED = {"cpu": 2**21, "cuda": 2**28}


class SparseConv3(nn.Module):
    r"""Convolution ``y_i = b + \sum_o W_o x_{i + o}`` over the 27 neighbours.

    Neighbours that are not active count as zero. Rows of 27 neighbours are gathered in chunks and
    multiplied by one matrix, or by kernels that gather as they multiply (see `fused_for`); the
    backward pass gathers again instead of keeping them. Inside `torch.autocast` the products run
    in its lower precision, sums of weight gradients do not.

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
    kernels : {"auto", "plain", "triton"}
        Which kernels run, see `fused_for`.

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
        self.kernels: Kernels = "auto"
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
        fused = fused_for(self.kernels, x.device, dtype)
        result = _Convolution.apply(x.to(dtype), self.weight, self.bias, grid.neighbours, fused)
        assert isinstance(result, Tensor)
        return result


def use_kernels(module: nn.Module, kernels: Kernels) -> None:
    """Choose the kernels of every sparse convolution of a network."""
    for part in module.modules():
        if isinstance(part, SparseConv3):
            part.kernels = kernels


@lru_cache
def fused_for(kernels: Kernels, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether Triton's kernels take a convolution: on CUDA, below double precision.

    With ``auto``, kernels that fail to compile or disagree with plain torch on a few nodes, asked
    once per process, give way to plain torch.

    Raises
    ------
    ParameterError, MissingExtraError
        `kernels` is unknown, or asks for Triton where it cannot be.

    Warns
    -----
    KernelWarning
        The kernels cannot be used on this machine.
    """
    if dtype == torch.float64 or not wants_triton(kernels, device):
        return False
    try:
        _check_kernels(device, dtype)
    except Exception as error:  # whatever compilers and drivers raise
        if kernels == "triton":
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"Triton's sparse convolution cannot be used on {device} ({reason}); going on with "
            "plain torch, which gives the same result.",
            KernelWarning,
            stacklevel=2,
        )
        return False
    return True


def _check_kernels(device: torch.device, dtype: torch.dtype) -> None:
    """Compare the compiled kernels with plain torch; raises `ArithmeticError` if they disagree."""
    from offline.surrogates.cgins import sparse_conv_triton as compiled

    random = torch.Generator().manual_seed(0)
    x, weight, bias, gradient = (
        torch.randn(shape, generator=random).to(device, dtype)
        for shape in ((70, 5), (27, 5, 19), (19,), (70, 19))
    )
    neighbours = torch.randint(0, 71, (70, 27), generator=random).to(device)
    products = (f(x, weight, neighbours, bias) for f in (compiled.convolve, _convolve))
    gradients = (f(x, gradient, neighbours) for f in (compiled.weight_gradient, _weight_gradient))
    coarse = torch.float16 if dtype == torch.float32 else dtype  # TF32 has no more digits
    for name, (fused, plain) in {"product": products, "gradient": gradients}.items():
        gap = float((fused - plain).abs().max() / plain.abs().max())
        if not gap < 4.0 * torch.finfo(coarse).eps:
            raise ArithmeticError(f"the compiled {name} is off by {gap:.1e}")


class _Convolution(torch.autograd.Function):
    """The convolution in the precision of `x`; parameters may have a higher one."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, neighbours: Tensor, fused: bool
    ) -> Tensor:
        ctx.save_for_backward(x, weight, neighbours)
        ctx.has_bias, ctx.fused = bias is not None, fused
        convolve, _ = _kernels(fused)
        return convolve(x, weight.to(x.dtype), neighbours, bias)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        x, weight, neighbours = ctx.saved_tensors
        need_x, need_weight, need_bias, *_ = ctx.needs_input_grad
        convolve, weight_gradient = _kernels(ctx.fused)
        # j = i + o is the neighbour of i where i is the neighbour of j in the opposite direction
        transposed = weight.to(x.dtype).flip(0).transpose(1, 2).contiguous()
        return (
            convolve(gradient, transposed, neighbours, None) if need_x else None,
            weight_gradient(x, gradient, neighbours).to(weight.dtype) if need_weight else None,
            gradient.sum(0, dtype=weight.dtype) if ctx.has_bias and need_bias else None,
            None,
            None,
        )


def _kernels(fused: bool) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Convolution and gradient of its weights."""
    if not fused:
        return _convolve, _weight_gradient
    from offline.surrogates.cgins import sparse_conv_triton as compiled

    return compiled.convolve, compiled.weight_gradient


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


def _weight_gradient(x: Tensor, gradient: Tensor, neighbours: Tensor) -> Tensor:
    """Summed in single precision at least."""
    ins, outs = x.shape[1], gradient.shape[1]
    dtype = torch.promote_types(x.dtype, torch.float32)
    result = x.new_zeros(27 * ins, outs, dtype=dtype)
    for rows, gathered in _chunks(x, neighbours):
        result += gathered.T @ gradient[rows]
    return result.reshape(27, ins, outs)
