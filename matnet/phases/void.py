"""Nothing: no stress, no stiffness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.errors import ParameterError
from matnet.phases.base import PhaseLaw

__all__ = ["Void"]

_ZERO = np.zeros((6, 6))
_ZERO.setflags(write=False)


@njit(cache=True)
def void_point(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):  # type: ignore[no-untyped-def]
    """No stress whatever the strain."""
    stress[:] = 0.0
    tangent[:] = 0.0
    energy[:] = 0.0
    return 0


@dataclass(frozen=True, slots=True)
class Void(PhaseLaw):
    """An empty phase.

    Examples
    --------
    >>> bool(Void().stiffness.any())
    False
    """

    law: ClassVar[str] = "void"
    linear: ClassVar[bool] = True

    @property
    def stiffness(self) -> np.ndarray:
        """Zeros (6, 6)."""
        return _ZERO

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return void_point

    @property
    def isotropic(self) -> bool:
        """True."""
        return True

    @property
    def symmetric(self) -> bool:
        """True."""
        return True

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Void:
        """From a TOML table without keys (``law`` aside); raises `ParameterError`."""
        if table:
            raise ParameterError(f"law 'void' takes no parameters, but {', '.join(table)} came.")
        return cls()

    def to_table(self) -> dict[str, Any]:
        """No keys."""
        return {}
