"""Weights made ready for the package."""

import json

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError
from offline.surrogates import shipping, weights
from offline.surrogates.evaluation import EvaluationOptions, evaluate, load_predictor
from offline.surrogates.families import family
from offline.surrogates.label_free.network import LabelFreeConfig

CONFIG = LabelFreeConfig(width=0.2)
ONE = EvaluationOptions(families=("tpms",), resolution=8, cells=1, spectrum=False)


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    card = {
        "kind": "label-free",
        "config": {"width": 0.2},
        "data": {"families": ["frame"], "resolution": 8, "seed": 3},
        "loss": {"loss": "energy", "start": "/somewhere/private/first/best"},
        "training": {"seed": 0},
    }
    weights.save(tmp_path / "run" / "best", CONFIG.module(), card)
    return tmp_path / "run"


def test_card_holds_the_errors_of_the_tensors_as_they_are_written(run, tmp_path):
    path = shipping.ship(run, "tiny", options=(ONE,), half=True, folder=tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    (judged,) = card["evaluation"]
    predictor = load_predictor(path, "cpu")
    again = evaluate(predictor, ONE)
    assert judged["statistics"]["delta"] == again.statistics("delta")
    assert judged["cells"]["families"] == ["tpms"] and judged["cells"]["cells"] == 1
    assert card["data"]["seed"] == 3 and card["stored"] == "float16"
    assert card["loss"]["start"] == "first/best"


def test_half_precision_halves_the_file_and_hardly_changes_the_displacement(run, tmp_path):
    full = shipping.ship(run, "full", options=(ONE,), folder=tmp_path)
    half = shipping.ship(run, "half", options=(ONE,), half=True, folder=tmp_path)
    tensors = [weights.load(path).tensors for path in (full, half)]
    size = [sum(t.nbytes for t in some.values() if t.is_floating_point()) for some in tensors]
    assert size[1] == size[0] // 2
    sample = family("frame").sample(0, 8)
    a, b = (
        load_predictor(p, "cpu").predict([(sample.rve, sample.stiffnesses)]) for p in (full, half)
    )
    np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(a).max())


def test_names_and_sizes_are_checked(run, tmp_path, monkeypatch):
    with pytest.raises(ParameterError, match="expected letters, digits and hyphens"):
        shipping.ship(run, "../tiny", folder=tmp_path)
    shipping.ship(run, "tiny", options=(ONE,), folder=tmp_path)
    with pytest.raises(ParameterError, match="'tiny' are there already"):
        shipping.ship(run, "tiny", options=(ONE,), folder=tmp_path)
    monkeypatch.setattr(shipping, "LARGEST", 1000)
    with pytest.raises(ParameterError, match="expected at most"):
        shipping.ship(run, "large", options=(ONE,), folder=tmp_path)
    assert not (tmp_path / "large.json").exists()


def test_command_ships_beside_the_other_weights(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "weights")
    shipping.main([str(run), "--name", "tiny", "--cells", "1", "--family", "tpms"])
    (stem,) = weights.shipped("label-free")
    assert capsys.readouterr().out.strip() == f"{stem}.safetensors"
    judged = json.loads(stem.with_name("tiny.json").read_text())["evaluation"]
    assert [one["cells"]["families"] for one in judged] == [["frame"], ["tpms"]]
