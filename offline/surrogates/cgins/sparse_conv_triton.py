# mypy: disable-error-code="no-untyped-def"
r"""Sparse convolution as fused Triton kernels: what the neighbours hold is never copied.

Each program multiplies tiles of gathered rows by tiles of the weights and adds up in single
precision (double precision stays with plain torch). No atomics: the weights' gradient is summed
over pieces of the rows, then over the pieces, in a fixed order. Channels are padded to 16 within
a tile, the least that the tensor cores take.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["PRECISIONS", "convolve", "gradient_kernel", "product_kernel", "weight_gradient"]

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)
ROWS = 64  # nodes of one tile
WIDEST = 64  # channels of one tile at most
DEEPEST = 32  # gathered channels of the product at a time: with 64, addresses leave the registers
PIECE = 4096  # nodes that a program of the weights' gradient adds up, at least
PARTS = 2**24  # values of all pieces' sums, at most
LAUNCH: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": True}


def convolve(x: Tensor, weight: Tensor, neighbours: Tensor, bias: Tensor | None) -> Tensor:
    """``y_i = b + sum_o W_o x_(neighbour o of i)`` in the precision of `x`.

    Parameters
    ----------
    x : (N, in_channels)
        In one of `PRECISIONS`.
    weight : (27, in_channels, out_channels)
        In the precision of `x`.
    neighbours : (N, 27) int64
        N stands for a row of zeros.
    bias : (out_channels,), optional

    Returns
    -------
    (N, out_channels)
    """
    n, ins, outs = len(x), x.shape[1], weight.shape[2]
    result = x.new_empty(n, outs)
    wide = _tile(outs)
    with torch.cuda.device_of(x):  # Triton launches on the current device
        product_kernel[(triton.cdiv(n, ROWS), triton.cdiv(outs, wide))](
            x.contiguous(), weight.contiguous(), neighbours.contiguous(),
            weight if bias is None else bias, result, n, ins, outs, BIAS=bias is not None,
            ROWS=ROWS, INS=min(DEEPEST, _tile(ins)), OUTS=wide, PRECISION=_precision(), **LAUNCH,
        )  # fmt: skip
    return result


def weight_gradient(x: Tensor, gradient: Tensor, neighbours: Tensor) -> Tensor:
    """Gradient (27, in_channels, out_channels) of the weights in single precision.

    Parameters
    ----------
    x : (N, in_channels)
        In one of `PRECISIONS`.
    gradient : (N, out_channels)
        Of the output, in the precision of `x`.
    neighbours : (N, 27) int64
    """
    n, ins, outs = len(x), x.shape[1], gradient.shape[1]
    most = max(1, PARTS // (27 * ins * outs))
    piece = ROWS * triton.cdiv(triton.cdiv(n, min(most, triton.cdiv(n, PIECE))), ROWS)
    parts = x.new_empty(triton.cdiv(n, piece), 27, ins, outs, dtype=torch.float32)
    tall, wide = _tile(ins), _tile(outs)
    blocks = triton.cdiv(outs, wide)
    with torch.cuda.device_of(x):
        gradient_kernel[(27 * len(parts), triton.cdiv(ins, tall) * blocks)](
            x.contiguous(), gradient.contiguous(), neighbours.contiguous(), parts,
            n, piece, ins, outs, blocks,
            ROWS=ROWS, INS=tall, OUTS=wide, PRECISION=_precision(), **LAUNCH,
        )  # fmt: skip
    return parts.sum(0)


def _tile(channels: int) -> int:
    """Channels of one tile, a power of two.

    >>> _tile(3), _tile(24), _tile(500)
    (16, 32, 64)
    """
    return max(16, min(WIDEST, int(triton.next_power_of_2(channels))))


def _precision() -> str:
    """How tensor cores treat single precision: as torch's own products."""
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"


@triton.jit
def _gathered(x, neighbours, row, inside, n, first, ins, offset, INS: tl.constexpr):
    """Channels `first` and on (ROWS, INS) of the neighbours of some rows; zero if not active."""
    there = tl.load(neighbours + row * 27 + offset, mask=inside, other=n)
    channel = first + tl.arange(0, INS)
    known = (there < n)[:, None] & (channel < ins)[None, :]
    return tl.load(x + there[:, None] * ins + channel[None, :], mask=known, other=0.0)


@triton.jit
def product_kernel(
    x, weight, neighbours, bias, out, n, ins, outs,
    BIAS: tl.constexpr, ROWS: tl.constexpr, INS: tl.constexpr, OUTS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """out = convolution. Launched on (tiles of rows, tiles of output channels) programs."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * OUTS + tl.arange(0, OUTS)
    inside, used = row < n, column < outs
    total = tl.zeros([ROWS, OUTS], tl.float32)
    for offset in range(27):
        for first in range(0, ins, INS):
            a = _gathered(x, neighbours, row, inside, n, first, ins, offset, INS)
            channel = first + tl.arange(0, INS)
            at = weight + (offset * ins + channel)[:, None] * outs + column[None, :]
            b = tl.load(at, mask=(channel < ins)[:, None] & used[None, :], other=0.0)
            total = tl.dot(a, b, total, input_precision=PRECISION)
    if BIAS:
        total += tl.load(bias + column, mask=used, other=0.0).to(tl.float32)[None, :]
    at = out + row[:, None] * outs + column[None, :]
    tl.store(at, total.to(out.dtype.element_ty), mask=inside[:, None] & used[None, :])


@triton.jit
def gradient_kernel(
    x, gradient, neighbours, parts, n, piece, ins, outs, blocks,
    ROWS: tl.constexpr, INS: tl.constexpr, OUTS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """parts (pieces, 27, ins, outs) = sums over a piece of the rows, x of the neighbour times g.

    Launched on (27 pieces, tiles of the weights) programs.
    """
    part, offset = tl.program_id(0) // 27, tl.program_id(0) % 27
    first = tl.program_id(1) // blocks * INS
    column = tl.program_id(1) % blocks * OUTS + tl.arange(0, OUTS)
    used = column < outs
    total = tl.zeros([INS, OUTS], tl.float32)
    for start in range(0, piece, ROWS):
        row = part.to(tl.int64) * piece + start + tl.arange(0, ROWS)
        inside = row < n
        a = _gathered(x, neighbours, row, inside, n, first, ins, offset, INS)
        at = gradient + row[:, None] * outs + column[None, :]
        g = tl.load(at, mask=inside[:, None] & used[None, :], other=0.0)
        total = tl.dot(tl.trans(a), g, total, input_precision=PRECISION)
    channel = first + tl.arange(0, INS)
    at = parts + (tl.program_id(0).to(tl.int64) * ins + channel[:, None]) * outs + column[None, :]
    tl.store(at, total, mask=(channel < ins)[:, None] & used[None, :])
