"""Microstructures: the `Rve` value object, generators, files, connectivity."""

from offline.rve.connectivity import (
    Connectivity,
    check_solid,
    complaint,
    connectivity,
    remove_islands,
)
from offline.rve.files import check_target, read, write
from offline.rve.rve import Rve

__all__ = [
    "Connectivity",
    "Rve",
    "check_solid",
    "check_target",
    "complaint",
    "connectivity",
    "read",
    "remove_islands",
    "write",
]
