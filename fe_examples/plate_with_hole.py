"""A composite plate with a hole, pulled across its fibres beyond first yield.

**Question.** How much does a hole weaken a unidirectional plate whose epoxy flows, and are the
stresses at its edge right to begin with?

**Sketch.** A square plate, 8 x 8 x 1 mm, with a hole of radius 1 mm in the middle. All carbon
fibres run along y, the plate is pulled along x. A quarter is modelled: x = 0 and y = 0 are planes
of symmetry, the edge x = 4 mm moves by u (up to 1 %), the edge y = 4 mm is free.

**Equations.** Plane stress: balance of forces in the plane, with the strains 33, 13 and 23 at each
Gauss point such that sigma_33 = sigma_13 = sigma_23 = 0. The composite answers at each point with
its network; its frame is turned so that the fibres (axis 3 of the network) lie along y.

**Material.** Composite 1 of He et al. (see `data/composites/ud1.toml`), GPa, mm, so forces in kN.

**Number.** The stress concentration of the elastic plate. Its closed form holds in an infinite
plate (Lekhnitskii): 1 + sqrt(2 (sqrt(E_x / E_y) - nu_xy) + E_x / G_xy) = 2.58 here. To take the
infinite plate's place, the two outer edges of the same mesh get the displacements of the exact
solution (`plate_with_hole_exact.py`); all that is left is the error of the mesh.

    python fe_examples/plate_with_hole.py [--out DIR] [--quick]

References: S. G. Lekhnitskii, *Anisotropic Plates*, 1968. He et al., "Systematic performance
assessment of deep material networks": tables 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dolfinx import fem, mesh
from mpi4py import MPI

import matnet
from fe_examples import common
from fe_examples.plate_with_hole_exact import HoleInPlate, plane_compliance
from matnet.mandel import SQRT2, rotate_stiffness
from matnet.phases import Elastic, read_phases
from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat, run

RADIUS, HALF = 1.0, 4.0  # mm
PULL = 0.01 * HALF  # mm, largest u
# columns: axes 1, 2, 3 of the network in the plate's frame; the fibres are along y
FRAME = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


# ## The material
# The second material, with an epoxy that does not flow, is for the check.
def composites() -> tuple[matnet.Material, matnet.Material]:
    """Composite 1, and the same with an elastic matrix."""
    network = matnet.load(common.COMPOSITES / "ud_hexagonal.matnet")
    laws = read_phases(common.COMPOSITES / "ud1.toml", network.phase_names)
    epoxy = Elastic(E=laws["matrix"].E, nu=laws["matrix"].nu)
    return network.with_phases(**laws), network.with_phases(matrix=epoxy, fibre=laws["fibre"])


# ## The mesh
# A square of n x n quadrilaterals, bent: its first coordinate becomes the distance from the hole
# (in a geometric series), its second the angle. With n even, a node falls on the plate's corner.
def quarter(n: int) -> Any:
    """Mesh of a quarter of the plate, n elements along the hole and n away from it."""
    domain = mesh.create_unit_square(MPI.COMM_WORLD, n, n, mesh.CellType.quadrilateral)
    x = domain.geometry.x
    outward, angle = x[:, 0].copy(), 0.5 * np.pi * x[:, 1]
    direction = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    outer = HALF / direction.max(axis=1)
    x[:, :2] = (RADIUS * (outer / RADIUS) ** outward)[:, None] * direction
    return domain


# ## Supports and loads
# One component on one edge at a time, so that its reaction is a resultant.
def edge(V: Any, axis: int, place: float, part: Any) -> Any:
    """Degrees of freedom of a part of V on the edge x[axis] = place."""
    facets = mesh.locate_entities_boundary(V.mesh, 1, lambda x: np.isclose(x[axis], place))
    return fem.locate_dofs_topological(part, 1, facets)


def symmetry(V: Any) -> list[Any]:
    """u_x = 0 on x = 0, u_y = 0 on y = 0."""
    zero = fem.Constant(V.mesh, 0.0)
    return [fem.dirichletbc(zero, edge(V, i, 0.0, V.sub(i)), V.sub(i)) for i in (0, 1)]


# ## The plate
# Quadratic displacements; nine Gauss points in each element.
def plate(material: matnet.Material, n: int) -> tuple[QuadratureMaterial, Any]:
    """The material at the points of a plate, and its displacement."""
    V = compat.function_space(quarter(n), "Lagrange", 2, 2)
    law = QuadratureMaterial(material, V, degree=4, kind="plane stress", orientation=FRAME)
    return law, fem.Function(V, name="u")


# ## First the check: the elastic plate
# The planes of symmetry leave out the network's coupling of stretch and shear (4e-4 of a_11).
def exact_plate(material: matnet.Material) -> HoleInPlate:
    """The infinite plate under 1 GPa, fibres along y."""
    compliance = plane_compliance(rotate_stiffness(material.stiffness, FRAME))
    compliance[:2, 2] = compliance[2, :2] = 0.0
    return HoleInPlate(compliance=compliance, radius=RADIUS, tension=1.0)


def elastic_plate(material: matnet.Material, n: int, exact: HoleInPlate) -> Any:
    """The quarter whose outer edges move as in the infinite plate, solved."""
    law, u = plate(material, n)
    V, outer = u.function_space, fem.Function(u.function_space)
    outer.interpolate(lambda x: exact.displacement(x[:2].T).T)
    edges = [fem.dirichletbc(outer, edge(V, i, HALF, V)) for i in (0, 1)]
    run(Problem(law, u, [*symmetry(V), *edges]), [1.0], lambda t: None)
    return law


# The stress at the Gauss point with the largest one, next to the hole, and at all of them.
def concentration(law: QuadratureMaterial, exact: HoleInPlate) -> dict[str, Any]:
    """Largest stress 11 over the tension, the exact one there, and the error in the mean square."""
    stress = law.point_stress()[..., [0, 1, 3]] / np.array([1.0, 1.0, SQRT2])
    expected = exact.stress(law.point_coordinates(np.arange(law.n_cells)))
    square = law.average((stress - expected) ** 2).sum() / law.average(expected**2).sum()
    at = np.unravel_index(stress[..., 0].argmax(), stress.shape[:2])
    peaks = MPI.COMM_WORLD.allgather((float(stress[at][0]), float(expected[at][0])))
    found, there = max(peaks)
    return {"peak": found, "exact": there, "error": float(np.sqrt(square))}


def check_elastic(material: matnet.Material, n: int) -> tuple[dict[str, Any], Any]:
    """Stress concentration on the mesh and on one twice as coarse; the closed form."""
    exact, law = exact_plate(material), None
    errors = []
    for cells in (n // 2, n):
        law = elastic_plate(material, cells, exact)
        numbers = concentration(law, exact)
        errors.append(numbers["error"])
    edge_stress = float(exact.stress([0.0, RADIUS])[0])
    more = {"coarse_error": errors[0], "edge": edge_stress, "closed_form": closed_form(exact)}
    return {**numbers, **more}, law


def say_elastic(numbers: dict[str, Any]) -> None:
    """The checks."""
    edge_stress, source = numbers["edge"], "closed form"
    common.check("exact stress at the edge", edge_stress, numbers["closed_form"], 1e-9, source)
    common.check("largest in the mesh", numbers["peak"], numbers["exact"], 1e-2, "exact there")
    coarse, fine = numbers["coarse_error"], numbers["error"]
    common.say(f"error of all stresses {coarse:.1e}, twice as fine {fine:.1e}")


def closed_form(exact: HoleInPlate) -> float:
    """Stress at the edge of the hole over the tension, from the engineering constants."""
    a = exact.compliance
    E_x, E_y, G_xy, nu_xy = 1.0 / a[0, 0], 1.0 / a[1, 1], 1.0 / a[2, 2], -a[0, 1] / a[0, 0]
    return float(1.0 + np.sqrt(2.0 * (np.sqrt(E_x / E_y) - nu_xy) + E_x / G_xy))


# ## Then the plate is pulled
# The edge x = 4 mm moves and is free to contract. Forces are those of the whole plate.
def pulled(law: QuadratureMaterial, u: Any) -> tuple[Problem, Any]:
    """The problem, whose last condition moves the edge, and how far it moves."""
    V, pull = u.function_space, fem.Constant(u.function_space.mesh, 0.0)
    end = fem.dirichletbc(pull, edge(V, 0, HALF, V.sub(0)), V.sub(0))
    return Problem(law, u, [*symmetry(V), end]), pull


def pull_plate(problem: Problem, pull: Any, steps: int, file: Any) -> dict[str, Any]:
    """Force [kN] and displacement [mm] of the edge after each step; Newton's constants."""
    law, found = problem.material, {"u": [0.0], "force": [0.0]}

    def load(t: float) -> None:
        pull.value = PULL * t

    def keep(increment: Any) -> None:
        found["u"].append(float(pull.value))
        found["force"].append(2.0 * problem.reaction(problem.bcs[-1]))
        common.print_step(f"u = {pull.value:.4f} mm", increment.step)
        file.write(increment.time, law.cell_function("s11"), law.cell_function("p", "matrix"))

    result = run(problem, np.linspace(0.0, 1.0, steps + 1)[1:], load, on_step=keep)
    return {**found, "newton": common.newton_constants(result)}


