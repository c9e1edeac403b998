"""Three-point bending of a sandwich: aluminium faces on an octet lattice.

**Question.** How stiff is a wide panel with a lattice core, how much of its deflection is shear of
the core, and what carries the load once the struts yield?

**Sketch.** Half of the panel, in plane strain. The load and the support act on stiff inserts, so
that nothing crushes the core::

      insert, u_y prescribed                           insert, u_y = 0
      |=================================================| face t
      | octet core, 20 % aluminium                      | c
      |=================================================| face t
      x = 0, u_x = 0 (symmetry)                         x = L / 2, free to turn

**Equations.** Balance of forces with the network at the Gauss points of the core and J2 plasticity
in the faces. Timoshenko's beam for the elastic deflection under the middle, per unit width,

    w = P L^3 / (48 D) + P L / (4 S),   D = integral of E' y^2 dy,
    1 / S = integral of (tau / V)^2 / G dy,   tau / V = integral of E' y dy above / D,

with E' the modulus of a layer in plane strain and tau the shear that bending stresses demand
(Jourawski). Beyond yield the core shears almost uniformly: P = 2 (c + t) tau(gamma), where
tau(gamma) is the simple shear of one material point.

**Number.** The elastic deflection, within 4 % of Timoshenko's. What is left is that the faces
cannot warp at the middle, which costs them bending of their own.

    python fe_examples/sandwich_beam.py [--out DIR] [--quick]

Reference: H. G. Allen, Analysis and Design of Structural Sandwich Panels, Pergamon, 1969, ch. 2.
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

SPAN, CORE, FACE = 120.0, 20.0, 3.0  # mm
DEPTH = CORE + 2.0 * FACE
DEFLECTION = 4.0  # mm, at the end of loading
ELASTIC = 0.01  # mm: no strut yields
CORE_TAG, FACE_TAG = 1, 2
TOL = 0.04


# ## The materials
# The network of the octet for the core, the same alloy without microstructure for the faces.
def materials() -> dict[int, matnet.Material]:
    """Material by cell tag [MPa]."""
    network = matnet.load(common.DATA / "truss.matnet")
    alloy = read_phases(common.DATA / "aluminium_j2.toml", network.phase_names)
    core = network.with_phases(**alloy).with_options(tol=1e-11)
    return {CORE_TAG: core, FACE_TAG: matnet.Material.homogeneous(alloy["solid"])}


# ## The mesh
# Second-order elements. Layers of equal height are moved to where core and faces begin.
def panel(n: int) -> tuple[Any, Any]:
    """Half of the panel with `n` layers of core, and its cell tags."""
    corners, layers = [[0.0, 0.0], [0.5 * SPAN, n + 2.0]], [3 * n, n + 2]
    kind = mesh.CellType.quadrilateral
    domain = mesh.create_rectangle(MPI.COMM_WORLD, corners, layers, cell_type=kind)
    at = np.concatenate(([0.0], np.linspace(FACE, FACE + CORE, n + 1), [DEPTH])) - 0.5 * DEPTH
    x = domain.geometry.x
    x[:, 1] = np.interp(x[:, 1], np.arange(n + 3.0), at)
    middle = compat.cell_coordinates(domain).mean(axis=1)[:, 1]
    tags = np.where(abs(middle) < 0.5 * CORE, CORE_TAG, FACE_TAG).astype(np.int32)
    return domain, mesh.meshtags(domain, 2, np.arange(len(tags), dtype=np.int32), tags)


# ## Supports
def supports(V: Any, middle: Any) -> list[Any]:
    """u_y at the middle (first) and at the support, u_x at the middle."""

    def at(x: float, component: int, value: Any) -> Any:
        facets = mesh.locate_entities_boundary(V.mesh, 1, lambda p: np.isclose(p[0], x))
        part = V.sub(component)
        return fem.dirichletbc(value, fem.locate_dofs_topological(part, 1, facets), part)

    zero = fem.Constant(V.mesh, 0.0)
    return [at(0.0, 1, middle), at(0.5 * SPAN, 1, zero), at(0.0, 0, zero)]


def beam(by_tag: dict[int, matnet.Material], n: int) -> tuple[Problem, Any]:
    """The problem, and the displacement u_y of the middle."""
    domain, tags = panel(n)
    V = compat.function_space(domain, "Lagrange", 2, 2)
    middle = fem.Constant(domain, 0.0)
    law = QuadratureMaterial(by_tag, V, degree=4, kind="plane strain", cell_tags=tags)
    common.say(f"{law.n_points} Gauss points on rank 0, {law.memory_per_point:.0f} bytes each")
    options = NewtonOptions(rtol=1e-7)
    u = fem.Function(V, name="u")
    return Problem(law, u, supports(V, middle), options=options), middle


# ## Bending
# One small step for the elastic deflection, then far beyond yield, and some of the way back.
def deflections(steps: int) -> np.ndarray:
    """Deflection [mm] after each step."""
    there = np.linspace(0.0, DEFLECTION, steps + 1)[1:]
    back = np.array([0.97, 0.94, 0.91]) * DEFLECTION
    return np.concatenate(([0.0, ELASTIC], there, back))


def bend(problem: Problem, middle: Any, w: np.ndarray, file: Any) -> dict[str, Any]:
    """Force [N/mm] of the whole panel after each step; Newton's constants."""
    law, force = problem.material, [0.0]

    def keep(increment: Any) -> None:
        common.print_step(f"w = {-middle.value:.3f} mm", increment.step)
        file.write(increment.time, law.cell_function("von_mises"), law.cell_function("p", "solid"))
        if increment.reached:
            force.append(-2.0 * problem.reaction(problem.bcs[0]))

    def load(t: float) -> None:
        middle.value = -np.interp(t, np.arange(len(w)), w)

    result = run(problem, np.arange(1.0, len(w)), load, on_step=keep)
    return {"w": w.tolist(), "force": force, "newton": common.newton_constants(result)}


