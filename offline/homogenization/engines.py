"""Solvers by name. An engine takes an operator, options, a start and a progress callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from matnet.errors import ParameterError
from offline.homogenization.options import SolverOptions
from offline.homogenization.pcg import Progress, Solution, pcg

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["ENGINES", "Engine", "engine"]

Engine = Callable[["CellOperator", SolverOptions, "np.ndarray | None", "Progress | None"], Solution]


def fourier(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """Conjugate gradients with the Fourier preconditioner."""
    return pcg(operator, operator.preconditioner, options, start, progress)


ENGINES: dict[str, Engine] = {"fourier": fourier}


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
