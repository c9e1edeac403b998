r"""Derivatives of the effective stiffness by the density of each voxel.

With :math:`C_e = \rho_e C` in voxel e, the energy form

.. math:: C^H_{kl} = \frac1{|Y|} \sum_e \rho_e \int_e (e_0^k - B u^k)^T C\, (e_0^l - B u^l)

is stationary in the fluctuations u at the solution, so that nothing but the explicit factor is
left of the derivative: no adjoint problem (Bendsøe & Sigmund, *Topology Optimization*, 2003,
section 2.1, for the load cases of homogenisation; Sigmund, *Int. J. Solids Struct.* 31, 1994,
2313-2329).

.. math:: \frac{\partial C^H_{kl}}{\partial \rho_e}
          = \frac1{|Y|} \int_e (e_0^k - B u^k)^T C\, (e_0^l - B u^l)

Its error is of first order in that of u, while C^H itself is second order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from matnet.errors import require_shape
from matnet.mandel import from_mandel
from offline.homogenization.grid import CORNERS, HexGrid
from offline.homogenization.node_kernels import LOADS
from offline.homogenization.solver import CellOperator

__all__ = ["density_sensitivity", "element_sensitivity"]


def element_sensitivity(operator: CellOperator, field: np.ndarray) -> np.ndarray:
    """Derivatives (n_elements, 6, 6) of C^H by the densities of the active elements.

    Parameters
    ----------
    operator : CellOperator
    field : (n_nodes, 18)
        Its solution, as `CellOperator.solve` returns it.
    """
    grid, mesh = operator.solver.grid, operator.mesh
    result = np.empty((mesh.n_elements, LOADS, LOADS))
    with operator.solver.use_threads():
        _energies(
            mesh.elements,
            mesh.phase,
            grid.element_stiffness(operator.stiffness),
            _macro_displacement(grid),
            np.ascontiguousarray(field, dtype=float).reshape(-1, 3, LOADS),
            1.0 / grid.volume,
            result,
        )
    return result


def density_sensitivity(operator: CellOperator, displacement: Any, weight: Any) -> np.ndarray:
    """Derivative (n1, n2, n3) of ``sum_kl weight_kl C^H_kl`` by the density of each voxel.

    Parameters
    ----------
    operator : CellOperator
        Of the cell with its densities.
    displacement : (6, n1, n2, n3, 3)
        Its fluctuations, as `homogenize` returns them.
    weight : (6, 6)

    Returns
    -------
    (n1, n2, n3)
        Zero at void voxels and those of density 0: they carry no strain that is known.

    Raises
    ------
    ShapeError
        An array has another shape.

    Examples
    --------
    Twice the density in all of a cell is twice the stiffness:

    >>> from offline.homogenization import CellSolver
    >>> from offline.rve import Rve
    >>> solver = CellSolver(Rve(phases=np.zeros((2, 2, 2), dtype=np.uint8)))
    >>> operator = solver.with_stiffness([np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])])
    >>> at_rest = np.zeros((6, 2, 2, 2, 3))
    >>> float(density_sensitivity(operator, at_rest, np.eye(6)).sum())
    21.0
    """
    w = np.asarray(weight, dtype=float)
    require_shape("weight", w, (LOADS, LOADS))
    solver = operator.solver
    parts = element_sensitivity(operator, solver.pack(displacement))
    result = np.zeros(solver.grid.n_voxels)
    result[operator.mesh.voxels] = np.einsum("ekl,kl->e", parts, w)
    return result.reshape(solver.grid.shape)


def _macro_displacement(grid: HexGrid) -> np.ndarray:
    """Nodal displacements ``E x`` (24, 6) of one element under the unit strains."""
    corners = CORNERS @ (grid.cell / np.array(grid.shape)[:, None])
    nodal = np.einsum("ad,kdi->aik", corners, from_mandel(np.eye(LOADS)))
    return np.ascontiguousarray(nodal.reshape(24, LOADS))


@njit(cache=True, parallel=True)
def _energies(
    elements: np.ndarray,
    phase: np.ndarray,
    ke: np.ndarray,
    macro: np.ndarray,
    u: np.ndarray,
    factor: float,
    out: np.ndarray,
) -> None:
    """out (n, 6, 6) = factor d^T Ke d with d (24, 6) the macro displacement less u."""
    for e in prange(elements.shape[0]):
        d = np.empty((24, 6))
        for a in range(8):
            node = elements[e, a]
            for i in range(3):
                for load in range(6):
                    d[3 * a + i, load] = macro[3 * a + i, load] - u[node, i, load]
        stress = np.dot(ke[phase[e]], d)
        for k in range(6):
            for m in range(k + 1):
                total = 0.0
                for row in range(24):
                    total += d[row, k] * stress[row, m]
                out[e, k, m] = total * factor
                out[e, m, k] = total * factor
