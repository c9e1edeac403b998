r"""Cells from trigonometric fields in torch, with derivatives: amplitudes and threshold to picture.

The numbers are those of `offline.rve.generators.trigonometric`, for batches:

.. math::

   \psi = \sum_{pq} A_{pq} \cos 2\pi (p x_1 + q x_2), \qquad
   \chi = \sigma\Bigl(\frac{\tilde\psi - \tau}{T}\Bigr)

with :math:`\tilde\psi` scaled to [0, 1] over the pixels and a temperature T that makes the
threshold soft (Voigt-Reuss net paper, eq. 36-38). Phase 0 is where chi = 0, its volume fraction is
c0 = 1 - mean(chi).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from matnet.errors import ParameterError, ShapeError

__all__ = ["MODES", "TEMPERATURE", "embed_modes", "render", "scaled_field"]

MODES = 11  # K, per direction
TEMPERATURE = 1e-4


def embed_modes(amplitudes: Tensor, size: int = MODES) -> Tensor:
    """Amplitudes (..., m, n) in the middle of zeros (..., size, size), eq. 36.

    Examples
    --------
    >>> embed_modes(torch.ones(1, 3), 3)
    tensor([[0., 0., 0.],
            [1., 1., 1.],
            [0., 0., 0.]])
    """
    m, n = amplitudes.shape[-2:]
    if m % 2 == 0 or n % 2 == 0 or size % 2 == 0 or max(m, n) > size:
        raise ShapeError(
            f"amplitudes have shape {tuple(amplitudes.shape)}, expected odd numbers of rows and "
            f"columns up to {size} (odd)."
        )
    rows, columns = (size - m) // 2, (size - n) // 2
    return torch.nn.functional.pad(amplitudes, (columns, columns, rows, rows))


def scaled_field(amplitudes: Tensor, resolution: int) -> Tensor:
    """The field of amplitudes (..., m, n) at pixel centres, scaled to [0, 1] (..., res, res)."""
    m, n = amplitudes.shape[-2:]
    x = (torch.arange(resolution, dtype=amplitudes.dtype) + 0.5) / resolution - 0.5
    x = x.to(amplitudes.device)

    def waves(count: int) -> tuple[Tensor, Tensor]:
        order = torch.arange(count, dtype=x.dtype, device=x.device) - (count - 1) // 2
        angle = 2.0 * math.pi * torch.outer(x, order)
        return angle.cos(), angle.sin()

    (cos1, sin1), (cos2, sin2) = waves(m), waves(n)
    # cos(a + b) = cos a cos b - sin a sin b: thin matrix products instead of a sum over modes
    field = cos1 @ amplitudes @ cos2.T - sin1 @ amplitudes @ sin2.T
    low = field.amin(dim=(-2, -1), keepdim=True)
    high = field.amax(dim=(-2, -1), keepdim=True)
    if not bool((high > low).all()):
        raise ParameterError(
            "amplitudes make a constant field, expected at least one mode besides the middle one."
        )
    scaled: Tensor = (field - low) / (high - low)
    return scaled


def render(
    amplitudes: Tensor, tau: Tensor, resolution: int = 100, temperature: float = TEMPERATURE
) -> Tensor:
    """Pictures chi (..., res, res) in [0, 1] of amplitudes (..., m, n) and thresholds (...).

    Differentiable in both. With the small default temperature only pixels on the interface carry
    derivatives; a larger one (0.01 to 0.1) lets them reach further.

    Examples
    --------
    >>> render(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor(0.5), 4)[0]
    tensor([0., 1., 1., 0.])
    """
    if temperature <= 0.0:
        raise ParameterError(f"temperature is {temperature:g}, expected > 0.")
    level = scaled_field(amplitudes, resolution) - tau[..., None, None]
    return torch.sigmoid(level / temperature)
