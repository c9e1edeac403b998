"""`matnet surrogate predict`: the network alone, without iterations to a tolerance."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

import matnet
from matnet.atomic import whole_file
from matnet.cli.console import (
    check_picture,
    check_writable,
    json_option,
    print_json,
    print_table,
)
from matnet.cli.homogenize import moduli, print_worst
from matnet.cli.origin import origin
from matnet.cli.rve_hints import hint_options, reading_hints
from matnet.cli.surrogate_pictures import (
    predict_picture,
    print_outside,
    refuse,
    stiffness_network,
)
from matnet.cli.surrogate_space import predict_space
from matnet.cli.worst_stress import worst_stress_of, worst_stress_option
from matnet.errors import ParameterError
from matnet.mandel import COMPONENTS

if TYPE_CHECKING:
    from offline.rve import Rve


@click.command("predict")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "--rve",
    "--image",
    "rve_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Microstructure file (.npz, .vti, .tif, ...; see `matnet rve`). For a plane network one "
    "voxel thick, a picture (.png) or an array of 0 and 1 (.npy, axis 0 along x1).",
)
@click.option(
    "--phases",
    "phases_path",
    type=click.Path(path_type=Path),
    help="TOML file with a law per phase; see docs/phases.md. A plane network has its own.",
)
@click.option("--swap", is_flag=True, help="Exchange the two phases of a picture.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also write the JSON here.")
@click.option(
    "--fields",
    "fields_path",
    type=click.Path(path_type=Path),
    help="Write displacement, strain and stress per load case (.vti, .vtu).",
)
@worst_stress_option
@click.option("--force", is_flag=True, help="Overwrite existing outputs.")
@hint_options
@json_option
def command(
    weights: Path,
    rve_path: Path,
    phases_path: Path | None,
    swap: bool,
    device: str,
    out: Path | None,
    fields_path: Path | None,
    worst_path: Path | None,
    force: bool,
    as_json: bool,
    **hints: Any,
) -> None:
    """Effective stiffness of a cell as WEIGHTS predict it.

    WEIGHTS are a file, the folder of a training, or a shipped kind such as voigt-reuss-2d.
    Displacement networks give an upper bound in energy form; its residual says how far from
    equilibrium it is. Label-free networks of C^H labels say C^H alone, without bound or residual.
    For a given tolerance take `matnet homogenize --engine cgins`. Voigt-Reuss nets of plane
    pictures or cells in space give a tensor between the two bounds with its uncertainty. All say
    when the cell is unlike those of the training.
    """
    from offline.homogenization.fields_file import check_fields_path, write_fields
    from offline.rve import read
    from offline.surrogates import ranges
    from offline.surrogates.dense.predict import DensePredictor
    from offline.surrogates.evaluation import load_predictor
    from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

    net = stiffness_network(weights, device)
    fields = {"--fields": fields_path, "--worst-stress": worst_path}
    if net is not None:
        refuse("this network predicts no fields", fields)
    if isinstance(net, PlaneSurrogate):
        predict_picture(
            net,
            weights.stem,
            rve_path,
            phases_path,
            reading_hints(hints),
            swap=swap,
            out=out,
            force=force,
            as_json=as_json,
            inputs=tuple(path for path in (phases_path, weights) if path is not None),
        )
        return
    refuse("is for plane networks", {"--swap": swap})
    if net is not None:
        predict_space(
            net,
            weights.stem,
            rve_path,
            phases_path,
            reading_hints(hints),
            out=out,
            force=force,
            as_json=as_json,
            weights=weights,
        )
        return
    if phases_path is None:
        raise ParameterError(
            "--phases is missing: the stiffness of each phase, see docs/phases.md."
        )
    for path in filter(None, (out, fields_path)):
        check_writable(path, force)
    if worst_path is not None:
        check_picture(worst_path, force)
    if fields_path is not None:
        check_fields_path(fields_path)
    rve = read(rve_path, **reading_hints(hints))
    laws = matnet.phases.read_phases(phases_path, rve.phase_names)
    stiffnesses = np.array([laws[name].stiffness for name in rve.phase_names])
    predictor = load_predictor(weights, device)
    reason = predictor.misfit(rve)
    if reason is not None:
        raise ParameterError(f"weights '{predictor.name}' do not fit {rve_path}: {reason}.")
    record = origin(rve_path, phases_path, weights)
    began = time.perf_counter()
    if isinstance(predictor, DensePredictor) and predictor.says_stiffness_only:
        refuse("this network predicts no fields", fields)
        displacement = residual = None
        stiffness = predictor.stiffness([(rve, stiffnesses)])[0]
        seconds = time.perf_counter() - began
    else:
        displacement = predictor.predict([(rve, stiffnesses)])[0]
        seconds = time.perf_counter() - began
        stiffness, residual = energy_form(rve, stiffnesses, displacement)
    answer = as_dict(stiffness, residual, seconds, record)
    answer["outside"] = ranges.outside(predictor.card, rve, stiffnesses)
    if worst_path is not None and displacement is not None:
        answer["worst_stress"] = worst_stress_of(rve, stiffnesses, displacement, worst_path)
    if fields_path is not None and displacement is not None:
        write_fields(fields_path, rve, stiffnesses, displacement, record)
    if out is not None:
        with whole_file(out) as beside:
            beside.write_text(json.dumps(answer, indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(answer)
        return
    rows = [
        (name, *(f"{x:.5g}" for x in row))
        for name, row in zip(COMPONENTS, answer["stiffness"], strict=True)
    ]
    print_table(
        "Predicted stiffness, Mandel (unit: as the phases' moduli)", ("", *COMPONENTS), rows
    )
    facts = [(name, f"{value:.5g}") for name, value in (answer["moduli"] or {}).items()]
    if residual is not None:
        facts.append(("largest residual", f"{max(residual):.1e}"))
    facts.append(("time", f"{seconds:.2f} s"))
    print_table("Moduli", ("", "value"), facts)
    print_worst(answer)
    print_outside(answer["outside"], "cell")


def energy_form(
    rve: Rve, stiffnesses: np.ndarray, displacement: np.ndarray
) -> tuple[np.ndarray, list[float]]:
    """C^H (6, 6) of a displacement and its residuals (6) in the cell with plain void."""
    from offline.homogenization import CellSolver
    from offline.surrogates.evaluation.system import CellSystem

    solver = CellSolver(rve, void=~stiffnesses.any(axis=(1, 2)))
    system = CellSystem(solver.with_stiffness(stiffnesses))
    u = solver.pack(displacement)
    return system.stiffness(u), system.residual(u).tolist()


def as_dict(
    stiffness: np.ndarray, residual: list[float] | None, seconds: float, record: dict[str, str]
) -> dict[str, Any]:
    """The prediction for machines; a network that says C^H directly has no residual."""
    return {
        "order": list(COMPONENTS),
        "scaling": "mandel",
        "stiffness": stiffness.tolist(),
        "residual": residual,
        "moduli": moduli(stiffness),
        "seconds": seconds,
        "record": record,
    }