# ## Timoshenko's beam
# Moduli of a layer in plane strain from its stiffness; axis 1 along the beam, 2 through it.
def plane_moduli(stiffness: np.ndarray) -> tuple[float, float]:
    """E' = sigma_11 / eps_11 with sigma_22 = 0 and eps_33 = 0, and G_12, of a stiffness (6, 6)."""
    s = np.linalg.inv(stiffness[:2, :2])  # eps_33 = 0: the block of 11 and 22
    return 1.0 / s[0, 0], 0.5 * stiffness[3, 3]


def beam_stiffness(core: np.ndarray, face: np.ndarray) -> tuple[float, float]:
    """D [N mm] and S [N/mm] per unit width, by the midpoint rule over the height."""
    n = 24_000
    y = (np.arange(n) + 0.5) / n * DEPTH - 0.5 * DEPTH
    (E_core, G_core), (E_face, G_face) = plane_moduli(core), plane_moduli(face)
    E = np.where(abs(y) < 0.5 * CORE, E_core, E_face)
    G = np.where(abs(y) < 0.5 * CORE, G_core, G_face)
    D = (E * y**2).sum() * DEPTH / n
    tau = np.cumsum(E * y) * DEPTH / n / D  # for a unit shear force
    return D, 1.0 / ((tau**2 / G).sum() * DEPTH / n)


def timoshenko(by_tag: dict[int, matnet.Material]) -> tuple[float, float]:
    """Deflection [mm per N/mm] of the middle, by bending and by shear."""
    D, S = beam_stiffness(by_tag[CORE_TAG].stiffness, by_tag[FACE_TAG].stiffness)
    return SPAN**3 / (48.0 * D), SPAN / (4.0 * S)


# ## Core shear
# If the faces bent like foils and the core took all the deflection by shear.
def core_shear(core: matnet.Material, compliance: float) -> tuple[np.ndarray, np.ndarray]:
    """Deflection [mm] and force [N/mm] of Timoshenko's beam whose core alone yields."""
    gamma = 0.08
    response = matnet.drive(core, matnet.paths.simple_shear("12", gamma, steps=40))
    tau = response.component("12")[1]
    shear = np.linspace(0.0, gamma, len(tau))
    force = 2.0 * (CORE + FACE) * tau
    w = compliance * force + 0.5 * SPAN * CORE / (CORE + FACE) * shear
    return w, force


# ## The picture
def draw(problem: Problem, found: dict[str, Any], line: Any, elastic: float, path: Any) -> None:
    """Plastic strain of the aluminium in the half panel, and force over deflection."""
    fig = common.figure(7.0, 6.0)
    top, bottom = fig.subplots(2, 1, height_ratios=[1, 2])
    corners = common.quadrilaterals(problem.u, scale=2.0)
    values = problem.material.cell_values("p", "solid")
    common.draw_cells(top, corners, values, "plastic strain", edgecolor="white", linewidth=0.2)
    top.set_title("mean plastic strain of the aluminium, displacements x 2")
    bottom.plot(found["w"], found["force"], "o-", ms=4, label="finite elements")
    bottom.plot(*line, "--", label="beam whose core yields in uniform shear")
    peak = max(found["force"])
    bottom.plot([0.0, elastic * peak], [0.0, peak], ":", label="Timoshenko, elastic")
    bottom.set(xlabel="deflection [mm]", ylabel="load per width [N/mm]", xlim=(0.0, DEFLECTION))
    bottom.legend()
    common.save_figure(fig, path)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; returns its numbers."""
    out, quick = common.options("sandwich_beam", __doc__, arguments)
    by_tag, n, steps = materials(), 4 if quick else 8, 5 if quick else 15
    bending, shear = timoshenko(by_tag)
    common.say(f"deflection by bending {bending:.3g}, by shear {shear:.3g} mm per N/mm")
    problem, middle = beam(by_tag, n)
    with common.ParaView(out / "sandwich_beam.xdmf", problem.u) as file:
        found = bend(problem, middle, deflections(steps), file)
    numbers = {**found, "bending": bending, "shear": shear}
    numbers["compliance"] = found["w"][1] / found["force"][1]
    draw(
        problem,
        found,
        core_shear(by_tag[CORE_TAG], bending),
        bending + shear,
        out / "sandwich_beam.png",
    )
    common.check(
        "elastic deflection [mm per N/mm]",
        numbers["compliance"],
        bending + shear,
        TOL,
        "Timoshenko's beam",
    )
    common.write_numbers(out / "sandwich_beam.json", numbers)
    return numbers


if __name__ == "__main__":
    main()
