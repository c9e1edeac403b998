"""Plane stress at a point against closed forms, and what it does with points that fail."""

import numpy as np
import pytest
from dolfinx_cases import composite

from matnet import Material
from matnet.material import Status, Update
from matnet.phases import Elastic, Void
from umat_bridge.dolfinx.kinematics import Kinematics, plane_stress


def solved(material, in_plane):
    """All points from scratch, and how many points were evaluated."""
    evaluated = [0]

    def evaluate(eps, rows):
        evaluated[0] += len(rows)
        return material.update(eps, 1.0, material.initial_state(len(eps)))

    return plane_stress(evaluate, in_plane, np.zeros((len(in_plane), 3))), evaluated[0]


def strains(n=6, size=0.02, seed=0):
    return np.random.default_rng(seed).uniform(-size, size, (n, 3))


def test_isotropic_elasticity_gives_hookes_law_of_the_plane():
    E, nu = 70.0, 0.3
    found, evaluated = solved(Material.homogeneous(Elastic(E=E, nu=nu)), strains())
    wanted = E / (1 - nu**2) * np.array([[1, nu, 0], [nu, 1, 0], [0, 0, 1 - nu]])
    np.testing.assert_allclose(found.tangent, np.tile(wanted, (6, 1, 1)), rtol=1e-12, atol=1e-12)
    thickness = -nu / (1 - nu) * strains()[:, :2].sum(axis=1)
    np.testing.assert_allclose(found.strain[:, 0], thickness, rtol=1e-12)
    np.testing.assert_allclose(found.update.stress[:, [0, 1, 3]], strains() @ wanted, rtol=1e-10)
    assert evaluated == 12  # one correction is exact


def test_condensed_tangent_is_the_derivative_of_the_stress():
    material, base, h = composite(), strains(1), 1e-6
    found, _ = solved(material, base)
    for column in range(3):
        move = h * np.eye(3)[column]
        ends = [solved(material, base + sign * move)[0].update.stress for sign in (1, -1)]
        slope = (ends[0] - ends[1])[0, [0, 1, 3]] / (2 * h)
        np.testing.assert_allclose(found.tangent[0, :, column], slope, rtol=1e-5, atol=1e-4)


def test_void_has_neither_stress_nor_stiffness():
    found, _ = solved(Material.homogeneous(Void()), strains())
    assert (found.update.status == Status.OK).all()
    assert not found.update.stress.any() and not found.tangent.any()


def test_points_that_fail_say_so_and_leave_the_others_alone():
    material = composite()
    in_plane = strains()
    good, _ = solved(material, in_plane)
    spoiled = in_plane.copy()
    spoiled[2] = np.nan
    found, _ = solved(material, spoiled)
    assert found.update.status[2] == Status.NOT_FINITE
    assert np.isnan(found.update.stress[2]).all() and np.isnan(found.tangent[2]).all()
    others = [0, 1, 3, 4, 5]
    assert (found.update.stress[others] == good.update.stress[others]).all()


def test_a_law_whose_stress_never_vanishes_is_not_converged():
    def stubborn(eps, rows):
        n = len(eps)
        return Update(
            stress=np.ones((n, 6)),
            tangent=np.tile(np.eye(6), (n, 1, 1)),
            state=np.zeros((n, 0)),
            status=np.zeros(n, dtype=np.int8),
        )

    found = plane_stress(stubborn, strains(2), np.zeros((2, 3)))
    assert (found.update.status == Status.NOT_CONVERGED).all()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("3d", ("11", "22", "33", "12", "13", "23")),
        ("plane strain", ("11", "22", "12")),
        ("axisymmetric", ("11", "22", "33", "12")),
    ],
)
def test_components_of_each_kind(kind, names):
    kinematics = Kinematics(kind)
    assert kinematics.names == names and kinematics.size == len(names)
    full = kinematics.full(np.ones((2, len(names))))
    assert full.sum() == 2 * len(names)
