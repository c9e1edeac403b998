"""Weights on disk: whole, checked, and refused in one sentence when they do not fit."""

import hashlib
import json

import pytest
import torch

from matnet.errors import FileFormatError, ParameterError
from offline.surrogates import weights

CARD = {"kind": "linear", "config": {"width": 3}, "errors": {"delta": 0.01}}


def linear(width=3, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Linear(width, 2)


def test_weights_and_card_survive_the_disk(tmp_path):
    module = linear()
    path = weights.save(tmp_path / "deep" / "net", module, CARD)
    assert path == tmp_path / "deep" / "net.safetensors"
    for name in ("net", "net.safetensors", "net.json"):
        found = weights.load(tmp_path / "deep" / name, kind="linear")
        assert found.card["errors"] == {"delta": 0.01}
    other = linear(seed=1)
    assert not torch.equal(other.weight, module.weight)
    weights.fill(other, found)
    assert torch.equal(other.weight, module.weight) and torch.equal(other.bias, module.bias)
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.json", "net.safetensors"]


def test_names_with_dots_keep_them(tmp_path):
    weights.save(tmp_path / "truss.v1.2", linear(), CARD)
    assert (tmp_path / "truss.v1.2.json").exists()
    assert weights.load(tmp_path / "truss.v1.2").card["kind"] == "linear"


def refused(tmp_path, kind=None):
    with pytest.raises(FileFormatError) as error:
        weights.load(tmp_path / "net", kind=kind)
    return str(error.value).replace(str(tmp_path), "")


def test_damaged_tensors_are_refused(tmp_path):
    path = weights.save(tmp_path / "net", linear(), CARD)
    blob = bytearray(path.read_bytes())
    blob[-3] ^= 1
    path.write_bytes(blob)
    assert refused(tmp_path) == (
        "/net.safetensors: content differs from the checksum in net.json. "
        "One of the two is damaged or from another training; copy both again."
    )


def test_damaged_or_foreign_cards_are_refused(tmp_path):
    weights.save(tmp_path / "net", linear(), CARD)
    assert refused(tmp_path, "cgins") == (
        "/net.json: weights of 'linear', expected 'cgins'. Choose other weights."
    )
    card = tmp_path / "net.json"
    card.write_text("{", encoding="utf-8")
    assert refused(tmp_path).startswith("/net.json: not JSON (")
    card.write_text("[]", encoding="utf-8")
    assert refused(tmp_path) == "/net.json: not a card of 'matnet-weights 1'."
    card.write_text(" " * (weights.LARGEST_CARD + 1), encoding="utf-8")
    assert refused(tmp_path) == "/net.json: larger than 1048576 bytes, expected a card."
    card.unlink()
    assert refused(tmp_path) == "/net.json: cannot be read (No such file or directory)."


def test_missing_or_unreadable_tensors_are_refused(tmp_path):
    path = weights.save(tmp_path / "net", linear(), CARD)
    path.write_bytes(b"not tensors")
    card = json.loads((tmp_path / "net.json").read_text())
    card["sha256"] = hashlib.sha256(b"not tensors").hexdigest()
    (tmp_path / "net.json").write_text(json.dumps(card))
    assert refused(tmp_path).startswith("/net.safetensors: not a safetensors file (")
    path.unlink()
    assert refused(tmp_path) == "/net.safetensors: cannot be read (No such file or directory)."


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (linear(4), "tensor 'weight' has shape (2, 3), expected (2, 4)."),
        (torch.nn.Linear(3, 2, bias=False), "tensor 'bias' does not belong to this network."),
        (torch.nn.Sequential(linear()), "tensor '0.bias' is missing."),
    ],
)
def test_weights_of_another_shape_are_refused(tmp_path, module, message):
    path = weights.save(tmp_path / "net", linear(), CARD)
    with pytest.raises(FileFormatError) as error:
        weights.fill(module, weights.load(path))
    assert str(error.value) == f"{path}: {message}"


def test_cards_without_kind_or_with_infinite_errors_are_not_written(tmp_path):
    with pytest.raises(ParameterError) as error:
        weights.save(tmp_path / "net", linear(), {"kind": "linear"})
    assert str(error.value) == "card of the weights has no 'config', expected kind and config."
    with pytest.raises(ParameterError, match="card of the weights cannot be written as JSON"):
        weights.save(tmp_path / "net", linear(), {**CARD, "delta": float("inf")})
    assert not list(tmp_path.iterdir())
