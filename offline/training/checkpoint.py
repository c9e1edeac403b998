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

_POINT = ("log_weight", "normals", "rotations", "base_phase")
_HISTORY = tuple(f.name for f in fields(History))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Where one fit ended, and how it got there."""

    point: Point
    history: History


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
    def open(cls, path: Path | None, labels: LabelSet, options: TrainingOptions) -> Checkpoint:
        """The stages in the file at `path` that belong to these labels and options."""
        key = _key(labels, options)
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
        point = Point(
            layout=layout,
            log_weight=part["log_weight"],
            normals=part["normals"],
            rotations=part["rotations"] if self.options.network == "dmn" else None,
        )
        history = History(*(tuple(part[key].tolist()) for key in _HISTORY))
        return Stage(point=point, history=history)

    def keep(self, name: str, stage: Stage) -> Checkpoint:
        """A checkpoint with this stage added, on disk before it returns."""
        point = stage.point
        values: dict[str, Any] = {
            "log_weight": point.log_weight,
            "normals": point.normals,
            "rotations": np.empty((0, 3, 3)) if point.rotations is None else point.rotations,
            "base_phase": point.layout.base_phase,
            **{key: np.array(getattr(stage.history, key)) for key in _HISTORY},
        }
        arrays = {**self.arrays, **{f"{name}/{key}": value for key, value in values.items()}}
        if self.path is not None:
            with whole_file(self.path) as beside:
                np.savez(beside, key=np.array(self.key), **arrays)
        return replace(self, arrays=arrays)


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
