"""Two-dimensional cells with labels: drawn by seed, homogenised, stored whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from matnet.atomic import whole_file
from matnet.elasticity import isotropic
from matnet.errors import FileFormatError, ParameterError, ShapeError
from offline.rve.generators.trigonometric import trigonometric_field
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images, plane_strain_stiffness

__all__ = [
    "DOCUMENTED_CELLS",
    "MODE_SETS",
    "LabelledCells",
    "draw_cells",
    "generate_2d",
    "kept",
    "kept_cells",
    "load_cells",
    "printer_phases",
    "read_arrays",
    "save_cells",
]

MODE_SETS = (3, 5, 7, 9, 11)
T = TypeVar("T")
THRESHOLDS = 25  # equally spaced within (0, 1)
FRACTION_LIMITS = (0.01, 0.99)  # of phase 0; cells beyond are dropped
DOCUMENTED_CELLS = 219_378  # with per_field = 25
LABEL_TOL = 1e-4  # relative error of labels, a twentieth of the best networks'
PART = 1024  # cells per file of an unfinished set
FORMAT = "matnet plane cells 1"


def printer_phases() -> np.ndarray:
    """The phases of the paper (2, 3, 3) [MPa]: E = 1000, nu = 0.3 and E = 1, nu = 0.49.

    Plane strain, Mandel 11 22 12. Phase 0 is the stiff one.
    """
    return plane_strain_stiffness([isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledCells:
    """Pictures and effective stiffness of n cells.

    Attributes
    ----------
    bits : (n, ceil(res^2 / 8)) uint8
        Pictures, one bit per pixel (`numpy.packbits`); see `images`.
    resolution : int
    stiffness : (n, 3, 3)
        C^H, Mandel 11 22 12 [unit of the phases].
    phases : (2, 3, 3)
        Stiffness of phase 0 (pixel 0) and phase 1 (pixel 1).
    amplitudes : (n, 11, 11) float32
        Centred; zeros for pictures from elsewhere.
    tau : (n,)
        Thresholds; NaN for pictures from elsewhere.
    field : (n,) int
        Cells of one field (equal amplitudes) share this number: keep them on one side of a split.
    """

    bits: np.ndarray
    resolution: int
    stiffness: np.ndarray
    phases: np.ndarray
    amplitudes: np.ndarray
    tau: np.ndarray
    field: np.ndarray

    def __len__(self) -> int:
        return len(self.stiffness)

    @property
    def images(self) -> np.ndarray:
        """Phase numbers (n, res, res) uint8."""
        pixels = self.resolution**2
        flat = np.unpackbits(self.bits, axis=1, count=pixels)
        return np.asarray(flat.reshape(-1, self.resolution, self.resolution))

    @property
    def c0(self) -> np.ndarray:
        """Volume fraction (n,) of phase 0."""
        return np.asarray(1.0 - np.unpackbits(self.bits, axis=1).sum(axis=1) / self.resolution**2)

    @property
    def gap(self) -> SpectralGap:
        """The bounds of every cell."""
        c0 = self.c0
        return SpectralGap.from_phases(self.phases, np.stack([c0, 1.0 - c0], axis=1))

    def pick(self, index: Any) -> LabelledCells:
        """Some of the cells."""
        rows = ("bits", "stiffness", "amplitudes", "tau", "field")
        return replace(self, **{name: getattr(self, name)[index] for name in rows})

    def split(self, share: float, seed: int) -> tuple[LabelledCells, LabelledCells]:
        """Cells to train with and about `share` of them to judge by, no field on both sides."""
        if not 0.0 < share < 1.0:
            raise ParameterError(f"share is {share:g}, expected a value between 0 and 1.")
        numbers = np.unique(self.field)
        chosen = np.random.default_rng(seed).permutation(numbers)[: round(share * len(numbers))]
        aside = np.isin(self.field, chosen)
        return self.pick(~aside), self.pick(aside)


def draw_cells(
    seed: int, resolution: int, modes: Sequence[int] = MODE_SETS, per_field: int = THRESHOLDS
) -> Iterator[tuple[int, np.ndarray, float, np.ndarray]]:
    """Endless cells: field number, amplitudes (11, 11), tau, picture (res, res) of 0 and 1.

    Field g depends on (seed, g) alone. The mode sets take turns; amplitudes are uniform in
    [-1, 1]; `per_field` of the 25 thresholds are drawn without repetition. Cells with less
    than 1 % of a phase are left out.
    """
    field_number = 0
    largest = max(MODE_SETS)
    while True:
        rng = np.random.default_rng([seed, field_number])
        size = modes[field_number % len(modes)]
        amplitudes = np.zeros((largest, largest))
        edge = (largest - size) // 2
        inner = slice(edge, largest - edge)
        amplitudes[inner, inner] = rng.uniform(-1.0, 1.0, (size, size)).astype(np.float32)
        level = trigonometric_field(amplitudes, (resolution, resolution))
        steps = rng.permutation(np.arange(1, THRESHOLDS + 1))[:per_field]
        for tau in steps / (THRESHOLDS + 1.0):
            image = (level >= tau).astype(np.uint8)
            if FRACTION_LIMITS[0] <= 1.0 - image.mean() <= FRACTION_LIMITS[1]:
                yield field_number, amplitudes, float(tau), image
        field_number += 1


def generate_2d(
    n: int,
    seed: int,
    *,
    resolution: int = 100,
    modes: Sequence[int] = MODE_SETS,
    per_field: int = 1,
    phases: Any = None,
    tol: float = LABEL_TOL,
    path: str | Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> LabelledCells:
    """Draw n cells and compute their effective stiffness.

    Parameters
    ----------
    n : int
        The paper's set has `DOCUMENTED_CELLS`, with ``per_field=25``.
    seed : int
    resolution : int
        Pixels per side.
    modes : sequence of int
        Mode sets M1 = M2, odd, up to 11.
    per_field : int
        Thresholds per field, 1 to 25. Fewer give more different pictures among as many cells.
    phases : (2, 3, 3), optional
        Default: `printer_phases`.
    tol : float
        Relative error of the labels.
    path : path, optional
        Write the cells there (`save_cells`). Finished parts wait in ``<path>.work``, so a killed
        run goes on where it was.
    executor : concurrent.futures.Executor, optional
        Runs the homogenisations.
    progress : callable, optional
        Called with the number of cells done.

    Examples
    --------
    >>> cells = generate_2d(4, seed=0, resolution=16)
    >>> len(cells), cells.stiffness.shape
    (4, (4, 3, 3))
    """
    _check_request(n, resolution, modes, per_field)
    pair = printer_phases() if phases is None else np.asarray(phases, dtype=float)
    if pair.shape != (2, 3, 3):
        raise ShapeError(f"phases have shape {pair.shape}, expected (2, 3, 3).")
    work = None if path is None else Path(f"{path}.work")
    request = f"{seed} {resolution} {tuple(modes)} {per_field} {tol} {pair.tolist()}"
    if work is not None:
        _open_work(work, request)
    cells = draw_cells(seed, resolution, modes, per_field)
    parts: list[LabelledCells] = []
    for first in range(0, n, PART):
        chunk = list(islice(cells, min(PART, n - first)))
        part = None if work is None else work / f"{first:08d}.npz"
        if part is not None and part.exists() and len(load_cells(part)) == len(chunk):
            parts.append(load_cells(part))
        else:
            parts.append(_label(chunk, resolution, pair, tol, executor))
            if part is not None:
                save_cells(part, parts[-1])
        if progress is not None:
            progress(first + len(chunk))
    result = _joined(parts)
    if path is not None and work is not None:
        save_cells(path, result)
        shutil.rmtree(work)
    return result


def kept_cells(
    path: str | Path,
    n: int,
    seed: int,
    *,
    resolution: int,
    per_field: int = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> LabelledCells:
    """What `generate_2d` makes, from the file `path` if it holds just these cells."""
    wanted: dict[str, Any] = {"n": n, "seed": seed, "resolution": resolution}
    wanted["per_field"] = per_field
    make = partial(generate_2d, **wanted, path=path, executor=executor, progress=progress)
    return kept(path, wanted, make, load_cells)


def kept(
    path: str | Path, wanted: Mapping[str, Any], make: Callable[[], T], load: Callable[[Path], T]
) -> T:
    """What `load` reads from the file `path` if a note beside it says it is what is `wanted`.

    Otherwise `make` writes the file first. Processes of a distributed run (``RANK``) but the first
    wait for it.
    """
    note = Path(path).with_suffix(".json")
    waits = int(os.environ.get("RANK", "0")) > 0
    while not (Path(path).exists() and _noted(note) == wanted):
        if not waits:
            note.unlink(missing_ok=True)
            found = make()
            with whole_file(note) as beside:
                beside.write_text(json.dumps(dict(wanted)) + "\n", encoding="utf-8")
            return found
        time.sleep(1.0)
    return load(Path(path))


def _noted(note: Path) -> Any:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def save_cells(path: str | Path, cells: LabelledCells) -> None:
    """Write an ``.npz`` file, whole or not at all."""
    if Path(path).suffix != ".npz":
        raise ParameterError(f"{path}: cells are stored as .npz, choose that suffix.")
    arrays = {one.name: np.asarray(getattr(cells, one.name)) for one in fields(cells)}
    gap = cells.gap
    with whole_file(path) as beside:
        np.savez(beside, format=np.array(FORMAT), C_V=gap.upper, C_R=gap.lower, **arrays)


def read_arrays(path: str | Path, form: str, what: str, names: Sequence[str]) -> dict[str, Any]:
    """Arrays by name from an ``.npz`` file whose entry ``format`` is `form`.

    Raises
    ------
    FileFormatError
        The file is missing, damaged or holds something else than `what`.
    """
    name = Path(path).name
    try:
        # opened here: NumPy leaves a damaged file open
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if "format" not in file or str(file["format"]) != form:
                raise FileFormatError(f"{name}: no set of {what} (expected '{form}').")
            return {one: file[one] for one in names}
    except FileFormatError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"{name}: cannot be read as {what} ({error}). Generate it again."
        ) from error


def load_cells(path: str | Path) -> LabelledCells:
    """Read what `save_cells` wrote.

    Raises
    ------
    FileFormatError
        The file is missing, damaged or of another kind.
    """
    name = Path(path).name
    values = read_arrays(path, FORMAT, "plane cells", [one.name for one in fields(LabelledCells)])
    values["resolution"] = int(values["resolution"])
    cells = LabelledCells(**values)
    n, pixels = len(cells.stiffness), cells.resolution**2
    if (
        cells.stiffness.shape != (n, 3, 3)
        or cells.bits.shape != (n, -(-pixels // 8))
        or cells.amplitudes.shape != (n, max(MODE_SETS), max(MODE_SETS))
        or cells.tau.shape != (n,)
        or cells.field.shape != (n,)
        or cells.phases.shape != (2, 3, 3)
    ):
        raise FileFormatError(f"{name}: arrays of different lengths. Generate it again.")
    return cells


def _label(
    chunk: list[tuple[int, np.ndarray, float, np.ndarray]],
    resolution: int,
    phases: np.ndarray,
    tol: float,
    executor: Executor | None,
) -> LabelledCells:
    numbers, amplitudes, taus, images = zip(*chunk, strict=True)
    stack = np.stack(images)
    return LabelledCells(
        bits=np.packbits(stack.reshape(len(stack), -1), axis=1),
        resolution=resolution,
        stiffness=homogenize_images(stack, phases, tol=tol, executor=executor),
        phases=phases,
        amplitudes=np.stack(amplitudes).astype(np.float32),
        tau=np.array(taus),
        field=np.array(numbers),
    )


def _joined(parts: list[LabelledCells]) -> LabelledCells:
    rows = ("bits", "stiffness", "amplitudes", "tau", "field")
    return replace(
        parts[0], **{name: np.concatenate([getattr(one, name) for one in parts]) for name in rows}
    )


def _open_work(work: Path, request: str) -> None:
    work.mkdir(parents=True, exist_ok=True)
    note = work / "request.txt"
    if note.exists() and note.read_text(encoding="utf-8") != request:
        raise ParameterError(
            f"{work.name} holds parts of another set of cells. Delete the folder, or repeat the "
            "request it was started with."
        )
    with whole_file(note) as beside:
        beside.write_text(request, encoding="utf-8")


def _check_request(n: int, resolution: int, modes: Sequence[int], per_field: int) -> None:
    if n < 1 or resolution < 2:
        raise ParameterError(f"n = {n}, resolution = {resolution}, expected at least 1 and 2.")
    if not modes or any(m % 2 == 0 or not 3 <= m <= max(MODE_SETS) for m in modes):
        raise ParameterError(f"modes are {tuple(modes)}, expected odd numbers from 3 to 11.")
    if not 1 <= per_field <= THRESHOLDS:
        raise ParameterError(f"per_field is {per_field}, expected 1 to {THRESHOLDS}.")
