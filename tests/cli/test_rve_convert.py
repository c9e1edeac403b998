"""`matnet rve convert`: another format, the same cell."""

import json
from pathlib import Path

import numpy as np
import pytest

from matnet.cli.app import run
from offline.rve import Rve, read, write


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    path = tmp_path / "cell.npz"
    phases = np.random.default_rng(1).integers(0, 2, (3, 4, 5))
    write(path, Rve(phases=phases, phase_names=("void", "solid"), cell=np.diag([3.0, 4.0, 5.0])))
    return path


def test_there_and_back_again(
    cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, back = tmp_path / "cell.vti", tmp_path / "back.npz"
    assert run(["rve", "convert", str(cell), str(image)]) == 0
    assert "cell.vti: Rve 3 x 4 x 5: void" in capsys.readouterr().out
    assert run(["rve", "convert", str(image), str(back), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == [3, 4, 5]
    assert read(back) == read(cell)


def test_an_existing_file_needs_force(
    cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.npz"
    target.write_text("precious")
    assert run(["rve", "convert", str(cell), str(target)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert target.read_text() == "precious"
    assert run(["rve", "convert", str(cell), str(target), "--force"]) == 0
    assert read(target) == read(cell)


def test_failure_writes_nothing(
    tmp_path: Path, cell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(cell.read_bytes()[:100])
    before = sorted(tmp_path.iterdir())
    assert run(["rve", "convert", str(broken), str(tmp_path / "out.npz")]) == 3
    assert "broken.npz: not a readable .npz archive" in capsys.readouterr().err
    assert run(["rve", "convert", str(cell), str(tmp_path / "out.tif")]) == 2
    assert "cells are written to .npz or .vti, not to '.tif'" in capsys.readouterr().err
    assert run(["rve", "convert", str(cell), str(tmp_path / "none" / "out.npz")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
