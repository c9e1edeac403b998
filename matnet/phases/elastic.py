"""Linear elasticity of any anisotropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.elasticity import (
    check_stiffness,
    cubic,
    isotropic,
    isotropic_constants,
    orthotropic,
    transversely_isotropic,
)
from matnet.errors import ParameterError
from matnet.mandel import rotate_stiffness
from matnet.phases.base import PhaseLaw
from matnet.phases.frames import FRAME_KEYS, material_axes

__all__ = ["Elastic"]

# every accepted set of constants and the constructor it goes to
FORMS: dict[tuple[str, ...], Callable[..., np.ndarray]] = {
    ("E", "nu"): isotropic,
    ("K", "G"): isotropic,
    ("E1", "E2", "E3", "nu12", "nu13", "nu23", "G12", "G13", "G23"): orthotropic,
    ("E_axial", "E_transverse", "nu_axial", "nu_transverse", "G_axial"): transversely_isotropic,
    ("C11", "C12", "C44"): cubic,
    ("stiffness",): lambda stiffness: check_stiffness(stiffness),
}


@njit(cache=True)
def elastic_point(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):  # type: ignore[no-untyped-def]
    """Hooke's law; parameters: the stiffness by rows (36,)."""
    energy[:] = 0.0
    for i in range(6):
        stress[i] = 0.0
        for j in range(6):
            tangent[i, j] = parameters[6 * i + j]
            stress[i] += tangent[i, j] * strain[j]
        energy[0] += 0.5 * stress[i] * strain[i]
    return 0


class Elastic(PhaseLaw):
    r"""Linear elastic material: :math:`\sigma = C : \varepsilon`. Immutable.

    Parameters
    ----------
    **constants
        Exactly one of these sets, moduli in any consistent stress unit, all by keyword:

        * ``E, nu`` or ``K, G``: isotropic;
        * ``E1, E2, E3, nu12, nu13, nu23, G12, G13, G23``: orthotropic along the material axes;
        * ``E_axial, E_transverse, nu_axial, nu_transverse, G_axial``: transversely isotropic
          about axis 3;
        * ``C11, C12, C44``: cubic (Voigt constants);
        * ``stiffness``: Mandel matrix (6, 6), order 11 22 33 12 13 23.

        Constants refer to the coordinate axes, or to a material frame given by one of

        * ``axes``: rotation matrix (3, 3) whose columns are the material axes 1 2 3;
        * ``euler``: Bunge's Euler angles (phi1, Phi, phi2) [degrees] of that frame.

    Raises
    ------
    ParameterError, ShapeError
        Constants are missing, unknown, mixed, out of range or not positive definite; the message
        names them.

    Examples
    --------
    >>> aluminium = Elastic(E=70e3, nu=0.33)  # MPa
    >>> aluminium
    Elastic(E=70000.0, nu=0.33)
    >>> aluminium.stiffness.shape
    (6, 6)
    >>> fibre = dict(E_axial=10.0, E_transverse=2.0, nu_axial=0.3, nu_transverse=0.4, G_axial=1.0)
    >>> along_1 = Elastic(**fibre, axes=[[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    >>> round(1.0 / np.linalg.inv(along_1.stiffness)[0, 0], 9)
    10.0

    References
    ----------
    Bunge, *Texture Analysis in Materials Science*, 1982, section 2.1.2, for the Euler angles.
    """

    __slots__ = ("_constants", "_isotropic", "_stiffness")
    law: ClassVar[str] = "elastic"
    linear: ClassVar[bool] = True

    _constants: dict[str, Any]
    _isotropic: bool
    _stiffness: np.ndarray

    def __init__(self, **constants: Any) -> None:
        frame = {key: constants.pop(key) for key in FRAME_KEYS if key in constants}
        form = _form(set(constants))
        values = constants if form == ("stiffness",) else _numbers(form, constants)
        stiffness = FORMS[form](**values)
        kept: dict[str, Any] = values
        if form == ("stiffness",):
            kept = {"stiffness": stiffness.tolist()}
        if frame:
            rotation, kept_frame = material_axes("law 'elastic'", frame)
            stiffness = _symmetric_part(rotate_stiffness(stiffness, rotation))
            kept = {**kept, **kept_frame}
        stiffness.setflags(write=False)
        object.__setattr__(self, "_stiffness", stiffness)
        object.__setattr__(self, "_constants", kept)
        object.__setattr__(self, "_isotropic", _is_isotropic(stiffness))

    @property
    def stiffness(self) -> np.ndarray:
        """Stiffness (6, 6), Mandel [stress unit], read-only."""
        return self._stiffness

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return elastic_point

    @property
    def parameters(self) -> np.ndarray:
        """The stiffness by rows (36,)."""
        return self._stiffness.ravel()

    @property
    def isotropic(self) -> bool:
        """Whether the stiffness is that of an isotropic material."""
        return self._isotropic

    @property
    def symmetric(self) -> bool:
        """True."""
        return True

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Elastic:
        """From the keys of a TOML table; raises `ParameterError` or `ShapeError`."""
        return cls(**table)

    def to_table(self) -> dict[str, Any]:
        """The constants it was made from; `from_table` gives an equal law."""
        return dict(self._constants)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Elastic is immutable: '{name}' cannot be set. Make a new one.")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self._constants,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Elastic) and np.array_equal(self.stiffness, other.stiffness)

    def __hash__(self) -> int:
        return hash(self.stiffness.tobytes())

    def __repr__(self) -> str:
        if "stiffness" in self._constants:
            near = isotropic_constants(self.stiffness)
            return f"Elastic(stiffness=..., nearest isotropic E={near['E']:g}, nu={near['nu']:g})"
        return f"Elastic({', '.join(f'{k}={v!r}' for k, v in self._constants.items())})"


def _rebuild(constants: dict[str, Any]) -> Elastic:
    return Elastic(**constants)


def _symmetric_part(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (matrix + matrix.T))


def _is_isotropic(stiffness: np.ndarray) -> bool:
    constants = isotropic_constants(stiffness)
    near = isotropic(E=constants["E"], nu=constants["nu"])
    return bool(np.abs(near - stiffness).max() <= 1e-12 * np.abs(near).max())


def _form(given: set[str]) -> tuple[str, ...]:
    """The set of constants that was given, or the sentence that says what is wrong with it."""
    for form in FORMS:
        if given == set(form):
            return form
    choices = "; ".join(", ".join(form) for form in FORMS)
    known = {name for form in FORMS for name in form}
    unknown = sorted(given - known)
    if unknown:
        raise ParameterError(
            f"law 'elastic': unknown key {', '.join(unknown)}, expected one of the sets {choices}; "
            "with axes or euler for a material frame."
        )
    holding = [form for form in FORMS if given and given <= set(form)]
    if holding:
        missing = [name for name in holding[0] if name not in given]
        raise ParameterError(f"law 'elastic': {', '.join(missing)} missing.")
    came = ", ".join(sorted(given)) or "nothing"
    raise ParameterError(f"law 'elastic': {came} came, expected exactly one of the sets {choices}.")


def _numbers(form: tuple[str, ...], constants: Mapping[str, Any]) -> dict[str, float]:
    values = {}
    for name in form:
        value = constants[name]
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise ParameterError(f"law 'elastic': {name} = {value!r}, expected a number.")
        try:
            values[name] = float(value)
        except OverflowError:
            raise ParameterError(f"law 'elastic': {name} is too large for a number.") from None
    return values
