"""Strain measures of three- and two-dimensional models, and the plane stress condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl

from matnet.errors import ParameterError
from matnet.mandel import COMPONENTS, SQRT2
from matnet.material import Status, Update

__all__ = ["KINDS", "Kinematics", "OutOfPlane", "OutOfPlaneStrains", "plane_stress"]

KINDS = ("3d", "plane strain", "plane stress", "axisymmetric")
_COMPONENTS = {
    "3d": (0, 1, 2, 3, 4, 5),
    "plane strain": (0, 1, 3),
    "plane stress": (0, 1, 3),
    "axisymmetric": (0, 1, 2, 3),
}
IN_PLANE = np.array([0, 1, 3])
OUT_OF_PLANE = np.array([2, 4, 5])
MAX_ITERATIONS = 25
TOLERANCE = 1e-10  # of the out-of-plane stress, over the stress
STALLED = 1e-7  # passes where the law's own tolerance allows no less
MEMORY = 1e-3  # share of stiffness times strain that keeps the scale up near zero stress


@dataclass(frozen=True, slots=True)
class Kinematics:
    """What a kind of model makes of a displacement.

    Axes 1 and 2 are x and y of the mesh; in an axisymmetric one they are r and z, and 33 is the
    hoop direction. Components that the kind leaves out are zero strains, or in plane stress the
    strains that make the stresses 33, 13 and 23 vanish.
    """

    kind: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ParameterError(
                f"kind is '{self.kind}', expected one of {', '.join(repr(k) for k in KINDS)}."
            )

    @property
    def components(self) -> np.ndarray:
        """Mandel components of the reduced strain and stress vectors."""
        return np.array(_COMPONENTS[self.kind])

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, such as ``11``."""
        return tuple(COMPONENTS[i] for i in self.components)

    @property
    def size(self) -> int:
        """Their number."""
        return len(_COMPONENTS[self.kind])

    @property
    def dimension(self) -> int:
        """Dimension of the mesh."""
        return 3 if self.kind == "3d" else 2

    @property
    def in_plane_stress(self) -> bool:
        """Whether there are strains to be found at each point."""
        return self.kind == "plane stress"

    def strain(self, w: Any, mesh: Any) -> Any:
        """Reduced Mandel strain of a displacement, test or trial function, in UFL."""
        e = ufl.sym(ufl.grad(w))
        if self.kind == "3d":
            shears = [SQRT2 * e[0, 1], SQRT2 * e[0, 2], SQRT2 * e[1, 2]]
            return ufl.as_vector([e[0, 0], e[1, 1], e[2, 2], *shears])
        if self.kind == "axisymmetric":
            hoop = w[0] / ufl.SpatialCoordinate(mesh)[0]
            return ufl.as_vector([e[0, 0], e[1, 1], hoop, SQRT2 * e[0, 1]])
        return ufl.as_vector([e[0, 0], e[1, 1], SQRT2 * e[0, 1]])

    def weight(self, mesh: Any) -> Any:
        """Factor on ``dx``: the circumference 2 pi r if axisymmetric, else 1 (unit thickness)."""
        if self.kind == "axisymmetric":
            return 2.0 * np.pi * ufl.SpatialCoordinate(mesh)[0]
        return 1.0

    def full(self, reduced: np.ndarray) -> np.ndarray:
        """Mandel vectors (n, 6) with zeros where the kind has no component."""
        vectors = np.zeros((len(reduced), 6))
        vectors[:, self.components] = reduced
        return vectors


@dataclass(frozen=True, slots=True)
class OutOfPlane:
    """What `plane_stress` found: the law's answer, out-of-plane strains, condensed tangent."""

    update: Update
    strain: np.ndarray  # (n, 3): 33, 13, 23, Mandel
    tangent: np.ndarray  # (n, 3, 3) for 11, 22, 12
    slope: np.ndarray  # (n, 3, 3): derivative of the out-of-plane strains


