r"""Kinematic hardening: backstresses X, deviators that move the yield surface.

The surface is :math:`q(s - \sum_i X_i) = \sigma_y` with :math:`q(a) = \sqrt{3/2}\, |a|`, so that in
uniaxial tension the stress is :math:`\sigma_y + \sum_i q(X_i)`. All moduli refer to that case.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from matnet.errors import ParameterError, require_non_negative, require_positive
from matnet.phases.parts import Part, read_part

__all__ = ["BACKSTRESSES", "ArmstrongFrederick", "Backstress", "Prager", "read_backstresses"]


class Backstress(Part):
    """What every backstress offers."""

    __slots__ = ()
    C: float

    @property
    @abstractmethod
    def numbers(self) -> tuple[float, float]:
        """C and gamma."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prager(Backstress):
    r"""Linear kinematic hardening, :math:`\dot X = \tfrac23 C \dot\varepsilon^p`.

    Parameters
    ----------
    C : float
        Hardening modulus [stress unit], > 0: the slope of uniaxial stress over plastic strain.
    """

    kind: ClassVar[str] = "prager"
    C: float

    def __post_init__(self) -> None:
        require_positive(self, "C")

    @property
    def numbers(self) -> tuple[float, float]:
        """C and 0."""
        return float(self.C), 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmstrongFrederick(Backstress):
    r"""Saturating backstress, :math:`\dot X = \tfrac23 C \dot\varepsilon^p - \gamma X \dot p`.

    Under monotonic loading :math:`q(X) = C/\gamma\,(1 - e^{-\gamma p})`. Several of them make the
    model of Chaboche.

    Parameters
    ----------
    C : float
        Initial modulus [stress unit], > 0.
    gamma : float
        Recall [-], >= 0; the backstress saturates at C / gamma.

    References
    ----------
    Armstrong & Frederick, CEGB report RD/B/N731, 1966; Chaboche, *Int. J. Plasticity* 5, 1989.
    """

    kind: ClassVar[str] = "armstrong-frederick"
    C: float
    gamma: float

    def __post_init__(self) -> None:
        require_positive(self, "C")
        require_non_negative(self, "gamma")

    @property
    def numbers(self) -> tuple[float, float]:
        """C and gamma."""
        return float(self.C), float(self.gamma)


BACKSTRESSES: dict[str, type[Backstress]] = {cls.kind: cls for cls in (Prager, ArmstrongFrederick)}
"""Word after ``kind =`` -> class."""


def read_backstresses(where: str, values: Any) -> tuple[Backstress, ...]:
    """A tuple of backstresses from them or their tables; raises `ParameterError`."""
    if not isinstance(values, (list, tuple)):
        raise ParameterError(f"{where} = {values!r}, expected a list.")
    return tuple(read_part(f"{where}[{i}]", value, BACKSTRESSES) for i, value in enumerate(values))
