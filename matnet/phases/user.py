"""A user's own compiled kernel as a law."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numba.core.errors import NumbaError

from matnet.errors import ParameterError, require_finite, require_shape
from matnet.phases.base import PhaseLaw
from matnet.phases.calls import lane_address, point_address

__all__ = ["UserLaw"]

_RESULTS = ("stress", "state", "tangent", "energy")
_POINT = ("strain", "dt", "temperature", "parameters", "state_n", *_RESULTS)
_LANE = ("point", "active", *_POINT)
SYMMETRY_TOLERANCE = 1e-6  # relative to the largest entry, as for every given stiffness


class UserLaw(PhaseLaw):
    """A law made of a kernel of one's own, compiled with ``numba.njit``. Immutable.

    The kernel's contract is the text of `matnet.phases.calls`; `matnet.check_material` tells
    whether it keeps it. docs/laws/user.md has an example.

    Parameters
    ----------
    kernel : function under ``numba.njit``
        The point kernel ``(strain, dt, temperature, parameters, state_n, stress, state, tangent,
        energy) -> status``.
    stiffness : (6, 6)
        Stiffness of the virgin material, Mandel, symmetric [stress unit].
    parameters : sequence of float
        The numbers the kernel reads.
    state_names : sequence of str
        A name for each internal variable; all are 0 in the virgin material.
    isotropic : bool
        Whether the response is the same in every frame.
    symmetric : bool
        Whether the tangent is symmetric in every state.
    rate_dependent : bool
        Whether the response depends on the length of the step; steps must then be > 0.
    lane_kernel : function under ``numba.njit``, optional
        The same for eight points at once.

    Raises
    ------
    ParameterError, ShapeError
        A kernel is no compiled function, takes other arguments or cannot be compiled to the
        contract; a number is not finite; the stiffness is not symmetric.

    Examples
    --------
    >>> from numba import njit
    >>> @njit(error_model="numpy")
    ... def spring(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    ...     tangent[:] = 0.0
    ...     energy[:] = 0.0
    ...     for i in range(6):
    ...         stress[i] = parameters[0] * strain[i]
    ...         tangent[i, i] = parameters[0]
    ...         energy[0] += 0.5 * stress[i] * strain[i]
    ...     return 0
    >>> law = UserLaw(kernel=spring, stiffness=2.0 * np.eye(6), parameters=[2.0],
    ...               isotropic=True, symmetric=True)
    >>> law
    UserLaw(spring, parameters=(2.0,), state_names=())
    >>> law.evaluate([[1e-3, 0, 0, 0, 0, 0]], 0.0, [[]]).stress[0, 0]
    0.002
    """

    __slots__ = ("_flags", "_kernel", "_lane_kernel", "_parameters", "_state_names", "_stiffness")
    law: ClassVar[str] = "user"

    _flags: tuple[bool, bool, bool]
    _kernel: Any
    _lane_kernel: Any
    _parameters: np.ndarray
    _state_names: tuple[str, ...]
    _stiffness: np.ndarray

    def __init__(
        self,
        *,
        kernel: Any,
        stiffness: Any,
        parameters: Sequence[float] | np.ndarray = (),
        state_names: Sequence[str] = (),
        isotropic: bool = False,
        symmetric: bool = False,
        rate_dependent: bool = False,
        lane_kernel: Any = None,
    ) -> None:
        names = (state_names,) if isinstance(state_names, str) else tuple(state_names)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ParameterError(
                f"UserLaw: state_names = {names!r}, expected a different text for each variable."
            )
        given = {
            "_stiffness": _stiffness(stiffness),
            "_parameters": _array("parameters", parameters, (None,)),
            "_state_names": names,
            "_flags": (bool(isotropic), bool(symmetric), bool(rate_dependent)),
            "_kernel": _checked("kernel", kernel, _POINT),
            "_lane_kernel": lane_kernel and _checked("lane_kernel", lane_kernel, _LANE),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def stiffness(self) -> np.ndarray:
        """Stiffness (6, 6) of the virgin material, Mandel [stress unit], read-only."""
        return self._stiffness

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return self._kernel

    @property
    def lane_kernel(self) -> Any:
        """The lane kernel, or None."""
        return self._lane_kernel

    @property
    def parameters(self) -> np.ndarray:
        """The numbers (k,) that the kernel reads, read-only."""
        return self._parameters

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each internal variable."""
        return self._state_names

    @property
    def isotropic(self) -> bool:
        """Whether the response is the same in every frame, as claimed."""
        return self._flags[0]

    @property
    def symmetric(self) -> bool:
        """Whether the tangent is symmetric in every state, as claimed."""
        return self._flags[1]

    @property
    def rate_dependent(self) -> bool:  # type: ignore[override]  # the base has a class variable
        """Whether the response depends on the length of the step, as claimed."""
        return self._flags[2]

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> PhaseLaw:
        """Never: compiled code is not in the file; raises `ParameterError`."""
        raise ParameterError("law 'user' cannot be read from a file: make it in Python.")

    def to_table(self) -> dict[str, Any]:
        """Never: compiled code cannot be written; raises `ParameterError`."""
        raise ParameterError(
            f"law 'user' with kernel '{_name(self._kernel)}' is compiled code and cannot be "
            "written to a file. Pickle it, or make a subclass of matnet.phases.PhaseLaw."
        )

    def _key(self) -> tuple[Any, ...]:
        arrays = (self._stiffness.tobytes(), self._parameters.tobytes())
        return (*arrays, self._state_names, self._flags, self._kernel, self._lane_kernel)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"UserLaw is immutable: '{name}' cannot be set. Make a new one.")

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self._kernel, self._stiffness, self._parameters, self._state_names)
        return _rebuild, (*given, *self._flags, self._lane_kernel)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserLaw) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        numbers = tuple(self._parameters.tolist())
        return (
            f"UserLaw({_name(self._kernel)}, parameters={numbers}, state_names={self._state_names})"
        )


