"""How the equations of a network are solved."""

from __future__ import annotations

from dataclasses import dataclass

from matnet.errors import ParameterError, require_between

__all__ = ["SOLVERS", "SolverOptions"]

SOLVERS = (
    "tree-newton",
    "dense-newton",
    "fixed-point",
    "dmn",
    "dmn-no-residual",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverOptions:
    """Options of `matnet.Material`.

    Parameters
    ----------
    solver : str
        ``tree-newton``: exact Newton by elimination along the tree, compiled, the one to use. The
        documents' own, in numpy, for comparison: ``dense-newton`` (He et al., algorithm 3),
        ``fixed-point`` (algorithm 2), ``dmn`` and ``dmn-no-residual`` (algorithm 1 with and
        without residual stress).
    tol : float
        Largest traction jump across the interfaces, relative to the stress in the base nodes (root
        mean squares). For the documents' fixed-point solvers also the relative change of the base
        nodes' strains.
    max_iterations : int
        Newton iterations (evaluations of all phase laws) per attempt.
    max_cuts : int
        How often the load increment is halved when an attempt fails, before the point is given up.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    solver: str = "tree-newton"
    tol: float = 1e-8
    max_iterations: int = 30
    max_cuts: int = 6

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ParameterError(
                f"solver '{self.solver}' is unknown, expected one of {', '.join(SOLVERS)}."
            )
        require_between(self, "tol", low=0.0, high=1e-2)
        if self.max_iterations < 2 or self.max_cuts < 0:
            raise ParameterError(
                f"max_iterations = {self.max_iterations} and max_cuts = {self.max_cuts}, "
                "expected at least 2 and 0."
            )
