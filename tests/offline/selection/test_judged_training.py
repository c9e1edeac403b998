"""Training with a judge: what is kept, what is told, and that a killed run ends the same."""

from dataclasses import replace

import numpy as np
import pytest

from matnet.network import Network
from offline.labels import LabelSet
from offline.training import TrainingOptions, train
from offline.training.parameters import Layout
from offline.training.refine import _differences

QUICK = TrainingOptions(
    depth=3,
    start_depth=2,
    starts=2,
    start_iterations=10,
    max_iterations=8,
    full_starts=1,
    seed=1,
)


@pytest.fixture(scope="module")
def labels():
    network = Network.random("imn", 3, ("matrix", "fibre"), (0.4, 0.6), seed=5)
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20, 2, 6, 6))
    phases = 0.05 * a @ np.swapaxes(a, -1, -2) + np.eye(6)
    phases[:, -1] *= 10.0 ** rng.uniform(-1.0, 1.0, 20)[:, None, None]
    return LabelSet(
        phase_stiffness=phases,
        effective=network.homogenize(phases),
        phase_names=network.phase_names,
        fractions=network.fractions,
    )


def tilt(network):
    """A judge of no meaning that tells networks apart: along two "paths"."""
    first = abs(float(network.normals[0, 0]))
    return np.array([first, first + 0.5])


@pytest.fixture(scope="module")
def judged(labels):
    return train(labels, QUICK, judge=tilt)


def test_the_least_sum_of_errors_is_kept(judged):
    assert sum(candidate.chosen for candidate in judged.candidates) == 1
    chosen = judged.chosen
    assert chosen.mean + chosen.elastic == min(one.mean + one.elastic for one in judged.candidates)
    assert tuple(tilt(judged.network)) == chosen.inelastic
    assert judged.validation_mean == pytest.approx(chosen.elastic, rel=1e-3)
    assert (chosen.mean, chosen.worst) == (np.mean(chosen.inelastic), max(chosen.inelastic))


def test_history_ends_at_the_chosen_iterate(judged):
    assert judged.history.validation[-1] == judged.chosen.elastic


def test_every_stage_of_full_depth_and_of_the_last_depths_is_told(judged):
    ends = [one for one in judged.candidates if one.at_end]
    stages = [one.stage for one in ends]
    assert any(stage.startswith("start ") for stage in stages)
    assert {"depth 3 of 3", "full start 1 of 1"} < set(stages)
    assert any(stage.startswith("polish of ") for stage in stages)
    assert {one.depth for one in ends} == {2, 3}
    assert len(judged.candidates) > len(ends)


def test_without_a_judge_nothing_changes(labels):
    plain = train(labels, QUICK)
    assert plain.candidates == () and plain.chosen is None
    indifferent = train(labels, QUICK, judge=lambda network: [0.0])
    ends = [one for one in indifferent.candidates if one.at_end]
    assert plain.validation_mean == pytest.approx(
        min(one.elastic for one in ends if one.stage.startswith("polish")), rel=1e-9
    )


def test_where_the_judge_always_fails_the_elastic_error_decides(labels):
    result = train(labels, QUICK, judge=lambda network: [np.inf])
    assert result.chosen.elastic == min(one.elastic for one in result.candidates)


def test_a_killed_run_ends_in_the_same_network_and_candidates(judged, labels, tmp_path):
    path = tmp_path / "training.npz"

    class Killed(Exception):
        pass

    for last in ("depth 3", "polish"):

        def kill(stage, done, total, note, last=last):
            if note.startswith(last):
                raise Killed

        with pytest.raises(Killed):
            train(labels, QUICK, judge=tilt, checkpoint=path, on_progress=kill)
    notes = []
    again = train(
        labels,
        QUICK,
        judge=tilt,
        checkpoint=path,
        on_progress=lambda stage, done, total, note: notes.append(note),
    )
    assert again.network == judged.network
    assert again.candidates == judged.candidates
    assert not any(note.startswith("full start 1 of 1,") for note in notes)


def test_elastic_and_judged_runs_do_not_mix_checkpoints(labels, tmp_path):
    path = tmp_path / "training.npz"
    plain = train(labels, QUICK, checkpoint=path)
    train(labels, QUICK, checkpoint=path, judge=tilt)
    assert train(labels, QUICK, checkpoint=path).network == plain.network


def test_dmn_trails_survive_the_checkpoint(labels, tmp_path):
    path = tmp_path / "training.npz"
    options = replace(QUICK, network="dmn", starts=1, full_starts=0, max_iterations=4)
    first = train(labels, options, checkpoint=path, judge=tilt)
    again = train(labels, options, checkpoint=path, judge=tilt)
    assert again.network == first.network
    assert again.candidates == first.candidates


class Leaning:
    """A judge with residuals: normals of the tree should lie along axis 1, by two "paths"."""

    def residuals(self, network):
        off = 0.03 * network.normals[:, 1:]
        return np.stack((off.ravel(), 0.5 * off.ravel()))

    def __call__(self, network):
        return np.linalg.norm(self.residuals(network), axis=1)


def test_refinement_lowers_the_judged_error_and_keeps_the_elastic_one(labels, tmp_path):
    path = tmp_path / "training.npz"
    plain = train(labels, QUICK, judge=Leaning(), checkpoint=path)
    refined = train(labels, QUICK, judge=Leaning(), checkpoint=path, refine_iterations=4)
    assert refined.chosen.stage.startswith("refinement of ")
    assert refined.chosen.mean < 0.98 * plain.chosen.mean
    least = min(candidate.elastic for candidate in refined.candidates)
    assert refined.chosen.elastic <= 2.0 * least
    assert refined.history.validation[-1] == refined.chosen.elastic
    again = train(labels, QUICK, judge=Leaning(), checkpoint=path, refine_iterations=4)
    assert again.network == refined.network and again.candidates == refined.candidates


def test_derivatives_of_the_inelastic_part_are_those_of_a_step(labels):
    point = Layout.complete("imn", 2, labels.phase_names, labels.fractions).random_point(
        np.random.default_rng(3)
    )
    judge = Leaning()
    rows = _differences(point, judge.residuals, judge.residuals(point.network()))
    step = 1e-3 * np.random.default_rng(4).standard_normal(point.layout.n_parameters)
    change = judge.residuals(point.moved(step).network()) - judge.residuals(point.network())
    np.testing.assert_allclose(step @ rows, change.ravel(), rtol=0.02, atol=1e-5)


def test_progress_counts_to_the_end(labels):
    calls = []
    train(labels, QUICK, judge=tilt, on_progress=lambda *now: calls.append(now))
    training = [call for call in calls if call[0] == "training"]
    assert training[-1][1] == training[-1][2]
    assert [call[1] for call in training] == sorted(call[1] for call in training)
    assert calls[-1][0] == "selection" and calls[-1][1] == calls[-1][2]
