"""Geometric multigrid against dense twins and the Fourier engine."""

from dataclasses import replace

import numpy as np
import pytest

from matnet.elasticity import cubic, isotropic
from offline.homogenization import CellSolver, SolverOptions, Status, engines, homogenize
from offline.homogenization.engines import auto
from offline.homogenization.multigrid import MultigridPreconditioner, fine_stencils, multigrid_of
from offline.homogenization.multigrid.levels import CoarseMatrix, FineMatrix
from offline.homogenization.multigrid.preconditioner import coarse_blocks, hierarchy
from offline.homogenization.options import multigrid_pays
from offline.rve import Rve
from offline.rve.generators import make

STEEL = isotropic(E=1.0, nu=0.3)
VOID = np.zeros((6, 6))
SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])


def voxels(shape, rng, solid=0.6):
    """Random voxels of void and two anisotropic phases, solid along the axes."""
    phases = (rng.random(shape) < solid) * rng.integers(1, 3, shape)
    phases[0, 0, :] = phases[0, :, 0] = phases[:, 0, 0] = 1
    return phases


def random_operator(shape, rng, *, density=False, allow=True):
    phases = voxels(shape, rng)
    rve = Rve(
        phases=phases,
        phase_names=("void", "a", "b"),
        cell=SHEARED,
        density=rng.uniform(0.2, 1.0, shape) if density else None,
    )
    stiffness = [VOID]
    for scale in (1.0, 30.0):
        q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
        stiffness.append(scale * q @ np.diag(rng.uniform(1.0, 5.0, 6)) @ q.T)
    return CellSolver(rve, allow_disconnected=allow).with_stiffness(stiffness)


def dense(operator):
    """The operator's matrix (3n, 3n), column by column."""
    return columns(lambda p: operator.apply(p)[0], operator.mesh.n_nodes, float)


def columns(function, n, dtype):
    """The matrix of a linear map of fields, six columns at a time."""
    matrix = np.zeros((3 * n, 3 * n))
    for first in range(0, 3 * n, 6):
        unit = np.zeros((3 * n, 6))
        stop = min(first + 6, 3 * n)
        unit[np.arange(first, stop), np.arange(stop - first)] = 1.0
        image = function(unit.reshape(n, 18).astype(dtype))
        matrix[:, first:stop] = image.reshape(3 * n, 6)[:, : stop - first]
    return matrix


def largest_eigenvalue(k, diagonal):
    """Of diagonal^-1 k, with blocks (n, 3, 3)."""
    half = np.linalg.cholesky(np.linalg.inv(diagonal))
    n = len(diagonal)
    scaled = np.einsum("mji,mjnk,nkl->minl", half, k.reshape(n, 3, n, 3), half, optimize=True)
    return np.linalg.eigvalsh(scaled.reshape(3 * n, 3 * n))[-1]


def interpolation_matrix(level, n_fine):
    start, column, weight = level.prolongation
    p = np.zeros((n_fine, level.coarse.n_nodes))
    np.add.at(p, (np.repeat(np.arange(n_fine), np.diff(start)), column), weight)
    return p


def block_matrix(level, blocks):
    n = level.coarse.n_nodes
    k = np.zeros((n, n, 3, 3))
    row = np.repeat(np.arange(n), np.diff(level.block_start))
    np.add.at(k, (row, level.neighbours), blocks.reshape(-1, 3, 3))
    return k.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)


def preconditioner_matrix(operator):
    preconditioner = MultigridPreconditioner(operator)

    def apply(r):
        z = np.full_like(r, np.nan)
        preconditioner.apply(r, z)
        return z

    return columns(apply, operator.mesh.n_nodes, np.float32)


def lattice(n=16, volume_fraction=0.25):
    return make("octet", n=n, volume_fraction=volume_fraction), [VOID, STEEL]


@pytest.mark.parametrize("shape", [(6, 6, 6), (4, 5, 9), (11, 3, 4), (8, 7, 1), (2, 12, 2)])
@pytest.mark.parametrize("density", [False, True])
def test_coarse_matrices_are_galerkin_products(shape, density, rng):
    operator = random_operator(shape, rng, density=density)
    fine = FineMatrix(operator)
    levels = hierarchy(operator.solver)
    matrix, n = dense(operator) / operator.unit, operator.mesh.n_nodes
    for level, blocks in zip(levels, coarse_blocks(operator, fine.element_matrices), strict=True):
        p = np.kron(interpolation_matrix(level, n), np.eye(3))
        matrix, n = p.T @ matrix @ p, level.coarse.n_nodes
        np.testing.assert_allclose(
            block_matrix(level, blocks), matrix, atol=3e-6
        )  # weights: float32


