"""Inverse design in the plane: the optimum of shear-normal coupling, and four given tensors.

    python benchmarks/design.py [--weights STEM] [--starts 50] [--steps 50] [--only NAME]

The coupling (eq. 44 of the Voigt-Reuss net paper) is limited by the rank-one laminate at 45
degrees, whose stiffness is known in closed form and maximised over the volume fraction here. The
four tensors are those of strongly anisotropic cells of a set that no network saw
(`generate_2d(2000, 1000, resolution=64)`, cells by number): each has to be matched within 5 %,
verified by full homogenisation, by three structurally different cells.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import matnet
from matnet.atomic import whole_file
from matnet.elasticity import isotropic
from offline.design.design import DesignOptions, Designs, design
from offline.design.difference import difference
from offline.design.laminate import best_coupling
from offline.design.objective import Objective, Target, Term
from offline.design.search import SearchOptions
from offline.surrogates import weights
from offline.surrogates.voigt_reuss.cells import draw_cells, printer_phases
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images
from offline.surrogates.voigt_reuss.surrogate import KIND, PlaneSurrogate, load_surrogate

RESULT = Path(__file__).parent / "results" / "design.json"
HELD_OUT_SEED, HELD_OUT_RESOLUTION = 1000, 64
CELLS = {"oblique": 1088, "coupled": 147, "tilted": 1022, "axial": 708}
WITHIN, DIFFERENT_CELLS = 0.05, 3
GAP = 0.01


def target_of(number: int) -> np.ndarray:
    """Stiffness (3, 3) of one held-out cell [MPa]."""
    cells = draw_cells(HELD_OUT_SEED, HELD_OUT_RESOLUTION, per_field=1)
    picture = next(islice(cells, number, None))[3]
    return homogenize_images(picture[None], printer_phases(), tol=1e-6)[0]


def summary(found: Designs) -> list[dict[str, Any]]:
    """What is stored of every design."""
    pictures = [one.picture for one in found.designs]
    return [
        {
            "objective": one.objective,
            "unpolished": one.unpolished,
            "predicted": one.predicted_objective,
            "surrogate_error": one.surrogate_error,
            "stiffness": one.stiffness.tolist(),
            "c0": one.verdict.c0,
            "within_bounds": one.within_bounds,
            "refined_change": one.refined_change,
            "least_difference": min(
                (difference(one.picture, p) for j, p in enumerate(pictures) if j != i), default=None
            ),
        }
        for i, one in enumerate(found.designs)
    ]


def timed(net: PlaneSurrogate, objective: Objective, options: DesignOptions) -> dict[str, Any]:
    """One task: designs and CPU seconds of this process."""
    began = time.process_time()
    found = design(net, objective, options=options)
    return {"cpu_seconds": time.process_time() - began, "designs": summary(found)}


def coupling(net: PlaneSurrogate, options: DesignOptions) -> dict[str, Any]:
    """The best coupling against the laminate's."""
    limit, c0 = best_coupling([isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)])
    objective = Objective((Term(name="coupling", sense="maximize"),))
    result = timed(net, objective, options)
    reached = -result["designs"][0]["objective"]
    gap = 1.0 - reached / limit
    print(
        f"coupling: {reached:.4f} of {limit:.4f} (laminate with c0 = {c0:.3f}), gap "
        f"{100 * gap:.2f} %, {result['cpu_seconds']:.0f} s CPU"
    )
    return {"limit": limit, "limit_c0": c0, "reached": reached, "gap": gap, **result}


def match(name: str, net: PlaneSurrogate, options: DesignOptions) -> dict[str, Any]:
    """One given tensor."""
    target = target_of(CELLS[name])
    result = timed(net, Objective((Target(target),)), options)
    errors = [one["objective"] for one in result["designs"]]
    before = [one["unpolished"] for one in result["designs"]]
    good = sum(error <= WITHIN for error in errors)
    print(
        f"{name}: {good} different cells within {100 * WITHIN:.0f} %: "
        + ", ".join(f"{100 * error:.2f}" for error in errors)
        + " % (before polishing "
        + ", ".join(f"{100 * error:.0f}" for error in before)
        + f" %), {result['cpu_seconds']:.0f} s CPU"
    )
    return {"target": target.tolist(), "within": good, **result}


def main() -> None:
    """Run the tasks and store the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="Default: the shipped ones.")
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["coupling", *CELLS])
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = load_surrogate(args.weights or weights.shipped(KIND)[0])
    search = SearchOptions(starts=args.starts, steps=args.steps, seed=args.seed)
    options = DesignOptions(search=search, count=6)
    result: dict[str, Any] = {}
    if args.only in (None, "coupling"):
        result["coupling"] = coupling(net, options)
    for name in CELLS:
        if args.only in (None, name):
            result[name] = match(name, net, options)
    reached = all(
        one["gap"] <= GAP if name == "coupling" else one["within"] >= DIFFERENT_CELLS
        for name, one in result.items()
    )
    print("all reached" if reached else "NOT all reached")
    record = {"matnet": matnet.__version__, "search": asdict(search), "reached": reached}
    with whole_file(args.out) as beside:
        beside.write_text(json.dumps({**record, "tasks": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
