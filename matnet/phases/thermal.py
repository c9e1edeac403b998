"""Thermal expansion on top of any law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_finite
from matnet.mandel import IDENTITY, SQRT2
from matnet.phases.base import PhaseLaw

__all__ = ["THERMAL_KEYS", "ThermalExpansion"]

THERMAL_KEYS = ("thermal_expansion", "reference_temperature")
"""The keys that any table of a phases file may carry."""


@dataclass(frozen=True, slots=True)
class ThermalExpansion(PhaseLaw):
    r"""A law whose strain is counted from the thermally expanded state.

    .. math:: \sigma = \hat\sigma(\varepsilon - \alpha\,(T - T_0))

    where :math:`\hat\sigma` is the inner law. Everything else is the inner law's. The thermal
    strain is taken off before the kernel is called; dissipation and stored energy are the inner
    law's, as functions of the mechanical strain.

    Parameters
    ----------
    inner : PhaseLaw
        Any law without thermal expansion of its own.
    alpha : float, (3,) or (6,)
        Coefficients of thermal expansion [1 / temperature unit], of the secant from
        `reference_temperature`: one number, along the axes 1 2 3, or tensor components in the
        order 11 22 33 12 13 23 (tensor shear, half the engineering shear).
    reference_temperature : float
        Temperature :math:`T_0` of zero thermal strain.

    Raises
    ------
    ParameterError
        `inner` is no law, or a number is not finite or alpha has another length.

    Examples
    --------
    >>> from matnet.phases import Elastic
    >>> steel = ThermalExpansion(Elastic(E=210e3, nu=0.3), 12e-6, reference_temperature=20.0)
    >>> held = steel.evaluate([[0.0] * 6], 0.0, steel.initial_state()[None], temperature=120.0)
    >>> held.stress[0, :3].round(6)  # -E alpha (T - T0) / (1 - 2 nu)
    array([-630., -630., -630.])

    References
    ----------
    Boley & Weiner, *Theory of Thermal Stresses*, 1960, section 8.2 (small-strain Duhamel-Neumann).
    """

    inner: PhaseLaw
    alpha: float | tuple[float, ...] = 0.0
    reference_temperature: float = 0.0  # type: ignore[assignment]  # the base has a property
    _expansion: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.inner, PhaseLaw) or isinstance(self.inner, ThermalExpansion):
            raise ParameterError(
                f"ThermalExpansion: inner = {self.inner!r}, expected a law without thermal "
                "expansion, such as matnet.phases.Elastic(E=70e3, nu=0.3)."
            )
        alpha = _numbers("alpha", self.alpha)
        if alpha.shape not in ((), (3,), (6,)):
            raise ParameterError(
                f"ThermalExpansion: alpha has shape {alpha.shape}, expected one number, 3 along "
                "the axes, or the 6 tensor components 11 22 33 12 13 23."
            )
        reference = _numbers("reference_temperature", self.reference_temperature)
        if reference.ndim != 0:
            raise ParameterError("ThermalExpansion: reference_temperature, expected one number.")
        object.__setattr__(
            self, "alpha", float(alpha) if alpha.ndim == 0 else tuple(alpha.tolist())
        )
        object.__setattr__(self, "reference_temperature", float(reference))
        object.__setattr__(self, "_expansion", _mandel(alpha))

    def __reduce__(self) -> tuple[Any, ...]:
        return ThermalExpansion, (self.inner, self.alpha, self.reference_temperature)

    @property
    def law(self) -> str:  # type: ignore[override]  # the base has a class variable
        """The inner law's word in a phases file."""
        return self.inner.law

    @property
    def expansion(self) -> np.ndarray:
        """Thermal expansion (6,), Mandel [1 / temperature unit], read-only."""
        return self._expansion

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """Whether stress is `stiffness` times strain at every temperature."""
        return self.inner.linear and not self._expansion.any()

    @property
    def rate_dependent(self) -> bool:  # type: ignore[override]
        """The inner law's."""
        return self.inner.rate_dependent

    @property
    def stiffness(self) -> np.ndarray:
        """Initial stiffness (6, 6) of the inner law, Mandel [stress unit]."""
        return self.inner.stiffness

    @property
    def kernel(self) -> Any:
        """The inner law's point kernel."""
        return self.inner.kernel

    @property
    def lane_kernel(self) -> Any:
        """The inner law's lane kernel, or None."""
        return self.inner.lane_kernel

    @property
    def parameters(self) -> np.ndarray:
        """The inner law's numbers (k,)."""
        return self.inner.parameters

    @property
    def state_names(self) -> tuple[str, ...]:
        """The inner law's."""
        return self.inner.state_names

    @property
    def isotropic(self) -> bool:
        """Whether the inner law is isotropic and the expansion the same in all directions."""
        volumetric = self._expansion[0] * IDENTITY
        return self.inner.isotropic and np.array_equal(self._expansion, volumetric)

    @property
    def symmetric(self) -> bool:
        """The inner law's."""
        return self.inner.symmetric

    def initial_state(self) -> np.ndarray:
        """Internal variables (n_state,) of the virgin material."""
        return self.inner.initial_state()

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> PhaseLaw:
        """Not by itself: `read_phases` wraps the law of a table with `thermal_expansion`."""
        raise ParameterError(
            "thermal expansion is no law of its own: put the key thermal_expansion into the "
            "table of a law."
        )

    def to_table(self) -> dict[str, Any]:
        """The inner law's keys, and `thermal_expansion` and `reference_temperature`."""
        ours = dict(zip(THERMAL_KEYS, (self.alpha, self.reference_temperature), strict=True))
        return {**self.inner.to_table(), **ours}


def expanded(law: PhaseLaw, keys: Mapping[str, Any]) -> PhaseLaw:
    """The law with the `THERMAL_KEYS` of its table, itself if there are none."""
    if not keys:
        return law
    alpha = keys.get("thermal_expansion", 0.0)
    return ThermalExpansion(law, alpha, keys.get("reference_temperature", 0.0))


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        array = np.array(value)
    except ValueError:  # lists of different lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu":
        raise ParameterError(f"ThermalExpansion: {name} = {value!r}, expected numbers.")
    require_finite(f"ThermalExpansion: {name}", array)
    return array.astype(float)


def _mandel(alpha: np.ndarray) -> np.ndarray:
    vector = np.zeros(6)
    vector[: max(3, alpha.size)] = alpha
    vector[3:] *= SQRT2
    vector.setflags(write=False)
    return vector
