r"""The label-free loss: potential energy on every grid that predicts.

.. math:: L = \sum_l \mathop{\mathrm{mean}}_k
          \frac{\bar C_{kk} + \frac{2}{|Y|} (\tfrac12 v^T K_l v - v^T f_l)}{\bar C_{kk}}
          + \lambda\, |\bar u|^2

The bracket is the effective stiffness that the displacement v of load k gives, relative to the
Voigt mean: the potential energy up to a constant and a factor that lets all cells and loads weigh
alike. Its smallest value, reached by the solution alone, is ``C^H_kk / C_Voigt_kk``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from offline.surrogates.cgins.network import Prediction

if TYPE_CHECKING:
    from offline.surrogates.cgins.cell_batch import CellBatch

__all__ = ["energy_loss", "relative_energies"]

LOGARITHM_FLOOR = 1e-6  # of the Voigt mean; rounding only, the energies are positive


def relative_energies(batch: CellBatch, level: int, v: Tensor) -> Tensor:
    """Effective stiffness of each load over its Voigt mean (n_cells, 6), padding included.

    Parameters
    ----------
    batch : CellBatch
    level : int
        Grid that `v` lives on.
    v : (N_level, 3, 6)
    """
    grid = batch.grids[level]
    work = (v * (0.5 * batch.operators[level].apply(v) - batch.loads[level])).sum(1)
    voigt = batch.mean_stiffness.diagonal(dim1=1, dim2=2)
    return 1.0 + 2.0 * grid.sum(work) / (batch.volume[:, None] * voigt)


def energy_loss(
    batch: CellBatch, prediction: Prediction, penalty: float, *, relative: bool = False
) -> dict[str, Tensor]:
    """Loss of a prediction and its parts; means over cells and loads.

    Parameters
    ----------
    batch : CellBatch
    prediction : Prediction
    penalty : float
        lambda, on the squared translation of what the network said, in units of the cell's edge.
    relative : bool
        Sum the logarithms of the energies: a percent of a soft cell then counts as much as a
        percent of a stiff one.
    """
    total = batch.volume.new_zeros(())
    parts: dict[str, Tensor] = {}
    for level, v in enumerate(prediction.displacements):
        energies = relative_energies(batch, level, v)
        if relative:
            energies = energies.clamp_min(LOGARITHM_FLOOR).log()
        parts[f"energy_{level}"] = energies.mean()
        total = total + energies.mean()
    shift = torch.stack([s.square().sum(1).mean() for s in prediction.shifts]).sum()
    parts["shift"] = shift
    parts["loss"] = total + penalty * shift
    return parts
