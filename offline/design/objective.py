r"""The number that a design makes small: weighted terms of a plane stiffness.

With y the functional's value, or its natural logarithm for moduli and ratios:

========== ==================================================
maximize   -y
minimize   y
reach      \|y - y*\|
target     ||C - C*|| / ||C*||, Frobenius norms (paper, eq. 43)
========== ==================================================

All are free of units, so that weights compare like with like: a weight on a logarithm counts a
factor, one on a ratio a difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError, ShapeError, require_finite
from offline.design.functionals import functional
from offline.surrogates.voigt_reuss.normalisation import voigt_reuss

__all__ = ["SENSES", "Objective", "Target", "Term", "admissible_fractions", "parse_term"]

SENSES = ("maximize", "minimize", "reach")
FRACTIONS = 199  # volume fractions tried for a target
SYMMETRY = 1e-6  # relative to the largest entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A functional with a sense.

    Parameters
    ----------
    name : str
        One of `functionals.FUNCTIONALS`.
    sense : one of `SENSES`
    angle : float
        Direction from axis 1 [degrees], for functionals that have one.
    goal : float, optional
        The value to reach, in the functional's unit.
    weight : float
        > 0.

    Examples
    --------
    >>> Term(name="eigenratio", sense="maximize").of(torch.eye(3, dtype=torch.float64)[None]).item()
    -0.0
    """

    name: str
    sense: str
    angle: float = 0.0
    goal: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        found = functional(self.name)
        if self.sense not in SENSES:
            raise ParameterError(f"sense is '{self.sense}', expected {', '.join(SENSES)}.")
        if (self.goal is None) == (self.sense == "reach"):
            raise ParameterError(
                f"term '{self.label}': a value is for 'reach', which needs one, as in "
                f"{self.name}=2.5."
            )
        if self.angle and not found.directional:
            raise ParameterError(f"term '{self.label}': '{self.name}' has no direction.")
        if not math.isfinite(self.angle) or not (math.isfinite(self.weight) and self.weight > 0.0):
            raise ParameterError(
                f"term '{self.label}': angle {self.angle:g} and weight {self.weight:g}, expected "
                "a finite angle and a weight > 0."
            )
        if self.goal is not None and not (
            math.isfinite(self.goal) and (self.goal > 0.0 or not found.positive)
        ):
            raise ParameterError(
                f"term '{self.label}': value {self.goal:g}, expected a finite number"
                f"{' > 0' if found.positive else ''}."
            )

    @property
    def label(self) -> str:
        """For tables: maximize E@30."""
        angle = f"@{self.angle:g}" if self.angle else ""
        goal = "" if self.goal is None else f"={self.goal:g}"
        return f"{self.sense} {self.name}{angle}{goal}"

    def value(self, stiffness: Tensor) -> Tensor:
        """The functional itself (n,)."""
        return functional(self.name).value(stiffness, self.angle)

    def of(self, stiffness: Tensor) -> Tensor:
        """What is made small (n,), without the weight."""
        positive = functional(self.name).positive
        y = self.value(stiffness).log() if positive else self.value(stiffness)
        if self.goal is not None:
            return (y - (math.log(self.goal) if positive else self.goal)).abs()
        return -y if self.sense == "maximize" else y


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A stiffness to match.

    Parameters
    ----------
    stiffness : (3, 3)
        Plane strain, Mandel 11 22 12, symmetric positive definite [stress unit]; or its six
        entries row by row: C_1111, C_1122, sqrt 2 C_1112, C_2222, sqrt 2 C_2212, 2 C_1212.
    weight : float
    """

    stiffness: np.ndarray
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "stiffness", _checked_target(self.stiffness))
        if not (math.isfinite(self.weight) and self.weight > 0.0):
            raise ParameterError(f"the target's weight is {self.weight:g}, expected > 0.")

    label = "target"

    def value(self, stiffness: Tensor) -> Tensor:
        """Relative distance (n,)."""
        target = torch.tensor(self.stiffness, dtype=stiffness.dtype, device=stiffness.device)
        distance: Tensor = torch.linalg.matrix_norm(stiffness - target)
        return distance / float(np.linalg.norm(self.stiffness))

    def of(self, stiffness: Tensor) -> Tensor:
        """Relative distance (n,)."""
        return self.value(stiffness)


@dataclass(frozen=True, slots=True)
class Objective:
    """A weighted sum of terms."""

    terms: tuple[Term | Target, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise ParameterError("nothing is asked for: give a target or at least one functional.")
        if len(self.targets) > 1:
            raise ParameterError(f"{len(self.targets)} targets are given, expected one at most.")

    @property
    def targets(self) -> tuple[Target, ...]:
        """The target, if there is one."""
        return tuple(term for term in self.terms if isinstance(term, Target))

    def __call__(self, stiffness: Tensor) -> Tensor:
        """(n, 3, 3) to (n,), differentiable."""
        return torch.stack([term.weight * term.of(stiffness) for term in self.terms]).sum(dim=0)

    def of(self, stiffness: Any) -> np.ndarray:
        """The same for arrays (n, 3, 3)."""
        with torch.no_grad():
            return np.asarray(self(torch.as_tensor(np.asarray(stiffness, dtype=float))).numpy())

    def values(self, stiffness: Any) -> dict[str, float]:
        """The value of every term for one stiffness (3, 3)."""
        one = torch.as_tensor(np.asarray(stiffness, dtype=float))[None]
        with torch.no_grad():
            return {term.label: float(term.value(one)[0]) for term in self.terms}


def parse_term(text: str, sense: str) -> Term:
    """A term from NAME[@DEGREES][=VALUE][*WEIGHT].

    Examples
    --------
    >>> term = parse_term("E@30=200*2", "reach")
    >>> term.label, term.weight
    ('reach E@30=200', 2.0)
    """
    rest, _, weight = text.partition("*")
    rest, equals, goal = rest.partition("=")
    name, at, angle = rest.partition("@")
    try:
        numbers = (float(angle) if at else 0.0, float(goal) if equals else None)
        factor = float(weight) if "*" in text else 1.0
    except ValueError:
        raise ParameterError(
            f"'{text}' cannot be read, expected NAME[@DEGREES][=VALUE][*WEIGHT], as in E@30=200*2."
        ) from None
    return Term(name=name.strip(), sense=sense, angle=numbers[0], goal=numbers[1], weight=factor)


def admissible_fractions(target: Any, phases: Any) -> tuple[float, float] | None:
    """Smallest and largest volume fraction of phase 0 with C_R <= target <= C_V, or None.

    Tried at 0.005, 0.01, ... 0.995.
    """
    c0 = np.arange(1, FRACTIONS + 1) / (FRACTIONS + 1.0)
    upper, lower = voigt_reuss(np.asarray(phases, dtype=float), np.stack([c0, 1.0 - c0], -1))
    c = np.asarray(target, dtype=float)
    slack = -1e-9 * np.abs(upper).max()
    inside = (np.linalg.eigvalsh(upper - c)[:, 0] >= slack) & (
        np.linalg.eigvalsh(c - lower)[:, 0] >= slack
    )
    found = c0[inside]
    return (float(found[0]), float(found[-1])) if len(found) else None


def _checked_target(stiffness: Any) -> np.ndarray:
    c: np.ndarray = np.array(stiffness, dtype=float)
    if c.shape == (6,):
        c = c[[0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(3, 3)
    if c.shape != (3, 3):
        raise ShapeError(f"the target has shape {c.shape}, expected (3, 3) or six numbers.")
    require_finite("the target", c)
    if np.abs(c - c.T).max() > SYMMETRY * np.abs(c).max():
        raise ParameterError("the target is not symmetric, expected a Mandel matrix.")
    c = 0.5 * (c + c.T)
    lowest = float(np.linalg.eigvalsh(c)[0])
    if lowest <= 0.0:
        raise ParameterError(
            f"the target has the eigenvalue {lowest:.4g}, expected a positive definite stiffness."
        )
    c.setflags(write=False)
    return c
