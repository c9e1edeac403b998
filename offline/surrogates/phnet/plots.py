"""Directional moduli of a prediction beside those of the solver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matnet.plots import plot_youngs_modulus

__all__ = ["compare_moduli"]


def compare_moduli(
    stiffnesses: Mapping[str, Any], figure: Any = None, *, unit: str = "unit of the moduli"
) -> Any:
    """Surfaces of Young's modulus side by side, on common axes (PH-Net, figure 7).

    Parameters
    ----------
    stiffnesses : mapping
        Title -> C (6, 6) in Mandel form, such as ``{"solver": ..., "PH-Net": ...}``.
    figure : matplotlib Figure, optional
        Made if not given.
    unit : str
        Of the stiffnesses, for the labels.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ParameterError, MissingExtraError
        See `matnet.plots.plot_youngs_modulus`.
    """
    if figure is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=(5.0 * len(stiffnesses), 4.5), layout="constrained")
    all_axes = []
    for number, (title, stiffness) in enumerate(stiffnesses.items()):
        ax = figure.add_subplot(1, len(stiffnesses), number + 1, projection="3d")
        plot_youngs_modulus(stiffness, ax, unit=unit)
        ax.set_title(title)
        all_axes.append(ax)
    for axis in ("x", "y", "z"):
        limits = [getattr(ax, f"get_{axis}lim")() for ax in all_axes]
        low, high = min(a for a, _ in limits), max(b for _, b in limits)
        for ax in all_axes:
            getattr(ax, f"set_{axis}lim")(low, high)
    return figure
