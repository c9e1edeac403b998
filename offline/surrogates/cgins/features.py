"""What a CGiNS network is told about each node: where it is, and what is around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from offline.surrogates.cgins.cell_batch import CellBatch
from offline.surrogates.cgins.precision import full_precision

__all__ = ["MATERIAL", "FourierFeatures", "material_encoding"]

MATERIAL = 22  # 21 entries of the stiffness and the flag of the solid


class FourierFeatures(nn.Module):
    r"""Random Fourier features of the position in the cell.

    .. math:: \gamma(x) = [\cos 2\pi k_j \cdot x,\ \sin 2\pi k_j \cdot x]_j

    The wave vectors are normally distributed (Tancik et al., NeurIPS 2020) and then rounded to
    whole numbers other than zero: the features go on smoothly across the faces of the cell.

    Parameters
    ----------
    number : int
        Wave vectors; the features are twice as many.
    scale : float
        Standard deviation of the wave numbers [waves per cell].
    seed : int

    Attributes
    ----------
    waves : (number, 3)
        Saved with the weights.
    """

    waves: Tensor

    def __init__(self, number: int, scale: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        waves = torch.zeros(number, 3)
        for row in range(number):
            while not waves[row].any():
                waves[row] = (scale * torch.randn(3, generator=generator)).round()
        self.register_buffer("waves", waves)

    @full_precision
    def forward(self, positions: Tensor) -> Tensor:
        """Features (N, 2 number) at lattice coordinates `positions` (N, 3)."""
        phase = 2.0 * torch.pi * positions @ self.waves.to(positions.dtype).T
        return torch.cat([phase.cos(), phase.sin()], dim=1)


def material_encoding(batch: CellBatch) -> Tensor:
    """Stiffness around each node, relative to the cell's stiffest phase, and its flag: (N, 22).

    Neither the encoding nor the displacement changes when all moduli are multiplied by one number.
    """
    flag = batch.solid.to(batch.node_stiffness.dtype)
    return torch.cat([batch.node_stiffness, flag[:, None]], dim=1)
