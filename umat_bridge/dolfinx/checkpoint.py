"""State of all points in one file that any number of ranks can read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError
from umat_bridge.dolfinx import compat
from umat_bridge.dolfinx.where import together

if TYPE_CHECKING:
    from umat_bridge.dolfinx.quadrature import QuadratureMaterial

__all__ = ["fingerprint", "load", "save"]

FORMAT = 1


def save(
    owner: QuadratureMaterial,
    path: str | Path,
    *,
    time: float = 0.0,
    fields: Mapping[str, Any] | None = None,
    numbers: Mapping[str, float] | None = None,
) -> None:
    """Write the committed state, whole or not at all.

    Cells are in the order of the mesh as it was read, so any number of ranks can go on. All of it
    passes through the memory of rank 0.

    Parameters
    ----------
    owner : QuadratureMaterial
        Whose state; updates since the last commit are not in the file.
    path : path
        The file, usually ``*.npz``.
    time : float
        Kept with it.
    fields : mapping, optional
        Functions to keep by name, such as the displacement ``u``, of Lagrange degree 1 or 2.
    numbers : mapping, optional
        Anything else to keep, float by name.

    Raises
    ------
    ParameterError
        The file cannot be written, or a function is of higher degree.
    """
    arrays: dict[str, Any] = {}
    for name, (cells, values) in _rows(owner).items():
        arrays[name] = _gathered(owner.mesh, cells, values)
    for name, field in (fields or {}).items():
        arrays[name] = _gathered(owner.mesh, None, _cell_values(field))
    arrays["fingerprint"] = np.array(fingerprint(owner))
    arrays["degree"], arrays["format"] = np.array(owner.degree), np.array(FORMAT)
    for name, number in {"time": time, **(numbers or {})}.items():
        arrays[f"number_{name}"] = np.array(float(number))
    with together(owner.mesh.comm):
        if owner.mesh.comm.rank == 0:
            _write(path, arrays)


def _write(path: str | Path, arrays: Mapping[str, Any]) -> None:
    try:
        with whole_file(path) as beside, beside.open("wb") as stream:
            np.savez(stream, **arrays)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be written ({error.strerror}).") from None


def load(
    owner: QuadratureMaterial,
    path: str | Path,
    *,
    fields: Mapping[str, Any] | None = None,
    optional: Collection[str] = (),
) -> dict[str, float]:
    """Read what `save` wrote, into `owner` and `fields`; returns ``time`` and the other numbers.

    The file may lack fields that are `optional`: they keep their values.

    Raises
    ------
    FileFormatError
        The file is no checkpoint, or one of another mesh, quadrature degree or material; `owner`
        is unchanged.
    """
    comm = owner.mesh.comm
    mark = fingerprint(owner)
    rows = _rows(owner)
    wanted = {name: values.shape[1:] for name, (_, values) in rows.items()}
    totals = {name: comm.allreduce(len(values)) for name, (_, values) in rows.items()}
    for name, field in (fields or {}).items():
        wanted[name], totals[name] = _cell_values(field).shape[1:], compat.global_cells(owner.mesh)
    stored: dict[str, np.ndarray] = {}
    with together(comm):
        if comm.rank == 0:
            stored = _read(Path(path), owner.degree, mark)
            for name in set(optional) - set(stored):
                del wanted[name]
            _require_shapes(Path(path), stored, wanted, totals)
    wanted = comm.bcast(wanted)
    for name, (cells, values) in rows.items():
        values[:] = _scattered(owner.mesh, cells, stored.get(name))
    for name, field in (fields or {}).items():
        if name in wanted:
            _fill(field, _scattered(owner.mesh, None, stored.get(name)))
    owner.restored()
    found = {
        name.removeprefix("number_"): float(array)
        for name, array in stored.items()
        if name.startswith("number_")
    }
    numbers: dict[str, float] = comm.bcast(found)
    return numbers


def fingerprint(owner: QuadratureMaterial) -> str:
    """Hash of the cells' coordinates, the quadrature and the cells' materials; same on all ranks.

    In the order of the mesh as it was read, so it does not depend on the number of ranks.
    """
    coordinates = compat.cell_coordinates(owner.mesh)
    tags = np.zeros(owner.n_cells, dtype=np.int64)
    for region in owner.regions:
        tags[region.cells] = region.tag
    parts = [_gathered(owner.mesh, None, array) for array in (coordinates, tags)]
    digest = ""
    if owner.mesh.comm.rank == 0:
        hasher = hashlib.sha256(f"{owner.kind} {owner.mesh.topology.cell_type.name}".encode())
        for part in parts:
            hasher.update(np.ascontiguousarray(part).tobytes())
        digest = hasher.hexdigest()
    shared: str = owner.mesh.comm.bcast(digest)
    return shared


def _rows(owner: QuadratureMaterial) -> dict[str, tuple[np.ndarray | None, np.ndarray]]:
    """Arrays of `history` with the local numbers of their cells; None for all owned cells."""
    by_tag = {f"state_{region.tag}": region.cells for region in owner.regions}
    return {name: (by_tag.get(name), array) for name, array in owner.history().items()}


def _fill(field: Any, values: np.ndarray) -> None:
    """Give a function the values (n_cells, dofs per cell, components) in owned cells."""
    dofs = compat.cell_dofs(field.function_space)[: len(values)]
    blocks = np.reshape(field.x.array, (-1, values.shape[2]))
    blocks[dofs] = values
    field.x.scatter_forward()


def _cell_values(u: Any) -> np.ndarray:
    """Values (n_cells, dofs per cell, components) of a function in owned cells."""
    space = u.function_space
    if compat.dofs_per_entity(space) > 1:
        raise ParameterError(
            "u has several nodes on one edge or face, whose order depends on the number of ranks: "
            "only displacements of Lagrange degree 1 or 2 go into a checkpoint. Save without u."
        )
    dofs = compat.cell_dofs(space)[: compat.n_owned_cells(space.mesh)]
    blocks = np.reshape(u.x.array, (-1, space.dofmap.index_map_bs))
    return np.asarray(blocks[dofs])


def _order(mesh: Any, cells: np.ndarray | None) -> tuple[list[np.ndarray] | None, np.ndarray]:
    """On rank 0 the place of every rank's cells in the file; and this rank's number in the mesh."""
    own = compat.original_cells(mesh)
    own = own if cells is None else own[cells]
    lists = mesh.comm.gather(own)
    if lists is None:
        return None, own
    order = np.argsort(np.concatenate(lists), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return np.split(place, np.cumsum([len(part) for part in lists])[:-1]), own


def _gathered(mesh: Any, cells: np.ndarray | None, values: np.ndarray) -> np.ndarray | None:
    """Rows of all ranks in the order of the mesh as it was read, on rank 0."""
    places, _ = _order(mesh, cells)
    comm = mesh.comm
    if places is None:
        comm.Send(np.ascontiguousarray(values), dest=0)
        return None
    whole = np.empty((sum(map(len, places)), *values.shape[1:]), dtype=values.dtype)
    whole[places[0]] = values
    for rank in range(1, comm.size):
        part = np.empty((len(places[rank]), *values.shape[1:]), dtype=values.dtype)
        comm.Recv(part, source=rank)
        whole[places[rank]] = part
    return whole


def _scattered(mesh: Any, cells: np.ndarray | None, whole: np.ndarray | None) -> np.ndarray:
    """The rows of this rank's cells; `whole` is there on rank 0."""
    places, own = _order(mesh, cells)
    comm = mesh.comm
    if places is None:
        columns = comm.bcast(None)
        part = np.empty((len(own), *columns))
        comm.Recv(part, source=0)
        return part
    assert whole is not None
    comm.bcast(whole.shape[1:])
    for rank in range(1, comm.size):
        comm.Send(np.ascontiguousarray(whole[places[rank]]), dest=rank)
    return np.asarray(whole[places[0]])


