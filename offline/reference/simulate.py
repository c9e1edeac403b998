"""The full-field reference: a cell with nonlinear laws along a load path."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from matnet.errors import ConvergenceError
from matnet.paths import LoadPath
from matnet.phases import PhaseLaw
from matnet.response import Response
from offline.reference.cell import Memory, NonlinearCell, memory_estimate
from offline.reference.fields import CellFields
from offline.reference.newton import CellPoint, StepFailedError, Stepper
from offline.reference.options import ReferenceOptions
from offline.reference.tangent import macroscopic_tangent
from offline.rve.rve import Rve

__all__ = ["ReferenceResult", "StepReport", "simulate"]


class StepReport(NamedTuple):
    """What a step took. Newton counts evaluations of the laws, linear products with the tangent."""

    step: int
    n_steps: int
    newton: int
    linear: int
    cuts: int
    error: float
    seconds: float


Progress = Callable[[StepReport], None]
Watch = Callable[[int, Callable[[], CellFields]], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceResult:
    """A full-field simulation. Row 0 of arrays is the start, row k the end of step k.

    Attributes
    ----------
    response : Response
        Macroscopic strain, stress, energies, means over the phases: what `matnet.drive` returns
        for a network. Its ``state`` holds the phases' mean internal variables, its ``tangent`` is
        NaN unless `ReferenceOptions.tangent` asked for it (where a step was cut, it belongs to
        the last part).
    fields : CellFields
        Inside the cell, at the end.
    work : (n + 1,)
        Volume mean of stress times strain, which equals macroscopic stress times strain.
    error : (n + 1,)
        Relative residual of equilibrium.
    reports : tuple of StepReport
        Iterations and time of each step.
    memory : Memory
        Estimate.
    threads : int
        That were used.
    removed_voxels : int
        Of floating islands, treated as void.
    """

    response: Response
    fields: CellFields = field(repr=False)
    work: np.ndarray = field(repr=False)
    error: np.ndarray = field(repr=False)
    reports: tuple[StepReport, ...] = field(repr=False)
    memory: Memory
    threads: int
    removed_voxels: int

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(report.seconds for report in self.reports)


def simulate(
    rve: Rve,
    phases: Mapping[str, PhaseLaw],
    path: LoadPath,
    *,
    options: ReferenceOptions | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> ReferenceResult:
    """Drive a periodic cell along a path, with the laws evaluated at every integration point.

    A trilinear hexahedron per voxel with 2x2x2 Gauss points, as in `offline.homogenization`, and by
    default with mean dilatation (`ReferenceOptions.element`). docs/reference.md has the equations.

    Parameters
    ----------
    rve : Rve
        Its orientations turn the laws of its phases. No density field.
    phases : mapping
        Law by phase name. A phase called ``void`` may be left out; laws without stiffness are void.
    path : LoadPath
        From `matnet.paths`: strain, stress or mixed control.
    options : ReferenceOptions, optional
    progress : callable, optional
        Called with a `StepReport` after each step.
    watch : callable, optional
        Called after each step with its number and a function that returns its `CellFields`.

    Raises
    ------
    ParameterError
        Laws and cell do not fit, or the cell has no solid that holds together.
    ConvergenceError
        A step failed at its smallest size. The error's ``result`` is the `ReferenceResult` up to
        the last good step.

    Examples
    --------
    >>> from matnet import paths
    >>> from matnet.phases import J2, Elastic
    >>> layers = Rve(phases=np.array([0, 1]).reshape(1, 1, 2), phase_names=("soft", "stiff"))
    >>> laws = {"soft": J2(E=1.0, nu=0.3, hardening={"kind": "linear", "sig_y": 0.01, "H": 0.1}),
    ...         "stiff": Elastic(E=10.0, nu=0.3)}
    >>> result = simulate(layers, laws, paths.uniaxial_stress("11", 0.02, steps=4))
    >>> strain, stress = result.response.component("11")
    >>> stress.round(4)
    array([0.    , 0.0275, 0.055 , 0.0803, 0.1055])
    """
    options = ReferenceOptions() if options is None else options
    cell = NonlinearCell(
        rve,
        phases,
        threads=options.n_threads,
        allow_disconnected=options.allow_disconnected,
        element=options.element,
    )
    record = _Record(cell, path, options, memory_estimate(rve, phases))
    stepper = Stepper(cell, path, options)
    now = CellPoint(cell.zeros())
    with cell.use_threads():
        if options.tangent:
            none, dt = np.zeros(0, dtype=np.int64), float(path.time[1] - path.time[0])
            cell.evaluate(now.x, dt, stepper.temperature(1, 0.0), np.zeros(6), none)
        record.add(now)
        for step in range(1, path.n_steps + 1):
            started = time.perf_counter()
            try:
                now = stepper.step(now, step)
            except StepFailedError as failed:
                raise ConvergenceError(
                    f"step {step} of {path.n_steps} ({path.name}) failed: {failed}",
                    record.result(now),
                ) from None
            record.add(now, started)
            if progress is not None:
                progress(record.reports[-1])
            if watch is not None:
                watch(step, lambda point=now: CellFields.of(cell, point))  # type: ignore[misc]
        return record.result(now)


@dataclass(slots=True)
class _Record:
    """Rows so far."""

    cell: NonlinearCell
    path: LoadPath
    options: ReferenceOptions
    memory: Memory
    rows: list[dict[str, Any]] = field(default_factory=list)
    reports: list[StepReport] = field(default_factory=list)

    def add(self, point: CellPoint, started: float | None = None) -> None:
        cell = self.cell
        strain, stress = cell.phase_means()
        tangent = np.full((6, 6), np.nan)
        if self.options.tangent:
            tangent = macroscopic_tangent(cell, self.options)
        row = {
            "strain": point.strain.copy(),
            "stress": point.stress,
            "tangent": tangent,
            "state": cell.phase_state(),
            "iterations": point.newton,
            "stored": point.stored,
            "dissipated": point.dissipated,
            "phase_strain": strain,
            "phase_stress": stress,
            "work": point.work,
            "error": point.error,
        }
        self.rows.append(row)
        if started is not None:
            step, seconds = len(self.rows) - 1, time.perf_counter() - started
            counts = (point.newton, point.linear, point.cuts)
            self.reports.append(StepReport(step, self.path.n_steps, *counts, point.error, seconds))

    def result(self, point: CellPoint) -> ReferenceResult:
        n, path, cell = len(self.rows), self.path, self.cell
        arrays: dict[str, Any] = {
            key: np.array([row[key] for row in self.rows]) for key in self.rows[0]
        }
        arrays["time"] = path.time[:n].copy()
        if path.temperature is not None:
            arrays["temperature"] = path.temperature[:n].copy()
        for array in arrays.values():
            array.setflags(write=False)
        work, error = arrays.pop("work"), arrays.pop("error")
        return ReferenceResult(
            response=Response(path=path, phase_names=cell.rve.phase_names, **arrays),
            fields=CellFields.of(cell, point),
            work=work,
            error=error,
            reports=tuple(self.reports),
            memory=self.memory,
            threads=cell.threads,
            removed_voxels=cell.removed_voxels,
        )
