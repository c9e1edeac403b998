"""From a cell to labels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from offline.homogenization import SolverOptions
from offline.labels.finish import finishing_pays
from offline.labels.greedy import Calibration, ReducedLabels, pick_batch, sample_features
from offline.labels.label_set import LabelSet
from offline.labels.options import LabelOptions, LabelProgress
from offline.labels.reduced_basis import ReducedBasis
from offline.labels.residual_sketch import ResidualSketch
from offline.labels.sampling import sample_stiffnesses
from offline.labels.snapshots import Snapshot, SnapshotTask, cell_solver, run_tasks
from offline.labels.store import SnapshotStore, read_labels
from offline.labels.strain_products import StrainProducts, stiffness_pairs
from offline.rve import Rve

__all__ = ["compute_labels"]

Report = Callable[[LabelProgress], None]
FINISH_SHARES = (0.1, 0.01, 0.001)  # of the tolerance, for the solver, until all are judged good
IN_FLIGHT = 32  # full solutions handed to the executor at once
SETTLED = 0.5  # of the tolerance: labels with a smaller estimate wait until the end


def compute_labels(
    rve: Rve,
    options: LabelOptions | None = None,
    *,
    executor: Executor | None = None,
    store: str | Path | None = None,
    on_progress: Report | None = None,
) -> LabelSet:
    """Sample phase stiffnesses and compute the effective stiffness of each sample.

    Few samples are solved fully; their fields span a reduced basis that labels all the others
    (`offline.labels.greedy`). Every label bounds its effective stiffness from above.

    Parameters
    ----------
    rve : Rve
    options : LabelOptions, optional
    executor : concurrent.futures.Executor, optional
        Runs the full solutions, for instance an `mpi4py.futures.MPIPoolExecutor`. Default:
        ``options.workers`` processes of this machine. The labels do not depend on it.
    store : path, optional
        Label file to write. Until it is complete, full solutions are kept in a folder beside it,
        so that a run that was killed goes on where it stopped and ends with the same labels.
    on_progress : callable, optional
        Called with a `LabelProgress` after each round.

    Raises
    ------
    ParameterError
        The cell has no solid or does not percolate, or `store` holds labels of another run.
    ConvergenceError
        A full solution did not converge.

    Examples
    --------
    >>> rve = Rve(phases=np.arange(8).reshape(2, 2, 2) % 2, phase_names=("soft", "stiff"))
    >>> labels = compute_labels(rve, LabelOptions(n=20, tol=1e-2))
    >>> len(labels), bool(labels.error.max() < 1e-2)
    (20, True)
    """
    opts = options or LabelOptions()
    phase_stiffness = sample_stiffnesses(opts.n, rve.void, opts.sampling, opts.seed)
    key = _run_key(rve, phase_stiffness, opts)
    if store is not None and Path(store).exists():
        return _finished(store, key)
    keep = None if store is None else SnapshotStore(store, key)
    with _executor(executor, opts) as pool:
        run = _Run(rve, phase_stiffness, opts, pool, executor is None, keep, on_progress)
        effective, error, card = run.direct() if opts.direct else run.reduced()
    labels = LabelSet(
        phase_stiffness=phase_stiffness,
        effective=effective,
        error=error,
        phase_names=rve.phase_names,
        fractions=rve.fractions,
        rve_hash=rve.hash(),
        seed=opts.seed,
        card={**card, "run": key},
    )
    if store is not None and keep is not None:
        labels.save(store)
        keep.remove()
    return labels


class _Run:
    """One computation: the cell, its samples, and where full solutions come from."""

    def __init__(
        self,
        rve: Rve,
        phase_stiffness: np.ndarray,
        options: LabelOptions,
        executor: Executor | None,
        local: bool,
        store: SnapshotStore | None,
        on_progress: Report | None,
    ) -> None:
        self.rve, self.phase_stiffness, self.options = rve, phase_stiffness, options
        self.executor, self.store = executor, store
        self.report: Report = on_progress or (lambda progress: None)
        # one thread per worker process; alone, all cores
        self.solver_options = SolverOptions(
            tol=options.solver_tol,
            max_iterations=options.max_iterations,
            engine=options.engine,
            threads=None if executor is None and local else 1,
        )

    def direct(self) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Effective stiffnesses, errors and card with every sample solved fully."""
        n = self.options.n
        found: dict[int, Snapshot] = {}
        for snapshot in self._solve(range(n), None, self.solver_options):
            found[snapshot.index] = snapshot
            self._report(np.array([s.error for s in found.values()]), len(found), 0.0)
        effective = np.array([found[i].effective for i in range(n)])
        error = np.array([found[i].error for i in range(n)])
        return effective, error, {"method": "direct", "snapshots": n}

    def reduced(self) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Effective stiffnesses, errors and card from a greedy reduced basis."""
        opts, samples = self.options, self.phase_stiffness
        cell = cell_solver(self.rve, self.solver_options.n_threads, opts.allow_disconnected)
        products = StrainProducts.of(cell, stiffness_pairs(samples))
        labels = ReducedLabels(
            samples,
            ReducedBasis.empty(products, _reference(products, samples)),
            ResidualSketch.of(cell, products, opts.seed),
        )
        calibration, solved = Calibration(), np.zeros(opts.n, dtype=bool)
        features = sample_features(samples)
        history: list[list[float]] = []
        worst: list[float] = []
        batch: list[Snapshot] = []
        checked = False
        while True:
            labels.renew(np.flatnonzero(calibration.factor * labels.raw > SETTLED * opts.tol))
            error = calibration.factor * labels.raw
            self._report(error, int(solved.sum()), labels.basis.memory)
            good = bool(solved.any()) and error.max() <= opts.tol
            if (good and checked) or solved.all():
                break
            worst.append(float(error[~solved].max()))
            if finishing_pays(
                worst,
                opts.tol,
                n_open=int((error > opts.tol).sum()),
                n_voxels=self.rve.phases.size,
                n_fields=labels.basis.size,
                n_pairs=len(labels.basis.tensor),
                batch=opts.batch,
                iterations=float(np.mean([s.iterations for s in batch] or [0])),
            ):
                break
            rng = np.random.default_rng([opts.seed, len(history)])
            picked = pick_batch(error, solved, features, opts.batch, rng)
            labels.renew(np.array(picked))
            batch = self._batch(labels, picked)
            true = np.array([labels.true_error(s) for s in batch])
            history.append([float(true.max()), worst[-1], len(picked)])
            checked = good and true.max() <= opts.tol
            if labels.basis.size:  # without fields the error is no small one and says little
                noise = np.array([s.error for s in batch])
                calibration = calibration.learnt(true, labels.raw[picked], noise)
            labels.extend(batch)
            solved[picked] = True
        labels.renew(np.arange(opts.n))
        error = calibration.factor * labels.raw
        finished = np.flatnonzero((error > opts.tol) & ~solved)
        self._finish(labels, error, solved, calibration.factor)
        card = {
            "method": "reduced basis",
            "snapshots": int(solved.sum()),
            "solved": np.flatnonzero(solved).tolist(),
            "finished": finished.tolist(),  # started from the reduced basis, not part of it
            "rounds": history,  # true error of the batch, estimate before it, size
            "calibration": calibration.factor,
        }
        return labels.effective, error, card

    def _finish(
        self, labels: ReducedLabels, error: np.ndarray, solved: np.ndarray, factor: float
    ) -> None:
        """Solve the open samples one by one, from their reduced fields to the tolerance.

        Their errors are estimated from the residual like those of the reduced labels: after so few
        iterations the solver's own estimate is not reliable.
        """
        tol = self.options.tol

        def judged(snapshot: Snapshot) -> Snapshot:
            stiffness = self.phase_stiffness[snapshot.index]
            assert snapshot.residual is not None  # solved from a guess, without fields
            raw = labels.sketch.field_error(
                stiffness, snapshot.residual, snapshot.effective, self.rve.volume
            )
            return replace(snapshot, error=factor * raw, residual=None)

        for share in FINISH_SHARES:
            open_samples = np.flatnonzero((error > tol) & ~solved).tolist()
            options = replace(self.solver_options, tol=share * tol)
            for snapshot in self._solve(open_samples, labels, options, judged):
                labels.effective[snapshot.index] = snapshot.effective
                error[snapshot.index] = snapshot.error
                self._report(error, int(solved.sum()), labels.basis.memory)

    def _batch(self, labels: ReducedLabels, picked: Sequence[int]) -> list[Snapshot]:
        """Full solutions of the picked samples, in their order."""
        found = {s.index: s for s in self._solve(picked, labels, self.solver_options)}
        return [found[i] for i in picked]

    def _solve(
        self,
        wanted: Sequence[int],
        labels: ReducedLabels | None,
        options: SolverOptions,
        judged: Callable[[Snapshot], Snapshot] | None = None,
    ) -> Iterator[Snapshot]:
        """Stored solutions first, then those that have to be computed, each stored at once.

        With reduced labels, solutions start from them; those that nobody judges keep their fields.
        """
        for first in range(0, len(wanted), IN_FLIGHT):  # start fields are large
            few = wanted[first : first + IN_FLIGHT]
            yield from self._solve_few(few, labels, options, judged)

    def _solve_few(
        self,
        wanted: Sequence[int],
        labels: ReducedLabels | None,
        options: SolverOptions,
        judged: Callable[[Snapshot], Snapshot] | None,
    ) -> Iterator[Snapshot]:
        tasks = []
        for index in wanted:
            stored = self.store.get(index) if self.store is not None else None
            if stored is not None:
                yield stored
                continue
            tasks.append(
                SnapshotTask(
                    rve=self.rve,
                    index=index,
                    phase_stiffness=self.phase_stiffness[index],
                    options=options,
                    # without fields it would be zero, and an engine may know better
                    start=labels.start(index) if labels is not None and labels.basis.size else None,
                    keep_fields=labels is not None and judged is None,
                    allow_disconnected=self.options.allow_disconnected,
                )
            )
        for solved in run_tasks(tasks, self.executor):
            snapshot = solved if judged is None else judged(solved)
            good = judged is None or snapshot.error <= self.options.tol  # else it is solved again
            if self.store is not None and good:
                self.store.put(snapshot)
            yield snapshot

    def _report(self, error: np.ndarray, snapshots: int, memory: float) -> None:
        self.report(
            LabelProgress(
                done=int((error <= self.options.tol).sum()),
                n=self.options.n,
                snapshots=snapshots,
                worst=float(error.max()),
                median=float(np.median(error)),
                memory=memory,
            )
        )


@contextmanager
def _executor(given: Executor | None, options: LabelOptions) -> Iterator[Executor | None]:
    """The given executor, a pool of processes, or None for this process."""
    if given is not None or options.workers in (None, 1):
        yield given
        return
    # numba's threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    # Ctrl-C is for this process, which stops the workers; they would print tracebacks
    pool = ProcessPoolExecutor(
        options.workers,
        mp_context=context,
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _reference(products: StrainProducts, phase_stiffness: np.ndarray) -> np.ndarray:
    """Stiffness entries (n_pairs,) of the basis' energy: the mean sample, each phase of size 1."""
    size = np.abs(phase_stiffness).max(axis=(2, 3), keepdims=True)
    unit = phase_stiffness / np.where(size > 0.0, size, 1.0)
    return np.asarray(products.coefficients(unit).mean(axis=0))


def _run_key(rve: Rve, phase_stiffness: np.ndarray, options: LabelOptions) -> dict[str, Any]:
    """Everything the labels depend on; not how many workers compute them."""
    settings = dataclasses.asdict(options)
    del settings["workers"]
    if settings["engine"] == "auto":  # files from before there was a choice
        del settings["engine"]
    samples = hashlib.sha256(np.ascontiguousarray(phase_stiffness).tobytes()).hexdigest()
    key = {"rve": rve.hash(), "samples": samples, "options": settings}
    return dict(json.loads(json.dumps(key)))  # tuples become lists, as they do in the file


def _finished(store: str | Path, key: dict[str, Any]) -> LabelSet:
    """The labels in a complete file, if they are those of this run."""
    labels = read_labels(store)
    if labels.card.get("run") != key:
        raise ParameterError(
            f"{Path(store).name} exists and holds labels of another cell or other options. "
            "Choose another file or remove it."
        )
    return labels
