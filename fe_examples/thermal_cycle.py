"""A cross-ply strip that is cooled and heated again and again under a load in phase.

**Question.** Two layers of the same composite, one with its fibres along the strip and one across,
are bonded at 177 degrees and cooled to -55. The strip curls. What do cycles of temperature do to
it when the epoxy between the fibres flows because it shrinks more than they do?

**Sketch.** A narrow strip, 40 mm long and 1 mm thick: below, fibres along its axis x; above, fibres
across (out of the plane). Half of its length is modelled, x = 0 is a plane of symmetry. Cooling and
a tension on the end x = 20 mm rise and fall together, the tension higher in each cycle.

**Equations.** Plane stress in the plane of length and thickness. At each Gauss point the network
gives sigma(eps, T); each of its phases would expand by alpha (T - T_0), so temperature alone makes
stresses between fibres and epoxy and between the layers.

**Material.** Composite 1 of He et al. (`data/composites/ud1.toml`); thermal expansion of epoxy
3501-6 and of AS4 carbon fibres from Soden et al. GPa, mm, K.

**Numbers.** The curvature at x = 10 mm after a first, elastic step against the closed form of
two elastic layers (Timoshenko 1925, with a force added); along all cycles against a beam whose
sections stay plane (`thermal_cycle_beam.py`), which shares the network but no finite elements.

    python fe_examples/thermal_cycle.py [--out DIR] [--quick]

References: S. Timoshenko, "Analysis of bi-metal thermostats", J. Opt. Soc. Am. 11 (1925) 233-255.
P. D. Soden, M. J. Hinton and A. S. Kaddour, Compos. Sci. Technol. 58 (1998) 1011-1022.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

import matnet
from fe_examples import common
from fe_examples.thermal_cycle_beam import Layer, LayeredBeam, elastic_beam
from matnet.phases import Elastic, ThermalExpansion, read_phases
from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat, run

LENGTH, HALF = 20.0, 0.5  # mm: half the length, half the thickness
BONDED, COLD = 177.0, -55.0  # degrees Celsius
TENSION = 0.04  # GPa on the end when cold, in the first cycle; twice in the second, ...
EPOXY, FIBRE = 45e-6, (15e-6, 15e-6, -0.5e-6)  # 1/K; the fibres shrink along their axis when heated
LAYERS = (Layer(-HALF, 0.0, along=2), Layer(0.0, HALF, along=0))  # axis 3 is the fibres'
# columns: axes 1, 2, 3 of the network in the strip's frame (length, thickness, width)
ALONG, ACROSS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.eye(3)


# ## The material
# Any law can expand; the rest of composite 1 stays as it is.
def composite(elastic: bool = False) -> matnet.Material:
    """Composite 1 with thermal expansion, free of stress when it was bonded."""
    network = matnet.load(common.COMPOSITES / "ud_hexagonal.matnet")
    laws = read_phases(common.COMPOSITES / "ud1.toml", network.phase_names)
    epoxy = Elastic(E=laws["matrix"].E, nu=laws["matrix"].nu) if elastic else laws["matrix"]
    matrix = ThermalExpansion(epoxy, EPOXY, BONDED)
    return network.with_phases(matrix=matrix, fibre=ThermalExpansion(laws["fibre"], FIBRE, BONDED))


# ## The loads
# `depth` goes from 0 to 1 and back in each cycle; temperature and tension follow it.
def depth(t: float) -> float:
    """Share of cooling at time t, one cycle per unit of time."""
    return float(1.0 - abs(1.0 - 2.0 * (t % 1.0)))


def tension(t: float) -> float:
    """Stress [GPa] on the end."""
    return float(TENSION * np.ceil(t) * depth(t))


def temperature(t: float) -> float:
    """Of the whole strip."""
    return BONDED + (COLD - BONDED) * depth(t)


# ## The strip
# Bricks of two layers, elements of degree 2; the frame of each element follows from its height.
def strip(material: matnet.Material, n: int) -> tuple[QuadratureMaterial, Any]:
    """The material at the points of the strip, n elements in each layer, and its displacement."""
    corners, cells = [[0.0, -HALF], [LENGTH, HALF]], [20, 2 * n]
    quads = mesh.CellType.quadrilateral
    V = compat.function_space(
        mesh.create_rectangle(MPI.COMM_WORLD, corners, cells, quads), "Lagrange", 2, 2
    )

    def frame(x: np.ndarray) -> np.ndarray:
        return np.where((x[:, 1] < 0.0)[:, None, None], ALONG, ACROSS)

    law = QuadratureMaterial(material, V, degree=4, kind="plane stress", orientation=frame)
    return law, fem.Function(V, name="u")


# Symmetry at x = 0, one point held in height, a tension on the end.
def supports(V: Any) -> list[Any]:
    """u_x = 0 on x = 0, u_y = 0 at its lowest point."""
    V.mesh.topology.create_connectivity(0, 2)
    zero = fem.Constant(V.mesh, 0.0)
    plane = mesh.locate_entities_boundary(V.mesh, 1, lambda x: np.isclose(x[0], 0.0))
    point = mesh.locate_entities_boundary(
        V.mesh, 0, lambda x: np.isclose(x[0] + abs(x[1] + HALF), 0.0)
    )
    held = ((1, 0, plane), (0, 1, point))
    dofs = [(fem.locate_dofs_topological(V.sub(i), dim, at), V.sub(i)) for dim, i, at in held]
    return [fem.dirichletbc(zero, *pair) for pair in dofs]


def pulled_end(V: Any) -> tuple[Any, Any]:
    """External virtual work on the end, and its traction."""
    end = mesh.locate_entities_boundary(V.mesh, 1, lambda x: np.isclose(x[0], LENGTH))
    tags = mesh.meshtags(V.mesh, 1, np.sort(end), np.full(len(end), 1, dtype=np.int32))
    load = fem.Constant(V.mesh, np.zeros(2))
    ds = ufl.Measure("ds", domain=V.mesh, subdomain_data=tags)
    return ufl.dot(load, ufl.TestFunction(V)) * ds(1), load


# ## What is measured
# Away from the ends the strain along x is linear in the height: its slope is the curvature. In the
# plane of symmetry it is not quite: the network couples stretch and shear a little (1e-3).
def middle(law: QuadratureMaterial) -> np.ndarray:
    """Height, strain and stress along x (n, 3) of the points about x = 10 mm, on all ranks."""
    places = law.point_coordinates(np.arange(law.n_cells))
    near = abs(places[..., 0] - 0.525 * LENGTH).max(axis=1) < 0.025 * LENGTH
    columns = (places[..., 1], law.point_strain()[..., 0], law.point_stress()[..., 0])
    points = np.stack([column[near].ravel() for column in columns], axis=1)
    return np.concatenate(MPI.COMM_WORLD.allgather(points))


# ## The cycles
def pull_strip(law: QuadratureMaterial, u: Any) -> tuple[Problem, Any]:
    """The problem, and what sets its tension."""
    work, load = pulled_end(u.function_space)

    def pull(t: float) -> None:
        load.value = np.array([tension(t), 0.0])

    return Problem(law, u, supports(u.function_space), external=work), pull


def cycle(problem: Problem, pull: Any, times: np.ndarray, file: Any) -> dict[str, Any]:
    """Curvature [1/mm] after each step, points when last cold, Newton's constants."""
    law, found = problem.material, {"curvature": []}

    def keep(increment: Any) -> None:
        points, t = middle(law), increment.time
        found["curvature"].append(float(np.polyfit(points[:, 0], points[:, 1], 1)[0]))
        found["cold"] = points if depth(t) == 1.0 else found.get("cold")
        common.print_step(f"T = {temperature(t):5.1f}", increment.step)
        file.write(t, law.cell_function("s11"), law.cell_function("p", "matrix"))

    result = run(problem, times, pull, temperature=temperature, on_step=keep)
    return {**found, "newton": common.newton_constants(result)}


