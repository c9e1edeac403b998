"""The Voigt-Reuss net in space and its twins as an architecture of the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matnet.errors import ParameterError
from offline.surrogates.registry import Architecture
from offline.surrogates.stream import DataOptions, processes
from offline.surrogates.voigt_reuss.architecture import HELD_SEED
from offline.surrogates.voigt_reuss.cells import kept
from offline.surrogates.voigt_reuss.space.cells import (
    CONTRASTS,
    SpaceCells,
    generate_3d,
    load_space_cells,
)
from offline.surrogates.voigt_reuss.space.compare import BATCH, TWINS, cpu_options, twin_config
from offline.surrogates.voigt_reuss.space.networks import SpaceConfig, documented, small, voxels
from offline.surrogates.voigt_reuss.space.surrogate import SpaceSurrogate, load_surrogate
from offline.surrogates.voigt_reuss.space.task import SpaceTask

__all__ = ["ARCHITECTURE", "SpaceSettings"]

NETWORKS = {"small": small, "documented": documented, "voxels": voxels}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSettings:
    """What ``--set`` knows.

    Parameters
    ----------
    output : str
        One of `compare.TWINS`: voigt-reuss, or a twin to judge it by.
    members : int
        Networks of a deep ensemble.
    network : {"small", "documented", "voxels"}
        See `networks`.
    groups, widths, channels, kernels : tuple, optional
        Instead of the network's.
    data_seed : int
        Of the training cells.
    contrasts : int
        Per image.
    augment : bool
        Show cells turned and with their phases exchanged.
    """

    output: str = "voigt-reuss"
    members: int = 1
    network: str = "small"
    groups: tuple[str, ...] | None = None
    widths: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    kernels: tuple[int, ...] | None = None
    data_seed: int = 1
    contrasts: int = CONTRASTS
    augment: bool = True

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ParameterError(
                f"network is '{self.network}', expected one of {', '.join(NETWORKS)}."
            )
        if self.output not in TWINS:
            raise ParameterError(f"output is '{self.output}', expected one of {', '.join(TWINS)}.")
        if self.members < 1 or self.contrasts < 1 or not 0 <= self.data_seed < HELD_SEED:
            raise ParameterError(
                f"members is {self.members}, contrasts {self.contrasts} and data_seed "
                f"{self.data_seed}, expected at least 1, at least 1 and 0 to {HELD_SEED - 1}."
            )

    def net(self, resolution: int) -> SpaceConfig:
        """The network for images of that many voxels per axis."""
        names = ("groups", "widths", "channels", "kernels")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        make = voxels if self.output == "cnn" else NETWORKS[self.network]
        if make is voxels:
            given["resolution"] = resolution
        return twin_config(self.output, make(**given))


def make_task(
    data: DataOptions,
    settings: SpaceSettings,
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SpaceTask:
    """The task, with cells from ``cells.npz`` and ``held.npz`` in the folder of the run.

    Cells that are not there yet are drawn and homogenised first; a killed run goes on with that.
    """
    if folder is None:
        raise ParameterError("labelled cells are kept in the folder of the run; none was given.")
    config = settings.net(data.resolution)  # refuses what cannot be before hours of labels
    cells = _cells(folder / "cells.npz", data, settings, data.cells, 0, progress)
    held = _cells(folder / "held.npz", data, settings, data.validation_cells, HELD_SEED, progress)
    return SpaceTask(
        cells,
        held,
        config,
        TWINS[settings.output][0],
        batch=data.batch,
        augment=settings.augment,
        seed=data.seed,
        members=settings.members,
        data={
            "seed": settings.data_seed,
            "resolution": data.resolution,
            "cells": data.cells,
            "validation_cells": data.validation_cells,
            "contrasts": settings.contrasts,
        },
    )


def load_space(stem: Path, device: str) -> SpaceSurrogate:
    """Weights on a device, ready to predict."""
    return load_surrogate(stem).to(device)


def _cells(
    path: Path,
    data: DataOptions,
    settings: SpaceSettings,
    n: int,
    shift: int,
    progress: Callable[[int, int], None] | None,
) -> SpaceCells:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = settings.data_seed + shift
    kinds = {"resolution": data.resolution, "contrasts": settings.contrasts}
    tell = None if progress is None else lambda done: progress(done, n)
    with processes(data.workers) as executor:
        make = partial(generate_3d, n, seed, **kinds, path=path, executor=executor, progress=tell)
        return kept(path, {"n": n, "seed": seed, **kinds}, make, load_space_cells)


ARCHITECTURE = Architecture(
    name="voigt-reuss-3d",
    about="voxel images and moduli of two phases to stiffness between its bounds",
    settings=(SpaceSettings,),
    recipe=dataclasses.replace(cpu_options(), device="auto"),
    batch=BATCH["descriptors"],
    make_task=make_task,
    stiffness=load_space,
    data={"resolution": 24, "cells": 12_000, "validation_cells": 512},
    own_cells=True,
)
