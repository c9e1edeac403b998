"""Packed bodies as voxels: a voxel belongs to a body if its centre does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numba import njit

from matnet.errors import ParameterError
from offline.rve.generators.packing import Packing, pack
from offline.rve.generators.voxelgrid import fill_to_fraction

__all__ = ["body_levels", "pack_to_fraction"]

REACH = 1.5  # levels are computed out to this many radii
MARGINS = (0.002, 0.01, 0.04, 0.15)  # room for radii to grow until the voxel count is met


def pack_to_fraction(
    shape: tuple[int, int, int],
    edges: np.ndarray,
    halves: np.ndarray,
    radii: np.ndarray,
    *,
    volume_fraction: float,
    min_gap: float,
    rng: np.random.Generator,
    flat: bool = False,
    blunt: bool = False,
) -> tuple[np.ndarray, Packing]:
    """Random packing whose voxels have the asked volume fraction exactly.

    All radii are multiplied by one factor near 1 such that the number of voxels is the nearest
    integer to `volume_fraction` times all voxels; the gap is kept after that.

    Parameters
    ----------
    shape : tuple of int
        Voxels per axis.
    edges, halves, radii, flat, rng
        As in `packing.pack`.
    volume_fraction : float
        Asked share of voxels in the bodies, strictly between 0 and 1.
    min_gap : float
        Smallest surface distance, as a share of the pair's mean diameter.
    blunt : bool
        Cut the ends of the bodies flat at the ends of their segments (cylinders).

    Returns
    -------
    mask : (n1, n2, n3) bool
        Voxels inside a body.
    packing : Packing
        The bodies, with the radii that the voxels show.

    Raises
    ------
    ParameterError
        A body does not fit in the cell, or the voxels are too coarse for the bodies.
    ConvergenceError
        No packing was found.
    """
    spacing = float((edges / shape)[: 2 if flat else 3].max())
    _require_resolved(radii.min() >= 0.5 * spacing, radii, spacing)
    for margin in MARGINS:
        wide = (1.0 + min_gap) * (1.0 + margin) - 1.0
        packing = pack(edges, halves, radii, gap=wide, flat=flat, rng=rng)
        mask, scale = fill_to_fraction(body_levels(packing, shape, blunt), volume_fraction)
        if scale <= 1.0 + margin:
            break
    _require_resolved(scale <= 1.0 + margin, radii, spacing)
    return mask, replace(packing, radii=radii * scale)


def _require_resolved(resolved: bool, radii: np.ndarray, spacing: float) -> None:
    if not resolved:
        raise ParameterError(
            f"the smallest body has a radius of {radii.min() / spacing:.2g} voxels, too small to "
            "be resolved. Use more voxels (n) or fewer bodies."
        )


def body_levels(packing: Packing, shape: tuple[int, int, int], blunt: bool = False) -> np.ndarray:
    """Distance of each voxel centre from the nearest segment, in units of that body's radius.

    Parameters
    ----------
    packing : Packing
        The bodies; periodic images are included.
    shape : tuple of int
        Voxels per axis of the box.
    blunt : bool
        Voxels beyond the end of a segment do not count (flat cylinders).

    Returns
    -------
    (n1, n2, n3) floats
        Below 1 inside a body; infinite beyond 1.5 radii.
    """
    levels = np.full(shape, np.inf)
    spacing = packing.edges / shape
    for centre, half, radius in zip(packing.centres, packing.halves, packing.radii, strict=True):
        _lower_levels(levels, centre, half, radius, spacing, blunt)
    return levels


@njit(cache=True)
def _lower_levels(
    levels: np.ndarray,
    centre: np.ndarray,
    half: np.ndarray,
    radius: float,
    spacing: np.ndarray,
    blunt: bool,
) -> None:
    """Lower `levels` around one body; indices run beyond the box and wrap."""
    length2 = half[0] * half[0] + half[1] * half[1] + half[2] * half[2]
    reach = REACH * radius
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for k in range(3):
        extent = abs(half[k]) + reach
        low[k] = math.ceil((centre[k] - extent) / spacing[k] - 0.5)
        high[k] = math.floor((centre[k] + extent) / spacing[k] - 0.5) + 1
    n1, n2, n3 = levels.shape
    for i in range(low[0], high[0]):
        x = (i + 0.5) * spacing[0] - centre[0]
        for j in range(low[1], high[1]):
            y = (j + 0.5) * spacing[1] - centre[1]
            for k in range(low[2], high[2]):
                z = (k + 0.5) * spacing[2] - centre[2]
                t = x * half[0] + y * half[1] + z * half[2]
                if length2 > 0.0:
                    t /= length2
                    if blunt and abs(t) > 1.0:
                        continue
                    t = min(max(t, -1.0), 1.0)
                dx, dy, dz = x - t * half[0], y - t * half[1], z - t * half[2]
                level = math.sqrt(dx * dx + dy * dy + dz * dz) / radius
                if level < REACH:
                    voxel = (i % n1, j % n2, k % n3)
                    levels[voxel] = min(levels[voxel], level)
