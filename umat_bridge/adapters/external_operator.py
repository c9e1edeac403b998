"""A network's law as external function of dolfinx-external-operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from matnet.errors import ParameterError, ShapeError
from matnet.material import Material, Status
from umat_bridge.adapters.reduced import require_size, update_reduced

__all__ = ["ExternalOperatorLaw"]

Evaluation = Callable[[np.ndarray], Any]


class ExternalOperatorLaw:
    r"""What ``FEMExternalOperator(mandel(u), function_space=S, external_function=law)`` calls.

    ``law((1,))`` is the function for the derivative of the stress by the strain: it takes the
    strains of all cells, (cells, points, 6), and returns tangent and stress as flat arrays, all
    points of the first cell first, the tangent row by row. ``law((0,))`` returns the stress alone.
    Components are Mandel, 11 22 33 and :math:`\sqrt{2}` times 12 13 23; with four of them (11 22 33
    12) the strains 13 and 23 are zero, as in plane strain and axisymmetry.

    Each call starts from the state at the start of the step, which `commit` moves on.

    Parameters
    ----------
    material : Material
        The law.
    dt : float
        Length of the steps [time unit]; set the attribute before each step of a law that depends
        on the rate.
    temperature : float or array, optional
        At the end of the step, one value or one per point, (cells, points); an attribute too.

    Attributes
    ----------
    status : (cells, points) int8
        Of the last call. Points that are not ``Status.OK`` have NaN for stress and tangent, so the
        norm of the residual is NaN and PETSc's Newton ends at once; cut the step.
    state_n, state : (cells * points, n_state)
        At the start and, after a call, at the end of the step.

    Raises
    ------
    ParameterError
        `material` is none.

    Examples
    --------
    >>> import matnet
    >>> law = ExternalOperatorLaw(matnet.Material.homogeneous(matnet.phases.Elastic(E=1.0, nu=0.0)))
    >>> tangent, stress = law((1,))(np.full((2, 8, 6), 1e-3))  # 2 cells of 8 points
    >>> tangent.shape, stress.shape
    ((576,), (96,))
    >>> law.commit()
    """

    def __init__(self, material: Material, *, dt: float = 1.0, temperature: Any = None) -> None:
        if not isinstance(material, Material):
            raise ParameterError(
                f"ExternalOperatorLaw came with {material!r}, expected a matnet.Material, as "
                "network.with_phases gives."
            )
        self.material = material
        self.dt, self.temperature = dt, temperature
        self.status = np.empty((0, 0), dtype=np.int8)
        self.state_n = material.initial_state(0)
        self.state = self.state_n
        self._committed = True

    def __call__(self, derivatives: tuple[int, ...]) -> Evaluation:
        """The function for this derivative, as the package asks for it.

        Raises
        ------
        ParameterError
            It is another derivative than none or the first.
        """
        asked: dict[tuple[int, ...], Evaluation] = {(0,): self._stress, (1,): self._tangent}
        if tuple(derivatives) not in asked:
            raise ParameterError(
                f"derivatives {tuple(derivatives)} of the stress were asked for, expected (0,) or "
                "(1,): the strain is the operator's only operand."
            )
        return asked[tuple(derivatives)]

    @property
    def failed(self) -> int:
        """Number of points on this rank without solution in the last call."""
        return int((self.status != Status.OK).sum())

    def commit(self) -> None:
        """Accept the last call: its end is the start of the next step.

        Raises
        ------
        ParameterError
            The last call left points without solution.
        """
        if self._committed:
            return
        if self.failed:
            raise ParameterError(
                f"commit: {self.failed} of {self.status.size} points of the last call have no "
                "solution. Roll back and cut the step."
            )
        self.state_n = self.state  # calls make a new array
        self._committed = True

    def rollback(self) -> None:
        """Forget all calls since the last commit."""
        self.status = np.zeros_like(self.status)
        self.state = self.state_n
        self._committed = True

    def _stress(self, eps: np.ndarray) -> np.ndarray:
        """Stress, flat (cells * points * size,)."""
        return self._tangent(eps)[1]

    def _tangent(self, eps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tangent, flat (cells * points * size * size,), and stress, flat."""
        eps = np.asarray(eps, dtype=float)
        if eps.ndim != 3:
            raise ShapeError(f"strain has shape {eps.shape}, expected (cells, points, 6).")
        size = require_size("strain", eps.shape[2])
        self._fit_to(eps.shape[:2])
        heat = self.temperature
        heat = heat.reshape(-1) if isinstance(heat, np.ndarray) and heat.ndim == 2 else heat
        found = update_reduced(self.material, eps.reshape(-1, size), self.dt, self.state_n, heat)
        self.state, self.status = found.state, found.status.reshape(eps.shape[:2])
        self._committed = False
        return found.tangent.reshape(-1), found.stress.reshape(-1)

    def _fit_to(self, shape: tuple[int, ...]) -> None:
        """State of the virgin material at the first call, the same points at all others."""
        if not self.status.size:
            self.state_n = self.material.initial_state(shape[0] * shape[1])
            self.status = np.zeros(shape, dtype=np.int8)
        elif self.status.shape != shape:
            raise ShapeError(
                f"strain came for {shape[0]} cells with {shape[1]} points, but the state belongs "
                f"to {self.status.shape[0]} with {self.status.shape[1]}. Take one "
                "ExternalOperatorLaw per operator."
            )
