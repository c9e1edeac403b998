"""Trilinear transfer between a sparse periodic grid and the grid of its even nodes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from matnet.errors import ParameterError
from offline.surrogates.cgins import stencil_kernels
from offline.surrogates.cgins.sparse_grid import OFFSETS, SparseGrid
from offline.surrogates.cgins.threads import torch_threads

__all__ = ["Transfer", "coarsen"]


@dataclass(frozen=True, eq=False)
class Transfer:
    """Periodic trilinear prolongation P from a coarse to a fine grid, and its transpose.

    Attributes
    ----------
    parents : (N_f, 8) int64
        Coarse rows that a fine node interpolates from; N_c where there is none.
    parent_weights : (N_f, 8)
        Their weights, 0 where there is none; each row sums to 1.
    children : (N_c, 27) int64
        Fine rows around each coarse node, in the order of `OFFSETS`; N_f where not active.
    child_weights : (27,)
        Their weights ``2^-(number of steps off the coarse node)``.
    """

    parents: Tensor
    parent_weights: Tensor
    children: Tensor
    child_weights: Tensor

    def prolong(self, x: Tensor) -> Tensor:
        """Fine field (N_f, ...) of the coarse field `x` (N_c, ...)."""
        result = _Interpolation.apply(x, self, True)
        assert isinstance(result, Tensor)
        return result

    def restrict(self, x: Tensor) -> Tensor:
        """Coarse field (N_c, ...) = P^T x of the fine field `x` (N_f, ...)."""
        result = _Interpolation.apply(x, self, False)
        assert isinstance(result, Tensor)
        return result

    def to(self, device: torch.device | str) -> Transfer:
        """A copy on another device."""
        return Transfer(
            self.parents.to(device),
            self.parent_weights.to(device),
            self.children.to(device),
            self.child_weights.to(device),
        )


def coarsen(grid: SparseGrid) -> tuple[SparseGrid, Transfer]:
    """The grid of the even nodes that active nodes interpolate from, and the transfer to it.

    Raises
    ------
    ParameterError
        An axis has an odd number of nodes.
    """
    if any(n % 2 for n in grid.shape):
        raise ParameterError(
            f"cells of shape {grid.shape} cannot be coarsened, expected an even number of voxels "
            "along each axis. Use fewer levels or another resolution."
        )
    index = grid.index()
    odd = index % 2
    corners = torch.tensor(list(product((0, 1), repeat=3)), device=grid.device)
    parent = index[:, None, :] // 2 + corners * odd[:, None, :]
    extra = (corners * (1 - odd[:, None, :])).any(-1)  # the second parent of an even position
    shape = (grid.shape[0] // 2, grid.shape[1] // 2, grid.shape[2] // 2)
    wrapped = parent % torch.tensor(shape, device=grid.device)
    active = torch.zeros((grid.n_cells, *shape), dtype=torch.bool, device=grid.device)
    active[(grid.sample[:, None].expand(-1, 8), *wrapped.unbind(-1))] = True
    coarse = SparseGrid.of(active, grid.periodic)
    weights = (0.5 ** odd.sum(1).to(torch.float64))[:, None].masked_fill(extra, 0.0)
    rows = coarse.rows(grid.sample[:, None], parent).masked_fill(extra, coarse.n_nodes)
    offsets = torch.tensor(OFFSETS, device=grid.device)
    children = grid.rows(coarse.sample[:, None], 2 * coarse.index()[:, None, :] + offsets)
    child_weights = 0.5 ** offsets.abs().sum(1).to(torch.float64)
    return coarse, Transfer(rows, weights, children, child_weights)


class _Interpolation(torch.autograd.Function):
    """P x or P^T x; the derivative is the other one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, transfer: Transfer, up: bool) -> Tensor:
        ctx.transfer, ctx.up = transfer, up
        if up:
            return _gather_sum(x, transfer.parents, transfer.parent_weights)
        weights = transfer.child_weights.expand(transfer.children.shape)
        return _gather_sum(x, transfer.children, weights)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _Interpolation.apply(gradient, ctx.transfer, not ctx.up), None, None


def _gather_sum(x: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Sum over columns of ``weights * x[rows]``, a row number past the end standing for zero."""
    flat = x.detach().reshape(x.shape[0], -1)
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        result = flat.new_empty(rows.shape[0], flat.shape[1])
        arrays = (flat.contiguous(), rows, weights.to(x.dtype), result)
        with torch_threads():
            stencil_kernels.gather_sum(*(a.numpy() for a in arrays))
        return result.reshape(-1, *x.shape[1:])
    padded = torch.cat([flat, flat.new_zeros(1, flat.shape[1])])
    result = flat.new_zeros(rows.shape[0], flat.shape[1])
    for column in range(rows.shape[1]):
        weight = weights[:, column, None].to(x.dtype)
        result.addcmul_(weight, padded.index_select(0, rows[:, column]))
    return result.reshape(-1, *x.shape[1:])
