"""A loading history in steps that cut and grow by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dolfinx import fem

from matnet.errors import ConvergenceError, ParameterError, require_between
from umat_bridge.dolfinx import checkpoint as files
from umat_bridge.dolfinx.newton import ROUND_OFF, Problem, StepResult, solve_step

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
    predict : bool
        Start Newton's method from where the last increment leads if it goes on, wherever the
        supports do so too. A step that fails from there starts again from where it is.

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
    predict: bool = True

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


LONGEST_GUESS = 10.0  # lengths of the last increment
CLOSER = 0.5  # share of the supports' way that may be left

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
        self.last_move = fem.Function(problem.space)  # what the last increment added to u
        self.last_dt = 0.0

    def advance(self) -> Increment:
        """One converged and committed increment, cut as often as needed."""
        problem = self.problem
        start = np.array(problem.u.x.array)
        index = int(np.searchsorted(self.times, self.time, side="right"))
        goal, cuts = float(self.times[index]), 0
        while True:
            # a rest of a few percent is not worth a step of its own
            end = goal if self.time + 1.05 * self.size >= goal else self.time + self.size
            result = self.attempt(end, start)
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
        self.last_move.x.array[:], self.last_dt = problem.u.x.array - start, dt
        self.adapt()
        return Increment(time=end, dt=dt, index=index, reached=end == goal, cuts=cuts, step=result)

    def attempt(self, end: float, start: np.ndarray) -> StepResult:
        self.apply_load(end)
        heat = None if self.temperature is None else self.temperature(end)
        dt = end - self.time
        if self.predict(dt, start):
            result = solve_step(self.problem, dt, heat)
            if result.converged:
                return result
            self.problem.material.rollback()
            self.problem.u.x.array[:] = start
        return solve_step(self.problem, dt, heat)

    def predict(self, dt: float, start: np.ndarray) -> bool:
        """Let the last increment go on where that brings supports near their new places, or leaves
        them where they are to stay; whether it does."""
        problem = self.problem
        if not self.stepping.predict or not 0.0 < dt <= LONGEST_GUESS * self.last_dt:
            return False
        before = problem.gap()
        problem.u.x.array[:] = start + dt / self.last_dt * self.last_move.x.array
        after = problem.gap()
        if after <= max(CLOSER * before, ROUND_OFF * float(problem.x.norm(3))):
            return True
        problem.u.x.array[:] = start
        return False

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
        numbers = {
            "size": self.size,
            "easy": self.easy,
            "largest_force": self.problem.largest_force,
            "last_dt": self.last_dt,
        }
        files.save(
            self.problem.material, path, time=self.time, fields=self.fields(), numbers=numbers
        )

    def fields(self) -> dict[str, Any]:
        return {"u": self.problem.u, "last_move": self.last_move}

    def resume(self, path: str | Path) -> None:
        numbers = files.load(
            self.problem.material, path, fields=self.fields(), optional=("last_move",)
        )
        self.time = numbers["time"]
        self.size = numbers.get("size", self.size)
        self.easy = int(numbers.get("easy", 0))
        self.problem.largest_force = numbers.get("largest_force", 0.0)
        self.last_dt = numbers.get("last_dt", 0.0)


def _checked_times(times: Sequence[float]) -> np.ndarray:
    array = np.asarray(times, dtype=float)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ParameterError("times must be a list of numbers.")
    if (np.diff(array, prepend=0.0) <= 0.0).any():
        raise ParameterError(f"times {array.tolist()} do not increase from 0.")
    return array
