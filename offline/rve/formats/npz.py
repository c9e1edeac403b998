"""matnet's own microstructure file: a numpy archive, never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError
from offline.rve.formats.common import (
    MAX_INFLATION,
    as_phases,
    build,
    check_size,
    decoding,
    require_file,
    threshold_phases,
)
from offline.rve.rve import Rve

__all__ = ["read", "write"]

KEYS = ("phases", "density", "cell", "phase_names", "orientations", "source")


def read(path: Path, threshold: Any = None) -> Rve:
    """Read ``phases`` and/or ``density``, and ``cell, phase_names, orientations, source`` if there.

    Arrays under other names are ignored, so that users may keep notes beside the microstructure.

    Parameters
    ----------
    path : Path
    threshold : floats, optional
        Cut a density field into phases: phase k where exactly k thresholds are <= the density. One
        threshold gives void and solid.

    Raises
    ------
    ParameterError
        A threshold for a cell that is no density field.
    FileFormatError
        Not a zip archive, a pickled or damaged array, missing keys, wrong shape or values.
    """
    require_file(path)
    with decoding(path, ".npz archive"), zipfile.ZipFile(path) as archive:
        members = {Path(info.filename).stem: info for info in archive.infolist()}
        arrays = {key: _array(path, archive, members[key]) for key in KEYS if key in members}
    if "phases" not in arrays and "density" not in arrays:
        found = ", ".join(f"'{name}'" for name in sorted(members)) or "nothing"
        raise FileFormatError(
            f"{path}: neither 'phases' nor 'density' is in the archive (found {found}). "
            "Save with np.savez(file, phases=...) or offline.rve.write(file, rve)."
        )
    return _assemble(path, arrays if threshold is None else _cut(path, arrays, threshold))


def _cut(path: Path, arrays: dict[str, np.ndarray], threshold: Any) -> dict[str, np.ndarray]:
    if "density" not in arrays or arrays.get("phases", np.zeros(1)).any():
        raise ParameterError(f"{path}: threshold cuts a density field, but this cell has phases.")
    density = _floats(path, "density", arrays["density"])
    kept: dict[str, np.ndarray] = {k: arrays[k] for k in ("cell", "source") if k in arrays}
    kept["phases"] = threshold_phases(path, density, threshold)
    if np.size(threshold) == 1:
        kept["phase_names"] = np.array(["void", "solid"])
    return kept


def _assemble(path: Path, arrays: dict[str, np.ndarray]) -> Rve:
    fields: dict[str, Any] = {}
    for key in ("density", "cell", "orientations"):
        if key in arrays:
            fields[key] = _floats(path, key, arrays[key])
    if "phases" in arrays:
        fields["phases"] = _three_axes(path, "phases", as_phases(path, "phases", arrays["phases"]))
    else:
        density = _three_axes(path, "density", fields["density"])
        fields["phases"] = np.zeros(density.shape, dtype=np.uint8)
        fields["phase_names"] = ("solid",)
    if "phase_names" in arrays:
        fields["phase_names"] = _texts(path, "phase_names", arrays["phase_names"])
    if "source" in arrays:
        fields["source"] = " ".join(_texts(path, "source", arrays["source"]))
    return build(path, **fields)


def write(path: Path, rve: Rve) -> None:
    """Write `rve` compressed; reading it back gives an equal `Rve`."""
    arrays: dict[str, np.ndarray] = {
        "phases": rve.phases,
        "cell": rve.cell,
        "phase_names": np.array(rve.phase_names, dtype=str),
        "source": np.array(rve.source, dtype=str),
    }
    if rve.density is not None:
        arrays["density"] = rve.density
    if rve.orientations is not None:
        arrays["orientations"] = rve.orientations
    with whole_file(path) as beside, beside.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One member, after its header has been held against the bytes that are there."""
    name = Path(info.filename).stem
    with archive.open(info) as stream:
        shape, dtype = _header(stream)
    if dtype.hasobject:
        raise FileFormatError(
            f"{path}: array '{name}' is pickled (Python objects), which is never read. "
            "Save it as plain numbers or text."
        )
    present = min(info.file_size, MAX_INFLATION * path.stat().st_size)
    check_size(path, shape, dtype.itemsize, present)
    with archive.open(info) as stream:
        return np.asarray(npy.read_array(stream, allow_pickle=False))


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(stream)
    else:
        shape, _, dtype = npy.read_array_header_2_0(stream)
    return shape, dtype


def _three_axes(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 3:
        raise FileFormatError(
            f"{path}: '{name}' has shape {array.shape}, expected three axes (n1, n2, n3). "
            "A plane cell has shape (n1, n2, 1)."
        )
    return array


def _floats(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise FileFormatError(f"{path}: '{name}' has dtype {array.dtype}, expected floats.")
    return array.astype(float)


def _texts(path: Path, name: str, array: np.ndarray) -> tuple[str, ...]:
    if array.dtype.kind != "U":
        raise FileFormatError(f"{path}: '{name}' has dtype {array.dtype}, expected text.")
    return tuple(str(text) for text in np.atleast_1d(array).ravel())
