"""A homogeneous field in a mesh is what `matnet.drive` finds at a point."""

import numpy as np
import pytest
from dolfinx_cases import (
    MPI,
    box,
    composite,
    displacement,
    face_dofs,
    face_measure,
    fem,
    laminates,
    mesh,
    roller,
    rollers,
    square,
    traction,
    ufl,
)

import matnet
from matnet import Material
from matnet.paths import LoadPath
from matnet.phases import Elastic
from umat_bridge.dolfinx import NewtonOptions, Problem, QuadratureMaterial, run, solve_step

STRICT = NewtonOptions(rtol=1e-11)
HISTORY = (0.01, 0.02, 0.014)  # plastic, more so, unloading


def driven(material, control, targets):
    """Strain and stress (n, 6) of one point under mixed control."""
    path = LoadPath(
        time=np.arange(len(targets) + 1.0),
        target=np.vstack([np.zeros(6), targets]),
        stress_controlled=np.array(control, dtype=bool),
    )
    response = matnet.drive(material, path, tol=1e-12)
    return response.strain[1:], response.stress[1:]


def along(component, amounts=HISTORY):
    targets = np.zeros((len(amounts), 6))
    targets[:, component] = amounts
    return targets


def assert_everywhere(found, wanted):
    np.testing.assert_allclose(
        found, np.broadcast_to(wanted, found.shape), atol=1e-8 * scale(wanted)
    )


def scale(wanted):
    return np.abs(wanted).max()


def stretch(law, u, axis, low, size=1.0):
    """Pull one pair of faces apart, symmetry planes at the low ends; stress after each step."""
    bcs = rollers(u.function_space, low)
    bc, amount = roller(u.function_space, axis, low[axis] + size, axis)
    problem = Problem(law, u, [*bcs, bc], options=STRICT)
    stresses, strains = [], []

    def load(t):
        amount.value = np.interp(t, range(len(HISTORY) + 1), (0.0, *HISTORY)) * size

    def keep(increment):
        stresses.append(law.point_stress().copy())
        strains.append(law.point_strain().copy())

    run(problem, np.arange(1.0, len(HISTORY) + 1), load, on_step=keep)
    return np.stack(strains), np.stack(stresses)


@pytest.mark.parametrize("cell", ["hexahedron", "tetrahedron"])
def test_uniaxial_stress_in_3d(cell):
    material = laminates()
    u = displacement(box(2, getattr(mesh.CellType, cell)))
    strains, stresses = stretch(QuadratureMaterial(material, u.function_space), u, 0, [0.0] * 3)
    wanted = driven(material, [0, 1, 1, 1, 1, 1], along(0))
    for step in range(len(HISTORY)):
        assert_everywhere(strains[step], wanted[0][step])
        assert_everywhere(stresses[step], wanted[1][step])


def test_traction_on_a_face_in_3d():
    material = laminates()
    u = displacement(box(2))
    space = u.function_space
    work, load = traction(space, 0, 1.0, [0.0, 0.0, 0.0])
    law = QuadratureMaterial(material, space)
    problem = Problem(law, u, rollers(space), external=work, options=STRICT)
    run(problem, [1.0, 2.0], lambda t: load.value.__setitem__(0, 0.02 * t))
    wanted = driven(material, [1] * 6, along(0, (0.02, 0.04)))
    assert_everywhere(law.point_strain(), wanted[0][-1])
    assert problem.reaction(problem.bcs[0]) == pytest.approx(-0.04, rel=1e-8)


def test_plane_strain():
    material, u = laminates(), displacement(square())
    law = QuadratureMaterial(material, u.function_space, kind="plane strain")
    strains, stresses = stretch(law, u, 0, [0.0, 0.0])
    wanted = driven(material, [0, 1, 0, 0, 0, 0], along(0))
    assert_everywhere(strains[-1], wanted[0][-1])
    assert_everywhere(stresses[-1], wanted[1][-1])


def test_plane_stress():
    material, u = laminates(), displacement(square())
    law = QuadratureMaterial(material, u.function_space, kind="plane stress")
    strains, stresses = stretch(law, u, 0, [0.0, 0.0])
    wanted = driven(material, [0, 1, 1, 1, 1, 1], along(0))
    for step in range(len(HISTORY)):
        assert_everywhere(strains[step], wanted[0][step])
        assert_everywhere(stresses[step], wanted[1][step])


def test_axisymmetric_cylinder_pulled_along_its_axis():
    material, u = laminates(axes=(1, 1, 1)), displacement(square())  # isotropic around the axis
    law = QuadratureMaterial(material, u.function_space, kind="axisymmetric")
    strains, stresses = stretch(law, u, 1, [0.0, 0.0])
    wanted = driven(material, [1, 0, 1, 1, 1, 1], along(1))
    assert_everywhere(strains[-1], wanted[0][-1])
    assert_everywhere(stresses[-1], wanted[1][-1])


