"""`matnet verify` as a user runs it: errors of fitted networks, and their speed-up.

    python benchmarks/verify.py [--quick] [--keep FOLDER] [--out benchmarks/results/verify.json]

Each network is fitted and judged by the command line in processes of their own, along the eight
default paths: strain 0.02 (half of it for the cycle and the square), 40 steps each. Phases files
are those of `fe_examples/data`, which state the hardening. `quick` and `full` fits are selected and
refined with generic laws, `own laws` with those of the check. `--quick` makes the first only.
With `--keep`, networks and simulations stay in FOLDER and are used again by the next run; the
times of simulations are then those of the run that made them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matnet
from matnet.atomic import whole_file
from offline.rve import write
from offline.rve.generators import make

ROOT = Path(__file__).parent
DATA = ROOT.parent / "fe_examples" / "data"
TARGETS = {"octet": 0.05, "ud": 0.02}  # e_sigma that the project set itself

CELLS: dict[str, dict[str, Any]] = {
    "ud": {"name": "ud-hexagonal", "n": 64, "volume_fraction": 0.6},
    "octet": {"name": "octet", "n": 32, "volume_fraction": 0.2},
}
PHASES = {
    "ud": ("composites/ud1.toml", "composites/ud2.toml", "composites/ud3.toml"),
    "octet": ("aluminium_j2.toml",),
}
FITS = {"quick": ["--quick"], "full": [], "own laws": []}


def tell(command: list[str]) -> dict[str, Any]:
    """Run a verb with ``--json``; returns what it printed."""
    whole = [sys.executable, "-m", "matnet", *command, "--json", "--quiet"]
    done = subprocess.run(whole, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def fitted(cell: str, fit: str, phases: str, folder: Path) -> tuple[Path, Path]:
    """Files of the cell and of its network, made if missing."""
    voxels, options, name = folder / f"{cell}.npz", list(FITS[fit]), f"{cell}-{fit}"
    if fit == "own laws":
        options += ["--phases", str(DATA / phases)]
        name += "-" + Path(phases).stem
    network = folder / f"{name.replace(' ', '-')}.matnet"
    if not voxels.exists():
        write(voxels, make(**CELLS[cell]))
    if not network.exists():
        tell(["fit", "--rve", str(voxels), "-o", str(network), *options])
    return voxels, network


def measure(cell: str, fit: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Judge the networks of a cell with every phases file."""
    for phases in PHASES[cell]:
        voxels, network = fitted(cell, fit, phases, folder)
        card, n_base = matnet.load(network).card, matnet.load(network).n_base
        command = ["verify", str(network), "--rve", str(voxels), "--phases", str(DATA / phases)]
        told = tell([*command, "--out", str(folder / "references")])
        for path in told["paths"]:
            for curve in ("time", "reference", "network"):
                del path[curve]
        yield {
            "cell": card["rve_source"],
            "elements": told["elements"],
            "phases": phases,
            "fit": fit,
            "base_nodes": n_base,
            "elastic_error_mean": card["elastic_error_mean"],
            "target": TARGETS[cell],
            **{key: told[key] for key in ("e_sigma", "mean", "worst", "worst_path")},
            "timing": told["timing"],
            "paths": told["paths"],
            "warnings": told["warnings"],
        }


def shown(row: dict[str, Any]) -> str:
    """One line for people."""
    timing = row["timing"]
    return (
        f"{row['cell']:40s} {row['phases']:20s} {row['fit']:8s} {row['base_nodes']:4d} base nodes, "
        f"{' x '.join(map(str, row['elements']))} elements, "
        f"elastic {100 * row['elastic_error_mean']:.2f} %, e_sigma {100 * row['e_sigma']:.2f} %, "
        f"mean {100 * row['mean']:.2f} %, worst {100 * row['worst']:.2f} % ({row['worst_path']}); "
        f"{1e3 * timing['reference']:.1f} ms : {1e6 * timing['batch']:.2f} us = "
        f"{timing['speed_up_batch']:.0f}"
    )


def main() -> None:
    """Measure all and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="quick fits only")
    parser.add_argument("--keep", type=Path, help="folder for networks and simulations")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "verify.json")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for fit in ["quick"] if given.quick else FITS:
            for cell in CELLS:
                for row in measure(cell, fit, folder):
                    rows.append(row)
                    print(shown(row), flush=True)
    result = {
        "matnet": matnet.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "rows": rows,
    }
    with whole_file(given.out) as beside:
        beside.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
