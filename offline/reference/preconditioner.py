r"""Inverse of the same problem with one stiffness everywhere, macroscopic strain included.

With one stiffness C everywhere, a uniform strain loads no node, so the coupled matrix of
fluctuations and macroscopic strain falls apart: a 3x3 product per frequency
(`offline.homogenization.fourier`) and :math:`|Y| C_{ff}` for the free strain components.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
import scipy.fft
from numba import njit

from offline.homogenization.fourier import invert_symmetric, reference_symbol
from offline.homogenization.grid import HexGrid
from offline.reference.vectors import from_grid, to_grid

__all__ = ["ReferencePreconditioner"]


class ReferencePreconditioner:
    """Inverse with a reference medium, on the cell mapped to unit voxels.

    Parameters
    ----------
    grid : HexGrid
        Of unit voxels.
    nodes : (n_nodes,) int
        Flat numbers of the active nodes.
    stiffness : (6, 6)
        Of the reference medium, on unit voxels, positive definite.
    to_unit : (6, 6)
        Macroscopic strains to strains on unit voxels.
    threads : int
        Threads of the Fourier transforms.
    """

    def __init__(
        self,
        grid: HexGrid,
        nodes: np.ndarray,
        stiffness: np.ndarray,
        to_unit: np.ndarray,
        threads: int,
    ) -> None:
        self.grid, self.nodes, self.threads = grid, nodes, threads
        self.compliance = np.linalg.inv(stiffness)
        self._macro = grid.volume * to_unit.T @ stiffness @ to_unit
        inverse = reference_symbol(grid, stiffness).reshape(-1, 6)
        invert_symmetric(inverse[1:])
        inverse[0] = 0.0  # translations
        self._magnitude = float(np.abs(inverse).max()) or 1.0
        self._inverse = (inverse / self._magnitude).astype(np.float32)
        self._field = np.zeros((3, grid.n_voxels), dtype=np.float32)

    def apply(self, r: np.ndarray, size: float, free: np.ndarray, z: np.ndarray) -> None:
        """z = M r for vectors (n_nodes + 2, 3) whose last six entries are macroscopic.

        `size` of r only keeps single precision in range; `free` numbers the free components.
        """
        z[-2:] = 0.0
        if free.size:
            block = self._macro[np.ix_(free, free)]
            z[-2:].reshape(6)[free] = np.linalg.solve(block, r[-2:].ravel()[free])
        if size == 0.0:
            z[:-2] = 0.0
            return
        to_grid(r[:-2], 1.0 / size, self.nodes, self._field)
        axes, shape = (1, 2, 3), self.grid.shape
        field = self._field.reshape(3, *shape)
        spectrum = scipy.fft.rfftn(field, axes=axes, workers=self.threads)
        _apply_symbol(self._inverse, spectrum.reshape(3, -1))
        result = scipy.fft.irfftn(
            spectrum, s=shape, axes=axes, workers=self.threads, overwrite_x=True
        )
        from_grid(result.reshape(3, -1), size * self._magnitude, self.nodes, z[:-2])


@njit(cache=True)
def _apply_symbol(inverse, spectrum):
    """spectrum (3, m) <- inverse (m, 6), stored 11 22 33 12 13 23, times spectrum."""
    for f in range(spectrum.shape[1]):
        x, y, z = spectrum[0, f], spectrum[1, f], spectrum[2, f]
        spectrum[0, f] = inverse[f, 0] * x + inverse[f, 3] * y + inverse[f, 4] * z
        spectrum[1, f] = inverse[f, 3] * x + inverse[f, 1] * y + inverse[f, 5] * z
        spectrum[2, f] = inverse[f, 4] * x + inverse[f, 5] * y + inverse[f, 2] * z
