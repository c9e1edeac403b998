"""The C library called from Python, with the interface of `matnet.Material.update`."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, MatnetError, ParameterError, require_shape
from matnet.material import Update
from matnet.phases.base import require_time_step, temperatures
from umat_bridge.c.sources import build_library

__all__ = ["CMaterial", "load_library"]

_BAD_ARGUMENT = 6  # as in matnet_umat.h
_MESSAGE_BYTES = 512
_INT, _REAL, _POINTER = ctypes.c_int, ctypes.c_double, ctypes.c_void_p
# name -> (result, arguments)
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "matnet_read": (
        _INT,
        (ctypes.c_char_p, ctypes.POINTER(_POINTER), ctypes.c_char_p, ctypes.c_size_t),
    ),
    "matnet_free": (None, (_POINTER,)),
    "matnet_n_state": (_INT, (_POINTER,)),
    "matnet_rate_dependent": (_INT, (_POINTER,)),
    "matnet_stiffness": (None, (_POINTER, _POINTER)),
    "matnet_initial_state": (None, (_POINTER, _INT, _POINTER)),
    "matnet_set_options": (_INT, (_POINTER, _REAL, _INT, _INT)),
    "matnet_workspace_create": (_POINTER, (_POINTER,)),
    "matnet_workspace_free": (None, (_POINTER,)),
    "matnet_update_with": (
        _INT,
        (_POINTER, _INT, _POINTER, _REAL, *(6 * (_POINTER,))),
    ),
    "matnet_strain_from_engineering": (None, (_POINTER, _POINTER)),
    "matnet_stress_to_engineering": (None, (_POINTER, _POINTER)),
    "matnet_tangent_to_engineering": (None, (_POINTER, _POINTER)),
}


def load_library(path: Path | None = None) -> ctypes.CDLL:
    """The compiled C library with the signatures of its functions; built where `path` is None.

    Raises
    ------
    MatnetError
        It cannot be built or loaded.
    """
    return _load(path or build_library())


@cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as wrong:
        raise MatnetError(f"the C library cannot be loaded: {wrong}.") from None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class CMaterial:
    """A material from a ``.matnet`` file with phase laws, computed by the C library.

    Any number of threads may call one object at once; a call lasts without Python's lock. A copy is
    the object itself; pickles hold the path, and read the file again where they are loaded.

    Parameters
    ----------
    path : str or Path
        File written by `matnet.Material.save`.
    tol, max_iterations, max_cuts
        As in `matnet.SolverOptions`.
    library : Path, optional
        A compiled library; by default it is built with the C compiler found, once per version of
        the sources.

    Raises
    ------
    FileFormatError
        The file cannot be read; the message starts with its name.
    ParameterError
        An option is out of range.
    MatnetError
        The library cannot be built or loaded.

    Attributes
    ----------
    n_state : int
        Number of internal variables per point.
    rate_dependent : bool
        Whether the response depends on the length of the step.
    stiffness : (6, 6) array
        Effective initial stiffness, Mandel [stress unit].
    """

    def __init__(
        self,
        path: str | Path,
        *,
        tol: float = 1e-8,
        max_iterations: int = 30,
        max_cuts: int = 6,
        library: Path | None = None,
    ) -> None:
        self._free: list[int] = []  # workspaces that no thread uses now
        self._material: int | None = None
        self._made_of = (path, tol, max_iterations, max_cuts, library)
        self._library = load_library(library)
        self._material = self._read(path)
        fit = max(max_iterations, max_cuts) < 2**31  # ctypes would cut larger ones
        set_options = self._library.matnet_set_options
        if not fit or set_options(self._material, tol, max_iterations, max_cuts) != 0:
            raise ParameterError(
                f"tol = {tol:g}, max_iterations = {max_iterations} and max_cuts = {max_cuts}, "
                "expected 0 < tol < 1e-2, at least 2, and 0 to 60."
            )
        self.n_state: int = self._library.matnet_n_state(self._material)
        self.rate_dependent = bool(self._library.matnet_rate_dependent(self._material))
        self.stiffness = np.empty((6, 6))
        self._library.matnet_stiffness(self._material, self.stiffness.ctypes.data)
        self.stiffness.setflags(write=False)

    def _read(self, path: str | Path) -> int:
        material = _POINTER()
        message = ctypes.create_string_buffer(_MESSAGE_BYTES)
        name = os.fsencode(path)
        if b"\0" in name:
            raise FileFormatError(f"{str(path)!r} is no path of a file.")
        code = self._library.matnet_read(name, ctypes.byref(material), message, _MESSAGE_BYTES)
        if code != 0 or material.value is None:
            raise FileFormatError(message.value.decode("utf-8", "replace"))
        return material.value

    def __copy__(self) -> CMaterial:
        return self

    def __deepcopy__(self, memo: Any) -> CMaterial:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, self._made_of)

    def __del__(self) -> None:
        if self._material is not None:
            for workspace in self._free:
                self._library.matnet_workspace_free(workspace)
            self._library.matnet_free(self._material)

    def initial_state(self, n_points: int) -> np.ndarray:
        """State (n_points, n_state) of the virgin material."""
        state = np.zeros((n_points, self.n_state))
        self._library.matnet_initial_state(self._material, n_points, state.ctypes.data)
        return state

    def update(
        self, strain: Any, dt: float, state_n: np.ndarray, temperature: Any = None
    ) -> Update:
        """Stress, consistent tangent and state at the end of a step, for a batch of points.

        Arguments, results and errors are those of `matnet.Material.update`: strain (n, 6) Mandel,
        dt [time unit], state_n (n, n_state), temperature a number or (n,).
        """
        eps = np.array(strain, dtype=float, order="C")
        require_shape("strain", eps, (None, 6))
        n = len(eps)
        old = np.array(state_n, dtype=float, order="C")
        require_shape("state_n", old, (n, self.n_state))
        require_time_step(dt, rate_dependent=self.rate_dependent)
        kelvin = None if temperature is None else temperatures(temperature, n, np.nan)
        stress, tangent, state = np.empty((n, 6)), np.empty((n, 6, 6)), np.empty_like(old)
        status = np.empty(n, dtype=np.intc)
        arrays = (kelvin, old, stress, tangent, state, status)
        pointers = [None if array is None else array.ctypes.data for array in arrays]
        self._call(n, eps.ctypes.data, float(dt), *pointers)
        return Update(stress, tangent, state, status.astype(np.int8))

    def _call(self, *arguments: Any) -> None:
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = self._library.matnet_workspace_create(self._material)
        if not workspace:
            raise MatnetError("no memory for a workspace of the C library.")
        code = self._library.matnet_update_with(workspace, *arguments)
        self._free.append(workspace)
        if code == -_BAD_ARGUMENT:
            raise ParameterError("the C library refused the number of points or the time step.")
        if code < 0:
            raise MatnetError("no memory for a workspace of the C library.")


def _rebuild(
    path: str | Path, tol: float, max_iterations: int, max_cuts: int, library: Path | None
) -> CMaterial:
    return CMaterial(
        path, tol=tol, max_iterations=max_iterations, max_cuts=max_cuts, library=library
    )
