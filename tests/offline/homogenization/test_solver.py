"""Error estimate, operator object, engines and messages."""

import numpy as np
import pytest

from matnet.elasticity import cubic, isotropic, laminate
from matnet.errors import ConvergenceError, ParameterError, ShapeError
from offline.homogenization import CellSolver, SolverOptions, Status, homogenize
from offline.homogenization.error_estimate import EnergyErrorEstimate
from offline.homogenization.fourier import FourierPreconditioner, reference_symbol
from offline.homogenization.grid import MODES, HexGrid
from offline.rve import Rve

STEEL = isotropic(E=1.0, nu=0.3)
SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])


def centres(n):
    return (np.indices((n, n, n)) + 0.5) / n


def sphere(n=12):
    return Rve(phases=((centres(n) - 0.5) ** 2).sum(0) < 0.36**2, phase_names=("matrix", "sphere"))


def truss(n=12):
    """Three square struts through the cell and a void between them."""
    slim = np.abs(centres(n) - 0.5) < 0.2
    solid = (slim[0] & slim[1]) | (slim[1] & slim[2]) | (slim[0] & slim[2])
    return Rve(phases=solid, phase_names=("void", "solid"))


def grains(rng, n=10, count=12):
    seeds = rng.random((count, 3))
    gaps = centres(n)[None] - seeds[:, :, None, None, None]
    phases = ((gaps - np.round(gaps)) ** 2).sum(1).argmin(0)
    q = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    q *= np.sign(np.linalg.det(q))[:, None, None]
    return Rve(phases=phases, orientations=q)


def case(name, rng):
    match name:
        case "sphere":
            return sphere(), [STEEL, 100.0 * STEEL]
        case "truss":
            return truss(), [np.zeros((6, 6)), STEEL]
        case "polycrystal":
            return grains(rng), [cubic(C11=168.4, C12=121.4, C44=75.4)] * 12
        case "density":
            x = 2 * np.pi * centres(12)
            smooth = 0.5 + 0.25 * (np.sin(x[0]) * np.cos(x[1]) + np.sin(x[2]))
            return Rve(phases=np.zeros((12, 12, 12), int), density=smooth**3), [STEEL]
    raise AssertionError(name)


@pytest.mark.parametrize("name", ["sphere", "truss", "polycrystal", "density"])
def test_error_estimate_is_reliable(name, rng):
    rve, stiffnesses = case(name, rng)
    exact = homogenize(rve, stiffnesses, SolverOptions(residual_tol=1e-10)).stiffness
    for tol in (1e-3, 1e-5, 1e-7):
        result = homogenize(rve, stiffnesses, SolverOptions(tol=tol))
        error = np.linalg.norm(result.stiffness - exact) / np.linalg.norm(exact)
        assert error < tol
        assert 0.6 < result.error_estimate / error < 30.0


@pytest.mark.parametrize(
    ("name", "most"), [("sphere", 25), ("truss", 30), ("polycrystal", 8), ("density", 12)]
)
def test_iterations_stay_small(name, most, rng):
    rve, stiffnesses = case(name, rng)
    assert homogenize(rve, stiffnesses).iterations.max() <= most


def test_iterations_do_not_grow_with_the_mesh():
    counts = [homogenize(sphere(n), [STEEL, 100.0 * STEEL]).iterations.max() for n in (8, 16, 24)]
    assert counts[2] <= 1.4 * counts[0]


def test_estimate_of_a_known_geometric_decay():
    estimate = EnergyErrorEstimate(2)
    for k in range(30):
        estimate.add(np.array([0.8**k, 5.0 * 0.3**k]))
    remaining = np.array([0.8**30 / 0.2, 5.0 * 0.3**30 / 0.7])
    np.testing.assert_allclose(estimate.current, remaining, rtol=2e-3)


def test_solution_exact_up_to_rounding_has_no_estimated_error():
    layer = np.zeros((6, 6, 6), int)
    layer[2] = 1
    void = homogenize(
        Rve(phases=layer, phase_names=("void", "solid")),
        [np.zeros((6, 6)), STEEL],
        allow_disconnected=True,
    )
    uniform = homogenize(Rve(phases=np.zeros((4, 4, 4), int)), [STEEL])
    assert uniform.error_estimate == 0.0
    assert void.error_estimate < 1e-14  # rounding of single precision


def test_stiffness_far_below_the_voigt_mean_keeps_its_digits():
    rigid = [
        homogenize(sphere(), [STEEL, contrast * STEEL], SolverOptions(tol=1e-8)).stiffness
        for contrast in (1e9, 1e12)
    ]
    np.testing.assert_allclose(rigid[1], rigid[0], rtol=0, atol=1e-7)


def test_effective_stiffness_is_approached_from_above():
    rve, stiffnesses = sphere(), [STEEL, 100.0 * STEEL]
    loose, tight = (
        homogenize(rve, stiffnesses, SolverOptions(tol=tol)).stiffness for tol in (1e-2, 1e-9)
    )
    assert np.linalg.eigvalsh(loose - tight)[0] > -1e-9


