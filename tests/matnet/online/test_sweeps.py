import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.network import Network
from matnet.online.dense import architecture, dense_correction, dense_tangent
from matnet.online.sweeps import (
    Tree,
    condense,
    distribute,
    jump_increments,
    solve_pivots,
    traction_jumps,
)

PHASES = ("a", "b", "void")


def trees() -> list[Network]:
    """Two to 32 base nodes, two and three phases, one with an uneven tree."""
    deep = Network.random("imn", 5, PHASES, (0.5, 0.3, 0.2), seed=3)
    return [
        Network.random("imn", 1, PHASES[:2], (0.4, 0.6), seed=1),
        Network.random("dmn", 3, PHASES[:2], (0.4, 0.6), seed=2),
        deep,
        deep.pruned(0.03),
    ]


@pytest.fixture(params=range(4))
def network(request) -> Network:
    return trees()[request.param]


def spd(rng, *shape: int) -> np.ndarray:
    half = rng.standard_normal((*shape, 6, 6))
    return half @ np.swapaxes(half, -1, -2) + 0.5 * np.eye(6)


def test_uneven_tree_is_uneven() -> None:
    pruned = trees()[3]
    assert 4 < pruned.n_base < 32
    assert sum(map(len, Tree.of(pruned).levels)) == pruned.n_blocks


