"""Mechanics keeps its precision where networks run in mixed precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

__all__ = ["full_precision"]

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function, deaf to `torch.autocast`.

    Autocast rounds the factors of every matrix product to 16 bits. A coarse stiffness P^T K P of
    such products is no longer the energy of anything, and conjugate gradients on it diverge.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     full_precision(torch.mm)(torch.ones(2, 2), torch.ones(2, 2)).dtype
    torch.float32
    """

    @wraps(function)
    def deaf(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*args, **kwargs)

    return deaf
