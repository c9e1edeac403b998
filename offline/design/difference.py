r"""How different two periodic pictures are, wherever the cell is cut out.

.. math::

   d(a, b) = \min_s \frac{\langle |a(x) - b(x + s)| \rangle}
             {\bar a (1 - \bar b) + \bar b (1 - \bar a)}

the share of pixels that still differ after the best periodic shift s, relative to what two
unrelated pictures of the same volume fractions would have. 0: the same structure; near 1: nothing
in common. All shifts at once by the cross-correlation, with Fourier transforms. Equal two-point
statistics do not make pictures equal; a vanishing d does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from matnet.errors import ShapeError

__all__ = ["DIFFERENT", "difference", "distinct"]

DIFFERENT = 0.25  # from here on two cells count as structurally different


def difference(a: Any, b: Any) -> float:
    """d of two pictures (n1, n2) of 0 and 1.

    Examples
    --------
    >>> layers = np.tile([[0], [0], [1], [1]], (1, 4))
    >>> difference(layers, np.roll(layers, 1, axis=0)), difference(layers, layers.T)
    (0.0, 1.0)
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim != 2:
        raise ShapeError(f"pictures have shapes {first.shape} and {second.shape}, expected equal.")
    mean1, mean2 = first.mean(), second.mean()
    expected = mean1 * (1.0 - mean2) + mean2 * (1.0 - mean1)
    if expected == 0.0:
        return 0.0  # both are full of one phase
    product = np.fft.rfft2(first) * np.conj(np.fft.rfft2(second))
    together = np.fft.irfft2(product, first.shape).max() / first.size
    differing = round(first.size * (mean1 + mean2 - 2.0 * together))
    return float(max(differing, 0) / first.size / expected)


def distinct(
    pictures: Sequence[Any], order: Sequence[int], least: float = DIFFERENT
) -> Iterator[int]:
    """Those of `order` that differ by `least` from all that came before and were kept."""
    kept: list[int] = []
    for index in order:
        if all(difference(pictures[index], pictures[other]) >= least for other in kept):
            kept.append(index)
            yield index
