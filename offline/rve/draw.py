"""Pictures of microstructures for the screen, the report and the README."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import ParameterError
from offline.rve.raycast import HAZE, HIDDEN, Camera, render
from offline.rve.rve import Rve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_picture", "draw", "save_picture"]

PICTURES = (".png", ".pdf", ".svg", ".jpg")

# solid first, then up to seven more phases; muted, distinct in print and for the colour-blind
COLOURS = ("#4f7cac", "#e0913a", "#5a9e7c", "#b85c5c", "#8d73b0", "#d6b656", "#6bb6c2", "#9c8468")
MATRIX_COLOUR = "#b9c4cf"
VOID_COLOUR = "#f3f4f6"
INK = "#39424e"
CUT = 0.3  # faces on the cell's boundary are lighter, so that cut and surface differ
DENSITY_FLOOR = 0.1  # voxels below are not drawn
MANY = 9  # from here on phases are grains: colours without a legend


def draw(
    rve: Rve, ax: Axes | None = None, *, camera: Camera | None = None, pixels: int = 700
) -> Axes:
    """Draw the cell: solid voxels in soft light, or a flat image if it is one voxel thick.

    Void is left out; the matrix of a composite (the phase called so, or phase 0 if nothing is
    void) is a haze around the inclusions; colour shows a density field or the grains of a
    polycrystal.

    Parameters
    ----------
    rve : Rve
        The microstructure.
    ax : Axes, optional
        Where to draw; a new figure otherwise.
    camera : Camera, optional
        The view of a three-dimensional cell.
    pixels : int
        Resolution of a three-dimensional cell: pixels along its longer side.
    """
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(6.0, 6.0))
    thin = [i for i in range(3) if rve.shape[i] == 1]
    if thin:
        _draw_plane(rve, ax, thin[-1])
    else:
        _draw_space(rve, ax, Camera() if camera is None else camera, pixels)
    ax.set_aspect("equal")
    return ax


def save_picture(
    path: str | Path, rve: Rve, *, camera: Camera | None = None, pixels: int = 700
) -> None:
    """Write the picture of `draw` to an image file, whole or not at all.

    Raises
    ------
    ParameterError
        The suffix stands for no picture format.
    """
    check_picture(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 6.0), dpi=150, layout="constrained")
    draw(rve, figure.subplots(), camera=camera, pixels=pixels)
    with whole_file(path) as beside:
        figure.savefig(beside, facecolor="white")


def check_picture(path: str | Path) -> None:
    """Raise `ParameterError` unless `save_picture` knows the suffix of `path`."""
    if Path(path).suffix.lower() not in PICTURES:
        raise ParameterError(f"{path}: pictures are written to {', '.join(PICTURES)} only.")


def _draw_space(rve: Rve, ax: Axes, camera: Camera, pixels: int) -> None:
    codes, palette = _coded(rve)
    cut = 0.0 if rve.density is not None or _is_polycrystal(rve) else CUT
    image, extent = render(codes, rve.cell, palette, camera, pixels=pixels, cut=cut)
    if _is_polycrystal(rve):
        _ink_boundaries(image)
    _box(ax, rve, camera, front=False)
    ax.imshow(image, extent=extent, origin="upper", zorder=2, interpolation="antialiased")
    _box(ax, rve, camera, front=True)
    _axis_names(ax, rve, camera)
    _key(rve, ax)
    margin = 0.02 * max(extent[1] - extent[0], extent[3] - extent[2])
    ax.set_xlim(extent[0] - margin, extent[1] + margin)
    ax.set_ylim(extent[2] - margin, extent[3] + margin)
    ax.set_axis_off()


def _coded(rve: Rve) -> tuple[np.ndarray, np.ndarray]:
    """Palette row per voxel and the palette (256, 3) for `render`."""
    palette = np.zeros((256, 3))
    if rve.density is not None:
        from matplotlib import colormaps

        palette[1:HAZE] = colormaps["viridis"](np.linspace(0.0, 1.0, HAZE - 1))[:, :3]
        level = 1 + np.rint(rve.density * (HAZE - 2)).astype(np.uint8)
        shown = rve.solid_mask & (rve.density >= DENSITY_FLOOR)
        return np.where(shown, level, HIDDEN).astype(np.uint8), palette
    colours = _phase_colours(rve)
    codes = np.zeros(rve.n_phases, dtype=np.uint8)
    for phase in range(rve.n_phases):
        codes[phase] = 1 + phase % (HAZE - 1)
        palette[codes[phase]] = colours[phase]
    codes[rve.void] = HIDDEN
    matrix = _matrix(rve)
    if matrix is not None:
        codes[matrix] = HAZE
        palette[HAZE] = colours[matrix]
    return codes[rve.phases], palette


def _matrix(rve: Rve) -> int | None:
    """The phase around the inclusions of a composite: the one called so, or phase 0."""
    if rve.void.any() or _is_polycrystal(rve) or len(np.unique(rve.phases)) < 2:
        return None
    return rve.phase_names.index("matrix") if "matrix" in rve.phase_names else 0


def _is_polycrystal(rve: Rve) -> bool:
    return rve.density is None and (rve.orientations is not None or rve.n_phases >= MANY)


def _phase_colours(rve: Rve) -> np.ndarray:
    """Colour (n_phases, 3) of each phase."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if _is_polycrystal(rve):
        spread = (
            0.13 + 0.618034 * np.arange(rve.n_phases)
        ) % 1.0  # golden ratio: neighbours differ
        return np.asarray(0.75 * colormaps["Spectral"](spread)[:, :3] + 0.25 * 0.9)
    background = rve.void.copy()
    colours = np.empty((rve.n_phases, 3))
    colours[background] = to_rgb(VOID_COLOUR)
    matrix = _matrix(rve)
    if matrix is not None:
        background[matrix], colours[matrix] = True, to_rgb(MATRIX_COLOUR)
    for k, phase in enumerate(np.flatnonzero(~background)):
        colours[phase] = to_rgb(COLOURS[k % len(COLOURS)])
    return colours


