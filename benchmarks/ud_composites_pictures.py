"""Pictures of `ud_composites.py`, from its JSON alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file

COLOURS = {"ud1": "#1f5fa8", "ud2": "#c8102e", "ud3": "#2e8b57"}
KINDS = {"imn": ("o", "-"), "dmn": ("s", "--")}
Rows = list[dict[str, Any]]


def draw_all(result: dict[str, Any], folder: Path) -> None:
    """All pictures of the page; one whose figures were not run is left out."""
    pictures: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
        "ud_accuracy": ("table", accuracy),
        "ud_curves": ("selected", curves),
        "ud_solvers": ("solver", solvers),
        "ud_effects": ("adam", effects),
        "ud_cost": ("table", cost),
    }
    for name, (needed, draw) in pictures.items():
        if not result[needed]:
            continue
        figure = draw(result)
        with whole_file(folder / f"{name}.png") as beside:
            figure.savefig(beside, dpi=110)


def _figure(columns: int, rows: int = 1, size: tuple[float, float] = (4.2, 3.4)) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, np.ravel(figure.subplots(rows, columns))


def _spread(
    ax: Any, rows: Rows, x: str, y: Callable[[Any], float], shift: float = 0.0, **style: Any
) -> None:
    """Mean over seeds with the standard deviation as bars."""
    xs = sorted({row[x] for row in rows})
    groups = [[y(row) for row in rows if row[x] == value] for value in xs]
    if not xs:
        return
    bars = [np.std(group, ddof=1) if len(group) > 1 else 0.0 for group in groups]
    ax.errorbar(
        np.array(xs) + shift, [np.mean(group) for group in groups], bars, capsize=3, **style
    )


def _own(rows: Rows, **wanted: Any) -> Rows:
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def accuracy(result: dict[str, Any]) -> Any:
    """Stress errors over depth, both packings, and the elastic errors."""
    packings = [p for p in result["packings"] if _own(result["table"], packing=p)]
    figure, axes = _figure(len(packings) + 1)
    for ax, packing in zip(axes, packings, strict=False):
        for composite, colour in COLOURS.items():
            for kind, (marker, line) in KINDS.items():
                own = _own(result["table"], packing=packing, composite=composite, kind=kind)
                label = f"{composite[2:]}, {kind.upper()}"
                style = {"color": colour, "marker": marker, "ls": line, "label": label}
                style["shift"] = 0.05 * (int(composite[2:]) - 2) + (0.15 if kind == "dmn" else 0.0)
                _spread(ax, own, "depth", lambda row: 100 * row["e_sigma"], **style)
        for depth, error, colour in _best(result) if packing == "hexagonal" else []:
            ax.plot(depth, error, "*", color=colour, ms=12, mec="black", zorder=9)
        ax.set(title=f"{packing} packing", xlabel="depth", ylabel="$e_\\sigma$ [%]")
        ax.set_ylim(bottom=0.0)
    axes[0].legend(title="composite", fontsize=8, ncol=2)
    ax = axes[-1]
    for packing, colour in zip(packings, ("black", "#b06000"), strict=False):
        for kind, (marker, line) in KINDS.items():
            own = _own(result["table"], packing=packing, composite="ud1", kind=kind)
            label = f"{packing}, {kind.upper()}"
            style = {"color": colour, "marker": marker, "ls": line, "label": label}
            _spread(ax, own, "depth", lambda row: 100 * row["elastic_error"], **style)
    ax.set(title="unseen labels", xlabel="depth", ylabel="elastic error [%]")
    ax.set_ylim(bottom=0.0)
    ax.legend(fontsize=8)
    _whole_depths(axes)
    return figure


def _best(result: dict[str, Any]) -> Iterable[tuple[float, float, str]]:
    """Depth, mean error of the refined networks, colour: stars."""
    for composite, colour in COLOURS.items():
        found = _own(result["selected"], composite=composite)
        if found:
            error = 100 * np.mean([row["refined"]["e_sigma"] for row in found])
            yield found[0]["depth"], error, colour


def _whole_depths(axes: Iterable[Any]) -> None:
    for ax in axes:
        ax.set_xticks([4, 5, 6, 7, 8])
        ax.set_xlim(3.7, 8.3)


def curves(result: dict[str, Any]) -> Any:
    """Stresses of cell and refined network along the six loadings."""
    figure, axes = _figure(3, 2)
    for composite, colour in COLOURS.items():
        found = [row for row in _own(result["selected"], composite=composite) if "curves" in row]
        for ax, curve in zip(axes, found[0]["curves"] if found else [], strict=False):
            factor = 2.0 if curve["component"] not in ("11", "22", "33") else 1.0
            strain = 100.0 * factor * np.array(curve["strain"])
            ax.plot(strain, 1e3 * np.array(curve["cell"]), ".", color=colour, ms=5)
            label = f"composite {composite[2:]}"
            ax.plot(strain, 1e3 * np.array(curve["network"]), color=colour, label=label)
            symbol = "\\gamma" if factor == 2.0 else "\\varepsilon"
            ax.set(title=curve["path"], xlabel=f"${symbol}_{{{curve['component']}}}$ [%]")
            ax.set_ylabel(f"$\\sigma_{{{curve['component']}}}$ [MPa]")
    axes[0].legend(fontsize=8, title="dots: cell, lines: network")
    return figure


def solvers(result: dict[str, Any]) -> Any:
    """Iterations and time of the document's algorithms over depth."""
    figure, axes = _figure(2)
    styles = {
        "dense-newton": ("#1f5fa8", "o", "IMN, dense Newton"),
        "fixed-point": ("#7fb0e0", "o", "IMN, fixed point"),
        "dmn": ("#c8102e", "s", "DMN, with residual stress"),
        "dmn-no-residual": ("#f0a0a0", "s", "DMN, without"),
        "tree-newton": ("black", "^", "compiled tree Newton"),
    }
    measures = (("iterations", 1.0, "iterations per increment"), ("seconds", 1e3, "CPU ms"))
    for ax, (key, scale, label) in zip(axes, measures, strict=True):
        for solver, (colour, marker, name) in styles.items():
            own = _own(result["solver"], solver=solver)
            style = {"color": colour, "marker": marker, "label": name}
            _spread(ax, own, "depth", lambda row, k=key, s=scale: s * row[k], **style)
        ax.set(xlabel="depth", ylabel=label)
    axes[1].set(yscale="log", ylabel="CPU ms per point and increment")
    axes[0].set_ylim(0.0, 1.6 * axes[0].get_ylim()[1])
    axes[0].legend(fontsize=8, loc="upper left")
    _whole_depths(axes)
    return figure


