"""A batch of periodic cells as sparse grids, operators and loads on every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError, ShapeError
from matnet.mandel import rotate_stiffness
from offline.homogenization.grid import CORNERS, HexGrid
from offline.homogenization.solver import checked_stiffnesses
from offline.rve.rve import Rve
from offline.surrogates.cgins.elements import ElementSet
from offline.surrogates.cgins.galerkin import CoarseOperator, coarse_operator
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.stiffness import MaterialTable, StiffnessOperator
from offline.surrogates.cgins.transfer import Transfer, coarsen

__all__ = ["UPPER", "CellBatch", "padded_cell"]

UPPER = np.triu_indices(6)  # the 21 independent entries of a stiffness, row by row


@dataclass(frozen=True, eq=False)
class CellBatch:
    """Cells of one shape, ready for the network and for the embedded solver.

    The first entry of each tuple is the finest level. K u = f with the fluctuation u of
    `offline.homogenization`: the local strain is ``e0 - B u``.

    Attributes
    ----------
    grids : tuple of SparseGrid
    transfers : tuple of Transfer
        One less than levels.
    operators : tuple of operators with ``apply`` and ``diagonal``
        The fine `StiffnessOperator`, then its Galerkin products.
    loads : tuple of (N_level, 3, 6)
        f, then P^T f.
    solid : (N,) bool
        Whether a node touches a voxel that is not padding.
    node_stiffness : (N, 21)
        Mean stiffness of the 8 voxels around a node (padding and void count as 0), the entries
        `UPPER`, divided by `scale` of the cell.
    scale : (n_cells,)
        Largest entry of a phase stiffness in each cell [stress unit].
    mean_stiffness : (n_cells, 6, 6)
        Volume mean without the padding, the Voigt bound [stress unit].
    volume : (n_cells,)
        Volume of each cell [length cubed].
    """

    grids: tuple[SparseGrid, ...]
    transfers: tuple[Transfer, ...]
    operators: tuple[StiffnessOperator | CoarseOperator, ...]
    loads: tuple[Tensor, ...]
    solid: Tensor
    node_stiffness: Tensor
    scale: Tensor
    mean_stiffness: Tensor
    volume: Tensor

    @classmethod
    def of(
        cls,
        cells: Sequence[tuple[Rve, Any]],
        *,
        levels: int = 1,
        soft: float | None = 1e-4,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> CellBatch:
        """Build a batch.

        Parameters
        ----------
        cells : sequence of (Rve, (n_phases, 6, 6))
            Cells of one shape and the stiffness of their phases in Mandel form; zeros mean void.
        levels : int
            Grids, each with half the nodes per axis of the one before.
        soft : float, optional
            Stiffness of one layer of void voxels around the solid, relative to the mean stiffness
            of the solid. None: no such layer.
        device, dtype
            Of all tensors.

        Raises
        ------
        ShapeError, ParameterError
            No cells, different shapes, a stiffness is not positive definite, a cell without
            solid, or a shape that cannot be coarsened `levels` - 1 times.
        """
        _check(cells, levels, soft)
        parts = [_CellArrays.of(rve, stiffnesses, soft) for rve, stiffnesses in cells]
        active = torch.from_numpy(np.stack([part.active for part in parts])).to(device)
        grid = SparseGrid.of(_nodes_of(active))
        fine = StiffnessOperator(*_element_tables(grid, parts, device, dtype))
        grids, transfers = [grid], []
        operators: list[StiffnessOperator | CoarseOperator] = [fine]
        loads = [fine.load]
        for _ in range(levels - 1):
            coarse, transfer = coarsen(grids[-1])
            operators.append(coarse_operator(operators[-1], coarse))
            loads.append(transfer.restrict(loads[-1]))
            grids.append(coarse)
            transfers.append(transfer)
        scale = torch.tensor([part.scale for part in parts], dtype=dtype, device=device)
        return cls(
            grids=tuple(grids),
            transfers=tuple(transfers),
            operators=tuple(operators),
            loads=tuple(loads),
            solid=_touches_solid(fine),
            node_stiffness=_node_stiffness(fine) / grid.spread(scale)[:, None],
            scale=scale,
            mean_stiffness=fine.mean_stiffness(include_soft=False),
            volume=fine.materials.volume,
        )

    @property
    def grid(self) -> SparseGrid:
        """The finest grid."""
        return self.grids[0]

    @property
    def operator(self) -> StiffnessOperator:
        """The finest operator."""
        fine = self.operators[0]
        assert isinstance(fine, StiffnessOperator)
        return fine

    @property
    def load(self) -> Tensor:
        """The finest load f (N, 3, 6)."""
        return self.loads[0]


@dataclass(frozen=True, eq=False)
class _CellArrays:
    """One cell: voxels (n1, n2, n3) with their material, density, and the materials' matrices."""

    active: np.ndarray
    material: np.ndarray  # rows of `stiffness`; the last one is padding
    density: np.ndarray
    stiffness: np.ndarray
    grid: HexGrid
    scale: float

    @classmethod
    def of(cls, rve: Rve, stiffnesses: Any, soft: float | None) -> _CellArrays:
        c = checked_stiffnesses(stiffnesses, rve.phase_names)
        scale = float(np.abs(c).max())
        void = ~c.any(axis=(1, 2))
        if rve.orientations is not None:
            c = rotate_stiffness(c, rve.orientations)
        density = np.ones(rve.shape) if rve.density is None else np.array(rve.density)
        solid = ~void[rve.phases] & (density > 0.0)
        if not solid.any():
            raise ParameterError(
                "a cell has no solid: every voxel is void or has density 0. "
                "Check the phase names and the stiffness of each phase."
            )
        weights = np.bincount(rve.phases[solid], density[solid], minlength=len(c))
        mean = np.einsum("p,pij->ij", weights, c) / weights.sum()
        active = solid if soft is None else _dilated(solid)
        padding = active & ~solid
        return cls(
            active=active,
            material=np.where(padding, len(c), rve.phases.astype(np.int64)),
            density=np.where(padding, 1.0, density),
            stiffness=np.concatenate([c, (0.0 if soft is None else soft) * mean[None]]),
            grid=HexGrid(rve.shape, rve.cell),
            scale=scale,
        )


