"""matnet's side of `homogenization.py`: one job in a process of its own, as the peers have it.

    python homogenization_ours.py JOB.json

Prints one line of JSON per wanted error, or, for the job ``exact``, solves to a small residual and
stores C^H with the cell.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from homogenization_search import Memory, Run, TooSlow, measure_all

from matnet.elasticity import isotropic
from offline.homogenization import Homogenized, SolverOptions, homogenize
from offline.rve import Rve


def stiffnesses(moduli: Any) -> np.ndarray:
    """Isotropic stiffness (n, 6, 6) of each (E, nu); zeros where E is 0."""
    return np.array([isotropic(E=E, nu=nu) if E else np.zeros((6, 6)) for E, nu in moduli])


def options(job: dict[str, Any], **stop: float) -> SolverOptions:
    """What the job asks for."""
    return SolverOptions(threads=job["threads"], device=job["device"], **stop)


def warm_up(job: dict[str, Any], c: np.ndarray) -> None:
    """Compile or load all kernels."""
    names = tuple(f"phase {i}" for i in range(len(c)))
    phases = np.arange(16**3).reshape(16, 16, 16) % len(c)
    for stop in ({"tol": 1e-4}, {"residual_tol": 1e-6}):
        homogenize(
            Rve(phases=phases, phase_names=names), c, options(job, **stop), allow_disconnected=True
        )


def setup_seconds(result: Homogenized, stamps: list[float], begin: float) -> float | None:
    """Time before the first iteration, from the times at which iterations ended."""
    if len(stamps) < 2:
        return None
    step = (stamps[-1] - stamps[0]) / (len(stamps) - 1)
    return float(np.clip(stamps[0] - begin - step, 0.0, result.seconds))


def timed(rve: Rve, c: np.ndarray, asked: SolverOptions, limit: float) -> tuple[Run, Homogenized]:
    """One run; raises TooSlow."""
    stamps: list[float] = []

    def tick(*_: Any) -> None:
        stamps.append(time.perf_counter())
        if stamps[-1] - begin > limit:
            raise TooSlow

    begin, cpu = time.perf_counter(), time.process_time()
    result = homogenize(rve, c, asked, progress=tick)
    run = Run(
        asked.tol if asked.residual_tol is None else asked.residual_tol,
        result.seconds,
        time.process_time() - cpu,
        setup_seconds(result, stamps, begin),
        int(result.iterations.max()),
        result.stiffness,
    )
    return run, result


def exact_stiffness(job: dict[str, Any], rve: Rve, c: np.ndarray) -> None:
    """Solve to ``job["residual"]``, store C^H, print time and memory."""
    memory = Memory()
    run, result = timed(rve, c, options(job, residual_tol=job["residual"]), job["limit"])
    np.save(job["exact"], result.stiffness)
    row = {
        "target": f"residual {job['residual']:g}",
        "seconds": run.seconds,
        "setup": run.setup,
        "iterations": run.iterations,
        "memory_mib": memory.peak_mib(),
    }
    print(json.dumps(row | _device_memory(job)), flush=True)


def _device_memory(job: dict[str, Any]) -> dict[str, float]:
    if job["device"] != "cuda":
        return {}
    import torch

    return {"device_memory_mib": torch.cuda.max_memory_allocated() / 2**20}


def main(path: str) -> None:
    """Do what the job file asks for."""
    job = json.loads(Path(path).read_text())
    with np.load(job["cell"]) as cell:
        phases, moduli = cell["phases"], cell["moduli"]
    c = stiffnesses(moduli)
    names = tuple(f"phase {i}" for i in range(len(c)))
    rve = Rve(phases=phases, phase_names=names)
    warm_up(job, c)
    if job["solver"] == "exact":
        exact_stiffness(job, rve, c)
        return
    measure_all(
        job,
        lambda tol, limit: timed(rve, c, options(job, tol=tol), limit)[0],
        np.load(job["exact"]),
        order=1.0,
    )


if __name__ == "__main__" and len(sys.argv) > 1:
    main(sys.argv[1])
