"""Finished stages of a training run, kept in one file so that a killed run goes on there."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.atomic import whole_file
from matnet.tree import complete_tree
from offline.training.options import History, TrainingOptions
from offline.training.parameters import Layout, Point

if TYPE_CHECKING:
    from offline.labels import LabelSet

__all__ = ["Checkpoint", "Stage"]

_PARAMETERS = ("log_weight", "normals", "rotations")
_POINT = (*_PARAMETERS, "base_phase")
_HISTORY = tuple(f.name for f in fields(History))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Where one fit ended, and how it got there.

    `trail` holds points on the way, the end last, with the index of each in the history; empty
    unless asked for.
    """

    point: Point
    history: History
    name: str = ""
    trail: tuple[tuple[int, Point], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Stages by name, written to `path` (None: kept in memory only) whenever one is added.

    `key` identifies labels and options; a file with another key, or a damaged one, counts as empty.
    """

    path: Path | None
    key: str
    labels: LabelSet = field(repr=False)
    options: TrainingOptions
    arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def open(
        cls, path: Path | None, labels: LabelSet, options: TrainingOptions, trails: bool = False
    ) -> Checkpoint:
        """The stages in the file at `path` that belong to these labels and options.

        Those with `trails` and those without do not mix.
        """
        key = _key(labels, options) + ("/trails" if trails else "")
        arrays = {} if path is None else _read(Path(path), key)
        return cls(path=path, key=key, labels=labels, options=options, arrays=arrays)

    def get(self, name: str) -> Stage | None:
        """The stage of this name, if it was finished."""
        if f"{name}/log_weight" not in self.arrays:
            return None
        part = {key: self.arrays[f"{name}/{key}"] for key in (*_POINT, *_HISTORY)}
        depth = int(np.log2(len(part["log_weight"])))
        layout = Layout(
            kind=self.options.network,
            depth=depth,
            phase_names=self.labels.phase_names,
            fractions=self.labels.fractions,
            base_phase=part["base_phase"],
            children=complete_tree(depth),
        )
        turned = self.options.network == "dmn"

        def point(log_weight: np.ndarray, normals: np.ndarray, rotations: np.ndarray) -> Point:
            return Point(
                layout=layout,
                log_weight=log_weight,
                normals=normals,
                rotations=rotations if turned else None,
            )

        history = History(*(tuple(part[key].tolist()) for key in _HISTORY))
        trail = [self.arrays.get(f"{name}/trail_{key}", ()) for key in ("index", *_PARAMETERS)]
        return Stage(
            point=point(*(part[key] for key in _PARAMETERS)),
            history=history,
            name=name,
            trail=tuple((int(i), point(*values)) for i, *values in zip(*trail, strict=True)),
        )

    def keep(self, name: str, stage: Stage) -> Checkpoint:
        """A checkpoint with this stage added, on disk before it returns."""
        values: dict[str, Any] = {
            **dict(zip(_PARAMETERS, _parameters(stage.point), strict=True)),
            "base_phase": stage.point.layout.base_phase,
            **{key: np.array(getattr(stage.history, key)) for key in _HISTORY},
        }
        if stage.trail:
            values["trail_index"] = np.array([index for index, _ in stage.trail])
            points = zip(*(_parameters(point) for _, point in stage.trail), strict=True)
            for key, column in zip(_PARAMETERS, points, strict=True):
                values[f"trail_{key}"] = np.array(column)
        arrays = {**self.arrays, **{f"{name}/{key}": value for key, value in values.items()}}
        if self.path is not None:
            with whole_file(self.path) as beside:
                np.savez(beside, key=np.array(self.key), **arrays)
        return replace(self, arrays=arrays)


def _parameters(point: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rotations = np.empty((0, 3, 3)) if point.rotations is None else point.rotations
    return point.log_weight, point.normals, rotations


def _key(labels: LabelSet, options: TrainingOptions) -> str:
    digest = hashlib.sha256(repr((options, labels.phase_names)).encode())
    for array in (labels.phase_stiffness, labels.effective, labels.fractions):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path, key: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            if str(data["key"]) != key:
                return {}
            return {name: data[name] for name in data.files if name != "key"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}  # nothing usable: the run starts afresh and replaces the file
