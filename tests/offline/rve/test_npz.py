"""matnet's own cell file: round trips, and one clear sentence for every kind of damage."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError
from offline.rve import Rve, read, write


@pytest.fixture
def full(tmp_path: Path) -> tuple[Path, Rve]:
    rng = np.random.default_rng(3)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rve = Rve(
        phases=rng.integers(0, 3, (4, 5, 6)),
        cell=np.array([[1.0, 0.0, 0.0], [0.2, 1.5, 0.0], [0.0, 0.1, 2.0]]),
        phase_names=("void", "Faser", "Harz"),
        density=rng.random((4, 5, 6)),
        orientations=np.array([np.eye(3), turn, turn @ turn]),
        source="seed 3",
    )
    path = tmp_path / "cell.npz"
    write(path, rve)
    return path, rve


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_a_written_cell_reads_back_equal(full: tuple[Path, Rve]) -> None:
    path, rve = full
    back = read(path)
    assert back == rve
    assert back.source == "seed 3"
    assert back.phase_names == rve.phase_names


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint32, np.float32])
def test_any_number_type_with_whole_numbers_is_phases(tmp_path: Path, dtype: type) -> None:
    phases = np.arange(24).reshape(2, 3, 4) % 2
    assert (read(save(tmp_path / "a.npz", phases=phases.astype(dtype))).phases == phases).all()


def test_density_alone_is_one_solid_phase(tmp_path: Path) -> None:
    density = np.linspace(0.0, 1.0, 24).reshape(2, 3, 4)
    rve = read(save(tmp_path / "a.npz", density=density))
    assert rve.phase_names == ("solid",)
    assert (rve.density == density).all()


def test_fortran_order_and_foreign_keys_are_fine(tmp_path: Path) -> None:
    phases = np.asfortranarray(np.arange(24).reshape(2, 3, 4))
    rve = read(save(tmp_path / "a.npz", phases=phases, notes=np.array("mine"), who=[1]))
    assert (rve.phases == phases).all()


def test_hints_replace_what_the_file_says(full: tuple[Path, Rve]) -> None:
    path = full[0]
    assert read(path, phase_names=("a", "b", "c")).phase_names == ("a", "b", "c")
    assert read(path, voxel_size=0.5).cell.diagonal() == pytest.approx((2.0, 2.5, 3.0))
    assert read(path, cell=(1.0, 2.0, 3.0)).cell.diagonal() == pytest.approx((1.0, 2.0, 3.0))
    with pytest.raises(ParameterError, match=r"cell.npz: this format has no hint 'shape'"):
        read(path, shape=(1, 2, 3))
    with pytest.raises(ParameterError, match="cell and voxel_size are both given"):
        read(path, cell=(1.0, 1.0, 1.0), voxel_size=1.0)
    with pytest.raises(ParameterError, match="voxel_size has 2 values"):
        read(path, voxel_size=(1.0, 2.0))


PHASES = np.zeros((2, 2, 2), dtype=np.uint8)
BAD = [
    ({"phase": PHASES}, r"neither 'phases' nor 'density' is in the archive \(found 'phase'\)"),
    ({"phases": PHASES.astype(complex)}, "'phases' has dtype complex128, expected integers"),
    ({"phases": np.full((2, 2, 2), "a")}, "'phases' has dtype <U1, expected integers"),
    ({"phases": np.full((2, 2, 2), 0.5)}, "holds values that are not whole numbers"),
    ({"phases": np.full((2, 2, 2), np.nan)}, "'phases' holds NaN or infinity"),
    ({"phases": PHASES.astype(int) - 1}, "indices from -1 to -1, expected 0 to 255"),
    ({"phases": PHASES.astype(int) + 256}, "indices from 256 to 256, expected 0 to 255"),
    ({"phases": np.zeros((4, 4), dtype=int)}, r"shape \(4, 4\), expected three axes"),
    ({"phases": np.zeros((2, 0, 2), dtype=int)}, "axis 1 is empty"),
    ({"density": np.zeros((2, 2, 0))}, "axis 2 is empty"),
    ({"density": np.full((2, 2, 2), np.nan)}, "density: 8 of 8 values are not finite"),
    ({"density": np.full((2, 2, 2), -0.1)}, "density ranges from -0.1 to -0.1"),
    ({"phases": PHASES, "density": np.zeros((2, 2, 3))}, r"density has shape \(2, 2, 3\)"),
    ({"phases": PHASES, "cell": np.zeros((3, 3))}, "cell has volume 0"),
    ({"phases": PHASES, "cell": np.eye(2)}, r"cell has shape \(2, 2\)"),
    ({"phases": PHASES, "cell": np.array("a")}, "'cell' has dtype <U1, expected floats"),
    ({"phases": PHASES, "phase_names": np.arange(2)}, "'phase_names' has dtype int64, expected"),
    ({"phases": PHASES, "phase_names": ["a", "a"]}, "repeats a name"),
    ({"phases": PHASES, "orientations": 2 * np.eye(3)[None]}, "Q Q\\^T differs"),
    ({"phases": np.array([[[None]]])}, "array 'phases' is pickled"),
]


@pytest.mark.parametrize(("arrays", "sentence"), BAD, ids=[text[:30] for _, text in BAD])
def test_wrong_content_gets_one_sentence(
    tmp_path: Path, arrays: dict[str, object], sentence: str
) -> None:
    path = save(tmp_path / "bad.npz", **arrays)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(FileFormatError, match=r"x.npz: no such file"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"x.npz: the file is empty"):
        read(path)
    path.write_text("phases = 1")
    with pytest.raises(FileFormatError, match=r"x.npz: not a readable .npz archive \(File is not"):
        read(path)
    np.save(tmp_path / "y.npy", PHASES)
    (tmp_path / "y.npy").rename(path)
    with pytest.raises(FileFormatError, match="not a readable"):
        read(path)
    with pytest.raises(ParameterError, match=r"a.txt: suffix '.txt' is unknown"):
        read(tmp_path / "a.txt")


def test_a_header_that_claims_too_much_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**5, 10**5, 10**5)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("phases.npy", header.getvalue() + b"\0" * 8)
    with pytest.raises(FileFormatError, match=r"claims an array .* of 1000000000000000 bytes"):
        read(path)


def test_damaged_bytes_never_raise_anything_else(full: tuple[Path, Rve], tmp_path: Path) -> None:
    good = full[0].read_bytes()
    rng = np.random.default_rng(11)
    path = tmp_path / "hurt.npz"
    cuts = [good[:n] for n in rng.integers(1, len(good), 60)]
    flips = []
    for _ in range(400):
        bytes_ = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 4)):
            bytes_[place] = rng.integers(0, 256)
        flips.append(bytes(bytes_))
    refused = 0
    for content in cuts + flips:
        path.write_bytes(content)
        try:
            read(path)
        except FileFormatError as wrong:
            refused += 1
            assert str(wrong).startswith(str(path))
    assert refused > 300


def test_writing_leaves_no_half_file(tmp_path: Path) -> None:
    rve = Rve(phases=PHASES)
    with pytest.raises(ParameterError, match=r"cells are written to .npz or .vti, not to '.tif'"):
        write(tmp_path / "a.tif", rve)
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "missing" / "a.npz", rve)
    assert list(tmp_path.iterdir()) == []


def test_density_fields_are_cut_into_phases_at_thresholds(tmp_path: Path) -> None:
    density = np.array([0.0, 0.2, 0.5, 0.9]).reshape(4, 1, 1)
    path = save(tmp_path / "field.npz", density=density, cell=np.diag([4.0, 1.0, 2.0]))
    two, three = read(path, threshold=0.5), read(path, threshold=(0.1, 0.9))
    assert two.phases.ravel().tolist() == [0, 0, 1, 1] and two.phase_names == ("void", "solid")
    assert two.density is None and two.cell[2, 2] == 2.0
    assert three.phases.ravel().tolist() == [0, 1, 1, 2] and three.n_phases == 3
    with pytest.raises(ParameterError, match="threshold cuts a density field, but this cell has"):
        read(save(tmp_path / "phases.npz", phases=np.arange(4).reshape(4, 1, 1)), threshold=0.5)
