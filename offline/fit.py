"""From a microstructure to a material network: labels, training, accuracy card."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.errors import ConvergenceError, ParameterError
from matnet.mandel import rotate_stiffness
from matnet.network import Network
from offline.labels import LabelOptions, LabelProgress, LabelSet, compute_labels
from offline.rve import Rve
from offline.rve.connectivity import check_solid, connectivity, remove_islands
from offline.selection import Judge, SelectionOptions, judged_by_cell
from offline.training import TrainingOptions, TrainingResult, train
from offline.verification.verdict import law_table

__all__ = ["FitOptions", "FitResult", "Progress", "fit"]

VOID_DEPTH = 3  # laminates of three normals carry all six strains beside void, two do not

Progress = Callable[[str, int, int, str], None]
"""Called as ``progress(stage, done, total, note)``; the note holds the quantity that matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """What `fit` does; one options object per arrow of the pipeline.

    Parameters
    ----------
    labels : LabelOptions
        How many labels, their sampling, tolerance and seed.
    training : TrainingOptions
        Network kind and depth, optimiser, starts, seed.
    selection : SelectionOptions
        Whether the network is chosen by inelastic simulations of the cell, and by which.
    allow_disconnected : bool
        Go on when the solid does not percolate in every direction.
    """

    labels: LabelOptions = field(default_factory=LabelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    allow_disconnected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """A fitted network and how it came about.

    Parameters
    ----------
    network : Network
        With its accuracy card.
    rve : Rve
        The cell as it was used, floating islands removed.
    removed_voxels : int
        Voxels of floating islands that were turned into void.
    labels : LabelSet
    training : TrainingResult
    judge : Judge or None
        What the network was chosen by, if not by elastic errors.
    """

    network: Network
    rve: Rve
    removed_voxels: int
    labels: LabelSet
    training: TrainingResult
    seconds_labels: float
    seconds_training: float
    judge: Judge | None = None
    seconds_judge: float = 0.0


def fit(
    rve: Rve,
    options: FitOptions | None = None,
    *,
    work: Path | None = None,
    labels: LabelSet | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a material network to the effective stiffness of a cell.

    Parameters
    ----------
    rve : Rve
        The microstructure; phases called "void" carry no stiffness.
    options : FitOptions
    work : Path, optional
        Folder for checkpoints. A later call with the same cell and options continues there and
        gives the same network as an undisturbed run. Refused input leaves nothing in it.
    labels : LabelSet, optional
        Use these labels instead of computing them.
    executor : concurrent.futures.Executor, optional
        Runs the full solves behind the labels.
    progress : callable, optional
        See `Progress`.

    Raises
    ------
    ParameterError
        The cell has no solid, or it does not percolate; too shallow a network for its phases;
        labels of another cell; laws to select by that do not fit the cell or are all elastic.
    ConvergenceError
        The labels did not reach their tolerance, or no inelastic simulation succeeded.
    """
    options = options or FitOptions()
    progress = progress or (lambda stage, done, total, note: None)
    rve, removed = prepared(rve, options.allow_disconnected)
    check_depth(rve, options.training.depth)
    if labels is not None and labels.rve_hash != rve.hash():
        raise ParameterError(
            "the labels belong to another cell (their cell hash differs). "
            "Compute labels for this cell or pass the cell they were computed for."
        )
    folder = None if work is None else _work_folder(work, rve, options, labels)
    began = time.perf_counter()
    try:
        judge = _judge(rve, options, folder, progress)
        judged = time.perf_counter()
        if labels is None:
            labels = compute_labels(
                rve,
                options.labels,
                executor=executor,
                store=None if folder is None else folder / "labels.h5",
                on_progress=lambda now: progress("labels", now.done, now.n, label_note(now)),
            )
        labelled = time.perf_counter()
        trained = train(
            in_cell_frame(labels, rve),
            options.training,
            checkpoint=None if folder is None else folder / "training.npz",
            judge=judge,
            refine_iterations=options.selection.refine if _may_refine(judge, rve) else 0,
            on_progress=progress,
        )
    except (ParameterError, ConvergenceError):  # the same call would fail again
        if folder is not None:
            _remove(folder)
        raise
    network = with_orientations(trained.network, rve).with_card(
        **inelastic_card(trained, judge), **accuracy_card(rve, labels, options)
    )
    return FitResult(
        network=network,
        rve=rve,
        removed_voxels=removed,
        labels=labels,
        training=trained,
        seconds_labels=labelled - judged,
        seconds_training=time.perf_counter() - labelled,
        judge=judge,
        seconds_judge=judged - began,
    )


def _judge(rve: Rve, options: FitOptions, folder: Path | None, progress: Progress) -> Judge | None:
    """The simulations to choose by, if the options want any."""
    if options.selection.mode == "elastic":
        return None
    return judged_by_cell(
        rve,
        options.selection,
        contrast=options.labels.sampling.contrast,
        finish=lambda network: with_orientations(network, rve),
        allow_disconnected=options.allow_disconnected,
        work=None if folder is None else folder / "simulations",
        progress=progress,
    )


def _may_refine(judge: Judge | None, rve: Rve) -> bool:
    """Whether the judge's stresses may be fitted to, and not only serve to compare networks.

    Those of a coarser cell are another cell's, and a network fitted to some directions alone can
    become much worse in the others.
    """
    return judge is not None and judge.complete and judge.shape == rve.shape


def label_note(now: LabelProgress) -> str:
    """What matters about unfinished labels, for a progress bar."""
    return f"{now.snapshots} solved in full, worst error {now.worst:.1e}"


def prepared(rve: Rve, allow_disconnected: bool) -> tuple[Rve, int]:
    """The cell without floating islands, checked for percolation, and how many voxels went."""
    if rve.density is not None:
        raise ParameterError(
            "the cell is a density field; a material network needs phases. "
            "Cut it into void and solid, for example with --threshold 0.5."
        )
    check_solid(rve, allow_disconnected=allow_disconnected)
    found = connectivity(rve, "node")  # as in the stiffness matrix
    strains = found.n_supported_strains
    if strains < 6:
        raise ParameterError(
            f"the solid resists only {strains} of 6 strains: C^H is singular, and relative errors "
            "of a network have no meaning. Fit a cell whose solid percolates in every direction."
        )
    return remove_islands(rve, found)


def check_depth(rve: Rve, depth: int) -> None:
    """Raise `ParameterError` if a network of `depth` layers cannot represent the cell's phases."""
    present = rve.fractions > 0.0
    n_phases = int(present.sum())
    if 2**depth < n_phases:
        raise ParameterError(
            f"depth {depth} has {2**depth} base nodes for {n_phases} phases; "
            f"take a depth of at least {int(np.ceil(np.log2(n_phases)))}."
        )
    if depth < VOID_DEPTH and (present & rve.void).any():
        raise ParameterError(
            f"depth {depth} is too little beside void: laminates of fewer than {VOID_DEPTH} "
            f"normals leave a strain without stiffness. Take a depth of at least {VOID_DEPTH}."
        )


def in_cell_frame(labels: LabelSet, rve: Rve) -> LabelSet:
    """The labels with phase stiffnesses turned into the cell's frame, as training needs them."""
    if rve.orientations is None:
        return labels
    return replace(
        labels, phase_stiffness=rotate_stiffness(labels.phase_stiffness, rve.orientations)
    )


def with_orientations(network: Network, rve: Rve) -> Network:
    """The trained network for phase stiffnesses in their material frames, as in the cell."""
    if rve.orientations is None:
        return network
    turns = rve.orientations[network.base_phase]
    own = network.rotations
    return replace(network, rotations=turns if own is None else own @ turns)


def accuracy_card(rve: Rve, labels: LabelSet, options: FitOptions) -> dict[str, Any]:
    """What a user must know to trust the network beside its errors: ranges, versions, origin."""
    solids = int(np.count_nonzero(~labels.void))
    contrast = {"contrast": list(options.labels.sampling.contrast)} if solids > 1 else {}
    return {
        "labels": len(labels),
        "label_error_worst": float(np.max(labels.error)),
        **contrast,
        "rve_hash": rve.hash(),
        "rve_source": rve.source,
        "rve_shape": list(rve.shape),
        "matnet": matnet.__version__,
        "numpy": np.__version__,
    }


def inelastic_card(trained: TrainingResult, judge: Judge | None) -> dict[str, Any]:
    """Errors of the chosen network along the judge's paths, and what they were told by."""
    chosen = trained.chosen
    if judge is None or chosen is None:
        return {"selection": {"mode": "elastic"}}

    def number(error: float) -> float | None:
        return error if np.isfinite(error) else None

    return {
        "inelastic_error_mean": number(chosen.mean),
        "inelastic_error_worst": number(chosen.worst),
        "selection": {
            "mode": "inelastic",
            "chosen": f"{chosen.stage}, iteration {chosen.iteration}",
            "judged": len(trained.candidates),
            "errors": dict(zip(judge.names, map(number, chosen.inelastic), strict=True)),
            **judge.card(),
        },
    }


def _work_folder(work: Path, rve: Rve, options: FitOptions, labels: LabelSet | None) -> Path:
    """Subfolder that only the same cell, options and version share; others are left alone."""
    given = "" if labels is None else hashlib.sha256(labels.effective.tobytes()).hexdigest()
    phases = options.selection.phases
    settings = asdict(replace(options, selection=replace(options.selection, phases=None)))
    del settings["labels"]["workers"]  # the result does not depend on it
    if phases is not None:
        settings["selection"]["phases"] = {name: law_table(law) for name, law in phases.items()}
    key = repr((rve.hash(), settings, given, matnet.__version__))
    folder = work / hashlib.sha256(key.encode()).hexdigest()[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        reason = os.strerror(wrong.errno) if wrong.errno else str(wrong)
        raise ParameterError(f"{folder}: cannot create the work folder ({reason}).") from None
    return folder


def remove_work(work: Path, rve: Rve, options: FitOptions, labels: LabelSet | None = None) -> None:
    """Delete the checkpoints of a finished fit, and the work folder when nothing else is in it."""
    _remove(_work_folder(work, rve, options, labels))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
