"""Grid, local fields, their files, and the modulus surface."""

import meshio
import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.errors import ParameterError, ShapeError
from matnet.mandel import from_mandel, to_mandel
from offline.homogenization import CellSolver, HexGrid, gauss_strains, homogenize, von_mises
from offline.homogenization.fields_file import voxel_fields, write_fields
from offline.homogenization.grid import CORNERS
from offline.rve import Rve

SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])
STEEL = isotropic(E=1.0, nu=0.3)


def test_patch_constant_strain_is_exact(rng):
    grid = HexGrid((4, 5, 2), SHEARED)
    gradient = rng.normal(size=(3, 3))
    nodes = CORNERS @ (grid.cell / np.array(grid.shape)[:, None])
    eps = grid.gauss_b @ (nodes @ gradient.T).ravel()
    expected = to_mandel(0.5 * (gradient + gradient.T))
    np.testing.assert_allclose(eps, np.tile(expected, (8, 1)), atol=1e-13)


def test_gauss_weights_fill_the_cell():
    grid = HexGrid((4, 5, 2), SHEARED)
    assert grid.volume == pytest.approx(np.linalg.det(SHEARED), rel=1e-14)


def test_bad_grid_is_refused():
    with pytest.raises(ShapeError, match="expected three positive numbers"):
        HexGrid((4, 0, 2), np.eye(3))
    with pytest.raises(ParameterError, match="cell has volume -1, expected three right-handed"):
        HexGrid((4, 4, 2), -np.eye(3))


def test_gauss_strains_of_chosen_voxels_equal_plain_loop(rng):
    grid = HexGrid((3, 2, 4), SHEARED)
    u = rng.normal(size=(6, *grid.shape, 3))
    chosen = np.array([5, 0, 23])
    eps = gauss_strains(grid, u, chosen)
    for m, voxel in enumerate(chosen):
        place = np.array(np.unravel_index(voxel, grid.shape))
        local = [u[(slice(None), *((place + corner) % grid.shape))] for corner in CORNERS]
        fluctuation = np.einsum("gia,ka->kgi", grid.gauss_b, np.concatenate(local, axis=1))
        np.testing.assert_allclose(eps[:, m], np.eye(6)[:, None] - fluctuation, atol=1e-12)
    np.testing.assert_allclose(
        gauss_strains(grid, u[:2], chosen, total=False), np.eye(6)[:2, None, None] - eps[:2]
    )


def test_gauss_strains_refuses_a_displacement_that_does_not_fit():
    with pytest.raises(ShapeError, match=r"displacement has shape \(6, 2, 2, 2, 3\), expected"):
        gauss_strains(HexGrid((3, 2, 4), np.eye(3)), np.zeros((6, 2, 2, 2, 3)))


def test_von_mises_of_shear():
    assert von_mises(to_mandel([[0, 2, 0], [2, 0, 0], [0, 0, 0]])) == pytest.approx(2 * np.sqrt(3))


@pytest.fixture
def solved(rng):
    def solve(cell):
        phases = rng.integers(0, 3, (3, 4, 2))
        rve = Rve(phases=phases, cell=cell, phase_names=("void", "a", "b"))
        stiffnesses = np.stack([0 * STEEL, STEEL, 5 * STEEL])
        result = homogenize(rve, stiffnesses, keep_displacement=True, allow_disconnected=True)
        return rve, stiffnesses, result

    return solve


def test_mean_of_voxel_stresses_is_the_effective_stress(solved):
    rve, stiffnesses, result = solved(SHEARED)
    fields = voxel_fields(rve, stiffnesses, result.displacement)
    rows, cols = (0, 1, 2, 0, 1, 0), (0, 1, 2, 1, 2, 2)
    for k, name in enumerate(("11", "22", "33", "12", "13", "23")):
        expected = from_mandel(result.stiffness[:, k])[rows, cols]
        np.testing.assert_allclose(fields[f"stress_{name}"].mean(0), expected, atol=2e-3)
    assert not fields["stress_11"][rve.phases.ravel() == 0].any()


def test_voxel_displacement_is_the_mean_over_its_nodes(solved):
    rve, stiffnesses, result = solved(np.eye(3))
    fields = voxel_fields(rve, stiffnesses, result.displacement)
    u = result.displacement[0]
    mean = np.mean([u[i % 3, 1 + j, k % 2] for i in (2, 3) for j in (0, 1) for k in (1, 2)], axis=0)
    index = np.ravel_multi_index((2, 1, 1), rve.shape)
    expected = np.array([2.5 / 3, 0.0, 0.0]) - mean
    np.testing.assert_allclose(fields["displacement_11"][index], expected, atol=1e-14)


def test_vti_holds_phases_and_fields(solved, tmp_path):
    rve, stiffnesses, result = solved(np.diag([1.0, 2.0, 0.5]))
    path = tmp_path / "fields.vti"
    write_fields(path, rve, stiffnesses, result.displacement, {"matnet": "x"})
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    data = reader.GetOutput().GetCellData()
    phase = vtk_to_numpy(data.GetArray("phase")).reshape(rve.shape, order="F")
    np.testing.assert_array_equal(phase, rve.phases)
    expected = voxel_fields(rve, stiffnesses, result.displacement)["von_mises_12"]
    got = vtk_to_numpy(data.GetArray("von_mises_12")).reshape(rve.shape, order="F").ravel()
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_vtu_holds_sheared_cells(solved, tmp_path):
    rve, stiffnesses, result = solved(SHEARED)
    path = tmp_path / "fields.vtu"
    write_fields(path, rve, stiffnesses, result.displacement)
    mesh = meshio.read(path)
    corners = mesh.points[mesh.cells_dict["hexahedron"]]
    edges = corners[:, [1, 3, 4]] - corners[:, :1]
    np.testing.assert_allclose(np.linalg.det(edges), np.linalg.det(SHEARED) / 24, rtol=1e-12)
    np.testing.assert_array_equal(mesh.cell_data["phase"][0], rve.phases.ravel())
    centre = (np.array([0.5, 0.5, 0.5]) / rve.shape) @ SHEARED
    np.testing.assert_allclose(corners[0].mean(0), centre, atol=1e-14)


def test_field_files_that_cannot_be_written_are_refused(solved, tmp_path):
    rve, stiffnesses, result = solved(SHEARED)
    with pytest.raises(ParameterError, match=r"not orthogonal, .* Write .vtu instead"):
        write_fields(tmp_path / "a.vti", rve, stiffnesses, result.displacement)
    with pytest.raises(ParameterError, match=r"unknown suffix '.xdmf', expected .vti or .vtu"):
        write_fields(tmp_path / "a.xdmf", rve, stiffnesses, result.displacement)
    assert not list(tmp_path.iterdir())


def test_element_strains_are_means_of_gauss_strains(solved):
    rve, _, result = solved(SHEARED)
    solver = CellSolver(rve, allow_disconnected=True)
    means = solver.strains(solver.pack(result.displacement))
    eps = gauss_strains(solver.grid, result.displacement, solver.mesh.voxels)
    np.testing.assert_allclose(means, eps.mean(axis=2), atol=1e-13)
