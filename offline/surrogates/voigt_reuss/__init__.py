"""Voigt-Reuss net: surrogates of effective tensors that keep between the bounds."""

from offline.surrogates.voigt_reuss.layers import SpectralHead
from offline.surrogates.voigt_reuss.normalisation import (
    SpectralGap,
    bound_tolerance,
    denormalise,
    normalise,
    voigt_reuss,
)

__all__ = [
    "SpectralGap",
    "SpectralHead",
    "bound_tolerance",
    "denormalise",
    "normalise",
    "voigt_reuss",
]
