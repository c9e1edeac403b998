"""The comparison of the paper's table 5: one data set, one training, several output layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matnet.errors import ParameterError
from offline.surrogates.training import Progress, TrainOptions, train
from offline.surrogates.voigt_reuss.cells import LabelledCells
from offline.surrogates.voigt_reuss.estimates import (
    hashin_shtrikman_plane,
    hill_plane,
    mori_tanaka_plane,
)
from offline.surrogates.voigt_reuss.networks import NetConfig, small
from offline.surrogates.voigt_reuss.surrogate import Evaluation, PlaneSurrogate, load_surrogate
from offline.surrogates.voigt_reuss.task import PlaneTask

__all__ = ["TWINS", "cpu_options", "estimates", "table", "train_twin", "twin_config"]

BATCH = 64
# name -> output layer; the descriptor-based twin has another input besides
TWINS = {
    "voigt-reuss": "voigt-reuss",
    "voigt-reuss-cayley": "voigt-reuss-cayley",
    "cholesky": "cholesky",
    "vanilla": "vanilla",
    "descriptors": "voigt-reuss",
}
DESCRIPTOR_WIDTHS = (1024, 512, 256, 128, 64)  # more weights than the picture's network


def cpu_options(minutes: float | None = None, **changes: object) -> TrainOptions:
    """Training of `networks.small` on a CPU; `minutes` ends it, its schedule included."""
    options = TrainOptions(
        epochs=40,
        learning_rate=3e-3,
        warm_up=100,
        schedule="cosine",
        optimizer="adamw",
        weight_decay=1e-4,
        device="cpu",
        minutes=minutes,
    )
    return dataclasses.replace(options, **changes)  # type: ignore[arg-type]


def twin_config(name: str, config: NetConfig | None = None) -> NetConfig:
    """The network of a twin, next to that of the pictures' networks (default: `small`)."""
    if name not in TWINS:
        raise ParameterError(f"twin '{name}' is unknown, expected one of {', '.join(TWINS)}.")
    base = small() if config is None else config
    if name != "descriptors":
        return base
    return dataclasses.replace(base, inputs="parameters", with_tau=True, widths=DESCRIPTOR_WIDTHS)


def train_twin(
    name: str,
    cells: LabelledCells,
    validation: LabelledCells,
    out: str | Path,
    options: TrainOptions | None = None,
    config: NetConfig | None = None,
    batch: int = BATCH,
    report: Callable[[Progress], None] | None = None,
) -> PlaneSurrogate:
    """Train one of `TWINS` and return it with its best weights, which stay in the folder `out`.

    Everything but the output layer (and the inputs of ``descriptors``) is the same for all. A run
    found in `out` goes on.
    """
    task = PlaneTask(cells, validation, twin_config(name, config), TWINS[name], batch=batch)
    train(task, cpu_options() if options is None else options, out, report=report)
    return load_surrogate(Path(out) / "best")


def estimates(cells: LabelledCells) -> dict[str, Evaluation]:
    """Hill's mean, Mori-Tanaka's estimate and Hashin-Shtrikman's bounds, judged as networks are."""
    lower, upper = hashin_shtrikman_plane(cells.phases, cells.c0)
    found = {
        "Hill": hill_plane(cells.phases, cells.c0),
        "Mori-Tanaka": mori_tanaka_plane(cells.phases, cells.c0),
        "Hashin-Shtrikman, lower": lower,
        "Hashin-Shtrikman, upper": upper,
    }
    return {name: Evaluation.of(c, cells.stiffness, cells.gap) for name, c in found.items()}


def table(evaluations: Mapping[str, Evaluation], names: Iterable[str] | None = None) -> str:
    """Errors in percent and counted violations, a line each, in Markdown."""
    lines = [
        "| | median [%] | mean [%] | std [%] | Voigt | Reuss | definite |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in evaluations if names is None else names:
        one = evaluations[name]
        row = one.as_dict()
        errors = (100.0 * row[f"{kind}_error"] for kind in ("median", "mean", "std"))
        counts = (f"{count} of {len(one.error)}" for count in one.violations.values())
        lines.append(f"| {name} | " + " | ".join([*(f"{e:.2f}" for e in errors), *counts]) + " |")
    return "\n".join(lines)
