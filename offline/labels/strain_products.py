r"""Mean strain products of displacement fields, phase by phase.

The energy of a cell is linear in the phase stiffnesses. For fields with strains
:math:`\varepsilon_i`,

.. math:: \frac{1}{|Y|} \int \varepsilon_i : C : \varepsilon_j
          = \sum_p \sum_{a \le b} C^p_{ab}\, S^{p,ab}_{ij}, \qquad
          S^{p,ab}_{ij} = \frac{1}{|Y|} \int_p
          \varepsilon_{a,i}\, \varepsilon_{b,j} + \varepsilon_{b,i}\, \varepsilon_{a,j}

(one term only if a = b), strains in the phase's material frame. Once the products S are known, the
energy for any phase stiffness costs nothing that depends on the grid.

Inside an element the strain of a trilinear displacement is a polynomial; the products are sums over
its orthonormal Legendre modes, most of which vanish for a given component. This is exactly the
2x2x2 Gauss rule at half the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matnet.errors import ParameterError
from matnet.mandel import rotation_matrix
from offline.homogenization.grid import HexGrid
from offline.homogenization.mesh import SolidMesh
from offline.homogenization.solver import CellSolver

__all__ = ["Pair", "StrainProducts", "stiffness_pairs"]

Pair = tuple[int, int, int]  # phase, row, column with row <= column
CHUNK = 512  # elements at a time: their strains stay in the cache
ZERO = 1e-12  # relative size below which an element mode has no strain


def stiffness_pairs(phase_stiffness: np.ndarray) -> tuple[Pair, ...]:
    """Entries (phase, row, column) that are not zero in all of (n, n_phases, 6, 6).

    Orthotropic phases in their material frame need 9 entries instead of 21.

    >>> stiffness_pairs(np.eye(6)[None, None])
    ((0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4), (0, 5, 5))
    """
    used = np.any(phase_stiffness != 0.0, axis=0)
    return tuple((int(p), int(a), int(b)) for p, a, b in np.argwhere(used) if a <= b)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrainProducts:
    """The strain products of one cell, for the stiffness entries `pairs`.

    Fields are displacements (3 n_nodes, n) on the mesh's active nodes, any float type; the strain
    of a field u is ``-B u``, as in ``e0 - B u``.

    Attributes
    ----------
    mesh : SolidMesh
        Elements that carry stiffness.
    pairs : tuple of (phase, row, column)
        Stiffness entries that occur.
    means : (n_phases, 6, 6)
        Unit macro strains (columns) in each phase's frame.
    fractions : (n_phases,)
        Volume fraction of each phase's elements, weighted with their density.
    n_voxels : int
        Voxels of the whole cell, void included.
    """

    mesh: SolidMesh
    pairs: tuple[Pair, ...]
    means: np.ndarray
    fractions: np.ndarray
    n_voxels: int
    _modes: tuple[np.ndarray, ...]  # per phase (8, 6, 24)
    _elements: tuple[np.ndarray, ...]  # per phase: its elements

    @classmethod
    def of(cls, solver: CellSolver, pairs: Sequence[Pair]) -> StrainProducts:
        """Prepare the products on a cell.

        Raises
        ------
        ParameterError
            No voxel of the cell belongs to a phase of `pairs`.
        """
        grid, mesh, rve = solver.grid, solver.mesh, solver.rve
        elements = tuple(np.flatnonzero(mesh.phase == p) for p in range(rve.n_phases))
        present = tuple(pair for pair in pairs if len(elements[pair[0]]))
        if not present:
            raise ParameterError(
                "no voxel of the cell belongs to a phase with stiffness, expected at least one."
            )
        frames = np.tile(np.eye(6), (rve.n_phases, 1, 1))
        if rve.orientations is not None:
            frames = np.swapaxes(rotation_matrix(rve.orientations), 1, 2)
        fractions = [mesh.density[e].sum() / grid.n_voxels for e in elements]
        return cls(
            mesh=mesh,
            pairs=present,
            means=frames,
            fractions=np.array(fractions),
            n_voxels=grid.n_voxels,
            _modes=tuple(_element_modes(grid, frame) for frame in frames),
            _elements=elements,
        )

    def coefficients(self, phase_stiffness: np.ndarray) -> np.ndarray:
        """Factors (n, n_pairs) of the products for phase stiffnesses (n, n_phases, 6, 6)."""
        phase, row, column = np.array(self.pairs).T
        return np.ascontiguousarray(phase_stiffness[:, phase, row, column])

    def macro_macro(self) -> np.ndarray:
        """Products (n_pairs, 6, 6) of the unit macro strains with each other."""
        out = np.empty((len(self.pairs), 6, 6))
        for q, (p, a, b) in enumerate(self.pairs):
            out[q] = self.fractions[p] * _pair_product(self.means[p], self.means[p], a, b)
        return out

    def macro_field(self, right: np.ndarray) -> np.ndarray:
        """Products (n_pairs, 6, n) of the unit macro strains with fields (3 n_nodes, n)."""
        n = right.shape[1]
        mean = np.zeros((len(self._modes), 6, n))
        for p in sorted({p for p, _, _ in self.pairs}):
            # the constant mode; sqrt(V_e / |Y|) is the amplitude of a unit strain in it
            mode = self._modes[p][0] * np.sqrt(1.0 / self.n_voxels)
            for chunk, weight in self._chunks(p):
                local = self._gather(right, chunk).astype(float) * weight[:, None] ** 2
                mean[p] += mode @ local.sum(axis=1)
        out = np.empty((len(self.pairs), 6, n))
        for q, (p, a, b) in enumerate(self.pairs):
            out[q] = _pair_product(self.means[p], mean[p], a, b)
        return out

    def field_field(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Products (n_pairs, nl, nr) of fields (3 n_nodes, nl) with fields (3 n_nodes, nr)."""
        out = np.zeros((len(self.pairs), left.shape[1], right.shape[1]))
        for p in sorted({p for p, _, _ in self.pairs}):
            modes = self._modes[p]
            rows = np.argwhere(_nonzero_rows(modes))
            operator = modes[rows[:, 0], rows[:, 1]]
            place = {(int(m), int(a)): i for i, (m, a) in enumerate(rows)}
            for chunk, weight in self._chunks(p):
                x = _strains(operator, self._gather(left, chunk), weight)
                y = x if left is right else _strains(operator, self._gather(right, chunk), weight)
                _accumulate(out, x, y, p, self.pairs, place)
        return out

    def _chunks(self, phase: int) -> list[tuple[np.ndarray, np.ndarray]]:
        elements = self._elements[phase]
        cut = [elements[i : i + CHUNK] for i in range(0, len(elements), CHUNK)]
        return [(chunk, np.sqrt(self.mesh.density[chunk])) for chunk in cut]

    def _gather(self, fields: np.ndarray, chunk: np.ndarray) -> np.ndarray:
        """Element displacements (24, n_chunk, n), in the fields' float type."""
        nodes = self.mesh.elements[chunk].T.astype(np.int64)
        dofs = 3 * nodes[:, None, :] + np.arange(3)[None, :, None]
        return np.asarray(fields[dofs.reshape(24, -1)])