def effects(result: dict[str, Any]) -> Any:
    """What the document's training choices do to the stress error."""
    figure, axes = _figure(4, size=(3.7, 3.4))
    options = result["options"]["adam"]
    usual = {"samples": 400, "batch": options["batch"]}
    adam = [row for row in result["adam"] if row["eta"] == row["xi"] == 1.0]
    for composite, colour in COLOURS.items():

        def stress(row: dict[str, Any], name: str = composite) -> float:
            return float(100 * row["composites"][name]["e_sigma"])

        style = {"color": colour, "marker": "o"}
        label = f"composite {composite[2:]}"
        for samples, dash in ((400, "-"), (1024, "--"), (2048, ":")):
            own = _own(adam, samples=samples)
            told = f"{samples} labels" if composite == "ud1" else None
            _spread(axes[0], own, "batch", stress, **style, ls=dash, label=told)
        for ax, key, other in ((axes[1], "eta", "xi"), (axes[2], "xi", "eta")):
            own = _own(result["adam"], **usual, **{other: 1.0})
            _spread(ax, own, key, stress, **style, label=label)
        own = _own(result["samples"], composite=composite)
        _spread(axes[3], own, "samples", lambda row: 100 * row["e_sigma"], **style, label=label)
    axes[0].set(title="Adam", xlabel="batch size", ylabel="$e_\\sigma$ [%]")
    axes[1].set(title="Adam, $\\xi = 1$", xlabel="$\\eta$", xscale="log")
    axes[2].set(title="Adam, $\\eta = 1$", xlabel="$\\xi$", xscale="log")
    axes[3].set(title="Levenberg-Marquardt", xlabel="labels for training")
    for ax in axes[:2]:
        if ax.has_data():
            ax.legend(fontsize=8)
    for ax in axes:
        ax.set_ylim(bottom=0.0)
    return figure


def cost(result: dict[str, Any]) -> Any:
    """Training time, time of an epoch of Adam, and of an increment, over depth."""
    figure, axes = _figure(3)
    own = _own(result["table"], composite="ud1", packing="hexagonal")
    for kind, (marker, line) in KINDS.items():
        style = {"color": "black", "marker": marker, "ls": line, "label": kind.upper()}
        rows = _own(own, kind=kind)
        _spread(axes[0], rows, "depth", lambda row: row["training"]["cpu_seconds"], **style)
        epochs = _own(result["times"], kind=kind)
        _spread(axes[1], epochs, "depth", lambda row: row["cpu_seconds_per_epoch"], **style)
        _spread(axes[2], rows, "depth", lambda row: 1e6 * row["online_seconds"], **style)
    axes[0].set(title="Levenberg-Marquardt", ylabel="whole fit [CPU s]")
    axes[1].set(title="Adam, 400 labels", ylabel="one epoch [CPU s]")
    axes[2].set(title="online, one point", ylabel="one increment [CPU µs]")
    for ax in axes:
        ax.set_xlabel("depth")
        ax.set_ylim(bottom=0.0)
    axes[0].legend()
    _whole_depths(axes)
    return figure
