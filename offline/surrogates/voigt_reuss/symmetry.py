"""The eight symmetries of the square, and shifts: they act on pictures and on stiffness alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["SQUARE", "invariant", "shift_pictures", "turn_pictures", "turn_stiffness"]

SQUARE = 8  # number k: bit 0 mirrors axis 1, bit 1 axis 2, bit 2 then swaps the axes
SWAP = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def turn_pictures(pictures: Tensor, number: Tensor) -> Tensor:
    """Pictures (n, r, r) or amplitudes (n, 11, 11), each with its symmetry (n,)."""
    first, second, swap = _bits(number)
    pictures = torch.where(first, pictures.flip(1), pictures)
    pictures = torch.where(second, pictures.flip(2), pictures)
    return torch.where(swap, pictures.transpose(1, 2), pictures)


def turn_stiffness(stiffness: Tensor, number: Tensor) -> Tensor:
    """Mandel matrices (n, 3, 3), order 11 22 12, of the turned pictures."""
    first, second, swap = _bits(number)
    one = torch.ones_like(stiffness[:, 0, 0])
    sign = torch.stack([one, one, torch.where((first ^ second)[:, 0, 0], -one, one)], dim=1)
    turned = sign[:, :, None] * stiffness * sign[:, None, :]
    exchange = SWAP.to(turned)
    return torch.where(swap, exchange @ turned @ exchange, turned)


def shift_pictures(pictures: Tensor, steps: Tensor) -> Tensor:
    """Pictures (n, r, r) shifted periodically by (n, 2) pixels."""
    side = torch.arange(pictures.shape[-1], device=pictures.device)
    rows = (side - steps[:, :1]) % len(side)
    columns = (side - steps[:, 1:]) % len(side)
    each = torch.arange(len(pictures), device=pictures.device)
    return pictures[each[:, None, None], rows[:, :, None], columns[:, None, :]]


def invariant(phases: np.ndarray, tol: float = 1e-9) -> bool:
    """Whether phases (n, 3, 3) look the same in all eight frames."""
    n = len(phases)
    for number in range(SQUARE):
        turned = turn_stiffness(torch.tensor(phases), torch.full((n,), number)).numpy()
        if np.abs(turned - phases).max() > tol * np.abs(phases).max():
            return False
    return True


def _bits(number: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    bits = [((number >> k) & 1).bool()[:, None, None] for k in range(3)]
    return bits[0], bits[1], bits[2]
