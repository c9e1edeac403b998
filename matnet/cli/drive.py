"""`matnet drive`: a material along a strain or stress path."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

import matnet
from matnet.atomic import whole_file
from matnet.cli.console import check_picture, check_writable, json_option, print_json, print_table
from matnet.cli.laws import network_and_laws
from matnet.cli.origin import origin
from matnet.errors import ConvergenceError, MissingExtraError, ParameterError, RangeWarning
from matnet.mandel import COMPONENTS, component_index

if TYPE_CHECKING:
    from matnet.paths import LoadPath
    from matnet.point import Response

SHOWN_ROWS, SHOWN_TURNS = 5, 8
NOISE = 1e-8  # share of the largest value below which differences are the solver's


@click.command("drive")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--phases",
    "phases_path",
    type=click.Path(path_type=Path),
    help="TOML file with a law per phase; see docs/phases.md.  [default: the laws in FILE]",
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
    "--local",
    "local_path",
    type=click.Path(path_type=Path),
    help="Write mean, extremes and quantiles of stress, strain and state in each phase (CSV).",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the response (PNG, SVG, PDF).")
@click.option(
    "--unit", default="unit of the moduli", show_default=True, help="Stress unit, for the picture."
)
@click.option(
    "--partial", is_flag=True, help="If a step fails, write and print what was reached before it."
)
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
@json_option
def command(
    file: Path,
    phases_path: Path | None,
    path_file: Path | None,
    load: str | None,
    show: str | None,
    out: Path | None,
    local_path: Path | None,
    plot: Path | None,
    unit: str,
    partial: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Drive a material point: the network in FILE with its laws, or those in a phases file.

    Prints strain, stress and moduli along the path; stresses have the unit of the moduli.
    """
    for wanted in (out, local_path):
        if wanted is not None:
            check_writable(wanted, force)
    if plot is not None:
        check_picture(plot, force)
    network, laws = network_and_laws(file, phases_path)
    path = chosen_path(path_file, load)
    shown = COMPONENTS[component_index(show)] if show else path.driven
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", RangeWarning)
        material = matnet.Material(network=network, phases=laws)
    for remark in remarks:
        print(f"Warning: {remark.message}", file=sys.stderr)
    failed = None
    try:
        response = matnet.drive(material, path, local=local_path is not None)
    except ConvergenceError as stopped:
        if not partial or len(stopped.result.time) < 2:
            raise
        failed, response = stopped, stopped.result
    record = origin(*(source for source in (file, phases_path, path_file) if source is not None))
    if failed is not None:
        record["stopped"] = str(failed)
    if out is not None:
        response.to_csv(out, record=record)
    if local_path is not None:
        response.local_to_csv(local_path, record=record)
    if plot is not None:
        draw(response, shown, unit, plot, record)
    if as_json:
        print_json(as_dict(response, shown))
    else:
        print_response(response, shown)
    if failed is not None:
        raise failed


def chosen_path(path_file: Path | None, load: str | None) -> LoadPath:
    """What `--path` or `--load` describes."""
    if (path_file is None) == (load is None):
        raise ParameterError(
            "expected either --path with a CSV table or --load, such as --load uniaxial-11:0.02x40."
        )
    if path_file is not None:
        return matnet.paths.from_csv(path_file)
    return matnet.paths.from_text(str(load))


