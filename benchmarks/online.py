"""Time of one strain increment: matnet's solvers beside dense Newton and a torch tree.

    python benchmarks/online.py [--quick] [--out benchmarks/results/online.json]

A random complete network of 2^N base nodes, an elastoplastic matrix and orthotropic fibres (test
composite 1 of He et al.). Each point goes its own way: a random direction in strain space, 30 %
of another random direction added in each increment of 0.1 %. Timed are increments 5 and 8, when the
matrix flows; 1000 different points, repeated for larger batches. Times are the best of several
repeats after a warm-up, of `Material.update`: stress, consistent tangent, energies and new state.
`iterations` counts evaluations of all laws.

Peers (`online_peers.py`) start from the same states, stop at the same traction jumps, and must
agree with matnet to 1e-7 in stress; `dense newton` returns stress only. Each number of threads has
a process of its own, whose BLAS and torch are held to it; slow solvers and peers are timed on fewer
points, as listed. The scaling with threads is measured in one process, alternating.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba
import numpy as np
import online_peers as peers
from online_cases import (
    DATA,
    DISTINCT,
    PHASES,
    TIMED,
    TOLERANCE,
    Case,
    along_path,
    composite_1,
    make_case,
)

import matnet
from matnet import Network
from matnet.atomic import whole_file
from matnet.online.options import SOLVERS
from matnet.phases import read_phases

OUT = Path(__file__).parent / "results" / "online.json"
AGREEMENT = 1e-7
MOST_REPEATS = 2000
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
HEAD = f"{'what':20s} {'law':22s} kind N th points  iter.    us/point us/pt/iter us/pt/iter/node"
FRESH = """
import time
begin = time.perf_counter()
import numpy as np
from pathlib import Path
from matnet import Network
from matnet.phases import read_phases
imported = time.perf_counter()
network = Network.random("imn", 6, ("matrix", "fibre"), (0.4, 0.6), 0)
material = network.with_phases(**read_phases(Path({path!r}), network.phase_names))
made = time.perf_counter()
material.update(np.full((8, 6), 2e-3), 1.0, material.initial_state(8))
print(imported - begin, made - imported, time.perf_counter() - made)
"""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    depths: tuple[int, ...] = (4, 5, 6, 7, 8)
    slope_depths: tuple[int, ...] = (4, 5, 6, 7, 8, 9)
    batches: tuple[int, ...] = (1, 100, 10_000)
    torch_batches: tuple[int, ...] = (1, 100, 1000)  # the last at N = 6 only
    slope_batch: int = 1000
    scaling_batch: int = 10_000
    budget: float = 0.6  # seconds that one figure may take, at least 3 repeats
    dense_depths: tuple[int, ...] = (4, 5, 6, 7, 8)
    solver_depths: tuple[int, ...] = (4, 5, 6, 7, 8)
    fresh_starts: int = 3


QUICK = Sizes(
    depths=(4, 5),
    slope_depths=(4, 5),
    batches=(1, 100),
    torch_batches=(1, 100),
    slope_batch=100,
    scaling_batch=400,
    budget=0.1,
    dense_depths=(4, 5),
    solver_depths=(4,),
    fresh_starts=1,
)


# timing


def best_of(call: Callable[[], Any], budget: float) -> tuple[float, Any]:
    """Fewest seconds of several calls, and what the call returns.

    The first call warms up; of calls longer than the budget, two more are enough.
    """
    result, first = timed(call)
    seconds: list[float] = []
    while len(seconds) < (2 if first > budget else 3) or (sum(seconds) < budget and first < budget):
        seconds.append(timed(call)[1])
        if len(seconds) == MOST_REPEATS:
            break
    return min(seconds), result


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its seconds."""
    begin = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begin


def row(
    case: Case, what: str, threads: int, n: int, seconds: float, iterations: float
) -> dict[str, Any]:
    """One line of the table: `seconds` for one increment of n points."""
    per_point = 1e6 * seconds / n
    return {
        "what": what,
        **case.facts,
        "threads": threads,
        "points": n,
        "iterations": iterations,
        "us_per_point": per_point,
        "us_per_point_iteration": per_point / iterations,
        "us_per_node_iteration": per_point / iterations / case.material.network.n_base,
    }


def mean_iterations(case: Case, n: int) -> float:
    index = np.arange(n) % DISTINCT
    return float(np.mean([step.iterations[index].mean() for step in case.steps]))


def measure_update(case: Case, n: int, threads: int, budget: float) -> dict[str, Any]:
    """The compiled tree Newton: mean over the timed increments."""
    numba.set_num_threads(threads)
    seconds = 0.0
    for step in case.steps:
        strain, state_n = step.rows(n)
        call = partial(case.material.update, strain, 1.0, state_n)
        seconds += best_of(call, budget / len(case.steps))[0] / len(case.steps)
    return row(case, "tree-newton", threads, n, seconds, mean_iterations(case, n))


