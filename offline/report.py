"""The picture that goes with a fitted network: what went in, how it trained, how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.atomic import whole_file
from matnet.mandel import COMPONENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from offline.fit import FitResult

__all__ = [
    "plot_candidates",
    "plot_errors",
    "plot_history",
    "plot_judged_paths",
    "plot_parity",
    "plot_weights",
    "write_report",
]

INK, ACCENT, GREY = "#1f2d3d", "#c8553d", "#9aa5b1"


def _axes(ax: Axes | None) -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots()[1] if ax is None else ax


def plot_history(result: FitResult, ax: Axes | None = None) -> Axes:
    """Training loss and validation error against iterations, of every start."""
    ax = _axes(ax)
    history = result.training.history
    steps = np.arange(1, len(history.loss) + 1)
    ax.semilogy(steps, 100 * np.asarray(history.training), color=GREY, label="training")
    ax.semilogy(steps, 100 * np.asarray(history.validation), color=ACCENT, label="validation")
    ax.set(xlabel="iteration", ylabel=r"mean $\delta_C$ [%]", title="Training")
    ax.legend(frameon=False)
    return ax


def plot_parity(result: FitResult, ax: Axes | None = None) -> Axes:
    """Entries of C^H by the network against the labels', each sample scaled by its norm."""
    ax = _axes(ax)
    index = result.training.validation_indices
    true = result.labels.effective[index]
    ours = result.network.homogenize(result.labels.phase_stiffness[index])
    scale = np.linalg.norm(true, axis=(1, 2))[:, None, None]
    for rows, cols, colour, name in (
        (slice(0, 3), slice(0, 3), INK, "normal"),
        (slice(3, 6), slice(3, 6), ACCENT, "shear"),
        (slice(0, 3), slice(3, 6), GREY, "coupling"),
    ):
        x, y = (true / scale)[:, rows, cols].ravel(), (ours / scale)[:, rows, cols].ravel()
        ax.plot(x, y, ".", ms=3, alpha=0.5, color=colour, label=name, zorder=2)
    low, high = ax.get_xlim()
    ax.plot([low, high], [low, high], color="black", lw=0.7, zorder=1)
    ax.set(
        xlabel=r"homogenised $C^H_{ij} / \|C^H\|$",
        ylabel=r"network $\hat{C}_{ij} / \|C^H\|$",
        title="Parity on validation samples",
    )
    ax.legend(frameon=False, markerscale=3)
    return ax


def plot_errors(result: FitResult, ax: Axes | None = None) -> Axes:
    """Distribution of the relative error of C^H over the validation samples."""
    ax = _axes(ax)
    index = result.training.validation_indices
    true = result.labels.effective[index]
    ours = result.network.homogenize(result.labels.phase_stiffness[index])
    error = np.linalg.norm(ours - true, axis=(1, 2)) / np.linalg.norm(true, axis=(1, 2))
    ax.hist(100 * error, bins=25, color=INK)
    ax.axvline(100 * error.mean(), color=ACCENT, label=f"mean {100 * error.mean():.2f} %")
    ax.axvline(100 * error.max(), color=GREY, label=f"worst {100 * error.max():.2f} %")
    ax.set(xlabel=r"$\delta_C$ [%]", ylabel="samples", title="Validation error")
    ax.legend(frameon=False)
    return ax


def plot_weights(result: FitResult, ax: Axes | None = None) -> Axes:
    """Weights of the active base nodes by phase, largest first."""
    ax = _axes(ax)
    network = result.network
    colours = (GREY, INK, ACCENT, "#4f8a8b", "#e3b23c")
    for phase, name in enumerate(network.phase_names):
        weights = np.sort(network.weights[network.base_phase == phase])[::-1]
        label = f"{name}: {len(weights)} nodes, {100 * weights.sum():.1f} %"
        style: dict[str, Any] = {"color": colours[phase % len(colours)], "lw": 1.5}
        ax.step(np.arange(1, len(weights) + 1), weights, where="mid", label=label, **style)
    ax.set(xlabel="base node", ylabel="weight", yscale="log", title="Base nodes")
    ax.legend(frameon=False)
    return ax


