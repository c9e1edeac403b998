"""One unseen cell that several surrogates are judged by, all in the same linear system.

`judge` measures a network in its own system, with the soft material that it puts into void; those
differ between architectures. Here every network is measured in that of the cell itself, with plain
void, so that residuals and steps of conjugate gradients can be compared.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.homogenization import CellSolver, homogenize
from offline.surrogates.evaluation.judge import LIMIT, REFERENCE, TARGET
from offline.surrogates.evaluation.system import CellSystem
from offline.surrogates.families import Sample
from offline.surrogates.label_free.metrics import component_error

__all__ = ["Exam", "Marks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How far one answer is from the solver's.

    Attributes
    ----------
    delta : float
        ``||C - C_ref||_F / ||C_ref||_F``, C in energy form of the displacement [-].
    components : float
        Mean relative error of the entries, eq. 32 to 34 of the label-free CNN paper [-].
    residual : float or None
        ``||K u - f|| / ||f||``, mean of six loads; None without a displacement.
    iterations : int or None
        Jacobi-PCG steps from the displacement until all six residuals are at most 1e-3.
    """

    delta: float
    components: float
    residual: float | None = None
    iterations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """A cell, its linear system and its solution.

    Attributes
    ----------
    sample : Sample
    system : CellSystem
        With plain void.
    stiffness : (6, 6)
        C^H of our solver at tolerance 1e-8 [stress unit].
    iterations : int
        Jacobi-PCG steps from zero until all six residuals are at most 1e-3.
    seconds : float
        Of the solver [s].
    """

    sample: Sample
    system: CellSystem
    stiffness: np.ndarray
    iterations: int
    seconds: float

    @classmethod
    def of(cls, sample: Sample) -> Exam:
        """Solve the cell of a sample."""
        began = time.perf_counter()
        exact = homogenize(sample.rve, sample.stiffnesses, REFERENCE).stiffness
        seconds = time.perf_counter() - began
        c = np.asarray(sample.stiffnesses, dtype=float)
        solver = CellSolver(sample.rve, void=~c.any(axis=(1, 2)), threads=REFERENCE.n_threads)
        system = CellSystem(solver.with_stiffness(c))
        steps = system.steps(np.zeros_like(system.load), TARGET, LIMIT)
        return cls(
            sample=sample,
            system=system,
            stiffness=exact,
            iterations=int(steps.iterations.max()),
            seconds=seconds,
        )

    def of_displacement(self, u: Any) -> Marks:
        """Marks of fluctuations u (6, n1, n2, n3, 3) [length]."""
        start = self.system.operator.solver.pack(u)
        marks = self.of_stiffness(self.system.stiffness(start))
        return Marks(
            delta=marks.delta,
            components=marks.components,
            residual=float(self.system.residual(start).mean()),
            iterations=int(self.system.steps(start, TARGET, LIMIT).iterations.max()),
        )

    def of_stiffness(self, stiffness: np.ndarray) -> Marks:
        """Marks of an effective stiffness (6, 6) without a displacement [stress unit]."""
        gap = np.linalg.norm(stiffness - self.stiffness) / np.linalg.norm(self.stiffness)
        components = component_error(stiffness[None], self.stiffness[None])[0]
        return Marks(delta=float(gap), components=float(components))
