"""Local material frames: one rotation per cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite
from umat_bridge.dolfinx import compat
from umat_bridge.dolfinx.where import together

__all__ = ["cell_frames", "frames_from_directions", "frames_from_euler"]


def frames_from_directions(directions: Any, axis: int = 3) -> np.ndarray:
    """Rotations that turn a material axis into given directions by the shortest way.

    For materials that are the same all around that axis, such as a unidirectional composite.

    Parameters
    ----------
    directions : (..., 3) or (..., 2)
        Vectors of any length > 0; with two components they lie in the plane of the mesh.
    axis : int
        Material axis 1, 2 or 3 that is to point along them.

    Returns
    -------
    (..., 3, 3)
        Rotations Q of the material frame into the global frame.

    Examples
    --------
    >>> Q = frames_from_directions([1.0, 1.0, 0.0], axis=1)
    >>> (Q @ [1.0, 0.0, 0.0]).round(4)
    array([0.7071, 0.7071, 0.    ])
    """
    given = np.asarray(directions, dtype=float)
    require_finite("directions", given)
    if given.shape[-1:] not in ((2,), (3,)) or axis not in (1, 2, 3):
        raise ParameterError(
            f"directions have {given.shape[-1:]} components and axis is {axis}, expected 2 or 3 "
            "components and axis 1, 2 or 3."
        )
    vectors = np.zeros((*given.shape[:-1], 3))
    vectors[..., : given.shape[-1]] = given
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if (length == 0.0).any():
        raise ParameterError("directions: a vector is zero, expected a direction.")
    n, start = vectors / length, np.eye(3)[axis - 1]
    cosine = n @ start
    # a half turn about another axis where the direction is opposite
    flip = np.diag(-np.ones(3) + 2.0 * np.eye(3)[axis % 3])
    cross = np.cross(np.broadcast_to(start, n.shape), n)
    spin = _spin(cross)
    safe = np.where(cosine > -1.0 + 1e-14, 1.0 + cosine, 1.0)[..., None, None]
    turned = np.eye(3) + spin + spin @ spin / safe  # Rodrigues
    return np.where((cosine > -1.0 + 1e-14)[..., None, None], turned, flip)


def frames_from_euler(angles: Any) -> np.ndarray:
    r"""Rotations :math:`Q = Z(\varphi_1) X(\Phi) Z(\varphi_2)` from Euler angles.

    Parameters
    ----------
    angles : (..., 3)
        phi1, Phi, phi2 [rad]; for a turn in the plane of the mesh only the first is not zero.

    Returns
    -------
    (..., 3, 3)
        Rotations Q of the material frame into the global frame.

    References
    ----------
    Bunge, *Texture Analysis in Materials Science*, 1982; his matrix is the transpose of Q.
    """
    given = np.asarray(angles, dtype=float)
    require_finite("angles", given)
    if given.shape[-1:] != (3,):
        raise ShapeError(f"angles have shape {given.shape}, expected (..., 3).")
    z1, x, z2 = (_turn(given[..., i], axis) for i, axis in enumerate((2, 0, 2)))
    return np.asarray(z1 @ x @ z2)


def cell_frames(mesh: Any, orientation: Any) -> np.ndarray:
    """Rotations (n, 3, 3) of the owned cells from what the user gave.

    Parameters
    ----------
    mesh : dolfinx.mesh.Mesh
        With n owned cells.
    orientation : callable, function or array
        ``orientation(x)`` with centres x (n, 3); a piecewise constant function with 9 components;
        or an array (3, 3) or (all cells, 3, 3) in the order of the mesh as it was read.

    Raises
    ------
    ShapeError, ParameterError
        The shape does not fit, or a matrix is no rotation.
    """
    with together(mesh.comm):
        if hasattr(orientation, "function_space"):
            frames = _from_function(mesh, orientation)
        elif callable(orientation):
            frames = _from_callable(mesh, orientation)
        else:
            frames = _from_array(mesh, np.asarray(orientation, dtype=float))
        require_finite("orientation", frames)
        off = np.abs(frames @ np.swapaxes(frames, 1, 2) - np.eye(3)).max(axis=(1, 2), initial=0.0)
        bad = np.flatnonzero((off > 1e-6) | (np.linalg.det(frames) < 0.0))
        if bad.size:
            raise ParameterError(
                f"orientation of cell {compat.original_cells(mesh)[bad[0]]} is no rotation matrix "
                "(Q Q^T = I, det 1). See frames_from_directions and frames_from_euler."
            )
    return frames


def _from_callable(mesh: Any, orientation: Any) -> np.ndarray:
    centres = compat.cell_coordinates(mesh).mean(axis=1)
    frames = np.asarray(orientation(centres), dtype=float)
    if frames.shape != (len(centres), 3, 3):
        raise ShapeError(
            f"orientation returned shape {frames.shape} for {len(centres)} centres, expected "
            f"({len(centres)}, 3, 3)."
        )
    return frames


def _from_array(mesh: Any, frames: np.ndarray) -> np.ndarray:
    if frames.shape == (3, 3):
        return np.broadcast_to(frames, (compat.n_owned_cells(mesh), 3, 3))
    total = compat.global_cells(mesh)
    if frames.shape != (total, 3, 3):
        raise ShapeError(
            f"orientation has shape {frames.shape}, expected rotation matrices ({total}, 3, 3), "
            "one for each cell."
        )
    return np.asarray(frames[compat.original_cells(mesh)])


def _from_function(mesh: Any, function: Any) -> np.ndarray:
    space = function.function_space
    dofs = compat.cell_dofs(space)[: compat.n_owned_cells(mesh)]
    size = space.dofmap.index_map_bs
    if dofs.shape[1] != 1 or size != 9:
        raise ShapeError(
            f"orientation is a function with {dofs.shape[1]} x {size} numbers per cell, expected a "
            "piecewise constant one with 9 (a rotation matrix, row by row)."
        )
    return np.asarray(np.reshape(function.x.array, (-1, 3, 3))[dofs[:, 0]])


def _spin(vectors: np.ndarray) -> np.ndarray:
    """Matrices of the cross products with these vectors from the left."""
    spin = np.zeros((*vectors.shape[:-1], 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        spin[..., k, j], spin[..., j, k] = vectors[..., i], -vectors[..., i]
    return spin


def _turn(angle: np.ndarray, axis: int) -> np.ndarray:
    """Rotations about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn = np.zeros((*angle.shape, 3, 3))
    turn[..., axis, axis] = 1.0
    turn[..., i, i] = turn[..., j, j] = np.cos(angle)
    turn[..., j, i], turn[..., i, j] = np.sin(angle), -np.sin(angle)
    return turn
