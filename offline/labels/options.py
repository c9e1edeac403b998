"""What labels are asked for, and how a run reports."""

from __future__ import annotations

from dataclasses import dataclass, field

from matnet.errors import ParameterError
from offline.labels.sampling import SamplingOptions

__all__ = ["LabelOptions", "LabelProgress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """How many labels, of which stiffnesses, how exact.

    Parameters
    ----------
    n : int
        Number of labels.
    tol : float
        Largest estimated relative Frobenius error of a label.
    seed : int
        Of the samples, the test fields and the random snapshots.
    sampling : SamplingOptions
    direct : bool
        Solve every label fully instead of using a reduced basis.
    batch : int
        Snapshots between two looks at the errors: one random, the others the worst.
    workers : int, optional
        Processes for full solutions. Default 1: this process, with all its cores. The labels do
        not depend on it.
    max_iterations : int
        Of the full solver.
    engine : str
        Name of the full solver, see `offline.homogenization.engines`. Solutions that have a start
        from the reduced basis begin there, whatever the engine.
    allow_disconnected : bool
        Accept a solid that does not hold together in every direction.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    n: int = 500
    tol: float = 1e-3
    seed: int = 0
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    direct: bool = False
    batch: int = 4
    workers: int | None = None
    max_iterations: int = 2000
    engine: str = "auto"
    allow_disconnected: bool = False

    def __post_init__(self) -> None:
        for name in ("n", "batch", "workers", "max_iterations"):
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < 1):
                raise ParameterError(f"{name} is {value}, expected a positive whole number.")
        if not 1e-9 <= self.tol < 1.0:
            raise ParameterError(f"tol is {self.tol}, expected a number from 1e-9 to 1.")

    @property
    def solver_tol(self) -> float:
        """Error allowed in a full solution: small beside `tol`, so that errors can be measured."""
        return self.tol if self.direct else 0.02 * self.tol


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelProgress:
    """Where a run stands.

    Attributes
    ----------
    done : int
        Labels within the tolerance.
    n : int
        Labels wanted.
    snapshots : int
        Full solutions so far.
    worst, median : float
        Estimated relative errors of the labels.
    memory : float
        Memory of fields and products so far [bytes].
    """

    done: int
    n: int
    snapshots: int
    worst: float
    median: float
    memory: float
