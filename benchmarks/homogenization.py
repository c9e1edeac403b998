"""Effective stiffness at equal error: matnet beside muGrid, scipy and pyamg.

    python benchmarks/homogenization.py [--quick] [--peers-python PATH] [--no-peers] [--limit 100]
                                        [--device cuda] [--plot] [--out FILE.json]

Four cells at 32, 64 and 128 voxels per edge: octet truss (20 % solid, true void), gyroid (30 %,
true void), 30 spheres (30 %, contrast 100), 20 unidirectional fibres (60 %, contrast 60,
n x n x 1 voxels). Each solver runs in a process of its own, looks for the loosest stopping
tolerance at which C^H is off by at most 1e-4 and 1e-6 (Frobenius norm, against matnet at residual
1e-10), and is timed there: wall time from the voxel image to C^H, best of several, the search not
counted. `homogenization_peers.py` says how the peers are set up. Memory is the peak above what the
process held before its first run.

`--peers-python` names an interpreter that has muGrid, scipy and pyamg; without it, one is made in
the cache folder (pip install, once). A killed run goes on where it stopped; a finished one starts
anew. `--device cuda` measures matnet alone on the GPU, up to 512 voxels per edge, and prints the
documents' times beside.
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

import numpy as np
from homogenization_table import DOCUMENTS, print_device_table, print_table

import matnet
from matnet.atomic import whole_file
from offline.rve import Rve
from offline.rve.generators import make

ROOT = Path(__file__).resolve().parent
TARGETS = (1e-4, 1e-6)
DEVICE_TARGETS = (1e-2, 1e-4, 1e-6)
REFERENCE_LIMIT = 3600.0  # seconds
FIRST_TOLERANCE = 3e-3  # residual, for peers; later sizes start from the last one's
REQUIREMENTS = ("muGrid==1.6.1", "scipy==1.17.1", "pyamg==5.4.1")
OURS = {"matnet, 2 threads": 2, "matnet, 1 thread": 1}
PEERS = ("muGrid", "scipy", "pyamg")
LARGEST = {"scipy": 64, "pyamg": 64}  # 128^3 solid voxels make a matrix of 6 GB
SOFT = (1.0, 0.3)  # E, nu
VOID = (0.0, 0.0)
MODULI = {
    "octet": (VOID, SOFT),
    "gyroid": (VOID, SOFT),
    "spheres": (SOFT, (100.0, 0.2)),
    "fibres": ((1.0, 0.35), (60.0, 0.22)),
}


def cell(case: str, n: int) -> Rve:
    """The voxels of a case, n along each edge (fibres: one along them)."""
    if case == "octet":
        return make("octet", n=n, volume_fraction=0.2)
    if case == "gyroid":
        return make("gyroid", n=n, volume_fraction=0.3)
    if case == "spheres":
        return make("spheres", n=n, volume_fraction=0.3, n_spheres=30)
    return make("ud-random", n=(n, n, 1), volume_fraction=0.6)


class Bench:
    """Runs jobs in processes of their own and keeps their rows in a file."""

    def __init__(self, options: argparse.Namespace, peers: Path | None) -> None:
        self.options, self.peers = options, peers
        self.rows: list[dict[str, Any]] = []
        self.settings = {
            "what": "C^H of six load cases at equal error, seconds from voxels to C^H",
            "matnet": matnet.__version__,
            "peers": peer_versions(peers),
            "limit_seconds": options.limit,
            "device": options.device or "cpu",
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
        }
        if options.out and options.out.exists():
            stored = json.loads(options.out.read_text())
            if not stored["complete"] and stored["settings"] == self.settings:
                self.rows = stored["rows"]
                print(f"going on after {len(self.rows)} rows of {options.out}", file=sys.stderr)

    def store(self, complete: bool = False) -> None:
        """Write the file, if one is wanted."""
        if self.options.out:
            document = {"complete": complete, "settings": self.settings, "rows": self.rows}
            text = json.dumps(document, indent=1) + "\n"
            with whole_file(self.options.out) as path:
                path.write_text(text)

    def of(self, case: str, n: int, solver: str) -> list[dict[str, Any]]:
        """Rows of one case and solver."""
        wanted = (case, n, solver)
        return [r for r in self.rows if (r["case"], r["n"], r["solver"]) == wanted]

    def run_case(self, case: str, n: int) -> None:
        """All solvers on one cell."""
        solvers = ["matnet"] if self.options.device else list(OURS)
        if self.peers:
            solvers += [p for p in PEERS if n <= LARGEST.get(p, n) or case == "fibres"]
        if all(self.of(case, n, solver) for solver in solvers):
            return
        with tempfile.TemporaryDirectory() as folder:
            files = {"cell": f"{folder}/cell.npz", "exact": f"{folder}/exact.npy"}
            rve = cell(case, n)
            np.savez(files["cell"], phases=rve.phases, moduli=MODULI[case])
            exact = self.child("exact", case, n, files)
            if not Path(files["exact"]).exists():
                raise SystemExit(f"{case} {n}: the reference failed. {exact[0].get('failed', '')}")
            if not self.of(case, n, "exact"):
                self.rows += exact
            for solver in solvers:
                if not self.of(case, n, solver):
                    self.rows += self.hopeless(case, n, solver) or self.child(
                        solver, case, n, files
                    )
                    self.store()

    def hopeless(self, case: str, n: int, solver: str) -> list[dict[str, Any]]:
        """Rows of a peer that eight times the time at half the size puts beyond the limit."""
        half = self.of(case, n // 2, solver) if solver in PEERS else []
        rows = []
        for row in half:
            if 8.0 * row.get("seconds", np.inf) > self.options.limit:
                rows.append(
                    {"case": case, "n": n, "solver": solver, "target": row["target"]}
                    | {"more_than": self.options.limit, "by": "8 x the time at half the size"}
                )
        return rows if len(rows) == len(half) else []

    def child(self, solver: str, case: str, n: int, files: dict[str, str]) -> list[dict[str, Any]]:
        """Rows that a process of its own printed."""
        peer = solver in PEERS
        job = {
            **files,
            "solver": solver,
            "threads": OURS.get(solver, self.settings["cores"]),
            "device": self.options.device or "cpu",
            "residual": 1e-6 if self.options.device else 1e-10,
            "limit": self.options.limit if peer else REFERENCE_LIMIT,
            "targets": [(t, self.guess(case, n, solver, t)) for t in self.targets],
        }
        path = Path(files["cell"]).with_name("job.json")
        path.write_text(json.dumps(job))
        python = str(self.peers) if peer else sys.executable
        script = ROOT / f"homogenization_{'peers' if peer else 'ours'}.py"
        done = subprocess.run(
            [python, str(script), str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        if done.returncode:
            print(f"{solver} failed on {case} {n}: {done.stderr[-800:]}", file=sys.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return [{"case": case, "n": n, "solver": solver, **line} for line in lines] or [
            {"case": case, "n": n, "solver": solver, "target": t, "failed": done.stderr[-300:]}
            for t in self.targets
        ]

    @property
    def targets(self) -> tuple[float, ...]:
        """Wanted errors."""
        return DEVICE_TARGETS if self.options.device else TARGETS

    def guess(self, case: str, n: int, solver: str, target: float) -> float:
        """The tolerance to try first: that of the next smaller size."""
        for row in self.of(case, n // 2, solver):
            if row["target"] == target and "tol" in row:
                return float(row["tol"])
        return FIRST_TOLERANCE * float(np.sqrt(target / 1e-4)) if solver in PEERS else target


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def peer_versions(python: Path | None) -> dict[str, str]:
    """Versions in the peers' interpreter."""
    if python is None:
        return {}
    script = ROOT / "homogenization_peers.py"
    command = [str(python), str(script), "--versions"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def peers_python(options: argparse.Namespace) -> Path | None:
    """The peers' interpreter: named, or made once in the cache folder; None if there is none."""
    if options.no_peers or options.device:
        return None
    if options.peers_python:
        return Path(options.peers_python)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "matnet" / "homogenization-peers"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {', '.join(REQUIREMENTS)} into {folder}", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no peers: {error}. Name an interpreter: --peers-python", file=sys.stderr)
            return None
        (folder / "ready").touch()
    return python


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="32 voxels only, stores nothing")
    parser.add_argument("--peers-python", help="interpreter that has muGrid, scipy and pyamg")
    parser.add_argument("--no-peers", action="store_true", help="matnet alone")
    parser.add_argument("--limit", type=float, default=100.0, help="seconds for one run of a peer")
    parser.add_argument("--device", choices=["cuda"], help="measure matnet on the GPU")
    parser.add_argument("--sizes", type=int, nargs="+", help="voxels per edge")
    parser.add_argument("--cases", nargs="+", choices=list(MODULI), default=list(MODULI))
    parser.add_argument("--plot", action="store_true", help="docs/images/homogenization.png")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    name = "homogenization_cuda" if options.device else "homogenization"
    if options.out is None and not options.quick:
        options.out = ROOT / "results" / f"{name}.json"
    if options.sizes is None:
        full = (64, 128, 256, 512) if options.device else (32, 64, 128)
        options.sizes = (32,) if options.quick else full
    return options


def main() -> None:
    """Run all cases, print a table, store and draw."""
    options = parse()
    bench = Bench(options, peers_python(options))
    for n in options.sizes:
        for case in options.cases:
            print(f"{case} {n}", file=sys.stderr, flush=True)
            bench.run_case(case, n)
    bench.store(complete=True)
    if options.device:
        print_device_table(bench.rows, DOCUMENTS)
    else:
        print_table(bench.rows)
    if options.plot:
        from homogenization_plot import draw

        draw(bench.rows, ROOT.parent / "docs" / "images" / "homogenization.png")


if __name__ == "__main__":
    main()
