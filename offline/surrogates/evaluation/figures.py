"""Pictures of an evaluation: the documents' figures 2, 3 and 8 in our own form."""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import MissingExtraError
from offline.surrogates.evaluation.evaluate import Evaluation

__all__ = ["convergence", "figure", "histograms", "projection"]

PREDICTED, ZERO, LINE = "#1b6ca8", "#b05a2c", "#888888"
SMALLEST = 1e-16  # of what logarithmic axes show


def histograms(result: Evaluation) -> Any:
    """How errors of C^H and residuals are distributed, and errors over the volume fraction."""
    fig = figure(10.5, 3.4)
    left, middle, right = fig.subplots(1, 3)
    for ax, metric, label in (
        (left, "delta", r"$\delta_C$"),
        (middle, "residual", r"$\Vert K u - f \Vert \,/\, \Vert f \Vert$"),
    ):
        values = np.maximum(result.values(metric), SMALLEST)
        low, high = np.floor(np.log10(values.min())), np.floor(np.log10(values.max())) + 1.0
        ax.hist(values, bins=list(np.logspace(low, high, 22)), color=PREDICTED)
        ax.axvline(values.mean(), color=ZERO, label=f"mean {values.mean():.2g}")
        ax.set(xscale="log", xlabel=f"{label} [-]", ylabel="cells")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    right.scatter(
        100.0 * result.values("volume_fraction"), result.values("delta"), s=12, color=PREDICTED
    )
    right.axhline(0.01, color=LINE, ls=":", label="1 %")
    right.set(yscale="log", xlabel="volume fraction [%]", ylabel=r"$\delta_C$ [-]")
    right.legend()
    return fig


def convergence(result: Evaluation) -> Any:
    """Residual and error of C^H along Jacobi-PCG, from zero and from the prediction (figure 2)."""
    fig = figure(9.0, 3.6)
    left, right = fig.subplots(1, 2)
    h = result.history
    for ax, zero, found, label in (
        (left, h.residual_zero, h.residual, "largest residual of six loads [-]"),
        (right, h.delta_zero, h.delta, r"$\delta_C$, soft material included [-]"),
    ):
        ax.semilogy(np.maximum(zero, SMALLEST), color=ZERO, label="from zero")
        ax.semilogy(np.maximum(found, SMALLEST), color=PREDICTED, label="from the prediction")
        ax.set(xlabel="Jacobi-PCG steps", ylabel=label)
        ax.grid(alpha=0.3)
    left.axhline(1e-3, color=LINE, ls=":")
    right.axhline(1e-2, color=LINE, ls=":")
    left.legend()
    cell = result.shown
    fig.suptitle(
        f"{cell.name}, {100 * cell.volume_fraction:.0f} % solid, {cell.dofs} unknowns "
        f"(the cell with the median error); prediction with {result.steps} steps inside",
        fontsize=10,
    )
    return fig


def projection(result: Evaluation) -> Any:
    """Projection energy of the prediction over that of zero, and steps to 1e-3 (figure 3)."""
    fig = figure(9.0, 3.6)
    left, right = fig.subplots(1, 2)
    order = np.argsort(result.values("projection"))
    full = np.maximum(result.values("projection")[order], SMALLEST)
    left.semilogy(full, ".", color=PREDICTED, label="prediction, all modes")
    for metric, colour, label in (
        ("projection_low", "k", "prediction, 20 lowest modes"),
        ("projection_low_zero", LINE, "zero start, 20 lowest modes"),
    ):
        low = result.values(metric)[order]
        where = np.flatnonzero(np.isfinite(low))
        if len(where):
            left.semilogy(
                where, np.maximum(low[where], SMALLEST), "x", color=colour, ms=4, label=label
            )
    left.axhline(1.0, color=ZERO, label="zero start, all modes")
    left.set(xlabel="cells, sorted", ylabel=r"$E_p$ over that of the zero start [-]")
    left.legend()
    zero, found = result.values("iterations_zero"), result.values("iterations")
    right.scatter(zero, found, s=12, color=PREDICTED)
    end = float(zero.max()) * 1.05
    right.plot([0, end], [0, end], color=ZERO, label="as many")
    right.plot([0, end], [0, end / 2], color=LINE, ls=":", label="half as many")
    right.set(xlabel="steps from zero to residual 1e-3", ylabel="steps from the prediction")
    right.legend()
    return fig


def figure(width: float, height: float) -> Any:
    """An empty figure [inches].

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "pictures of the report need matplotlib. Install it with: pip install matplotlib"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")
