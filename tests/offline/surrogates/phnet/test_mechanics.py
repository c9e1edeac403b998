"""Change of base material, and strength from displacements."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from matnet.mandel import rotate_stiffness
from offline.homogenization import SolverOptions, homogenize
from offline.rve.generators.lattice import truss
from offline.rve.rve import Rve
from offline.surrogates.phnet.base_material import change_base_material
from offline.surrogates.phnet.plots import compare_moduli
from offline.surrogates.phnet.strength import strength, voxel_stresses

VOID = np.zeros((6, 6))


def test_base_material_itself_changes_exactly():
    found = change_base_material(isotropic(E=2.0, nu=0.3), (2.0, 0.3), (24.0, 0.45))
    np.testing.assert_allclose(found, isotropic(E=24.0, nu=0.45), rtol=1e-12)


def test_equation_11_holds_for_each_engineering_constant():
    c = homogenized(0.3)
    found = np.linalg.inv(change_base_material(c, (1.0, 0.3), (3.0, 0.4)))
    s = np.linalg.inv(c)
    assert 1.0 / found[0, 0] == pytest.approx(3.0 / s[0, 0])
    nu_old, nu_new = -s[1, 0] / s[0, 0], -found[1, 0] / found[0, 0]
    assert nu_new == pytest.approx(nu_old - (0.3 - 0.4) / s[0, 0])
    # 1 / (2 G) is the shear entry of the compliance in Mandel form
    assert found[3, 3] == pytest.approx((s[3, 3] - (0.3 - 0.4)) / 3.0)


def homogenized(nu):
    rve = truss(topology="octet", n=16, volume_fraction=0.3)
    c = isotropic(E=1.0, nu=nu)
    return homogenize(rve, [VOID if v else c for v in rve.void], SolverOptions(tol=1e-7)).stiffness


def test_change_is_better_than_none_and_within_five_percent_for_an_octet_truss():
    exact = homogenized(0.4)
    found = change_base_material(homogenized(0.3), (1.0, 0.3), (1.0, 0.4))
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    none = np.linalg.norm(homogenized(0.3) - exact) / np.linalg.norm(exact)
    assert error < 0.7 * none and error < 0.05


def test_change_refuses_what_is_not_orthotropic():
    c = isotropic(E=1.0, nu=0.3)
    c[0, 3] = c[3, 0] = 0.2
    with pytest.raises(ParameterError, match="expected an orthotropic cell along its axes"):
        change_base_material(c, (1.0, 0.3), (1.0, 0.4))
    with pytest.raises(ParameterError, match=r"new base material has E = 1, nu = 0\.6"):
        change_base_material(isotropic(E=1.0, nu=0.3), (1.0, 0.3), (1.0, 0.6))


def test_plate_yields_at_its_share_of_the_solids_stress():
    """A plate normal to 1 carries uniaxial stress along 2 by its thickness alone."""
    phases = np.zeros((4, 3, 3), dtype=np.uint8)
    phases[:1] = 1
    rve = Rve(phases=phases, phase_names=("soft", "solid"))
    c = np.array([1e-7 * isotropic(E=1.0, nu=0.3), isotropic(E=1.0, nu=0.3)])
    found = homogenize(rve, c, SolverOptions(residual_tol=1e-10), keep_displacement=True)
    result = strength(rve, c, found.displacement, found.stiffness, solid_yield=8.0)
    assert result.yield_stress[1] == pytest.approx(8.0 * 0.25, rel=1e-3)
    # shear in the plane of the plate: von Mises is sqrt(3) times the shear stress
    assert result.yield_stress[5] == pytest.approx(8.0 * 0.25 / np.sqrt(3.0), rel=1e-3)
    macro = np.linalg.solve(found.stiffness, np.eye(6)[1])
    stress = voxel_stresses(rve, c, found.displacement, macro[None])[0]
    np.testing.assert_allclose(stress.mean((0, 1, 2)), np.eye(6)[1], atol=1e-6)


def test_strength_refuses_numbers_out_of_range():
    rve = Rve(phases=np.zeros((2, 2, 2), dtype=np.uint8))
    c, u = np.eye(6)[None], np.zeros((6, 2, 2, 2, 3))
    with pytest.raises(ParameterError, match="solid_yield is 0, expected a positive stress"):
        strength(rve, c, u, np.eye(6), solid_yield=0.0)
    with pytest.raises(ParameterError, match="quantile is 2, expected above 0, at most 1"):
        strength(rve, c, u, np.eye(6), solid_yield=1.0, quantile=2.0)


def test_surfaces_stand_side_by_side_on_common_axes():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pair = {"solver": isotropic(E=1.0, nu=0.3), "PH-Net": isotropic(E=1.3, nu=0.3)}
    figure = compare_moduli(pair)
    surfaces = [ax for ax in figure.axes if ax.name == "3d"]
    assert [ax.get_title() for ax in surfaces] == ["solver", "PH-Net"]
    assert surfaces[0].get_zlim() == surfaces[1].get_zlim() and surfaces[0].get_zlim()[1] >= 1.3
    pyplot.close(figure)
    again = pyplot.figure()
    assert compare_moduli(pair, again) is again
    pyplot.close(again)


def test_stresses_of_oriented_phases_are_those_of_turned_stiffnesses():
    turn = rotation_z(0.4)
    c = np.diag([5.0, 2.0, 1.0, 0.7, 0.6, 0.5])
    phases = np.zeros((2, 2, 2), dtype=np.uint8)
    u = np.random.default_rng(0).normal(size=(6, 2, 2, 2, 3))
    oriented = Rve(phases=phases, orientations=turn[None])
    found = voxel_stresses(oriented, [c], u, np.eye(6))
    want = voxel_stresses(Rve(phases=phases), [rotate_stiffness(c, turn)], u, np.eye(6))
    np.testing.assert_allclose(found, want, atol=1e-12)
    assert np.abs(found - voxel_stresses(Rve(phases=phases), [c], u, np.eye(6))).max() > 0.1


def rotation_z(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
