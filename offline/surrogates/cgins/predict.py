"""Use of a trained CGiNS network: displacements, effective stiffness, residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matnet.errors import FileFormatError, ParameterError
from offline.rve.rve import Rve
from offline.surrogates import weights
from offline.surrogates.cgins.cell_batch import CellBatch
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.stiffness import to_displacement

__all__ = ["KIND", "Predicted", "batch_of", "load_network", "misfit", "predict", "residuals"]

KIND = "cgins"  # in the cards of weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """What the network, its embedded solver included, says about some cells.

    Attributes
    ----------
    displacement : (n_cells, 6, n1, n2, n3, 3)
        Fluctuations u [length] at the nodes, zero outside solid and padding; the local strain of
        load k is ``e0^k - B u^k``. What ``homogenize(start=...)`` takes, cell by cell.
    stiffness : (n_cells, 6, 6)
        C^H in energy form, hence not below the exact one up to the padding's influence
        [stress unit].
    residual : (n_cells, 6)
        ``||K u - f|| / ||f||`` of each load.
    """

    displacement: np.ndarray
    stiffness: np.ndarray
    residual: np.ndarray


def load_network(stem: str | Path) -> CGiNS:
    """The network of a pair of files, in evaluation mode on the CPU.

    Raises
    ------
    FileFormatError
        The files are missing, damaged, of another surrogate, or do not fit their own card.
    """
    found = weights.load(stem, kind=KIND)
    try:
        config = CGiNSConfig.from_dict(found.card["config"])
    except (ParameterError, TypeError) as error:
        raise FileFormatError(f"{found.path}: card with an invalid config ({error}).") from error
    network = CGiNS(config)
    weights.fill(network, found)
    return network.eval()


def misfit(config: CGiNSConfig, rve: Rve) -> str | None:
    """Why a network of this configuration cannot take a cell, or None if it can.

    Examples
    --------
    >>> misfit(CGiNSConfig(levels=2, depth=2), Rve(phases=np.zeros((8, 8, 6), dtype=np.uint8)))
    'it halves the grid 3 times, and 8 x 8 x 6 voxels are not multiples of 8'
    """
    halvings = config.n_grids - 1
    if any(n % 2**halvings for n in rve.shape):
        shape = " x ".join(str(n) for n in rve.shape)
        return (
            f"it halves the grid {halvings} times, "
            f"and {shape} voxels are not multiples of {2**halvings}"
        )
    return None


def batch_of(
    network: CGiNS, cells: Sequence[tuple[Rve, Any]], device: torch.device | str | None = None
) -> CellBatch:
    """Cells of one shape as the network wants them, on its device.

    Raises
    ------
    ParameterError
        The shape cannot be halved as often as the network does, or see `CellBatch.of`.
    """
    for rve, _ in cells:
        reason = misfit(network.config, rve)
        if reason is not None:
            raise ParameterError(f"the network cannot take the cell: {reason}.")
    where = next(network.parameters()).device if device is None else device
    return CellBatch.of(
        cells, levels=network.config.n_grids, soft=network.config.soft, device=where
    )


def predict(network: CGiNS, cells: Sequence[tuple[Rve, Any]]) -> Predicted:
    """Displacements, effective stiffness and residual of cells of one shape.

    Parameters
    ----------
    network : CGiNS
    cells : sequence of (Rve, (n_phases, 6, 6))
        Cells and the stiffness of their phases in Mandel form; zeros mean void.

    Raises
    ------
    ShapeError, ParameterError
        See `batch_of`.
    """
    batch = batch_of(network, cells)
    with torch.no_grad():
        u = network(batch).displacements[0]
        return Predicted(
            displacement=to_displacement(u, batch.grid),
            stiffness=batch.operator.effective(u).double().cpu().numpy(),
            residual=residuals(batch, u).double().cpu().numpy(),
        )


def residuals(batch: CellBatch, u: Tensor) -> Tensor:
    """``||K u - f|| / ||f||`` (n_cells, 6) on the finest grid; 0 where f is zero."""
    grid = batch.grid
    r = grid.sum((batch.operator.apply(u) - batch.load).square().sum(1)).sqrt()
    norm = grid.sum(batch.load.square().sum(1)).sqrt()
    return torch.where(norm > 0, r / norm.clamp_min(torch.finfo(norm.dtype).tiny), 0.0)