# Without a hole the plate is one material point under uniaxial stress.
def without_hole(material: matnet.Material, u: list[float]) -> list[float]:
    """Force [kN] of a plate without hole at the same displacements."""
    path = matnet.paths.uniaxial_stress("11", u[-1] / HALF, steps=len(u) - 1)
    return (2.0 * HALF * matnet.drive(material, path).component("11")[1]).tolist()


# ## The picture
# Stress beside the hole, load over displacement, plastic strain.
def draw(found: dict[str, Any], elastic: Any, problem: Problem, path: Any) -> None:
    """All three."""
    fig = common.figure(12.0, 3.6)
    axes = fig.subplots(1, 3, width_ratios=(1.0, 1.0, 1.1))
    draw_ligament(axes[0], *elastic)
    draw_curve(axes[1], found)
    corners, values = common.quadrilaterals(problem.u), problem.material.cell_values("p", "matrix")
    common.draw_cells(axes[2], corners, values, "plastic strain of the epoxy")
    axes[2].set_title("at the end")
    common.save_figure(fig, path)


def draw_curve(ax: Any, found: dict[str, Any]) -> None:
    """Force over displacement."""
    ax.plot(found["u"], found["whole"], "--", color="0.5", label="without hole")
    ax.plot(found["u"], found["force"], "o-", ms=4, label="with hole")
    ax.set(xlabel="u [mm]", ylabel="force [kN]", title="pulled across the fibres")
    ax.legend()


