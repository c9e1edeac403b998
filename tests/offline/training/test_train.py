"""Training end to end on exact laminates: small networks, few samples."""

from dataclasses import replace

import numpy as np
import pytest

from matnet.errors import ParameterError
from matnet.network import Network
from offline.labels import LabelSet
from offline.training import TrainingOptions, train
from offline.training.parameters import Layout
from offline.training.train import split_labels

QUICK = TrainingOptions(
    depth=3, start_depth=2, starts=3, start_iterations=25, max_iterations=12, seed=1
)


def labels_of(network, n=20, seed=0, void=False):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, network.n_phases, 6, 6))
    phases = 0.05 * a @ np.swapaxes(a, -1, -2) + np.eye(6)
    phases[:, -1] *= 10.0 ** rng.uniform(-1.0, 1.0, n)[:, None, None]
    if void:
        phases[:, 0] = 0.0
    return LabelSet(
        phase_stiffness=phases,
        effective=network.homogenize(phases),
        phase_names=network.phase_names,
        fractions=network.fractions,
    )


@pytest.fixture(scope="module")
def labels():
    return labels_of(Network.random("imn", 2, ("matrix", "fibre"), (0.4, 0.6), seed=5))


@pytest.fixture(scope="module")
def result(labels):
    return train(labels, QUICK)


def test_a_laminate_is_found_again(result):
    assert result.validation_mean < 2e-3
    assert result.validation_worst < 1e-2
    assert result.network.depth == 3


def test_fractions_are_those_of_the_cell(result, labels):
    np.testing.assert_allclose(result.network.fractions, labels.fractions, rtol=1e-12)


def test_reported_errors_are_those_of_the_network(result, labels):
    difference = result.network.homogenize(labels.phase_stiffness) - labels.effective
    norm = np.linalg.norm(labels.effective, axis=(1, 2))
    errors = np.linalg.norm(difference, axis=(1, 2)) / norm
    unseen = errors[result.validation_indices]
    assert len(unseen) == 4
    assert result.validation_mean == pytest.approx(unseen.mean(), rel=1e-12)
    assert result.validation_worst == pytest.approx(unseen.max(), rel=1e-12)
    assert result.train_mean < 2e-3
    assert result.network.card["elastic_error_mean"] == result.validation_mean


def test_history_falls_and_ends_at_the_reported_error(result):
    history = result.history
    assert len(history.loss) == len(history.training) == len(history.seconds) > 10
    assert history.loss[-1] < 1e-2 * history.loss[0]
    assert history.training[-1] == pytest.approx(result.train_mean, rel=1e-3)


def test_same_seed_same_network_other_seed_other_network(result, labels):
    assert train(labels, QUICK).network == result.network
    assert train(labels, replace(QUICK, seed=2)).network != result.network


def test_a_killed_run_ends_in_the_same_network(result, labels, tmp_path):
    path = tmp_path / "training.npz"

    class Killed(Exception):
        pass

    def kill(stage, done, total, note):
        if "start 3" in note:
            raise Killed

    with pytest.raises(Killed):
        train(labels, QUICK, checkpoint=path, on_progress=kill)
    assert path.exists()
    seen = []
    again = train(
        labels,
        QUICK,
        checkpoint=path,
        on_progress=lambda stage, done, total, note: seen.append(note),
    )
    assert again.network == result.network
    assert not any(note.startswith("start 1") for note in seen)
    assert [p.name for p in tmp_path.iterdir()] == ["training.npz"]


def test_a_foreign_or_damaged_checkpoint_is_replaced(result, labels, tmp_path):
    path = tmp_path / "training.npz"
    path.write_bytes(b"not a zip")
    assert train(labels, QUICK, checkpoint=path).network == result.network
    size = path.stat().st_size
    other = replace(QUICK, starts=1, depth=2, start_iterations=2)
    train(labels, other, checkpoint=path)
    assert path.stat().st_size < size


def test_progress_counts_to_the_end(labels):
    calls = []
    train(labels, replace(QUICK, starts=1), on_progress=lambda *args: calls.append(args))
    assert calls[-1] == ("training", 133, 133, "polish done")
    done = [call[1] for call in calls]
    assert done == sorted(done)
    assert "validation" in calls[0][3]


def test_void_is_fitted():
    point = Layout.complete(
        "imn", 3, ("void", "solid"), np.array([0.4, 0.6]), np.array([True, False])
    ).random_point(np.random.default_rng(0))
    source = point.network()
    labels = labels_of(source, void=True)
    options = replace(QUICK, start_depth=3, starts=4, start_iterations=80)
    result = train(labels, options)
    assert result.validation_mean < 0.02
    np.testing.assert_allclose(result.network.fractions, [0.4, 0.6], rtol=1e-12)


def test_dmn_fits_rotated_phases():
    source = Network.random("dmn", 1, ("a", "b"), (0.4, 0.6), seed=0)
    labels = labels_of(source)
    options = replace(QUICK, network="dmn", depth=2, start_iterations=80)
    result = train(labels, options)
    assert result.network.rotations is not None
    assert result.validation_mean < 0.01


def test_split_is_disjoint_seeded_and_complete():
    trained, unseen = split_labels(50, 0.2, seed=3)
    assert len(unseen) == 10
    assert sorted([*trained, *unseen]) == list(range(50))
    np.testing.assert_array_equal(split_labels(50, 0.2, seed=3)[1], unseen)
    with pytest.raises(ParameterError, match="1 label is too few"):
        split_labels(1, 0.2, seed=0)


def test_too_many_phases_are_refused():
    source = Network.random("imn", 3, tuple("abcde"), (0.2,) * 5, seed=0)
    with pytest.raises(
        ParameterError, match="4 base nodes for 5 phases; take a depth of at least 3"
    ):
        train(labels_of(source, n=5), replace(QUICK, depth=2))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"network": "cnn"}, "network is 'cnn', expected one of imn, dmn."),
        ({"optimizer": "sgd"}, "optimizer is 'sgd', expected one of levenberg-marquardt, adam."),
        ({"depth": 0}, "depth is 0, expected 1 to 10."),
        ({"starts": 0}, "starts is 0, expected a positive number."),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0, expected between 0 and 1."),
        ({"seed": -1}, "seed is -1, expected a whole number >= 0."),
    ],
)
def test_bad_options_are_named(changes, text):
    with pytest.raises(ParameterError) as error:
        TrainingOptions(**changes)
    assert str(error.value) == text
