"""Ensembles keep the bounds, and their spread is that of their members."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from matnet.errors import FileFormatError, ParameterError
from offline.surrogates.training import TrainOptions, train
from offline.surrogates.voigt_reuss.cells import generate_2d, printer_phases
from offline.surrogates.voigt_reuss.judge import calibrated, judge, sweep_of, unseen_cells
from offline.surrogates.voigt_reuss.networks import NetConfig
from offline.surrogates.voigt_reuss.ship import ship
from offline.surrogates.voigt_reuss.surrogate import (
    Evaluation,
    PlaneSurrogate,
    ensemble,
    load_surrogate,
)
from offline.surrogates.voigt_reuss.symmetry import SQUARE, turn_pictures, turn_stiffness
from offline.surrogates.voigt_reuss.task import PlaneTask

PHASES = printer_phases()
TINY = NetConfig(
    resolution=16, channels=(8, 8), kernels=(3, 3), readout="mean", widths=(16,), with_tau=False
)
OPTIONS = TrainOptions(
    epochs=5, learning_rate=5e-3, warm_up=5, optimizer="adamw", device="cpu", tensorboard=False
)


@pytest.fixture(scope="module")
def cells():
    return generate_2d(256, seed=1, resolution=16, modes=(3,))


@pytest.fixture(scope="module")
def folder(cells, tmp_path_factory):
    """Three members, trained side by side."""
    out = tmp_path_factory.mktemp("run")
    training, held = cells.split(0.25, seed=0)
    train(PlaneTask(training, held, TINY, batch=16, members=3), OPTIONS, out)
    return out


@pytest.fixture(scope="module")
def net(folder):
    return load_surrogate(folder)


def alone(net, number):
    one = PlaneSurrogate(net.config, net.output.kind, PHASES)
    one.net.load_state_dict((net.net, *net.others)[number].state_dict())
    return one.eval()


def test_prediction_is_the_mean_of_the_members_and_the_spread_their_deviation(net, cells):
    some = cells.pick(slice(0, 6))
    found = net.predict_spread(some.images)
    members = np.stack([alone(net, k).predict(some.images) for k in range(3)])
    scale = np.abs(members).max()
    # C is affine in the normalised tensor, so the mean of one is that of the other
    assert np.abs(found.stiffness - members.mean(axis=0)).max() < 1e-9 * scale
    assert np.abs(found.deviation - members.std(axis=0, ddof=1)).max() < 1e-9 * scale
    assert np.abs(net.predict(some.images) - found.stiffness).max() < 1e-12 * scale
    sizes = [np.linalg.norm(x, axis=(1, 2)) for x in (found.deviation, found.stiffness)]
    assert found.spread == pytest.approx(sizes[0] / sizes[1])
    joined = ensemble([alone(net, k) for k in range(3)])
    assert np.array_equal(joined.predict(some.images), net.predict(some.images))


def undoes(back, number):
    """Whether symmetry `back` takes back symmetry `number`."""
    image = torch.arange(16).reshape(1, 4, 4)
    there = turn_pictures(image, torch.tensor([number]))
    return torch.equal(turn_pictures(there, torch.tensor([back])), image)


def test_one_network_has_the_spread_of_the_symmetries(net, cells):
    single, some = alone(net, 0), cells.pick(slice(0, 4))
    views = []
    for number in range(SQUARE):
        turned = turn_pictures(torch.tensor(some.images), torch.full((4,), number))
        there = torch.tensor(single.predict(turned.numpy(), symmetric=False))
        back = next(k for k in range(SQUARE) if undoes(k, number))
        views.append(turn_stiffness(there, torch.full((4,), back)).numpy())
    found = single.predict_spread(some.images)
    expected = np.std(views, axis=0, ddof=1)
    assert np.abs(found.deviation - expected).max() < 1e-9 * np.abs(found.stiffness).max()
    assert (found.spread > 0.0).all()
    layers = np.kron([[[0.0, 1.0]]], np.ones((1, 16, 8)))
    aniso = np.stack([np.diag([1.0, 2.0, 1.0]), np.diag([3.0, 2.0, 1.0])])
    assert np.isnan(PlaneSurrogate(TINY, "vanilla", aniso).eval().predict_spread(layers).spread[0])


def test_ensemble_keeps_the_bounds_beats_its_members_and_its_spread_ranks_errors(net, cells):
    unseen = unseen_cells(net, 150, seed=3)
    found = judge(net, unseen)
    assert sum(found.network.violations.values()) == 0
    errors = [alone(net, k).evaluate(unseen).normalised_error.mean() for k in range(3)]
    assert found.network.normalised_error.mean() < np.mean(errors)  # convexity of the norm
    assert found.spearman > 0.5
    assert found.within == {} and found.outside is not None
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values["cells"] == 150 and values["spread"]["spearman"] == found.spearman
    assert "rank correlation" in found.plot().get_title()
    assert sweep_of(net, "net").plot("net").shape == (3,)


def test_shipped_files_are_judged_calibrated_and_rounded(net, cells, tmp_path):
    unseen = unseen_cells(net, 120, seed=4)
    members = [alone(net, k) for k in range(2)]
    path = ship(members, cells, unseen, tmp_path)
    back = load_surrogate(path)
    assert back.members == 2 and np.array_equal(back.output.phases.numpy(), PHASES)
    plain = ensemble(members).evaluate(unseen)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["stored"] == "float16" and path.stat().st_size < 60_000
    saved = card["evaluation"]["network"]
    assert saved["median_error"] == pytest.approx(np.median(plain.error), rel=0.02)
    assert saved["median_error"] == pytest.approx(back.evaluate(unseen).as_dict()["median_error"])
    assert back.calibration == calibrated(back, unseen.pick(slice(0, 60)))
    assert 0.75 < card["evaluation"]["calibration_test"]["ninety"] <= 1.0
    assert back.outside(unseen.images[:5]) == back.seen.outside(unseen.images[:5])
    assert back.outside(np.eye(16)[None] * 0.5)[0] is not None


def test_networks_that_do_not_belong_together_are_refused(net, tmp_path):
    other = PlaneSurrogate(dataclasses.replace(TINY, widths=(8,)), "voigt-reuss", PHASES)
    with pytest.raises(ParameterError, match="member 1 differs from the first"):
        ensemble([net, other])
    with pytest.raises(ParameterError, match="ensemble of 0 surrogates"):
        ensemble([])
    with pytest.raises(ParameterError, match="members is 0"):
        PlaneSurrogate(TINY, "voigt-reuss", PHASES, members=0)
    net.save(tmp_path / "net")
    text = (tmp_path / "net.json").read_text()
    (tmp_path / "net.json").write_text(text.replace('"members": 3', '"members": "many"'))
    with pytest.raises(FileFormatError, match="does not describe a network"):
        load_surrogate(tmp_path / "net")


def test_the_network_that_comes_with_matnet_is_as_good_as_its_card_says():
    net = load_surrogate()
    unseen = unseen_cells(net, 60, seed=9)
    found = Evaluation.of(net.of_cells(unseen), unseen.stiffness, unseen.gap)
    assert sum(found.violations.values()) == 0
    card = net.facts["evaluation"]["network"]
    assert card["median_error"] < 0.02
    assert np.median(found.error) < 1.8 * card["median_error"]  # of 60 cells
    assert sum(reason is not None for reason in net.outside(unseen.images)) <= 1
