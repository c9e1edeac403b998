"""Label files, and the folder in which unfinished labels survive a kill.

A label file is HDF5 behind a first block of 512 bytes with a checksum (the HDF5 library can hang on
damaged files, so it sees only whole ones). It has the datasets `phase_stiffness`, `effective`,
`error`, `fractions` and the attributes `format`, `version`, `phase_names`, `rve_hash`, `seed`,
`card` (JSON). While labels are being computed, every full solution becomes one file in the folder
`<file>.work`, written whole or not at all; the final file replaces the folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, MatnetError, ParameterError
from offline.labels.label_set import LabelSet
from offline.labels.snapshots import Snapshot

__all__ = ["SnapshotStore", "append_labels", "read_labels", "seal", "write_labels"]

FORMAT, VERSION = "matnet labels", 1
BLOCK = 512  # bytes before the HDF5 data: the seal, filled up with zeros
SEAL = b"matnet hdf5 sha256 "
ARRAYS = ("phase_stiffness", "effective", "error", "fractions")
MAX_VALUES = 2**31  # of one array; a header that asks for more is not ours


def write_labels(path: str | Path, labels: LabelSet) -> None:
    """Write a label file, whole or not at all."""
    with _new_file(path) as file:
        for name in ARRAYS:
            file.create_dataset(name, data=getattr(labels, name))
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["phase_names"] = json.dumps(labels.phase_names)
        file.attrs["rve_hash"], file.attrs["seed"] = labels.rve_hash, labels.seed
        file.attrs["card"] = json.dumps(labels.card, sort_keys=True)


def read_labels(path: str | Path) -> LabelSet:
    """Read labels from a label file, or from a `.npz` with arrays of the same names.

    A `.npz` needs `phase_stiffness`, `effective` (Mandel) and `fractions`; `phase_names` and
    `error` are optional.

    Raises
    ------
    FileFormatError
        The file cannot be read as labels; the message starts with its name.
    """
    name = Path(path).name
    try:
        raw = _read_npz(path) if name.endswith(".npz") else _read_hdf5(path)
        return LabelSet(**raw)
    except FileFormatError:
        raise
    except KeyError as error:
        raise FileFormatError(
            f"{name}: {error.args[0]} is missing, expected a label file."
        ) from error
    except MatnetError as error:
        raise FileFormatError(f"{name}: {error}") from error
    except (OSError, ValueError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(f"{name}: cannot be read as labels ({reason}).") from error


def append_labels(path: str | Path, labels: LabelSet) -> LabelSet:
    """Add labels of the same cell to a label file and return all of them."""
    joined = read_labels(path).joined(labels)
    write_labels(path, joined)
    return joined


def seal(path: str | Path) -> None:
    """Write the checksum of an HDF5 file's data into the block before it."""
    with Path(path).open("r+b") as file:
        file.seek(BLOCK)
        digest = hashlib.sha256(file.read()).hexdigest().encode()
        file.seek(0)
        file.write(SEAL + digest + b"\n")


@contextmanager
def _new_file(path: str | Path) -> Iterator[h5py.File]:
    with whole_file(path) as beside:
        with h5py.File(beside, "w", userblock_size=BLOCK) as file:
            yield file
        seal(beside)


@contextmanager
def _open(path: str | Path) -> Iterator[h5py.File]:
    content = Path(path).read_bytes()
    if not content.startswith(SEAL):
        raise ValueError("no checksum at its start; a label file, or a .npz, was expected")
    digest = content[len(SEAL) : len(SEAL) + 64]
    if hashlib.sha256(memoryview(content)[BLOCK:]).hexdigest().encode() != digest:
        raise ValueError("its checksum does not fit: it is damaged or was changed")
    with h5py.File(path, "r") as file:
        yield file


