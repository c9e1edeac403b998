"""Several evaluations side by side: ablations, levels, numbers of solver steps (tables 4, 5, 6)."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError

__all__ = ["Run", "comparison", "draw_projection", "read_runs"]

COLUMNS = (
    *("run", "differs in", "parameters", "steps", "delta_C mean [%]", "worst [%]"),
    *("residual [%]", "steps left", "E_p", "E_p low", "ms"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One report on disk.

    Attributes
    ----------
    name : str
        Of its folder.
    answer : dict
        Its evaluation.json.
    projection : (n,)
        Of its cells, relative to the zero start.
    """

    name: str
    answer: dict[str, Any]
    projection: np.ndarray


def read_runs(folder: str | Path) -> list[Run]:
    """The reports in the folders of `folder`, by name.

    Raises
    ------
    FileFormatError
        There is none, one is damaged, or they judge different cells.
    """
    paths = sorted(Path(folder).glob("*/evaluation.json"))
    if not paths:
        raise FileFormatError(
            f"{folder}: holds no */evaluation.json. Write reports there with "
            "`matnet surrogate evaluate RUN -o FOLDER/NAME`."
        )
    runs = [_read(path) for path in paths]
    for run in runs[1:]:
        for key in ("families", "resolution", "cells", "first", "nu"):
            mine, first = (one.answer["options"][key] for one in (run, runs[0]))
            if mine != first:
                raise FileFormatError(
                    f"{folder}: reports '{runs[0].name}' and '{run.name}' judge different cells "
                    f"({key}: {first} and {mine}). Evaluate all on the same."
                )
    return runs


def comparison(
    runs: list[Run], baseline: str | None = None
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: what each run differs in from the baseline, and its errors.

    Parameters
    ----------
    runs : list of Run
    baseline : str, optional
        Name of the run that comes first and is compared with. Default: ``full`` if there is one,
        else the first.

    Raises
    ------
    FileFormatError
        No run has the name of the baseline.
    """
    names = [run.name for run in runs]
    wanted = baseline or ("full" if "full" in names else names[0])
    if wanted not in names:
        raise FileFormatError(f"no report is called '{wanted}', there are {', '.join(names)}.")
    base = runs[names.index(wanted)]
    ordered = [base, *(run for run in runs if run is not base)]
    return COLUMNS, [_row(run, base) for run in ordered]


def draw_projection(runs: list[Run], ax: Any) -> Any:
    """Projection energies of all cells, a box for each run (figure 3); 1 is the zero start."""
    data = [np.maximum(run.projection, 1e-16) for run in runs]
    ax.boxplot(data, whis=(5, 95), showfliers=False)
    ax.set_xticks(range(1, len(runs) + 1), [run.name for run in runs], rotation=30, ha="right")
    ax.axhline(1.0, color="#b05a2c", label="zero start")
    ax.set(yscale="log", ylabel=r"$E_p$ over that of the zero start [-]")
    ax.legend()
    return ax


def _read(path: Path) -> Run:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        with (path.parent / "cells.csv").open(newline="", encoding="utf-8") as file:
            projection = np.array([float(row["projection"]) for row in csv.DictReader(file)])
        answer["statistics"]["delta"]["mean"], answer["options"]["families"]
    except OSError as error:
        raise FileFormatError(f"{error.filename}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path.parent}: not a report of an evaluation ({error!r})."
        ) from None
    return Run(path.parent.name, answer, projection)


def _row(run: Run, base: Run) -> tuple[str, ...]:
    a, s = run.answer, run.answer["statistics"]
    low = s.get("projection_low") or {}
    return (
        run.name,
        _difference(a.get("config") or {}, base.answer.get("config") or {}),
        str(a.get("parameters")),
        str(a["pcg_steps"]),
        f"{100 * s['delta']['mean']:.3g}",
        f"{100 * s['delta']['max']:.3g}",
        f"{100 * s['residual']['mean']:.3g}",
        f"{100 * a['iterations_share']:.0f} %",
        f"{s['projection']['mean']:.2g}",
        f"{low['mean']:.2g}" if low else "",
        f"{1e3 * s['seconds']['median']:.0f}",
    )


def _difference(config: dict[str, Any], base: dict[str, Any]) -> str:
    """Settings that are not the baseline's."""
    keys = [key for key in config if config[key] != base.get(key)]
    return ", ".join(f"{key}={config[key]}" for key in keys)
