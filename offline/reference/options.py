"""How accurate a full-field simulation is, and when it gives up."""

from __future__ import annotations

import os
from dataclasses import dataclass

from matnet.errors import ParameterError

__all__ = ["ELEMENTS", "ReferenceOptions"]

ELEMENTS = ("b-bar", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceOptions:
    """When to stop, when to cut a step, how many threads to use.

    Parameters
    ----------
    tol : float
        Residual of equilibrium at which a step is done, relative to the stress in the cell; both
        measured as elastic energies of a reference medium. About the relative error of the
        local stresses; the macroscopic ones are better. Below 1e-9 a step also ends where
        round-off lets the residual fall no further.
    max_iterations : int
        Newton iterations per (part of a) step.
    max_linear : int
        Iterations of the linear solver per Newton iteration.
    max_halvings : int
        How often a step that fails may be halved.
    element : {"b-bar", "full"}
        With the mean dilatation of the voxel at all its integration points, which keeps coarse
        cells from locking in plastic flow; or the plain element, that of `matnet homogenize`.
    tangent : bool
        Whether to compute the macroscopic tangent of every step: six linear solves more.
    allow_disconnected : bool
        Accept a solid that does not hold together in every direction.
    threads : int, optional
        Default: all cores this process may use. Results do not depend on it.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    tol: float = 1e-6
    max_iterations: int = 25
    max_linear: int = 500
    max_halvings: int = 8
    element: str = "b-bar"
    tangent: bool = False
    allow_disconnected: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.tol < 1.0:
            raise ParameterError(f"tol is {self.tol}, expected a number between 0 and 1.")
        if self.element not in ELEMENTS:
            raise ParameterError(
                f"element is '{self.element}', expected one of {', '.join(ELEMENTS)}."
            )
        for name, least in (
            ("max_iterations", 1),
            ("max_linear", 1),
            ("max_halvings", 0),
            ("threads", 1),
        ):
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < least):
                raise ParameterError(f"{name} is {value}, expected a whole number >= {least}.")

    @property
    def n_threads(self) -> int:
        """Threads to use now."""
        if self.threads is not None:
            return int(self.threads)
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
