"""What every base-material law offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

__all__ = ["PhaseLaw"]


@runtime_checkable
class PhaseLaw(Protocol):
    """A base material: an immutable value, equal to another one with the same parameters."""

    law: ClassVar[str]

    @property
    def stiffness(self) -> np.ndarray:
        """Initial elastic stiffness (6, 6), Mandel [stress unit]; zeros for a void."""

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> PhaseLaw:
        """Build from the keys of a TOML table, ``law`` left out; raises `ParameterError`."""

    def to_table(self) -> dict[str, Any]:
        """The keys from which `from_table` rebuilds this law."""
