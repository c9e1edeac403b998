r"""Directions whose second-order orientation tensor is exactly the one asked for.

Advani & Tucker (J. Rheol. 31, 751, 1987) describe fibre directions by
:math:`a = \tfrac1N \sum p\, p^T`. Independent draws meet it only within about 1/sqrt(N). Here the
directions are :math:`p_i = T x_i / |T x_i|` with uniformly random :math:`x_i` and the matrix T at
which the mean over these very directions is a. That is the angular central Gaussian
distribution (Tyler, Biometrika 74, 579, 1987), which slender fibres take that start isotropic in
a linear flow, with its parameter fitted to the sample instead of the infinite population.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matnet.errors import ConvergenceError, ParameterError, require_finite

__all__ = ["directions_with_tensor", "orientation_tensor"]

FIT_TOLERANCE = 1e-8
FIT_STEPS = 5000


def orientation_tensor(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The symmetric tensor (3, 3) from 3 numbers (diagonal), 6 (11 22 33 12 13 23) or 3 x 3.

    Raises
    ------
    ParameterError
        Another shape, not symmetric, a negative eigenvalue, or a trace other than 1.

    Examples
    --------
    >>> orientation_tensor([0.7, 0.2, 0.1])
    array([[0.7, 0. , 0. ],
           [0. , 0.2, 0. ],
           [0. , 0. , 0.1]])
    """
    given = np.array(values, dtype=float)
    require_finite("orientation", given)
    if given.shape == (3,):
        tensor = np.diag(given)
    elif given.shape == (6,):
        a11, a22, a33, a12, a13, a23 = given
        tensor = np.array([[a11, a12, a13], [a12, a22, a23], [a13, a23, a33]])
    elif given.shape == (3, 3):
        tensor = given
    else:
        raise ParameterError(
            f"orientation has shape {given.shape}, expected 3 numbers (diagonal), "
            "6 numbers (11 22 33 12 13 23) or a 3 x 3 matrix."
        )
    eigenvalues = np.linalg.eigvalsh(tensor)
    if (
        np.abs(tensor - tensor.T).max() > 1e-9
        or abs(np.trace(tensor) - 1.0) > 1e-6
        or eigenvalues[0] < -1e-9
    ):
        raise ParameterError(
            f"orientation has trace {np.trace(tensor):.4g} and eigenvalues "
            f"{eigenvalues.round(4).tolist()}, expected a symmetric tensor of trace 1 "
            "without negative eigenvalues."
        )
    return tensor


def directions_with_tensor(tensor: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random unit vectors (count, 3) with mean p p^T equal to `tensor` within 1e-8.

    Parameters
    ----------
    tensor : (3, 3) floats
        Symmetric, positive semi-definite, trace 1.
    count : int
        Number of directions.
    rng : numpy.random.Generator
        Random source.

    Raises
    ------
    ConvergenceError
        So few directions cannot have this tensor.

    Examples
    --------
    >>> p = directions_with_tensor(np.diag([0.7, 0.2, 0.1]), 20, np.random.default_rng(0))
    >>> np.diag(p.T @ p / 20).round(6)
    array([0.7, 0.2, 0.1])
    """
    values, axes = np.linalg.eigh(tensor)
    present = values > 1e-9  # directions without weight stay empty
    values, axes = values[present], axes[:, present]
    draws = rng.standard_normal((count, values.size))
    fitted = _fitted_directions(values, draws)
    if fitted is None:
        raise ConvergenceError(
            f"{count} fibres cannot have an orientation tensor with eigenvalues "
            f"{np.round(values, 4).tolist()}. Use more fibres."
        )
    return np.asarray(fitted @ axes.T)


def _fitted_directions(values: np.ndarray, draws: np.ndarray) -> np.ndarray | None:
    """Unit vectors T x / |T x| with mean p p^T = diag(values), or None if the fit stalls.

    Fixed point: with S the mean of the present directions, T <- a^(1/2) S^(-1/2) T.
    """
    directions = draws * np.sqrt(values)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for _ in range(FIT_STEPS):
        moment = directions.T @ directions / len(directions)
        if np.abs(moment - np.diag(values)).max() < FIT_TOLERANCE:
            return np.asarray(directions)
        spread, frame = np.linalg.eigh(moment)
        if spread[0] < 1e-12:
            return None
        whitened = directions @ (frame / np.sqrt(spread)) @ frame.T
        directions = whitened * np.sqrt(values)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return None
