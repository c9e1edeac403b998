"""Runs of one solver at the loosest tolerance that still gives C^H to a wanted accuracy.

Shared by `homogenization_ours.py` and `homogenization_peers.py`, which run in interpreters of their
own; numpy only.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Memory", "Run", "TooSlow", "distance", "measure_all"]

BRACKET = 1.1  # tolerances closer than this give the same iterations, as a rule
JUST_BELOW = 0.3  # an error above this share of the wanted one is just below it
ATTEMPTS = 10
LOOSEST = 0.9
SLOW = 10.0  # seconds: for longer runs a less tight error will do
JUST_BELOW_SLOW = 0.1  # one iteration divides the error by 2 to 3, one of pyamg's by 10
REPEATS = 7
REPEAT_SECONDS = 3.0


class TooSlow(Exception):
    """A run went past its time limit."""


@dataclass(frozen=True)
class Run:
    """One run: setup and six load cases to `tol`."""

    tol: float
    seconds: float
    cpu_seconds: float
    setup: float | None  # the part of `seconds` before the first iteration
    iterations: int  # of the slowest load case
    stiffness: np.ndarray


Solve = Callable[[float, float], Run]  # tolerance, time limit [s]; raises TooSlow


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Relative distance in the Frobenius norm."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


class Memory:
    """Peak memory of this process above what it holds when the object is made."""

    def __init__(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
            self._base = self._kib("VmRSS:")
        except OSError:
            self._base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def peak_mib(self) -> float:
        """Peak since then, above the base [MiB]."""
        try:
            peak = self._kib("VmHWM:")
        except OSError:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return (peak - self._base) / 1024.0

    @staticmethod
    def _kib(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key)).split()[1])


def measure_all(job: dict[str, Any], solve: Solve, exact: np.ndarray, order: float) -> None:
    """Print one line of JSON per wanted error of `job`, the loosest first.

    ``job["targets"]`` are pairs of a wanted error and a tolerance to try first. The error of C^H
    goes as the tolerance to the power `order`. A run beyond ``job["limit"]`` seconds ends the
    search; its line says ``more_than``.
    """
    memory = Memory()
    for target, guess in sorted(job["targets"], reverse=True):
        try:
            row = _reach(solve, exact, target, guess, order, float(job["limit"]))
        except TooSlow:
            row = {"more_than": job["limit"]}
        print(json.dumps({"target": target, "memory_mib": memory.peak_mib(), **row}), flush=True)
        if "more_than" in row:
            break


def _reach(
    solve: Solve, exact: np.ndarray, target: float, tol: float, order: float, limit: float
) -> dict[str, Any]:
    """The quickest run whose error is at most `target`."""
    below, above = 0.0, np.inf  # tolerances: error small enough, too large
    best: Run | None = None
    errors: dict[float, float] = {}
    for _ in range(ATTEMPTS):
        run = solve(tol, limit)
        error = errors[tol] = distance(run.stiffness, exact)
        if error <= target:
            if tol > below:
                best, below = run, tol
            close = JUST_BELOW if run.seconds < SLOW else JUST_BELOW_SLOW
            if error >= close * target:
                break
        else:
            above = min(above, tol)
        if above < BRACKET * below:
            break
        aim = tol * np.clip((0.6 * target / max(error, 1e-15)) ** (1.0 / order), 0.05, 20.0)
        tol = min(float(aim) if below < aim < above else _between(below, above), LOOSEST)
        if tol in errors:
            break
    if best is None:
        raise RuntimeError(f"error {target} not reached: {errors}")
    runs, until = [best], time.perf_counter() + REPEAT_SECONDS - best.seconds
    while len(runs) < REPEATS and time.perf_counter() < until:
        runs.append(solve(best.tol, limit))
    best = min(runs, key=lambda run: run.seconds)
    return {
        "tol": best.tol,
        "error": errors[best.tol],
        "seconds": best.seconds,
        "seconds_all": [run.seconds for run in runs],
        "cpu_seconds": min(run.cpu_seconds for run in runs),
        "setup": best.setup,
        "iterations": best.iterations,
    }


def _between(below: float, above: float) -> float:
    if below == 0.0:
        return above / 4.0
    return float(np.sqrt(below * above)) if np.isfinite(above) else below * 4.0
