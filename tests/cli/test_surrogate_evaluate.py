"""matnet surrogate evaluate and predict, with untrained weights and many solver steps."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from matnet.cli.app import run
from matnet.elasticity import isotropic
from offline.homogenization import homogenize
from offline.rve import write
from offline.rve.generators import make
from offline.surrogates import weights
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.evaluation import load_predictor
from offline.surrogates.label_free.network import LabelFreeConfig

PHASES = '[void]\nlaw = "void"\n[solid]\nlaw = "elastic"\nE = 210.0\nnu = 0.3\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Weights, a cell and its phases in the working folder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config = CGiNSConfig(channels=2, depth=1, frequencies=2, pcg_steps=60, coarse_pcg_steps=2)
    data = {"families": ["tpms"], "resolution": 8}
    card = {"kind": "cgins", "config": asdict(config), "data": data}
    weights.save("run/best", CGiNS(config), card)
    write(tmp_path / "cell.npz", make("gyroid", n=8, volume_fraction=0.4))
    (tmp_path / "phases.toml").write_text(PHASES)
    return tmp_path


def predict(*options):
    return run(
        ["surrogate", "predict", "run", "--rve", "cell.npz", "--phases", "phases.toml", *options]
    )


def test_evaluation_takes_family_and_resolution_from_the_training(here, capsys):
    assert run(["surrogate", "evaluate", "run", "--cells", "2", "-o", "report", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["options"]["families"] == ["tpms"] and found["options"]["resolution"] == 8
    assert found["n_cells"] == 2 and found["statistics"]["delta"]["max"] < 1e-2
    saved = json.loads((here / "report" / "evaluation.json").read_text())
    assert saved["statistics"]["delta"] == found["statistics"]["delta"]
    assert saved["record"]["command"].startswith("matnet surrogate evaluate run")
    assert run(["surrogate", "evaluate", "run", "-o", "report"]) == 2
    assert "holds a report" in capsys.readouterr().err


def test_mean_over_the_symmetries_is_judged_when_asked_for(here, capsys):
    torch.manual_seed(0)
    config = CGiNSConfig(channels=2, depth=1, frequencies=2, pcg_steps=2, coarse_pcg_steps=1)
    card = {"kind": "cgins", "config": asdict(config)}
    weights.save("rough/best", CGiNS(config), card)
    deltas = []
    for flags in ([], ["--symmetrise"]):
        cells = ["--cells", "1", "--family", "tpms", "--resolution", "8"]
        assert run(["surrogate", "evaluate", "rough", *cells, *flags, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["options"]["symmetrise"] == bool(flags)
        deltas.append(found["statistics"]["delta_soft"]["mean"])
    assert 0.0 < deltas[1] < 0.999 * deltas[0]


def test_evaluation_prints_tables(here, capsys):
    arguments = ["--family", "truss", "--cells", "1", "--seed", "3", "--nu", "0.3", "--no-spectrum"]
    assert run(["surrogate", "evaluate", "run/best.json", *arguments]) == 0
    captured = capsys.readouterr()
    for title in ("wanted and found", "By volume fraction", "As a start", "Time per cell"):
        assert title in captured.out
    assert captured.err == ""


def test_prediction_is_near_the_solution_and_knows_its_residual(here, capsys):
    assert predict("--json", "-o", "c.json", "--fields", "u.vti") == 0
    found = json.loads(capsys.readouterr().out)
    solid = isotropic(E=210.0, nu=0.3)
    exact = homogenize(make("gyroid", n=8, volume_fraction=0.4), [0.0 * solid, solid]).stiffness
    np.testing.assert_allclose(found["stiffness"], exact, rtol=5e-3, atol=0.1)
    assert 0.0 < max(found["residual"]) < 0.02
    assert json.loads((here / "c.json").read_text()) == found
    assert "von_mises_23" in (here / "u.vti").read_text()
    assert predict("--worst-stress", "w.png") == 0
    said = capsys.readouterr().out
    assert f"{found['moduli']['E1']:.5g}" in said and "largest von Mises stress" in said
    assert (here / "w.png").is_file()


def test_network_of_stiffness_labels_says_c_without_a_residual(here, capsys):
    torch.manual_seed(0)
    config = LabelFreeConfig(net="stiffness", width=0.2, resolution=8)
    weights.save("run/best", config.module(), {"kind": "label-free", "config": asdict(config)})
    assert predict("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["residual"] is None and np.shape(found["stiffness"]) == (6, 6)
    rve = make("gyroid", n=8, volume_fraction=0.4)
    cells = [(rve, np.array([np.zeros((6, 6)), isotropic(E=210.0, nu=0.3)]))]
    exact = load_predictor("run", "cpu").stiffness(cells)
    np.testing.assert_allclose(found["stiffness"], exact[0], rtol=1e-6)
    assert predict("--worst-stress", "w.png") == 2
    assert "--worst-stress: this network predicts no fields" in capsys.readouterr().err


def test_shapes_and_files_that_do_not_fit_are_named(here, capsys):
    write(here / "cell.npz", make("gyroid", n=10, volume_fraction=0.4))
    assert predict() == 2
    assert (
        "weights 'best' do not fit cell.npz: it halves the grid 2 times" in capsys.readouterr().err
    )
    (here / "run" / "best.safetensors").write_bytes(b"nonsense")
    assert predict() == 3
    assert "content differs from the checksum" in capsys.readouterr().err
