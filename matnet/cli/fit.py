"""`matnet fit`: from a voxel file to a material network."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress, TaskID

from matnet.cli.console import check_writable, json_option, print_json, print_table, quiet_option
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.engine_options import chosen_engine, engine_options, fallback_notes
from matnet.cli.rve_hints import HINTS, hint_options, reading_hints

QUICK = {"samples": 150, "depth": 5, "starts": 2, "budget": 20, "refine": 5, "elements": 14_000}
POOR = 0.1  # mean validation error from which the user is warned
FULL = {"samples": 500, "depth": 7, "starts": 4, "budget": 60, "refine": 10, "elements": 33_000}


class Bars:
    """One bar per stage, made when the stage first reports."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total, note=note)
        self.bars.update(self.tasks[stage], completed=done, total=total, note=note)


class Contrast(click.ParamType):
    """``100`` means 1/100 to 100; ``0.01,10`` is an interval."""

    name = "ratio"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = [float(text) for text in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) == 1 and numbers[0] > 0.0:
            numbers = sorted((1.0 / numbers[0], numbers[0]))
        if len(numbers) != 2 or not 0.0 < numbers[0] <= numbers[1] < float("inf"):
            self.fail(f"'{value}' is not a ratio X > 0 or an interval LOW,HIGH.", param, ctx)
        return numbers[0], numbers[1]


@click.command("fit")
@click.option(
    "--rve",
    "rve_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Microstructure file (.npz, .vti, .tif, ...; see `matnet rve`).",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Network file; default: the cell's name with .matnet, in this folder.",
)
@click.option(
    "--network",
    type=click.Choice(["imn", "dmn"]),
    default="imn",
    show_default=True,
    help="Interaction-based or deep material network.",
)
@click.option(
    "--depth",
    type=click.IntRange(1, 10),
    help=f"Layers; 2^depth base nodes. Default {FULL['depth']}, quick {QUICK['depth']}.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=10),
    help=f"Labels. Default {FULL['samples']}, quick {QUICK['samples']}.",
)
@click.option(
    "--contrast",
    type=Contrast(),
    default="1000",
    show_default=True,
    help="Stiffness ratio between phases that the labels cover: LOW,HIGH or X for 1/X,X.",
)
@click.option(
    "--label-tol",
    type=click.FloatRange(1e-8, 0.1),
    default=1e-3,
    show_default=True,
    help="Worst relative error of the labels.",
)
@click.option(
    "--optimizer",
    type=click.Choice(["levenberg-marquardt", "adam"]),
    default="levenberg-marquardt",
    show_default=True,
    help="Compiled training, or the documents' recipe in PyTorch (slow).",
)
@click.option(
    "--starts",
    type=click.IntRange(min=1),
    help=f"Random starts. Default {FULL['starts']}, quick {QUICK['starts']}.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of samples and starts.",
)
@click.option(
    "--select",
    type=click.Choice(["inelastic", "elastic"]),
    default="inelastic",
    show_default=True,
    help="Choose among the trained networks by simulations of the cell with inelastic phases, or "
    "by their error on elastic samples.",
)
@click.option(
    "--select-budget",
    type=click.FloatRange(0.0, min_open=True),
    metavar="SECONDS",
    help="Time for these simulations; two of six loadings are always simulated. "
    f"Default {FULL['budget']}, quick {QUICK['budget']}.",
)
@click.option(
    "--refine",
    type=click.IntRange(min=0),
    metavar="ITERATIONS",
    help="Fit the chosen network to these simulations as well; 0 keeps the elastic fit. "
    f"Default {FULL['refine']}, quick {QUICK['refine']}.",
)
@click.option(
    "--phases",
    "phases_path",
    type=click.Path(path_type=Path),
    help="Laws to select by (phases file); default: generic plasticity, see docs/selection.md.",
)
@click.option("--quick", is_flag=True, help="A smaller, faster fit for a first look.")
@click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    help="Use the labels in this HDF5 file.",
)
@click.option("--save-labels", type=click.Path(path_type=Path), help="Keep the labels here (HDF5).")
@click.option("--workers", type=click.IntRange(min=1), help="Processes for the full solves.")
@engine_options
@click.option(
    "--allow-disconnected",
    is_flag=True,
    help="Go on when the solid does not percolate in every direction.",
)
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
@hint_options
@json_option
@quiet_option
def command(
    rve_path: Path,
    out: Path | None,
    labels_path: Path | None,
    save_labels: Path | None,
    phases_path: Path | None,
    engine: str,
    weights_path: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **choices: Any,
) -> None:
    """Fit a material network to the effective stiffness of a microstructure.

    Writes OUT and the picture OUT.report.png. Interrupt it at any time: the same command resumes.
    """
    from offline.fit import fit, remove_work
    from offline.labels import read_labels
    from offline.report import write_report
    from offline.rve import read

    began = time.perf_counter()
    out = out or Path(rve_path.name).with_suffix(".matnet")
    report = out.with_name(out.stem + ".report.png")
    for path in filter(None, (out, report, save_labels)):
        check_writable(path, force)
    rve = read(rve_path, **reading_hints(choices))
    engine = chosen_engine(engine, weights_path)
    laws = selection_laws(phases_path, choices["select"], rve.phase_names)
    options = fit_options(
        laws=laws,
        engine=engine,
        **{name: value for name, value in choices.items() if name not in HINTS},
    )
    labels = None if labels_path is None else read_labels(labels_path)
    work = out.with_name(out.name + ".work")
    with bars_on_stderr(quiet) as bars, fallback_notes(engine):
        result = fit(rve, options, work=work, labels=labels, progress=Bars(bars))
    write_report(report, result)
    if save_labels is not None:
        result.labels.save(save_labels)
    result.network.save(out)
    remove_work(work, result.rve, options, labels)
    if result.removed_voxels:
        print(f"Floating islands removed: {result.removed_voxels} voxels.", file=sys.stderr)
    if result.training.validation_mean > POOR:
        print(
            f"Warning: the network misses C^H by {100 * result.training.validation_mean:.0f} % on "
            "average over samples it has not seen. Raise --depth or --samples.",
            file=sys.stderr,
        )
    seconds = time.perf_counter() - began
    if as_json:
        print_json(as_dict(result, out, report, seconds))
    else:
        print_summary(result, out, report, seconds)


