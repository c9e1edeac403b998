"""Two-scale finite elements in dolfinx: where the time of a step goes, two ranks, memory.

A block of hexahedra with a composite of elastoplastic matrix is bent past yield on one rank and on
two, one thread each. Reported are the split of the wall time, the throughput of the material part,
and the memory per Gauss point as stated before the run and as measured. Times of the material are
also given as processor time, which other programs on the machine disturb less.

    python benchmarks/dolfinx.py [--cells 25 20 10] [--depth 6] [--steps 3]

Needs dolfinx and mpirun.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# a program's own folder comes first on the path, where this file would pass for dolfinx
sys.path = [str(HERE.parent)] + [p for p in sys.path if Path(p or ".").resolve() != HERE]

OUT = HERE / "results" / "dolfinx.json"
RANKS = (1, 2)


def resident() -> float:
    """Bytes of memory that this process occupies (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def block(cells: list[int], depth: int) -> tuple[Any, Any, float]:
    """The problem, its load by time, and the memory of the Gauss points that was measured."""
    import numpy as np
    from dolfinx import fem, mesh
    from mpi4py import MPI

    from matnet import Network
    from matnet.phases import J2, Elastic, LinearVoce
    from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat

    hexahedra = mesh.CellType.hexahedron
    size = np.array(cells) / 10.0
    domain = mesh.create_box(MPI.COMM_WORLD, [np.zeros(3), size], cells, cell_type=hexahedra)
    space = compat.function_space(domain, "Lagrange", 1, 3)
    u = fem.Function(space)
    matrix = J2(E=3.8, nu=0.387, hardening=LinearVoce(sig_y=0.01, H=0.05, Q=0.04, b=100.0))
    network = Network.random("imn", depth, ("matrix", "fibre"), (0.6, 0.4), seed=1)
    material = network.with_phases(matrix=matrix, fibre=Elastic(E=72.0, nu=0.22))
    material.update(np.zeros((8, 6)), 1.0, material.initial_state(8))  # compiles
    before = resident()
    law = QuadratureMaterial(material, space)
    law.update(u)
    memory = (resident() - before) / law.n_points

    def dofs(x: float, part: Any) -> Any:
        facets = mesh.locate_entities_boundary(domain, 2, lambda p: np.isclose(p[0], x))
        return fem.locate_dofs_topological(part, 2, facets)

    tip = fem.Constant(domain, 0.0)
    clamp = fem.dirichletbc(np.zeros(3), dofs(0.0, space), space)
    end = fem.dirichletbc(tip, dofs(size[0], space.sub(2)), space.sub(2))

    def load(t: float) -> None:
        tip.value = 0.02 * t

    return Problem(law, u, [clamp, end]), load, memory


def measure(cells: list[int], depth: int, steps: int) -> dict[str, Any] | None:
    """One run on as many ranks as there are; the slowest rank counts."""
    from umat_bridge.dolfinx import run

    problem, load, memory = block(cells, depth)
    law, comm = problem.material, problem.comm
    processor = [0.0]
    update = law.update

    def timed(*given: Any) -> int:
        start = time.process_time()
        failed = update(*given)
        processor[0] += time.process_time() - start
        return failed

    law.update = timed
    comm.barrier()
    start = time.perf_counter()
    result = run(problem, [float(step + 1) for step in range(steps)], load)
    wall = time.perf_counter() - start
    parts = {name: max(comm.allgather(value)) for name, value in result.seconds.items()}
    evaluations = sum(increment.step.evaluations for increment in result.increments)
    points = comm.allreduce(law.n_points)
    slowest = max(comm.allgather(processor[0]))
    return {
        "ranks": comm.size,
        "points": points,
        "steps": steps,
        "iterations": result.iterations,
        "evaluations": evaluations,
        "seconds": wall,
        **{f"{name}_seconds": value for name, value in parts.items()},
        "material_processor_seconds": slowest,
        "material_share": parts["material"] / wall,
        "points_per_second": points * evaluations / parts["material"],
        "bytes_per_point_stated": law.memory_per_point,
        "bytes_per_point_measured": memory,
        "last_residuals": list(result.increments[-1].step.residuals[-3:]),
        "reaction": problem.reaction(problem.bcs[1]),
    }


def launch(ranks: int, arguments: list[str]) -> dict[str, Any]:
    """The same program under mpirun, one thread per rank."""
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }
    command = ["mpirun", "-n", str(ranks), sys.executable, str(Path(__file__)), "--rank-of-many"]
    done = subprocess.run(
        [*command, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs=3, default=[25, 20, 10])
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--rank-of-many", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rank_of_many:
        from mpi4py import MPI

        row = measure(args.cells, args.depth, args.steps)
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(row))
        return
    from matnet.atomic import whole_file

    arguments = ["--cells", *map(str, args.cells), "--depth", str(args.depth)]
    rows = [launch(ranks, [*arguments, "--steps", str(args.steps)]) for ranks in RANKS]
    one, two = rows
    content = {
        "cells": args.cells,
        "depth": args.depth,
        "cores": os.cpu_count(),
        "load_average_at_end": os.getloadavg()[0],
        "rows": rows,
        "material_speed_up_two_ranks": one["material_seconds"] / two["material_seconds"],
        "material_processor_speed_up_two_ranks": one["material_processor_seconds"]
        / two["material_processor_seconds"],
    }
    report(rows)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(args.out) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n")


def report(rows: list[dict[str, Any]]) -> None:
    """A table on stdout."""
    print(f"{'ranks':>5}{'s':>8}{'material':>10}{'assembly':>10}{'solve':>8}{'share':>7}"
          f"{'points/s':>10}{'bytes: stated':>15}{'measured':>10}")  # fmt: skip
    for row in rows:
        print(
            f"{row['ranks']:>5}{row['seconds']:>8.1f}{row['material_seconds']:>10.2f}"
            f"{row['assembly_seconds']:>10.2f}{row['solve_seconds']:>8.2f}"
            f"{100 * row['material_share']:>6.0f}%{row['points_per_second']:>10.0f}"
            f"{row['bytes_per_point_stated']:>15.0f}{row['bytes_per_point_measured']:>10.0f}"
        )
    one, two = rows
    wall = one["material_seconds"] / two["material_seconds"]
    cpu = one["material_processor_seconds"] / two["material_processor_seconds"]
    print(f"two ranks, material: {wall:.2f}x by the clock, {cpu:.2f}x by processor time")


if __name__ == "__main__":
    main()