def padded_cell(rve: Rve, stiffnesses: Any, soft: float | None) -> tuple[Rve, np.ndarray]:
    """The cell whose system `CellBatch` holds, with the padding as its last phase.

    Parameters
    ----------
    rve, stiffnesses, soft
        See `CellBatch.of`.

    Returns
    -------
    Rve, (n_phases + 1, 6, 6)
        Without orientations: the stiffnesses are in the cell's frame.
    """
    arrays = _CellArrays.of(rve, stiffnesses, soft)
    cell = Rve(
        phases=arrays.material,
        phase_names=(*rve.phase_names, "soft padding"),
        cell=rve.cell,
        density=None if rve.density is None else arrays.density,
        source=rve.source,
    )
    return cell, arrays.stiffness


def _check(cells: Sequence[tuple[Rve, Any]], levels: int, soft: float | None) -> None:
    if not cells:
        raise ParameterError("a batch needs at least one cell, got none.")
    shapes = sorted({rve.shape for rve, _ in cells})
    if len(shapes) > 1:
        raise ShapeError(
            f"cells of a batch have shapes {shapes}, expected one shape. Batch them separately."
        )
    if levels < 1:
        raise ParameterError(f"levels is {levels}, expected 1 or more.")
    if soft is not None and not 0.0 < soft < 1.0:
        raise ParameterError(f"soft is {soft:g}, expected between 0 and 1, or None.")


def _dilated(mask: np.ndarray) -> np.ndarray:
    """`mask` and its 26 periodic neighbours."""
    for axis in range(3):
        mask = mask | np.roll(mask, 1, axis) | np.roll(mask, -1, axis)
    return mask


def _nodes_of(voxels: Tensor) -> Tensor:
    """Nodes (n_cells, n1, n2, n3) bool around the marked voxels."""
    for axis in (1, 2, 3):
        voxels = voxels | voxels.roll(1, axis)
    return voxels


def _element_tables(
    grid: SparseGrid,
    parts: Sequence[_CellArrays],
    device: torch.device | str,
    dtype: torch.dtype,
) -> tuple[ElementSet, MaterialTable]:
    """The active voxels, cell by cell in the order of their flat numbers, and their materials."""
    sizes = [len(part.stiffness) for part in parts]
    first = np.cumsum([0, *sizes[:-1]])
    voxels = [np.flatnonzero(part.active) for part in parts]
    sample = np.repeat(np.arange(len(parts)), [len(v) for v in voxels])
    index = np.stack(np.unravel_index(np.concatenate(voxels), grid.shape), axis=1)

    def tensor(arrays: Any, kind: torch.dtype = dtype) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(arrays)).to(device, kind)

    corners = tensor(index[:, None, :] + CORNERS, torch.int64)
    stiffness = np.concatenate([part.stiffness for part in parts])
    material = [p.material[p.active] + n for p, n in zip(parts, first, strict=True)]
    elements = ElementSet(
        grid=grid,
        nodes=grid.rows(tensor(sample, torch.int64)[:, None], corners),
        material=tensor(np.concatenate(material), torch.int64),
        density=tensor(np.concatenate([part.density[part.active] for part in parts])),
        ke=tensor(np.concatenate([p.grid.element_stiffness(p.stiffness) for p in parts])),
    )
    materials = MaterialTable(
        stiffness=tensor(stiffness),
        fe=tensor(np.concatenate([p.grid.element_load(p.stiffness) for p in parts])),
        solid=tensor(np.concatenate([np.arange(n) < n - 1 for n in sizes]), torch.bool),
        cell=tensor(np.repeat(np.arange(len(parts)), sizes), torch.int64),
        macro=tensor(np.stack([_macro_displacement(part.grid) for part in parts])),
        volume=tensor(np.array([part.grid.volume for part in parts])),
        voxel=tensor(np.concatenate(voxels), torch.int64),
    )
    return elements, materials


def _macro_displacement(grid: HexGrid) -> np.ndarray:
    """Displacements (24, 6) of an element's nodes under the unit strains, mean zero."""
    basis = np.zeros((6, 3, 3))
    half = np.sqrt(0.5)
    for k, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]):
        basis[k, i, j] = basis[k, j, i] = 1.0 if i == j else half
    points = (CORNERS - 0.5) @ (grid.cell / np.array(grid.shape)[:, None])
    return np.asarray(np.einsum("kij,aj->aik", basis, points).reshape(24, 6))


def _node_stiffness(operator: StiffnessOperator) -> Tensor:
    materials = operator.materials
    entries = materials.stiffness[:, UPPER[0], UPPER[1]] * materials.solid[:, None]
    return operator.elements.assembled(entries[:, None, :].expand(-1, 8, -1)) / 8.0


def _touches_solid(operator: StiffnessOperator) -> Tensor:
    solid = operator.materials.solid.to(operator.dtype)
    return operator.elements.assembled(solid[:, None, None].expand(-1, 8, 1))[:, 0] > 0
