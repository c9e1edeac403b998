"""Vector operations of the embedded conjugate gradients: compiled on the CPU, torch elsewhere.

Scalars are per cell and load, (n_cells, 6) in double precision. D is the inverse diagonal of K.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from offline.surrogates.cgins import pcg_kernels, stencil_kernels
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.stiffness import ElementOperator
from offline.surrogates.cgins.threads import torch_threads

__all__ = ["Algebra", "CompiledAlgebra", "TorchAlgebra", "algebra_of"]


class Algebra(Protocol):
    """What `embedded_pcg` needs; a field is whatever the algebra makes of (N, 3, 6)."""

    def field(self, u: Tensor) -> Any:
        """A field with a copy of `u` (N, 3, 6)."""

    def zeros(self) -> Any:
        """A field of zeros."""

    def empty(self) -> Any:
        """A field to be written to."""

    def plain(self, x: Any) -> Tensor:
        """The field as (N, 3, 6)."""

    def norms(self, r: Any) -> tuple[Tensor, Tensor]:
        """r . D r and r . r."""

    def multiply(self, p: Any) -> tuple[Any, Tensor]:
        """q = K p, valid until the next call, and p . q."""

    def add_product(self, p: Any, factor: float, q: Any) -> None:
        """q += factor K p."""

    def advance(
        self, alpha: Tensor, p: Any, q: Any, u: Any, r: Any, r_next: Any
    ) -> tuple[Tensor, Tensor]:
        """u += alpha p, r_next = r - alpha q; returns `norms` of r_next."""

    def direction(self, beta: Tensor, r: Any, p: Any, p_next: Any) -> Any:
        """p_next = D r + beta p, returned."""

    def adjoint_dots(
        self, over_alpha: Tensor, p: Any, r: Any, r_next: Any, u_bar: Any, p_bar: Any, r_bar: Any
    ) -> tuple[Any, Sequence[Tensor]]:
        """q = (r - r_next) / alpha, valid until the next call, and four sums:
        p_bar . p, u_bar . p, (r_bar + D p_bar) . q, r_next . D q."""

    def adjoint_fields(
        self,
        scalars: tuple[Tensor, Tensor, Tensor, Tensor],
        p: Any,
        q: Any,
        r_next: Any,
        u_bar: Any,
        p_bar: Any,
        r_bar: Any,
    ) -> Any:
        """With rho, alpha, beta, pi: r_bar += rho D r_next + D p_bar, then
        p_bar = beta p_bar + alpha u_bar + pi q; returns pi p - alpha r_bar."""


def algebra_of(operator: ElementOperator) -> Algebra:
    """The algebra that fits the operator's engine."""
    if operator.engine == "stencil":
        return CompiledAlgebra(operator)
    return TorchAlgebra(operator)


class TorchAlgebra:
    """Fields are tensors (N, 3, 6)."""

    def __init__(self, operator: ElementOperator) -> None:
        self.operator, self.grid = operator, operator.grid
        self.inverse = 1.0 / operator.diagonal[:, :, None]

    def field(self, u: Tensor) -> Tensor:
        return u.detach().to(self.inverse.dtype).clone()

    def zeros(self) -> Tensor:
        return self.inverse.new_zeros(self.grid.n_nodes, 3, 6)

    def empty(self) -> Tensor:
        return self.inverse.new_empty(self.grid.n_nodes, 3, 6)

    def plain(self, x: Tensor) -> Tensor:
        return x

    def norms(self, r: Tensor) -> tuple[Tensor, Tensor]:
        return self._dot(r, self.inverse * r), self._dot(r, r)

    def multiply(self, p: Tensor) -> tuple[Tensor, Tensor]:
        q = self.operator.product(p)
        return q, self._dot(p, q)

    def add_product(self, p: Tensor, factor: float, q: Tensor) -> None:
        q.add_(self.operator.product(p), alpha=factor)

    def advance(
        self, alpha: Tensor, p: Tensor, q: Tensor, u: Tensor, r: Tensor, r_next: Tensor
    ) -> tuple[Tensor, Tensor]:
        a = self._spread(alpha)
        u.addcmul_(a, p)
        torch.addcmul(r, a, q, value=-1.0, out=r_next)
        return self.norms(r_next)

    def direction(self, beta: Tensor, r: Tensor, p: Tensor, p_next: Tensor) -> Tensor:
        torch.addcmul(self.inverse * r, self._spread(beta), p, out=p_next)
        return p_next

    def adjoint_dots(
        self,
        over_alpha: Tensor,
        p: Tensor,
        r: Tensor,
        r_next: Tensor,
        u_bar: Tensor,
        p_bar: Tensor,
        r_bar: Tensor,
    ) -> tuple[Tensor, Sequence[Tensor]]:
        q = self._spread(over_alpha) * (r - r_next)
        dots = (
            self._dot(p_bar, p),
            self._dot(u_bar, p),
            self._dot(r_bar + self.inverse * p_bar, q),
            self._dot(r_next, self.inverse * q),
        )
        return q, dots

    def adjoint_fields(
        self,
        scalars: tuple[Tensor, Tensor, Tensor, Tensor],
        p: Tensor,
        q: Tensor,
        r_next: Tensor,
        u_bar: Tensor,
        p_bar: Tensor,
        r_bar: Tensor,
    ) -> Tensor:
        rho, alpha, beta, pi = (self._spread(s) for s in scalars)
        r_bar.add_(self.inverse * (rho * r_next + p_bar))
        p_bar.mul_(beta).addcmul_(alpha, u_bar).addcmul_(pi, q)
        return pi * p - alpha * r_bar

    def _dot(self, x: Tensor, y: Tensor) -> Tensor:
        slices = self.grid.slices
        return torch.stack([(x[a:b] * y[a:b]).sum((0, 1), dtype=torch.float64) for a, b in slices])

    def _spread(self, scalars: Tensor) -> Tensor:
        return self.grid.spread(scalars.to(self.inverse.dtype))[:, None, :]


