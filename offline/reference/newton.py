"""One step of a simulation: inexact Newton, in as many parts as it takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from matnet.mandel import COMPONENTS
from matnet.paths import LoadPath
from offline.reference.cell import Evaluation, NonlinearCell
from offline.reference.krylov import bicgstab, pcg
from offline.reference.options import ReferenceOptions

__all__ = ["CellPoint", "StepFailedError", "Stepper"]

MAX_BACKTRACKS = 4  # a Newton correction is cut to 1/16 at most
MAX_RISES = 2  # corrections per attempt that may leave the residual larger
STALLED = 1e-9  # error that passes where round-off allows no less
LOOSE, TIGHT = 0.1, 1e-5  # forcing terms lie between
SAFE = 0.5  # of the tolerance: what the linear solver aims at
MEMORY = 1e-3  # share of the largest stress so far that keeps the scale up near zero stress
MOST_AHEAD = 2.0  # times the last increment that the next one is guessed from it


class StepFailedError(Exception):
    """Why a step, or an attempt at a part of one, failed."""


@dataclass(frozen=True, slots=True, eq=False)
class CellPoint:
    """The cell at one time, and how it got there.

    Attributes
    ----------
    x : (n_nodes + 2, 3)
        Unknowns, see `NonlinearCell`.
    before : (n_nodes + 2, 3) or None
        Their last increment.
    drive : (6,)
        What was prescribed in the last increment, stresses divided by a modulus.
    dt : float
        Length of the last increment.
    stress : (6,)
        Macroscopic.
    stored, dissipated, work : float
        Energy densities; `dissipated` is the sum from the start, `work` the mean of stress times
        strain.
    error : float
        Relative residual.
    newton, linear, cuts : int
        Evaluations of the laws, products with the tangent, cuts; since the start of the step.
    largest : float
        Size of the stress so far.
    """

    x: np.ndarray
    before: np.ndarray | None = None
    drive: np.ndarray = field(default_factory=lambda: np.zeros(6))
    dt: float = 0.0
    stress: np.ndarray = field(default_factory=lambda: np.zeros(6))
    stored: float = 0.0
    dissipated: float = 0.0
    work: float = 0.0
    error: float = 0.0
    newton: int = 0
    linear: int = 0
    cuts: int = 0
    largest: float = 0.0

    @property
    def strain(self) -> np.ndarray:
        """Macroscopic (6,)."""
        return self.x[-2:].ravel()


@dataclass(frozen=True, slots=True)
class Stepper:
    """Steps of a cell along a path."""

    cell: NonlinearCell
    path: LoadPath
    options: ReferenceOptions

    def step(self, start: CellPoint, step: int) -> CellPoint:
        """The cell at the end of a step; raises `StepFailedError`."""
        now = replace(start, newton=0, linear=0, cuts=0)
        done, size, successes = 0.0, 1.0, 0
        smallest = 0.5**self.options.max_halvings
        while done < 1.0:
            end = min(done + size, 1.0)
            attempt = _Increment.between(self, now, step, done, end)
            try:
                now = attempt.solve()
            except StepFailedError as failed:
                if size <= smallest:
                    raise StepFailedError(self._explain(failed, step, done)) from None
                size, successes = 0.5 * size, 0
                now = replace(now, cuts=now.cuts + 1, newton=attempt.newton, linear=attempt.linear)
                continue
            self.cell.accept()
            done, successes = end, successes + 1
            if successes >= 2:
                size, successes = min(2.0 * size, 1.0), 0
        return now

    def temperature(self, step: int, share: float = 1.0) -> np.ndarray:
        """Of each phase, at a share of a step."""
        if self.path.temperature is None:
            return self.cell.laws.reference_temperature
        first, last = self.path.temperature[step - 1 : step + 1]
        return np.full(len(self.cell.laws.laws), first + share * (last - first))

    def _explain(self, failed: StepFailedError, step: int, done: float) -> str:
        path = self.path
        time = path.time[step - 1] + done * (path.time[step] - path.time[step - 1])
        pushed = path.stress_controlled[step] & (path.target[step] != 0.0)
        advice = "Try smaller steps."
        if pushed.any():
            names = ", ".join(COMPONENTS[i] for i in np.flatnonzero(pushed))
            advice = (
                f"The stress prescribed for {names} may be more than the cell can carry: "
                "prescribe the strain instead, or a lower stress."
            )
        parts = 2**self.options.max_halvings
        return f"{failed} Reached time {time:.6g}, cut to 1/{parts} of the step. {advice}"


@dataclass(slots=True)
class _Increment:
    """The equations of one increment."""

    stepper: Stepper
    start: CellPoint
    target: np.ndarray  # (6,) strain or stress at the end
    free: np.ndarray  # components whose stress is prescribed
    dt: float
    temperature: np.ndarray  # (n_phases,)
    newton: int
    linear: int

    @classmethod
    def between(
        cls, stepper: Stepper, start: CellPoint, step: int, begin: float, end: float
    ) -> _Increment:
        path = stepper.path
        control = path.stress_controlled[step]
        # from where the cell is, so that control may change between steps
        now = np.where(control, start.stress, start.strain)
        share = 1.0 if end == 1.0 else (end - begin) / (1.0 - begin)
        return cls(
            stepper=stepper,
            start=start,
            target=now + share * (path.target[step] - now),
            free=np.flatnonzero(control),
            dt=(end - begin) * float(path.time[step] - path.time[step - 1]),
            temperature=stepper.temperature(step, end),
            newton=start.newton,
            linear=start.linear,
        )

    def solve(self) -> CellPoint:
        """The end of the increment; raises `StepFailedError`."""
        options = self.stepper.options
        x, now = self._first()
        before, forcing, rises = now.error, LOOSE, 0
        start = self.newton
        while now.error > options.tol * self._scale(now):
            if self.newton - start >= options.max_iterations:
                raise StepFailedError(
                    f"Newton stopped after {options.max_iterations} iterations, relative residual "
                    f"{now.error / self._scale(now):.1e} > {options.tol:.1e}."
                )
            goal = SAFE * options.tol * self._scale(now) / now.error
            step = self._linear_step(now, max(forcing, min(goal, LOOSE)))
            x, better = self._search(x, step, now)
            if better.error >= now.error:
                rises += 1
                if better.error <= STALLED * self._scale(better):
                    now = better
                    break
                if rises > MAX_RISES:
                    raise StepFailedError(
                        "Newton does not reduce the relative residual "
                        f"{now.error / self._scale(now):.1e} > {options.tol:.1e}."
                    )
            before, now = now.error, better
            forcing = self._next_forcing(forcing, now.error / before)
        return self._point(x, now)

    def _first(self) -> tuple[np.ndarray, Evaluation]:
        """The first guess and what the cell answers; the plain one if the better one fails."""
        for guess in (self._extrapolate(), self._affine()):
            now = self._evaluate(guess)
            if now is not None:
                return guess, now
        raise StepFailedError("a law has no solution at the first guess.")

    def _drive(self) -> np.ndarray:
        """What is prescribed in this increment, stresses as strains."""
        start, cell = self.start, self.stepper.cell
        drive = np.asarray(self.target - start.strain)
        modulus = float(np.trace(cell.laws.stiffness.max(axis=0))) / 6.0
        drive[self.free] = (self.target - start.stress)[self.free] / modulus
        return drive

    def _affine(self) -> np.ndarray:
        """The old fluctuation with the prescribed strain."""
        x = self.start.x.copy()
        strain = x[-2:].reshape(6)
        held = np.setdiff1d(np.arange(6), self.free)
        strain[held] = self.target[held]
        return x

    def _extrapolate(self) -> np.ndarray:
        """The last increment once more, as far as this one goes the same way."""
        x, start = self._affine(), self.start
        if start.before is None:
            return x
        drive, size = self._drive(), float(start.drive @ start.drive)
        share = self.dt / start.dt if size == 0.0 and not drive.any() else 0.0
        if size > 0.0:
            share = float(drive @ start.drive) / size
        share = min(max(share, 0.0), MOST_AHEAD)
        x[:-2] += share * start.before[:-2]
        x[-2:].reshape(6)[self.free] += share * start.before[-2:].ravel()[self.free]
        return x

    def _evaluate(self, x: np.ndarray) -> Evaluation | None:
        self.newton += 1
        return self.stepper.cell.evaluate(x, self.dt, self.temperature, self.target, self.free)

    def _scale(self, now: Evaluation) -> float:
        return max(now.size, MEMORY * self.start.largest) or 1.0

    def _linear_step(self, now: Evaluation, forcing: float) -> np.ndarray:
        cell = self.stepper.cell
        solve = pcg if cell.laws.symmetric else bicgstab
        limit = self.stepper.options.max_linear
        step, count = solve(cell, now.residual, self.free, forcing, limit)
        self.linear += count
        return step

    def _search(
        self, x: np.ndarray, step: np.ndarray, now: Evaluation
    ) -> tuple[np.ndarray, Evaluation]:
        """The correction, shortened until the residual falls; the shortest one if it never does."""
        better, trial = None, x
        for cut in range(MAX_BACKTRACKS + 1):
            trial = x + 0.5**cut * step
            better = self._evaluate(trial)
            if better is not None and better.error < now.error:
                return trial, better
            if better is not None and now.error <= STALLED * self._scale(now):
                return trial, better
        if better is None:
            raise StepFailedError("a law has no solution, however short the correction.")
        return trial, better

    @staticmethod
    def _next_forcing(last: float, ratio: float) -> float:
        """Eisenstat & Walker, SIAM J. Sci. Comput. 17, 1996, choice 2 with safeguard."""
        forcing = 0.9 * ratio**2
        if 0.9 * last**2 > 0.1:
            forcing = max(forcing, 0.9 * last**2)
        return min(max(forcing, TIGHT), LOOSE)

    def _point(self, x: np.ndarray, now: Evaluation) -> CellPoint:
        start = self.start
        return CellPoint(
            x=x,
            before=x - start.x,
            drive=self._drive(),
            dt=self.dt,
            stress=now.stress,
            stored=now.stored,
            dissipated=start.dissipated + now.dissipated,
            work=now.work,
            error=now.error / self._scale(now),
            newton=self.newton,
            linear=self.linear,
            cuts=start.cuts,
            largest=max(start.largest, now.size),
        )
