"""The judge: cheap simulations of the cell with inelastic phases, and networks' errors on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import ConvergenceError, FileFormatError, ParameterError, RangeWarning
from matnet.material import Material, Status
from matnet.network import Network
from matnet.paths import LoadPath, simple_shear, uniaxial_stress
from matnet.phases import PhaseLaw
from matnet.point import drive
from offline.reference import ReferenceOptions, simulate
from offline.rve import Rve
from offline.selection.coarse import coarse_cell
from offline.selection.laws import generic_laws
from offline.selection.options import SelectionOptions
from offline.selection.symmetry import axis_symmetries, equivalent_curve
from offline.verification import PathVerdict, ReferenceStore, Simulate
from offline.verification.compare import Curve
from offline.verification.references import Reference, Simulation
from offline.verification.verdict import law_table

__all__ = ["Judge", "judge_paths", "judged_by_cell"]

TOL = 1e-3  # of the simulations: far below the errors that tell networks apart
FINER = 2  # times as many voxels beside void
AT_LEAST = 2  # paths, whatever the budget

Progress = Callable[[str, int, int, str], None]


def judge_paths(strain: float = 0.02, *, steps: int = 4) -> tuple[LoadPath, ...]:
    """Six loadings in few steps, one of them unloaded; the most telling ones first.

    The pulls leave the other normal stresses free, but hold the shear strains at zero: where the
    cell has mirror planes that changes nothing for it, and a network that couples pulls to shears
    is told so by its shear stresses. Such networks are bad along non-proportional paths.

    Parameters
    ----------
    strain : float
        Uniaxial strain, or engineering shear of the simple shears [-].
    steps : int
        Of each leg.

    Examples
    --------
    >>> [path.n_steps for path in judge_paths()]
    [8, 4, 4, 4, 4, 4]
    """
    return (
        _pull("11", [strain, 0.0], steps),
        simple_shear("23", strain, steps=steps),
        _pull("33", [strain], steps),
        simple_shear("12", strain, steps=steps),
        _pull("22", [strain], steps),
        simple_shear("13", strain, steps=steps),
    )


def _pull(component: str, turns: list[float], steps: int) -> LoadPath:
    """A normal strain driven through turning points, no shears, no other normal stresses."""
    path = uniaxial_stress(component, turns, steps=steps)
    normal_stresses = path.stress_controlled & (np.arange(6) < 3)
    return replace(path, stress_controlled=normal_stresses, name=f"pull {component}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Errors of networks along simulated load paths.

    Parameters
    ----------
    references : tuple of (LoadPath, Curve)
        Paths and what the simulated cell did, which may end before the path.
    phases : mapping
        Law by phase name.
    shape : tuple of int
        Voxels of the simulated cell.
    finish : callable
        What is done to a trained network before it is driven.
    seconds : float
        Of simulation.
    """

    references: tuple[tuple[LoadPath, Curve], ...]
    phases: Mapping[str, PhaseLaw]
    shape: tuple[int, int, int]
    finish: Callable[[Network], Network] = lambda network: network
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether all of `judge_paths` are among the paths: no direction went without judgement."""
        return len(self.references) == len(judge_paths())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the paths."""
        return tuple(path.name for path, _ in self.references)

    def __call__(self, network: Network) -> np.ndarray:
        """Error along each path (n_paths,); infinite where the network fails."""
        material = self._material(network)
        return np.array([_error(material, *reference) for reference in self.references])

    def residuals(self, network: Network) -> np.ndarray:
        """Smooth residuals (n_paths, k), for fitting; the norm of row i stands for the error of i.

        The network follows the strains of the simulated cell, all paths at once; what it lacks in
        the free stress components is condensed with its tangent, without the effect on later steps.
        Exact for strain control; elsewhere a measure that vanishes with the error. NaN where the
        network fails.
        """
        material = self._material(network)
        rows = max(len(curve.strain) for _, curve in self.references)
        strain, stress = (
            np.stack([_padded(curve[i], rows) for _, curve in self.references]) for i in (0, 1)
        )
        free = np.stack([_padded(path.stress_controlled, rows) for path, _ in self.references])
        lengths = np.array([len(curve.strain) for _, curve in self.references])
        time = max((path.time for path, _ in self.references), key=len)
        size = np.linalg.norm(stress * (np.arange(rows) < lengths[:, None])[..., None], axis=(1, 2))
        state = material.initial_state(len(lengths))
        result = np.zeros((len(lengths), rows - 1, 6))
        for k in range(1, rows):
            update = material.update(strain[:, k], float(time[k] - time[k - 1]), state)
            state = update.state
            off = _condensed(update.stress - stress[:, k], update.tangent, free[:, k])
            result[:, k - 1] = np.where((k < lengths)[:, None], off / size[:, None], 0.0)
            result[(k < lengths) & (update.status != Status.OK)] = np.nan
        return result.reshape(len(lengths), -1)

    def _material(self, network: Network) -> Material:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RangeWarning)
            return Material(network=self.finish(network), phases=self.phases)

    def card(self) -> dict[str, Any]:
        """What an accuracy card says about the judge."""
        return {
            "laws": {name: law_table(law) for name, law in self.phases.items()},
            "rve_shape": list(self.shape),
            "strain": max(float(np.abs(curve.strain).max()) for _, curve in self.references),
        }


