r"""The inverse root of the Laplacian behind a network: all wavelengths become equally stiff.

The energy of a displacement grows with the square of its wave number, so that a network which
predicts displacements learns long waves last. With the periodic difference Laplacian :math:`L` of
the grid, and

.. math:: u = (-L)^{-1/2} w,

the network predicts w instead, and the energy in terms of w has eigenvalues between the stiffnesses
of the phases, whatever the number of voxels. Means are removed. Nothing is learned or iterated.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

__all__ = ["Integration"]

GRID = (-3, -2, -1)


class Integration(nn.Module):
    """Fields w (..., n1, n2, n3) to ``(-L)^(-1/2) w``, by Fourier transforms in single precision.

    Examples
    --------
    >>> wave = torch.cos(torch.arange(4) * torch.pi / 2).expand(4, 4, 4)
    >>> torch.allclose(Integration()(wave), wave / 2**0.5, atol=1e-6)  # -L has 2 - 2 cos(pi/2) = 2
    True
    """

    def forward(self, w: Tensor) -> Tensor:
        """See the class; the derivative is the same map."""
        with torch.autocast(w.device.type, enabled=False):
            shape = w.shape[-3:]
            spectrum = torch.fft.rfftn(w.float(), dim=GRID)
            spectrum = spectrum * _inverse_root(tuple(shape)).to(w.device)
            u: Tensor = torch.fft.irfftn(spectrum, s=shape, dim=GRID)
            return u


@lru_cache(maxsize=16)
def _inverse_root(shape: tuple[int, int, int]) -> Tensor:
    """Symbol (n1, n2, n3 // 2 + 1) of the inverse root; zero for the mean."""
    waves = [torch.fft.fftfreq(n) for n in shape[:2]] + [torch.fft.rfftfreq(shape[2])]
    parts = [2.0 - 2.0 * torch.cos(2.0 * math.pi * k.double()) for k in waves]
    symbol = parts[0][:, None, None] + parts[1][:, None] + parts[2]
    symbol[0, 0, 0] = math.inf
    return symbol.rsqrt().float()
