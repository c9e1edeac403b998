"""Closed surfaces (.stl): a voxel is solid if its centre lies inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, ParameterError
from offline.rve.formats.common import box_shape, build, decoding, extra, require_file
from offline.rve.rve import Rve

__all__ = ["read"]

PHASES = ("void", "solid")


def read(path: Path, shape: Any = None, cell: Any = None, origin: Any = None) -> Rve:
    """Voxelise a closed surface.

    Parameters
    ----------
    path : Path
        ASCII or binary STL.
    shape : (n1, n2, n3) or int
        Voxels along x1, x2, x3; one number is the count along the longest edge. Required.
    cell : (3, 3) or (3,), optional
        Diagonal lattice vectors or edge lengths of the periodic box. Default: the bounding box.
    origin : (3,), optional
        Corner of the periodic box. Default: the least corner of the bounding box.
    """
    require_file(path)
    if shape is None:
        raise ParameterError(f"{path}: a surface has no voxels, pass shape, e.g. --shape 64.")
    surface = _surface(path)
    low, high = surface.bounds
    start = low if origin is None else _vector(path, "origin", origin)
    lengths = high - low if cell is None else _edge_lengths(path, cell)
    if not (lengths > 0.0).all():
        raise FileFormatError(f"{path}: the bounding box {lengths} is flat, pass cell.")
    voxels = _voxel_counts(shape, lengths)
    inside = _inside(path, surface, voxels, start, lengths / voxels)
    return build(path, phases=inside, cell=np.diag(lengths), phase_names=PHASES)


def _surface(path: Path) -> Any:
    with extra("trimesh"):
        import trimesh
    with decoding(path, "STL surface"):
        surface = trimesh.load_mesh(str(path), file_type="stl")
        if not len(surface.faces) or not np.isfinite(surface.vertices).all():
            raise FileFormatError(f"{path}: holds no triangles with finite corners.")
    if not surface.is_watertight:
        raise FileFormatError(
            f"{path}: the surface is not closed, so inside and outside are undefined. "
            "Repair the holes first."
        )
    return surface


def _inside(
    path: Path, surface: Any, voxels: tuple[int, int, int], start: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Which voxel centres (n1, n2, n3) lie inside, by VTK's scan conversion."""
    with extra("vtk"):
        from vtkmodules.util.numpy_support import (
            numpy_to_vtk,
            numpy_to_vtkIdTypeArray,
            vtk_to_numpy,
        )
        from vtkmodules.vtkCommonCore import vtkPoints
        from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
        from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil
    points, triangles, poly = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(surface.vertices, dtype=float), deep=True))
    faces = np.column_stack([np.full(len(surface.faces), 3), surface.faces]).astype(np.int64)
    triangles.SetCells(len(faces), numpy_to_vtkIdTypeArray(faces.ravel(), deep=True))
    poly.SetPoints(points)
    poly.SetPolys(triangles)
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(poly)
    stencil.SetTolerance(0.0)
    stencil.SetOutputOrigin(*(start + step / 2))  # image points are the voxel centres
    stencil.SetOutputSpacing(*step)
    stencil.SetOutputWholeExtent(0, voxels[0] - 1, 0, voxels[1] - 1, 0, voxels[2] - 1)
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.SetOutputScalarTypeToUnsignedChar()
    with decoding(path, "STL surface"):
        image.Update()
        output: vtkImageData = image.GetOutput()
        values = vtk_to_numpy(output.GetPointData().GetScalars())
        return np.asarray(values.reshape(voxels, order="F")).copy()


def _voxel_counts(shape: Any, lengths: np.ndarray) -> tuple[int, int, int]:
    if np.size(shape) == 1:
        count = box_shape("shape", shape)[0]
        n1, n2, n3 = (max(1, round(count * float(x) / float(lengths.max()))) for x in lengths)
        return (n1, n2, n3)
    return box_shape("shape", shape)


def _edge_lengths(path: Path, cell: Any) -> np.ndarray:
    array = np.asarray(cell, dtype=float)
    if array.shape == (3,):
        array = np.diag(array)
    lengths = array.diagonal() if array.shape == (3, 3) else np.zeros(3)
    if not (lengths > 0.0).all() or np.abs(array - np.diag(lengths)).max() > 0.0:
        raise ParameterError(f"{path}: cell must be three edge lengths > 0 for a surface.")
    return np.asarray(lengths)


def _vector(path: Path, name: str, value: Any) -> np.ndarray:
    array = np.asarray(value, dtype=float)
    if array.shape != (3,) or not np.isfinite(array).all():
        raise ParameterError(f"{path}: {name} is {value!r}, expected three numbers.")
    return array
