"""A circular hole in an infinite anisotropic plate under tension, by Lekhnitskii's potentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.mandel import SQRT2

__all__ = ["HoleInPlate", "plane_compliance"]

IN_PLANE = np.array([0, 1, 3])


def plane_compliance(C: Any) -> np.ndarray:
    """Plane stress compliance (3, 3) of 11, 22 and the engineering shear 12.

    Parameters
    ----------
    C : (6, 6)
        Mandel stiffness in the plate's frame [stress unit].

    Examples
    --------
    >>> import matnet
    >>> steel = matnet.phases.Elastic(E=200.0, nu=0.25).stiffness
    >>> (plane_compliance(steel) * 200.0).round(9).tolist()
    [[1.0, -0.25, 0.0], [-0.25, 1.0, 0.0], [0.0, 0.0, 2.5]]
    """
    compliance = np.linalg.inv(np.asarray(C, dtype=float))[np.ix_(IN_PLANE, IN_PLANE)]
    factor = np.array([1.0, 1.0, SQRT2])
    return np.asarray(compliance * np.outer(factor, factor)) + 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoleInPlate:
    r"""Stress and displacement around the hole; far away there is only :math:`\sigma_{11} = p`.

    Stresses derive from two potentials of :math:`z_k = x + \mu_k y`, where :math:`\mu_k` solve

    .. math:: a_{11} \mu^4 - 2 a_{16} \mu^3 + (2 a_{12} + a_{66}) \mu^2 - 2 a_{26} \mu + a_{22} = 0

    with positive imaginary part. An edge free of tractions makes them

    .. math::
        \varphi_1 = -\varphi_2 = \frac{-i p R}{2 (\mu_1 - \mu_2)} \frac{1}{\zeta}, \quad
        \zeta_k = \frac{z_k + \sqrt{z_k^2 - R^2 (1 + \mu_k^2)}}{R (1 - i \mu_k)}

    Parameters
    ----------
    compliance : (3, 3)
        Of 11, 22 and engineering shear 12 [1 / stress unit]; not isotropic (:math:`\mu_1 = \mu_2`).
    radius, tension : float
        R [length] and p [stress unit].

    Examples
    --------
    The stress at the edge of an orthotropic plate has a closed form:

    >>> E1, E2, nu12, G12 = 100.0, 10.0, 0.3, 5.0
    >>> a = np.array([[1 / E1, -nu12 / E1, 0.0], [-nu12 / E1, 1 / E2, 0.0], [0.0, 0.0, 1 / G12]])
    >>> plate = HoleInPlate(compliance=a, radius=2.0, tension=1.0)
    >>> float(plate.stress([0.0, 2.0])[0].round(9))
    6.071938024
    >>> round(1.0 + (2.0 * ((E1 / E2) ** 0.5 - nu12) + E1 / G12) ** 0.5, 9)
    6.071938024

    References
    ----------
    S. G. Lekhnitskii, *Anisotropic Plates*, 1968, chapter 6: the method and the closed form. The
    potentials above follow from it for tension along x.
    """

    compliance: np.ndarray
    radius: float
    tension: float

    @property
    def roots(self) -> np.ndarray:
        """The two complex parameters mu."""
        (a11, a12, a16), (_, a22, a26), (_, _, a66) = np.asarray(self.compliance)
        roots = np.roots([a11, -2.0 * a16, 2.0 * a12 + a66, -2.0 * a26, a22])
        return np.asarray(roots[roots.imag > 0.0])

    def stress(self, x: Any) -> np.ndarray:
        """Tensor components 11, 22, 12 (..., 3) at points (..., 2)."""
        mu = self.roots
        z, zeta = self._plane(x)
        # d zeta / d z = zeta / sqrt(z^2 - R^2 (1 + mu^2))
        root = zeta * self.radius * (1.0 - 1j * mu) - z
        slope = self._amplitudes() * -1.0 / (zeta * root)
        parts = np.stack((mu**2 * slope, slope, -mu * slope), axis=-1)
        return 2.0 * parts.sum(axis=-2).real + self.tension * np.array([1.0, 0.0, 0.0])

    def displacement(self, x: Any) -> np.ndarray:
        """Displacement (..., 2) at points (..., 2), without rigid motion."""
        (a11, a12, a16), (_, a22, a26), _ = np.asarray(self.compliance)
        mu = self.roots
        _, zeta = self._plane(x)
        potential = self._amplitudes() / zeta
        factors = np.stack((a11 * mu**2 + a12 - a16 * mu, a12 * mu + a22 / mu - a26), axis=-1)
        far = self.tension * np.array([[a11, 0.5 * a16], [0.5 * a16, a12]])
        return 2.0 * (potential[..., None] * factors).sum(axis=-2).real + np.asarray(x) @ far

    def _amplitudes(self) -> np.ndarray:
        mu = self.roots
        first = -0.5j * self.tension * self.radius / (mu[0] - mu[1])
        return np.array([first, -first])

    def _plane(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """z_k and zeta_k (..., 2); outside the hole zeta is the root with the larger modulus."""
        mu, x = self.roots, np.asarray(x, dtype=float)
        z = x[..., :1] + mu * x[..., 1:]
        root = np.sqrt(z**2 - self.radius**2 * (1.0 + mu**2))
        larger = np.where(abs(z + root) >= abs(z - root), z + root, z - root)
        return z, larger / (self.radius * (1.0 - 1j * mu))
