"""A folder of designs: cells for the other verbs, their numbers, a sheet of pictures."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from matnet.elasticity import isotropic
from matnet.errors import MissingExtraError, ParameterError
from offline.design.design import Design, Designs
from offline.design.difference import difference
from offline.design.objective import Objective
from offline.rve import Rve, write
from offline.surrogates.voigt_reuss.estimates import plane_moduli
from offline.surrogates.voigt_reuss.plane_strain import plane_strain_stiffness

__all__ = ["as_dict", "cell_of", "check_folder", "phase_names", "phases_text", "write_designs"]

OURS = ("design_*.npz", "designs.json", "designs.png", "phases.toml")
ISOTROPIC = 1e-6
COLUMNS = 4
INK, COLOURS = "#1f2d3d", ("#c8553d", "#2a7f9e", "#8a6fae", "#5b8c5a", "#d19a2a", "#7a6a5a")


def phase_names(phases: Any) -> tuple[str, str]:
    """``stiff`` and ``soft`` in the order of the phases (2, 3, 3)."""
    sizes = np.linalg.norm(np.asarray(phases, dtype=float), axis=(1, 2))
    return ("stiff", "soft") if sizes[0] >= sizes[1] else ("soft", "stiff")


def cell_of(one: Design, phases: Any, source: str = "") -> Rve:
    """The design as a cell one voxel thick."""
    return Rve(phases=one.picture[:, :, None], phase_names=phase_names(phases), source=source)


def phases_text(phases: Any) -> str | None:
    """``phases.toml`` of two phases (2, 3, 3), or None if one is not isotropic in the plane.

    A plane stiffness of isotropic solids fixes both moduli: K = k - G / 3.
    """
    lines = []
    for name, c in zip(phase_names(phases), np.asarray(phases, dtype=float), strict=True):
        k, G = (float(x) for x in plane_moduli(c))
        K = k - G / 3.0
        if K <= 0.0 or G <= 0.0:
            return None
        E, nu = 9.0 * K * G / (3.0 * K + G), (3.0 * K - 2.0 * G) / (6.0 * K + 2.0 * G)
        missed = np.linalg.norm(plane_strain_stiffness(isotropic(E=E, nu=nu)) - c)
        if missed > ISOTROPIC * np.linalg.norm(c):
            return None
        lines.append(f'[{name}]\nlaw = "elastic"\nE = {E:.10g}\nnu = {nu:.10g}\n')
    return "\n".join(lines)


def as_dict(found: Designs, objective: Objective, record: dict[str, str]) -> dict[str, Any]:
    """Everything for machines."""
    pictures = [one.picture for one in found.designs]
    target = objective.targets[0].stiffness.tolist() if objective.targets else None
    return {
        "order": ["11", "22", "12"],
        "scaling": "mandel",
        "plane": "strain",
        "phases": dict(zip(phase_names(found.phases), found.phases.tolist(), strict=True)),
        "terms": [{"label": t.label, "weight": t.weight} for t in objective.terms],
        "target": target,
        "starts": len(found.starts.objective),
        "starts_that_keep_the_limits": found.kept,
        "designs": [_one(number, one) for number, one in enumerate(found.designs, 1)],
        "difference": [[difference(a, b) for b in pictures] for a in pictures],
        "record": record,
    }


def check_folder(folder: Path, force: bool) -> None:
    """Refuse an output folder before any work is done.

    Raises
    ------
    ParameterError
        It is a file, its parent is missing or read-only, or it holds something and `force` is
        False.
    """
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: is a file, expected a folder to write.")
    if not folder.parent.is_dir():
        raise ParameterError(f"{folder}: folder '{folder.parent}' does not exist. Create it first.")
    try:
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as wrong:
        raise ParameterError(
            f"{folder}: cannot write into '{folder.parent}' ({wrong.strerror})."
        ) from None
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise ParameterError(
            f"{folder}: is not empty. Choose another folder, or pass --force to replace the "
            "designs in it."
        )


def write_designs(
    folder: str | Path,
    found: Designs,
    objective: Objective,
    record: dict[str, str],
    force: bool = False,
) -> list[Path]:
    """Write cells, ``designs.json``, ``designs.png`` and ``phases.toml``; returns their paths.

    All is made beside the folder and moved in at the end. Files of earlier designs are replaced
    with `force`, others in the folder stay.
    """
    target = Path(folder)
    check_folder(target, force)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
        work = Path(beside)
        for number, one in enumerate(found.designs, 1):
            write(work / _name(number), cell_of(one, found.phases, record.get("command", "")))
        text = json.dumps(as_dict(found, objective, record), indent=1, allow_nan=False)
        (work / "designs.json").write_text(text + "\n", encoding="utf-8")
        laws = phases_text(found.phases)
        if laws is not None:
            (work / "phases.toml").write_text(laws, encoding="utf-8")
        draw(found, objective, work / "designs.png", record)
        target.mkdir(exist_ok=True)
        for pattern in OURS:
            for old in target.glob(pattern):
                old.unlink()
        written = [target / path.name for path in sorted(work.iterdir())]
        for path in written:
            shutil.move(work / path.name, path)
    return written


def draw(found: Designs, objective: Objective, path: Path, record: dict[str, str]) -> None:
    """Directional moduli, and every cell twice by twice with its true objective."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError(
            "the picture of the designs needs matplotlib. Install it with: "
            "pip install 'matnet[offline]'"
        ) from None
    panels = len(found.designs) + 1
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(2.6 * columns, 3.1 * rows), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    _polar(figure.add_subplot(rows, columns, 1, projection="polar"), found, objective)
    for number, one in enumerate(found.designs, 1):
        ax = figure.add_subplot(rows, columns, number + 1)
        stiff = one.picture == phase_names(found.phases).index("stiff")
        tiled = np.tile(stiff, (2, 2)).T  # axis 1 to the right, axis 2 up
        ax.imshow(tiled, origin="lower", cmap="Greys", vmin=-0.15, vmax=1.25, extent=(0, 2, 0, 2))
        ax.plot([0, 1, 1], [1, 1, 0], color=COLOURS[(number - 1) % len(COLOURS)], lw=1.2)
        ax.set(xticks=[], yticks=[], xlabel="$x_1$", ylabel="$x_2$")
        ax.set_title(f"{number}: {headline(one, objective)}", fontsize=8)
    text = "; ".join(f"{key}: {value}" for key, value in record.items())
    figure.savefig(path, metadata={"Description": text})


