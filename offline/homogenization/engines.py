"""Solvers by name. An engine takes an operator, options, a start and a progress callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from matnet.errors import ParameterError
from offline.homogenization.multigrid import multigrid_of
from offline.homogenization.options import SolverOptions, multigrid_pays
from offline.homogenization.pcg import Progress, Solution, pcg

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["ENGINES", "LEARNED", "Engine", "auto", "cgins", "engine", "fourier", "multigrid"]

LEARNED = ("cgins", "phnet", "label-free")  # surrogates whose prediction is a start
# Measured, see docs/multigrid.md: beyond, point smoothers are slow and error estimates too low.
MULTIGRID_ASPECT = 8.0
MULTIGRID_CONTRAST = 1e3
Engine = Callable[["CellOperator", SolverOptions, "np.ndarray | None", "Progress | None"], Solution]


def fourier(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Conjugate gradients with the Fourier preconditioner; on CUDA if the options say so."""
    if options.device.startswith("cuda"):
        from offline.homogenization.gpu.solve import solve_operator

        return solve_operator(operator, options, start, progress)
    return pcg(operator, operator.preconditioner, options, start, progress)


def multigrid(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Conjugate gradients with geometric multigrid; on the CPU only."""
    options.resolve_device(operator.solver.grid.n_voxels)  # refuses CUDA
    return pcg(operator, multigrid_of(operator), options, start, progress)


def auto(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """The faster of both: multigrid, on the CPU, where the solid touches few of the nodes."""
    grid = operator.solver.grid
    pays = (
        not options.device.startswith("cuda")
        and multigrid_pays(grid.n_voxels, operator.mesh.n_nodes)
        and operator.contrast <= MULTIGRID_CONTRAST
        and np.linalg.cond(grid.cell / np.array(grid.shape)[:, None]) <= MULTIGRID_ASPECT
    )
    return (multigrid if pays else fourier)(operator, options, start, progress)


def cgins(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """`auto` from a learned start; see `offline.surrogates.learned_start`."""
    return _learned("cgins", "")(operator, options, start, progress)


ENGINES: dict[str, Engine] = {
    "fourier": fourier,
    "multigrid": multigrid,
    "auto": auto,
    "cgins": cgins,
}


def engine(name: str) -> Engine:
    """The engine called `name`; ``cgins:PATH`` takes the weights at PATH, see `LEARNED`.

    Raises
    ------
    ParameterError
        No engine has this name.
    """
    kind, _, stem = name.partition(":")
    if kind in LEARNED:
        return _learned(kind, stem)
    if name not in ENGINES:
        known = dict.fromkeys((*ENGINES, *LEARNED))
        raise ParameterError(f"engine '{name}' is unknown, expected one of {', '.join(known)}.")
    return ENGINES[name]


def _learned(kind: str, stem: str) -> Engine:
    """The learned start with the weights at `stem`, or shipped ones; torch is imported now."""
    from offline.surrogates.learned_start import LearnedStart

    return LearnedStart(kind, stem or None)
