"""Phase laws inside a ``.matnet`` file; docs/matnet-file.md holds the grammar.

A law stands there twice: as the table from which Python rebuilds it, and as the numbers that a
compiled reader needs. The table is the source, and reading checks that the numbers follow from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from matnet.phases import PhaseLaw
from matnet.phases.damage import damage_point
from matnet.phases.drucker_prager import drucker_prager_point
from matnet.phases.ductile_damage import ductile_damage_point
from matnet.phases.elastic import elastic_point
from matnet.phases.general_return_lanes import general_return_lanes
from matnet.phases.radial_return_lanes import radial_return_lanes
from matnet.phases.toml import law_from_table
from matnet.phases.viscoelastic import viscoelastic_point
from matnet.phases.void import void_point

__all__ = ["LAW_BLOCKS", "kernel_name", "law_arrays", "law_header", "take_laws"]

LAW_BLOCKS = {"parameters": 1, "initial_state": 1, "expansion": 1, "stiffness": 6}
"""Block ``phase.<i>.<name>`` -> its columns; all of them real."""

# compiled kernels -> names of their twins in umat_bridge/c/laws; the two radial returns share their
# point kernel, so that lane kernels tell them apart
_KERNELS = (
    (elastic_point, "elastic"),
    (void_point, "void"),
    (radial_return_lanes, "radial-return"),
    (general_return_lanes, "general-return"),
    (viscoelastic_point, "viscoelastic"),
    (damage_point, "damage"),
    (ductile_damage_point, "ductile-damage"),
    (drucker_prager_point, "drucker-prager"),
)
_FLAGS = ("symmetric", "isotropic", "rate_dependent")
_RELATIVE, _ABSOLUTE = 1e-12, 1e-15  # another C library may differ in the last digits
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def kernel_name(law: PhaseLaw) -> str | None:
    """Name of the C kernel that computes a law, or None if there is none.

    >>> from matnet.phases import Elastic
    >>> kernel_name(Elastic(E=1.0, nu=0.3))
    'elastic'
    """
    for kernel, name in _KERNELS:
        if law.lane_kernel is kernel or law.kernel is kernel:
            return name
    return None


def law_header(laws: Mapping[str, PhaseLaw]) -> Iterator[str]:
    """The header lines of the laws, by phase in the network's order.

    Raises
    ------
    ParameterError
        A law has no table that gives it back, such as a `UserLaw`.
    """
    for index, (phase, law) in enumerate(laws.items()):
        table = _written_table(phase, law)
        yield f"phase.{index}.law = {law.law}"
        yield f"phase.{index}.law.table = {table}"
        name = kernel_name(law)
        if name is not None:
            yield f"phase.{index}.kernel = {name}"
        for flag in _FLAGS:
            yield f"phase.{index}.{flag} = {int(getattr(law, flag))}"
        yield f"phase.{index}.reference_temperature = {law.reference_temperature:.17g}"


def law_arrays(laws: Mapping[str, PhaseLaw]) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array (rows, columns) of each block of the laws."""
    for index, law in enumerate(laws.values()):
        for name, array in _numbers(law).items():
            yield f"phase.{index}.{name}", array


def take_laws(
    header: dict[str, str], blocks: Mapping[str, np.ndarray], phase_names: tuple[str, ...]
) -> dict[str, PhaseLaw] | None:
    """The laws of a file by phase, their header keys removed; None if it has none.

    Raises
    ------
    ParameterError
        A key or block is missing, a table is no law's, or something does not follow from a table.
    """
    some = any(f"phase.{i}.law" in header for i in range(len(phase_names)))
    if not some and not any(name.startswith("phase.") for name in blocks):
        return None
    return {
        name: _take_law(f"phase.{index}", header, blocks) for index, name in enumerate(phase_names)
    }


def _written_table(phase: str, law: PhaseLaw) -> str:
    try:
        table = law.to_table()
        text = json.dumps(table, allow_nan=False, default=_plain)
        _require_equal(law_from_table(law.law, json.loads(text)), law)
    except ParameterError as wrong:
        raise ParameterError(f"phase '{phase}': {wrong}") from None
    except (TypeError, ValueError) as wrong:
        raise ParameterError(
            f"phase '{phase}': the table of law '{law.law}' cannot be written as JSON: {wrong}."
        ) from None
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"objects of type {type(value).__name__} have no JSON form")


