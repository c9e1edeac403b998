"""Two layers as a beam: points through the thickness, each under uniaxial stress."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import matnet
from matnet.material import Status

__all__ = ["Layer", "LayeredBeam", "elastic_beam"]

TOL = 1e-10  # of stresses and forces, over the stiffness
MAX_ITERATIONS = 30


class Layer(NamedTuple):
    """From `low` to `high` across the beam; the component (11: 0, ...) that lies along its axis."""

    low: float
    high: float
    along: int


class LayeredBeam:
    r"""A beam of unit width whose sections stay plane: strain along its axis is e + k z.

    .. math:: \int \sigma\,dz = N, \qquad \int \sigma z\,dz = M

    All stresses but the one along the axis are zero at each point. Away from its ends, a strip in
    plane stress is exactly this. `step` goes from one state to the next.

    Parameters
    ----------
    material : Material
        Of both layers.
    layers : sequence of Layer
        From bottom to top [length].
    n : int
        Gauss points in each.
    """

    def __init__(self, material: matnet.Material, layers: tuple[Layer, ...], n: int = 12) -> None:
        points, weights = np.polynomial.legendre.leggauss(n)
        half = np.array([0.5 * (layer.high - layer.low) for layer in layers])
        middle = np.array([0.5 * (layer.high + layer.low) for layer in layers])
        self.material = material
        self.z = (middle[:, None] + half[:, None] * points).ravel()
        self.weights = (half[:, None] * weights).ravel()
        self.along = np.repeat([layer.along for layer in layers], n)
        rows = [np.delete(np.arange(6), component) for component in self.along]
        self.free = np.array(rows)  # components without stress
        self.state = material.initial_state(len(self.z))
        self.strain = np.zeros((len(self.z), 6))
        self.q = np.zeros(2)  # e and k

    def step(self, force: float, moment: float, temperature: float) -> np.ndarray:
        """Strain e of the axis and curvature k (2,) under new loads; the state moves on."""
        arms = np.stack((np.ones_like(self.z), self.z))
        for _ in range(MAX_ITERATIONS):
            stress, modulus, state = self._uniaxial(self.q @ arms, temperature)
            off = arms @ (self.weights * stress) - [force, moment]
            stiffness = (arms * (self.weights * modulus)) @ arms.T
            move = np.linalg.solve(stiffness, off)
            self.q = self.q - move
            if abs(move @ arms).max() < TOL:
                self.state, self.stress = state, stress
                return self.q
        raise matnet.errors.ConvergenceError("the beam's Newton did not converge.", self.q)

    def _uniaxial(self, axial: np.ndarray, temperature: float) -> tuple[np.ndarray, ...]:
        """Stress and tangent modulus (n,) along the axis, state; Newton on the other strains."""
        rows, free = np.arange(len(self.z)), self.free
        self.strain[rows, self.along] = axial
        for _ in range(MAX_ITERATIONS):
            sig, C, state, status = self.material.update(self.strain, 1.0, self.state, temperature)
            if (status != Status.OK).any():
                break
            blocks = C[rows[:, None, None], free[:, :, None], free[:, None, :]]
            off = sig[rows[:, None], free]
            if abs(off).max() <= TOL * abs(blocks).max():
                sides = C[rows[:, None], free, self.along[:, None]]
                slip = np.linalg.solve(blocks, sides[..., None])[..., 0]
                modulus = C[rows, self.along, self.along] - (sides * slip).sum(axis=1)
                return sig[rows, self.along], modulus, state
            moves = np.linalg.solve(blocks, off[..., None])[..., 0]
            self.strain[rows[:, None], free] -= moves
        raise matnet.errors.ConvergenceError("a point of the beam has no solution.", self.q)


def elastic_beam(
    layers: tuple[Layer, ...], moduli: Any, expansions: Any, force: float, heating: float
) -> np.ndarray:
    r"""Strain e and curvature k (2,) of an elastic beam in closed form, no moment applied.

    .. math:: \sum_i E_i \int (e + k z - \alpha_i \Delta T) (1, z)\,dz = (N, 0)

    Parameters
    ----------
    layers : sequence of Layer
        From bottom to top [length].
    moduli, expansions : (n,)
        Of each, along the axis [stress unit], [1 / temperature unit].
    force, heating : float
        N [force / width], temperature difference.

    Examples
    --------
    Timoshenko's strip of two equal layers with one modulus curves by 3/2 of the difference of
    expansions over the thickness:

    >>> layers = (Layer(-1.0, 0.0, 0), Layer(0.0, 1.0, 0))
    >>> k = elastic_beam(layers, (70.0, 70.0), (1e-5, 3e-5), 0.0, 100.0)[1]
    >>> round(k / (2e-5 * 100.0 / 2.0), 9)
    1.5

    References
    ----------
    S. Timoshenko, "Analysis of bi-metal thermostats", J. Opt. Soc. Am. 11 (1925) 233-255.
    """
    low, high = np.array([[layer.low, layer.high] for layer in layers]).T
    zero, one, two = ((high**p - low**p) / p for p in (1, 2, 3))
    E, strain = np.asarray(moduli), np.asarray(expansions) * heating
    stiffness = np.array([[E @ zero, E @ one], [E @ one, E @ two]])
    load = np.array([force + (E * strain) @ zero, (E * strain) @ one])
    return np.asarray(np.linalg.solve(stiffness, load))
