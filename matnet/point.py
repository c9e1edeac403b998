"""One material point along a load path with strain, stress or mixed control."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from matnet.errors import ConvergenceError, ParameterError
from matnet.local_fields import LocalFields
from matnet.mandel import COMPONENTS
from matnet.material import Status, Update
from matnet.paths import SCALE, LoadPath
from matnet.response import Response

__all__ = ["PointMaterial", "Response", "drive"]

MAX_HALVINGS = 10  # a step is cut to 1/1024 at most
MAX_BACKTRACKS = 4  # a Newton correction is cut to 1/16 at most
MAX_RISES = 3  # corrections per attempt that may leave the residual larger
STALLED = 1e-7  # residual that passes where the material's own tolerance allows no less
MEMORY = 1e-3  # share of the largest stress so far that keeps the scale up near zero stress
ROUND_OFF = 1e-14
JUMP = 0.05  # free strains that move more at once may have snapped to another branch


class PointMaterial(Protocol):
    """What `drive` needs of a material; `matnet.material.Material` is one.

    If it also has `solve` and `layout`, as `Material` does, the response holds means over the
    phases, energies and, where asked for, local fields. A temperature is only passed on from paths
    that have one, as the keyword ``temperature``.
    """

    @property
    def stiffness(self) -> np.ndarray:
        """Initial stiffness (6, 6), Mandel [stress unit]."""

    def initial_state(self, n_points: int) -> np.ndarray:
        """State (n_points, n_state) of the virgin material."""

    def update(self, strain: Any, dt: float, state_n: np.ndarray) -> Update:
        """Stress, tangent, state and status for strains (n, 6) at the end of a step."""


def drive(
    material: PointMaterial,
    path: LoadPath,
    *,
    tol: float = 1e-9,
    max_iterations: int = 25,
    local: bool = False,
) -> Response:
    r"""Drive one point of `material` along `path`.

    Newton's method on the strain components whose stress is prescribed, with the material's
    tangent: :math:`\Delta\varepsilon_s = -C_{ss}^{-1} (\sigma_s - \bar\sigma_s)`, shortened where
    the residual would grow. A step that does not converge is halved, up to 10 times; parts that
    converge grow again. Strain, stress and temperature are linear in time within a step.

    Parameters
    ----------
    material : PointMaterial
        Such as ``network.with_phases(...)``.
    path : LoadPath
        From `matnet.paths`.
    tol : float
        On the stress residual, relative to the stress in the step, > 0. The stress itself is no
        more exact than the material's own tolerance: where the residual stops to fall below 1e-7
        of the stress in the step, it is accepted as well.
    max_iterations : int
        Newton iterations per (sub)step.
    local : bool
        Whether to keep the local fields of every step.

    Raises
    ------
    ConvergenceError
        A step failed at its smallest size, or a free component has no stiffness. The error's
        ``result`` is the `Response` up to the last good point, which may be within the step.
    ParameterError
        `material` or `path` is something else, `tol` or `max_iterations` is out of range, or the
        material has no local fields.
    """
    _require_drivable(material, path)
    if not 0.0 < tol < 1.0 or max_iterations < 1:
        raise ParameterError(
            f"drive: tol = {tol:g} and max_iterations = {max_iterations}, "
            "expected tol between 0 and 1 and at least one iteration."
        )
    if local and not hasattr(material, "solve"):
        raise ParameterError(f"{type(material).__name__} tells no local fields: it has no solve.")
    solver = _Solver(material, path, tol, max_iterations)
    record = _Record(material, path, local)
    now = _Row(np.zeros(6), np.zeros(6), np.asarray(material.stiffness), material.initial_state(1))
    record.add(now, 0.0)
    for step in range(1, path.n_steps + 1):
        try:
            now = solver.step(now, step)
        except _StepFailedError as failed:
            if failed.last is not None:
                record.add(failed.last, step - 1 + failed.share)
            raise ConvergenceError(
                f"step {step} of {path.n_steps} ({path.name}) failed: {failed}", record.response()
            ) from None
        record.add(now, step)
    return record.response()


def _require_drivable(material: object, path: object) -> None:
    if not hasattr(material, "update"):
        raise ParameterError(
            f"drive: material is of type {type(material).__name__}, expected a matnet.Material, "
            "such as network.with_phases(...) or matnet.Material.homogeneous(law)."
        )
    if not isinstance(path, LoadPath):
        raise ParameterError(
            f"drive: path is of type {type(path).__name__}, expected a matnet.paths.LoadPath, "
            "such as matnet.paths.from_text('uniaxial-11:0.02x40')."
        )


class _StepFailedError(Exception):
    """Why a step, or an attempt at a part of one, failed; and where it got to, if anywhere."""

    def __init__(self, message: str, last: _Row | None = None, share: float = 0.0) -> None:
        super().__init__(message)
        self.last, self.share = last, share


class _Row(NamedTuple):
    """The point at one time, and the last increment that led there."""

    strain: np.ndarray  # (6,)
    stress: np.ndarray  # (6,)
    tangent: np.ndarray  # (6, 6)
    state: np.ndarray  # (1, n_state)
    iterations: int = 0
    largest: float = 0.0  # stress norm so far
    state_n: np.ndarray | None = None  # where the last increment started
    dt: float = 0.0
    temperature: float | None = None


class _Trial(NamedTuple):
    """What the material answers to a strain."""

    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    residual: np.ndarray  # of the free components
    size: float


@dataclass(slots=True)
class _Record:
    """Rows so far, and what the material tells about the inside of the point."""

    material: Any
    path: LoadPath
    keep_local: bool
    rows: list[_Row] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)  # in steps
    means: list[np.ndarray] = field(default_factory=list)  # (2, n_phases, 6): strain, stress
    local: list[LocalFields] = field(default_factory=list)

    def add(self, row: _Row, moment: float) -> None:
        self.rows.append(row)
        self.moments.append(moment)
        if not hasattr(self.material, "solve"):
            return
        if row.state_n is None:
            self.means.append(np.zeros((2, self.material.network.n_phases, 6)))
            return
        solution = self.material.solve(row.strain[None], row.dt, row.state_n, **_kelvin(row))
        fields = LocalFields.of(self.material, solution)
        pairs = [fields.mean(phase) for phase in fields.phase_names]
        self.means.append(np.stack([np.stack(pair) for pair in zip(*pairs, strict=True)]))
        if self.keep_local:
            self.local.append(fields)

    def response(self) -> Response:
        rows, steps = self.rows, np.arange(len(self.path.time))
        arrays: dict[str, Any] = {
            "time": np.interp(self.moments, steps, self.path.time),
            "strain": np.stack([row.strain for row in rows]),
            "stress": np.stack([row.stress for row in rows]),
            "tangent": np.stack([row.tangent for row in rows]),
            "state": np.concatenate([row.state for row in rows]),
            "iterations": np.array([row.iterations for row in rows]),
        }
        if self.path.temperature is not None:
            arrays["temperature"] = np.interp(self.moments, steps, self.path.temperature)
        energies = self._energies(arrays["strain"], arrays["stress"], arrays["state"])
        if energies is not None:
            arrays["stored"], arrays["dissipated"] = energies
        names: tuple[str, ...] = ()
        if self.means:
            names = self.material.network.phase_names
            arrays["phase_strain"] = np.stack([mean[0] for mean in self.means])
            arrays["phase_stress"] = np.stack([mean[1] for mean in self.means])
        for array in arrays.values():
            array.setflags(write=False)
        return Response(path=self.path, phase_names=names, local=tuple(self.local), **arrays)

    def _energies(
        self, strain: np.ndarray, stress: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        layout = getattr(self.material, "layout", None)
        if layout is None:
            return None
        if layout.linear:
            return 0.5 * (stress * strain).sum(axis=1), np.zeros(len(strain))
        stored, dissipated = layout.energy(state).T
        return stored.copy(), dissipated.copy()


def _kelvin(row: _Row) -> dict[str, float]:
    """The keyword for the material, only where the path has a temperature."""
    return {} if row.temperature is None else {"temperature": row.temperature}


@dataclass(frozen=True, slots=True)
class _Solver:
    """Newton's method for one point, step by step."""

    material: PointMaterial
    path: LoadPath
    tol: float
    max_iterations: int

    def step(self, start: _Row, step: int) -> _Row:
        """The point at the end of a step, in as many parts as it takes."""
        now, iterations = start, 0
        done, size, successes = 0.0, 1.0, 0
        while done < 1.0:
            end = min(done + size, 1.0)
            try:
                now = self._increment(now, step, done, end)
            except _StepFailedError as failed:
                if size <= 0.5**MAX_HALVINGS:
                    reason = self._explain(failed, now, step, done)
                    reached = now._replace(iterations=iterations) if done > 0.0 else None
                    raise _StepFailedError(reason, reached, done) from None
                size, successes = 0.5 * size, 0
                continue
            iterations += now.iterations
            done, successes = end, successes + 1
            if successes >= 2:
                size, successes = min(2.0 * size, 1.0), 0
        return now._replace(iterations=iterations)

    def _explain(self, failed: _StepFailedError, now: _Row, step: int, done: float) -> str:
        """The reason, how far the step got, and what to try."""
        path = self.path
        time = path.time[step - 1] + done * (path.time[step] - path.time[step - 1])
        pushed = np.flatnonzero(path.stress_controlled[step] & (path.target[step] != 0.0))
        reached, advice = f"Reached time {time:.6g} of {path.time[-1]:g}", "Try smaller steps."
        if pushed.size:
            names = ", ".join(COMPONENTS[i] for i in pushed)
            loads = (
                f"s{COMPONENTS[i]} = {now.stress[i] / SCALE[i]:.6g} "
                f"of {path.target[step, i] / SCALE[i]:g}"
                for i in pushed
            )
            reached = f"{reached}, {', '.join(loads)}"
            advice = (
                f"The stress prescribed for {names} may be more than the material can carry: "
                "prescribe the strain instead, or a lower stress."
            )
        return f"{failed} {reached}, in parts down to 1/{2**MAX_HALVINGS} of the step. {advice}"

    def _increment(self, start: _Row, step: int, begin: float, end: float) -> _Row:
        """The part from `begin` to `end` (shares of the step) in one go."""
        path = self.path
        dt = (end - begin) * float(path.time[step] - path.time[step - 1])
        control = path.stress_controlled[step]
        # from where the point is, so that control may change between steps
        now = np.where(control, start.stress, start.strain)
        share = 1.0 if end == 1.0 else (end - begin) / (1.0 - begin)
        target = now + share * (path.target[step] - now)
        temperature = None
        if path.temperature is not None:
            first, last = path.temperature[step - 1 : step + 1]
            temperature = float(first + end * (last - first))
        increment = _Increment(self, start, target, np.flatnonzero(control), dt, temperature)
        return increment.solve()


