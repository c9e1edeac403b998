"""The comparison of the paper's table 3, and what orientation-sensitive descriptors add."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from offline.surrogates.training import Progress, TrainOptions, train
from offline.surrogates.voigt_reuss.space.cells import SpaceCells
from offline.surrogates.voigt_reuss.space.evaluation import SpaceEvaluation
from offline.surrogates.voigt_reuss.space.networks import SpaceConfig, small, voxels
from offline.surrogates.voigt_reuss.space.phases import DEVIATORIC, VOLUMETRIC
from offline.surrogates.voigt_reuss.space.surrogate import SpaceSurrogate, load_surrogate
from offline.surrogates.voigt_reuss.space.task import SpaceTask

__all__ = [
    "TWINS",
    "cpu_options",
    "space_estimates",
    "space_table",
    "train_space_twin",
    "twin_config",
]

BATCH = {"descriptors": 256, "voxels": 64}
PLAIN, DIRECTED = ("isotropic",), ("isotropic", "directional")
# name -> output layer, changes of the network
TWINS: dict[str, tuple[str, dict[str, Any]]] = {
    "voigt-reuss": ("voigt-reuss", {}),
    "voigt-reuss-cayley": ("voigt-reuss-cayley", {}),
    "cholesky": ("cholesky", {}),
    "vanilla": ("vanilla", {}),
    "isotropic": ("isotropic", {}),
    "without-conduction": ("voigt-reuss", {"groups": DIRECTED}),
    "isotropic-descriptors": ("voigt-reuss", {"groups": PLAIN}),
    "cnn": ("voigt-reuss", {"inputs": "voxels"}),
}


def cpu_options(minutes: float | None = None, **changes: Any) -> TrainOptions:
    """Training on a CPU; `minutes` ends it, its schedule included."""
    options = TrainOptions(
        epochs=400,
        learning_rate=3e-3,
        warm_up=100,
        schedule="cosine",
        optimizer="adamw",
        weight_decay=1e-2,
        device="cpu",
        minutes=minutes,
    )
    return dataclasses.replace(options, **changes)


def twin_config(name: str, config: SpaceConfig | None = None) -> SpaceConfig:
    """The network of a twin, next to that of the others (default: `small`, or `voxels`)."""
    if name not in TWINS:
        raise ParameterError(f"twin '{name}' is unknown, expected one of {', '.join(TWINS)}.")
    changes = TWINS[name][1]
    if config is None:
        config = voxels() if changes.get("inputs") == "voxels" else small()
    return dataclasses.replace(config, **changes)


def train_space_twin(
    name: str,
    cells: SpaceCells,
    held: SpaceCells,
    folder: str | Path,
    options: TrainOptions | None = None,
    config: SpaceConfig | None = None,
    batch: int | None = None,
    report: Callable[[Progress], None] | None = None,
) -> SpaceSurrogate:
    """Train one of `TWINS` and return it with its best weights, which stay in `folder`.

    Everything but what it is named for is the same for all. A run found in `folder` goes on.

    Parameters
    ----------
    name : str
    cells, held : SpaceCells
        To train with, and to choose the best weights by.
    folder : path
    options : TrainOptions, optional
        Default: `cpu_options`.
    config : SpaceConfig, optional
        See `twin_config`.
    batch : int, optional
        Cells per step.
    """
    network = twin_config(name, config)
    size = BATCH[network.inputs] if batch is None else batch
    task = SpaceTask(cells, held, network, TWINS[name][0], batch=size)
    train(task, cpu_options() if options is None else options, folder, report=report)
    return load_surrogate(Path(folder) / "best")


def space_estimates(cells: SpaceCells) -> dict[str, SpaceEvaluation]:
    """Hill's mean of the bounds, and the isotropic projection of the truth (eq. 28-30).

    The projection is the least error that a network without orientation-sensitive inputs can
    reach; it knows the answer, so it is a floor, not a method.
    """
    gap, true = cells.gap, cells.stiffness
    bulk = np.einsum("nij,ij->n", true, VOLUMETRIC)[:, None, None]
    shear = np.einsum("nij,ij->n", true, DEVIATORIC)[:, None, None] / 5.0
    found = {
        "Hill": 0.5 * (gap.upper + gap.lower),
        "isotropic projection": bulk * VOLUMETRIC + shear * DEVIATORIC,
    }
    return {name: SpaceEvaluation.of(c, true, gap) for name, c in found.items()}


def space_table(
    evaluations: Mapping[str, SpaceEvaluation], names: Iterable[str] | None = None
) -> str:
    """Errors in percent, counted violations and R^2 of the parts of C, a line each, in Markdown."""
    lines = [
        "| | median [%] | mean [%] | std [%] | Voigt | Reuss | definite "
        "| R2 isotropic | R2 anisotropic | R2 beyond cubic | R2 couplings |",
        "|---|" + "---|" * 10,
    ]
    for name in evaluations if names is None else names:
        one = evaluations[name]
        row = one.as_dict()
        errors = (f"{100.0 * row[f'{kind}_error']:.2f}" for kind in ("median", "mean", "std"))
        counts = (f"{count} of {len(one.error)}" for count in one.violations.values())
        wanted = ("isotropic", "anisotropic", "beyond_cubic", "couplings")
        r2 = (f"{one.r2_parts[part]:.3f}" for part in wanted)
        lines.append(f"| {name} | " + " | ".join([*errors, *counts, *r2]) + " |")
    return "\n".join(lines)
