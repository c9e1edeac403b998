"""Six load cases of several cells: iterations, seconds, memory, beside an assembled solver.

    python benchmarks/homogenize.py [--quick] [--out benchmarks/results/homogenize.json]

Every case runs in a process of its own. `peer` is the textbook way on the same mesh: scipy CSR
matrix over the active nodes, conjugate gradients with the Jacobi preconditioner, one load case
after the other, stopped at residual 1e-3, where both sides' energies are about equally accurate.
`error` is the distance of C^H from a solve to residual 1e-9; `cpu s` is CPU time on one thread,
which other work on the machine disturbs less than wall time.
"""

from __future__ import annotations

import argparse
import inspect
import json
import multiprocessing
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import matnet
from matnet.elasticity import cubic, isotropic
from offline.homogenization import CellOperator, CellSolver, SolverOptions, homogenize
from offline.rve import Rve
from offline.rve.generators import make

ROOT = Path(__file__).parent
REPEATS = 3
RELATIVE = "rtol" if "rtol" in inspect.signature(spla.cg).parameters else "tol"  # SciPy 1.12


def sphere_cell(n: int) -> Rve:
    """A central sphere of radius 0.36."""
    x = (np.indices((n, n, n)) + 0.5) / n
    return Rve(phases=((x - 0.5) ** 2).sum(0) < 0.36**2, phase_names=("matrix", "sphere"))


def fibre_cell(n: int) -> Rve:
    """A unidirectional fibre, one voxel thick."""
    x = (np.indices((n, n, 1)) + 0.5)[:2] / n
    return Rve(phases=((x - 0.5) ** 2).sum(0) < 0.437**2, phase_names=("matrix", "fibre"))


def polycrystal(n: int, grains: int = 40) -> Rve:
    """Voronoi grains with random orientations."""
    rng = np.random.default_rng(0)
    x = (np.indices((n, n, n)) + 0.5) / n
    nearest, phases = np.full((n, n, n), np.inf), np.zeros((n, n, n), dtype=int)
    for g, seed in enumerate(rng.random((grains, 3))):
        gap = x - seed[:, None, None, None]
        distance = ((gap - np.round(gap)) ** 2).sum(0)
        phases[distance < nearest] = g
        nearest = np.minimum(nearest, distance)
    q = np.linalg.qr(rng.normal(size=(grains, 3, 3)))[0]
    q *= np.sign(np.linalg.det(q))[:, None, None]
    return Rve(phases=phases, orientations=q)


def smooth_density(n: int) -> Rve:
    """A cubed sine, contrast beyond 1e6."""
    x = 2 * np.pi * (np.indices((n, n, n)) + 0.5) / n
    field = 0.5 + 0.25 * (np.sin(x[0]) * np.cos(x[1]) + np.sin(x[2]))
    return Rve(phases=np.zeros((n, n, n), dtype=int), density=np.maximum(field, 1e-2) ** 3)


def case(kind: str, n: int) -> tuple[Rve, list[np.ndarray]]:
    """A cell and its phase stiffnesses."""
    base = isotropic(E=1.0, nu=0.3)
    if kind == "octet, void":
        return make("octet", n=n, volume_fraction=0.2), [0.0 * base, base]
    if kind == "sphere, contrast 100":
        return sphere_cell(n), [base, isotropic(E=100.0, nu=0.2)]
    if kind == "fibre, contrast 100":
        return fibre_cell(n), [base, isotropic(E=100.0, nu=0.2)]
    if kind == "copper polycrystal":
        return polycrystal(n), [cubic(C11=168.4, C12=121.4, C44=75.4)] * 40
    return smooth_density(n), [base]


