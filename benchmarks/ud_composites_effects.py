"""The document's own training in `ud_composites.py`: batch size, labels, eta, xi, and its price.

He et al. train by Adam for 10 000 epochs on 20 cores. Here every run has the same number of
updates, far fewer, so that what differs between two runs is not how long they were trained.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from ud_composites_judge import STEPS, errors_of, judged, online_cost
from ud_composites_work import COMPOSITES, DEPTHS, KINDS, UNSEEN, Work

from matnet.material import Material
from offline.training import TrainingOptions
from offline.training.recipe import Recipe
from offline.training.train import split_labels
from offline.verification import six_loadings

DEPTH = 5
KIND = "imn"
UPDATES = 1500
BATCHES = {400: (20, 40, 128), 1024: (40, 64, 128), 2048: (128, 256)}
ETAS = (0.01, 0.1, 1.0, 10.0, 100.0)
XIS = (0.1, 0.5, 1.0, 2.0, 4.0)
TIMED_EPOCHS = 3
BATCH = 40


@dataclass(frozen=True)
class Run:
    """One training by the document's recipe."""

    samples: int = 400
    batch: int = BATCH
    eta: float = 1.0
    xi: float = 1.0
    seed: int = 0

    @property
    def name(self) -> str:
        return f"adam.{self.samples}.{self.batch}.{self.eta:g}.{self.xi:g}.{self.seed}"

    @property
    def epochs(self) -> int:
        return -(-UPDATES // -(-self.samples // self.batch))


def weighted_recipe(labels: Any, options: TrainingOptions, eta: float, xi: float) -> Recipe:
    """The recipe with another weight and another goal of the sum of the base nodes' weights."""
    fraction = options.validation_fraction

    class Weighted(Recipe):
        """Equation 9 with these eta and xi."""

        def loss(self, index: Any) -> Any:
            error = self.relative_errors(index)
            total = self.torch.relu(self.parameters["z"]).sum()
            return 0.5 * (error**2).mean() + eta * (total - xi) ** 2

    return Weighted(labels, options, *split_labels(len(labels.effective), fraction, options.seed))


def recipe_options(kind: str, depth: int, samples: int, run: Run) -> TrainingOptions:
    return TrainingOptions(
        network=kind,
        depth=depth,
        optimizer="adam",
        epochs=run.epochs,
        batch_size=run.batch,
        seed=run.seed,
        validation_fraction=UNSEEN / (samples + UNSEEN),
    )


def adam_row(work: Work, run: Run) -> dict[str, Any]:
    """One run: its errors, its size and what its increments cost, for all composites."""
    import torch

    torch.set_num_threads(1)
    labels = work.labels("hexagonal", run.samples)
    recipe = weighted_recipe(labels, recipe_options(KIND, DEPTH, run.samples, run), run.eta, run.xi)
    began = time.process_time()
    history = [unseen for _, _, unseen in recipe.epochs()]
    seconds = time.process_time() - began
    network = recipe.network()
    difference = network.homogenize(labels.phase_stiffness) - labels.effective
    errors = np.linalg.norm(difference, axis=(1, 2)) / np.linalg.norm(labels.effective, axis=(1, 2))
    row = {
        "samples": run.samples,
        "batch": run.batch,
        "eta": run.eta,
        "xi": run.xi,
        "seed": run.seed,
        "epochs": run.epochs,
        "cpu_seconds": seconds,
        "weights_sum": float(recipe.parameters["z"].detach().relu().sum()),
        "base_nodes": network.n_base,
        "elastic_error": float(errors[recipe.validation.numpy()].mean()),
        "elastic_training": float(errors[recipe.trained.numpy()].mean()),
        "history": history[:: max(1, len(history) // 50)],
        "composites": {},
    }
    for composite in COMPOSITES:
        verdict = judged(work, network, "hexagonal", composite, six_loadings(steps=STEPS))
        material = Material(network=network, phases=work.laws(composite))
        row["composites"][composite] = {**errors_of(verdict), **online_cost(material, verdict)}
    return row


def runs(seeds: tuple[int, ...]) -> list[Run]:
    """All configurations, seed by seed; eta = xi = 1 with 400 labels and batch 40 is in each."""
    found: dict[str, Run] = {}
    for seed in seeds:
        batches = [Run(n, b, seed=seed) for n, sizes in BATCHES.items() for b in sizes]
        etas = [Run(eta=eta, seed=seed) for eta in ETAS]
        xis = [Run(xi=xi, seed=seed) for xi in XIS]
        found |= {run.name: run for run in (*etas, *xis, *batches)}
    return list(found.values())


def adam(work: Work, seeds: tuple[int, ...]) -> None:
    for run in runs(seeds):
        work.once(run.name, lambda r=run: adam_row(work, r))


def epoch_row(work: Work, kind: str, depth: int) -> dict[str, Any]:
    """CPU seconds per epoch, 400 labels, batches of 40; the first epoch is left out."""
    import torch

    torch.set_num_threads(1)
    recipe = weighted_recipe(
        work.labels("hexagonal"), recipe_options(kind, depth, 400, Run()), 1.0, 1.0
    )
    epochs = islice(recipe.epochs(), TIMED_EPOCHS + 1)
    clock = [time.process_time() for _ in epochs]
    return {
        "kind": kind,
        "depth": depth,
        "parameters": recipe.n_parameters,
        "cpu_seconds_per_epoch": float(np.min(np.diff(clock))),
    }


def times(work: Work, seeds: tuple[int, ...]) -> None:
    for depth in DEPTHS:
        for kind in KINDS:
            work.once(f"times.{kind}.{depth}", lambda k=kind, d=depth: epoch_row(work, k, d))


def facts() -> dict[str, Any]:
    """For the report."""
    return {
        "depth": DEPTH,
        "kind": KIND,
        "updates": UPDATES,
        "batches": {str(n): sizes for n, sizes in BATCHES.items()},
        "etas": ETAS,
        "xis": XIS,
        "batch": BATCH,
    }
