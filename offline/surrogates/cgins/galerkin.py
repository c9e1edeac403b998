"""Coarse operators K_c = P^T K P."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from offline.surrogates.cgins.sparse_grid import OFFSETS, SparseGrid
from offline.surrogates.cgins.transfer import Transfer

__all__ = ["CoarseOperator", "coarse_operator"]


class CoarseOperator:
    """P^T K P of a finer operator K.

    Attributes
    ----------
    grid : SparseGrid
        The coarse grid.
    finer : StiffnessOperator or CoarseOperator
    transfer : Transfer
    """

    def __init__(self, finer: Any, transfer: Transfer, grid: SparseGrid) -> None:
        self.finer, self.transfer, self.grid = finer, transfer, grid

    def apply(self, u: Tensor) -> Tensor:
        """P^T K P u (N_c, 3, 6) of `u` (N_c, 3, 6)."""
        result = self.transfer.restrict(self.finer.apply(self.transfer.prolong(u)))
        assert isinstance(result, Tensor)
        return result

    @property
    def stencil(self) -> Tensor:
        """Blocks (N_c, 27, 3, 3) towards the coarse neighbours in the order of `OFFSETS`."""
        return coarse_stencil(self.finer.stencil, self.transfer)

    @property
    def diagonal(self) -> Tensor:
        """Diagonal (N_c, 3)."""
        return torch.diagonal(self.stencil[:, 13], dim1=1, dim2=2).contiguous()


def coarse_operator(operator: Any, transfer: Transfer, grid: SparseGrid) -> CoarseOperator:
    """The Galerkin product of `operator` on the coarse `grid` that `transfer` leads to."""
    return CoarseOperator(operator, transfer, grid)


def coarse_stencil(stencil: Tensor, transfer: Transfer) -> Tensor:
    """Blocks (N_c, 27, 3, 3) of P^T K P from the blocks (N_f, 27, 3, 3) of K."""
    padded = torch.cat([stencil, stencil.new_zeros(1, *stencil.shape[1:])])
    result = stencil.new_zeros(transfer.children.shape[0], 27, 3, 3)
    for child, a in enumerate(OFFSETS):
        rows = padded[transfer.children[:, child]] * transfer.child_weights[child].to(stencil.dtype)
        for number, o in enumerate(OFFSETS):
            for target, weight in _parents(tuple(x + y for x, y in zip(a, o, strict=True))):
                result[:, target] += weight * rows[:, number]
    return result


def _parents(step: tuple[int, ...]) -> list[tuple[int, float]]:
    """Coarse neighbours, by number, and weights of the fine node `step` off a coarse node."""
    found = []
    for number, d in enumerate(OFFSETS):
        distance = [abs(s - 2 * n) for s, n in zip(step, d, strict=True)]
        if max(distance) <= 1:
            found.append((number, 0.5 ** sum(distance)))
    return found
