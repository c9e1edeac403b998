"""Unidirectional fibres along axis 3: hexagonal and random arrangements."""

from __future__ import annotations

import math

import numpy as np

from matnet.errors import ParameterError
from offline.rve.generators.inclusions import pack_to_fraction
from offline.rve.generators.packing import Packing
from offline.rve.generators.voxelgrid import (
    call_text,
    cell_edges,
    fill_to_fraction,
    grid_shape,
    random_source,
    require_count,
    require_fraction,
    require_in_range,
)
from offline.rve.rve import Rve

__all__ = ["disc_packing", "ud_hexagonal", "ud_random"]

PHASES = ("matrix", "fibre")
DENSEST = math.pi / math.sqrt(12.0)  # hexagonal arrangement of touching discs, 0.9069


def ud_hexagonal(*, n: int = 64, volume_fraction: float = 0.6, thickness: int = 1) -> Rve:
    """Fibres along axis 3 in a hexagonal arrangement, two per cell of aspect sqrt(3) to 1.

    The fibre radius is chosen such that the number of fibre voxels comes as close to the asked
    fraction as the symmetric positions allow (within four voxels per fibre and layer).

    Parameters
    ----------
    n : int
        Voxels along the short edge (axis 2); the long edge (axis 1) gets the even number
        nearest to sqrt(3) n.
    volume_fraction : float
        Share of fibre voxels, above 0 and below 0.9069 (touching fibres).
    thickness : int
        Voxels along the fibres (axis 3).

    Returns
    -------
    Rve
        Phases ``matrix`` and ``fibre``; the long edge of the cell is 1.

    Raises
    ------
    ParameterError
        A value is out of range, or the grid is too coarse for the fraction.

    Examples
    --------
    >>> rve = ud_hexagonal(n=32, volume_fraction=0.6)
    >>> print(rve)
    Rve 56 x 32 x 1: matrix 40.18 %, fibre 59.82 %
    """
    require_count("n", n, 2)
    require_count("thickness", thickness)
    _require_loose("volume_fraction", volume_fraction, 0.0)
    shape = (2 * round(math.sqrt(3.0) * n / 2.0), n)
    edges = np.array([1.0, 1.0 / math.sqrt(3.0)])
    x, y = ((np.arange(m) + 0.5) / m * edge for m, edge in zip(shape, edges, strict=True))
    centres = np.array([[0.0, 0.0], [0.5, 0.5]]) * edges
    offsets = [
        np.hypot(*np.meshgrid(_wrapped(x - a, edges[0]), _wrapped(y - b, edges[1]), indexing="ij"))
        for a, b in centres
    ]
    mask, _ = fill_to_fraction(np.minimum(*offsets)[:, :, None], volume_fraction)
    return Rve(
        phases=np.repeat(mask, thickness, axis=2),
        cell=np.diag([*edges, thickness * edges[1] / n]),
        phase_names=PHASES,
        source=call_text("ud_hexagonal", n=n, volume_fraction=volume_fraction, thickness=thickness),
    )


def ud_random(
    *,
    n: int | tuple[int, int, int] = 64,
    volume_fraction: float = 0.6,
    n_fibres: int = 20,
    min_gap: float = 0.05,
    seed: int = 0,
) -> Rve:
    """Fibres of equal radius along axis 3 at random positions, without overlap.

    Positions come from soft-disc energy minimisation, which reaches volume fractions of 0.8; the
    number of fibre voxels is the nearest integer to the asked fraction times all voxels of a layer.

    Parameters
    ----------
    n : int or tuple of int
        Voxels per axis: one number for an n x n layer one voxel thick, or three.
    volume_fraction : float
        Share of fibre voxels, strictly between 0 and 1.
    n_fibres : int
        Number of fibres in the cell.
    min_gap : float
        Smallest distance of two fibre surfaces, as a share of the diameter.
    seed : int
        Seed of the positions.

    Returns
    -------
    Rve
        Phases ``matrix`` and ``fibre``.

    Raises
    ------
    ParameterError
        A value is out of range, a fibre does not fit in the cell, or the voxels are too coarse.
    ConvergenceError
        No packing was found: the volume fraction is too high.

    Examples
    --------
    >>> print(ud_random(n=50, volume_fraction=0.6))
    Rve 50 x 50 x 1: matrix 40.00 %, fibre 60.00 %
    """
    arguments = dict(locals())
    mask, _ = disc_packing(**arguments)
    layers = grid_shape(n, flat=True)[2]
    return Rve(
        phases=np.repeat(mask, layers, axis=2),
        phase_names=PHASES,
        source=call_text("ud_random", **arguments),
    )


def disc_packing(
    *,
    n: int | tuple[int, int, int],
    volume_fraction: float,
    n_fibres: int,
    min_gap: float,
    seed: int,
) -> tuple[np.ndarray, Packing]:
    """One layer of voxels (n1, n2, 1) bool and the discs behind `ud_random` (same parameters)."""
    shape = grid_shape(n, flat=True)
    require_count("n_fibres", n_fibres)
    require_in_range("min_gap", min_gap, 0.0)
    _require_loose("volume_fraction", volume_fraction, min_gap)
    rng = random_source(seed)
    edges = cell_edges(shape)
    edges[2] = edges[0] + edges[1]  # any height: the discs stay in one plane
    radius = math.sqrt(volume_fraction * edges[0] * edges[1] / (n_fibres * math.pi))
    return pack_to_fraction(
        (shape[0], shape[1], 1),
        edges,
        np.zeros((n_fibres, 3)),
        np.full(n_fibres, radius),
        volume_fraction=volume_fraction,
        min_gap=min_gap,
        rng=rng,
        flat=True,
    )


def _require_loose(name: str, volume_fraction: float, min_gap: float) -> None:
    require_fraction(name, volume_fraction)
    if volume_fraction * (1.0 + min_gap) ** 2 > DENSEST:
        extra = f" with min_gap {min_gap:g}" if min_gap > 0.0 else ""
        raise ParameterError(
            f"{name} {volume_fraction:g}{extra} is denser than the densest packing of equal "
            f"fibres ({DENSEST:.4f}). Lower it."
        )


def _wrapped(x: np.ndarray, edge: float) -> np.ndarray:
    return np.asarray(x - edge * np.round(x / edge))
