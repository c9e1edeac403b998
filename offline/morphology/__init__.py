"""Morphology of periodic two-phase images: named descriptors, isotropic and directional."""

from offline.morphology.catalogue import GROUPS, names, selection
from offline.morphology.symmetry import CUBE, turn_image
from offline.morphology.vector import Descriptors, descriptor_matrix, descriptors

__all__ = [
    "CUBE",
    "GROUPS",
    "Descriptors",
    "descriptor_matrix",
    "descriptors",
    "names",
    "selection",
    "turn_image",
]
