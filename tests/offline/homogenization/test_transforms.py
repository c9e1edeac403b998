"""Convolutions by the transforms of our own equal numpy's and ducc0's."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver
from offline.homogenization.fourier import FourierPreconditioner
from offline.homogenization.transforms import LANES, plan, transform
from offline.rve import Rve

SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 22, 48, 55, 64])
@pytest.mark.parametrize("count", [10, LANES])
def test_transform_there_and_back_equals_numpy(rng, n, count):
    data = rng.standard_normal((n, 2, LANES + 3)).astype(np.float32)
    step = 2 * (LANES + 3)
    grid = data.ravel().copy()
    x, y = np.zeros((2, 2 * n * LANES), dtype=np.float32)
    scratch = np.zeros(16 * LANES, dtype=np.float32)
    radices, twiddles = plan(n)
    arguments = (grid, 0, step, step // 2, count, radices, twiddles)
    transform(*arguments, False, True, True, x, y, scratch)
    expected = np.fft.fft(data[:, 0, :count] + 1j * data[:, 1, :count], axis=0)
    found = grid.reshape(data.shape)
    size = np.abs(expected).max()
    np.testing.assert_allclose(found[:, 0, :count], expected.real, rtol=0, atol=4e-7 * size)
    np.testing.assert_allclose(found[:, 1, :count], expected.imag, rtol=0, atol=4e-7 * size)
    np.testing.assert_array_equal(found[:, :, count:], data[:, :, count:])
    back, _ = transform(*arguments, True, True, False, x, y, scratch)
    back = back.reshape(2, n, LANES)[:, :, :count].transpose(1, 0, 2) / n
    np.testing.assert_allclose(back, data[:, :, :count], rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", [(4, 6, 10), (1, 7, 8), (12, 1, 1), (5, 18, 3), (3, 2, 35)])
@pytest.mark.parametrize("solid", [0.4, 1.1])
def test_both_ways_of_the_preconditioner_agree(rng, shape, solid):
    phases = (rng.random(shape) < solid).astype(int)
    phases[0, 0, 0] = 1
    rve = Rve(phases=phases, phase_names=("void", "solid"), cell=SHEARED)
    solver = CellSolver(rve, allow_disconnected=True)
    stiffness = isotropic(E=3.0, nu=0.3)
    m = FourierPreconditioner(solver.grid, solver.mesh, stiffness)
    r = rng.standard_normal((solver.mesh.n_nodes, 18)).astype(np.float32)
    ours, other = np.full_like(r, np.nan), np.full_like(r, np.nan)
    m.apply(r, ours)
    m._apply_generic(r, np.empty((phases.size, 18), np.float32), other)
    np.testing.assert_allclose(ours, other, rtol=0, atol=2e-6 * np.abs(other).max())


def test_sizes_with_large_prime_factors_are_preconditioned(rng):
    rve = Rve(phases=np.zeros((17, 2, 3), int), cell=SHEARED)
    operator = CellSolver(rve).with_stiffness([isotropic(E=3.0, nu=0.3)])
    u = rng.standard_normal((operator.mesh.n_nodes, 18))
    u -= u.mean(axis=0)  # translations
    back = operator.precondition(operator.apply(u)[0])
    np.testing.assert_allclose(back, u, rtol=0, atol=1e-5 * np.abs(u).max())
