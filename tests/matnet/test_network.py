"""Networks: closed forms, a plain twin of the kernels, void, pruning, validation messages."""

from dataclasses import replace

import numpy as np
import pytest

from matnet.errors import ParameterError, ShapeError
from matnet.mandel import interface_matrix, rotate_stiffness
from matnet.network import Network
from matnet.tree import complete_tree, prune_tree

PHASES = ("matrix", "fibre")


def random_stiffness(rng, n_phases=2, n=None):
    a = rng.standard_normal((*(() if n is None else (n,)), n_phases, 6, 6))
    return a @ np.swapaxes(a, -1, -2) + np.eye(6)


def twin(network, phases):
    """Effective stiffness by recursion with dense matrices and a pseudo-inverse."""

    def node(child):
        if child < 0:
            c = phases[network.base_phase[~child]]
            if network.rotations is not None:
                c = rotate_stiffness(c, network.rotations[~child])
            return c, network.weights[~child]
        (c1, w1), (c2, w2) = (node(k) for k in network.children[child])
        f1, f2 = w1 / (w1 + w2), w2 / (w1 + w2)
        h = interface_matrix(network.normals[child])
        inverse = np.linalg.pinv(h.T @ (f2 * c1 + f1 * c2) @ h, rcond=1e-11, hermitian=True)
        drop = (c2 - c1) @ h @ inverse @ h.T @ (c2 - c1)
        return f1 * c1 + f2 * c2 - f1 * f2 * drop, w1 + w2

    return node(0 if network.n_blocks else -1)[0]


def assert_close(got, want, tol):
    assert np.linalg.norm(got - want) <= tol * np.linalg.norm(want)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def simple(**changes):
    values = {
        "kind": "imn",
        "depth": 1,
        "phase_names": PHASES,
        "weights": [0.4, 0.6],
        "base_phase": [0, 1],
        "normals": [[1.0, 0.0, 0.0]],
        "children": [[-1, -2]],
    }
    return Network(**{**values, **changes})


def test_stiffness_far_below_the_phases_largest_keeps_its_digits():
    soft = np.diag([1.0, 1.0, 1.0, 1.0, 1e-9, 1.0]), np.diag([1.0, 1.0, 1.0, 1.0, 3e-9, 1.0])
    effective = simple(weights=[0.5, 0.5]).homogenize(np.stack(soft))
    np.testing.assert_allclose(effective[4, 4], 1.5e-9, rtol=1e-6)  # harmonic mean


