"""Voigt-Reuss net in space: descriptors or voxels and contrasts to admissible stiffness."""

from offline.surrogates.voigt_reuss.space.cells import (
    SpaceCells,
    generate_3d,
    load_space_cells,
    save_space_cells,
)
from offline.surrogates.voigt_reuss.space.compare import train_space_twin
from offline.surrogates.voigt_reuss.space.surrogate import SpaceSurrogate, load_surrogate

__all__ = [
    "SpaceCells",
    "SpaceSurrogate",
    "generate_3d",
    "load_space_cells",
    "load_surrogate",
    "save_space_cells",
    "train_space_twin",
]
