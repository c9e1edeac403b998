"""The vector operations of conjugate gradients in plain torch, sums in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import torch

__all__ = ["PlainVectors"]


class PlainVectors:
    """Updates and products of fields (samples, 6, 3, n1, n2, n3), load by load.

    Parameters
    ----------
    slab_bytes : int
        Temporaries that one operation may take.
    """

    def __init__(self, slab_bytes: int) -> None:
        self.slab_bytes = slab_bytes

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """a . b per sample and load (samples, 6), in double precision."""
        total = torch.zeros(a.shape[:2], dtype=torch.float64, device=a.device)
        for part in self._layers(a):
            total += (a[part].double() * b[part].double()).sum(dim=(2, 3, 4, 5))
        return total

    def direction(self, z: torch.Tensor, beta: torch.Tensor, p: torch.Tensor) -> None:
        """p = z + beta p with beta (samples, 6)."""
        p.mul_(_spread(beta, p)).add_(z)

    def advance(
        self,
        alpha: torch.Tensor,
        p: torch.Tensor,
        q: torch.Tensor,
        u: torch.Tensor,
        r: torch.Tensor,
    ) -> torch.Tensor:
        """u += alpha p, r -= alpha q; returns r . r (samples, 6)."""
        for part in self._layers(p):
            u[part].add_(p[part].to(u.dtype) * _spread(alpha, u))
            r[part].sub_(q[part] * _spread(alpha, r))
        return self.dot(r, r)

    def gap(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(a - b) . (a - b) per sample and load (samples, 6)."""
        total = torch.zeros(a.shape[:2], dtype=torch.float64, device=a.device)
        for part in self._layers(a):
            total += (a[part] - b[part]).double().square().sum(dim=(2, 3, 4, 5))
        return total

    def _layers(self, a: torch.Tensor) -> Iterator[tuple[slice, ...]]:
        layer = 8 * 4 * a[:, :, :, :1].numel()  # a few temporaries in double precision
        step = max(1, self.slab_bytes // layer)
        every = slice(None)
        for first in range(0, a.shape[3], step):
            yield (every, every, every, slice(first, first + step))


def _spread(factor: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    return factor.to(field.dtype)[..., None, None, None, None]