def measure_solver(case: Case, name: str, threads: int, budget: float) -> dict[str, Any]:
    """A solver by name in numpy: last increment, as many points as fit in the budget."""
    step = case.steps[-1]
    solve = case.material.with_options(solver=name).solve
    n, single = 1, partial(solve, step.strain[:1], 1.0, step.state_n[:1])
    timed(single)  # warms up
    result, seconds = timed(single)
    if seconds < budget:
        n = int(np.clip(budget / seconds, 1, 100))
        seconds, result = best_of(partial(solve, step.strain[:n], 1.0, step.state_n[:n]), budget)
    good = result.status == 0
    line = row(case, name, threads, n, seconds, float(result.iterations.mean()))
    line["converged"] = float(good.mean())
    line["stress_difference"] = difference(result.stress[good], step.stress[:n][good])
    return line


def difference(stress: np.ndarray, reference: np.ndarray) -> float | None:
    """Largest relative distance of two batches of stresses."""
    if len(stress) == 0:
        return None
    gap = np.linalg.norm(stress - reference, axis=1)
    return float((gap / np.linalg.norm(reference, axis=1)).max())


def require_agreement(line: dict[str, Any]) -> dict[str, Any]:
    assert line["stress_difference"] <= AGREEMENT, line
    return line


def measure_dense(case: Case, xp: Any, threads: int, budget: float) -> dict[str, Any]:
    """The documents' dense Newton, one point at a time, on as many points as fit in the budget."""
    arrays = peers.composite(case.material, xp)
    as_array = np.asarray if xp is np else xp.tensor
    seconds, iterations, worst, n = 0.0, 0.0, 0.0, 40
    for step in case.steps:
        begin, strain = peers.start(case.material, step.state_n, xp), as_array(step.strain)
        solve = partial(dense_batch, arrays, strain, begin)
        one = min(timed(partial(solve, 1))[1] for _ in range(2))
        n = int(np.clip(budget / one / 3, 1, n))
        best, (stress, counts) = best_of(partial(solve, n), budget / len(case.steps))
        seconds += best / n / len(case.steps)
        iterations += float(np.mean(counts)) / len(case.steps)
        worst = max(worst, difference(stress, step.stress[:n]) or 0.0)
    line = row(case, f"dense newton, {xp.__name__}", threads, n, n * seconds, iterations)
    return require_agreement({**line, "stress_difference": worst})


def dense_batch(
    arrays: peers.Composite, strain: Any, begin: peers.Start, n: int
) -> tuple[np.ndarray, list[int]]:
    points = [
        peers.dense_newton(arrays, strain[i], peers.Start(*(part[i] for part in begin)), TOLERANCE)
        for i in range(n)
    ]
    return np.array([np.asarray(stress) for stress, _ in points]), [count for _, count in points]


