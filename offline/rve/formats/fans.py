"""FANS microstructures: one integer array somewhere in an HDF5 file.

The dataset's axes are x1, x2, x3, unless its text attribute ``permute_order`` starts with ``z``:
then they are x3, x2, x1 (FANS writes its results so, with a fourth axis of length 1). The edge
lengths ``L`` stand in FANS' JSON input, not in the HDF5 file: pass them as ``cell``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError
from offline.rve.formats.common import MAX_INFLATION, build, check_size, labels_to_phases
from offline.rve.rve import Rve

__all__ = ["from_file"]


def from_file(path: Path, file: Any, dataset: str | None) -> Rve:
    """The microstructure in an open h5py `file`."""
    found = _candidates(file)
    listing = ", ".join(sorted(found)) or "none"
    if dataset is None and len(found) != 1:
        raise FileFormatError(
            f"{path}: {len(found)} integer arrays with three axes, expected one. "
            f"Pass dataset as one of: {listing}."
        )
    name = next(iter(found)) if dataset is None else "/" + dataset.strip("/")
    if name not in found:
        raise FileFormatError(
            f"{path}: no integer array with three axes at '{name}' (found: {listing})."
        )
    array = found[name]
    check_size(path, array.shape, array.dtype.itemsize, MAX_INFLATION * path.stat().st_size)
    values = array[()].reshape(array.shape[:3])
    if _text(array.attrs.get("permute_order", "xyz")).lower().startswith("z"):
        values = np.ascontiguousarray(values.transpose(2, 1, 0))
    phases, names = labels_to_phases(path, f"values of '{name}'", values)
    return build(path, phases=phases, phase_names=names, source=f"{path.name}:{name}")


def _candidates(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        shape: tuple[int, ...] = getattr(item, "shape", ())
        three_axes = len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)
        if three_axes and item.dtype.kind in "biu":
            found[f"/{name}"] = item

    file.visititems(visit)
    return found


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
