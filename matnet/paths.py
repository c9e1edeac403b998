"""Load paths for `matnet.drive`: what is prescribed at a point over time.

Amplitudes are tensor components: ``e12`` is half the engineering shear. Strains without unit,
stresses in the unit of the phases' moduli, time in any unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_finite, require_shape
from matnet.mandel import COMPONENTS, SQRT2, component_index

__all__ = [
    "LoadPath",
    "biaxial",
    "creep",
    "cyclic",
    "from_csv",
    "from_text",
    "hydrostatic",
    "plane_stress",
    "relaxation",
    "simple_shear",
    "uniaxial_strain",
    "uniaxial_stress",
]

MAX_STEPS = 1_000_000
SCALE = np.array([1.0, 1.0, 1.0, SQRT2, SQRT2, SQRT2])  # tensor component to Mandel
RAMP = 1e-3  # of the holding time: how long creep and relaxation take to get there
Amplitude = float | Sequence[float]


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
    temperature : (n + 1,), optional
        Of the point [temperature unit]; the laws' reference temperature if not given.
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
    temperature: np.ndarray | None = None
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
        arrays = {"time": time, "target": target, "stress_controlled": control}
        if self.temperature is not None:
            arrays["temperature"] = np.array(self.temperature, dtype=float)
            require_shape("temperature", arrays["temperature"], (len(time),))
            require_finite("temperature", arrays["temperature"])
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.time) - 1

    @property
    def driven(self) -> str:
        """The component with the largest prescribed strain, else stress; 11 if nothing moves."""
        strain = np.abs(np.where(self.stress_controlled, 0.0, self.target)).max(axis=0)
        largest = strain if strain.any() else np.abs(self.target).max(axis=0)
        return COMPONENTS[int(largest.argmax())]


def uniaxial_stress(
    component: str = "11", amplitude: Amplitude = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """One strain component driven to `amplitude`, all other components free of stress.

    As in every ramp here, `amplitude` may be a list of turning points: the path then goes from one
    to the next, each time in `steps` steps and `duration`.

    Examples
    --------
    >>> uniaxial_stress("11", 0.02, steps=2).target[:, 0]
    array([0.  , 0.01, 0.02])
    >>> uniaxial_stress("11", [0.02, 0.0], steps=2).target[:, 0]
    array([0.  , 0.01, 0.02, 0.01, 0.  ])
    """
    return _ramp(
        {component: 1.0}, amplitude, steps, duration, free=True, name=f"uniaxial stress {component}"
    )


def uniaxial_strain(
    component: str = "11", amplitude: Amplitude = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """One strain component driven to `amplitude`, all other strains zero."""
    name = f"uniaxial strain {component}"
    return _ramp({component: 1.0}, amplitude, steps, duration, free=False, name=name)


def simple_shear(
    component: str = "12", gamma: Amplitude = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """Engineering shear `gamma`, twice the tensor component, all other strains zero."""
    if component_index(component) < 3:
        raise ParameterError(f"simple_shear: component '{component}', expected 12, 13 or 23.")
    name = f"simple shear {component}"
    return _ramp({component: 0.5}, gamma, steps, duration, free=False, name=name)


def biaxial(
    components: tuple[str, str] = ("11", "22"),
    amplitude: Amplitude = 0.02,
    *,
    ratio: float = 1.0,
    steps: int = 40,
    duration: float = 1.0,
) -> LoadPath:
    """Two strain components to `amplitude` and ``ratio * amplitude``, the others stress-free."""
    first, second = components
    if component_index(first) == component_index(second):
        raise ParameterError(f"biaxial: components {components}, expected two different ones.")
    require_finite("ratio", ratio)
    name = f"biaxial {first} {second}"
    return _ramp({first: 1.0, second: ratio}, amplitude, steps, duration, free=True, name=name)


def plane_stress(
    component: str = "11", amplitude: Amplitude = 0.02, *, steps: int = 40, duration: float = 1.0
) -> LoadPath:
    """A sheet in the plane 1-2: one of e11, e22, e12 driven, the other two held at zero.

    Stresses out of the plane (33, 13, 23) are zero.
    """
    if component not in ("11", "22", "12"):
        raise ParameterError(f"plane_stress: component '{component}', expected 11, 22 or 12.")
    path = _ramp(
        {component: 1.0}, amplitude, steps, duration, free=False, name=f"plane stress {component}"
    )
    out_of_plane = np.array([name not in ("11", "22", "12") for name in COMPONENTS])
    return LoadPath(
        time=path.time, target=path.target, stress_controlled=out_of_plane, name=path.name
    )


def hydrostatic(amplitude: Amplitude = 0.02, *, steps: int = 40, duration: float = 1.0) -> LoadPath:
    """The three normal strains to `amplitude` each, no shear; volume changes by three times it."""
    normal = {"11": 1.0, "22": 1.0, "33": 1.0}
    return _ramp(normal, amplitude, steps, duration, free=False, name="hydrostatic")


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
    require_finite("amplitude", amplitude)
    if steps % 4 or cycles < 1 or steps * cycles > MAX_STEPS:
        raise ParameterError(
            f"cyclic: {steps} steps and {cycles} cycles, expected a multiple of 4 and at least 1."
        )
    phase = np.arange(steps * cycles + 1) / steps
    wave = np.abs((4.0 * phase + 3.0) % 4.0 - 2.0) - 1.0  # period 1, slope 4 at 0
    return _single(
        component, amplitude * wave, phase * duration, stress=False, name=f"cyclic {component}"
    )


def creep(
    component: str = "11",
    stress: float = 1.0,
    *,
    duration: float = 1.0,
    steps: int = 40,
    ramp: float | None = None,
) -> LoadPath:
    """One stress component put on in one step and then held, the others free of stress.

    Parameters
    ----------
    component : str
        Such as ``"11"``.
    stress : float
        Tensor component [stress unit].
    duration : float
        For which it is held [time unit].
    steps : int
        In which it is held; one more puts it on.
    ramp : float, optional
        Time in which it is put on [time unit]; a thousandth of `duration` if not given.
    """
    time = _held(steps, duration, ramp)
    level = np.append(0.0, np.full(steps + 1, float(stress)))
    return _single(component, level, time, stress=True, name=f"creep {component}")


def relaxation(
    component: str = "11",
    strain: float = 0.01,
    *,
    duration: float = 1.0,
    steps: int = 40,
    ramp: float | None = None,
) -> LoadPath:
    """One strain component put on in one step and then held, the others free of stress.

    The parameters are those of `creep`.
    """
    time = _held(steps, duration, ramp)
    level = np.append(0.0, np.full(steps + 1, float(strain)))
    return _single(component, level, time, stress=False, name=f"relaxation {component}")


def from_csv(path: str | Path) -> LoadPath:
    """Read a path from a table with a header row; docs/drive.md has examples.

    Columns: ``t`` or ``time`` (optional: rows 1, 2, ... when missing), strains ``e11 .. e23``
    (tensor components) or ``g12 g13 g23`` (engineering shear), stresses ``s11 .. s23``, temperature
    ``T``. Components without a column are stress-free. With both columns of a component, each row
    fills one of them. The start (time 0, all zero) may be left out. Lines that begin with # are
    comments.

    Raises
    ------
    FileFormatError
        The file is not such a table; the message gives file and line.
    """
    from matnet.path_files import read_path

    return read_path(path)


def from_text(text: str) -> LoadPath:
    """Read a path from ``KIND-COMPONENT:VALUE@TIMExSTEPSxCYCLES``; see `matnet.load_text`.

    Raises
    ------
    ParameterError
        The text is not such a load; the message says what it should look like.

    Examples
    --------
    >>> from_text("uniaxial-11:0.02x40").n_steps
    40
    >>> from_text("creep-11:100@3600x60").time[-1].round(6)
    3603.6
    """
    from matnet.load_text import read_load

    return read_load(text)


def _ramp(
    shares: dict[str, float],
    amplitude: Amplitude,
    steps: int,
    duration: float,
    *,
    free: bool,
    name: str,
) -> LoadPath:
    """Components in fixed proportion along straight legs between turning points."""
    _require_steps(steps)
    _require_duration(duration)
    turns = np.append(0.0, np.atleast_1d(np.asarray(amplitude, dtype=float)))
    require_shape("amplitude", turns, (None,))
    require_finite("amplitude", turns[1:])
    n_steps = steps * (len(turns) - 1)
    if not 1 <= n_steps <= MAX_STEPS:
        raise ParameterError(f"the path has {n_steps} steps, expected 1 to {MAX_STEPS}.")
    moment = np.arange(n_steps + 1) / steps
    level = np.interp(moment, np.arange(len(turns)), turns)
    direction, control = np.zeros(6), np.full(6, free)
    for component, share in shares.items():
        index = component_index(component)
        direction[index], control[index] = share * SCALE[index], False
    return LoadPath(
        time=moment * duration,
        target=level[:, None] * direction,
        stress_controlled=control,
        name=name,
    )


def _single(
    component: str, values: np.ndarray, time: np.ndarray, *, stress: bool, name: str
) -> LoadPath:
    """One component over time, all others stress-free."""
    index = component_index(component)
    target, control = np.zeros((len(time), 6)), np.ones(6, dtype=bool)
    target[:, index], control[index] = values * SCALE[index], stress
    return LoadPath(time=time, target=target, stress_controlled=control, name=name)


def _held(steps: int, duration: float, ramp: float | None) -> np.ndarray:
    """Times (steps + 2,) of a step load and the holding after it."""
    _require_steps(steps)
    _require_duration(duration)
    rise = RAMP * duration if ramp is None else ramp
    if not 0.0 < rise < np.inf:
        raise ParameterError(f"ramp = {rise:g}, expected a finite time > 0.")
    return np.append(0.0, rise + duration * np.arange(steps + 1) / steps)


def _require_steps(steps: Any) -> None:
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise ParameterError(f"steps = {steps!r}, expected a whole number.")
    if not 1 <= steps <= MAX_STEPS:
        raise ParameterError(f"steps = {steps}, expected 1 to {MAX_STEPS}.")


def _require_duration(duration: float) -> None:
    if not 0.0 < duration < np.inf:
        raise ParameterError(f"duration = {duration:g}, expected a finite time > 0.")
