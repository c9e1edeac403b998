"""Load paths from CSV tables; `matnet.paths.from_csv` says what they hold."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from matnet.errors import FileFormatError, MatnetError, ParameterError
from matnet.mandel import COMPONENTS, SQRT2
from matnet.paths import SCALE, LoadPath

__all__ = ["read_path"]


def read_path(path: str | Path) -> LoadPath:
    """The path in a CSV table; raises `FileFormatError`."""
    source = Path(path)
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except OSError as wrong:
        raise FileFormatError(f"{source.name}: cannot be read ({wrong.strerror}).") from None
    except UnicodeDecodeError:
        raise FileFormatError(f"{source.name}: is not UTF-8 text, expected a CSV table.") from None
    try:
        return _from_rows(_csv_rows(text), source.stem)
    except (MatnetError, csv.Error) as wrong:
        raise FileFormatError(f"{source.name}: {wrong}") from None


class _Column(NamedTuple):
    """Kind (t, T, e or s), Mandel index and factor to Mandel."""

    kind: str
    place: int = 0
    factor: float = 1.0


class _Row(NamedTuple):
    """What a line prescribes."""

    time: float
    target: np.ndarray
    stress_controlled: np.ndarray
    temperature: float


def _csv_rows(text: str) -> list[tuple[int, list[str]]]:
    """Line number and cells of every line that is neither empty nor a comment."""
    numbered = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    cells = csv.reader([line for _, line in numbered], strict=True)
    return [
        (number, [cell.strip() for cell in row])
        for (number, _), row in zip(numbered, cells, strict=False)
    ]


def _from_rows(lines: list[tuple[int, list[str]]], name: str) -> LoadPath:
    if len(lines) < 2:
        raise ParameterError("has no rows of numbers below a header such as t,e11.")
    columns = _header(lines[0][1])
    rows: list[_Row] = []
    for count, (line, cells) in enumerate(lines[1:], start=1):
        try:
            rows.append(_row(columns, cells, count))
            _require_order(rows)
        except ParameterError as wrong:
            raise ParameterError(f"line {line}: {wrong}") from None
    if rows[0].time != 0.0:  # the start was left out
        rows.insert(0, rows[0]._replace(time=0.0, target=np.zeros(6)))
    has_temperature = any(column.kind == "T" for column in columns)
    return LoadPath(
        time=np.array([row.time for row in rows]),
        target=np.array([row.target for row in rows]),
        stress_controlled=np.array([row.stress_controlled for row in rows]),
        temperature=np.array([row.temperature for row in rows]) if has_temperature else None,
        name=name,
    )


def _require_order(rows: list[_Row]) -> None:
    """Whether the last row may follow those before it."""
    time = rows[-1].time
    if len(rows) > 1 and not time > rows[-2].time:
        raise ParameterError(f"time {time:g} follows {rows[-2].time:g}, expected increasing.")
    if time < 0.0:
        raise ParameterError(f"time {time:g}, expected 0 or later.")
    if time == 0.0 and rows[-1].target.any():
        raise ParameterError("a path starts at rest, expected zeros at time 0.")


def _header(titles: list[str]) -> list[_Column]:
    for separator, name in ((";", "';'"), ("\t", "tabs")):
        if len(titles) == 1 and separator in titles[0]:
            raise ParameterError(f"cells are separated by {name}, expected commas.")
    columns = [_column(title) for title in titles]
    kinds = [column.kind for column in columns]
    if len(set(titles)) < len(titles) or kinds.count("t") > 1:
        raise ParameterError(f"header {','.join(titles)} repeats a column.")
    if not {"e", "s", "T"} & set(kinds):
        raise ParameterError("header has no component, expected columns such as e11 or s11.")
    return columns


def _column(title: str) -> _Column:
    if title in ("t", "time"):
        return _Column("t")
    if title == "T":
        return _Column("T")
    kind, component = title[:1], title[1:]
    if kind in ("e", "s") and component in COMPONENTS:
        index = COMPONENTS.index(component)
        return _Column(kind, index, float(SCALE[index]))
    if kind == "g" and component in COMPONENTS[3:]:
        return _Column("e", COMPONENTS.index(component), 0.5 * SQRT2)
    raise ParameterError(
        f"column '{title[:40]}' is unknown, expected t, e11 .. e23, g12 g13 g23, s11 .. s23 or T."
    )


def _row(columns: Sequence[_Column], cells: Sequence[str], count: int) -> _Row:
    if len(cells) != len(columns):
        raise ParameterError(f"{len(cells)} cells, expected {len(columns)} as in the header.")
    time, temperature = float(count), 0.0
    values, stress = np.zeros(6), np.ones(6, dtype=bool)
    filled: set[int] = set()
    for column, cell in zip(columns, cells, strict=True):
        if column.kind == "t":
            time = _number(cell)
        elif column.kind == "T":
            temperature = _number(cell)
        elif cell:
            if column.place in filled:
                name = COMPONENTS[column.place]
                raise ParameterError(f"component {name} is given twice, expected once.")
            filled.add(column.place)
            values[column.place] = _number(cell) * column.factor
            stress[column.place] = column.kind == "s"
    for column in columns:
        if column.kind in ("e", "s") and column.place not in filled:
            name = COMPONENTS[column.place]
            raise ParameterError(f"component {name} is empty, expected a number.")
    return _Row(time, values, stress, temperature)


def _number(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        raise ParameterError(f"'{cell[:40]}' is not a number.") from None
    if not math.isfinite(number):
        raise ParameterError(f"'{cell[:40]}' is not a finite number.")
    return number
