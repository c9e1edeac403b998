"""Exchangeable parts of a law, such as its hardening: values with a ``kind``, nested in its table.

In a phases file a part is an inline table, ``hardening = { kind = "linear", sig_y = 250.0 }``.
"""

from __future__ import annotations

import dataclasses
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from matnet.errors import ParameterError

__all__ = ["Part", "read_part"]

PartType = TypeVar("PartType", bound="Part")


class Part(ABC):
    """A part of a law: a frozen dataclass whose fields are the keys of its TOML table."""

    __slots__ = ()

    kind: ClassVar[str]
    """The word after ``kind =``."""

    def to_table(self) -> dict[str, Any]:
        """The keys from which `read_part` rebuilds this part; those that are None left out."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        values = {entry.name: getattr(self, entry.name) for entry in fields}
        return {"kind": self.kind} | {k: v for k, v in values.items() if v is not None}


def read_part(
    where: str, value: Any, kinds: Mapping[str, type[PartType]], *, default: str | None = None
) -> PartType:
    """The part itself, or the one that a table describes.

    Parameters
    ----------
    where : str
        What the messages start with, such as ``"J2: hardening"``.
    value : Part or mapping
        A part of one of the kinds, or its table.
    kinds : mapping
        Word after ``kind =`` -> class.
    default : str, optional
        Kind of a table without the key ``kind``.

    Raises
    ------
    ParameterError
        Neither, an unknown kind, or an unknown or missing key; the message names it.
    """
    for cls in kinds.values():
        if isinstance(value, cls):
            return value
    if not isinstance(value, Mapping):
        names = ", ".join(cls.__name__ for cls in kinds.values())
        raise ParameterError(f"{where} = {value!r}, expected one of {names}, or a table.")
    keys = dict(value)
    kind = keys.pop("kind", default)
    if not isinstance(kind, str) or kind not in kinds:
        raise ParameterError(
            f"{where}: kind {kind!r} is unknown, expected one of {', '.join(kinds)}."
        )
    fields = {entry.name: entry for entry in dataclasses.fields(kinds[kind])}  # type: ignore[arg-type]
    unknown = [str(key) for key in keys if key not in fields]
    if unknown:
        raise ParameterError(
            f"{where}: kind '{kind}' has no key {', '.join(unknown)}, expected {', '.join(fields)}."
        )
    missing = [
        name
        for name, entry in fields.items()
        if name not in keys and entry.default is dataclasses.MISSING
    ]
    if missing:
        raise ParameterError(f"{where}: kind '{kind}' lacks {', '.join(missing)}.")
    return kinds[kind](**keys)
