"""Cells in space with labels: drawn by number, described, homogenised, stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError
from offline.homogenization import CellSolver, SolverOptions, Status
from offline.morphology import descriptors, names
from offline.rve.rve import Rve
from offline.surrogates.voigt_reuss.cells import read_arrays
from offline.surrogates.voigt_reuss.normalisation import SpectralGap
from offline.surrogates.voigt_reuss.space.images import draw_image
from offline.surrogates.voigt_reuss.space.phases import (
    isotropic_gap,
    isotropic_phases,
    moduli_of,
)

__all__ = ["DECADES", "SpaceCells", "generate_3d", "load_space_cells", "save_space_cells"]

DECADES = 2.0  # contrasts from 10^-2 to 10^2, the paper's eq. 27
LABEL_TOL = 1e-5
CONTRASTS = 4  # per image: they share its drawing, mesh and descriptors
PART = 32  # images per file of an unfinished set
FORMAT = "matnet space cells 1"
PER_IMAGE, PER_CELL = ("bits", "kind", "descriptors"), ("image", "ratios", "stiffness")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpaceCells:
    """Images, contrasts and effective stiffness of n cells; several contrasts share an image.

    Attributes
    ----------
    bits : (images, ceil(res^3 / 8)) uint8
        One bit per voxel (`numpy.packbits`); see `images`.
    resolution : int
    kind : (images,) str
    descriptors : (images, d)
        `offline.morphology.descriptors`.
    image : (n,) int
        Which image a cell has.
    ratios : (n, 3)
        Decimal logarithms of K2/K1, G1/K1, G2/K1; phase 0 of the image is material 1.
    stiffness : (n, 6, 6)
        C^H for K1 = 1, Mandel.
    names : (d,) str
        Of the descriptors.
    """

    bits: np.ndarray
    resolution: int
    kind: np.ndarray
    descriptors: np.ndarray
    image: np.ndarray
    ratios: np.ndarray
    stiffness: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    @property
    def images(self) -> np.ndarray:
        """All images (images, res, res, res) uint8."""
        side = self.resolution
        flat = np.unpackbits(self.bits, axis=1, count=side**3)
        return np.asarray(flat.reshape(-1, side, side, side))

    @property
    def fraction(self) -> np.ndarray:
        """Volume fraction (n,) of phase 1."""
        counts = np.unpackbits(self.bits, axis=1).sum(axis=1)
        return np.asarray((counts / self.resolution**3)[self.image])

    @property
    def moduli(self) -> np.ndarray:
        """K1 = 1, G1, K2, G2 (n, 4)."""
        return moduli_of(self.ratios)

    @property
    def gap(self) -> SpectralGap:
        """The bounds of every cell."""
        return isotropic_gap(self.moduli, self.fraction)

    def pick(self, index: Any) -> SpaceCells:
        """Some of the cells, with the images that they have."""
        image = self.image[index]
        kept, renumbered = np.unique(image, return_inverse=True)
        rows = {name: getattr(self, name)[kept] for name in PER_IMAGE}
        return replace(
            self,
            **rows,
            image=renumbered,
            ratios=self.ratios[index],
            stiffness=self.stiffness[index],
        )

    def split(self, share: float, seed: int) -> tuple[SpaceCells, SpaceCells]:
        """Cells to train with and about `share` of them to judge by, no image on both sides."""
        if not 0.0 < share < 1.0:
            raise ParameterError(f"share is {share:g}, expected a value between 0 and 1.")
        count = len(self.kind)
        chosen = np.random.default_rng(seed).permutation(count)[: round(share * count)]
        aside = np.isin(self.image, chosen)
        return self.pick(~aside), self.pick(aside)


def generate_3d(
    n: int,
    seed: int,
    *,
    resolution: int = 24,
    contrasts: int = CONTRASTS,
    tol: float = LABEL_TOL,
    path: str | Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> SpaceCells:
    """Draw images, give each some contrasts, and compute n effective stiffnesses.

    Parameters
    ----------
    n : int
        Cells; the paper has 1 185 030.
    seed : int
    resolution : int
        Voxels per axis.
    contrasts : int
        Per image. Bulk and shear moduli are log-uniform, see `DECADES`.
    tol : float
        Relative error of the labels.
    path : path, optional
        Write the cells there (`save_space_cells`). Finished parts wait in ``<path>.work``, so a
        killed run goes on where it was; a larger n takes up the parts of a smaller one.
    executor : concurrent.futures.Executor, optional
        Runs the images of a part side by side.
    progress : callable, optional
        Called with the number of cells done.

    Examples
    --------
    >>> cells = generate_3d(4, seed=0, resolution=8, contrasts=2)
    >>> len(cells), len(cells.kind), cells.stiffness.shape
    (4, 2, (4, 6, 6))
    """
    if n < 1 or contrasts < 1:
        raise ParameterError(f"n = {n}, contrasts = {contrasts}, expected at least 1.")
    work = None if path is None else Path(f"{path}.work")
    if work is not None:
        _open_work(work, f"{seed} {resolution} {contrasts} {tol}")
    label = partial(_labelled, seed=seed, resolution=resolution, contrasts=contrasts, tol=tol)
    images, parts = -(-n // contrasts), []
    for first in range(0, images, PART):
        part = None if work is None else work / f"{first:08d}.npz"
        if part is not None and part.exists():
            parts.append(load_space_cells(part))
        else:
            numbers = range(first, first + PART if work is not None else min(first + PART, images))
            run = map if executor is None else executor.map
            parts.append(_joined(list(run(label, numbers))))
            if part is not None:
                save_space_cells(part, parts[-1])
        if progress is not None:
            progress(min(n, sum(map(len, parts))))
    result = _joined(parts).pick(slice(0, n))
    if path is not None and work is not None:
        save_space_cells(path, result)
        shutil.rmtree(work)
    return result


def save_space_cells(path: str | Path, cells: SpaceCells) -> None:
    """Write an ``.npz`` file, whole or not at all."""
    if Path(path).suffix != ".npz":
        raise ParameterError(f"{path}: cells are stored as .npz, choose that suffix.")
    arrays = {one.name: np.asarray(getattr(cells, one.name)) for one in fields(cells)}
    with whole_file(path) as beside:
        np.savez_compressed(beside, format=np.array(FORMAT), **arrays)


def load_space_cells(path: str | Path) -> SpaceCells:
    """Read what `save_space_cells` wrote.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, of another kind, or has other descriptors than this version.
    """
    name = Path(path).name
    values = read_arrays(path, FORMAT, "space cells", [one.name for one in fields(SpaceCells)])
    values["resolution"] = int(values["resolution"])
    cells = SpaceCells(**values)
    _check_file(name, cells)
    return cells


def _check_file(name: str, cells: SpaceCells) -> None:
    n, images, voxels = len(cells.stiffness), len(cells.kind), cells.resolution**3
    if (
        cells.stiffness.shape != (n, 6, 6)
        or cells.ratios.shape != (n, 3)
        or cells.image.shape != (n,)
        or cells.bits.shape != (images, -(-voxels // 8))
        or cells.descriptors.shape != (images, len(cells.names))
        or not 0 <= cells.image.min() <= cells.image.max() < images
    ):
        raise FileFormatError(f"{name}: arrays of different lengths. Generate it again.")
    if tuple(cells.names) != names():
        raise FileFormatError(
            f"{name}: its descriptors are not those of this version. Generate it again."
        )


def _labelled(number: int, seed: int, resolution: int, contrasts: int, tol: float) -> SpaceCells:
    """One image with its contrasts."""
    image, kind = draw_image(seed, number, resolution)
    rng = np.random.default_rng([seed, number, 0, 1])
    ratios = rng.uniform(-DECADES, DECADES, (contrasts, 3))
    solver = CellSolver(Rve(phases=image, phase_names=("phase 0", "phase 1")))
    options = SolverOptions(tol=tol, threads=1, device="cpu")
    labels = []
    for phases in isotropic_phases(moduli_of(ratios)):
        solution = solver.with_stiffness(phases).solve(options)
        if solution.status is not Status.CONVERGED:
            raise ParameterError(f"image {number} of seed {seed}: homogenisation did not converge.")
        labels.append(solution.effective)
    gap = isotropic_gap(moduli_of(ratios), np.full(contrasts, image.mean()))
    return SpaceCells(
        bits=np.packbits(image.reshape(1, -1), axis=1),
        resolution=resolution,
        kind=np.array([kind]),
        descriptors=descriptors(image).values[None],
        image=np.zeros(contrasts, dtype=int),
        ratios=ratios,
        stiffness=_between_bounds(gap, np.stack(labels)),
        names=np.array(names()),
    )


def _between_bounds(gap: SpectralGap, stiffness: np.ndarray) -> np.ndarray:
    """The nearest admissible tensors: the error of a label can exceed a narrow gap."""
    values, vectors = np.linalg.eigh(gap.normalise(stiffness))
    kept = (vectors * np.clip(values, 0.0, 1.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return gap.denormalise(kept)


def _joined(parts: list[SpaceCells]) -> SpaceCells:
    rows = {
        name: np.concatenate([getattr(one, name) for one in parts])
        for name in (*PER_IMAGE, *PER_CELL)
    }
    starts = np.cumsum([0, *(len(one.kind) for one in parts[:-1])])
    rows["image"] = np.concatenate(
        [one.image + start for one, start in zip(parts, starts, strict=True)]
    )
    return replace(parts[0], **rows)


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
