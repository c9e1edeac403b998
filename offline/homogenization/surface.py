"""The directional Young's modulus of a stiffness as a surface."""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.elasticity import youngs_modulus
from matnet.errors import MissingExtraError

__all__ = ["plot_youngs_modulus"]

AZIMUTHS, POLARS = 121, 61


def plot_youngs_modulus(stiffness: Any, ax: Any = None, *, unit: str = "", **style: Any) -> Any:
    """Draw E(d) d for all directions d, coloured by E.

    Parameters
    ----------
    stiffness : (6, 6)
        Mandel, positive definite.
    ax : 3D Axes, optional
        Drawn on; made if not given.
    unit : str
        Stress unit for the labels.
    **style
        Passed to ``Axes3D.plot_surface``.

    Returns
    -------
    The axes.

    Raises
    ------
    ParameterError
        The stiffness is singular.
    MissingExtraError
        matplotlib is not installed.
    """
    phi, theta = np.meshgrid(np.linspace(0, 2 * np.pi, AZIMUTHS), np.linspace(0, np.pi, POLARS))
    directions = np.stack(
        [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1
    )
    modulus = youngs_modulus(stiffness, directions)
    try:
        from matplotlib import cm, colors, pyplot
        from matplotlib.ticker import MaxNLocator
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Plots need matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    if ax is None:
        ax = pyplot.figure(figsize=(5.5, 4.5)).add_subplot(projection="3d")
    low, high = float(modulus.min()), float(modulus.max())
    if high - low < 1e-6 * high:  # isotropic: avoid a colour scale of rounding errors
        low, high = 0.95 * high, 1.05 * high
    norm = colors.Normalize(low, high)
    colours = cm.ScalarMappable(norm=norm, cmap=style.pop("cmap", "viridis"))
    surface = modulus[..., None] * directions
    style = {"rstride": 1, "cstride": 1, "linewidth": 0, "antialiased": False, **style}
    ax.plot_surface(*np.moveaxis(surface, -1, 0), facecolors=colours.to_rgba(modulus), **style)
    reach = 1.05 * float(modulus.max())
    suffix = f" [{unit}]" if unit else ""
    for i, axis in enumerate("xyz", start=1):
        getattr(ax, f"set_{axis}lim")(-reach, reach)
        getattr(ax, f"set_{axis}label")(f"$E\\,d_{i}${suffix}", labelpad=8)
        getattr(ax, f"{axis}axis").set_major_locator(MaxNLocator(3, symmetric=True))
    ax.tick_params(labelsize=8)
    ax.set_box_aspect((1, 1, 1))
    bar = ax.figure.colorbar(colours, ax=ax, shrink=0.7, pad=0.16)
    bar.set_label(f"Young's modulus $E(d)${suffix}")
    return ax
