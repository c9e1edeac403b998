"""`matnet surrogate train`: an architecture, families of cells, a folder for the weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matnet.cli.console import json_option, print_json, print_table, quiet_option
from matnet.cli.console import progress as bars_on_stderr
from matnet.errors import ParameterError

if TYPE_CHECKING:
    from offline.surrogates.training import Progress, TrainOptions, TrainResult

# options of the command line that replace a field of the architecture's recipe when given
RECIPE = (
    *("epochs", "learning_rate", "warm_up", "schedule", "optimizer", "weight_decay", "precision"),
    *("clip", "seed", "device", "minutes", "checkpoint_minutes", "checkpoint_steps", "start"),
)
DEFAULT_FAMILIES = ("mixed",)


@click.command("train")
@click.argument("architecture")
@click.option(
    "--family",
    "families",
    multiple=True,
    help="truss, tpms, psl, mixed, frame, tubular-gyroid, truss-types, shell-types, density-lhs or "
    "density-plhs. May be repeated: cells alternate. Voigt-Reuss nets make their own cells.  "
    "[default: mixed]",
)
@click.option(
    "--resolution",
    type=click.IntRange(4, 1024),
    help="Voxels or pixels per axis.  [default: 32; voigt-reuss: 64; voigt-reuss-3d: 24]",
)
@click.option(
    "--cells",
    type=click.IntRange(min=1),
    help="Training cells, each seen once per epoch. The documents use 30 000 to 78 000, of plane "
    "cells 219 378.  [default: 2000; voigt-reuss: 17 408; voigt-reuss-3d: 12 000]",
)
@click.option(
    "--validation-cells",
    type=click.IntRange(min=1),
    help="Cells that training never sees, for the choice of the best weights.  [default: 64; "
    "Voigt-Reuss nets: 512]",
)
@click.option("--nu", type=float, help="One Poisson's ratio for all. Default: the family's range.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for weights, metrics and checkpoints.  [default: ARCHITECTURE-FAMILY]",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training cells.")
@click.option("--batch", type=click.IntRange(min=1), help="Cells per step and process.")
@click.option("--lr", "learning_rate", type=float, help="Largest learning rate.")
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    help="Steps until it is reached, by default at most a tenth.",
)
@click.option("--schedule", help="cosine, one-cycle, plateau or constant.")
@click.option("--optimizer", help="adam, adamw, muon or sgd.")
@click.option("--weight-decay", type=float, help="Of the optimizer.")
@click.option(
    "--weights",
    "start",
    type=click.Path(path_type=Path),
    help="Begin with these weights instead of random ones (fine-tuning).",
)
@click.option("--precision", help="float32 or mixed.")
@click.option("--clip", type=float, help="Largest norm of the gradient.")
@click.option("--seed", type=click.IntRange(min=0), help="Of weights and of the cells' order.")
@click.option("--device", help="auto, cpu or cuda.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Processes that make cells in the background.",
)
@click.option("--minutes", type=float, help="End after this time, the schedule with it.")
@click.option("--checkpoint-minutes", type=float, help="Between checkpoints.")
@click.option("--checkpoint-steps", type=click.IntRange(min=0), help="Likewise, in steps.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the architecture, such as pcg_steps=4; an unknown KEY lists them. May be "
    "repeated.",
)
@click.option("--no-tensorboard", is_flag=True, help="Write no event files for TensorBoard.")
@click.option("--force", is_flag=True, help="Start anew where the folder holds a run.")
@json_option
@quiet_option
def command(
    architecture: str,
    families: tuple[str, ...],
    resolution: int | None,
    cells: int | None,
    validation_cells: int | None,
    nu: float | None,
    out: Path | None,
    batch: int | None,
    workers: int,
    settings: tuple[str, ...],
    no_tensorboard: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **recipe: Any,
) -> None:
    """Train ARCHITECTURE (cgins, phnet, label-free, voigt-reuss, voigt-reuss-3d).

    Options without a default have one that belongs to the architecture. Cells are made on the way,
    nothing is kept on disk; the labelled cells of Voigt-Reuss nets stay in the folder. Interrupt
    it at any time: the same command resumes. Several GPUs or processes:
    torchrun --nproc-per-node N -m matnet surrogate train ...
    """
    from offline.surrogates.registry import find_architecture
    from offline.surrogates.stream import DataOptions
    from offline.surrogates.training import train

    chosen = find_architecture(architecture)
    options = replace(
        chosen.recipe,
        tensorboard=not no_tensorboard,
        **{name: recipe[name] for name in RECIPE if recipe[name] is not None},
    )
    if chosen.own_cells and (families or nu is not None):
        raise ParameterError(f"'{architecture}' makes its own cells: leave out --family and --nu.")
    counts = {"resolution": resolution, "cells": cells, "validation_cells": validation_cells}
    sizes: dict[str, Any] = {**chosen.data, **{k: n for k, n in counts.items() if n is not None}}
    data = DataOptions(
        families=families or DEFAULT_FAMILIES,
        **sizes,
        batch=batch or chosen.batch,
        nu=nu,
        seed=options.seed,
        workers=workers,
    )
    names = () if chosen.own_cells else data.families
    folder = out or Path("-".join([architecture, *names]))
    check_folder(folder)
    first = os.environ.get("RANK", "0") == "0"
    with bars_on_stderr(quiet or not first) as bars:
        making = bars.add_task("cells", total=None, visible=chosen.own_cells, note="")
        task = chosen.task(
            data,
            read_settings(settings),
            folder,
            lambda done, total: bars.update(making, completed=done, total=total),
        )
    if recipe["warm_up"] is None:  # the recipe's warm-up is meant for long runs
        steps = options.epochs * task.steps(int(os.environ.get("WORLD_SIZE", "1")))
        options = replace(options, warm_up=min(options.warm_up, steps // 10))
    with bars_on_stderr(quiet or not first) as bars:
        bar = bars.add_task("training", total=None, note="")

        def show(progress: Progress) -> None:
            bars.update(bar, completed=progress.step, total=progress.steps, note=note(progress))

        result = train(task, options, folder, anew=force, report=show)
    if first:
        print_result(result, options, as_json)


def read_settings(texts: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE pairs as a mapping."""
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ParameterError(f"--set {text}: expected KEY=VALUE, such as pcg_steps=4.")
        settings[key.strip().replace("-", "_")] = value.strip()
    return settings


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made before any work is done."""
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: is a file, expected a folder for the weights.")
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not os.access(parent, os.W_OK):
        raise ParameterError(f"{folder}: cannot write into '{parent}'. Choose another folder.")


def note(progress: Progress) -> str:
    """What the bar says beside the count."""
    text = f"epoch {progress.epoch}, loss {progress.loss:.4g}"
    if progress.validation == progress.validation:
        text += f", validation {progress.validation:.4g}"
    return text


def print_result(result: TrainResult, options: TrainOptions, as_json: bool) -> None:
    """Where the weights are and how good they are."""
    last = dict(result.history[-1]) if result.history else {}
    if as_json:
        finite = {name: v if abs(v) < float("inf") else None for name, v in last.items()}
        print_json(
            {
                "status": result.status,
                "epochs": result.epochs,
                "steps": result.steps,
                "seconds": result.seconds,
                "parameters": sum(p.numel() for p in result.module.parameters()),
                "best_validation": result.best if result.best_epoch else None,
                "best_epoch": result.best_epoch,
                "last_epoch": finite,
                "best": str(result.folder / "best.safetensors"),
                "final": str(result.folder / "final.safetensors"),
            }
        )
        return
    rows = [
        ("status", f"{result.status}, {result.epochs} of {options.epochs} epochs"),
        ("parameters", f"{sum(p.numel() for p in result.module.parameters())}"),
        ("time", f"{result.seconds:.0f} s, {result.steps} steps"),
        ("best validation", f"{result.best:.5g}, epoch {result.best_epoch}"),
        *((name, f"{value:.5g}") for name, value in last.items() if name not in TABLED),
        ("weights", str(result.folder / "best.safetensors")),
    ]
    print_table("training", ("quantity", "value"), rows)


TABLED = ("epoch", "step", "seconds", "learning_rate")
