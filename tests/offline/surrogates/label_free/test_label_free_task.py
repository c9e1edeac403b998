"""The four losses on the harness, at the smallest size that learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matnet.errors import FileFormatError, ParameterError
from offline.homogenization import SolverOptions, homogenize
from offline.surrogates.label_free.task import ARCHITECTURE, LOSSES, load_predictor
from offline.surrogates.registry import find_architecture
from offline.surrogates.stream import CellStream, DataOptions
from offline.surrogates.training import TrainOptions, train

DATA = DataOptions(families=("frame",), resolution=8, cells=8, validation_cells=3, batch=4)
QUICK = TrainOptions(
    epochs=5, learning_rate=5e-3, warm_up=2, device="cpu", tensorboard=False, checkpoint_steps=1
)


def task(**settings):
    return ARCHITECTURE.task(DATA, {"width": "0.2", "references": "2", **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label-free")
    return train(task(), QUICK, folder)


def validation_cells():
    (batch,) = CellStream(DATA, "validation").all_in_order()
    return [(sample.rve, sample.stiffnesses) for sample in batch]


def test_architecture_is_registered_with_the_papers_recipe():
    assert find_architecture("label-free") is ARCHITECTURE
    recipe = ARCHITECTURE.recipe
    assert (recipe.optimizer, recipe.schedule, recipe.learning_rate) == ("sgd", "one-cycle", 0.01)
    assert (recipe.epochs, ARCHITECTURE.batch) == (6000, 8)


def test_energy_training_lowers_energy_residual_and_error(trained):
    first, last = trained.history[0], trained.history[-1]
    for name in ("loss", "validation", "delta"):
        assert last[name] < first[name], name


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_other_losses_fall(loss, tmp_path):
    history = train(task(loss=loss), QUICK, tmp_path).history
    assert history[-1]["loss"] < history[0]["loss"]
    assert np.isfinite(history[-1]["delta"])


def test_losses_with_labels_vanish_at_the_labels():
    """A network that says what the solver finds, up to the solver's tolerance."""

    class Exact(torch.nn.Module):
        def forward(self, inputs):
            return self.labels

    for loss, most in (("displacement", 1e-6), ("stiffness", 1e-12), ("weak", 1e-2)):
        job = task(loss="displacement" if loss == "weak" else loss)
        batch = job.prepare(next(job.batches(0, 0, 1)), torch.device("cpu"))
        module = Exact()
        module.labels = batch.labels
        job.what = loss
        assert float(job.loss(module, batch, 0.0)["loss"]) < most
        module.labels = 0.0 * batch.labels
        assert float(job.loss(module, batch, 0.0)["loss"]) > 0.01


def test_displacement_labels_are_the_solvers(trained):
    job = task(loss="displacement")
    sample = next(job.batches(0, 0, 1))[0]
    batch = job.prepare([sample], torch.device("cpu"))
    exact = homogenize(sample.rve, sample.stiffnesses, SolverOptions(tol=1e-10))
    np.testing.assert_allclose(
        batch.cells.effective(batch.labels)[0].numpy(), exact.stiffness, atol=1e-4
    )


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
    ours = train(task(), QUICK, tmp_path).module.state_dict()
    theirs = trained.module.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_fine_tuning_begins_with_weights_of_equal_shapes(trained, tmp_path):
    fine = replace(QUICK, start=trained.folder / "final", epochs=1, warm_up=0, learning_rate=1e-12)
    tuned = train(task(loss="displacement"), fine, tmp_path / "fine").module
    for ours, theirs in zip(tuned.parameters(), trained.module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-9)
    with pytest.raises(FileFormatError, match="has shape"):
        train(task(width="0.3"), fine, tmp_path / "other")


def test_predictions_agree_with_the_validation_and_are_above_the_exact_stiffness(trained):
    predictor = load_predictor(trained.folder / "final")
    cells = validation_cells()
    found = predictor.stiffness(cells)[:2]
    exact = np.array([homogenize(*cell).stiffness for cell in cells[:2]])
    gap = np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    assert trained.history[-1]["delta"] == pytest.approx(gap.mean(), rel=1e-3)
    assert np.linalg.eigvalsh(found - exact).min() > -1e-6
    u = predictor.predict(cells)
    assert u.shape == (3, 6, 8, 8, 8, 3)
    started = homogenize(*cells[0], SolverOptions(tol=1e-8), start=u[0])
    assert np.allclose(started.stiffness, exact[0], rtol=1e-4, atol=1e-6)


def test_pooled_network_says_stiffness_and_no_displacements(tmp_path):
    train(task(loss="stiffness"), QUICK, tmp_path)
    predictor = load_predictor(tmp_path / "final")
    cells = [(rve, 7.0 * c) for rve, c in validation_cells()]
    one = predictor.stiffness(validation_cells())
    np.testing.assert_allclose(predictor.stiffness(cells), 7.0 * one, rtol=1e-5)
    with pytest.raises(ParameterError, match="no displacements"):
        predictor.predict(cells)


def test_cells_with_a_shape_are_refused():
    data = DataOptions(families=("frame", "tubular-gyroid"), resolution=16, cells=4, batch=2)
    with pytest.raises(ParameterError, match="'tubular-gyroid': it sees no shape"):
        ARCHITECTURE.task(data, {})


def test_unknown_loss_is_refused():
    with pytest.raises(ParameterError, match="loss is 'pde', expected one of energy, weak"):
        task(loss="pde")


def test_soft_phase_called_void_is_refused_in_a_sentence(trained):
    rve, c = validation_cells()[0]
    soft = np.where(rve.void[:, None, None], 1e-3, 1.0) * c.max(axis=0)
    with pytest.raises(ParameterError, match="sees one density, and 2 phases have a stiffness"):
        load_predictor(trained.folder / "final").predict([(rve, soft)])