def _read(path: Path, degree: int, mark: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "format" not in archive or int(archive["format"]) != FORMAT:
                raise FileFormatError(f"{path}: is no checkpoint of a QuadratureMaterial.")
            if int(archive["degree"]) != degree:
                raise FileFormatError(
                    f"{path}: was written with quadrature degree {int(archive['degree'])}, this "
                    f"material has degree {degree}. Take the same."
                )
            if str(archive["fingerprint"]) != mark:
                raise FileFormatError(
                    f"{path}: is a checkpoint of another mesh, kind of model, or of other cell "
                    "tags. Build the same mesh from the same file before loading."
                )
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise FileFormatError(f"{path}: does not exist.") from None
    except FileFormatError:
        raise
    except Exception:  # of zip and numpy's readers, whatever damaged bytes make them raise
        raise FileFormatError(f"{path}: is no checkpoint of a QuadratureMaterial.") from None


def _require_shapes(
    path: Path,
    stored: dict[str, np.ndarray],
    wanted: dict[str, tuple[int, ...]],
    totals: dict[str, int],
) -> None:
    for name, shape in wanted.items():
        if name not in stored:
            raise FileFormatError(f"{path}: holds no '{name}', it was written without.")
        full = (totals[name], *shape)
        if stored[name].shape != full:
            raise FileFormatError(
                f"{path}: '{name}' has shape {stored[name].shape}, expected {full}. It was written "
                "with another material or displacement element."
            )
