"""The symmetries of the cube and the exchange of phases, acting on what networks see and give."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from matnet.mandel import rotation_matrix
from offline.morphology.catalogue import swap, turns
from offline.morphology.symmetry import CUBE, signed_permutation

__all__ = [
    "swap_descriptors",
    "turn_descriptors",
    "turn_stiffness",
    "turn_stiffness_back",
    "turn_voxels",
]


def turn_descriptors(values: Tensor, number: Tensor) -> Tensor:
    """Descriptors (n, d) of the images, each turned by its symmetry (n,)."""
    source, sign = _tables()
    index = number.cpu()
    gathered = values.gather(1, source[index].to(values.device))
    return gathered * sign[index].to(values)


def swap_descriptors(values: Tensor, which: Tensor) -> Tensor:
    """Descriptors (n, d) with the phases exchanged where `which` (n,) says so."""
    order = torch.tensor(swap(), device=values.device)
    return torch.where(which[:, None], values[:, order], values)


def turn_stiffness(stiffness: Tensor, number: Tensor) -> Tensor:
    """Mandel matrices (n, 6, 6) of the turned images."""
    r = _rotations()[number.cpu()].to(stiffness)
    return r @ stiffness @ r.mT


def turn_stiffness_back(stiffness: Tensor, number: Tensor) -> Tensor:
    """Inverse of `turn_stiffness`."""
    r = _rotations()[number.cpu()].to(stiffness)
    return r.mT @ stiffness @ r


def turn_voxels(images: Tensor, number: Tensor) -> Tensor:
    """Images (n, r, r, r), each turned by its symmetry (n,)."""
    turned = []
    for image, one in zip(images, number.tolist(), strict=True):
        order, signs = signed_permutation(one)
        flipped = [axis for axis in range(3) if signs[axis] < 0]
        turned.append(image.permute(*order.tolist()).flip(flipped))
    return torch.stack(turned)


@lru_cache(maxsize=1)
def _tables() -> tuple[Tensor, Tensor]:
    source, sign = turns()
    return torch.tensor(source), torch.tensor(sign)


@lru_cache(maxsize=1)
def _rotations() -> Tensor:
    """Mandel matrices (48, 6, 6) of the symmetries."""
    return torch.tensor(np.asarray(rotation_matrix(CUBE)))
