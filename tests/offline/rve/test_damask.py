"""DAMASK results: cells with x1 fastest, phase labels, orientations per grain."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from matnet.errors import FileFormatError
from offline.rve import read

LABELS = np.array([b"Al", b"Mg", b"Al", b"Al", b"Mg", b"Al"])  # 3 x 2 x 1 cells, x1 fastest
ENTRY = np.array([0, 0, 1, 2, 1, 3])
HALF = np.sqrt(0.5)
QUARTER_TURN = [HALF, 0.0, 0.0, HALF]  # 90 degrees about x3
IDENTITY = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "result.hdf5"


def save(path: Path, orientations: bool = True, constituents: int = 1) -> None:
    table = np.zeros((6, constituents), dtype=[("label", "S2"), ("entry", "<i8")])
    table["label"], table["entry"] = LABELS[:, None], ENTRY[:, None]
    with h5py.File(path, "w") as file:
        file.attrs["DADF5_version_major"] = 1
        file.attrs["DADF5_version_minor"] = 0
        geometry = file.create_group("geometry")
        geometry.attrs["cells"] = np.array([3, 2, 1], dtype=np.int32)
        geometry.attrs["size"] = np.array([3e-5, 2e-5, 1e-5])
        geometry.attrs["origin"] = np.zeros(3)
        file["cell_to/phase"] = table
        if orientations:
            turned = -np.array(QUARTER_TURN)  # the same rotation with the other sign
            aluminium = np.array([IDENTITY, QUARTER_TURN, turned, IDENTITY])
            file["increment_0/phase/Al/mechanical/O"] = aluminium
            file["increment_0/phase/Mg/mechanical/O"] = np.array([IDENTITY, IDENTITY])


def test_phase_labels_become_phases(path: Path) -> None:
    save(path, orientations=False)
    rve = read(path)
    assert rve.phase_names == ("Al", "Mg")
    assert rve.phases[:, :, 0].tolist() == [[0, 0], [1, 1], [0, 0]]
    assert rve.cell.diagonal() == pytest.approx((3e-5, 2e-5, 1e-5))
    assert rve.orientations is None


def test_each_label_and_orientation_is_a_grain(path: Path) -> None:
    save(path)
    rve = read(path)
    grain = rve.phases[:, :, 0]
    assert rve.n_phases == 3
    assert grain[0, 0] == grain[2, 1]  # both Al, identity
    assert grain[2, 0] == grain[0, 1]  # both Al, turned, with either sign of the quaternion
    assert grain[1, 0] == grain[1, 1]
    assert rve.phase_names[grain[1, 0]] == "Mg_0"
    assert rve.orientations is not None
    assert rve.orientations[grain[0, 0]] == pytest.approx(np.eye(3))


def test_orientations_turn_the_crystal_into_the_cell(path: Path) -> None:
    """Bunge angles (90, 0, 0) degrees: the crystal's first axis points along x2 of the sample."""
    save(path)
    rve = read(path)
    assert rve.orientations is not None
    turn = rve.orientations[rve.phases[2, 0, 0]]
    assert turn @ [1.0, 0.0, 0.0] == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)


def _drop_geometry(file: Any) -> None:
    del file["geometry"].attrs["cells"]


def _drop_table(file: Any) -> None:
    del file["cell_to/phase"]


def _bad_entry(file: Any) -> None:
    table = file["cell_to/phase"][()]
    table["entry"] = 99
    file["cell_to/phase"][...] = table


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_drop_geometry, "group 'geometry' has no 'cells' and 'size'"),
        (_drop_table, "no table 'cell_to/phase' with columns 'label' and 'entry'"),
        (_bad_entry, "not a readable HDF5 file"),
        (lambda f: f["geometry"].attrs.__setitem__("cells", [3, 3, 1]), r"expected \(9, 1\)"),
        (lambda f: f["geometry"].attrs.__setitem__("cells", [3, 0, 1]), "expected three values"),
    ],
)
def test_incomplete_results_get_one_sentence(path: Path, change: Any, sentence: str) -> None:
    save(path)
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_several_constituents_per_cell_are_refused(path: Path) -> None:
    save(path, constituents=2)
    with pytest.raises(FileFormatError, match=r"has shape \(6, 2\), expected \(6, 1\): one const"):
        read(path)
