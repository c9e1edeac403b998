r"""A U-Net that is linear in the load: geometry decides, residuals flow.

The documents' U-Net predicts the displacements of all loads from geometry alone or from whatever it
is shown, and has to learn that they are linear in the load. Here a trunk of convolutions looks at
the geometry and predicts, at every node, small matrices G and E; what passes through them is the
displacement u from the coarser grid and the Jacobi step d of its residual, one load like the other:

.. math:: y = P^T G [u, d], \qquad y \leftarrow A(y), \qquad w = E\,[P y, u, d] .

The columns of ``E P`` are local displacement modes around each coarse node, as in a partition of
unity; the linear maps A on the coarse grids find their amplitudes. No residual, no correction;
twice the load, twice the displacement; and six loads teach one set of weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offline.surrogates.cgins.sparse_conv import SparseConv3
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.transfer import Transfer
from offline.surrogates.cgins.unet import SparseUNet, pool

__all__ = ["ModeNet"]

ENTER = 6  # components of u and d of one load
LEAVE = 3


class ModeNet(nn.Module):
    """Correction of a displacement, linear in it and in its residual.

    Parameters
    ----------
    inputs : int
        Geometric features per node.
    widths : sequence of int
        Features of the trunk on the grid itself and on each coarser one.
    modes : int
        Local modes around each coarse node.
    start : float
        Size of the last layer's first weights relative to the usual.
    """

    def __init__(self, inputs: int, widths: Sequence[int], modes: int, start: float) -> None:
        super().__init__()
        self.modes = modes
        self.trunk = SparseUNet(inputs, widths)
        coarse = widths[1:]
        self.collect = nn.Linear(widths[0], modes * ENTER)
        self.gates = nn.ModuleList([nn.Linear(width, 2 * modes) for width in coarse])
        self.mix = nn.ModuleList([_mixing(modes) for _ in coarse])
        self.deeper = nn.ModuleList([nn.Linear(width, modes**2) for width in coarse[:-1]])
        self.higher = nn.ModuleList([nn.Linear(width, modes**2) for width in coarse[:-1]])
        self.emit = nn.Linear(widths[0], LEAVE * (modes + ENTER))
        with torch.no_grad():
            self.emit.weight.mul_(start)
            self.emit.bias.mul_(start)

    def forward(
        self,
        x: Tensor,
        s: Tensor,
        grids: Sequence[SparseGrid],
        transfers: Sequence[Transfer],
    ) -> tuple[Tensor, Tensor]:
        """Correction (N, 3, loads) and the trunk's features (N, widths[0]).

        Parameters
        ----------
        x : (N, inputs)
        s : (N, 6, loads)
            Displacement from below and Jacobi step of its residual, in voxels.
        grids, transfers
            The grid itself and the coarser ones.
        """
        features = [_normal(h) for h in self.trunk(x, grids, transfers)]
        y = _times(self.collect(features[0]), s)
        y = self._coarse(
            pool(y.flatten(1), transfers[0]).view(-1, *y.shape[1:]), features, grids, transfers, 0
        )
        y = torch.cat([_prolong(y, transfers[0]), s], dim=1)
        return _times(self.emit(features[0]), y), features[0]

    def _coarse(
        self,
        y: Tensor,
        features: Sequence[Tensor],
        grids: Sequence[SparseGrid],
        transfers: Sequence[Transfer],
        depth: int,
    ) -> Tensor:
        """Amplitudes (N, modes, loads) from the collected residuals on grid `depth` + 1."""
        h, grid = features[depth + 1], grids[depth + 1]
        if depth < len(self.deeper):
            below = _times(self.deeper[depth](h), y)
            below = pool(below.flatten(1), transfers[depth + 1]).view(-1, *y.shape[1:])
            below = self._coarse(below, features, grids, transfers, depth + 1)
            y = y + _times(self.higher[depth](h), _prolong(below, transfers[depth + 1]))
        enter, leave = self.gates[depth](h).chunk(2, dim=1)
        loads = (enter[:, :, None] * y).unbind(2)
        mixed = torch.stack([self.mix[depth](load.contiguous(), grid) for load in loads], dim=2)
        result: Tensor = y + leave[:, :, None] * mixed
        return result


def _normal(h: Tensor) -> Tensor:
    """Features of each node with mean 0 and variance 1: matrices made of them stay bounded."""
    normal: Tensor = nn.functional.layer_norm(h, h.shape[1:])
    return normal


def _times(matrix: Tensor, y: Tensor) -> Tensor:
    """Matrices (N, a * b) of each node times fields (N, b, loads)."""
    product: Tensor = torch.bmm(matrix.view(y.shape[0], -1, y.shape[1]), y)
    return product


def _prolong(y: Tensor, transfer: Transfer) -> Tensor:
    fine: Tensor = transfer.prolong(y.flatten(1)).view(-1, *y.shape[1:])
    return fine


def _mixing(modes: int) -> SparseConv3:
    """A linear convolution whose outputs keep the size of its inputs."""
    conv = SparseConv3(modes, modes, bias=False)
    nn.init.normal_(conv.weight, 0.0, (27 * modes) ** -0.5)
    return conv