def slopes(strain: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """Slope of the curve over each step (n,), NaN where the strain rests."""
    d_strain = np.diff(strain)
    still = np.abs(d_strain) <= NOISE * np.abs(strain).max()
    rise = np.diff(stress)
    rise[np.abs(rise) <= NOISE * np.abs(stress).max()] = 0.0
    return np.where(still, np.nan, rise / np.where(still, 1.0, d_strain))


def print_response(response: Response, component: str) -> None:
    """A few rows of the curve, then its peak."""
    strain, stress = (without_noise(values) for values in response.component(component))
    slope = slopes(strain, stress)
    held = is_held(response.path, component)  # a slope over time says nothing
    # after plastic flow the strains across are no longer a property of the strain along
    ratios = {} if response.state.size or held else poisson_ratios(response, component)
    rows = []
    for step in shown_steps(strain):
        row = [step, f"{response.time[step]:.4g}", f"{strain[step]:.4e}", f"{stress[step]:.6g}"]
        row += [] if held else [number(slope[step - 1])]
        row += [number(values[step]) for values in ratios.values()]
        rows.append(row)
    name = slope_name(response.path, component)
    modulus = () if held else ("slope" if response.state.size else name,)
    columns = ("step", "time", f"strain {component}", f"stress {component}", *modulus, *ratios)
    print_table(f"{response.path.name}, {len(strain) - 1} steps", columns, rows)
    peak = first_peak(stress)
    at_peak = f"{stress[peak]:.6g} at strain {strain[peak]:.4e}"
    summary = [(f"peak stress {component}", at_peak)]
    summary += [] if held else [(f"initial {name}", number(slope[0]))]
    if response.stored is not None and response.dissipated is not None:
        summary.append(("stored energy at the end", f"{response.stored[-1]:.6g}"))
        summary.append(("dissipated energy", f"{response.dissipated[-1]:.6g}"))
    summary.append(("Newton iterations, most in a step", str(int(response.iterations.max()))))
    print_table("summary", ("quantity", "value"), summary)
    if len(response.phase_names) > 1:
        print_phases(response, component)


def print_phases(response: Response, component: str) -> None:
    """Means over the phases at the end."""
    rows = []
    for phase in response.phase_names:
        strain, stress = (values[-1] for values in response.phase(phase, component))
        if np.isfinite(stress):
            rows.append((phase, f"{strain:.4e}", f"{stress:.6g}"))
    columns = ("phase", f"mean strain {component}", f"mean stress {component}")
    print_table("phases at the end", columns, rows)


def first_peak(stress: np.ndarray) -> int:
    """First step with the largest stress."""
    size = np.abs(stress)
    return int(np.argmax(size >= (1.0 - NOISE) * size.max()))


def without_noise(values: np.ndarray) -> np.ndarray:
    """Rounding errors beside the largest value become zero."""
    return np.where(np.abs(values) < 1e-12 * np.abs(values).max(), 0.0, values)


def poisson_ratios(response: Response, component: str) -> dict[str, np.ndarray]:
    """Contraction over extension across a stretched direction, if all else is stress-free."""
    if component not in ("11", "22", "33") or not is_uniaxial(response.path, component):
        return {}
    along = without_noise(response.component(component)[0])
    safe = np.where(along == 0.0, np.nan, along)
    return {
        f"nu {component[0]}{across[0]}": -response.component(across)[0] / safe
        for across in ("11", "22", "33")
        if across != component
    }


def is_uniaxial(path: LoadPath, component: str) -> bool:
    """Whether all other components are free of stress all along."""
    others = np.array([name != component for name in COMPONENTS])
    return bool(path.stress_controlled[:, others].all() and not path.target[:, others].any())


def is_held(path: LoadPath, component: str) -> bool:
    """Whether what is prescribed of a component rests most of the time, as in creep."""
    values = path.target[:, COMPONENTS.index(component)]
    return bool(values.any() and np.count_nonzero(np.diff(values) == 0.0) > path.n_steps // 2)


def slope_name(path: LoadPath, component: str) -> str:
    """What the slope of the curve is called."""
    if not is_uniaxial(path, component):
        return "slope"
    return "E" if component in COMPONENTS[:3] else "2 G"


def shown_steps(strain: np.ndarray) -> list[int]:
    """Step numbers worth a row: five spread evenly and the first eight turning points."""
    last = len(strain) - 1
    even = np.linspace(1, last, min(last, SHOWN_ROWS)).round().astype(int)
    moves = np.diff(strain)
    direction = np.where(np.abs(moves) <= NOISE * np.abs(strain).max(), 0.0, np.sign(moves))
    turning = np.flatnonzero(direction[1:] * direction[:-1] < 0.0) + 1
    return sorted({*even.tolist(), *turning[:SHOWN_TURNS].tolist()})


def number(value: float) -> str:
    """A table cell."""
    return "-" if np.isnan(value) else f"{value:.6g}"


def as_dict(response: Response, component: str) -> dict[str, Any]:
    """The response for machines; tensors in Mandel form."""
    strain, stress = response.component(component)
    peak = first_peak(stress)
    return {
        "path": response.path.name,
        "component": component,
        "order": list(COMPONENTS),
        "scaling": "mandel",
        "peak_stress": float(stress[peak]),
        "strain_at_peak": float(strain[peak]),
        "slope": [None if np.isnan(value) else float(value) for value in slopes(strain, stress)],
        "iterations": response.iterations.tolist(),
        "stored": listed(response.stored),
        "dissipated": listed(response.dissipated),
        "time": response.time.tolist(),
        "strain": response.strain.tolist(),
        "stress": response.stress.tolist(),
    }


def listed(values: np.ndarray | None) -> list[float] | None:
    """An array as JSON takes it."""
    return None if values is None else values.tolist()


def draw(response: Response, component: str, unit: str, path: Path, record: dict[str, str]) -> None:
    """The stress-strain curve as a picture."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--plot needs matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    dissipates = response.dissipated is not None and response.dissipated[-1] > 0.0
    width = 9.0 if dissipates else 5.0
    figure = Figure(figsize=(width, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if dissipates else 1, squeeze=False)[0]
    against = "time" if is_held(response.path, component) else "strain"
    response.plot(axes[0], component=component, against=against, phases=True, unit=unit)
    figure.suptitle(response.path.name, fontsize="medium")
    if dissipates:
        response.plot_energy(axes[1], unit=unit)
    text = "; ".join(f"{key}: {value}" for key, value in record.items())
    key = "Description" if path.suffix.lower() == ".png" else "Title"
    with whole_file(path) as beside:
        figure.savefig(beside, metadata={key: text})