def headline(one: Design, objective: Objective) -> str:
    """The true result in a few words."""
    if objective.targets:
        words = f"true error {100.0 * one.values['target']:.2f} %"
    else:
        words = ", ".join(f"{_short(label)} {value:.4g}" for label, value in one.values.items())
    return (
        f"{words}\npredicted within {100.0 * one.surrogate_error:.1f} %, $c_0$ {one.verdict.c0:.3f}"
    )


def _polar(ax: Any, found: Designs, objective: Objective) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 361)
    for number, one in enumerate(found.designs):
        colour = COLOURS[number % len(COLOURS)]
        ax.plot(angle, _youngs(one.stiffness, angle), color=colour, lw=1.0)
    for target in objective.targets:
        ax.plot(angle, _youngs(target.stiffness, angle), color=INK, lw=1.6, ls="--")
    ax.tick_params(labelsize=6)
    dashed = ", target dashed" if objective.targets else ""
    ax.set_title(rf"$E(\theta)$, plane strain{dashed}", fontsize=8)


def _youngs(stiffness: np.ndarray, angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    d = np.stack([c * c, s * s, np.sqrt(2.0) * c * s])
    return np.asarray(1.0 / np.einsum("an,ab,bn->n", d, np.linalg.inv(stiffness), d))


def _one(number: int, one: Design) -> dict[str, Any]:
    return {
        "file": _name(number),
        "objective": one.objective,
        "predicted_objective": one.predicted_objective,
        "unpolished_objective": one.unpolished,
        "values": one.values,
        "stiffness": one.stiffness.tolist(),
        "predicted_stiffness": one.predicted.tolist(),
        "surrogate_error": one.surrogate_error,
        "c0": one.verdict.c0,
        "percolates": [list(along) for along in one.verdict.percolates],
        "feature_size": list(one.verdict.feature),
        "within_bounds": one.within_bounds,
        "refined_change": one.refined_change,
        "amplitudes": one.amplitudes.tolist(),
    }


def _name(number: int) -> str:
    return f"design_{number:02d}.npz"


def _short(label: str) -> str:
    return label.split(" ", 1)[-1].split("=")[0]
