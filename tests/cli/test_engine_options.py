"""--engine and --weights: every engine gives the same stiffness, and what cannot start says why."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from matnet.cli.app import run
from offline.homogenization.options import SolverOptions
from offline.labels import LabelOptions, SamplingOptions, compute_labels
from offline.rve import Rve, write
from offline.rve.generators import make
from offline.surrogates import weights
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.families import family
from offline.surrogates.registry import find_architecture

PHASES = '[void]\nlaw = "void"\n[solid]\nlaw = "elastic"\nE = 1.0\nnu = 0.35\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A truss of 16^3 voxels, its phases and untrained weights; none are shipped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    save_weights(tmp_path / "run" / "best")
    write(tmp_path / "cell.npz", family("truss").sample(7, 16).rve)
    (tmp_path / "phases.toml").write_text(PHASES)
    return tmp_path


def save_weights(stem):
    torch.manual_seed(0)
    config = CGiNSConfig(channels=4, depth=1, frequencies=2, pcg_steps=20)
    weights.save(stem, CGiNS(config), {"kind": "cgins", "config": asdict(config)})


def homogenize(*options):
    return run(["homogenize", "--rve", "cell.npz", "--phases", "phases.toml", *options])


def stiffness(capsys, *options):
    assert homogenize("--json", "--tol", "1e-8", *options) == 0
    captured = capsys.readouterr()
    return np.array(json.loads(captured.out)["stiffness"]), captured.err


def test_engines_agree_within_the_tolerance(here, capsys):
    fourier, said = stiffness(capsys, "--engine", "fourier")
    assert said == ""
    size = np.linalg.norm(fourier)
    for options in (("--engine", "multigrid"), ("--weights", "run"), ("--engine", "cgins")):
        found, said = stiffness(capsys, *options)
        assert np.linalg.norm(found - fourier) < 2e-8 * size
        assert said.startswith("Note: no learned start: no weights") == (options[1] == "cgins")


def test_learned_start_takes_fewer_iterations(here, capsys):
    counts = []
    for options in (("--engine", "fourier"), ("--engine", "cgins", "--weights", "run/best.json")):
        assert homogenize("--json", "--tol", "1e-4", *options) == 0
        counts.append(max(json.loads(capsys.readouterr().out)["iterations"]))
    assert counts[1] < counts[0]


def test_odd_resolutions_fall_back_with_a_sentence(here, capsys):
    write(here / "cell.npz", make("gyroid", n=11, volume_fraction=0.4))
    plain, _ = stiffness(capsys, "--engine", "fourier")
    found, said = stiffness(capsys, "--engine", "cgins", "--weights", "run")
    np.testing.assert_allclose(found, plain, rtol=1e-6, atol=1e-9)
    assert said == (
        "Note: no learned start: it halves the grid 2 times, and 11 x 11 x 11 voxels are not "
        "multiples of 4. Iterations begin at zero; the result is the same.\n"
    )


def test_damaged_shipped_weights_are_passed_over(here, capsys):
    save_weights(here / "shipped" / "cgins" / "all")
    _, said = stiffness(capsys, "--engine", "cgins")
    assert said == ""
    (here / "shipped" / "cgins" / "all.safetensors").write_bytes(b"\0" * 8)
    _, said = stiffness(capsys, "--engine", "cgins")
    assert "all.safetensors: content differs from the checksum" in said


@pytest.mark.parametrize("damage", ["gone", "bytes", "card"])
def test_named_weights_that_cannot_be_read_end_the_verb(here, capsys, damage):
    file = here / "run" / ("best.json" if damage == "card" else "best.safetensors")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"{" if damage == "card" else b"\0" * 64)
    words = {
        "gone": "best.safetensors: cannot be read (No such file or directory).",
        "bytes": "best.safetensors: content differs from the checksum in best.json.",
        "card": "best.json: not JSON",
    }
    assert homogenize("--engine", "cgins", "--weights", "run", "-o", "c.json") == 3
    assert words[damage] in capsys.readouterr().err
    assert not (here / "c.json").exists()


def test_weights_for_another_engine_are_refused(here, capsys):
    assert homogenize("--engine", "fourier", "--weights", "run") == 2
    assert (
        "--weights are for the engines cgins, phnet, label-free, not for 'fourier'"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("kind", ["phnet", "label-free"])
def test_dense_networks_start_the_solver_too(here, capsys, kind):
    torch.manual_seed(0)
    config = find_architecture(kind).settings[0](width=0.1)
    weights.save(here / kind / "best", config.module(), {"kind": kind, "config": asdict(config)})
    plain, _ = stiffness(capsys, "--engine", "fourier")
    for options in (("--weights", kind), ("--engine", kind, "--weights", f"{kind}/best.json")):
        found, said = stiffness(capsys, *options)
        assert said == ""
        assert np.linalg.norm(found - plain) < 2e-8 * np.linalg.norm(plain)
    _, said = stiffness(capsys, "--engine", kind)
    assert f"train some with `matnet surrogate train {kind}`" in said
    assert homogenize("--engine", "cgins", "--weights", kind) == 2
    assert f"--engine cgins, but {kind}/best.json is a card of '{kind}'" in capsys.readouterr().err


def test_labels_do_not_depend_on_the_engine(here):
    rng = np.random.default_rng(1)
    rve = Rve(phases=rng.integers(0, 2, (8, 8, 8)), phase_names=("a", "b"))
    options = {
        "n": 4,
        "tol": 1e-6,
        "direct": True,
        "sampling": SamplingOptions(contrast=(0.1, 10.0)),
    }
    plain = compute_labels(rve, LabelOptions(**options))
    learned = compute_labels(rve, LabelOptions(**options, engine="cgins:run/best"))
    size = np.linalg.norm(plain.effective, axis=(1, 2))
    gap = np.linalg.norm(learned.effective - plain.effective, axis=(1, 2))
    assert (gap < 2e-6 * size).all()
    assert (gap > 0.0).any()  # the network was asked


def test_fit_falls_back_with_one_sentence(here, capsys):
    phases = np.zeros((6, 6, 1), int)
    phases[2:5, 2:5] = 1
    write(here / "fibre.npz", Rve(phases=phases, phase_names=("matrix", "fibre")))
    small = ("--samples", "12", "--depth", "2", "--starts", "1", "--select", "elastic", "--quiet")
    assert run(["fit", "--rve", "fibre.npz", *small, "--engine", "cgins", "--weights", "run"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("Note: no learned start: it halves the grid 2 times") == 1
    assert (here / "fibre.matnet").is_file()


def test_default_engine_is_that_of_the_library(here):
    assert LabelOptions().engine == SolverOptions().engine == "auto"
