"""What all finite element examples share: options, residuals, checked numbers, pictures, fields.

An example is a module with ``main(arguments) -> dict``, the numbers it found. Run it as

    python fe_examples/NAME.py [--out DIR] [--quick]

or under ``mpirun``. It prints to rank 0 and writes NAME.json, a picture and fields for ParaView.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from dolfinx import fem, io
from mpi4py import MPI

import fe_examples
from matnet.atomic import whole_file
from matnet.errors import MatnetError, MissingExtraError
from umat_bridge.dolfinx import RunResult, StepResult, compat

__all__ = [
    "COMPOSITES",
    "DATA",
    "CheckError",
    "Options",
    "ParaView",
    "check",
    "draw_cells",
    "figure",
    "last_order",
    "newton_constant",
    "newton_constants",
    "on_root",
    "options",
    "print_step",
    "quadrilaterals",
    "save_figure",
    "say",
    "side_faces",
    "write_numbers",
]

DATA = Path(fe_examples.__file__).parent / "data"
COMPOSITES = DATA / "composites"
WORLD = MPI.COMM_WORLD
ROUND_OFF = 1e-11  # residual over the forces at stake below which orders mean nothing
SHOWN = 3  # residual norms printed per step


class Options(NamedTuple):
    """Where an example writes, and whether it runs in its small size."""

    out: Path
    quick: bool


class CheckError(MatnetError):
    """A number of an example is not what it has to be."""


def options(name: str, story: str | None, arguments: Sequence[str] | None = None) -> Options:
    """Read ``--out`` and ``--quick``, and make the folder.

    Parameters
    ----------
    name : str
        Of the example, for the default folder ``build/fe_examples/NAME``.
    story : str
        Its docstring, for ``--help``.
    arguments : sequence of str, optional
        Those of the command line if not given.
    """
    parser = argparse.ArgumentParser(
        description=story, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path("build") / "fe_examples" / name
    parser.add_argument("--out", type=Path, default=default, help=f"folder (default {default})")
    parser.add_argument("--quick", action="store_true", help="coarse mesh, few steps")
    given = parser.parse_args(arguments)
    if on_root():
        given.out.mkdir(parents=True, exist_ok=True)
    WORLD.barrier()
    return Options(given.out, given.quick)


def on_root() -> bool:
    """Whether this rank prints and draws."""
    return bool(WORLD.rank == 0)


def say(text: object) -> None:
    """Print once, whatever the number of ranks; call it on all of them."""
    words = str(text)  # of a material: its points on all ranks
    if on_root():
        print(words, flush=True)


# Newton's method


def last_order(step: StepResult) -> float:
    r"""Order of convergence p that the last three residuals above round-off show.

    .. math:: p = \frac{\log (r_{k+1} / r_k)}{\log (r_k / r_{k-1})}

    2 is Newton's. NaN if less than three residuals are above round-off, as in a linear step.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> round(last_order(SimpleNamespace(residuals=(1.0, 1e-2, 1e-4, 1e-8, 3e-16), scale=1.0)), 3)
    2.0
    >>> last_order(SimpleNamespace(residuals=(1.0, 1e-15), scale=1.0))
    nan
    """
    kept = [r for r in step.residuals if r > ROUND_OFF * step.scale][-SHOWN:]
    if len(kept) < SHOWN or not kept[0] > kept[1] > kept[2]:
        return math.nan
    return math.log(kept[2] / kept[1]) / math.log(kept[1] / kept[0])


def newton_constant(step: StepResult) -> float:
    r"""Constant C of quadratic convergence in the last iteration of a step, round-off aside.

    .. math:: \rho_{k+1} = C\,\rho_k^2 + 10^{-11}, \quad \rho = r / \text{scale}

    Newton's method keeps C of order one to ten. With an inexact tangent it grows like
    :math:`1 / \rho_k`, to thousands. Zero if only round-off remains: the last iteration starts
    above 1e-8, so it has gained three orders at once. This needs one iteration less in the
    asymptotic range than `last_order`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> newton_constant(SimpleNamespace(residuals=(2.0, 2e-2, 2e-4, 6.002e-8), scale=2.0))
    3.0
    >>> newton_constant(SimpleNamespace(residuals=(2.0, 2e-4, 6e-8, 1e-15), scale=2.0))
    0.0
    """
    if len(step.residuals) < 2:
        return 0.0
    before, last = (r / step.scale for r in step.residuals[-2:])
    return round(max(last - ROUND_OFF, 0.0) / before**2, 6)


def newton_constants(result: RunResult) -> list[float]:
    """The same for each increment of a run that took more than one iteration."""
    steps = [increment.step for increment in result.increments]
    return [newton_constant(step) for step in steps if step.iterations > 1]


def print_step(title: str, step: StepResult) -> None:
    """One line: iterations, the last three residual norms, the constant of convergence."""
    norms = " ".join(f"{r:.1e}" for r in step.residuals[-SHOWN:])
    constant = newton_constant(step)
    shown = f", r/r^2 {constant:.1g}" if constant else ""
    say(f"{title}: {step.iterations} iterations, residuals {norms}{shown}")


# numbers


def check(name: str, value: float, expected: float, tol: float, source: str) -> float:
    """Compare a number with what it has to be, print both, and return the relative difference.

    Parameters
    ----------
    name, source : str
        What it is, and where `expected` comes from.
    value, expected : float
        Same unit. A zero `expected` makes the difference absolute.
    tol : float
        Largest relative difference.

    Raises
    ------
    CheckError
        The difference is larger.
    """
    off = abs(value - expected) / (abs(expected) or 1.0)
    say(f"{name}: {value:.8g}, {source}: {expected:.8g}, difference {off:.1e} (at most {tol:.0e})")
    if not off <= tol:
        raise CheckError(
            f"{name} is {value:.10g}, expected {expected:.10g} ({source}) within {tol:g}."
        )
    return off


def write_numbers(path: Path, numbers: Mapping[str, Any]) -> None:
    """Numbers and lists of numbers as JSON, from rank 0."""
    if on_root():
        with whole_file(path) as beside:
            beside.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


# pictures: drawn on rank 0 from what all ranks send


def figure(width: float = 6.0, height: float = 4.0) -> Any:
    """A matplotlib figure [inch] that no window belongs to."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "pictures of examples need matplotlib: pip install matplotlib."
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(fig: Any, path: Path) -> None:
    """PNG that tells nothing about the machine; rank 0 only."""
    if on_root():
        with whole_file(path) as beside:
            fig.savefig(beside, dpi=130, metadata={"Software": "matnet"})
    say(f"picture: {path}")


