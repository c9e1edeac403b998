"""Which cell and which point something happened at, the same words on all ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.errors import MatnetError
from matnet.material import Status
from umat_bridge.dolfinx import compat

if TYPE_CHECKING:
    from umat_bridge.dolfinx.quadrature import QuadratureMaterial

__all__ = ["failing_point", "largest_force", "together"]


@contextmanager
def together(comm: Any) -> Iterator[None]:
    """What goes wrong inside on any rank is an error on all: none is left waiting for the others.

    Nothing inside may communicate.
    """
    mine: MatnetError | None = None
    try:
        yield
    except MatnetError as error:
        mine = error
    errors = [error for error in comm.allgather(mine) if error is not None]
    if errors:
        raise mine or errors[0]


def failing_point(owner: QuadratureMaterial, failed: int) -> str:
    """The failing point with the smallest cell number, cells counted as in the mesh's file."""
    cells, points = np.nonzero(owner.status != Status.OK)
    mine: list[tuple[int, int, list[float], int]] = []
    original = compat.original_cells(owner.mesh)[cells]
    order = np.lexsort((points, original))[:1]
    # on all ranks: they compile the expression together
    places = owner.point_coordinates(cells[order])
    for first in order.tolist():
        x = places[0, points[first]]
        status = int(owner.status[cells[first], points[first]])
        mine = [(int(original[first]), int(points[first]), x.tolist(), status)]
    everyone = [found for part in owner.mesh.comm.allgather(mine) for found in part]
    cell, point, place, status = min(everyone)
    why = "strain not finite" if status == Status.NOT_FINITE else "not converged"
    total = owner.mesh.comm.allreduce(owner.n_points)
    return (
        f"the material has no solution at {failed} of {total} points (first: cell {cell}, point "
        f"{point} of {len(owner.points)} at {_words(place)}, {why})"
    )


def largest_force(space: Any, forces: np.ndarray) -> str:
    """The place of the largest entry of forces (owned dofs,), and a cell that has it."""
    size = space.dofmap.index_map_bs
    norms = np.linalg.norm(np.nan_to_num(forces, nan=np.inf).reshape(-1, size), axis=1)
    mine: list[tuple[float, int, list[float]]] = []
    if norms.size:
        node = int(norms.argmax())
        n_owned = compat.n_owned_cells(space.mesh)
        there = np.flatnonzero((compat.cell_dofs(space)[:n_owned] == node).any(axis=1))
        cell = int(compat.original_cells(space.mesh)[there].min()) if there.size else -1
        mine = [(float(norms[node]), cell, space.tabulate_dof_coordinates()[node].tolist())]
    everyone = [found for part in space.mesh.comm.allgather(mine) for found in part]
    _, cell, place = max(everyone)
    return f"largest at cell {cell}, node at {_words(place)}"


def _words(place: list[float]) -> str:
    return "(" + ", ".join(f"{x:.4g}" for x in place) + ")"
