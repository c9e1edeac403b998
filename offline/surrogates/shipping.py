"""Trained weights as part of the package: small, with what they were judged to be in their card.

For maintainers. One command reads a run, judges it and writes the pair of files:

    python -m offline.surrogates.shipping runs/frames --name frame-20 --cells 50

into ``offline/surrogates/weights/<kind>/``, where `weights.shipped` finds it. What is judged are
the tensors as they are written, rounded to half precision if that was asked for.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PureWindowsPath
from typing import Any

import torch

from matnet.errors import ParameterError
from offline.surrogates import weights
from offline.surrogates.evaluation.evaluate import Evaluation, EvaluationOptions, evaluate
from offline.surrogates.evaluation.predictor import load_predictor, weights_stem

__all__ = ["LARGEST", "ship"]

LARGEST = 3_000_000  # bytes of tensors and card together
JUDGED = ("delta", "delta_soft", "residual", "iterations_zero", "iterations", "seconds")


def ship(
    run: str | Path,
    name: str,
    *,
    options: Sequence[EvaluationOptions] = (),
    half: bool = False,
    folder: str | Path | None = None,
    force: bool = False,
) -> Path:
    """Write the weights of a run under a name, with errors on unseen cells in the card.

    Parameters
    ----------
    run : path
        Folder of a run, then its best weights; or a weights file.
    name : str
        Of the files, letters, digits and hyphens.
    options : sequence of EvaluationOptions
        Sets of cells to judge by. Default: 50 cells of the families and resolution of the training.
    half : bool
        Round tensors to half precision: half the size, relative changes below 5e-4.
    folder : path, optional
        Default: the package's, by kind.
    force : bool
        Replace weights of this name.

    Returns
    -------
    Path
        Of the safetensors file.

    Raises
    ------
    ParameterError
        The name is taken or no name, or the files would be too large.
    FileFormatError
        The run cannot be read.
    """
    if not name.replace("-", "").isalnum():
        raise ParameterError(f"name is '{name}', expected letters, digits and hyphens.")
    found = weights.load(weights_stem(run))
    place = Path(folder) if folder is not None else weights.SHIPPED / str(found.card["kind"])
    if (place / f"{name}.json").exists() and not force:
        raise ParameterError(f"weights '{name}' are there already. Choose another name or force.")
    tensors = {key: _rounded(value, half) for key, value in found.tensors.items()}
    card = _card(found.card) | {"stored": "float16" if half else "float32"}
    with tempfile.TemporaryDirectory() as beside:
        stem = Path(beside) / name
        weights.save(stem, _Tensors(tensors), card)
        predictor = load_predictor(stem, "cpu")
        judged = [evaluate(predictor, one) for one in options or (_default(found.card),)]
        card["evaluation"] = [_summary(one) for one in judged]
        path = weights.save(stem, _Tensors(tensors), card)
        size = sum(file.stat().st_size for file in (path, path.with_suffix(".json")))
    if size > LARGEST:
        raise ParameterError(
            f"weights '{name}' take {size / 1e6:.2f} MB, expected at most {LARGEST / 1e6:.0f}. "
            "Train a narrower network, or store half precision."
        )
    return weights.save(place / name, _Tensors(tensors), card)


class _Tensors(torch.nn.Module):
    """A module of which only the state is asked for."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.tensors = tensors

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:  # type: ignore[override]
        return self.tensors


def _rounded(value: torch.Tensor, half: bool) -> torch.Tensor:
    return value.half() if half and value.dtype == torch.float32 else value


def _card(card: dict[str, Any]) -> dict[str, Any]:
    """Of the training, without its checksum; of a path to begin from only the last two parts."""
    kept = {key: value for key, value in card.items() if key not in ("format", "sha256")}
    loss = kept.get("loss")
    if isinstance(loss, dict) and loss.get("start"):
        parts = PureWindowsPath(loss["start"]).parts  # takes either slash
        kept["loss"] = {**loss, "start": "/".join(parts[-2:])}
    return kept


def _default(card: dict[str, Any]) -> EvaluationOptions:
    data = card.get("data") or {}
    return EvaluationOptions(
        families=tuple(data.get("families", ())),
        resolution=int(data.get("resolution", 32)),
        spectrum=False,
    )


def _summary(result: Evaluation) -> dict[str, Any]:
    """What a reader of the card wants to know, JSON values."""
    kept = ("families", "resolution", "cells", "first", "nu", "symmetrise")
    return {
        "cells": {key: value for key, value in asdict(result.options).items() if key in kept},
        "statistics": {name: result.statistics(name) for name in JUDGED},
        "iterations_share": float(result.saved().mean()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(prog="shipping", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run, or a weights file")
    parser.add_argument("--name", required=True)
    parser.add_argument("--half", action="store_true", help="store half precision")
    parser.add_argument("--family", action="append", help="more sets of cells to judge by")
    parser.add_argument("--resolution", type=int, action="append", help="default: the training's")
    parser.add_argument("--cells", type=int, default=50, help="of each set")
    parser.add_argument("--symmetrise", action="store_true", help="judge symmetric means, too")
    parser.add_argument("--force", action="store_true")
    a = parser.parse_args(arguments)
    own = _default(weights.load(weights_stem(a.run)).card)
    sets = [
        EvaluationOptions(
            families=names, resolution=n, cells=a.cells, spectrum=False, symmetrise=symmetrise
        )
        for names in (own.families, *((name,) for name in a.family or ()))
        for n in a.resolution or (own.resolution,)
        for symmetrise in ((False, True) if a.symmetrise else (False,))
    ]
    path = ship(a.run, a.name, options=sets, half=a.half, force=a.force)
    print(path)


if __name__ == "__main__":
    main()
