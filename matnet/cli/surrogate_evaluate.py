"""`matnet surrogate evaluate`: trained weights on cells that they have never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from matnet.cli.console import json_option, print_json, print_table, quiet_option
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.origin import origin
from matnet.cli.surrogate_pictures import evaluate_pictures, refuse, stiffness_network
from matnet.cli.surrogate_space import evaluate_space

CELLS, PICTURES, IN_SPACE = 50, 500, 200


@click.command("evaluate")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "--family",
    "families",
    multiple=True,
    help="Cells to judge by, see `matnet surrogate train`; may be repeated. Default: those that "
    "the weights were trained on.",
)
@click.option(
    "--resolution",
    type=click.IntRange(4, 1024),
    help="Voxels per axis. Default: that of the training.",
)
@click.option(
    "--cells",
    type=click.IntRange(min=1),
    help="How many.  [default: 50; voigt-reuss: 500; voigt-reuss-3d: 200]",
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
    "--batch",
    type=click.IntRange(min=1),
    help="Cells predicted at once.  [default: 1]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--symmetrise", is_flag=True, help="Average predictions over the symmetries of each cell."
)
@click.option("--no-spectrum", is_flag=True, help="Skip the projection on the lowest modes.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for report.md, evaluation.json, cells.csv and pictures (of plane networks: "
    "evaluation.json, sweep.png, spread.png).",
)
@click.option("--force", is_flag=True, help="Replace a report that is there.")
@json_option
@quiet_option
def command(
    weights: Path,
    families: tuple[str, ...],
    resolution: int | None,
    cells: int | None,
    seed: int,
    nu: float | None,
    batch: int | None,
    device: str,
    symmetrise: bool,
    no_spectrum: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Judge WEIGHTS, a file, the folder of a training or a shipped kind, on unseen cells.

    Errors of C^H against our own solver (tolerance 1e-8), residuals, and what the prediction saves
    as a start for conjugate gradients with the Jacobi preconditioner. Of Voigt-Reuss nets: errors,
    counted violations of the bounds, and whether the uncertainty ranks the errors, beside Hill's
    mean and Mori-Tanaka's estimate (in space: the isotropic projection of the truth).
    """
    from offline.surrogates.evaluation import (
        EvaluationOptions,
        evaluate,
        load_predictor,
        write_report,
    )
    from offline.surrogates.evaluation.report import check_folder, tables, verdicts
    from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

    net = stiffness_network(weights, device)
    if net is not None:
        given = {"--family": families, "--nu": nu, "--batch": batch, "--no-spectrum": no_spectrum}
        given["--symmetrise"] = symmetrise
        refuse("Voigt-Reuss nets are judged on their own cells", given)
        shared: dict[str, Any] = {"seed": seed, "resolution": resolution, "out": out}
        shared |= {"force": force, "as_json": as_json, "quiet": quiet}
        if isinstance(net, PlaneSurrogate):
            evaluate_pictures(net, weights.stem, cells=cells or PICTURES, **shared)
        else:
            evaluate_space(net, weights.stem, cells=cells or IN_SPACE, **shared)
        return
    if out is not None:
        check_folder(out, force=force)
    predictor = load_predictor(weights, device)
    trained = predictor.card.get("data") or {}
    options = EvaluationOptions(
        families=families or tuple(trained.get("families", ())),
        resolution=resolution or int(trained.get("resolution", 32)),
        cells=cells or CELLS,
        first=seed,
        nu=nu,
        batch=batch or 1,
        symmetrise=symmetrise,
        spectrum=not no_spectrum,
    )
    with bars_on_stderr(quiet) as bars:
        bar = bars.add_task("cells", total=options.cells, note="")
        result = evaluate(
            predictor, options, lambda done, total: bars.update(bar, completed=done, total=total)
        )
    if out is not None:
        write_report(out, result, origin(), force=force)
    if as_json:
        print_json(result.as_dict())
        return
    print_table(f"{predictor.name}: wanted and found", ("", "found"), verdicts(result))
    for title, columns, rows in tables(result):
        print_table(title, columns, rows)
    if out is not None:
        print_table("report", ("", ""), [("written", str(out / "report.md"))])
