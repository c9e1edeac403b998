"""Convolutions of dense grids that see across the faces of the cell."""

from __future__ import annotations

from typing import Literal

from torch import nn

from matnet.errors import ParameterError

__all__ = ["PADDINGS", "conv3", "require_network", "require_width", "scaled"]

PADDINGS: dict[str, Literal["circular", "zeros"]] = {"periodic": "circular", "zero": "zeros"}


def conv3(inputs: int, outputs: int, padding: str) -> nn.Conv3d:
    """A 3^3 convolution that keeps the grid.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    padding : {"periodic", "zero"}
        What lies beyond a face: the opposite side, or nothing.
    """
    return nn.Conv3d(inputs, outputs, 3, padding=1, padding_mode=PADDINGS[padding])


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, at least one.

    >>> [scaled(72, 1.0), scaled(9, 0.5), scaled(1, 0.1)]
    [72, 4, 1]
    """
    return max(1, round(channels * width))


def require_width(name: str, width: float) -> None:
    """Raise `ParameterError` unless a factor on widths is in its range."""
    if not 0.0 < width <= 8.0:
        raise ParameterError(f"{name} is {width}, expected a number above 0, at most 8.")


def require_network(width: float, padding: str, soft: float) -> None:
    """Raise `ParameterError` unless width, padding and soft stiffness are in their ranges."""
    require_width("width", width)
    if padding not in PADDINGS:
        raise ParameterError(f"padding is '{padding}', expected one of {', '.join(PADDINGS)}.")
    if not 0.0 < soft <= 0.5:
        raise ParameterError(f"soft is {soft}, expected a number above 0, at most 0.5.")
