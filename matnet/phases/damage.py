"""Elastic-brittle material with one damage variable."""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.elasticity import isotropic
from matnet.errors import (
    ParameterError,
    require_between,
    require_non_negative,
    require_positive,
)
from matnet.phases.base import PhaseLaw
from matnet.simd import LANES, load, mask_bits, store

__all__ = ["MEASURES", "SOFTENINGS", "Damage"]

MEASURES = ("mazars", "energy", "von-mises")
SOFTENINGS = ("exponential", "linear")
_ROOT2 = math.sqrt(2.0)


@njit(cache=True, error_model="numpy")
def _rotation(a_pp, a_qq, a_pq):
    """Cosine, sine and tangent of the Jacobi rotation that takes a_pq away."""
    if a_pq == 0.0:
        return 1.0, 0.0, 0.0
    ratio = (a_qq - a_pp) / (2.0 * a_pq)
    t = 1.0 / (abs(ratio) + math.sqrt(1.0 + ratio * ratio))
    t = t if ratio >= 0.0 else -t
    c = 1.0 / math.sqrt(1.0 + t * t)
    return c, t * c, t


@njit(cache=True, error_model="numpy")
def _turn(c, s, p, q):
    """Two columns after the rotation."""
    return (
        (c * p[0] - s * q[0], c * p[1] - s * q[1], c * p[2] - s * q[2]),
        (s * p[0] + c * q[0], s * p[1] + c * q[1], s * p[2] + c * q[2]),
    )


@njit(cache=True, error_model="numpy")
def positive_part(eps):
    """Positive part of a symmetric tensor, as a Mandel tuple: sum of <eps_i> n_i n_i.

    Cyclic Jacobi iteration (Golub & Van Loan, *Matrix Computations*, 2013, section 8.5), which is
    accurate for equal principal values too.
    """
    a, b, c = eps[0], eps[1], eps[2]
    d, e, f = eps[3] / _ROOT2, eps[4] / _ROOT2, eps[5] / _ROOT2
    u, v, w = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    for _ in range(20):
        if abs(d) + abs(e) + abs(f) <= 1e-17 * (abs(a) + abs(b) + abs(c)):
            break
        cos, sin, t = _rotation(a, b, d)
        a, b, d, e, f = a - t * d, b + t * d, 0.0, cos * e - sin * f, sin * e + cos * f
        u, v = _turn(cos, sin, u, v)
        cos, sin, t = _rotation(a, c, e)
        a, c, e, d, f = a - t * e, c + t * e, 0.0, cos * d - sin * f, sin * d + cos * f
        u, w = _turn(cos, sin, u, w)
        cos, sin, t = _rotation(b, c, f)
        b, c, f, d, e = b - t * f, c + t * f, 0.0, cos * d - sin * e, sin * d + cos * e
        v, w = _turn(cos, sin, v, w)
    a, b, c = max(a, 0.0), max(b, 0.0), max(c, 0.0)
    return (
        a * u[0] * u[0] + b * v[0] * v[0] + c * w[0] * w[0],
        a * u[1] * u[1] + b * v[1] * v[1] + c * w[1] * w[1],
        a * u[2] * u[2] + b * v[2] * v[2] + c * w[2] * w[2],
        _ROOT2 * (a * u[0] * u[1] + b * v[0] * v[1] + c * w[0] * w[1]),
        _ROOT2 * (a * u[0] * u[2] + b * v[0] * v[2] + c * w[0] * w[2]),
        _ROOT2 * (a * u[1] * u[2] + b * v[1] * v[2] + c * w[1] * w[2]),
    )


@njit(cache=True, error_model="numpy")
def _combined(a, eps, b):
    """``a eps + b I`` as a tuple."""
    return (a * eps[0] + b, a * eps[1] + b, a * eps[2] + b, a * eps[3], a * eps[4], a * eps[5])


