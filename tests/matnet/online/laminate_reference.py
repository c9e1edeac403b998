"""Elastoplastic two-layer laminates, computed apart from matnet: tensors, scipy, closed forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

SQRT3 = 3.0**0.5


@dataclass(frozen=True)
class Layer:
    """Isotropic layer; flow(p) is its yield stress, None for an elastic layer."""

    E: float
    nu: float
    flow: Callable[[float], float] | None = None
    eps_p: np.ndarray | None = None
    p: float = 0.0

    @property
    def G(self) -> float:
        return self.E / (2.0 * (1.0 + self.nu))

    @property
    def K(self) -> float:
        return self.E / (3.0 * (1.0 - 2.0 * self.nu))

    def respond(self, strain: np.ndarray) -> tuple[np.ndarray, Layer]:
        """Stress tensor and layer at the end of a step (backward Euler, bracketed root)."""
        plastic = np.zeros((3, 3)) if self.eps_p is None else self.eps_p
        volume = np.trace(strain)
        trial = 2.0 * self.G * (strain - volume / 3.0 * np.eye(3) - plastic)
        q = np.sqrt(1.5 * (trial * trial).sum())
        pressure = self.K * volume * np.eye(3)
        if self.flow is None or q <= self.flow(self.p):
            return trial + pressure, self

        def excess(dp: float) -> float:
            return q - 3.0 * self.G * dp - self.flow(self.p + dp)

        dp = optimize.brentq(excess, 0.0, q / (3.0 * self.G), xtol=1e-18, rtol=1e-15)
        flow = 1.5 * dp * trial / q
        return trial + pressure - 2.0 * self.G * flow, replace(
            self, eps_p=plastic + flow, p=self.p + dp
        )


def laminate_path(
    layers: Sequence[Layer], f1: float, normal: np.ndarray, strains: np.ndarray
) -> np.ndarray:
    """Macroscopic stresses (steps, 3, 3) along macroscopic strains (steps, 3, 3)."""
    one, two = layers
    b, path = np.zeros(3), []
    for strain in strains:
        stress, one, two, b = _laminate_step(one, two, f1, normal, strain, b)
        path.append(stress)
    return np.array(path)


def _laminate_step(
    one: Layer, two: Layer, f1: float, normal: np.ndarray, strain: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, Layer, Layer, np.ndarray]:
    """One step from the jump vector b (in units of 1e-3): stress, layers and b at its end."""

    def layer_strains(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        opening = 0.5e-3 * (np.outer(b, normal) + np.outer(normal, b))
        return strain + (1.0 - f1) * opening, strain - f1 * opening

    def mismatch(b: np.ndarray) -> np.ndarray:
        eps1, eps2 = layer_strains(b)
        traction = (two.respond(eps2)[0] - one.respond(eps1)[0]) @ normal
        return traction / (1e-3 * max(one.G, two.G))

    found = optimize.root(mismatch, b, tol=1e-14)
    assert np.abs(mismatch(found.x)).max() < 1e-10, found.message
    eps1, eps2 = layer_strains(found.x)
    (sig1, one), (sig2, two) = one.respond(eps1), two.respond(eps2)
    return f1 * sig1 + (1.0 - f1) * sig2, one, two, found.x


def in_plane_shear(gamma: float, soft: Layer, sig_y: float, H: float, stiff: Layer, f: float):
    """Shear stress 12 of a laminate of normal 3: both layers are sheared by gamma.

    The soft layer, of fraction f, hardens linearly: sqrt(3) tau = sig_y + H (gamma_p / sqrt(3)).
    """
    tau = soft.G * gamma
    if SQRT3 * tau > sig_y:
        tau = (sig_y / SQRT3 + H / 3.0 * gamma) / (1.0 + H / (3.0 * soft.G))
    return f * tau + (1.0 - f) * stiff.G * gamma


def out_of_plane_shear(gamma: float, soft: Layer, sig_y: float, H: float, stiff: Layer, f: float):
    """Shear stress 13 of a laminate of normal 3: the same in both layers, shears add up."""
    elastic = f / soft.G + (1.0 - f) / stiff.G
    tau = gamma / elastic
    if SQRT3 * tau > sig_y:
        tau = (gamma + SQRT3 * f * sig_y / H) / (elastic + 3.0 * f / H)
    return tau


def equibiaxial(e: float, soft: Layer, sig_y: float, H: float, stiff: Layer, f: float):
    """Stresses 11 = 22 and 33 of a laminate of normal 3 under strains 11 = 22 = e > 0, 33 = -e.

    In a layer with strain z along 3 and plastic strain -p there,
    ``sig_33 = K (2 e + z) - 2/3 q`` and ``q = sig_11 - sig_33 = 2 G (e - z) - 3 G p``.
    """
    layers, fractions = (soft, stiff), (f, 1.0 - f)
    for plastic in (False, True):
        ratio = H / (3.0 * soft.G + H) if plastic else 1.0
        offset = 3.0 * soft.G * sig_y / (3.0 * soft.G + H) if plastic else 0.0
        q = [(2.0 * soft.G * ratio, offset), (2.0 * stiff.G, 0.0)]  # q = g (e - z) + q0
        # sig_33 = a + c z in each layer
        c = [layer.K + 2.0 / 3.0 * g for layer, (g, _) in zip(layers, q, strict=True)]
        a = [
            2.0 * layer.K * e - 2.0 / 3.0 * (g * e + q0)
            for layer, (g, q0) in zip(layers, q, strict=True)
        ]
        # a1 + c1 z1 = a2 + c2 z2 and f1 z1 + f2 z2 = -e
        z2 = (a[0] - a[1] - c[0] * e / f) / (c[1] + c[0] * fractions[1] / f)
        z = (-(e + fractions[1] * z2) / f, z2)
        if not plastic and 2.0 * soft.G * (e - z[0]) <= sig_y:
            break
    sig33 = a[0] + c[0] * z[0]
    sig11 = sig33 + sum(
        w * (g * (e - zi) + q0) for w, (g, q0), zi in zip(fractions, q, z, strict=True)
    )
    return sig11, sig33