def _rebuild(
    kernel: Any,
    stiffness: np.ndarray,
    parameters: np.ndarray,
    state_names: tuple[str, ...],
    isotropic: bool,
    symmetric: bool,
    rate_dependent: bool,
    lane_kernel: Any,
) -> UserLaw:
    return UserLaw(
        kernel=kernel,
        stiffness=stiffness,
        parameters=parameters,
        state_names=state_names,
        isotropic=isotropic,
        symmetric=symmetric,
        rate_dependent=rate_dependent,
        lane_kernel=lane_kernel,
    )


def _name(kernel: Any) -> str:
    return str(getattr(kernel, "__name__", kernel))


def _array(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"UserLaw: {name} = {value!r}, expected numbers.") from None
    require_shape(f"UserLaw: {name}", array, shape)
    require_finite(f"UserLaw: {name}", array)
    array.setflags(write=False)
    return array


def _stiffness(value: Any) -> np.ndarray:
    array = _array("stiffness", value, (6, 6))
    if np.abs(array - array.T).max() > SYMMETRY_TOLERANCE * np.abs(array).max():
        raise ParameterError("UserLaw: stiffness is not symmetric, expected a Mandel matrix.")
    return array


def _checked(role: str, kernel: Any, expected: tuple[str, ...]) -> Any:
    """The kernel, compiled to its contract, or one sentence that says why not."""
    name = _name(kernel)
    function = getattr(kernel, "py_func", None)
    if function is None:
        raise ParameterError(
            f"UserLaw: {role} = {name} is not compiled, expected a function under @numba.njit."
        )
    n_arguments = len(inspect.signature(function).parameters)
    if n_arguments != len(expected):
        raise ParameterError(
            f"UserLaw: {role} '{name}' takes {n_arguments} arguments, expected {len(expected)}: "
            f"{', '.join(expected)}."
        )
    try:
        (point_address if role == "kernel" else lane_address)(kernel)
    except (NumbaError, TypeError) as wrong:
        raise ParameterError(
            f"UserLaw: {role} '{name}' cannot be compiled to the contract of "
            f"matnet.phases.calls: {_cause(wrong)}."
        ) from None
    return kernel


def _cause(wrong: Exception) -> str:
    """The line of a compiler's message that says what is wrong, and the line it points at."""
    lines = [line.strip() for line in str(wrong).splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith("Failed in ")]
    where = [line for line in lines if line.startswith("File ")]
    return ", ".join([reasons[0] if reasons else type(wrong).__name__, *where[:1]]).rstrip(".:")
