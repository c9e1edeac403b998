"""Time to the same validation error: compiled Levenberg-Marquardt against the documents' recipe.

Both train the same network on the same labels, the same split and the same cores, one after the
other. The target is the best validation error of the recipe; reported is the time each needs to
get there first, compilation excluded.

    python benchmarks/training.py [--labels cell.h5] [--depth 5] [--epochs 1500]

Without --labels, the labels are those of a fibre cell of 32 x 32 voxels (made first).
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from offline.labels import LabelOptions, LabelSet, compute_labels, read_labels
from offline.rve.generators import make
from offline.training import TrainingOptions, train
from offline.training.options import TrainingResult

OUT = Path(__file__).parent / "results" / "training.json"


def fibre_labels(n: int) -> LabelSet:
    """Labels of a hexagonal fibre cell, 60 % fibres, contrast 1e-3 to 1e3."""
    cell = make("ud-hexagonal", n=32, volume_fraction=0.6)
    return compute_labels(cell, LabelOptions(n=n, workers=1))


def time_to(result: TrainingResult, error: float) -> float | None:
    """Seconds until the validation error first fell to `error`."""
    values = np.array(result.history.validation)
    reached = np.flatnonzero(values <= error)
    return result.history.seconds[reached[0]] if reached.size else None


def compare(labels: LabelSet, options: TrainingOptions) -> list[dict[str, Any]]:
    """One row per optimiser, with the time to the recipe's best validation error."""
    warm = replace(options, depth=2, starts=1, start_iterations=2, max_iterations=2)
    train(labels, warm)  # compiles
    results = {
        name: train(labels, replace(options, optimizer=name))
        for name in ("adam", "levenberg-marquardt")
    }
    target = min(results["adam"].history.validation)
    return [
        {
            "optimizer": name,
            "steps": len(result.history.loss),
            "seconds": result.seconds,
            "validation_mean": min(result.history.validation),
            "validation_worst": result.validation_worst,
            "target": target,
            "seconds_to_target": time_to(result, target),
        }
        for name, result in results.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, help="label file; default: a fibre cell")
    parser.add_argument("--samples", type=int, default=400, help="labels of the fibre cell")
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1500, help="of the recipe")
    parser.add_argument("--batch", type=int, default=40, help="of the recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    labels = read_labels(args.labels) if args.labels else fibre_labels(args.samples)
    options = TrainingOptions(
        depth=args.depth, epochs=args.epochs, batch_size=args.batch, seed=args.seed
    )
    rows = compare(labels, options)
    print(f"{labels}, depth {args.depth}, {os.cpu_count()} cores")
    print(f"{'optimizer':22}{'steps':>8}{'validation':>12}{'total s':>10}{'s to target':>14}")
    for row in rows:
        reached = row["seconds_to_target"]
        print(
            f"{row['optimizer']:22}{row['steps']:>8}{100 * row['validation_mean']:>11.2f}%"
            f"{row['seconds']:>10.1f}{'never' if reached is None else f'{reached:.1f}':>14}"
        )
    recipe, default = (row["seconds_to_target"] for row in rows)
    ratio = None if recipe is None or default is None else recipe / default
    print("speed-up: " + ("not reached" if ratio is None else f"{ratio:.1f}x"))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "labels": args.labels.name if args.labels else f"fibre cell 32 x 32, {args.samples}",
        "depth": args.depth,
        "batch": args.batch,
        "seed": args.seed,
        "cores": os.cpu_count(),
        "rows": rows,
        "speed_up": ratio,
    }
    with whole_file(args.out) as beside:
        beside.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
