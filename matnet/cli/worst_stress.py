"""The option that maps the worst stress of a cell, for the verbs that know its displacement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matnet.atomic import whole_file
from matnet.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np

    from offline.rve import Rve

__all__ = ["worst_stress_of", "worst_stress_option"]

worst_stress_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--worst-stress",
    "worst_path",
    type=click.Path(path_type=Path),
    help="Draw the largest von Mises stress of each voxel over all macroscopic stresses of unit "
    "norm, in the layer of the worst voxel (PNG, SVG, PDF).",
)


def worst_stress_of(
    rve: Rve, stiffnesses: np.ndarray, displacement: Any, path: Path
) -> dict[str, Any]:
    """Draw the map; returns its largest value [-], where it is, and the load that causes it."""
    from offline.homogenization.worst_case import worst_stress

    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--worst-stress needs matplotlib. Install it with: pip install 'matnet[offline]'"
        ) from None
    found = worst_stress(rve, stiffnesses, displacement)
    figure = Figure(figsize=(5.6, 4.6), dpi=150, layout="constrained")
    found.plot(figure.add_subplot())
    with whole_file(path) as beside:
        figure.savefig(beside)
    return {
        "largest": found.largest,
        "voxel": list(found.voxel),
        "load": found.load.tolist(),
    }
