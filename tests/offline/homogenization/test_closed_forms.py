"""Exact solutions, physics and symmetries of the effective stiffness."""

import numpy as np
import pytest

from matnet.elasticity import isotropic, laminate
from matnet.mandel import rotate_stiffness
from offline.homogenization import CellSolver, SolverOptions, gauss_strains, homogenize
from offline.homogenization.bounds import cell_bounds
from offline.rve import Rve

TIGHT = SolverOptions(tol=1e-10)
LAYERS = np.array([0, 0, 1, 2, 2, 2, 1, 0])
FRACTIONS = [3 / 8, 2 / 8, 3 / 8]


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.fixture
def three(rng, random_stiffness):
    """Three general anisotropic stiffnesses."""
    return np.stack([random_stiffness(rng, 1.0, 10.0**i) for i in (1, 2, 1)])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_laminate_of_anisotropic_layers_is_exact(axis, three):
    shape = [1, 1, 1]
    shape[axis] = len(LAYERS)
    rve = Rve(phases=LAYERS.reshape(shape), cell=np.diag([1.0, 2.0, 0.5]))
    expected = laminate(three, FRACTIONS, np.eye(3)[axis])
    assert distance(homogenize(rve, three, TIGHT).stiffness, expected) < 1e-9


def test_laminate_at_default_tolerance_is_within_it(three):
    phases = np.broadcast_to(LAYERS[:, None, None], (8, 4, 4))
    result = homogenize(Rve(phases=phases), three)
    assert distance(result.stiffness, laminate(three, FRACTIONS, [1, 0, 0])) < 1e-6


def test_two_level_laminate_is_exact(three):
    inner = homogenize(Rve(phases=LAYERS.reshape(1, 8, 1)), three, TIGHT).stiffness
    outer = homogenize(Rve(phases=np.array([0, 1, 1]).reshape(1, 1, 3)), [three[0], inner], TIGHT)
    expected = laminate(
        [three[0], laminate(three, FRACTIONS, [0, 1, 0])], [1 / 3, 2 / 3], [0, 0, 1]
    )
    assert distance(outer.stiffness, expected) < 1e-9


def test_sheared_cell_of_a_laminate_equals_the_orthogonal_cell(three):
    phases = np.broadcast_to(LAYERS[:, None, None], (8, 3, 2))
    straight = homogenize(Rve(phases=phases, cell=np.eye(3)), three, TIGHT).stiffness
    sheared = np.array([[1.0, 0.3, -0.7], [0.0, 1.0, 0.0], [0.0, 0.4, 1.0]])
    skew = homogenize(Rve(phases=phases, cell=sheared), three, TIGHT).stiffness
    assert distance(skew, straight) < 1e-9


def test_tilted_laminate_has_the_normal_of_its_lattice_planes(three):
    cell = np.array([[1.0, 0.3, 0.2], [-0.4, 1.0, 0.1], [0.2, 0.0, 1.2]])
    normal = np.cross(cell[1], cell[2])
    rve = Rve(phases=LAYERS.reshape(8, 1, 1), cell=cell)
    expected = laminate(three, FRACTIONS, normal / np.linalg.norm(normal))
    assert distance(homogenize(rve, three, TIGHT).stiffness, expected) < 1e-9


def test_homogeneous_cell_needs_no_iteration(three):
    result = homogenize(Rve(phases=np.zeros((3, 4, 5), int), cell=np.eye(3) + 0.1), three[:1])
    assert distance(result.stiffness, three[0]) < 1e-13
    assert result.iterations.max() == 0 and result.residual.max() == 0.0


def test_density_scales_stiffness():
    c = isotropic(E=1.0, nu=0.3)
    phases = np.zeros((2, 2, 2), int)
    result = homogenize(Rve(phases=phases, density=np.full((2, 2, 2), 0.37)), [c])
    assert distance(result.stiffness, 0.37 * c) < 1e-13


def test_orientations_turn_the_phases(three):
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rve = Rve(phases=np.zeros((2, 2, 2), int), orientations=turn[None])
    assert distance(homogenize(rve, three[:1]).stiffness, rotate_stiffness(three[0], turn)) < 1e-13


def smooth_density(n):
    x, y, z = 2 * np.pi * (np.indices((n, n, n)) + 0.5) / n
    return 0.55 + 0.2 * (np.sin(x) * np.cos(y) + np.sin(z + 0.3) * np.cos(x))


def test_error_falls_with_the_square_of_the_voxel_size():
    c = isotropic(E=1.0, nu=0.3)
    options = SolverOptions(tol=1e-9)
    found = [
        homogenize(
            Rve(phases=np.zeros((n, n, n), int), density=smooth_density(n)), [c], options
        ).stiffness
        for n in (8, 16, 32)
    ]
    steps = [np.linalg.norm(found[i + 1] - found[i]) for i in range(2)]
    assert abs(np.log2(steps[0] / steps[1]) - 2.0) < 0.1
    assert steps[1] / np.linalg.norm(found[2]) < 2e-3


