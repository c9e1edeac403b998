"""What choosing by inelastic simulations brings: stress errors of chosen and other networks.

    python benchmarks/selection.py [--only NAME] [--depth 6] [--out FILE]

For each cell: labels, one training run whose networks are judged on the cheap paths of
`offline.selection`, then the independent check: `offline.verification.verify` with its default
paths (six loadings, a cycle, a square) in many more steps, on the cell in full. Compared are the
selected network before and after refinement, the one that elastic errors alone choose, and the
median over all networks that chains of training ended with. The sphere is also loaded, unloaded and
loaded again to 3.6 %.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.atomic import whole_file
from matnet.network import Network
from matnet.paths import LoadPath, uniaxial_stress
from matnet.phases import J2, Elastic, PhaseLaw, read_phases
from offline.labels import LabelOptions, SamplingOptions, compute_labels, read_labels
from offline.reference import ReferenceOptions
from offline.rve import Rve, read
from offline.rve.generators import make
from offline.selection import SelectionOptions, generic_laws, judged_by_cell
from offline.training import TrainingOptions, train
from offline.verification import ReferenceStore, default_paths, verify

ROOT = Path(__file__).parent
DATA = ROOT.parent / "fe_examples" / "data"
TARGET = 1.5  # error of the median network over that of the chosen one
UNLOADED = (0.018, 0.012, 0.036)  # strains at the turns of loading, unloading and loading again

CELLS: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "octet": ({"name": "octet", "n": 24, "volume_fraction": 0.2}, (1e-3, 1e3)),
    "fibre, hexagonal": ({"name": "ud-hexagonal", "n": 48, "volume_fraction": 0.6}, (1e-3, 1e3)),
    "sphere": ({"name": "spheres", "n": 24, "volume_fraction": 0.3, "n_spheres": 1}, (1e-2, 1e2)),
    "octet-aluminium": ({"file": DATA / "truss.npz"}, (1e-3, 1e3)),
}
# the networks are judged with these laws and checked with them
MATRIX = {"kind": "linear-voce", "sig_y": 0.003, "H": 0.01, "Q": 0.002, "b": 100.0}


def laws_of(name: str, rve: Rve) -> dict[str, PhaseLaw]:
    """Generic plasticity for the octet, composite 1 of the documents, a contrast of 30."""
    if name == "octet":
        return generic_laws(rve)
    if name == "sphere":
        soft = J2(E=1.0, nu=0.33, hardening=MATRIX)  # type: ignore[arg-type]
        return {"matrix": soft, "sphere": Elastic(E=30.0, nu=0.2)}
    laws = "aluminium_j2.toml" if name == "octet-aluminium" else "composites/ud1.toml"
    return read_phases(DATA / laws, rve.phase_names)


def further_paths(name: str, steps: int) -> tuple[LoadPath, ...]:
    """Beside the default ones: a reloaded sphere."""
    if name != "sphere":
        return ()
    path = uniaxial_stress("11", list(UNLOADED), steps=steps)
    return (replace(path, name="load, unload, reload 11"),)


def run(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One cell; labels and simulations are kept in the work folder."""
    generator, contrast = CELLS[name]
    rve = read(generator["file"]) if "file" in generator else make(**generator)
    phases = laws_of(name, rve)
    options = LabelOptions(n=args.samples, sampling=SamplingOptions(contrast=contrast), workers=1)
    kept = args.work / f"{name}.h5"
    if kept.exists():
        labels = read_labels(kept)
    else:
        labels = compute_labels(rve, options)
        labels.save(kept)
    began = time.perf_counter()
    own = phases if args.own_laws else None
    # all paths, however busy the machine is
    asked = SelectionOptions(phases=own, budget=3600.0)
    judge = judged_by_cell(rve, asked, work=args.work / "simulations")
    judged = time.perf_counter()
    networks: dict[tuple[float, ...], Network] = {}
    calls: list[float] = []

    class Remembering:
        """The judge, whose networks are kept for the check."""

        residuals = staticmethod(judge.residuals)

        def __call__(self, network: Network) -> np.ndarray:
            start = time.perf_counter()
            errors = judge(network)
            calls.append(time.perf_counter() - start)
            networks[tuple(errors.tolist())] = network
            return errors

    training = TrainingOptions(depth=args.depth, seed=args.seed)
    result = train(
        labels,
        training,
        judge=Remembering(),
        refine_iterations=args.refine,
        checkpoint=args.work / f"{name}.{args.seed}.npz",
    )
    trained = time.perf_counter()
    store = ReferenceStore(args.work / "simulations")
    default = default_paths(steps=args.steps)
    paths = (*default, *further_paths(name, args.steps))
    plain = [c for c in result.candidates if not c.stage.startswith("refinement")]
    elastic = min((c for c in plain if c.at_end), key=lambda c: c.elastic)
    selected = min(plain, key=lambda c: c.mean + c.elastic)
    rows = []
    for candidate in result.candidates:
        if not (candidate.chosen or candidate is selected or candidate.at_end):
            continue
        verdict = verify(
            networks[candidate.inelastic],
            rve,
            phases,
            paths,
            options=ReferenceOptions(tol=1e-4),
            store=store,
            timed=False,
        )
        rows.append(
            {
                "stage": candidate.stage,
                "iteration": candidate.iteration,
                "end": candidate.at_end,
                "chosen": candidate.chosen,
                "elastic_choice": candidate is elastic,
                "selected": candidate is selected,
                "depth": candidate.depth,
                "elastic_error": candidate.elastic,
                "judged_mean": candidate.mean,
                "judged_worst": candidate.worst,
                "e_sigma": verdict.e_sigma,
                "verify_mean": float(verdict.errors[: len(default)].mean()),
                "verify_worst": float(verdict.errors[: len(default)].max()),
                "verify_paths": dict(
                    zip((p.name for p in paths), verdict.errors.tolist(), strict=True)
                ),
            }
        )
        print("  ", name, {k: v for k, v in rows[-1].items() if k != "verify_paths"}, flush=True)
    refined = [row for row in rows if row["stage"].startswith("refinement")]
    ends = [r for r in rows if r["end"] and r["depth"] == args.depth and r not in refined]
    selection = next(row for row in rows if row["selected"])
    chosen = next(row for row in rows if row["chosen"])
    by_labels = next(row for row in rows if row["elastic_choice"])
    median = float(np.median([row["e_sigma"] for row in ends]))
    return {
        "cell": name,
        "rve": rve.source,
        "shape": list(rve.shape),
        "judge_shape": list(judge.shape),
        "judge_paths": list(judge.names),
        "judge_strain": asked.strain,
        "judge_steps": asked.steps,
        "own_laws": args.own_laws,
        "depth": args.depth,
        "seed": args.seed,
        "steps_of_check": args.steps,
        "e_sigma_refined": chosen["e_sigma"],
        "e_sigma_selected": selection["e_sigma"],
        "e_sigma_elastic_choice": by_labels["e_sigma"],
        "e_sigma_median": median,
        "gain_of_selection_over_median": median / selection["e_sigma"],
        "gain_with_refinement_over_median": median / chosen["e_sigma"],
        "target": TARGET,
        "seconds": {
            "simulations": judged - began,
            "training": trained - judged,  # what the checkpoint kept is not in it
            "judging": sum(calls),
        },
        "judged_networks": len(calls),
        "networks": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CELLS, help="one cell")
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refine", type=int, default=10, help="iterations of refinement")
    parser.add_argument("--steps", type=int, default=20, help="of each path of the check")
    parser.add_argument("--own-laws", action="store_true", help="judge with the laws of the check")
    parser.add_argument("--work", type=Path, default=Path("selection.work"))
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "selection.json")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in [args.only] if args.only else CELLS:
        rows.append(run(name, args))
        told = {key: value for key, value in rows[-1].items() if key != "networks"}
        print(json.dumps(told, indent=2), flush=True)
    table = {"matnet": matnet.__version__, "cores": os.cpu_count(), "cells": rows}
    with whole_file(args.out) as beside:
        beside.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
