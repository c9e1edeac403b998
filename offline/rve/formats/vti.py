"""VTK image data (.vti), also DAMASK's geometry files: one cell per voxel.

Edges of the cell are ``Spacing`` times the number of cells along the axes of ``Direction``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError
from offline.rve.formats.common import (
    MAX_INFLATION,
    as_phases,
    build,
    check_size,
    decoding,
    extra,
    grey_to_fields,
    require_file,
)
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
    _check_header(path)
    with extra("vtk"):
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkIOXML import vtkXMLImageDataReader
    with decoding(path, "VTK image file"), _vtk_messages() as messages:
        reader = vtkXMLImageDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        image = reader.GetOutput()
        shape = tuple(max(n - 1, 0) for n in image.GetDimensions())
        data = image.GetCellData()
        arrays = {
            data.GetArrayName(k): vtk_to_numpy(data.GetArray(k)).copy()
            for k in range(data.GetNumberOfArrays())
            if data.GetArray(k) is not None and data.GetArray(k).GetNumberOfComponents() == 1
        }
        failed = reader.GetErrorCode() or messages.GetOutput().strip()
        notes = _field_data(image.GetFieldData())
        cell = _cell(image, shape)
    if failed:
        reason = " ".join(messages.GetOutput().split()) or f"VTK error code {failed}"
        raise FileFormatError(f"{path}: not a readable VTK image file ({reason[:200]}).")
    if math.prod(shape) == 0:
        raise FileFormatError(f"{path}: has {shape} cells: an axis is empty.")
    fields = _voxels(path, arrays, shape, field, threshold)
    if "phase_names" in notes and "phases" in arrays and field is None:  # our own: indices
        fields["phases"] = as_phases(path, "phases", arrays["phases"]).reshape(shape, order="F")
    return build(path, cell=cell, **(fields | notes))


def _voxels(
    path: Path,
    arrays: dict[str, np.ndarray],
    shape: tuple[int, ...],
    field: str | None,
    threshold: Any,
) -> dict[str, Any]:
    def grid(values: np.ndarray) -> np.ndarray:
        if values.size != math.prod(shape):
            raise FileFormatError(f"{path}: a cell array has {values.size} values for {shape}.")
        return values.reshape(shape, order="F")

    fields: dict[str, Any] = {}
    if field is None and "density" in arrays:
        fields["density"] = grid(arrays.pop("density")).astype(float)
        fields["phases"] = np.zeros(shape, dtype=np.uint8)
        fields["phase_names"] = ("solid",)
        if not any(name in arrays for name in FIELDS):
            return fields
    name = pick_field(path, arrays, field)
    return fields | grey_to_fields(path, f"values of '{name}'", grid(arrays[name]), threshold)


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
    with extra("vtk"):
        from vtkmodules.util.numpy_support import numpy_to_vtk
        from vtkmodules.vtkCommonCore import vtkStringArray
        from vtkmodules.vtkCommonDataModel import vtkImageData
        from vtkmodules.vtkIOXML import vtkXMLImageDataWriter
    lengths = np.linalg.norm(rve.cell, axis=1)
    axes = rve.cell / lengths[:, None]
    if np.abs(axes @ axes.T - np.eye(3)).max() > 1e-9:
        raise ParameterError(
            f"{path}: the lattice vectors are not orthogonal, which .vti cannot express. "
            "Write .npz instead."
        )
    image = vtkImageData()
    image.SetDimensions(*(n + 1 for n in rve.shape))
    image.SetSpacing(*(lengths / rve.shape))
    image.SetDirectionMatrix(*axes.T.ravel())
    columns = {"phases": rve.phases.ravel(order="F")}
    if rve.density is not None:
        columns["density"] = rve.density.ravel(order="F")
    for name, values in columns.items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        image.GetCellData().AddArray(array)
    names = vtkStringArray()
    names.SetName("phase_names")
    for name in rve.phase_names:
        names.InsertNextValue(name)
    image.GetFieldData().AddArray(names)
    if rve.orientations is not None:
        array = numpy_to_vtk(rve.orientations.reshape(-1, 9), deep=True)
        array.SetName("orientations")
        image.GetFieldData().AddArray(array)
    with whole_file(path) as beside, _vtk_messages() as messages:
        writer = vtkXMLImageDataWriter()
        writer.SetFileName(str(beside))
        writer.SetInputData(image)
        if not writer.Write():
            raise ParameterError(f"{path}: VTK could not write ({messages.GetOutput().strip()}).")


def _check_header(path: Path) -> None:
    """Hold the claimed extent against the size of the file, before VTK allocates it."""
    with path.open("rb") as stream:
        head = stream.read(65536).decode("latin-1")
    found = re.search(r'WholeExtent="([-+\d\s]+)"', head)
    extent = [int(n) for n in found.group(1).split()[:6]] if found else []
    if len(extent) != 6 or 'type="ImageData"' not in head:
        raise FileFormatError(f"{path}: no VTK ImageData header, expected a .vti file.")
    shape = [extent[2 * i + 1] - extent[2 * i] for i in range(3)]
    check_size(path, [max(n, 0) for n in shape], 1, MAX_INFLATION * path.stat().st_size)


def _cell(image: Any, shape: tuple[int, ...]) -> np.ndarray:
    direction = image.GetDirectionMatrix()
    axes = np.array([[direction.GetElement(i, j) for j in range(3)] for i in range(3)])
    lengths = np.array(shape) * np.array(image.GetSpacing())
    return np.asarray(lengths[:, None] * axes.T)


def _field_data(data: Any) -> dict[str, Any]:
    """Phase names and orientations, as `write` leaves them."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    notes: dict[str, Any] = {}
    names = data.GetAbstractArray("phase_names")
    if names is not None and names.IsA("vtkStringArray"):
        notes["phase_names"] = [str(names.GetValue(k)) for k in range(names.GetNumberOfValues())]
    orientations = data.GetArray("orientations")
    if orientations is not None and orientations.GetNumberOfComponents() == 9:
        notes["orientations"] = vtk_to_numpy(orientations).reshape(-1, 3, 3).copy()
    return notes


@contextmanager
def _vtk_messages() -> Iterator[Any]:
    """Collect VTK's messages, which it would otherwise print on stderr."""
    from vtkmodules.vtkCommonCore import vtkOutputWindow, vtkStringOutputWindow

    before, messages = vtkOutputWindow.GetInstance(), vtkStringOutputWindow()
    vtkOutputWindow.SetInstance(messages)
    try:
        yield messages
    finally:
        vtkOutputWindow.SetInstance(before)
