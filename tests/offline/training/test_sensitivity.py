"""The compiled Jacobian against central differences."""

import numpy as np
import pytest

from offline.training.parameters import Layout, Point, grown, tangent_frames
from offline.training.problem import Problem


def problem_of(rng, n_phases=2, void=False):
    a = rng.standard_normal((3, n_phases, 6, 6))
    phases = a @ np.swapaxes(a, -1, -2) + np.eye(6)
    phases[:, -1] *= 30.0
    if void:
        phases[:, 0] = 0.0
    b = rng.standard_normal((3, 6, 6))
    return Problem(phase_stiffness=phases, effective=b @ np.swapaxes(b, -1, -2) + np.eye(6))


@pytest.mark.parametrize("kind", ["imn", "dmn"])
@pytest.mark.parametrize(
    ("depth", "fractions", "void"),
    [
        (0, (1.0,), None),
        (1, (0.3, 0.7), None),
        (3, (0.2, 0.3, 0.5), None),
        (3, (0.6, 0.4), np.array([True, False])),
    ],
)
def test_jacobian_matches_central_differences(kind, depth, fractions, void):
    rng = np.random.default_rng(11)
    problem = problem_of(rng, len(fractions), void is not None)
    names = tuple("abcd"[: len(fractions)])
    layout = Layout.complete(kind, depth, names, np.array(fractions), void)
    point = layout.random_point(rng)
    residuals, jacobian = problem.linearised(point)
    np.testing.assert_allclose(residuals, problem.residuals(point), atol=1e-13)
    assert jacobian.shape == (layout.n_parameters, 3, 21)
    h = 1e-5
    for column, step in zip(jacobian, h * np.eye(layout.n_parameters), strict=True):
        difference = problem.residuals(point.moved(step)) - problem.residuals(point.moved(-step))
        np.testing.assert_allclose(column, difference / (2 * h), atol=1e-6 * abs(jacobian).max())


def test_residuals_are_relative_frobenius_errors():
    rng = np.random.default_rng(0)
    problem = problem_of(rng)
    point = Layout.complete("imn", 3, ("a", "b"), np.array([0.3, 0.7])).random_point(rng)
    c = point.network().homogenize(problem.phase_stiffness)
    error = np.linalg.norm(c - problem.effective, axis=(1, 2))
    expected = error / np.linalg.norm(problem.effective, axis=(1, 2))
    np.testing.assert_allclose(problem.errors(point), expected, rtol=1e-12)
    np.testing.assert_allclose(problem.subset(np.array([1])).errors(point), expected[1:2])


def test_weights_have_the_exact_fractions():
    layout = Layout.complete("imn", 5, ("a", "b", "c"), np.array([0.2, 0.0, 0.8]))
    point = layout.random_point(np.random.default_rng(0), spread=20.0)
    np.testing.assert_allclose(point.network().fractions, [0.2, 0.0, 0.8], rtol=1e-12)
    assert not (layout.base_phase == 1).any()


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_steps_stay_on_the_manifold(kind):
    rng = np.random.default_rng(1)
    layout = Layout.complete(kind, 3, ("a", "b"), np.array([0.5, 0.5]))
    point = layout.random_point(rng).moved(rng.standard_normal(layout.n_parameters))
    np.testing.assert_allclose(np.linalg.norm(point.normals, axis=1), 1.0, rtol=1e-14)
    if kind == "dmn":
        product = point.rotations @ np.swapaxes(point.rotations, 1, 2)
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-13)


def test_tangent_frames_are_orthonormal():
    rng = np.random.default_rng(2)
    n = rng.standard_normal((50, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    frames = np.concatenate((n[:, None], tangent_frames(n)), axis=1)
    np.testing.assert_allclose(
        frames @ np.swapaxes(frames, 1, 2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-13
    )


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_growth_without_tilt_does_not_change_the_stiffness(kind):
    rng = np.random.default_rng(3)
    problem = problem_of(rng)
    layout = Layout.complete(kind, 3, ("a", "b"), np.array([0.3, 0.7]))
    point = layout.random_point(rng)
    larger = grown(point, rng, amplitude=0.0)
    assert larger.layout.depth == 4
    assert isinstance(larger, Point)
    np.testing.assert_allclose(problem.residuals(larger), problem.residuals(point), atol=1e-12)
    assert np.abs(problem.residuals(grown(point, rng)) - problem.residuals(point)).max() > 1e-4


def test_void_pairs_alone_are_singular_but_the_layout_is_not():
    rng = np.random.default_rng(4)
    fractions, void = np.array([0.8, 0.2]), np.array([True, False])
    problem = problem_of(rng, 2, void=True)
    for layout, regular in (
        (Layout.complete("imn", 4, ("void", "solid"), fractions), False),
        (Layout.complete("imn", 4, ("void", "solid"), fractions, void), True),
        (Layout.complete("imn", 3, ("void", "solid"), fractions, void), True),
    ):
        c = layout.random_point(rng).network().homogenize(problem.phase_stiffness[0])
        smallest = np.linalg.eigvalsh(c).min() / np.trace(c)
        assert (smallest > 1e-9) == regular
