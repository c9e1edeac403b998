"""What a solve may be asked for, and how it ended."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass

from matnet.errors import ParameterError

__all__ = ["SolverOptions", "Status"]


class Status(enum.Enum):
    """How a solve ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverOptions:
    """When to stop, and with which engine.

    Parameters
    ----------
    tol : float
        Estimated error of the effective stiffness relative to its Frobenius norm. The energy form
        is second order in the residual: 1e-6 leaves residuals around 1e-3.
    residual_tol : float, optional
        Stop each load case at this ``||K u - f|| / ||f||`` instead (for local fields).
    max_iterations : int
    engine : str
        Name of the solver, a key of `offline.homogenization.engines.ENGINES`.
    threads : int, optional
        Default: all cores this process may use.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    tol: float = 1e-6
    residual_tol: float | None = None
    max_iterations: int = 2000
    engine: str = "fourier"
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("tol", "residual_tol"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < 1.0:
                raise ParameterError(f"{name} is {value}, expected a number between 0 and 1.")
        for name in ("max_iterations", "threads"):
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < 1):
                raise ParameterError(f"{name} is {value}, expected a positive whole number.")

    @property
    def n_threads(self) -> int:
        """Threads to use now."""
        if self.threads is not None:
            return int(self.threads)
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
