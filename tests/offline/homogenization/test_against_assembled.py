"""The matrix-free solver equals an assembled finite-element solve."""

import numpy as np
import pytest

from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.rve import Rve

SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])
TIGHT = SolverOptions(tol=1e-10, threads=2)


def cell(name, rng, random_stiffness):
    """A random cell and its phase stiffnesses."""
    two = np.stack([random_stiffness(rng), random_stiffness(rng, 10.0, 100.0)])
    phases = rng.integers(0, 2, (6, 6, 6))
    with_void = np.concatenate([np.zeros((1, 6, 6)), two])
    q = np.linalg.qr(rng.normal(size=(3, 3, 3)))[0]
    q *= np.sign(np.linalg.det(q))[:, None, None]
    match name:
        case "cubic":
            return Rve(phases=phases), two
        case "bricks":
            return Rve(phases=phases[:, :5, :3], cell=np.diag([1.0, 2.0, 0.7])), two
        case "sheared":
            return Rve(phases=phases, cell=SHEARED), two
        case "void":
            return Rve(phases=rng.choice(3, (6, 5, 6), p=[0.3, 0.4, 0.3])), with_void
        case "density":
            return Rve(phases=phases, density=rng.random((6, 6, 6)) ** 2), two
        case "orientations":
            return Rve(phases=rng.integers(0, 3, (5, 6, 4)), orientations=q), np.stack(
                [two[0], two[0], two[1]]
            )
        case "one thick along 3":
            return Rve(phases=phases[:, :, :1], cell=SHEARED), two
        case "one thick along 1":
            return Rve(phases=phases[:1], cell=SHEARED), two
        case "one row":
            return Rve(phases=phases[:1, :, :1], cell=SHEARED), two
        case "two thick":
            return Rve(phases=phases[:2, :, :2]), two
    raise AssertionError(name)


NAMES = (
    "cubic",
    "bricks",
    "sheared",
    "void",
    "density",
    "orientations",
    "one thick along 3",
    "one thick along 1",
    "one row",
    "two thick",
)


@pytest.mark.parametrize("name", NAMES)
def test_effective_stiffness_equals_assembled_solve(name, rng, assembled, random_stiffness):
    rve, stiffnesses = cell(name, rng, random_stiffness)
    expected, _ = assembled(rve, stiffnesses)
    result = homogenize(rve, stiffnesses, TIGHT, allow_disconnected=True)
    defect = np.linalg.norm(result.stiffness - expected) / np.linalg.norm(expected)
    assert defect < 1e-9
    np.testing.assert_array_equal(result.stiffness, result.stiffness.T)


@pytest.mark.parametrize("name", ["sheared", "void"])
def test_strain_energy_density_of_the_field_equals_assembled_solve(
    name, rng, assembled, random_stiffness
):
    rve, stiffnesses = cell(name, rng, random_stiffness)
    _, expected = assembled(rve, stiffnesses)
    options = SolverOptions(residual_tol=1e-10)
    result = homogenize(rve, stiffnesses, options, keep_displacement=True, allow_disconnected=True)
    solver = CellSolver(rve, void=~np.any(stiffnesses, axis=(1, 2)), allow_disconnected=True)
    got = solver.strains(solver.pack(result.displacement))
    wanted = solver.strains(solver.pack(expected))
    assert np.abs(got - wanted).max() < 1e-7
    assert result.residual.max() <= 1e-10