# ## The check
# Moduli and expansions of the elastic composite: what its stress at zero strain would undo.
def elastic_curvature(t: float) -> float:
    """Closed form [1/mm] at a time when everything is elastic."""
    material, T = composite(elastic=True), temperature(t)
    compliance = np.linalg.inv(material.stiffness)
    held = material.update(np.zeros((1, 6)), 1.0, material.initial_state(1), T).stress[0]
    free = -compliance @ held / (T - BONDED)
    along = [layer.along for layer in LAYERS]
    moduli, expansions = 1.0 / compliance[along, along], free[along]
    force = 2.0 * HALF * tension(t)
    return float(elastic_beam(LAYERS, moduli, expansions, force, T - BONDED)[1])


def beam_cycle(times: np.ndarray) -> tuple[list[float], LayeredBeam]:
    """Curvature [1/mm] of the beam at the same times, and the beam as it was when last cold."""
    beam, curvature, cold = LayeredBeam(composite(), LAYERS), [], None
    for t in times:
        force = 2.0 * HALF * tension(t)
        curvature.append(float(beam.step(force, 0.0, temperature(t))[1]))
        if depth(t) == 1.0:
            cold = (beam.z, beam.stress)
    return curvature, cold


def check(found: dict[str, Any], beam: list[float], elastic: float) -> dict[str, Any]:
    """Both numbers."""
    curvature = np.array(found["curvature"])
    off = float(abs(curvature - beam).max() / abs(np.array(beam)).max())
    common.check("curvature after the first step", curvature[0], elastic, 1e-6, "closed form")
    common.check("largest difference of curvatures along all cycles", off, 0.0, 1e-4, "beam")
    return {**found, "beam": beam, "elastic": elastic, "off": off}


