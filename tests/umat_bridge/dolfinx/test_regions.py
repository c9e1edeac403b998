"""Several materials, local frames, temperature, and numbers per cell for pictures."""

import dataclasses

import numpy as np
import pytest
from dolfinx_cases import (
    FIBRE,
    MATRIX,
    MPI,
    box,
    cantilever,
    composite,
    displacement,
    fem,
    io,
    mesh,
    roller,
    rollers,
    square,
)

from matnet import LocalFields, Material
from matnet.directions import random_rotations
from matnet.errors import ParameterError, ShapeError
from matnet.mandel import rotation_matrix
from matnet.phases import Elastic, ThermalExpansion
from umat_bridge.dolfinx import (
    Problem,
    QuadratureMaterial,
    compat,
    frames_from_directions,
    frames_from_euler,
    run,
    solve_step,
)


def moved(domain, seed=0, size=0.01):
    """A displacement of random numbers."""
    u = displacement(domain)
    u.x.array[:] = np.random.default_rng(seed).uniform(-size, size, u.x.array.size)
    return u


def tagged(domain, below=0.5):
    """Tags 7 for cells whose centre has x < below, 3 elsewhere."""
    centres = compat.cell_coordinates(domain).mean(axis=1)
    values = np.where(centres[:, 0] < below, 7, 3).astype(np.int32)
    cells = np.arange(len(values), dtype=np.int32)
    return mesh.meshtags(domain, domain.topology.dim, cells, values), values


def test_each_tag_has_its_material():
    domain = box(2)
    tags, values = tagged(domain)
    materials = {3: composite(), 7: Material.homogeneous(FIBRE)}
    u = moved(domain)
    law = QuadratureMaterial(materials, u.function_space, cell_tags=tags)
    assert law.update(u) == 0
    for tag, material in materials.items():
        alone = QuadratureMaterial(material, u.function_space)
        alone.update(u)
        cells = values == tag
        assert cells.any()
        assert (law.point_stress()[cells] == alone.point_stress()[cells]).all()


def test_materials_without_cells_and_without_state_are_kept_in_files(tmp_path):
    domain = box(2)
    tags, _ = tagged(domain, below=2.0)  # all are 7
    u = moved(domain)
    materials = {3: composite(), 7: Material.homogeneous(FIBRE)}
    law = QuadratureMaterial(materials, u.function_space, cell_tags=tags)
    assert law.update(u) == 0
    law.commit()
    assert np.isfinite(law.cell_values("s11")).all() and np.isnan(law.cell_values("p")).all()
    energy = law.average(law.cell_values("stored")[:, None] * np.ones((1, 8)))
    assert energy == pytest.approx(
        0.5 * law.average((law.point_stress() * law.point_strain()).sum(axis=2)), rel=1e-9
    )
    law.save(tmp_path / "state.npz", time=2.0, u=u)
    assert law.load(tmp_path / "state.npz", u=u) == {"time": 2.0}
    with pytest.raises(ParameterError, match="'stored' is known after update or commit"):
        law.cell_values("stored")


def test_bar_of_two_materials_in_series():
    domain = mesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0, 0.0], [2.0, 1.0]], [4, 1], cell_type=mesh.CellType.quadrilateral
    )
    tags, values = tagged(domain, below=1.0)
    soft, stiff = (Material.homogeneous(Elastic(E=E, nu=0.0)) for E in (10.0, 40.0))
    u = displacement(domain)
    law = QuadratureMaterial({7: soft, 3: stiff}, domain, cell_tags=tags, kind="plane stress")
    bc, _ = roller(u.function_space, 0, 2.0, 0, 0.05)
    problem = Problem(law, u, [*rollers(u.function_space), bc])
    assert solve_step(problem).converged
    # nu = 0: strains as the compliances
    np.testing.assert_allclose(law.point_strain()[values == 7][..., 0], 0.04, rtol=1e-9)
    np.testing.assert_allclose(law.point_strain()[values == 3][..., 0], 0.01, rtol=1e-9)
    assert problem.reaction(bc) == pytest.approx(0.4, rel=1e-9)


def test_tags_that_do_not_fit_are_one_sentence():
    domain = box(1)
    cells = np.arange(1, dtype=np.int32)
    materials = {3: composite(), 7: composite()}

    def refused(words, material=materials, **more):
        with pytest.raises(ParameterError, match=words):
            QuadratureMaterial(material, domain, **more)

    tags = mesh.meshtags(domain, 3, cells, np.array([4], dtype=np.int32))
    refused("2 materials by tag came without cell_tags")
    refused("1 cells have tags without material .first: cell 0, tag 4.", cell_tags=tags)
    none = mesh.meshtags(domain, 3, cells[:0], cells[:0])
    refused("1 cells have no tag .first: cell 0., expected one of 3, 7", cell_tags=none)
    faces = mesh.meshtags(domain, 2, cells, cells)
    refused("cell_tags are of dimension 2, expected tags of cells .3.", cell_tags=faces)
    refused("cell_tags came with one material", composite(), cell_tags=tags)
    refused("material is of type str, expected a matnet.Material .such as", "steel")
    refused("material of tag 1 is 5, expected a matnet.Material", {1: 5})


