"""matnet verify, on cells of a few voxels."""

import json

import numpy as np
import pytest

import matnet
from matnet.cli.app import run
from matnet.files import read_network_and_laws
from matnet.network import Network
from matnet.phases import read_phases
from offline.rve import Rve, write

PHASES = """
[matrix]
law = "j2"
E = 3.8
nu = 0.387
hardening = { kind = "linear-voce", sig_y = 0.01, H = 0.05, Q = 0.04, b = 100.0 }
[fibre]
law = "elastic"
E = 72.0
nu = 0.22
"""
LOADS = ["--paths", "shear-13:0.02x8", "--paths", "uniaxial-33:0.02x8"]


def layers(share):
    return Network(
        kind="imn",
        depth=1,
        phase_names=("matrix", "fibre"),
        weights=np.array([share, 1.0 - share]),
        base_phase=np.array([0, 1]),
        normals=np.array([[0.0, 0.0, 1.0]]),
        children=np.array([[-1, -2]]),
        card={"seed": 7},
    )


@pytest.fixture(autouse=True)
def cell(tmp_path, monkeypatch):
    """Five layers, their exact network, and one with too little matrix."""
    monkeypatch.chdir(tmp_path)
    phases = np.array([0, 0, 1, 1, 1]).reshape(1, 1, 5)
    write("cell.npz", Rve(phases=phases, phase_names=("matrix", "fibre")))
    layers(0.4).save("exact.matnet")
    layers(0.36).save("stiff.matnet")
    (tmp_path / "phases.toml").write_text(PHASES)
    (tmp_path / "pull.csv").write_text("t,e33\n1,0.01\n2,0.02\n")
    return tmp_path


def verify(network, *options):
    return run(["verify", network, "--rve", "cell.npz", "--phases", "phases.toml", *options])


def test_exact_network_passes_all_default_paths(capsys):
    assert verify("exact.matnet", "--steps", "4", "--json", "--tol", "1e-7") == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert [path["steps"] for path in told["paths"]] == [4] * 8
    assert told["worst"] < 1e-5 and told["e_sigma"] < 1e-5 and told["warnings"] == []
    assert told["timing"]["speed_up_batch"] > 0.0
    assert captured.err.startswith("8 paths of 32 steps in all, each simulation in ")


def test_table_shows_paths_verdict_and_times(capsys):
    assert verify("stiff.matnet", *LOADS, "--quiet") == 0
    captured = capsys.readouterr()
    for expected in ("simple shear 13", "uniaxial stress 33", "worst error", "speed-up, batch"):
        assert expected in captured.out
    assert "e_sigma" not in captured.out  # not the six loadings
    assert captured.err.count("Warning: The cell has 40.00 % of 'matrix'") == 1
    assert "paths of" not in captured.err


def test_six_takes_the_six_loadings_and_no_timing_leaves_times_out(capsys):
    assert verify("exact.matnet", "--paths", "six", "--steps", "4", "--no-timing", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["paths"]) == 6 and told["timing"] is None and told["e_sigma"] is not None


def test_strain_and_time_scale_the_default_paths(capsys):
    options = ("--paths", "six", "--steps", "4", "--strain", "0.004", "--time", "8", "--no-timing")
    assert verify("exact.matnet", *options, "--json") == 0
    path = json.loads(capsys.readouterr().out)["paths"][1]
    assert path["time"] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert path["network"]["strain"][-1][1] == pytest.approx(0.004)


def test_refine_is_told(capsys):
    options = ("--paths", "shear-13:0.02x4", "--refine", "2", "--no-timing", "--quiet")
    assert verify("exact.matnet", *options) == 0
    assert "1 x 1 x 10 elements" in capsys.readouterr().out


def test_path_table_is_followed(capsys):
    assert verify("exact.matnet", "--paths", "pull.csv", "--no-timing", "--json") == 0
    (path,) = json.loads(capsys.readouterr().out)["paths"]
    assert path["path"] == "pull" and path["steps"] == 2 and path["driven"] == ["33"]


