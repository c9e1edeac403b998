"""Small cells and their full solutions, shared by the label tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from offline.homogenization import CellSolver, SolverOptions
from offline.rve import Rve


def _distance(points: np.ndarray, centre: tuple[float, ...]) -> np.ndarray:
    """Periodic distance of points (..., d) to a centre."""
    return np.linalg.norm((points - np.array(centre) + 0.5) % 1.0 - 0.5, axis=-1)


def _points(*shape: int) -> np.ndarray:
    axes = [(np.arange(n) + 0.5) / n for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def octet_cell(n: int = 12, radius: float = 0.13) -> Rve:
    """Octet truss: struts between the corners and face centres of a cube, void around."""
    points = _points(n, n, n)
    faces = [(0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)]
    corners = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    nodes = [np.array(c, dtype=float) for c in corners + faces]
    nodes += [np.array(f) + e for f, e in zip(faces, np.eye(3)[::-1], strict=True)]
    solid = np.zeros((n, n, n), dtype=bool)
    for i, a in enumerate(nodes):
        for b in nodes[:i]:
            d = b - a
            if abs(d @ d - 0.5) > 1e-9:
                continue
            t = np.clip((points - a) @ d / (d @ d), 0.0, 1.0)
            solid |= np.linalg.norm(points - a - t[..., None] * d, axis=-1) < radius
    return Rve(phases=solid, phase_names=("void", "solid"))


def fibre_cell(n: int = 20) -> Rve:
    """Hexagonal fibres, 41 percent, one voxel thick."""
    points = _points(n, n)
    inside = (_distance(points, (0.0, 0.0)) < 0.256) | (_distance(points, (0.5, 0.5)) < 0.256)
    return Rve(phases=inside[:, :, None], phase_names=("matrix", "fibre"))


def sphere_cell(n: int = 10) -> Rve:
    """Three spheres, about 17 percent."""
    points = _points(n, n, n)
    inside = np.zeros((n, n, n), dtype=bool)
    for centre in ((0.2, 0.3, 0.25), (0.7, 0.8, 0.4), (0.45, 0.15, 0.8)):
        inside |= _distance(points, centre) < 0.24
    return Rve(phases=inside, phase_names=("matrix", "sphere"))


@pytest.fixture
def octet() -> Rve:
    return octet_cell()


@pytest.fixture
def fibres() -> Rve:
    return fibre_cell()


@pytest.fixture
def spheres() -> Rve:
    return sphere_cell()


@pytest.fixture
def small() -> Rve:
    """A random two-phase cell of 64 voxels."""
    rng = np.random.default_rng(3)
    return Rve(phases=rng.integers(0, 2, (4, 4, 4)), phase_names=("matrix", "grain"))


Solve = Callable[[Rve, np.ndarray], tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def full_solve() -> Solve:
    """Full solutions: (rve, (n, n_phases, 6, 6)) to effective (n, 6, 6), fields (n, 3 nodes, 6)."""

    def solve(rve: Rve, phase_stiffness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cell = CellSolver(rve)
        effective, fields = [], []
        for c in phase_stiffness:
            operator = cell.with_stiffness(c)
            u = operator.solve(SolverOptions(tol=1e-9)).u
            effective.append(operator.energy(u))
            fields.append(u.reshape(-1, 6))
        return np.array(effective), np.array(fields)

    return solve


def relative_error(value: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Relative Frobenius errors (n,) of matrices (n, 6, 6)."""
    gap = np.linalg.norm(value - reference, axis=(1, 2))
    return np.asarray(gap / np.linalg.norm(reference, axis=(1, 2)))


@pytest.fixture(name="relative_error")
def relative_error_fixture() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return relative_error