def test_condensed_tangent_is_the_effective_stiffness(network) -> None:
    rng = np.random.default_rng(0)
    phases = spd(rng, 4, network.n_phases)
    base = phases[:, network.base_phase]
    if network.rotations is not None:
        base = network.turns @ base @ np.swapaxes(network.turns, 1, 2)
    found = condense(Tree.of(network), base, np.zeros(base.shape[:3])).tangent
    np.testing.assert_allclose(found, network.homogenize(phases), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("index", [2, 3])
def test_void_condenses_as_in_the_linear_kernels(index: int) -> None:
    network = trees()[index]
    phases = np.stack((isotropic(E=3.0, nu=0.3), isotropic(E=70.0, nu=0.2), np.zeros((6, 6))))
    base = phases[network.base_phase][None]
    tree = Tree.of(network)
    up = condense(tree, base, np.zeros(base.shape[:3]))
    np.testing.assert_allclose(up.tangent[0], network.homogenize(phases), atol=1e-12)
    eps = np.array([[1e-3, 0.0, -2e-3, 0.0, 3e-3, 1e-3]])
    jumps = jump_increments(tree, up.gain, up.offset, eps)
    np.testing.assert_allclose(
        distribute(tree, eps, jumps)[0], network.localize(phases, eps[0]), atol=1e-15
    )


def test_two_void_children_get_no_jump() -> None:
    tree = Tree.of(trees()[0])
    up = condense(tree, np.zeros((1, 2, 6, 6)), np.zeros((1, 2, 6)))
    assert not any(part.any() for part in up)


def test_unsymmetric_sweeps_are_the_dense_newton_step(network) -> None:
    """The elimination along the tree and the dense solve of algorithm 3 give the same step."""
    rng = np.random.default_rng(1)
    tangent = spd(rng, 3, network.n_base) + 0.3 * rng.standard_normal((3, network.n_base, 6, 6))
    stress = rng.standard_normal((3, network.n_base, 6))
    tree = Tree.of(network)
    up = condense(tree, tangent, stress)
    step = jump_increments(tree, up.gain, up.offset, np.zeros((3, 6)))
    dense = dense_correction(network, tangent, stress)
    np.testing.assert_allclose(step, dense, rtol=1e-8, atol=1e-9 * np.abs(dense).max())
    expected = dense_tangent(network, tangent)
    np.testing.assert_allclose(up.tangent, expected, rtol=1e-8, atol=1e-9)
    assert np.abs(expected - np.swapaxes(expected, 1, 2)).max() > 0.1


def test_linear_base_nodes_are_in_equilibrium_after_one_step(network) -> None:
    """Residual stress up, strain down: tractions continuous, and their mean as condensed."""
    rng = np.random.default_rng(2)
    tangent, rest = spd(rng, 2, network.n_base), rng.standard_normal((2, network.n_base, 6))
    eps = rng.standard_normal((2, 6))
    tree = Tree.of(network)
    up = condense(tree, tangent, rest)
    strain = distribute(tree, eps, jump_increments(tree, up.gain, up.offset, eps))
    stress = (tangent @ strain[..., None])[..., 0] + rest
    scale = np.abs(stress).max()
    assert np.abs(traction_jumps(tree, stress)).max() < 1e-11 * scale
    macro = network.weights @ stress
    expected = (up.tangent @ eps[..., None])[..., 0] + up.stress
    np.testing.assert_allclose(macro, expected, atol=1e-11 * scale)
    np.testing.assert_allclose(network.weights @ strain, eps, atol=1e-12 * np.abs(strain).max())


def test_base_strains_are_the_dense_architecture_times_jumps(network) -> None:
    rng = np.random.default_rng(3)
    eps, jumps = rng.standard_normal((2, 6)), rng.standard_normal((2, network.n_blocks, 3))
    found = distribute(Tree.of(network), eps, jumps)
    expected = eps[:, None] + np.einsum("bikj,nkj->nbi", architecture(network), jumps)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_traction_jumps_are_the_dense_residual(network) -> None:
    """R = A^T W sig has H^T (sig_1 - sig_2), times the block's weight and f1 f2."""
    stress = np.random.default_rng(4).standard_normal((2, network.n_base, 6))
    matrix = architecture(network)
    residual = np.einsum("bikj,b,nbi->nkj", matrix, network.weights, stress)
    below = np.abs(matrix).max(axis=(1, 3)) > 0.0  # base node under block
    volume = network.weights @ below
    f1 = network.first_fractions
    expected = -residual / (volume * f1 * (1.0 - f1))[:, None]
    np.testing.assert_allclose(traction_jumps(Tree.of(network), stress), expected, atol=1e-12)


def test_network_without_blocks_passes_through() -> None:
    point = Network(
        kind="imn",
        depth=0,
        phase_names=("a",),
        weights=np.ones(1),
        base_phase=np.zeros(1, dtype=int),
        normals=np.empty((0, 3)),
        children=np.empty((0, 2), dtype=int),
    )
    tree, c, s = Tree.of(point), np.arange(36.0).reshape(1, 1, 6, 6), np.arange(6.0)[None, None]
    up = condense(tree, c, s)
    np.testing.assert_array_equal(up.tangent, c[0])
    np.testing.assert_array_equal(up.stress, s[0])
    np.testing.assert_array_equal(distribute(tree, s[0], np.zeros((1, 0, 3))), s)
    assert traction_jumps(tree, s).shape == (1, 0, 3)


def test_pivots_solve_unsymmetric_systems() -> None:
    rng = np.random.default_rng(5)
    matrix = rng.standard_normal((7, 3, 3)) + 4.0 * np.eye(3)
    rhs = rng.standard_normal((7, 3, 2))
    found = solve_pivots(matrix, np.zeros(7), rhs)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, rhs), rtol=1e-12)


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_pivots_at_round_off_are_skipped(empty: int) -> None:
    matrix, rhs = np.diag([2.0, 4.0, 8.0]), np.ones((3, 1))
    matrix[empty, empty], rhs[empty] = 1e-15, 1e-15
    found = solve_pivots(matrix, np.array(1e-13), rhs)[:, 0]
    expected = np.array([0.5, 0.25, 0.125])
    expected[empty] = 0.0
    np.testing.assert_array_equal(found, expected)


def test_pivots_keep_nan_visible() -> None:
    assert np.isnan(solve_pivots(np.full((3, 3), np.nan), np.array(1e-13), np.ones((3, 1)))).all()