def frames_of(domain, seed=2):
    n = compat.global_cells(domain)
    return random_rotations(n, np.random.default_rng(seed))


def test_orientation_turns_strain_in_and_stress_and_tangent_out():
    domain, material = box(2), composite()
    u, frames = moved(domain), frames_of(box(2))
    law = QuadratureMaterial(material, u.function_space, orientation=frames)
    law.update(u)
    own = frames[compat.original_cells(domain)]
    tangents = np.reshape(law.tangent.x.array, (-1, 8, 6, 6))
    for cell in range(len(own)):
        turn = rotation_matrix(own[cell])
        strain = law.point_strain()[cell]
        by_hand = material.update(strain @ turn, 1.0, material.initial_state(8))
        np.testing.assert_allclose(law.point_stress()[cell], by_hand.stress @ turn.T, atol=1e-13)
        np.testing.assert_allclose(tangents[cell], turn @ by_hand.tangent @ turn.T, atol=1e-10)


def test_turned_frame_equals_turned_network():
    material, domain = composite(), box(2)
    Q = frames_from_euler([0.3, 0.8, -0.4])
    network = dataclasses.replace(material.network, normals=material.network.normals @ Q.T)
    turned = network.with_phases(**material.phases)
    u = moved(domain)
    with_frame = QuadratureMaterial(material, u.function_space, orientation=Q)
    with_network = QuadratureMaterial(turned, u.function_space)
    with_frame.update(u)
    with_network.update(u)
    np.testing.assert_allclose(with_frame.point_stress(), with_network.point_stress(), atol=1e-12)


def test_orientation_comes_as_array_callable_or_function():
    domain, material = box(2), composite()
    frames, u = frames_of(domain), moved(domain)
    own = frames[compat.original_cells(domain)]
    centres = compat.cell_coordinates(domain).mean(axis=1)

    def nearest(x):
        return own[[int(np.linalg.norm(centres - p, axis=1).argmin()) for p in x]]

    piecewise = fem.Function(compat.function_space(domain, "DG", 0, 9))
    dofs = compat.cell_dofs(piecewise.function_space)[:, 0]
    np.reshape(piecewise.x.array, (-1, 9))[dofs] = own.reshape(-1, 9)
    found = []
    for orientation in (frames, nearest, piecewise):
        law = QuadratureMaterial(material, u.function_space, orientation=orientation)
        law.update(u)
        found.append(law.point_stress().copy())
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


def test_orientation_in_plane_stress_is_newton_quadratic():
    u = displacement(square())
    frames = frames_from_directions([1.0, 0.5], axis=3)
    law = QuadratureMaterial(composite(), u.function_space, kind="plane stress", orientation=frames)
    bc, amount = roller(u.function_space, 0, 1.0, 0)
    problem = Problem(law, u, [*rollers(u.function_space), bc])
    amount.value = 0.02
    result = solve_step(problem)
    assert result.converged and result.iterations <= 6
    assert (
        np.abs(law.point_stress()[..., [2, 4, 5]]).max() < 1e-9 * np.abs(law.point_stress()).max()
    )


def test_wrong_orientations_are_one_sentence():
    domain, material = box(1), composite()
    with pytest.raises(ShapeError, match=r"orientation has shape \(3,\), expected rotation"):
        QuadratureMaterial(material, domain, orientation=np.ones(3))
    with pytest.raises(ParameterError, match="orientation of cell 0 is no rotation matrix"):
        QuadratureMaterial(material, domain, orientation=2.0 * np.eye(3))
    scalar = fem.Function(compat.function_space(domain, "DG", 0))
    with pytest.raises(ShapeError, match="1 x 1 numbers per cell, expected a piecewise constant"):
        QuadratureMaterial(material, domain, orientation=scalar)
    with pytest.raises(ParameterError, match="directions: a vector is zero"):
        frames_from_directions(np.zeros(3))
    with pytest.raises(ParameterError, match="axis is 4, expected 2 or 3 components and axis"):
        frames_from_directions(np.ones(3), axis=4)
    with pytest.raises(ShapeError, match=r"angles have shape \(2,\), expected"):
        frames_from_euler([0.0, 1.0])


