"""Elements of a batch of sparse cells and the block stencils that they assemble to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor

from offline.homogenization.grid import CORNERS
from offline.surrogates.cgins import stencil_kernels
from offline.surrogates.cgins.sparse_grid import OFFSETS, SparseGrid
from offline.surrogates.cgins.threads import torch_threads

__all__ = ["NEIGHBOUR_OF", "ElementSet", "Stencil"]

# Number of the neighbour at which corner c of an element is seen from its corner a.
NEIGHBOUR_OF = np.array(
    [[OFFSETS.index((int(o[0]), int(o[1]), int(o[2]))) for o in CORNERS - a] for a in CORNERS]
)
NEIGHBOUR_OF.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Stencil:
    """Blocks of a stiffness matrix, stored once for all nodes with the same surroundings.

    Attributes
    ----------
    blocks : (U, 27, 3, 3)
        Towards the neighbours, in the order of `OFFSETS`.
    pattern : (N,) int32
        Row of `blocks` of each node.
    """

    blocks: Tensor
    pattern: Tensor

    def expanded(self) -> Tensor:
        """Blocks (N, 27, 3, 3) of every node."""
        return self.blocks[self.pattern.long()]

    def diagonal_blocks(self, shape: tuple[int, int, int]) -> Tensor:
        """Blocks (N, 3, 3) on the diagonal; along an axis of one node all neighbours are itself."""
        itself = [
            number
            for number, offset in enumerate(OFFSETS)
            if all(o == 0 or n == 1 for o, n in zip(offset, shape, strict=True))
        ]
        return self.blocks[:, itself].sum(1)[self.pattern.long()]


@dataclass(frozen=True, eq=False)
class ElementSet:
    """Trilinear elements on a grid, each with a matrix from a table and a factor.

    Attributes
    ----------
    grid : SparseGrid
    nodes : (E, 8) int64
        Rows of an element's nodes, in the order of `offline.homogenization.grid.CORNERS`.
    material : (E,) int64
        Row of `ke`.
    density : (E,)
        Factor on the matrix.
    ke : (M, 24, 24)
    """

    grid: SparseGrid
    nodes: Tensor
    material: Tensor
    density: Tensor
    ke: Tensor

    @property
    def n_elements(self) -> int:
        """Elements of all cells, E."""
        return int(self.nodes.shape[0])

    @cached_property
    def around(self) -> Tensor:
        """Element (N, 8) int64 that has a node as its corner a; E where there is none."""
        n = self.n_elements
        device = self.nodes.device
        result = torch.full((self.grid.n_nodes, 8), n, dtype=torch.int64, device=device)
        numbers = torch.arange(n, device=device)
        for a in range(8):
            result[self.nodes[:, a], a] = numbers
        return result

    def assembled(self, values: Tensor) -> Tensor:
        """Sum (N, C) over the elements around each node of density times `values` (M, 8, C), the
        contributions of a matrix's element to its corners."""
        pattern, rows = self._patterns
        density = torch.cat([self.density, self.density.new_zeros(1)])
        material = torch.cat([self.material, self.material.new_zeros(1)])
        result = values.new_zeros(len(rows), values.shape[2])
        for a in range(8):
            around = self.around[rows, a]
            result += density[around, None] * values[material[around], a]
        return result[pattern.long()]

    def scattered(self, values: Tensor) -> Tensor:
        """Sum (N, C) at the nodes of `values` (E, 8, C) at the elements' corners."""
        padded = torch.cat([values, values.new_zeros(1, *values.shape[1:])])
        result = padded[self.around[:, 0], 0]
        for a in range(1, 8):
            result += padded[self.around[:, a], a]
        return result

    def stencil(self, weight: Tensor | None = None) -> Stencil:
        """The assembled blocks, with the factors `weight` (M,) on the matrices of the table."""
        ke = self.ke if weight is None else self.ke * weight[:, None, None]
        pattern, rows = self._patterns
        if rows.device.type == "cpu":
            blocks = self._compiled_blocks(rows, ke)
        else:
            blocks = self._gathered_blocks(rows, ke)
        return Stencil(blocks, pattern)

    @cached_property
    def _patterns(self) -> tuple[Tensor, Tensor]:
        """Pattern (N,) int32 of each node and one node (U,) for each pattern."""
        count = self.grid.n_nodes
        numbers = torch.arange(count, device=self.nodes.device)
        key = self._keys()
        if key is None:
            return numbers.to(torch.int32), numbers
        found, pattern = torch.unique(key, return_inverse=True)
        rows = numbers.new_zeros(len(found))
        rows[pattern] = numbers  # any node of the pattern will do
        return pattern.to(torch.int32), rows

    def _keys(self) -> Tensor | None:
        """A number for the surroundings of each node; None where hardly two would be equal."""
        cells = self.grid.n_cells
        kinds = len(self.ke)
        if kinds > 256 * cells or bool((self.density != 1.0).any()):
            return None
        owner = self.grid.sample[self.nodes[:, 0]]
        used = torch.zeros(cells, kinds, dtype=torch.int64, device=owner.device)
        used[owner, self.material] = 1
        local = used.cumsum(1)[owner, self.material]  # 1, 2, ... within each cell
        base = int(local.max()) + 1
        if cells * float(base) ** 8 > 2.0**62:
            return None
        local = torch.cat([local, local.new_zeros(1)])
        key = self.grid.sample
        for a in range(8):
            key = key * base + local[self.around[:, a]]
        return key

    def _compiled_blocks(self, rows: Tensor, ke: Tensor) -> Tensor:
        blocks = ke.new_zeros(len(rows), 27, 3, 3)
        where = (rows.numpy(), self.around.numpy(), self.material.numpy())
        values = (self.density.numpy(), ke.contiguous().numpy())
        with torch_threads():
            stencil_kernels.assemble(*where, *values, NEIGHBOUR_OF, blocks.numpy())
        return blocks

    def _gathered_blocks(self, rows: Tensor, ke: Tensor) -> Tensor:
        density = torch.cat([self.density, self.density.new_zeros(1)])
        material = torch.cat([self.material, self.material.new_zeros(1)])
        blocks = ke.new_zeros(len(rows), 27, 3, 3)
        for a, c in product(range(8), repeat=2):
            around = self.around[rows, a]
            corner = ke[:, 3 * a : 3 * a + 3, 3 * c : 3 * c + 3]
            blocks[:, NEIGHBOUR_OF[a, c]] += density[around, None, None] * corner[material[around]]
        return blocks