def plot_candidates(result: FitResult, ax: Axes | None = None) -> Axes:
    """Elastic and stress error of all networks that were judged, the chosen one marked."""
    ax = _axes(ax)
    judged = [c for c in result.training.candidates if np.isfinite(c.mean)]
    looks: tuple[tuple[bool, dict[str, Any]], ...] = (
        (False, {"ms": 3, "color": GREY}),
        (True, {"ms": 6, "color": INK}),
    )
    for end, style in looks:
        group = [c for c in judged if c.at_end == end]
        x, y = [100 * c.elastic for c in group], [100 * c.mean for c in group]
        ax.plot(x, y, "o", label="end of a fit" if end else "on the way", **style)
    chosen = result.training.chosen
    if chosen is not None:
        ax.plot(100 * chosen.elastic, 100 * chosen.mean, "D", ms=9, color=ACCENT, label="chosen")
    ax.set(
        xlabel=r"mean $\delta_C$ [%]",
        ylabel=r"mean stress error on the judge's paths [%]",
        title="Judged networks",
        xscale="log",
        yscale="log",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
        axis.set_tick_params(which="minor", labelsize=7)
    ax.legend(frameon=False)
    return ax


def plot_judged_paths(result: FitResult, ax: Axes | None = None) -> Axes:
    """Error of the chosen network along each path of the judge."""
    ax = _axes(ax)
    chosen, judge = result.training.chosen, result.judge
    if chosen is None or judge is None:
        return ax
    errors = 100 * np.asarray(chosen.inelastic)
    places = np.arange(len(errors))[::-1]
    ax.barh(places, errors, color=INK)
    ax.axvline(100 * chosen.mean, color=ACCENT, label=f"mean {100 * chosen.mean:.2f} %")
    ax.set_yticks(places, judge.names, fontsize=8)
    ax.set(xlabel="stress error of the chosen network [%]", title="Inelastic paths")
    ax.legend(frameon=False)
    return ax


def write_report(path: Path, result: FitResult) -> None:
    """Draw cell, training, parity, weights, errors and what the judge said into one PNG."""
    from matplotlib.figure import Figure

    from offline.rve.draw import draw

    columns = 4 if result.training.chosen is not None else 3
    figure = Figure(figsize=(5 * columns, 9), layout="constrained")
    axes = figure.subplots(2, columns)
    if columns == 4:
        plot_candidates(result, axes[0, 3])
        plot_judged_paths(result, axes[1, 3])
    draw(result.rve, ax=axes[0, 0])
    axes[0, 0].set_title(str(result.rve), fontsize=9)
    plot_history(result, axes[0, 1])
    plot_parity(result, axes[0, 2])
    plot_weights(result, axes[1, 0])
    plot_errors(result, axes[1, 1])
    plot_entries(result, axes[1, 2])
    card = result.network.card
    figure.suptitle(
        f"{result.network}\nmean error of $C^H$ {100 * card['elastic_error_mean']:.2f} %, "
        f"worst {100 * card['elastic_error_worst']:.2f} % on "
        f"{len(result.training.validation_indices)} unseen samples"
    )
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=110, metadata={"Software": "matnet"})


def plot_entries(result: FitResult, ax: Axes) -> None:
    """Where the error sits: mean |C_hat - C^H| per entry, relative to the norm of C^H."""
    index = result.training.validation_indices
    true = result.labels.effective[index]
    ours = result.network.homogenize(result.labels.phase_stiffness[index])
    scale = np.linalg.norm(true, axis=(1, 2))[:, None, None]
    mean = 100 * np.mean(np.abs(ours - true) / scale, axis=0)
    ax.imshow(mean, cmap="Greys", vmin=0.0)
    for i in range(6):
        for j in range(6):
            dark = mean[i, j] > 0.6 * mean.max()
            ax.text(
                j,
                i,
                f"{mean[i, j]:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    ax.set_xticks(range(6), COMPONENTS)
    ax.set_yticks(range(6), COMPONENTS)
    ax.set_title(r"Mean error by entry [% of $\|C^H\|$]")
