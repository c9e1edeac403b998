"""A lattice beam of few cells: two scales against every voxel.

**Question.** A beam of 3 x 1 x 1 or 6 x 2 x 2 octet cells, both of the same outer size, is so small
that its struts can be meshed one by one. How far from it is the two-scale model, which knows an
infinite lattice only, and what does it save?

**Sketch.** Both ends, 3 apart and 1 x 1 in section, are held in rigid grips. One grip moves along
the beam (tension) or across it (bending, with strains that change sign over the height)::

    grip |XXXXXXXXXXXX| grip    -> tension, 2 % of the length
         |XXXXXXXXXXXX|         ^  bending, 4 % of the length

**Equations.** Balance of forces, small strains. Resolved: one trilinear hexahedron per solid voxel,
J2 plasticity of the aluminium at its Gauss points. Two-scale: 6 x 2 x 2 hexahedra of second order;
at their Gauss points is a network fitted to the very voxel cell (12 x 12 x 12, 35 % solid), to
simulations with the very element (`ReferenceOptions(element="full")`: struts two voxels thick lock
by 10 % in plastic flow, in both models alike), with the same aluminium in its base nodes.

**Numbers.** The force at the end of tension, far beyond yield: within 5 % of the resolved one, in
1/50 of its time or less from 6 x 2 x 2 cells on. In bending the beam of few cells is another
structure: struts that end at a free side carry nothing there, those that lie in it count with
half their section at the largest distance from the axis. The table shows the gap by cell count.

    python fe_examples/resolved_beam.py [--out DIR] [--quick]        (one rank only)

References: V. S. Deshpande, N. A. Fleck, M. F. Ashby, "Effective properties of the octet-truss
lattice material", J. Mech. Phys. Solids 49 (2001) 1747; P. R. Onck, E. W. Andrews, L. J. Gibson,
"Size effects in ductile cellular solids", Int. J. Mech. Sci. 43 (2001) 681.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from dolfinx import fem, mesh
from mpi4py import MPI

import matnet
from fe_examples import common
from matnet.errors import ParameterError
from matnet.phases import read_phases
from offline.rve import read
from umat_bridge.dolfinx import NewtonOptions, Problem, QuadratureMaterial, compat, run

LENGTH, ASPECT = 3.0, 3  # the section is 1 x 1
TRAVEL = {"tension": (0, 0.06), "bending": (2, 0.12)}  # axis and size of the last travel
TIMES = (0.1, 0.2, 0.4, 0.7, 1.0)  # share of the travel; the first step is elastic
LAYERS = 2  # two-scale elements over the height
GAP = 0.05  # largest difference of the forces in tension
WORLD = MPI.COMM_WORLD


# ## The two materials
def materials() -> tuple[np.ndarray, matnet.Material, matnet.Material]:
    """Solid voxels of the cell (n, n, n), the lattice as a network, its aluminium."""
    cell = read(common.DATA / "octet_12.npz")
    laws = read_phases(common.DATA / "aluminium_j2.toml", cell.phase_names)
    lattice = matnet.load(common.DATA / "octet_12.matnet").with_phases(**laws)
    solid = cell.phases == cell.phase_names.index("solid")
    return solid, lattice, matnet.Material.homogeneous(laws["solid"])


# ## Two meshes
# The cell is repeated, and each solid voxel is a hexahedron. Voxels share the nodes they touch at.
def resolved_mesh(solid: np.ndarray, cells: int) -> Any:
    """The beam with `cells` cells over the height, from the voxels (n, n, n) of one."""
    voxels = np.tile(solid, (ASPECT * cells, cells, cells))
    nodes = tuple(n + 1 for n in voxels.shape)
    corners = np.array([(i, j, k) for k in (0, 1) for j in (0, 1) for i in (0, 1)])
    at = np.argwhere(voxels)[:, None, :] + corners  # (voxels, 8, 3)
    used, table = np.unique(np.ravel_multi_index(tuple(at.T), nodes).T, return_inverse=True)
    points = np.stack(np.unravel_index(used, nodes), axis=-1) / (cells * len(solid))
    return compat.hexahedral_mesh(WORLD, table.reshape(-1, 8), points)


def two_scale_mesh() -> Any:
    """The same for any number of cells."""
    n, kind = [ASPECT * LAYERS, LAYERS, LAYERS], mesh.CellType.hexahedron
    return mesh.create_box(WORLD, [[0.0, 0.0, 0.0], [LENGTH, 1.0, 1.0]], n, cell_type=kind)


# ## The same grips for both
def grips(V: Any, axis: int) -> tuple[list[Any], Any]:
    """Conditions on both ends, the driven one first, and its displacement."""
    travel, rest = fem.Constant(V.mesh, 0.0), fem.Constant(V.mesh, 0.0)

    def hold(x: float, part: int) -> Any:
        facets = mesh.locate_entities_boundary(V.mesh, 2, lambda p: np.isclose(p[0], x))
        value = travel if x > 0.0 and part == axis else rest
        dofs = fem.locate_dofs_topological(V.sub(part), 2, facets)
        return fem.dirichletbc(value, dofs, V.sub(part))

    others = [i for i in range(3) if i != axis]
    left, right = [hold(0.0, i) for i in range(3)], [hold(LENGTH, i) for i in others]
    return [hold(LENGTH, axis), *left, *right], travel


# ## One run: any mesh, any material, either load
class Curve(NamedTuple):
    """Forces after each step, seconds, unknowns, Newton's constants, and the model at its end."""

    force: np.ndarray
    seconds: float
    unknowns: int
    newton: list[float]
    problem: Problem


