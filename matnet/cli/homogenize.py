"""`matnet homogenize`: the effective stiffness of a cell."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.markup import escape

import matnet
from matnet.atomic import whole_file
from matnet.cli.console import (
    check_picture,
    check_writable,
    err,
    json_option,
    print_json,
    print_table,
    quiet_option,
)
from matnet.cli.engine_options import chosen_engine, engine_options, fallback_notes
from matnet.cli.origin import origin
from matnet.cli.rve_hints import hint_options, reading_hints
from matnet.cli.worst_stress import worst_stress_of, worst_stress_option
from matnet.errors import MissingExtraError
from matnet.mandel import COMPONENTS

if TYPE_CHECKING:
    from offline.homogenization import Homogenized
    from offline.homogenization.bounds import Bounds

SINGULAR = 1e-10  # smallest over largest eigenvalue below which there are no moduli


@click.command("homogenize")
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
    "--tol",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=1e-6,
    show_default=True,
    help="Estimated relative error of the stiffness [-].",
)
@click.option(
    "--residual-tol",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    help="Stop on the relative residual instead, for accurate local fields [-].",
)
@click.option(
    "--max-iterations", type=click.IntRange(min=1), default=2000, show_default=True, help="Limit."
)
@click.option("--threads", type=click.IntRange(min=1), help="Default: all cores.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to solve; auto takes a CUDA device for cells of 32^3 voxels and more.",
)
@engine_options
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also write the JSON here.")
@click.option(
    "--fields",
    "fields_path",
    type=click.Path(path_type=Path),
    help="Write displacement, strain and stress per load case (.vti, .vtu).",
)
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(path_type=Path),
    help="Draw Young's modulus over all directions (PNG, SVG, PDF).",
)
@worst_stress_option
@click.option(
    "--unit", default="unit of the moduli", show_default=True, help="Stress unit, for the picture."
)
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
    phases_path: Path,
    tol: float,
    residual_tol: float | None,
    max_iterations: int,
    threads: int | None,
    device: str,
    engine: str,
    weights_path: Path | None,
    out: Path | None,
    fields_path: Path | None,
    plot_path: Path | None,
    worst_path: Path | None,
    unit: str,
    allow_disconnected: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **hints: Any,
) -> None:
    """Effective stiffness of a periodic microstructure.

    Six unit strains on trilinear hexahedra, one per voxel. Stresses have the unit of the moduli in
    the phases file.
    """
    from offline.homogenization import SolverOptions, homogenize
    from offline.homogenization.bounds import cell_bounds
    from offline.homogenization.fields_file import check_fields_path, write_fields
    from offline.rve import read

    for path in filter(None, (out, fields_path)):
        check_writable(path, force)
    for path in filter(None, (plot_path, worst_path)):
        check_picture(path, force)
    if fields_path is not None:
        check_fields_path(fields_path)
    rve = read(rve_path, **reading_hints(hints))
    if fields_path is not None:
        check_fields_path(fields_path, rve)
    laws = matnet.phases.read_phases(phases_path, rve.phase_names)
    stiffnesses = np.array([laws[name].stiffness for name in rve.phase_names])
    engine = chosen_engine(engine, weights_path)
    options = SolverOptions(
        engine=engine,
        tol=tol,
        residual_tol=residual_tol,
        max_iterations=max_iterations,
        threads=threads,
        device=device,
    )
    with spinner(quiet) as report, fallback_notes(engine):
        result = homogenize(
            rve,
            stiffnesses,
            options,
            keep_displacement=fields_path is not None or worst_path is not None,
            allow_disconnected=allow_disconnected,
            progress=report,
        )
    bounds = cell_bounds(rve, stiffnesses)
    record = origin(rve_path, phases_path)
    answer = as_dict(result, bounds, record)
    if result.removed_voxels:
        print(f"Floating islands removed: {result.removed_voxels} voxels.", file=sys.stderr)
    if plot_path is not None:
        draw(result.stiffness, unit, plot_path, record)
    if worst_path is not None:
        answer["worst_stress"] = worst_stress_of(rve, stiffnesses, result.displacement, worst_path)
    if fields_path is not None:
        write_fields(fields_path, rve, stiffnesses, result.displacement, record)
    if out is not None:
        with whole_file(out) as beside:
            beside.write_text(json.dumps(answer, indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(answer)
    else:
        print_result(str(rve), result, bounds)
        print_worst(answer)


@contextmanager
def spinner(quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """Iteration and estimated error on stderr, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda iteration, error: None
        return
    with err.status("Homogenising: setting up") as status:
        yield lambda iteration, error: status.update(
            f"Homogenising: iteration {iteration}, estimated error {error:.1e}"
        )


