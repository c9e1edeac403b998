r"""Mean strain products of displacement fields, phase by phase.

The energy of a cell is linear in the phase stiffnesses. For fields with strains
:math:`\varepsilon_i`,

.. math:: \frac{1}{|Y|} \int \varepsilon_i : C : \varepsilon_j
          = \sum_p \sum_{a \le b} C^p_{ab}\, S^{p,ab}_{ij}, \qquad
          S^{p,ab}_{ij} = \frac{1}{|Y|} \int_p
          \varepsilon_{a,i}\, \varepsilon_{b,j} + \varepsilon_{b,i}\, \varepsilon_{a,j}

(one term only if a = b), strains in the phase's material frame. Once the products S are known, the
energy for any phase stiffness costs nothing that depends on the grid.

Inside an element the strain of a trilinear displacement is a polynomial, written in orthonormal
Legendre modes: exactly the 2x2x2 Gauss rule. One pair of components gives a sparse element
matrix, hence nodal forces that are multiplied with all other fields at once.
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
from offline.labels.kernels import apply_pairs

__all__ = ["Pair", "StrainProducts", "stiffness_pairs"]

Pair = tuple[int, int, int]  # phase, row, column with row <= column
CHUNK = 4096  # elements at a time
ROWS = 8192  # of fields in double precision at a time
FORCE_BYTES = 256e6  # of nodal forces held at once
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
                local = self._gather(right, chunk).astype(float) * weight[:, None]
                mean[p] += mode @ local.sum(axis=1)
        out = np.empty((len(self.pairs), 6, n))
        for q, (p, a, b) in enumerate(self.pairs):
            out[q] = _pair_product(self.means[p], mean[p], a, b)
        return out

    def field_field(self, left: np.ndarray, rights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Products (n_pairs, nl, nr) of fields (3 n_nodes, nl) with each of `rights`.

        The forces of the left fields are assembled once per pair; the rest is matrix products.
        """
        m = left.shape[1]
        out = [np.zeros((len(self.pairs), m, right.shape[1])) for right in rights]
        for p in sorted({p for p, _, _ in self.pairs}):
            mine = [q for q, pair in enumerate(self.pairs) if pair[0] == p]
            elements = self._elements[p]
            nodes, local = np.unique(self.mesh.elements[elements], return_inverse=True)
            local = local.reshape(-1, 8).astype(np.int32)
            rows = (3 * nodes.astype(np.int64)[:, None] + np.arange(3)).ravel()
            u = left[rows].astype(float)
            step = max(1, int(FORCE_BYTES / max(1, 8 * u.size)))
            for first in range(0, len(mine), step):
                some = mine[first : first + step]
                entries = [_pair_matrix(self._modes[p], *self.pairs[q][1:]) for q in some]
                forces = np.zeros((len(rows), len(some), m))
                start, at, to, values = _sparse(entries)
                density = self.mesh.density[elements]
                apply_pairs(local, density, start, at, to, values, u, forces)
                for right, result in zip(rights, out, strict=True):
                    result[some] += _project(forces, right, rows)
        return out

    def _chunks(self, phase: int) -> list[tuple[np.ndarray, np.ndarray]]:
        elements = self._elements[phase]
        cut = [elements[i : i + CHUNK] for i in range(0, len(elements), CHUNK)]
        return [(chunk, self.mesh.density[chunk]) for chunk in cut]

    def _gather(self, fields: np.ndarray, chunk: np.ndarray) -> np.ndarray:
        """Element displacements (24, n_chunk, n), in the fields' float type."""
        nodes = self.mesh.elements[chunk].T.astype(np.int64)
        dofs = 3 * nodes[:, None, :] + np.arange(3)[None, :, None]
        return np.asarray(fields[dofs.reshape(24, -1)])


def _pair_matrix(modes: np.ndarray, a: int, b: int) -> np.ndarray:
    """Element matrix (24, 24) of the symmetrised product of strain components a and b."""
    product = modes[:, a].T @ modes[:, b]
    return np.asarray(product if a == b else product + product.T)


def _sparse(
    matrices: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nonzero entries of several matrices: start of each, rows, columns, values."""
    size = max(float(np.abs(m).max()) for m in matrices)
    places = [np.nonzero(np.abs(m) > ZERO * size) for m in matrices]
    start = np.cumsum([0, *(len(rows) for rows, _ in places)])
    rows, columns = (np.concatenate([place[k] for place in places]) for k in (0, 1))
    values = np.concatenate([m[place] for m, place in zip(matrices, places, strict=True)])
    return start, rows, columns, values


def _project(forces: np.ndarray, right: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Works (n_pairs, nl, nr) of forces (n_rows, n_pairs, nl) on the rows of fields `right`."""
    flat = forces.reshape(len(rows), -1)
    work = np.zeros((flat.shape[1], right.shape[1]))
    for i in range(0, len(rows), ROWS):
        work += flat[i : i + ROWS].T @ right[rows[i : i + ROWS]].astype(float)
    return work.reshape(*forces.shape[1:], -1)


def _element_modes(grid: HexGrid, frame: np.ndarray) -> np.ndarray:
    """Amplitudes (8, 6, 24) of the strain -B u in Legendre modes, scaled to volume fractions."""
    signs = np.array([[1.0, 1.0], [-1.0, 1.0]])  # 1 and sqrt(3) xi at the two Gauss points
    legendre = np.kron(np.kron(signs, signs), signs) / np.sqrt(8.0)
    scale = np.sqrt(grid.weight / grid.volume)
    modes = -scale * np.einsum("mg,ab,gbd->mad", legendre, frame, grid.gauss_b)
    return np.asarray(np.where(np.abs(modes) > ZERO * np.abs(modes).max(), modes, 0.0))


def _pair_product(left: np.ndarray, right: np.ndarray, a: int, b: int) -> np.ndarray:
    """Symmetrised product (nl, nr) of components a and b of strains (6, nl) and (6, nr)."""
    product = np.outer(left[a], right[b])
    return product if a == b else product + np.outer(left[b], right[a])
