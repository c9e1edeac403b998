"""Full solutions of single samples, here or on the workers of an executor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass

import numpy as np

from matnet.errors import ConvergenceError
from offline.homogenization import SolverOptions
from offline.homogenization.options import Status
from offline.homogenization.solver import CellSolver
from offline.rve import Rve

__all__ = ["Snapshot", "SnapshotTask", "run_tasks", "solve_snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SnapshotTask:
    """What a worker needs to solve one sample.

    Attributes
    ----------
    index : int
        Number of the sample.
    phase_stiffness : (n_phases, 6, 6)
    start : (3 n_nodes, 6) float32 or None
        First guess of the six fluctuations on the active nodes.
    keep_fields : bool
        Send the fluctuations back.
    """

    rve: Rve
    index: int
    phase_stiffness: np.ndarray
    options: SolverOptions
    start: np.ndarray | None = None
    keep_fields: bool = True
    allow_disconnected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A full solution.

    Attributes
    ----------
    index : int
        Number of the sample.
    effective : (6, 6)
        Effective stiffness in energy form.
    error : float
        Estimated relative error of `effective`.
    fields : (3 n_nodes, 6) float32
        Fluctuations on the active nodes; no rows if they were not asked for.
    iterations : int
        Largest number of iterations of the six load cases.
    seconds : float
    residual : (3 n_nodes, 6) float32, optional
        ``f - K u``, of solutions that started from a guess and do not keep their fields.
    """

    index: int
    effective: np.ndarray
    error: float
    fields: np.ndarray
    iterations: int
    seconds: float
    residual: np.ndarray | None = None


_cell: dict[tuple[str, int, bool], CellSolver] = {}  # of this process; holds the last cell only


def cell_solver(rve: Rve, threads: int, allow_disconnected: bool) -> CellSolver:
    """The solver set up for a cell, kept for the next call with the same cell."""
    key = (rve.hash(), threads, allow_disconnected)
    if key not in _cell:
        _cell.clear()
        _cell[key] = CellSolver(rve, threads=threads, allow_disconnected=allow_disconnected)
    return _cell[key]


def solve_snapshot(task: SnapshotTask) -> Snapshot:
    """Solve the six load cases of one sample.

    Raises
    ------
    ConvergenceError
        The solver stopped at its iteration limit; the message gives the sample's contrast.
    """
    begin = time.perf_counter()
    cell = cell_solver(task.rve, task.options.n_threads, task.allow_disconnected)
    operator = cell.with_stiffness(task.phase_stiffness)
    start = None if task.start is None else task.start.astype(float).reshape(-1, 18)
    solution = operator.solve(task.options, start)
    effective = solution.effective
    error = solution.energy_error.sum() / (cell.grid.volume * np.linalg.norm(effective))
    if solution.status is not Status.CONVERGED:
        raise ConvergenceError(
            f"sample {task.index}: the solver stopped after {task.options.max_iterations} "
            f"iterations with an estimated error of {error:.1e} > {task.options.tol:.1e} "
            f"(stiffness contrast {operator.contrast:.1e}). "
            "Sample a smaller contrast or raise max_iterations.",
            solution,
        )
    kept = solution.u.reshape(-1, 6) if task.keep_fields else np.zeros((0, 6))
    return Snapshot(
        index=task.index,
        effective=effective,
        error=float(error),
        fields=np.ascontiguousarray(kept, dtype=np.float32),
        iterations=int(solution.iterations.max()),
        seconds=time.perf_counter() - begin,
        residual=solution.r.reshape(-1, 6).astype(np.float32)
        if task.start is not None and not task.keep_fields
        else None,
    )


def run_tasks(tasks: Sequence[SnapshotTask], executor: Executor | None) -> Iterator[Snapshot]:
    """Solve tasks and yield snapshots as they end; without an executor here, one by one."""
    if executor is None:
        for task in tasks:
            yield solve_snapshot(task)
        return
    futures = [executor.submit(solve_snapshot, task) for task in tasks]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