@dataclass(frozen=True, slots=True)
class _Increment:
    """The equations of one increment: stress minus target of the free components is zero."""

    solver: _Solver
    start: _Row
    target: np.ndarray  # (6,) strain or stress at the end
    free: np.ndarray  # components whose stress is prescribed
    dt: float
    temperature: float | None

    def solve(self) -> _Row:
        trial, iterations, rises = self._predict(), 1, 0
        while True:
            goal, scale = self._goal(trial)
            if trial.size <= goal:
                break
            if iterations >= self.solver.max_iterations:
                raise _StepFailedError(
                    f"Newton stopped after {iterations} iterations, stress residual "
                    f"{trial.size:.2e} > {goal:.2e}."
                )
            correction = _solve(trial.tangent, trial.residual, self.free)
            better, tried = self._correct(trial, correction)
            iterations += tried
            if better.size >= trial.size:
                if trial.size <= STALLED * scale:
                    break
                rises += 1
                if rises > MAX_RISES:
                    raise _StepFailedError(
                        f"Newton does not reduce the stress residual {trial.size:.2e} > {goal:.2e}."
                    )
            trial = better
        self._require_no_jump(trial)
        return _Row(
            strain=trial.strain,
            stress=trial.stress,
            tangent=trial.tangent,
            state=trial.state,
            iterations=iterations,
            largest=max(self.start.largest, float(np.linalg.norm(trial.stress))),
            state_n=self.start.state,
            dt=self.dt,
            temperature=self.temperature,
        )

    def _require_no_jump(self, trial: _Trial) -> None:
        """Broken material may carry the load again, with its last stiffness at giant strains."""
        moves = np.abs(trial.strain - self.start.strain)
        prescribed = np.delete(moves, self.free).max(initial=0.0)
        largest = moves[self.free].max(initial=0.0)
        if largest > max(JUMP, 10.0 * prescribed):
            raise _StepFailedError(f"the strain would jump by {100.0 * largest:.3g} %.")

    def _predict(self) -> _Trial:
        """With the last tangent, exact for a linear material; else with the elastic stiffness."""
        start, free = self.start, self.free
        strain = np.where(np.isin(np.arange(6), free), start.strain, self.target)
        step = strain - start.strain
        failed = None
        for tangent in (start.tangent, np.asarray(self.solver.material.stiffness)):
            imbalance = (start.stress + tangent @ step - self.target)[free]
            guess = strain.copy()
            try:
                guess[free] -= _solve(tangent, imbalance, free)
                return self._evaluate(guess)
            except _StepFailedError as wrong:
                failed = failed or wrong
            if not free.size:
                break
        assert failed is not None
        raise failed

    def _correct(self, trial: _Trial, correction: np.ndarray) -> tuple[_Trial, int]:
        """The Newton correction, shortened until the residual falls; and how often it was tried."""
        best, failed = None, None
        for cut in range(MAX_BACKTRACKS + 1):
            strain = trial.strain.copy()
            strain[self.free] -= 0.5**cut * correction
            try:
                better = self._evaluate(strain)
            except _StepFailedError as wrong:
                failed = wrong
                continue
            if best is None or better.size < best.size:
                best = better
            if best.size < trial.size:
                return best, cut + 1
        if best is None:
            assert failed is not None
            raise failed
        return best, MAX_BACKTRACKS + 1

    def _evaluate(self, strain: np.ndarray) -> _Trial:
        kelvin = {} if self.temperature is None else {"temperature": self.temperature}
        update = self.solver.material.update(strain[None], self.dt, self.start.state, **kelvin)
        stress, tangent, state, status = (np.asarray(array)[0] for array in update)
        if status != Status.OK:
            raise _StepFailedError(f"the material answered {_name(int(status))}.")
        if not np.isfinite(stress).all():
            raise _StepFailedError("the stress is not finite.")
        residual = stress[self.free] - self.target[self.free]
        return _Trial(
            strain, stress, tangent, state[None], residual, float(np.linalg.norm(residual))
        )

    def _goal(self, trial: _Trial) -> tuple[float, float]:
        """The residual that is small enough, and the stress that it is measured by."""
        start = self.start
        scale = max(
            float(np.linalg.norm(trial.stress)),
            float(np.linalg.norm(start.stress)),
            float(np.linalg.norm(start.tangent @ (trial.strain - start.strain))),
            MEMORY * start.largest,
        )
        stiffness = float(np.abs(self.solver.material.stiffness).max())
        round_off = ROUND_OFF * stiffness * float(np.linalg.norm(trial.strain))
        return max(self.solver.tol * scale, round_off), scale


def _name(status: int) -> str:
    return Status(status).name if status in Status.__members__.values() else f"status {status}"


def _solve(tangent: np.ndarray, imbalance: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Strain increment of the free components that removes their imbalance (n_free,)."""
    if not free.size:
        return np.zeros(0)
    block = tangent[np.ix_(free, free)]
    if not np.isfinite(block).all():
        raise _StepFailedError("the tangent is not finite.")
    values = np.linalg.svd(block, compute_uv=False)
    if not values[-1] > 1e-13 * max(values[0], np.abs(tangent).max()):
        names = ", ".join(COMPONENTS[i] for i in free)
        raise _StepFailedError(
            f"the tangent is singular for the stress-controlled components {names}. "
            "Prescribe their strains, or check that the solid carries load."
        )
    return np.asarray(np.linalg.solve(block, imbalance))
