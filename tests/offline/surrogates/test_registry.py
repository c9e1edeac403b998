"""Architectures by name and their settings from text."""

from dataclasses import dataclass

import pytest

from matnet.errors import MissingExtraError, ParameterError
from offline.surrogates import registry
from offline.surrogates.registry import configured, find_architecture


@dataclass(frozen=True)
class Net:
    depth: int = 2
    widths: tuple[int, ...] = (4, 8)
    periodic: bool = True
    soft: float | None = None


@dataclass(frozen=True)
class Loss:
    kind: str = "energy"


def read(**texts):
    return configured(texts, (Net, Loss), "'net'")


def test_settings_are_read_as_the_fields_types():
    net, loss = read(depth="3", widths="2,4,8", periodic="false", soft="1e-4", kind="weak-form")
    assert net == Net(depth=3, widths=(2, 4, 8), periodic=False, soft=1e-4)
    assert loss == Loss(kind="weak-form")
    assert read(soft="none")[0].soft is None and read() == [Net(), Loss()]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"layers": "3"},
            "setting 'layers' is unknown to 'net', expected one of depth, widths, periodic, soft, "
            "kind.",
        ),
        ({"depth": "2.5"}, "setting depth=2.5: expected a whole number."),
        ({"periodic": "maybe"}, "setting periodic=maybe: expected true or false."),
        ({"soft": "little"}, "setting soft=little: expected a number or none."),
        ({"widths": "a,b"}, "setting widths=a,b: expected values joined by commas."),
    ],
)
def test_wrong_settings_are_named(texts, message):
    with pytest.raises(ParameterError) as refused:
        read(**texts)
    assert str(refused.value) == message


def test_unknown_architecture_is_named():
    with pytest.raises(ParameterError) as refused:
        find_architecture("unet")
    known = ", ".join(registry.ARCHITECTURES)
    assert str(refused.value) == f"architecture 'unet' is unknown, expected one of {known}."


def test_missing_library_is_named_with_the_install_line(monkeypatch):
    monkeypatch.setitem(registry.ARCHITECTURES, "far", "nonexistent_library.task")
    with pytest.raises(MissingExtraError) as refused:
        find_architecture("far")
    assert str(refused.value) == (
        "architecture 'far' needs 'nonexistent_library', which is not installed. "
        "Install it with: pip install 'matnet[offline]'"
    )
