"""Pictures of stiffness tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.elasticity import youngs_modulus
from matnet.errors import MissingExtraError

__all__ = ["plot_youngs_modulus"]


def plot_youngs_modulus(
    C: Any, ax: Any = None, *, unit: str = "unit of the moduli", n: int = 90, **style: Any
) -> Any:
    r"""Surface of the directional Young's modulus: radius and colour are :math:`E(d)`.

    A sphere means isotropy of E; stiff directions stick out.

    Parameters
    ----------
    C : (6, 6)
        Mandel stiffness, positive definite [stress unit].
    ax : matplotlib 3D Axes, optional
        Made with ``projection="3d"`` if not given.
    unit : str
        Unit of `C`, for the labels.
    n : int
        Number of latitudes; longitudes are twice as many.
    **style
        Passed to ``Axes3D.plot_surface``.

    Returns
    -------
    matplotlib 3D Axes

    Raises
    ------
    ParameterError
        `C` is singular or not (6, 6).
    MissingExtraError
        matplotlib is not installed.
    """
    polar, azimuth = np.meshgrid(
        np.linspace(0.0, np.pi, n + 1), np.linspace(0.0, 2.0 * np.pi, 2 * n + 1), indexing="ij"
    )
    directions = np.stack(
        (np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)), axis=-1
    )
    modulus = youngs_modulus(C, directions)
    colormap, norm, mappable = _colours(float(modulus.min()), float(modulus.max()))
    if ax is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=(6.0, 4.8), layout="constrained")
        ax = figure.add_subplot(projection="3d")
    x, y, z = np.moveaxis(modulus[..., None] * directions, -1, 0)
    centre = 0.25 * (modulus[1:, 1:] + modulus[:-1, 1:] + modulus[1:, :-1] + modulus[:-1, :-1])
    ax.plot_surface(
        x,
        y,
        z,
        **{
            "facecolors": _shaded(colormap(norm(centre)), x, y, z),
            "rcount": n + 1,
            "ccount": 2 * n + 1,
            "linewidth": 0.0,
            "antialiased": False,
            "shade": False,
            **style,
        },
    )
    _equal_axes(ax, float(modulus.max()))
    ax.figure.colorbar(
        mappable, ax=ax, shrink=0.7, pad=0.12, label=rf"Young's modulus $E(\mathbf{{d}})$ [{unit}]"
    )
    return ax


def _colours(low: float, high: float) -> tuple[Any, Any, Any]:
    try:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize
    except ModuleNotFoundError:
        raise MissingExtraError(
            "plot_youngs_modulus needs matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    if high - low < 1e-6 * high:  # isotropic: do not colour rounding errors
        low, high = 0.95 * low, 1.05 * high
    norm, colormap = Normalize(low, high), colormaps["viridis"]
    return colormap, norm, ScalarMappable(norm, colormap)


def _shaded(colours: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Face colours dimmed by the angle to a light from the upper right, so that shape shows."""
    points = np.stack((x, y, z), axis=-1)
    normal = np.cross(points[1:, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, 1:])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-300
    light = np.array([0.5, -0.45, 0.74])
    outward = np.sign((normal * points[:-1, :-1]).sum(axis=-1, keepdims=True))
    brightness = 0.72 + 0.28 * np.clip(np.sum(normal * outward * light, axis=-1), 0.0, 1.0)
    return np.concatenate((colours[..., :3] * brightness[..., None], colours[..., 3:]), axis=-1)


def _equal_axes(ax: Any, radius: float) -> None:
    for axis, name in ((ax.xaxis, "1"), (ax.yaxis, "2"), (ax.zaxis, "3")):
        axis.set_major_locator(_few_ticks())
        axis.label.set_text(f"$E\\,d_{name}$")  # the colour bar tells the unit
        axis.labelpad = 8.0
        axis.pane.set_facecolor((1.0, 1.0, 1.0, 0.0))
    ax.set(xlim=(-radius, radius), ylim=(-radius, radius), zlim=(-radius, radius))
    ax.set_box_aspect((1.0, 1.0, 1.0))
    ax.view_init(elev=24.0, azim=-52.0)


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, symmetric=True)