@pytest.mark.parametrize("shape", [(8, 8, 8), (7, 9, 5), (13, 6, 3)])
def test_interpolation_keeps_translations_and_linear_fields(shape, rng):
    levels = hierarchy(random_operator(shape, rng).solver)
    fine_nodes, fine_shape = None, shape
    positions = [np.arange(n, dtype=float) for n in shape]
    operator = random_operator(shape, np.random.default_rng(1))
    fine_nodes = operator.mesh.nodes
    for level in hierarchy(operator.solver):
        p = interpolation_matrix(level, len(fine_nodes))
        np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-6)
        grid = level.coarse
        fine = np.unravel_index(fine_nodes, fine_shape)
        coarse = np.unravel_index(grid.nodes, grid.shape)
        for axis in range(3):
            x_fine, x_coarse = positions[axis][fine[axis]], grid.positions[axis][coarse[axis]]
            inside = x_fine <= x_coarse.max()  # others lie between the last node and the first
            error = (p @ x_coarse - x_fine)[inside]
            np.testing.assert_allclose(error, 0.0, atol=1e-5)
        fine_nodes, fine_shape, positions = grid.nodes, grid.shape, grid.positions
    assert levels[-1].coarse.n_nodes <= 100


def test_odd_axes_keep_even_widths():
    solver = CellSolver(Rve(phases=np.zeros((65, 2, 2), dtype=int)))
    for level in hierarchy(solver):
        grid = level.coarse
        width = np.diff(np.append(grid.positions[0], 65.0))
        assert width.max() <= 2.0 * width.min()


def test_restriction_is_the_transpose(rng):
    operator = random_operator((7, 6, 5), rng)
    level = hierarchy(operator.solver)[0]
    start, column, weight = level.restriction
    r = np.zeros((level.coarse.n_nodes, operator.mesh.n_nodes))
    r[np.repeat(np.arange(len(r)), np.diff(start)), column] = weight
    np.testing.assert_array_equal(r, interpolation_matrix(level, operator.mesh.n_nodes).T)


@pytest.mark.parametrize("density", [False, True])
def test_residuals_of_all_levels_match_their_matrices(density, rng):
    operator = random_operator((8, 6, 7), rng, density=density)
    fine = FineMatrix(operator)
    level, blocks = (
        hierarchy(operator.solver)[0],
        coarse_blocks(operator, fine.element_matrices)[0],
    )
    assert (fine_stencils.find(operator.solver) is None) == density
    for matrix, twin in (
        (fine, dense(operator) / operator.unit),
        (CoarseMatrix(level, blocks), block_matrix(level, blocks)),
    ):
        n = len(twin) // 3
        b, x = rng.normal(size=(2, n, 18)).astype(np.float32)
        r = np.full_like(b, np.nan)
        matrix.residual(b, x, r)
        expected = b.reshape(-1, 6) - twin @ x.reshape(-1, 6)
        np.testing.assert_allclose(r.reshape(-1, 6), expected, atol=2e-5 * np.abs(expected).max())
        matrix.residual(b, x, b)  # in place
        np.testing.assert_array_equal(b, r)


@pytest.mark.parametrize("shape", [(6, 5, 7), (8, 6, 1), (1, 1, 5)])
def test_bound_of_the_spectrum_holds_and_is_close(shape, rng):
    operator = random_operator(shape, rng)
    fine = FineMatrix(operator)
    k = dense(operator) / operator.unit
    n = operator.mesh.n_nodes
    for i in range(n):
        own = k[3 * i : 3 * i + 3, 3 * i : 3 * i + 3]
        np.testing.assert_allclose(fine.diagonal[i], own, atol=1e-12)
    largest = largest_eigenvalue(k, fine.diagonal)
    assert largest <= fine.largest * (1.0 + 1e-9) <= 1.6 * largest


