"""Representative volume elements: the value object, generators, readers and writers."""

from offline.rve.rve import Rve

__all__ = ["Rve"]
