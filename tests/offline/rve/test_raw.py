"""Raw dumps: axis order, number types, thresholds, sizes that do not fit."""

from pathlib import Path

import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError
from offline.rve import read

PHASES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scan.raw"


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<f8"])
def test_order_and_type_are_respected(path: Path, order: str, dtype: str) -> None:
    path.write_bytes(PHASES.astype(dtype).tobytes(order=order))  # type: ignore[arg-type]
    rve = read(path, shape=PHASES.shape, dtype=dtype, order=order)
    assert (rve.phases == PHASES).all()
    assert rve.phase_names == ("phase0", "phase1", "phase2")


def test_x1_runs_fastest_by_default(path: Path) -> None:
    path.write_bytes(bytes([0, 1, 0, 1, 0, 1, 0, 1]))
    assert read(path, shape=2).phases[:, 0, 0].tolist() == [0, 1]


def test_thresholds_are_lower_bounds_of_the_next_phase(path: Path) -> None:
    grey = np.array([0, 99, 100, 101, 199, 200, 250, 255], dtype=np.uint8)
    path.write_bytes(grey.tobytes())
    rve = read(path, shape=(8, 1, 1), threshold=(100, 200))
    assert rve.phases.ravel().tolist() == [0, 0, 1, 1, 1, 2, 2, 2]


def test_masks_are_renumbered_and_keep_their_label_as_name(path: Path) -> None:
    path.write_bytes(bytes([0, 255, 255, 0]))
    rve = read(path, shape=(4, 1, 1))
    assert rve.phases.ravel().tolist() == [0, 1, 1, 0]
    assert rve.phase_names == ("phase0", "phase255")
    assert read(path, shape=(4, 1, 1), phase_names=("void", "solid")).void.tolist() == [True, False]


def test_bad_hints_and_sizes_are_named(path: Path) -> None:
    path.write_bytes(PHASES.tobytes())
    cases: list[tuple[dict[str, object], type[Exception], str]] = [
        ({}, ParameterError, "a raw file has no header, pass shape"),
        ({"shape": (2, 3)}, ParameterError, r"shape is \(2, 3\), expected three whole numbers > 0"),
        ({"shape": (2, 3, 0)}, ParameterError, "expected three whole numbers > 0"),
        ({"shape": (2, 3, 5)}, FileFormatError, r"has 24 bytes, but shape \(2, 3, 5\) of uint8"),
        ({"shape": (2, 3, 4), "order": "X"}, ParameterError, "order is 'X'"),
        ({"shape": (2, 3, 4), "dtype": "what"}, ParameterError, "dtype 'what' is unknown"),
        ({"shape": (2, 3, 4), "dtype": "O"}, ParameterError, "dtype 'O' is no number type"),
        ({"shape": (2, 3, 4), "threshold": (2, 1)}, ParameterError, "in ascending order"),
    ]
    for hints, kind, sentence in cases:
        with pytest.raises(kind, match=sentence) as caught:
            read(path, **hints)
        assert kind is not FileFormatError or str(caught.value).startswith(str(path))


def test_floats_that_are_no_labels_ask_for_a_threshold(path: Path) -> None:
    path.write_bytes(np.linspace(0.0, 1.0, 8).tobytes())
    with pytest.raises(FileFormatError, match=r"8 different values from 0 to 1.*pass threshold"):
        read(path, shape=2, dtype="float64")
    path.write_bytes(np.full(8, np.nan).tobytes())
    with pytest.raises(FileFormatError, match="NaN or infinity"):
        read(path, shape=2, dtype="float64", threshold=(0.5,))
