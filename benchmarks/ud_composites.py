"""The document's three UD composites (He et al.): IMN and DMN, depths 4 to 8, and what matters.

    python benchmarks/ud_composites.py [--work FOLDER] [--only STAGE ...] [--seeds 5] [--report]

Each piece (labels, fit, simulation, figure) is kept in the work folder, and a run that was stopped
goes on there. After every stage (`--only` without one: at once) the results so far are written to
`results/ud_composites.json`; `--report` makes docs/ud_composites.md and its pictures from that file
alone. Stages, in the order in which they are run unless others are named:

==============  ===================================================================================
``mesh``        stresses of composite 1 on finer and finer voxels
``imn``         elastic fits of IMNs to the hexagonal cell, depths 4 to 7, and their stress errors
``selected``    networks of depth 7 that are selected and refined, hexagonal cell
``dmn``         as ``imn``, for DMNs
``random``      as ``imn``, for the random cell
``random-dmn``  as ``dmn``, for the random cell
``solvers``     the document's online algorithms on these networks
``adam``        batch size, number of labels, eta and xi with the document's training
``samples``     number of labels with Levenberg-Marquardt
``times``       seconds per epoch of the document's training, IMN against DMN
``deep``        depth 8
==============  ===================================================================================
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import ud_composites_effects as effects
from threadpoolctl import threadpool_limits
from ud_composites_judge import (
    REFINE,
    SOLVERS,
    STEPS,
    mesh_row,
    selected_row,
    solver_row,
    table_row,
)
from ud_composites_report import write_report
from ud_composites_work import (
    COMPOSITES,
    DEPTHS,
    FIT,
    KINDS,
    PACKINGS,
    SEEDS,
    SIMULATION,
    TRAINED,
    UNSEEN,
    Fit,
    Work,
)

import matnet
from matnet.atomic import whole_file

ROOT = Path(__file__).parent
Ints = tuple[int, ...]
Strings = tuple[str, ...]
RESULT = ROOT / "results" / "ud_composites.json"
PAGE = ROOT.parent / "docs" / "ud_composites.md"
SHALLOW, DEEP = DEPTHS[:-1], DEPTHS[-1:]
SELECTED_DEPTH = 7
SAMPLES = (400, 1024, 2048)
SAMPLES_DEPTH = 5


def fits(seeds: Ints, kinds: Strings, packing: str, depths: Ints) -> list[Fit]:
    """Seed by seed, so that what is there early covers all depths."""
    return [Fit(k, packing, d, seed) for seed in seeds for k in kinds for d in depths]


def table(work: Work, seeds: Ints, kinds: Strings, packing: str, depths: Ints) -> None:
    for fit in fits(seeds, kinds, packing, depths):
        for composite in COMPOSITES:
            name = f"table.{fit.name}.{composite}"
            work.once(name, lambda f=fit, c=composite: table_row(work, f, c))


def mesh(work: Work, seeds: Ints) -> None:
    for packing in PACKINGS:
        work.once(f"mesh.{packing}", lambda p=packing: mesh_row(work, p, COMPOSITES[0]))


def selected(work: Work, seeds: Ints) -> None:
    for seed in seeds:
        fit = Fit("imn", "hexagonal", SELECTED_DEPTH, seed)
        for composite in COMPOSITES:
            name = f"selected.{fit.name}.{composite}"
            work.once(name, lambda f=fit, c=composite: selected_row(work, f, c))


def solvers(work: Work, seeds: Ints) -> None:
    for kind in KINDS:
        for fit in fits(seeds, (kind,), "hexagonal", DEPTHS):
            if not work.has_fit(fit):
                continue
            for solver in ("tree-newton", *SOLVERS[kind]):
                name = f"solver.{fit.name}.{solver}"
                work.once(name, lambda f=fit, s=solver: solver_row(work, f, s))


def samples(work: Work, seeds: Ints) -> None:
    for seed in seeds:
        for n in SAMPLES:
            fit = Fit("imn", "hexagonal", SAMPLES_DEPTH, seed, n)
            for composite in COMPOSITES:
                name = f"samples.{fit.name}.{composite}"
                work.once(name, lambda f=fit, c=composite: table_row(work, f, c))


def deep(work: Work, seeds: Ints) -> None:
    for packing in PACKINGS:
        table(work, seeds, KINDS, packing, DEEP)


STAGES: dict[str, Callable[[Work, Ints], None]] = {
    "mesh": mesh,
    "imn": lambda work, seeds: table(work, seeds, ("imn",), "hexagonal", SHALLOW),
    "selected": selected,
    "dmn": lambda work, seeds: table(work, seeds, ("dmn",), "hexagonal", SHALLOW),
    "random": lambda work, seeds: table(work, seeds, ("imn",), "random", SHALLOW),
    "random-dmn": lambda work, seeds: table(work, seeds, ("dmn",), "random", SHALLOW),
    "solvers": solvers,
    "adam": effects.adam,
    "samples": samples,
    "times": effects.times,
    "deep": deep,
}
KEPT = ("labels", "mesh", "table", "selected", "solver", "adam", "samples", "times")


def collected(work: Work) -> dict[str, Any]:
    """All that is in the work folder, with what it was made by."""
    return {
        "matnet": matnet.__version__,
        "numpy": np.__version__,
        "numba": numba.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "packings": {
            name: {"generator": spec, "shape": list(work.cell(name).shape)}
            for name, spec in PACKINGS.items()
        },
        "composites": {
            name: {phase: law.to_table() for phase, law in work.laws(name).items()}
            for name in COMPOSITES
        },
        "options": {
            "depths": DEPTHS,
            "seeds": SEEDS,
            "trained": TRAINED,
            "unseen": UNSEEN,
            "fit": FIT,
            "simulation_tol": SIMULATION.tol,
            "element": SIMULATION.element,
            "steps": STEPS,
            "refine": REFINE,
            "selected_depth": SELECTED_DEPTH,
            "samples": SAMPLES,
            "samples_depth": SAMPLES_DEPTH,
            "adam": effects.facts(),
        },
        **{kind: work.rows(kind) for kind in KEPT},
    }


def write(work: Work, out: Path) -> None:
    with whole_file(out) as beside:
        beside.write_text(json.dumps(collected(work), indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("ud_composites.work"))
    parser.add_argument("--only", choices=STAGES, nargs="*", default=list(STAGES))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="the first so many")
    parser.add_argument("--report", action="store_true", help="only pages and pictures, from JSON")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    if args.report:
        write_report(json.loads(args.out.read_text()), PAGE)
        return
    work = Work(args.work)
    # one thread: fits and simulations are small, and CPU times of one thread can be compared
    numba.set_num_threads(1)
    with threadpool_limits(1):
        for stage in args.only:
            STAGES[stage](work, SEEDS[: args.seeds])
            write(work, args.out)
            print(f"{stage}: done", file=sys.stderr, flush=True)
    write(work, args.out)  # without a stage: what is there


if __name__ == "__main__":
    main()
