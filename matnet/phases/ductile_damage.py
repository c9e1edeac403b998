"""Von Mises plasticity with ductile damage."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.elasticity import isotropic
from matnet.errors import require_between, require_non_negative, require_positive
from matnet.phases.base import PhaseLaw
from matnet.phases.damage import viscous_weight
from matnet.phases.hardening import HARDENING, Hardening, yield_stress
from matnet.phases.j2 import require_slow_softening
from matnet.phases.parts import Part, read_part
from matnet.phases.radial_return import (
    BACK,
    NUMBERS,
    SHAPE,
    SHEAR,
    P,
    pack,
    radial_return_point,
    state_names,
)

__all__ = ["DUCTILE", "DuctileDamage", "ExponentialDamage", "LemaitreDamage"]

EXPONENTIAL, LEMAITRE = 0, 1
# parameters: kind, p_D, d_c, two numbers of the kind, tau; then those of the radial return
_OWN = 6
_D, _TARGET = 7, 8  # in the state, behind the plastic strain and p; the second with tau > 0 only


@njit(cache=True, error_model="numpy")
def ductile_growth(par, p_n, p, target_n, release):
    """Damage without viscosity, and its derivatives with respect to p and the energy release."""
    p_d, d_c, first, second = par[1], par[2], par[3], par[4]
    start = max(p_n, p_d)
    if p <= start:
        return target_n, 0.0, 0.0
    if par[0] == EXPONENTIAL:
        kept = d_c * math.exp(-(p - p_d) / first)
        return max(d_c - kept, target_n), kept / first, 0.0
    speed = math.exp(second * math.log(release / first))
    target = target_n + speed * (p - start)
    if not target < d_c:
        return max(d_c, target_n), 0.0, 0.0
    return target, speed, second * speed * (p - start) / release


@njit(cache=True, error_model="numpy")
def ductile_damage_point(
    strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """Plasticity of the effective stress, then damage; parameters and state as in the class."""
    par = parameters[_OWN:]
    code = radial_return_point(
        strain, dt, temperature, par, state_n, stress, state, tangent, energy
    )
    if code != 0:
        return code
    tau = parameters[5]
    at = _TARGET if tau > 0.0 else _D
    release, p_n, p, d_n = energy[0], state_n[P], state[P], state_n[_D]
    target, by_p, by_release = ductile_growth(parameters, p_n, p, state_n[at], release)
    weight = viscous_weight(dt, tau)
    d = d_n + weight * max(target - d_n, 0.0)
    state[at] = target
    state[_D] = d
    energy[0] = (1.0 - d) * release
    energy[1] = (1.0 - d) * energy[1] + max(release, 0.0) * (d - d_n)
    grows = target > d_n
    by_p, by_release = (weight * by_p, weight * by_release) if grows else (0.0, 0.0)
    _degrade(strain, par, p, d, by_p, by_release, stress, state, tangent)
    return 0 if d < 1.0 and release < math.inf else 1


@njit(cache=True, error_model="numpy")
def _degrade(strain, par, p, d, by_p, by_release, stress, state, tangent):
    """Effective stress and tangent in, stress and tangent out; by_*: derivatives of the damage."""
    mean = (stress[0] + stress[1] + stress[2]) / 3.0
    square = 0.0
    for i in range(6):
        dev = stress[i] - mean if i < 3 else stress[i]
        square += dev * dev
    if by_p > 0.0:  # d p / d strain = sqrt(6) G n / (3 G + slope) with the flow direction n
        slope = yield_stress(int(par[SHAPE]), par, NUMBERS, BACK, p)[1]
        by_p *= math.sqrt(6.0 / square) * par[SHEAR] / (3.0 * par[SHEAR] + slope)
    for j in range(6):
        # d release / d strain = elastic strain : effective tangent
        growth = by_p * (stress[j] - mean if j < 3 else stress[j])
        if by_release > 0.0:
            for i in range(6):
                growth += by_release * (strain[i] - state[i]) * tangent[i, j]
        for i in range(6):
            tangent[i, j] = (1.0 - d) * tangent[i, j] - growth * stress[i]
    for i in range(6):
        stress[i] *= 1.0 - d


class _Ductile(Part):
    """What both rules of growth offer."""

    __slots__ = ()
    p_D: float
    d_c: float

    def _check(self) -> None:
        require_non_negative(self, "p_D")
        require_between(self, "d_c", low=0.0, high=1.0)

    @property
    @abstractmethod
    def numbers(self) -> tuple[float, ...]:
        """Kind, p_D, d_c and two more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialDamage(_Ductile):
    r"""Damage by plastic strain alone, :math:`d = d_c (1 - e^{-(p - p_D) / p_f})` for p > p_D.

    Parameters
    ----------
    p_f : float
        How fast it saturates [-], > 0.
    p_D : float
        Accumulated plastic strain where it begins [-], >= 0.
    d_c : float
        Final damage [-], between 0 and 1.
    """

    kind: ClassVar[str] = "exponential"
    p_f: float
    p_D: float = 0.0
    d_c: float = 0.9

    def __post_init__(self) -> None:
        require_positive(self, "p_f")
        self._check()

    @property
    def numbers(self) -> tuple[float, ...]:
        """EXPONENTIAL, p_D, d_c, p_f, 0."""
        return float(EXPONENTIAL), self.p_D, self.d_c, self.p_f, 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LemaitreDamage(_Ductile):
    r"""Lemaitre's law, :math:`\dot d = (Y / S)^s \dot p` for p > p_D, until :math:`d = d_c`.

    Parameters
    ----------
    S : float
        Strength against damage [stress unit], > 0.
    s : float
        Exponent [-], > 0.
    p_D : float
        Accumulated plastic strain where it begins [-], >= 0.
    d_c : float
        Largest damage [-], between 0 and 1; a crack forms there, the law keeps the damage.
    """

    kind: ClassVar[str] = "lemaitre"
    S: float
    s: float = 1.0
    p_D: float = 0.0
    d_c: float = 0.9

    def __post_init__(self) -> None:
        require_positive(self, "S", "s")
        self._check()

    @property
    def numbers(self) -> tuple[float, ...]:
        """LEMAITRE, p_D, d_c, S, s."""
        return float(LEMAITRE), self.p_D, self.d_c, self.S, self.s


