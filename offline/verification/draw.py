"""Curves of simulation and network side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.errors import MissingExtraError
from matnet.mandel import COMPONENTS
from offline.verification.compare import PathVerdict, tensor

if TYPE_CHECKING:
    from offline.verification.verdict import Verdict

__all__ = ["draw_path", "draw_verdict"]

INK, COLOURS = "#1f2d3d", ("#c8553d", "#2a7f9e", "#8a6fae")
DOTS = 24  # of the simulation, so that the network's line stays visible
COLUMNS = 4
DOTTED: dict[str, Any] = {"marker": "o", "ms": 3.5, "mfc": "none", "lw": 0.7, "ls": ":"}


def draw_path(verdict: PathVerdict, ax: Any, unit: str, style: dict[str, Any]) -> Any:
    """One panel; see `PathVerdict.plot`."""
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    shown = verdict.driven
    over_steps = len(shown) > 1 or _rests(verdict)
    every = max(1, math.ceil(verdict.n_steps / DOTS))
    for place, index in enumerate(shown):
        colour = COLOURS[place % len(COLOURS)]
        ink = INK if len(shown) == 1 else colour
        for curve, look in (
            (verdict.reference, {**DOTTED, "color": ink, "markevery": every}),
            (verdict.network, {"lw": 1.6, "color": colour, **style}),
        ):
            is_network = curve is verdict.network
            x = _abscissa(curve.strain, index, over_steps)
            y = _ordinate(verdict, curve, index)
            label = "network" if is_network else "simulation"
            if len(shown) > 1:  # the figure's legend tells lines from dots
                label = COMPONENTS[index] if is_network else "_"
            order = 2 if is_network else 3
            ax.plot(x, y, **{"label": label, "zorder": order, **look})
    _label(verdict, ax, unit, over_steps)
    return ax


def _rests(verdict: PathVerdict) -> bool:
    """Whether the driven component is held most of the time, as in creep and relaxation."""
    values = verdict.path.target[:, COMPONENTS.index(verdict.path.driven)]
    return bool(np.count_nonzero(np.diff(values) == 0.0) > verdict.path.n_steps // 2)


def _abscissa(strain: np.ndarray, index: int, over_steps: bool) -> np.ndarray:
    if over_steps:
        return np.arange(len(strain))
    factor = 200.0 if index >= 3 else 100.0
    return factor * tensor(strain, index)


def _ordinate(verdict: PathVerdict, curve: Any, index: int) -> np.ndarray:
    if verdict.judged_by == "stress":
        return tensor(curve.stress, index)
    return 100.0 * tensor(curve.strain, index)


def _label(verdict: PathVerdict, ax: Any, unit: str, over_steps: bool) -> None:
    driven = [COMPONENTS[index] for index in verdict.driven]
    main = driven[0] if len(driven) == 1 else ""
    if over_steps:
        ax.set_xlabel("step")
    elif verdict.driven[0] >= 3:
        ax.set_xlabel(rf"shear $\gamma_{{{main}}}$ [%]")
    else:
        ax.set_xlabel(rf"strain $\varepsilon_{{{main}}}$ [%]")
    index = rf"_{{{main}}}" if main else ""
    if verdict.judged_by == "stress":
        ax.set_ylabel(rf"stress $\sigma{index}$ [{unit}]")
    else:
        ax.set_ylabel(rf"strain $\varepsilon{index}$ [%]")
    error = verdict.error
    share = f"{100 * error:.2f} %" if math.isfinite(error) else "-"
    cut = "" if not verdict.note else f", {verdict.n_steps} of {verdict.path.n_steps} steps"
    symbol = r"e_\sigma" if verdict.judged_by == "stress" else r"e_\varepsilon"
    ax.set_title(f"{verdict.path.name}\n${symbol}$ = {share}{cut}", fontsize="medium")
    if len(driven) > 1:
        ax.legend(frameon=False, fontsize="small")
    ax.margins(x=0.03)
    ax.grid(visible=True, alpha=0.3)


def draw_verdict(verdict: Verdict, unit: str) -> Any:
    """All paths; see `Verdict.plot`. The figure belongs to no window."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D
    except ModuleNotFoundError:
        raise MissingExtraError(
            "The figure needs matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    columns = min(COLUMNS, len(verdict.paths))
    rows = math.ceil(len(verdict.paths) / columns)
    figure = Figure(figsize=(3.3 * columns + 0.4, 2.9 * rows + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for path, ax in zip(verdict.paths, axes, strict=False):
        path.plot(ax, unit=unit)
    for ax in axes[len(verdict.paths) :]:
        ax.set_axis_off()
    figure.suptitle(_headline(verdict), fontsize="medium")
    handles = [
        Line2D([], [], color=INK, **DOTTED),
        Line2D([], [], lw=1.6, color=COLOURS[0]),
    ]
    cell = " x ".join(map(str, verdict.cell_shape))
    labels = [f"full-field simulation, {cell}", f"network, {verdict.network.n_base} base nodes"]
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _headline(verdict: Verdict) -> str:
    parts = [f"mean error {100 * verdict.mean:.2f} %", f"worst {100 * verdict.worst:.2f} %"]
    if verdict.e_sigma is not None:
        parts.insert(0, f"$e_\\sigma$ over the six loadings {100 * verdict.e_sigma:.2f} %")
    return ", ".join(parts)