def test_one_block_has_harmonic_and_arithmetic_means():
    # isotropic layers without lateral contraction: nu = 0, E = 2 G
    c = simple().homogenize(np.stack((np.eye(6), 10.0 * np.eye(6))))
    harmonic, arithmetic = 1.0 / (0.4 + 0.06), 0.4 + 6.0
    expected = np.diag([harmonic, arithmetic, arithmetic, harmonic, harmonic, arithmetic])
    np.testing.assert_allclose(c, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", ["imn", "dmn"])
@pytest.mark.parametrize("names", [PHASES, ("a", "b", "c", "d", "e")])
def test_homogenize_matches_the_plain_recursion(kind, names, rng):
    fractions = np.arange(1.0, len(names) + 1)
    network = Network.random(kind, 4, names, fractions / fractions.sum(), seed=3)
    phases = random_stiffness(rng, len(names), n=3)
    phases[:, 0] *= 1e3
    got = network.homogenize(phases)
    for c, p in zip(got, phases, strict=True):
        assert_close(c, twin(network, p), 1e-11)


def test_batch_equals_point_by_point(rng):
    network = Network.random("dmn", 3, PHASES, (0.3, 0.7), seed=0)
    phases = random_stiffness(rng, n=6).reshape(2, 3, 2, 6, 6)
    batch = network.homogenize(phases)
    assert batch.shape == (2, 3, 6, 6)
    np.testing.assert_array_equal(batch[1, 2], network.homogenize(phases[1, 2]))


def test_effective_stiffness_lies_between_reuss_and_voigt(rng):
    network = Network.random("imn", 5, PHASES, (0.3, 0.7), seed=1)
    phases = random_stiffness(rng) * np.array([1.0, 50.0])[:, None, None]
    c = network.homogenize(phases)
    voigt = np.tensordot(network.fractions, phases, 1)
    reuss = np.linalg.inv(np.tensordot(network.fractions, np.linalg.inv(phases), 1))
    floor = -1e-12 * np.trace(voigt)
    assert np.linalg.eigvalsh(voigt - c).min() > floor
    assert np.linalg.eigvalsh(c - reuss).min() > floor


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_void_is_the_limit_of_vanishing_stiffness(kind, rng):
    network = Network.random(kind, 4, ("stiff", "soft", "void"), (0.3, 0.3, 0.4), seed=2)
    phases = random_stiffness(rng, 3)
    phases[2] = 0.0
    exact = network.homogenize(phases)
    distances = []
    for softness in (1e-3, 1e-5, 1e-7):
        phases[2] = softness * np.eye(6)
        distances.append(np.linalg.norm(network.homogenize(phases) - exact))
    assert distances[2] < 1e-5 * np.linalg.norm(exact)
    np.testing.assert_allclose(
        np.divide(distances[:2], distances[1:]), 100.0, rtol=0.2
    )  # the difference is linear in the softness


def test_rank_deficient_blocks_match_the_pseudo_inverse(rng):
    # pairs (solid, void) with one normal twice: sheets that do not resist along it
    names = ("solid", "void")
    normals = np.array([[0.0, 0.0, 1.0]] * 3 + [[1.0, 0.0, 0.0]] * 4)
    network = replace(Network.random("imn", 3, names, (0.5, 0.5), seed=0), normals=normals)
    phases = random_stiffness(rng)
    phases[1] = 0.0
    c = network.homogenize(phases)
    assert_close(c, twin(network, phases), 1e-12)
    assert np.abs(np.linalg.eigvalsh(c)).min() < 1e-12 * np.trace(c)


def test_all_void_subtree_has_no_stiffness():
    network = Network(
        kind="imn",
        depth=2,
        phase_names=("void", "solid"),
        weights=[0.2, 0.3, 0.5],
        base_phase=[0, 0, 1],
        normals=[[0.0, 0.0, 1.0], [0.6, 0.8, 0.0]],
        children=[[1, -3], [-1, -2]],
    )
    one = simple(phase_names=("void", "solid"), weights=[0.5, 0.5], normals=[[0.0, 0.0, 1.0]])
    phases = np.stack((np.zeros((6, 6)), 2.0 * np.eye(6)))
    np.testing.assert_array_equal(network.homogenize(phases), one.homogenize(phases))
    assert not network.homogenize(0.0 * phases).any()


def test_strain_concentration_averages_to_identity_and_carries_the_energy(rng):
    network = Network.random("dmn", 4, PHASES, (0.3, 0.7), seed=5)
    phases = random_stiffness(rng)
    a = network.strain_concentration(phases)
    np.testing.assert_allclose(np.tensordot(network.weights, a, 1), np.eye(6), atol=1e-13)
    base = rotate_stiffness(phases[network.base_phase], network.rotations)
    energy = np.einsum("i,iab,iac,icd->bd", network.weights, a, base, a)
    assert_close(energy, network.homogenize(phases), 1e-12)
    strain = rng.standard_normal(6)
    np.testing.assert_allclose(network.localize(phases, strain), a @ strain, atol=1e-13)


def test_single_base_node_is_its_phase(rng):
    network = Network.random("dmn", 0, ("grain",), (1.0,), seed=4)
    phases = random_stiffness(rng, 1)
    assert_close(
        network.homogenize(phases), rotate_stiffness(phases[0], network.rotations[0]), 1e-13
    )
    np.testing.assert_array_equal(network.strain_concentration(phases), np.eye(6)[None])


def test_random_network_has_exact_fractions_and_repeats():
    network = Network.random("imn", 6, ("a", "b", "c"), (0.2, 0.3, 0.5), seed=9)
    np.testing.assert_allclose(network.fractions, (0.2, 0.3, 0.5), rtol=1e-14)
    assert network == Network.random("imn", 6, ("a", "b", "c"), (0.2, 0.3, 0.5), seed=9)
    assert network != Network.random("imn", 6, ("a", "b", "c"), (0.2, 0.3, 0.5), seed=10)
    assert network.base_phase[:4].tolist() == [0, 1, 2, 0]


def test_pruning_keeps_fractions_and_changes_little(rng):
    network = Network.random("dmn", 5, PHASES, (0.3, 0.7), seed=6)
    weights = network.weights.copy()
    weights[::3] *= 1e-9
    phase = np.bincount(network.base_phase, weights)
    weights *= (network.fractions / phase)[network.base_phase]
    network = replace(network, weights=weights)
    pruned = network.pruned(1e-7)
    assert pruned.n_base == 21
    assert pruned.n_blocks == 20
    np.testing.assert_allclose(pruned.fractions, (0.3, 0.7), rtol=1e-12)
    phases = random_stiffness(rng)
    assert_close(pruned.homogenize(phases), network.homogenize(phases), 1e-6)
    assert pruned.pruned(1e-7) is pruned


def test_pruning_keeps_the_heaviest_node_of_each_phase():
    network = simple(weights=[1e-9, 1.0 - 1e-9])
    assert network.pruned(1e-3) is network


def test_prune_tree_replaces_a_block_by_its_other_child():
    keep = np.array([True, False, False, False, True, True, False, True])
    children, blocks = prune_tree(complete_tree(3), keep)
    np.testing.assert_array_equal(children, [[-1, 1], [2, -4], [-2, -3]])
    np.testing.assert_array_equal(blocks, [0, 2, 5])


def test_arrays_are_read_only_and_inputs_are_copied():
    weights = np.array([0.4, 0.6])
    network = simple(weights=weights)
    weights[0] = 9.0
    assert network.weights[0] == 0.4
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0] = 1.0


