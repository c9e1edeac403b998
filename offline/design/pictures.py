r"""Design variables to pictures: amplitudes and the volume fraction c0 of phase 0.

The threshold :math:`\tau` of `fields.render` is not a variable of its own: it follows from c0,

.. math:: \langle \chi(A, \tau) \rangle = 1 - c_0 .

So a wanted volume is met by every iterate, whatever the amplitudes, and c0 means the same for
every start. Its derivative is that of the implicit function,
:math:`d\tau = -(d\langle\chi\rangle|_\tau + dc_0) / \partial_\tau \langle\chi\rangle`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError
from offline.rve.generators.trigonometric import trigonometric_field
from offline.rve.generators.voxelgrid import fill_to_fraction
from offline.surrogates.voigt_reuss.fields import render, scaled_field

__all__ = ["raster", "soft_pictures", "start_amplitudes", "thresholds"]

BISECTIONS = 26  # of an interval of 3: tau to 5e-8
FEWEST_MODES = 3


def start_amplitudes(n: int, modes: int, seed: int) -> np.ndarray:
    """Random amplitudes (n, modes, modes), uniform in [-1, 1].

    Start i has the middle 3, 5, ... `modes` modes in turn, so that coarse cells and fine ones are
    tried alike; the others are zero but free. Start i depends on (seed, i) alone.
    """
    if modes % 2 == 0 or modes < FEWEST_MODES:
        raise ParameterError(f"modes is {modes}, expected an odd number from {FEWEST_MODES}.")
    result = np.zeros((n, modes, modes))
    for i in range(n):
        size = FEWEST_MODES + 2 * (i % ((modes - 1) // 2))
        edge = (modes - size) // 2
        inner = slice(edge, modes - edge)
        rng = np.random.default_rng([seed, i])
        result[i, inner, inner] = rng.uniform(-1.0, 1.0, (size, size))
    return result


def thresholds(level: Tensor, c0: Tensor, temperature: float) -> Tensor:
    """tau (n,) at which pictures of scaled fields (n, res, res) have volume fractions c0 (n,).

    Differentiable in both.
    """
    with torch.no_grad():
        low, high = torch.full_like(c0, -1.0), torch.full_like(c0, 2.0)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            share = torch.sigmoid((level - middle[:, None, None]) / temperature)
            too_much = share.mean(dim=(1, 2)) > 1.0 - c0  # of phase 1: tau is too low
            low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
        tau = 0.5 * (low + high)
        chi = torch.sigmoid((level - tau[:, None, None]) / temperature)
        slope = -(chi * (1.0 - chi)).mean(dim=(1, 2)) / temperature
    share = torch.sigmoid((level - tau[:, None, None]) / temperature).mean(dim=(1, 2))
    missed = share - (1.0 - c0)
    # worth nothing but its derivative; a picture without grey pixels has none to follow
    moving = slope.abs() > torch.finfo(slope.dtype).tiny
    step = torch.where(moving, missed / torch.where(moving, slope, torch.ones_like(slope)), 0.0)
    return tau - (step - step.detach())


def soft_pictures(
    amplitudes: Tensor, c0: Tensor, resolution: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Pictures chi (n, res, res) of phase 1 and tau (n,), differentiable in both arguments."""
    tau = thresholds(scaled_field(amplitudes, resolution), c0, temperature)
    return render(amplitudes, tau, resolution, temperature), tau


def raster(amplitudes: Any, c0: float, resolution: int) -> np.ndarray:
    """Phase numbers (res, res) uint8 of amplitudes (m, m): phase 0 fills c0.

    Met within one group of pixels of equal level: two in general, more in symmetric cells.

    Examples
    --------
    >>> raster([[0, 0, 0], [0, 0, 0], [0, 1, 0]], 0.5, 4)[:, 0]
    array([0, 1, 1, 0], dtype=uint8)
    """
    field = trigonometric_field(np.asarray(amplitudes, dtype=float), (resolution, resolution))
    return np.asarray(~fill_to_fraction(field, c0)[0], dtype=np.uint8)
