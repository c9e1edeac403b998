r"""Isotropic hardening: the yield stress :math:`\sigma_y(p)` as a function of the accumulated
plastic strain :math:`p = \int \sqrt{2/3}\, |\dot\varepsilon^p| \, dt`.

The kernels know three shapes and the table::

    LINEAR       a + H p
    EXPONENTIAL  a + H p + Q (1 - exp(-b p))
    POWER        a + K (e0 + p)^n
    TABLE        straight lines between rows
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.errors import ParameterError, require_finite, require_non_negative, require_positive
from matnet.phases.parts import Part

__all__ = [
    "HARDENING",
    "Hardening",
    "Linear",
    "LinearVoce",
    "PowerLaw",
    "Swift",
    "Tabulated",
    "Voce",
    "yield_stress",
]

LINEAR, EXPONENTIAL, POWER, TABLE = 0, 1, 2, 3


@njit(cache=True, error_model="numpy", forceinline=True)
def yield_stress(shape, par, start, table, p):
    """Yield stress and its slope at p.

    par[start : start + 4] holds the numbers of the shape, in the order of the module's text; for a
    table the number of rows n, whose p and stresses are in par[table : table + 2 n].
    """
    a, h = par[start], par[start + 1]
    if shape == LINEAR:
        return a + h * p, h
    if shape == EXPONENTIAL:
        q, b = par[start + 2], par[start + 3]
        rest = q * math.exp(-b * p)
        return a + h * p + q - rest, h + b * rest
    if shape == POWER:
        e0, n = par[start + 2], par[start + 3]
        power = h * math.exp(n * math.log(e0 + p))
        return a + power, n * power / (e0 + p)
    rows = int(a)
    last = table + rows - 1
    if p >= par[last]:  # flat beyond the last row
        return par[last + rows], 0.0
    low, high = table, last
    while high - low > 1:
        middle = (low + high) // 2
        if p >= par[middle]:
            low = middle
        else:
            high = middle
    slope = (par[low + 1 + rows] - par[low + rows]) / (par[low + 1] - par[low])
    return par[low + rows] + slope * (p - par[low]), slope


class Hardening(Part):
    """What every hardening curve offers."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> int:
        """LINEAR, EXPONENTIAL, POWER or TABLE."""

    @property
    @abstractmethod
    def numbers(self) -> tuple[float, float, float, float]:
        """The four numbers of the shape."""

    @property
    def rows(self) -> tuple[float, ...]:
        """All p, then all stresses of a table; else nothing."""
        return ()

    @property
    def lowest_slope(self) -> float:
        """A lower bound of the slope, negative where the material softens [stress unit]."""
        return 0.0

    def yield_stress(self, p: Any) -> np.ndarray:
        """Yield stress at accumulated plastic strains of any shape [stress unit].

        >>> float(Voce(sig_y=100.0, Q=50.0, b=20.0).yield_stress(0.0))
        100.0
        """
        par = np.array((*self.numbers, *self.rows))
        flat = np.asarray(p, dtype=float).ravel()
        values = [yield_stress(self.shape, par, 0, 4, entry)[0] for entry in flat]
        return np.reshape(values, np.shape(p))


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Hardening):
    r"""Linear hardening, :math:`\sigma_y + H p`; perfect plasticity with H = 0.

    Parameters
    ----------
    sig_y : float
        Initial yield stress [stress unit], > 0.
    H : float
        Hardening modulus [stress unit], >= 0.
    """

    kind: ClassVar[str] = "linear"
    sig_y: float
    H: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "sig_y")
        require_non_negative(self, "H")

    @property
    def shape(self) -> int:
        """LINEAR."""
        return LINEAR

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """a, H and zeros."""
        return float(self.sig_y), float(self.H), 0.0, 0.0


class _Exponential(Hardening):
    __slots__ = ()
    sig_y: float
    Q: float
    b: float

    def _check(self) -> None:
        require_positive(self, "sig_y", "b")
        owner = type(self).__name__
        if isinstance(self.Q, bool) or not isinstance(self.Q, (int, float, np.number)):
            raise ParameterError(f"{owner}: Q = {self.Q!r}, expected a number.")
        require_finite(f"{owner}: Q", self.Q)
        if self.sig_y + self.Q <= 0.0:
            raise ParameterError(
                f"{owner}: Q = {self.Q:g}, expected more than -sig_y = {-self.sig_y:g}, so that "
                "the yield stress stays positive."
            )

    @property
    def shape(self) -> int:
        """EXPONENTIAL."""
        return EXPONENTIAL

    @property
    def lowest_slope(self) -> float:
        """Slope at p = 0 of a softening curve, else 0."""
        return min(0.0, self.numbers[1] + float(self.b * self.Q))