def as_dict(result: Homogenized, bounds: Bounds, record: dict[str, str]) -> dict[str, Any]:
    """The result for machines."""
    return {
        "order": list(COMPONENTS),
        "scaling": "mandel",
        "stiffness": result.stiffness.tolist(),
        "iterations": result.iterations.tolist(),
        "residual": result.residual.tolist(),
        "error_estimate": result.error_estimate,
        "seconds": result.seconds,
        "status": result.status.value,
        "removed_voxels": result.removed_voxels,
        "moduli": moduli(result.stiffness),
        "bounds_hold": bounds.hold(result.stiffness),
        "rve_hash": result.rve_hash,
        "version": result.version,
        "record": record,
    }


def moduli(stiffness: np.ndarray) -> dict[str, float] | None:
    """Engineering constants, or None where the stiffness is singular."""
    from matnet.elasticity import (
        isotropic_constants,
        orthotropic_constants,
        universal_anisotropy,
        zener,
    )

    eigenvalues = np.linalg.eigvalsh(stiffness)
    if eigenvalues[0] <= SINGULAR * eigenvalues[-1]:
        return None
    nearest = {f"isotropic {key}": value for key, value in isotropic_constants(stiffness).items()}
    return {
        **orthotropic_constants(stiffness),
        **nearest,
        "universal anisotropy": universal_anisotropy(stiffness),
        "zener": zener(stiffness),
    }


def draw(stiffness: np.ndarray, unit: str, path: Path, record: dict[str, str]) -> None:
    """The surface of directional Young's moduli as a picture."""
    from matnet.plots import plot_youngs_modulus

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--plot needs matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    figure = Figure(figsize=(6.4, 5.0), dpi=150)
    FigureCanvasAgg(figure)
    plot_youngs_modulus(stiffness, figure.add_subplot(projection="3d"), unit=unit)
    text = "; ".join(f"{key}: {value}" for key, value in record.items())
    key = "Subject" if path.suffix.lower() == ".pdf" else "Description"
    with whole_file(path) as beside:
        figure.savefig(beside, metadata={key: text})


def print_result(title: str, result: Homogenized, bounds: Bounds) -> None:
    """The result for people."""
    rows = [
        (name, *(f"{x:.5g}" for x in row))
        for name, row in zip(COMPONENTS, clean(result.stiffness), strict=True)
    ]
    print_table(
        f"{escape(title)}\nEffective stiffness, Mandel (unit: as the phases' moduli)",
        ("", *COMPONENTS),
        rows,
    )
    constants = moduli(result.stiffness)
    if constants is None:
        print_table("Moduli", ("", "value"), [("none", "the stiffness is singular")])
    else:
        print_moduli(constants)
    print_table("Checks", ("", "value"), checks(result, bounds))


def print_worst(answer: dict[str, Any]) -> None:
    """The worst stress, if it was asked for."""
    if "worst_stress" not in answer:
        return
    found = answer["worst_stress"]
    rows = [
        ("largest von Mises stress [-]", f"{found['largest']:.5g}"),
        ("at voxel", " ".join(map(str, found["voxel"]))),
        ("under the stress", " ".join(f"{x:.3f}" for x in found["load"])),
    ]
    print_table("Worst case over macroscopic stresses of unit norm, Mandel", ("", "value"), rows)


def clean(stiffness: np.ndarray) -> np.ndarray:
    """Entries that are rounding errors become 0, for the eye."""
    size = np.abs(stiffness).max()
    return np.where(np.abs(stiffness) < 1e-9 * size, 0.0, stiffness)


def print_moduli(constants: dict[str, float]) -> None:
    """Moduli along the axes and of the nearest isotropic stiffness."""
    axes = [
        (kind, *(f"{constants[kind + name]:.5g}" for name in names))
        for kind, names in (
            ("E", ("1", "2", "3")),
            ("nu", ("12", "13", "23")),
            ("G", ("12", "13", "23")),
        )
    ]
    print_table("Moduli along the axes", ("", "1 | 12", "2 | 13", "3 | 23"), axes)
    rows = [
        (name, f"{constants[name]:.5g}")
        for name in ("isotropic E", "isotropic nu", "isotropic K", "isotropic G")
    ]
    rows += [
        ("universal anisotropy (0: isotropic)", f"{constants['universal anisotropy']:.4g}"),
        ("Zener ratio (1: isotropic, for cubic cells)", f"{constants['zener']:.4g}"),
    ]
    print_table("Nearest isotropic material, anisotropy", ("", "value"), rows)


def checks(result: Homogenized, bounds: Bounds) -> list[tuple[str, str]]:
    """Bounds and convergence."""
    words = {True: "holds", False: "VIOLATED", None: "not applicable"}
    held = bounds.hold(result.stiffness)
    hs = held["hashin_shtrikman"]
    return [
        ("Voigt bound", words[held["voigt"]]),
        ("Reuss bound", words[held["reuss"]]),
        ("Hashin-Shtrikman bounds, if isotropic", "does not hold" if hs is False else words[hs]),
        ("estimated relative error", f"{result.error_estimate:.1e}"),
        ("iterations", " ".join(map(str, result.iterations))),
        ("residual", f"{result.residual.max():.1e}"),
        ("time", f"{result.seconds:.2f} s"),
    ]
