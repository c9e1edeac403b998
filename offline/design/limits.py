"""What a designed cell has to keep, judged on its pixels: volume, connectivity, feature size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from matnet.errors import ParameterError
from offline.rve import Rve, connectivity

__all__ = ["Limits", "Verdict", "feature_size", "percolating"]

VOLUME_SLACK = 0.01  # of c0: cells with few levels meet a volume in steps
LOST = 0.02  # share of a phase that the opening may remove: corners and cusps
HOPELESS = 0.3  # no wider stamp will do
SMALLEST, LARGEST = 0.02, 0.98  # c0 without a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A picture against its limits.

    Attributes
    ----------
    c0 : float
        Volume fraction of phase 0.
    percolates : tuple of two (bool, bool)
        Phase 0 and 1: some connected piece of it reaches its own image along axis 1, axis 2.
    feature : (float, float)
        Feature size of each phase [cell edges], see `feature_size`.
    violation : float
        0 if all limits are kept, else how far they are missed.
    """

    c0: float
    percolates: tuple[tuple[bool, bool], tuple[bool, bool]]
    feature: tuple[float, float]
    violation: float

    @property
    def kept(self) -> bool:
        """Whether all limits are kept."""
        return self.violation == 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What every design has to keep.

    Parameters
    ----------
    volume : (float, float)
        Range of c0, the volume fraction of phase 0; two equal values fix it.
    connected : tuple of int
        Phase that has to percolate along both axes, through pixel edges: (0,) or (1,). In a
        plane, one phase that does keeps the other from it.
    feature : float
        Least feature size of both phases [cell edges]; 0: any.
    """

    volume: tuple[float, float] = (SMALLEST, LARGEST)
    connected: tuple[int, ...] = ()
    feature: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.volume
        if not 0.0 < low <= high < 1.0:
            raise ParameterError(
                f"volume is {low:g} to {high:g}, expected fractions of phase 0 between 0 and 1."
            )
        if any(phase not in (0, 1) for phase in self.connected):
            raise ParameterError(f"connected is {self.connected}, expected phase 0 or 1.")
        if len(set(self.connected)) > 1:
            raise ParameterError(
                "both phases are to be connected, which no plane cell can be: a phase that "
                "percolates along both axes separates the other. Name one."
            )
        if not 0.0 <= self.feature < 0.5:
            raise ParameterError(
                f"feature is {self.feature:g} cell edges, expected 0 to less than 0.5."
            )

    def largest_modes(self, modes: int) -> int:
        """At most `modes` modes, so that half a wave of the shortest one is a feature."""
        if self.feature == 0.0:
            return modes
        order = max(1, math.floor(0.5 / self.feature))
        return min(modes, 2 * order + 1)

    def judge(self, picture: Any) -> Verdict:
        """All checks on phase numbers (n1, n2), with the size of features."""
        image = np.asarray(picture)
        sizes = (feature_size(image == 0), feature_size(image == 1))
        return Verdict(
            c0=float(1.0 - image.mean()),
            percolates=(percolating(image == 0), percolating(image == 1)),
            feature=sizes,
            violation=self.violation(image),
        )

    def violation(self, picture: Any) -> float:
        """How far a picture (n1, n2) misses the limits: 0 if it keeps them."""
        image = np.asarray(picture)
        c0 = 1.0 - image.mean()
        beyond = max(self.volume[0] - c0, c0 - self.volume[1], 0.0)
        total = float(beyond) if beyond > VOLUME_SLACK else 0.0
        for phase in self.connected:
            total += sum(not along for along in percolating(image == phase))
        if self.feature > 0.0:
            radius = math.ceil(0.5 * (self.feature * max(image.shape) - 1.0) - 1e-9)
            for phase in (0, 1):
                total += max(0.0, _lost(image == phase, radius) - LOST)
        return total


def percolating(mask: np.ndarray) -> tuple[bool, bool]:
    """Whether a piece of the phase reaches its own image along axis 1, 2, through pixel edges."""
    cell = Rve(phases=mask.astype(np.uint8)[:, :, None], phase_names=("void", "solid"))
    if not mask.any():
        return False, False
    along = connectivity(cell).percolates
    return bool(along[0]), bool(along[1])


def feature_size(mask: np.ndarray) -> float:
    """Width of the widest round stamp that draws the phase but for 2 % of it [cell edges].

    The largest odd number of pixels d such that the opening with a disc d pixels across, with
    periodic wrap, removes at most `LOST` of the phase, over the pixels of the longer edge. Thin
    necks are opened away; their share of the area decides whether they count.

    Examples
    --------
    >>> layer = np.zeros((16, 16), dtype=bool)
    >>> layer[:5] = True
    >>> 16 * feature_size(layer)
    5.0
    """
    if not mask.any():
        return 0.0
    size = max(mask.shape)
    widest = 0
    for radius in range(1, (size + 1) // 2):
        lost = _lost(mask, radius)
        if lost <= LOST:
            widest = radius  # pixel discs are not nested like round ones: look further
        elif lost > HOPELESS:
            break
    return min(1.0, (2 * widest + 1) / size)


def _lost(mask: np.ndarray, radius: int) -> float:
    """Share of the phase that the opening with a disc of 2 `radius` + 1 pixels removes.

    The disc has the pixels whose centres are within `radius` + 1/2: no tips along the axes.
    """
    if radius <= 0 or not mask.any() or mask.all():
        return 0.0
    edges = [(radius + 1, radius + 1)] * 2
    # the opening of a pixel depends on others up to twice the radius away
    wide = np.pad(mask, [(2 * a, 2 * b) for a, b in edges], mode="wrap")
    if wide.all():
        return 0.0
    kept = ndimage.distance_transform_edt(wide) > radius + 0.5
    inner = tuple(slice(2 * a, 2 * a + n) for (a, _), n in zip(edges, mask.shape, strict=True))
    if not kept.any():
        return 1.0
    opened = ndimage.distance_transform_edt(~kept) <= radius + 0.5
    return float(1.0 - (opened[inner] & mask).sum() / mask.sum())
