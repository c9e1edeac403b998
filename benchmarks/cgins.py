"""CGiNS against our own classical engines, and its variants side by side.

    python benchmarks/cgins.py times --weights WEIGHTS [--resolution 32] [--resolution 64]
        [--family truss] [--family tpms] [--cells 2] [--device cpu]
        [--out benchmarks/results/cgins.json]
    python benchmarks/cgins.py ablations FOLDER [--baseline full] [--picture projection.png]

`times` measures whole calls of `homogenize`, set-up included: Fourier, multigrid and the learned
start with WEIGHTS, at the tolerances 1e-2, 1e-3, 1e-6. The error that each reaches is measured
against a solve to 1e-8. On the CPU times are CPU seconds of one thread; on CUDA wall seconds. The
network alone is measured too. The documents' figures (one A40) are printed beside.

`ablations` reads FOLDER/NAME/evaluation.json, written by
`matnet surrogate evaluate RUN -o FOLDER/NAME`, and prints one table.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.atomic import whole_file
from offline.homogenization import SolverOptions, homogenize
from offline.surrogates.evaluation import EvaluationOptions, Predictor, load_predictor
from offline.surrogates.evaluation.compare import comparison, draw_projection, read_runs
from offline.surrogates.evaluation.predictor import weights_stem
from offline.surrogates.evaluation.report import markdown_table
from offline.surrogates.families import Sample

TOLERANCES = (1e-2, 1e-3, 1e-6)
REPEATS = 3
# METHODS 2, the documents' table 3: total seconds of six loads on one A40, at equal residuals
DOCUMENTS = {
    "tpms": {64: (0.32, 0.87, 0.14), 128: (3.40, 1.71, 0.82), 256: (9.10, 7.46, 3.33)},
    "truss": {64: (0.46, 1.01, 0.15), 128: (3.52, 1.84, 0.85), 256: (20.69, 7.93, 3.32)},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    times = tasks.add_parser("times", help="engines against each other")
    times.add_argument("--weights", type=Path, required=True)
    times.add_argument("--resolution", type=int, action="append")
    times.add_argument("--family", action="append")
    times.add_argument("--cells", type=int, default=2)
    times.add_argument("--device", default="cpu")
    times.add_argument("--out", type=Path, default=Path("benchmarks/results/cgins.json"))
    ablations = tasks.add_parser("ablations", help="reports side by side")
    ablations.add_argument("folder", type=Path)
    ablations.add_argument("--baseline")
    ablations.add_argument("--picture", type=Path)
    given = parser.parse_args(arguments)
    if given.task == "ablations":
        show_ablations(given.folder, given.baseline, given.picture)
    else:
        show_times(given)


def show_ablations(folder: Path, baseline: str | None, picture: Path | None) -> None:
    """The table, and figure 3."""
    runs = read_runs(folder)
    print(markdown_table(*comparison(runs, baseline)))
    if picture is not None:
        from matplotlib.figure import Figure

        fig = Figure(figsize=(2.0 + 0.7 * len(runs), 4.0), layout="constrained")
        draw_projection(runs, fig.add_subplot())
        with whole_file(picture) as beside:
            fig.savefig(beside, dpi=130)


def show_times(given: argparse.Namespace) -> None:
    """Measure, print, write."""
    import torch

    if given.device == "cpu":
        torch.set_num_threads(1)
    predictor = load_predictor(given.weights, given.device)
    rows = []
    for family in given.family or ["truss", "tpms"]:
        for resolution in given.resolution or [32, 64]:
            options = EvaluationOptions(
                families=(family,), resolution=resolution, cells=given.cells
            )
            for sample in options.samples():
                rows.append(measure(sample, resolution, predictor, given.weights, given.device))
                print(f"{family} {resolution}^3, {sample.name}: done", flush=True)
    record = {
        "matnet": matnet.__version__,
        "machine": platform.machine(),
        "device": given.device if given.device == "cpu" else torch.cuda.get_device_name(),
        "clock": "CPU seconds, one thread" if given.device == "cpu" else "wall seconds",
        "weights": predictor.name,
        "sha256": predictor.card.get("sha256"),
        "trained_on": predictor.card.get("data"),
        "documents_a40": {
            family: {
                str(n): dict(zip(("AmgX", "Homo3D", "CGiNS"), s, strict=True))
                for n, s in per.items()
            }
            for family, per in DOCUMENTS.items()
        },
        "cells": rows,
    }
    with whole_file(given.out) as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for title, columns, table in tables(rows):
        print(f"\n{title}\n\n{markdown_table(columns, table)}")


def measure(
    sample: Sample, resolution: int, predictor: Predictor, weights: Path, device: str
) -> dict[str, Any]:
    """All engines on one cell."""
    cell = (sample.rve, sample.stiffnesses)
    reference = homogenize(*cell, SolverOptions(tol=1e-8, threads=1, device="cpu")).stiffness
    clock = time.process_time if device == "cpu" else time.perf_counter
    engines = {"fourier": "fourier", "multigrid": "multigrid"}
    engines["cgins"] = f"cgins:{weights_stem(weights)}"
    found: dict[str, Any] = {}
    for name, engine in engines.items():
        for tol in TOLERANCES:
            where = device if name == "fourier" else "cpu"
            options = SolverOptions(tol=tol, engine=engine, threads=1, device=where)
            seconds, result = best(lambda o=options: homogenize(*cell, o), clock)
            found[f"{name} {tol:g}"] = {
                "seconds": seconds,
                "delta": distance(result.stiffness, reference),
                "iterations": int(result.iterations.max()),
            }
    seconds, u = best(lambda: predictor.predict([cell])[0], clock)
    solver = homogenize_operator(sample)
    c = solver.energy(solver.solver.pack(u))
    found["network alone"] = {"seconds": seconds, "delta": distance(c, reference), "iterations": 0}
    return {
        "family": sample.family,
        "name": sample.name,
        "seed": sample.seed,
        "resolution": resolution,
        "volume_fraction": sample.volume_fraction,
        "nodes": solver.mesh.n_nodes,
        "found": found,
    }


def homogenize_operator(sample: Sample) -> Any:
    """The operator of a cell, to judge a displacement by its energy."""
    from offline.homogenization import CellSolver

    void = ~sample.stiffnesses.any(axis=(1, 2))
    return CellSolver(sample.rve, void=void).with_stiffness(sample.stiffnesses)


def best(call: Callable[[], Any], clock: Callable[[], float]) -> tuple[float, Any]:
    """Shortest of several calls, the first one (compilation, caches) aside, and the result."""
    result, seconds = call(), []
    for _ in range(REPEATS):
        begin = clock()
        result = call()
        seconds.append(clock() - begin)
    return min(seconds), result


def distance(c: np.ndarray, reference: np.ndarray) -> float:
    """delta_C."""
    return float(np.linalg.norm(c - reference) / np.linalg.norm(reference))


def tables(rows: list[dict[str, Any]]) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Seconds, measured errors and iterations, means over cells; the documents' seconds."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["family"], row["resolution"]), []).append(row)
    ways = list(rows[0]["found"])
    table = []
    for (family, n), some in groups.items():
        for way in ways:
            mean = {
                key: float(np.mean([row["found"][way][key] for row in some]))
                for key in ("seconds", "delta", "iterations")
            }
            table.append(
                (
                    f"{family} {n}^3",
                    way,
                    f"{mean['seconds']:.3f}",
                    f"{mean['delta']:.1e}",
                    f"{mean['iterations']:.0f}",
                )
            )
    papers = [
        (f"{family} {n}^3", *(f"{s:.2f}" for s in seconds))
        for family, per in DOCUMENTS.items()
        for n, seconds in per.items()
    ]
    return [
        ("Engine and tolerance", ("cells", "engine, tol", "s", "delta_C", "iterations"), table),
        ("The documents, A40, total seconds", ("cells", "AmgX", "Homo3D", "CGiNS"), papers),
    ]


if __name__ == "__main__":
    main()
