"""Cells, labels, fits and simulations of `ud_composites.py`, each made once and kept in a folder.

Every piece is a file that appears whole or not at all, so that a run that was stopped goes on
where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import matnet
from matnet.atomic import whole_file
from matnet.network import Network
from matnet.phases import PhaseLaw, read_phases
from offline.labels import LabelOptions, LabelSet, compute_labels, read_labels
from offline.reference import ReferenceOptions
from offline.rve import Rve
from offline.rve.generators import make
from offline.training import TrainingOptions, train
from offline.verification import ReferenceStore

DATA = Path(__file__).parent.parent / "fe_examples" / "data" / "composites"
COMPOSITES = ("ud1", "ud2", "ud3")
PACKINGS: dict[str, dict[str, Any]] = {
    "hexagonal": {"name": "ud-hexagonal", "n": 128, "volume_fraction": 0.6},
    "random": {
        "name": "ud-random",
        "n": 192,
        "volume_fraction": 0.6,
        "n_fibres": 12,
        "min_gap": 0.1,
        "seed": 0,
    },
}
KINDS = ("imn", "dmn")
DEPTHS = (4, 5, 6, 7, 8)
SEEDS = (0, 1, 2, 3, 4)
TRAINED, UNSEEN = 400, 100  # labels; the document's dataset 1
# the hexagonal cell has enough for the effect of their number; the first are those of a smaller set
LABELS = {"hexagonal": 2048 + UNSEEN, "random": TRAINED + UNSEEN}
# fewer starts and iterations than the defaults: 100 fits on a shared machine
FIT: dict[str, Any] = {
    "starts": 2,
    "start_iterations": 40,
    "max_iterations": 40,
    "full_starts": 1,
}
SIMULATION = ReferenceOptions(tol=1e-4)


@dataclass(frozen=True)
class Fit:
    """One elastic fit: which network, on which packing, from how many labels."""

    kind: str
    packing: str
    depth: int
    seed: int
    samples: int = TRAINED

    @property
    def name(self) -> str:
        more = "" if self.samples == TRAINED else f".{self.samples}"
        return f"{self.kind}.{self.packing}.{self.depth}.{self.seed}{more}"

    @property
    def options(self) -> TrainingOptions:
        return TrainingOptions(
            network=self.kind,
            depth=self.depth,
            seed=self.seed,
            validation_fraction=UNSEEN / (self.samples + UNSEEN),
            **FIT,
        )


@dataclass(frozen=True)
class Work:
    """The folder."""

    folder: Path

    def __post_init__(self) -> None:
        for part in ("", "labels", "fits", "rows", "stages"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)

    @cached_property
    def store(self) -> ReferenceStore:
        """Full-field simulations."""
        return ReferenceStore(self.folder / "simulations")

    def cell(self, packing: str, n: int | None = None) -> Rve:
        """The cell, on `n` voxels per short edge if not on its own mesh."""
        return make(**{**PACKINGS[packing], **({} if n is None else {"n": n})})

    def laws(self, composite: str) -> dict[str, PhaseLaw]:
        return read_phases(DATA / f"{composite}.toml", ("matrix", "fibre"))

    def labels(self, packing: str, samples: int = TRAINED) -> LabelSet:
        """The first `samples` + 100 labels of a packing."""
        file = self.folder / "labels" / f"{packing}.h5"
        if not file.exists():
            began = time.perf_counter()
            made = compute_labels(self.cell(packing), LabelOptions(n=LABELS[packing], workers=1))
            made.save(file)
            seconds = time.perf_counter() - began
            self.keep(f"labels.{packing}", {**label_facts(made, packing), "seconds": seconds})
        labels = read_labels(file)
        n = samples + UNSEEN
        return replace(
            labels,
            phase_stiffness=labels.phase_stiffness[:n],
            effective=labels.effective[:n],
            error=labels.error[:n],
        )

    def fitted(self, fit: Fit) -> Network:
        """The network of a fit; what it took stands on its card under ``fit``."""
        file = self.folder / "fits" / f"{fit.name}.matnet"
        if not file.exists():
            labels = self.labels(fit.packing, fit.samples)
            _compile(labels, fit.kind)
            began, cpu = time.perf_counter(), time.process_time()
            result = train(labels, fit.options)
            took = {
                "name": fit.name,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - cpu,
                "iterations": len(result.history.loss),
            }
            result.network.with_card(fit=took).save(file)
        return matnet.load(file)

    def has_fit(self, fit: Fit) -> bool:
        return (self.folder / "fits" / f"{fit.name}.matnet").exists()

    def row(self, name: str) -> dict[str, Any] | None:
        """A kept result."""
        file = self.folder / "rows" / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def keep(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        with whole_file(self.folder / "rows" / f"{name}.json") as beside:
            beside.write_text(json.dumps(row) + "\n")
        return row

    def once(self, name: str, make_row: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A result that is there already, or is made and kept."""
        found = self.row(name)
        if found is None:
            began = time.perf_counter()
            found = self.keep(name, make_row())
            print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)
        return found

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """All kept results whose names begin with `kind` and a point."""
        files = sorted((self.folder / "rows").glob(f"{kind}.*.json"))
        return [json.loads(file.read_text()) for file in files]


_compiled: set[str] = set()


def _compile(labels: LabelSet, kind: str) -> None:
    """Let the compiler work before a fit is timed."""
    if kind in _compiled:
        return
    _compiled.add(kind)
    train(labels, TrainingOptions(network=kind, depth=2, starts=1, start_iterations=2))


def label_facts(labels: LabelSet, packing: str) -> dict[str, Any]:
    """What the report says about labels."""
    return {
        "packing": packing,
        "n": len(labels),
        "snapshots": labels.card["snapshots"],
        "worst_estimated_error": float(np.nanmax(labels.error)),
        "sampling": labels.card["run"]["options"]["sampling"],
        "fractions": labels.fractions.tolist(),
    }
