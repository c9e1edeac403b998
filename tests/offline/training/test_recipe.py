"""The documents' recipe: parameter counts, its network, its loss, what it refuses."""

import builtins
from dataclasses import replace

import numpy as np
import pytest

from matnet.errors import MissingExtraError, ParameterError
from matnet.network import Network
from offline.labels import LabelSet
from offline.training import TrainingOptions, train
from offline.training.recipe import Recipe

OPTIONS = TrainingOptions(depth=1, optimizer="adam", epochs=60, batch_size=8, seed=0)


def make_labels(void=False):
    rng = np.random.default_rng(0)
    network = Network.random("imn", 1, ("matrix", "fibre"), (0.4, 0.6), seed=1)
    a = rng.standard_normal((20, 2, 6, 6))
    phases = 0.05 * a @ np.swapaxes(a, -1, -2) + np.array([1.0, 4.0])[:, None, None] * np.eye(6)
    effective = network.homogenize(phases)
    if void:
        phases[:, 0] = 0.0
    return LabelSet(
        phase_stiffness=phases,
        effective=effective,
        phase_names=network.phase_names,
        fractions=network.fractions,
    )


def recipe_of(kind, depth):
    labels = make_labels()
    return Recipe(
        labels, replace(OPTIONS, network=kind, depth=depth), np.arange(16), np.arange(16, 20)
    )


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_parameter_counts_are_the_documents(depth):
    assert recipe_of("dmn", depth).n_parameters == 7 * 2**depth - 3
    assert recipe_of("imn", depth).n_parameters == 3 * 2**depth - 2


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_its_prediction_is_that_of_the_converted_network(kind):
    recipe = recipe_of(kind, 3)
    weights = recipe.parameters["z"].detach().numpy()
    fractions = np.array([weights[0::2].sum(), weights[1::2].sum()]) / weights.sum()
    recipe.labels = replace(recipe.labels, fractions=fractions)
    predicted = recipe.predict(slice(0, 3)).detach().numpy()
    expected = recipe.network().homogenize(recipe.labels.phase_stiffness[:3])
    np.testing.assert_allclose(predicted, expected, rtol=1e-10, atol=1e-10)


def test_loss_is_equation_9():
    recipe = recipe_of("imn", 2)
    error = recipe.relative_errors(slice(0, 5)).detach().numpy()
    z = recipe.parameters["z"].detach().numpy()
    expected = 0.5 * np.mean(error**2) + (np.maximum(z, 0).sum() - 1.0) ** 2
    assert float(recipe.loss(slice(0, 5)).detach()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_it_learns_and_the_network_has_the_fractions(kind):
    labels = make_labels()
    result = train(labels, replace(OPTIONS, network=kind))
    assert result.history.training[-1] < 0.5 * result.history.training[0]
    assert len(result.history.loss) == 60
    np.testing.assert_allclose(result.network.fractions, labels.fractions, rtol=1e-12)
    assert result.network.card["optimizer"] == "adam"


def test_void_is_refused():
    with pytest.raises(
        ParameterError, match="phase 'matrix' has no stiffness, which the optimizer"
    ):
        train(make_labels(void=True), OPTIONS)


def test_missing_torch_gives_the_install_line(monkeypatch):
    real = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(MissingExtraError, match=r"pip install 'matnet\[offline\]'"):
        train(make_labels(), OPTIONS)