def test_axisymmetric_volume_and_force_are_those_of_the_ring():
    u = displacement(square(r0=1.0))
    space = u.function_space
    law = QuadratureMaterial(laminates(axes=(1, 1, 1)), space, kind="axisymmetric")
    assert law.point_volumes().sum() == pytest.approx(np.pi * (2.0**2 - 1.0**2), rel=1e-12)
    bc, amount = roller(space, 1, 1.0, 1)
    amount.value = 1e-4
    problem = Problem(law, u, [roller(space, 1, 0.0, 1)[0], bc], options=STRICT)
    run(problem, [1.0], lambda t: None)
    stress = law.point_stress()[0, 0, 1]
    assert problem.reaction(bc) == pytest.approx(np.pi * 3.0 * stress, rel=1e-8)


def test_thick_tube_under_pressure_has_lames_stresses():
    inner, outer, pressure, nu = 1.0, 2.0, 0.1, 0.3
    domain = mesh.create_rectangle(
        MPI.COMM_WORLD,
        [[inner, 0.0], [outer, 0.1]],
        [40, 1],
        cell_type=mesh.CellType.quadrilateral,
    )
    u = displacement(domain, 2)
    space = u.function_space
    law = QuadratureMaterial(
        Material.homogeneous(Elastic(E=70.0, nu=nu)), space, 4, kind="axisymmetric"
    )
    radius = ufl.SpatialCoordinate(domain)[0]
    push = pressure * ufl.TestFunction(space)[0] * 2.0 * np.pi * radius
    work = push * face_measure(space, 0, inner)(1)
    ends = [roller(space, 1, z, 1)[0] for z in (0.0, 0.1)]
    assert solve_step(Problem(law, u, ends, external=work)).converged
    r = law.point_coordinates(np.arange(law.n_cells))[..., 0]
    share = pressure * inner**2 / (outer**2 - inner**2)
    radial, hoop = share * (1.0 - outer**2 / r**2), share * (1.0 + outer**2 / r**2)
    stress = law.point_stress()
    for component, wanted in ((0, radial), (2, hoop), (1, nu * (radial + hoop))):
        # elements of degree 2 of a fortieth of the wall
        np.testing.assert_allclose(stress[..., component], wanted, atol=1e-3 * pressure)


def affine(law, u, gradient):
    """Prescribe a linear displacement on the whole boundary, so that the inside finds it."""
    space = u.function_space
    dimension = space.mesh.geometry.dim
    edge = fem.Function(space)
    dofs = np.concatenate(
        [face_dofs(space, axis, value) for axis in range(dimension) for value in (0.0, 1.0)]
    )
    problem = Problem(law, u, [fem.dirichletbc(edge, np.unique(dofs))], options=STRICT)

    def load(t):
        edge.interpolate(lambda x: t * gradient @ x[:dimension])

    run(problem, [0.5, 1.0], load)


def disturb(domain, seed=0):
    """Move the inner nodes, so that elements are distorted."""
    x = domain.geometry.x
    dimension = domain.geometry.dim
    inside = ((x[:, :dimension] > 1e-9) & (x[:, :dimension] < 1.0 - 1e-9)).all(axis=1)
    moves = np.random.default_rng(seed).uniform(-0.06, 0.06, (len(x), dimension))
    x[inside, :dimension] += moves[inside]


def test_anisotropic_network_in_a_distorted_mesh_in_3d():
    material, domain = composite(), box(3)
    disturb(domain)
    u = displacement(domain)
    law = QuadratureMaterial(material, u.function_space)
    gradient = np.array([[0.02, 0.01, 0.0], [0.004, -0.01, 0.006], [0.0, 0.01, 0.005]])
    affine(law, u, gradient)
    strain = matnet.mandel.to_mandel(0.5 * (gradient + gradient.T))
    wanted = driven(material, [0] * 6, np.stack([0.5 * strain, strain]))
    assert_everywhere(law.point_strain(), wanted[0][-1])
    assert_everywhere(law.point_stress(), wanted[1][-1])


def test_anisotropic_network_in_plane_stress_lets_all_three_stresses_vanish():
    material, domain = composite(), square(3)
    disturb(domain)
    u = displacement(domain)
    law = QuadratureMaterial(material, u.function_space, kind="plane stress")
    gradient = np.array([[0.02, 0.01], [0.004, -0.01]])
    affine(law, u, gradient)
    target = np.zeros(6)
    target[[0, 1, 3]] = 0.02, -0.01, np.sqrt(2.0) * 0.007
    wanted = driven(material, [0, 0, 1, 0, 1, 1], np.stack([0.5 * target, target]))
    assert np.abs(wanted[0][-1][[4, 5]]).min() > 1e-4  # the network does shear out of the plane
    assert_everywhere(law.point_strain(), wanted[0][-1])
    assert_everywhere(law.point_stress(), wanted[1][-1])
