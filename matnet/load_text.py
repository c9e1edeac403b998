"""Loads as a line of text: ``uniaxial-11:0.02x40``.

.. code-block:: text

    KIND[-COMPONENT]:VALUE[,VALUE...][@TIME][xSTEPS][xCYCLES]

============  ===========================================================================
kind          what VALUE is
============  ===========================================================================
uniaxial      strain of the component, all others stress-free
strain        strain of the component, all other strains zero
shear         engineering shear, all other strains zero (12, 13 or 23)
biaxial       strain of two components (``11+22``), the others stress-free
plane-stress  strain in the plane 1-2 (11, 22 or 12); the other two in-plane strains and
              the stresses out of the plane are zero
hydrostatic   each normal strain, no shear (no component)
cyclic        strain amplitude of triangle waves, all others stress-free
creep         stress of the component, put on in TIME / 1000 and held for TIME
relaxation    strain of the component, put on in TIME / 1000 and held for TIME
============  ===========================================================================

Several values are turning points (first six kinds). TIME is 1 and STEPS is 40 unless given, for
each turning point or cycle. Values are tensor components, except for ``shear``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from matnet import paths
from matnet.errors import ParameterError
from matnet.paths import LoadPath

__all__ = ["GRAMMAR", "KINDS", "read_load"]

GRAMMAR = "KIND-COMPONENT:VALUE[@TIME][xSTEPS], such as uniaxial-11:0.02x40"
_LOAD = re.compile(
    r"(?P<kind>[a-z]+(?:-[a-z]+)*)(?:-(?P<component>[^:]*))?:(?P<values>[^@x]*)"
    r"(?:@(?P<time>[^@x]*))?(?:x(?P<steps>[^@x]*))?(?:x(?P<cycles>[^@x]*))?"
)


class Kind(NamedTuple):
    """How a kind of load is built, and what its text may hold."""

    build: Callable[..., LoadPath]
    component: str
    turns: bool = True


KINDS = {
    "uniaxial": Kind(paths.uniaxial_stress, "11"),
    "strain": Kind(paths.uniaxial_strain, "11"),
    "shear": Kind(paths.simple_shear, "12"),
    "biaxial": Kind(paths.biaxial, "11+22"),
    "plane-stress": Kind(paths.plane_stress, "11"),
    "hydrostatic": Kind(paths.hydrostatic, ""),
    "cyclic": Kind(paths.cyclic, "11", turns=False),
    "creep": Kind(paths.creep, "11", turns=False),
    "relaxation": Kind(paths.relaxation, "11", turns=False),
}


def read_load(text: str) -> LoadPath:
    """The path that a line of text describes; raises `ParameterError`."""
    try:
        return _read(text)
    except ParameterError as wrong:
        raise ParameterError(f"load '{text[:60]}': {wrong}") from None


def _read(text: str) -> LoadPath:
    parts = _LOAD.fullmatch(text.strip())
    if parts is None:
        raise ParameterError(f"cannot be read, expected {GRAMMAR}.")
    name = parts["kind"]
    if name not in KINDS:
        raise ParameterError(f"kind '{name}' is unknown, expected one of {', '.join(KINDS)}.")
    kind = KINDS[name]
    values = [_number(value, "value") for value in parts["values"].split(",")]
    if len(values) > 1 and not kind.turns:
        raise ParameterError(f"{name} takes one value, not {len(values)}.")
    arguments: list[Any] = [*_components(name, parts["component"])]
    arguments.append(values if len(values) > 1 else values[0])
    options: dict[str, Any] = {}
    if parts["time"] is not None:
        options["duration"] = _number(parts["time"], "time")
    if parts["steps"] is not None:
        options["steps"] = _count(parts["steps"], "steps")
    if parts["cycles"] is not None:
        if name != "cyclic":
            raise ParameterError(f"{name} takes no cycles, expected {GRAMMAR}.")
        options["cycles"] = _count(parts["cycles"], "cycles")
    return kind.build(*arguments, **options)


def _components(name: str, given: str | None) -> list[Any]:
    """The leading arguments of the kind's function: none, a component or a pair of them."""
    default = KINDS[name].component
    if not default:
        if given is not None:
            raise ParameterError(f"{name} takes no component, expected {name}:VALUE.")
        return []
    component = default if given is None else given
    if name != "biaxial":
        return [component]
    pair = component.split("+")
    if len(pair) != 2:
        raise ParameterError(f"component '{component}', expected two such as 11+22.")
    return [(pair[0], pair[1])]


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"{what} '{text}' is not a number, expected {GRAMMAR}.") from None


def _count(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ParameterError(f"{what} '{text}', expected a whole number > 0.")
    return int(text)
