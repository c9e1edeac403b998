r"""Coarse operators K_c = P^T K P, element by element.

The coarse grid is nested: all nodes of a voxel interpolate from the eight nodes of the coarse
element around it. Hence :math:`P^T K P` has the element matrices
:math:`K_c^E = \sum_{e \subset E} \rho_e T_e^T K_e T_e`, where T_e interpolates linearly from the
corners of E to those of its child e.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from offline.homogenization.grid import CORNERS
from offline.surrogates.cgins.elements import ElementSet
from offline.surrogates.cgins.precision import full_precision
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.stiffness import ElementOperator

__all__ = ["CoarseOperator", "coarse_operator"]

MAX_KINDS = 255  # children of that many kinds are looked up, more are added one by one


class CoarseOperator(ElementOperator):
    """P^T K P of a finer operator K: `apply`, `diagonal` and the rest of `ElementOperator`."""


def coarse_operator(operator: ElementOperator, grid: SparseGrid) -> CoarseOperator:
    """The Galerkin product of `operator` on `grid`, the one that `coarsen` makes of its own.

    Raises
    ------
    ParameterError
        The engine of `operator` is unknown on its device.
    """
    fine = operator.elements
    parent, child = _families(fine, grid)
    nodes, parent = _coarse_elements(fine, grid, parent)
    n = len(nodes)
    empty = fine.density.new_zeros(1)
    members = torch.full((n, 8), fine.n_elements, dtype=torch.int64, device=parent.device)
    members[parent, child] = torch.arange(fine.n_elements, device=parent.device)
    density = torch.cat([fine.density, empty])[members]
    none = len(fine.ke)
    kind = torch.cat([fine.material, fine.material.new_full((1,), none)])[members]
    if none <= MAX_KINDS and not bool((fine.density != 1.0).any()):
        kind, material = torch.unique(kind, dim=0, return_inverse=True)
        density = (kind < none).to(empty.dtype)
    else:
        material = torch.arange(n, device=parent.device)
    elements = ElementSet(
        grid=grid,
        nodes=nodes,
        material=material,
        density=fine.density.new_ones(n),
        ke=_summed(fine.ke, kind, density),
    )
    return CoarseOperator(elements, operator.engine)


def _families(fine: ElementSet, grid: SparseGrid) -> tuple[Tensor, Tensor]:
    """Flat coarse element over all cells (E,), and which of its eight children (E,) each is."""
    first = fine.nodes[:, 0]  # the corner nearest the origin has the voxel's own number
    index = fine.grid.index()[first]
    _, n2, n3 = grid.shape
    half = index // 2
    flat = (half[:, 0] * n2 + half[:, 1]) * n3 + half[:, 2]
    n_all = grid.shape[0] * n2 * n3
    odd = index % 2
    return fine.grid.sample[first] * n_all + flat, (odd[:, 0] * 2 + odd[:, 1]) * 2 + odd[:, 2]


def _coarse_elements(fine: ElementSet, grid: SparseGrid, parent: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes (E_c, 8) of the coarse elements and the row of each fine element's parent (E,)."""
    found, row = torch.unique(parent, return_inverse=True)
    n1, n2, n3 = grid.shape
    flat = found % (n1 * n2 * n3)
    index = torch.stack([flat // (n2 * n3), flat // n3 % n2, flat % n3], dim=1)
    corners = torch.from_numpy(CORNERS.copy()).to(index.device)
    sample = found // (n1 * n2 * n3)
    return grid.rows(sample[:, None], index[:, None, :] + corners), row


@full_precision
def _summed(ke: Tensor, kind: Tensor, density: Tensor) -> Tensor:
    """Matrices (n, 24, 24) of elements with children `kind` (n, 8) of factors `density` (n, 8)."""
    result = ke.new_zeros(len(kind), 24, 24)
    for child in range(8):
        t = torch.from_numpy(_interpolation(child)).to(ke)
        own = torch.cat([t.T @ ke @ t, ke.new_zeros(1, 24, 24)])
        result += density[:, child, None, None] * own[kind[:, child]]
    return result


def _interpolation(child: int) -> np.ndarray:
    """T (24, 24): displacements at the corners of a child from those at its parent's corners."""
    place = (CORNERS[child] + CORNERS) / 2.0
    weight = np.prod(1.0 - np.abs(place[:, None, :] - CORNERS), axis=2)
    return np.asarray(np.kron(weight, np.eye(3)))