@njit(cache=True, error_model="numpy")
def equivalent_strain(measure, eps, K, G, ratio):
    """Equivalent strain and its derivative (6,), a tuple; measure: the index in MEASURES."""
    trace = eps[0] + eps[1] + eps[2]
    if measure == 0:
        part = positive_part(eps)
        square = 0.0
        for x in part:
            square += x * x
        value = math.sqrt(square)
        return value, _combined(1.0 / max(value, 1e-300), part, 0.0)
    square = 0.0
    for i in range(6):
        dev = eps[i] - trace / 3.0 if i < 3 else eps[i]
        square += dev * dev
    E = 9.0 * K * G / (3.0 * K + G)
    if measure == 1:
        value = math.sqrt((K * trace * trace + 2.0 * G * square) / E)
        scale = 1.0 / (E * max(value, 1e-300))
        return value, _combined(2.0 * G * scale, eps, (K - 2.0 * G / 3.0) * trace * scale)
    # (1 - 2 nu) = E / 3 K and (1 + nu) = E / 2 G
    spherical, deviatoric = (ratio - 1.0) * 3.0 * K / E, 24.0 * ratio * (G / E) ** 2
    root = math.sqrt((spherical * trace) ** 2 + deviatoric * square)
    value = max(spherical * trace + root, 0.0) / (2.0 * ratio)
    a = deviatoric / max(root, 1e-300) / (2.0 * ratio)
    b = spherical * (1.0 + spherical * trace / max(root, 1e-300)) / (2.0 * ratio)
    return value, _combined(a, eps, b - a * trace / 3.0)


@njit(cache=True, error_model="numpy")
def softening(kind, kappa, kappa_0, kappa_f, d_max):
    """Damage without viscosity and its derivative; kind: the index in SOFTENINGS."""
    if kappa <= kappa_0:
        return 0.0, 0.0
    if kind == 0:
        kept = kappa_0 / kappa * math.exp(-(kappa - kappa_0) / (kappa_f - kappa_0))
        d, slope = 1.0 - kept, kept * (1.0 / kappa + 1.0 / (kappa_f - kappa_0))
    else:
        scale = kappa_f / (kappa_f - kappa_0)
        d, slope = scale * (1.0 - kappa_0 / kappa), scale * kappa_0 / kappa / kappa
    if d >= d_max:
        return d_max, 0.0
    return d, slope


@njit(cache=True, error_model="numpy")
def viscous_weight(dt, tau):
    """Share of the way to the damage without viscosity that a step goes (backward Euler)."""
    return dt / (tau + dt) if tau > 0.0 else 1.0


@njit(cache=True, error_model="numpy")
def _grown(strain, dt, parameters, kappa_n, d_n):
    """kappa and d at the end; the derivative of d is ``factor * slope``."""
    start = max(kappa_n, parameters[5])
    measure, square = int(parameters[2]), 0.0
    for i in range(6):
        square += strain[i] * strain[i]
    if measure == 0 and square <= start * start:  # the norm bounds this measure, which costs more
        value, slope = 0.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    else:
        value, slope = equivalent_strain(
            measure, strain, parameters[0], parameters[1], parameters[3]
        )
    kappa = max(value, start)
    target, rate = softening(int(parameters[4]), kappa, parameters[5], parameters[6], parameters[7])
    weight = viscous_weight(dt, parameters[8])
    d = d_n + weight * max(target - d_n, 0.0)
    grows = value > start and target > d_n
    return kappa, d, weight * rate if grows else 0.0, slope


