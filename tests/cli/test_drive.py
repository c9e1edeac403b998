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
PERFECT = '["*"]\nlaw = "j2"\nE = 1.0\nnu = 0.3\nhardening = { kind = "linear", sig_y = 0.01 }\n'
BRITTLE = '["*"]\nlaw = "damage"\nE = 1.0\nnu = 0.3\nkappa_0 = 1e-3\nkappa_f = 4e-3\n'
RELAXING = '["*"]\nlaw = "viscoelastic"\nE = 1.0\nnu = 0.3\ng = [0.5]\nk = [0.5]\ntau = [1.0]\n'
WARM = "".join(
    f'[{name}]\nlaw = "elastic"\nE = 1.0\nnu = 0.3\nthermal_expansion = 1e-4\n'
    "reference_temperature = 20.0\n"
    for name in ("matrix", "fibre")
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
    for name, text in {
        "perfect": PERFECT,
        "brittle": BRITTLE,
        "relaxing": RELAXING,
        "warm": WARM,
    }.items():
        (tmp_path / f"{name}.toml").write_text(text)
    C = laminate([isotropic(E=1.0, nu=0.3), isotropic(E=20.0, nu=0.2)], [0.4, 0.6], [0, 0, 1])
    return orthotropic_constants(C)


def drive(*options, phases="phases.toml"):
    return run(["drive", "layers.matnet", "--phases", phases, *options])


def table(path):
    """Columns of a CSV by name, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    cells = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    return dict(zip(lines[0].split(","), cells.T, strict=True))


def test_uniaxial_stress_prints_modulus_and_poisson_ratios(exact, capsys):
    assert drive("--load", "uniaxial-33:0.01x40") == 0
    captured = capsys.readouterr()
    assert "uniaxial stress 33, 40 steps" in captured.out and " nu 31 " in captured.out
    assert f"{exact['E3']:.6g}" in captured.out and f"{0.01 * exact['E3']:.6g}" in captured.out
    nu31 = exact["nu13"] * exact["E3"] / exact["E1"]
    assert f"{nu31:.6g}" in captured.out
    assert "phases at the end" in captured.out and "mean stress 33" in captured.out


def test_json_holds_the_whole_curve(exact, capsys):
    assert drive("--load", "uniaxial-11:0.02x4", "--json") == 0
    captured = json.loads(capsys.readouterr().out)
    assert captured["scaling"] == "mandel" and captured["order"][3:] == ["12", "13", "23"]
    assert np.shape(captured["stress"]) == np.shape(captured["strain"]) == (5, 6)
    assert captured["peak_stress"] == pytest.approx(0.02 * exact["E1"])
    assert captured["slope"] == pytest.approx([exact["E1"]] * 4)
    assert captured["stored"][-1] == pytest.approx(0.5 * 0.02**2 * exact["E1"])
    assert captured["dissipated"] == [0.0] * 5


@pytest.mark.parametrize(
    ("load", "peak", "factor"),
    [
        ("shear-13:0.02", "G13", 1.0),
        ("cyclic-22:0.02x40x2", "E2", 1.0),
        ("uniaxial-12:0.02", "G12", 2.0),
    ],
)
def test_loads_reach_the_exact_peak(exact, capsys, load, peak, factor):
    assert drive("--load", load, "--json") == 0
    found = json.loads(capsys.readouterr().out)["peak_stress"]
    assert found == pytest.approx(0.02 * factor * exact[peak])


@pytest.mark.parametrize(
    "load", ["strain-11:0.02", "biaxial:0.02x8", "hydrostatic:0.02x8", "plane-stress:0.01x8"]
)
def test_other_loads_print_a_table(exact, capsys, load):
    assert drive("--load", load) == 0
    assert "peak stress 11" in capsys.readouterr().out


def test_show_chooses_the_component(exact, capsys):
    assert drive("--load", "uniaxial-11:0.02x4", "--show", "33") == 0
    assert "strain 33" in capsys.readouterr().out


def test_outputs_record_their_origin_and_are_not_overwritten(exact, capsys, tmp_path):
    load = ("--load", "uniaxial-11:0.02x2")
    assert drive("-o", "r.csv", "--plot", "r.png", "--local", "l.csv", *load) == 0
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[0].startswith("# matnet: ") and lines[1].startswith("# command: matnet drive ")
    assert lines[2].startswith("# sha256 layers.matnet: ") and lines[4].startswith("t,e11,e22,e33,")
    assert (tmp_path / "l.csv").read_text().splitlines()[:4] == lines[:4]
    picture = (tmp_path / "r.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and b"sha256 phases.toml" in picture
    longer = ("--load", "uniaxial-11:0.02x4")
    for option in ("--out", "--local"):
        name = {"--out": "r.csv", "--local": "l.csv"}[option]
        assert drive(option, name, *longer) == 2
        wanted = f"{name}: exists already. Choose another name or pass --force."
        assert wanted in capsys.readouterr().err
    assert (tmp_path / "r.csv").read_text().splitlines() == lines
    assert drive("-o", "r.csv", *longer, "--force") == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == len(lines) + 2


def test_response_holds_all_twelve_the_phase_means_and_the_energies(exact, tmp_path):
    assert drive("-o", "r.csv", "--load", "uniaxial-33:0.01x5") == 0
    r = table(tmp_path / "r.csv")
    parts = ("11", "22", "33", "12", "13", "23")
    twelve = [f"e{part}" for part in parts] + [f"s{part}" for part in parts]
    phases = [f"{phase}_{title}" for phase in ("matrix", "fibre") for title in twelve]
    assert list(r) == ["t", *twelve, "stored", "dissipated", *phases]
    assert np.allclose(r["t"], np.linspace(0, 1, 6)) and np.allclose(r["e33"], 0.01 * r["t"])
    assert np.allclose(r["s33"], exact["E3"] * r["e33"])
    for part in twelve:
        means = 0.4 * r[f"matrix_{part}"] + 0.6 * r[f"fibre_{part}"]
        assert np.allclose(means, r[part], rtol=1e-9, atol=1e-12)
    # across the layers, stress is the same in both
    assert np.allclose(r["matrix_s33"], r["s33"], rtol=1e-9)
    assert np.allclose(r["stored"], 0.5 * r["s33"] * r["e33"])


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_pictures_may_be_vector_graphics(exact, tmp_path, suffix):
    assert drive("--plot", f"r.{suffix}", "--load", "uniaxial:0.02x2", "--unit", "GPa") == 0
    assert (tmp_path / f"r.{suffix}").stat().st_size > 1000


def test_path_table_is_followed(exact, capsys, tmp_path):
    (tmp_path / "pull.csv").write_text("t,e33\n1,0.01\n2,0.03\n")
    assert drive("--path", "pull.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == "pull" and found["component"] == "33"
    assert found["peak_stress"] == pytest.approx(0.03 * exact["E3"])


def test_stress_driven_path_table_shows_its_component(exact, capsys, tmp_path):
    (tmp_path / "hang.csv").write_text("s22\n0.5\n")
    assert drive("--path", "hang.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["component"] == "22" and found["slope"][0] == pytest.approx(exact["E2"])


def test_a_written_response_drives_the_same_point_again(exact, capsys, tmp_path):
    """Strain and stress columns of a response, each alone, are a path to the same curve."""
    assert drive("-o", "r.csv", "--load", "uniaxial-11:0.02x3") == 0
    rows = [line.split(",") for line in (tmp_path / "r.csv").read_text().splitlines()[4:]]
    for part in (slice(1, 7), slice(7, 13)):
        text = "".join(",".join([row[0], *row[part]]) + "\n" for row in rows)
        (tmp_path / "again.csv").write_text(text)
        assert drive("--path", "again.csv", "-o", "s.csv", "--force") == 0
        first, second = table(tmp_path / "r.csv"), table(tmp_path / "s.csv")
        for name in ("e11", "e22", "s11"):
            assert np.allclose(first[name], second[name], rtol=1e-8, atol=1e-12)


def test_temperature_column_expands_the_layers(exact, tmp_path):
    (tmp_path / "heat.csv").write_text("t,T,s11\n0,20,0\n1,70,0\n2,120,0\n")
    assert drive("--path", "heat.csv", "-o", "r.csv", phases="warm.toml") == 0
    r = table(tmp_path / "r.csv")
    assert r["T"].tolist() == [20.0, 70.0, 120.0]
    assert np.allclose(r["e11"], [0.0, 5e-3, 1e-2], rtol=1e-8)


def test_relaxation_and_creep_are_printed_over_time(exact, capsys, tmp_path):
    assert drive("--load", "relaxation-11:0.01@3x6", "-o", "r.csv", phases="relaxing.toml") == 0
    r = table(tmp_path / "r.csv")
    ramp = 3e-3  # a linear ramp, then the relaxation modulus 0.5 + 0.5 exp(-t)
    decay = (np.exp(-(r["t"] - ramp)) - np.exp(-r["t"]))[1:] / ramp
    assert np.allclose(r["s11"][1:], 0.01 * (0.5 + 0.5 * decay), rtol=1e-6)
    assert np.all(np.diff(r["dissipated"]) > 0.0)
    assert "slope" not in capsys.readouterr().out  # of a strain that rests
    picture = ("--plot", "c.png")
    assert drive("--load", "creep-11:0.01@3x6", *picture, phases="relaxing.toml") == 0
    text = capsys.readouterr().out
    assert "creep 11, 7 steps" in text and "initial E" not in text


def test_local_fields_are_written_for_each_step_and_phase(exact, tmp_path):
    assert drive("--load", "uniaxial-11:0.02x3", "--local", "l.csv", phases="perfect.toml") == 0
    text = (tmp_path / "l.csv").read_text().splitlines()
    lines = [line.split(",") for line in text if not line.startswith("#")]
    assert lines[0] == ["t", "phase", "quantity", "mean", "min", "q05", "q50", "q95", "max"]
    yielded = [line for line in lines if line[2] == "von_mises" and line[0] == "1"]
    assert [line[1] for line in yielded] == ["matrix", "fibre"]
    assert float(yielded[0][3]) == pytest.approx(0.01)  # the yield stress
    assert {line[2] for line in lines[1:]} >= {"principal_stress", "equivalent_strain", "p"}


def test_contrast_beyond_the_card_is_said_once_on_stderr(exact, capsys):
    assert drive("--load", "uniaxial-11:0.02x2") == 0
    text = capsys.readouterr().err
    assert text.count("Warning: 'fibre' is 20 times as stiff as 'matrix'") == 1


def test_load_beyond_the_peak_says_how_far_it_got_and_writes_nothing(exact, capsys, tmp_path):
    (tmp_path / "hang.csv").write_text("t,s11\n0,0\n1,0.005\n2,0.02\n")
    assert drive("--path", "hang.csv", "-o", "r.csv", phases="perfect.toml") == 4
    captured = capsys.readouterr()
    assert captured.out == "" and not (tmp_path / "r.csv").exists()
    assert captured.err.count("Error: step 2 of 2 (hang) failed: ") == 1
    assert "s11 = 0.009" in captured.err or "s11 = 0.01 " in captured.err
    assert "prescribe the strain instead, or a lower stress." in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(("law", "top"), [("perfect", 0.01), ("brittle", 1e-3)])
def test_partial_writes_what_was_reached(exact, capsys, tmp_path, law, top):
    options = ("-o", "r.csv", "--local", "l.csv", "--plot", "r.png", "--partial")
    assert drive("--load", "creep-11:0.02x4", *options, phases=f"{law}.toml") == 4
    captured = capsys.readouterr()
    assert "creep 11, 1 steps" in captured.out and "Error: step 1 of 5" in captured.err
    r = table(tmp_path / "r.csv")
    assert r["s11"].max() == pytest.approx(top, rel=0.02)  # the peak of the law
    assert (tmp_path / "r.csv").read_text().splitlines()[4].startswith("# stopped: step 1 of 5")
    assert (tmp_path / "l.csv").exists() and (tmp_path / "r.png").exists()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--load", "twist-11:1"), 2, "load 'twist-11:1': kind 'twist' is unknown, expected one"),
        (("--load", "uniaxial-11"), 2, "cannot be read, expected KIND-COMPONENT:VALUE"),
        (("--load", "uniaxial-44:1"), 2, "component '44' is unknown"),
        (("--load", "shear-11:1"), 2, "expected 12, 13 or 23"),
        (("--load", "cyclic-11:0.02x5"), 2, "expected a multiple of 4"),
        (("--load", "uniaxial-11:nan"), 2, "amplitude: 1 of 1 values are not finite"),
        (("--load", "creep-11:nan"), 2, "not finite"),
        (("--load", "uniaxial-11:1e9999"), 2, "not finite"),
        (("--load", "uniaxial-11:0.01@0"), 2, "duration = 0, expected a finite time > 0"),
        (("--load", "uniaxial-11:0.01x0"), 2, "steps = 0, expected 1 to"),
        (("--load", "uniaxial:0.01", "--show", "44"), 2, "component '44' is unknown"),
        ((), 2, "expected either --path with a CSV table or --load"),
        (("--path", "a.csv", "--load", "uniaxial:1"), 2, "expected either --path with a CSV"),
        (("--path", "none.csv"), 3, "none.csv: cannot be read"),
        (("--path", "nan.csv"), 3, "nan.csv: line 3: 'nan' is not a finite number"),
        (("--path", "still.csv"), 3, "still.csv: line 4: time 1 follows 1, expected increasing"),
        (("--path", "title.csv"), 3, "title.csv: column 'e21' is unknown, expected t, e11 .. e23"),
        (("--load", "uniaxial:1", "-o", "none/r.csv"), 2, "folder 'none' does not exist"),
        (("--load", "uniaxial:1", "--local", "none/r.csv"), 2, "folder 'none' does not exist"),
        (
            ("--load", "uniaxial:1", "--plot", "r.xyz"),
            2,
            "r.xyz: pictures are written to .png, .svg, .pdf, not to",
        ),
        (
            ("--load", "uniaxial:1", "--phases", "other.toml"),
            3,
            "other.toml: phase 'fibre' (index 1) has no table",
        ),
        (("--load", "uniaxial:1", "--phases", "no.toml"), 3, "no.toml"),
        (("--load", "uniaxial:1", "--amplitude", "1"), 2, "No such option"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(
    exact, capsys, tmp_path, options, code, text
):
    (tmp_path / "other.toml").write_text('[matrix]\nlaw = "void"\n')
    (tmp_path / "nan.csv").write_text("t,e11\n0,0\n1,nan\n")
    (tmp_path / "still.csv").write_text("t,e11\n0,0\n1,0.01\n1,0.02\n")
    (tmp_path / "title.csv").write_text("t,e21\n1,0.01\n")
    before = sorted(tmp_path.iterdir())
    assert drive(*options) == code
    captured = capsys.readouterr()
    assert text in captured.err and captured.out == ""
    assert "Traceback" not in captured.err and captured.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_material_without_stiffness_is_not_converged(exact, capsys, tmp_path):
    (tmp_path / "phases.toml").write_text('["*"]\nlaw = "void"\n')
    assert drive("--load", "uniaxial-11:0.02x2") == 4
    assert "the tangent is singular for the stress-controlled" in capsys.readouterr().err