def measure_torch_tree(case: Case, n: int, threads: int, budget: float) -> dict[str, Any]:
    """The layer-vectorised tree, in chunks that fit the cache."""
    import torch

    arrays = peers.composite(case.material, torch)
    chunk = max(16, 4096 // case.material.network.n_base)
    seconds, iterations, worst = 0.0, 0.0, 0.0
    for step in case.steps:
        rows, state_n = step.rows(n)
        strain, begin = torch.tensor(rows), peers.start(case.material, state_n, torch)
        solve = partial(peers.tree_newton, torch, arrays, strain, begin, TOLERANCE, chunk)
        best, (stress, _, counts) = best_of(solve, budget / len(case.steps))
        seconds += best / len(case.steps)
        reference = step.stress[np.arange(n) % DISTINCT]
        worst = max(worst, difference(stress.numpy(), reference) or 0.0)
        iterations += float(counts.double().mean()) / len(case.steps)
    line = row(case, "layer tree, torch", threads, n, seconds, iterations)
    return require_agreement({**line, "stress_difference": worst})


# what runs in the processes


def show(line: dict[str, Any]) -> dict[str, Any]:
    """Print a row of the table."""
    extra = ""
    if line.get("stress_difference") is not None:
        extra = f"  difference {line['stress_difference']:.0e}"
    if line.get("converged", 1.0) < 1.0:
        extra += f", converged {100 * line['converged']:.0f} %"
    print(
        f"{line['what']:20s} {line['law']:22s} {line['kind']} {line['depth']} {line['threads']:2d} "
        f"{line['points']:6d} {line['iterations']:6.2f} {line['us_per_point']:11.1f} "
        f"{line['us_per_point_iteration']:11.2f} {line['us_per_node_iteration']:9.3f}{extra}",
        flush=True,
    )
    return line


def measure_threads(threads: int, sizes: Sizes) -> list[dict[str, Any]]:
    """All rows for one number of threads: per depth matnet and its peers, one after the other."""
    import torch

    torch.set_num_threads(threads)
    rows = []
    for depth in sizes.depths:
        case = make_case("j2 linear-voce", "imn", depth)
        for n in sizes.batches:
            rows.append(show(measure_update(case, n, threads, sizes.budget)))
        if depth in sizes.dense_depths:
            for xp in (np, torch):
                rows.append(show(measure_dense(case, xp, threads, sizes.budget)))
        for n in sizes.torch_batches if depth == 6 else sizes.torch_batches[:2]:
            rows.append(show(measure_torch_tree(case, n, threads, sizes.budget)))
        if depth in sizes.solver_depths and threads == 1:
            for name in SOLVERS[1:]:
                rows.append(show(measure_solver(case, name, threads, sizes.budget)))
    return rows


def measure_laws(sizes: Sizes) -> list[dict[str, Any]]:
    """Other networks and laws, one thread."""
    depth = min(6, max(sizes.depths))
    cases = [("j2 linear-voce", "dmn", d) for d in sizes.depths]
    cases += [("j2 linear", kind, depth) for kind in ("imn", "dmn")]
    cases += [("j2 armstrong-frederick", "imn", depth)]
    return [
        show(measure_update(make_case(*case), sizes.slope_batch, 1, sizes.budget)) for case in cases
    ]


def measure_slope(sizes: Sizes) -> list[dict[str, Any]]:
    """Rows for the exponent over the number of nodes, three rounds against disturbances."""
    cases = [make_case("j2 linear-voce", "imn", depth) for depth in sizes.slope_depths]
    rounds = [
        [measure_update(case, sizes.slope_batch, 1, sizes.budget / 2) for case in cases]
        for _ in range(3)
    ]
    best = [min(same, key=lambda line: line["us_per_point"]) for same in zip(*rounds, strict=True)]
    return [show(line) for line in best]


def exponent(rows: list[dict[str, Any]]) -> float:
    """Slope of log(time per iteration) over log(base nodes)."""
    nodes = np.log([line["base_nodes"] for line in rows])
    times = np.log([line["us_per_point_iteration"] for line in rows])
    return float(np.polyfit(nodes, times, 1)[0])


def measure_scaling(sizes: Sizes, threads: int) -> dict[str, Any]:
    """One against more threads at 64 base nodes, alternating in one process."""
    case = make_case("j2 linear-voce", "imn", 6)
    counts = (1, threads)
    rounds = [
        [measure_update(case, sizes.scaling_batch, t, sizes.budget / 2) for t in counts]
        for _ in range(4)
    ]
    one, more = (
        show(min(same, key=lambda line: line["us_per_point"])) for same in zip(*rounds, strict=True)
    )
    return {
        "one": one,
        "more": more,
        "speed_up": one["us_per_point"] / more["us_per_point"],
    }


def measure_iterations(sizes: Sizes) -> list[dict[str, Any]]:
    """Mean and most iterations per increment of 0.1 % on the three composites of He et al."""
    depth, rows = min(6, max(sizes.depths)), []
    for name in ("ud1", "ud2", "ud3"):
        laws = read_phases(DATA / f"{name}.toml", PHASES)
        network = Network.random("imn", depth, PHASES, (0.4, 0.6), 0)
        material = network.with_phases(**laws).with_options(tol=TOLERANCE)
        steps = list(along_path(material, DISTINCT, 0, range(1, 1 + max(TIMED))))
        counts = np.array([step.iterations for step in steps if step is not None])
        line = {
            "composite": name,
            "depth": depth,
            "mean_by_increment": counts.mean(axis=1).tolist(),
            "most_by_increment": counts.max(axis=1).tolist(),
            "mean": float(counts.mean()),
            "flowing": [step.flowing for step in steps if step is not None],
        }
        rows.append(line)
        means = " ".join(f"{mean:.2f}" for mean in line["mean_by_increment"])
        print(f"iterations {name}: {means}, mean {line['mean']:.2f}, most {counts.max()}")
    return rows


def measure_first_update(starts: int) -> dict[str, float]:
    """Seconds in a fresh interpreter whose kernels are on disk: the fastest of several starts."""
    command = [sys.executable, "-c", FRESH.format(path=str(DATA / "ud1.toml"))]
    subprocess.run(command, check=True, capture_output=True)  # compiles what is missing
    runs = [
        [float(word) for word in subprocess.check_output(command, text=True).split()]
        for _ in range(starts)
    ]
    imported, made, update = min(runs, key=sum)
    return {"import_seconds": imported, "material_seconds": made, "update_seconds": update}


def in_process(threads: int, function: Callable[..., Any], *args: Any) -> Any:
    """Call in a process whose BLAS has this many threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(function, *args).result()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# the report


def find(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any] | None:
    """The first row with these entries."""
    for line in rows:
        if all(line[key] == value for key, value in wanted.items()):
            return line
    return None


def ratios(rows: list[dict[str, Any]], sizes: Sizes) -> list[dict[str, Any]]:
    """Time of peers and other solvers over matnet's, for the same depth and threads.

    Over matnet's largest batch per point and per iteration, over matnet on a single point, and over
    matnet on the same number of points where that was measured.
    """
    out = []
    for line in rows:
        if line["what"] == "tree-newton":
            continue
        key = {name: line[name] for name in ("law", "kind", "depth", "threads")}
        ours = partial(find, rows, what="tree-newton", **key)
        most, one, same = (ours(points=n) for n in (max(sizes.batches), 1, line["points"]))
        assert most is not None
        out.append(
            {
                "what": line["what"],
                **key,
                "points": line["points"],
                "speed_up": ratio(line, most),
                "speed_up_per_iteration": ratio(line, most, "us_per_point_iteration"),
                "speed_up_one_point": ratio(line, one),
                "speed_up_same_batch": ratio(line, same),
            }
        )
    return out


def ratio(
    line: dict[str, Any], ours: dict[str, Any] | None, what: str = "us_per_point"
) -> float | None:
    return None if ours is None else line[what] / ours[what]


def processor() -> str:
    """Name of the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> int:
    return numba.config.NUMBA_NUM_THREADS


def surroundings() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "matnet": matnet.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "torch")},
        "cores": cores(),
        "machine": platform.machine(),
        "processor": processor(),
    }


