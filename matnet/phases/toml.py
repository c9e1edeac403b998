"""The phases file: one TOML table per phase, by name, by index, or ``["*"]`` for all others.

.. code-block:: toml

    [matrix]
    law = "elastic"
    E = 3800.0
    nu = 0.387

    [1]
    law = "void"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, ParameterError, ShapeError
from matnet.phases.base import PhaseLaw
from matnet.phases.crystal import CrystalPlasticity
from matnet.phases.damage import Damage
from matnet.phases.drucker_prager import DruckerPrager
from matnet.phases.ductile_damage import DuctileDamage
from matnet.phases.elastic import Elastic
from matnet.phases.j2 import J2
from matnet.phases.thermal import THERMAL_KEYS, expanded
from matnet.phases.viscoelastic import Viscoelastic
from matnet.phases.viscoplastic import Viscoplastic
from matnet.phases.void import Void

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["LAWS", "law_from_table", "read_phases", "write_phases"]

LAWS: dict[str, type[PhaseLaw]] = {
    cls.law: cls
    for cls in (
        CrystalPlasticity,
        Damage,
        DruckerPrager,
        DuctileDamage,
        Elastic,
        J2,
        Viscoelastic,
        Viscoplastic,
        Void,
    )
}
"""Law name in the file -> class; a new law adds itself here."""

OTHERS = "*"
VOID = "void"


def read_phases(path: str | Path, phase_names: Sequence[str]) -> dict[str, PhaseLaw]:
    """Read a law for each phase; docs/phases.md describes the file.

    A table is found by the phase's name, else by its index, else it is ``["*"]``. A phase called
    ``void`` needs no table.

    Parameters
    ----------
    path : path
        The TOML file.
    phase_names : sequence of str
        The phases of the cell or network, in the order of their indices.

    Returns
    -------
    dict
        Phase name -> law, in the order of `phase_names`.

    Raises
    ------
    FileFormatError
        The file is unreadable, names an unknown phase, lacks one, or a law's table is wrong. The
        message starts with the file's name.
    """
    source = Path(path)
    tables = _read_tables(source)
    try:
        chosen = _assign(tables, tuple(phase_names))
        laws = {key: _law(key, tables[key]) for key in tables}
    except ParameterError as wrong:
        raise FileFormatError(f"{source.name}: {wrong}") from None
    return {name: Void() if key is None else laws[key] for name, key in chosen.items()}


def write_phases(path: str | Path, phases: Mapping[str, PhaseLaw]) -> None:
    """Write laws so that `read_phases` gives equal ones.

    Raises
    ------
    ParameterError
        The file cannot be written.
    """
    lines = []
    for name, law in phases.items():
        lines += [f"[{_quoted(name)}]", f"law = {_quoted(law.law)}"]
        lines += [f"{key} = {_value(value)}" for key, value in law.to_table().items()]
        lines.append("")
    try:
        with whole_file(path) as beside:
            beside.write_text("\n".join(lines), encoding="utf-8")
    except OSError as wrong:
        raise ParameterError(f"{path}: cannot be written ({wrong.strerror}).") from None


def _read_tables(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_bytes().decode("utf-8"))
    except OSError as wrong:
        raise FileFormatError(f"{source.name}: cannot be read ({wrong.strerror}).") from None
    except UnicodeDecodeError:
        raise FileFormatError(f"{source.name}: is not UTF-8 text, expected a TOML file.") from None
    except (ValueError, RecursionError) as wrong:  # TOMLDecodeError is a ValueError
        raise FileFormatError(f"{source.name}: is not valid TOML: {wrong}.") from None


def _assign(tables: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str | None]:
    """Phase name -> key of its table, None for a void without one."""
    cell = ", ".join(f"{i} '{name}'" for i, name in enumerate(names))
    indices = [str(i) for i in range(len(names))]
    for key in tables:
        if key != OTHERS and key not in names and key not in indices:
            raise ParameterError(f"phase '{key}' is unknown, the cell has {cell}.")
    chosen: dict[str, str | None] = {}
    for index, name in zip(indices, names, strict=True):
        by_index = index in tables and index not in names
        if name in tables and by_index:
            raise ParameterError(
                f"phase '{name}' has two tables, [{name}] and [{index}]. Keep one."
            )
        if name in tables or by_index:
            chosen[name] = name if name in tables else index
        elif name == VOID:
            chosen[name] = None
        elif OTHERS in tables:
            chosen[name] = OTHERS
        else:
            raise ParameterError(
                f"phase '{name}' (index {index}) has no table. Add [{name}] with its law, "
                f'or ["{OTHERS}"] for all others.'
            )
    return chosen


def _law(key: str, table: Any) -> PhaseLaw:
    if not isinstance(table, dict):
        raise ParameterError(
            f"'{key}' stands outside a table, expected a table per phase, such as [matrix]."
        )
    parameters = dict(table)
    law = parameters.pop("law", None)
    known = ", ".join(LAWS)
    if law is None:
        raise ParameterError(f"table [{key}] has no key 'law', expected one of {known}.")
    if not isinstance(law, str):
        raise ParameterError(f"table [{key}]: law {law!r} is unknown, expected one of {known}.")
    try:
        return law_from_table(law, parameters)
    except (ParameterError, ShapeError) as wrong:
        raise ParameterError(f"table [{key}]: {wrong}") from None


def law_from_table(law: str, table: Mapping[str, Any]) -> PhaseLaw:
    """The law of this word with the keys of its table, thermal expansion included.

    Raises
    ------
    ParameterError, ShapeError
        No law has this name, or its table is wrong.
    """
    if law not in LAWS:
        raise ParameterError(f"law {law!r} is unknown, expected one of {', '.join(LAWS)}.")
    fields = getattr(LAWS[law], "__dataclass_fields__", {})  # a law may have such a key itself
    thermal = {k: table[k] for k in THERMAL_KEYS if k in table and k not in fields}
    own = {key: value for key, value in table.items() if key not in thermal}
    return expanded(LAWS[law].from_table(own), thermal)


def _quoted(text: str) -> str:
    # a TOML basic string is a JSON string, except that it must escape DEL
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, np.generic):  # repr would name its type
        value = value.item()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):  # an inline table
        entries = (f"{_key(key)} = {_value(entry)}" for key, entry in value.items())
        return "{ " + ", ".join(entries) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    return repr(value)  # the shortest text that reads back to the same number
