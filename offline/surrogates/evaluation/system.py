r"""The linear system of a cell in double precision, and what a start for it is worth.

The Jacobi-preconditioned conjugate gradients see K through :math:`A = M^{-1/2} K M^{-1/2}` with M
the diagonal of K. The projection energy of a start :math:`u_0` is that of its error in A
(CGiNS, eq. 24 to 27):

.. math:: E_p = (x - x_0)^T A (x - x_0) = \sum_i \lambda_i c_i^2, \quad x = M^{1/2} u,\;
          c_i = q_i \cdot (x - x_0)

with the eigenpairs :math:`\lambda_i, q_i` of A; truncated, the sum runs over the smallest ones.
In full it is the energy of the error, :math:`(u - u_0)^T K (u - u_0)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from offline.homogenization.solver import CellOperator

__all__ = ["CellSystem", "Steps"]

LOADS = 6
TRANSLATIONS = 3
SHIFT = -1e-4  # eigenvalues of A lie between 0 and about 3; the shifted matrix can be factored


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Conjugate gradients on the way.

    Attributes
    ----------
    residual : (n + 1, 6)
        ``||K u - f|| / ||f||`` before the first and after each step.
    iterations : (6,) int
        Steps until each load met the tolerance; n + 1 where it did not.
    stiffness : (n + 1, 6, 6) or None
        C^H in energy form along the way, if it was asked for.
    """

    residual: np.ndarray
    iterations: np.ndarray
    stiffness: np.ndarray | None


@dataclass(frozen=True, eq=False)
class CellSystem:
    """K u = f of the six unit strains on the active nodes; fields are (n_nodes, 18).

    Parameters
    ----------
    operator : CellOperator
    """

    operator: CellOperator
    load: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "load", self.operator.load_vectors())

    @property
    def dofs(self) -> int:
        """Unknowns of one load."""
        return 3 * self.operator.mesh.n_nodes

    @cached_property
    def diagonal(self) -> np.ndarray:
        """Diagonal of K, (n_nodes, 3)."""
        mesh, grid = self.operator.mesh, self.operator.solver.grid
        ke = np.einsum("pii->pi", grid.element_stiffness(self.operator.stiffness))
        shares = (mesh.density[:, None] * ke[mesh.phase]).reshape(-1, 8, 3)
        nodes = mesh.elements.ravel()
        columns = [
            np.bincount(nodes, shares[..., i].ravel(), minlength=mesh.n_nodes) for i in range(3)
        ]
        return np.stack(columns, axis=1)

    def residual(self, u: np.ndarray) -> np.ndarray:
        """``||K u - f|| / ||f||`` (6,); 0 for a load without forces."""
        return self._relative(self.load - self.operator.apply(u)[0])

    def stiffness(self, u: np.ndarray) -> np.ndarray:
        """C^H (6, 6) in energy form [stress unit]."""
        return self.operator.energy(u)

    def energy(self, error: np.ndarray) -> np.ndarray:
        """Projection energy (6,) of an error ``u - u0``: its energy in K."""
        return self.operator.apply(error)[1]

    def steps(self, start: np.ndarray, tol: float, limit: int, *, stiffness: bool = False) -> Steps:
        """Jacobi-PCG from `start` until every load's residual is at most `tol`."""
        u = np.array(start, dtype=float)
        inverse = np.repeat(1.0 / self.diagonal, LOADS, axis=1)
        r = self.load - self.operator.apply(u)[0]
        z = inverse * r
        p, rho = z.copy(), _dots(r, z)
        history, effective = [self._relative(r)], [self.stiffness(u)] if stiffness else []
        while history[-1].max() > tol and len(history) <= limit:
            q, power = self.operator.apply(p)
            moving = (power > 0.0) & (history[-1] > tol if not stiffness else power > 0.0)
            alpha = np.divide(rho, power, out=np.zeros(LOADS), where=moving)
            u += _spread(alpha) * p
            r -= _spread(alpha) * q
            z = inverse * r
            after = _dots(r, z)
            beta = np.divide(after, rho, out=np.zeros(LOADS), where=rho > 0.0)
            p = z + _spread(beta) * p
            rho = after
            history.append(self._relative(r))
            if stiffness:
                effective.append(self.stiffness(u))
        residual = np.array(history)
        below = residual <= tol
        first = np.where(below.any(axis=0), below.argmax(axis=0), len(residual))
        return Steps(residual, first, np.array(effective) if stiffness else None)

    def low_modes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The n smallest eigenvalues (n,) of A above the translations' zeros, and their vectors.

        Returns
        -------
        (n,), (dofs, n)
        """
        root = np.sqrt(self.diagonal.ravel())
        scaled = sp.diags(1.0 / root) @ self._matrix() @ sp.diags(1.0 / root)
        shifted = (scaled - SHIFT * sp.identity(self.dofs)).tocsc()
        # positive definite: no pivots are needed, and an order for symmetric matrices fills least
        factors = splu(
            shifted,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        values, vectors = eigsh(
            scaled,
            k=n + TRANSLATIONS,
            sigma=SHIFT,
            OPinv=LinearOperator(scaled.shape, matvec=factors.solve, dtype=float),
            v0=np.random.default_rng(0).normal(size=self.dofs),
        )
        order = np.argsort(values)[TRANSLATIONS:]
        return values[order], vectors[:, order]

    def low_energy(self, error: np.ndarray, modes: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """The part (6,) of `energy` in some eigenvectors of A."""
        values, vectors = modes
        x = np.sqrt(self.diagonal)[:, :, None] * error.reshape(-1, 3, LOADS)
        shares = vectors.T @ x.reshape(self.dofs, LOADS)
        return np.asarray(values @ shares**2)

    def _matrix(self) -> sp.csr_matrix:
        mesh, grid = self.operator.mesh, self.operator.solver.grid
        ke = grid.element_stiffness(self.operator.stiffness)
        dofs = (3 * mesh.elements[:, :, None] + np.arange(3)).reshape(-1, 24)
        values = mesh.density[:, None, None] * ke[mesh.phase]
        rows = np.repeat(dofs, 24, axis=1).ravel()
        columns = np.tile(dofs, (1, 24)).ravel()
        return sp.csr_matrix((values.ravel(), (rows, columns)), shape=(self.dofs, self.dofs))

    def _relative(self, r: np.ndarray) -> np.ndarray:
        norm = np.sqrt(_dots(self.load, self.load))
        floor = 1e-14 * self.operator.force_scale
        size = np.sqrt(_dots(r, r))
        return np.divide(size, norm, out=np.zeros(LOADS), where=norm > floor)


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products (6,) of two fields, load by load."""
    products = np.einsum("nil,nil->l", a.reshape(-1, 3, LOADS), b.reshape(-1, 3, LOADS))
    return np.asarray(products)


def _spread(x: np.ndarray) -> np.ndarray:
    """Values (6,) of the loads at the 18 components of a field."""
    return np.tile(x, 3)
