"""One cell: what was predicted against what the project's own solver finds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.homogenization.solver import CellOperator
from offline.rve.rve import Rve
from offline.surrogates.evaluation.predictor import Cell, Predictor
from offline.surrogates.evaluation.system import CellSystem
from offline.surrogates.families import Sample

__all__ = ["History", "Judged", "history", "judge"]

REFERENCE = SolverOptions(tol=1e-8, device="cpu")
TARGET = 1e-3  # residual at which iterations are counted
LIMIT = 2000  # Jacobi-PCG steps
LOW_MODES = 20
LOW_DOFS = 20_000  # unknowns up to which eigenvectors are computed: some 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Errors of one cell; a row of the table.

    Attributes
    ----------
    seed, family, name, volume_fraction, nu
        Of the sample.
    dofs : int
        Unknowns per load of the network's own system, soft material included.
    delta : float
        ``||C - C_ref||_F / ||C_ref||_F`` against the cell with plain void; C is the energy form
        of the predicted displacement without soft material [-].
    delta_soft : float
        The same with the network's soft material on both sides.
    residual, residual_worst : float
        ``||K u - f|| / ||f||`` in the network's own system, mean and largest of six loads.
    iterations_zero, iterations : int
        Jacobi-PCG steps until all six residuals are at most 1e-3, from zero and from the
        prediction. The solver steps inside the prediction are not counted.
    projection : float
        Projection energy of the prediction over that of zero, six loads together.
    projection_low, projection_low_zero : float
        The part of either in the 20 lowest modes, over the whole of zero; NaN where the cell is
        too large to compute the modes.
    seconds, seconds_reference : float
        Prediction, and the reference with plain void (tolerance 1e-8), wall time.
    """

    seed: int
    family: str
    name: str
    volume_fraction: float
    nu: float
    dofs: int
    delta: float
    delta_soft: float
    residual: float
    residual_worst: float
    iterations_zero: int
    iterations: int
    projection: float
    projection_low: float
    projection_low_zero: float
    seconds: float
    seconds_reference: float


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Residuals and errors of C^H along Jacobi-PCG; from zero and from the prediction.

    Attributes
    ----------
    residual_zero, residual : (n + 1,)
        Largest of the six loads.
    delta_zero, delta : (n + 1,)
    """

    residual_zero: np.ndarray
    residual: np.ndarray
    delta_zero: np.ndarray
    delta: np.ndarray


def judge(
    predictor: Predictor, sample: Sample, u: np.ndarray, seconds: float, *, spectrum: bool = True
) -> Judged:
    """Judge the prediction `u` (6, n1, n2, n3, 3) of a sample.

    Raises
    ------
    ParameterError
        The prediction is not finite.
    """
    _require_finite(predictor, sample, u)
    system, exact, c_soft = _solved(predictor.problem(sample.rve, sample.stiffnesses))
    plain, c_plain, seconds_reference = _plain(sample)
    start = system.operator.solver.pack(u)
    residual = system.residual(start)
    zero = np.zeros_like(start)
    whole = float(system.energy(exact).sum())
    low = [math.nan, math.nan]
    if spectrum and system.dofs <= LOW_DOFS:
        modes = system.low_modes(LOW_MODES)
        low = [_ratio(system.low_energy(exact - s, modes).sum(), whole) for s in (start, zero)]
    return Judged(
        seed=sample.seed,
        family=sample.family,
        name=sample.name,
        volume_fraction=sample.volume_fraction,
        nu=sample.nu,
        dofs=system.dofs,
        delta=_distance(plain.energy(plain.solver.pack(u)), c_plain),
        delta_soft=_distance(system.stiffness(start), c_soft),
        residual=float(residual.mean()),
        residual_worst=float(residual.max()),
        iterations_zero=int(system.steps(zero, TARGET, LIMIT).iterations.max()),
        iterations=int(system.steps(start, TARGET, LIMIT).iterations.max()),
        projection=_ratio(system.energy(exact - start).sum(), whole),
        projection_low=low[0],
        projection_low_zero=low[1],
        seconds=seconds,
        seconds_reference=seconds_reference,
    )


def history(predictor: Predictor, sample: Sample, tol: float = 1e-4) -> History:
    """Jacobi-PCG on one sample down to the residual `tol`, with C^H after every step."""
    u = predictor.predict([(sample.rve, sample.stiffnesses)])[0]
    _require_finite(predictor, sample, u)
    system, _, reference = _solved(predictor.problem(sample.rve, sample.stiffnesses))
    start = system.operator.solver.pack(u)
    parts = []
    for begin in (np.zeros_like(start), start):
        found = system.steps(begin, tol, LIMIT, stiffness=True)
        assert found.stiffness is not None
        delta = np.array([_distance(c, reference) for c in found.stiffness])
        parts.append((found.residual.max(axis=1), delta))
    return History(parts[0][0], parts[1][0], parts[0][1], parts[1][1])


def _solved(problem: Cell) -> tuple[CellSystem, np.ndarray, np.ndarray]:
    """System of a cell, its solution (n_nodes, 18) and C^H."""
    rve, stiffnesses = problem
    system = CellSystem(_operator(rve, stiffnesses))
    solution = system.operator.solve(REFERENCE)
    u = solution.u.astype(float)
    return system, u - u.mean(axis=0), solution.effective


def _plain(sample: Sample) -> tuple[CellOperator, np.ndarray, float]:
    """Operator of the cell as it is, its C^H, and the seconds that took."""
    begin = time.perf_counter()
    found = homogenize(sample.rve, sample.stiffnesses, REFERENCE)
    seconds = time.perf_counter() - begin
    return _operator(sample.rve, sample.stiffnesses), found.stiffness, seconds


def _operator(rve: Rve, stiffnesses: Any) -> CellOperator:
    c = np.asarray(stiffnesses, dtype=float)
    solver = CellSolver(rve, void=~c.any(axis=(1, 2)), threads=REFERENCE.n_threads)
    return solver.with_stiffness(c)


def _require_finite(predictor: Predictor, sample: Sample, u: np.ndarray) -> None:
    if not np.isfinite(u).all():
        raise ParameterError(
            f"weights '{predictor.name}' predict values that are not finite for cell "
            f"{sample.seed} of family '{sample.family}'. Train them again, or choose others."
        )


def _distance(c: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(c - reference) / np.linalg.norm(reference))


def _ratio(value: float, reference: float) -> float:
    return float(value / reference) if reference > 0.0 else 0.0
