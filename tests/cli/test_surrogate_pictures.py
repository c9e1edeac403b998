"""matnet surrogate train, evaluate and predict for plane networks, on tiny pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from matnet.cli.app import run
from offline.rve import write
from offline.rve.generators import make
from offline.surrogates.voigt_reuss.cells import load_cells
from offline.surrogates.voigt_reuss.surrogate import load_surrogate

TINY = [
    *("--resolution", "16", "--cells", "96", "--validation-cells", "24", "--batch", "16"),
    *("--epochs", "2", "--set", "channels=4,8", "--set", "kernels=3,3", "--set", "widths=16"),
    *("--device", "cpu", "--no-tensorboard"),
]
PRINTER = (
    '[stiff]\nlaw = "elastic"\nE = {0}\nnu = 0.3\n[soft]\nlaw = "elastic"\nE = {1}\nnu = 0.49\n'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained ensemble of two in ``net``."""
    here = tmp_path_factory.mktemp("plane")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert run(["surrogate", "train", "voigt-reuss", *TINY, "--set", "members=2"]) == 0
    return here


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def image(shift=0):
    """A soft inclusion (1) in the stiff phase, not symmetric in x1 and x2."""
    picture = np.zeros((16, 16), np.uint8)
    picture[3:9, 2 : 12 + shift] = 1
    return picture


