"""Which cell and which point something happened at, the same words on all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.material import Status
from umat_bridge.dolfinx import compat

if TYPE_CHECKING:
    from umat_bridge.dolfinx.quadrature import QuadratureMaterial

__all__ = ["failing_point", "largest_force", "raise_together"]


def raise_together(comm: Any, wrong: str | None, error: type[Exception]) -> None:
    """What went wrong on any rank is an error on all: none is left waiting for the others."""
    messages = [message for message in comm.allgather(wrong) if message is not None]
    if messages:
        raise error(messages[0])


def failing_point(owner: QuadratureMaterial, failed: int) -> str:
    """The failing point with the smallest cell number, cells counted as in the mesh's file."""
    cells, points = np.nonzero(owner.status != Status.OK)
    mine: list[tuple[int, int, list[float], int]] = []
    if cells.size:
        original = compat.original_cells(owner.mesh)[cells]
        first = int(np.lexsort((points, original))[0])
        x = owner.point_coordinates(cells[first : first + 1])[0, points[first]]
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
