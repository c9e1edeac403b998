"""A contest as a folder: a table per family for people, JSON for machines, one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offline.surrogates.evaluation.contest import Contest, Entrant, Outcome
from offline.surrogates.evaluation.figures import LINE, PREDICTED, SMALLEST, ZERO, figure
from offline.surrogates.evaluation.report import check_folder, markdown_table, whole_folder

__all__ = ["ContestTable", "check_contest_folder", "contest_tables", "draw_errors", "write_contest"]

TABLE, ANSWER, PICTURE = "report.md", "comparison.json", "errors.png"
COLUMNS = (
    *("run", "in training", "delta_C mean [%]", "median", "worst", "eq. 34 [%]"),
    *("residual [%]", "steps saved", "ms per cell"),
)
REFUSED = "refused"
RUNS = ("run", "architecture", "parameters", "trained on", "cells seen", "minutes", "device")


def check_contest_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that the report cannot become; see `report.check_folder`."""
    check_folder(folder, force=force, files=(TABLE, ANSWER, PICTURE))


def write_contest(
    folder: str | Path, result: Contest, record: Mapping[str, str], *, force: bool = False
) -> Path:
    """Write report.md, comparison.json and errors.png; the folder appears when all is there.

    Raises
    ------
    ParameterError
        See `check_contest_folder`.
    """
    folder = Path(folder)
    check_contest_folder(folder, force=force)
    with whole_folder(folder) as beside:
        answer = {**result.as_dict(), "record": dict(record)}
        (beside / ANSWER).write_text(
            json.dumps(answer, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        fig = figure(1.5 + 2.6 * len(result.options.families), 4.0)
        draw_errors(result, fig.subplots())
        fig.savefig(beside / PICTURE, dpi=130, metadata={"Software": "matnet"})
        (beside / TABLE).write_text(_markdown(result, record), encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class ContestTable:
    """Text of a table, and below it why runs are refused."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]


def contest_tables(result: Contest) -> list[ContestTable]:
    """The runs, then a table for each family."""
    refused = [f"{e.name}: {e.reason}" for e in result.entrants if e.predictor is None]
    runs = [_run_row(entrant) for entrant in result.entrants]
    return [
        ContestTable("Runs", RUNS, runs, refused),
        *(_family_table(result, name) for name in result.options.families),
    ]


def _family_table(result: Contest, name: str) -> ContestTable:
    outcomes = result.of_family(name)
    title = f"{name}, {result.options.cells} cells of {result.options.resolution}^3 voxels"
    steps = [o.iterations_zero.mean() for o in outcomes if len(o.iterations_zero)]
    if steps:
        seconds = result.seconds_solver[name]
        title += f"; from zero {steps[0]:.0f} steps, our solver {1e3 * seconds:.0f} ms"
    refused = [f"{o.entrant}: {o.reason}" for o in outcomes if o.reason is not None]
    return ContestTable(title, COLUMNS, [_row(outcome) for outcome in outcomes], refused)


def draw_errors(result: Contest, ax: Any) -> Any:
    """delta_C of all cells, a column for each run in each family; open: family in training."""
    runs = [entrant.name for entrant in result.entrants if entrant.predictor is not None]
    colours = _colours(len(runs))
    step = 0.8 / max(len(runs), 1)
    for place, name in enumerate(result.options.families):
        for outcome in result.of_family(name):
            values = np.maximum(outcome.values("delta"), SMALLEST)
            if not len(values):
                continue
            k = runs.index(outcome.entrant)
            x = place - 0.4 + step * (k + 0.5)
            spread = x + 0.5 * step * (np.linspace(0.0, 1.0, len(values)) - 0.5)
            face = colours[k] if outcome.seen == "no" else "none"
            ax.scatter(spread, 100 * values, s=10, facecolors=face, edgecolors=colours[k], lw=0.7)
            ax.hlines(100 * values.mean(), x - step / 2.5, x + step / 2.5, color="k", lw=1.5)
    for k, run in enumerate(runs):
        ax.scatter([], [], s=18, color=colours[k], label=run)
    ax.axhline(1.0, color=LINE, ls=":")
    ax.set(yscale="log", ylabel=r"$\delta_C$ [%], bar: mean")
    ax.set_xticks(range(len(result.options.families)), result.options.families)
    ax.legend(title="open: family in training", fontsize=8, title_fontsize=8)
    return ax


def _colours(count: int) -> list[str]:
    """As many different colours: the house's, or for more runs equal steps of a colour map."""
    known = [PREDICTED, ZERO, "#3a7d44", "#7b4b94", "#c99700", "#444444"]
    if count <= len(known):
        return known[:count]
    from matplotlib import colormaps  # figures need it, tables do not
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.05, 0.95, count))]


def _run_row(entrant: Entrant) -> tuple[str, ...]:
    if entrant.predictor is None:
        return (entrant.name, REFUSED, *[""] * (len(RUNS) - 2))
    data, training = entrant.card.get("data") or {}, entrant.card.get("training") or {}
    families, resolution = data.get("families"), data.get("resolution")
    seen = None
    if training.get("steps") is not None and data.get("batch") is not None:
        seen = training["steps"] * data["batch"] * training.get("processes", 1)
    seconds = training.get("seconds")
    return (
        entrant.name,
        str(entrant.card.get("kind")),
        str(entrant.card.get("parameters", "unknown")),
        f"{', '.join(families)} at {resolution}^3" if families else "unknown",
        "unknown" if seen is None else str(seen),
        "unknown" if seconds is None else f"{seconds / 60:.3g}",
        str(training.get("device", "unknown")),
    )


def _row(outcome: Outcome) -> tuple[str, ...]:
    if outcome.reason is not None:
        return (outcome.entrant, outcome.seen, REFUSED, *[""] * (len(COLUMNS) - 3))
    delta, saved = outcome.values("delta"), outcome.saved()
    residual = outcome.values("residual")
    return (
        outcome.entrant,
        outcome.seen,
        *(_percent(x) for x in (delta.mean(), np.median(delta), delta.max())),
        _percent(outcome.values("components").mean()),
        _percent(residual.mean()) if len(residual) else "no displacement",
        "" if saved is None else f"{100 * saved:.0f} %",
        f"{1e3 * np.median(outcome.seconds):.1f}",
    )


def _markdown(result: Contest, record: Mapping[str, str]) -> str:
    options = result.options
    parts = [
        "# Surrogates on the same unseen cells",
        f"Cells of the test split from number {options.first}; Poisson's ratio "
        f"{'of the family' if options.nu is None else options.nu}. Everything is measured on the "
        "cell with plain void, whatever soft material a network puts there: delta_C is the error "
        "of C^H in energy form against our solver at tolerance 1e-8 (Frobenius); eq. 34 the mean "
        "relative error of the entries in the label-free CNN paper; residual ||K u - f|| / ||f||, "
        "mean of six loads; steps saved the share of Jacobi-PCG steps to residual 1e-3 that a "
        "start from the prediction spares. `in training` says whether the run was trained on the "
        "family. Cells seen: steps times batch, with repetitions."
        + (" Predictions are means over the symmetries of each cell." * options.symmetrise),
    ]
    for table in contest_tables(result):
        notes = [f"Refused: {note}" for note in table.notes]
        parts += [f"## {table.title}", markdown_table(table.columns, table.rows), *notes]
    parts.append(f"![Errors of all cells.]({PICTURE})")
    parts.append(f"Made by `{record.get('command', 'matnet')}`, matnet {record.get('matnet', '')}.")
    return "\n\n".join(parts) + "\n"


def _percent(x: float) -> str:
    return f"{100.0 * x:.3g}"
