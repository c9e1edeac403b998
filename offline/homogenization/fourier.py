r"""Fourier preconditioner: the inverse of the same element with one stiffness everywhere.

With a constant reference stiffness the assembled matrix is a periodic convolution with a 3x3x3
stencil of 3x3 blocks, so its inverse is a 3x3 product per frequency,

.. math:: \hat M(q) = \Bigl[\sum_d S(d)\, e^{i q \cdot d}\Bigr]^{-1}, \qquad \hat M(0) = 0 .

The element has a centre of symmetry, hence the symbol is real and symmetric. The condition number of
the preconditioned matrix then depends on the contrast but not on the mesh (Ladecky et al.,
*Appl. Math. Comput.* 446, 2023, 127835). Single precision suffices: the preconditioner need
not be accurate, only symmetric and definite, and residuals are scaled before they enter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

from offline.homogenization.grid import CORNERS, HexGrid
from offline.homogenization.kernels import LOADS, PARTS, WIDTH, apply_symbol, grid_dot, to_grid

__all__ = ["FourierPreconditioner", "reference_medium", "reference_symbol"]


def reference_medium(stiffnesses: Any, volumes: Any) -> np.ndarray:
    """Volume mean of the stiffness over the voxels that carry any: (n, 6, 6), (n,) -> (6, 6)."""
    c, v = np.asarray(stiffnesses, dtype=float), np.asarray(volumes, dtype=float)
    return np.asarray(np.einsum("n,nij->ij", v, c) / v.sum())


def reference_symbol(grid: HexGrid, stiffness: np.ndarray) -> np.ndarray:
    """Symbol (n1, n2, n3 // 2 + 1, 3, 3) of the element matrix with one stiffness (6, 6)."""
    ke = grid.element_stiffness(stiffness).reshape(8, 3, 8, 3)
    stencil = np.zeros((3, 3, 3, 3, 3))
    for a in range(8):
        for b in range(8):
            stencil[tuple(CORNERS[b] - CORNERS[a])] += ke[a, :, b, :]  # -1 wraps to index 2
    symbol = stencil.astype(complex)
    for axis, n in enumerate(grid.shape):
        count = n // 2 + 1 if axis == 2 else n
        shift = np.exp(2j * np.pi / n * np.outer(np.arange(count), [0, 1, -1]))
        symbol = np.moveaxis(np.tensordot(shift, symbol, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(symbol.real)


class FourierPreconditioner:
    """Inverse of the constant-stiffness matrix on a grid, applied to six fields at active nodes.

    Parameters
    ----------
    grid : HexGrid
    stiffness : (6, 6)
        Reference stiffness [Pa], positive definite.
    threads : int
        Threads of the Fourier transforms.
    """

    def __init__(self, grid: HexGrid, stiffness: np.ndarray, threads: int) -> None:
        self.grid, self.threads = grid, threads
        symbol = reference_symbol(grid, stiffness)
        symbol[0, 0, 0] = np.eye(3)
        inverse = np.linalg.inv(symbol)
        inverse[0, 0, 0] = 0.0  # translations
        self._magnitude = float(np.abs(inverse).max()) or 1.0
        packed = inverse[..., (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)] / self._magnitude
        self._inverse = np.ascontiguousarray(packed.reshape(-1, 6), dtype=np.float32)
        self._field = np.zeros((grid.n_voxels, WIDTH), dtype=np.float32)
        self._parts = np.empty((PARTS, LOADS))

    def apply(
        self, r: np.ndarray, norm: np.ndarray, nodes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z = M r for residuals r (n_nodes, 18) with Euclidean norms `norm` (6,).

        Returns
        -------
        z : (n_voxels, 18) float32
            The result on the whole grid divided by `scale`.
        scale : (6,)
        rz : (6,)
            Products r . z per load, scale included.
        """
        shrink = np.where(norm > 0.0, 1.0 / np.where(norm > 0.0, norm, 1.0), 0.0)
        to_grid(shrink, r, nodes, self._field)
        axes = (0, 1, 2)
        field = self._field.reshape(*self.grid.shape, WIDTH)
        spectrum = scipy.fft.rfftn(field, axes=axes, workers=self.threads)
        apply_symbol(self._inverse, spectrum.view(np.float32).reshape(-1, 2 * WIDTH))
        z = scipy.fft.irfftn(
            spectrum, s=self.grid.shape, axes=axes, workers=self.threads, overwrite_x=True
        )
        z = z.reshape(-1, WIDTH)
        scale = norm * self._magnitude
        grid_dot(scale, r, nodes, z, self._parts)
        return z, scale, self._parts.sum(axis=0)
