"""Load paths for `matnet.drive`: what is prescribed at a point over time.

Amplitudes are tensor components: ``e12`` is half the engineering shear. Strains without unit,
stresses in the unit of the phases' moduli, time in any unit.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import (
    FileFormatError,
    MatnetError,
    ParameterError,
    require_finite,
    require_shape,
)
from matnet.mandel import COMPONENTS, SQRT2, component_index

__all__ = [
    "LoadPath",
    "biaxial",
    "cyclic",
    "from_csv",
    "hydrostatic",
    "simple_shear",
    "uniaxial_strain",
    "uniaxial_stress",
]

MAX_STEPS = 1_000_000
SCALE = np.array([1.0, 1.0, 1.0, SQRT2, SQRT2, SQRT2])  # tensor component to Mandel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadPath:
    """Prescribed strain or stress of each component over time, linear between the times.

    Parameters
    ----------
    time : (n + 1,)
        Strictly increasing [time unit]; row 0 is the start, with everything at rest.
    target : (n + 1, 6)
        Mandel components: strain [-] or stress [stress unit].
    stress_controlled : (6,) or (n + 1, 6) bool
        Which components of `target` are stresses; a row holds for the step that ends there.
    name : str
        What the path is, for titles and files.

    Raises
    ------
    ShapeError, ParameterError
        Shapes disagree, a value is not finite, time does not increase, or row 0 is not zero.
    """

    time: np.ndarray
    target: np.ndarray
    stress_controlled: np.ndarray
    name: str = "path"

    def __post_init__(self) -> None:
        time, target = np.array(self.time, dtype=float), np.array(self.target, dtype=float)
        require_shape("time", time, (None,))
        require_shape("target", target, (len(time), 6))
        require_finite("time", time)
        require_finite("target", target)
        control = np.array(self.stress_controlled, dtype=bool)
        if control.shape == (6,):
            control = np.tile(control, (len(time), 1))
        require_shape("stress_controlled", control, (len(time), 6))
        if len(time) < 2:
            raise ParameterError("a path needs at least one step (two times).")
        if (np.diff(time) <= 0.0).any():
            row = int(np.argmax(np.diff(time) <= 0.0)) + 1
            raise ParameterError(
                f"time {time[row]:g} in row {row} follows {time[row - 1]:g}, expected increasing."
            )
        if target[0].any():
            raise ParameterError("a path starts at rest: row 0 of target has to be zero.")
        for name, array in (("time", time), ("target", target), ("stress_controlled", control)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.time) - 1


def uniaxial_stress(
    component: str = "11", amplitude: float = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """One strain component driven to `amplitude`, all other components free of stress.

    Examples
    --------
    >>> path = uniaxial_stress("11", 0.02, steps=2)
    >>> path.target[:, 0]
    array([0.  , 0.01, 0.02])
    """
    return _ramp(
        {component: amplitude}, steps, duration, free=True, name=f"uniaxial stress {component}"
    )


def uniaxial_strain(
    component: str = "11", amplitude: float = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """One strain component driven to `amplitude`, all other strains zero."""
    return _ramp(
        {component: amplitude}, steps, duration, free=False, name=f"uniaxial strain {component}"
    )


def simple_shear(
    component: str = "12", gamma: float = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """Engineering shear `gamma`, twice the tensor component, all other strains zero."""
    if component_index(component) < 3:
        raise ParameterError(f"simple_shear: component '{component}', expected 12, 13 or 23.")
    return _ramp(
        {component: 0.5 * gamma}, steps, duration, free=False, name=f"simple shear {component}"
    )


def biaxial(
    components: tuple[str, str] = ("11", "22"),
    amplitude: float = 0.02,
    *,
    ratio: float = 1.0,
    steps: int = 40,
    duration: float = 1.0,
) -> LoadPath:
    """Two strain components to `amplitude` and ``ratio * amplitude``, the others stress-free."""
    first, second = components
    if component_index(first) == component_index(second):
        raise ParameterError(f"biaxial: components {components}, expected two different ones.")
    values = {first: amplitude, second: ratio * amplitude}
    return _ramp(values, steps, duration, free=True, name=f"biaxial {first} {second}")


def hydrostatic(amplitude: float = 0.02, *, steps: int = 40, duration: float = 1.0) -> LoadPath:
    """The three normal strains to `amplitude` each, no shear; volume changes by three times it."""
    values = {"11": amplitude, "22": amplitude, "33": amplitude}
    return _ramp(values, steps, duration, free=False, name="hydrostatic")


def cyclic(
    component: str = "11",
    amplitude: float = 0.02,
    *,
    cycles: int = 1,
    steps: int = 40,
    duration: float = 1.0,
) -> LoadPath:
    """Triangle wave 0, +amplitude, -amplitude, 0 of one strain component, others stress-free.

    `steps` and `duration` are per cycle; steps is a multiple of 4, so that peaks are met.
    """
    _require_steps(steps)
    _require_duration(duration)
    if steps % 4 or cycles < 1 or steps * cycles > MAX_STEPS:
        raise ParameterError(
            f"cyclic: {steps} steps and {cycles} cycles, expected a multiple of 4 and at least 1."
        )
    phase = np.arange(steps * cycles + 1) / steps
    wave = np.abs((4.0 * phase + 3.0) % 4.0 - 2.0) - 1.0  # period 1, slope 4 at 0
    return _wave(component, amplitude * wave, phase * duration, name=f"cyclic {component}")


def from_csv(path: str | Path) -> LoadPath:
    """Read a path from a table with a header row.

    Columns: ``time`` (optional: rows 1, 2, ... when missing), strains ``e11 .. e23`` (tensor
    components) or ``g12 g13 g23`` (engineering shear), stresses ``s11 .. s23``. Components without
    a column are stress-free. With both columns of a component, each row fills one of them. The
    start (time 0, all zero) may be left out. Lines that begin with # are comments.

    Raises
    ------
    FileFormatError
        The file is not such a table; the message gives file and line.
    """
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


def _ramp(
    values: dict[str, float], steps: int, duration: float, *, free: bool, name: str
) -> LoadPath:
    _require_steps(steps)
    _require_duration(duration)
    share = np.arange(steps + 1) / steps
    end, control = np.zeros(6), np.full(6, free)
    for component, value in values.items():
        require_finite("amplitude", value)
        index = component_index(component)
        end[index], control[index] = value * SCALE[index], False
    return LoadPath(
        time=share * duration, target=share[:, None] * end, stress_controlled=control, name=name
    )


def _wave(component: str, strain: np.ndarray, time: np.ndarray, *, name: str) -> LoadPath:
    index = component_index(component)
    target = np.zeros((len(time), 6))
    target[:, index] = strain * SCALE[index]
    return LoadPath(time=time, target=target, stress_controlled=np.arange(6) != index, name=name)


def _require_steps(steps: Any) -> None:
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise ParameterError(f"steps = {steps!r}, expected a whole number.")
    if not 1 <= steps <= MAX_STEPS:
        raise ParameterError(f"steps = {steps}, expected 1 to {MAX_STEPS}.")


def _require_duration(duration: float) -> None:
    if not 0.0 < duration < np.inf:
        raise ParameterError(f"duration = {duration:g}, expected a finite time > 0.")


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


def _from_rows(rows: list[tuple[int, list[str]]], name: str) -> LoadPath:
    if len(rows) < 2:
        raise ParameterError("has no rows of numbers below a header such as time,e11.")
    header = rows[0][1]
    columns = [_column(title) for title in header]
    if len(set(header)) < len(header):
        raise ParameterError(f"header {','.join(header)} repeats a column.")
    if all(kind == "time" for kind, _, _ in columns):
        raise ParameterError("header has no component, expected columns such as e11 or s11.")
    time, target, control = [], [], []
    for count, (line, cells) in enumerate(rows[1:], start=1):
        try:
            moment, values, stress = _row(columns, cells, count)
        except ParameterError as wrong:
            raise ParameterError(f"line {line}: {wrong}") from None
        time.append(moment)
        target.append(values)
        control.append(stress)
    if time[0] != 0.0:  # the start was left out
        time.insert(0, 0.0)
        target.insert(0, np.zeros(6))
        control.insert(0, control[0])
    return LoadPath(
        time=np.array(time),
        target=np.array(target),
        stress_controlled=np.array(control),
        name=name,
    )


def _column(title: str) -> tuple[str, int, float]:
    """Kind (time, e or s), Mandel index and factor to Mandel of a column."""
    if title == "time":
        return "time", 0, 1.0
    kind, component = title[:1], title[1:]
    if kind in ("e", "s") and component in COMPONENTS:
        index = COMPONENTS.index(component)
        return kind, index, float(SCALE[index])
    if kind == "g" and component in COMPONENTS[3:]:
        return "e", COMPONENTS.index(component), 0.5 * SQRT2
    raise ParameterError(
        f"column '{title[:40]}' is unknown, expected time, e11 .. e23, g12 g13 g23 or s11 .. s23."
    )


def _row(
    columns: Sequence[tuple[str, int, float]], cells: Sequence[str], count: int
) -> tuple[float, np.ndarray, np.ndarray]:
    if len(cells) != len(columns):
        raise ParameterError(f"{len(cells)} cells, expected {len(columns)} as in the header.")
    time, values, stress = float(count), np.zeros(6), np.ones(6, dtype=bool)
    filled: set[int] = set()
    for (kind, index, factor), cell in zip(columns, cells, strict=True):
        if kind == "time":
            time = _number(cell)
        elif cell:
            if index in filled:
                raise ParameterError(
                    f"component {COMPONENTS[index]} is given twice, expected once."
                )
            filled.add(index)
            values[index], stress[index] = _number(cell) * factor, kind == "s"
    for kind, index, _ in columns:
        if kind != "time" and index not in filled:
            raise ParameterError(f"component {COMPONENTS[index]} is empty, expected a number.")
    return time, values, stress


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ParameterError(f"'{cell[:40]}' is not a number.") from None