def _ink_boundaries(image: np.ndarray) -> None:
    """Darken pixels whose right or lower neighbour has another colour."""
    drawn = image[..., 3] > 0.99
    hue = image[..., :3] / np.maximum(image[..., :3].sum(axis=-1, keepdims=True), 1e-9)
    edge = np.zeros(image.shape[:2], dtype=bool)
    for axis in (0, 1):
        jump = np.abs(np.diff(hue, axis=axis)).max(axis=-1) > 0.008
        inside = np.delete(drawn, 0, axis) & np.delete(drawn, -1, axis)
        window = tuple(slice(None, -1) if i == axis else slice(None) for i in (0, 1))
        edge[window] |= jump & inside
    image[edge, :3] *= 0.55


def _box(ax: Axes, rve: Rve, camera: Camera, *, front: bool) -> None:
    """Edges of the cell; those that meet the farthest corner lie behind the voxels."""
    corners = np.array(list(np.ndindex(2, 2, 2)))
    flat = camera.project(corners @ rve.cell)
    far = int(np.argmax(flat[:, 2]))
    for a in range(8):
        for b in range(a + 1, 8):
            if np.abs(corners[a] - corners[b]).sum() == 1 and (far in (a, b)) != front:
                ax.plot(
                    flat[[a, b], 0],
                    flat[[a, b], 1],
                    color=INK,
                    alpha=0.75 if front else 0.35,
                    linewidth=0.9 if front else 0.7,
                    zorder=3 if front else 1,
                    solid_capstyle="round",
                )


def _axis_names(ax: Axes, rve: Rve, camera: Camera) -> None:
    """x1, x2, x3 beside three outer edges of the cell's outline."""
    corners = np.array(list(np.ndindex(2, 2, 2)))
    flat = camera.project(corners @ rve.cell)
    centre = flat[:, :2].mean(axis=0)
    far, near = int(np.argmax(flat[:, 2])), int(np.argmin(flat[:, 2]))
    size = np.ptp(flat[:, :2], axis=0).max()
    for axis in range(3):
        middles = []
        for a in range(8):
            b = a ^ (4 >> axis)
            if a < b and not {far, near} & {a, b}:  # an edge of the outline
                middles.append(flat[[a, b], :2].mean(axis=0))
        lowest = min(middles, key=lambda point: (round(point[1] / size, 6), point[0]))
        away = (lowest - centre) / np.linalg.norm(lowest - centre)
        place = lowest + 0.05 * size * away
        ax.text(
            place[0],
            place[1],
            f"$x_{axis + 1}$",
            color=INK,
            ha="center",
            va="center",
            fontsize=12,
            zorder=4,
        )


def _key(rve: Rve, ax: Axes, below: float = 0.01) -> None:
    """A colour bar of the density, or a legend where two phases or more can be told apart."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Patch

    if rve.density is not None:
        bar = ax.figure.colorbar(
            ScalarMappable(Normalize(0.0, 1.0), "viridis"), ax=ax, shrink=0.6, pad=0.02
        )
        bar.set_label("density [-]")
        return
    shown = np.flatnonzero(rve.fractions > 0.0)
    if _is_polycrystal(rve) or len(shown) < 2:
        return
    colours = _phase_colours(rve)
    handles: list[Any] = [
        Patch(
            facecolor=colours[k],
            edgecolor=MATRIX_COLOUR,
            label=f"{rve.phase_names[k]} {100 * rve.fractions[k]:.1f} %",
        )
        for k in shown
    ]
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -below),
        ncols=min(len(handles), 4),
        frameon=False,
    )


def _draw_plane(rve: Rve, ax: Axes, thin: int) -> None:
    """The cell as a flat image in the plane of its two other lattice vectors."""
    from matplotlib import colormaps
    from matplotlib.transforms import Affine2D

    first, second = (i for i in range(3) if i != thin)
    if rve.density is not None:
        colours = colormaps["viridis"](np.take(rve.density, 0, axis=thin))
    else:
        colours = _phase_colours(rve)[np.take(rve.phases, 0, axis=thin)]
    a, b = rve.cell[first], rve.cell[second]
    along = a / np.linalg.norm(a)
    height = float(np.linalg.norm(b - (b @ along) * along))
    matrix = np.array([[np.linalg.norm(a), b @ along, 0.0], [0.0, height, 0.0], [0.0, 0.0, 1.0]])
    ax.imshow(
        colours.swapaxes(0, 1),
        origin="lower",
        extent=(0.0, 1.0, 0.0, 1.0),
        interpolation="nearest",
        transform=Affine2D(matrix) + ax.transData,
    )
    outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ matrix[:2, :2].T
    ax.plot(*outline.T, color=INK, linewidth=0.8)
    ax.set_xlim(outline[:, 0].min(), outline[:, 0].max())
    ax.set_ylim(outline[:, 1].min(), outline[:, 1].max())
    ax.set_xlabel(f"$x_{first + 1}$")
    ax.set_ylabel(f"$x_{second + 1}$")
    for side in ax.spines.values():
        side.set_visible(False)
    _key(rve, ax, below=0.1)
