"""DAMASK results (DADF5) of the grid solver.

Group ``geometry`` carries ``cells`` and ``size``; ``cell_to/phase`` maps every cell (x1 fastest) to
a phase label and to an entry of that phase's fields. If ``increment_0`` holds the crystal
orientations ``O`` (unit quaternions, scalar first, passive from the laboratory to the crystal
frame), each pair of label and orientation becomes a phase of its own.

DAMASK's geometry files (.vti, cell data ``material``) are read by `offline.rve.formats.vti`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError
from offline.rve.formats.common import MAX_INFLATION, build, check_size
from offline.rve.rve import MAX_PHASES, Rve

__all__ = ["from_file"]


def from_file(path: Path, file: Any) -> Rve:
    """The microstructure in an open h5py `file` written by ``DAMASK_grid``."""
    cells, size = _geometry(path, file)
    mapping = _mapping(path, file, math.prod(cells))
    labels = np.char.decode(mapping["label"].astype("S"), "utf-8")
    names, index = np.unique(labels, return_inverse=True)
    quaternions = _quaternions(file, names, index, mapping["entry"])
    fields: dict[str, Any] = {"phase_names": [str(name) for name in names], "cell": np.diag(size)}
    if quaternions is not None:
        keys = np.column_stack([index, np.round(quaternions, 9)])
        grains, first, grain = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        if len(grains) <= MAX_PHASES:
            index = grain.ravel()
            fields["phase_names"] = _grain_names([str(labels[k]) for k in first])
            fields["orientations"] = _crystal_to_lab(quaternions[first])
    if len(fields["phase_names"]) > MAX_PHASES:
        raise FileFormatError(
            f"{path}: {len(names)} phases, expected at most {MAX_PHASES}. Join equal phases first."
        )
    return build(path, phases=index.reshape(cells, order="F"), **fields)


def _geometry(path: Path, file: Any) -> tuple[tuple[int, ...], np.ndarray]:
    attributes = file["geometry"].attrs if "geometry" in file else {}
    if "cells" not in attributes or "size" not in attributes:
        raise FileFormatError(
            f"{path}: group 'geometry' has no 'cells' and 'size', expected a result of DAMASK_grid."
        )
    cells, size = np.asarray(attributes["cells"]), np.asarray(attributes["size"], dtype=float)
    if cells.shape != (3,) or size.shape != (3,) or (cells < 1).any() or not (size > 0).all():
        raise FileFormatError(
            f"{path}: 'geometry' gives cells {cells} and size {size}, expected three values > 0."
        )
    return tuple(int(n) for n in cells), size


def _mapping(path: Path, file: Any, n_cells: int) -> np.ndarray:
    mapping = file.get("cell_to/phase")
    columns = getattr(getattr(mapping, "dtype", None), "names", None) or ()
    if not {"label", "entry"} <= set(columns):
        raise FileFormatError(f"{path}: no table 'cell_to/phase' with columns 'label' and 'entry'.")
    if mapping.shape != (n_cells, 1):
        raise FileFormatError(
            f"{path}: 'cell_to/phase' has shape {mapping.shape}, expected ({n_cells}, 1): "
            "one constituent per cell."
        )
    check_size(path, mapping.shape, mapping.dtype.itemsize, MAX_INFLATION * path.stat().st_size)
    return np.asarray(mapping[:, 0])


def _quaternions(
    file: Any, names: np.ndarray, index: np.ndarray, entry: np.ndarray
) -> np.ndarray | None:
    """Orientation per cell (n_cells, 4), or None if one of the phases has none."""
    result = np.zeros((len(index), 4))
    for k, name in enumerate(names):
        field = file.get(f"increment_0/phase/{name}/mechanical/O")
        here = index == k
        if field is None or field.ndim != 2 or field.shape[1] != 4:
            return None
        result[here] = field[()][entry[here]]
    return np.where(result[:, :1] < 0.0, -result, result)  # q and -q are the same rotation


def _crystal_to_lab(quaternions: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3): transposed passive matrices of scalar-first quaternions."""
    norm = np.linalg.norm(quaternions, axis=1, keepdims=True)
    w, x, y, z = (quaternions / norm).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _grain_names(labels: list[str]) -> list[str]:
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label}_{labels[:k].count(label)}" for k, label in enumerate(labels)]