def test_text_names_kind_size_and_fractions():
    text = str(simple())
    assert text == "IMN of depth 1, 2 base nodes, 1 blocks: matrix 0.4 (1), fibre 0.6 (1)"


def test_with_card_returns_a_copy():
    network = simple()
    assert network.with_card(error=0.01).card == {"error": 0.01}
    assert network.card == {}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "cnn"}, "kind is 'cnn', expected one of imn, dmn."),
        ({"depth": 11}, "depth is 11, expected a whole number from 0 to 10."),
        ({"depth": 1.5}, "depth is 1.5, expected a whole number from 0 to 10."),
        ({"weights": [0.0, 1.0]}, "weights: base node 0 has 0, expected > 0"),
        ({"weights": [0.4, 0.7]}, "weights sum to 1.1, expected 1."),
        ({"weights": [np.nan, 0.7]}, "weights: 1 of 2 values are not finite"),
        ({"phase_names": ("a", "a")}, "phase_names are ['a', 'a'], expected distinct"),
        ({"base_phase": [0, 2]}, "base_phase runs from 0 to 2, expected phases 0 to 1."),
        ({"base_phase": [0.0, 1.0]}, "base_phase has type float64, expected whole numbers."),
        ({"normals": [[1.0, 0.1, 0.0]]}, "normals: block 0 has length 1.00499"),
        ({"children": [[-1, -1]]}, "children must name each of the 2 base nodes"),
        ({"kind": "dmn"}, "rotations are missing: a DMN has one per base node."),
        (
            {"rotations": [np.eye(3), -np.eye(3)]},
            "rotations must be proper rotation matrices (R R^T = I, det 1).",
        ),
    ],
)
def test_bad_values_are_named(changes, text):
    with pytest.raises(ParameterError) as error:
        simple(**changes)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weights": []}, "weights is empty, expected at least one base node."),
        ({"normals": [[1.0, 0.0]]}, "normals has shape (1, 2), expected (1, 3)."),
        ({"children": [[-1, -2, -3]]}, "children has shape (1, 3), expected (1, 2)."),
        ({"rotations": np.eye(3)}, "rotations has shape (3, 3), expected (2, 3, 3)."),
    ],
)
def test_bad_shapes_are_named(changes, text):
    with pytest.raises(ShapeError) as error:
        simple(**changes)
    assert text in str(error.value)


def test_children_before_their_parent_are_refused():
    with pytest.raises(ParameterError, match=r"children of block 1 are \[1, -3\]"):
        simple(
            depth=2,
            weights=[0.2, 0.2, 0.6],
            base_phase=[0, 1, 1],
            normals=np.eye(3)[:2],
            children=[[-1, -2], [1, -3]],
        )


def test_bad_stiffnesses_are_named():
    network = simple()
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 2, 6, 6\): one Mandel stiffness"):
        network.homogenize(np.eye(6))
    skew = np.zeros((2, 6, 6))
    skew[0, 0, 1] = 1.0
    with pytest.raises(ParameterError, match="stiffnesses are not symmetric"):
        network.homogenize(skew)
    with pytest.raises(ParameterError, match="stiffnesses: 72 of 72 values are not finite"):
        network.homogenize(np.full((2, 6, 6), np.nan))
    with pytest.raises(ShapeError, match=r"strain has shape \(3,\), expected \(\.\.\., 6\)"):
        network.localize(np.stack([np.eye(6)] * 2), np.zeros(3))


def test_random_refuses_what_cannot_be():
    with pytest.raises(
        ParameterError, match="2 base nodes for 3 phases; take a depth of at least 2"
    ):
        Network.random("imn", 1, ("a", "b", "c"), (0.2, 0.3, 0.5), seed=0)
    with pytest.raises(ParameterError, match="expected positive numbers with sum 1"):
        Network.random("imn", 1, PHASES, (0.2, 0.3), seed=0)


@pytest.mark.parametrize("what", ["weights", "normals"])
def test_plot_draws_on_given_and_new_axes(what):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    network = Network.random("imn", 3, PHASES, (0.3, 0.7), seed=0)
    ax = pyplot.subplots()[1]
    assert network.plot(ax, what=what) is ax
    assert ax.get_ylabel().endswith("[-]")
    network.plot(what=what)
    with pytest.raises(ParameterError, match="what is 'colours'"):
        network.plot(ax, what="colours")
    pyplot.close("all")


def test_normals_are_drawn_in_an_equal_area_map():
    from matplotlib.figure import Figure

    tilted = [np.sin(1.0), 0.0, -np.cos(1.0)]  # its opposite lies in the upper half
    for normal, radius in (([0.0, 1.0, 0.0], 1.0), (tilted, np.sqrt(2.0) * np.sin(0.5))):
        ax = simple(normals=[normal]).plot(Figure().add_subplot(), what="normals")
        dots = np.asarray(ax.collections[0].get_offsets())
        np.testing.assert_allclose(np.linalg.norm(dots, axis=1), radius, rtol=1e-12)
