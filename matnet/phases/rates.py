r"""Flow rates: how the stress exceeds the yield stress while plastic strain grows at rate
:math:`\dot p`."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from matnet.errors import ParameterError, require_non_negative, require_positive
from matnet.phases.parts import Part

__all__ = ["RATES", "FlowRate", "JohnsonCook", "Norton", "Perzyna"]

INSTANT, VISCOUS, LOGARITHMIC = 0, 1, 2


class FlowRate(Part):
    """What every flow rate offers.

    The kernels know two shapes, f being the stress q minus the yield stress::

        VISCOUS      f = eta (dp/dt)^(1/n)
        LOGARITHMIC  f = yield stress * C ln(max(1, dp/dt / rate0))
    """

    __slots__ = ()

    @property
    @abstractmethod
    def numbers(self) -> tuple[int, float, float]:
        """VISCOUS, eta, n; or LOGARITHMIC, C, rate0."""


def _require_exponent(rate: Perzyna | Norton) -> None:
    require_positive(rate, "n")
    if not 1.0 <= rate.n <= 1000.0:
        raise ParameterError(
            f"{type(rate).__name__}: n = {rate.n:g}, expected a value from 1 to 1000."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Perzyna(FlowRate):
    r"""Overstress, :math:`\dot p = \langle (q - \sigma_y(p)) / \eta \rangle^n`.

    Parameters
    ----------
    eta : float
        Viscosity [stress unit * time unit^(1/n)], > 0.
    n : float
        Exponent [-], from 1 to 1000.

    References
    ----------
    Perzyna, *Adv. Appl. Mech.* 9, 1966; in this form Lemaitre & Chaboche, *Mechanics of Solid
    Materials*, 1990, ch. 6.
    """

    kind: ClassVar[str] = "perzyna"
    eta: float
    n: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "eta")
        _require_exponent(self)

    @property
    def numbers(self) -> tuple[int, float, float]:
        """VISCOUS, eta, n."""
        return VISCOUS, float(self.eta), float(self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Norton(FlowRate):
    r"""Power-law creep, :math:`\dot p = A \langle q - \sigma_y(p) \rangle^n`.

    Without hardening there is no yield surface and it is :math:`\dot p = A q^n`, uniaxially the
    secondary creep rate.

    Parameters
    ----------
    A : float
        Rate at unit stress [1 / (time unit * stress unit^n)], > 0.
    n : float
        Exponent [-], from 1 to 1000.

    References
    ----------
    Norton, *The Creep of Steel at High Temperatures*, 1929.
    """

    kind: ClassVar[str] = "norton"
    A: float
    n: float

    def __post_init__(self) -> None:
        require_positive(self, "A")
        _require_exponent(self)
        if abs(math.log(self.A) / self.n) > 600.0:
            raise ParameterError(
                f"Norton: A = {self.A:g} is out of range with n = {self.n:g}. Change the units."
            )

    @property
    def numbers(self) -> tuple[int, float, float]:
        """VISCOUS, eta = A^(-1/n), n."""
        return VISCOUS, math.exp(-math.log(self.A) / self.n), float(self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class JohnsonCook(FlowRate):
    r"""Rate factor on the yield stress, :math:`q = \sigma_y(p)\,(1 + C \ln\max(1, \dot p / r_0))`.

    Slower flow than the reference rate has the plain yield stress, so that the factor never falls
    below 1; the stress is continuous there and has a kink over the rate.

    Parameters
    ----------
    C : float
        Rise of the yield stress per e-fold of the rate [-], >= 0.
    rate0 : float
        Reference rate [1 / time unit], > 0.

    References
    ----------
    Johnson & Cook, *Proc. 7th Int. Symp. Ballistics*, 1983, without the thermal factor.
    """

    kind: ClassVar[str] = "johnson-cook"
    C: float
    rate0: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative(self, "C")
        require_positive(self, "rate0")

    @property
    def numbers(self) -> tuple[int, float, float]:
        """LOGARITHMIC, C, rate0."""
        return LOGARITHMIC, float(self.C), float(self.rate0)


RATES: dict[str, type[FlowRate]] = {cls.kind: cls for cls in (Perzyna, Norton, JohnsonCook)}
"""Word after ``kind =`` -> class."""
