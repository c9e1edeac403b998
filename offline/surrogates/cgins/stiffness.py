"""The stiffness operator of a batch of sparse cells, differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from offline.homogenization.grid import CORNERS
from offline.surrogates.cgins.sparse_grid import OFFSETS, SparseGrid

__all__ = ["ElementTable", "StiffnessOperator", "to_displacement"]


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Elements of a batch: where they are and which material of the table they have.

    Attributes
    ----------
    nodes : (E, 8) int64
        Rows of an element's nodes, in the order of `offline.homogenization.grid.CORNERS`.
    material : (E,) int64
        Row of the tables below; ascending.
    density : (E,)
        Factor on the stiffness.
    runs : (M + 1,) ints
        Elements of material m are ``runs[m]`` to ``runs[m + 1]``.
    solid : (M,) bool
        False for padding.
    cell : (M,) int64
        Cell that the material belongs to.
    stiffness, ke, fe : (M, 6, 6), (M, 24, 24), (M, 24, 6)
    macro : (n_cells, 24, 6)
        Displacements of an element's nodes under the unit strains, mean zero.
    volume : (n_cells,)
    """

    nodes: Tensor
    material: Tensor
    density: Tensor
    runs: tuple[int, ...]
    solid: Tensor
    cell: Tensor
    stiffness: Tensor
    ke: Tensor
    fe: Tensor
    macro: Tensor
    volume: Tensor


