"""Linear solvers: a direct one by default, multigrid with rigid body modes, any PETSc options."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np
from petsc4py import PETSc

from umat_bridge.dolfinx import compat

__all__ = ["gamg_options", "linear_solver", "rigid_body_modes"]

_numbers = count()


def gamg_options(rtol: float = 1e-8, *, symmetric: bool = True) -> dict[str, Any]:
    """PETSc options for smoothed aggregation with the displacement's rigid body modes.

    Parameters
    ----------
    rtol : float
        Of the Krylov solver.
    symmetric : bool
        False for materials whose tangent is not symmetric: GMRES instead of CG.
    """
    return {
        "ksp_type": "cg" if symmetric else "gmres",
        "ksp_rtol": rtol,
        "ksp_max_it": 500,
        "pc_type": "gamg",
        "pc_gamg_agg_nsmooths": 1,
        "mg_levels_ksp_type": "chebyshev",
        "mg_levels_pc_type": "jacobi",
    }


def linear_solver(matrix: Any, options: Mapping[str, Any] | None) -> Any:
    """A PETSc KSP for a matrix, with options by name without prefix.

    Without options, a direct solver: MUMPS, SuperLU or PETSc's own. Options may also come from the
    command line, with the KSP's prefix ``matnet_0_``, ``matnet_1_``, ...
    """
    ksp = PETSc.KSP().create(matrix.getComm())
    ksp.setOperators(matrix)
    prefix = f"matnet_{next(_numbers)}_"
    ksp.setOptionsPrefix(prefix)
    if not options:
        ksp.setType("preonly")
        ksp.getPC().setType("lu")
        package = compat.direct_solver()
        if package is not None:
            ksp.getPC().setFactorSolverType(package)
    database = PETSc.Options()
    for name, value in (options or {}).items():
        database[prefix + name] = value
    # multigrid reads the options of its levels at the first solve: they stay in the database
    ksp.setFromOptions()
    return ksp


def rigid_body_modes(space: Any) -> Any:
    """Near null space of elasticity for multigrid: translations and rotations, orthonormal.

    Parameters
    ----------
    space : dolfinx function space
        Of the displacement, two or three components.

    Returns
    -------
    petsc4py.PETSc.NullSpace
        For ``matrix.setNearNullSpace``; `Problem` does that by itself.
    """
    size = space.dofmap.index_map_bs
    owned = space.dofmap.index_map.size_local
    x = space.tabulate_dof_coordinates()[:owned]
    modes = np.zeros((3 if size == 2 else 6, owned, size))
    for i in range(size):
        modes[i, :, i] = 1.0
    planes = ((0, 1),) if size == 2 else ((0, 1), (0, 2), (1, 2))
    for mode, (i, j) in zip(modes[size:], planes, strict=True):
        mode[:, i], mode[:, j] = -x[:, j], x[:, i]
    flat = _orthonormal(modes.reshape(len(modes), -1), space.mesh.comm)
    vectors = []
    for mode in flat:
        vector = PETSc.Vec().createMPI((owned * size, PETSc.DETERMINE), comm=space.mesh.comm)
        vector.setArray(mode)
        vectors.append(vector)
    return PETSc.NullSpace().create(vectors=vectors, comm=space.mesh.comm)


def _orthonormal(modes: np.ndarray, comm: Any) -> np.ndarray:
    """Gram-Schmidt over all ranks."""
    result = modes.copy()
    for i, mode in enumerate(result):
        for other in result[:i]:
            mode -= comm.allreduce(float(other @ mode)) * other
        mode /= np.sqrt(comm.allreduce(float(mode @ mode)))
    return result