class CompiledAlgebra:
    """Fields are arrays (N + 1, 24), see `stencil_kernels`."""

    def __init__(self, operator: ElementOperator) -> None:
        self.grid: SparseGrid = operator.grid
        self.pieces = self.grid.pieces
        self.inverse = (1.0 / operator.diagonal).numpy()
        compiled = operator.compiled
        self.matrix = (compiled.neighbours, compiled.pattern, compiled.blocks)
        self._q = self.zeros()
        self._s = self.zeros()

    def field(self, u: Tensor) -> np.ndarray:
        result = self.zeros()
        array = u.detach().reshape(-1, 18).contiguous().numpy()
        with torch_threads():
            stencil_kernels.widen(array.astype(self.inverse.dtype, copy=False), result)
        return result

    def zeros(self) -> np.ndarray:
        return np.zeros((self.grid.n_nodes + 1, stencil_kernels.WIDTH), self.inverse.dtype)

    def empty(self) -> np.ndarray:
        result = np.empty((self.grid.n_nodes + 1, stencil_kernels.WIDTH), self.inverse.dtype)
        result[-1] = 0.0
        return result

    def plain(self, x: np.ndarray) -> Tensor:
        result = np.empty((self.grid.n_nodes, 18), x.dtype)
        with torch_threads():
            stencil_kernels.narrow(x, result)
        return torch.from_numpy(result).reshape(-1, 3, 6)

    def norms(self, r: np.ndarray) -> tuple[Tensor, Tensor]:
        parts = self._parts(2)
        with torch_threads():
            pcg_kernels.norms(self.inverse, r, self.pieces, parts)
        power, square = self._sums(parts)
        return power, square

    def multiply(self, p: np.ndarray) -> tuple[np.ndarray, Tensor]:
        parts = self._parts(1)
        with torch_threads():
            stencil_kernels.multiply(p, *self.matrix, self.pieces, self._q, parts)
        return self._q, self._sums(parts)[0]

    def add_product(self, p: np.ndarray, factor: float, q: np.ndarray) -> None:
        product, _ = self.multiply(p)
        with torch_threads():
            pcg_kernels.add_scaled(product, p.dtype.type(factor), self.pieces, q)

    def advance(
        self,
        alpha: Tensor,
        p: np.ndarray,
        q: np.ndarray,
        u: np.ndarray,
        r: np.ndarray,
        r_next: np.ndarray,
    ) -> tuple[Tensor, Tensor]:
        parts = self._parts(2)
        with torch_threads():
            pcg_kernels.advance(alpha.numpy(), self.inverse, p, q, self.pieces, u, r, r_next, parts)
        power, square = self._sums(parts)
        return power, square

    def direction(
        self, beta: Tensor, r: np.ndarray, p: np.ndarray, p_next: np.ndarray
    ) -> np.ndarray:
        with torch_threads():
            pcg_kernels.direction(beta.numpy(), self.inverse, r, p, self.pieces, p_next)
        return p_next

    def adjoint_dots(
        self,
        over_alpha: Tensor,
        p: np.ndarray,
        r: np.ndarray,
        r_next: np.ndarray,
        u_bar: np.ndarray,
        p_bar: np.ndarray,
        r_bar: np.ndarray,
    ) -> tuple[np.ndarray, Sequence[Tensor]]:
        parts = self._parts(4)
        fields = (p, r, r_next, u_bar, p_bar, r_bar)
        with torch_threads():
            pcg_kernels.adjoint_dots(
                over_alpha.numpy(), self.inverse, *fields, self.pieces, self._q, parts
            )
        return self._q, self._sums(parts)

    def adjoint_fields(
        self,
        scalars: tuple[Tensor, Tensor, Tensor, Tensor],
        p: np.ndarray,
        q: np.ndarray,
        r_next: np.ndarray,
        u_bar: np.ndarray,
        p_bar: np.ndarray,
        r_bar: np.ndarray,
    ) -> np.ndarray:
        factors = torch.stack(scalars).numpy()
        fields = (p, q, r_next, u_bar)
        with torch_threads():
            pcg_kernels.adjoint_fields(
                factors, self.inverse, *fields, self.pieces, p_bar, r_bar, self._s
            )
        return self._s

    def _parts(self, count: int) -> np.ndarray:
        return np.empty((len(self.pieces), count, stencil_kernels.LOADS))

    def _sums(self, parts: np.ndarray) -> Sequence[Tensor]:
        """Sums (count, n_cells, 6) over the pieces of each cell, in their order."""
        starts = np.flatnonzero(np.diff(self.pieces[:, 2], prepend=-1))
        sums = np.add.reduceat(parts, starts, axis=0)
        return list(torch.from_numpy(np.ascontiguousarray(sums.transpose(1, 0, 2))))
