"""Geometry of the periodic grid of trilinear hexahedra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError, require_finite, require_shape
from matnet.mandel import to_mandel

__all__ = ["CORNERS", "MODES", "HexGrid"]

# Local node a sits at corner CORNERS[a] of the voxel, 0 at the origin's side.
CORNERS = np.array(list(product((0, 1), repeat=3)))
CORNERS.setflags(write=False)

# Row m: coefficients of the element mode prod_d xi_d^CORNERS[m, d] at the nodes (xi = -1, 1).
MODES = np.array([[np.prod((2 * a - 1) ** m) for a in CORNERS] for m in CORNERS], dtype=float)
MODES.setflags(write=False)


@dataclass(frozen=True, slots=True)
class HexGrid:
    r"""Equal parallelepiped elements, trilinear, full 2x2x2 Gauss integration.

    Node ``(i, j, k)`` is the corner of voxel ``(i, j, k)`` nearest the origin; nodes repeat
    periodically, so that there are as many nodes as voxels. All elements are equal:
    :math:`x = x_0 + \sum_d \xi_d\, a_d / n_d`, hence one constant Jacobian.

    Parameters
    ----------
    shape : (int, int, int)
        Voxels along each lattice vector.
    cell : (3, 3)
        Rows are the lattice vectors [any length unit].

    Attributes
    ----------
    gauss_b : (8, 6, 24)
        Mandel strain-displacement matrices: ``eps = gauss_b[g] @ u_e`` with ``u_e`` the
        displacements of local nodes 0 to 7, three components each [1/length].
    weight : float
        Volume that each Gauss point stands for [length cubed].

    Raises
    ------
    ShapeError, ParameterError
        An axis is empty or the lattice vectors span no volume.

    Examples
    --------
    >>> grid = HexGrid((4, 4, 2), np.diag([2.0, 2.0, 1.0]))
    >>> grid.gauss_b.shape, round(grid.weight * 8, 12)
    ((8, 6, 24), 0.125)
    """

    shape: tuple[int, int, int]
    cell: np.ndarray
    gauss_b: np.ndarray = field(init=False, repr=False)
    weight: float = field(init=False)

    def __post_init__(self) -> None:
        cell = np.array(self.cell, dtype=float)
        require_shape("cell", cell, (3, 3))
        require_finite("cell", cell)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ShapeError(f"shape is {tuple(self.shape)}, expected three positive numbers.")
        edges = cell / np.array(self.shape)[:, None]
        volume = float(np.linalg.det(edges))
        if volume <= 0.0:
            raise ParameterError(
                f"cell has volume {np.linalg.det(cell):.3g}, "
                "expected three right-handed lattice vectors (rows)."
            )
        gauss_b = _strain_displacement(np.linalg.inv(edges))
        for name, array in (("cell", cell), ("gauss_b", gauss_b)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "weight", volume / 8.0)

    @property
    def n_voxels(self) -> int:
        """Number of voxels, and of nodes."""
        return int(np.prod(self.shape))

    @property
    def volume(self) -> float:
        """Volume of the whole cell [length cubed]."""
        return 8.0 * self.weight * self.n_voxels

    def element_stiffness(self, stiffness: Any) -> np.ndarray:
        r""":math:`K_e = \sum_g w B_g^T C B_g` (..., 24, 24) of stiffnesses C (..., 6, 6)."""
        c = np.asarray(stiffness, dtype=float)
        b = self.gauss_b
        ke = self.weight * np.einsum("gia,...ij,gjb->...ab", b, c, b, optimize=True)
        return np.asarray(0.5 * (ke + np.swapaxes(ke, -1, -2)))

    def element_load(self, stiffness: Any) -> np.ndarray:
        r""":math:`f_e = \sum_g w B_g^T C` (..., 24, 6): column k loads with unit strain k."""
        c = np.asarray(stiffness, dtype=float)
        return np.asarray(self.weight * np.einsum("ia,...ik->...ak", self.gauss_b.sum(0), c))

    def node_ids(self, voxels: np.ndarray) -> np.ndarray:
        """Periodic numbers (m, 8) of the nodes around voxels given by flat number (m,)."""
        index = np.array(np.unravel_index(voxels, self.shape))
        corners = (index[:, :, None] + CORNERS.T[:, None, :]) % np.array(self.shape)[:, None, None]
        return np.asarray(np.ravel_multi_index(tuple(corners), self.shape))


def gauss_points(n: int = 2) -> Sequence[tuple[float, ...]]:
    """The Gauss points of the unit cube, last axis fastest."""
    points, _ = np.polynomial.legendre.leggauss(n)
    return list(product(0.5 * (points + 1.0), repeat=3))


def _strain_displacement(inverse_jacobian: np.ndarray) -> np.ndarray:
    """Mandel B (8, 6, 24) at the Gauss points; `inverse_jacobian` holds d xi / d x."""
    b = np.empty((8, 6, 24))
    for g, xi in enumerate(gauss_points()):
        # along axis d the shape function of corner a is xi_d or 1 - xi_d
        factors = np.where(CORNERS == 1, xi, 1.0 - np.array(xi))
        slopes = 2.0 * CORNERS - 1.0
        local = np.stack(
            [slopes[:, d] * np.delete(factors, d, axis=1).prod(axis=1) for d in range(3)], axis=1
        )
        gradient = local @ inverse_jacobian.T
        for a, i in product(range(8), range(3)):
            outer = np.zeros((3, 3))
            outer[i] = gradient[a]
            b[g, :, 3 * a + i] = to_mandel(0.5 * (outer + outer.T))
    return b
