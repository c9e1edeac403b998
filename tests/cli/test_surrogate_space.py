"""matnet surrogate train, evaluate and predict for networks in space, on tiny cells."""

import json

import numpy as np
import pytest

from matnet.cli.app import run
from offline.rve import Rve, write
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.space import load_space_cells, load_surrogate
from offline.surrogates.voigt_reuss.space.phases import isotropic_phases

SIDE = 8
TINY = [
    *("--resolution", str(SIDE), "--cells", "48", "--validation-cells", "16", "--batch", "16"),
    *("--epochs", "2", "--set", "widths=16", "--set", "members=2"),
    *("--device", "cpu", "--no-tensorboard"),
]
PHASES = '[a]\nlaw = "elastic"\nK = 2.0\nG = 1.0\n[b]\nlaw = "elastic"\nK = {0}\nG = {1}\n'
PREDICT = ["surrogate", "predict", "voigt-reuss-3d", "--rve", "cell.npz", "--phases"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained ensemble of two in ``voigt-reuss-3d``, and a cell with two phases."""
    here = tmp_path_factory.mktemp("space")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert run(["surrogate", "train", "voigt-reuss-3d", *TINY]) == 0
        write(here / "cell.npz", Rve(phases=image(), phase_names=("a", "b")))
        (here / "phases.toml").write_text(PHASES.format(20.0, 5.0))
    return here


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def image():
    """A box of phase 1 without symmetry."""
    cell = np.zeros((SIDE, SIDE, SIDE), np.uint8)
    cell[1:7, 2:6, 3:5] = 1
    return cell


def test_training_keeps_its_cells_and_tells_the_range(here, capsys):
    card = json.loads((here / "voigt-reuss-3d" / "best.json").read_text())
    assert card["config"]["members"] == 2 and card["data"]["cells"] == 48
    assert card["range"]["descriptors"][0] == "fraction.0"
    training = load_space_cells(here / "voigt-reuss-3d" / "cells.npz")
    held = load_space_cells(here / "voigt-reuss-3d" / "held.npz")
    assert (len(training), len(held)) == (48, 16)
    assert not {b.tobytes() for b in training.bits} & {b.tobytes() for b in held.bits}
    assert run(["surrogate", "train", "voigt-reuss-3d", *TINY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "finished"


def test_evaluation_counts_violations_beside_the_estimates(here, capsys):
    arguments = ["surrogate", "evaluate", "voigt-reuss-3d", "--cells", "12"]
    assert run([*arguments, "--json", "-o", "report"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cells"] == 12 and found["resolution"] == SIDE
    assert found["network"]["voigt_violations"] == found["network"]["reuss_violations"] == 0
    assert set(found["references"]) == {"Hill", "isotropic projection"}
    assert json.loads((here / "report" / "evaluation.json").read_text()) == found
    assert run(arguments) == 0
    assert "rank correlation of spread and error" in capsys.readouterr().out
    assert run([*arguments, "-o", "report"]) == 2
    assert "holds a report" in capsys.readouterr().err
    assert run([*arguments, "--symmetrise"]) == 2
    assert "--symmetrise: Voigt-Reuss nets are judged" in capsys.readouterr().err


def test_prediction_is_that_of_the_library_and_between_the_bounds(here, capsys):
    assert run([*PREDICT, "phases.toml", "--json", "-o", "answer.json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads((here / "answer.json").read_text()) == found
    net = load_surrogate("voigt-reuss-3d")
    expected = net.predict_spread(image()[None], 2.0, 1.0, 20.0, 5.0)
    c = np.array(found["stiffness"])
    assert c == pytest.approx(expected.stiffness[0], rel=1e-9, abs=1e-9)
    assert c == pytest.approx(net.predict(image()[None], 2, 1, 20, 5)[0], rel=1e-9, abs=1e-9)
    # each member between the bounds, and the deviation is that of the two
    assert found["spread"] == pytest.approx(expected.spread[0]) and found["spread"] > 0.0
    share = image().mean()
    assert found["volume_fraction"] == pytest.approx(1.0 - share)
    phases = isotropic_phases([[2.0, 1.0, 20.0, 5.0]])
    gap = SpectralGap.from_phases(phases, [[1.0 - share, share]])
    assert not any(bad.any() for bad in gap.violations(c[None]).values())
    assert run([*PREDICT, "phases.toml", "-o", "answer.json"]) == 2
    assert "answer.json" in capsys.readouterr().err
    assert run([*PREDICT, "phases.toml"]) == 0
    assert " ± " in capsys.readouterr().out


def test_contrasts_beyond_the_training_are_flagged(here, capsys):
    (here / "far.toml").write_text(PHASES.format(2000.0, 1.0))
    assert run([*PREDICT, "far.toml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inside_training"] is False
    assert "its K2/K1 is 1e+03 (training: 0.01 to 100)" in found["outside"][0]
    assert run([*PREDICT, "far.toml"]) == 0
    assert "Outside the training range: of this cell, its" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--phases is missing"),
        (["--phases", "void.toml"], "phase 'b' is void, expected two phases with stiffness"),
        (["--phases", "phases.toml", "--fields", "a.vti"], "--fields: this network predicts no"),
        (["--phases", "phases.toml", "--swap"], "--swap: is for plane networks"),
    ],
)
def test_wrong_requests_are_named(here, capsys, arguments, message):
    (here / "void.toml").write_text(PHASES.split("[b]")[0] + '[b]\nlaw = "void"\n')
    assert run([*PREDICT[:-1], *arguments]) == 2
    assert message in capsys.readouterr().err


def test_cells_that_are_no_cubes_are_refused(here, capsys):
    write(here / "flat.npz", Rve(phases=image()[:4], phase_names=("a", "b")))
    given = [*PREDICT[:4], "flat.npz", "--phases", "phases.toml"]
    assert run(given) == 2
    assert "has 4 x 8 x 8 voxels" in capsys.readouterr().err
    mixed = image()
    mixed[0] = 2
    write(here / "three.npz", Rve(phases=mixed, phase_names=("a", "b", "c")))
    assert run([*PREDICT[:4], "three.npz", "--phases", "phases.toml"]) == 2
    assert "3 phases or a density, expected two phases" in capsys.readouterr().err


def test_settings_that_cannot_be_are_refused_before_any_label(here, capsys):
    train = ["surrogate", "train", "voigt-reuss-3d", "-o", "other"]
    for setting, message in (
        ("network=large", "network is 'large', expected one of small, documented, voxels"),
        ("output=mean", "output is 'mean', expected one of voigt-reuss,"),
        ("members=0", "members is 0, contrasts 4 and data_seed 1, expected at least 1"),
    ):
        assert run([*train, "--set", setting]) == 2
        assert message in capsys.readouterr().err
    assert not (here / "other").exists()
