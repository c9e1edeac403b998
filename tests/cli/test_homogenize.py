"""matnet homogenize."""

import json

import numpy as np
import pytest
import torch

from matnet.cli.app import run
from matnet.elasticity import isotropic, laminate, orthotropic_constants
from offline.rve import Rve, write

PHASES = '[soft]\nlaw = "elastic"\nE = 1.0\nnu = 0.3\n[stiff]\nlaw = "elastic"\nE = 20\nnu = 0.2\n'
ONE_SOLID = '[solid]\nlaw = "elastic"\nE = 70e3\nnu = 0.33\n'


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """A laminate in the working folder and its exact stiffness."""
    monkeypatch.chdir(tmp_path)
    phases = np.array([0, 1, 1, 1]).reshape(4, 1, 1)
    write(tmp_path / "cell.npz", Rve(phases=phases, phase_names=("soft", "stiff")))
    (tmp_path / "phases.toml").write_text(PHASES)
    return laminate([isotropic(E=1.0, nu=0.3), isotropic(E=20.0, nu=0.2)], [0.25, 0.75], [1, 0, 0])


def homogenize(*options):
    return run(["homogenize", "--rve", "cell.npz", "--phases", "phases.toml", *options])


def test_json_holds_the_stiffness_in_mandel_form(layers, capsys):
    assert homogenize("--json", "--tol", "1e-9") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["order"] == ["11", "22", "33", "12", "13", "23"]
    assert found["scaling"] == "mandel"
    np.testing.assert_allclose(found["stiffness"], layers, rtol=1e-8, atol=1e-8)
    assert len(found["iterations"]) == len(found["residual"]) == 6
    assert found["seconds"] > 0.0 and 0.0 <= found["error_estimate"] < 1e-9
    assert found["bounds_hold"] == {"voigt": True, "reuss": True, "hashin_shtrikman": True}
    assert found["moduli"]["E1"] == pytest.approx(orthotropic_constants(layers)["E1"])
    assert set(found["record"]) >= {"matnet", "command", "sha256 cell.npz", "sha256 phases.toml"}


def test_table_shows_stiffness_moduli_and_bounds(layers, capsys):
    assert homogenize("--tol", "1e-9") == 0
    captured = capsys.readouterr()
    constants = orthotropic_constants(layers)
    for value in (layers[0, 0], layers[0, 1], layers[3, 3], *constants.values()):
        assert f" {value:.5g} " in captured.out
    assert "Voigt bound" in captured.out and "VIOLATED" not in captured.out
    assert "universal anisotropy" in captured.out and "unit: as the phases' moduli" in captured.out
    assert captured.err == ""


def test_outputs_are_written_once_and_replaced_only_with_force(layers, tmp_path, capsys):
    outputs = ("-o", "c.json", "--plot", "surface.png", "--fields", "fields.vti", "--unit", "GPa")
    assert homogenize(*outputs) == 0
    saved = json.loads((tmp_path / "c.json").read_text())
    np.testing.assert_allclose(saved["stiffness"], layers, rtol=1e-5, atol=1e-5)
    assert (tmp_path / "surface.png").read_bytes().startswith(b"\x89PNG")
    assert "von_mises_23" in (tmp_path / "fields.vti").read_text()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"cell.npz", "phases.toml", "c.json", "surface.png", "fields.vti"}
    capsys.readouterr()
    assert homogenize(*outputs) == 2
    assert "c.json: exists already" in capsys.readouterr().err
    assert homogenize(*outputs, "--force") == 0


def test_iteration_limit_ends_with_exit_code_4(layers, tmp_path, capsys):
    phases = np.random.default_rng(0).integers(0, 2, (6, 6, 6))
    write(tmp_path / "cell.npz", Rve(phases=phases, phase_names=("soft", "stiff")))
    assert homogenize("--max-iterations", "2", "-o", "c.json") == 4
    assert "Homogenisation stopped after 2 iterations" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


def test_residual_tolerance_is_used(layers, capsys):
    assert homogenize("--residual-tol", "1e-8", "--json") == 0
    assert max(json.loads(capsys.readouterr().out)["residual"]) <= 1e-8


