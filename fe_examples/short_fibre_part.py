"""A moulded strip of short-fibre composite: a frame in each cell, fibres that follow the flow.

**Question.** A strip is filled from both ends. Where the two fronts meet, in its middle, the fibres
turn across the strip: a weld line. How does it yield, between a strip whose fibres all lie along
the load and one whose fibres all lie across it?

**Sketch.** The fibres lie in the plane of the strip, at the angle phi to the load along x::

    - - - - \\ \\ \\ | | | / / / - - - -
    - - - - \\ \\ \\ | | | / / / - - - -    ->     phi = sign(x) 90 degrees exp(-(x / d)^2)
    - - - - \\ \\ \\ | | | / / / - - - -

**Equations.** Balance of forces. The network has its fibres (12 % glass in polyamide, J2 plasticity
of the matrix) along axis 1; each cell turns it by its own rotation Q,

    sigma = Q sigma_network(Q^T eps Q) Q^T.

**Numbers.** (1) All fibres at 30 degrees: the strip is uniform, with Young's modulus 1 / S'_1111 of
the rotated compliance in closed form, S'_ijkl = Q_ia Q_jb Q_kc Q_ld S_abcd, to 1e-8.
(2) With the weld line, in the elastic step, the work of the grips is the stored energy, to 1e-8,
and the stiffness lies between two bounds: that of uniform uniaxial stress, 1 / (mean of S'_1111),
and that of sections which stay plane and contract alike.
(3) The work of the whole history is what all points have stored and dissipated. Implicit steps take
the stress at the end of a step for that of the whole step, so the difference is of first order in
the step: 3 % with steps of 0.5 % strain, 1.5 % with half of that.

    python fe_examples/short_fibre_part.py [--out DIR] [--quick]

References: T. C. T. Ting, Anisotropic Elasticity, Oxford, 1996, sec. 2.4 (rotation); S. Fellahi et
al., "Weld lines in injection-molded parts", Adv. Polym. Technol. 14 (1995) 169.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from dolfinx import fem, mesh
from mpi4py import MPI

import matnet
from fe_examples import common
from matnet.mandel import from_mandel
from matnet.phases import read_phases
from umat_bridge.dolfinx import (
    Problem,
    QuadratureMaterial,
    compat,
    frames_from_euler,
    run,
)

WORLD = MPI.COMM_WORLD
LENGTH, WIDTH, THICKNESS = 40.0, 10.0, 2.0  # mm
WELD = 5.0  # mm, half the width of the zone in which fibres turn
STRAIN, ELASTIC = 0.03, 1e-4  # over the length
TOL, TOL_WORK = 1e-8, 0.04
Field = Callable[[np.ndarray], np.ndarray]


# ## The material and its frames
def composite() -> matnet.Material:
    """Aligned short fibres, along axis 1 [MPa]."""
    network = matnet.load(common.DATA / "short_fibre.matnet")
    phases = read_phases(common.DATA / "short_fibre.toml", network.phase_names)
    return network.with_phases(**phases).with_options(tol=1e-11)


def weld_line(x: np.ndarray) -> np.ndarray:
    """Angle phi [rad] of the fibres at points (n, 3)."""
    return np.sign(x[:, 0]) * 0.5 * np.pi * np.exp(-((x[:, 0] / WELD) ** 2))


def frames(angle: Field, x: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) about z."""
    phi = angle(x)
    return frames_from_euler(np.stack((phi, 0.0 * phi, 0.0 * phi), axis=-1))


# ## The strip
# Grips only prescribe u_x, so that the strip may contract and shear.
def supports(V: Any, pull: Any) -> list[Any]:
    """u_x of the pulled end (first), of the other end, and what stops a rigid motion."""
    low = -0.5 * LENGTH

    def at(dim: int, component: int, value: Any, where: Any) -> Any:
        V.mesh.topology.create_connectivity(dim, 3)
        found = mesh.locate_entities_boundary(V.mesh, dim, where)
        part = V.sub(component)
        return fem.dirichletbc(value, fem.locate_dofs_topological(part, dim, found), part)

    def corner(y: float) -> Any:
        return lambda p: np.isclose(p.T, (low, y, 0.0)).all(axis=1)

    rest = fem.Constant(V.mesh, 0.0)
    ends = [
        at(2, 0, v, lambda p, s=s: np.isclose(p[0], s * low))
        for v, s in ((pull, -1.0), (rest, 1.0))
    ]
    return [
        *ends,
        at(0, 1, rest, corner(0.0)),
        at(0, 2, rest, corner(0.0)),
        at(0, 2, rest, corner(WIDTH)),
    ]


