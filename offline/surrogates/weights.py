"""Neural weights on disk: tensors in safetensors, and beside them a JSON card that explains them.

The card says which network the tensors fit, what it was trained on and how accurate it is. Reading
never runs code from the file, and a damaged or foreign pair is refused in one sentence.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError

if TYPE_CHECKING:
    import torch

__all__ = ["SHIPPED", "Weights", "fill", "load", "save", "shipped", "stem_of"]

SHIPPED = Path(__file__).parent / "weights"
FORMAT = "matnet-weights 1"
ROW = re.compile(r'\[\n\s+([^\[\]{}"]*?)\n\s*\]')  # a list of numbers over several lines
LARGEST_CARD = 1 << 20  # bytes; a card is text that a person reads


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors by name and the card that explains them.

    Attributes
    ----------
    tensors : dict of str to torch.Tensor
    card : dict
        At least ``kind`` (which surrogate) and ``config`` (its parameters).
    path : Path
        The safetensors file, for messages.
    """

    tensors: dict[str, torch.Tensor]
    card: dict[str, Any]
    path: Path


def save(stem: str | Path, module: torch.nn.Module, card: dict[str, Any]) -> Path:
    """Write ``stem.safetensors`` and ``stem.json``; returns the former's path.

    Parameters
    ----------
    stem : path without suffix
        Its folder is made if it is missing.
    module : torch.nn.Module
        Whose state is written, buffers included.
    card : dict
        ``kind``, ``config`` and whatever else a reader wants to know; JSON values only.

    Raises
    ------
    ParameterError
        The card lacks ``kind`` or ``config`` or holds values that JSON has no form for.
    """
    from safetensors.torch import save_file

    for key in ("kind", "config"):
        if key not in card:
            raise ParameterError(f"card of the weights has no '{key}', expected kind and config.")
    tensors_path, card_path = _paths(stem)
    tensors_path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with whole_file(tensors_path) as beside:
        save_file(state, beside)
        digest = hashlib.sha256(beside.read_bytes()).hexdigest()
        text = _card_text({"format": FORMAT, **card, "sha256": digest})
    with whole_file(card_path) as beside:
        beside.write_text(text, encoding="utf-8")
    return tensors_path


def load(stem: str | Path, *, kind: str | None = None) -> Weights:
    """Read the pair that `save` wrote.

    Parameters
    ----------
    stem : path
        With or without ``.safetensors`` or ``.json``.
    kind : str, optional
        Refuse weights of another surrogate.

    Raises
    ------
    FileFormatError
        A file is missing or damaged, the two do not belong together, or the kind differs.
    """
    tensors_path, card_path = _paths(stem)
    card = _read_card(card_path)
    if kind is not None and card.get("kind") != kind:
        raise FileFormatError(
            f"{card_path}: weights of '{card.get('kind')}', expected '{kind}'. "
            "Choose other weights."
        )
    try:
        blob = tensors_path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{tensors_path}: cannot be read ({error.strerror}).") from error
    if hashlib.sha256(blob).hexdigest() != card.get("sha256"):
        raise FileFormatError(
            f"{tensors_path}: content differs from the checksum in {card_path.name}. "
            "One of the two is damaged or from another training; copy both again."
        )
    return Weights(_tensors(blob, tensors_path), card, tensors_path)


def fill(module: torch.nn.Module, weights: Weights) -> None:
    """Give `module` the tensors of `weights`.

    Raises
    ------
    FileFormatError
        A tensor is missing, surplus or of another shape; the message names the first one.
    """
    wanted = module.state_dict()
    for name in sorted(set(wanted) | set(weights.tensors)):
        if name not in weights.tensors:
            raise FileFormatError(f"{weights.path}: tensor '{name}' is missing.")
        if name not in wanted:
            raise FileFormatError(
                f"{weights.path}: tensor '{name}' does not belong to this network."
            )
        got, expected = tuple(weights.tensors[name].shape), tuple(wanted[name].shape)
        if got != expected:
            raise FileFormatError(
                f"{weights.path}: tensor '{name}' has shape {got}, expected {expected}."
            )
    module.load_state_dict(weights.tensors)


def shipped(kind: str) -> list[Path]:
    """Stems of the weights that come with matnet for one surrogate, by name."""
    return sorted(path.with_suffix("") for path in (SHIPPED / kind).glob("*.safetensors"))


def stem_of(path: str | Path) -> Path:
    """Path without suffix of weights: a run's folder (its best ones), a file, a shipped kind.

    A kind of surrogate, such as ``voigt-reuss-2d``, stands for the weights that come with matnet,
    unless there is a file or folder of that name.

    >>> stem_of("runs/truss/final.safetensors").as_posix()
    'runs/truss/final'
    """
    path = Path(path)
    if path.is_dir():
        return path / "best"
    stem = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    if len(path.parts) == 1 and not any(one.exists() for one in _paths(stem)):
        return next(iter(shipped(path.name)), stem)
    return stem


def _paths(stem: str | Path) -> tuple[Path, Path]:
    path = Path(stem)
    if path.suffix in (".safetensors", ".json"):
        path = path.with_suffix("")
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def _card_text(card: dict[str, Any]) -> str:
    try:
        text = json.dumps(card, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ParameterError(f"card of the weights cannot be written as JSON: {error}.") from error
    return ROW.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)


def _read_card(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise FileFormatError(f"{path}: larger than {LARGEST_CARD} bytes, expected a card.")
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise FileFormatError(f"{path}: not JSON ({error}).") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise FileFormatError(f"{path}: not a card of '{FORMAT}'.")
    return card


def _tensors(blob: bytes, path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as read

    try:
        return dict(read(blob))
    except SafetensorError as error:
        raise FileFormatError(f"{path}: not a safetensors file ({error}).") from error
