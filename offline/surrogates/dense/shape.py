r"""The shape-material transformation: a parallelepiped as a cube of another material.

Voxel coordinates xi in [0, n] map to :math:`x = h J \xi` with one matrix J of determinant 1 and one
length h. With :math:`\hat u = J^T u / h` the strain on the grid of unit cubes is
:math:`\hat\varepsilon = J^T \varepsilon J = M \varepsilon` (M: 6x6 in Mandel form), and with

.. math:: \hat C = M^{-T} C M^{-1}, \qquad C^H = M^T \hat C^H M

energies, and with them the discrete problem, are the same on both (PH-Net, eq. 7, 8 and appendix
A). A single J holds for all voxels only if the cell is a parallelepiped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_finite, require_shape
from matnet.mandel import from_mandel, to_mandel

__all__ = ["Shape"]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How unit cubes become the voxels of a cell.

    Attributes
    ----------
    jacobian : (3, 3)
        J, determinant 1.
    length : float
        h, the cube root of a voxel's volume [length].
    strain_map : (6, 6)
        M, Mandel.

    Examples
    --------
    >>> shape = Shape.of(np.diag([2.0, 2.0, 2.0]), (4, 4, 4))
    >>> round(shape.length, 12), np.allclose(shape.to_cube(np.eye(6)), np.eye(6))
    (0.5, True)
    """

    jacobian: np.ndarray
    length: float
    strain_map: np.ndarray

    @classmethod
    def of(cls, cell: Any, shape: tuple[int, int, int]) -> Shape:
        """The map to a cell whose lattice vectors are the rows of `cell` (3, 3).

        Raises
        ------
        ShapeError, ParameterError
            The lattice vectors span no volume.
        """
        rows = np.array(cell, dtype=float)
        require_shape("cell", rows, (3, 3))
        require_finite("cell", rows)
        edges = (rows / np.array(shape)[:, None]).T
        volume = float(np.linalg.det(edges))
        if volume <= 0.0:
            raise ParameterError(
                f"cell has volume {np.linalg.det(rows):.3g}, expected three right-handed lattice "
                "vectors (rows)."
            )
        length = volume ** (1.0 / 3.0)
        jacobian = edges / length
        return cls(jacobian, length, _strain_map(jacobian))

    def to_cube(self, stiffness: Any) -> np.ndarray:
        """C_hat (..., 6, 6) of stiffnesses C of the cell, both Mandel [stress unit]."""
        inverse = np.linalg.inv(self.strain_map)
        return np.asarray(inverse.T @ np.asarray(stiffness, dtype=float) @ inverse)

    def from_cube(self, stiffness: Any) -> np.ndarray:
        """C (..., 6, 6) of stiffnesses C_hat on the cube; `to_cube` backwards."""
        m = self.strain_map
        return np.asarray(m.T @ np.asarray(stiffness, dtype=float) @ m)

    def displacement(self, cube: Any) -> np.ndarray:
        """Fluctuations of the cell's unit strains from those of the cube's.

        Parameters
        ----------
        cube : (6, n1, n2, n3, 3)
            u_hat of the six unit strains on unit cubes.

        Returns
        -------
        (6, n1, n2, n3, 3) [length]
        """
        per_cell_load = np.einsum("lk,l...i->k...i", self.strain_map, np.asarray(cube))
        back = self.length * np.linalg.inv(self.jacobian)
        return np.asarray(np.einsum("i...j,ja->i...a", per_cell_load, back))

    def to_cube_displacement(self, displacement: Any) -> np.ndarray:
        """`displacement` backwards: (6, n1, n2, n3, 3), on unit cubes."""
        inverse = np.linalg.inv(self.strain_map)
        per_cube_load = np.einsum("lk,l...i->k...i", inverse, np.asarray(displacement))
        forth = self.jacobian / self.length
        return np.asarray(np.einsum("i...j,ja->i...a", per_cube_load, forth))


def _strain_map(jacobian: np.ndarray) -> np.ndarray:
    """M (6, 6) with ``to_mandel(J^T eps J) = M to_mandel(eps)``."""
    basis = from_mandel(np.eye(6))
    return np.asarray(to_mandel(jacobian.T @ basis @ jacobian).T)
