r"""Learning rates over training, as functions of how far training is.

With the progress :math:`t \in [0, 1]` and the largest rate :math:`\eta`:

==========  ==========================================================================
cosine      :math:`\eta (1 + \cos \pi t) / 2` (Loshchilov & Hutter, ICLR 2017)
one-cycle   from :math:`\eta / 25` up to :math:`\eta` at t = 0.3, down to
            :math:`\eta / 250\,000` at 1, both along half a cosine; SGD's momentum falls
            from 0.95 to 0.85 and rises again (Smith & Topin, 2019)
plateau     :math:`\eta / 2` more often, whenever validation did not improve by 0.01 % for 5 epochs
constant    :math:`\eta`
==========  ==========================================================================

All but one-cycle are multiplied by step / warm_up during the first steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from offline.surrogates.training.options import TrainOptions

__all__ = ["Plateau", "learning_rate", "momentum"]

START, END, RISE = 25.0, 25.0e4, 0.3
SLOW, FAST = 0.95, 0.85
PATIENCE, FACTOR, IMPROVEMENT = 5, 0.5, 1e-4


@dataclass(frozen=True, slots=True)
class Plateau:
    """How often validation stalled: the memory of the plateau schedule."""

    best: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def after(self, validation: float) -> Plateau:
        """The state after one more epoch.

        >>> state = Plateau()
        >>> for value in (1.0, *[2.0] * 5):
        ...     state = state.after(value)
        >>> state.factor
        0.5
        """
        if validation < self.best * (1.0 - IMPROVEMENT):
            return Plateau(validation, 0, self.factor)
        if self.waited + 1 < PATIENCE:
            return Plateau(self.best, self.waited + 1, self.factor)
        return Plateau(self.best, 0, FACTOR * self.factor)


def learning_rate(options: TrainOptions, step: int, progress: float, factor: float = 1.0) -> float:
    """Rate of step number `step` (from 0).

    Parameters
    ----------
    options : TrainOptions
    step : int
        Decides the warm-up.
    progress : float
        Share of training that is done, in [0, 1].
    factor : float
        Of the plateau schedule.

    Examples
    --------
    >>> options = TrainOptions(learning_rate=1.0, warm_up=10)
    >>> [round(learning_rate(options, s, s / 1000), 3) for s in (0, 9, 500, 1000)]
    [0.1, 1.0, 0.5, 0.0]
    """
    largest = options.learning_rate
    if options.schedule == "one-cycle":
        return _cycle(progress, largest / START, largest, largest / END)
    warm = min(1.0, (step + 1) / options.warm_up) if options.warm_up else 1.0
    if options.schedule == "cosine":
        return warm * largest * 0.5 * (1.0 + math.cos(math.pi * progress))
    return warm * largest * (factor if options.schedule == "plateau" else 1.0)


def momentum(options: TrainOptions, progress: float) -> float:
    """SGD's momentum; one-cycle lowers it while the rate is high."""
    if options.schedule == "one-cycle":
        return _cycle(progress, SLOW, FAST, SLOW)
    return options.momentum


def _cycle(progress: float, first: float, middle: float, last: float) -> float:
    if progress < RISE:
        return _half_cosine(progress / RISE, first, middle)
    return _half_cosine((progress - RISE) / (1.0 - RISE), middle, last)


def _half_cosine(t: float, start: float, end: float) -> float:
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * t))
