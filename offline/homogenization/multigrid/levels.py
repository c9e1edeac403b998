r"""The levels of the hierarchy: residuals with K, and polynomial smoothers.

The smoother is Chebyshev's polynomial of degree m in :math:`D^{-1} K`, D the 3x3 blocks of the
nodes on the diagonal of K, that is small on :math:`[\lambda / c, \lambda]`
(Adams, Brezina, Hu & Tuminaro, *J. Comput. Phys.* 188, 2003, 593-610). Degree 1 is damped Jacobi.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Protocol

import numpy as np

from offline.homogenization.fourier import invert_symmetric
from offline.homogenization.grid import CORNERS, HexGrid
from offline.homogenization.multigrid import fine_stencils
from offline.homogenization.multigrid.assembly_kernels import diagonal_blocks
from offline.homogenization.multigrid.cycle_kernels import first_step, further_step, subtract
from offline.homogenization.multigrid.geometry import Interpolation
from offline.homogenization.multigrid.row_kernels import residual
from offline.homogenization.node_kernels import WIDTH, squares

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator

__all__ = ["CoarseMatrix", "FineMatrix", "Matrix", "Smoother"]

POWER_STEPS = 8
SAFETY = 1.1  # how far the power steps may fall short


class Matrix(Protocol):
    """The stiffness matrix of a level.

    Attributes
    ----------
    largest : float
        The largest eigenvalue of ``diagonal^-1 K``, from above.
    """

    largest: float

    @property
    def diagonal(self) -> np.ndarray:
        """Blocks (n_nodes, 3, 3) on the diagonal."""

    def residual(self, b: np.ndarray, x: np.ndarray, r: np.ndarray) -> None:
        """r = b - K x of fields (n_nodes, 18) float32; r may be b."""


class FineMatrix:
    """The operator's matrix over its `unit`.

    Stencils are stored once per arrangement of phases around a node, where there are few of them;
    otherwise the operator multiplies. An eigenvalue of :math:`D^{-1} K` is at most the largest one
    of any element, :math:`D_e^{-1} K_e`, since both matrices are sums over elements.
    """

    def __init__(self, operator: CellOperator) -> None:
        self._operator = weakref.proxy(operator)  # which may keep this matrix
        mesh, grid = operator.mesh, operator.solver.grid
        self.element_matrices = grid.element_stiffness(operator.stiffness / operator.unit)
        blocks, self.largest = _element_diagonals(grid, self.element_matrices)
        self._element_blocks = blocks.reshape(-1, 8, 9)
        self._stencils = fine_stencils.find(operator.solver)
        if self._stencils is not None:
            self._blocks = self._stencils.blocks(self.element_matrices)
        else:
            self._q = np.empty((mesh.n_nodes, WIDTH), dtype=np.float32)

    @property
    def diagonal(self) -> np.ndarray:
        """Blocks (n_nodes, 3, 3) on the diagonal, summed anew."""
        mesh = self._operator.mesh
        blocks = np.zeros((mesh.n_nodes, 9))
        diagonal_blocks(mesh.elements, mesh.phase, mesh.density, self._element_blocks, blocks)
        if max(self._operator.solver.grid.shape) == 1:  # a single node, which nothing can deform
            return np.eye(3)[None]
        return blocks.reshape(-1, 3, 3)

    def residual(self, b: np.ndarray, x: np.ndarray, r: np.ndarray) -> None:
        """r = b - K x of fields (n_nodes, 18) float32; r may be b."""
        if self._stencils is None:
            self._operator.apply_scaled(x, self._q)
            subtract(b, self._q, r)
        else:
            s = self._stencils
            residual(s.start, s.neighbours, s.first, self._blocks, b, x, r)


def _element_diagonals(grid: HexGrid, matrices: np.ndarray) -> tuple[np.ndarray, float]:
    """Diagonal blocks (n_phases, 8, 3, 3) and the largest eigenvalue of all ``D_e^-1 K_e``.

    Along an axis of one voxel opposite nodes are one node.
    """
    corner = CORNERS * (np.array(grid.shape) > 1)
    merged = np.all(corner[:, None] == corner[None], axis=2)  # local nodes that coincide
    ke = matrices.reshape(-1, 8, 3, 8, 3)
    blocks = np.einsum("naibj,ab->naij", ke, merged)
    first = np.unique(merged.argmax(axis=1))  # one of each
    sums = merged[first].astype(float)
    joined = np.einsum("ma,naibj,kb->nmikj", sums, ke, sums, optimize=True)
    largest = 0.0 if len(first) > 1 else 1.0
    for k in joined if len(first) > 1 else ():
        if not k.any():
            continue
        roots = [np.linalg.cholesky(np.linalg.inv(k[m, :, m, :])) for m in range(len(first))]
        half = np.array(roots)  # half half^T = D^-1
        scaled = np.einsum("mji,mjnk,nkl->minl", half, k, half, optimize=True)
        size = 3 * len(first)
        largest = max(largest, float(np.linalg.eigvalsh(scaled.reshape(size, size))[-1]))
    return blocks, largest


class CoarseMatrix:
    """Assembled 3x3 blocks over the neighbours of each node.

    Parameters
    ----------
    interpolation : Interpolation
        To the next finer level; knows the neighbours.
    blocks : (n_blocks, 9)
    """

    def __init__(self, interpolation: Interpolation, blocks: np.ndarray) -> None:
        self._start, self._neighbours = interpolation.block_start, interpolation.neighbours
        self._blocks = blocks.astype(np.float32)
        n = interpolation.coarse.n_nodes
        row = np.repeat(np.arange(n), np.diff(self._start))
        own = self._neighbours == row  # several where the grid is one or two nodes wide
        self._diagonal = np.zeros((n, 3, 3))
        np.add.at(self._diagonal, row[own], blocks[own].reshape(-1, 3, 3))
        self.largest = SAFETY * self._power_iteration()

    @property
    def diagonal(self) -> np.ndarray:
        """Blocks (n_nodes, 3, 3) on the diagonal."""
        return self._diagonal

    def residual(self, b: np.ndarray, x: np.ndarray, r: np.ndarray) -> None:
        """r = b - K x of fields (n_nodes, 18) float32; r may be b."""
        residual(self._start, self._neighbours, self._start[:-1], self._blocks, b, x, r)

    def _power_iteration(self) -> float:
        inverse = _inverses(self.diagonal)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((len(inverse), WIDTH), dtype=np.float32)
        y, zero = np.empty_like(x), np.zeros_like(x)
        size = grown = squares(x)
        for _ in range(POWER_STEPS):
            self.residual(zero, x, y)
            first_step(inverse, np.float32(1.0), y, False, x, x)
            size, grown = grown, squares(x)
        return float(np.sqrt(grown / size).max())


class Smoother:
    """Chebyshev smoothing with the matrix of a level.

    Parameters
    ----------
    matrix : Matrix
    degree : int
        Products with K per smoothing.
    damping : float
        c: the smoother takes the upper ``1 - 1 / c`` of the spectrum.
    """

    def __init__(self, matrix: Matrix, degree: int, damping: float) -> None:
        self._matrix = matrix
        self._inverse = _inverses(matrix.diagonal)
        self._steps = _chebyshev(matrix.largest, degree, damping)
        shape = (len(self._inverse), WIDTH)
        self._r = np.empty(shape, dtype=np.float32)
        self._d = np.empty(shape, dtype=np.float32) if degree > 1 else None

    def from_zero(self, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Smooth x from zero; returns ``b - K x``, which the next call overwrites."""
        d = x if self._d is None else self._d
        first_step(self._inverse, self._steps[0][1], b, False, d, x)
        self._matrix.residual(b, d, self._r)
        for momentum, scale in self._steps[1:]:
            further_step(self._inverse, momentum, scale, self._r, d, x)
            self._matrix.residual(self._r, d, self._r)
        return self._r

    def further(self, b: np.ndarray, x: np.ndarray) -> None:
        """Smooth x; in the energy product the adjoint of `from_zero`."""
        self._matrix.residual(b, x, self._r)
        d = self._r if self._d is None else self._d
        first_step(self._inverse, self._steps[0][1], self._r, True, d, x)
        for momentum, scale in self._steps[1:]:
            self._matrix.residual(self._r, d, self._r)
            further_step(self._inverse, momentum, scale, self._r, d, x)


def _inverses(blocks: np.ndarray) -> np.ndarray:
    """Inverses (n, 9) float32 of symmetric positive definite blocks (n, 3, 3)."""
    packed = blocks.reshape(-1, 9)[:, (0, 4, 8, 1, 2, 5)]
    invert_symmetric(packed)
    return packed.astype(np.float32)[:, (0, 3, 4, 3, 1, 5, 4, 5, 2)]


def _chebyshev(largest: float, degree: int, damping: float) -> list[tuple[np.float32, np.float32]]:
    """Momentum and scale of each step, for eigenvalues between largest / damping and largest."""
    middle = 0.5 * largest * (1.0 + 1.0 / damping)
    radius = 0.5 * largest * (1.0 - 1.0 / damping)
    rho = radius / middle
    steps = [(np.float32(0.0), np.float32(1.0 / middle))]
    for _ in range(degree - 1):
        new = 1.0 / (2.0 * middle / radius - rho)
        steps.append((np.float32(new * rho), np.float32(2.0 * new / radius)))
        rho = new
    return steps
