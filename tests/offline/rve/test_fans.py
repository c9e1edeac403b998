"""FANS microstructures: where the array lies and which way its axes run."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from matnet.errors import FileFormatError, MissingExtraError
from offline.rve import read

PHASES = np.random.default_rng(8).integers(0, 3, (3, 4, 5)).astype(np.uint16)  # x1, x2, x3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "micro.h5"


def save(path: Path, **arrays: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("_", "/")] = values


def test_the_only_integer_array_is_found_wherever_it_lies(path: Path) -> None:
    save(path, sphere_3x4x5_ms=PHASES, strain=np.zeros((3, 4, 5, 6)), list=np.arange(5))
    rve = read(path, cell=(1.0, 2.0, 4.0))
    assert (rve.phases == PHASES).all()
    assert rve.source == "micro.h5:/sphere/3x4x5/ms"
    assert rve.cell.diagonal().tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("order", ["zyx", "ZYX", np.bytes_(b"zyx")])
def test_permute_order_zyx_swaps_the_axes(path: Path, order: str) -> None:
    with h5py.File(path, "w") as file:
        file["a/load0/time_step0/microstructure"] = PHASES.transpose(2, 1, 0)[..., None]
        file["a/load0/time_step0/microstructure"].attrs["permute_order"] = order
    assert (read(path).phases == PHASES).all()


def test_permute_order_xyz_does_not(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["ms"] = PHASES
        file["ms"].attrs["permute_order"] = "xyz"
    assert (read(path).phases == PHASES).all()


def test_several_arrays_need_the_dataset_hint(path: Path) -> None:
    save(path, a_ms=PHASES, b_ms=PHASES[::-1])
    with pytest.raises(FileFormatError, match=r"2 integer arrays.*one of: /a/ms, /b/ms"):
        read(path)
    for name in ("/b/ms", "b/ms"):
        assert (read(path, dataset=name).phases == PHASES[::-1]).all()
    with pytest.raises(FileFormatError, match=r"at '/c' \(found: /a/ms, /b/ms\)"):
        read(path, dataset="c")


def test_damage_gets_one_sentence(path: Path) -> None:
    save(path, density=np.zeros((3, 4, 5)))
    with pytest.raises(FileFormatError, match=r"micro.h5: 0 integer arrays with three axes"):
        read(path)
    path.write_bytes(b"no HDF5 at all")
    with pytest.raises(FileFormatError, match=r"micro.h5: not a readable HDF5 file"):
        read(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("ms", shape=(10**4, 10**4, 10**4), dtype="u2", chunks=(10, 10, 10))
    with pytest.raises(FileFormatError, match="the header claims an array"):
        read(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("ms", shape=(0, 2, 2), dtype="u2")
    with pytest.raises(FileFormatError, match="an axis is empty"):
        read(path)


def test_truncated_files_raise_nothing_else(path: Path) -> None:
    save(path, a_ms=PHASES)
    good = path.read_bytes()
    for cut in np.random.default_rng(0).integers(1, len(good), 25):
        path.write_bytes(good[:cut])
        with pytest.raises(FileFormatError, match=r"micro.h5: "):
            read(path)


def test_a_missing_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, ms=PHASES)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"h5py .* pip install 'matnet\[offline\]'"):
        read(path)
