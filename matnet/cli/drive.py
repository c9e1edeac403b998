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
from matnet.cli.origin import origin
from matnet.errors import MissingExtraError, RangeWarning
from matnet.mandel import COMPONENTS

if TYPE_CHECKING:
    from matnet.paths import LoadPath
    from matnet.point import Response

PATHS = ("uniaxial_stress", "uniaxial_strain", "simple_shear", "biaxial", "hydrostatic", "cyclic")
SHOWN_ROWS, SHOWN_TURNS = 5, 8


@click.command("drive")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--phases",
    "phases_path",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file with a law per phase; see docs/phases.md.",
)
@click.option(
    "--path",
    "path_name",
    type=click.Choice(PATHS),
    default="uniaxial_stress",
    show_default=True,
    help="What is prescribed.",
)
@click.option(
    "--path-file",
    type=click.Path(path_type=Path),
    help="Prescribe this table instead: columns time, e11 .. e23, s11 .. s23.",
)
@click.option(
    "--component",
    help="Driven and shown tensor component, 11 to 23.  [default: 11; 12 for simple_shear]",
)
@click.option(
    "--amplitude",
    type=float,
    default=0.02,
    show_default=True,
    help="Strain at the end, tensor component; engineering shear for simple_shear [-].",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Steps; per cycle for cyclic.",
)
@click.option(
    "--cycles", type=click.IntRange(min=1), default=1, show_default=True, help="For cyclic."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the response (CSV).")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the response (PNG, SVG, PDF).")
@click.option(
    "--unit", default="unit of the moduli", show_default=True, help="Stress unit, for the picture."
)
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
@json_option
def command(
    file: Path,
    phases_path: Path,
    path_name: str,
    path_file: Path | None,
    component: str | None,
    amplitude: float,
    steps: int,
    cycles: int,
    out: Path | None,
    plot: Path | None,
    unit: str,
    force: bool,
    as_json: bool,
) -> None:
    """Drive a material point: the network in FILE with the laws in a phases file.

    Prints strain, stress and moduli along the path; stresses have the unit of the moduli.
    """
    if out is not None:
        check_writable(out, force)
    if plot is not None:
        check_picture(plot, force)
    network = matnet.load(file)
    laws = matnet.phases.read_phases(phases_path, network.phase_names)
    if path_file is not None:
        path = matnet.paths.from_csv(path_file)
    else:
        path = named_path(path_name, component, amplitude, steps, cycles)
    shown = component or driven_component(path)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", RangeWarning)
        material = matnet.Material(network=network, phases=laws)
    for remark in remarks:
        print(f"Warning: {remark.message}", file=sys.stderr)
    response = matnet.drive(material, path)
    record = origin(file, phases_path)
    if out is not None:
        response.to_csv(out, record=record)
    if plot is not None:
        draw(response, shown, unit, plot, record)
    if as_json:
        print_json(as_dict(response, shown))
    else:
        print_response(response, shown)


def named_path(
    name: str, component: str | None, amplitude: float, steps: int, cycles: int
) -> LoadPath:
    """The path that the options describe."""
    paths = matnet.paths
    if name == "hydrostatic":
        return paths.hydrostatic(amplitude, steps=steps)
    if name == "biaxial":
        return paths.biaxial(amplitude=amplitude, steps=steps)
    if name == "cyclic":
        return paths.cyclic(component or "11", amplitude, cycles=cycles, steps=steps)
    if name == "simple_shear":
        return paths.simple_shear(component or "12", amplitude, steps=steps)
    if name == "uniaxial_strain":
        return paths.uniaxial_strain(component or "11", amplitude, steps=steps)
    return paths.uniaxial_stress(component or "11", amplitude, steps=steps)


def driven_component(path: LoadPath) -> str:
    """The component with the largest prescribed strain, else stress; 11 if nothing moves."""
    strain = np.abs(np.where(path.stress_controlled, 0.0, path.target)).max(axis=0)
    largest = strain if strain.any() else np.abs(path.target).max(axis=0)
    return COMPONENTS[int(largest.argmax())]


def slopes(strain: np.ndarray, stress: np.ndarray) -> np.ndarray:
    """Slope of the curve over each step (n,), NaN where the strain rests."""
    d_strain = np.diff(strain)
    still = d_strain == 0.0
    return np.where(still, np.nan, np.diff(stress) / np.where(still, 1.0, d_strain))


def print_response(response: Response, component: str) -> None:
    """A few rows of the curve, then its peak."""
    strain, stress = (without_noise(values) for values in response.component(component))
    slope = slopes(strain, stress)
    ratios = poisson_ratios(response, component)
    rows = []
    for step in shown_steps(strain):
        row = [step, f"{response.time[step]:.4g}", f"{strain[step]:.4e}", f"{stress[step]:.6g}"]
        row.append(number(slope[step - 1]))
        row += [number(values[step]) for values in ratios.values()]
        rows.append(row)
    name = slope_name(response.path, component)
    columns = ("step", "time", f"strain {component}", f"stress {component}", name, *ratios)
    print_table(f"{response.path.name}, {len(strain) - 1} steps", columns, rows)
    peak = int(np.abs(stress).argmax())
    print_table(
        "summary",
        ("quantity", "value"),
        [
            (f"peak stress {component}", f"{stress[peak]:.6g} at strain {strain[peak]:.4e}"),
            (f"initial {name}", number(slope[0])),
            ("Newton iterations, most in a step", int(response.iterations.max())),
        ],
    )


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


def slope_name(path: LoadPath, component: str) -> str:
    """What the slope of the curve is called."""
    if not is_uniaxial(path, component):
        return "slope"
    return "E" if component in COMPONENTS[:3] else "2 G"


def shown_steps(strain: np.ndarray) -> list[int]:
    """Step numbers worth a row: five spread evenly and the first eight turning points."""
    last = len(strain) - 1
    even = np.linspace(1, last, min(last, SHOWN_ROWS)).round().astype(int)
    direction = np.sign(np.diff(strain))
    turning = np.flatnonzero(direction[1:] * direction[:-1] < 0.0) + 1
    return sorted({*even.tolist(), *turning[:SHOWN_TURNS].tolist()})


def number(value: float) -> str:
    """A table cell."""
    return "-" if np.isnan(value) else f"{value:.6g}"


def as_dict(response: Response, component: str) -> dict[str, Any]:
    """The response for machines; tensors in Mandel form."""
    strain, stress = response.component(component)
    peak = int(np.abs(stress).argmax())
    return {
        "path": response.path.name,
        "component": component,
        "order": list(COMPONENTS),
        "scaling": "mandel",
        "peak_stress": float(stress[peak]),
        "strain_at_peak": float(strain[peak]),
        "slope": [None if np.isnan(value) else float(value) for value in slopes(strain, stress)],
        "iterations": response.iterations.tolist(),
        "time": response.time.tolist(),
        "strain": response.strain.tolist(),
        "stress": response.stress.tolist(),
    }


def draw(response: Response, component: str, unit: str, path: Path, record: dict[str, str]) -> None:
    """The stress-strain curve as a picture."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--plot needs matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    figure = Figure(figsize=(5.0, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    ax = response.plot(figure.add_subplot(), component=component, unit=unit)
    ax.set_title(response.path.name)
    text = "; ".join(f"{key}: {value}" for key, value in record.items())
    key = "Description" if path.suffix.lower() == ".png" else "Title"
    with whole_file(path) as beside:
        figure.savefig(beside, metadata={key: text})
