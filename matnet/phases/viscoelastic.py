"""Linear viscoelasticity: the generalised Maxwell model, integrated exactly."""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from matnet.elasticity import isotropic
from matnet.errors import ParameterError, require_positive
from matnet.mandel import COMPONENTS
from matnet.phases.base import PhaseLaw
from matnet.simd import LANES, load, mask_bits, store

__all__ = ["Viscoelastic"]

_BRANCHES = 3  # parameters: K, G of the long-term spring, unused; then K, G, tau of each branch


@njit(cache=True, error_model="numpy")
def ramp_weights(x):
    """Weights of a Maxwell branch for a strain linear in time over a step of ``x = dt / tau``.

    Returns ``1 - exp(-x)``, ``(1 - exp(-x)) / x`` and ``(x - p - p^2 / 2) / x^3`` where p is the
    first of them; their limits at x = 0 are 0, 1 and 1/3.
    """
    if x <= 0.0:
        return 0.0, 1.0, 1.0 / 3.0
    p = -math.expm1(-x)
    phi = p / x
    if x > 0.5:
        return p, phi, (1.0 - phi * (1.0 + 0.5 * p)) / x / x
    # the difference cancels for short steps: its series, sum (2^(k-1) - 2) (-x)^(k-3) / k!
    series, term, power = 0.0, 1.0 / 6.0, 4.0
    for k in range(3, 20):
        series += (power - 2.0) * term
        term *= -x / (k + 1.0)
        power *= 2.0
    return p, phi, series


@njit(cache=True, error_model="numpy")
def _branch_weights(dt, tau):
    """What is kept of the spring strain h, the weight of the increment d, and the dissipation.

    The dissipation over the modulus is ``lost_mean (h + shift d)^2 + lost_step d^2``.
    """
    x = min(dt / tau, 1e100)
    p, phi, psi = ramp_weights(x)
    a = phi * (1.0 - 0.5 * p)
    shift = 0.5 * phi * phi / a
    rest = max(psi - 0.5 * phi * phi * shift, 0.0)
    return 1.0 - p, phi, shift, x * a, x * rest


