"""What an architecture gives the evaluation: displacements, and which problem they solve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from matnet.errors import FileFormatError, ParameterError
from offline.rve.rve import Rve
from offline.surrogates import weights
from offline.surrogates.registry import architecture_of

__all__ = ["Cell", "Predictor", "load_predictor", "weights_stem"]

Cell = tuple[Rve, Any]  # a cell and the stiffness (n_phases, 6, 6) of its phases


class Predictor(Protocol):
    """Trained weights in use.

    Attributes
    ----------
    name : str
        Of the weights, for titles.
    card : mapping
        Of the weights.
    steps : int
        Jacobi-PCG steps on the finest grid that a prediction contains already.
    """

    name: str
    card: Mapping[str, Any]
    steps: int

    def predict(self, cells: Sequence[Cell]) -> np.ndarray:
        """Fluctuations u (n_cells, 6, n1, n2, n3, 3) [length] of cells of one shape."""
        ...

    def problem(self, rve: Rve, stiffnesses: Any) -> Cell:
        """The cell as the network's own linear system sees it: with the soft material that it
        puts into void, as a phase of its own."""
        ...

    def misfit(self, rve: Rve) -> str | None:
        """Why the network cannot take the cell, or None if it can."""
        ...

    def breakdown(self, cells: Sequence[Cell]) -> dict[str, float]:
        """Seconds of each part of one prediction."""
        ...


def weights_stem(path: str | Path) -> Path:
    """Path without suffix of the weights in a run's folder (its best ones), of a file, or shipped.

    >>> weights_stem("runs/truss/final.safetensors").as_posix()
    'runs/truss/final'
    """
    return weights.stem_of(path)


def load_predictor(path: str | Path, device: str = "auto") -> Predictor:
    """The predictor of a run's folder or of a weights file.

    Parameters
    ----------
    path : path
        Folder of a run, then its best weights; or a weights file, with or without suffix.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    FileFormatError
        The files are missing or damaged, or of a surrogate that predicts no displacements.
    ParameterError
        There is no such device.
    """
    import torch

    from offline.homogenization.options import require_device

    stem = weights_stem(path)
    kind = str(weights.load(stem).card.get("kind"))
    try:
        found = architecture_of(kind).predictor
    except ParameterError as unknown:
        raise FileFormatError(f"{stem}.json: {unknown}") from None
    if found is None:
        raise FileFormatError(
            f"{stem}.json: weights of '{kind}', which predicts no displacements to evaluate."
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    require_device(device)
    return found(stem, device)
