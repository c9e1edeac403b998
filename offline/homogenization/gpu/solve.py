"""Homogenisation on a torch device: one cell, or many small cells of one shape at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import matnet
from matnet.errors import ConvergenceError, ParameterError
from offline.homogenization.effective import Homogenized, checked_start, homogenize, not_converged
from offline.homogenization.gpu.backend import Kernels, choose_kernels, wants_triton
from offline.homogenization.gpu.cell import (
    COMPONENTS,
    LOADS,
    DeviceCell,
    Sample,
    around_nodes,
    as_sample,
    prepare,
)
from offline.homogenization.gpu.memory import DeviceMemoryError, Plan, make_plan, too_small
from offline.homogenization.gpu.pcg import BatchSolution, solve
from offline.homogenization.gpu.precondition import FourierInverse
from offline.homogenization.options import SolverOptions, Status, require_device
from offline.homogenization.pcg import Progress, Solution
from offline.homogenization.solver import FAINT, FAINT_CONTRAST
from offline.rve.rve import Rve

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["displacement", "homogenize_many", "homogenize_on", "solve_operator", "solve_samples"]

MOST_TOGETHER = 512  # cells of one batch; more would not fill the device better


def homogenize_on(
    device: torch.device | str,
    rve: Rve,
    stiffnesses: Any,
    options: SolverOptions | None = None,
    *,
    start: Any = None,
    keep_displacement: bool = False,
    allow_disconnected: bool = False,
    throw: bool = True,
    progress: Progress | None = None,
    kernels: Kernels = "auto",
) -> Homogenized:
    """`offline.homogenization.homogenize` on a torch device; the CPU serves for tests.

    Parameters
    ----------
    device : torch.device or str
    kernels : {"auto", "plain", "triton"}
        Compiled kernels, those of plain torch, or compiled ones on CUDA if they compile.
    rve, stiffnesses, options, start, keep_displacement, allow_disconnected, throw, progress
        As for `homogenize`.

    Raises
    ------
    DeviceMemoryError
        The fields do not fit the device.
    ShapeError, ParameterError, ConvergenceError
        As `homogenize`.

    Examples
    --------
    >>> rve = Rve(phases=np.array([0, 1]).reshape(2, 1, 1))
    >>> result = homogenize_on("cpu", rve, [np.eye(6), 3.0 * np.eye(6)])
    >>> result.stiffness.diagonal().round(6)
    array([1.5, 2. , 2. , 1.5, 1.5, 2. ])
    """
    starts = None if start is None else [start]
    sample = prepare(rve, stiffnesses, allow_disconnected=allow_disconnected)
    options = SolverOptions() if options is None else options
    results = _solve_batch(
        [sample], _torch_device(device), options, starts, keep_displacement, progress, kernels
    )
    _require_digits(results[0], sample)
    if throw:
        _check(results[0], sample)
    return results[0]


def homogenize_many(
    cells: Sequence[tuple[Rve, Any]],
    options: SolverOptions | None = None,
    device: torch.device | str | None = None,
    *,
    keep_displacement: bool = False,
    allow_disconnected: bool = False,
    throw: bool = True,
    kernels: Kernels = "auto",
) -> list[Homogenized]:
    """Effective stiffnesses of many cells of one shape, for data sets.

    On CUDA the cells are solved side by side, as many as fit the memory, each with its own step
    lengths and stop: one small cell alone would leave the device idle. On the CPU they are solved
    one after another, which is faster there.

    Parameters
    ----------
    cells : sequence of (Rve, stiffnesses)
        On CUDA all of one shape with the same lattice vectors; phases may differ.
    options : SolverOptions, optional
    device : torch.device or str, optional
        Default: what ``options.device`` says; ``auto`` takes CUDA where there is one.
    keep_displacement, allow_disconnected, throw
        As for `homogenize`.
    kernels : {"auto", "plain", "triton"}
        As for `homogenize_on`.

    Returns
    -------
    list of Homogenized, in the order of `cells`. ``seconds`` is the batch's time per cell.

    Examples
    --------
    >>> cells = [(Rve(phases=np.array([0, 1]).reshape(2, 1, 1)), [np.eye(6), s * np.eye(6)])
    ...          for s in (1.0, 3.0)]
    >>> [float(r.stiffness[0, 0].round(6)) for r in homogenize_many(cells)]
    [1.0, 1.5]
    """
    options = SolverOptions() if options is None else options
    voxels = sum(rve.phases.size for rve, _ in cells)
    where = _torch_device(options.resolve_device(voxels) if device is None else device)
    if where.type == "cpu" and kernels == "auto":
        one_by_one = _on_the_processor(cells, options, keep_displacement, allow_disconnected, throw)
        return list(one_by_one)
    samples = [prepare(rve, c, allow_disconnected=allow_disconnected) for rve, c in cells]
    results: list[Homogenized] = []
    while len(results) < len(samples):
        rest = samples[len(results) :]
        batch = rest[: _batch_size(rest, where, kernels)]
        results += _solve_batch(batch, where, options, None, keep_displacement, None, kernels)
    for result, sample in zip(results, samples, strict=True):
        _require_digits(result, sample)
        if throw:
            _check(result, sample)
    return results


def _torch_device(name: torch.device | str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError:
        raise ParameterError(f"device is '{name}', expected 'cpu', 'cuda' or 'cuda:1'.") from None


def _on_the_processor(
    cells: Sequence[tuple[Rve, Any]],
    options: SolverOptions,
    keep_displacement: bool,
    allow_disconnected: bool,
    throw: bool,
) -> Iterator[Homogenized]:
    for rve, stiffnesses in cells:
        yield homogenize(
            rve,
            stiffnesses,
            replace(options, device="cpu"),
            keep_displacement=keep_displacement,
            allow_disconnected=allow_disconnected,
            throw=throw,
        )


def _batch_size(samples: Sequence[Sample], device: torch.device, kernels: Kernels) -> int:
    """How many of the samples fit the device together, at most `MOST_TOGETHER`."""
    size = min(len(samples), MOST_TOGETHER)
    while size > 1:
        try:
            _plan(samples[:size], device, kernels)
        except DeviceMemoryError:
            size //= 2
        else:
            break
    return size


def _plan(samples: Sequence[Sample], device: torch.device, kernels: Kernels) -> Plan:
    return make_plan(
        samples[0].rve.shape,
        device=device,
        samples=len(samples),
        density=any(s.rve.density is not None for s in samples),
        plain=not wants_triton(kernels, device),
    )


def _solve_batch(
    samples: Sequence[Sample],
    device: torch.device,
    options: SolverOptions,
    starts: Sequence[Any] | None,
    keep_displacement: bool,
    progress: Progress | None,
    kernels: Kernels,
) -> list[Homogenized]:
    begin = time.perf_counter()
    cell, solution = solve_samples(samples, device, options, starts, progress, kernels)
    seconds = (time.perf_counter() - begin) / len(samples)
    return [
        _homogenized(n, cell, solution, options, seconds, keep_displacement)
        for n in range(len(samples))
    ]


def solve_samples(
    samples: Sequence[Sample],
    device: torch.device,
    options: SolverOptions,
    starts: Sequence[Any] | None = None,
    progress: Progress | None = None,
    kernels: Kernels = "auto",
) -> tuple[DeviceCell, BatchSolution]:
    """Solve prepared samples together; `starts` are displacements (6, n1, n2, n3, 3) [length].

    Raises
    ------
    ParameterError
        The device is CUDA and there is none.
    DeviceMemoryError
        The fields do not fit the device.
    """
    require_device(device)
    plan = _plan(samples, device, kernels)
    # kernels start on the current device, whichever tensors they get
    current = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    try:
        with current:
            cell = DeviceCell(samples, device)
            start = None if starts is None else _as_field(cell, starts)
            backend = choose_kernels(cell, plan.slab_bytes, kernels)
            inverse = FourierInverse(cell, plan.loads_at_once, backend.multiply)
            solution = solve(
                cell, backend.stencil, backend.vectors, inverse, options, start, progress
            )
    except torch.cuda.OutOfMemoryError:  # other programs took it meanwhile
        raise DeviceMemoryError(
            too_small(samples[0].rve.shape, len(samples), plan.peak_bytes, device)
        ) from None
    return cell, solution


def solve_operator(
    operator: CellOperator,
    options: SolverOptions,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Solution:
    """An engine: the solve of a `CellOperator` on ``options.device``.

    Fields come back packed, in double precision. `homogenize_on` spares the operator and its mesh.
    """
    solver = operator.solver
    active = np.zeros(solver.grid.n_voxels, dtype=bool)
    active[operator.mesh.voxels] = True
    sample = as_sample(solver.rve, operator.stiffness, active.reshape(solver.grid.shape))
    starts = None if start is None else [solver.unpack(start)]
    where = torch.device(options.device)
    cell, solution = solve_samples([sample], where, options, starts, progress)
    force, energy = sample.unit * cell.length**2, sample.unit * cell.length**3
    return Solution(
        u=solver.pack(on_nodes(solution.u[0]) * cell.length),
        r=solver.pack(on_nodes(solution.r[0]) * force),
        effective=solution.stiffness[0] * sample.unit,
        iterations=solution.iterations[0],
        residual=solution.residual[0],
        energy_error=solution.energy_error[0] * energy,
        status=solution.status[0],
    )


def on_nodes(field: torch.Tensor) -> np.ndarray:
    """Field (6, n1, n2, n3, 3) on the host of one sample's (6, 3, n1, n2, n3)."""
    return np.moveaxis(field.double().cpu().numpy(), 1, -1)


