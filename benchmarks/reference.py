"""Full-field simulations of J2 composites and lattices: seconds, iterations, memory, accuracy.

    python benchmarks/reference.py [--quick] [--out benchmarks/results/reference.json]

Forty steps to 4 % strain under uniaxial stress, relative residual 1e-6. Every case runs in a
process of its own, compiled before. `MiB` is what the process took, `estimate` what is printed
before the run; `cpu s` is CPU time on one thread, which other work on the machine disturbs less
than wall time; `difference` is the relative distance of the stress curve from a run to residual
1e-9 (small cells only).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.paths import LoadPath, uniaxial_stress
from matnet.phases import J2, Elastic, PhaseLaw
from matnet.phases.hardening import LinearVoce
from offline.reference import ReferenceOptions, memory_estimate, simulate
from offline.rve import Rve
from offline.rve.generators import make

ROOT = Path(__file__).parent
MATRIX = J2(E=3.0, nu=0.35, hardening=LinearVoce(sig_y=0.03, H=0.05, Q=0.03, b=100.0))  # GPa
GLASS = Elastic(E=90.0, nu=0.22)  # contrast 30
ALUMINIUM = J2(E=70.0, nu=0.33, hardening=LinearVoce(sig_y=0.2, H=0.5, Q=0.1, b=25.0))


def cell_and_laws(kind: str, n: int) -> tuple[Rve, Mapping[str, PhaseLaw]]:
    """The named case at n voxels along each axis."""
    if kind == "spheres":
        rve = make("spheres", n=n, volume_fraction=0.2, n_spheres=8)
        return rve, dict(zip(rve.phase_names, (MATRIX, GLASS), strict=True))
    rve = make("octet", n=n, volume_fraction=0.2 if n > 16 else 0.5)  # thin struts come apart
    return rve, {"solid": ALUMINIUM}


def measure(kind: str, n: int, steps: int, check: bool) -> dict[str, Any]:
    """One simulation, after a small one that compiles."""
    small, laws = cell_and_laws(kind, 8 if kind == "spheres" else 16)
    simulate(small, laws, uniaxial_stress("33", 1e-3, steps=1))
    path: LoadPath = uniaxial_stress("33", 0.001 * steps, steps=steps)
    rve, laws = cell_and_laws(kind, n)
    estimate = memory_estimate(rve, laws).total / 2**20
    before, start = memory_now(), time.perf_counter()
    result = simulate(rve, laws, path)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    start = time.process_time()
    simulate(rve, laws, path, options=ReferenceOptions(threads=1))
    cpu = time.process_time() - start
    load = os.getloadavg()[0]  # above the number of cores, `seconds` says little
    newton = sum(report.newton for report in result.reports)
    linear = sum(report.linear for report in result.reports)
    row = {
        "case": kind,
        "n": n,
        "steps": steps,
        "solid_voxels": int((~rve.void[rve.phases]).sum()),
        "seconds": seconds,
        "cpu_seconds_one_thread": cpu,
        "seconds_per_step": seconds / steps,
        "newton": newton,
        "linear": linear,
        "cuts": sum(report.cuts for report in result.reports),
        "memory_mib": used,
        "memory_estimate_mib": estimate,
        "stress": result.response.component("33")[1][-1],
        "threads": result.threads,
        "load_average": load,
    }
    if check:
        exact = simulate(rve, laws, path, options=ReferenceOptions(tol=1e-9)).response.stress
        row["difference"] = float(
            np.linalg.norm(result.response.stress - exact) / np.linalg.norm(exact)
        )
    return row


def memory_now() -> float:
    """Resident memory [MiB]; the peak so far is that of small cells."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run all cases, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small cells only")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reference.json")
    options = parser.parse_args()
    cases = [("spheres", 16, 40, True), ("spheres", 32, 40, True), ("octet", 32, 40, True)]
    if not options.quick:
        cases += [("octet", 64, 10, False), ("spheres", 64, 10, False)]
    context = multiprocessing.get_context("spawn")
    rows = []
    heads = ("steps", "s", "cpu s", "s/step", "Newton", "linear", "cuts", "MiB", "estimate")
    print(f"{'case':8s} {'n':>3s}", *(f"{head:>8s}" for head in heads), " difference")
    for kind, n, steps, check in cases:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            row = pool.submit(measure, kind, n, steps, check).result()
        rows.append(row)
        keys = ("steps", "seconds", "cpu_seconds_one_thread", "seconds_per_step", "newton")
        more = ("linear", "cuts", "memory_mib", "memory_estimate_mib")
        numbers = [row[key] for key in (*keys, *more)]
        print(
            f"{kind:8s} {n:3d}",
            *(f"{number:8.4g}" for number in numbers),
            f" {row['difference']:.1e}" if check else "",
            flush=True,
        )
    document = {
        "what": "uniaxial stress along 33, 0.1 % strain per step, relative residual 1e-6",
        "matnet": matnet.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "rows": rows,
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
