"""The plane network that comes with matnet: joined, judged, calibrated and stored small.

For maintainers. One command makes the pair of files from one or more runs and two sets of cells
(`cells.save_cells`), those that all runs were trained on and others that none has seen:

    python -m offline.surrogates.voigt_reuss.ship RUN... --cells cells.npz --unseen unseen.npz

Tensors are rounded to half precision before anything is judged. Half of the unseen cells calibrate
the uncertainty, the other half tests that; errors are those of all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from offline.surrogates import weights
from offline.surrogates.voigt_reuss.cells import LabelledCells, load_cells
from offline.surrogates.voigt_reuss.judge import calibrated, judge
from offline.surrogates.voigt_reuss.surrogate import (
    KIND,
    PlaneSurrogate,
    ensemble,
    load_surrogate,
)
from offline.surrogates.voigt_reuss.training_range import TrainingRange

__all__ = ["ship"]

NAME = "plane"


def ship(
    members: Sequence[PlaneSurrogate],
    cells: LabelledCells,
    unseen: LabelledCells,
    folder: str | Path | None = None,
) -> Path:
    """Write the ensemble of `members` as ``plane.safetensors`` and its card; returns the former.

    Parameters
    ----------
    members : sequence of PlaneSurrogate
        Trained on `cells`.
    cells, unseen : LabelledCells
        See the module; at least 40 unseen ones.
    folder : path, optional
        Default: the package's.
    """
    net = _rounded(ensemble(members))
    net.seen = TrainingRange.of_pictures(cells.images)
    half = len(unseen) // 2
    net.calibration = calibrated(net, unseen.pick(slice(0, half)))
    tested = judge(net, unseen.pick(slice(half, None)))
    found = judge(net, unseen)
    facts: dict[str, Any] = {
        "cells": len(cells),
        "trainings": [one.facts.get("training", {}) for one in members],
        "range": net.seen.as_dict(),
        "evaluation": found.as_dict() | {"calibration_test": tested.within},
        "stored": "float16",
    }
    if net.calibration is not None:
        facts["calibration"] = net.calibration.as_dict()
    place = weights.SHIPPED / KIND if folder is None else Path(folder)
    for one in (net.net, *net.others):
        one.half()
    return net.save(place / NAME, **facts)


def _rounded(net: PlaneSurrogate) -> PlaneSurrogate:
    """Weights that half precision can hold, still in single precision; the phases stay exact."""
    for one in (net.net, *net.others):
        one.half().float()
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--cells", required=True, type=Path)
    parser.add_argument("--unseen", required=True, type=Path)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    members = [load_surrogate(run) for run in given.runs]
    path = ship(members, load_cells(given.cells), load_cells(given.unseen), given.folder)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