def test_power_steps_find_the_largest_eigenvalue(rng):
    rve, stiffness = lattice(8, 0.4)
    operator = CellSolver(rve, allow_disconnected=True).with_stiffness(stiffness)
    blocks = coarse_blocks(operator, FineMatrix(operator).element_matrices)[0]
    level = hierarchy(operator.solver)[0]
    matrix, k = CoarseMatrix(level, blocks), block_matrix(level, blocks)
    largest = largest_eigenvalue(k, matrix.diagonal)
    assert largest <= matrix.largest <= 1.15 * largest


@pytest.mark.parametrize("shape", [(4, 6, 4), (7, 5, 3), (9, 6, 1)])
def test_preconditioner_is_symmetric_and_positive_definite(shape, rng):
    operator = random_operator(shape, rng)
    m = preconditioner_matrix(operator)
    np.testing.assert_allclose(m, m.T, atol=2e-5 * np.abs(m).max())
    assert np.linalg.eigvalsh(0.5 * (m + m.T))[0] > 0.0


def test_cycle_is_nearly_the_inverse_on_a_homogeneous_cell():
    operator = CellSolver(Rve(phases=np.zeros((6, 6, 6), dtype=int))).with_stiffness([STEEL])
    k = dense(operator) / operator.unit
    values, vectors = np.linalg.eigh(k)
    root = (vectors[:, 3:] * np.sqrt(values[3:])).T  # without the translations
    spectrum = np.linalg.eigvalsh(root @ preconditioner_matrix(operator) @ root.T)
    assert spectrum[0] > 0.3
    assert spectrum[-1] < 1.0 + 1e-4  # a symmetric cycle approaches the inverse from below


def cases(name, rng):
    match name:
        case "octet":
            return lattice()
        case "prime shape":
            return make("kelvin", n=(17, 19, 13), volume_fraction=0.25), [VOID, STEEL]
        case "sheared":
            rve = make("octet", n=12, volume_fraction=0.4)
            return Rve(phases=rve.phases, phase_names=rve.phase_names, cell=SHEARED), [VOID, STEEL]
        case "flat":
            x = (np.indices((24, 18, 1)) + 0.5)[:2] / np.array([24, 18])[:, None, None, None]
            return Rve(phases=((x - 0.5) ** 2).sum(0) < 0.1), [STEEL, 50.0 * STEEL]
        case "contrast 1e-9" | "contrast 1e9":
            rve, _ = lattice(12, 0.4)
            soft = 1e-9 if name.endswith("-9") else 1e9
            return Rve(phases=rve.phases, phase_names=("a", "b")), [soft * STEEL, STEEL]
        case "polycrystal":
            phases = rng.integers(0, 5, (10, 9, 8))
            q = np.linalg.qr(rng.normal(size=(5, 3, 3)))[0]
            q *= np.sign(np.linalg.det(q))[:, None, None]
            return Rve(phases=phases, orientations=q), [cubic(C11=168.4, C12=121.4, C44=75.4)] * 5
        case "density":
            x = 2 * np.pi * (np.indices((12, 12, 12)) + 0.5) / 12
            smooth = 0.5 + 0.25 * (np.sin(x[0]) * np.cos(x[1]) + np.sin(x[2]))
            return Rve(phases=np.zeros((12, 12, 12), int), density=smooth**3), [STEEL]
        case "tiny units":
            rve, _ = lattice(12, 0.4)
            return Rve(phases=rve.phases, phase_names=rve.phase_names), [VOID, 1e-55 * STEEL]
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "octet",
        "prime shape",
        "sheared",
        "flat",
        "contrast 1e-9",
        "contrast 1e9",
        "polycrystal",
        "density",
        "tiny units",
    ],
)
def test_effective_stiffness_equals_that_of_the_fourier_engine(name, rng):
    rve, stiffness = cases(name, rng)
    tight = homogenize(rve, stiffness, SolverOptions(engine="fourier", tol=1e-9))
    for tol in (1e-4, 1e-8):
        result = homogenize(rve, stiffness, SolverOptions(engine="multigrid", tol=tol))
        size = np.linalg.norm(tight.stiffness)
        assert np.linalg.norm(result.stiffness - tight.stiffness) <= 1.5 * tol * size


