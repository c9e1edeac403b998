"""What a network in space was trained on, and a clause where another cell lies outside.

Images are compared by some descriptors that do not change under the symmetries of the cube, with
their phases exchanged as well, because networks are shown both (`training_range.TrainingRange`);
phases by their contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from offline.morphology import names
from offline.morphology.catalogue import swap
from offline.surrogates.voigt_reuss.space.cells import DECADES
from offline.surrogates.voigt_reuss.training_range import TrainingRange

__all__ = ["DESCRIBED", "outside", "range_of", "range_of_images"]

DESCRIBED = (
    *("fraction.0", "surface", "euler.0", "euler.1", "contact.mean.0", "contact.mean.1"),
    *("thickness.mean.0", "thickness.mean.1", "components.0", "components.1"),
    *("percolation.mean.0", "percolation.mean.1", "power.long", "power.short"),
    *("anisotropy.spectrum", "anisotropy.interface"),
)
RATIOS = ("K2/K1", "G1/K1", "G2/K1")
ROOM = 0.02  # of a decade, beyond the contrasts of the training


def range_of_images(descriptors: np.ndarray) -> TrainingRange:
    """The range of training images with descriptors (n, d)."""
    both = np.concatenate([descriptors, descriptors[:, swap()]])
    return TrainingRange.of(both[:, _chosen()], DESCRIBED)


def range_of(card: Mapping[str, Any]) -> TrainingRange:
    """What a weights card holds; raises as `TrainingRange.from_dict`."""
    return TrainingRange.from_dict(card, DESCRIBED)


def outside(
    seen: TrainingRange, descriptors: np.ndarray, log_ratios: np.ndarray
) -> list[str | None]:
    """Why images with descriptors (n, d) and contrasts (n, 3) are outside, or None."""
    found = []
    reasons = seen.reasons(descriptors[:, _chosen()])
    for reason, row in zip(reasons, log_ratios, strict=True):
        facts = [] if reason is None else [reason]
        facts += [
            f"its {name} is {10.0**value:.3g} (training: {10.0**-DECADES:g} to {10.0**DECADES:g})"
            for name, value in zip(RATIOS, row, strict=True)
            if abs(value) > DECADES + ROOM
        ]
        found.append(", ".join(facts) or None)
    return found


def _chosen() -> np.ndarray:
    known = names()
    return np.array([known.index(name) for name in DESCRIBED])
