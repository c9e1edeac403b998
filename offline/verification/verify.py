"""Judge a network: simulate the cell, drive the network, compare."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from matnet.errors import ConvergenceError, ParameterError, RangeWarning
from matnet.material import Material
from matnet.network import Network
from matnet.paths import LoadPath
from matnet.phases import PhaseLaw
from matnet.point import drive
from offline.rve import Rve
from offline.rve.connectivity import connectivity, remove_islands
from offline.verification.compare import Curve, PathVerdict
from offline.verification.default_paths import default_paths
from offline.verification.references import Reference, ReferenceStore, Simulate, Simulation, Tell
from offline.verification.refine import refined
from offline.verification.timing import time_network
from offline.verification.verdict import Verdict

__all__ = ["Progress", "verify"]

FRACTIONS_APART = 1e-3  # volume fractions of network and cell that deserve a remark
ELASTIC = 1e-9  # dissipated over stored energy below which a path is elastic

Progress = Callable[[str, int, int, str], None]
"""Called as ``progress(stage, done, total, note)`` while a path is simulated."""


def verify(
    network: Network,
    rve: Rve,
    phases: Mapping[str, PhaseLaw],
    paths: Sequence[LoadPath] | None = None,
    *,
    refine: int = 1,
    options: Any = None,
    store: ReferenceStore | None = None,
    timed: bool = True,
    progress: Progress | None = None,
    simulate: Simulate | None = None,
) -> Verdict:
    """Compare a network with full-field simulation of its cell, with the same laws and steps.

    Parameters
    ----------
    network : Network
        The one to judge.
    rve : Rve
        The cell it stands for.
    phases : mapping
        Law by phase name; a phase called ``void`` may be left out.
    paths : sequence of LoadPath, optional
        What to judge it on; `default_paths` if not given.
    refine : int
        Simulate on a mesh of this many elements per voxel and axis; see docs/verify.md for why.
    options : offline.reference.ReferenceOptions, optional
        Of the simulation.
    store : ReferenceStore, optional
        Keeps simulations, and has those made before.
    timed : bool
        Whether to time the network, which takes some seconds.
    progress : callable, optional
        See `Progress`.
    simulate : callable, optional
        Instead of `offline.reference.simulate`.

    Returns
    -------
    Verdict
        A path that failed on either side is compared up to there, and says so.

    Raises
    ------
    ParameterError
        Cell and network have other phases, a law is missing, or there is no path.
    ConvergenceError
        A path failed in its first step.
    FileFormatError
        A kept simulation cannot be read.
    """
    chosen = tuple(default_paths() if paths is None else paths)
    if not chosen:
        raise ParameterError("there is no path, expected at least one.")
    _require_same_phases(network, rve)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", RangeWarning)
        material = Material(network=network, phases=phases)
    laws = dict(material.phases)
    cell = refined(rve, refine)
    simulation = Simulation(rve=cell, phases=laws, simulate=_simulator(simulate), options=options)
    # the network first: it answers in seconds
    drives = [_drive(material, path) for path in chosen]
    verdicts = []
    for path, (network_side, _) in zip(chosen, drives, strict=True):
        reference = _reference(simulation, path, store, progress)
        verdicts.append(_compared(path, reference, network_side))
    told = [str(remark.message) for remark in remarks]
    told += _remarks(network, rve)
    if not material.layout.linear and not any(dissipates for _, dissipates in drives):
        told.append("No path leaves the elastic range. Raise the strain to judge plastic flow.")
    return Verdict(
        network=network,
        paths=tuple(verdicts),
        laws=laws,
        cell_hash=rve.hash(),
        cell_shape=cell.shape,
        timing=time_network(material, verdicts) if timed else None,
        warnings=tuple(dict.fromkeys(told)),
    )


def _simulator(given: Simulate | None) -> Simulate:
    if given is not None:
        return given
    from offline.reference import simulate

    return simulate


def _reference(
    simulation: Simulation,
    path: LoadPath,
    store: ReferenceStore | None,
    progress: Progress | None,
) -> Reference:
    """From the store if it is there; else simulated, and kept."""
    if store is not None and store.has(simulation, path):
        return store.read(simulation, path)
    reference = simulation.run(path, _for_path(progress, path))
    if store is not None:
        store.write(simulation, path, reference)
    return reference


def _for_path(progress: Progress | None, path: LoadPath) -> Tell | None:
    """The simulation's progress, told under the path's name."""
    return None if progress is None else partial(progress, path.name)


def _drive(material: Material, path: LoadPath) -> tuple[Reference, bool]:
    """The network along `path`, and whether it dissipated anything."""
    note = ""
    try:
        response = drive(material, path)
    except ConvergenceError as stopped:
        response, note = stopped.result, f"network: {stopped}"
    spent, kept = response.dissipated, response.stored
    assert spent is not None and kept is not None  # networks tell
    dissipates = bool(spent[-1] > ELASTIC * np.abs(kept).max())
    return Reference(Curve(response.strain, response.stress), 0.0, note), dissipates


def _compared(path: LoadPath, reference: Reference, network: Reference) -> PathVerdict:
    """Both sides up to the last row that both have."""
    rows = min(len(reference.curve.strain), len(network.curve.strain))
    note = "; ".join(filter(None, (reference.note, network.note)))
    if rows < 2:
        raise ConvergenceError(f"{path.name}: nothing to compare. {note}")
    return PathVerdict(
        path=path,
        reference=Curve(*(values[:rows] for values in reference.curve)),
        network=Curve(*(values[:rows] for values in network.curve)),
        seconds=reference.seconds * (rows - 1) / (len(reference.curve.strain) - 1),
        note=note,
    )


def _require_same_phases(network: Network, rve: Rve) -> None:
    present = {name for name, share in zip(rve.phase_names, rve.fractions, strict=True) if share}
    unknown = sorted(present - set(network.phase_names))
    if unknown:
        raise ParameterError(
            f"the cell has a phase '{unknown[0]}', the network has "
            f"{', '.join(map(repr, network.phase_names))}. Verify it with its own cell, or name "
            "the cell's phases with --phase-names."
        )


def _remarks(network: Network, rve: Rve) -> list[str]:
    """Whether this is the cell that the network was fitted to."""
    shares = dict(zip(rve.phase_names, rve.fractions.tolist(), strict=True))
    for name, fraction in zip(network.phase_names, network.fractions.tolist(), strict=True):
        share = shares.get(name, 0.0)
        if abs(share - fraction) > FRACTIONS_APART:
            return [
                f"The cell has {100 * share:.2f} % of '{name}', the network "
                f"{100 * fraction:.2f} %: part of the error is the other cell's."
            ]
    fitted = network.card.get("rve_hash")
    if isinstance(fitted, str) and fitted not in (rve.hash(), _without_islands(rve).hash()):
        return ["The network was fitted to another cell: part of the error may be the cell's."]
    return []


def _without_islands(rve: Rve) -> Rve:
    """As `offline.fit.fit` uses the cell."""
    return remove_islands(rve, connectivity(rve, "node"))[0]
