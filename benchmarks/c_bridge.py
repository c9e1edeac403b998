"""Time of one strain increment in C and in numba, for batches and for single points.

    python benchmarks/c_bridge.py [--quick] [--out benchmarks/results/c_bridge.json]

Materials and increments are those of `online.py`: a random complete network of 64 base nodes, an
elastoplastic matrix and orthotropic fibres, increments 5 and 8 of 0.1 % each in turning random
directions. Both libraries run on one thread, compiled for this processor (C by the compiler found,
with the flags in the result), alternate within one process, and must agree to 1e-10. Figures are
the least of several repeats of the thread's own processor time, so that other work on the machine
does not count. `bare` is the C function called with pointers, as FE codes do; the others are
`update` of `matnet.Material` and of `CMaterial`, Python's checks and copies included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from online import surroundings
from online_cases import Case, Step, make_case

from matnet.atomic import whole_file
from umat_bridge.c import FLAGS, CMaterial
from umat_bridge.c.sources import find_compiler

OUT = Path(__file__).parent / "results" / "c_bridge.json"
CASES = (
    ("composite 1", "imn"),
    ("composite 1", "dmn"),
    ("j2 linear", "imn"),
    ("j2 armstrong-frederick", "imn"),
)
AGREEMENT = 1e-10
TARGETS = {"batch": 1.3, "single": 1.0}  # C over numba


def bare_call(material: CMaterial, strain: np.ndarray, state: np.ndarray) -> Callable[[], int]:
    """The C function itself, results into arrays that stay."""
    n = len(strain)
    out = (np.empty((n, 6)), np.empty((n, 36)), np.empty_like(state), np.empty(n, np.intc))
    workspace = material._library.matnet_workspace_create(material._material)
    kept = (strain, state, out)
    pointers = [array.ctypes.data for array in (state, *out)]
    update, first = material._library.matnet_update_with, strain.ctypes.data

    def call(kept: Any = kept) -> int:
        failed: int = update(workspace, n, first, 1.0, None, *pointers)
        return failed

    return call


def least_seconds(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least processor time of each function, called in turns."""
    best = dict.fromkeys(functions, np.inf)
    for _ in range(repeats):
        for name, function in functions.items():
            begin = time.thread_time()
            function()
            best[name] = min(best[name], time.thread_time() - begin)
    return best


def functions_of(
    case: Case, c: CMaterial, strain: np.ndarray, state: np.ndarray
) -> dict[str, Callable[[], Any]]:
    return {
        "numba": lambda: case.material.update(strain, 1.0, state),
        "c": lambda: c.update(strain, 1.0, state),
        "bare": bare_call(c, strain, state),
    }


def measure_batch(case: Case, c: CMaterial, step: Step, n: int, repeats: int) -> dict[str, float]:
    """Microseconds per point of a batch."""
    functions = functions_of(case, c, *step.rows(n))
    return {name: 1e6 * s / n for name, s in least_seconds(functions, repeats).items()}


def measure_single(case: Case, c: CMaterial, step: Step, n: int, repeats: int) -> dict[str, float]:
    """Microseconds of a call with one point: the mean over n points of their least times."""
    times: dict[str, list[float]] = {}
    for i in range(n):
        strain, state = (np.ascontiguousarray(a[i : i + 1]) for a in step.rows(n))
        for name, seconds in least_seconds(functions_of(case, c, strain, state), repeats).items():
            times.setdefault(name, []).append(1e6 * seconds)
    return {name: float(np.mean(values)) for name, values in times.items()}


def disagreement(case: Case, c: CMaterial, step: Step) -> float:
    """Largest relative difference of a point's stress or tangent."""
    arrays = step.rows(len(step.strain))
    theirs, ours = (m.update(arrays[0], 1.0, arrays[1]) for m in (case.material, c))
    worst = 0.0
    for a, b in ((ours.stress, theirs.stress), (ours.tangent, theirs.tangent)):
        flat, reference = a.reshape(len(a), -1), b.reshape(len(b), -1)
        error = np.linalg.norm(flat - reference, axis=1) / np.linalg.norm(reference, axis=1)
        worst = max(worst, float(error.max()))
    if not worst < AGREEMENT:
        raise RuntimeError(f"{case.name}: C and numba differ by {worst:.1e}")
    return worst


def measure(name: str, kind: str, batch: int, singles: int, repeats: int) -> list[dict[str, Any]]:
    case = make_case(name, kind, 6)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        case.material.save(Path(folder) / "material.matnet")
        c = CMaterial(Path(folder) / "material.matnet", tol=case.material.options.tol)
    for number, step in enumerate(case.steps):
        facts = {**case.facts, "step": number, "difference": disagreement(case, c, step)}
        facts["iterations"] = float(step.iterations.mean())
        for what, times in (
            ("batch", measure_batch(case, c, step, batch, repeats)),
            ("single", measure_single(case, c, step, singles, 5 * repeats)),
        ):
            rows.append(
                {
                    **facts,
                    "what": what,
                    "points": batch if what == "batch" else 1,
                    **{f"us_{key}": value for key, value in times.items()},
                    "c_over_numba": times["c"] / times["numba"],
                    "bare_over_numba": times["bare"] / times["numba"],
                }
            )
    return rows


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small batches, no file")
    parser.add_argument("--out", type=Path, help=f"default: results/{OUT.name}; none if --quick")
    options = parser.parse_args()
    numba.set_num_threads(1)
    batch, singles, repeats = (1000, 20, 3) if options.quick else (10_000, 100, 7)
    print(f"{'law':24s} kind what   points    numba        C     bare  C/numba   differ")
    rows = []
    for name, kind in CASES:
        for row in measure(name, kind, batch, singles, repeats):
            rows.append(row)
            print(
                f"{name:24s} {kind:4s} {row['what']:6s} {row['points']:6d} {row['us_numba']:8.2f} "
                f"{row['us_c']:8.2f} {row['us_bare']:8.2f} {row['c_over_numba']:8.3f} "
                f"{row['difference']:8.1e}",
                flush=True,
            )
    worst = {
        what: max(row["c_over_numba"] for row in rows if row["what"] == what) for what in TARGETS
    }
    for what, target in TARGETS.items():
        print(f"{what}: C takes at most {worst[what]:.2f} of numba's time (target {target})")
    out = options.out or (None if options.quick else OUT)
    if out is not None:
        document = {
            "what": "microseconds per point of one strain increment of 0.1 %, one thread",
            **surroundings(),
            "compiler": Path(find_compiler()).name,
            "flags": list(FLAGS),
            "targets_c_over_numba": TARGETS,
            "worst_c_over_numba": worst,
            "rows": rows,
        }
        with whole_file(out) as beside:
            beside.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
