r"""The last percents: designs improved with the engine itself instead of the network.

One round linearises the effective stiffness in the design variables p = (amplitudes, c0), by the
derivatives of a grey picture (`sensitivity`) pushed through the renderer,

.. math:: X = C_g^{-1/2}\, \frac{\partial C_g}{\partial p}\, C_g^{-1/2}, \qquad
          C(p + \delta) \approx C^{1/2} \exp(X \delta)\, C^{1/2}

with C of the picture in sharp phases. Relative changes survive the step from grey to sharp better
than absolute ones, and the exponential keeps the model positive definite. Since there are but six
components, only the six combinations of p that change them matter: the objective of the model is
minimised over these within a trust region, the new cell is drawn and homogenised, and it counts
only if its true objective is lower and its limits are no worse. Otherwise the region shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from matnet.errors import ParameterError
from offline.design.limits import Limits
from offline.design.objective import Objective
from offline.design.pictures import raster, soft_pictures
from offline.design.sensitivity import GreySolver
from offline.surrogates.voigt_reuss.fields import scaled_field
from offline.surrogates.voigt_reuss.plane_strain import PlaneStrainSolver

__all__ = ["Point", "Polisher"]

GREY = 0.5  # temperature, in mean changes of the field from pixel to pixel
FIRST_RADIUS, LARGEST_RADIUS, SMALLEST_RADIUS = 0.2, 0.5, 2e-3  # relative to the amplitudes
ACCURACY = 1e-4  # relative error of every stiffness
M = 3
ROWS, COLUMNS = np.triu_indices(M)
SCALE = np.where(ROWS == COLUMNS, 1.0, np.sqrt(2.0))  # six numbers with the norm of the matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """A design that the engine has judged.

    Attributes
    ----------
    amplitudes : (m, m)
        Of unit norm, the constant mode zero.
    c0 : float
        Asked volume fraction of phase 0.
    picture : (res, res) uint8
    stiffness : (3, 3)
        Of the picture [stress unit].
    objective, violation : float
    """

    amplitudes: np.ndarray
    c0: float
    picture: np.ndarray
    stiffness: np.ndarray
    objective: float
    violation: float

    @property
    def rank(self) -> tuple[float, float]:
        """Limits first."""
        return (self.violation, self.objective)


class Polisher:
    """Judges and improves designs at one resolution.

    Parameters
    ----------
    phases : (2, 3, 3)
        Plane strain, Mandel 11 22 12 [stress unit].
    objective : Objective
    limits : Limits
    resolution : int
        Pixels per side.
    """

    def __init__(self, phases: Any, objective: Objective, limits: Limits, resolution: int) -> None:
        if resolution < 8:
            raise ParameterError(f"resolution is {resolution}, expected at least 8 pixels.")
        self.objective, self.limits, self.resolution = objective, limits, resolution
        self._sharp = PlaneStrainSolver((resolution, resolution), phases)
        self._grey = GreySolver((resolution, resolution), phases)

    def judge(self, amplitudes: Any, c0: float) -> Point:
        """Draw a design, homogenise it, check its limits."""
        a = _normalised(amplitudes)
        picture = raster(a, c0, self.resolution)
        stiffness = self._sharp.solve(picture, ACCURACY).stiffness
        return Point(
            amplitudes=a,
            c0=c0,
            picture=picture,
            stiffness=stiffness,
            objective=float(self.objective.of(stiffness[None])[0]),
            violation=self.limits.violation(picture),
        )

    def polish(
        self, point: Point, rounds: int, progress: Callable[[Point], None] | None = None
    ) -> Point:
        """Lower the true objective in at most `rounds` homogenisations of sharp pictures."""
        radius, model = FIRST_RADIUS, None
        for _ in range(rounds):
            if model is None:
                model = self._model(point)
            step, promised = model.step(radius)
            if promised <= 0.0:
                break
            tried = self._moved(point, step)
            gained = point.objective - tried.objective
            if tried.violation <= point.violation and gained > 0.0:
                if gained > 0.5 * promised:
                    radius = min(2.0 * radius, LARGEST_RADIUS)
                point, model = tried, None
            else:
                radius *= 0.35
            if progress is not None:
                progress(point)
            if radius < SMALLEST_RADIUS:
                break
        return point

    def _moved(self, point: Point, step: np.ndarray) -> Point:
        amplitudes = point.amplitudes + step[:-1].reshape(point.amplitudes.shape)
        low, high = self.limits.volume
        return self.judge(amplitudes, float(np.clip(point.c0 + step[-1], low, high)))

    def _model(self, point: Point) -> _Model:
        a = torch.tensor(point.amplitudes)[None].requires_grad_()
        c0 = torch.tensor([point.c0], dtype=a.dtype).requires_grad_()
        with torch.no_grad():
            level = scaled_field(a, self.resolution)[0]
            change = [(level - level.roll(1, axis)).square() for axis in (0, 1)]
            temperature = GREY * float((change[0] + change[1]).sqrt().mean())
        chi, _ = soft_pictures(a, c0, self.resolution, temperature)
        stiffness, derivatives = self._grey.solve(chi[0].detach().numpy(), ACCURACY)
        rows = [
            torch.autograd.grad(chi, (a, c0), torch.tensor(one)[None], retain_graph=True)
            for one in derivatives[ROWS, COLUMNS]
        ]
        jacobian = np.stack([np.append(one.numpy().ravel(), two.numpy()) for one, two in rows])
        low, high = self.limits.volume
        if low == high:
            jacobian[:, -1] = 0.0
        return _Model(
            self.objective, point, _relative(stiffness, jacobian), (low - point.c0, high - point.c0)
        )


class _Model:
    """The objective in the six combinations of variables that move the stiffness."""

    def __init__(
        self,
        objective: Objective,
        point: Point,
        jacobian: np.ndarray,
        room: tuple[float, float],
    ) -> None:
        left, sizes, right = np.linalg.svd(jacobian, full_matrices=False)
        kept = sizes > 1e-9 * max(sizes[0], 1e-300)
        self.objective, self.start = objective, point.objective
        self.right, self.room = right[kept], room
        self.map = torch.tensor(left[:, kept] * sizes[kept])
        self.root = torch.tensor(_power(point.stiffness, 0.5))

    def step(self, radius: float) -> tuple[np.ndarray, float]:
        """The best step (m m + 1,) no longer than `radius`, and what it promises to gain."""
        if not len(self.right):
            return np.zeros(self.right.shape[1]), 0.0
        low, high = self.room
        found = minimize(
            self._value,
            np.zeros(len(self.right)),
            jac=True,
            method="SLSQP",
            constraints=[
                {"type": "ineq", "fun": lambda z: 1.0 - z @ z, "jac": lambda z: -2.0 * z},
                {
                    "type": "ineq",
                    "fun": lambda z: (
                        np.array([1.0, -1.0]) * radius * (self.right[:, -1] @ z)
                        - np.array([low, -high])
                    ),
                    "jac": lambda z: radius * np.outer([1.0, -1.0], self.right[:, -1]),
                },
            ],
            args=(radius,),
            options={"maxiter": 40, "ftol": 1e-6},
        )
        z = found.x / max(1.0, float(np.linalg.norm(found.x)))
        return radius * (z @ self.right), self.start - self._value(z, radius)[0]

    def _value(self, z: np.ndarray, radius: float) -> tuple[float, np.ndarray]:
        variable = torch.tensor(radius * z).requires_grad_()
        value = self.objective(self._stiffness(variable)[None])[0]
        (gradient,) = torch.autograd.grad(value, variable)
        return float(value.detach()), radius * gradient.numpy()

    def _stiffness(self, z: Tensor) -> Tensor:
        six = (self.map @ z) / torch.tensor(SCALE)
        change = z.new_zeros(M, M)
        change[ROWS, COLUMNS] = six
        change = change + change.T - torch.diag(torch.diagonal(change))
        stiffness: Tensor = self.root @ torch.linalg.matrix_exp(change) @ self.root
        return stiffness


def _normalised(amplitudes: Any) -> np.ndarray:
    """Amplitudes (m, m) of unit norm without the constant mode: the picture is the same."""
    a = np.array(amplitudes, dtype=float)
    a[a.shape[0] // 2, a.shape[1] // 2] = 0.0
    norm = float(np.linalg.norm(a))
    if not np.isfinite(norm) or norm == 0.0:
        raise ParameterError(
            "amplitudes make a constant field, expected at least one mode besides the middle one."
        )
    return a / norm


def _relative(stiffness: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """C^-1/2 dC C^-1/2 as rows of six (6, n) of derivatives (6, n) of the upper triangle."""
    inverse = _power(stiffness, -0.5)
    full = np.zeros((jacobian.shape[1], M, M))
    full[:, ROWS, COLUMNS] = full[:, COLUMNS, ROWS] = jacobian.T
    return np.asarray((inverse @ full @ inverse)[:, ROWS, COLUMNS].T * SCALE[:, None])


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * values**exponent) @ vectors.T)