@njit(cache=True, error_model="numpy")
def damage_point(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    """Elastic-brittle damage; parameters: K, G, measure, ratio, softening, kappa_0, kappa_f,
    d_max, tau. State: kappa, d.
    """
    K, G = parameters[0], parameters[1]
    kappa, d, factor, slope = _grown(strain, dt, parameters, state_n[0], state_n[1])
    trace = strain[0] + strain[1] + strain[2]
    density = 0.0
    for i in range(6):
        stress[i] = 2.0 * G * strain[i]
        if i < 3:
            stress[i] += (K - 2.0 * G / 3.0) * trace
        density += 0.5 * stress[i] * strain[i]
    for i in range(6):
        for j in range(6):
            elastic = 2.0 * G if i == j else 0.0
            if i < 3 and j < 3:
                elastic += K - 2.0 * G / 3.0
            tangent[i, j] = (1.0 - d) * elastic - factor * stress[i] * slope[j]
    for i in range(6):
        stress[i] *= 1.0 - d
    state[0], state[1] = kappa, d
    energy[0] = (1.0 - d) * density
    energy[1] = max(density, 0.0) * (d - state_n[1])
    return 0 if density < math.inf and kappa < math.inf and d < 1.0 else 1


@njit(cache=True, error_model="numpy")
def damage_lanes(
    point, active, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """`damage_point` at every node of eight points: the damage lane by lane, the rest at once."""
    K, shear2 = parameters[0], 2.0 * parameters[1]
    side = K - shear2 / 3.0
    growth = np.zeros((7, LANES))  # factor, slope
    failed = 0
    for node in range(strain.shape[0]):
        for lane in range(LANES):
            if not (active >> lane) & 1:
                continue
            kappa, d, factor, slope = _grown(
                strain[node, :, lane],
                dt[lane],
                parameters,
                state_n[node, 0, lane],
                state_n[node, 1, lane],
            )
            state[node, 0, lane], state[node, 1, lane], growth[0, lane] = kappa, d, factor
            for i in range(6):
                growth[1 + i, lane] = slope[i]
        e, c = 6 * node, 36 * node
        d, d_n = load(state, 2 * node + 1), load(state_n, 2 * node + 1)
        pressure = side * (load(strain, e) + load(strain, e + 1) + load(strain, e + 2))
        density = 0.0 * d
        for i in range(6):
            eps = load(strain, e + i)
            effective = shear2 * eps + pressure * (1.0 if i < 3 else 0.0)
            density = density + 0.5 * effective * eps
            store(stress, e + i, (1.0 - d) * effective)
            change = load(growth, 0) * effective
            for j in range(6):
                elastic = (shear2 if i == j else 0.0) + (side if i < 3 and j < 3 else 0.0)
                store(tangent, c + 6 * i + j, (1.0 - d) * elastic - change * load(growth, 1 + j))
        store(energy, 2 * node, (1.0 - d) * density)
        store(energy, 2 * node + 1, abs(density) * (d - d_n))
        sound = (density < math.inf) & (load(state, 2 * node) < math.inf) & (d < 1.0)
        failed |= ~mask_bits(sound)
    return failed & active


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage(PhaseLaw):
    r"""Isotropic elastic-brittle damage with softening and, if wanted, viscosity.

    .. math::

        \sigma = (1 - d)\, C : \varepsilon, \qquad
        \kappa = \max(\kappa_0, \max_{\text{history}} \varepsilon_{eq}), \qquad
        \dot d = \frac{D(\kappa) - d}{\tau} \quad (\tau = 0:\ d = D(\kappa)).

    The equivalent strain is a strain in uniaxial tension:

    * ``mazars``: :math:`\sqrt{\sum_i \langle \varepsilon_i \rangle^2}` of the principal strains;
    * ``energy``: :math:`\sqrt{\varepsilon : C : \varepsilon / E}`, blind to the sign of strain, the
      only one with a symmetric tangent;
    * ``von-mises``, modified, for a compressive strength of k times the tensile one:
      :math:`\frac{1}{2k} \Bigl( \frac{k - 1}{1 - 2\nu} I_1
      + \sqrt{\bigl(\tfrac{k - 1}{1 - 2\nu} I_1\bigr)^2 + \tfrac{12 k}{(1 + \nu)^2} J_2} \Bigr)`
      with :math:`I_1 = \operatorname{tr} \varepsilon, J_2 = e : e / 2`.

    Softening begins at :math:`\kappa_0`; in uniaxial tension the stress is

    * ``exponential``: :math:`E \kappa_0 \exp(-(\kappa - \kappa_0) / (\kappa_f - \kappa_0))`;
    * ``linear``: :math:`E \kappa_0 (\kappa_f - \kappa) / (\kappa_f - \kappa_0)`,

    until :math:`d = d_{max}`. Stored energy :math:`(1 - d) Y`, dissipation :math:`Y \dot d`,
    :math:`Y = \varepsilon : C : \varepsilon / 2`. The viscous equation is integrated by backward
    Euler: :math:`d = d_n + \frac{\Delta t}{\tau + \Delta t} (D - d_n)`. Cracks that close do not
    regain their stiffness. A local law softens without bound on the size of its zone: choose the
    strain :math:`\kappa_f` by the size of the cell, see `from_strength`.

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit] and Poisson's ratio of the undamaged material.
    kappa_0, kappa_f : float
        Equivalent strains [-] where damage begins and which sets the slope, 0 < kappa_0 < kappa_f.
    measure, softening : str
        As above.
    ratio : float
        k, for ``von-mises`` only [-], at least 1.
    d_max : float
        Largest damage [-], between 0 and 1: a rest of stiffness keeps the equations solvable.
    tau : float
        Relaxation time of the damage [time unit], >= 0; 0 means no viscosity.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.

    References
    ----------
    Mazars & Pijaudier-Cabot, *Journal of Engineering Mechanics* 115 (1989), 345-365 (``mazars``);
    Simo & Ju, *International Journal of Solids and Structures* 23 (1987), 821-840 (``energy``,
    viscosity); de Vree, Brekelmans & van Gils, *Computers & Structures* 55 (1995), 581-588
    (``von-mises``); Bazant & Oh, *Materials and Structures* 16 (1983), 155-177 (`from_strength`).

    Examples
    --------
    >>> glass = Damage(E=70e3, nu=0.2, kappa_0=1e-3, kappa_f=3e-3)
    >>> out = glass.evaluate([[2e-3, -4e-4, -4e-4, 0, 0, 0]], 1.0, [[0.0, 0.0]])
    >>> out.stress[0, 0].round(2)  # 70 exp(-1/2)
    42.46
    """

    law: ClassVar[str] = "damage"

    E: float
    nu: float
    kappa_0: float
    kappa_f: float
    measure: str = "mazars"
    softening: str = "exponential"
    ratio: float = 10.0
    d_max: float = 0.99
    tau: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "E", "kappa_0", "kappa_f")
        isotropic(E=self.E, nu=self.nu)
        if not self.kappa_f > self.kappa_0:
            raise ParameterError(
                f"Damage: kappa_f = {self.kappa_f!r}, expected more than "
                f"kappa_0 = {self.kappa_0!r}."
            )
        for name, choices in (("measure", MEASURES), ("softening", SOFTENINGS)):
            value = getattr(self, name)
            if value not in choices:
                raise ParameterError(
                    f"Damage: {name} = {value!r}, expected one of {', '.join(choices)}."
                )
        require_positive(self, "ratio")
        if self.ratio < 1.0:
            raise ParameterError(f"Damage: ratio = {self.ratio!r}, expected at least 1.")
        require_between(self, "d_max", low=0.0, high=1.0)
        require_non_negative(self, "tau")

    @classmethod
    def from_strength(
        cls, *, E: float, nu: float, strength: float, toughness: float, size: float, **others: Any
    ) -> Damage:
        """The law that dissipates the fracture energy of a crack when a cell of a given size fails.

        Parameters
        ----------
        E, nu : float
            Young's modulus [stress unit] and Poisson's ratio.
        strength : float
            Uniaxial tensile strength [stress unit].
        toughness : float
            Fracture energy per area of crack [stress unit times length unit].
        size : float
            Width of the zone the strain of which is this law's [length unit].
        **others
            The other parameters of the class.

        Examples
        --------
        >>> Damage.from_strength(E=1e4, nu=0.2, strength=10.0, toughness=0.1, size=1.0).kappa_f
        0.0105
        """
        given = {"E": E, "strength": strength, "toughness": toughness, "size": size}
        for name, value in given.items():
            if not 0.0 < value < math.inf:
                raise ParameterError(f"Damage: {name} = {value!r}, expected > 0.")
        kappa_0, density = strength / E, toughness / size
        if not 0.5 * strength * kappa_0 < density:
            raise ParameterError(
                f"Damage: size = {size!r}, expected less than "
                f"{2.0 * E * toughness / strength**2:g} (2 E toughness / strength^2)."
            )
        linear = others.get("softening") == "linear"
        kappa_f = 2.0 * density / strength if linear else density / strength + 0.5 * kappa_0
        return cls(E=E, nu=nu, kappa_0=kappa_0, kappa_f=kappa_f, **others)

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
        return damage_point

    @property
    def lane_kernel(self) -> Any:
        """The lane kernel."""
        return damage_lanes

    @property
    def parameters(self) -> np.ndarray:
        """K, G, measure, ratio, softening, kappa_0, kappa_f, d_max, tau."""
        K, G = self.E / (3.0 * (1.0 - 2.0 * self.nu)), self.E / (2.0 * (1.0 + self.nu))
        measure, kind = MEASURES.index(self.measure), SOFTENINGS.index(self.softening)
        numbers = (self.kappa_0, self.kappa_f, self.d_max, self.tau)
        return np.array([K, G, measure, self.ratio, kind, *numbers])

    @property
    def state_names(self) -> tuple[str, ...]:
        """Largest equivalent strain so far, at least kappa_0; damage."""
        return ("kappa", "d")

    def initial_state(self) -> np.ndarray:
        """kappa_0, 0."""
        return np.array([self.kappa_0, 0.0])

    @property
    def isotropic(self) -> bool:
        """True."""
        return True

    @property
    def symmetric(self) -> bool:
        """True for the energy measure."""
        return self.measure == "energy"