def test_residual_tolerance_is_met_by_every_load_case():
    result = homogenize(sphere(), [STEEL, 50.0 * STEEL], SolverOptions(residual_tol=1e-6))
    assert result.residual.max() <= 1e-6 < 10 * result.residual.min()


def test_starting_from_the_solution_needs_no_work():
    rve, stiffnesses = sphere(), [STEEL, 50.0 * STEEL]
    first = homogenize(rve, stiffnesses, SolverOptions(tol=1e-8), keep_displacement=True)
    options = SolverOptions(residual_tol=1e-3)
    again = homogenize(rve, stiffnesses, options, start=first.displacement)
    cold = homogenize(rve, stiffnesses, options)
    assert again.iterations.max() == 0 < cold.iterations.min()
    np.testing.assert_allclose(again.stiffness, first.stiffness, rtol=1e-12, atol=1e-12)


def test_progress_reports_the_falling_error():
    seen = []
    result = homogenize(
        sphere(), [STEEL, 50.0 * STEEL], progress=lambda step, error: seen.append((step, error))
    )
    assert [step for step, _ in seen] == list(range(1, result.iterations.max() + 1))
    assert seen[-1][1] == pytest.approx(result.error_estimate, rel=1e-3)
    assert seen[-1][1] <= 1e-6 < seen[-2][1]


def test_result_does_not_depend_on_threads():
    one, two = (
        homogenize(truss(32), [np.zeros((6, 6)), STEEL], SolverOptions(tol=1e-2, threads=threads))
        for threads in (1, 2)
    )
    assert CellSolver(truss(32), threads=2).threads == 2  # large enough to be shared
    np.testing.assert_array_equal(one.stiffness, two.stiffness)


def dense(operator, n):
    """The operator as a matrix (3 n, 3 n), column by column in sixes."""
    columns = []
    for start in range(0, 3 * n, 6):
        p = np.zeros((3 * n, 6))
        for k in range(min(6, 3 * n - start)):
            p[start + k, k] = 1.0
        columns.append(operator(p.reshape(n, 18)).reshape(3 * n, 6))
    return np.hstack(columns)[:, : 3 * n]


def test_preconditioner_inverts_the_matrix_of_its_reference_medium(rng, random_stiffness):
    c = random_stiffness(rng)
    rve = Rve(phases=np.zeros((3, 4, 2), int), cell=SHEARED)
    operator = CellSolver(rve).with_stiffness([c])
    matrix = dense(lambda p: operator.apply(p)[0], 24)
    inverse = dense(operator.precondition, 24)
    expected = np.linalg.pinv(matrix, rcond=1e-10, hermitian=True)
    assert np.abs(inverse - expected).max() < 1e-5 * np.abs(expected).max()  # single precision


def test_reference_symbol_is_the_transform_of_the_matrix(rng, random_stiffness):
    c = random_stiffness(rng)
    grid = HexGrid((4, 3, 5), SHEARED)
    rve = Rve(phases=np.zeros(grid.shape, int), cell=SHEARED)
    matrix = dense(lambda p: CellSolver(rve).with_stiffness([c]).apply(p)[0], 60)
    column = matrix.reshape(60, 3, 60, 3)[:, 0, 0, 1].reshape(grid.shape)
    symbol = reference_symbol(grid, c)[..., 3]
    np.testing.assert_allclose(np.fft.rfftn(column), symbol, rtol=0, atol=1e-12)


def test_element_matrix_splits_in_modes(rng, random_stiffness):
    ke = HexGrid((2, 2, 2), SHEARED).element_stiffness(random_stiffness(rng))
    modes = np.kron(MODES, np.eye(3))
    blocks = np.abs(modes @ ke @ modes.T).reshape(8, 3, 8, 3).max(axis=(1, 3))
    parity = np.array([0, 1, 1, 2, 1, 2, 2, 3])
    assert blocks[parity[:, None] != parity].max() < 1e-13 * blocks.max()


def test_operator_is_symmetric_and_reports_its_work(rng):
    rve, stiffnesses = case("density", rng)
    operator = CellSolver(rve).with_stiffness(stiffnesses)
    p, q = rng.normal(size=(2, operator.mesh.n_nodes, 18))
    kp, work = operator.apply(p)
    kq, _ = operator.apply(q)
    np.testing.assert_allclose(np.vdot(q, kp), np.vdot(p, kq), rtol=1e-12)
    np.testing.assert_allclose(work.sum(), np.vdot(p, kp), rtol=1e-12)