def test_training_keeps_its_cells_and_tells_the_range(here, capsys):
    card = json.loads((here / "voigt-reuss" / "best.json").read_text())
    assert card["config"]["members"] == 2 and card["config"]["net"]["channels"] == [4, 8]
    assert card["data"]["cells"] == 96 and card["range"]["high"][0] > 0.9
    assert len(load_cells(here / "voigt-reuss" / "cells.npz")) == 96
    assert len(load_cells(here / "voigt-reuss" / "held.npz")) == 24
    before = (here / "voigt-reuss" / "cells.npz").stat().st_mtime_ns
    # finished: the same command finds its cells and has nothing to do
    assert run(["surrogate", "train", "voigt-reuss", *TINY, "--set", "members=2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "finished"
    assert (here / "voigt-reuss" / "cells.npz").stat().st_mtime_ns == before


def test_evaluation_counts_violations_beside_the_estimates(here, capsys):
    arguments = ["surrogate", "evaluate", "voigt-reuss", "--cells", "30"]
    assert run([*arguments, "--json", "-o", "report"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cells"] == 30 and found["resolution"] == 16
    assert found["network"]["voigt_violations"] == found["network"]["reuss_violations"] == 0
    bounds = {"Hashin-Shtrikman, lower", "Hashin-Shtrikman, upper"}
    assert set(found["references"]) == {"Hill", "Mori-Tanaka"} | bounds
    assert json.loads((here / "report" / "evaluation.json").read_text()) == found
    assert (here / "report" / "sweep.png").stat().st_size > 10_000
    assert (here / "report" / "spread.png").stat().st_size > 5_000
    assert run(arguments) == 0
    said = capsys.readouterr().out
    assert "Mori-Tanaka" in said and "rank correlation of spread and error" in said
    assert run([*arguments, "-o", "report"]) == 2
    assert "holds a report" in capsys.readouterr().err
    assert run([*arguments, "--family", "truss"]) == 2
    assert "--family: Voigt-Reuss nets are judged on their own cells" in capsys.readouterr().err


def test_prediction_of_any_file_is_that_of_the_picture(here, capsys):
    np.save("cell.npy", image())
    Image.fromarray(255 * image().T).save("cell.png")  # columns along x1, rows along x2
    expected = load_surrogate("voigt-reuss").predict_spread(image()[None])
    for name in ("cell.npy", "cell.png"):
        given = ["surrogate", "predict", "voigt-reuss", "--image", name, "--json"]
        assert run([*given, *(["--threshold", "128"] if name.endswith("png") else [])]) == 0
        found = json.loads(capsys.readouterr().out)
        assert np.array(found["stiffness"]) == pytest.approx(expected.stiffness[0], rel=1e-6)
        assert np.array(found["deviation"]) == pytest.approx(expected.deviation[0], rel=1e-6)
        assert found["spread"] == pytest.approx(expected.spread[0], rel=1e-6)
        assert found["volume_fraction"] == pytest.approx(1.0 - image().mean())
        c = np.linalg.inv(expected.stiffness[0])
        assert found["moduli"]["E1"] == pytest.approx(1.0 / c[0, 0], rel=1e-6)
    assert run([*given[:-1], "--threshold", "128", "-o", "answer.json"]) == 0
    assert " ± " in capsys.readouterr().out
    assert json.loads((here / "answer.json").read_text())["order"] == ["11", "22", "12"]
    assert run([*given, "--threshold", "128", "--swap"]) == 0
    swapped = json.loads(capsys.readouterr().out)
    assert swapped["volume_fraction"] == pytest.approx(image().mean())


def test_pictures_unlike_the_training_are_flagged(here, capsys):
    np.save("noise.npy", (np.random.default_rng(0).random((16, 16)) > 0.5).astype(float))
    given = ["surrogate", "predict", "voigt-reuss", "--image", "noise.npy"]
    assert run([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inside_training"] is False and "phase changes" in found["outside"][0]
    assert run(given) == 0
    assert "Outside the training range: of this picture, its" in capsys.readouterr().out
    cell = make("trigonometric", n=(16, 16, 1), modes=3, seed=4)
    write(here / "usual.npz", cell)
    assert run(["surrogate", "predict", "voigt-reuss", "--rve", "usual.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inside_training"] is True


def test_phases_may_be_a_multiple_of_the_networks(here, capsys):
    cell = make("trigonometric", n=(16, 16, 1), modes=3, seed=4)
    write(here / "usual.npz", cell)
    first, second = cell.phase_names
    given = ["surrogate", "predict", "voigt-reuss", "--rve", "usual.npz", "--json"]
    assert run(given) == 0
    plain = json.loads(capsys.readouterr().out)
    text = PRINTER.replace("stiff", first).replace("soft", second)
    (here / "double.toml").write_text(text.format(2000.0, 2.0))
    assert run([*given, "--phases", "double.toml"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert np.array(found["stiffness"]) == pytest.approx(2.0 * np.array(plain["stiffness"]))
    (here / "other.toml").write_text(text.format(2000.0, 1.0))
    assert run([*given, "--phases", "other.toml"]) == 2
    said = capsys.readouterr().err
    assert "(in this order: E = 1000, nu = 0.3; E = 1, nu = 0.49)" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "voigt-reuss", *TINY, "--family", "truss"],
            "'voigt-reuss' makes its own cells: leave out --family and --nu.",
        ),
        (
            ["train", "voigt-reuss", *TINY, "--set", "output=ldlt"],
            "output is 'ldlt', expected one of voigt-reuss, voigt-reuss-cayley,",
        ),
        (
            ["predict", "voigt-reuss", "--image", "solid.npz"],
            "solid.npz: has 8 x 8 x 8 voxels, expected one layer along x3 for a plane network.",
        ),
        (
            ["predict", "voigt-reuss", "--image", "long.npz"],
            "long.npz: the cell is no square, expected one with square pixels.",
        ),
        (
            ["predict", "voigt-reuss", "--image", "long.npz", "--fields", "u.vti"],
            "--fields: this network predicts no fields. Leave it out.",
        ),
    ],
)
def test_wrong_usage_is_one_sentence(here, capsys, arguments, message):
    write(here / "solid.npz", make("gyroid", n=8, volume_fraction=0.4))
    write(here / "long.npz", make("trigonometric", n=(16, 8, 1), modes=3))
    assert run(["surrogate", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_files_that_are_no_arrays_are_unreadable(here, capsys):
    (here / "broken.npy").write_bytes(b"nonsense")
    assert run(["surrogate", "predict", "voigt-reuss", "--image", "broken.npy"]) == 3
    assert "broken.npy: cannot be read as an array" in capsys.readouterr().err
    np.save("cube.npy", np.zeros((2, 2, 2)))
    assert run(["surrogate", "predict", "voigt-reuss", "--image", "cube.npy"]) == 3
    assert "array has shape (2, 2, 2), expected (n1, n2)" in capsys.readouterr().err


def test_the_shipped_network_is_found_by_its_kind(here, capsys):
    np.save("cell.npy", image())
    given = ["surrogate", "predict", "voigt-reuss-2d", "--image", "cell.npy", "--json"]
    assert run(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.0 < found["expected_error"]["median"] < found["expected_error"]["ninety"]
    assert run(given[:-1]) == 0
    assert "error to expect: median, ninth decile" in capsys.readouterr().out
