"""The plane Voigt-Reuss net and its twins as an architecture of the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matnet.errors import ParameterError
from offline.surrogates.registry import Architecture
from offline.surrogates.stream import DataOptions, processes
from offline.surrogates.voigt_reuss.cells import LabelledCells, kept_cells
from offline.surrogates.voigt_reuss.compare import BATCH, TWINS, cpu_options, twin_config
from offline.surrogates.voigt_reuss.networks import NetConfig, documented, small
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate, load_surrogate
from offline.surrogates.voigt_reuss.task import PlaneTask

__all__ = ["ARCHITECTURE", "HELD_SEED", "PlaneSettings"]

HELD_SEED = 1000  # added to the seed of the training cells; tests add it twice
NETWORKS = {"small": small, "documented": documented}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneSettings:
    """What ``--set`` knows.

    Parameters
    ----------
    output : str
        One of `compare.TWINS`: voigt-reuss, or a twin to judge it by.
    members : int
        Networks of a deep ensemble.
    network : {"small", "documented"}
        See `networks`.
    channels, kernels, widths : tuple of int, optional
        Instead of the network's.
    data_seed : int
        Of the training cells.
    per_field : int
        Thresholds per field, 1 to 25.
    augment : bool
        Show cells turned and shifted.
    """

    output: str = "voigt-reuss"
    members: int = 1
    network: str = "small"
    channels: tuple[int, ...] | None = None
    kernels: tuple[int, ...] | None = None
    widths: tuple[int, ...] | None = None
    data_seed: int = 1
    per_field: int = 1
    augment: bool = True

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ParameterError(f"network is '{self.network}', expected {' or '.join(NETWORKS)}.")
        if self.output not in TWINS:
            raise ParameterError(f"output is '{self.output}', expected one of {', '.join(TWINS)}.")
        if self.members < 1 or not 0 <= self.data_seed < HELD_SEED:
            raise ParameterError(
                f"members is {self.members} and data_seed {self.data_seed}, expected at least 1 "
                f"and 0 to {HELD_SEED - 1}."
            )

    def net(self, resolution: int) -> NetConfig:
        """The network for pictures of that many pixels per side."""
        sizes = {name: getattr(self, name) for name in ("channels", "kernels", "widths")}
        given = {name: size for name, size in sizes.items() if size is not None}
        config = NETWORKS[self.network](resolution=resolution, with_tau=False, **given)
        return twin_config(self.output, config)


def make_task(
    data: DataOptions,
    settings: PlaneSettings,
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PlaneTask:
    """The task, with cells from ``cells.npz`` and ``held.npz`` in the folder of the run.

    Cells that are not there yet are drawn and homogenised first; a killed run goes on with that.
    """
    if folder is None:
        raise ParameterError("plane cells are kept in the folder of the run, and none was given.")
    config = settings.net(data.resolution)  # refuses what cannot be before hours of labels
    cells = _cells(folder / "cells.npz", data, settings, data.cells, 0, progress)
    held = _cells(folder / "held.npz", data, settings, data.validation_cells, HELD_SEED, progress)
    return PlaneTask(
        cells,
        held,
        config,
        TWINS[settings.output],
        batch=data.batch,
        augment=settings.augment,
        seed=data.seed,
        members=settings.members,
        data={
            "seed": settings.data_seed,
            "resolution": data.resolution,
            "cells": data.cells,
            "validation_cells": data.validation_cells,
            "per_field": settings.per_field,
        },
    )


def load_pictures(stem: Path, device: str) -> PlaneSurrogate:
    """Weights on a device, ready to predict."""
    return load_surrogate(stem).to(device)


def _cells(
    path: Path,
    data: DataOptions,
    settings: PlaneSettings,
    n: int,
    shift: int,
    progress: Callable[[int, int], None] | None,
) -> LabelledCells:
    path.parent.mkdir(parents=True, exist_ok=True)
    with processes(data.workers) as executor:
        return kept_cells(
            path,
            n,
            settings.data_seed + shift,
            resolution=data.resolution,
            per_field=settings.per_field,
            executor=executor,
            progress=None if progress is None else lambda done: progress(done, n),
        )


ARCHITECTURE = Architecture(
    name="voigt-reuss",
    about="plane pictures to stiffness between its bounds, with labels of our own solver",
    settings=(PlaneSettings,),
    recipe=dataclasses.replace(cpu_options(), device="auto"),
    batch=BATCH,
    make_task=make_task,
    stiffness=load_pictures,
    data={"resolution": 64, "cells": 17_408, "validation_cells": 512},
    own_cells=True,
)