def draw_ligament(ax: Any, law: QuadratureMaterial, exact: HoleInPlate) -> None:
    """Elastic stress 11 along x = 0: the points of the nearest elements, and the exact line."""
    places = law.point_coordinates(np.arange(law.n_cells))
    angle = np.arctan2(places[..., 0], places[..., 1])
    near = angle.min(axis=1) < 1.5 * MPI.COMM_WORLD.allreduce(float(angle.min()), MPI.MIN)
    points = np.stack((places[near, :, 1], law.point_stress()[near, :, 0]), axis=-1).reshape(-1, 2)
    points = np.concatenate(MPI.COMM_WORLD.allgather(points))
    line = np.linspace(RADIUS, HALF, 200)
    ax.plot(line, exact.stress(np.stack((0.0 * line, line), axis=1))[:, 0], label="Lekhnitskii")
    ax.plot(*points.T, ".", ms=4, label="Gauss points")
    ax.set(xlabel="y [mm]", ylabel="stress 11 / tension", title="elastic, beside the hole")
    ax.legend()


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; returns its numbers."""
    out, quick = common.options("plate_with_hole", __doc__, arguments)
    n, steps = (8, 5) if quick else (24, 12)
    material, elastic = composites()
    numbers, elastic_law = check_elastic(elastic, n)
    say_elastic(numbers)
    problem, pull = pulled(*plate(material, n))
    common.say(problem.material)
    with common.ParaView(out / "plate_with_hole.xdmf", problem.u) as file:
        numbers.update(pull_plate(problem, pull, steps, file))
    return tell(material, numbers, (elastic_law, exact_plate(elastic)), problem, out)


def tell(
    material: matnet.Material, numbers: dict[str, Any], elastic: Any, problem: Problem, out: Any
) -> dict[str, Any]:
    """Picture and numbers."""
    numbers["whole"] = without_hole(material, numbers["u"])
    draw(numbers, elastic, problem, out / "plate_with_hole.png")
    common.write_numbers(out / "plate_with_hole.json", numbers)
    return numbers


if __name__ == "__main__":
    main()
