"""The same cell with fewer voxels."""

from __future__ import annotations

import numpy as np

from offline.rve import Rve
from offline.rve.connectivity import connectivity, remove_islands

__all__ = ["coarse_cell"]


def coarse_cell(rve: Rve, max_elements: int) -> Rve:
    """The finest cell of blocks of voxels that has at most `max_elements` voxels with stiffness.

    Each block takes one phase, those with the largest share of a phase first, so that volume
    fractions stay to half a block. A coarse cell that resists fewer strains than `rve` is passed
    over, for the next finer one or `rve` itself.

    Examples
    --------
    >>> cell = Rve(phases=np.repeat([0, 1], 8).reshape(16, 1, 1))
    >>> coarse_cell(cell, 4).phases.ravel()
    array([0, 0, 1, 1], dtype=uint8)
    """
    sound = rve
    supported = connectivity(rve, "node").n_supported_strains
    factor = 1
    while np.count_nonzero(sound.solid_mask) > max_elements:
        factor += 1
        shape = tuple(-(-n // factor) for n in rve.shape)
        trial = remove_islands(rve.with_phases(_blocks(rve, shape)))[0]
        if connectivity(trial, "node").n_supported_strains < supported:
            break
        sound = trial
        if max(shape) == 1:
            break
    return sound


def _blocks(rve: Rve, shape: tuple[int, ...]) -> np.ndarray:
    """Phases (shape) of blocks of voxels, as even in size as whole voxels allow."""
    left = np.ones(shape, dtype=bool)
    result = np.zeros(shape, dtype=np.uint8)
    fractions = rve.fractions
    # scarce phases first: they are the ones that a majority would lose
    order = np.argsort(fractions, kind="stable")
    for phase in order[:-1]:
        wanted = round(float(fractions[phase]) * left.size)
        share = np.where(left, _share(rve.phases == phase, shape), -1.0)
        chosen = left & _largest(share, wanted)
        result[chosen] = phase
        left &= ~chosen
    result[left] = order[-1]
    return result


def _share(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Share of voxels in each block (shape) that the mask holds."""
    values = mask.astype(float)
    for axis, (n, blocks) in enumerate(zip(mask.shape, shape, strict=True)):
        edges = np.arange(blocks + 1) * n // blocks
        sums = np.add.reduceat(values, edges[:-1], axis=axis)
        size = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(3)])
        values = sums / size
    return np.asarray(values.round(12))  # equal shares stay equal


def _largest(share: np.ndarray, wanted: int) -> np.ndarray:
    """The `wanted` largest shares; of equal ones those with larger shares around them, then any."""
    around = sum(np.roll(share, step, axis) for axis in range(3) for step in (-1, 1))
    drawn = np.random.default_rng(0).random(share.size)  # no side of the cell is preferred
    order = np.lexsort((drawn, np.round(around, 9).ravel(), share.ravel()))
    chosen = np.zeros(share.size, dtype=bool)
    chosen[order[share.size - wanted :]] = True
    return chosen.reshape(share.shape)