def _numbers(law: PhaseLaw) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):  # overflow is named below
        numbers = {
            "parameters": np.asarray(law.parameters, dtype=float).reshape(-1, 1),
            "initial_state": np.asarray(law.initial_state(), dtype=float).reshape(-1, 1),
            "expansion": np.asarray(law.expansion, dtype=float).reshape(6, 1),
            "stiffness": np.asarray(law.stiffness, dtype=float).reshape(6, 6),
        }
    for name, array in numbers.items():
        if not np.isfinite(array).all():
            raise ParameterError(
                f"law '{law.law}': a number of its {name.replace('_', ' ')} is too large."
            )
    return numbers


def _take_law(at: str, header: dict[str, str], blocks: Mapping[str, np.ndarray]) -> PhaseLaw:
    word, text = _take(header, f"{at}.law"), _take(header, f"{at}.law.table")
    law = _rebuilt(at, word, text)
    for flag in _FLAGS:
        _require_value(f"{at}.{flag}", _take(header, f"{at}.{flag}"), str(int(getattr(law, flag))))
    name = kernel_name(law)
    if name is None:
        if f"{at}.kernel" in header:
            raise ParameterError(
                f"{at}.kernel: law '{word}' has no C kernel, expected no such key."
            )
    else:
        _require_value(f"{at}.kernel", _take(header, f"{at}.kernel"), name)
    _take_temperature(at, header, law)
    stated = {}
    for block in LAW_BLOCKS:
        if f"{at}.{block}" not in blocks:
            raise ParameterError(f"block '{at}.{block}' is missing.")
        stated[block] = blocks[f"{at}.{block}"]
    _require_numbers(at, _numbers(law), stated, linear=law.linear)
    return law


def _rebuilt(at: str, word: str, text: str) -> PhaseLaw:
    try:
        table = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ParameterError(f"'{at}.law.table' does not hold JSON.") from None
    if not isinstance(table, dict):
        raise ParameterError(f"'{at}.law.table' does not hold a JSON object.")
    try:
        with np.errstate(all="ignore"):
            return law_from_table(word, table)
    except ParameterError as wrong:
        raise ParameterError(f"{at}.law.table: {wrong}") from None
    except (ArithmeticError, KeyError, TypeError, ValueError):
        raise ParameterError(f"{at}.law.table: is no table of law '{word}'.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _take(header: dict[str, str], key: str) -> str:
    if key not in header:
        raise ParameterError(f"header key '{key}' is missing.")
    return header.pop(key)


def _take_temperature(at: str, header: dict[str, str], law: PhaseLaw) -> None:
    key = f"{at}.reference_temperature"
    text = _take(header, key)
    if not _NUMBER.fullmatch(text) or float(text) != law.reference_temperature:
        _require_value(key, text, f"{law.reference_temperature:.17g}")


def _require_value(key: str, found: str, expected: str) -> None:
    if found != expected:
        shown = ascii(found[:40])[1:-1]
        raise ParameterError(f"{key} = {shown}, but the law's table says {expected}.")


def _require_numbers(
    at: str, own: Mapping[str, np.ndarray], stated: Mapping[str, np.ndarray], *, linear: bool
) -> None:
    """Raise `ParameterError` unless the blocks follow from the law."""
    for name, numbers in own.items():
        given = stated[name]
        if given.shape != numbers.shape:
            raise ParameterError(
                f"block '{at}.{name}' has {len(given)} rows, but the law's table gives "
                f"{len(numbers)}."
            )
        # entries of a turned stiffness that should be zero are rounding errors of the others
        largest = np.abs(numbers).max(initial=0.0)
        floor = largest * _RELATIVE if linear or name == "stiffness" else _ABSOLUTE
        bad = ~(np.abs(given - numbers) <= _RELATIVE * np.abs(numbers) + floor)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ParameterError(
                f"block '{at}.{name}' holds {given[row, column]:.17g} in row {row + 1}, but the "
                f"law's table gives {numbers[row, column]:.17g}."
            )


def _require_equal(rebuilt: PhaseLaw, law: PhaseLaw) -> None:
    own, again = _numbers(law), _numbers(rebuilt)
    same = type(rebuilt) is type(law) and rebuilt.kernel is law.kernel
    if not same or not all(np.array_equal(own[name], again[name]) for name in own):
        raise ParameterError(
            f"the table of law '{law.law}' gives {rebuilt!r}, expected {law!r} again. "
            "Only laws of a phases file can be written into a .matnet file."
        )
