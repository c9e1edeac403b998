"""VTK image data (.vti), also DAMASK's geometry files: one cell per voxel.

Edges of the cell are ``Spacing`` times the number of cells along the axes of ``Direction``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError
from offline.rve.formats.common import as_phases, build, grey_to_fields, require_file
from offline.rve.formats.vtkxml import Image, parse, serialise
from offline.rve.rve import Rve

__all__ = ["pick_field", "read", "write"]

FIELDS = ("phases", "material", "MaterialId", "Spin", "phase", "gmsh:physical", "medit:ref")


def read(path: Path, field: str | None = None, threshold: Any = None) -> Rve:
    """Read cell data of an image.

    Parameters
    ----------
    path : Path
        The file.
    field : str, optional
        Name of the cell array with phase labels (or grey values). Default: ``phases``,
        ``material`` (DAMASK), ``MaterialId``, ... or the only array there is. An array ``density``
        with values in [0, 1] is taken as density.
    threshold : floats, optional
        Ascending grey values that separate the phases; without it the values are labels.
    """
    require_file(path)
    image = parse(path)
    scalars = {name: values for name, values in image.arrays.items() if values.ndim == 1}
    fields = _voxels(path, dict(scalars), image.shape, field, threshold)
    if "phase_names" in image.texts and "phases" in scalars and field is None:
        # our own file: the values are indices into the names
        phases = as_phases(path, "phases", scalars["phases"])
        fields["phases"] = phases.reshape(image.shape, order="F")
        fields["phase_names"] = image.texts["phase_names"]
    if "orientations" in image.notes:
        fields["orientations"] = image.notes["orientations"].reshape(-1, 3, 3)
    lengths = image.spacing * image.shape
    return build(path, cell=lengths[:, None] * image.axes.T, **fields)


def _voxels(
    path: Path,
    arrays: dict[str, np.ndarray],
    shape: tuple[int, ...],
    field: str | None,
    threshold: Any,
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if field is None and "density" in arrays:
        fields["density"] = arrays.pop("density").astype(float).reshape(shape, order="F")
        fields["phases"] = np.zeros(shape, dtype=np.uint8)
        fields["phase_names"] = ("solid",)
        if not any(name in arrays for name in FIELDS):
            return fields
    name = pick_field(path, arrays, field)
    values = arrays[name].reshape(shape, order="F")
    return fields | grey_to_fields(path, f"values of '{name}'", values, threshold)


def pick_field(path: Path, arrays: Mapping[str, np.ndarray], field: str | None) -> str:
    """Name of the cell array that holds the phases."""
    listing = ", ".join(f"'{name}'" for name in arrays) or "none"
    if field is not None:
        if field not in arrays:
            raise FileFormatError(f"{path}: no cell array '{field}' (found: {listing}).")
        return field
    candidates = [name for name in FIELDS if name in arrays] or list(arrays)
    if candidates and (len(candidates) == 1 or candidates[0] in FIELDS):
        return candidates[0]
    raise FileFormatError(
        f"{path}: cannot tell which cell array holds the phases (found: {listing}). "
        "Pass field; point data must be converted to cell data first."
    )


def write(path: Path, rve: Rve) -> None:
    """Write cell arrays ``phases`` and ``density``; names and orientations go to the field data.

    Raises
    ------
    ParameterError
        The lattice vectors are not orthogonal, which an image cannot express.
    """
    lengths = np.linalg.norm(rve.cell, axis=1)
    axes = rve.cell / lengths[:, None]
    if np.abs(axes @ axes.T - np.eye(3)).max() > 1e-9:
        raise ParameterError(
            f"{path}: the lattice vectors are not orthogonal, which .vti cannot express. "
            "Write .npz instead."
        )
    arrays = {"phases": rve.phases.ravel(order="F")}
    if rve.density is not None:
        arrays["density"] = rve.density.ravel(order="F")
    turned = rve.orientations
    image = Image(
        shape=rve.shape,
        spacing=lengths / rve.shape,
        axes=axes.T,
        arrays=arrays,
        texts={"phase_names": list(rve.phase_names)},
        notes={} if turned is None else {"orientations": turned.reshape(-1, 9)},
    )
    with whole_file(path) as beside:
        beside.write_text(serialise(image), encoding="ascii")