@njit(cache=True, error_model="numpy")
def viscoelastic_point(
    strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """Generalised Maxwell; parameters: K, G, 0 of the long-term spring, K, G, tau per branch.

    State: strain (6,), then the strain of each branch's spring (6,).
    """
    trace = strain[0] + strain[1] + strain[2]
    K, G = parameters[0], parameters[1]
    stored, lost = 0.5 * K * trace * trace, 0.0
    for i in range(6):
        dev = strain[i] - trace / 3.0 if i < 3 else strain[i]
        stress[i] = K * trace + 2.0 * G * dev if i < 3 else 2.0 * G * dev
        stored += G * dev * dev
        state[i] = strain[i]
    for at in range(3, len(parameters), 3):
        K_b, G_b, tau = parameters[at], parameters[at + 1], parameters[at + 2]
        kept, phi, shift, lost_mean, lost_step = _branch_weights(dt, tau)
        row = 2 * at
        tr_h = state_n[row] + state_n[row + 1] + state_n[row + 2]
        tr_d = trace - (state_n[0] + state_n[1] + state_n[2])
        tr_new = kept * tr_h + phi * tr_d
        tr_mean = tr_h + shift * tr_d
        stored += 0.5 * K_b * tr_new * tr_new
        lost += K_b * (lost_mean * tr_mean * tr_mean + lost_step * tr_d * tr_d)
        for i in range(6):
            third = 1.0 / 3.0 if i < 3 else 0.0
            h, d = state_n[row + i], strain[i] - state_n[i]
            new = kept * h + phi * d
            dev = new - third * tr_new
            mean, step = h + shift * d - third * tr_mean, d - third * tr_d
            state[row + i] = new
            stress[i] += 3.0 * third * K_b * tr_new + 2.0 * G_b * dev
            stored += G_b * dev * dev
            lost += 2.0 * G_b * (lost_mean * mean * mean + lost_step * step * step)
        K += phi * K_b
        G += phi * G_b
    for i in range(6):
        for j in range(6):
            tangent[i, j] = K - 2.0 * G / 3.0 if i < 3 and j < 3 else 0.0
        tangent[i, i] += 2.0 * G
    energy[0] = stored
    energy[1] = lost
    return 0 if stored < math.inf and lost < math.inf else 1


@njit(cache=True, error_model="numpy")
def _lane_weights(active, dt, parameters):
    """Rows for each branch, the five of `_branch_weights`; last, bulk and shear of the tangent."""
    n = len(parameters) // _BRANCHES - 1
    weights = np.zeros((5 * n + 2, LANES))
    first = -1
    for lane in range(LANES):
        if not (active >> lane) & 1:
            continue
        if first >= 0 and dt[lane] == dt[first]:  # mostly so
            weights[:, lane] = weights[:, first]
            continue
        first = lane
        weights[5 * n, lane], weights[5 * n + 1, lane] = parameters[0], parameters[1]
        for b in range(n):
            at = _BRANCHES * (b + 1)
            branch = _branch_weights(dt[lane], parameters[at + 2])
            for k in range(5):
                weights[5 * b + k, lane] = branch[k]
            weights[5 * n, lane] += branch[1] * parameters[at]
            weights[5 * n + 1, lane] += branch[1] * parameters[at + 1]
    return weights


@njit(cache=True, error_model="numpy", forceinline=True)
def _branch_lanes(K_b, G_b, weights, b, v, tr_d, strain, e, state_n, s, stress, state):
    """One branch at one node: its stress and state; returns its energy and dissipation."""
    kept, phi, shift = load(weights, 5 * b), load(weights, 5 * b + 1), load(weights, 5 * b + 2)
    row = s + 6 * (b + 1)
    tr_h = load(state_n, row) + load(state_n, row + 1) + load(state_n, row + 2)
    tr_new, tr_mean = kept * tr_h + phi * tr_d, tr_h + shift * tr_d
    new_square, mean_square, step_square = 0.0 * v, 0.0 * v, 0.0 * v
    for k in range(6):
        third = 1.0 / 3.0 if k < 3 else 0.0
        h, d = load(state_n, row + k), load(strain, e + k) - load(state_n, s + k)
        new = kept * h + phi * d
        dev, mean, step = new - third * tr_new, h + shift * d - third * tr_mean, d - third * tr_d
        store(state, row + k, new)
        store(stress, e + k, load(stress, e + k) + 3.0 * third * K_b * tr_new + 2.0 * G_b * dev)
        new_square = new_square + dev * dev
        mean_square = mean_square + mean * mean
        step_square = step_square + step * step
    stored = 0.5 * K_b * tr_new * tr_new + G_b * new_square
    lost_mean = K_b * tr_mean * tr_mean + 2.0 * G_b * mean_square
    lost_step = K_b * tr_d * tr_d + 2.0 * G_b * step_square
    return stored, load(weights, 5 * b + 3) * lost_mean + load(weights, 5 * b + 4) * lost_step


@njit(cache=True, error_model="numpy")
def viscoelastic_lanes(
    point, active, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    """`viscoelastic_point` at every node of eight points; fills the tangents' upper triangles."""
    K, G, n_state = parameters[0], parameters[1], state_n.shape[1]
    n_branches = len(parameters) // _BRANCHES - 1
    weights = _lane_weights(active, dt, parameters)
    bulk, shear2 = load(weights, 5 * n_branches), 2.0 * load(weights, 5 * n_branches + 1)
    side = bulk - shear2 / 3.0
    failed = 0
    for node in range(strain.shape[0]):
        e, s, c = 6 * node, n_state * node, 36 * node
        v = load(strain, e) + load(strain, e + 1) + load(strain, e + 2)
        tr_d = v - (load(state_n, s) + load(state_n, s + 1) + load(state_n, s + 2))
        stored, lost = 0.5 * K * v * v, 0.0 * v
        for k in range(6):
            third = 1.0 / 3.0 if k < 3 else 0.0
            total = load(strain, e + k)
            dev = total - third * v
            stored = stored + G * dev * dev
            store(stress, e + k, 3.0 * third * K * v + 2.0 * G * dev)
            store(state, s + k, total)
        for b in range(n_branches):
            K_b, G_b = parameters[_BRANCHES * (b + 1)], parameters[_BRANCHES * (b + 1) + 1]
            held, gone = _branch_lanes(
                K_b, G_b, weights, b, v, tr_d, strain, e, state_n, s, stress, state
            )
            stored = stored + held
            lost = lost + gone
        for i in range(6):
            for j in range(i, 6):
                store(tangent, c + 6 * i + j, side * (1.0 if j < 3 else 0.0))
            store(tangent, c + 7 * i, side * (1.0 if i < 3 else 0.0) + shear2)
        store(energy, 2 * node, stored)
        store(energy, 2 * node + 1, lost)
        failed |= ~mask_bits(stored + lost < math.inf)
    return failed & active


@dataclass(frozen=True, slots=True, kw_only=True)
class Viscoelastic(PhaseLaw):
    r"""Isotropic generalised Maxwell model with a Prony series in shear and one in bulk.

    .. math::

        \sigma &= K(t) * \operatorname{tr}\dot\varepsilon\, I + 2 G(t) * \dot e, \\
        G(t) &= G_0 \Bigl(1 - \sum_i g_i (1 - e^{-t/\tau_i})\Bigr), \qquad
        K(t) = K_0 \Bigl(1 - \sum_i k_i (1 - e^{-t/\tau_i})\Bigr).

    Beside the long-term spring act springs of moduli :math:`k_i K_0, g_i G_0`, each in series with
    a dashpot; the spring's strain :math:`h_i` obeys
    :math:`\dot h_i = \dot\varepsilon - h_i / \tau_i`. For a strain linear over the step,

    .. math:: h_i = e^{-x_i} h_{i,n} + \frac{1 - e^{-x_i}}{x_i} (\varepsilon - \varepsilon_n),
              \qquad x_i = \Delta t / \tau_i,

    is exact, as are the energy of the springs and what the dashpots dissipate. Steps may be of any
    length. The tangent is symmetric and depends on the length of the step only.

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit] and Poisson's ratio of the instantaneous response, that of
        the fastest loading.
    g, tau : sequence of float
        Relative shear modulus [-] and relaxation time [time unit] of each branch; g >= 0, their
        sum at most 1 (equal to 1: a fluid in shear), tau > 0.
    k : sequence of float, optional
        Relative bulk modulus [-] of each branch, likewise; none if not given, so that the bulk
        modulus is constant.

    Raises
    ------
    ParameterError
        A value is out of range, or the sequences differ in length; the message names it.

    References
    ----------
    Taylor, Pister & Goudreau, *International Journal for Numerical Methods in Engineering* 2
    (1970), 45-59 (recursion); Simo & Hughes, *Computational Inelasticity*, 1998, ch. 10; Kaliske &
    Rothert, *Computational Mechanics* 19 (1997), 228-239 (weight of the increment as here). The
    parameters are those of \*VISCOELASTIC, TIME=PRONY with \*ELASTIC, MODULI=INSTANTANEOUS in
    Abaqus.

    Examples
    --------
    >>> epoxy = Viscoelastic(E=3000.0, nu=0.35, g=[0.2, 0.3], tau=[0.1, 10.0])
    >>> K, G = epoxy.relaxation_moduli([0.0, 1e9])
    >>> G.round(1)
    array([1111.1,  555.6])
    """

    law: ClassVar[str] = "viscoelastic"
    rate_dependent: ClassVar[bool] = True

    E: float
    nu: float
    g: tuple[float, ...]
    tau: tuple[float, ...]
    k: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self, "E")
        isotropic(E=self.E, nu=self.nu)
        for name in ("g", "tau", "k"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        if not self.k:
            object.__setattr__(self, "k", (0.0,) * len(self.g))
        if not len(self.g) == len(self.k) == len(self.tau) > 0:
            raise ParameterError(
                f"Viscoelastic: {len(self.g)} values of g, {len(self.k)} of k and "
                f"{len(self.tau)} of tau, expected one of each per branch, at least one branch."
            )
        if min(self.tau) <= 0.0:
            raise ParameterError(f"Viscoelastic: tau = {list(self.tau)}, expected times > 0.")
        for name in ("g", "k"):
            values = getattr(self, name)
            if min(values) < 0.0 or math.fsum(values) > 1.0 + 1e-12:
                raise ParameterError(
                    f"Viscoelastic: {name} = {list(values)}, expected values >= 0 "
                    "with a sum of at most 1."
                )

    @classmethod
    def from_branches(
        cls,
        *,
        K_long: float,
        G_long: float,
        K: Iterable[float],
        G: Iterable[float],
        tau: Iterable[float],
    ) -> Viscoelastic:
        """From the moduli of the springs themselves.

        Parameters
        ----------
        K_long, G_long : float
            Bulk and shear modulus of the long-term spring [stress unit], >= 0.
        K, G, tau : sequence of float
            Bulk and shear modulus [stress unit] and relaxation time [time unit] of each branch.

        Examples
        --------
        >>> law = Viscoelastic.from_branches(K_long=2.0, G_long=1.0, K=[0.0], G=[1.0], tau=[5.0])
        >>> law.g, law.k
        ((0.5,), (0.0,))
        """
        given = {"K_long": K_long, "G_long": G_long, "K": K, "G": G}
        moduli = {name: _numbers(name, value) for name, value in given.items()}
        for name, values in moduli.items():
            if min(values, default=0.0) < 0.0:
                raise ParameterError(f"Viscoelastic: {name} = {given[name]}, expected >= 0.")
        K_b, G_b = moduli["K"], moduli["G"]
        K_0, G_0 = math.fsum(moduli["K_long"] + K_b), math.fsum(moduli["G_long"] + G_b)
        if K_0 == 0.0 or G_0 == 0.0:
            raise ParameterError("Viscoelastic: all bulk or all shear moduli are 0.")
        return cls(
            E=9.0 * K_0 * G_0 / (3.0 * K_0 + G_0),
            nu=(3.0 * K_0 - 2.0 * G_0) / (6.0 * K_0 + 2.0 * G_0),
            g=tuple(value / G_0 for value in G_b),
            k=tuple(value / K_0 for value in K_b),
            tau=_numbers("tau", tau),
        )

    def relaxation_moduli(self, time: Any) -> tuple[np.ndarray, np.ndarray]:
        """Bulk and shear modulus [stress unit] at times after a sudden strain, same shape."""
        t = np.asarray(time, dtype=float)[..., None]
        kept = np.exp(-t / np.array(self.tau))
        return self._sum(kept)

    def complex_moduli(self, omega: Any) -> tuple[np.ndarray, np.ndarray]:
        """Complex bulk and shear modulus [stress unit] at angular frequencies [1/time unit].

        The real part is the storage modulus, the imaginary part the loss modulus.
        """
        x = np.asarray(omega, dtype=float)[..., None] * np.array(self.tau)
        return self._sum(1j * x / (1.0 + 1j * x))

    def _sum(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Long-term moduli plus those of the branches times what is kept of them."""
        spring, *branches = self.parameters.reshape(-1, _BRANCHES)
        table = np.array(branches)
        return spring[0] + kept @ table[:, 0], spring[1] + kept @ table[:, 1]

    @property
    def stiffness(self) -> np.ndarray:
        """Instantaneous stiffness (6, 6), Mandel [stress unit]."""
        return isotropic(E=self.E, nu=self.nu)

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return viscoelastic_point

    @property
    def lane_kernel(self) -> Any:
        """The lane kernel."""
        return viscoelastic_lanes

    @property
    def parameters(self) -> np.ndarray:
        """K, G, 0 of the long-term spring, then K, G, tau of each branch."""
        K_0 = self.E / (3.0 * (1.0 - 2.0 * self.nu))
        G_0 = self.E / (2.0 * (1.0 + self.nu))
        rows = [(K_0 * max(1.0 - sum(self.k), 0.0), G_0 * max(1.0 - sum(self.g), 0.0), 0.0)]
        rows += [(K_0 * k, G_0 * g, t) for k, g, t in zip(self.k, self.g, self.tau, strict=True)]
        return np.array(rows).ravel()

    @property
    def state_names(self) -> tuple[str, ...]:
        """Strain, then the strain of each branch's spring."""
        branches = (f"eps_spring{i + 1}" for i in range(len(self.tau)))
        return tuple(f"{name}_{ij}" for name in ("eps", *branches) for ij in COMPONENTS)

    @property
    def isotropic(self) -> bool:
        """True."""
        return True

    @property
    def symmetric(self) -> bool:
        """True."""
        return True


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    """A sequence of finite numbers as a tuple; one number stands for a sequence of one."""
    array = np.atleast_1d(np.asarray(values, dtype=object))
    good = (
        isinstance(entry, (int, float, np.number)) and not isinstance(entry, bool)
        for entry in array.ravel()
    )
    if array.ndim != 1 or not all(good) or not np.isfinite(array.astype(float)).all():
        raise ParameterError(f"Viscoelastic: {name} = {values!r}, expected finite numbers.")
    return tuple(float(entry) for entry in array)
