"""Random short fibres with a given orientation tensor: straight, non-overlapping, periodic."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from matnet.errors import ParameterError
from offline.rve.generators.directions import directions_with_tensor, orientation_tensor
from offline.rve.generators.inclusions import pack_to_fraction
from offline.rve.generators.packing import Packing
from offline.rve.generators.voxelgrid import (
    call_text,
    cell_edges,
    grid_shape,
    random_source,
    require_count,
    require_fraction,
    require_in_range,
)
from offline.rve.rve import Rve

__all__ = ["fibre_packing", "random_short_fibres"]

ISOTROPIC = (1 / 3, 1 / 3, 1 / 3)


def random_short_fibres(
    *,
    n: int | tuple[int, int, int] = 64,
    volume_fraction: float = 0.1,
    aspect_ratio: float = 10.0,
    orientation: tuple[float, ...] = ISOTROPIC,
    n_fibres: int = 50,
    ends: Literal["round", "flat"] = "round",
    min_gap: float = 0.02,
    seed: int = 0,
) -> Rve:
    """Straight fibres of equal size with a given second-order orientation tensor.

    The mean of p p^T over the fibres equals the asked tensor within 1e-8 (angular central Gaussian
    directions, see `directions`). Positions come from soft-body energy minimisation. The number of
    fibre voxels is the nearest integer to the asked fraction times all voxels: all radii are
    scaled by one factor near 1.

    Parameters
    ----------
    n : int or tuple of int
        Voxels per axis: one number for a cube, or three.
    volume_fraction : float
        Share of fibre voxels, strictly between 0 and 1. With aspect ratio 10, 0.2 is within reach.
    aspect_ratio : float
        Total length over diameter, at least 1.
    orientation : tuple of float
        Orientation tensor: its diagonal (3 numbers) or a11 a22 a33 a12 a13 a23; trace 1.
    n_fibres : int
        Number of fibres in the cell; more of them are shorter.
    ends : {'round', 'flat'}
        Hemispheres (spherocylinders) or flat cylinders.
    min_gap : float
        Smallest distance of two surfaces, as a share of the diameter. Flat cylinders are kept
        apart as if their ends carried hemispheres.
    seed : int
        Seed of directions and positions.

    Returns
    -------
    Rve
        Phases ``matrix`` and ``fibre``.

    Raises
    ------
    ParameterError
        A value is out of range, a fibre is longer than the cell, or the voxels are too coarse.
    ConvergenceError
        No packing was found, or so few fibres cannot have the orientation tensor.

    References
    ----------
    Advani & Tucker, J. Rheol. 31, 751 (1987), for the tensor.

    Examples
    --------
    >>> print(random_short_fibres(n=32, aspect_ratio=5.0, orientation=(0.7, 0.2, 0.1)))
    Rve 32 x 32 x 32: matrix 90.00 %, fibre 10.00 %
    """
    arguments = dict(locals())
    mask, _ = fibre_packing(**arguments)
    source = call_text("random_short_fibres", **arguments)
    return Rve(phases=mask, phase_names=("matrix", "fibre"), source=source)


def fibre_packing(
    *,
    n: int | tuple[int, int, int],
    volume_fraction: float,
    aspect_ratio: float,
    orientation: tuple[float, ...],
    n_fibres: int,
    ends: Literal["round", "flat"],
    min_gap: float,
    seed: int,
) -> tuple[np.ndarray, Packing]:
    """Voxels (n1, n2, n3) bool and fibres behind `random_short_fibres` (same parameters)."""
    shape = grid_shape(n)
    require_fraction("volume_fraction", volume_fraction)
    require_in_range("aspect_ratio", aspect_ratio, 1.0)
    require_in_range("min_gap", min_gap, 0.0)
    require_count("n_fibres", n_fibres)
    if ends not in ("round", "flat"):
        raise ParameterError(f"ends is {ends!r}, expected 'round' or 'flat'.")
    tensor = orientation_tensor(orientation)
    rng = random_source(seed)
    edges = cell_edges(shape)
    radius, half_length = _sizes(
        volume_fraction * edges.prod() / n_fibres, aspect_ratio, blunt=ends == "flat"
    )
    return pack_to_fraction(
        shape,
        edges,
        half_length * directions_with_tensor(tensor, n_fibres, rng),
        np.full(n_fibres, radius),
        volume_fraction=volume_fraction,
        min_gap=min_gap,
        rng=rng,
        blunt=ends == "flat",
    )


def _sizes(volume: float, aspect_ratio: float, *, blunt: bool) -> tuple[float, float]:
    """Radius and half segment length of a fibre of given volume; total length = aspect * 2 radius.

    Flat: pi r^2 L. Round: pi r^2 (L - 2 r) + 4/3 pi r^3, whose segment is one diameter shorter.
    """
    if blunt:
        radius = math.cbrt(volume / (2.0 * math.pi * aspect_ratio))
        return radius, aspect_ratio * radius
    radius = math.cbrt(volume / (2.0 * math.pi * (aspect_ratio - 1.0 / 3.0)))
    return radius, (aspect_ratio - 1.0) * radius