def beam(domain: Any, degree: int, material: matnet.Material, load: str, name: str) -> Curve:
    """All steps; what is compiled at first use does not count as time."""
    V = compat.function_space(domain, "Lagrange", degree, 3)
    axis, most = TRAVEL[load]
    bcs, travel = grips(V, axis)
    law, u = QuadratureMaterial(material, V, degree=2 * degree), fem.Function(V, name="u")
    problem = Problem(law, u, bcs, options=NewtonOptions(rtol=1e-7))
    forces: list[float] = []

    def keep(increment: Any) -> None:
        common.print_step(f"{name}, {load} {travel.value:.3f}", increment.step)
        if increment.reached:
            forces.append(problem.reaction(bcs[0]))

    def apply(t: float) -> None:
        travel.value = most * t

    law.update(u, 1.0)
    law.rollback()
    start = time.perf_counter()
    result = run(problem, TIMES, apply, on_step=keep)
    seconds, unknowns = time.perf_counter() - start, 3 * V.dofmap.index_map.size_global
    newton = common.newton_constants(result)
    return Curve(np.array(forces), seconds, unknowns, newton, problem)


# ## The comparison
def compare(resolved: Curve, two_scale: Curve) -> dict[str, Any]:
    """Forces of both, their relative differences, and how many times faster two scales are."""
    gap = two_scale.force / resolved.force - 1.0
    return {
        "resolved": resolved.force.tolist(),
        "two_scale": two_scale.force.tolist(),
        "gap": gap.tolist(),
        "seconds": [resolved.seconds, two_scale.seconds],
        "unknowns": [resolved.unknowns, two_scale.unknowns],
    }


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """What the example found, a line per size and load."""
    common.say("cells, load         gap elastic  at the end   unknowns      seconds  times faster")
    for name, row in rows.items():
        (many, few), (long, short) = row["unknowns"], row["seconds"]
        common.say(
            f"{name:18s} {row['gap'][0]:+11.1%} {row['gap'][-1]:+11.1%} {many:6d}/{few:4d} "
            f"{long:8.1f}/{short:4.2f} {long / short:10.0f}"
        )


# ## The picture
def draw(rows: dict[str, dict[str, Any]], largest: Problem, path: Any) -> None:
    """The bent lattice from the side, and the forces of both models."""
    fig = common.figure(8.0, 6.0)
    axes = fig.subplot_mosaic([["top", "top"], ["tension", "bending"]])
    corners, cells = common.side_faces(largest.u, axis=1, place=0.0, scale=2.0)
    values = largest.material.cell_values("p")[cells]
    style = {"clim": (0.0, 0.1), "edgecolor": "face"}
    common.draw_cells(axes["top"], corners, values, "plastic strain", **style)
    axes["top"].set_title("side view, displacements x 2")
    for load, (_, most) in TRAVEL.items():
        ax, mine = axes[load], {k: v for k, v in rows.items() if load in k}
        at = [0.0, *(most * t for t in TIMES)]
        for marker, (name, row) in zip("os", mine.items(), strict=False):
            label = f"resolved, {name.split(',')[0]}"
            ax.plot(at, [0.0, *row["resolved"]], marker, mfc="none", label=label)
        ax.plot(at, [0.0, *row["two_scale"]], "k-", label="two scales")
        ax.set(xlabel="travel / height", ylabel="force / section [MPa]", title=load)
        ax.legend()
    common.save_figure(fig, path)


def require_one_rank() -> None:
    """Some voxels meet in an edge only, and dolfinx 0.5 tears them apart between ranks."""
    if WORLD.size > 1:
        raise ParameterError(
            f"resolved_beam came with {WORLD.size} ranks, expected one: dolfinx loses nodes "
            "between ranks where voxels meet in an edge only. Run it without mpirun."
        )


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; returns its numbers."""
    require_one_rank()
    out, quick = common.options("resolved_beam", __doc__, arguments)
    solid, lattice, aluminium = materials()
    rows: dict[str, dict[str, Any]] = {}
    newton: list[float] = []
    for load in TRAVEL:
        few = beam(two_scale_mesh(), 2, lattice, load, "two scales")
        for cells in (1,) if quick else (1, 2):
            size = f"{ASPECT * cells} x {cells} x {cells}"
            many = beam(resolved_mesh(solid, cells), 1, aluminium, load, size)
            rows[f"{size}, {load}"] = compare(many, few)
            newton += [*many.newton, *few.newton]
    with common.ParaView(out / "resolved_beam.xdmf", many.problem.u) as file:
        file.write(1.0, many.problem.material.cell_function("p"))
    with common.ParaView(out / "two_scale_beam.xdmf", few.problem.u) as file:
        file.write(1.0, few.problem.material.cell_function("p", "solid"))
    print_table(rows)
    draw(rows, many.problem, out / "resolved_beam.png")
    for name, row in rows.items():
        if "tension" in name:
            common.check(
                f"force, {name}", row["two_scale"][-1], row["resolved"][-1], GAP, "resolved"
            )
    numbers = {"rows": rows, "newton": newton}
    common.write_numbers(out / "resolved_beam.json", numbers)
    return numbers


if __name__ == "__main__":
    main()
