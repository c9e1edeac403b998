"""Nothing: no stress, no stiffness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matnet.errors import ParameterError

__all__ = ["Void"]

_ZERO = np.zeros((6, 6))
_ZERO.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Void:
    """An empty phase.

    Examples
    --------
    >>> bool(Void().stiffness.any())
    False
    """

    law: ClassVar[str] = "void"

    @property
    def stiffness(self) -> np.ndarray:
        """Zeros (6, 6)."""
        return _ZERO

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Void:
        """From a TOML table without keys (``law`` aside); raises `ParameterError`."""
        if table:
            raise ParameterError(f"law 'void' takes no parameters, but {', '.join(table)} came.")
        return cls()

    def to_table(self) -> dict[str, Any]:
        """No keys."""
        return {}
