"""Meshes of equal hexahedra (.vtu, .vtk, .msh): every element is a voxel of a full regular grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError
from offline.rve.formats.common import build, decoding, extra, labels_to_phases, require_file
from offline.rve.formats.vti import pick_field
from offline.rve.rve import Rve

__all__ = ["read"]

HEXAHEDRA = ("hexahedron", "hexahedron20", "hexahedron27")
TOLERANCE = 1e-3  # of an edge: node coordinates are often written with six digits


def read(path: Path, field: str | None = None) -> Rve:
    """Read a voxel mesh; elements may come in any order.

    Parameters
    ----------
    path : Path
        A .vtu, legacy .vtk or Gmsh .msh file.
    field : str, optional
        Cell array with the phase labels. Default: ``phases``, ``material``, ``gmsh:physical``, ...
        or the only array there is.
    """
    require_file(path)
    mesh = _mesh(path)
    blocks = [k for k, block in enumerate(mesh.cells) if block.type in HEXAHEDRA]
    others = {block.type for block in mesh.cells if block.type not in HEXAHEDRA} - {
        "vertex",
        "line",
        "quad",
    }
    if not blocks or others:
        found = ", ".join(sorted({block.type for block in mesh.cells})) or "nothing"
        raise FileFormatError(f"{path}: has elements {found}, expected hexahedra only.")
    with decoding(path, "mesh"):
        corners = np.concatenate([mesh.cells[k].data[:, :8] for k in blocks])
        points = np.asarray(mesh.points, dtype=float)[corners]
        arrays = {
            name: np.concatenate([np.ravel(data[k]) for k in blocks])
            for name, data in mesh.cell_data.items()
            if all(np.size(data[k]) == len(mesh.cells[k].data) for k in blocks)  # scalars
        }
    shape, index, cell = _grid(path, points)
    density = arrays.pop("density", None) if field is None else None
    fields: dict[str, Any] = {"phases": np.zeros(shape, dtype=np.uint8), "phase_names": ("solid",)}
    if density is not None:
        fields["density"] = _scattered(density.astype(float), shape, index)
    if density is None or arrays:
        name = pick_field(path, arrays, field)
        phases, names = labels_to_phases(path, f"values of '{name}'", arrays[name])
        fields["phases"] = _scattered(phases, shape, index)
        fields["phase_names"] = _group_names(mesh, name, names)
    return build(path, cell=cell, **fields)


def _mesh(path: Path) -> Any:
    with extra("meshio"):
        import meshio
    # the modules' own readers: meshio.read ends the program on damaged files
    reader = {".vtu": meshio.vtu, ".vtk": meshio.vtk, ".msh": meshio.gmsh}[path.suffix.lower()]
    with decoding(path, f"{path.suffix.lower()} mesh"):
        return reader.read(str(path))


def _grid(
    path: Path, points: np.ndarray
) -> tuple[tuple[int, int, int], tuple[np.ndarray, ...], np.ndarray]:
    """Grid shape, index arrays of the elements and lattice vectors from corners (n, 8, 3)."""
    edges = _edges(path, points[0])
    with decoding(path, "mesh"):
        centres = (points.mean(axis=1) - points[0].mean(axis=0)) @ np.linalg.inv(edges)
    steps = np.rint(centres)
    if not np.isfinite(centres).all() or np.abs(centres - steps).max() > TOLERANCE:
        raise FileFormatError(
            f"{path}: element centres do not lie on a regular grid, expected equal voxels."
        )
    steps -= steps.min(axis=0)
    counts = steps.max(axis=0) + 1
    if counts.prod() != len(steps) or len(np.unique(steps, axis=0)) != len(steps):
        sizes = " x ".join(f"{n:g}" for n in counts)
        raise FileFormatError(
            f"{path}: {len(steps)} elements do not fill the grid of {sizes} voxels. "
            "Mesh the void too, as a phase of its own."
        )
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    index = tuple(steps.astype(np.int64).T)
    return shape, index, counts[:, None] * edges


def _edges(path: Path, corners: np.ndarray) -> np.ndarray:
    """Edge vectors (rows) of the first voxel, each along the axis it is closest to."""
    edges = corners[[1, 3, 4]] - corners[0]
    skewed = np.abs(corners[6] - corners[0] - edges.sum(axis=0)).max()
    volume = abs(np.linalg.det(edges))
    if not (volume > 0.0 and skewed <= TOLERANCE * np.abs(edges).max()):
        raise FileFormatError(f"{path}: the first element is no parallelepiped, expected voxels.")
    order = [int(np.argmax(np.abs(edges[:, i]))) for i in range(3)]
    if len(set(order)) == 3:
        edges = edges[order]
        edges = edges * np.where(np.diag(edges) < 0.0, -1.0, 1.0)[:, None]
    return np.asarray(edges if np.linalg.det(edges) > 0.0 else edges[[1, 0, 2]])


def _scattered(
    values: np.ndarray, shape: tuple[int, ...], index: tuple[np.ndarray, ...]
) -> np.ndarray:
    grid = np.empty(shape, dtype=values.dtype)
    grid[index] = values
    return grid


def _group_names(mesh: Any, field: str, names: list[str]) -> list[str]:
    """Gmsh's names of the physical volumes, where the file gives them."""
    if field != "gmsh:physical":
        return names
    given = {f"phase{int(tag)}": name for name, (tag, dim) in mesh.field_data.items() if dim == 3}
    return [given.get(name, name) for name in names]