@dataclass(frozen=True, slots=True, kw_only=True)
class Voce(_Exponential):
    r"""Saturating hardening, :math:`\sigma_y + Q (1 - e^{-b p})` (Voce 1948).

    Parameters
    ----------
    sig_y : float
        Initial yield stress [stress unit], > 0.
    Q : float
        Rise until saturation [stress unit], > -sig_y; softening if negative.
    b : float
        How fast it saturates [-], > 0.
    """

    kind: ClassVar[str] = "voce"
    sig_y: float
    Q: float
    b: float

    def __post_init__(self) -> None:
        self._check()

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """a, 0, Q, b."""
        return float(self.sig_y), 0.0, float(self.Q), float(self.b)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearVoce(_Exponential):
    r"""Linear and saturating hardening, :math:`\sigma_y + H p + Q (1 - e^{-b p})`.

    Parameters
    ----------
    sig_y : float
        Initial yield stress [stress unit], > 0.
    H : float
        Final hardening modulus [stress unit], >= 0.
    Q : float
        Rise of the saturating part [stress unit], > -sig_y; softening if negative.
    b : float
        How fast it saturates [-], > 0.
    """

    kind: ClassVar[str] = "linear-voce"
    sig_y: float
    H: float
    Q: float
    b: float

    def __post_init__(self) -> None:
        require_non_negative(self, "H")
        self._check()

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """a, H, Q, b."""
        return float(self.sig_y), float(self.H), float(self.Q), float(self.b)


def _require_exponent(part: Any) -> None:
    require_positive(part, "n")
    if part.n > 1.0:
        raise ParameterError(f"{type(part).__name__}: n = {part.n:g}, expected at most 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swift(Hardening):
    r"""Swift's power law, :math:`K (e_0 + p)^n`, with initial yield stress :math:`K e_0^n`.

    Parameters
    ----------
    e0 : float
        Prestrain [-], > 0.
    n : float
        Exponent [-], > 0 and at most 1.
    K : float, optional
        Strength [stress unit], > 0; or instead
    sig_y : float, optional
        the initial yield stress [stress unit], > 0.
    """

    kind: ClassVar[str] = "swift"
    e0: float
    n: float
    K: float | None = None
    sig_y: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "e0")
        _require_exponent(self)
        if (self.K is None) == (self.sig_y is None):
            raise ParameterError("Swift: expected exactly one of K and sig_y.")
        require_positive(self, "sig_y" if self.K is None else "K")

    @property
    def shape(self) -> int:
        """POWER."""
        return POWER

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """0, K, e0, n."""
        strength = self.K if self.sig_y is None else self.sig_y / self.e0**self.n
        return 0.0, float(strength or 0.0), float(self.e0), float(self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw(Hardening):
    r"""Power law of Ludwik, also that of Johnson and Cook, :math:`\sigma_y + K p^n`.

    Its slope is infinite at p = 0 for n < 1, so it starts a little later on the curve:
    :math:`\sigma_y + K ((p_0 + p)^n - p_0^n)`.

    Parameters
    ----------
    sig_y : float
        Initial yield stress [stress unit], > 0.
    K : float
        Strength [stress unit], > 0.
    n : float
        Exponent [-], > 0 and at most 1.
    p0 : float
        Where the curve is entered [-], > 0.
    """

    kind: ClassVar[str] = "power"
    sig_y: float
    K: float
    n: float
    p0: float = 1e-6

    def __post_init__(self) -> None:
        require_positive(self, "sig_y", "K", "p0")
        _require_exponent(self)

    @property
    def shape(self) -> int:
        """POWER."""
        return POWER

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """a, K, p0, n."""
        start = self.sig_y - self.K * self.p0**self.n
        return float(start), float(self.K), float(self.p0), float(self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tabulated(Hardening):
    """Straight lines between given rows, constant beyond the last one.

    Parameters
    ----------
    p : sequence of float
        Accumulated plastic strains [-], the first 0, ascending.
    sig_y : sequence of float
        Yield stresses there [stress unit], > 0.
    """

    kind: ClassVar[str] = "table"
    p: tuple[float, ...]
    sig_y: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("p", "sig_y"):
            object.__setattr__(self, name, _numbers(f"Tabulated: {name}", getattr(self, name)))
        if len(self.p) != len(self.sig_y) or not self.p:
            raise ParameterError(
                f"Tabulated: p has {len(self.p)} and sig_y {len(self.sig_y)} values, "
                "expected equally many, at least one."
            )
        if self.p[0] != 0.0:
            raise ParameterError(f"Tabulated: p starts at {self.p[0]:g}, expected 0.")
        if any(b <= a for a, b in zip(self.p[:-1], self.p[1:], strict=True)):
            raise ParameterError("Tabulated: p does not ascend, expected rising values.")
        if min(self.sig_y) <= 0.0:
            raise ParameterError(f"Tabulated: sig_y holds {min(self.sig_y):g}, expected > 0.")

    @property
    def shape(self) -> int:
        """TABLE."""
        return TABLE

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """The number of rows and zeros."""
        return float(len(self.p)), 0.0, 0.0, 0.0

    @property
    def rows(self) -> tuple[float, ...]:
        """All p, then all stresses."""
        return (*self.p, *self.sig_y)

    @property
    def lowest_slope(self) -> float:
        """Slope of the steepest descent, else 0."""
        slopes = np.diff(self.sig_y) / np.diff(self.p)
        return float(slopes.min(initial=0.0))


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} = {values!r}, expected numbers.") from None
    if array.ndim != 1:
        raise ParameterError(f"{name} = {values!r}, expected a list of numbers.")
    require_finite(name, array)
    return tuple(array.tolist())


HARDENING: dict[str, type[Hardening]] = {
    cls.kind: cls for cls in (Linear, Voce, LinearVoce, Swift, PowerLaw, Tabulated)
}
"""Word after ``kind =`` -> class."""
