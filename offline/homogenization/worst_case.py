r"""The worst stress that a cell can see under loads of unit size.

At a point the local stress is linear in the macroscopic strain, :math:`\sigma = S\, E` with the
columns :math:`C (e_0^k - B u^k)` of S, and so is it in the macroscopic stress:
:math:`\sigma = S\, (C^H)^{-1} \Sigma`. The square of the von Mises stress is a quadratic form,

.. math:: \sigma_{vM}^2 = \tfrac32\, \sigma \cdot P \sigma = \Sigma \cdot Q\, \Sigma, \quad
          Q = \tfrac32\, (C^H)^{-1} S^T P S\, (C^H)^{-1}

with the deviatoric projection P. Its largest value over all :math:`\lVert \Sigma \rVert = 1`
(Frobenius norm, which is that of Mandel vectors) is the largest eigenvalue of the 6x6 matrix Q, and
the eigenvector is the load that does it: no search over loads (the idea is that of Panetta,
Rahimian & Zorin, *ACM Trans. Graph.* 36(4), 2017). With unit strains, the inverses are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError
from offline.homogenization.fields import gauss_strains
from offline.homogenization.solver import CellOperator, CellSolver, checked_stiffnesses
from offline.rve.rve import Rve

__all__ = ["LOADINGS", "WorstStress", "worst_stress"]

LOADINGS = ("stress", "strain")
CHUNK = 16384  # voxels at once
# sigma_vM^2 = sigma . VON_MISES sigma in Mandel form
VON_MISES = 1.5 * (np.eye(6) - np.pad(np.full((3, 3), 1.0 / 3.0), (0, 3)))
SINGULAR = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorstStress:
    """Largest von Mises stress of each voxel over all unit loads.

    Attributes
    ----------
    field : (n1, n2, n3)
        Of the voxels' mean stress; zero in void. With unit stresses dimensionless (a stress
        concentration), with unit strains [stress unit].
    largest : float
    voxel : (int, int, int)
        Where it is.
    load : (6,)
        The macroscopic stress or strain of unit norm that causes it, Mandel form.
    loading : {"stress", "strain"}
    """

    field: np.ndarray
    largest: float
    voxel: tuple[int, int, int]
    load: np.ndarray
    loading: str

    def plot(self, ax: Any = None, *, axis: int = 0, index: int | None = None, **style: Any) -> Any:
        """A layer of voxels normal to `axis`, by default the one with the largest value.

        Returns the axes; void is left white.
        """
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(layout="constrained").add_subplot()
        layer = self.voxel[axis] if index is None else index
        values = np.take(self.field, layer, axis=axis)
        shown = np.ma.masked_where(values == 0.0, values)
        image = ax.imshow(shown.T, origin="lower", **{"cmap": "viridis", **style})
        names = [f"voxel along {i + 1}" for i in range(3) if i != axis]
        ax.set(xlabel=names[0], ylabel=names[1], title=f"layer {layer} along {axis + 1}")
        unit = "[-]" if self.loading == "stress" else "[unit of the moduli]"
        label = f"worst von Mises stress over unit {self.loading} {unit}"
        ax.figure.colorbar(image, ax=ax, label=label)
        return ax


def worst_stress(
    rve: Rve, stiffnesses: Any, displacement: Any, loading: str = "stress"
) -> WorstStress:
    """Worst von Mises stress of each voxel over macroscopic loads of unit norm.

    Parameters
    ----------
    rve : Rve
    stiffnesses : (n_phases, 6, 6)
        As for `homogenize`.
    displacement : (6, n1, n2, n3, 3)
        Fluctuations of the six unit strains: a solution, or what a surrogate predicts.
    loading : {"stress", "strain"}

    Raises
    ------
    ParameterError
        The loading is unknown, or C^H is singular, so that stresses may not be prescribed.
    ShapeError
        The displacement does not fit the cell.

    Examples
    --------
    Without contrast the worst unit stress is a deviatoric one, whose von Mises stress is the root
    of 3/2 of its norm:

    >>> rve = Rve(phases=np.zeros((2, 2, 2), dtype=np.uint8))
    >>> round(worst_stress(rve, [np.eye(6)], np.zeros((6, 2, 2, 2, 3))).largest, 6)
    1.224745
    """
    if loading not in LOADINGS:
        raise ParameterError(f"loading is '{loading}', expected one of {', '.join(LOADINGS)}.")
    c = checked_stiffnesses(stiffnesses, rve.phase_names)
    solver = CellSolver(rve, void=~c.any(axis=(1, 2)), allow_disconnected=True)
    operator = solver.with_stiffness(c)
    mesh = solver.mesh
    to_strain = np.eye(6)
    if loading == "stress":
        effective = operator.energy(solver.pack(displacement))
        eigenvalues = np.linalg.eigvalsh(effective)
        if eigenvalues[0] <= SINGULAR * eigenvalues[-1]:
            raise ParameterError(
                "worst stress over unit stresses: the cell's stiffness is singular, it bears not "
                "every stress. Use loading='strain'."
            )
        to_strain = np.linalg.inv(effective)
    squares = np.empty(mesh.n_elements)
    for begin in range(0, mesh.n_elements, CHUNK):
        some = slice(begin, begin + CHUNK)
        squares[some] = np.linalg.eigvalsh(_forms(operator, displacement, to_strain, some))[:, -1]
    worst = int(squares.argmax())
    form = _forms(operator, displacement, to_strain, slice(worst, worst + 1))[0]
    load = np.linalg.eigh(form)[1][:, -1]
    field = np.zeros(solver.grid.n_voxels)
    field[mesh.voxels] = np.sqrt(np.maximum(squares, 0.0))
    i, j, k = np.unravel_index(mesh.voxels[worst], solver.grid.shape)
    return WorstStress(
        field=field.reshape(solver.grid.shape),
        largest=float(np.sqrt(squares[worst])),
        voxel=(int(i), int(j), int(k)),
        load=load * np.sign(load[np.abs(load).argmax()]),
        loading=loading,
    )


def _forms(
    operator: CellOperator, displacement: Any, to_strain: np.ndarray, some: slice
) -> np.ndarray:
    """Q (m, 6, 6) of some active elements."""
    mesh, grid = operator.mesh, operator.solver.grid
    strains = gauss_strains(grid, displacement, mesh.voxels[some]).mean(axis=2)  # (6, m, 6)
    stiffness = mesh.density[some, None, None] * operator.stiffness[mesh.phase[some]]
    stress = np.einsum("mij,kmj->mik", stiffness, strains) @ to_strain
    return np.asarray(np.einsum("mia,ij,mjb->mab", stress, VON_MISES, stress, optimize=True))
