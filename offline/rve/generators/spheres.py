"""Random spheres in a matrix: non-overlapping, periodic, of one size or many."""

from __future__ import annotations

import math

import numpy as np

from matnet.errors import ParameterError
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

__all__ = ["random_spheres", "sphere_packing"]

DENSEST = math.pi / math.sqrt(18.0)  # face-centred cubic, 0.7405


def random_spheres(
    *,
    n: int | tuple[int, int, int] = 64,
    volume_fraction: float = 0.3,
    n_spheres: int = 30,
    spread: float = 0.0,
    min_gap: float = 0.02,
    seed: int = 0,
) -> Rve:
    """Random non-overlapping spheres in a matrix.

    Positions come from soft-sphere energy minimisation, which reaches volume fractions of 0.5 to
    0.6. The number of sphere voxels is the nearest integer to the asked volume fraction times all
    voxels: all radii are scaled by one factor near 1.

    Parameters
    ----------
    n : int or tuple of int
        Voxels per axis: one number for a cube, or three.
    volume_fraction : float
        Share of sphere voxels, strictly between 0 and 1.
    n_spheres : int
        Number of spheres in the cell.
    spread : float
        Standard deviation of the logarithm of the radii; 0 for equal spheres.
    min_gap : float
        Smallest distance of two surfaces, as a share of the pair's mean diameter.
    seed : int
        Seed of sizes and positions.

    Returns
    -------
    Rve
        Phases ``matrix`` and ``sphere``.

    Raises
    ------
    ParameterError
        A value is out of range, a sphere does not fit in the cell, or the voxels are too coarse.
    ConvergenceError
        No packing was found: the volume fraction is too high.

    Examples
    --------
    >>> print(random_spheres(n=32, volume_fraction=0.25, n_spheres=10))
    Rve 32 x 32 x 32: matrix 75.00 %, sphere 25.00 %
    """
    arguments = dict(locals())
    mask, _ = sphere_packing(**arguments)
    source = call_text("random_spheres", **arguments)
    return Rve(phases=mask, phase_names=("matrix", "sphere"), source=source)


def sphere_packing(
    *,
    n: int | tuple[int, int, int],
    volume_fraction: float,
    n_spheres: int,
    spread: float,
    min_gap: float,
    seed: int,
) -> tuple[np.ndarray, Packing]:
    """Voxels (n1, n2, n3) bool and the spheres behind `random_spheres` (same parameters)."""
    shape = grid_shape(n)
    require_fraction("volume_fraction", volume_fraction)
    require_count("n_spheres", n_spheres)
    require_in_range("spread", spread, 0.0, 1.0)
    require_in_range("min_gap", min_gap, 0.0)
    if spread == 0.0 and volume_fraction * (1.0 + min_gap) ** 3 > DENSEST:
        raise ParameterError(
            f"volume_fraction {volume_fraction:g} with min_gap {min_gap:g} is denser than the "
            f"densest packing of equal spheres ({DENSEST:.3f}). Lower one of them."
        )
    rng = random_source(seed)
    edges = cell_edges(shape)
    radii = np.exp(spread * rng.standard_normal(n_spheres))
    radii *= np.cbrt(volume_fraction * edges.prod() / (4.0 / 3.0 * math.pi * (radii**3).sum()))
    return pack_to_fraction(
        shape,
        edges,
        np.zeros((n_spheres, 3)),
        radii,
        volume_fraction=volume_fraction,
        min_gap=min_gap,
        rng=rng,
    )
