"""matnet drive."""

import json

import numpy as np
import pytest

from matnet.cli.app import run
from matnet.elasticity import isotropic, laminate, orthotropic_constants
from matnet.network import Network

PHASES = (
    '[matrix]\nlaw = "elastic"\nE = 1.0\nnu = 0.3\n[fibre]\nlaw = "elastic"\nE = 20\nnu = 0.2\n'
)


@pytest.fixture
def exact(tmp_path, monkeypatch):
    """Two layers in the working folder, and their exact engineering constants."""
    monkeypatch.chdir(tmp_path)
    network = Network(
        kind="imn",
        depth=1,
        phase_names=("matrix", "fibre"),
        weights=np.array([0.4, 0.6]),
        base_phase=np.array([0, 1]),
        normals=np.array([[0.0, 0.0, 1.0]]),
        children=np.array([[-1, -2]]),
        card={"contrast": [0.1, 10.0]},
    )
    network.save("layers.matnet")
    (tmp_path / "phases.toml").write_text(PHASES)
    C = laminate([isotropic(E=1.0, nu=0.3), isotropic(E=20.0, nu=0.2)], [0.4, 0.6], [0, 0, 1])
    return orthotropic_constants(C)


def drive(*options):
    return run(["drive", "layers.matnet", "--phases", "phases.toml", *options])


def test_uniaxial_stress_prints_modulus_and_poisson_ratios(exact, capsys):
    assert drive("--component", "33", "--amplitude", "0.01") == 0
    captured = capsys.readouterr()
    assert "uniaxial stress 33, 40 steps" in captured.out and " nu 31 " in captured.out
    assert f"{exact['E3']:.6g}" in captured.out and f"{0.01 * exact['E3']:.6g}" in captured.out
    nu31 = exact["nu13"] * exact["E3"] / exact["E1"]
    assert f"{nu31:.6g}" in captured.out


def test_json_holds_the_whole_curve(exact, capsys):
    assert drive("--steps", "4", "--json") == 0
    captured = json.loads(capsys.readouterr().out)
    assert captured["scaling"] == "mandel" and captured["order"][3:] == ["12", "13", "23"]
    assert np.shape(captured["stress"]) == np.shape(captured["strain"]) == (5, 6)
    assert captured["peak_stress"] == pytest.approx(0.02 * exact["E1"])
    assert captured["slope"] == pytest.approx([exact["E1"]] * 4)


@pytest.mark.parametrize(
    ("options", "peak"),
    [
        (("--path", "simple_shear", "--component", "13"), "G13"),
        (("--path", "cyclic", "--component", "22", "--cycles", "2"), "E2"),
        (("--path", "uniaxial_stress", "--component", "12"), "G12"),
    ],
)
def test_named_paths_reach_the_exact_peak(exact, capsys, options, peak):
    assert drive(*options, "--json") == 0
    factor = 2.0 if options == ("--path", "uniaxial_stress", "--component", "12") else 1.0
    found = json.loads(capsys.readouterr().out)["peak_stress"]
    assert found == pytest.approx(0.02 * factor * exact[peak])


@pytest.mark.parametrize("name", ["uniaxial_strain", "biaxial", "hydrostatic", "cyclic"])
def test_other_paths_print_a_table(exact, capsys, name):
    assert drive("--path", name, "--steps", "8") == 0
    assert "peak stress 11" in capsys.readouterr().out


def test_outputs_record_their_origin_and_are_not_overwritten(exact, capsys, tmp_path):
    assert drive("-o", "r.csv", "--plot", "r.png", "--steps", "2") == 0
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[0].startswith("# matnet: ") and lines[1].startswith("# command: matnet ")
    assert lines[2].startswith("# sha256 layers.matnet: ") and lines[4].startswith("time,e11,")
    picture = (tmp_path / "r.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and b"sha256 phases.toml" in picture
    assert drive("-o", "r.csv", "--steps", "4") == 2
    assert "r.csv: exists already. Choose another name or pass --force." in capsys.readouterr().err
    assert (tmp_path / "r.csv").read_text().splitlines() == lines
    assert drive("-o", "r.csv", "--steps", "4", "--force") == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == len(lines) + 2


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_pictures_may_be_vector_graphics(exact, tmp_path, suffix):
    assert drive("--plot", f"r.{suffix}", "--steps", "2", "--unit", "GPa") == 0
    assert (tmp_path / f"r.{suffix}").stat().st_size > 1000


def test_path_file_is_followed(exact, capsys, tmp_path):
    (tmp_path / "pull.csv").write_text("time,e33\n1,0.01\n2,0.03\n")
    assert drive("--path-file", "pull.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == "pull" and found["component"] == "33"
    assert found["peak_stress"] == pytest.approx(0.03 * exact["E3"])


def test_stress_driven_path_file_shows_its_component(exact, capsys, tmp_path):
    (tmp_path / "hang.csv").write_text("s22\n0.5\n")
    assert drive("--path-file", "hang.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["component"] == "22" and found["slope"][0] == pytest.approx(exact["E2"])


def test_contrast_beyond_the_card_is_said_once_on_stderr(exact, capsys):
    assert drive("--steps", "2") == 0
    text = capsys.readouterr().err
    assert text.count("Warning: 'fibre' is 20 times as stiff as 'matrix'") == 1


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--path", "twist"), 2, "'twist' is not one of"),
        (("--component", "44"), 2, "component '44' is unknown"),
        (("--path", "simple_shear", "--component", "11"), 2, "expected 12, 13 or 23"),
        (("--path", "cyclic", "--steps", "5"), 2, "expected a multiple of 4"),
        (("--amplitude", "nan"), 2, "amplitude: 1 of 1 values are not finite"),
        (("--path-file", "none.csv"), 3, "none.csv: cannot be read"),
        (("-o", "none/r.csv"), 2, "folder 'none' does not exist"),
        (("--plot", "r.xyz"), 2, "r.xyz: pictures are written to .png, .svg, .pdf, not to"),
        (("-o", "r.csv", "--plot", "r"), 2, "r: pictures are written to .png, .svg, .pdf"),
        (("--phases", "other.toml"), 3, "other.toml: phase 'fibre' (index 1) has no table"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(
    exact, capsys, tmp_path, options, code, text
):
    (tmp_path / "other.toml").write_text('[matrix]\nlaw = "void"\n')
    before = sorted(tmp_path.iterdir())
    assert drive(*options) == code
    captured = capsys.readouterr()
    assert text in captured.err and captured.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_material_without_stiffness_is_not_converged(exact, capsys, tmp_path):
    (tmp_path / "phases.toml").write_text('["*"]\nlaw = "void"\n')
    assert drive("--steps", "2") == 4
    assert "the tangent is singular for the stress-controlled" in capsys.readouterr().err
