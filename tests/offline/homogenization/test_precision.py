"""Single precision inside, double precision results."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver, SolverOptions, Status, homogenize
from offline.homogenization.pcg import pcg
from offline.rve import Rve

SOFT = isotropic(E=1.0, nu=0.3)
STIFF = isotropic(E=100.0, nu=0.2)
TIGHT = SolverOptions(residual_tol=1e-10)


def sphere(n=10, thick=None):
    x = (np.indices((n, n, n)) + 0.5) / n
    phases = (((x - 0.5) ** 2).sum(0) < 0.36**2).astype(int)
    return Rve(phases=phases if thick is None else phases[:, :, n // 2 : n // 2 + thick])


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("residual_tol", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("thick", [None, 1])  # load cases of a plane cell converge unevenly
def test_asked_residual_is_the_true_one(residual_tol, thick):
    solver = CellSolver(sphere(thick=thick))
    operator = solver.with_stiffness([SOFT, STIFF])
    solution = operator.solve(SolverOptions(residual_tol=residual_tol, max_iterations=100))
    assert solution.status is Status.CONVERGED
    f = operator.load_vectors().reshape(-1, 3, 6)
    true = f - operator.apply(solution.u.astype(float))[0].reshape(f.shape)
    sizes = np.linalg.norm(true, axis=(0, 1)) / np.linalg.norm(f, axis=(0, 1))
    assert sizes.max() <= residual_tol * (1 + 1e-3)
    # u came rounded to single precision
    np.testing.assert_allclose(solution.residual, sizes, rtol=1e-2, atol=5e-7)
    np.testing.assert_allclose(
        np.asarray(solution.r).reshape(f.shape), true, rtol=0, atol=2e-2 * np.abs(true).max()
    )


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9, 1e-12])
def test_asked_error_of_the_effective_stiffness_is_met(tol):
    exact = homogenize(sphere(), [SOFT, STIFF], TIGHT).stiffness
    result = homogenize(sphere(), [SOFT, STIFF], SolverOptions(tol=tol))
    assert distance(result.stiffness, exact) <= max(tol, 1e-14)
    assert result.error_estimate <= tol


@pytest.mark.parametrize("contrast", [1e-12, 1e-9, 1e-6, 1e6, 1e9, 1e12])
def test_extreme_contrast_keeps_its_digits(contrast):
    rve = sphere(6)
    found = homogenize(rve, [SOFT, contrast * SOFT])
    exact = homogenize(rve, [SOFT, contrast * SOFT], TIGHT)
    assert distance(found.stiffness, exact.stiffness) < 1e-6


@pytest.mark.parametrize(("length", "stress"), [(1e-9, 1e9), (1e-30, 1.0), (1e12, 1e-40)])
def test_units_do_not_matter(length, stress):
    plain = homogenize(sphere(), [SOFT, STIFF], keep_displacement=True)
    small = Rve(phases=sphere().phases, cell=length * np.eye(3))
    scaled = homogenize(small, [stress * SOFT, stress * STIFF], keep_displacement=True)
    np.testing.assert_allclose(scaled.stiffness / stress, plain.stiffness, rtol=1e-9, atol=1e-9)
    size = np.abs(plain.displacement).max()
    np.testing.assert_allclose(
        scaled.displacement / length, plain.displacement, rtol=0, atol=1e-5 * size
    )


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_start_far_from_the_solution_does_no_harm(rng, size):
    operator = CellSolver(sphere()).with_stiffness([SOFT, STIFF])
    plain = operator.solve()
    start = size * rng.standard_normal(plain.u.shape)
    # the remainder is judged from the decay so far, which random fields mislead by a factor
    assert distance(operator.solve(start=start).effective, plain.effective) < 5e-6


def test_start_at_the_solution_needs_few_steps():
    operator = CellSolver(sphere()).with_stiffness([SOFT, STIFF])
    plain = operator.solve(TIGHT)
    again = operator.solve(TIGHT, start=plain.u)
    assert again.iterations.max() == 0
    np.testing.assert_array_equal(again.u, plain.u)


class Broken:
    """The preconditioner of an operator, whose first result is useless."""

    def __init__(self, inner, value):
        self.inner, self.value = inner, value

    def apply(self, r, z):
        self.inner.apply(r, z)
        if self.value is not None:
            z[:] = self.value
            self.value = None


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_double_precision_takes_over_where_single_breaks_down(value):
    operator = CellSolver(sphere()).with_stiffness([SOFT, STIFF])
    exact = operator.solve(TIGHT).effective
    broken = Broken(operator.preconditioner, value)
    solution = pcg(operator, broken, SolverOptions(tol=1e-8))
    assert solution.status is Status.CONVERGED
    assert distance(solution.effective, exact) < 1e-8
    assert solution.u.dtype == np.float64


def test_solve_that_cannot_go_on_says_so_without_nan():
    operator = CellSolver(sphere()).with_stiffness([SOFT, STIFF])

    class Void:
        def apply(self, r, z):
            z[:] = np.nan

    solution = pcg(operator, Void(), SolverOptions())
    assert solution.status is Status.MAX_ITERATIONS
    assert np.isfinite(solution.u).all()
    np.testing.assert_allclose(solution.effective, operator.mean_stiffness, atol=1e-12)


def test_solves_share_a_workspace_without_harm():
    solver = CellSolver(sphere())
    first = solver.with_stiffness([SOFT, STIFF]).solve()
    kept = first.u.copy()
    solver.with_stiffness([SOFT, 5.0 * SOFT]).solve()
    again = solver.with_stiffness([SOFT, STIFF]).solve()
    np.testing.assert_array_equal(first.u, kept)
    np.testing.assert_array_equal(again.u, kept)
