"""`matnet surrogate compare`: trained weights of any architecture on the same unseen cells."""

from __future__ import annotations

from pathlib import Path

import click

from matnet.cli.console import json_option, print_json, print_table, quiet_option
from matnet.cli.console import out as say
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.origin import origin


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--family",
    "families",
    multiple=True,
    help="Cells to judge by, see `matnet surrogate train`; may be repeated. Default: the families "
    "that no run was trained on.",
)
@click.option(
    "--cells", type=click.IntRange(min=1), default=20, show_default=True, help="Of each family."
)
@click.option(
    "--resolution",
    type=click.IntRange(4, 1024),
    help="Voxels per axis. Default: that of the training, if all share it.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of the first cell in the test split, which no training sees.",
)
@click.option("--nu", type=float, help="One Poisson's ratio for all. Default: the family's range.")
@click.option(
    "--symmetrise", is_flag=True, help="Average predictions over the symmetries of each cell."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for report.md, comparison.json and errors.png.",
)
@click.option("--force", is_flag=True, help="Replace a report that is there.")
@json_option
@quiet_option
def command(
    runs: tuple[Path, ...],
    families: tuple[str, ...],
    cells: int,
    resolution: int | None,
    seed: int,
    nu: float | None,
    symmetrise: bool,
    device: str,
    out: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """One table of RUNS, weights files or folders of trainings of any architecture.

    All are measured on the same cells with plain void: errors of C^H against our own solver,
    residuals, steps of conjugate gradients that they save, time, and what training cost. Runs and
    families that do not go together stay in the table with the reason.
    """
    from offline.surrogates.evaluation.contest import (
        common_resolution,
        contest,
        entrants,
        families_seen_by_none,
    )
    from offline.surrogates.evaluation.contest_report import (
        check_contest_folder,
        contest_tables,
        write_contest,
    )
    from offline.surrogates.evaluation.evaluate import EvaluationOptions

    if out is not None:
        check_contest_folder(out, force=force)
    some = entrants(runs, device)
    options = EvaluationOptions(
        families=tuple(dict.fromkeys(families)) or families_seen_by_none(some),
        resolution=resolution or common_resolution(some),
        cells=cells,
        first=seed,
        nu=nu,
        symmetrise=symmetrise,
    )
    with bars_on_stderr(quiet) as bars:
        bar = bars.add_task("cells", total=cells * len(options.families), note="")
        result = contest(
            some, options, lambda done, total: bars.update(bar, completed=done, total=total)
        )
    if out is not None:
        write_contest(out, result, origin(), force=force)
    if as_json:
        print_json(result.as_dict())
        return
    for table in contest_tables(result):
        print_table(table.title, table.columns, table.rows)
        for note in table.notes:
            say.print(f"refused: {note}", markup=False)
    if out is not None:
        print_table("report", ("", ""), [("written", str(out / "report.md"))])
