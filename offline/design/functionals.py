r"""What a plane stiffness is asked for: numbers of C, differentiable, by name.

C is plane strain, Mandel 11 22 12. With the unit direction :math:`d = (\cos\theta, \sin\theta)`,
:math:`t \perp d`, the Mandel vectors :math:`N = d \otimes d`, :math:`T = t \otimes t`,
:math:`M = (d \otimes t + t \otimes d) / \sqrt 2` and the compliance :math:`S = C^{-1}` (of the
plane-strain stiffness, not of the solid in space):

.. math:: E(\theta) = \frac{1}{N \cdot S N}, \quad \nu(\theta) = -\frac{T \cdot S N}{N \cdot S N},
          \quad G(\theta) = \frac{1}{2\, M \cdot S M}

Shear-normal coupling and eigenvalue ratio are eq. 44 and 45 of Keshav & Fritzen, "Robust inverse
material design with physical guarantees using the Voigt-Reuss net".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from matnet.errors import ParameterError

__all__ = ["FUNCTIONALS", "Functional", "functional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Functional:
    """A number that a stiffness has.

    Attributes
    ----------
    value : callable
        (C (n, 3, 3), angle in degrees) to (n,), differentiable.
    help : str
    positive : bool
        Always > 0 and spread over decades: compared in logarithms.
    directional : bool
        Depends on the angle.
    """

    value: Callable[[Tensor, float], Tensor]
    help: str
    positive: bool = False
    directional: bool = False


def functional(name: str) -> Functional:
    """The functional called `name`.

    Examples
    --------
    >>> unit = torch.eye(3, dtype=torch.float64)[None]
    >>> functional("eigenratio").value(unit, 0.0).item()
    1.0
    """
    if name not in FUNCTIONALS:
        raise ParameterError(
            f"functional '{name}' is unknown, expected one of {', '.join(FUNCTIONALS)}."
        )
    return FUNCTIONALS[name]


def _coupling(c: Tensor, angle: float) -> Tensor:
    # Mandel: C[0, 2] = sqrt 2 C_1112
    size: Tensor = torch.linalg.matrix_norm(c)
    return (c[:, 0, 2].abs() + c[:, 1, 2].abs()) / size


def _eigenratio(c: Tensor, angle: float) -> Tensor:
    values: Tensor = torch.linalg.eigvalsh(c)
    return values[:, -1] / values[:, 0]


def _bulk(c: Tensor, angle: float) -> Tensor:
    return 0.25 * (c[:, 0, 0] + c[:, 1, 1] + 2.0 * c[:, 0, 1])


def _shear(c: Tensor, angle: float) -> Tensor:
    return 0.25 * (torch.diagonal(c, dim1=-2, dim2=-1).sum(dim=-1) - 2.0 * _bulk(c, angle))


def _mean_poisson(c: Tensor, angle: float) -> Tensor:
    k, g = _bulk(c, angle), _shear(c, angle)
    return (k - g) / (k + g)


def _anisotropy(c: Tensor, angle: float) -> Tensor:
    k, g = _bulk(c, angle), _shear(c, angle)
    zero = torch.zeros_like(k)
    rows = (
        torch.stack([k + g, k - g, zero], dim=-1),
        torch.stack([k - g, k + g, zero], dim=-1),
        torch.stack([zero, zero, 2.0 * g], dim=-1),
    )
    rest = c - torch.stack(rows, dim=-2)
    # the floor keeps the derivative of the root finite at an isotropic tensor
    size = c.square().sum(dim=(-2, -1))
    return ((rest.square().sum(dim=(-2, -1)) + 1e-16 * size) / size).sqrt()


def _youngs(c: Tensor, angle: float) -> Tensor:
    n, _, _ = _frame(c, angle)
    strain: Tensor = torch.linalg.solve(c, n)
    return 1.0 / (strain @ n)


def _poisson(c: Tensor, angle: float) -> Tensor:
    n, t, _ = _frame(c, angle)
    strain: Tensor = torch.linalg.solve(c, n)
    return -(strain @ t) / (strain @ n)


def _directional_shear(c: Tensor, angle: float) -> Tensor:
    _, _, m = _frame(c, angle)
    strain: Tensor = torch.linalg.solve(c, m)
    return 0.5 / (strain @ m)


def _frame(c: Tensor, angle: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mandel vectors (3,) of d d, t t and the shear between d and t."""
    a = math.radians(angle)
    cos, sin, root = math.cos(a), math.sin(a), math.sqrt(2.0)
    return (
        c.new_tensor([cos * cos, sin * sin, root * sin * cos]),
        c.new_tensor([sin * sin, cos * cos, -root * sin * cos]),
        c.new_tensor([-root * sin * cos, root * sin * cos, cos * cos - sin * sin]),
    )


FUNCTIONALS: dict[str, Functional] = {
    "coupling": Functional(
        value=_coupling,
        help="shear-normal coupling sqrt(2) (|C_1112| + |C_2212|) / ||C|| [-]",
    ),
    "eigenratio": Functional(
        value=_eigenratio,
        help="largest over smallest eigenvalue of C [-]",
        positive=True,
    ),
    "E": Functional(
        value=_youngs,
        help="plane Young's modulus along an angle, E@30 [stress]",
        positive=True,
        directional=True,
    ),
    "nu": Functional(
        value=_poisson,
        help="plane Poisson's ratio for stress along an angle, nu@30 [-]",
        directional=True,
    ),
    "G": Functional(
        value=_directional_shear,
        help="plane shear modulus in the frame at an angle, G@45 [stress]",
        positive=True,
        directional=True,
    ),
    "bulk": Functional(
        value=_bulk,
        help="plane bulk modulus (C_11 + C_22 + 2 C_12) / 4 [stress]",
        positive=True,
    ),
    "shear": Functional(
        value=_shear,
        help="shear modulus of the nearest isotropic stiffness [stress]",
        positive=True,
    ),
    "mean-nu": Functional(
        value=_mean_poisson,
        help="plane Poisson's ratio of the nearest isotropic stiffness [-]",
    ),
    "anisotropy": Functional(
        value=_anisotropy,
        help="distance from the nearest isotropic stiffness, relative to ||C|| [-]",
    ),
}
