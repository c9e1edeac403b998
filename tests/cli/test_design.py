"""matnet design, with an untrained network: what it writes and what it refuses."""

import json

import numpy as np
import pytest
import torch

from matnet.cli.app import run
from offline.rve import read
from offline.surrogates.voigt_reuss.cells import printer_phases
from offline.surrogates.voigt_reuss.networks import NetConfig
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

TINY = ("--starts", "4", "--steps", "1", "--modes", "5", "--polish", "1", "--count", "1")


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with weights."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    sizes = {"resolution": 16, "channels": (4,), "kernels": (3,), "widths": (8,)}
    config = NetConfig(**sizes, readout="mean", with_tau=False)
    PlaneSurrogate(config, "voigt-reuss", printer_phases()).save(tmp_path / "net")
    return tmp_path


def design(*options):
    return run(["design", "--weights", "net", "--out", "out", *TINY, *options])


def test_folder_holds_cells_numbers_and_a_picture(work, capsys):
    assert design("--maximize", "coupling", "--volume", "0.4:0.6") == 0
    captured = capsys.readouterr()
    assert "coupling" in captured.out and "verified by full homogenisation" in captured.out
    assert captured.err == ""
    names = sorted(path.name for path in (work / "out").iterdir())
    assert names == ["design_01.npz", "designs.json", "designs.png", "phases.toml"]
    assert (work / "out" / "designs.png").read_bytes().startswith(b"\x89PNG")
    stored = json.loads((work / "out" / "designs.json").read_text())
    rve = read(work / "out" / "design_01.npz")
    assert stored["designs"][0]["c0"] == pytest.approx(rve.fractions[0])
    assert 0.39 <= rve.fractions[0] <= 0.61
    assert stored["record"]["command"].startswith("matnet design --weights net")

    # other verbs take the cell and its phases
    verb = ["homogenize", "--rve", "out/design_01.npz", "--phases", "out/phases.toml"]
    assert run([*verb, "--json", "--tol", "1e-9", "--allow-disconnected", "--threads", "1"]) == 0
    space = np.array(json.loads(capsys.readouterr().out)["stiffness"])
    plane = np.array(stored["designs"][0]["stiffness"])
    missed = np.linalg.norm(space[np.ix_([0, 1, 3], [0, 1, 3])] - plane)
    assert missed < 1e-6 * np.linalg.norm(plane)
    assert run(["rve", "info", "out/design_01.npz"]) == 0
    assert "stiff" in capsys.readouterr().out

    # a second run is refused, then replaces
    (work / "out" / "design_07.npz").write_bytes(b"old")
    (work / "out" / "notes.txt").write_text("mine")
    assert design("--maximize", "coupling") == 2
    assert "Error: out: is not empty" in capsys.readouterr().err
    target = "600 110 0 600 0 400"
    assert design("--target", target, "--force", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"][2] == [0.0, 0.0, 400.0]
    assert 0.0 < found["designs"][0]["values"]["target"] < 1.5
    assert not (work / "out" / "design_07.npz").exists()
    assert (work / "out" / "notes.txt").read_text() == "mine"


def test_functionals_are_listed(capsys):
    assert run(["design", "--functionals"]) == 0
    out = capsys.readouterr().out
    assert "coupling" in out and "plane Young's modulus along an angle" in out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "Error: nothing is asked for: give --target, --maximize"),
        (("--maximize", "beauty"), 2, "Error: functional 'beauty' is unknown"),
        (("--reach", "E@30"), 2, "a value is for 'reach'"),
        (("--target", "1 2 3"), 2, "--target has 3 numbers, expected six"),
        (("--target", "stiff"), 2, "--target 'stiff' is neither numbers nor a .json"),
        (("--target", "none.json"), 3, "none.json: cannot be read as a stiffness"),
        (("--target", "bad.json"), 3, "bad.json: cannot be read as a stiffness"),
        (("--target", "short.txt"), 3, "short.txt has 2 numbers, expected six"),
        (("--maximize", "E", "--volume", "a"), 2, "'a' is not a fraction or a range"),
        (("--maximize", "E", "--volume", "1.5"), 2, "volume is 1.5 to 1.5, expected fractions"),
        (("--maximize", "E", "--modes", "6"), 2, "modes is 6, expected an odd number"),
        (("--maximize", "E", "--feature", "0.45"), 4, "Error: None of 4 starts led to a cell"),
        (("--maximize", "E", "--weights", "other"), 3, "other.json: cannot be read"),
    ],
)
def test_wrong_requests_are_one_sentence(work, capsys, options, code, message):
    (work / "bad.json").write_text("{}")
    (work / "short.txt").write_text("1, 2")
    assert design(*options) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (work / "out").exists()


def test_target_files_are_read(work):
    from matnet.cli.design import read_target

    c = np.array([[3.0, 1.0, 0.1], [1.0, 2.0, 0.2], [0.1, 0.2, 1.5]])
    np.save(work / "c.npy", c)
    (work / "c.json").write_text(json.dumps(c.tolist()))
    (work / "c.txt").write_text("\n".join(" ".join(map(str, row)) for row in c))
    for name in ("c.npy", "c.json", "c.txt"):
        np.testing.assert_array_equal(read_target(name), c)
    np.testing.assert_array_equal(read_target("3, 1, .1, 2, .2, 1.5"), c[np.triu_indices(3)])


def test_missing_weights_are_said(work, capsys, monkeypatch):
    from offline.surrogates import weights

    monkeypatch.setattr(weights, "SHIPPED", work / "nothing")
    assert run(["design", "--out", "out", "--maximize", "E"]) == 3
    assert "no weights of 'voigt-reuss-2d' come with this installation" in capsys.readouterr().err


def test_an_output_that_cannot_be_is_refused_first(work, capsys):
    (work / "file").write_text("")
    assert design("--maximize", "E", "--out", "file") == 2
    assert "file: is a file, expected a folder to write" in capsys.readouterr().err
    assert design("--maximize", "E", "--out", "a/b") == 2
    assert "folder 'a' does not exist" in capsys.readouterr().err
