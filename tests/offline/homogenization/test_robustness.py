"""Unusual cells: thin, prime, homogeneous, disconnected, of any contrast; never NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matnet.elasticity import isotropic, laminate
from matnet.errors import MatnetError, ParameterError
from offline.homogenization import SolverOptions, Status, homogenize
from offline.rve import Rve

from .decimal_twin import exact_stiffness

STEEL = isotropic(E=1.0, nu=0.3)
ZERO = np.zeros((6, 6))
SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])
TIGHT = SolverOptions(tol=1e-9)
ACCURATE = 1e-7  # relative: a tenth of the default tolerance, far above what `tol=1e-9` leaves


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def random_spd(rng, decades):
    """A general anisotropic stiffness, eigenvalues over +- `decades`."""
    q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    c = q @ np.diag(10.0 ** rng.uniform(-decades, decades, 6)) @ q.T
    return 0.5 * (c + c.T)


def random_shear(rng):
    """Lattice vectors (3, 3), right-handed, well away from flat."""
    return np.diag(rng.uniform(0.5, 2.0, 3)) + rng.uniform(-0.25, 0.25, (3, 3))


def random_turns(rng, n):
    q = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    return q * np.sign(np.linalg.det(q))[:, None, None]


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 1), (3, 4, 1), (3, 2, 5), (16, 15, 14)])
@pytest.mark.parametrize("cell", [None, SHEARED], ids=["cubic", "sheared"])
def test_homogeneous_cell_has_its_materials_stiffness_without_iterating(shape, cell, rng):
    c = random_spd(rng, 1)
    result = homogenize(Rve(phases=np.zeros(shape, int), cell=cell), [c])
    assert distance(result.stiffness, c) < 1e-13
    assert result.iterations.max() == 0 and result.residual.max() == 0.0
    assert result.status is Status.CONVERGED and result.error_estimate == 0.0


def test_phases_of_equal_stiffness_need_no_iteration(rng):
    c = random_spd(rng, 1)
    result = homogenize(Rve(phases=rng.integers(0, 3, (4, 5, 3))), [c, c, c])
    assert distance(result.stiffness, c) < 1e-13 and result.iterations.max() == 0


def test_phases_equal_up_to_rounding_give_their_stiffness(rng):
    c = random_spd(rng, 1)
    result = homogenize(Rve(phases=rng.integers(0, 2, (4, 5, 3))), [c, c * (1.0 + 1e-14)])
    assert distance(result.stiffness, c) < 1e-13


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (6, 1, 1), (1, 6, 1), (1, 1, 6), (4, 3, 1), (1, 3, 4), (4, 1, 3), (2, 2, 2)],
)
def test_cells_one_voxel_thick_equal_exact_elimination(shape, rng):
    c = [random_spd(rng, 0.5), random_spd(rng, 0.5), STEEL]
    rve = Rve(phases=rng.integers(0, 3, shape), cell=SHEARED, phase_names=("a", "b", "c"))
    assert distance(homogenize(rve, c, TIGHT).stiffness, exact_stiffness(rve, c)) < ACCURATE


@pytest.mark.parametrize("shape", [(5, 3, 7), (3, 11, 2), (13, 7, 1), (1, 2, 17)])
def test_odd_and_prime_sizes_equal_assembled_solve(shape, rng, assembled):
    c = [random_spd(rng, 0.3), 20.0 * random_spd(rng, 0.3)]
    rve = Rve(phases=rng.integers(0, 2, shape), cell=SHEARED)
    assert distance(homogenize(rve, c, TIGHT).stiffness, assembled(rve, c)[0]) < ACCURATE


@pytest.mark.parametrize("n", [31, 97, 509])
def test_laminate_of_a_prime_number_of_layers_is_exact(n, rng):
    c = np.stack([random_spd(rng, 1), random_spd(rng, 1)])
    layers = rng.integers(0, 2, n)
    expected = laminate(c, [1.0 - layers.mean(), layers.mean()], [0, 1, 0])
    got = homogenize(Rve(phases=layers.reshape(1, n, 1)), c, TIGHT).stiffness
    assert distance(got, expected) < ACCURATE


INCLUSION = np.zeros((3, 3, 3), int)
INCLUSION[1, 1, 1:] = 1


@pytest.mark.parametrize("contrast", [1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("kind", ["inclusion", "mixture"])
def test_any_contrast_equals_exact_elimination(contrast, kind, rng):
    phases = INCLUSION if kind == "inclusion" else rng.integers(0, 2, (3, 2, 4))
    c = [STEEL, contrast * isotropic(E=1.0, nu=0.2)]
    result = homogenize(Rve(phases=phases), c, SolverOptions(tol=1e-8))
    assert distance(result.stiffness, exact_stiffness(Rve(phases=phases), c)) < ACCURATE
    assert result.error_estimate <= 1e-8


@pytest.mark.parametrize("decades", [6, 9])
def test_stiff_frame_and_soft_filling_over_many_decades(decades, rng):
    c = [STEEL, 10.0**decades * STEEL, 10.0**-decades * STEEL]
    phases = rng.integers(0, 3, (3, 3, 2))
    phases[0] = phases[:, 0] = phases[:, :, 0] = 1  # the stiffest phase percolates
    rve = Rve(phases=phases, phase_names=("a", "b", "c"))
    assert distance(homogenize(rve, c).stiffness, exact_stiffness(rve, c)) < 1e-6


@pytest.mark.parametrize("contrast", [1e-9, 1e9])
def test_solid_islands_in_a_matrix_that_is_nearly_rigid_or_nearly_void(contrast):
    phases = np.zeros((4, 3, 3), int)
    phases[1, 1, 1] = phases[3, 2, 0] = 1
    c = [contrast * STEEL, STEEL]
    result = homogenize(Rve(phases=phases), c)
    assert distance(result.stiffness, exact_stiffness(Rve(phases=phases), c)) < 1e-6


@pytest.mark.parametrize("decades", [10, 12, 14, 16, 18])
def test_stiff_islands_many_decades_above_their_matrix_are_refused(decades):
    phases = np.zeros((3, 3, 3), int)
    phases[1, 1, 1], phases[0, 0, 0] = 2, 1
    c = [10.0 ** (-0.5 * decades) * STEEL, STEEL, 10.0 ** (0.5 * decades) * STEEL]
    message = (
        r"of the mean stiffness of its phases, at contrast .*: too little for double precision"
    )
    with pytest.raises(ParameterError, match=message):
        homogenize(Rve(phases=phases), c)


def test_three_phases_over_eight_decades_equal_exact_elimination():
    phases = np.zeros((3, 3, 3), int)
    phases[1, 1, 1], phases[0, 0, 0] = 2, 1
    c = [1e-4 * STEEL, STEEL, 1e4 * STEEL]
    result = homogenize(Rve(phases=phases), c)
    assert distance(result.stiffness, exact_stiffness(Rve(phases=phases), c)) < 1e-6


def test_void_everywhere_is_refused():
    with pytest.raises(ParameterError, match="the cell has no solid: every voxel is void"):
        homogenize(Rve(phases=np.zeros((2, 3, 3), int)), [ZERO])
    with pytest.raises(ParameterError, match="every voxel is void or has density 0"):
        homogenize(Rve(phases=np.zeros((2, 2, 2), int), density=np.zeros((2, 2, 2))), [STEEL])


def test_densities_of_zero_and_near_zero_equal_exact_elimination(rng):
    density = rng.random((3, 3, 2))
    density[0, 0, 0], density[1, 2, 1], density[2, 1, 0], density[0, 2, 1] = 0.0, 1e-12, 1e-300, 1.0
    rve = Rve(phases=np.zeros((3, 3, 2), int), density=density, cell=SHEARED)
    result = homogenize(rve, [STEEL], TIGHT)
    assert distance(result.stiffness, exact_stiffness(rve, [STEEL])) < ACCURATE


def test_densities_over_nine_decades_equal_exact_elimination(rng):
    rve = Rve(phases=np.zeros((3, 3, 2), int), density=10.0 ** rng.uniform(-9.0, 0.0, (3, 3, 2)))
    assert distance(homogenize(rve, [STEEL], TIGHT).stiffness, exact_stiffness(rve, [STEEL])) < (
        ACCURATE
    )


ROD = np.zeros((3, 3, 3), int)
ROD[:, 0, 0] = 1
PLATE = np.zeros((3, 2, 2), int)
PLATE[0] = 1
HINGES = np.eye(4, dtype=int)[:, :, None]


@pytest.mark.parametrize(
    ("phases", "complaint"),
    [
        (ROD, "does not percolate along x2 and x3"),
        (PLATE, "does not percolate along x1"),
        (HINGES, "does not percolate along x1 and x2"),
    ],
    ids=["rod", "plate", "hinges"],
)
def test_disconnected_solid_is_refused_and_exact_when_allowed(phases, complaint):
    rve, c = Rve(phases=phases, phase_names=("void", "solid")), [ZERO, STEEL]
    with pytest.raises(ParameterError, match=complaint):
        homogenize(rve, c)
    result = homogenize(rve, c, TIGHT, allow_disconnected=True)
    assert distance(result.stiffness, exact_stiffness(rve, c)) < ACCURATE


def test_one_island_in_void_has_no_stiffness_when_allowed():
    phases = np.zeros((3, 3, 3), int)
    phases[1, 1, 1] = 1
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    with pytest.raises(ParameterError, match="does not percolate along x1, x2 and x3"):
        homogenize(rve, [ZERO, STEEL])
    result = homogenize(rve, [ZERO, STEEL], allow_disconnected=True)
    assert np.abs(result.stiffness).max() < 1e-12


def test_sheared_polycrystal_with_density_and_void_equals_exact_elimination(rng):
    shape, n = (4, 3, 2), 4
    phases = rng.integers(0, n, shape)
    phases[0, 0, 0] = 0
    c = np.stack([ZERO, *(random_spd(rng, 0.7) for _ in range(n - 1))])
    names = ("void", "a", "b", "c")
    density = rng.uniform(0.05, 1.0, shape)
    rve = Rve(
        phases=phases,
        phase_names=names,
        cell=SHEARED @ np.diag([1.0, 0.5, 2.0]),
        density=density,
        orientations=random_turns(rng, n),
    )
    result = homogenize(rve, c, TIGHT, allow_disconnected=True)
    assert distance(result.stiffness, exact_stiffness(rve, c)) < ACCURATE


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3).filter(lambda s: np.prod(s) <= 18),
    n_phases=st.integers(1, 4),
    decades=st.sampled_from([0.0, 1.0, 3.0]),
    void=st.booleans(),
    dense=st.booleans(),
    turned=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_random_cells_equal_exact_elimination_or_are_refused(
    shape, n_phases, decades, void, dense, turned, seed
):
    rng = np.random.default_rng(seed)
    c = np.stack([random_spd(rng, decades) for _ in range(n_phases)])
    if void:
        c[0] = 0.0
    rve = Rve(
        phases=rng.integers(0, n_phases, shape),
        phase_names=tuple(f"phase {i}" for i in range(n_phases)),
        cell=random_shear(rng),
        density=None if dense else rng.random(shape) ** 3,
        orientations=random_turns(rng, n_phases) if turned else None,
    )
    try:
        result = homogenize(rve, c, SolverOptions(tol=1e-8), allow_disconnected=True)
    except MatnetError as error:
        assert void and "the cell has no solid" in str(error)
        return
    expected = exact_stiffness(rve, c)
    scale = max(np.linalg.norm(expected), 1e-12 * np.abs(c).max())  # islands have no stiffness
    assert np.isfinite(result.stiffness).all() and np.isfinite(result.error_estimate)
    assert np.linalg.norm(result.stiffness - expected) < 1e-6 * scale