def measure(kind: str, n: int, with_peer: bool) -> dict[str, Any]:
    """All numbers of one case, in this process."""
    homogenize(sphere_cell(4), [np.eye(6), 2.0 * np.eye(6)])  # compile
    rve, stiffnesses = case(kind, n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runs = [homogenize(rve, stiffnesses) for _ in range(REPEATS)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    best = min(runs, key=lambda run: run.seconds)
    begin = time.process_time()
    homogenize(rve, stiffnesses, SolverOptions(threads=1))
    cpu = time.process_time() - begin
    tight = homogenize(rve, stiffnesses, SolverOptions(residual_tol=1e-9))
    row = {
        "case": kind,
        "shape": list(rve.shape),
        "solid_voxels": int(CellSolver(rve).mesh.n_elements),
        "iterations": best.iterations.tolist(),
        "seconds": best.seconds,
        "seconds_all": [run.seconds for run in runs],
        "cpu_seconds_one_thread": cpu,
        "memory_mib": memory / 1024.0,
        "error_estimate": best.error_estimate,
        "error": distance(best.stiffness, tight.stiffness),
        "iterations_residual_1e-9": tight.iterations.tolist(),
        "seconds_residual_1e-9": tight.seconds,
    }
    if with_peer:
        row["peer"] = peer(rve, stiffnesses, tight.stiffness)
        row["speed_up"] = row["peer"]["seconds"] / best.seconds
        row["speed_up_cpu_one_thread"] = row["peer"]["cpu_seconds"] / cpu
    return row


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Relative distance in the Frobenius norm."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def peer(rve: Rve, stiffnesses: list[np.ndarray], exact: np.ndarray) -> dict[str, Any]:
    """Assembled CSR and Jacobi-preconditioned conjugate gradients."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    void = ~np.any(stiffnesses, axis=(1, 2))
    operator = CellSolver(rve, void=void).with_stiffness(stiffnesses)
    matrix = assemble(operator)
    f = operator.load_vectors().reshape(-1, 6)
    diagonal = matrix.diagonal()
    jacobi = spla.LinearOperator(matrix.shape, lambda r: r / diagonal)
    iterations, fields = [], np.zeros_like(f)
    for k in range(6):
        count: list[int] = []
        fields[:, k], _ = spla.cg(
            matrix, f[:, k], M=jacobi, callback=count.append, **{RELATIVE: 1e-3}
        )
        iterations.append(len(count))
    stiffness = operator.energy(fields.reshape(-1, 18))
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - begin_cpu,
        "iterations": iterations,
        "matrix_mib": (matrix.data.nbytes + matrix.indices.nbytes) / 2**20,
        "error": distance(stiffness, exact),
    }


def assemble(operator: CellOperator) -> sp.csr_matrix:
    """The stiffness matrix over active nodes."""
    mesh, grid = operator.mesh, operator.solver.grid
    ke = grid.element_stiffness(operator.stiffness)[mesh.phase] * mesh.density[:, None, None]
    dofs = (3 * mesh.elements[:, :, None] + np.arange(3)).reshape(len(ke), 24).astype(np.int32)
    rows, cols = np.repeat(dofs, 24, axis=1).ravel(), np.tile(dofs, (1, 24)).ravel()
    size = 3 * mesh.n_nodes
    return sp.csr_matrix((ke.ravel(), (rows, cols)), shape=(size, size))


def main() -> None:
    """Run all cases, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small cells only")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "homogenize.json")
    options = parser.parse_args()
    cases = [("octet, void", 32, True), ("sphere, contrast 100", 32, True)]
    if not options.quick:
        cases += [
            ("octet, void", 48, True),
            ("octet, void", 64, False),
            ("sphere, contrast 100", 48, False),
            ("sphere, contrast 100", 64, False),
            ("fibre, contrast 100", 64, True),
            ("copper polycrystal", 48, False),
            ("smooth density", 48, False),
        ]
    context = multiprocessing.get_context("spawn")
    rows = []
    heads = f"{'case':22s} {'n':>3s} {'iter':>4s} {'s':>7s} {'cpu s':>6s} {'MiB':>6s} {'error':>8s}"
    print(heads, " peer s, cpu s (ratio)")
    for kind, n, with_peer in cases:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            row = pool.submit(measure, kind, n, with_peer).result()
        rows.append(row)
        beside = with_peer and (
            f"{row['peer']['seconds']:.1f} ({row['speed_up']:.0f}x), "
            f"{row['peer']['cpu_seconds']:.1f} ({row['speed_up_cpu_one_thread']:.0f}x)"
        )
        print(
            f"{kind:22s} {n:3d} {max(row['iterations']):4d} {row['seconds']:7.2f} "
            f"{row['cpu_seconds_one_thread']:6.2f} {row['memory_mib']:6.0f} "
            f"{row['error']:8.1e}  {beside or ''}",
            flush=True,
        )
    document = {
        "what": "six load cases, default tolerance 1e-6 on C^H",
        "matnet": matnet.__version__,
        "cores": SolverOptions().n_threads,
        "machine": platform.machine(),
        "rows": rows,
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
