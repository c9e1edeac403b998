"""`read` and `write`: pick the file format by the suffix and pass on the hints."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from matnet.errors import MatnetError, ParameterError
from offline.rve.formats import images
from offline.rve.rve import Rve

__all__ = ["FORMATS", "check_target", "read", "write"]

# suffix -> module in offline.rve.formats; imported on first use
FORMATS = {
    ".npz": "npz",
    ".vti": "vti",
    ".vtu": "mesh",
    ".vtk": "mesh",
    ".msh": "mesh",
    ".tif": "images",
    ".tiff": "images",
    ".png": "images",
    ".raw": "raw",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".stl": "stl",
}
WRITABLE = (".npz", ".vti")
COMMON_HINTS = ("cell", "voxel_size", "phase_names")  # understood for every format


def read(path: str | Path, **hints: Any) -> Rve:
    """Read a microstructure; the suffix decides the format.

    Parameters
    ----------
    path : str or Path
        The file (a folder or a glob pattern for image stacks).
    **hints
        What the file itself does not say. ``cell`` (3, 3) or (3,), ``voxel_size`` (a number or
        three) and ``phase_names`` work for every format; docs/rve-files.md lists the others.

    Raises
    ------
    FileFormatError
        The file cannot be read as a microstructure; the message starts with its name.
    ParameterError
        The suffix or a hint is unknown.
    MissingExtraError
        The library for this format is not installed.
    """
    path = Path(path)
    reader = _module(path).read
    accepted = [name for name in inspect.signature(reader).parameters if name != "path"]
    hints = {name: value for name, value in hints.items() if value is not None}
    for name in hints:
        if name not in accepted and name not in COMMON_HINTS:
            known = ", ".join(dict.fromkeys([*accepted, *COMMON_HINTS]))
            raise ParameterError(f"{path}: this format has no hint '{name}', it knows {known}.")
    later = {name: value for name, value in hints.items() if name not in accepted}
    rve: Rve = reader(path, **{name: hints[name] for name in hints if name in accepted})
    try:
        return replace(rve, **_fields(rve, later)) if later else rve
    except MatnetError as wrong:
        raise ParameterError(f"{path}: {wrong}") from wrong


def write(path: str | Path, rve: Rve) -> None:
    """Write a microstructure whole or not at all; the suffix decides the format.

    Raises
    ------
    ParameterError
        The suffix is unknown or stands for a format that is only read.
    """
    path = Path(path)
    check_target(path)
    importlib.import_module(f"offline.rve.formats.{FORMATS[path.suffix.lower()]}").write(path, rve)


def check_target(path: str | Path) -> None:
    """Raise `ParameterError` unless `write` knows the suffix of `path`."""
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise ParameterError(
            f"{path}: cells are written to {' or '.join(WRITABLE)}, not to '{path.suffix}'."
        )


def _fields(rve: Rve, hints: dict[str, Any]) -> dict[str, Any]:
    """The `Rve` fields that the common hints stand for."""
    fields: dict[str, Any] = {}
    if "phase_names" in hints:
        fields["phase_names"] = tuple(hints["phase_names"])
    if "voxel_size" in hints:
        if "cell" in hints:
            raise ParameterError("cell and voxel_size are both given, expected one of them.")
        edges = np.asarray(hints["voxel_size"], dtype=float).ravel()
        if edges.size not in (1, 3):
            raise ParameterError(f"voxel_size has {edges.size} values, expected one or three.")
        fields["cell"] = np.diag(edges * rve.shape)
    elif "cell" in hints:
        cell = np.asarray(hints["cell"], dtype=float)
        fields["cell"] = np.diag(cell) if cell.shape == (3,) else cell
    return fields


def _module(path: Path) -> ModuleType:
    if images.is_stack(path):
        return images
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise ParameterError(f"{path}: suffix '{suffix}' is unknown, expected one of {known}.")
    return importlib.import_module(f"offline.rve.formats.{FORMATS[suffix]}")
