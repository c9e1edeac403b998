"""The elements that carry stiffness and the nodes they touch, numbered without gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.homogenization.grid import HexGrid

__all__ = ["LANES", "Groups", "Rows", "SolidMesh", "build_mesh"]

LANES = 8  # elements handled together
MAX_SLABS = 32  # fixed, so that sums do not depend on the number of threads
LAYERS_PER_SLAB = 4  # thinner slabs would spend their time on shared planes
THINNEST_SLAB = 2  # layers: the planes that two slabs touch must differ
BLOCK_VOXELS = 8192  # elements are sorted by phase inside blocks of layers that fit the cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Elements in eights of one phase, cut into slabs along axis 0.

    A slab owns the nodes of its planes; the plane behind its last layer belongs to the next slab.
    The groups of the last layer come last in a slab.

    Attributes
    ----------
    nodes : (n_groups, 8 elements, 8 nodes) int32
        Incomplete groups repeat their first element with density 0.
    phase : (n_groups,) int
    density : (n_groups, 8) float
    slabs : (5, n_slabs) int
        First group, stop group, first group of the last layer, first and stop owned node.
    shared : (2, n_slabs) int
        First and stop node of the plane behind each slab.
    """

    nodes: np.ndarray
    phase: np.ndarray
    density: np.ndarray
    slabs: np.ndarray
    shared: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Elements in runs along axis 3, cut into slabs along axis 0.

    Attributes
    ----------
    runs : (3, n_runs) int
        First place along axis 3, stop place, and number of the first element of each run.
    row_start : (n1 * n2 + 1,) int
        First run of each row of voxels.
    layers : (n_slabs + 1,) int
        First layer of each slab.
    planes : (n1 + 1,) int
        First node of each plane.
    """

    runs: np.ndarray
    row_start: np.ndarray
    layers: np.ndarray
    planes: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SolidMesh:
    """Active elements and nodes of a cell; a node is active when an active element touches it.

    Attributes
    ----------
    voxels : (n_elements,) int
        Flat voxel number of each element, increasing.
    nodes : (n_nodes,) int
        Flat grid number of each active node, increasing.
    number : (n_voxels,) int32
        Active node at each node of the grid, -1 where there is none.
    elements : (n_elements, 8) int32
        Active nodes of each element.
    phase : (n_elements,) uint8
        Phase of each element.
    density : (n_elements,) float
        Factor on the stiffness of each element.
    rows : Rows
        The same elements as the stiffness matrix is applied.
    groups : Groups
        The same elements in the order the other kernels work.
    """

    voxels: np.ndarray
    nodes: np.ndarray
    number: np.ndarray
    elements: np.ndarray
    phase: np.ndarray
    density: np.ndarray
    rows: Rows
    groups: Groups

    @property
    def n_nodes(self) -> int:
        """Number of active nodes."""
        return len(self.nodes)

    @property
    def n_elements(self) -> int:
        """Number of active elements."""
        return len(self.voxels)


def build_mesh(
    grid: HexGrid, active: np.ndarray, phases: np.ndarray, density: np.ndarray | None
) -> SolidMesh:
    """The mesh of the voxels where `active` (n1, n2, n3) holds."""
    voxels = np.flatnonzero(active)
    on_grid = grid.node_ids(voxels)
    touched = np.zeros(grid.n_voxels, dtype=bool)
    touched[on_grid] = True
    nodes = np.flatnonzero(touched)
    number = np.full(grid.n_voxels, -1, dtype=np.int32)
    number[nodes] = np.arange(len(nodes), dtype=np.int32)
    arrays = {
        "voxels": voxels,
        "nodes": nodes,
        "elements": number[on_grid],
        "phase": phases.ravel()[voxels],
        "density": np.ones(len(voxels)) if density is None else density.ravel()[voxels],
    }
    for array in (number, *arrays.values()):
        array.setflags(write=False)
    plane = grid.shape[1] * grid.shape[2]
    cuts = _cuts(grid.shape[0], np.searchsorted(voxels, np.arange(grid.shape[0] + 1) * plane))
    return SolidMesh(
        **arrays,
        number=number,
        rows=_rows(grid.shape, cuts, voxels, nodes),
        groups=_groups(grid.shape, cuts, **arrays),
    )


def _rows(
    shape: tuple[int, int, int], cuts: np.ndarray, voxels: np.ndarray, nodes: np.ndarray
) -> Rows:
    place = voxels % shape[2]
    new = np.concatenate([[True], np.diff(voxels) != 1]) | (place == 0)
    first = np.flatnonzero(new)
    length = np.diff(np.append(first, len(voxels)))
    rows = np.arange(shape[0] * shape[1] + 1) * shape[2]
    return Rows(
        runs=np.stack([place[first], place[first] + length, first]),
        row_start=np.searchsorted(voxels[first], rows),
        layers=cuts,
        planes=np.searchsorted(nodes, rows[:: shape[1]]),
    )


def _groups(
    shape: tuple[int, int, int],
    cuts: np.ndarray,
    voxels: np.ndarray,
    nodes: np.ndarray,
    elements: np.ndarray,
    phase: np.ndarray,
    density: np.ndarray,
) -> Groups:
    plane = shape[1] * shape[2]
    layer = voxels // plane
    slab = np.searchsorted(cuts, layer, side="right") - 1
    last = layer == cuts[slab + 1] - 1
    block = layer // max(1, BLOCK_VOXELS // plane)
    order = np.lexsort((phase, block, last, slab))
    keys = np.stack([slab, last, block, phase])[:, order]
    lanes = _eights(keys)  # positions in `order`, -1 where empty
    chosen = order[np.where(lanes < 0, lanes[:, :1], lanes)]
    head = keys[:, lanes[:, 0]]  # slab, last, block, phase of each group
    n_slabs = len(cuts) - 1
    node_start = np.searchsorted(nodes, cuts * plane)
    behind = cuts[1:] % shape[0]
    slabs = [
        np.searchsorted(head[0], np.arange(n_slabs)),
        np.searchsorted(head[0], np.arange(n_slabs), side="right"),
        np.searchsorted(2 * head[0] + head[1], 2 * np.arange(n_slabs) + 1),
        node_start[:-1],
        node_start[1:],
    ]
    shared = [np.searchsorted(nodes, behind * plane), np.searchsorted(nodes, (behind + 1) * plane)]
    return Groups(
        nodes=elements[chosen],
        phase=head[3].astype(np.int64),
        density=np.where(lanes < 0, 0.0, density[chosen]),
        slabs=np.array(slabs, dtype=np.int64),
        shared=np.array(shared, dtype=np.int64),
    )


def _cuts(n_layers: int, element_start: np.ndarray) -> np.ndarray:
    """Layers (n_slabs + 1,) where slabs of about equally many elements begin and end."""
    n_slabs = max(1, min(MAX_SLABS, n_layers // LAYERS_PER_SLAB))
    wanted = np.linspace(0, element_start[-1], n_slabs + 1)[1:-1]
    cuts = [0]
    for cut in np.searchsorted(element_start, wanted):
        if cuts[-1] + THINNEST_SLAB <= cut <= n_layers - THINNEST_SLAB:
            cuts.append(int(cut))
    return np.array([*cuts, n_layers])


def _eights(keys: np.ndarray) -> np.ndarray:
    """Cut runs of equal columns of `keys` (k, n) into groups: positions (n_groups, 8) or -1."""
    n = keys.shape[1]
    new = np.concatenate([[True], np.any(keys[:, 1:] != keys[:, :-1], axis=0)])
    run = np.flatnonzero(new)
    length = np.diff(np.append(run, n))
    per_run = -(-length // LANES)
    first = np.repeat(run, per_run)
    place = np.arange(len(first)) - np.repeat(np.cumsum(per_run) - per_run, per_run)
    lanes = (first + LANES * place)[:, None] + np.arange(LANES)
    stop = np.repeat(run + length, per_run)[:, None]
    return np.where(lanes < stop, lanes, -1)
