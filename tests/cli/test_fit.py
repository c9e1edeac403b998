"""`matnet fit` as a user calls it, on cells of a few voxels."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import matnet
from matnet.cli.app import run
from offline.rve import Rve, write

SMALL = [
    "--select",
    "elastic",
    "--samples",
    "24",
    "--depth",
    "3",
    "--starts",
    "2",
    "--workers",
    "1",
]


@pytest.fixture
def fibre_cell(tmp_path: Path) -> Path:
    """A square fibre, 25 %, in an 8 x 8 x 1 cell."""
    phases = np.zeros((8, 8, 1), int)
    phases[2:6, 2:6] = 1
    path = tmp_path / "fibre.npz"
    write(path, Rve(phases=phases, phase_names=("matrix", "fibre")))
    return path


def fit(cell: Path, out: Path, *more: str) -> int:
    return run(["fit", "--rve", str(cell), "-o", str(out), "--quiet", *SMALL, *more])


def test_fit_writes_a_network_with_the_cells_fractions_and_its_accuracy(
    fibre_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fibre.matnet"
    assert fit(fibre_cell, out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    network = matnet.load(out)
    assert network.phase_names == ("matrix", "fibre")
    np.testing.assert_allclose(network.fractions, [0.75, 0.25], atol=1e-12)
    assert told["card"] == network.card
    assert 0.0 < network.card["elastic_error_mean"] < 0.05
    assert network.card["elastic_error_mean"] <= network.card["elastic_error_worst"]
    assert (tmp_path / "fibre.report.png").stat().st_size > 10_000
    assert {p.name for p in tmp_path.iterdir()} == {
        "fibre.npz", "fibre.matnet", "fibre.report.png"
    }  # fmt: skip


JUDGED = ["--select", "inelastic", "--select-budget", "0.001"]


def test_candidates_are_shown_and_the_chosen_ones_errors_are_on_the_card(
    fibre_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laws = tmp_path / "laws.toml"
    laws.write_text(
        '[matrix]\nlaw = "j2"\nE = 3.0\nnu = 0.3\n'
        'hardening = { kind = "linear", sig_y = 0.01, H = 0.1 }\n'
        '[fibre]\nlaw = "elastic"\nE = 30.0\nnu = 0.2\n'
    )
    out = tmp_path / "x.matnet"
    chosen = [*JUDGED, "--phases", str(laws)]
    assert fit(fibre_cell, out, *chosen, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    card = matnet.load(out).card
    best = [one for one in told["candidates"] if one["chosen"]]
    assert len(best) == 1
    assert np.mean(best[0]["inelastic_errors"]) == pytest.approx(card["inelastic_error_mean"])
    simulated, equal_by_symmetry = (
        ["pull 11", "simple shear 23"],
        ["pull 22", "simple shear 13"],
    )
    assert list(card["selection"]["errors"]) == [*simulated, *equal_by_symmetry]
    assert card["selection"]["laws"]["matrix"]["E"] == 3.0
    assert fit(fibre_cell, out, *chosen, "--force") == 0
    said = capsys.readouterr().out
    assert "judged networks" in said and "chosen" in said
    assert "stress error, mean" in said and "4 paths on 8 x 8 x 1 voxels" in said
    assert run(["info", str(out)]) == 0
    assert "selection.errors.simple shear 23" in capsys.readouterr().out


def test_killed_and_rerun_judged_fit_gives_the_same_bytes(fibre_cell: Path, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed.matnet"
    assert fit(fibre_cell, undisturbed, *JUDGED) == 0
    killed = tmp_path / "killed.matnet"
    command = [sys.executable, "-m", "matnet", "fit", "--rve", str(fibre_cell), "-o", str(killed)]
    process = subprocess.Popen([*command, "--quiet", *SMALL, *JUDGED])
    work = tmp_path / "killed.matnet.work"
    while process.poll() is None and not any(work.rglob("training.npz")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    assert any(work.rglob("*.csv"))
    assert fit(fibre_cell, killed, *JUDGED) == 0
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert not work.exists()


def test_network_predicts_a_phase_pair_it_has_never_seen(fibre_cell: Path, tmp_path: Path) -> None:
    from matnet.elasticity import isotropic
    from offline.homogenization import homogenize
    from offline.rve import read

    out = tmp_path / "fibre.matnet"
    assert fit(fibre_cell, out, "--contrast", "100") == 0
    stiffnesses = np.stack((isotropic(E=3.0, nu=0.38), isotropic(E=72.0, nu=0.22)))
    exact = homogenize(read(fibre_cell), stiffnesses).stiffness
    ours = matnet.load(out).homogenize(stiffnesses)
    assert np.linalg.norm(ours - exact) < 0.05 * np.linalg.norm(exact)


def test_poor_network_is_written_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = np.zeros((6, 6, 6), int)
    phases[:2] = phases[:, :2] = phases[:, :, :2] = 1
    cell = tmp_path / "walls.npz"
    write(cell, Rve(phases=phases, phase_names=("void", "solid")))
    assert fit(cell, tmp_path / "x.matnet") == 0
    said = capsys.readouterr().err
    assert said.startswith("Warning: the network misses C^H by ") and "Raise --depth" in said
    assert said.count("\n") == 1


def test_killed_and_rerun_fit_gives_the_same_bytes(fibre_cell: Path, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed.matnet"
    assert fit(fibre_cell, undisturbed) == 0
    killed = tmp_path / "killed.matnet"
    command = [sys.executable, "-m", "matnet", "fit", "--rve", str(fibre_cell), "-o", str(killed)]
    process = subprocess.Popen([*command, "--quiet", *SMALL])
    work = tmp_path / "killed.matnet.work"
    while process.poll() is None and not any(p.is_file() for p in work.rglob("*")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    assert fit(fibre_cell, killed) == 0
    assert killed.read_bytes() == undisturbed.read_bytes()
    assert not work.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--contrast", "abc"], "'abc' is not a ratio X > 0 or an interval LOW,HIGH"),
        (["--depth", "11"], "11 is not in the range"),
        (["--optimizer", "magic"], "magic"),
        (["--select", "magic"], "magic"),
        (["--select", "inelastic", "--select-budget", "0"], "0.0 is not in the range x>0"),
        (["--phases", "laws.toml"], "laws to select by, which --select elastic does not"),
        (["-o", "nowhere/x.matnet"], "folder 'nowhere' does not exist"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(
    fibre_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    arguments: list[str], says: str,
) -> None:  # fmt: skip
    out = tmp_path / "x.matnet"
    assert fit(fibre_cell, out, *arguments) == 2
    assert says in capsys.readouterr().err
    assert not out.exists()


def test_wrong_laws_are_refused_before_any_work(
    fibre_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laws, out = tmp_path / "laws.toml", tmp_path / "x.matnet"
    judged = ["--select", "inelastic", "--phases", str(laws)]
    assert fit(fibre_cell, out, *judged) == 3
    assert "laws.toml: cannot be read" in capsys.readouterr().err
    laws.write_text('["*"]\nlaw = "elastic"\nE = 1.0\nnu = 0.3\n')
    assert fit(fibre_cell, out, *judged) == 2
    assert "all elastic, expected an inelastic one" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"fibre.npz", "laws.toml"}


def test_existing_output_is_kept_without_force(
    fibre_cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.matnet"
    out.write_text("precious")
    assert fit(fibre_cell, out) == 2
    assert "exists already. Choose another name or pass --force." in capsys.readouterr().err
    assert out.read_text() == "precious"


def test_missing_cell_file_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tmp_path / "none.npz", tmp_path / "x.matnet") == 3
    assert "none.npz" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_solid_that_does_not_percolate_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = np.zeros((8, 8, 8), int)
    phases[2:6, 2:6, :] = 1
    cell = tmp_path / "pillar.npz"
    write(cell, Rve(phases=phases, phase_names=("void", "solid")))
    assert fit(cell, tmp_path / "x.matnet") == 2
    message = capsys.readouterr().err
    assert "percolate" in message and "--allow-disconnected" in message
    assert list(tmp_path.iterdir()) == [cell]
