r"""Which solid hangs together in the periodic cell, and along which directions it carries load.

A component is a set of solid voxels connected through shared faces (or shared nodes), also across
the periodic boundary. Walking around a closed path inside a component may end in another copy of
the cell: the sum of boundary crossings is the path's *winding vector* :math:`w \in Z^3`. All
winding vectors of a component form a lattice; its rank is 0 for an island, 1 for a rod, 2 for a
plate, 3 for a frame. Touching two opposite faces is neither necessary nor sufficient for winding.

A rigid component resists the macroscopic strain :math:`E` unless :math:`w \cdot E w' = 0` for
all its winding vectors (taken in space, :math:`w A` with the cell rows :math:`A`): otherwise a
periodic displacement and a rotation undo the strain. Hence the effective stiffness is positive
definite only if the matrices :math:`w w'^T + w' w^T` of all components span all six strains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
from numba import njit
from scipy import ndimage

from matnet.errors import ParameterError
from offline.rve.rve import Rve

__all__ = ["Connectivity", "check_solid", "complaint", "connectivity", "remove_islands"]

Neighbours = Literal["face", "node"]


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """Components of the solid in a periodic cell.

    Parameters
    ----------
    labels : (n1, n2, n3) int32
        Component of each voxel, 1 for the largest; 0 where there is no stiffness.
    sizes : (n_components,) int
        Voxels per component, largest first.
    windings : tuple of (rank, 3) int
        Basis of each component's lattice of winding vectors, in lattice coordinates.
    neighbours : str
        ``face`` or ``node``: what connects two voxels.
    """

    labels: np.ndarray
    sizes: np.ndarray
    windings: tuple[np.ndarray, ...]
    neighbours: Neighbours = "face"

    @property
    def n_components(self) -> int:
        """Number of connected components."""
        return len(self.sizes)

    @cached_property
    def rank(self) -> np.ndarray:
        """Rank of each component's winding lattice (n_components,): 0 island ... 3 frame."""
        return np.array([len(basis) for basis in self.windings], dtype=int)

    @cached_property
    def percolates(self) -> np.ndarray:
        """Per lattice direction (3,) bool: some component reaches its own image along it."""
        result = np.zeros(3, dtype=bool)
        for basis in {basis.tobytes(): basis for basis in self.windings if len(basis)}.values():
            for i in range(3):
                widened = np.vstack([basis, np.eye(3, dtype=int)[i]])
                result[i] |= np.linalg.matrix_rank(widened) == len(basis)
        return result

    @cached_property
    def n_supported_strains(self) -> int:
        """Dimension (0 to 6) of the macroscopic strains that some component resists."""
        rows = [
            (np.outer(v, w) + np.outer(w, v))[np.triu_indices(3)]
            for basis in {basis.tobytes(): basis for basis in self.windings}.values()
            for v, w in product(basis, basis)
        ]
        return int(np.linalg.matrix_rank(np.array(rows))) if rows else 0

    @property
    def islands(self) -> np.ndarray:
        """Components (n_components,) bool that float: no winding, while another one winds."""
        winds = self.rank > 0
        return np.asarray(~winds & winds.any())

    @property
    def n_islands(self) -> int:
        """Number of floating islands."""
        return int(self.islands.sum())

    @property
    def island_voxels(self) -> int:
        """Voxels in floating islands."""
        return int(self.sizes[self.islands].sum())


def connectivity(rve: Rve, neighbours: Neighbours = "face") -> Connectivity:
    """Periodic components of everything that carries stiffness.

    Parameters
    ----------
    rve : Rve
        Voxels of all phases but ``void``, with density > 0, count as solid.
    neighbours : {"face", "node"}
        ``face``: voxels must share a face, so that a component is rigid. ``node``: a shared
        edge or corner is enough, as in the assembled stiffness of trilinear hexahedra, where it
        acts as a hinge.

    Examples
    --------
    A diagonal staircase of voxels touches all faces but closes on itself along (1, 1, 0) only:

    >>> phases = np.zeros((4, 4, 3), dtype=int)
    >>> i = np.arange(4)
    >>> phases[i, i, 0] = phases[i, (i + 1) % 4, 0] = 1
    >>> found = connectivity(Rve(phases=phases, phase_names=("void", "solid")))
    >>> found.percolates, found.windings
    (array([False, False, False]), (array([[1, 1, 0]]),))
    """
    if neighbours not in ("face", "node"):
        raise ParameterError(f"neighbours is '{neighbours}', expected 'face' or 'node'.")
    structure = ndimage.generate_binary_structure(3, 1 if neighbours == "face" else 3)
    labels, n_boxed = ndimage.label(rve.solid_mask, structure=structure, output=np.int32)
    edges = _boundary_edges(labels, neighbours)
    root, offset = _joined(edges, n_boxed + 1)
    loops = _loops(edges, root, offset)

    position, sizes = _ranked(root, np.bincount(labels.ravel(), minlength=n_boxed + 1))
    return Connectivity(
        labels=position[labels],
        sizes=sizes,
        windings=_windings(position[loops[:, 0]], loops[:, 1:], len(sizes)),
        neighbours=neighbours,
    )


