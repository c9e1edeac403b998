"""Derivatives of C^H by densities, against differences of full solves."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.errors import ShapeError
from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.homogenization.sensitivity import density_sensitivity, element_sensitivity
from offline.rve.rve import Rve

SHAPE = (4, 3, 5)
EXACT = SolverOptions(residual_tol=1e-9)


def cell(density):
    rng = np.random.default_rng(5)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return Rve(
        phases=rng.integers(0, 3, SHAPE),
        phase_names=("void", "a", "b"),
        density=density,
        cell=np.array([[1.0, 0.0, 0.1], [0.2, 0.8, 0.0], [0.0, 0.0, 1.2]]),
        orientations=np.stack([np.eye(3), turned * np.linalg.det(turned), np.eye(3)]),
    )


def stiffnesses():
    rng = np.random.default_rng(6)
    q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    anisotropic = q @ np.diag(rng.uniform(1.0, 6.0, 6)) @ q.T
    return np.stack([np.zeros((6, 6)), anisotropic, isotropic(E=3.0, nu=0.3)])


@pytest.fixture(scope="module")
def density():
    return np.random.default_rng(7).uniform(0.3, 0.9, SHAPE)


def solved(density):
    return homogenize(
        cell(density), stiffnesses(), EXACT, keep_displacement=True, allow_disconnected=True
    )


def operator(density):
    solver = CellSolver(cell(density), allow_disconnected=True)
    return solver.with_stiffness(stiffnesses())


def test_derivatives_match_central_differences(density):
    w = np.random.default_rng(8).normal(size=(6, 6))
    found = density_sensitivity(operator(density), solved(density).displacement, w)
    void = cell(density).phases == 0
    assert (found[void] == 0.0).all() and (found[~void] != 0.0).all()
    h = 1e-4
    for voxel in np.argwhere(~void)[::9]:
        step = np.zeros(SHAPE)
        step[tuple(voxel)] = h
        gap = solved(density + step).stiffness - solved(density - step).stiffness
        expected = (w * gap).sum() / (2 * h)
        assert found[tuple(voxel)] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_densities_times_derivatives_give_the_stiffness(density):
    op, result = operator(density), solved(density)
    parts = element_sensitivity(op, op.solver.pack(result.displacement))
    total = np.einsum("e,ekl->kl", op.mesh.density, parts)
    np.testing.assert_allclose(total, result.stiffness, atol=1e-9)
    np.testing.assert_allclose(parts, np.swapaxes(parts, 1, 2))
    assert np.linalg.eigvalsh(parts).min() > -1e-12


def test_laminate_has_the_derivative_of_the_harmonic_mean():
    densities = np.array([0.2, 0.7])
    rve = Rve(phases=np.zeros((2, 1, 1), int), density=densities.reshape(2, 1, 1))
    c = isotropic(E=2.0, nu=0.25)
    op = CellSolver(rve).with_stiffness([c])
    u = homogenize(rve, [c], EXACT, keep_displacement=True).displacement
    w = np.zeros((6, 6))
    w[0, 0] = 1.0  # C11 = c11 / <1/rho>, d/d rho_e = c11 f / rho_e^2 / <1/rho>^2
    mean = (1.0 / densities).mean()
    expected = c[0, 0] * 0.5 / densities**2 / mean**2
    np.testing.assert_allclose(density_sensitivity(op, u, w).ravel(), expected, rtol=1e-6)


def test_weights_of_another_shape_are_refused(density):
    with pytest.raises(ShapeError, match=r"weight has shape \(3, 3\), expected \(6, 6\)"):
        density_sensitivity(operator(density), np.zeros((6, *SHAPE, 3)), np.eye(3))