# ## The picture
# Curvature over temperature, stress over height when last cold, the strip at the end.
def draw(found: dict[str, Any], cold: Any, problem: Problem, times: np.ndarray, path: Any) -> None:
    """All three."""
    fig = common.figure(9.0, 5.0)
    axes = fig.subplot_mosaic([["loop", "height"], ["strip", "strip"]], height_ratios=(3.0, 1.0))
    draw_loops(axes["loop"], found, times)
    draw_height(axes["height"], found["cold"], cold)
    values = problem.material.cell_values("p", "matrix")
    style = {"label": "plastic strain\nof the epoxy", "edgecolor": "none", "clim": (0.0, 0.06)}
    common.draw_cells(axes["strip"], common.quadrilaterals(problem.u), values, **style)
    common.save_figure(fig, path)


def draw_loops(ax: Any, found: dict[str, Any], times: np.ndarray) -> None:
    """Curvature over temperature."""
    T = [BONDED, *(temperature(t) for t in times)]
    ax.plot(T, [0.0, *(1e3 * k for k in found["beam"])], label="beam")
    ax.plot(T, [0.0, *(1e3 * k for k in found["curvature"])], ".", label="strip")
    ax.set(xlabel="temperature [°C]", ylabel="curvature [1/m]", title="cooled and heated")
    ax.legend()


def draw_height(ax: Any, strip: np.ndarray, beam: Any) -> None:
    """Stress over height."""
    ax.plot(1e3 * beam[1], beam[0], label="beam")
    ax.plot(1e3 * strip[:, 2], strip[:, 0], ".", label="strip")
    ax.set(xlabel="stress 11 [MPa]", ylabel="height [mm]", title="x = 10 mm, when last cold")
    ax.legend()


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; returns its numbers."""
    out, quick = common.options("thermal_cycle", __doc__, arguments)
    cycles, steps, n = (1, 20, 1) if quick else (3, 20, 2)
    times = np.array([0.2, *range(1, cycles * steps + 1)]) / steps  # the first remains elastic
    problem, pull = pull_strip(*strip(composite(), n))
    common.say(problem.material)
    with common.ParaView(out / "thermal_cycle.xdmf", problem.u) as file:
        found = cycle(problem, pull, times, file)
    return tell(problem, found, times, out)


def tell(problem: Problem, found: dict[str, Any], times: np.ndarray, out: Any) -> dict[str, Any]:
    """Verdict, picture and numbers."""
    curvature, cold = beam_cycle(times)
    found = check(found, curvature, elastic_curvature(times[0]))
    draw(found, cold, problem, times, out / "thermal_cycle.png")
    del found["cold"]
    common.write_numbers(out / "thermal_cycle.json", found)
    return found


if __name__ == "__main__":
    main()
