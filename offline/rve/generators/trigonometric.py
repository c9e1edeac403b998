r"""Two-dimensional two-phase cells from thresholded trigonometric fields.

With odd numbers of modes M1, M2 and amplitudes A (M1 x M2), entry by entry uniform in [-1, 1],

.. math::

   \psi(x) = \sum_{m,n} A_{mn} \cos(2 \pi (m x_1 + n x_2)), \qquad
   \tilde\psi = \frac{\psi - \psi_{\min}}{\psi_{\max} - \psi_{\min}}, \qquad
   \chi = 1 \text{ where } \tilde\psi \ge \tau

on the unit square, m from -(M1-1)/2 to (M1-1)/2, n likewise (Voigt-Reuss net paper, eq. 31-34).
Phase 0 is the matrix (chi = 0, volume fraction c0), phase 1 the inclusion. The paper draws 2000
amplitude matrices for each of M = 3, 5, 7, 9, 11 and renders them on 100 x 100 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matnet.errors import ParameterError, require_finite
from offline.rve.generators.voxelgrid import (
    call_text,
    fill_to_fraction,
    grid_shape,
    random_source,
    require_count,
    require_fraction,
    require_in_range,
)
from offline.rve.rve import Rve

__all__ = ["random_amplitudes", "trigonometric", "trigonometric_field"]


def trigonometric(
    *,
    n: int | tuple[int, int, int] = 100,
    modes: int = 11,
    c0: float | None = None,
    tau: float | None = None,
    amplitudes: Sequence[Sequence[float]] | None = None,
    seed: int = 0,
) -> Rve:
    """Two phases in a plane from a random trigonometric field.

    Parameters
    ----------
    n : int or tuple of int
        Pixels per axis: one number for n x n x 1, or three.
    modes : int
        Modes per direction, M1 = M2, odd. Ignored when `amplitudes` are given.
    c0 : float, optional
        Volume fraction of phase 0, the matrix; default 0.5. Met within one pair of pixels (the
        field is even, so pixels come in pairs of equal value).
    tau : float, optional
        Threshold on the normalised field in [0, 1], instead of `c0`.
    amplitudes : (M1, M2) floats, optional
        The matrix A, odd numbers of rows and columns, the constant mode in the middle.
    seed : int
        Seed of the random amplitudes.

    Returns
    -------
    Rve
        Phases ``matrix`` (chi = 0) and ``inclusion`` (chi = 1).

    Raises
    ------
    ParameterError
        A value is out of range, both `c0` and `tau` are given, or the field is constant.

    Examples
    --------
    >>> print(trigonometric(n=50, modes=5, c0=0.7))
    Rve 50 x 50 x 1: matrix 70.00 %, inclusion 30.00 %
    """
    arguments = dict(locals())
    shape = grid_shape(n, flat=True)
    if c0 is not None and tau is not None:
        raise ParameterError(
            "c0 and tau are both given, expected one of them: each sets the other."
        )
    matrix = random_amplitudes(modes, seed) if amplitudes is None else np.array(amplitudes, float)
    field = trigonometric_field(matrix, shape[:2])
    if tau is None:
        c0 = 0.5 if c0 is None else c0
        require_fraction("c0", c0)
        mask = ~fill_to_fraction(field, c0)[0]
    else:
        require_in_range("tau", tau, 0.0, 1.0)
        mask = field >= tau
    return Rve(
        phases=np.repeat(mask[:, :, None], shape[2], axis=2),
        phase_names=("matrix", "inclusion"),
        source=call_text("trigonometric", **arguments),
    )


def random_amplitudes(modes: int, seed: int) -> np.ndarray:
    """Amplitudes (modes, modes), uniform in [-1, 1]; `modes` is odd."""
    require_count("modes", modes, 1)
    if modes % 2 == 0:
        raise ParameterError(f"modes is {modes}, expected an odd number (3, 5, ... 11).")
    return random_source(seed).uniform(-1.0, 1.0, (modes, modes))


def trigonometric_field(amplitudes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The field of eq. 32 on pixel centres (n1, n2), scaled to [0, 1] by eq. 33.

    The extremes are those over the pixels, as in the paper's pictures.

    Raises
    ------
    ParameterError
        The amplitudes are not a matrix of odd sizes, not finite, or make a constant field.

    Examples
    --------
    >>> trigonometric_field(np.array([[0.0, 0.0, 1.0]]), (1, 4)).round(3)  # cos 2 pi x2
    array([[0., 1., 1., 0.]])
    """
    require_finite("amplitudes", amplitudes)
    if amplitudes.ndim != 2 or not all(size % 2 for size in amplitudes.shape):
        raise ParameterError(
            f"amplitudes have shape {amplitudes.shape}, expected a matrix with odd numbers of "
            "rows and columns."
        )
    x1, x2 = ((np.arange(size) + 0.5) / size - 0.5 for size in shape)
    m, n = (np.arange(size) - (size - 1) // 2 for size in amplitudes.shape)
    # cos(a + b) = Re(e^ia e^ib): two thin matrix products instead of a sum over all modes
    waves1, waves2 = np.exp(2j * np.pi * np.outer(x1, m)), np.exp(2j * np.pi * np.outer(n, x2))
    field = (waves1 @ amplitudes @ waves2).real
    low, high = field.min(), field.max()
    if high - low <= 1e-12 * np.abs(amplitudes).sum():
        raise ParameterError(
            "amplitudes make a constant field, expected at least one mode besides the middle one."
        )
    return np.asarray((field - low) / (high - low))
