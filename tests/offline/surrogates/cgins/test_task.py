"""CGiNS on the training harness, at the smallest size that learns."""

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError
from offline.homogenization import homogenize
from offline.surrogates import weights
from offline.surrogates.cgins.predict import load_network, predict
from offline.surrogates.cgins.task import ARCHITECTURE
from offline.surrogates.registry import find_architecture
from offline.surrogates.stream import CellStream, DataOptions
from offline.surrogates.training import TrainOptions, train

DATA = DataOptions(families=("tpms",), resolution=8, cells=8, validation_cells=3, batch=4)
SMALL = {"channels": "4", "depth": "1", "pcg_steps": "2", "coarse_pcg_steps": "2"}
QUICK = TrainOptions(
    epochs=6, learning_rate=5e-3, warm_up=2, device="cpu", tensorboard=False, checkpoint_steps=1
)


def task(**settings):
    return ARCHITECTURE.task(DATA, {**SMALL, "references": "2", **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cgins")
    return train(task(), QUICK, folder)


def test_architecture_is_registered():
    assert find_architecture("cgins") is ARCHITECTURE


def test_training_lowers_energy_residual_and_error(trained):
    first, last = trained.history[0], trained.history[-1]
    for name in ("energy_0", "validation", "residual", "delta"):
        assert last[name] < first[name], name


def test_validation_is_measured_on_the_unseen_cells(trained):
    """The columns against `predict` and the solver, cell by cell."""
    network = load_network(trained.folder / "final")
    (batch,) = CellStream(DATA, "validation").all_in_order()
    cells = [(sample.rve, sample.stiffnesses) for sample in batch]
    found = predict(network, cells)
    exact = np.array([homogenize(*cell).stiffness for cell in cells[:2]])
    delta = np.linalg.norm(found.stiffness[:2] - exact, axis=(1, 2))
    delta /= np.linalg.norm(exact, axis=(1, 2))
    last = trained.history[-1]
    assert last["delta"] == pytest.approx(delta.mean(), rel=1e-2)
    assert last["delta_worst"] == pytest.approx(delta.max(), rel=1e-2)
    assert last["residual"] == pytest.approx(found.residual.mean(), rel=1e-3)


def test_killed_training_ends_with_the_same_weights_bit_for_bit(trained, tmp_path):
    class Killed(Exception):
        pass

    first = task()
    loss, calls = first.loss, []

    def dying(*arguments):
        calls.append(None)
        if len(calls) == 6:
            raise Killed
        return loss(*arguments)

    first.loss = dying
    with pytest.raises(Killed):
        train(first, QUICK, tmp_path)
    resumed = train(task(), QUICK, tmp_path)
    ours, theirs = resumed.module.state_dict(), trained.module.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_card_says_what_the_weights_were_trained_on(trained):
    card = weights.load(trained.folder / "best", kind="cgins").card
    assert card["data"] == DATA.card()
    assert card["config"]["channels"] == 4 and card["loss"]["references"] == 2


def test_penalty_on_translations_grows_with_the_learning_rate():
    chosen = task(translation="3e4")
    batch = chosen.prepare(next(iter(chosen.batches(0, 0, 1))), torch.device("cpu"))
    torch.manual_seed(0)
    module = chosen.module()
    with torch.no_grad():
        parts = [chosen.loss(module, batch, rate) for rate in (0.0, 0.5)]
    gap = float(parts[1]["loss"] - parts[0]["loss"])
    assert gap == pytest.approx(1.5e4 * float(parts[0]["shift"]), rel=1e-3)


def test_wrong_settings_are_named():
    with pytest.raises(ParameterError, match="references is -1, expected a number >= 0"):
        task(references="-1")
    with pytest.raises(ParameterError, match="setting 'layers' is unknown to 'cgins', expected on"):
        task(layers="3")
    uneven = DataOptions(families=("tpms",), resolution=10)
    with pytest.raises(ParameterError) as refused:
        ARCHITECTURE.task(uneven, SMALL)
    assert str(refused.value) == (
        "the network cannot be trained on these cells: it halves the grid 2 times, and "
        "10 x 10 x 10 voxels are not multiples of 4."
    )