def _read_hdf5(path: str | Path) -> dict[str, Any]:
    name = Path(path).name
    with _open(path) as file:
        found = _text(file.attrs.get("format", ""))
        if found != FORMAT:
            raise FileFormatError(f"{name}: format is '{found}', expected '{FORMAT}'.")
        if int(file.attrs["version"]) > VERSION:
            raise FileFormatError(
                f"{name}: version {file.attrs['version']} is newer than {VERSION}; update matnet."
            )
        raw: dict[str, Any] = {key: _array(file, key) for key in ARRAYS}
        raw["phase_names"] = tuple(_json(file, "phase_names", list))
        raw["rve_hash"] = _text(file.attrs["rve_hash"])
        raw["seed"] = int(file.attrs["seed"])
        raw["card"] = _json(file, "card", dict)
    return raw


def _array(file: h5py.File, key: str) -> np.ndarray:
    dataset = file.get(key)
    if not isinstance(dataset, h5py.Dataset):
        raise KeyError(f"dataset '{key}'")
    if dataset.dtype.kind != "f" or dataset.size > MAX_VALUES:
        raise ValueError(f"dataset '{key}' holds {dataset.size} values of type {dataset.dtype}")
    return np.asarray(dataset[()])


def _json(file: h5py.File, key: str, kind: type) -> Any:
    if key not in file.attrs:
        raise KeyError(f"attribute '{key}'")
    value = json.loads(_text(file.attrs[key]))
    if not isinstance(value, kind):
        raise ValueError(f"attribute '{key}' is {type(value).__name__}, expected {kind.__name__}")
    return value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_npz(path: str | Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    for key in ("phase_stiffness", "effective", "fractions"):
        if key not in arrays:
            raise KeyError(f"array '{key}'")
    names = arrays.get("phase_names", [f"phase{i}" for i in range(arrays["fractions"].size)])
    known = {key: arrays[key] for key in ARRAYS if key in arrays}
    return {**known, "phase_names": tuple(map(str, names))}


class SnapshotStore:
    """Full solutions of one run, one file each, in a folder beside the label file.

    Parameters
    ----------
    path : path
        The label file that is to come.
    key : mapping
        Everything the solutions depend on (JSON-able). A folder with another key is refused.

    Raises
    ------
    ParameterError
        The folder belongs to another run.
    FileFormatError
        The folder's description cannot be read.
    """

    def __init__(self, path: str | Path, key: Mapping[str, Any]) -> None:
        self.folder = Path(path).with_name(Path(path).name + ".work")
        about = self.folder / "about.json"
        wanted = json.dumps(key, sort_keys=True)
        if about.exists():
            if _read_text(about) != wanted:
                raise ParameterError(
                    f"{self.folder.name} holds unfinished labels of another cell or other options. "
                    "Finish them with their own options, remove the folder, or choose another file."
                )
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(about) as beside:
                beside.write_text(wanted)

    def get(self, index: int) -> Snapshot | None:
        """The stored solution of a sample, or None.

        Raises
        ------
        FileFormatError
            Its file is damaged.
        """
        path = self._path(index)
        if not path.exists():
            return None
        try:
            with _open(path) as file:
                return Snapshot(
                    index=index,
                    effective=np.asarray(file["effective"][()]).reshape(6, 6),
                    error=float(file.attrs["error"]),
                    fields=np.asarray(file["fields"][()], dtype=np.float32).reshape(-1, 6),
                    iterations=int(file.attrs["iterations"]),
                    seconds=float(file.attrs["seconds"]),
                )
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise FileFormatError(
                f"{path.name}: cannot be read as a full solution ({error}). Remove it."
            ) from error

    def put(self, snapshot: Snapshot) -> None:
        """Keep a solution; its file appears whole or not at all."""
        with _new_file(self._path(snapshot.index)) as file:
            file["effective"], file["fields"] = snapshot.effective, snapshot.fields
            for name in ("error", "iterations", "seconds"):
                file.attrs[name] = getattr(snapshot, name)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, index: int) -> Path:
        return self.folder / f"sample-{index:06d}.h5"


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path.name}: cannot be read ({error}).") from error
