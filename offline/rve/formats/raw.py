"""Raw voxel dumps: numbers without a header, so that shape and type come as hints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, ParameterError
from offline.rve.formats.common import box_shape, build, grey_to_fields, require_file
from offline.rve.rve import Rve

__all__ = ["read"]


def read(
    path: Path,
    shape: Any = None,
    dtype: str = "uint8",
    order: str = "F",
    threshold: Any = None,
) -> Rve:
    """Read a raw dump.

    Parameters
    ----------
    path : Path
        The file; its size has to be exactly that of the array.
    shape : (n1, n2, n3)
        Voxels along x1, x2, x3. Required.
    dtype : str
        numpy name of the number type; ``>u2`` is big-endian.
    order : {"F", "C"}
        ``F``: x1 runs fastest (ImageJ, VTK, most scanners). ``C``: x3 runs fastest (numpy).
    threshold : floats, optional
        Ascending grey values that separate the phases; without it the values are labels.
    """
    require_file(path)
    if shape is None:
        raise ParameterError(
            f"{path}: a raw file has no header, pass shape, e.g. --shape 64,64,64."
        )
    voxels = box_shape("shape", shape)
    if order not in ("F", "C"):
        raise ParameterError(f"{path}: order is '{order}', expected 'F' (x1 fastest) or 'C'.")
    kind = _number_type(path, dtype)
    wanted, present = math.prod(voxels) * kind.itemsize, path.stat().st_size
    if wanted != present:
        raise FileFormatError(
            f"{path}: has {present} bytes, but shape {voxels} of {kind.name} needs {wanted}. "
            "Check shape and dtype."
        )
    values = np.fromfile(path, dtype=kind).reshape(voxels, order="F" if order == "F" else "C")
    return build(path, **grey_to_fields(path, "values", values, threshold))


def _number_type(path: Path, dtype: str) -> np.dtype:
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ParameterError(f"{path}: dtype '{dtype}' is unknown, try uint8 or >u2.") from None
    if kind.kind not in "biuf":
        raise ParameterError(f"{path}: dtype '{dtype}' is no number type, try uint8 or >u2.")
    return kind
