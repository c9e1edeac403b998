"""The evaluation as a folder: tables for people, CSV and JSON for machines, pictures."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from matnet.errors import ParameterError
from offline.surrogates.evaluation import figures
from offline.surrogates.evaluation.evaluate import TARGETS, Evaluation
from offline.surrogates.evaluation.judge import Judged

__all__ = [
    "check_folder",
    "markdown_table",
    "tables",
    "verdicts",
    "whole_folder",
    "write_report",
]

FILES = ("cells.csv", "evaluation.json", "report.md")
PICTURES = {
    "histograms.png": (figures.histograms, "Errors of all cells."),
    "convergence.png": (figures.convergence, "From there on with conjugate gradients."),
    "projection.png": (figures.projection, "What the prediction is worth as a start."),
}
Table = tuple[str, Sequence[str], list[tuple[str, ...]]]


def write_report(
    folder: str | Path, result: Evaluation, record: Mapping[str, str], *, force: bool = False
) -> Path:
    """Write the report; the folder appears when all of it is there.

    Parameters
    ----------
    folder : path
    result : Evaluation
    record : mapping
        Version, command and the like, kept in the JSON file.
    force : bool
        Replace a report that is there.

    Raises
    ------
    ParameterError
        See `check_folder`.
    """
    folder = Path(folder)
    check_folder(folder, force=force)
    with whole_folder(folder) as beside:
        _write_cells(beside / "cells.csv", result)
        answer = {**result.as_dict(), "record": dict(record)}
        (beside / "evaluation.json").write_text(
            json.dumps(answer, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        for name, (draw, _) in PICTURES.items():
            draw(result).savefig(beside / name, dpi=130, metadata={"Software": "matnet"})
        (beside / "report.md").write_text(_markdown(result, record), encoding="utf-8")
    return folder


def check_folder(folder: Path, *, force: bool, files: Sequence[str] | None = None) -> None:
    """Refuse a folder that the report cannot become.

    Parameters
    ----------
    folder : path
    force : bool
        Allow a report that is there.
    files : sequence of str, optional
        What the report consists of. Default: an evaluation's files.

    Raises
    ------
    ParameterError
        It cannot be made, exists already, or holds files that are not a report's.
    """
    if not folder.absolute().parent.is_dir():
        raise ParameterError(
            f"{folder}: folder '{folder.absolute().parent.name}' does not exist. Create it first."
        )
    if not os.access(folder.absolute().parent, os.W_OK):
        raise ParameterError(f"{folder}: cannot be written there. Choose another folder.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ParameterError(f"{folder}: is a file, expected a folder for the report.")
    strange = sorted({path.name for path in folder.iterdir()} - set(files or (*FILES, *PICTURES)))
    if strange:
        raise ParameterError(
            f"{folder}: holds '{strange[0]}', which is not of a report. Choose another folder."
        )
    if any(folder.iterdir()) and not force:
        raise ParameterError(f"{folder}: holds a report. Choose another folder or pass --force.")


def tables(result: Evaluation) -> list[Table]:
    """Title, column names and rows as text; the layout of the documents' tables."""
    return [_accuracy(result), _by_fraction(result), _starts(result), _times(result)]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right.

    >>> print(markdown_table(("", "mean"), [("a", "1")]))
    |  | mean |
    |---|---:|
    | a | 1 |
    """
    lines = [columns, *rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text.insert(1, "|---" + "|---:" * (len(columns) - 1) + "|")
    return "\n".join(text)


def _accuracy(result: Evaluation) -> Table:
    """Tables 1 and 2."""
    names = {
        "delta": "delta_C [%]",
        "delta_soft": "delta_C with soft material on both sides [%]",
        "residual": "residual, mean of six loads [%]",
        "residual_worst": "residual, worst load [%]",
    }
    rows: list[tuple[str, ...]] = []
    for metric, title in names.items():
        s = result.statistics(metric)
        rows.append((title, *(_percent(s[key]) for key in ("mean", "median", "min", "max"))))
    return "Accuracy", ("", "mean", "median", "best", "worst"), rows


def _by_fraction(result: Evaluation) -> Table:
    """Table 9."""
    rows = []
    for low, high, some in result.bins():
        delta, residual = (result.statistics(m, some) for m in ("delta", "residual"))
        steps = result.saved()[some].mean()
        rows.append(
            (
                f"{100 * low:.0f} to {100 * high:.0f} %",
                str(int(some.sum())),
                *(_percent(delta[key]) for key in ("mean", "min", "max")),
                _percent(residual["mean"]),
                f"{100 * steps:.0f} %",
            )
        )
    columns = ("volume fraction", "cells", "delta_C mean [%]", "best", "worst")
    return "By volume fraction", (*columns, "residual [%]", "steps left"), rows


def _starts(result: Evaluation) -> Table:
    """What figures 2 and 3 show."""
    zero, found = result.statistics("iterations_zero"), result.statistics("iterations")
    counts = [
        ("Jacobi-PCG steps to residual 1e-3 from zero", zero),
        (f"from the prediction ({result.steps} steps inside it)", found),
        ("the steps inside it counted too", {key: n + result.steps for key, n in found.items()}),
    ]
    keys = ("mean", "median", "min", "max")
    rows = [(title, *(f"{s[key]:.0f}" for key in keys)) for title, s in counts]
    for metric, title in (
        ("projection", "projection energy over that of zero"),
        ("projection_low", "its part in the 20 lowest modes"),
        ("projection_low_zero", "that part at the zero start"),
    ):
        s = result.statistics(metric)
        rows.append((title, *(f"{s[key]:.2g}" if s else "not computed" for key in keys)))
    return "As a start", ("", "mean", "median", "smallest", "largest"), rows


def _times(result: Evaluation) -> Table:
    """Tables 3 and 10; one cell."""
    dofs = result.values("dofs").mean()
    rows: list[tuple[str, ...]] = [
        (name, f"{1e3 * seconds:.1f}")
        for name, seconds in [
            *result.breakdown.items(),
            ("prediction, median", result.statistics("seconds")["median"]),
            ("our solver to 1e-8, median", result.statistics("seconds_reference")["median"]),
        ]
    ]
    return f"Time per cell, {dofs:.0f} unknowns on average", ("", "ms"), rows


def verdicts(result: Evaluation) -> list[tuple[str, str]]:
    """What is wanted (`TARGETS`), what was found, and whether they are reached."""
    delta = result.statistics("delta")
    found = {
        "delta": ("delta_C mean at most {:.0%}", delta["mean"]),
        "delta_worst": ("delta_C worst at most {:.0%}", delta["max"]),
        "steps": ("steps to 1e-3 at most {:.0%} of those from zero", float(result.saved().mean())),
    }
    return [
        (text.format(TARGETS[key]), f"{x:.2%}: {'reached' if x <= TARGETS[key] else 'missed'}")
        for key, (text, x) in found.items()
    ]


def _markdown(result: Evaluation, record: Mapping[str, str]) -> str:
    options, data = result.options, result.card.get("data") or {}
    families = ", ".join(options.families)
    trained = f"{data.get('cells')} cells {', '.join(data.get('families', ()))}"
    parts = [
        f"# {result.card.get('kind')} weights `{result.name}` on unseen cells",
        f"{len(result.cells)} cells {families}, {options.resolution}^3 voxels, test split from "
        f"number {options.first}; Poisson's ratio "
        f"{'of the family' if options.nu is None else options.nu}. Trained on {trained} at "
        f"{data.get('resolution')}^3. delta_C compares the energy form of the prediction, without "
        "soft material, with our solver at tolerance 1e-8 on plain void; residuals and steps are "
        "those of the network's own system, soft material included."
        + " Predictions are means over the symmetries of each cell."
        * options.symmetrise,
        markdown_table(("wanted", "found"), verdicts(result)),
    ]
    for title, columns, rows in tables(result):
        parts += [f"## {title}", markdown_table(columns, rows)]
    for name, (_, text) in PICTURES.items():
        parts.append(f"![{text}]({name})")
    parts.append(f"Made by `{record.get('command', 'matnet')}`, matnet {record.get('matnet', '')}.")
    return "\n\n".join(parts) + "\n"


def _percent(x: float) -> str:
    return f"{100.0 * x:.3g}"


def _write_cells(path: Path, result: Evaluation) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Judged)])
        writer.writeheader()
        for cell in result.cells:
            row: dict[str, Any] = asdict(cell)
            writer.writerow({k: "" if v != v else v for k, v in row.items()})


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place on success."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    beside.mkdir()
    try:
        yield beside
        if folder.exists():
            shutil.rmtree(folder)
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
