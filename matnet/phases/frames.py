"""Material frames of anisotropic laws: a rotation matrix, or Euler angles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from matnet.errors import ParameterError

__all__ = ["FRAME_KEYS", "bunge_axes", "material_axes"]

FRAME_KEYS = ("axes", "euler")
"""The keys a law with a material frame takes, one at a time."""

ORTHOGONAL_TOLERANCE = 1e-5  # entries typed with 6 digits pass


def bunge_axes(angles: Any) -> np.ndarray:
    r"""Frame (3, 3), columns the material axes, of Bunge's angles (phi1, Phi, phi2) [degrees].

    The frame starts along the coordinate axes and is turned about its own axes 3, 1, 3:
    :math:`Q = R_3(\varphi_1) R_1(\Phi) R_3(\varphi_2)` (Bunge's matrix g is its transpose).

    Examples
    --------
    >>> bunge_axes([90.0, 0.0, 0.0])[:, 0].round(12) + 0.0  # material axis 1 lies along 2
    array([0., 1., 0.])
    """
    phi1, Phi, phi2 = np.radians(np.asarray(angles, dtype=float))
    return np.asarray(_turn_3(phi1) @ _turn_1(Phi) @ _turn_3(phi2))


def material_axes(owner: str, frame: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Rotation (3, 3) of a frame given by one of `FRAME_KEYS`, and the key as plain numbers.

    Raises
    ------
    ParameterError
        Both keys are given, or the value is no rotation; the message starts with `owner`.
    """
    if len(frame) != 1:
        raise ParameterError(f"{owner}: axes and euler came, expected one of them.")
    ((key, value),) = frame.items()
    array = _numbers(owner, key, value, (3,) if key == "euler" else (3, 3))
    if key == "euler":
        return bunge_axes(array), {key: array.tolist()}
    left, _, right = np.linalg.svd(array)
    nearest = np.asarray(left @ right)
    error = float(np.abs(nearest - array).max())
    if error > ORTHOGONAL_TOLERANCE or np.linalg.det(array) < 0.0:
        raise ParameterError(
            f"{owner}: axes is no rotation matrix (off by {error:.1e}, determinant "
            f"{np.linalg.det(array):.3g}), expected right-handed orthonormal columns."
        )
    return nearest, {key: array.tolist()}


def _numbers(owner: str, key: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(value)
    except ValueError:  # lists of different lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu" or array.shape != shape or not np.isfinite(array).all():
        wanted = "3 angles in degrees" if key == "euler" else "a rotation matrix (3, 3)"
        raise ParameterError(f"{owner}: {key} = {value!r}, expected {wanted}.")
    return array.astype(float)


def _turn_1(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _turn_3(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