def test_second_run_reads_the_kept_simulations(cell, capsys, monkeypatch):
    assert verify("stiff.matnet", *LOADS, "--out", "refs", "--no-timing", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    monkeypatch.setattr("offline.reference.simulate", None)  # not to be called again
    assert verify("stiff.matnet", *LOADS, "--out", "refs", "--no-timing", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["mean"] == pytest.approx(first["mean"], rel=1e-12)
    assert len(list((cell / "refs").iterdir())) == 2


def test_damaged_simulation_is_exit_code_3(cell, capsys):
    assert verify("exact.matnet", *LOADS, "--out", "refs", "--no-timing") == 0
    kept = next((cell / "refs").iterdir())
    kept.write_text("t,e11\n")
    assert verify("exact.matnet", *LOADS, "--out", "refs", "--no-timing") == 3
    assert f"Error: {kept.name}: is not a table of this simulation" in capsys.readouterr().err


def test_write_adds_the_verdict_to_the_card_and_info_prints_it(cell, capsys):
    before = matnet.load("stiff.matnet")
    assert verify("stiff.matnet", *LOADS, "--no-timing", "--write") == 0
    after = matnet.load("stiff.matnet")
    assert {**after.card, "inelastic": None} == {"seed": 7, "inelastic": None}
    assert np.array_equal(after.weights, before.weights)
    capsys.readouterr()
    assert run(["info", "stiff.matnet"]) == 0
    text = capsys.readouterr().out
    worst = f"{100 * after.card['inelastic']['worst']:.2f} %"
    for expected in ("simple shear 13", worst, "linear-voce, sig_y 0.01", "elastic, E 72.0"):
        assert expected in text
    assert "inelastic.paths" not in text


def test_worse_than_allowed_is_exit_code_4(capsys):
    assert verify("stiff.matnet", *LOADS, "--no-timing", "--fail-above", "0.5") == 0
    assert verify("stiff.matnet", *LOADS, "--no-timing", "--fail-above", "0.001") == 4
    captured = capsys.readouterr()
    assert "is above 0.1 %, as --fail-above asks" in captured.err
    assert captured.out.count("worst error") == 2  # the table is printed all the same


def test_picture_is_drawn_and_not_overwritten(cell, capsys):
    options = (*LOADS, "--no-timing", "--plot", "v.png", "--unit", "GPa")
    assert verify("stiff.matnet", *options) == 0
    picture = (cell / "v.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and b"sha256 phases.toml" in picture
    assert verify("stiff.matnet", *options) == 2
    assert "v.png: exists already" in capsys.readouterr().err
    assert verify("stiff.matnet", *options, "--force") == 0


def test_laws_of_the_file_are_taken_and_kept():
    laws = read_phases("phases.toml", ("matrix", "fibre"))
    layers(0.4).with_phases(**laws).save("laws.matnet")
    options = ["--paths", "pull.csv", "--no-timing", "--write"]
    assert run(["verify", "laws.matnet", "--rve", "cell.npz", *options]) == 0
    network, kept = read_network_and_laws("laws.matnet")
    assert kept == laws and len(network.card["inelastic"]["paths"]) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--paths", "seven"], "--paths seven: expected default, six, a CSV table, or a load"),
        (["--paths", "pull-11:0.02"], "kind 'pull' is unknown"),
        (["--steps", "6"], "steps = 6, expected a multiple of 4"),
        (["--strain", "0"], "--strain"),
        (["--plot", "v.txt"], "pictures are written to"),
    ],
)
def test_wrong_usage_is_exit_code_2(options, text, capsys):
    assert verify("exact.matnet", *options) == 2
    captured = capsys.readouterr()
    assert text in captured.err and captured.out == ""


@pytest.mark.parametrize("missing", ["exact.matnet", "phases.toml", "cell.npz", "pull.csv"])
def test_unreadable_input_is_exit_code_3(cell, missing, capsys):
    (cell / missing).unlink()
    assert verify("exact.matnet", "--paths", "pull.csv") == 3
    assert f"Error: {missing}: " in capsys.readouterr().err


def test_path_beyond_what_the_material_carries_is_exit_code_4(cell, capsys):
    (cell / "phases.toml").write_text(
        PHASES.replace("linear-voce", "voce").replace("H = 0.05, ", "")
    )
    (cell / "push.csv").write_text("t,s13\n1,0.02\n2,0.5\n")
    options = ("--paths", "push.csv", "--no-timing", "--write")
    assert verify("exact.matnet", *options) == 4
    captured = capsys.readouterr()
    assert "1 of 2" in captured.out and "1 of 1 paths ended early. push:" in captured.err
    assert "The card was not written." in captured.err
    assert "inelastic" not in matnet.load("exact.matnet").card
