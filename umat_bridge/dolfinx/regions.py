"""Which cells have which material, and the state of their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from matnet.material import Material
from umat_bridge.dolfinx import compat
from umat_bridge.dolfinx.where import together

__all__ = ["Region", "split_cells"]

CHUNK = 1024  # points per thread in one call of the law: keeps its temporary arrays small


@dataclass(slots=True, eq=False)
class Region:
    """The cells of one material and the state of their points.

    Attributes
    ----------
    tag : int
        Of the cells; 0 if the mesh has one material.
    material : Material
        Their law.
    cells : (n_cells,) int32
        Local numbers of owned cells, ascending.
    points_per_cell : int
        Gauss points.
    state_n : (n, n_state)
        At the start of the step, n = n_cells * points_per_cell.
    state : (n, n_state)
        At the end of the step; after a commit the one before the last step, until the next update.
    """

    tag: int
    material: Material
    cells: np.ndarray
    points_per_cell: int
    state_n: np.ndarray = field(init=False)
    state: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.state_n = self.material.initial_state(self.n_points)
        self.state = self.state_n.copy()

    @property
    def n_points(self) -> int:
        """Gauss points of these cells on this rank."""
        return len(self.cells) * self.points_per_cell

    def chunks(self, threads: int) -> Iterator[tuple[np.ndarray, slice]]:
        """Cells, and their rows in the state, a thousand points per thread at a time."""
        size = max(1, threads * CHUNK // self.points_per_cell)
        for start in range(0, len(self.cells), size):
            stop = min(start + size, len(self.cells))
            rows = slice(start * self.points_per_cell, stop * self.points_per_cell)
            yield self.cells[start:stop], rows

    def commit(self) -> None:
        """The end of the step becomes the start of the next one."""
        self.state_n, self.state = self.state, self.state_n


def split_cells(
    mesh: Any, material: Material | Mapping[int, Material], cell_tags: Any, points_per_cell: int
) -> list[Region]:
    """The regions of a mesh, in the order in which the materials were given.

    Raises
    ------
    ParameterError
        Tags are missing, cells have none or one without material, or there are tags but no
        materials by tag.
    """
    n = compat.n_owned_cells(mesh)
    if isinstance(material, Material):
        if cell_tags is not None:
            raise ParameterError(
                "cell_tags came with one material, expected a dictionary {tag: material}."
            )
        return [Region(0, material, np.arange(n, dtype=np.int32), points_per_cell)]
    if not isinstance(material, Mapping) or not material:
        raise ParameterError(
            f"material is of type {type(material).__name__}, expected a matnet.Material (such as "
            "network.with_phases(...)) or a dictionary {tag: material} that is not empty."
        )
    for tag, law in material.items():
        if not isinstance(law, Material):
            raise ParameterError(f"material of tag {tag} is {law!r}, expected a matnet.Material.")
    if cell_tags is None:
        raise ParameterError(
            f"{len(material)} materials by tag came without cell_tags, expected a dolfinx MeshTags "
            "of the cells."
        )
    tags = _tag_of_cell(mesh, cell_tags)
    _require_material(mesh, tags, material)
    return [
        Region(tag, law, np.flatnonzero(tags == tag).astype(np.int32), points_per_cell)
        for tag, law in material.items()
    ]


NO_TAG = np.iinfo(np.int64).min


def _tag_of_cell(mesh: Any, cell_tags: Any) -> np.ndarray:
    dimension = mesh.topology.dim
    if cell_tags.dim != dimension:
        raise ParameterError(
            f"cell_tags are of dimension {cell_tags.dim}, expected tags of cells ({dimension})."
        )
    n = compat.n_owned_cells(mesh)
    tags = np.full(n, NO_TAG)
    owned = cell_tags.indices < n
    tags[cell_tags.indices[owned]] = cell_tags.values[owned]
    return tags


def _require_material(mesh: Any, tags: np.ndarray, material: Mapping[int, Material]) -> None:
    bad = np.flatnonzero(~np.isin(tags, list(material)))
    with together(mesh.comm):
        if bad.size:
            raise ParameterError(_what_is_missing(mesh, tags, bad, material))


def _what_is_missing(
    mesh: Any, tags: np.ndarray, bad: np.ndarray, material: Mapping[int, Material]
) -> str:
    given = ", ".join(str(tag) for tag in material)
    none = bad[tags[bad] == NO_TAG]
    cell = int(compat.original_cells(mesh)[none[0] if none.size else bad[0]])
    if none.size:
        return (
            f"cell_tags: {none.size} cells have no tag (first: cell {cell}), expected one of "
            f"{given} on every cell."
        )
    return (
        f"cell_tags: {bad.size} cells have tags without material (first: cell {cell}, tag "
        f"{tags[bad[0]]}), materials came for {given}."
    )
