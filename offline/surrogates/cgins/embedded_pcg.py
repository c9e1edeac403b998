"""A few Jacobi-PCG steps on a predicted displacement, differentiable."""

from __future__ import annotations

from typing import Any, Literal, overload

import torch
from torch import Tensor

from offline.surrogates.cgins.sparse_grid import SparseGrid

__all__ = ["embedded_pcg"]


@overload
def embedded_pcg(
    operator: Any, f: Tensor, u0: Tensor, k: int, grid: SparseGrid, *, history: Literal[False] = ...
) -> Tensor: ...
@overload
def embedded_pcg(
    operator: Any, f: Tensor, u0: Tensor, k: int, grid: SparseGrid, *, history: Literal[True]
) -> tuple[Tensor, Tensor]: ...
def embedded_pcg(
    operator: Any, f: Tensor, u0: Tensor, k: int, grid: SparseGrid, *, history: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """``PCG_k(K, f, u0 - mean(u0))`` with the Jacobi preconditioner, per cell and load.

    Parameters
    ----------
    operator
        With ``apply`` and ``diagonal``.
    f, u0 : (N, 3, 6)
    k : int
        Steps; 0 only subtracts the mean of each cell and load over the active nodes.
    grid : SparseGrid
    history : bool
        Return the residuals too.

    Returns
    -------
    u : (N, 3, 6)
    residual : (k + 1, n_cells, 6)
        ``||K u - f|| / ||f||`` before the first and after each step, with `history` only; 0 for
        a load f of zero.
    """
    u = u0 - grid.spread(grid.mean(u0))
    inverse = 1.0 / operator.diagonal[:, :, None]
    if k == 0 and not history:
        return u
    r = f - operator.apply(u)
    norm = _dot(f, f, grid).sqrt()
    residuals = [_ratio(_dot(r, r, grid).sqrt(), norm)]
    z = inverse * r
    p, rz = z, _dot(r, z, grid)
    for step in range(k):
        q = operator.apply(p)
        alpha = _ratio(rz, _dot(p, q, grid))
        spread = grid.spread(alpha)[:, None, :]
        u = u + spread * p
        r = r - spread * q
        residuals.append(_ratio(_dot(r, r, grid).sqrt(), norm) if history else norm)
        if step + 1 < k:
            z = inverse * r
            rz_n, rz = rz, _dot(r, z, grid)
            p = z + grid.spread(_ratio(rz, rz_n))[:, None, :] * p
    return (u, torch.stack(residuals).detach()) if history else u


def _dot(x: Tensor, y: Tensor, grid: SparseGrid) -> Tensor:
    """Products (n_cells, 6) per cell and load."""
    return grid.sum((x * y).sum(1))


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, 0 where b is not above 0: there the iteration has nothing left to do."""
    safe = torch.where(b > 0, b, torch.ones_like(b))
    return torch.where(b > 0, a / safe, torch.zeros_like(a))
