"""The material in C: sources that need a C99 compiler and libm only, and their use from Python.

`CMaterial` reads a ``.matnet`` file with phase laws and computes what `matnet.Material.update`
computes. `source_files` lists what an FE code needs. See docs/c.md.
"""

from __future__ import annotations

from umat_bridge.c.library import CMaterial
from umat_bridge.c.sources import COMPILED, FLAGS, FOLDER, HEADER, source_files

__all__ = ["COMPILED", "FLAGS", "FOLDER", "HEADER", "CMaterial", "source_files"]
