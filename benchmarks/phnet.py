"""PH-Net on its own families and on others, with and without what this project adds.

Trains the same U-Net as in the paper (sum of energies, displacements predicted directly, Adam),
then adds one thing after another: `integrate` (long waves learn as fast as short ones), logarithms
of the energies, more channels in the last block alone, Muon, bfloat16, the combination of the six
displacements, and more fields to combine; every one for the same time. All are judged on cells of
the test split. A run that is killed goes on; finished ones are kept.

    OMP_NUM_THREADS=1 nice python benchmarks/phnet.py --out runs/phnet --minutes 5

writes OUT/report with tables, JSON and a picture, as `matnet surrogate compare` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from offline.surrogates.evaluation.contest import contest, entrants
from offline.surrogates.evaluation.contest_report import contest_tables, write_contest
from offline.surrogates.evaluation.evaluate import EvaluationOptions
from offline.surrogates.evaluation.report import markdown_table
from offline.surrogates.phnet.task import ARCHITECTURE
from offline.surrogates.stream import DataOptions
from offline.surrogates.training import TrainOptions, train

# what each run adds to the one before: settings of the network, or options of the training
ADDED: dict[str, dict[str, str]] = {
    "paper": {},
    "integrate": {"integrate": "true"},
    "relative": {"relative": "true"},
    "last-width": {"last_width": "2"},
    "muon": {"optimizer": "muon"},
    "mixed": {"precision": "mixed"},
    "combine": {"combine": "true"},
    "fields": {"fields": "36"},
}
OPTIONS = ("optimizer", "precision")


def main() -> None:
    a = _arguments()
    torch.set_num_threads(1)
    folders: list[Path] = []
    settings: dict[str, str] = {}
    for name, added in ADDED.items():
        settings |= added
        if name in a.run:
            folders.append(a.out / name)
            print(f"training {name}", flush=True)
            _train(settings, folders[-1], a)
    options = EvaluationOptions(
        families=(*a.family, *a.judge), resolution=a.resolution, cells=a.tested
    )
    result = contest(entrants(folders, "cpu"), options)
    for table in contest_tables(result):
        print(f"\n{table.title}\n\n{markdown_table(table.columns, table.rows)}")
    write_contest(a.out / "report", result, {"command": "benchmarks/phnet.py"}, force=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/phnet"))
    parser.add_argument("--run", nargs="+", default=list(ADDED), choices=list(ADDED))
    parser.add_argument("--family", nargs="+", default=["tubular-gyroid"], help="to train on")
    parser.add_argument("--judge", nargs="*", default=["truss", "tpms"], help="judged as well")
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--cells", type=int, default=20_000, help="training cells")
    parser.add_argument("--width", default="0.34", help="factor on the paper's channels")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each training")
    parser.add_argument("--tested", type=int, default=24, help="cells of each family")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _train(settings: dict[str, str], folder: Path, a: argparse.Namespace) -> None:
    data = DataOptions(
        families=tuple(a.family),
        resolution=a.resolution,
        cells=a.cells,
        validation_cells=16,
        seed=a.seed,
    )
    options = TrainOptions(
        **{name: settings[name] for name in OPTIONS if name in settings},
        epochs=100,
        learning_rate=a.lr,
        schedule="one-cycle",
        warm_up=0,
        seed=a.seed,
        device="cpu",
        minutes=a.minutes,
        checkpoint_minutes=1.0,
        tensorboard=False,
    )
    chosen = {key: value for key, value in settings.items() if key not in OPTIONS}
    texts = {"width": a.width, "references": "16", **chosen}
    train(ARCHITECTURE.task(data, texts), options, folder)


if __name__ == "__main__":
    main()
