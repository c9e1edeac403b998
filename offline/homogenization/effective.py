"""The effective stiffness of a cell: one call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import matnet
from matnet.errors import ConvergenceError, require_finite, require_shape
from matnet.plots import plot_youngs_modulus
from offline.homogenization.options import SolverOptions, Status
from offline.homogenization.pcg import Progress
from offline.homogenization.solver import CellOperator, CellSolver, checked_stiffnesses
from offline.rve.rve import Rve

__all__ = ["Homogenized", "checked_start", "homogenize", "not_converged"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Homogenized:
    """Effective stiffness of a cell and how it was reached.

    Load case k is the unit macro strain ``e0^k``, the k-th Mandel basis vector; the local strain is
    ``e0^k - B u^k`` with the periodic fluctuation ``u^k``.

    Attributes
    ----------
    stiffness : (6, 6)
        C^H in Mandel form, order 11 22 33 12 13 23 [stress unit]. In energy form, hence
        symmetric and, up to rounding, not below the exact one.
    iterations : (6,) int
    residual : (6,)
        ``||K u - f|| / ||f||`` of each load case.
    error_estimate : float
        Estimated error of `stiffness` relative to its Frobenius norm.
    seconds : float
        Wall time.
    displacement : (6, n1, n2, n3, 3) or None
        Fluctuations u [length] at the nodes, with mean zero over the nodes of the solid and zero
        inside void. Node (i, j, k) is the corner of voxel (i, j, k) nearest the origin.
    status : Status
    removed_voxels : int
        Voxels of floating islands, treated as void.
    options : SolverOptions
    rve_hash, version : str
    """

    stiffness: np.ndarray
    iterations: np.ndarray
    residual: np.ndarray
    error_estimate: float
    seconds: float
    displacement: np.ndarray | None
    status: Status
    removed_voxels: int
    options: SolverOptions
    rve_hash: str
    version: str

    def plot(self, ax: Any = None, *, unit: str = "unit of the moduli", **style: Any) -> Any:
        """Young's modulus over all directions; see `matnet.plots.plot_youngs_modulus`."""
        return plot_youngs_modulus(self.stiffness, ax, unit=unit, **style)


def homogenize(
    rve: Rve,
    stiffnesses: Any,
    options: SolverOptions | None = None,
    *,
    start: Any = None,
    keep_displacement: bool = False,
    allow_disconnected: bool = False,
    throw: bool = True,
    progress: Progress | None = None,
) -> Homogenized:
    """Effective stiffness of a periodic cell.

    Parameters
    ----------
    rve : Rve
        Its orientations turn, its density scales the phase stiffnesses.
    stiffnesses : (n_phases, 6, 6)
        Mandel stiffness of each phase in its material frame [stress unit]; zeros mean void.
    options : SolverOptions, optional
        Its `device` says where to solve; see `offline.homogenization.gpu` for CUDA.
    start : (6, n1, n2, n3, 3), optional
        Fluctuations to start from; load cases whose energy is above that of none start from none.
    keep_displacement : bool
        Return the fluctuations.
    allow_disconnected : bool
        Accept a solid that does not hold together in every direction: C^H is then singular.
    throw : bool
        Raise when the tolerance is not met; False returns the last iterate with its status.
    progress : callable, optional
        Called after each iteration with its number and the estimated error.

    Raises
    ------
    ShapeError, ParameterError
        A stiffness is not symmetric positive definite, the cell has no solid, or it does not
        percolate; `start` is not finite.
    ConvergenceError
        The tolerance was not met in ``options.max_iterations``; carries the result.

    Examples
    --------
    A laminate of two equal layers, normal 1; the stiffness along 1 is the harmonic mean:

    >>> rve = Rve(phases=np.array([0, 1]).reshape(2, 1, 1))
    >>> result = homogenize(rve, [np.eye(6), 3.0 * np.eye(6)])
    >>> result.stiffness.diagonal().round(6)
    array([1.5, 2. , 2. , 1.5, 1.5, 2. ])
    """
    begin = time.perf_counter()
    options = SolverOptions() if options is None else options
    device = options.resolve_device(rve.phases.size)
    if device != "cpu":
        from offline.homogenization.gpu import homogenize_on

        return homogenize_on(
            device,
            rve,
            stiffnesses,
            options,
            start=start,
            keep_displacement=keep_displacement,
            allow_disconnected=allow_disconnected,
            throw=throw,
            progress=progress,
        )
    c = checked_stiffnesses(stiffnesses, rve.phase_names)
    solver = CellSolver(
        rve,
        void=~c.any(axis=(1, 2)),
        threads=options.n_threads,
        allow_disconnected=allow_disconnected,
    )
    operator = solver.with_stiffness(c)
    first = None if start is None else _usable(operator, start)
    solution = operator.solve(options, first, progress)
    stiffness = solution.effective
    norm = operator.energy_norm(stiffness.diagonal() * solver.grid.volume)
    result = Homogenized(
        stiffness=stiffness,
        iterations=solution.iterations,
        residual=solution.residual,
        error_estimate=float(solution.energy_error.sum() / norm),
        seconds=time.perf_counter() - begin,
        displacement=solver.unpack(_centred(solution.u)) if keep_displacement else None,
        status=solution.status,
        removed_voxels=solver.removed_voxels,
        options=options,
        rve_hash=rve.hash(),
        version=matnet.__version__,
    )
    if throw and result.status is not Status.CONVERGED:
        raise ConvergenceError(not_converged(result, operator.contrast), result)
    return result


def checked_start(start: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """Displacements (6, n1, n2, n3, 3) as finite floats."""
    array = np.asarray(start, dtype=float)
    require_shape("start", array, (6, *shape, 3))
    require_finite("start", array)
    return array


def _usable(operator: CellOperator, start: Any) -> np.ndarray:
    """The start (n_nodes, 18) without load cases that are further from the solution than zero."""
    solver = operator.solver
    field = solver.pack(checked_start(start, solver.grid.shape))
    with np.errstate(over="ignore", invalid="ignore"):
        energies = operator.energy(field).diagonal()
    field.reshape(-1, 6)[:, ~(energies <= operator.mean_stiffness.diagonal())] = 0.0
    return field


def _centred(u: np.ndarray) -> np.ndarray:
    return np.asarray(u - u.mean(axis=0, dtype=np.float64))


def not_converged(result: Homogenized, contrast: float) -> str:
    """What to tell about a result that misses its tolerance."""
    options = result.options
    if options.residual_tol is None:
        reached = f"estimated error {result.error_estimate:.1e} > tol {options.tol:.1e}"
    else:
        reached = f"residual {result.residual.max():.1e} > residual_tol {options.residual_tol:.1e}"
    steps = int(result.iterations.max())
    more = "Raise max_iterations, loosen" if steps >= options.max_iterations else "Loosen"
    return (
        f"Homogenisation stopped after {steps} iterations, {reached}, at phase contrast "
        f"{contrast:.1e}. {more} the tolerance, or replace very soft phases by void."
    )
