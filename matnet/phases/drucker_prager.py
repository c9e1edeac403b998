"""Drucker-Prager plasticity: soils, rock, concrete, polymers that yield under pressure."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.elasticity import isotropic
from matnet.errors import ParameterError, require_between, require_non_negative, require_positive
from matnet.mandel import COMPONENTS
from matnet.phases.base import PhaseLaw

__all__ = ["DruckerPrager"]

MATCHINGS = ("outer", "inner", "plane-strain")
YIELD_TOLERANCE = 1e-13  # of the cohesion term; a smaller overshoot is rounding
MAX_ITERATIONS = 60


@njit(cache=True, error_model="numpy")
def unpack(par):
    """K, G, eta, eta_bar, xi, c0, H, Q, b."""
    return par[0], par[1], par[2], par[3], par[4], par[5], par[6], par[7], par[8]


@njit(cache=True, error_model="numpy")
def cohesion_and_slope(alpha, c0, H, Q, b):
    """Cohesion after the hardening strain alpha, and its derivative."""
    if Q == 0.0:
        return c0 + H * alpha, H
    decay = math.exp(-b * alpha)
    return c0 + H * alpha + Q * (1.0 - decay), H + Q * b * decay


@njit(cache=True, error_model="numpy")
def solve_monotone(start, excess, stiffness, xi, alpha, rate, c0, H, Q, b):
    """The x >= start with ``excess = stiffness x + xi c(alpha + rate x)``; negative: failed.

    The right side is concave and increasing, and too small at the start, so Newton's iterates
    grow towards the root and never pass it.
    """
    x = start
    for _ in range(MAX_ITERATIONS):
        c, slope = cohesion_and_slope(alpha + rate * x, c0, H, Q, b)
        step = (excess - stiffness * x - xi * c) / (stiffness + xi * rate * slope)
        x += max(step, 0.0)
        if not step > 1e-15 * x:
            return x if step == step else -1.0
    return -1.0


@njit(cache=True, error_model="numpy")
def return_to_cone(q, p_trial, alpha, parameters):
    """Multiplier, plastic volume strain, alpha; derivatives of the first two by q and volume."""
    K, G, eta, eta_bar, xi, c0, H, Q, b = unpack(parameters)
    stiffness = G + K * eta * eta_bar
    gam = solve_monotone(0.0, q + eta * p_trial, stiffness, xi, alpha, xi, c0, H, Q, b)
    gam = min(gam, q / G)
    _, slope = cohesion_and_slope(alpha + xi * gam, c0, H, Q, b)
    gam_q = 1.0 / (stiffness + xi * xi * slope)
    gam_v = gam_q * eta * K
    return gam, eta_bar * gam, alpha + xi * gam, gam_q, gam_v, eta_bar * gam_q, eta_bar * gam_v


@njit(cache=True, error_model="numpy")
def return_to_apex(q, p_trial, alpha, parameters):
    """As `return_to_cone`; the multiplier is just enough to remove the deviator."""
    K, G, eta, eta_bar, xi, c0, H, Q, b = unpack(parameters)
    gam, ratio = q / G, xi / eta
    shear = xi * (1.0 - eta_bar / eta)  # hardening by gam at a fixed plastic volume strain
    alpha += shear * gam
    vol_p = solve_monotone(eta_bar * gam, p_trial, K, ratio, alpha, ratio, c0, H, Q, b)
    alpha += ratio * vol_p
    _, slope = cohesion_and_slope(alpha, c0, H, Q, b)
    total = K + ratio * ratio * slope
    return gam, vol_p, alpha, 1.0 / G, 0.0, -ratio * slope * shear / (total * G), K / total


@njit(cache=True, error_model="numpy")
def drucker_prager_point(
    strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """Return to cone or apex; parameters: K, G, eta, eta_bar, xi, c0, H, Q, b; state: eps_p, alpha.

    ``q`` is sqrt(J2) of the trial stress, ``gam`` the multiplier of the cone and ``vol_p`` the
    plastic volume strain of the step.
    """
    K, G, eta, eta_bar, xi, c0, H, Q, b = unpack(parameters)
    alpha = state_n[6]
    vol = strain[0] + strain[1] + strain[2] - state_n[0] - state_n[1] - state_n[2]
    norm = 0.0
    for i in range(6):
        state[i] = strain[i] - state_n[i] - (vol / 3.0 if i < 3 else 0.0)  # trial deviator
        norm += state[i] * state[i]
    norm = math.sqrt(norm)
    q, p_trial = math.sqrt(2.0) * G * norm, K * vol
    if not (math.isfinite(q) and math.isfinite(p_trial)):
        return 1

    gam, vol_p, gam_q, gam_v, vol_p_q, vol_p_v = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    c, _ = cohesion_and_slope(alpha, c0, H, Q, b)
    if q + eta * p_trial - xi * c > YIELD_TOLERANCE * xi * c:
        c, _ = cohesion_and_slope(alpha + xi * q / G, c0, H, Q, b)
        if eta * (p_trial - K * eta_bar * q / G) <= xi * c:
            moved = return_to_cone(q, p_trial, alpha, parameters)
        else:
            moved = return_to_apex(q, p_trial, alpha, parameters)
        gam, vol_p, alpha, gam_q, gam_v, vol_p_q, vol_p_v = moved
        if gam < 0.0 or vol_p < 0.0:
            return 2

    p = p_trial - K * vol_p
    root_j2 = max(q - G * gam, 0.0)
    keep = root_j2 / q if q > 0.0 else 1.0  # part of the trial deviator that stays
    energy[0] = 0.5 * p * p / K + 0.5 * root_j2 * root_j2 / G
    energy[1] = max(root_j2 * gam + p * vol_p, 0.0)
    fill_tangent(state, norm, K, G, keep, gam_q, gam_v, vol_p_q, vol_p_v, tangent)
    for i in range(6):
        dev = state[i]
        stress[i] = 2.0 * G * keep * dev + (p if i < 3 else 0.0)
        state[i] = state_n[i] + (1.0 - keep) * dev + (vol_p / 3.0 if i < 3 else 0.0)
    state[6] = alpha
    return 0


@njit(cache=True, error_model="numpy")
def fill_tangent(dev, norm, K, G, keep, gam_q, gam_v, vol_p_q, vol_p_v, tangent):
    """Derivative of ``s = (q - G gam) sqrt(2) n`` and ``p = K (vol - vol_p)``.

    With ``dq = sqrt(2) G n : deps`` and ``dn = (2 G / |s_trial|) (I_dev - n n) deps``.
    """
    r2 = math.sqrt(2.0)
    nn = 2.0 * G * (1.0 - G * gam_q - keep)
    n_vol = -r2 * G * gam_v
    vol_n = -r2 * G * K * vol_p_q
    vol_vol = K * (1.0 - vol_p_v) - 2.0 * G * keep / 3.0
    inverse = 1.0 / norm if norm > 0.0 else 0.0
    for i in range(6):
        n_i = dev[i] * inverse
        for j in range(6):
            n_j = dev[j] * inverse
            value = nn * n_i * n_j
            if j < 3:
                value += n_vol * n_i
            if i < 3:
                value += vol_n * n_j
                if j < 3:
                    value += vol_vol
            tangent[i, j] = value
        tangent[i, i] += 2.0 * G * keep


@dataclass(frozen=True, slots=True, kw_only=True)
class DruckerPrager(PhaseLaw):
    r"""Elastoplasticity with a cone in stress space that opens towards pressure.

    .. math:: f = \sqrt{J_2} + \eta\, p - \xi\, c(\alpha) \le 0, \qquad
              c = c_0 + H \alpha + Q (1 - e^{-b \alpha})

    with :math:`p = \tfrac13 \operatorname{tr} \sigma` (tension positive). On the cone

    .. math:: \dot\varepsilon^p = \dot\gamma \Bigl(\frac{s}{2 \sqrt{J_2}}
              + \frac{\bar\eta}{3} I\Bigr), \qquad \dot\alpha = \xi \dot\gamma

    where :math:`\eta, \xi` follow from friction angle :math:`\varphi` and `matching`, and
    :math:`\bar\eta` likewise from the dilatancy angle. At the apex, :math:`p = \xi c / \eta`, the
    plastic volume strain may exceed :math:`\bar\eta \gamma` by some :math:`\zeta`, which hardens
    by :math:`\dot\alpha = \xi \dot\gamma + \xi \dot\zeta / \eta`. With associated flow
    (dilatancy = friction) these are boxes 8.8 to 8.10 of the source; otherwise the source hardens
    at the apex by :math:`\xi / \bar\eta` times the volume strain, which has no value at zero
    dilatancy, while this form holds for all angles and joins the cone's smoothly.

    The dissipation on the cone is
    :math:`\dot\gamma (\xi c - (\eta - \bar\eta) p) \ge \dot\gamma \xi c \bar\eta / \eta \ge 0`,
    as :math:`p \le \xi c / \eta` and the dilatancy is at most the friction; hardening counts as
    dissipated. The tangent is symmetric only for associated flow.

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit], > 0, and Poisson's ratio.
    cohesion : float
        Initial cohesion :math:`c_0` [stress unit], > 0.
    friction : float
        Friction angle [degrees], 0 <= friction < 90; 0 is von Mises.
    dilatancy : float
        Dilatancy angle [degrees], 0 <= dilatancy <= friction.
    matching : str
        How the cone meets the Mohr-Coulomb pyramid of that cohesion and those angles:
        ``"outer"`` its outer edges (same strength in triaxial compression), ``"inner"`` its inner
        edges (triaxial extension), ``"plane-strain"`` the same limit load in plane strain.
    H : float
        Linear hardening modulus of the cohesion [stress unit], >= 0.
    Q, b : float
        Saturating part of the hardening [stress unit], and its rate [-], both >= 0.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.

    References
    ----------
    de Souza Neto, Peric & Owen, *Computational Methods for Plasticity*, 2008, section 8.3 (return
    mapping, tangents), section 6.4.4 (matching of the cones).

    Examples
    --------
    >>> sand = DruckerPrager(E=100.0, nu=0.3, cohesion=0.02, friction=30.0, dilatancy=10.0)  # MPa
    >>> pulled = sand.evaluate([[0.001, 0, 0, 0, 0, 0]], 1.0, sand.initial_state()[None])
    >>> pulled.stress.round(4)
    array([[0.0346, 0.0346, 0.0346, 0.    , 0.    , 0.    ]])
    """

    law: ClassVar[str] = "drucker-prager"

    E: float
    nu: float
    cohesion: float
    friction: float
    dilatancy: float
    matching: str = "outer"
    H: float = 0.0
    Q: float = 0.0
    b: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "E", "cohesion")
        require_between(self, "nu", low=-1.0, high=0.5)
        require_non_negative(self, "friction", "dilatancy", unit="degrees")
        require_non_negative(self, "H", "Q", "b")
        if self.friction >= 90.0:
            raise ParameterError(
                f"DruckerPrager: friction = {self.friction!r} degrees, expected less than 90."
            )
        if self.dilatancy > self.friction:
            raise ParameterError(
                f"DruckerPrager: dilatancy = {self.dilatancy!r} degrees, expected at most the "
                f"friction angle, {self.friction!r}: beyond it, energy would be created."
            )
        if self.matching not in MATCHINGS:
            raise ParameterError(
                f"DruckerPrager: matching = {self.matching!r}, "
                f"expected one of {', '.join(MATCHINGS)}."
            )

    @property
    def eta(self) -> float:
        """Slope of the cone [-]."""
        return _slope(self.friction, self.matching)[0]

    @property
    def eta_bar(self) -> float:
        """Slope of the flow potential [-]."""
        return _slope(self.dilatancy, self.matching)[0]

    @property
    def xi(self) -> float:
        """Factor on the cohesion [-]."""
        return _slope(self.friction, self.matching)[1]

    @property
    def stiffness(self) -> np.ndarray:
        """Isotropic stiffness (6, 6), Mandel [stress unit]."""
        return isotropic(E=self.E, nu=self.nu)

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return drucker_prager_point

    @property
    def parameters(self) -> np.ndarray:
        """K, G, eta, eta_bar, xi, c0, H, Q, b."""
        K, G = self.E / (3.0 * (1.0 - 2.0 * self.nu)), self.E / (2.0 * (1.0 + self.nu))
        cone = (self.eta, self.eta_bar, self.xi)
        return np.array([K, G, *cone, self.cohesion, self.H, self.Q, self.b])

    @property
    def state_names(self) -> tuple[str, ...]:
        """Plastic strain (Mandel) and hardening strain alpha."""
        return (*(f"eps_p_{ij}" for ij in COMPONENTS), "alpha")

    @property
    def isotropic(self) -> bool:
        """True."""
        return True

    @property
    def symmetric(self) -> bool:
        """Whether flow is associated."""
        return self.dilatancy == self.friction


def _slope(angle: float, matching: str) -> tuple[float, float]:
    """eta and xi of the cone that meets a Mohr-Coulomb pyramid of this friction angle."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    if matching == "plane-strain":
        scale = math.sqrt(9.0 * cosine**2 + 12.0 * sine**2)
        return 3.0 * sine / scale, 3.0 * cosine / scale
    scale = math.sqrt(3.0) * (3.0 - sine if matching == "outer" else 3.0 + sine)
    return 6.0 * sine / scale, 6.0 * cosine / scale
