r"""One multigrid cycle as a preconditioner.

From the finest to the coarsest level: smooth from zero, restrict the residual, correct with the
coarse solution, smooth again. The smoothings before and after are adjoint and the coarse matrices
are :math:`P^T K P`, so the cycle is symmetric and positive definite (Briggs, Henson & McCormick,
*A Multigrid Tutorial*, 2nd ed., 2000, ch. 10). Only nodes of the solid take part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from offline.homogenization.multigrid.assembly_kernels import assemble, restrict_matrices
from offline.homogenization.multigrid.geometry import (
    OFFSET_SLOTS,
    Interpolation,
    coarsen,
    fine_grid,
)
from offline.homogenization.multigrid.levels import CoarseMatrix, FineMatrix, Smoother
from offline.homogenization.multigrid.row_kernels import combine
from offline.homogenization.node_kernels import LOADS, WIDTH

if TYPE_CHECKING:
    from offline.homogenization.solver import CellOperator, CellSolver

__all__ = ["MultigridPreconditioner", "coarse_blocks", "hierarchy", "multigrid_of"]

DIRECT_NODES = 100  # a level of fewer nodes is solved directly
FINE_DEGREE, FINE_DAMPING = 1, 4.0
COARSE_DEGREE, COARSE_DAMPING = 2, 8.0
NULL = 1e-10  # eigenvalues of the scaled coarsest matrix below are rigid motions

_HIERARCHIES: WeakKeyDictionary[CellSolver, list[Interpolation]] = WeakKeyDictionary()
_PRECONDITIONERS: WeakKeyDictionary[CellOperator, MultigridPreconditioner] = WeakKeyDictionary()


def hierarchy(solver: CellSolver) -> list[Interpolation]:
    """Interpolations from every coarse grid of a cell, finest first; made once per `CellSolver`."""
    if solver not in _HIERARCHIES:
        grid = fine_grid(solver.grid.shape, solver.mesh.voxels, solver.mesh.nodes)
        levels: list[Interpolation] = []
        while not levels or (grid.n_nodes > DIRECT_NODES and max(grid.shape) > 2):
            levels.append(coarsen(grid))
            grid = levels[-1].coarse
        _HIERARCHIES[solver] = levels
    return _HIERARCHIES[solver]


def coarse_blocks(operator: CellOperator, element_matrices: np.ndarray) -> list[np.ndarray]:
    """Blocks (n_blocks, 9) of the coarse stiffness matrices, finest first.

    Parameters
    ----------
    operator : CellOperator
    element_matrices : (n_phases, 24, 24)
    """
    levels = hierarchy(operator.solver)
    mesh, first = operator.mesh, levels[0]
    pattern, patterns = _patterns(first, mesh.phase, element_matrices)
    result = []
    finer = np.empty((0, 24, 24))
    for number, level in enumerate(levels, start=1):
        # the innermost sum runs over fine elements, found from elements of the first level
        kept = len(level.elements) if number > 1 else 0
        matrices = np.empty((kept, 24, 24))
        blocks = np.zeros((len(level.neighbours), 9))
        assemble(
            number,
            level.planes,
            level.elements,
            OFFSET_SLOTS,
            level.block_start,
            level.rank,
            level.child_start,
            level.children,
            level.corner,
            level.fraction,
            first.child_start,
            first.children,
            pattern,
            mesh.density,
            patterns,
            finer,
            matrices,
            blocks,
        )
        finer = matrices
        result.append(blocks)
    return result


def _patterns(
    level: Interpolation, phase: np.ndarray, element_matrices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Number of each fine element's restricted matrix, and these (n_patterns, 24, 24)."""
    whole = np.dot(level.fraction == 1.0, (4, 2, 1))
    key = (phase.astype(np.int64) * 8 + whole) * 8 + level.corner
    _, first, pattern = np.unique(key, return_index=True, return_inverse=True)
    patterns = np.ascontiguousarray(element_matrices[phase[first]])
    restrict_matrices(patterns, level.corner[first], level.fraction[first])
    return pattern, patterns


def multigrid_of(operator: CellOperator) -> MultigridPreconditioner:
    """The preconditioner of an operator, made once."""
    if operator not in _PRECONDITIONERS:
        _PRECONDITIONERS[operator] = MultigridPreconditioner(operator)
    return _PRECONDITIONERS[operator]


class MultigridPreconditioner:
    """One symmetric cycle with the operator's matrix over its unit.

    Parameters
    ----------
    operator : CellOperator
    """

    def __init__(self, operator: CellOperator) -> None:
        self._levels = hierarchy(operator.solver)
        fine = FineMatrix(operator)
        blocks = coarse_blocks(operator, fine.element_matrices)
        self._smoothers = [Smoother(fine, FINE_DEGREE, FINE_DAMPING)]
        for level, values in zip(self._levels[:-1], blocks[:-1], strict=True):
            matrix = CoarseMatrix(level, values)
            self._smoothers.append(Smoother(matrix, COARSE_DEGREE, COARSE_DAMPING))
        self._inverse = _coarsest_inverse(self._levels[-1], blocks[-1])
        sizes = [level.coarse.n_nodes for level in self._levels]
        self._b = [np.empty((n, WIDTH), dtype=np.float32) for n in sizes]
        self._x = [np.empty((n, WIDTH), dtype=np.float32) for n in sizes]

    def apply(self, r: np.ndarray, z: np.ndarray) -> None:
        """z = M r, fields (n_nodes, 18) float32."""
        self._cycle(0, r, z)

    def _cycle(self, level: int, b: np.ndarray, x: np.ndarray) -> None:
        if level == len(self._levels):
            x[:] = (self._inverse @ b.reshape(-1, LOADS)).reshape(-1, WIDTH)
            return
        interpolation, smoother = self._levels[level], self._smoothers[level]
        coarse_b, coarse_x = self._b[level], self._x[level]
        residual = smoother.from_zero(b, x)
        coarse_b[:] = 0.0
        combine(*interpolation.restriction, residual, coarse_b, coarse_b)
        self._cycle(level + 1, coarse_b, coarse_x)
        combine(*interpolation.prolongation, coarse_x, x, x)
        smoother.further(b, x)


def _coarsest_inverse(level: Interpolation, blocks: np.ndarray) -> np.ndarray:
    """Inverse (3n, 3n) on all but the rigid motions, scaled by the diagonal against contrast."""
    n = level.coarse.n_nodes
    dense = np.zeros((n, n, 3, 3))
    row = np.repeat(np.arange(n), np.diff(level.block_start))
    np.add.at(dense, (row, level.neighbours), blocks.reshape(-1, 3, 3))
    matrix = dense.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    diagonal = matrix.diagonal()
    size = np.where(diagonal > NULL * diagonal.max(initial=0.0), diagonal, 1.0) ** -0.5
    values, vectors = np.linalg.eigh(size[:, None] * (0.5 * (matrix + matrix.T)) * size)
    keep = values > NULL * max(values[-1], 1.0)
    half = size[:, None] * vectors[:, keep] / np.sqrt(values[keep])
    return np.asarray(half @ half.T, dtype=np.float32)