def _error(material: Material, path: LoadPath, reference: Curve) -> float:
    rows = len(reference.strain)
    try:
        response = drive(material, _shortened(path, rows), tol=1e-6)
    except ConvergenceError:
        return np.inf
    network = Curve(response.strain, response.stress)
    error = PathVerdict(path=path, reference=reference, network=network).error
    return error if np.isfinite(error) else np.inf


def _padded(values: np.ndarray, rows: int) -> np.ndarray:
    """`rows` rows: the last one repeated, or cut."""
    return np.asarray(values[np.minimum(np.arange(rows), len(values) - 1)])


def _condensed(off: np.ndarray, tangent: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Stresses (n, 6) that are missing once the `free` ones are brought to zero by strains."""
    both = free[:, :, None] & free[:, None, :]
    block = np.where(both, tangent, np.eye(6) * ~free[:, None, :])
    if not (np.isfinite(block).all() and (np.abs(np.linalg.det(block)) > 0.0).all()):
        return np.full_like(off, np.nan)
    strains = np.linalg.solve(block, np.where(free, off, 0.0)[..., None])
    return np.asarray(off - (tangent @ strains)[..., 0])


def _shortened(path: LoadPath, rows: int) -> LoadPath:
    """The first rows of a path."""
    if rows == len(path.time):
        return path
    return LoadPath(
        time=path.time[:rows],
        target=path.target[:rows],
        stress_controlled=path.stress_controlled[:rows],
        name=path.name,
    )


def judged_by_cell(
    rve: Rve,
    options: SelectionOptions | None = None,
    *,
    contrast: tuple[float, float] = (1e-3, 1e3),
    finish: Callable[[Network], Network] = lambda network: network,
    allow_disconnected: bool = False,
    work: Path | None = None,
    progress: Progress | None = None,
    run: Simulate = simulate,
) -> Judge:
    """Simulate a cell along `judge_paths`, as far as the budget goes.

    Parameters
    ----------
    rve : Rve
    options : SelectionOptions, optional
    contrast : (float, float)
        Of the labels; bounds the generic laws.
    finish : callable, optional
        See `Judge`.
    allow_disconnected : bool
        Accept a solid that does not percolate.
    work : Path, optional
        Folder that keeps simulations and their times, so that a later call has the same paths.
    progress : callable, optional
        Called as ``progress("judge", done, total, note)``.
    run : callable
        `offline.reference.simulate`, or what takes and returns the same.

    Raises
    ------
    ParameterError
        Laws and cell do not fit, or no law is inelastic.
    ConvergenceError
        None of the simulations succeeds in its first step.
    """
    options = options or SelectionOptions()
    given = generic_laws(rve, contrast) if options.phases is None else dict(options.phases)
    _require_inelastic(given)
    finer = FINER if rve.void.any() else 1  # coarse struts are another structure
    cell = coarse_cell(rve, finer * options.max_elements)
    simulation = Simulation(
        rve=cell,
        phases=given,
        simulate=run,
        options=ReferenceOptions(
            tol=TOL, element=options.element, allow_disconnected=allow_disconnected
        ),
    )
    store = None if work is None else ReferenceStore(work)
    paths = judge_paths(options.strain, steps=options.steps)
    symmetries = axis_symmetries(cell, given)
    timeless = not any(law.rate_dependent for law in given.values())
    found: list[tuple[LoadPath, Curve]] = []
    spent, failed = 0.0, ""
    for i, path in enumerate(paths):
        turned = equivalent_curve(path, found, symmetries, timeless=timeless)
        if turned is not None:
            found.append((path, turned))
            continue
        if i >= AT_LEAST and spent >= options.budget:
            continue
        if progress is not None:
            progress("judge", i, len(paths), path.name)
        try:
            reference = _kept(simulation, path, store)
        except ConvergenceError as wrong:
            failed = str(wrong)
            continue
        spent += reference.seconds
        if len(reference.curve.strain) > 1:
            found.append((path, reference.curve))
    if not found:
        raise ConvergenceError(
            f"no inelastic simulation of the cell succeeded: {failed} "
            "Give other laws, or select by elastic errors (--select elastic)."
        )
    if progress is not None:
        progress("judge", len(paths), len(paths), f"{len(found)} paths simulated")
    return Judge(
        references=tuple(found), phases=given, shape=cell.shape, finish=finish, seconds=spent
    )


def _require_inelastic(laws: Mapping[str, PhaseLaw]) -> None:
    if all(law.linear or not law.stiffness.any() for law in laws.values()):
        raise ParameterError(
            "the laws to select by are all elastic, expected an inelastic one. "
            "Leave them out, or select by elastic errors (--select elastic)."
        )


def _kept(simulation: Simulation, path: LoadPath, store: ReferenceStore | None) -> Reference:
    """From the store if it is there; else simulated, and kept."""
    if store is not None and store.has(simulation, path):
        with suppress(FileFormatError):  # damaged: made again
            return store.read(simulation, path)
    reference = simulation.run(path)
    if store is None:
        return reference
    store.write(simulation, path, reference)
    return store.read(simulation, path)  # as a later call will find it, to the last bit
