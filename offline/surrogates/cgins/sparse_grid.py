"""Active nodes of a batch of periodic cells, and who neighbours whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError, ShapeError

__all__ = ["OFFSETS", "SparseGrid"]

# The 27 neighbours of a node, itself in the middle (number 13).
OFFSETS: tuple[tuple[int, int, int], ...] = tuple(product((-1, 0, 1), repeat=3))  # type: ignore[arg-type]
PIECE = 1024  # nodes that a compiled loop handles together


@dataclass(frozen=True, eq=False)
class SparseGrid:
    """Active nodes of `n_cells` periodic cells of one shape, and their 27 neighbours.

    Nodes are sorted by cell, then by flat number. Every neighbour goes through one table, which
    holds the periodic wrap (the documents' Peri-mapping), so that convolution, stencil and
    transfer see the node at ``n`` as the node at 0.

    Attributes
    ----------
    shape : (int, int, int)
        Nodes, and voxels, along each lattice vector.
    n_cells : int
    sample : (N,) int64
        Cell of each node.
    node : (N,) int64
        Flat number inside its cell, row-major as in `offline.homogenization.grid.HexGrid`.
    neighbours : (N, 27) int64
        Row of the neighbour at each of `OFFSETS`; N where that node is not active: append one
        zero row before gathering.
    offsets : (n_cells + 1,) int64
        Nodes of cell b are rows ``offsets[b]`` to ``offsets[b + 1]``.
    periodic : bool
        Whether `neighbours` wraps round.

    Examples
    --------
    >>> active = torch.zeros(1, 4, 4, 4, dtype=torch.bool)
    >>> active[0, 0, 0, 0] = active[0, 3, 0, 0] = True
    >>> grid = SparseGrid.of(active)
    >>> [OFFSETS[k] for k in range(27) if grid.neighbours[0, k] == 1]
    [(-1, 0, 0)]
    """

    shape: tuple[int, int, int]
    n_cells: int
    sample: Tensor
    node: Tensor
    neighbours: Tensor
    offsets: Tensor
    periodic: bool = True

    @classmethod
    def of(cls, active_nodes: Tensor, periodic: bool = True) -> SparseGrid:
        """The grid of the nodes marked in `active_nodes` (n_cells, n1, n2, n3) bool.

        Raises
        ------
        ShapeError, ParameterError
            Not four axes, or a cell without any active node.
        """
        if active_nodes.ndim != 4 or active_nodes.dtype != torch.bool:
            raise ShapeError(
                f"active_nodes has shape {tuple(active_nodes.shape)} and dtype "
                f"{active_nodes.dtype}, expected bool (n_cells, n1, n2, n3)."
            )
        n_cells, n1, n2, n3 = active_nodes.shape
        flat = active_nodes.reshape(n_cells, -1)
        counts = flat.sum(1)
        if n_cells == 0 or not bool((counts > 0).all()):
            raise ParameterError("active_nodes: a cell has no active node, expected at least one.")
        sample, node = flat.nonzero(as_tuple=True)
        offsets = torch.zeros(n_cells + 1, dtype=torch.int64, device=flat.device)
        offsets[1:] = counts.cumsum(0)
        grid = cls((n1, n2, n3), n_cells, sample, node, node.new_zeros(0, 27), offsets, periodic)
        return replace(grid, neighbours=_neighbours(grid))

    @property
    def n_nodes(self) -> int:
        """Active nodes of all cells, N."""
        return int(self.sample.shape[0])

    @property
    def device(self) -> torch.device:
        """Where the tables live."""
        return self.sample.device

    @cached_property
    def slices(self) -> tuple[tuple[int, int], ...]:
        """First and stop row of each cell."""
        return tuple(pairwise(self.offsets.tolist()))

    @cached_property
    def pieces(self) -> np.ndarray:
        """First row, stop row and cell (n_pieces, 3) of the pieces of work of compiled loops."""
        return np.array(
            [
                (start, min(start + PIECE, stop), cell)
                for cell, (first, stop) in enumerate(self.slices)
                for start in range(first, stop, PIECE)
            ]
        )

    @cached_property
    def compiled_neighbours(self) -> np.ndarray:
        """`neighbours` (N, 27) as int32 for compiled loops."""
        return self.neighbours.to(torch.int32).cpu().numpy()

    def index(self) -> Tensor:
        """Grid position (N, 3) int64 of each node."""
        _, n2, n3 = self.shape
        return torch.stack([self.node // (n2 * n3), self.node // n3 % n2, self.node % n3], dim=1)

    def positions(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Lattice coordinates (N, 3) of the nodes in [0, 1)."""
        return self.index().to(dtype) / torch.tensor(self.shape, dtype=dtype, device=self.device)

    def row_table(self) -> Tensor:
        """Row (n_cells, n1 * n2 * n3) int64 of each grid node, N where not active."""
        n_all = self.shape[0] * self.shape[1] * self.shape[2]
        table = torch.full(
            (self.n_cells, n_all), self.n_nodes, dtype=torch.int64, device=self.device
        )
        table[self.sample, self.node] = torch.arange(self.n_nodes, device=self.device)
        return table

    def rows(self, sample: Tensor, index: Tensor) -> Tensor:
        """Rows of the nodes at grid positions `index` (..., 3) wrapped into cells `sample`."""
        wrapped = index % torch.tensor(self.shape, device=self.device)
        _, n2, n3 = self.shape
        flat = (wrapped[..., 0] * n2 + wrapped[..., 1]) * n3 + wrapped[..., 2]
        return self.row_table()[sample, flat]

    def mean(self, x: Tensor) -> Tensor:
        """Mean (n_cells, ...) of `x` (N, ...) over the nodes of each cell."""
        counts = (self.offsets[1:] - self.offsets[:-1]).to(x.dtype)
        return self.sum(x) / counts.reshape(-1, *[1] * (x.ndim - 1))

    def sum(self, x: Tensor) -> Tensor:
        """Sum (n_cells, ...) of `x` (N, ...) over the nodes of each cell."""
        return torch.stack([x[start:stop].sum(0) for start, stop in self.slices])

    def spread(self, v: Tensor) -> Tensor:
        """Give each node its cell's row of `v` (n_cells, ...): (N, ...)."""
        return v.index_select(0, self.sample)

    def cut(self) -> SparseGrid:
        """The same nodes without the wrap in `neighbours` (an ablation)."""
        grid = replace(self, periodic=False)
        return replace(grid, neighbours=_neighbours(grid))

    def to(self, device: torch.device | str) -> SparseGrid:
        """A copy on another device."""
        names = ("sample", "node", "neighbours", "offsets")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def _neighbours(grid: SparseGrid) -> Tensor:
    """Rows (N, 27) of the neighbours; N where there is none."""
    offsets = torch.tensor(OFFSETS, device=grid.device)
    index = grid.index()[:, None, :] + offsets
    rows = grid.rows(grid.sample[:, None], index)
    if grid.periodic:
        return rows
    sizes = torch.tensor(grid.shape, device=grid.device)
    outside = ((index < 0) | (index >= sizes)).any(-1)
    return rows.masked_fill(outside, grid.n_nodes)
