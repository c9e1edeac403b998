"""HDF5 files: DAMASK results are recognised by their version attribute, all others read as FANS."""

from __future__ import annotations

from pathlib import Path

from offline.rve.formats import damask, fans
from offline.rve.formats.common import decoding, extra, require_file
from offline.rve.rve import Rve

__all__ = ["read"]


def read(path: Path, dataset: str | None = None) -> Rve:
    """Read a DAMASK result or a FANS microstructure.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    dataset : str, optional
        Path of the voxel array inside a FANS file, e.g. ``/sphere/32x32x32/ms``; needed only if
        the file holds several.
    """
    require_file(path)
    with extra("h5py"):
        import h5py
    with decoding(path, "HDF5 file"), h5py.File(path, "r") as file:
        if "DADF5_version_major" in file.attrs:
            return damask.from_file(path, file)
        return fans.from_file(path, file, dataset)
