"""matnet reference."""

import json

import numpy as np
import pytest

from matnet.cli.app import run
from matnet.paths import uniaxial_stress
from matnet.phases import read_phases
from offline.reference import simulate
from offline.rve import Rve, read, write

PHASES = """
[soft]
law = "j2"
E = 1000.0
nu = 0.3
hardening = { kind = "linear", sig_y = 8.0, H = 50.0 }
[stiff]
law = "elastic"
E = 10000.0
nu = 0.2
"""
LOAD = ("--load", "uniaxial-11:0.02x4")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phases = np.random.default_rng(0).integers(0, 2, (4, 3, 2))
    write(tmp_path / "cell.npz", Rve(phases=phases, phase_names=("soft", "stiff")))
    (tmp_path / "phases.toml").write_text(PHASES)
    return tmp_path


def reference(*options):
    return run(["reference", "--rve", "cell.npz", "--phases", "phases.toml", *options])


def columns(path):
    rows = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    table = np.array([row.split(",") for row in rows[1:]], dtype=float)
    return dict(zip(rows[0].split(","), table.T, strict=True))


def test_csv_and_json_hold_the_simulation(folder, capsys):
    assert reference(*LOAD, "-o", "ref.csv", "--json") == 0
    printed = capsys.readouterr()
    answer, table = json.loads(printed.out), columns(folder / "ref.csv")
    cell = read(folder / "cell.npz")
    exact = simulate(cell, read_phases("phases.toml", cell.phase_names), uniaxial_stress(steps=4))
    stress = exact.response.component("11")[1]
    np.testing.assert_allclose(table["s11"], stress, rtol=1e-12)
    np.testing.assert_allclose(answer["stress"], exact.response.stress, rtol=1e-12)
    assert answer["peak_stress"] == pytest.approx(stress[-1]) and answer["component"] == "11"
    np.testing.assert_allclose(table["soft_s11"], exact.response.phase("soft", "11")[1])
    assert len(answer["linear_iterations"]) == 4 and sum(answer["cuts"]) == 0
    assert answer["residual"][-1] <= 1e-6 and answer["threads"] == 1
    assert "Memory: about" in printed.err and "tangents" in printed.err
    assert (folder / "ref.csv").read_text().count("sha256") == 2


def test_table_tells_the_curve_and_the_effort(folder, capsys):
    assert reference(*LOAD, "--quiet") == 0
    printed = capsys.readouterr()
    for text in ("uniaxial stress 11, 4 steps", "phases at the end", "linear iterations"):
        assert text in printed.out
    assert printed.err == ""


def test_path_from_a_table_with_mixed_control(folder, capsys):
    (folder / "path.csv").write_text("t,e11,e22,s33,s12,s13,s23\n1,0.01,0.0,-2,0,0,0\n")
    assert reference("--path", "path.csv", "-o", "ref.csv", "--json") == 0
    table = columns(folder / "ref.csv")
    assert table["s33"][-1] == pytest.approx(-2.0, rel=1e-5)
    assert table["e11"][-1] == 0.01 and table["e22"][-1] == 0.0
    assert "sha256 path.csv" in (folder / "ref.csv").read_text()
    assert capsys.readouterr().out


def test_fields_of_chosen_steps_are_images(folder, capsys):
    assert reference(*LOAD, "--fields", "out_%02d.vti", "--every", "3", "--quiet") == 0
    assert sorted(path.name for path in folder.glob("*.vti")) == ["out_03.vti", "out_04.vti"]
    text = (folder / "out_04.vti").read_text()
    for name in ("displacement", "strain", "stress", "von_mises", "eps_p_11"):
        assert f'Name="{name}"' in text
    again = read(folder / "out_04.vti", field="phase")
    assert np.array_equal(again.phases, read(folder / "cell.npz").phases)
    assert reference(*LOAD, "--fields", "last.vti", "--quiet") == 0
    assert (folder / "last.vti").is_file()


def test_picture_is_drawn(folder, capsys):
    assert reference(*LOAD, "--plot", "curve.svg", "--unit", "MPa") == 0
    assert "MPa" in (folder / "curve.svg").read_text() or (folder / "curve.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((*LOAD, "--fields", "out_%s_%s.vti"), "expected one number in the name"),
        ((*LOAD, "--fields", "out.txt"), "unknown suffix '.txt'"),
        ((*LOAD, "--fields", "no/out.vti"), "does not exist"),
        ((*LOAD, "-o", "phases.toml"), "exists already"),
        ((), "expected either --path"),
        ((*LOAD, "--show", "44"), "component '44' is unknown"),
    ],
)
def test_wrong_use_is_refused_before_the_work(folder, capsys, options, message):
    assert reference(*options) == 2
    assert message in capsys.readouterr().err


def test_a_load_beyond_the_limit_ends_with_code_4_and_what_came_before(folder, capsys):
    perfect = PHASES.replace("H = 50.0", "H = 0.0").replace('"elastic"', '"void"')
    perfect = perfect.replace("E = 10000.0\nnu = 0.2\n", "")
    (folder / "phases.toml").write_text(perfect)
    phases = np.zeros((2, 2, 2), dtype=int)
    phases[0, 0, 0] = 1
    write(folder / "small.npz", Rve(phases=phases, phase_names=("soft", "stiff")))
    (folder / "path.csv").write_text("t,s11\n1,4\n2,50\n")
    options = ("--path", "path.csv", "--max-iterations", "5", "-o", "ref.csv", "--partial")
    code = run(["reference", "--rve", "small.npz", "--phases", "phases.toml", *options])
    assert code == 4
    assert "step 2 of 2" in capsys.readouterr().err
    table = columns(folder / "ref.csv")
    assert table["s11"][-1] == pytest.approx(4.0, rel=1e-5) and len(table["t"]) == 2
    assert "# stopped: step 2 of 2" in (folder / "ref.csv").read_text()