def _element_modes(grid: HexGrid, frame: np.ndarray) -> np.ndarray:
    """Amplitudes (8, 6, 24) of the strain -B u in Legendre modes, scaled to volume fractions."""
    signs = np.array([[1.0, 1.0], [-1.0, 1.0]])  # 1 and sqrt(3) xi at the two Gauss points
    legendre = np.kron(np.kron(signs, signs), signs) / np.sqrt(8.0)
    scale = np.sqrt(grid.weight / grid.volume)
    modes = -scale * np.einsum("mg,ab,gbd->mad", legendre, frame, grid.gauss_b)
    return np.asarray(np.where(np.abs(modes) > ZERO * np.abs(modes).max(), modes, 0.0))


def _nonzero_rows(modes: np.ndarray) -> np.ndarray:
    return np.asarray(np.any(modes != 0.0, axis=2))


def _strains(operator: np.ndarray, local: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Strain amplitudes (n_rows, n_chunk, n) from element displacements (24, n_chunk, n)."""
    flat = local.reshape(24, -1).astype(float)
    strains = (operator @ flat).reshape(len(operator), *local.shape[1:])
    if np.any(weight != 1.0):
        strains *= weight[:, None]
    return np.asarray(strains)


def _accumulate(
    out: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    phase: int,
    pairs: Sequence[Pair],
    place: dict[tuple[int, int], int],
) -> None:
    """Add one chunk's products to `out`, mode by mode."""
    for q, (p, a, b) in enumerate(pairs):
        if p != phase:
            continue
        for m in range(8):
            i, j = place.get((m, a)), place.get((m, b))
            if i is None or j is None:
                continue
            out[q] += x[i].T @ y[j]
            if a != b:
                out[q] += x[j].T @ y[i]


def _pair_product(left: np.ndarray, right: np.ndarray, a: int, b: int) -> np.ndarray:
    """Symmetrised product (nl, nr) of components a and b of strains (6, nl) and (6, nr)."""
    product = np.outer(left[a], right[b])
    return product if a == b else product + np.outer(left[b], right[a])
