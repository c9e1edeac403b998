r"""A few Jacobi-PCG steps on a predicted displacement, differentiable.

With D the inverse diagonal of K, :math:`r_0 = f - K u_0` and :math:`p_0 = D r_0`, step i is

.. math::
    q_i = K p_i,\quad \alpha_i = \rho_i / \pi_i,\quad \rho_i = r_i \cdot D r_i,\quad
    \pi_i = p_i \cdot q_i \\
    u_{i+1} = u_i + \alpha_i p_i,\quad r_{i+1} = r_i - \alpha_i q_i,\quad
    p_{i+1} = D r_{i+1} + \beta_i p_i,\quad \beta_i = \rho_{i+1} / \rho_i

for each cell and load. The derivative runs the steps backwards (bars are derivatives of the loss;
:math:`\bar u` is the same in all steps):

.. math::
    \bar\rho_{i+1} \mathrel{+}= \bar p_{i+1} \cdot p_i / \rho_i,\quad
    \bar r_i = \bar r_{i+1} + 2 \bar\rho_{i+1} D r_{i+1} + D \bar p_{i+1} \\
    \bar\alpha = \bar u \cdot p_i - \bar r_i \cdot q_i,\quad \bar\pi = -\bar\alpha \alpha_i / \pi_i,
    \quad \bar\rho_i = \bar\alpha / \pi_i - \beta_i\, \bar p_{i+1} \cdot p_i / \rho_i \\
    \bar p_i = \beta_i \bar p_{i+1} + \alpha_i \bar u + \bar\pi q_i
               + K (\bar\pi p_i - \alpha_i \bar r_i)

and ends with :math:`\bar u_0 = \bar u - K (\bar r_0 + 2 \bar\rho_0 D r_0 + D \bar p_0)`. It keeps
two fields for each step, r and p, and finds q from the residuals: one product per step each way.

A cell and load whose residual has come down to rounding rests: its steps have length zero, and
derivatives pass them unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from matnet.errors import ParameterError
from offline.surrogates.cgins.pcg_algebra import Algebra, algebra_of
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.stiffness import ElementOperator

__all__ = ["embedded_pcg"]

FLOOR = 16.0  # relative residuals below that many rounding errors are rounding


@overload
def embedded_pcg(
    operator: ElementOperator,
    f: Tensor,
    u0: Tensor,
    k: int,
    grid: SparseGrid,
    *,
    history: Literal[False] = ...,
) -> Tensor: ...
@overload
def embedded_pcg(
    operator: ElementOperator,
    f: Tensor,
    u0: Tensor,
    k: int,
    grid: SparseGrid,
    *,
    history: Literal[True],
) -> tuple[Tensor, Tensor]: ...
def embedded_pcg(
    operator: ElementOperator,
    f: Tensor,
    u0: Tensor,
    k: int,
    grid: SparseGrid,
    *,
    history: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """``PCG_k(K, f, u0 - mean(u0))`` with the Jacobi preconditioner, per cell and load.

    Parameters
    ----------
    operator : ElementOperator
        K.
    f, u0 : (N, 3, 6)
        `u0` is converted to the precision of `f`.
    k : int
        Steps; 0 only subtracts the mean of each cell and load over the active nodes.
    grid : SparseGrid
        Of `operator`.
    history : bool
        Return the residuals too.

    Returns
    -------
    u : (N, 3, 6)
    residual : (k + 1, n_cells, 6)
        ``||K u - f|| / ||f||`` before the first and after each step, with `history` only, not
        differentiable; 0 for a load f of zero.

    Raises
    ------
    ParameterError
        k is negative.
    """
    if k < 0:
        raise ParameterError(f"embedded PCG: k is {k}, expected 0 or more steps.")
    u = u0.to(f.dtype)
    u = u - grid.spread(grid.mean(u))
    if k == 0 and not history:
        return u
    keep = torch.is_grad_enabled() and (u.requires_grad or f.requires_grad)
    u, residual = _Steps.apply(u, f, operator, k, keep)
    return (u, residual) if history else u


class _Steps(torch.autograd.Function):
    """k steps from u; the residuals come along."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, f: Tensor, operator: ElementOperator, k: int, keep: bool
    ) -> tuple[Tensor, Tensor]:
        record = _run(algebra_of(operator), u.detach(), f.detach(), k, keep)
        ctx.record = record
        ctx.mark_non_differentiable(record.residual)
        return record.algebra.plain(record.u), record.residual

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(  # type: ignore[override]
        ctx: Any, gradient: Tensor, _: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        return *_run_back(ctx.record, gradient), None, None, None


@dataclass
class _Record:
    """What k steps leave behind; fields in the layout of the algebra, scalars in double."""

    algebra: Algebra
    u: Any
    residual: Tensor
    r: list[Any] = field(default_factory=list)
    p: list[Any] = field(default_factory=list)
    scalars: list[tuple[Tensor, Tensor, Tensor, Tensor]] = field(default_factory=list)


def _run(algebra: Algebra, u0: Tensor, f: Tensor, k: int, keep: bool) -> _Record:
    u, load = algebra.field(u0), algebra.field(f)
    power, scale = algebra.norms(load)
    r = load
    algebra.add_product(u, -1.0, r)
    rho, square = algebra.norms(r)
    floor = torch.maximum(power, rho) * (FLOOR * torch.finfo(f.dtype).eps) ** 2
    squares = [square]
    p = algebra.direction(torch.zeros_like(rho), r, r, algebra.empty())
    record = _Record(algebra, u, square)
    record.r.append(r)
    for step in range(k):
        q, pi = algebra.multiply(p)
        alpha = torch.where(rho > floor, _ratio(rho, pi), torch.zeros_like(rho))
        r_next = algebra.empty() if keep else r
        rho_next, square = algebra.advance(alpha, p, q, u, r, r_next)
        beta = torch.where(rho_next > floor, _ratio(rho_next, rho), torch.zeros_like(rho))
        if keep:
            record.r.append(r_next)
            record.p.append(p)
            record.scalars.append((rho, pi, alpha, beta))
        if step + 1 < k:
            p = algebra.direction(beta, r_next, p, algebra.empty() if keep else p)
        r, rho = r_next, rho_next
        squares.append(square)
    record.residual = torch.stack([_ratio(square, scale).sqrt() for square in squares]).to(f.dtype)
    return record


def _run_back(record: _Record, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives by u0 and f."""
    algebra = record.algebra
    u_bar, p_bar, r_bar = algebra.field(gradient), algebra.zeros(), algebra.zeros()
    rho_bar = torch.zeros_like(record.residual[0], dtype=torch.float64)
    none = torch.zeros_like(rho_bar)
    for i in reversed(range(len(record.p))):
        rho, pi, alpha, beta = record.scalars[i]
        p, r, r_next = record.p[i], record.r[i], record.r[i + 1]
        over_alpha = _ratio(torch.ones_like(alpha), alpha)
        q, dots = algebra.adjoint_dots(over_alpha, p, r, r_next, u_bar, p_bar, r_bar)
        beta_bar_over_rho = _ratio(dots[0], rho)
        rho_bar = rho_bar + beta_bar_over_rho
        alpha_bar = dots[1] - dots[2] - 2.0 * rho_bar * dots[3]
        alpha_bar = torch.where(alpha > 0, alpha_bar, torch.zeros_like(alpha))  # a step at rest
        pi_bar = -_ratio(alpha_bar * alpha, pi)
        s = algebra.adjoint_fields(
            (2.0 * rho_bar, alpha, beta, pi_bar), p, q, r_next, u_bar, p_bar, r_bar
        )
        algebra.add_product(s, 1.0, p_bar)
        rho_bar = _ratio(alpha_bar, pi) - beta * beta_bar_over_rho
    r = record.r[0]
    algebra.adjoint_fields((2.0 * rho_bar, none, none, none), r, r, r, u_bar, p_bar, r_bar)
    algebra.add_product(r_bar, -1.0, u_bar)
    return algebra.plain(u_bar), algebra.plain(r_bar)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, 0 where b is not above 0: there the iteration has nothing left to do."""
    safe = torch.where(b > 0, b, torch.ones_like(b))
    return torch.where(b > 0, a / safe, torch.zeros_like(a))
