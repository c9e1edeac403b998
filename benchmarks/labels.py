"""The price of labels in full solves, and whether their errors are what they promise.

    python benchmarks/labels.py [--quick] [--out benchmarks/results/labels.json]

Per cell: seconds for all labels, all told, over the mean seconds of one full solve at the default
tolerance (same cell, same samples, same machine, measured in between), the true errors of
held-out samples against solves at 1e-7, and the ratio of estimated to true error on them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.atomic import whole_file
from offline.homogenization import CellSolver, SolverOptions
from offline.labels import LabelOptions, LabelSet, SamplingOptions, compute_labels
from offline.rve import Rve
from offline.rve.generators import make

N_TIMED = 8  # full solves whose mean is the unit of price
N_CHECKED = 50


def cells(quick: bool) -> dict[str, tuple[Rve, SamplingOptions, int]]:
    """Cells with their sampling and number of labels."""
    s = 2 if quick else 1
    wide, century = SamplingOptions(), SamplingOptions(contrast=(1e-2, 1e2))
    octet = make("octet", n=48 // s, volume_fraction=0.2)
    fibres = make("ud-hexagonal", n=64 // s, volume_fraction=0.5)
    spheres = make("spheres", n=32 // s, volume_fraction=0.25)
    n = 300 if quick else 2000
    return {
        "octet": (octet, wide, n),
        "fibres": (fibres, wide, n),
        "spheres": (spheres, century, n),
    }


def price(rve: Rve, sampling: SamplingOptions, n: int) -> dict[str, Any]:
    """Compute labels and judge them."""
    cell = CellSolver(rve, threads=len(os.sched_getaffinity(0)))
    compute_labels(rve, LabelOptions(n=2, tol=0.5))  # compile
    begin = time.perf_counter()
    labels = compute_labels(rve, LabelOptions(n=n, sampling=sampling))
    seconds = time.perf_counter() - begin
    rng = np.random.default_rng(1)
    full = [_seconds(cell, labels, i) for i in rng.choice(n, N_TIMED, replace=False)]
    unsolved = np.setdiff1d(np.arange(n), labels.card["solved"])
    checked = rng.choice(unsolved, min(N_CHECKED, unsolved.size), replace=False)
    true = np.array([_error(cell, labels, i) for i in checked])
    ratio = labels.error[checked] / true
    return {
        "shape": rve.shape,
        "labels": n,
        "snapshots": labels.card["snapshots"],
        "seconds": round(seconds, 2),
        "full_solve_seconds": round(float(np.mean(full)), 4),
        "price_in_full_solves": round(seconds / float(np.mean(full)), 1),
        "largest_estimate": float(labels.error.max()),
        "worst_true_error": float(true.max()),
        "mean_true_error": float(true.mean()),
        "estimate_over_truth": {
            "min": round(float(ratio.min()), 2),
            "median": round(float(np.median(ratio)), 2),
            "max": round(float(ratio.max()), 2),
        },
    }


def _seconds(cell: CellSolver, labels: LabelSet, i: int) -> float:
    begin = time.perf_counter()
    operator = cell.with_stiffness(labels.phase_stiffness[i])
    operator.energy(operator.solve(SolverOptions()).u)
    return time.perf_counter() - begin


def _error(cell: CellSolver, labels: LabelSet, i: int) -> float:
    operator = cell.with_stiffness(labels.phase_stiffness[i])
    exact = operator.energy(operator.solve(SolverOptions(tol=1e-7)).u)
    return float(np.linalg.norm(labels.effective[i] - exact) / np.linalg.norm(exact))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small grids, 300 labels")
    parser.add_argument("--only", help="one cell: octet, fibres or spheres")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "labels.json"
    )
    args = parser.parse_args()
    result: dict[str, Any] = {
        "matnet": matnet.__version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "quick": args.quick,
        "cells": {},
    }
    for name, (rve, sampling, n) in cells(args.quick).items():
        if args.only in (None, name):
            result["cells"][name] = price(rve, sampling, n)
            print(name, json.dumps(result["cells"][name]), flush=True)
    with whole_file(args.out) as beside:
        beside.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
