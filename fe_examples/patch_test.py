"""Patch test: does a distorted mesh answer as one point of the material?

**Question.** A block of a composite is pulled along its x axis, its sides are free. Stress and
strain are then the same everywhere, so finite elements of any shape must give what a single
material point gives under uniaxial stress (`matnet drive`), plastic flow included.

**Sketch.** A unit cube of 3 x 3 x 3 hexahedra whose inner nodes are moved about at random. The
planes x = 0, y = 0 and z = 0 slide on rollers, the plane x = 1 moves by 2 % and back to 1.5 %.

**Equations.** Balance of forces with the virtual work

    integral of sigma(eps(u)) : eps(v) dx = 0 for all v that vanish where u is prescribed,

and sigma from the network at each Gauss point. At a point: eps_11 as prescribed, all stresses but
sigma_11 zero.

**Material.** Composite 1 of He et al. (see `data/composites/ud1.toml`): 60 % carbon fibres along z
in an elastoplastic epoxy, transversely isotropic in x and y only up to the symmetry of hexagonal
packing; the block is pulled across the fibres, where the epoxy flows.

**Number.** The stress along the whole path, to 1e-8 of that of `matnet.drive`, and the spread of
the stress over all Gauss points.

    python fe_examples/patch_test.py [--out DIR] [--quick]

Reference: B. Irons and A. Razzaque, "Experience with the patch test for convergence of finite
elements", in The Mathematical Foundations of the Finite Element Method, 1972, 557-587.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dolfinx import fem, mesh
from mpi4py import MPI

import matnet
from fe_examples import common
from matnet.phases import read_phases
from umat_bridge.dolfinx import NewtonOptions, Problem, QuadratureMaterial, compat, run

STRAINS = (0.02, 0.015)  # turning points of eps_11
TOL = 1e-8


# ## The material
# Both sides get the same tight tolerance; the differences left are those of the finite elements.
def composite() -> matnet.Material:
    """Composite 1 at a tolerance of 1e-11."""
    network = matnet.load(common.COMPOSITES / "ud_hexagonal.matnet")
    phases = read_phases(common.COMPOSITES / "ud1.toml", network.phase_names)
    return network.with_phases(**phases).with_options(tol=1e-11)


# ## A distorted mesh
# Nodes move within the faces and inside, but not off the faces: the block stays a cube.
def distorted_cube(n: int) -> Any:
    """Cube of n^3 hexahedra, none of them a brick."""
    cube = mesh.create_unit_cube(MPI.COMM_WORLD, n, n, n, cell_type=mesh.CellType.hexahedron)
    x = cube.geometry.x
    waves = np.cos(x @ np.array([[5.0, 7.0, 3.0], [4.0, 2.0, 6.0], [3.0, 5.0, 8.0]]))
    x += 0.25 / n * np.sin(np.pi * x) * waves
    return cube


# ## Supports
# Only u_x is prescribed on the two ends. Three more numbers at two corners stop the block from
# moving as a whole, and leave all shear strains free.
def hold(V: Any, dim: int, component: int, value: Any, where: Any) -> Any:
    """One component prescribed at faces (dim 2) or corners (dim 0)."""
    V.mesh.topology.create_connectivity(dim, 3)
    found = mesh.locate_entities_boundary(V.mesh, dim, where)
    part = V.sub(component)
    return fem.dirichletbc(value, fem.locate_dofs_topological(part, dim, found), part)


def supports(V: Any, pull: Any) -> list[Any]:
    """u_x on the ends; u_y and u_z at a corner, u_z at another. The second is the pulled end."""
    zero = fem.Constant(V.mesh, 0.0)
    return [
        hold(V, 2, 0, zero, lambda x: np.isclose(x[0], 0.0)),
        hold(V, 2, 0, pull, lambda x: np.isclose(x[0], 1.0)),
        hold(V, 0, 1, zero, lambda x: np.isclose(x, 0.0).all(axis=0)),
        hold(V, 0, 2, zero, lambda x: np.isclose(x, 0.0).all(axis=0)),
        hold(V, 0, 2, zero, lambda x: np.isclose(x[0] + abs(x[1] - 1.0) + x[2], 0.0)),
    ]


# ## The block
# The pulled end goes to both turning points in equal steps.
def block(material: matnet.Material, n: int) -> tuple[Problem, Any]:
    """The problem, and the displacement of its pulled end."""
    V = compat.function_space(distorted_cube(n), "Lagrange", 1, 3)
    pull = fem.Constant(V.mesh, 0.0)
    law = QuadratureMaterial(material, V, degree=2)
    common.say(law)
    options = NewtonOptions(rtol=1e-11)
    return Problem(law, fem.Function(V, name="u"), supports(V, pull), options=options), pull


# ## The run
# After each step: the force, the mean stress, and how far any Gauss point is from the mean.
def measure(problem: Problem) -> dict[str, Any]:
    """Force of the pulled end, mean stress (6,) and largest distance from it."""
    points = problem.material.point_stress()
    mean = problem.material.average(points)
    spread = MPI.COMM_WORLD.allreduce(float(abs(points - mean).max()), MPI.MAX)
    return {"force": problem.reaction(problem.bcs[1]), "stress": mean, "spread": spread}


def pull_block(problem: Problem, pull: Any, strain: np.ndarray, file: Any) -> tuple[list, list]:
    """What was measured after each step; Newton's constants."""
    law, found = problem.material, []

    def keep(increment: Any) -> None:
        found.append(measure(problem))
        common.print_step(f"eps_11 = {pull.value:.4f}", increment.step)
        file.write(increment.time, law.cell_function("von_mises"), law.cell_function("p", "matrix"))

    def load(t: float) -> None:
        pull.value = np.interp(t, np.arange(len(strain)), strain)

    result = run(problem, np.arange(1.0, len(strain)), load, on_step=keep)
    return found, common.newton_constants(result)