def _as_field(cell: DeviceCell, starts: Sequence[Any]) -> torch.Tensor:
    """Dimensionless field on the device of displacements, one per sample."""
    field = torch.empty(cell.field_shape, dtype=torch.float64)
    for n, start in enumerate(starts):
        array = checked_start(start, cell.shape)
        field[n] = torch.as_tensor(np.moveaxis(array / cell.length, -1, 1))
    return field


def displacement(cell: DeviceCell, solution: BatchSolution, n: int) -> np.ndarray:
    """Fluctuations (6, n1, n2, n3, 3) of sample n [length]: mean zero over the solid's nodes."""
    nodes = (around_nodes((cell.material[n] > 0).to(torch.uint8)) > 0).cpu().numpy()
    result = np.empty((LOADS, *cell.shape, COMPONENTS))
    for load in range(LOADS):
        for i in range(COMPONENTS):
            values = solution.u[n, load, i].cpu().numpy() * cell.length
            result[load, ..., i] = np.where(nodes, values - values[nodes].mean(), 0.0)
    return result


def _homogenized(
    n: int,
    cell: DeviceCell,
    solution: BatchSolution,
    options: SolverOptions,
    seconds: float,
    keep_displacement: bool,
) -> Homogenized:
    sample, c = cell.samples[n], solution.stiffness[n]
    floor = 1e-12 * float(np.linalg.norm(sample.mean_stiffness))
    norm = max(float(np.linalg.norm(c.diagonal())), floor) * cell.grid.n_voxels
    return Homogenized(
        stiffness=0.5 * (c + c.T) * sample.unit,
        iterations=solution.iterations[n],
        residual=solution.residual[n],
        error_estimate=float(solution.energy_error[n].sum() / norm),
        seconds=seconds,
        displacement=displacement(cell, solution, n) if keep_displacement else None,
        status=solution.status[n],
        removed_voxels=sample.removed_voxels,
        options=options,
        rve_hash=sample.rve.hash(),
        version=matnet.__version__,
    )


def _require_digits(result: Homogenized, sample: Sample) -> None:
    """Refuse what `CellOperator.solve` refuses: C^H that drowns in rounding errors."""
    share = float(np.linalg.norm(result.stiffness / sample.unit))
    share /= float(np.linalg.norm(sample.mean_stiffness))
    several = np.count_nonzero(np.bincount(sample.material.ravel())[1:]) > 2
    if several and share < FAINT and sample.lowest * FAINT_CONTRAST < 1.0:
        raise ParameterError(
            f"C^H is {share:.1g} of the mean stiffness of its phases, at contrast "
            f"{1.0 / sample.lowest:.1g}: too little for double precision. Make the stiffest "
            "phase softer (islands are rigid at 1e6 times their matrix) or the softest void."
        )


def _check(result: Homogenized, sample: Sample) -> None:
    if result.status is not Status.CONVERGED:
        raise ConvergenceError(not_converged(result, 1.0 / sample.lowest), result)
