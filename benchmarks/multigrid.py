"""Multigrid against the Fourier preconditioner: iterations and time at equal error of C^H.

    python benchmarks/multigrid.py [--out benchmarks/results/multigrid.json] [--large]

Times are CPU seconds on one thread, preparation of the preconditioner included, mesh and load
vectors not (both engines share them). `error` is the distance of C^H from the multigrid solve to
1e-8. `--large` takes grids of 128^3 and 192^3 instead of 64^3; some Fourier solves last minutes.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.elasticity import isotropic
from offline.homogenization import CellOperator, CellSolver, SolverOptions
from offline.rve import Rve
from offline.rve.generators import make

TOLERANCES = (1e-4, 1e-6)
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2)
LATTICES: dict[str, dict[str, Any]] = {
    "octet": {},
    "kelvin": {},
    "bcc": {},
    "random-truss": {"seed": 1},
    "schwarz-p": {"kind": "sheet"},
}
SOLID = isotropic(E=1.0, nu=0.3)
STIFF = isotropic(E=100.0, nu=0.2)


def cases(large: bool) -> Iterator[tuple[str, int, float]]:
    """Name, voxels per axis, solid fraction."""
    if large:
        yield from (("octet", 128, f) for f in (0.02, 0.1, 0.2))
        yield from (("schwarz-p", 128, 0.05), ("octet", 192, 0.02))
        return
    yield from ((name, 64, f) for name in LATTICES for f in FRACTIONS)
    yield from (("octet", n, 0.1) for n in (24, 32, 48, 61, 65, 96))
    yield from (("octet", 64, 0.35), ("gyroid", 64, 0.3), ("gyroid", 64, 0.5))
    yield from (("spheres", 64, 0.3), ("octet in a soft matrix", 64, 0.1))


def cell(name: str, n: int, fraction: float) -> tuple[Rve, list[np.ndarray]]:
    """A cell and its phase stiffnesses."""
    if name == "spheres":
        return make("spheres", n=n, volume_fraction=fraction), [SOLID, STIFF]
    if name == "octet in a soft matrix":
        return make("octet", n=n, volume_fraction=fraction), [1e-3 * SOLID, SOLID]
    rve = make(name, n=n, volume_fraction=fraction, **LATTICES.get(name, {}))
    return rve, [0.0 * SOLID, SOLID]


def solver_of(rve: Rve, stiffnesses: list[np.ndarray]) -> CellSolver:
    """One thread; thin struts may meet at edges of voxels only."""
    void = [not c.any() for c in stiffnesses]
    return CellSolver(rve, void=void, threads=1, allow_disconnected=True)


def solve(rve: Rve, stiffnesses: list[np.ndarray], engine: str, tol: float) -> dict[str, Any]:
    """One solve with a preconditioner of its own."""
    operator: CellOperator = solver_of(rve, stiffnesses).with_stiffness(stiffnesses)
    begin = time.process_time()
    solution = operator.solve(SolverOptions(engine=engine, tol=tol, threads=1))
    seconds = time.process_time() - begin
    return {
        "iterations": int(solution.iterations.max()),
        "cpu_seconds": seconds,
        "stiffness": operator.energy(solution.u),
        "nodes": operator.mesh.n_nodes,
        "elements": operator.mesh.n_elements,
    }


def measure(name: str, n: int, fraction: float, repeats: int) -> dict[str, Any]:
    """Both engines at both tolerances, the best of some repetitions."""
    rve, stiffnesses = cell(name, n, fraction)
    reference = solve(rve, stiffnesses, "multigrid", 1e-8)
    row: dict[str, Any] = {
        "cell": name,
        "n": n,
        "solid_fraction": fraction,
        "node_fraction": reference["nodes"] / n**3,
        "runs": {},
    }
    exact = reference["stiffness"]
    for tol in TOLERANCES:
        for engine in ("fourier", "multigrid"):
            runs = [solve(rve, stiffnesses, engine, tol) for _ in range(repeats)]
            best = min(runs, key=lambda run: run["cpu_seconds"])
            error = np.linalg.norm(best["stiffness"] - exact) / np.linalg.norm(exact)
            row["runs"][f"{engine} {tol:.0e}"] = {
                "iterations": best["iterations"],
                "cpu_seconds": best["cpu_seconds"],
                "error": float(error),
            }
    return row


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    text = (
        f"| {row['cell']} | {row['n']} | {row['solid_fraction']:g} | {row['node_fraction']:.2f} |"
    )
    for tol in TOLERANCES:
        f, m = (row["runs"][f"{engine} {tol:.0e}"] for engine in ("fourier", "multigrid"))
        gain = f["cpu_seconds"] / m["cpu_seconds"]
        text += f" {f['iterations']} / {m['iterations']} |"
        text += f" {f['cpu_seconds']:.2f} / {m['cpu_seconds']:.2f} | {gain:.1f} |"
    return text


def main() -> None:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--large", action="store_true", help="128^3 and 192^3 instead of 64^3")
    parser.add_argument("--repeats", type=int, default=1, help="solves of each kind, best taken")
    arguments = parser.parse_args()
    solve(*cell("octet", 16, 0.3), "multigrid", 1e-4)  # compile
    solve(*cell("octet", 16, 0.3), "fourier", 1e-4)
    rows = []
    for case in cases(arguments.large):
        rows.append(measure(*case, repeats=arguments.repeats))
        print(line(rows[-1]), flush=True)
    if arguments.out is not None:
        record = {"version": matnet.__version__, "machine": platform.machine(), "rows": rows}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
