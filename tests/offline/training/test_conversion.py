"""The documents' parameters give the documents' networks."""

import numpy as np
import pytest

from matnet.errors import ParameterError, ShapeError
from matnet.mandel import interface_matrix, rotation_matrix
from offline.training import dmn_from_parameters, imn_from_parameters
from offline.training.conversion import euler_rotation, imn_normals

PHASES = ("matrix", "fibre")


def block(c1, c2, f1, normal):
    """He et al., eq. 21 and 22, as printed."""
    f2 = 1.0 - f1
    h = interface_matrix(normal)
    b = f1 * f2 * np.linalg.solve(h.T @ (f2 * c1 + f1 * c2) @ h, h.T @ (c2 - c1))
    return f1 * c1 + f2 * c2 - (c2 - c1) @ h @ b


def spd(rng):
    a = rng.standard_normal((2, 6, 6))
    return a @ np.swapaxes(a, 1, 2) + np.eye(6)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_dmn_equals_rotate_and_laminate(rng):
    phases, z, angles = spd(rng), rng.uniform(0.1, 1.0, 8), rng.uniform(0, 2 * np.pi, (15, 3))

    def node(layer, n):
        if layer == 3:
            c, w = phases[n % 2], z[n]
        else:
            (c1, w1), (c2, w2) = node(layer + 1, 2 * n), node(layer + 1, 2 * n + 1)
            c, w = block(c1, c2, w1 / (w1 + w2), np.array([0.0, 0.0, 1.0])), w1 + w2
        r = rotation_matrix(euler_rotation(angles[2**layer - 1 + n]))
        return r.T @ c @ r, w

    network = dmn_from_parameters(z, angles, PHASES)
    np.testing.assert_allclose(network.homogenize(phases), node(0, 0)[0], rtol=1e-10, atol=1e-10)


def test_imn_equals_the_printed_recursion(rng):
    phases, z = spd(rng), rng.uniform(0.1, 1.0, 8)
    theta, phi = rng.uniform(size=(2, 7))
    normals = imn_normals(theta, phi)

    def node(layer, n):
        if layer == 3:
            return phases[n % 2], z[n]
        (c1, w1), (c2, w2) = node(layer + 1, 2 * n), node(layer + 1, 2 * n + 1)
        return block(c1, c2, w1 / (w1 + w2), normals[2**layer - 1 + n]), w1 + w2

    network = imn_from_parameters(z, theta, phi, PHASES)
    np.testing.assert_allclose(network.homogenize(phases), node(0, 0)[0], rtol=1e-10, atol=1e-10)


def test_normals_follow_the_printed_angles():
    n = imn_normals(np.array([0.0, 0.25, 0.0]), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(n, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-15)


def test_euler_rotation_is_x_then_y_then_z():
    half = np.pi / 2
    np.testing.assert_allclose(
        euler_rotation(np.array([half, 0.0, 0.0])) @ [0, 1, 0], [0, 0, 1], atol=1e-15
    )
    a, b, c = 0.3, 0.5, 0.7
    product = (
        euler_rotation(np.array([a, 0, 0]))
        @ euler_rotation(np.array([0, b, 0]))
        @ euler_rotation(np.array([0, 0, c]))
    )
    np.testing.assert_allclose(euler_rotation(np.array([a, b, c])), product, atol=1e-15)


def test_null_activations_are_removed_and_fractions_kept(rng):
    z = rng.uniform(0.1, 1.0, 8)
    z[[1, 4]] = -0.3
    network = imn_from_parameters(z, *rng.uniform(size=(2, 7)), PHASES, fractions=(0.25, 0.75))
    assert network.n_base == 6
    assert network.depth == 3
    np.testing.assert_allclose(network.fractions, (0.25, 0.75), rtol=1e-14)


def test_bad_parameters_are_named(rng):
    angles = np.zeros(3)
    with pytest.raises(ParameterError, match="z has 3 entries, expected a power of two"):
        imn_from_parameters(np.ones(3), angles, angles, PHASES)
    with pytest.raises(ParameterError, match="every base node has weight 0"):
        imn_from_parameters(-np.ones(4), angles, angles, PHASES)
    with pytest.raises(ParameterError, match="phase 'fibre' has no base node of positive weight"):
        imn_from_parameters(
            np.array([1.0, -1.0, 1.0, -1.0]), angles, angles, PHASES, fractions=(0.5, 0.5)
        )
    with pytest.raises(ShapeError, match=r"angles has shape \(7, 2\), expected \(7, 3\)"):
        dmn_from_parameters(np.ones(4), np.zeros((7, 2)), PHASES)
