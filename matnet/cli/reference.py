"""`matnet reference`: a cell along a strain or stress path, all voxels resolved."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import matnet
from matnet.cli.console import (
    check_picture,
    check_writable,
    json_option,
    print_json,
    print_table,
    progress,
    quiet_option,
)
from matnet.cli.drive import as_dict, chosen_path, draw, print_response
from matnet.cli.origin import origin
from matnet.cli.rve_hints import hint_options, reading_hints
from matnet.errors import ConvergenceError, ParameterError
from matnet.mandel import COMPONENTS, component_index

if TYPE_CHECKING:
    from offline.reference import CellFields, ReferenceOptions, ReferenceResult
    from offline.rve import Rve

element_option = click.option(
    "--element",
    type=click.Choice(["b-bar", "full"]),
    default="b-bar",
    show_default=True,
    help="Voxels with mean dilatation, against locking in plastic flow, or plain ones.",
)


@click.command("reference")
@click.option(
    "--rve",
    "rve_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Microstructure file (.npz, .vti, .tif, ...; see `matnet rve`).",
)
@click.option(
    "--phases",
    "phases_path",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file with a law per phase; see docs/phases.md.",
)
@click.option(
    "--path",
    "path_file",
    type=click.Path(path_type=Path),
    help="CSV table of what is prescribed: t, e11 .. e23, s11 .. s23, T; see docs/drive.md.",
)
@click.option(
    "--load",
    help="Instead of --path: KIND-COMPONENT:VALUE[@TIME][xSTEPS], such as uniaxial-11:0.02x40; "
    "kinds are uniaxial, strain, shear, biaxial, plane-stress, hydrostatic, cyclic, creep, "
    "relaxation.",
)
@click.option("--show", help="Component that is printed and drawn.  [default: the driven one]")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the response (CSV).")
@click.option(
    "--fields",
    "fields_path",
    type=click.Path(path_type=Path),
    help="Write displacement, strain, stress and internal variables (.vti, .vtu) at the end, or "
    "with a number in the name, such as out_%03d.vti, after every step.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="With a numbered --fields: only each so many steps, and the last one.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the response (PNG, SVG, PDF).")
@click.option(
    "--unit", default="unit of the moduli", show_default=True, help="Stress unit, for the picture."
)
@click.option(
    "--tol",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=1e-6,
    show_default=True,
    help="Residual of equilibrium relative to the stresses in the cell [-].",
)
@click.option(
    "--max-iterations",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Newton iterations after which a step is cut.",
)
@element_option
@click.option("--threads", type=click.IntRange(min=1), help="Default: all cores.")
@click.option(
    "--allow-disconnected",
    is_flag=True,
    help="Go on when the solid does not percolate in every direction.",
)
@click.option(
    "--partial", is_flag=True, help="If a step fails, write and print what was reached before it."
)
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
@hint_options
@json_option
@quiet_option
def command(
    rve_path: Path,
    phases_path: Path,
    path_file: Path | None,
    load: str | None,
    show: str | None,
    out: Path | None,
    fields_path: Path | None,
    every: int,
    plot: Path | None,
    unit: str,
    tol: float,
    max_iterations: int,
    element: str,
    threads: int | None,
    allow_disconnected: bool,
    partial: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **hints: Any,
) -> None:
    """Full-field simulation of a cell: the reference that networks are judged by.

    The laws act at eight points of every voxel. Prints and writes the same as `matnet drive`;
    stresses have the unit of the moduli in the phases file.
    """
    from offline.reference import ReferenceOptions, memory_estimate
    from offline.rve import read

    if out is not None:
        check_writable(out, force)
    if plot is not None:
        check_picture(plot, force)
    path = chosen_path(path_file, load)
    shown = COMPONENTS[component_index(show)] if show else path.driven
    rve = read(rve_path, **reading_hints(hints))
    files = field_files(fields_path, every, path.n_steps, rve, force)
    laws = matnet.phases.read_phases(phases_path, rve.phase_names)
    options = ReferenceOptions(
        tol=tol,
        max_iterations=max_iterations,
        element=element,
        threads=threads,
        allow_disconnected=allow_disconnected,
    )
    if not quiet:
        print(f"Memory: about {memory_estimate(rve, laws)}.", file=sys.stderr)
    record = origin(rve_path, phases_path, *([path_file] if path_file else []))

    def watch(step: int, fields: Callable[[], CellFields]) -> None:
        if step in files:
            fields().write(files[step], rve, record)

    result, failed = simulated(rve, laws, path, options, watch, quiet, partial)
    if failed is not None:
        record["stopped"] = str(failed)
    if out is not None:
        result.response.to_csv(out, record=record)
    if plot is not None:
        draw(result.response, shown, unit, plot, record)
    if as_json:
        print_json(as_dict(result.response, shown) | effort(result))
    else:
        print_response(result.response, shown)
        print_effort(result)
    if failed is not None:
        raise failed


def simulated(
    rve: Rve,
    laws: Any,
    path: Any,
    options: ReferenceOptions,
    watch: Any,
    quiet: bool,
    partial: bool,
) -> tuple[ReferenceResult, ConvergenceError | None]:
    """The simulation with a bar on stderr; and the error, if what came before it is wanted."""
    from offline.reference import simulate

    with progress(quiet) as bars:
        task = bars.add_task("Full field", total=path.n_steps, note="setting up")

        def report(step: Any) -> None:
            note = f"residual {step.error:.0e}, {step.newton} Newton, {step.linear} linear"
            bars.update(task, completed=step.step, note=note)

        try:
            result = simulate(rve, laws, path, options=options, progress=report, watch=watch)
        except ConvergenceError as stopped:
            if not partial or len(stopped.result.response.time) < 2:
                raise
            return stopped.result, stopped
    return result, None


def field_files(
    pattern: Path | None, every: int, n_steps: int, rve: Rve, force: bool
) -> dict[int, Path]:
    """Step -> file, all checked before any work is done."""
    from offline.homogenization.fields_file import check_fields_path

    if pattern is None:
        return {}
    if "%" not in pattern.name:
        files = {n_steps: pattern}
    else:
        steps = sorted({*range(every, n_steps + 1, every), n_steps})
        try:
            files = {step: pattern.with_name(pattern.name % step) for step in steps}
        except (TypeError, ValueError):
            files = {}
        if len(set(files.values())) < len(steps):
            raise ParameterError(
                f"{pattern}: expected one number in the name, such as out_%03d.vti."
            )
    for file in files.values():
        check_fields_path(file, rve)
        check_writable(file, force)
    return files


def effort(result: ReferenceResult) -> dict[str, Any]:
    """What it took, for machines."""
    reports = result.reports
    return {
        "linear_iterations": [report.linear for report in reports],
        "cuts": [report.cuts for report in reports],
        "residual": result.error.tolist(),
        "seconds": result.seconds,
        "threads": result.threads,
        "memory_bytes": result.memory.total,
        "removed_voxels": result.removed_voxels,
        "version": matnet.__version__,
    }


def print_effort(result: ReferenceResult) -> None:
    """What it took, for people."""
    reports = result.reports
    rows = [
        ("Newton iterations", str(sum(report.newton for report in reports))),
        ("linear iterations", str(sum(report.linear for report in reports))),
        ("steps that were cut", str(sum(report.cuts > 0 for report in reports))),
        ("largest residual", f"{result.error.max():.1e}"),
        ("time", f"{result.seconds:.1f} s on {result.threads} threads"),
    ]
    if result.removed_voxels:
        rows.append(("floating islands removed", f"{result.removed_voxels} voxels"))
    print_table("effort", ("", "value"), rows)
