"""`matnet fit` as a user runs it: time and validation error on the reference cells.

    python benchmarks/fit.py [--only NAME] [--out benchmarks/results/fit.json]

Each cell is fitted by the command line in a process of its own, start-up, labels, training, report
picture and all; targets are those the project set itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matnet
from matnet.atomic import whole_file
from offline.rve import read, write
from offline.rve.generators import make

ROOT = Path(__file__).parent
OCTET = ROOT.parent / "fe_examples" / "data" / "truss.npz"

FIBRE_TARGET = {"seconds": 300.0, "error_mean": 0.007}
SPHERE_TARGET = {"error_mean": 0.007}

# name: generator and its parameters (None: the shipped octet), contrast, targets
CELLS: dict[str, tuple[dict[str, Any] | None, str, dict[str, float]]] = {
    "octet": (None, "1000", {"seconds": 600.0, "error_mean": 0.015, "error_worst": 0.06}),
    "fibre, square": (
        {"name": "ud-random", "n": 64, "volume_fraction": 0.6, "n_fibres": 1},
        "1000",
        FIBRE_TARGET,
    ),
    "fibre, hexagonal": (
        {"name": "ud-hexagonal", "n": 64, "volume_fraction": 0.6},
        "1000",
        FIBRE_TARGET,
    ),
    "fibres, random": (
        {"name": "ud-random", "n": 64, "volume_fraction": 0.6},
        "1000",
        FIBRE_TARGET,
    ),
    "sphere": (
        {"name": "spheres", "n": 32, "volume_fraction": 0.3, "n_spheres": 1},
        "100",
        SPHERE_TARGET,
    ),
    "spheres, random": (
        {"name": "spheres", "n": 32, "volume_fraction": 0.3},
        "100",
        SPHERE_TARGET,
    ),
}


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Fit one cell; returns what the command printed, and the targets."""
    recipe, contrast, target = CELLS[name]
    cell = folder / "cell.npz"
    write(cell, read(OCTET) if recipe is None else make(**recipe))
    out = folder / "cell.matnet"
    command = [sys.executable, "-m", "matnet", "fit", "--rve", str(cell), "-o", str(out)]
    command += ["--select", "elastic"]  # inelastic selection has its own benchmark
    command += ["--contrast", contrast, "--samples", "500", "--json", "--quiet"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    card = told["card"]
    row = {
        "cell": name,
        "source": card["rve_source"],
        "shape": card["rve_shape"],
        "contrast": contrast,
        "base_nodes": told["base_nodes"],
        "seconds": told["seconds"],
        "seconds_labels": told["seconds_labels"],
        "seconds_training": told["seconds_training"],
        "snapshots": told["snapshots"],
        "label_error_worst": card["label_error_worst"],
        "error_mean": card["elastic_error_mean"],
        "error_worst": card["elastic_error_worst"],
    }
    return {**row, "target": target, "met": all(row[key] <= target[key] for key in target)}


def main() -> None:
    """Fit all cells, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(CELLS), help="one cell, nothing is stored")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "fit.json")
    options = parser.parse_args()
    print(
        f"{'cell':18s} {'s':>5s} {'labels':>6s} {'train':>6s} {'mean %':>7s} {'worst %':>7s}  met"
    )
    rows = []
    for name in [options.only] if options.only else CELLS:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(name, Path(folder))
        rows.append(row)
        print(
            f"{name:18s} {row['seconds']:5.0f} {row['seconds_labels']:6.0f} "
            f"{row['seconds_training']:6.0f} {100 * row['error_mean']:7.3f} "
            f"{100 * row['error_worst']:7.3f}  {'yes' if row['met'] else 'no'}",
            flush=True,
        )
    if options.only is None:
        document = {
            "what": "matnet fit --select elastic, depth 7, 500 labels, from the command line",
            "matnet": matnet.__version__,
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "cells": rows,
        }
        with whole_file(options.out) as beside:
            beside.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
