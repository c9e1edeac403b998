"""Solvers by name. An engine takes an operator, options, a start and a progress callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from matnet.errors import ParameterError
from offline.homogenization.multigrid import multigrid_of
from offline.homogenization.options import SolverOptions
from offline.homogenization.pcg import Progress, Solution, pcg

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["ENGINES", "Engine", "auto", "engine", "fourier", "multigrid"]

Engine = Callable[["CellOperator", SolverOptions, "np.ndarray | None", "Progress | None"], Solution]

# Measured, see docs/multigrid.md.
SOLID_NODES = 0.4  # multigrid's time follows the nodes of the solid, that of transforms all voxels
MULTIGRID_NODES = 5000  # fewer: multigrid's preparation takes longer than the solve


def fourier(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Conjugate gradients with the Fourier preconditioner."""
    return pcg(operator, operator.preconditioner, options, start, progress)


def multigrid(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Conjugate gradients with geometric multigrid."""
    return pcg(operator, multigrid_of(operator), options, start, progress)


def auto(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """The faster of both: multigrid where the solid touches few of the nodes."""
    nodes = operator.mesh.n_nodes
    thin = MULTIGRID_NODES <= nodes <= SOLID_NODES * operator.solver.grid.n_voxels
    return (multigrid if thin else fourier)(operator, options, start, progress)


ENGINES: dict[str, Engine] = {"fourier": fourier, "multigrid": multigrid, "auto": auto}


def engine(name: str) -> Engine:
    """The engine called `name`.

    Raises
    ------
    ParameterError
        No engine has this name.
    """
    if name not in ENGINES:
        raise ParameterError(f"engine '{name}' is unknown, expected one of {', '.join(ENGINES)}.")
    return ENGINES[name]