def test_one_solver_serves_many_stiffnesses(rng, random_stiffness):
    rve = Rve(phases=np.array([0, 1, 1]).reshape(3, 1, 1))
    solver = CellSolver(rve)
    options = SolverOptions(tol=1e-10)
    for _ in range(3):
        pair = [random_stiffness(rng), random_stiffness(rng)]
        operator = solver.with_stiffness(pair)
        found = operator.energy(operator.solve(options).u)
        expected = laminate(pair, [1 / 3, 2 / 3], [1, 0, 0])
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_preconditioner_may_be_shared():
    solver = CellSolver(sphere())
    shared = FourierPreconditioner(solver.grid, solver.mesh, STEEL)
    operator = solver.with_stiffness([STEEL, 5.0 * STEEL], preconditioner=shared)
    assert operator.preconditioner is shared
    assert operator.solve().status is Status.CONVERGED


def test_pack_and_unpack_are_inverse_at_active_nodes(rng):
    solver = CellSolver(truss())
    field = rng.normal(size=(solver.mesh.n_nodes, 18))
    np.testing.assert_array_equal(solver.pack(solver.unpack(field)), field)


def test_islands_are_removed_and_reported():
    plain = truss()
    phases = plain.phases.copy()
    phases[0, 0, 0] = 1
    both = [
        homogenize(rve, [np.zeros((6, 6)), STEEL]) for rve in (plain, plain.with_phases(phases))
    ]
    assert (both[0].removed_voxels, both[1].removed_voxels) == (0, 1)
    np.testing.assert_array_equal(both[0].stiffness, both[1].stiffness)


def test_solid_that_does_not_percolate_needs_permission():
    phases = np.zeros((4, 4, 4), int)
    phases[:, :, :2] = 1
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    with pytest.raises(ParameterError, match=r"does not percolate along x3: C\^H is singular"):
        homogenize(rve, [np.zeros((6, 6)), STEEL])
    result = homogenize(rve, [np.zeros((6, 6)), STEEL], allow_disconnected=True)
    expected = laminate([np.zeros((6, 6)), STEEL], [0.5, 0.5], [0, 0, 1])
    np.testing.assert_allclose(result.stiffness, expected, atol=1e-6)


def test_iteration_limit_raises_with_the_result():
    options = SolverOptions(max_iterations=3)
    text = (
        "Homogenisation stopped after 3 iterations, estimated error .* > tol 1.0e-06, at phase "
        "contrast .*e.02. Raise max_iterations"
    )
    with pytest.raises(ConvergenceError, match=text) as caught:
        homogenize(sphere(), [STEEL, 100.0 * STEEL], options)
    assert caught.value.result.status is Status.MAX_ITERATIONS
    kept = homogenize(sphere(), [STEEL, 100.0 * STEEL], options, throw=False)
    np.testing.assert_array_equal(kept.stiffness, caught.value.result.stiffness)
    with pytest.raises(ConvergenceError, match=r"residual .* > residual_tol 1\.0e-08"):
        options = SolverOptions(max_iterations=3, residual_tol=1e-8)
        homogenize(sphere(), [STEEL, 100.0 * STEEL], options)


@pytest.mark.parametrize(
    ("stiffness", "text"),
    [
        (-STEEL, "phase 'sphere' has smallest eigenvalue -2.5, expected a positive definite"),
        (STEEL + np.eye(6, k=1), "phase 'sphere' is not symmetric"),
        (1e70 * STEEL, "phase 'sphere' has entries up to 1.3e\\+70, expected between 1e-60 and"),
        (STEEL * np.nan, "phase 'sphere': 36 of 36 values are not finite"),
    ],
)
def test_bad_stiffness_is_named(stiffness, text):
    with pytest.raises(ParameterError, match=text):
        homogenize(sphere(), [STEEL, stiffness])


def test_other_bad_input_gets_one_sentence():
    rve = sphere()
    with pytest.raises(ShapeError, match=r"shape \(1, 6, 6\), expected \(2, 6, 6\)"):
        homogenize(rve, [STEEL])
    with pytest.raises(ParameterError, match="the cell has no solid"):
        homogenize(rve, np.zeros((2, 6, 6)))
    with pytest.raises(ParameterError, match="'matrix' has zero stiffness but was not set up"):
        CellSolver(rve).with_stiffness([0.0 * STEEL, STEEL])
    with pytest.raises(ShapeError, match=r"void has shape \(3,\), expected \(2,\)"):
        CellSolver(rve, void=[True, False, False])
    with pytest.raises(ShapeError, match="start has shape"):
        homogenize(rve, [STEEL, STEEL], start=np.zeros((6, 3)))
    with pytest.raises(ParameterError, match="engine 'magic' is unknown, expected one of fourier"):
        homogenize(rve, [STEEL, STEEL], SolverOptions(engine="magic"))


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"tol": 0.0}, "tol is 0.0, expected a number between 0 and 1"),
        ({"residual_tol": 2.0}, "residual_tol is 2.0, expected a number between 0 and 1"),
        ({"max_iterations": 0}, "max_iterations is 0, expected a positive whole number"),
        ({"threads": 1.5}, "threads is 1.5, expected a positive whole number"),
    ],
)
def test_bad_options_are_named(option, text):
    with pytest.raises(ParameterError, match=text):
        SolverOptions(**option)
