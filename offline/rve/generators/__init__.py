"""Parametric, periodic, voxel-exact microstructures: one family per module."""

from offline.rve.generators.registry import REGISTRY, Generator, find_generator, make

__all__ = ["REGISTRY", "Generator", "find_generator", "make"]