def test_frames_from_directions_are_rotations_that_point_there():
    directions = np.random.default_rng(0).normal(size=(50, 3))
    directions[0], directions[1] = [0.0, 0.0, -1.0], [0.0, 0.0, 2.0]
    for axis in (1, 2, 3):
        Q = frames_from_directions(directions, axis)
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        np.testing.assert_allclose(Q @ np.eye(3)[axis - 1], unit, atol=1e-12)
        np.testing.assert_allclose(
            Q @ np.swapaxes(Q, 1, 2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-12
        )
        np.testing.assert_allclose(np.linalg.det(Q), 1.0)


def test_euler_angles_turn_about_z_x_z():
    np.testing.assert_allclose(
        frames_from_euler([np.pi / 2, 0, 0]) @ [1, 0, 0], [0, 1, 0], atol=1e-15
    )
    np.testing.assert_allclose(
        frames_from_euler([0, np.pi / 2, 0]) @ [0, 1, 0], [0, 0, 1], atol=1e-15
    )


def warm_block(alpha=1e-3):
    domain = box(2)
    u = displacement(domain)
    law = Material.homogeneous(ThermalExpansion(FIBRE, alpha=alpha, reference_temperature=20.0))
    return QuadratureMaterial(law, u.function_space), u


def test_free_body_expands_with_the_temperature():
    law, u = warm_block()
    problem = Problem(law, u, rollers(u.function_space))
    run(problem, [1.0, 2.0], lambda t: None, temperature=lambda t: 20.0 + 10.0 * t)
    strain = law.point_strain()
    np.testing.assert_allclose(strain[..., :3], 0.02, rtol=1e-9)
    assert np.abs(law.point_stress()).max() < 1e-9 * 72.0 * 0.02


def test_temperature_comes_as_number_array_or_function():
    law, u = warm_block()
    field = fem.Function(compat.function_space(law.mesh, "Lagrange", 1))
    field.interpolate(lambda x: 20.0 + 5.0 * x[0])
    law.update(u, 1.0, field)
    by_function = law.point_stress().copy()
    x = law.point_coordinates(np.arange(law.n_cells))
    law.update(u, 1.0, 20.0 + 5.0 * x[..., 0])
    np.testing.assert_allclose(law.point_stress(), by_function, atol=1e-12)
    law.update(u, 1.0, (20.0 + 5.0 * x[..., 0]).ravel())
    np.testing.assert_allclose(law.point_stress(), by_function, atol=1e-12)
    bulk = 72.0 / (3.0 * (1.0 - 2.0 * 0.22))
    np.testing.assert_allclose(by_function[..., 0], -3.0 * bulk * 5e-3 * x[..., 0], rtol=1e-9)
    with pytest.raises(ShapeError, match=r"temperature has shape \(3, 8\), expected \(8, 8\)"):
        law.update(u, 1.0, np.zeros((3, 8)))


def test_cell_values_are_means_of_what_the_points_hold(tmp_path):
    problem, load = cantilever()
    run(problem, [1.0, 2.0], lambda t: load(0.05 * t))
    law, material = problem.material, problem.material.regions[0].material
    state = law.regions[0].state_n
    weights = material.network.weights[material.layout.nodes("matrix")]
    p = material.layout.phase(state, "matrix")[:, :, MATRIX.state_names.index("p")]
    wanted = (p @ weights / weights.sum()).reshape(law.n_cells, 8).mean(axis=1)
    np.testing.assert_allclose(law.cell_values("p"), wanted, rtol=1e-12)
    np.testing.assert_allclose(law.cell_values("p", "matrix"), wanted, rtol=1e-12)
    np.testing.assert_allclose(
        law.cell_values("s12"), law.point_stress()[..., 3].mean(axis=1) / np.sqrt(2.0), rtol=1e-10
    )
    assert np.isfinite(law.cell_values("stored")).all()
    assert (law.cell_values("dissipated") > 0.0).any()
    function = law.cell_function("s11", "fibre")
    assert function.name == "fibre_s11"
    with io.XDMFFile(law.mesh.comm, str(tmp_path / "fields.xdmf"), "w") as file:
        file.write_mesh(law.mesh)
        file.write_function(function, 2.0)
        file.write_function(law.cell_function("p"), 2.0)
    assert "fibre_s11" in (tmp_path / "fields.xdmf").read_text()


def test_phase_means_add_up_to_the_stress_of_the_point():
    frames = frames_of(box(2, stretch=2.0))
    problem, load = cantilever(orientation=frames)
    run(problem, [1.0, 2.0], lambda t: load(0.05 * t))
    law = problem.material
    for when in ("committed", "in the step"):
        if when == "in the step":
            load(0.12)
            solve_step(problem)
        for name in ("s11", "e12"):
            both = 0.6 * law.cell_values(name, "matrix") + 0.4 * law.cell_values(name, "fibre")
            np.testing.assert_allclose(both, law.cell_values(name), atol=1e-7)


def test_phase_values_are_those_of_local_fields():
    problem, load = cantilever()
    load(0.05)
    solve_step(problem)
    law, material = problem.material, problem.material.regions[0].material
    strain = law.point_strain()[0]
    solution = material.solve(strain, 1.0, material.initial_state(8))
    means = [
        LocalFields.of(material, solution, point).summary("von_mises", "fibre").mean
        for point in range(8)
    ]
    assert law.cell_values("von_mises", "fibre")[0] == pytest.approx(np.mean(means), rel=1e-9)


def test_unknown_quantities_are_one_sentence():
    problem, load = cantilever()
    law = problem.material
    with pytest.raises(ParameterError, match="'s11' is known after update or commit"):
        law.cell_values("s11")
    load(0.01)
    solve_step(problem)
    with pytest.raises(ParameterError, match="quantity 'speed' is unknown, expected one of von_mi"):
        law.cell_values("speed")
    with pytest.raises(ParameterError, match="phase 'ice' is unknown, expected one of fibre, matr"):
        law.cell_values("p", "ice")
