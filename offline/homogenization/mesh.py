"""The elements that carry stiffness and the nodes they touch, numbered without gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.homogenization.grid import HexGrid

__all__ = ["SolidMesh"]

MAX_CHUNKS = 16  # fixed, so that sums do not depend on the number of threads
ROWS_PER_CHUNK = 2  # thinner slabs would spend their time on shared planes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SolidMesh:
    """Active elements and nodes of a cell, cut into slabs along axis 0.

    A node is active when an active element touches it. Elements and nodes keep the grid's order,
    so the nodes of one plane of axis 0 are consecutive. Slab c works on elements
    ``element_start[c]`` to ``element_start[c + 1]``; it owns its nodes except those of its last
    plane, which the next slab owns and into which it adds from a private buffer.

    Attributes
    ----------
    voxels : (n_elements,) int
        Flat voxel number of each element.
    nodes : (n_nodes,) int
        Flat grid number of each active node, increasing.
    elements : (n_elements, 8) int32
        Active nodes of each element.
    phase : (n_elements,) int
        Phase of each element.
    density : (n_elements,) float
        Factor on the stiffness of each element.
    """

    voxels: np.ndarray
    nodes: np.ndarray
    elements: np.ndarray
    phase: np.ndarray
    density: np.ndarray
    element_start: np.ndarray
    element_last: np.ndarray  # first element of each slab's last layer
    node_start: np.ndarray
    shared_start: np.ndarray  # first node of the plane behind each slab
    shared_stop: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of active nodes."""
        return len(self.nodes)

    @property
    def n_elements(self) -> int:
        """Number of active elements."""
        return len(self.voxels)

    @property
    def n_chunks(self) -> int:
        """Number of slabs."""
        return len(self.element_start) - 1


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
    factor = np.ones(len(voxels)) if density is None else density.ravel()[voxels]
    arrays = {
        "voxels": voxels,
        "nodes": nodes,
        "elements": number[on_grid],
        "phase": phases.ravel()[voxels].astype(np.int64),
        "density": np.ascontiguousarray(factor),
        **_slabs(grid.shape, voxels, nodes),
    }
    for array in arrays.values():
        array.setflags(write=False)
    return SolidMesh(**arrays)


def _slabs(
    shape: tuple[int, int, int], voxels: np.ndarray, nodes: np.ndarray
) -> dict[str, np.ndarray]:
    """Cut axis 0 into slabs of about equally many elements."""
    n1, plane = shape[0], shape[1] * shape[2]
    layers = np.arange(n1 + 1) * plane
    element_of, node_of = np.searchsorted(voxels, layers), np.searchsorted(nodes, layers)
    n_slabs = max(1, min(MAX_CHUNKS, n1 // ROWS_PER_CHUNK))
    wanted = np.linspace(0, len(voxels), n_slabs + 1)[1:-1]
    inner = np.unique(np.clip(np.searchsorted(element_of, wanted), 1, n1 - 1)) if n1 > 1 else []
    cuts = np.concatenate([[0], inner, [n1]]).astype(np.int64)
    behind = cuts[1:] % n1
    return {
        "element_start": element_of[cuts].astype(np.int64),
        "element_last": element_of[cuts[1:] - 1].astype(np.int64),
        "node_start": node_of[cuts].astype(np.int64),
        "shared_start": node_of[behind].astype(np.int64),
        "shared_stop": node_of[behind + 1].astype(np.int64),
    }
