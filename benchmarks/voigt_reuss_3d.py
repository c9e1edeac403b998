"""Voigt-Reuss nets in space on a CPU: twins, and what orientation-sensitive descriptors add.

Draws and labels cells (24^3 voxels, four contrasts per image), trains every twin for the same
time (on a shared machine better: epochs), and judges all on cells of other images. A killed run
goes on; finished twins are kept.

    OMP_NUM_THREADS=1 nice python benchmarks/voigt_reuss_3d.py --out runs/vr3d --cells 12000

prints a Markdown table after each twin and writes benchmarks/results/voigt_reuss_3d.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matnet.atomic import whole_file
from offline.surrogates.training import Progress
from offline.surrogates.voigt_reuss.space import (
    SpaceCells,
    generate_3d,
    load_space_cells,
    load_surrogate,
    train_space_twin,
)
from offline.surrogates.voigt_reuss.space.compare import (
    TWINS,
    cpu_options,
    space_estimates,
    space_table,
)
from offline.surrogates.voigt_reuss.space.evaluation import SpaceEvaluation
from offline.surrogates.voigt_reuss.space.networks import documented, small, voxels

RESULTS = Path(__file__).parent / "results" / "voigt_reuss_3d.json"
VOXEL_EPOCH = 30  # an epoch of the network of voxels takes about that many of the others
TRAINING_SEED, JUDGING_SEED = 1, 1000
NETWORKS = {"small": small, "documented": documented}


def main() -> None:
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with _workers(arguments.workers) as executor:
        cells = _data("training", arguments.cells, TRAINING_SEED, arguments, executor)
        judged = _data("judging", arguments.judged, JUDGING_SEED, arguments, executor)
    training, held = cells.split(0.08, seed=0)
    _say(f"{len(training)} cells to train with, {len(held)} to choose by, {len(judged)} to judge")
    free = ("twins", "workers", "results")
    settings = {key: str(value) for key, value in vars(arguments).items() if key not in free}
    results = _earlier(arguments.results, settings)
    found = space_estimates(judged)
    for name in arguments.twins:
        folder = arguments.out / name
        if name not in results["runs"]:
            begin = time.process_time()
            _train(name, training, held, folder, arguments)
            results["runs"][name] = {"cpu_seconds": time.process_time() - begin}
        found.update(_judge(name, folder, judged))
        for label, one in found.items():
            row = {"evaluation": one.as_dict(), "r2": _numbers(one.r2)}
            results["runs"].setdefault(label, {}).update(row)
        by_kind = _by_kind(name, folder, judged)
        results["runs"][name]["median_error_by_kind"] = by_kind
        with whole_file(arguments.results) as beside:
            beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(space_table(found), flush=True)


def _data(
    name: str, count: int, seed: int, arguments: argparse.Namespace, executor: Executor | None
) -> SpaceCells:
    path = arguments.out / f"{name}-{count}-{arguments.resolution}.npz"
    if path.exists():
        return load_space_cells(path)
    begin = time.perf_counter()

    def tell(done: int) -> None:
        _say(f"{name}: {done} of {count} cells, {time.perf_counter() - begin:.0f} s")

    return generate_3d(
        count, seed, resolution=arguments.resolution, path=path, executor=executor, progress=tell
    )


def _train(
    name: str, cells: SpaceCells, held: SpaceCells, folder: Path, arguments: argparse.Namespace
) -> None:
    config, epochs = NETWORKS[arguments.network](), arguments.epochs
    if TWINS[name][1].get("inputs") == "voxels":
        config = voxels(resolution=arguments.resolution)
        epochs = epochs and max(epochs // VOXEL_EPOCH, 3)
    last = [-1]

    def report(progress: Progress) -> None:
        if progress.epoch != last[0]:
            last[0] = progress.epoch
            _say(f"{name}: epoch {progress.epoch}, mean error {progress.validation:.4f}")

    options = cpu_options(arguments.minutes, tensorboard=False)
    if epochs is not None:
        options = cpu_options(epochs=epochs, tensorboard=False)
    train_space_twin(name, cells, held, folder, options, config, report=report)


def _judge(name: str, folder: Path, judged: SpaceCells) -> dict[str, SpaceEvaluation]:
    """The twin as it is; the Voigt-Reuss net of descriptors also as the mean over symmetries."""
    net = load_surrogate(folder / "best")
    found = {name: net.evaluate(judged)}
    if name == "voigt-reuss":
        found[f"{name}, symmetric"] = net.evaluate(judged, symmetric=True)
    return found


def _by_kind(name: str, folder: Path, judged: SpaceCells) -> dict[str, float]:
    error = _judge(name, folder, judged)[name].error
    kinds = judged.kind[judged.image]
    return {str(kind): float(np.median(error[kinds == kind])) for kind in np.unique(kinds)}


def _earlier(path: Path, settings: dict[str, str]) -> dict[str, Any]:
    """Results of a run with the same settings, or none."""
    if path.exists():
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if results.get("settings") == settings:
            return results
    return {"settings": settings, "runs": {}}


def _numbers(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in matrix]


@contextlib.contextmanager
def _workers(count: int) -> Iterator[Executor | None]:
    if count < 2:
        yield None
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
        yield executor


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of data and weights")
    parser.add_argument("--cells", type=int, default=12_000, help="to train with")
    parser.add_argument("--judged", type=int, default=1600, help="cells to judge by")
    parser.add_argument("--resolution", type=int, default=24, help="voxels per axis")
    parser.add_argument("--minutes", type=float, default=4.0, help="of training per twin")
    parser.add_argument("--epochs", type=int, help="instead of minutes: equal work, not time")
    parser.add_argument("--network", choices=tuple(NETWORKS), default="small")
    parser.add_argument("--workers", type=int, default=1, help="processes that label")
    parser.add_argument("--twins", nargs="+", choices=tuple(TWINS), default=list(TWINS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
