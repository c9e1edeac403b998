"""The shape-material transformation against the direct solve on the sheared cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.homogenization import SolverOptions, homogenize
from offline.rve.rve import Rve
from offline.surrogates.dense.shape import Shape

SOLID = isotropic(E=2.0, nu=0.3)
EXACT = SolverOptions(residual_tol=1e-11)


def lattice(lengths, angles):
    """Rows from three lengths and the angles xy, yz, xz [degrees]."""
    xy, yz, xz = np.cos(np.radians(angles))
    second = np.array([xy, np.sqrt(1.0 - xy**2), 0.0])
    third = np.array([xz, (yz - xz * xy) / second[1], 0.0])
    third[2] = np.sqrt(1.0 - third @ third)
    return np.array(lengths)[:, None] * np.stack([[1.0, 0.0, 0.0], second, third])


def phases(seed, n=4):
    return np.random.default_rng(seed).integers(0, 2, (n, n, n)).astype(np.uint8)


@settings(max_examples=8, deadline=None)
@given(
    lengths=st.tuples(*[st.floats(1.0, 2.0)] * 3),
    angles=st.tuples(*[st.floats(75.0, 90.0)] * 3),
    seed=st.integers(0, 1000),
)
def test_solver_on_the_cube_is_the_solver_on_the_sheared_cell(lengths, angles, seed):
    cell = lattice(lengths, angles)
    stiffnesses = np.array([0.01 * SOLID, SOLID])
    sheared = Rve(phases=phases(seed), cell=cell)
    shape = Shape.of(cell, sheared.shape)
    cube = Rve(phases=sheared.phases, cell=4.0 * np.eye(3))
    direct = homogenize(sheared, stiffnesses, EXACT, keep_displacement=True)
    on_cube = homogenize(cube, shape.to_cube(stiffnesses), EXACT, keep_displacement=True)
    gap = shape.from_cube(on_cube.stiffness) - direct.stiffness
    assert np.linalg.norm(gap) < 1e-8 * np.linalg.norm(direct.stiffness)
    moved = shape.displacement(on_cube.displacement)
    assert np.abs(moved - direct.displacement).max() < 1e-8 * np.abs(moved).max()
    back = shape.to_cube_displacement(moved)
    np.testing.assert_allclose(back, on_cube.displacement, atol=1e-12)


def test_strain_map_follows_the_tensor_rule():
    shape = Shape.of(lattice((1.0, 1.3, 1.7), (80.0, 77.0, 84.0)), (3, 4, 5))
    assert np.linalg.det(shape.jacobian) == pytest.approx(1.0)
    gradient = np.array([[0.1, 0.4, 0.0], [0.0, 0.2, -0.3], [0.5, 0.0, -0.1]])
    strain = 0.5 * (gradient + gradient.T)
    hat = shape.jacobian.T @ strain @ shape.jacobian
    half = np.sqrt(2.0)

    def mandel(e):
        return np.array([e[0, 0], e[1, 1], e[2, 2], half * e[0, 1], half * e[0, 2], half * e[1, 2]])

    np.testing.assert_allclose(shape.strain_map @ mandel(strain), mandel(hat), atol=1e-14)


def test_left_handed_cells_are_refused():
    with pytest.raises(ParameterError, match="expected three right-handed lattice vectors"):
        Shape.of(np.diag([1.0, 1.0, -1.0]), (2, 2, 2))