@pytest.fixture
def composite(rng, three):
    phases = rng.integers(0, 3, (6, 6, 6))
    return Rve(phases=phases), three


def test_hill_mandel_and_mean_stress(composite):
    rve, three = composite
    options = SolverOptions(residual_tol=1e-10)
    result = homogenize(rve, three, options, keep_displacement=True)
    solver = CellSolver(rve)
    eps = gauss_strains(solver.grid, result.displacement)
    sig = np.einsum("eij,kegj->kegi", three[rve.phases.ravel()], eps)
    np.testing.assert_allclose(eps.mean(axis=(1, 2)), np.eye(6), atol=1e-12)
    np.testing.assert_allclose(sig.mean(axis=(1, 2)).T, result.stiffness, rtol=0, atol=1e-8)
    work = np.einsum("kegi,legi->kl", eps, sig) / (8 * rve.phases.size)
    np.testing.assert_allclose(work, result.stiffness, rtol=0, atol=1e-12)


def test_fluctuation_has_mean_zero_over_the_solid(rng, three):
    phases = rng.choice(2, (5, 6, 7), p=[0.3, 0.7])
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    void = np.stack([np.zeros((6, 6)), three[0]])
    result = homogenize(rve, void, keep_displacement=True, allow_disconnected=True)
    assert np.abs(result.displacement.sum(axis=(1, 2, 3))).max() < 1e-11


def test_effective_stiffness_lies_between_reuss_and_voigt(composite):
    rve, three = composite
    c = homogenize(rve, three).stiffness
    bounds = cell_bounds(rve, three)
    assert bounds.hold(c) == {"voigt": True, "reuss": True, "hashin_shtrikman": None}
    assert not bounds.hold(1.01 * bounds.voigt)["voigt"]
    assert not bounds.hold(0.99 * bounds.reuss)["reuss"]
    assert np.linalg.eigvalsh(c)[0] > 0.0


def test_hashin_shtrikman_is_applied_to_isotropic_phases():
    rve = Rve(phases=np.array([0, 1]).reshape(2, 1, 1))
    bounds = cell_bounds(rve, [isotropic(E=1.0, nu=0.3), isotropic(E=10.0, nu=0.2)])
    assert bounds.hold(bounds.voigt)["hashin_shtrikman"] is False
    between = bounds.hashin_shtrikman
    inside = isotropic(K=between.K_lower * 1.01, G=between.G_lower * 1.01)
    assert bounds.hold(inside)["hashin_shtrikman"] is True


def test_reuss_and_voigt_of_density_fields_enclose_the_stiffness(rng):
    rve = Rve(phases=np.zeros((4, 4, 4), int), density=rng.uniform(0.1, 1.0, (4, 4, 4)))
    c = isotropic(E=1.0, nu=0.3)
    found = homogenize(rve, [c], TIGHT).stiffness
    bounds = cell_bounds(rve, [c])
    assert bounds.hold(found, 1e-9)["voigt"] and bounds.hold(found, 1e-9)["reuss"]
    np.testing.assert_allclose(bounds.reuss, c / np.mean(1 / rve.density), rtol=1e-12, atol=1e-14)


def test_shifting_the_cell_changes_nothing(composite):
    rve, three = composite
    moved = rve.with_phases(np.roll(rve.phases, (1, 3, 2), axis=(0, 1, 2)))
    before, after = (homogenize(cell, three, TIGHT).stiffness for cell in (rve, moved))
    assert distance(after, before) < 1e-9


def test_turning_the_cell_turns_the_stiffness(composite):
    rve, three = composite
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # x1 -> x2
    phases = np.rot90(rve.phases, 1, axes=(0, 1))
    turned = homogenize(rve.with_phases(phases), rotate_stiffness(three, turn), TIGHT).stiffness
    expected = rotate_stiffness(homogenize(rve, three, TIGHT).stiffness, turn)
    assert distance(turned, expected) < 1e-9


@pytest.mark.parametrize(("stress", "length"), [(1e-9, 1e3), (2e11, 1e-6), (1e30, 1.0)])
def test_units_do_not_matter(composite, stress, length):
    rve, three = composite
    plain = homogenize(rve, three)
    scaled = homogenize(Rve(phases=rve.phases, cell=length * rve.cell), stress * three)
    assert distance(scaled.stiffness / stress, plain.stiffness) < 1e-9
    np.testing.assert_array_equal(scaled.iterations, plain.iterations)
