r"""The one tensor convention: Mandel vectors, order 11 22 33 12 13 23, shear times sqrt(2).

With it ``C : eps`` is ``C @ eps``, rotations are orthogonal 6x6 matrices and Frobenius norms are
tensor norms. Other orders and scalings exist only at the border, through `Border`.

>>> eps = to_mandel([[1.0, 0.5, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 0.0]])
>>> eps.round(3)
array([1.   , 2.   , 0.   , 0.707, 0.   , 0.   ])
>>> ABAQUS.strain_from_mandel(eps)
array([1., 2., 0., 1., 0., 0.])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError

__all__ = [
    "ABAQUS",
    "COMPONENTS",
    "DMN_PAPER",
    "IDENTITY",
    "LS_DYNA",
    "PAIRS",
    "VUMAT",
    "Border",
    "component_index",
    "from_mandel",
    "interface_matrix",
    "rotate_stiffness",
    "rotation_matrix",
    "to_mandel",
]

COMPONENTS = ("11", "22", "33", "12", "13", "23")
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
SQRT2 = float(np.sqrt(2.0))

IDENTITY = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
IDENTITY.setflags(write=False)

_ROWS = np.array([i for i, _ in PAIRS])
_COLS = np.array([j for _, j in PAIRS])
_SCALE = np.array([1.0, 1.0, 1.0, SQRT2, SQRT2, SQRT2])


def to_mandel(tensor: Any) -> np.ndarray:
    """Symmetric tensors (..., 3, 3) to Mandel vectors (..., 6)."""
    array = np.asarray(tensor, dtype=float)
    return np.asarray(array[..., _ROWS, _COLS] * _SCALE)


def from_mandel(vector: Any) -> np.ndarray:
    """Mandel vectors (..., 6) to symmetric tensors (..., 3, 3)."""
    array = np.asarray(vector, dtype=float) / _SCALE
    tensor = np.empty((*array.shape[:-1], 3, 3))
    tensor[..., _ROWS, _COLS] = array
    tensor[..., _COLS, _ROWS] = array
    return tensor


def component_index(component: str) -> int:
    """Position of a component such as ``"11"`` or ``"21"`` in the Mandel order.

    Raises
    ------
    ParameterError
        The name is not a pair of digits 1 to 3.
    """
    name = "".join(sorted(component))
    if name not in COMPONENTS:
        raise ParameterError(
            f"component '{component}' is unknown, expected one of {', '.join(COMPONENTS)}."
        )
    return COMPONENTS.index(name)


def rotation_matrix(rotation: Any) -> np.ndarray:
    r"""Orthogonal 6x6 matrices of rotations Q (..., 3, 3): :math:`Q a Q^T` becomes ``R @ a``."""
    q = np.asarray(rotation, dtype=float)
    basis = from_mandel(np.eye(6))
    rotated = np.einsum("...ik,akl,...jl->...aij", q, basis, q)
    return np.swapaxes(to_mandel(rotated), -1, -2)


def rotate_stiffness(stiffness: Any, rotation: Any) -> np.ndarray:
    """Stiffness (..., 6, 6) whose material frame is turned by Q (..., 3, 3): ``R C R^T``."""
    r = rotation_matrix(rotation)
    return np.asarray(r @ np.asarray(stiffness, dtype=float) @ np.swapaxes(r, -1, -2))


def interface_matrix(normal: Any) -> np.ndarray:
    r"""H(n) (..., 6, 3) with ``H @ b`` the Mandel vector of :math:`\mathrm{sym}(n \otimes b)`.

    He et al. (dmn-imn-assessment), eq. 18, in Mandel instead of engineering shear.
    """
    n = np.asarray(normal, dtype=float)
    eye = np.eye(3)
    outer = np.einsum("...i,jk->...kij", n, eye)
    return np.swapaxes(to_mandel(0.5 * (outer + np.swapaxes(outer, -1, -2))), -1, -2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """Another program's order and scaling of symmetric tensors.

    Parameters
    ----------
    order : tuple of str
        Component names in that program's order, as ``("11", "22", "33", "12", "13", "23")``.
    strain_shear, stress_shear : float
        Factor on the tensor's shear component: 2 for engineering shear, 1 for tensor shear.
    """

    order: tuple[str, ...]
    strain_shear: float = 2.0
    stress_shear: float = 1.0

    def _index(self) -> np.ndarray:
        return np.array([component_index(name) for name in self.order])

    def _factors(self, shear: float) -> np.ndarray:
        return np.asarray(np.where(self._index() < 3, 1.0, shear / SQRT2))

    def strain_from_mandel(self, eps: Any) -> np.ndarray:
        """Mandel strains (..., 6) in this border's form."""
        picked = np.asarray(eps, dtype=float)[..., self._index()]
        return np.asarray(picked * self._factors(self.strain_shear))

    def stress_from_mandel(self, sig: Any) -> np.ndarray:
        """Mandel stresses (..., 6) in this border's form."""
        picked = np.asarray(sig, dtype=float)[..., self._index()]
        return np.asarray(picked * self._factors(self.stress_shear))

    def strain_to_mandel(self, eps: Any) -> np.ndarray:
        """This border's strains (..., 6) as Mandel vectors."""
        return self._scatter(np.asarray(eps, dtype=float) / self._factors(self.strain_shear))

    def stress_to_mandel(self, sig: Any) -> np.ndarray:
        """This border's stresses (..., 6) as Mandel vectors."""
        return self._scatter(np.asarray(sig, dtype=float) / self._factors(self.stress_shear))

    def stiffness_from_mandel(self, stiffness: Any) -> np.ndarray:
        """Mandel stiffness (..., 6, 6) as the matrix d stress / d strain of this border."""
        index = self._index()
        rows, cols = self._factors(self.stress_shear), self._factors(self.strain_shear)
        picked = np.asarray(stiffness, dtype=float)[..., index[:, None], index]
        return np.asarray(picked * rows[:, None] / cols)

    def stiffness_to_mandel(self, stiffness: Any) -> np.ndarray:
        """This border's matrix d stress / d strain (..., 6, 6) as a Mandel stiffness."""
        index = self._index()
        rows, cols = self._factors(self.stress_shear), self._factors(self.strain_shear)
        scaled = np.asarray(stiffness, dtype=float) / rows[:, None] * cols
        result: np.ndarray = np.empty_like(scaled)
        result[..., index[:, None], index] = scaled
        return result

    def _scatter(self, values: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.empty_like(values)
        result[..., self._index()] = values
        return result


ABAQUS = Border(order=("11", "22", "33", "12", "13", "23"))
LS_DYNA = Border(order=("11", "22", "33", "12", "23", "13"))
DMN_PAPER = Border(order=("11", "22", "33", "23", "13", "12"))
VUMAT = Border(order=("11", "22", "33", "12", "23", "13"), strain_shear=1.0)
