"""Metrics on disk: a CSV table per epoch, event files for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matnet.atomic import whole_file
from matnet.errors import MissingExtraError

__all__ = ["EVERY", "Events", "write_metrics"]

EVERY = 10  # steps between two points of the curves


def write_metrics(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """One row per epoch, the columns in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


class Events:
    """Curves for TensorBoard; points after `step`, from a run that was killed, are hidden.

    Raises
    ------
    MissingExtraError
        tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as missing:
            raise MissingExtraError(
                f"event files need '{missing.name}', which is not installed. Install it with: "
                "pip install 'matnet[offline]', or pass --no-tensorboard."
            ) from missing
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Points at a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()
