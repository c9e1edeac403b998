# mypy: disable-error-code="no-untyped-def"
"""Along lines of voxels: crossings of the interface, lineal path, and the surface by Crofton."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numba import njit

from offline.morphology.catalogue import LINEAL, LINES

__all__ = ["CROFTON", "line_measures"]

# Areas of the Voronoi cells of the 26 directions on the sphere, both senses of a line together:
# Ohser & Muecklich, Statistical Analysis of Microstructures in Materials Science, 2000.
CROFTON = np.repeat([2 * 0.045778, 2 * 0.036981, 2 * 0.035196], [3, 6, 4])
CROFTON = CROFTON / CROFTON.sum()
LENGTHS = np.array([float(Fraction(r)) for r in LINEAL])


def line_measures(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crossings (13,) per length [1/edge], and lineal path (5, 2, 13), of an image (n, n, n).

    The lineal path L_p(r) is the share of segments that lie in phase p. Their length is r along
    an axis and r sqrt(2), r sqrt(3) along diagonals: r counts in every coordinate.
    """
    n = len(image)
    changes, path = _along_lines(image, LINES, LENGTHS * n)
    steps = np.linalg.norm(LINES, axis=1) / n
    return changes / (n**3 * steps), path / n**3


@njit(cache=True)
def _along_lines(image, lines, lengths):
    n = image.shape[0]
    count = lines.shape[0]
    changes = np.zeros(count)
    path = np.zeros((lengths.size, 2, count))
    for d in range(count):
        first = 0
        while lines[d, first] == 0:
            first += 1
        for a in range(n):
            for b in range(n):
                _one_line(image, lines[d], first, a, b, d, lengths, changes, path)
    return changes, path


@njit(cache=True)
def _one_line(image, step, first, a, b, d, lengths, changes, path):
    """Runs of equal phase on the closed line that starts at (a, b) of the plane `first` = 0."""
    n = image.shape[0]
    x = 0 if first == 0 else a
    y = 0 if first == 1 else (a if first == 0 else b)
    z = 0 if first == 2 else b
    if first == 2:
        y = b
    phase = image[x, y, z]
    head_phase = phase
    head = -1  # length of the run at the start, which may go on from the end
    run = 0
    for _ in range(n):
        here = image[x, y, z]
        if here != phase:
            changes[d] += 1.0
            if head < 0:
                head = run
            else:
                _count_run(run, phase, d, lengths, path)
            phase = here
            run = 0
        run += 1
        x = (x + step[0]) % n
        y = (y + step[1]) % n
        z = (z + step[2]) % n
    if head < 0:  # one phase all along: every segment lies in it
        for k in range(lengths.size):
            path[k, phase, d] += n
        return
    if phase == head_phase:
        _count_run(run + head, phase, d, lengths, path)
    else:
        changes[d] += 1.0
        _count_run(run, phase, d, lengths, path)
        _count_run(head, head_phase, d, lengths, path)


@njit(cache=True)
def _count_run(run, phase, d, lengths, path):
    for k in range(lengths.size):
        if run > lengths[k]:
            path[k, phase, d] += run - lengths[k]
