"""Microstructures: the `Rve` value object, generators, files, connectivity."""

from offline.rve.connectivity import Connectivity, check_solid, connectivity, remove_islands
from offline.rve.files import read, write
from offline.rve.rve import Rve

__all__ = [
    "Connectivity",
    "Rve",
    "check_solid",
    "connectivity",
    "read",
    "remove_islands",
    "write",
]
