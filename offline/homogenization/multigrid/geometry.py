"""Nested coarse grids over the solid, numbered without gaps, and trilinear interpolation.

A coarse element joins two elements along every axis; on an odd axis one stays alone, the widest, so
that widths never differ by more than a factor of about two. A coarse element is active where one of
its children is, so every fine node interpolates from active coarse nodes only. Interpolation is
linear in the physical position, hence translations and rotations pass unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.homogenization.grid import CORNERS
from offline.homogenization.multigrid.assembly_kernels import (
    find_neighbours,
    interpolate,
    mark_neighbours,
    mark_nodes,
    number_elements,
    transpose,
)

__all__ = ["OFFSET_SLOTS", "Grid", "Interpolation", "coarsen", "compressed_rows", "fine_grid"]

# Slot 9 i + 3 j + k of the neighbour at offset (i, j, k) - 1; row a, column b: from corner a to b.
OFFSET_SLOTS = np.array([[np.dot(b - a + 1, (9, 3, 1)) for b in CORNERS] for a in CORNERS])
OFFSET_SLOTS.setflags(write=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """The active elements and nodes of one level.

    Attributes
    ----------
    shape : (int, int, int)
    positions : three arrays
        Where the nodes of each axis lie, in fine elements.
    period : (int, int, int)
        Fine elements along each axis.
    voxels : (n_elements,) int
        Flat numbers of the active elements, increasing.
    nodes : (n_nodes,) int
        Flat numbers of the active nodes, increasing.
    """

    shape: tuple[int, int, int]
    positions: tuple[np.ndarray, np.ndarray, np.ndarray]
    period: tuple[int, int, int]
    voxels: np.ndarray
    nodes: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of active nodes."""
        return len(self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolation:
    """From a coarse grid to the next finer one, and everything that only geometry decides.

    Attributes
    ----------
    coarse : Grid
    prolongation, restriction : (start, column, weight)
        Rows of P and of its transpose: ``sum weight[e] x[column[e]]``, e from start[i] to
        start[i + 1].
    elements : (n_coarse_elements, 8) int32
        Coarse nodes of each coarse element.
    child_start, children : int
        Fine elements of coarse element E: ``children[child_start[E] : child_start[E + 1]]``.
    corner : (n_fine_elements,) int
        Which corner of its coarse element a fine element fills, a row of `grid.CORNERS`.
    fraction : (n_fine_elements, 3)
        Where along each axis its coarse element is cut; 1 where it has one child.
    planes : (n_planes + 1,) int
        First coarse element of each plane along axis 0.
    block_start, neighbours : int
        Rows of the coarse stiffness matrix in 3x3 blocks, like `prolongation`.
    rank : (n_coarse_nodes, 27) int8
        Place of each neighbour offset in its row, where there is a neighbour.
    """

    coarse: Grid
    prolongation: tuple[np.ndarray, np.ndarray, np.ndarray]
    restriction: tuple[np.ndarray, np.ndarray, np.ndarray]
    elements: np.ndarray
    child_start: np.ndarray
    children: np.ndarray
    corner: np.ndarray
    fraction: np.ndarray
    planes: np.ndarray
    block_start: np.ndarray
    neighbours: np.ndarray
    rank: np.ndarray


def fine_grid(shape: tuple[int, int, int], voxels: np.ndarray, nodes: np.ndarray) -> Grid:
    """The finest level: the mesh itself."""
    n1, n2, n3 = (np.arange(n, dtype=float) for n in shape)
    return Grid(shape=shape, positions=(n1, n2, n3), period=shape, voxels=voxels, nodes=nodes)


def coarsen(fine: Grid) -> Interpolation:
    """The next coarser grid and the interpolation from it."""
    axes = [_pair(x, length) for x, length in zip(fine.positions, fine.period, strict=True)]
    n1, n2, n3 = (len(axis.cut) for axis in axes)
    shape = (n1, n2, n3)
    index = np.unravel_index(fine.voxels, fine.shape)
    parents = [axis.parent[i] for axis, i in zip(axes, index, strict=True)]
    voxels, owner = np.unique(np.ravel_multi_index(parents, shape), return_inverse=True)
    elements = number_elements(voxels, np.array(shape))
    number = np.full(n1 * n2 * n3, -1, dtype=np.int32)
    mark_nodes(elements, number)
    nodes = np.flatnonzero(number == 0)
    number[nodes] = np.arange(len(nodes), dtype=np.int32)
    elements = number[elements]
    p1, p2, p3 = (x[~axis.upper] for x, axis in zip(fine.positions, axes, strict=True))
    coarse = Grid(
        shape=shape, positions=(p1, p2, p3), period=fine.period, voxels=voxels, nodes=nodes
    )
    a1, a2, a3 = axes
    prolongation = interpolate(
        fine.nodes,
        np.array(shape),
        *(a1.parent, a1.upper, a1.cut),
        *(a2.parent, a2.upper, a2.cut),
        *(a3.parent, a3.upper, a3.cut),
        number,
    )
    start, column, weight = prolongation
    used = np.zeros((len(nodes), 27), dtype=np.bool_)
    mark_neighbours(elements, OFFSET_SLOTS, used)
    block_start, rank = compressed_rows(used)
    neighbours = np.empty(block_start[-1], dtype=np.int32)
    find_neighbours(elements, OFFSET_SLOTS, block_start, rank, neighbours)
    order = np.argsort(owner, kind="stable")
    upper = [axis.upper[i] for axis, i in zip(axes, index, strict=True)]
    return Interpolation(
        coarse=coarse,
        prolongation=prolongation,
        restriction=transpose(start, column, weight, len(nodes)),
        elements=elements,
        child_start=np.searchsorted(owner[order], np.arange(len(voxels) + 1)),
        children=order,
        corner=np.dot((4, 2, 1), upper),
        fraction=np.stack([axis.cut[i] for axis, i in zip(axes, parents, strict=True)], axis=1),
        planes=np.searchsorted(voxels, np.arange(n1 + 1) * n2 * n3),
        block_start=block_start,
        neighbours=neighbours,
        rank=rank,
    )


def compressed_rows(used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each row of a mask (n, 27) begins (n + 1,), and the places within rows (n, 27)."""
    count = used.sum(axis=1, dtype=np.int64)
    return np.concatenate([[0], np.cumsum(count)]), np.cumsum(used, axis=1, dtype=np.int8) - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Axis:
    """How the elements of an axis are paired.

    Attributes
    ----------
    parent : (n,) int
        Coarse element of each element.
    upper : (n,) bool
        Whether it is the second of two. A node takes the place of the element behind it: it is a
        coarse node where the element is not upper.
    cut : (n_coarse,)
        Where a coarse element is cut, as a fraction of its width; 1 where it has one child.
    """

    parent: np.ndarray
    upper: np.ndarray
    cut: np.ndarray


def _pair(positions: np.ndarray, period: int) -> _Axis:
    n = len(positions)
    width = np.diff(np.append(positions, period))
    alone = 2 * int(np.argmax(width[::2])) if n % 2 else n
    behind = np.arange(n) > alone
    index = np.arange(n) + behind  # as if the one alone were two
    parent, upper = index // 2, index % 2 == 1
    total = np.bincount(parent, weights=width)
    return _Axis(parent=parent, upper=upper, cut=width[~upper] / total)