# ## The check
# The area of the end is 1, so its force is the stress. Not only its last value counts.
def compare(response: Any, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Largest differences along the path over the largest stress."""
    stress = response.stress[1:]
    largest, force = abs(stress).max(), [step["force"] for step in found]
    means = np.array([step["stress"] for step in found])
    return {
        "force": force,
        "off": abs(np.array(force) - stress[:, 0]).max() / largest,
        "stress_off": abs(means - stress).max() / largest,
        "spread": max(step["spread"] for step in found) / largest,
    }


def check(response: Any, numbers: dict[str, Any]) -> None:
    """Each difference is below 1e-8."""
    last = response.stress[-1, 0]
    common.check("force at the end", numbers["force"][-1], last, TOL, "matnet.drive")
    whole = "matnet.drive along the path"
    common.check("largest difference of the force", numbers["off"], 0.0, TOL, whole)
    common.check("of any component of the mean stress", numbers["stress_off"], 0.0, TOL, whole)
    common.check("largest spread over the Gauss points", numbers["spread"], 0.0, TOL, "no spread")


# ## The picture
# The block from above, and its stress over the point's.
def draw_block(ax: Any, problem: Problem) -> None:
    """Its top face, coloured by the plastic strain of the epoxy."""
    corners, cells = common.side_faces(problem.u, axis=2, place=1.0, scale=5.0)
    values = problem.material.cell_values("p", "matrix")[cells]
    style = {"clim": (0.0, 0.05), "edgecolor": "white", "linewidth": 0.8}
    common.draw_cells(ax, corners, values, "plastic strain of the epoxy", **style)
    ax.set_title("top view, displacements x 5")


def draw(problem: Problem, response: Any, force: Sequence[float], path: Any) -> None:
    """Both."""
    fig = common.figure(9.0, 3.8)
    left, right = fig.subplots(1, 2)
    draw_block(left, problem)
    right.plot(*response.component("11"), label="matnet.drive")
    right.plot(response.component("11")[0], [0.0, *force], "o", mfc="none", label="block")
    right.set(xlabel="strain 11", ylabel="stress 11 [GPa]", title="across the fibres")
    right.legend()
    common.save_figure(fig, path)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; returns its numbers."""
    out, quick = common.options("patch_test", __doc__, arguments)
    material, n, steps = composite(), 2 if quick else 3, 4 if quick else 10
    response = matnet.drive(material, matnet.paths.uniaxial_stress("11", STRAINS, steps=steps))
    problem, pull = block(material, n)
    with common.ParaView(out / "patch_test.xdmf", problem.u) as file:
        found, newton = pull_block(problem, pull, response.component("11")[0], file)
    return tell(problem, response, {**compare(response, found), "newton": newton}, out)


def tell(problem: Problem, response: Any, numbers: dict[str, Any], out: Any) -> dict[str, Any]:
    """Picture, numbers, verdict."""
    draw(problem, response, numbers["force"], out / "patch_test.png")
    common.write_numbers(out / "patch_test.json", numbers)
    check(response, numbers)
    return numbers


if __name__ == "__main__":
    main()