class StiffnessOperator:
    """K of trilinear hexahedra over the active voxels of every cell; symmetric.

    Attributes
    ----------
    grid : SparseGrid
    table : ElementTable
    elements : (N, 8) int64
        Element that has the node as its corner a; E where there is none.
    """

    def __init__(self, grid: SparseGrid, table: ElementTable) -> None:
        self.grid, self.table = grid, table
        self.elements = _elements_around(grid, table)

    @property
    def n_elements(self) -> int:
        """Active voxels of all cells."""
        return int(self.table.nodes.shape[0])

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrices."""
        return self.table.ke.dtype

    def apply(self, u: Tensor) -> Tensor:
        """K u (N, 3, 6) of `u` (N, 3, 6)."""
        result = _Apply.apply(u, self)
        assert isinstance(result, Tensor)
        return result

    def product(self, u: Tensor) -> Tensor:
        """K u without a record for differentiation."""
        local = self._times_matrices(u.reshape(-1, 18)[self.table.nodes].reshape(-1, 24, 6))
        forces = local.reshape(-1, 8, 18)
        padded = torch.cat([forces, forces.new_zeros(1, 8, 18)])
        result = sum(padded[self.elements[:, a], a] for a in range(8))
        assert isinstance(result, Tensor)
        return result.reshape(-1, 3, 6)

    def _times_matrices(self, local: Tensor) -> Tensor:
        runs = self.table.runs
        parts = [
            torch.matmul(self.table.ke[m], local[runs[m] : runs[m + 1]])
            for m in range(len(runs) - 1)
        ]
        return torch.cat(parts) * self.table.density[:, None, None]

    def at_nodes(self, values: Tensor) -> Tensor:
        """Sum (N, C) over the elements around each node of `values` (E, C)."""
        padded = torch.cat([values, values.new_zeros(1, values.shape[1])])
        result = sum(padded[self.elements[:, a]] for a in range(8))
        assert isinstance(result, Tensor)
        return result

    @cached_property
    def load(self) -> Tensor:
        """f (N, 3, 6): forces of the unit macro strains, Mandel order."""
        table = self.table
        fe = (table.fe[table.material] * table.density[:, None, None]).reshape(-1, 8, 18)
        padded = torch.cat([fe, fe.new_zeros(1, 8, 18)])
        result = sum(padded[self.elements[:, a], a] for a in range(8))
        assert isinstance(result, Tensor)
        return result.reshape(-1, 3, 6)

    @cached_property
    def block_diagonal(self) -> Tensor:
        """The 3x3 blocks (N, 3, 3) on the diagonal of K."""
        return self.stencil[:, 13]

    @cached_property
    def diagonal(self) -> Tensor:
        """Diagonal (N, 3) of K."""
        return torch.diagonal(self.block_diagonal, dim1=1, dim2=2).contiguous()

    @cached_property
    def stencil(self) -> Tensor:
        """Blocks (N, 27, 3, 3) of K towards the neighbours in the order of `OFFSETS`."""
        table = self.table
        density = torch.cat([table.density, table.density.new_zeros(1)])
        material = torch.cat([table.material, table.material.new_zeros(1)])
        result = table.ke.new_zeros(self.grid.n_nodes, 27, 3, 3)
        for a in range(8):
            around = self.elements[:, a]
            weight, kind = density[around, None, None], material[around]
            for c in range(8):
                blocks = table.ke[:, 3 * a : 3 * a + 3, 3 * c : 3 * c + 3]
                o = OFFSETS.index(tuple(int(n) for n in CORNERS[c] - CORNERS[a]))  # type: ignore[arg-type]
                result[:, o] += weight * blocks[kind]
        return result

    def mean_stiffness(self, include_soft: bool = False) -> Tensor:
        """Volume mean (n_cells, 6, 6) of the stiffness [stress unit]."""
        table = self.table
        n_voxels = self.grid.shape[0] * self.grid.shape[1] * self.grid.shape[2]
        per_material = table.density.new_zeros(len(table.solid))
        per_material.index_add_(0, table.material, table.density)
        if not include_soft:
            per_material = per_material * table.solid
        result = table.stiffness.new_zeros(self.grid.n_cells, 6, 6)
        weighted = per_material[:, None, None] * table.stiffness / n_voxels
        return result.index_add(0, table.cell, weighted)

    def effective(self, u: Tensor, include_soft: bool = False) -> Tensor:
        r"""C^H (n_cells, 6, 6) of fluctuations `u` (N, 3, 6), in energy form.

        .. math:: C_{kl} = \frac1{|Y|} \int (e_k - B u_k)^T C (e_l - B u_l)

        Hence symmetric and not below the exact one. Differentiable.
        """
        table = self.table
        local = u.reshape(-1, 18)[table.nodes].reshape(-1, 8, 3, 6)
        local = (local - local.mean(1, keepdim=True)).reshape(-1, 24, 6)
        cells: list[Any] = [u.new_zeros(6, 6) for _ in range(self.grid.n_cells)]
        for m, (cell, solid) in enumerate(
            zip(table.cell.tolist(), table.solid.tolist(), strict=True)
        ):
            rows = slice(table.runs[m], table.runs[m + 1])
            if rows.start == rows.stop or not (solid or include_soft):
                continue
            v = table.macro[cell] - local[rows]
            stress = torch.matmul(table.ke[m], v) * table.density[rows, None, None]
            cells[cell] = cells[cell] + v.reshape(-1, 6).T @ stress.reshape(-1, 6)
        result = torch.stack(cells) / table.volume[:, None, None]
        return 0.5 * (result + result.transpose(1, 2))

    def energy(self, u: Tensor) -> Tensor:
        """`effective` with the padding, whose minimum over u is where K u = f."""
        return self.effective(u, include_soft=True)


class _Apply(torch.autograd.Function):
    """Product with a symmetric operator: its derivative is the same product."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, operator: Any) -> Tensor:
        ctx.operator = operator
        return operator.product(u)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _Apply.apply(gradient, ctx.operator), None


def _elements_around(grid: SparseGrid, table: ElementTable) -> Tensor:
    """Element (N, 8) that has each node as corner a; E where there is none."""
    n = table.nodes.shape[0]
    result = torch.full((grid.n_nodes, 8), n, dtype=torch.int64, device=grid.device)
    numbers = torch.arange(n, device=grid.device)
    for a in range(8):
        result[table.nodes[:, a], a] = numbers
    return result


def to_displacement(u: Tensor, grid: SparseGrid) -> Any:
    """Numpy array (n_cells, 6, n1, n2, n3, 3) of fluctuations `u` (N, 3, 6), zero elsewhere.

    What ``homogenize(start=...)`` takes, cell by cell.
    """
    n1, n2, n3 = grid.shape
    result = u.new_zeros(grid.n_cells, n1 * n2 * n3, 3, 6)
    result[grid.sample, grid.node] = u.detach()
    return result.permute(0, 3, 1, 2).reshape(grid.n_cells, 6, n1, n2, n3, 3).cpu().numpy()
