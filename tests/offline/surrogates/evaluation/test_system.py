"""Iterations and projection energies against dense linear algebra."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver, SolverOptions
from offline.rve.rve import Rve
from offline.surrogates.evaluation.system import LOADS, CellSystem

SHAPE = (5, 4, 3)


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(3)
    rve = Rve(
        phases=rng.integers(0, 2, SHAPE),
        density=rng.uniform(0.5, 1.0, SHAPE),
        cell=np.array([[1.0, 0.1, 0.0], [0.0, 0.9, 0.0], [0.0, 0.2, 0.7]]),
    )
    stiffnesses = [isotropic(E=1.0, nu=0.3), isotropic(E=5.0, nu=0.2)]
    return CellSystem(CellSolver(rve).with_stiffness(stiffnesses))


@pytest.fixture(scope="module")
def matrix(system):
    """K dense, column by column through the solver's own product."""
    columns = []
    for i in range(system.dofs):
        unit = np.zeros((system.dofs, LOADS))
        unit[i] = 1.0
        columns.append(system.operator.apply(unit.reshape(-1, 18))[0].reshape(-1, LOADS)[:, 0])
    return np.array(columns).T


@pytest.fixture(scope="module")
def exact(system, matrix):
    f = system.load.reshape(-1, LOADS)
    return (np.linalg.pinv(matrix, rcond=1e-12) @ f).reshape(-1, 18)


def test_diagonal_and_assembled_matrix_are_those_of_the_product(system, matrix):
    np.testing.assert_allclose(system.diagonal.ravel(), np.diag(matrix), rtol=1e-12)
    np.testing.assert_allclose(system._matrix().toarray(), matrix, atol=1e-13)


def test_residual_is_relative_to_the_load(system, exact):
    assert system.residual(exact).max() < 1e-12
    np.testing.assert_allclose(system.residual(0.0 * exact), 1.0)
    np.testing.assert_allclose(system.residual(0.75 * exact), 0.25, rtol=1e-10)


def test_steps_are_those_of_plain_conjugate_gradients(system, matrix):
    found = system.steps(np.zeros_like(system.load), 1e-6, 200, stiffness=True)
    inverse = 1.0 / np.diag(matrix)
    for load in range(LOADS):
        f = system.load.reshape(-1, LOADS)[:, load]
        u, r = np.zeros_like(f), f.copy()
        p = inverse * r
        for step in range(int(found.iterations[load])):
            expected = np.linalg.norm(r) / np.linalg.norm(f)
            assert found.residual[step, load] == pytest.approx(expected, rel=1e-6)
            assert expected > 1e-6
            rho = r @ (inverse * r)
            alpha = rho / (p @ matrix @ p)
            u, r = u + alpha * p, r - alpha * (matrix @ p)
            p = inverse * r + (r @ (inverse * r)) / rho * p
        assert np.linalg.norm(r) / np.linalg.norm(f) <= 1e-6
    assert found.residual.shape[0] == found.iterations.max() + 1
    c = system.operator.solve(SolverOptions(tol=1e-10)).effective
    np.testing.assert_allclose(found.stiffness[-1], c, rtol=1e-9, atol=1e-9)
    drops = np.diff(np.trace(found.stiffness, axis1=1, axis2=2))
    assert (drops < 1e-12).all()


def test_loads_that_are_there_need_no_steps(system, exact):
    assert system.steps(exact, 1e-6, 10).iterations.tolist() == [0] * LOADS


def test_a_limit_shows_in_the_count(system):
    found = system.steps(np.zeros_like(system.load), 1e-12, 3)
    assert len(found.residual) == 5 - 1 and (found.iterations >= 4).all()


def test_projection_energy_is_the_sum_over_all_modes(system, matrix, exact):
    root = np.sqrt(np.diag(matrix))
    values, vectors = np.linalg.eigh(matrix / root[:, None] / root)
    shares = (vectors.T @ (root[:, None] * exact.reshape(-1, LOADS))) ** 2
    np.testing.assert_allclose(system.energy(exact), values @ shares, rtol=1e-10)
    modes = system.low_modes(20)
    np.testing.assert_allclose(modes[0], values[3:23], rtol=1e-8)
    expected = values[3:23] @ shares[3:23]
    np.testing.assert_allclose(system.low_energy(exact, modes), expected, rtol=1e-6)


def test_energy_of_the_error_is_the_error_of_the_stiffness(system, exact):
    start = 0.7 * exact
    gap = system.stiffness(start).diagonal() - system.stiffness(exact).diagonal()
    volume = system.operator.solver.grid.volume
    np.testing.assert_allclose(system.energy(exact - start), volume * gap, rtol=1e-8)