def summary(document: dict[str, Any], sizes: Sizes) -> list[str]:
    """The figures that the project set itself, in sentences."""
    depth = 7 if 7 in sizes.dense_depths else max(sizes.dense_depths)
    scaling, first = document["scaling"], document["first_update"]
    rivals = [
        line
        for line in document["ratios"]
        if line["what"] not in SOLVERS and line["depth"] == depth
        if line["points"] > 1 or "tree" not in line["what"]
    ]
    lines = [
        f"64 base nodes, {scaling['one']['points']} points: "
        f"{scaling['one']['us_per_point_iteration']:.1f} us per point and iteration on one thread, "
        f"{scaling['speed_up']:.2f} times as fast on {scaling['more']['threads']}",
        f"time per iteration over base nodes: exponent {document['exponent']:.3f} "
        f"for N = {sizes.slope_depths[0]} to {sizes.slope_depths[-1]}",
        f"state: {document['state_bytes_per_base_node']:.0f} bytes per base node",
        f"fresh interpreter: import {first['import_seconds']:.2f} s, "
        f"material {first['material_seconds']:.2f} s, first update {first['update_seconds']:.2f} s",
    ]
    lines += [
        f"{line['what']}, N = {depth}, {line['points']} points, {line['threads']} threads: "
        f"{line['speed_up']:.0f} times as slow per point as matnet's largest batch, "
        f"{line['speed_up_per_iteration']:.0f} times per iteration"
        for line in rivals
    ]
    numpy_one = find(rivals, what="dense newton, numpy", threads=1)
    assert numpy_one is not None
    over_one = numpy_one["speed_up_one_point"]
    lines.append(f"the first of these over matnet on a single point: {over_one:.0f} times as slow")
    return lines


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks and batches only")
    parser.add_argument("--out", type=Path, help=f"default: results/{OUT.name}; none if --quick")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    begin = time.perf_counter()
    threads = tuple(sorted({1, min(2, cores())}))
    first = measure_first_update(sizes.fresh_starts)
    print(HEAD, flush=True)
    rows = [line for t in threads for line in in_process(t, measure_threads, t, sizes)]
    slope = in_process(1, measure_slope, sizes)
    laws = in_process(1, measure_laws, sizes)
    scaling = in_process(threads[-1], measure_scaling, sizes, threads[-1])
    iterations = in_process(threads[-1], measure_iterations, sizes)
    material = Network.random("imn", 6, PHASES, (0.4, 0.6), 0).with_phases(**composite_1())
    document = {
        "what": "one strain increment of 0.1 % in random directions, tolerance 1e-8",
        **surroundings(),
        "first_update": first,
        "scaling": scaling,
        "exponent": exponent(slope),
        "state_bytes_per_base_node": 8 * material.n_state / material.network.n_base,
        "ratios": ratios(rows, sizes),
        "iterations": iterations,
        "slope": slope,
        "laws": laws,
        "rows": rows,
        "seconds": time.perf_counter() - begin,
    }
    print(*summary(document, sizes), f"{document['seconds']:.0f} s in all", sep="\n")
    out = options.out or (None if options.quick else OUT)
    if out is not None:
        with whole_file(out) as beside:
            beside.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
