"""Plain twins and cells for the homogenisation tests."""

import itertools

import numpy as np
import pytest

from matnet.mandel import rotate_stiffness, to_mandel


def random_stiffness(rng, low=1.0, high=10.0):
    """A general anisotropic stiffness with eigenvalues in [low, high]."""
    q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    return q @ np.diag(rng.uniform(low, high, 6)) @ q.T


def _physical_b(edges, xi):
    """B (6, 24) at local coordinates xi, straight from physical gradients."""
    b = np.zeros((6, 24))
    for a, corner in enumerate(itertools.product((0, 1), repeat=3)):
        local = np.zeros(3)
        for d in range(3):
            local[d] = 2 * corner[d] - 1
            for e in {0, 1, 2} - {d}:
                local[d] *= xi[e] if corner[e] else 1 - xi[e]
        gradient = np.linalg.solve(edges, local)
        for i in range(3):
            tensor = np.zeros((3, 3))
            tensor[i] = gradient
            b[:, 3 * a + i] = to_mandel(0.5 * (tensor + tensor.T))
    return b


def assembled(rve, stiffnesses):
    """C^H and fluctuations (6, n1, n2, n3, 3) by an assembled dense solve, in plain loops."""
    c = np.asarray(stiffnesses, dtype=float)
    if rve.orientations is not None:
        c = rotate_stiffness(c, rve.orientations)
    shape = np.array(rve.shape)
    edges = rve.cell / shape[:, None]
    points = 0.5 + np.array(list(itertools.product((-1, 1), repeat=3))) / (2 * np.sqrt(3))
    bs = [_physical_b(edges, xi) for xi in points]
    weight = np.linalg.det(edges) / 8
    n = int(shape.prod())
    stiffness, loads, mean = np.zeros((3 * n, 3 * n)), np.zeros((3 * n, 6)), np.zeros((6, 6))
    for voxel in itertools.product(*map(range, shape)):
        density = 1.0 if rve.density is None else rve.density[voxel]
        cv = density * c[rve.phases[voxel]]
        nodes = [
            np.ravel_multi_index((np.array(voxel) + corner) % shape, shape)
            for corner in itertools.product((0, 1), repeat=3)
        ]
        dofs = np.array([3 * node + i for node in nodes for i in range(3)])
        for b in bs:
            np.add.at(stiffness, (dofs[:, None], dofs), weight * b.T @ cv @ b)
            np.add.at(loads, dofs, weight * b.T @ cv)
            mean += weight * cv
    u = _minimum_norm(stiffness, loads)
    effective = (mean - loads.T @ u) / rve.volume
    return effective, u.T.reshape(6, *shape, 3)


def _minimum_norm(stiffness, loads):
    values, vectors = np.linalg.eigh(stiffness)
    keep = values > 1e-10 * values[-1]
    return vectors[:, keep] @ ((vectors[:, keep].T @ loads) / values[keep, None])


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture(name="assembled")
def _assembled():
    return assembled


@pytest.fixture(name="random_stiffness")
def _random_stiffness():
    return random_stiffness
