"""Cells for training, made while they are needed: no data set on disk.

Cell number i of a split is the cell of a seed; splits are ranges of seeds that do not meet. An
epoch visits every seed once in an order of its own. Processes of a distributed run take turns
within each step, so that two processes with batches of B see what one sees with batches of 2 B.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from offline.rve.rve import Rve
from offline.surrogates.families import Sample, family

__all__ = ["SPLITS", "CellStream", "DataOptions", "processes", "split_seeds"]

SPLITS = ("training", "validation", "test")
SPLIT_SIZE = 10**9  # seeds per split
AHEAD = 3  # batches that workers prepare in advance


def split_seeds(split: str, cells: int) -> range:
    """The seeds of the first `cells` cells of a split.

    Raises
    ------
    ParameterError
        The split is unknown, or the number is out of range.

    Examples
    --------
    >>> split_seeds("validation", 3)
    range(1000000000, 1000000003)
    """
    if split not in SPLITS:
        raise ParameterError(f"split '{split}' is unknown, expected one of {', '.join(SPLITS)}.")
    _require_whole("cells", cells, 1, SPLIT_SIZE)
    first = SPLITS.index(split) * SPLIT_SIZE
    return range(first, first + cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Which cells an architecture learns from.

    Parameters
    ----------
    families : tuple of str
        Cells alternate between them; see `families.family`.
    resolution : int
        Voxels per axis.
    cells, validation_cells : int
        Cells of the training and of the validation split.
    batch : int
        Cells per step and process.
    nu : float, optional
        One Poisson's ratio instead of the families' ranges.
    seed : int
        Decides the order of the cells.
    workers : int
        Processes that make cells in the background; 0: made when needed.
    keep : bool
        Keep made cells of two phases in memory, one bit per voxel (32^3: 4 KiB per cell, 64^3:
        32 KiB), so that later epochs do not make them again.

    Raises
    ------
    ParameterError
        A name is unknown or a number out of range.
    """

    families: tuple[str, ...]
    resolution: int = 32
    cells: int = 2000
    validation_cells: int = 64
    batch: int = 8
    nu: float | None = None
    seed: int = 0
    workers: int = 0
    keep: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.families, str) or not self.families:
            raise ParameterError(
                f"families is {self.families!r}, expected a tuple of names, such as ('truss',)."
            )
        for name in self.families:
            family(name, nu=self.nu)
        _require_whole("resolution", self.resolution, 4, 1024)
        _require_whole("cells", self.cells, 1, SPLIT_SIZE)
        _require_whole("validation_cells", self.validation_cells, 1, SPLIT_SIZE)
        _require_whole("batch", self.batch, 1, SPLIT_SIZE)
        _require_whole("seed", self.seed, 0, 2**31)
        _require_whole("workers", self.workers, 0, 1024)

    def card(self) -> dict[str, Any]:
        """What decides the cells, for the record; JSON values."""
        return {
            "families": list(self.families),
            "resolution": self.resolution,
            "cells": self.cells,
            "validation_cells": self.validation_cells,
            "batch": self.batch,
            "nu": self.nu,
            "seed": self.seed,
        }


def processes(workers: int) -> AbstractContextManager[ProcessPoolExecutor | None]:
    """An executor with that many processes, or None for 0."""
    # spawned: a forked copy of a process that has used threads may hang
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn) if workers else nullcontext()