def selection_laws(path: Path | None, select: str, phase_names: tuple[str, ...]) -> Any:
    """The laws of a phases file, None without one."""
    from matnet.errors import ParameterError
    from matnet.phases import read_phases

    if path is None:
        return None
    if select == "elastic":
        raise ParameterError(
            "--phases are laws to select by, which --select elastic does not. Leave one out."
        )
    return read_phases(path, phase_names)


def fit_options(
    *,
    laws: Any,
    engine: str,
    network: str,
    depth: int | None,
    samples: int | None,
    contrast: tuple[float, float],
    label_tol: float,
    optimizer: str,
    starts: int | None,
    seed: int,
    select: str,
    select_budget: float | None,
    refine: int | None,
    quick: bool,
    workers: int | None,
    allow_disconnected: bool,
) -> Any:
    """The command line's choices as `FitOptions`; `--quick` changes defaults only."""
    from offline.fit import FitOptions
    from offline.labels import LabelOptions, SamplingOptions
    from offline.selection import SelectionOptions
    from offline.training import TrainingOptions

    default = QUICK if quick else FULL
    return FitOptions(
        labels=LabelOptions(
            n=samples or default["samples"],
            sampling=SamplingOptions(contrast=contrast),
            tol=label_tol,
            seed=seed,
            workers=workers,
            engine=engine,
            allow_disconnected=allow_disconnected,
        ),
        training=TrainingOptions(
            network=network,
            optimizer=optimizer,
            depth=depth or default["depth"],
            starts=starts or default["starts"],
            seed=seed,
        ),
        selection=SelectionOptions(
            mode=select,
            phases=laws,
            budget=select_budget or default["budget"],
            refine=default["refine"] if refine is None else refine,
            max_elements=default["elements"],
        ),
        allow_disconnected=allow_disconnected,
    )