def quadrilaterals(u: Any, scale: float = 1.0) -> np.ndarray:
    """Corners (cells, 4, 2) of a 2D mesh's owned quadrilaterals, displaced by `scale` times u."""
    return _displaced(u, scale)[:, [0, 1, 3, 2], :2]


# corners of a hexahedron's six faces, each in cyclic order
FACES = np.array(
    [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]
)


def side_faces(
    u: Any, axis: int, place: float, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Faces of hexahedra that lie in a plane, seen along its normal.

    Parameters
    ----------
    u : dolfinx function
        Displacement.
    axis, place : int, float
        The plane x[axis] = place of the undeformed mesh.
    scale : float
        Factor on the displacement.

    Returns
    -------
    corners (n, 4, 2), cells (n,)
        In the two other axes; the owned cells that the faces belong to.
    """
    at_rest, moved = _displaced(u, 0.0), _displaced(u, scale)
    others = [i for i in range(3) if i != axis]
    hits = np.isclose(at_rest[:, FACES, axis], place).all(axis=2)  # (cells, faces)
    cells, faces = np.nonzero(hits)
    return moved[cells[:, None], FACES[faces]][..., others], cells


def _displaced(u: Any, scale: float) -> np.ndarray:
    """Places (owned cells, nodes, 3) of the cells' nodes, displaced."""
    space = u.function_space
    places = np.array(compat.cell_coordinates(space.mesh))
    size = space.dofmap.index_map_bs
    nodes = compat.cell_dofs(space)[: len(places), : places.shape[1]]
    values = np.asarray(u.x.array).reshape(-1, size)[nodes]
    places[..., :size] += scale * values
    return places


def draw_cells(ax: Any, corners: np.ndarray, values: np.ndarray, label: str, **style: Any) -> None:
    """Colour polygons (n, k, 2) by their values (n,), those of all ranks; collective.

    `ax` is used on rank 0 only. `style` goes to matplotlib's PolyCollection.
    """
    polygons, colours = WORLD.gather(corners), WORLD.gather(values)
    if not on_root():
        return
    from matplotlib.collections import PolyCollection

    style = {"edgecolor": "face", "linewidth": 0.1, "cmap": "viridis", **style}
    cells = PolyCollection(np.concatenate(polygons), array=np.concatenate(colours), **style)
    ax.add_collection(cells)
    ax.autoscale_view()
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.figure.colorbar(cells, ax=ax, label=label, shrink=0.8)


# ParaView


class ParaView:
    """XDMF file of a mesh with functions over time; collective.

    Functions are of degree 1 (the displacement) or one value per cell; those of higher degree are
    written by their values at the corners.

    Examples
    --------
    ``with ParaView(folder / "beam.xdmf", u) as file: file.write(t, law.cell_function("p"))``
    """

    def __init__(self, path: Path, u: Any) -> None:
        space = u.function_space
        size, corners = space.dofmap.index_map_bs, compat.cell_coordinates(space.mesh).shape[1]
        self.u, self.shown = u, u
        if compat.cell_dofs(space).shape[1] != corners:
            linear = compat.function_space(space.mesh, "Lagrange", 1, size)
            self.shown = fem.Function(linear, name=u.name)
        self.file = io.XDMFFile(space.mesh.comm, str(path), "w")
        self.file.write_mesh(space.mesh)

    def write(self, t: float, *functions: Any) -> None:
        """Add the displacement and these functions at a time."""
        if self.shown is not self.u:
            self.shown.interpolate(self.u)
        for function in (self.shown, *functions):
            self.file.write_function(function, t)

    def close(self) -> None:
        """The file is complete."""
        self.file.close()

    def __enter__(self) -> ParaView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