class CellStream:
    """Batches of one split.

    Parameters
    ----------
    options : DataOptions
    split : {"training", "validation", "test"}

    Raises
    ------
    ParameterError
        The split is unknown.

    Examples
    --------
    >>> options = DataOptions(families=("tpms",), resolution=8, cells=6, batch=2)
    >>> stream = CellStream(options)
    >>> [len(batch) for batch in stream.batches(epoch=0)]
    [2, 2, 2]
    """

    def __init__(self, options: DataOptions, split: str = "training") -> None:
        cells = options.cells if split == "training" else options.validation_cells
        self.options = options
        self.seeds = split_seeds(split, cells)
        self._kept: dict[int, _Packed] = {}
        self._pool: ProcessPoolExecutor | None = None

    def steps(self, world: int = 1) -> int:
        """Steps per epoch; cells that do not fill the last one wait for another epoch.

        Raises
        ------
        ParameterError
            There are fewer cells than one step needs.
        """
        per_step = self.options.batch * world
        if len(self.seeds) < per_step:
            processes = f" in each of {world} processes" if world > 1 else ""
            raise ParameterError(
                f"{len(self.seeds)} cells do not fill one step of {self.options.batch}{processes}."
                " Take more cells or smaller batches."
            )
        return len(self.seeds) // per_step

    def batches(
        self, epoch: int, rank: int = 0, world: int = 1, start: int = 0
    ) -> Iterator[list[Sample]]:
        """The batches of process `rank` in an epoch, from step `start` on."""
        order = np.random.default_rng([self.options.seed, epoch]).permutation(len(self.seeds))
        size = self.options.batch
        firsts = range(rank * size, self.steps(world) * size * world, size * world)
        chunks = ([self.seeds[i] for i in order[f : f + size]] for f in firsts[start:])
        return self._made(chunks)

    def all_in_order(self) -> Iterator[list[Sample]]:
        """Every cell once, in batches, the last one possibly smaller."""
        size = self.options.batch
        chunks = (list(self.seeds[i : i + size]) for i in range(0, len(self.seeds), size))
        return self._made(chunks)

    def close(self) -> None:
        """End the background processes; the next batch starts them again."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _made(self, chunks: Iterator[list[int]]) -> Iterator[list[Sample]]:
        waiting = deque(map(self._ordered, itertools.islice(chunks, AHEAD)))
        while waiting:
            batch = waiting.popleft()
            waiting.extend(map(self._ordered, itertools.islice(chunks, 1)))
            yield [self._taken(seed, made) for seed, made in batch]

    def _ordered(self, seeds: list[int]) -> list[tuple[int, Future[_Packed] | None]]:
        """The seeds with the background job of each that is not in memory."""
        if self.options.workers == 0:
            return [(seed, None) for seed in seeds]
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.options.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_one_thread,
            )
            # a pool that is collected without waiting for its thread races with Python's exit
            weakref.finalize(self, self._pool.shutdown, cancel_futures=True)
        pool = self._pool
        return [
            (s, None if s in self._kept else pool.submit(_make, *self._recipe(s))) for s in seeds
        ]

    def _taken(self, seed: int, job: Future[_Packed] | None) -> Sample:
        packed = self._kept.get(seed)
        if packed is None:
            packed = _make(*self._recipe(seed)) if job is None else job.result()
            if self.options.keep and packed.bits is not None:
                self._kept[seed] = packed
        return packed.sample()

    def _recipe(self, seed: int) -> tuple[str, float | None, int, int]:
        names = self.options.families
        return names[seed % len(names)], self.options.nu, seed, self.options.resolution


@dataclass(frozen=True, slots=True)
class _Packed:
    """A sample whose two-phase voxels are bits."""

    rest: Sample
    bits: np.ndarray | None
    shape: tuple[int, int, int]

    def sample(self) -> Sample:
        if self.bits is None:
            return self.rest
        n = int(np.prod(self.shape))
        phases = np.unpackbits(self.bits, count=n).reshape(self.shape)
        return replace(self.rest, rve=self.rest.rve.with_phases(phases))


def _make(name: str, nu: float | None, seed: int, resolution: int) -> _Packed:
    sample = family(name, nu=nu).sample(seed, resolution)
    rve = sample.rve
    if rve.density is not None or rve.n_phases > 2:
        return _Packed(sample, None, rve.shape)
    one_voxel = Rve(
        phases=np.zeros((1, 1, 1), dtype=np.uint8),
        cell=rve.cell,
        phase_names=rve.phase_names,
        source=rve.source,
    )
    return _Packed(replace(sample, rve=one_voxel), np.packbits(rve.phases), rve.shape)


def _one_thread() -> None:
    """Set a worker up: one thread, and Ctrl-C is the main process's business."""
    import numba

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    numba.set_num_threads(1)


def _require_whole(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParameterError(f"{name} is {value!r}, expected a whole number from {low} to {high}.")