def test_thin_lattice_takes_far_fewer_iterations_than_with_fourier():
    rve, stiffness = lattice(24, 0.15)
    counts = {
        name: homogenize(rve, stiffness, SolverOptions(engine=name)).iterations.max()
        for name in ("fourier", "multigrid")
    }
    assert 2 * counts["multigrid"] < counts["fourier"]


def test_iterations_do_not_grow_with_the_mesh():
    counts = [
        homogenize(*lattice(n), SolverOptions(engine="multigrid")).iterations.max()
        for n in (16, 24, 32)
    ]
    assert max(counts) <= 9


def test_homogeneous_cell_needs_no_iteration():
    rve = Rve(phases=np.zeros((6, 6, 6), dtype=int))
    result = homogenize(rve, [STEEL], SolverOptions(engine="multigrid"))
    np.testing.assert_allclose(result.stiffness, STEEL, rtol=1e-12)
    assert result.iterations.max() == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (2, 2, 2), (1, 6, 1), (3, 3, 3)])
def test_smallest_cells(shape):
    phases = np.arange(np.prod(shape)).reshape(shape) % 2
    stiffness = [STEEL, 9.0 * STEEL][: phases.max() + 1]
    expected = homogenize(Rve(phases=phases), stiffness, SolverOptions(engine="fourier")).stiffness
    found = homogenize(Rve(phases=phases), stiffness, SolverOptions(engine="multigrid")).stiffness
    np.testing.assert_allclose(found, expected, atol=3e-6)


def test_solids_in_pieces_and_on_hinges_stay_finite():
    phases = np.zeros((12, 12, 12), dtype=int)
    phases[:, 2:4, 2:4] = phases[:, 8:10, 8:10] = 1  # two bars that never meet
    phases[:, 4:6, 4:6] = 1  # joined to the first along an edge
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    results = [
        homogenize(
            rve, [VOID, STEEL], SolverOptions(engine=name, tol=1e-8), allow_disconnected=True
        )
        for name in ("fourier", "multigrid")
    ]
    assert results[1].status is Status.CONVERGED
    np.testing.assert_allclose(results[1].stiffness, results[0].stiffness, atol=1e-8)
    assert results[1].stiffness[0, 0] == pytest.approx(12 / 144, rel=1e-6)  # bars in tension, E A


def test_preconditioner_is_made_once_per_operator_and_grids_once_per_cell():
    rve, stiffness = lattice(8, 0.4)
    solver = CellSolver(rve, allow_disconnected=True)
    first, second = solver.with_stiffness(stiffness), solver.with_stiffness(stiffness)
    assert multigrid_of(first) is multigrid_of(first)
    assert multigrid_of(first) is not multigrid_of(second)
    assert hierarchy(solver) is hierarchy(solver)


@pytest.mark.parametrize(("volume_fraction", "chosen"), [(0.1, "multigrid"), (0.6, "fourier")])
def test_auto_takes_multigrid_for_thin_solids(volume_fraction, chosen):
    rve, stiffness = lattice(32, volume_fraction)
    operator = CellSolver(rve).with_stiffness(stiffness)
    assert multigrid_pays(32**3, operator.mesh.n_nodes) == (chosen == "multigrid")
    options = SolverOptions(tol=1e-4)
    expected = operator.solve(SolverOptions(engine=chosen, tol=1e-4))
    np.testing.assert_array_equal(auto(operator, options).u, expected.u)


@pytest.mark.parametrize(("height", "nu"), [(20.0, 0.3), (1.0, 0.4999)])
def test_auto_leaves_flat_voxels_and_nearly_incompressible_solids_to_fourier(
    height, nu, monkeypatch
):
    rve, _ = lattice(32, 0.1)
    tall = replace(rve, cell=np.diag([1.0, 1.0, height]))
    stiffness = [np.zeros((6, 6)), isotropic(E=1.0, nu=nu)]
    operator = CellSolver(tall).with_stiffness(stiffness)
    assert multigrid_pays(32**3, operator.mesh.n_nodes)
    monkeypatch.setattr(engines, "multigrid", lambda *_: pytest.fail("multigrid was chosen"))
    monkeypatch.setattr(engines, "fourier", lambda *_: "fourier")
    assert auto(operator, SolverOptions()) == "fourier"
