"""A loading history in steps that cut and grow by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import ConvergenceError, ParameterError, require_between
from umat_bridge.dolfinx.newton import Problem, StepResult, solve_step

__all__ = ["Increment", "RunResult", "Stepping", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepping:
    """How step sizes adapt.

    Parameters
    ----------
    cut : float
        Factor on the size of a step that failed.
    growth : float
        Factor on the size after `easy_steps` in a row, > 1.
    easy_steps : int
        How many steps have to converge before it grows.
    max_cuts : int
        How often in a row a step may be cut.
    first : float, optional
        Size of the first step [time unit]; all the way to the first of the times if not given.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    cut: float = 0.5
    growth: float = 2.0
    easy_steps: int = 2
    max_cuts: int = 6
    first: float | None = None

    def __post_init__(self) -> None:
        require_between(self, "cut", low=0.0, high=1.0)
        require_between(self, "growth", low=1.0, high=100.0)
        if self.easy_steps < 1 or self.max_cuts < 0:
            raise ParameterError(
                f"easy_steps = {self.easy_steps} and max_cuts = {self.max_cuts}, expected at least "
                "1 and 0."
            )
        if self.first is not None:
            require_between(self, "first", low=0.0, high=float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """One converged part of the history.

    Attributes
    ----------
    time, dt : float
        At its end; its length [time unit].
    index : int
        Which of the times it leads to.
    reached : bool
        Whether it ends at that time.
    cuts : int
        How often it had been cut.
    step : StepResult
        Its Newton iterations.
    """

    time: float
    dt: float
    index: int
    reached: bool
    cuts: int
    step: StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Everything `run` did: its increments, in order."""

    increments: tuple[Increment, ...]

    @property
    def time(self) -> float:
        """Where it ended."""
        return self.increments[-1].time if self.increments else 0.0

    @property
    def iterations(self) -> int:
        """Linear solves of the converged increments."""
        return sum(increment.step.iterations for increment in self.increments)

    @property
    def cuts(self) -> int:
        """How often an increment was cut."""
        return sum(increment.cuts for increment in self.increments)

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time on this rank of material, assembly and solve."""
        names = ("material", "assembly", "solve")
        return {name: sum(i.step.seconds[name] for i in self.increments) for name in names}

    def __str__(self) -> str:
        return (
            f"{len(self.increments)} increments to time {self.time:g}, {self.iterations} "
            f"iterations, {self.cuts} cuts"
        )


def run(
    problem: Problem,
    times: Sequence[float],
    apply_load: Callable[[float], Any],
    *,
    temperature: Callable[[float], Any] | None = None,
    on_step: Callable[[Increment], Any] | None = None,
    checkpoint: str | Path | None = None,
    restart: bool = False,
    stepping: Stepping | None = None,
) -> RunResult:
    """Solve step by step; steps that fail are cut, and grow again when they converge.

    Parameters
    ----------
    problem : Problem
        At rest at time 0, or wherever it is with `restart`.
    times : sequence of float
        Increasing, > 0 [time unit]; each is the end of a step.
    apply_load : callable
        ``apply_load(t)`` sets boundary values and loads for any time t up to the last.
    temperature : callable, optional
        ``temperature(t)``: a float, dolfinx function or array for `QuadratureMaterial.update`.
    on_step : callable, optional
        Called with an `Increment` after each one, when it is committed and on disk.
    checkpoint : path, optional
        Where the last converged increment is kept, written whole or not at all.
    restart : bool
        Go on from `checkpoint`: the same bits as without interruption on the same ranks.
    stepping : Stepping
        How sizes adapt.

    Raises
    ------
    ConvergenceError
        A step failed at its smallest size. The message says which cell and point and what to try,
        ``result`` is the `RunResult` so far, and `problem` is at the last converged increment.
    ParameterError
        The times do not increase, or `restart` came without `checkpoint`.
    FileFormatError
        The checkpoint to restart from is missing or another problem's.
    """
    history = _History(problem, _checked_times(times), apply_load, temperature, stepping)
    if restart:
        if checkpoint is None:
            raise ParameterError("restart needs the path of the checkpoint.")
        history.resume(checkpoint)
    done: list[Increment] = []
    while history.time < history.times[-1]:
        try:
            increment = history.advance()
        except _GaveUpError as failed:
            on_disk = checkpoint is not None and (done or restart)
            kept = f" It is in {checkpoint}." if on_disk else ""
            message = f"{failed}{kept} {ADVICE}"
            raise ConvergenceError(message, RunResult(increments=tuple(done))) from None
        done.append(increment)
        if checkpoint is not None:
            history.save(checkpoint)
        if on_step is not None:
            on_step(increment)
    return RunResult(increments=tuple(done))


ADVICE = (
    "Try smaller steps (times, Stepping.max_cuts), line_search='energy', a finer mesh there, or, "
    "where phases soften, some viscosity."
)


class _GaveUpError(Exception):
    """A step failed at its smallest size."""


class _History:
    """Time, step size, and what it takes to go on or back."""

    def __init__(
        self,
        problem: Problem,
        times: np.ndarray,
        apply_load: Callable[[float], Any],
        temperature: Callable[[float], Any] | None,
        stepping: Stepping | None,
    ) -> None:
        self.problem, self.times = problem, times
        self.apply_load, self.temperature = apply_load, temperature
        self.stepping = stepping or Stepping()
        self.time = 0.0
        self.size = self.stepping.first or float("inf")
        self.easy = 0

    def advance(self) -> Increment:
        """One converged and committed increment, cut as often as needed."""
        problem = self.problem
        start = np.array(problem.u.x.array)
        index = int(np.searchsorted(self.times, self.time, side="right"))
        goal, cuts = float(self.times[index]), 0
        while True:
            # a rest of a few percent is not worth a step of its own
            end = goal if self.time + 1.05 * self.size >= goal else self.time + self.size
            result = self.attempt(end)
            if result.converged:
                break
            problem.material.rollback()
            problem.u.x.array[:] = start
            self.apply_load(self.time)
            if cuts >= self.stepping.max_cuts:
                raise _GaveUpError(self.explain(result, end, index, cuts))
            self.size, self.easy, cuts = self.stepping.cut * (end - self.time), 0, cuts + 1
        problem.material.commit()
        dt, self.time = end - self.time, end
        self.adapt()
        return Increment(time=end, dt=dt, index=index, reached=end == goal, cuts=cuts, step=result)

    def attempt(self, end: float) -> StepResult:
        self.apply_load(end)
        heat = None if self.temperature is None else self.temperature(end)
        return solve_step(self.problem, end - self.time, heat)

    def adapt(self) -> None:
        """The next size, larger where the last steps were easy."""
        self.easy += 1
        if self.easy >= self.stepping.easy_steps:
            self.size, self.easy = self.stepping.growth * self.size, 0

    def explain(self, result: StepResult, end: float, index: int, cuts: int) -> str:
        return (
            f"Step {index + 1} of {len(self.times)} failed at its smallest size "
            f"{end - self.time:.3g} after {cuts} cuts: {result.reason}. The last converged time is "
            f"{self.time:.6g}."
        )

    def save(self, path: str | Path) -> None:
        self.problem.material.save(
            path,
            time=self.time,
            u=self.problem.u,
            size=self.size,
            easy=self.easy,
            largest_force=self.problem.largest_force,
        )

    def resume(self, path: str | Path) -> None:
        numbers = self.problem.material.load(path, u=self.problem.u)
        self.time = numbers["time"]
        self.size = numbers.get("size", self.size)
        self.easy = int(numbers.get("easy", 0))
        self.problem.largest_force = numbers.get("largest_force", 0.0)


def _checked_times(times: Sequence[float]) -> np.ndarray:
    array = np.asarray(times, dtype=float)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ParameterError("times must be a list of numbers.")
    if (np.diff(array, prepend=0.0) <= 0.0).any():
        raise ParameterError(f"times {array.tolist()} do not increase from 0.")
    return array