def strip(material: matnet.Material, angle: Field, n: int) -> tuple[Problem, Any]:
    """The problem with 4 n x n x n / 4 hexahedra, and the displacement of its pulled end."""
    corners = [[-0.5 * LENGTH, 0.0, 0.0], [0.5 * LENGTH, WIDTH, THICKNESS]]
    cells, kind = [4 * n, n, max(1, n // 4)], mesh.CellType.hexahedron
    domain = mesh.create_box(WORLD, corners, cells, cell_type=kind)
    V = compat.function_space(domain, "Lagrange", 1, 3)
    pull = fem.Constant(domain, 0.0)
    law = QuadratureMaterial(material, V, degree=2, orientation=lambda x: frames(angle, x))
    return Problem(law, fem.Function(V, name="u"), supports(V, pull)), pull


# ## The history
def energy(law: QuadratureMaterial) -> tuple[float, float]:
    """Stored and dissipated energy [N mm] of the strip."""
    volume = law.point_volumes().sum(axis=1)
    parts = [float(volume @ law.cell_values(name)) for name in ("stored", "dissipated")]
    return WORLD.allreduce(parts[0]), WORLD.allreduce(parts[1])


def stretch(problem: Problem, pull: Any, strains: np.ndarray, file: Any) -> dict[str, Any]:
    """Force [N] and energies after each step; Newton's constants."""
    law = problem.material
    found: dict[str, list[Any]] = {"force": [0.0], "energy": [(0.0, 0.0)], "strain": [0.0]}

    def keep(increment: Any) -> None:
        common.print_step(f"strain {pull.value / LENGTH:.4f}", increment.step)
        found["strain"].append(pull.value / LENGTH)
        found["force"].append(problem.reaction(problem.bcs[0]))
        found["energy"].append(energy(law))
        if file is not None:
            file.write(
                increment.time, law.cell_function("von_mises"), law.cell_function("p", "matrix")
            )

    def load(t: float) -> None:
        pull.value = LENGTH * np.interp(t, np.arange(len(strains)), strains)

    result = run(problem, np.arange(1.0, len(strains)), load, on_step=keep)
    return {**found, "newton": common.newton_constants(result)}


# ## Closed forms
# Stiffness and compliance as tensors of fourth order, turned index by index.
def turned(matrix: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Tensors (n, 3, 3, 3, 3) of a Mandel matrix (6, 6), turned by rotations (n, 3, 3)."""
    tensor = from_mandel(np.moveaxis(from_mandel(matrix), 0, -1))
    return np.einsum("nia,njb,nkc,nld,abcd->nijkl", Q, Q, Q, Q, tensor, optimize=True)


def cell_mean(law: QuadratureMaterial, values: np.ndarray) -> np.ndarray:
    """Volume mean over the strip of values (n_cells, ...)."""
    points = law.status.shape[1]
    return law.average(np.stack([values] * points, axis=1))


def bounds(law: QuadratureMaterial, stiffness: np.ndarray, angle: Field) -> tuple[float, float]:
    """Young's modulus of the strip if stress was uniform and if sections stayed plane [MPa]."""
    Q = frames(angle, compat.cell_coordinates(law.mesh).mean(axis=1))
    below = 1.0 / cell_mean(law, turned(np.linalg.inv(stiffness), Q)[:, 0, 0, 0, 0])
    C = np.einsum("niijj->nij", turned(stiffness, Q))  # of the strains 11, 22, 33
    A, B, D = C[:, 0, 0], C[:, 0, 1:], C[:, 1:, 1:]
    # layers in series for 11, which share 22 and 33; these two relax together
    A_mean, B_mean = 1.0 / cell_mean(law, 1.0 / A), cell_mean(law, B / A[:, None])
    D_mean = cell_mean(law, D - B[:, :, None] * B[:, None, :] / A[:, None, None])
    D_mean += A_mean * np.outer(B_mean, B_mean)
    above = A_mean - A_mean**2 * B_mean @ np.linalg.solve(D_mean, B_mean)
    return float(below), float(above)


# ## The checks
def check_uniform(material: matnet.Material, n: int) -> float:
    """All fibres at 30 degrees; returns Young's modulus [MPa]."""
    problem, pull = strip(material, lambda x: np.full(len(x), np.pi / 6.0), n)
    found = stretch(problem, pull, np.array([0.0, ELASTIC]), None)
    modulus = found["force"][1] / (ELASTIC * WIDTH * THICKNESS)
    Q = frames_from_euler([[np.pi / 6.0, 0.0, 0.0]])
    expected = 1.0 / turned(np.linalg.inv(material.stiffness), Q)[0, 0, 0, 0, 0]
    common.check("modulus at 30 degrees", modulus, expected, TOL, "rotated compliance")
    return float(modulus)


def check_elastic(found: dict[str, Any], low: float, high: float) -> float:
    """Work of the first step, and its modulus between the bounds; returns the modulus [MPa]."""
    force, strain = found["force"][1], found["strain"][1]
    stored = found["energy"][1][0]
    common.check("elastic work", 0.5 * force * strain * LENGTH, stored, TOL, "stored energy")
    modulus = force / (strain * WIDTH * THICKNESS)
    common.say(f"modulus of the strip {modulus:.5g}, bounds {low:.5g} and {high:.5g}")
    if not low <= modulus <= high:
        raise common.CheckError(f"modulus {modulus:g} is not between {low:g} and {high:g}.")
    return float(modulus)


def check_work(found: dict[str, Any]) -> float:
    """Work of the grips along the path (trapezoidal rule) against both energies at its end."""
    force, u = np.array(found["force"]), LENGTH * np.array(found["strain"])
    work = float((0.5 * (force[1:] + force[:-1]) * np.diff(u)).sum())
    return common.check("work", work, sum(found["energy"][-1]), TOL_WORK, "energy of all points")


# ## The picture
def draw(problem: Problem, found: dict[str, Any], material: matnet.Material, path: Any) -> None:
    """Fibres and plastic strain in the strip; its curve between those of uniform strips."""
    fig = common.figure(7.0, 6.0)
    top, bottom = fig.subplots(2, 1, height_ratios=[1, 2])
    corners, cells = common.side_faces(problem.u, axis=2, place=THICKNESS)
    values = problem.material.cell_values("p", "matrix")[cells]
    common.draw_cells(top, corners, values, "plastic strain", edgecolor="face")
    x = (np.arange(24) + 0.5) / 24 * LENGTH - 0.5 * LENGTH
    phi = weld_line(np.stack((x, x, x), axis=-1))
    for y in (0.2 * WIDTH, 0.5 * WIDTH, 0.8 * WIDTH):
        top.quiver(
            x,
            y + 0.0 * x,
            np.cos(phi),
            np.sin(phi),
            pivot="mid",
            headwidth=0,
            headlength=0,
            headaxislength=0,
            color="white",
            scale=40,
            width=0.003,
        )
    top.set_title("plastic strain of the matrix, and the fibres")
    stress = np.array(found["force"]) / (WIDTH * THICKNESS)
    for axis, name in (("11", "all fibres along the load"), ("22", "all across")):
        loading = matnet.paths.uniaxial_stress(axis, STRAIN, steps=30)
        bottom.plot(*matnet.drive(material, loading).component(axis), label=name)
    bottom.plot(found["strain"], stress, "o-", label="strip with a weld line")
    bottom.set(xlabel="elongation / length", ylabel="force / section [MPa]")
    bottom.legend()
    common.save_figure(fig, path)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; returns its numbers."""
    out, quick = common.options("short_fibre_part", __doc__, arguments)
    material, n, steps = composite(), 4 if quick else 8, 6 if quick else 12
    numbers: dict[str, Any] = {"modulus_30": check_uniform(material, n)}
    problem, pull = strip(material, weld_line, n)
    common.say(f"{problem.material.n_points} Gauss points on rank 0")
    strains = np.concatenate(([0.0, ELASTIC], np.linspace(0.0, STRAIN, steps + 1)[1:]))
    with common.ParaView(out / "short_fibre_part.xdmf", problem.u) as file:
        found = stretch(problem, pull, strains, file)
    numbers["bounds"] = bounds(problem.material, material.stiffness, weld_line)
    numbers["modulus"] = check_elastic(found, *numbers["bounds"])
    numbers["work_off"] = check_work(found)
    draw(problem, found, material, out / "short_fibre_part.png")
    numbers = {**numbers, "bounds": list(numbers["bounds"]), "newton": found["newton"]}
    numbers.update(force=found["force"], strain=found["strain"])
    common.write_numbers(out / "short_fibre_part.json", numbers)
    return numbers


if __name__ == "__main__":
    main()
