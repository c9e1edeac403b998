"""Image stacks: which pixel becomes which voxel, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from matnet.errors import FileFormatError
from offline.rve import read

PHASES = np.random.default_rng(2).integers(0, 3, (5, 4, 12)).astype(np.uint8)  # x1, x2, x3


def save_slices(folder: Path, suffix: str) -> None:
    for k in range(PHASES.shape[2]):
        Image.fromarray(PHASES[:, :, k].T).save(folder / f"slice{k}{suffix}")  # no leading zeros


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_folder_is_a_stack_in_natural_order(tmp_path: Path, suffix: str) -> None:
    save_slices(tmp_path, suffix)
    (tmp_path / "notes.txt").write_text("ignored")
    assert (read(tmp_path).phases == PHASES).all()


def test_a_pattern_selects_slices(tmp_path: Path) -> None:
    save_slices(tmp_path, ".png")
    assert (read(tmp_path / "slice?.png").phases == PHASES[:, :, :10]).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_of_a_tiff_run_along_x3(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, PHASES.transpose(2, 1, 0), compression=compression)
    rve = read(path)
    assert (rve.phases == PHASES).all()
    assert rve.source == "stack.tif"


def test_one_image_is_one_voxel_thick(tmp_path: Path) -> None:
    grey = np.array([[0, 200, 90], [255, 10, 91]], dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    rve = read(tmp_path / "a.png", threshold=(91,))
    assert rve.shape == (3, 2, 1)
    assert rve.phases[:, 0, 0].tolist() == [0, 1, 0]
    assert rve.phases[:, 1, 0].tolist() == [1, 0, 1]


def test_sixteen_bit_grey_values_survive(tmp_path: Path) -> None:
    grey = np.array([[300, 40000], [300, 41000]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").phase_names == ("phase300", "phase40000", "phase41000")


def test_wrong_images_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no slices found"):
        read(tmp_path)
    with pytest.raises(FileFormatError, match="no slices found"):
        read(tmp_path / "*.png")
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(FileFormatError, match=r"rgb.png: is a colour image"):
        read(tmp_path / "rgb.png")
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((4, 4, 3), np.uint8), photometric="rgb")
    with pytest.raises(FileFormatError, match=r"rgb.tif: is a colour image"):
        read(tmp_path / "rgb.tif")
    for name in ("a.png", "a.tif"):
        (tmp_path / name).write_bytes(b"not an image at all")
        with pytest.raises(FileFormatError, match=rf"{name}: not a readable"):
            read(tmp_path / name)
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(FileFormatError, match=r"note.txt: is no image"):
        read(tmp_path / "no*")


def test_slices_of_different_size_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 6), dtype=np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(FileFormatError, match=r"b.png: slice has 6 x 4 pixels, but a.png has 5"):
        read(tmp_path)


def test_separately_written_pages_are_slices_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for k in range(PHASES.shape[2]):
            tiff.write(PHASES[:, :, k].T, contiguous=False)
    assert (read(path).phases == PHASES).all()
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.zeros((4, 5), np.uint8))
        tiff.write(np.zeros((6, 5), np.uint8))
    with pytest.raises(FileFormatError, match=r"a.tif: its pages differ in size"):
        read(path)


def test_truncated_images_raise_nothing_else_and_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PHASES.transpose(2, 1, 0))
    Image.fromarray(PHASES[:, :, 0].T).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        good = (tmp_path / name).read_bytes()
        for cut in np.random.default_rng(1).integers(1, len(good), 25):
            (tmp_path / f"cut{name[1:]}").write_bytes(good[:cut])
            try:
                read(tmp_path / f"cut{name[1:]}")
            except FileFormatError as wrong:
                assert "cut" in str(wrong).split(":")[0]
    assert capfd.readouterr() == ("", "")