def test_disconnected_solid_needs_the_flag_and_has_no_moduli(layers, tmp_path, capsys):
    phases = np.array([0, 1]).reshape(1, 2, 1)
    write(tmp_path / "cell.npz", Rve(phases=phases, phase_names=("void", "solid")))
    (tmp_path / "phases.toml").write_text(ONE_SOLID)
    assert homogenize() == 2
    assert "does not percolate along x2" in capsys.readouterr().err
    assert homogenize("--allow-disconnected") == 0
    assert "the stiffness is singular" in capsys.readouterr().out
    assert homogenize("--allow-disconnected", "--plot", "e.png") == 2
    assert "stiffness is singular" in capsys.readouterr().err
    assert not (tmp_path / "e.png").exists()
    assert homogenize("--allow-disconnected", "--json") == 0
    assert json.loads(capsys.readouterr().out)["moduli"] is None


def test_raw_file_is_read_with_the_hints_of_the_command_line(layers, tmp_path, capsys):
    (tmp_path / "cell.raw").write_bytes(bytes([0, 1, 1, 1]))
    hints = ("--shape", "4,1,1", "--dtype", "uint8", "--phase-names", "soft,stiff")
    assert homogenize("--rve", "cell.raw", *hints, "--json", "--tol", "1e-9") == 0
    found = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(found["stiffness"], layers, rtol=1e-8, atol=1e-8)


def test_cell_of_one_voxel_has_its_phases_stiffness(layers, tmp_path, capsys):
    write(tmp_path / "cell.npz", Rve(phases=np.zeros((1, 1, 1), int), phase_names=("solid",)))
    (tmp_path / "phases.toml").write_text(ONE_SOLID)
    assert homogenize("--json") == 0
    found = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(found["stiffness"], isotropic(E=70e3, nu=0.33), atol=1e-9)
    assert found["error_estimate"] == 0.0


def test_floating_islands_are_mentioned(layers, tmp_path, capsys):
    phases = np.zeros((5, 5, 5), int)
    phases[2, :, :] = phases[:, 2, :] = phases[:, :, 2] = 1
    phases[0, 0, 0] = 1
    write(tmp_path / "cell.npz", Rve(phases=phases, phase_names=("void", "solid")))
    (tmp_path / "phases.toml").write_text(ONE_SOLID)
    assert homogenize() == 0
    assert "Floating islands removed: 1 voxels." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--fields", "a.stl"), 2, "a.stl: unknown suffix '.stl', expected .vti or .vtu"),
        (("-o", "nowhere/c.json"), 2, "folder 'nowhere' does not exist"),
        (("-o", "c.json", "--plot", "a.xyz"), 2, "a.xyz: pictures are written to .png, .svg, .pdf"),
        (("--tol", "2"), 2, "tol"),
        (("--rve", "missing.npz"), 3, "missing.npz"),
        (("--phases", "missing.toml"), 3, "missing.toml"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(
    layers, options, code, text, tmp_path, capsys
):
    before = sorted(tmp_path.iterdir())
    assert homogenize(*options) == code
    assert text in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_missing_cuda_is_wrong_usage(layers, capsys):
    assert homogenize("--device", "cuda") == 2
    assert "torch sees no CUDA devices" in " ".join(capsys.readouterr().err.split())
    assert homogenize("--device", "cpu", "--tol", "1e-3") == 0


def test_worst_stress_is_drawn_and_told(layers, tmp_path, capsys):
    assert homogenize("--worst-stress", "worst.png", "--tol", "1e-9", "--json") == 0
    found = json.loads(capsys.readouterr().out)["worst_stress"]
    # a laminate's deviatoric in-plane strains are those of the whole: the stiff layers see most
    assert found["voxel"][0] in (1, 2, 3) and found["largest"] > np.sqrt(1.5)
    assert np.linalg.norm(found["load"]) == pytest.approx(1.0)
    assert (tmp_path / "worst.png").read_bytes().startswith(b"\x89PNG")
    assert homogenize("--worst-stress", "other.png") == 0
    assert f" {found['largest']:.4g}" in capsys.readouterr().out
    assert homogenize("--worst-stress", "worst.png") == 2
    assert "worst.png: exists already" in capsys.readouterr().err
