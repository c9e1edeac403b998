"""Local fields: strains at Gauss points and voxel means, from nodal fluctuations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from matnet.errors import require_shape
from offline.homogenization.grid import HexGrid
from offline.homogenization.mesh import SolidMesh
from offline.homogenization.node_kernels import LOADS

__all__ = ["element_strains", "gauss_strains", "von_mises"]


def gauss_strains(
    grid: HexGrid, displacement: Any, voxels: Any = None, *, total: bool = True
) -> np.ndarray:
    """Strains at the Gauss points of some voxels.

    Parameters
    ----------
    grid : HexGrid
    displacement : (n_loads, n1, n2, n3, 3)
        Periodic nodal fluctuations u [length].
    voxels : (m,) int, optional
        Flat voxel numbers. Default: all, in order.
    total : bool
        True: ``e0^k - B u^k`` (then there must be six loads); False: ``B u^k``.

    Returns
    -------
    (n_loads, m, 8, 6) Mandel strains.

    Raises
    ------
    ShapeError
        The displacement does not fit the grid, or `total` is asked for other than six loads.

    Examples
    --------
    >>> grid = HexGrid((2, 2, 2), np.eye(3))
    >>> gauss_strains(grid, np.zeros((6, 2, 2, 2, 3)), [0])[3, 0, 0]
    array([0., 0., 0., 1., 0., 0.])
    """
    u = np.asarray(displacement, dtype=float)
    require_shape("displacement", u, (LOADS if total else None, *grid.shape, 3))
    wanted = np.arange(grid.n_voxels) if voxels is None else np.asarray(voxels, dtype=np.int64)
    rows = np.ascontiguousarray(u.reshape(len(u), -1, 3).transpose(1, 2, 0))
    strains = np.empty((len(wanted), 8, 6, len(u)))
    _gauss_strains(grid.node_ids(wanted), grid.gauss_b, rows, strains)
    if total:
        strains *= -1.0
        strains += np.eye(LOADS)
    return np.moveaxis(strains, -1, 0)


def element_strains(grid: HexGrid, mesh: SolidMesh, field: np.ndarray) -> np.ndarray:
    """Total strains (6 loads, n_elements, 6) averaged over each element of `mesh`.

    `field` (n_nodes, 18) holds the fluctuations with component ``6 * i + load``.
    """
    mean_b = grid.gauss_b.mean(axis=0)[None]
    strains = np.empty((mesh.n_elements, 1, 6, LOADS))
    _gauss_strains(mesh.elements, mean_b, field.reshape(-1, 3, LOADS), strains)
    return np.moveaxis(np.eye(LOADS) - strains[:, 0], -1, 0)


def von_mises(stress: Any) -> np.ndarray:
    """Von Mises stress (...) of Mandel stresses (..., 6).

    >>> von_mises([1.0, 0, 0, 0, 0, 0])
    array(1.)
    """
    s = np.array(stress, dtype=float)
    s[..., :3] -= s[..., :3].mean(axis=-1, keepdims=True)
    return np.asarray(np.sqrt(1.5 * (s * s).sum(axis=-1)))


@njit(cache=True, parallel=True)
def _gauss_strains(elements: np.ndarray, b: np.ndarray, u: np.ndarray, strains: np.ndarray) -> None:
    """strains (m, n_points, 6, n_loads) = b (n_points, 6, 24) times u (n_nodes, 3, n_loads)."""
    for e in prange(elements.shape[0]):
        out = strains[e]
        out[:] = 0.0
        for a in range(8):
            node = elements[e, a]
            for g in range(b.shape[0]):
                for k in range(6):
                    for i in range(3):
                        f = b[g, k, 3 * a + i]
                        for load in range(u.shape[2]):
                            out[g, k, load] += f * u[node, i, load]
