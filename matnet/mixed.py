"""Several materials in one batch of points, as a mesh with cell tags has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_shape
from matnet.material import Material, Update
from matnet.phases.base import temperatures

__all__ = ["MixedMaterial"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedMaterial:
    """A fixed set of points, each with one of several materials.

    Parameters
    ----------
    materials : sequence of Material
        At least one.
    of_point : (n,) int array
        Index of each point's material.

    Raises
    ------
    ParameterError, ShapeError
        No materials, or indices that are none of theirs.

    Examples
    --------
    >>> from matnet import Material
    >>> from matnet.phases import Elastic
    >>> steel, rubber = (Material.homogeneous(Elastic(E=E, nu=0.3)) for E in (210e3, 10.0))
    >>> mixed = MixedMaterial(materials=(steel, rubber), of_point=[0, 1, 0])
    >>> strain = np.tile([1e-3, 0.0, 0.0, 0.0, 0.0, 0.0], (3, 1))
    >>> mixed.update(strain, 1.0, mixed.initial_state()).stress[:, 0].round(4)
    array([2.826923e+02, 1.350000e-02, 2.826923e+02])
    """

    materials: Sequence[Material]
    of_point: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "materials", tuple(self.materials))
        index = np.array(self.of_point)
        require_shape("of_point", index, (None,))
        count = len(self.materials)
        if index.dtype.kind not in "iu" or not ((index >= 0) & (index < count)).all():
            raise ParameterError(
                f"of_point must hold whole numbers from 0 to {count - 1}, the numbers of the "
                f"{count} materials."
            )
        index.setflags(write=False)
        object.__setattr__(self, "of_point", index)

    @property
    def n_state(self) -> int:
        """Columns of the state: those of the largest material, others leave the rest at zero."""
        return max(material.n_state for material in self.materials)

    @property
    def rate_dependent(self) -> bool:
        """Whether any material's response depends on the length of the step."""
        return any(material.rate_dependent for material in self.materials)

    def initial_state(self) -> np.ndarray:
        """State (n, n_state) of the virgin materials."""
        state = np.zeros((len(self.of_point), self.n_state))
        for points, material in self._groups():
            state[points, : material.n_state] = material.initial_state(len(points))
        return state

    def update(
        self, strain: Any, dt: float, state_n: np.ndarray, temperature: Any = None
    ) -> Update:
        """As `Material.update`, each point with its own material."""
        n = len(self.of_point)
        eps = np.asarray(strain, dtype=float)
        require_shape("strain", eps, (n, 6))
        require_shape("state_n", state_n, (n, self.n_state))
        warm = None if temperature is None else temperatures(temperature, n, np.nan)
        out = Update(
            stress=np.empty((n, 6)),
            tangent=np.empty((n, 6, 6)),
            state=np.zeros_like(state_n),
            status=np.empty(n, dtype=np.int8),
        )
        for points, material in self._groups():
            own = None if warm is None else warm[points]
            part = material.update(eps[points], dt, state_n[points, : material.n_state], own)
            out.stress[points], out.tangent[points] = part.stress, part.tangent
            out.state[points, : material.n_state] = part.state
            out.status[points] = part.status
        return out

    def _groups(self) -> list[tuple[np.ndarray, Material]]:
        """Points of each material."""
        return [
            (np.flatnonzero(self.of_point == number), material)
            for number, material in enumerate(self.materials)
            if (self.of_point == number).any()
        ]
