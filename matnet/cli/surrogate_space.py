"""`matnet surrogate evaluate` and `predict` for networks of cells in space."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import matnet
from matnet.atomic import whole_file
from matnet.cli.console import check_writable, print_json, print_table
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.homogenize import moduli
from matnet.cli.origin import origin
from matnet.cli.surrogate_pictures import print_outside
from matnet.elasticity import isotropic, isotropic_projection
from matnet.errors import ParameterError
from matnet.mandel import COMPONENTS

if TYPE_CHECKING:
    from offline.rve import Rve
    from offline.surrogates.voigt_reuss.space import SpaceSurrogate

__all__ = ["evaluate_space", "predict_space"]

REPORT = "evaluation.json"
ISOTROPIC = 1e-6  # relative distance up to which a stiffness counts as isotropic
EVEN = 1e-6  # relative difference between edges of a cube


def evaluate_space(
    net: SpaceSurrogate,
    name: str,
    *,
    cells: int,
    seed: int,
    resolution: int | None,
    out: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Judge a network on new cells, with labels by our own solver."""
    from offline.surrogates.evaluation.report import check_folder, whole_folder
    from offline.surrogates.voigt_reuss.space.judge import judge, unseen_cells

    if out is not None:
        check_folder(out, force=force, files=(REPORT,))
    with bars_on_stderr(quiet) as bars:
        bar = bars.add_task("labels", total=cells, note="")
        trained = net.facts.get("data") or {}
        side = resolution or int(trained.get("resolution", net.config.resolution))
        truth = unseen_cells(
            cells, seed, resolution=side, progress=lambda done: bars.update(bar, completed=done)
        )
    found = judge(net, truth)
    answer = {**found.as_dict(), "seed": seed, "resolution": side, "record": origin()}
    if out is not None:
        with whole_folder(out) as beside:
            text = json.dumps(answer, indent=1, allow_nan=False) + "\n"
            (beside / REPORT).write_text(text, encoding="utf-8")
    if as_json:
        print_json(answer)
        return
    rows = []
    for title, one in {name: found.network, **found.references}.items():
        numbers = one.as_dict()
        errors = (100.0 * numbers[f"{kind}_error"] for kind in ("median", "mean"))
        wanted = ("isotropic", "anisotropic", "couplings")
        r2 = (f"{one.r2_parts[part]:.3f}" for part in wanted)
        counts = map(str, one.violations.values())
        rows.append((title, *(f"{e:.2f}" for e in errors), *counts, *r2))
    print_table(
        f"{cells} unseen cells: errors of C [%], cells beyond the bounds, R2 of parts of C",
        ("", "median", "mean", "Voigt", "Reuss", "not definite", *wanted),
        rows,
    )
    facts = [
        ("spread, median", f"{100 * np.median(found.spread):.2g} %"),
        ("rank correlation of spread and error", f"{found.spearman:.3f}"),
    ]
    if found.outside is not None:
        facts.append(("cells outside the training range", str(found.outside)))
    if out is not None:
        facts.append(("written", str(out / REPORT)))
    print_table("Uncertainty", ("", "value"), facts)


def predict_space(
    net: SpaceSurrogate,
    name: str,
    path: Path,
    phases: Path | None,
    hints: dict[str, Any],
    *,
    out: Path | None,
    force: bool,
    as_json: bool,
    weights: Path,
) -> None:
    """Predict the stiffness of one cell with its uncertainty, and say if it is unusual."""
    from offline.rve import read

    if phases is None:
        raise ParameterError(
            "--phases is missing: the stiffness of each phase, see docs/phases.md."
        )
    if out is not None:
        check_writable(out, force)
    rve = read(path, **hints)
    _check(path, rve)
    values = _moduli(phases, rve.phase_names)
    image = (rve.phases == 1).astype(np.uint8)[None]
    began = time.perf_counter()
    found = net.predict_spread(image, *values)
    seconds = time.perf_counter() - began
    reason = net.outside(image, *values)[0]
    c, deviation = found.stiffness[0], found.deviation[0]
    answer = {
        "order": list(COMPONENTS),
        "scaling": "mandel",
        "stiffness": c.tolist(),
        "deviation": deviation.tolist(),
        "spread": float(found.spread[0]),
        "volume_fraction": float(1.0 - image.mean()),
        "moduli": moduli(c),
        "inside_training": None if net.seen is None else reason is None,
        "outside": [] if reason is None else [reason],
        "weights": name,
        "seconds": seconds,
        "record": origin(path, phases, weights),
    }
    if out is not None:
        with whole_file(out) as beside:
            beside.write_text(json.dumps(answer, indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(answer)
        return
    rows = [
        (one, *(f"{x:.4g} ± {d:.1g}" for x, d in zip(*pair, strict=True)))
        for one, *pair in zip(COMPONENTS, c, deviation, strict=True)
    ]
    print_table("Predicted stiffness, Mandel", ("", *COMPONENTS), rows)
    facts = [(key, f"{value:.5g}") for key, value in (answer["moduli"] or {}).items()]
    facts.append(("volume fraction of phase 0", f"{100 * answer['volume_fraction']:.2f} %"))
    facts.append(("spread", f"{100 * answer['spread']:.2g} %"))
    facts.append(("time", f"{seconds:.2f} s"))
    print_table("Moduli", ("", "value"), facts)
    print_outside(answer["outside"], "cell")


def _check(path: Path, rve: Rve) -> None:
    """Only cubes with as many voxels along each axis, and two phases."""
    edge = float(np.linalg.norm(rve.cell[0]))
    if len(rve.phase_names) != 2 or rve.density is not None:
        raise ParameterError(
            f"{path}: {len(rve.phase_names)} phases or a density, expected two phases. Grey values "
            "are cut with --threshold."
        )
    square = np.abs(rve.cell @ rve.cell.T - edge**2 * np.eye(3)).max() <= EVEN * edge**2
    if len(set(rve.shape)) > 1 or not square:
        raise ParameterError(
            f"{path}: has {' x '.join(map(str, rve.shape))} voxels in a cell with edges "
            f"{', '.join(f'{np.linalg.norm(row):g}' for row in rve.cell)}, expected a cube of "
            "cubic voxels."
        )


def _moduli(path: Path, names: tuple[str, ...]) -> list[float]:
    """K1, G1, K2, G2 of the laws in a file."""
    laws = matnet.phases.read_phases(path, names)
    values = []
    for name in names:
        c = laws[name].stiffness
        if not c.any():
            raise ParameterError(
                f"{path}: phase '{name}' is void, expected two phases with stiffness. Give it a "
                "small one, at least a hundredth of the other's."
            )
        K, G = isotropic_projection(c)
        if np.linalg.norm(c - isotropic(K=K, G=G)) > ISOTROPIC * np.linalg.norm(c):
            raise ParameterError(f"{path}: phase '{name}' is not isotropic, and has to be.")
        values += [K, G]
    return values