def as_dict(result: Any, out: Path, report: Path, seconds: float) -> dict[str, Any]:
    """The result for machines."""
    network = result.network
    return {
        "network": str(out),
        "report": str(report),
        "kind": network.kind,
        "depth": network.depth,
        "base_nodes": len(network.weights),
        "fractions": dict(zip(network.phase_names, network.fractions.tolist(), strict=True)),
        "removed_voxels": result.removed_voxels,
        "card": network.card,
        "candidates": [candidate_dict(candidate) for candidate in result.training.candidates],
        "snapshots": result.labels.card.get("snapshots"),
        "seconds": seconds,
        "seconds_judge": result.seconds_judge,
        "seconds_labels": result.seconds_labels,
        "seconds_training": result.seconds_training,
    }


def candidate_dict(candidate: Any) -> dict[str, Any]:
    """A judged network for machines; failed paths are null."""
    return {
        "stage": candidate.stage,
        "iteration": candidate.iteration,
        "end_of_stage": candidate.at_end,
        "depth": candidate.depth,
        "elastic_error": candidate.elastic,
        "inelastic_errors": [
            error if error < float("inf") else None for error in candidate.inelastic
        ],
        "chosen": candidate.chosen,
    }


def candidate_rows(candidates: Any) -> list[tuple[object, ...]]:
    """Where each stage ended and its best network, with the chosen one marked."""
    rows: list[tuple[object, ...]] = []
    for stage in dict.fromkeys(candidate.stage for candidate in candidates):
        mine = [candidate for candidate in candidates if candidate.stage == stage]
        best = min(mine, key=lambda candidate: (not candidate.chosen, candidate.mean))
        for one in mine:
            if one.at_end or one is best:
                name = f"{stage}, iteration {one.iteration}"
                errors = (one.elastic, one.mean, one.worst)
                mark = "chosen" if one.chosen else ""
                rows.append((name, *(f"{100 * error:.2f} %" for error in errors), mark))
    return rows


def print_summary(result: Any, out: Path, report: Path, seconds: float) -> None:
    """The result for people."""
    network, training, labels = result.network, result.training, result.labels
    fractions = ", ".join(
        f"{name} {100 * f:.2f} %"
        for name, f in zip(network.phase_names, network.fractions, strict=True)
    )
    rows = [
        ("cell", str(result.rve)),
        ("network", str(network)),
        ("volume fractions", fractions),
        ("labels", f"{len(labels)}, {labels.card.get('snapshots', 'unknown')} solved in full"),
        ("label error, worst", f"{100 * labels.error.max():.3f} %"),
        ("C^H error, validation mean", f"{100 * training.validation_mean:.3f} %"),
        ("C^H error, validation worst", f"{100 * training.validation_worst:.3f} %"),
        *inelastic_rows(result),
        (
            "time",
            f"{seconds:.0f} s, simulations {result.seconds_judge:.0f} s, "
            f"labels {result.seconds_labels:.0f} s, training {result.seconds_training:.0f} s",
        ),
        ("written", f"{out}, {report}"),
    ]
    print_table(f"matnet fit {result.rve.source or ''}".strip(), ("", "value"), rows)
    if training.candidates:
        titles = ("network", "C^H error", "stress error", "worst path", "")
        print_table("judged networks", titles, candidate_rows(training.candidates))


def inelastic_rows(result: Any) -> list[tuple[str, str]]:
    """Stress errors of the chosen network, if it was judged."""
    chosen = result.training.chosen
    if chosen is None:
        return []
    shape = " x ".join(map(str, result.judge.shape))
    said = f"{len(chosen.inelastic)} paths on {shape} voxels"
    return [
        ("stress error, mean", f"{100 * chosen.mean:.2f} % ({said})"),
        ("stress error, worst path", f"{100 * chosen.worst:.2f} %"),
    ]
