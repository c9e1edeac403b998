"""The macroscopic tangent of the last evaluation."""

from __future__ import annotations

import numpy as np

from offline.reference.cell import NonlinearCell
from offline.reference.krylov import bicgstab, pcg
from offline.reference.options import ReferenceOptions

__all__ = ["macroscopic_tangent"]

ACCURACY = 1e-2  # of the linear solves, relative to the tolerance of the simulation


def macroscopic_tangent(cell: NonlinearCell, options: ReferenceOptions) -> np.ndarray:
    r"""Derivative (6, 6) of the macroscopic stress by the macroscopic strain [stress unit].

    The fluctuations follow each unit strain so that forces stay balanced:
    :math:`K u^k = -f(e^k)`; column k is the stress of ``(u^k, e^k)``.
    """
    solve = pcg if cell.laws.symmetric else bicgstab
    fixed = np.zeros(0, dtype=np.int64)
    result, forces = np.empty((6, 6)), cell.zeros()
    for k in range(6):
        unit = cell.zeros()
        unit[-2:].reshape(6)[k] = 1.0
        cell.apply(unit, fixed, forces)
        u, _ = solve(cell, -forces, fixed, ACCURACY * options.tol, options.max_linear)
        unit[:-2] = u[:-2]
        result[:, k] = cell.apply(unit, fixed, forces)
    return 0.5 * (result + result.T) if cell.laws.symmetric else result