class OutOfPlaneStrains:
    """The strains that plane stress found at the points of a mesh, to guess the next ones from.

    Parameters
    ----------
    n_cells, points_per_cell : int
        Size of the mesh.
    """

    def __init__(self, n_cells: int, points_per_cell: int) -> None:
        shape = (n_cells, points_per_cell, 3)
        self.strain_n, self.strain = np.zeros(shape), np.zeros(shape)
        self._in_plane, self._slope = np.zeros(shape), np.zeros((*shape, 3))

    def guess(self, cells: np.ndarray, in_plane: np.ndarray) -> np.ndarray:
        """Out-of-plane strains (n, 3), as the last answer's slope continues."""
        moved = in_plane.reshape(len(cells), -1, 3) - self._in_plane[cells]
        guess = self.strain[cells] + (self._slope[cells] @ moved[..., None])[..., 0]
        return np.asarray(guess.reshape(-1, 3))

    def keep(self, cells: np.ndarray, in_plane: np.ndarray, found: OutOfPlane) -> None:
        """Remember the answer wherever there is one."""
        good = (found.update.status == Status.OK).reshape(len(cells), -1, 1)
        for kept, new in (
            (self.strain, found.strain),
            (self._in_plane, in_plane),
            (self._slope, found.slope),
        ):
            old = kept[cells]
            where = good if old.ndim == 3 else good[..., None]
            kept[cells] = np.where(where, new.reshape(old.shape), old)

    def commit(self) -> None:
        """The end of the step becomes the start of the next one, which guesses without slope: so
        it does after a restart."""
        self.strain_n[:] = self.strain
        self._slope[:] = 0.0

    def restore(self) -> None:
        """Back to the start of the step."""
        self.strain[:] = self.strain_n
        self._slope[:] = 0.0


def plane_stress(
    evaluate: Callable[[np.ndarray, np.ndarray], Update], in_plane: np.ndarray, guess: np.ndarray
) -> OutOfPlane:
    r"""Find the out-of-plane strains o that make the stresses 33, 13, 23 vanish, point by point.

    .. math::
        \sigma_o(\varepsilon_i, \varepsilon_o) = 0, \qquad
        C = C_{ii} - C_{io} C_{oo}^{-1} C_{oi}

    Newton's method on the three strains; points that are done are not evaluated again.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(strain (k, 6), rows (k,))``: the law at these rows of the batch.
    in_plane : (n, 3)
        Strains 11, 22, 12, Mandel.
    guess : (n, 3)
        Strains 33, 13, 23 to start from.

    References
    ----------
    De Borst, Int. J. Numer. Meth. Eng. 31 (1991) 1329-1345 states the condensation.
    """
    n = len(in_plane)
    strain = np.empty((n, 6))
    strain[:, IN_PLANE], strain[:, OUT_OF_PLANE] = in_plane, guess
    active, before = np.arange(n), np.full(n, np.inf)
    result: Update | None = None
    for _ in range(MAX_ITERATIONS):
        part = evaluate(strain[active], active)
        result = _merged(result, part, active)
        residual = np.linalg.norm(part.stress[:, OUT_OF_PLANE], axis=1)
        scale = _scale(part, strain[active])
        stalled = (residual >= 0.5 * before[active]) & (residual <= STALLED * scale)
        todo = (part.status == Status.OK) & (residual > TOLERANCE * scale) & ~stalled
        if not todo.any():
            break
        before[active] = residual
        blocks = part.tangent[todo][:, OUT_OF_PLANE[:, None], OUT_OF_PLANE]
        active = active[todo]
        moves = _solve(blocks, part.stress[todo][:, OUT_OF_PLANE, None])[..., 0]
        strain[active[:, None], OUT_OF_PLANE] -= moves
    else:
        assert result is not None
        result.status[active] = Status.NOT_CONVERGED
        result.stress[active] = np.nan
    assert result is not None
    return OutOfPlane(result, strain[:, OUT_OF_PLANE], *_condensed(result))


def _merged(result: Update | None, part: Update, rows: np.ndarray) -> Update:
    """The batch with newer answers at some rows."""
    if result is None:
        return Update(*(np.array(array) for array in part))
    for whole, piece in zip(result, part, strict=True):
        whole[rows] = piece
    return result


def _scale(part: Update, strain: np.ndarray) -> np.ndarray:
    stiffness = np.abs(part.tangent).max(axis=(1, 2))
    elastic = MEMORY * stiffness * np.linalg.norm(strain, axis=1)
    return np.asarray(np.maximum(np.linalg.norm(part.stress, axis=1), elastic))


def _condensed(result: Update) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (n, 3, 3) of stress in the plane and strain out of it, without stress there."""
    good = result.status == Status.OK
    tangent = np.full((len(good), 3, 3), np.nan)
    slope = tangent.copy()
    full = result.tangent[good]
    rows, others = IN_PLANE[:, None], OUT_OF_PLANE[:, None]
    coupling = _solve(full[:, others, OUT_OF_PLANE], full[:, others, IN_PLANE])
    tangent[good] = full[:, rows, IN_PLANE] - full[:, rows, OUT_OF_PLANE] @ coupling
    slope[good] = -coupling
    return tangent, slope


def _solve(blocks: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Small systems, in the least-squares sense where a material has lost its stiffness."""
    try:
        return np.asarray(np.linalg.solve(blocks, right))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(blocks, rcond=1e-12) @ right)
