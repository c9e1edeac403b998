"""Plane Voigt-Reuss net and its twins on a CPU: the same cells and training, counted violations.

Labels thresholded trigonometric cells, trains every twin for the same number of epochs, and judges
all on cells of other fields. A killed run goes on; finished twins are kept.

    OMP_NUM_THREADS=1 python benchmarks/voigt_reuss_2d.py --out runs/vr2d

prints the table of the documents' table 5 and writes benchmarks/results/voigt_reuss_2d.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import torch

from matnet.atomic import whole_file
from offline.surrogates.voigt_reuss.cells import LabelledCells, generate_2d, load_cells
from offline.surrogates.voigt_reuss.compare import TWINS, cpu_options, estimates, table, train_twin

RESULTS = Path(__file__).parent / "results" / "voigt_reuss_2d.json"
TRAINING_SEED, JUDGING_SEED = 1, 1000
CHOOSING = 500  # of the judging cells, by which the best epoch is chosen


def main() -> None:
    """Read the command line, train, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for cells and runs")
    parser.add_argument("--cells", type=int, default=17_408)
    parser.add_argument("--judged", type=int, default=2000)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--twin", dest="twins", action="append", choices=sorted(TWINS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    training = cells(given.out, "training", given.cells, TRAINING_SEED, given.resolution)
    judged = cells(given.out, "judging", given.judged, JUDGING_SEED, given.resolution)
    options = cpu_options(epochs=given.epochs, tensorboard=False)
    found, record = estimates(judged), {}
    for name in given.twins or TWINS:
        begin = time.process_time()
        held = judged.pick(slice(0, min(CHOOSING, len(judged))))
        net = train_twin(name, training, held, given.out / name, options)
        seconds = time.process_time() - begin
        found[name] = net.evaluate(judged)
        found[f"{name}, one view"] = net.evaluate(judged, symmetric=False)
        record[name] = {"cpu_seconds": seconds, "parameters": count(net)}
        print(table(found), flush=True)
    settings = {k: getattr(given, k) for k in ("cells", "judged", "resolution", "epochs")}
    rows = {name: {**record.get(name, {}), **one.as_dict()} for name, one in found.items()}
    with whole_file(given.results) as beside:
        text = json.dumps({"settings": settings, "rows": rows}, indent=1)
        beside.write_text(text + "\n", encoding="utf-8")


def cells(folder: Path, name: str, count: int, seed: int, resolution: int) -> LabelledCells:
    """Labelled cells, from the folder if they are there."""
    path = folder / f"{name}-{count}-{resolution}.npz"
    if path.exists():
        return load_cells(path)
    return generate_2d(count, seed=seed, resolution=resolution, path=path)


def count(net: torch.nn.Module) -> int:
    """Weights of a network."""
    return sum(p.numel() for p in net.parameters())


if __name__ == "__main__":
    main()
