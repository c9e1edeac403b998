"""A material as a folder that an engineer drops into a solver; it runs without Python.

`export_material` writes C (and for LS-DYNA Fortran) sources, the ``.matnet`` file, a Makefile with
a check against numbers computed here, decks and a README for CalculiX, Abaqus, LS-DYNA, or any
other program that calls C. See docs/export.md.
"""

from __future__ import annotations

from umat_bridge.export.cube import cube_deck
from umat_bridge.export.folder import export_material
from umat_bridge.export.targets import TARGETS

__all__ = ["TARGETS", "cube_deck", "export_material"]