def _ranked(root: np.ndarray, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Name 1, 2, ... of each boxed component's periodic component, by size, and the sizes."""
    roots, merged = np.unique(root[1:], return_inverse=True)
    sizes = np.zeros(len(roots), dtype=np.int64)
    np.add.at(sizes, merged, voxels[1:])
    order = np.argsort(-sizes, kind="stable")
    name = np.empty(len(roots), dtype=np.int32)
    name[order] = np.arange(1, len(roots) + 1)
    return np.concatenate([np.zeros(1, dtype=np.int32), name[merged]]), sizes[order]


def _windings(
    component: np.ndarray, vectors: np.ndarray, n_components: int
) -> tuple[np.ndarray, ...]:
    """Lattice basis per component from the winding vectors of all loops."""
    result = [np.zeros((0, 3), dtype=np.int64)] * n_components
    for name in np.unique(component):
        result[name - 1] = _lattice_basis(vectors[component == name])
    return tuple(result)


def remove_islands(rve: Rve, found: Connectivity | None = None) -> tuple[Rve, int]:
    """Turn floating islands into void; returns the new cell and the number of voxels removed.

    An island carries no load, but it makes the stiffness matrix singular and counts as solid.
    With a density field its density becomes 0; otherwise its phase becomes ``void``.
    """
    found = connectivity(rve) if found is None else found
    if not found.n_islands:
        return rve, 0
    floating = np.concatenate([[False], found.islands])[found.labels]
    phases = rve.phases.copy()
    density = None if rve.density is None else np.where(floating, 0.0, rve.density)
    if "void" in rve.phase_names:
        phases[floating] = rve.phase_names.index("void")
    return replace(rve, phases=phases, density=density), int(floating.sum())


def check_solid(
    rve: Rve, allow_disconnected: bool = False, found: Connectivity | None = None
) -> None:
    """Raise `ParameterError` if the effective stiffness of `rve` cannot be positive definite.

    Parameters
    ----------
    rve : Rve
        The cell.
    allow_disconnected : bool
        Accept a solid that does not hold together along every direction.
    found : Connectivity, optional
        The result of ``connectivity(rve)``, if it is known already.
    """
    if allow_disconnected and rve.solid_mask.any():
        return
    wrong = complaint(rve, found)
    if wrong is not None:
        advice = " Pass --allow-disconnected to go on." if rve.solid_mask.any() else ""
        raise ParameterError(wrong + advice)


def complaint(rve: Rve, found: Connectivity | None = None) -> str | None:
    """Why the effective stiffness cannot be positive definite, in one sentence, or None."""
    if not rve.solid_mask.any():
        return (
            "the cell has no solid: every voxel is void or has density 0, so its stiffness is zero."
        )
    by_face = connectivity(rve) if found is None else found
    if by_face.n_supported_strains == 6:
        return None
    by_node = connectivity(rve, "node")
    if by_node.n_supported_strains < 6:
        if by_node.percolates.all():
            return (
                "the solid percolates along every direction, but in separate pieces that resist "
                f"only {by_node.n_supported_strains} of 6 strains: C^H is singular."
            )
        return f"the solid does not percolate along {_missing(by_node)}: C^H is singular there."
    hinges = "these hinges are an artefact of the mesh and C^H depends on them."
    if by_face.percolates.all():
        return f"pieces of the solid touch only at voxel edges or corners: {hinges}"
    return (
        f"the solid percolates along {_missing(by_face)} only through voxel edges or corners: "
        + hinges
    )


def _missing(found: Connectivity) -> str:
    names = [f"x{i + 1}" for i in range(3) if not found.percolates[i]]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _boundary_edges(labels: np.ndarray, neighbours: Neighbours) -> np.ndarray:
    """Pairs of boxed components that meet across the boundary: rows a, b, w1, w2, w3.

    Stepping from a voxel of `a` to its neighbour in `b` leaves the cell along ``w``.
    """
    if neighbours == "face":
        steps = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    else:  # one of each pair of opposite neighbours
        steps = [(i, j, k) for i, j, k in product((-1, 0, 1), repeat=3) if (i, j, k) > (0, 0, 0)]
    found = []
    for step in steps:
        for axis in range(3):
            if step[axis]:
                found.append(_slab_edges(labels, step, axis))
    return np.asarray(np.unique(np.concatenate(found), axis=0))


def _slab_edges(labels: np.ndarray, step: tuple[int, int, int], axis: int) -> np.ndarray:
    """Edges of one step for the voxels that leave the cell along `axis`."""
    shape = labels.shape
    index = [np.arange(n) for n in shape]
    index[axis] = index[axis][-1:] if step[axis] > 0 else index[axis][:1]
    target = [index[i] + step[i] for i in range(3)]
    start = labels[np.ix_(*index)]
    end = labels[np.ix_(*(target[i] % shape[i] for i in range(3)))]
    wraps = np.meshgrid(*(target[i] // shape[i] for i in range(3)), indexing="ij")
    rows = np.stack([start, end, *wraps], axis=-1).reshape(-1, 5)
    met = rows[(rows[:, 0] > 0) & (rows[:, 1] > 0)].astype(np.int64)
    return np.asarray(np.unique(met, axis=0))


@njit(cache=True)
def _find(parent: np.ndarray, shift: np.ndarray, a: int) -> int:
    """Root of `a`; afterwards ``parent[a]`` is the root and ``shift[a]`` the way to it."""
    root = a
    while parent[root] != root:
        root = parent[root]
    total = np.zeros(3, dtype=np.int64)
    node = a
    while parent[node] != node:
        total += shift[node]
        node = parent[node]
    node = a
    while parent[node] != root and node != root:
        above = parent[node]
        own = shift[node].copy()
        shift[node] = total
        parent[node] = root
        total -= own
        node = above
    return root


@njit(cache=True)
def _joined(edges: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Union-find with offsets: root of each boxed component and its cell relative to the root's.

    For a tree edge (a, b, w): position(b) = position(a) + w, in cells.
    """
    parent = np.arange(n)
    shift = np.zeros((n, 3), dtype=np.int64)  # position(node) - position(parent)
    for e in range(edges.shape[0]):
        a, b = edges[e, 0], edges[e, 1]
        root_a, root_b = _find(parent, shift, a), _find(parent, shift, b)
        if root_a != root_b:
            parent[root_b] = root_a
            shift[root_b] = shift[a] + edges[e, 2:] - shift[b]
    for a in range(n):
        _find(parent, shift, a)
    return parent, shift


def _loops(edges: np.ndarray, root: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Winding vectors of the edges that close a loop: rows a, w1, w2, w3."""
    a, b = edges[:, 0], edges[:, 1]
    winding = offset[a] + edges[:, 2:] - offset[b]
    rows = np.column_stack([root[a], winding])[winding.any(axis=1)]
    return np.asarray(np.unique(rows, axis=0))


def _lattice_basis(vectors: np.ndarray) -> np.ndarray:
    """Echelon basis (rank, 3) of the integer lattice spanned by the rows of `vectors`."""
    rows = [list(map(int, row)) for row in vectors]
    basis: list[list[int]] = []
    for column in range(3):
        while True:
            nonzero = sorted((row for row in rows if row[column]), key=lambda r: abs(r[column]))
            if len(nonzero) < 2:
                break
            pivot = nonzero[0]
            for row in nonzero[1:]:
                times = row[column] // pivot[column]
                row[:] = [x - times * p for x, p in zip(row, pivot, strict=True)]
        if nonzero:
            rows.remove(nonzero[0])
            sign = 1 if nonzero[0][column] > 0 else -1
            basis.append([sign * x for x in nonzero[0]])
    return np.array(basis, dtype=np.int64).reshape(-1, 3)