DUCTILE: dict[str, type[_Ductile]] = {cls.kind: cls for cls in (ExponentialDamage, LemaitreDamage)}
"""Word after ``kind =`` -> class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuctileDamage(PhaseLaw):
    r"""Von Mises plasticity with isotropic hardening of the effective stress, and damage.

    .. math::
        \sigma = (1 - d)\, \tilde\sigma, \qquad
        \tilde\sigma = C : (\varepsilon - \varepsilon^p), \qquad
        f = \tilde q - \sigma_y(p) \le 0, \qquad
        \dot\varepsilon^p = \tfrac32\, \dot p\, \tilde s / \tilde q

    The plastic part is that of `J2` (strain equivalence). The damage without viscosity, D, follows
    p and the energy release :math:`Y = \tilde\sigma : (\varepsilon - \varepsilon^p) / 2`, which
    contains the triaxiality, by `LemaitreDamage` or `ExponentialDamage`. With viscosity,
    :math:`\dot d = (D - d) / \tau`, else d = D. Integrated by backward Euler,

    .. math::
        D = D_n + (Y / S)^s\, (p - \max(p_n, p_D)), \qquad
        d = d_n + \frac{\Delta t}{\tau + \Delta t} (D - d_n).

    Stored energy :math:`(1 - d) Y`; dissipation :math:`(1 - d)\, \sigma_y \dot p + Y \dot d`, both
    terms never negative. Damage in tension and compression is the same, and the tangent is not
    symmetric while damage grows. State: plastic strain (Mandel), p, d and, with viscosity, D.

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit], > 0; Poisson's ratio, between -1 and 0.5.
    hardening : Hardening
        Effective yield stress, as for `J2`, or its TOML table as a dict.
    damage : LemaitreDamage or ExponentialDamage
        Or its table.
    tau : float
        Relaxation time of the damage [time unit], >= 0; 0 means no viscosity.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.

    References
    ----------
    Lemaitre, *Journal of Engineering Materials and Technology* 107 (1985), 83-89 (growth); Ju,
    *International Journal of Solids and Structures* 25 (1989), 803-833 (plasticity of the effective
    stress, so that the plastic multiplier is :math:`\dot p`, which Lemaitre divides by 1 - d).

    Examples
    --------
    >>> from matnet.phases.hardening import Linear
    >>> steel = DuctileDamage(  # MPa
    ...     E=200e3, nu=0.3, hardening=Linear(sig_y=400.0), damage=LemaitreDamage(S=2.0)
    ... )
    >>> shear = np.array([[0.0, 0, 0, 0.1 * np.sqrt(2), 0, 0]])  # tensor component 0.1
    >>> step = steel.evaluate(shear, 1.0, np.zeros((1, steel.n_state)))
    >>> float(step.state[0, 7].round(4))  # Y p / S = (400^2 / 6 G / 2) * 0.114
    0.0197
    """

    law: ClassVar[str] = "ductile-damage"

    E: float
    nu: float
    hardening: Hardening
    damage: _Ductile
    tau: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "E")
        require_between(self, "nu", low=-1.0, high=0.5)
        hardening = read_part("DuctileDamage: hardening", self.hardening, HARDENING)
        object.__setattr__(self, "hardening", hardening)
        object.__setattr__(self, "damage", read_part("DuctileDamage: damage", self.damage, DUCTILE))
        require_slow_softening("DuctileDamage", self.E, self.nu, hardening)
        require_non_negative(self, "tau")

    @property
    def rate_dependent(self) -> bool:  # type: ignore[override]
        """Whether there is viscosity."""
        return self.tau > 0.0

    @property
    def stiffness(self) -> np.ndarray:
        """Undamaged stiffness (6, 6), Mandel [stress unit]."""
        return isotropic(E=self.E, nu=self.nu)

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return ductile_damage_point

    @property
    def parameters(self) -> np.ndarray:
        """Those of the damage, tau, then those of `matnet.phases.radial_return.pack`."""
        plastic = pack(self.E, self.nu, self.hardening)
        return np.concatenate([self.damage.numbers, [self.tau], plastic])

    @property
    def state_names(self) -> tuple[str, ...]:
        """``eps_p_11`` to ``eps_p_23``, ``p``, ``d`` and, with viscosity, ``d_inviscid``."""
        return (*state_names(0), "d") + (("d_inviscid",) if self.tau > 0.0 else ())

    @property
    def isotropic(self) -> bool:
        """True."""
        return True

    def to_table(self) -> dict[str, Any]:
        """The keys from which `from_table` rebuilds this law, its parts as tables."""
        parts = {"hardening": self.hardening.to_table(), "damage": self.damage.to_table()}
        return {"E": self.E, "nu": self.nu, **parts, "tau": self.tau}
