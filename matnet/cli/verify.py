"""`matnet verify`: a network against full-field simulation of its cell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import matnet
from matnet.atomic import whole_file
from matnet.cli.console import (
    check_picture,
    check_writable,
    json_option,
    print_json,
    print_table,
    quiet_option,
)
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.fit import Bars
from matnet.cli.laws import network_and_laws
from matnet.cli.origin import origin
from matnet.cli.reference import element_option
from matnet.cli.rve_hints import hint_options, reading_hints
from matnet.errors import ConvergenceError, ParameterError

if TYPE_CHECKING:
    from matnet.paths import LoadPath
    from offline.verification import Verdict

SETS = ("default", "six")


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--rve",
    "rve_path",
    required=True,
    type=click.Path(path_type=Path),
    help="The cell that the network was fitted to (.npz, .vti, .tif, ...; see `matnet rve`).",
)
@click.option(
    "--phases",
    "phases_path",
    type=click.Path(path_type=Path),
    help="TOML file with a law per phase, for both sides; see docs/phases.md.  "
    "[default: the laws in FILE]",
)
@click.option(
    "--paths",
    "chosen",
    multiple=True,
    default=("default",),
    show_default=True,
    help="default: three uniaxial loadings, three simple shears, a cycle and a square; six: the "
    "first six; a CSV table; or a load such as cyclic-11:0.01x40. May be repeated.",
)
@click.option(
    "--strain",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.02,
    show_default=True,
    help="Strain at the end of the default paths; half of it for the cycle and the square [-].",
)
@click.option(
    "--steps",
    type=click.IntRange(min=4),
    default=40,
    show_default=True,
    help="Steps of each default path, a multiple of 4.",
)
@click.option(
    "--time",
    "duration",
    type=click.FloatRange(0.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Time of each default path, for laws with rates [time unit].",
)
@click.option(
    "--refine",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Elements per voxel and axis in the simulation, against locking in plastic flow.",
)
@click.option(
    "-o",
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder that keeps the simulations (CSV); those made before are used again.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw all paths (PNG, SVG, PDF).")
@click.option(
    "--unit", default="unit of the moduli", show_default=True, help="Stress unit, for the picture."
)
@click.option("--write", is_flag=True, help="Write the verdict into the card of the network file.")
@click.option(
    "--fail-above",
    type=click.FloatRange(0.0, min_open=True),
    help="Exit with 4 if the worst path's error is larger than this, such as 0.05 [-].",
)
@click.option(
    "--tol",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=1e-4,
    show_default=True,
    help="Residual of the simulation, relative to the stress [-].",
)
@element_option
@click.option("--threads", type=click.IntRange(min=1), help="Of the simulation. Default: all.")
@click.option("--no-timing", is_flag=True, help="Do not time the network.")
@click.option(
    "--allow-disconnected",
    is_flag=True,
    help="Go on when the solid does not percolate in every direction.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing picture.")
@hint_options
@json_option
@quiet_option
def command(
    file: Path,
    rve_path: Path,
    phases_path: Path | None,
    chosen: tuple[str, ...],
    strain: float,
    steps: int,
    duration: float,
    refine: int,
    folder: Path | None,
    plot: Path | None,
    unit: str,
    write: bool,
    fail_above: float | None,
    tol: float,
    element: str,
    threads: int | None,
    no_timing: bool,
    allow_disconnected: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **hints: Any,
) -> None:
    """Judge the network in FILE: the same laws and load paths in it and in its full cell.

    Prints the relative error of the stress along each path, and how much faster the network is.
    """
    from matnet.files import read_network_and_laws, write_network
    from offline.reference import ReferenceOptions, memory_estimate
    from offline.rve import read
    from offline.verification import ReferenceStore, refined, verify

    if plot is not None:
        check_picture(plot, force)
    if write:
        check_writable(file, force=True)
    network, laws = network_and_laws(file, phases_path)
    paths = chosen_paths(chosen, strain, steps, duration)
    rve = read(rve_path, **reading_hints(hints))
    options = ReferenceOptions(
        tol=tol, element=element, threads=threads, allow_disconnected=allow_disconnected
    )
    if not quiet:
        steps_in_all = sum(path.n_steps for path in paths)
        counted = "1 path" if len(paths) == 1 else f"{len(paths)} paths"
        print(
            f"{counted} of {steps_in_all} steps in all, each simulation in "
            f"{memory_estimate(refined(rve, refine), laws)}.",
            file=sys.stderr,
        )
    with bars_on_stderr(quiet) as bars:
        verdict = verify(
            network,
            rve,
            laws,
            paths,
            refine=refine,
            options=options,
            store=None if folder is None else ReferenceStore(folder),
            timed=not no_timing,
            progress=Bars(bars),
        )
    for remark in verdict.warnings:
        print(f"Warning: {remark}", file=sys.stderr)
    if plot is not None:
        sources = [file, rve_path, *([phases_path] if phases_path else [])]
        draw(verdict, unit, plot, origin(*sources))
    if write and not verdict.incomplete:
        write_network(file, verdict.judged_network(), read_network_and_laws(file)[1])
    if as_json:
        print_json(verdict.as_dict())
    else:
        print_verdict(verdict)
    complain(verdict, fail_above, write)


def chosen_paths(
    chosen: tuple[str, ...], strain: float, steps: int, duration: float
) -> list[LoadPath]:
    """The paths that `--paths` names, in its order."""
    from offline.verification import default_paths, six_loadings

    found: list[LoadPath] = []
    for text in chosen:
        if text == "six":
            found += six_loadings(strain, steps=steps, duration=duration)
        elif text == "default":
            found += default_paths(strain, steps=steps, duration=duration)
        elif text.lower().endswith(".csv") or Path(text).is_file():
            found.append(matnet.paths.from_csv(text))
        elif ":" in text:
            found.append(matnet.paths.from_text(text))
        else:
            raise ParameterError(
                f"--paths {text}: expected {', '.join(SETS)}, a CSV table, or a load such as "
                "cyclic-11:0.01x40."
            )
    return found


def complain(verdict: Verdict, fail_above: float | None, write: bool) -> None:
    """Raise what makes the exit code 4."""
    if verdict.incomplete:
        first = verdict.incomplete[0]
        unwritten = " The card was not written." if write else ""
        raise ConvergenceError(
            f"{len(verdict.incomplete)} of {len(verdict.paths)} paths ended early. "
            f"{first.path.name}: {first.note}{unwritten}"
        )
    if fail_above is not None and not verdict.worst <= fail_above:
        raise ConvergenceError(
            f"{verdict.worst_path.path.name}: the error {100 * verdict.worst:.2f} % is above "
            f"{100 * fail_above:g} %, as --fail-above asks. Fit with more samples, depth or starts."
        )


def print_verdict(verdict: Verdict) -> None:
    """Errors per path, then mean, worst and times."""
    rows = [
        (
            path.path.name,
            f"{path.n_steps}" if not path.note else f"{path.n_steps} of {path.path.n_steps}",
            percent(path.error),
            percent(path.e_driven),
            percent(path.e_peak, signed=True),
            percent(path.e_elastic),
        )
        for path in verdict.paths
    ]
    columns = ("path", "steps", "error", "driven", "peak", "first step")
    cell = " x ".join(map(str, verdict.cell_shape))
    print_table(f"network against full-field simulation, {cell} elements", columns, rows)
    print_table("verdict", ("quantity", "value"), summary_rows(verdict))


def summary_rows(verdict: Verdict) -> list[tuple[str, str]]:
    """Mean and worst error, times and speed-up."""
    rows = []
    if verdict.e_sigma is not None:
        rows.append(("e_sigma, six loadings", percent(verdict.e_sigma)))
    rows.append(("mean error", percent(verdict.mean)))
    rows.append(("worst error", f"{percent(verdict.worst)}, {verdict.worst_path.path.name}"))
    timing = verdict.timing
    if timing is not None:
        size = f"{timing.n_points}".replace("10000", "10 000")
        rows += [
            ("simulation, per increment", duration_text(timing.reference)),
            (f"network, per increment, one of {size} points", duration_text(timing.batch)),
            ("network, per increment, a single point", duration_text(timing.single)),
            ("speed-up, batch", f"{timing.speed_up_batch:.3g}"),
            ("speed-up, a single point", f"{timing.speed_up_single:.3g}"),
        ]
    return rows


def percent(value: float, *, signed: bool = False) -> str:
    """A share as a table cell."""
    if value != value:
        return "-"
    return f"{100.0 * value:+.2f} %" if signed else f"{100.0 * value:.2f} %"


def duration_text(seconds: float) -> str:
    """Seconds in a unit that reads well."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def draw(verdict: Verdict, unit: str, path: Path, record: dict[str, str]) -> None:
    """The picture, with its origin in the file's metadata."""
    figure = verdict.plot(unit=unit)
    text = "; ".join(f"{key}: {value}" for key, value in record.items())
    key = "Description" if path.suffix.lower() == ".png" else "Title"
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=130, metadata={key: text})
