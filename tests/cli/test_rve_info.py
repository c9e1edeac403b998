"""`matnet rve info`: the facts, as a table and as JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

from matnet.cli.app import run
from offline.rve import Rve, write


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    phases = np.zeros((4, 6, 8), dtype=int)
    phases[:, 0, 0] = 1  # a rod along x1
    phases[2, 3, 4] = 1  # an island
    path = tmp_path / "cell[1].npz"  # brackets are no markup
    write(path, Rve(phases=phases, phase_names=("void", "so[lid]"), cell=np.diag([1.0, 3.0, 2.0])))
    return path


def test_json_holds_sizes_fractions_and_connectivity(
    cell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rve", "info", str(cell), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["shape"] == [4, 6, 8]
    assert facts["voxel_size"] == pytest.approx([0.25, 0.5, 0.25])
    assert facts["volume"] == pytest.approx(6.0)
    assert facts["phases"][1] == {"name": "so[lid]", "fraction": pytest.approx(5 / 192)}
    assert facts["percolates"] == [True, False, False]
    assert facts["islands"] == {"count": 1, "voxels": 1}
    assert facts["warnings"][0].startswith("the solid does not percolate along x2 and x3")
    assert facts["warnings"][1].startswith("1 floating islands (1 voxels)")


def test_the_table_is_for_people_and_warnings_go_to_stderr(
    cell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rve", "info", str(cell)]) == 0
    captured = capsys.readouterr()
    for text in ("cell[1].npz", "so[lid]", "voxel size [length]", "2.604 %", "1 (1 voxels)"):
        assert text in captured.out
    assert "Warning: the solid does not percolate along x2 and x3" in captured.err


def test_a_picture_is_drawn_and_never_overwritten(
    cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "cell.png"
    assert run(["rve", "info", str(cell), "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(["rve", "info", str(cell), "--plot", str(picture)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["rve", "info", str(cell), "--plot", str(picture), "--force"]) == 0


def test_hints_reach_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = tmp_path / "scan.raw"
    raw.write_bytes(bytes([0, 100, 200, 255]))
    command = ["rve", "info", str(raw), "--json", "--shape", "4,1,1", "--threshold", "150"]
    assert run([*command, "--phase-names", "void,solid", "--voxel-size", "2"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [phase["fraction"] for phase in facts["phases"]] == [0.5, 0.5]
    assert facts["voxel_size"] == [2.0, 2.0, 2.0]
    assert run([*command, "--cell", "1,0,0,0.5,1,0,0,0,1"]) == 0
    assert json.loads(capsys.readouterr().out)["cell"][1] == [0.5, 1.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["missing.npz"], 3, "missing.npz: no such file"),
        (["a.npz", "--plot", "a.xyz"], 2, "a.xyz: pictures are written to .png, .pdf, .svg, .jpg"),
        (["a.docx"], 2, "suffix '.docx' is unknown"),
        (["a.npz", "--shape", "1,x"], 2, "'1,x' is not a list of integers"),
        (["a.npz", "--cell", "1,2"], 2, "'1,2' has 2 values, expected 3 or 9"),
        ([], 2, "Missing argument 'CELL'"),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rve", "info", *arguments]) == code
    assert sentence in capsys.readouterr().err


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rve", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("make", "info", "convert"))
    assert run(["rve", "nonsense"]) == 2
