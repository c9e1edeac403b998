"""Periodic cells computed apart from matnet: assembled matrices, numpy laws, plain Newton.

`drive_plain` takes a mesh (the one below, or one of dolfinx) that assembles forces and stiffness
for displacements of all nodes, images included, and ties the nodes of opposite faces together.
"""

import itertools

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

ROOT2 = 2.0**0.5
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


class PlainJ2:
    """Linear hardening and Prager's backstress, closed form; sig_y = inf is elastic. Mandel."""

    def __init__(self, E, nu, sig_y=np.inf, H=0.0, kinematic=0.0):
        self.G, self.K = E / 2 / (1 + nu), E / 3 / (1 - 2 * nu)
        self.sig_y, self.H, self.kinematic = sig_y, H, kinematic

    def __call__(self, eps, old):
        """Stress (n, 6), tangent (n, 6, 6) and state (n, 7) at strains (n, 6)."""
        G, K, H = self.G, self.K, self.H
        one = np.array([1.0, 1, 1, 0, 0, 0])
        deviator = np.eye(6) - np.outer(one, one) / 3
        back = 2 / 3 * self.kinematic * old[:, :6]
        trial = 2 * G * (eps - old[:, :6]) @ deviator - back
        q = np.sqrt(1.5 * (trial**2).sum(1))
        flow = q > self.sig_y + H * old[:, 6]
        stiff = 3 * G + H + self.kinematic
        dp = np.where(flow, (q - (self.sig_y if flow.any() else 0) - H * old[:, 6]) / stiff, 0.0)
        n = 1.5 * trial / np.where(flow, q, 1.0)[:, None] * flow[:, None]
        state = old + np.hstack([dp[:, None] * n, dp[:, None]])
        stress = K * eps[:, :3].sum(1)[:, None] * one + 2 * G * (eps @ deviator - state[:, :6])
        drop = np.where(flow, 3 * G * dp / np.where(flow, q, 1.0), 0.0)
        tangent = K * np.outer(one, one) + 2 * G * (1 - drop)[:, None, None] * deviator
        factor = np.where(flow, 4 * G * G * (1 / stiff - dp / np.where(flow, q, 1.0)), 0.0)
        tangent = tangent - factor[:, None, None] * np.einsum("ni,nj->nij", n, n)
        return stress, tangent, state


class PlainMesh:
    """Parallelepiped voxels as hexahedra with 2x2x2 Gauss points, B from physical gradients.

    With mean dilatation unless `full` (Hughes 1987, section 4.5).
    """

    def __init__(self, phases, cell, laws, full=False):
        shape = np.array(phases.shape)
        self.edges = np.asarray(cell, dtype=float) / shape[:, None]
        numbers = np.arange(np.prod(shape + 1)).reshape(shape + 1)
        grid = np.array(list(itertools.product(*(range(n + 1) for n in shape))), dtype=float)
        self.x = grid @ self.edges
        corners = list(itertools.product((0, 1), repeat=3))
        voxels = list(itertools.product(*map(range, shape)))
        self.nodes = np.array([[numbers[tuple(np.add(v, c))] for c in corners] for v in voxels])
        self.phase = phases.ravel()
        self.laws = laws
        points = 0.5 + np.array(corners) / 3**0.5 - 0.5 / 3**0.5
        self.b = np.stack([self._b(point, corners) for point in points])  # (8, 6, 24)
        if not full:
            volume = self.b[:, :3].sum(axis=1)
            self.b[:, :3] += (volume.mean(axis=0) - volume)[:, None] / 3
        self.weight = np.linalg.det(self.edges) / 8
        self.volume = np.linalg.det(np.asarray(cell, dtype=float))
        self.state = np.zeros((len(voxels), 8, 7))
        self.dofs = (3 * self.nodes[:, :, None] + np.arange(3)).reshape(len(voxels), 24)

    def _b(self, xi, corners):
        b = np.zeros((6, 24))
        for a, corner in enumerate(corners):
            hats = [x if c else 1 - x for x, c in zip(xi, corner, strict=True)]
            local = [
                (2 * corner[d] - 1) * np.prod([hats[e] for e in range(3) if e != d])
                for d in range(3)
            ]
            slope = np.linalg.solve(self.edges, local)
            for row, (i, j) in enumerate(PAIRS):
                scale = 1.0 if i == j else 1 / ROOT2
                b[row, 3 * a + i] += scale * slope[j]
                if i != j:
                    b[row, 3 * a + j] += scale * slope[i]
        return b

    def assemble(self, u):
        eps = np.einsum("gka,ea->egk", self.b, u.ravel()[self.dofs])
        stress, tangent = np.empty_like(eps), np.empty((*eps.shape, 6))
        self.trial = self.state.copy()
        for p, law in enumerate(self.laws):
            mine = self.phase == p
            out = law(eps[mine].reshape(-1, 6), self.state[mine].reshape(-1, 7))
            stress[mine] = out[0].reshape(-1, 8, 6)
            tangent[mine] = out[1].reshape(-1, 8, 6, 6)
            self.trial[mine] = out[2].reshape(-1, 8, 7)
        forces = np.zeros(u.size)
        np.add.at(forces, self.dofs, self.weight * np.einsum("gka,egk->ea", self.b, stress))
        ke = self.weight * np.einsum("gka,egkl,glb->eab", self.b, tangent, self.b, optimize=True)
        rows, cols = np.repeat(self.dofs, 24, axis=1), np.tile(self.dofs, (1, 24))
        matrix = sp.coo_matrix((ke.ravel(), (rows.ravel(), cols.ravel())), (u.size, u.size))
        return forces, matrix.tocsr()

    def commit(self):
        self.state = self.trial


def ties(x, cell):
    """Matrix (3 N, 3 n) from the displacements of the n distinct nodes to those of all N."""
    place = np.round(x @ np.linalg.inv(cell) % 1.0, 9) % 1.0
    distinct, master = np.unique(place, axis=0, return_inverse=True)
    one = sp.coo_matrix((np.ones(len(x)), (np.arange(len(x)), master.ravel())))
    return sp.kron(one, np.eye(3)).tocsr(), len(distinct)


def macroscopic(x):
    """Matrix (3 N, 6): displacements of the unit Mandel strains."""
    columns = []
    for i, j in PAIRS:
        tensor = np.zeros((3, 3))
        tensor[i, j] = tensor[j, i] = 1.0 if i == j else 1 / ROOT2
        columns.append((x @ tensor).ravel())
    return np.stack(columns, axis=1)


def drive_plain(mesh, cell, targets, stress_controlled):
    """Strains and stresses (n, 6) for targets (n, 6), unbroken Newton to round-off."""
    tie, n = ties(mesh.x, cell)
    uniform = macroscopic(mesh.x)
    all_of = sp.hstack([tie[:, 3:], sp.csr_matrix(uniform)]).tocsr()  # node 0 is held
    held = np.flatnonzero(~np.asarray(stress_controlled, dtype=bool)) + 3 * n - 3
    moving = np.setdiff1d(np.arange(3 * n + 3), held)
    z = np.zeros(3 * n + 3)
    rows = []
    for target in targets:
        z[held] = target[held - (3 * n - 3)]
        wanted = np.zeros_like(z)
        wanted[-6:] = mesh.volume * target
        first = None
        for _ in range(60):
            forces, matrix = mesh.assemble((all_of @ z).reshape(-1, 3))
            residual = (all_of.T @ forces - wanted)[moving]
            first = max(first or 0.0, np.abs(forces).max())
            if np.abs(residual).max() < 1e-12 * first:
                break
            reduced = (all_of.T @ matrix @ all_of).tocsc()[moving][:, moving]
            z[moving] -= spla.spsolve(reduced, residual)
        else:
            raise AssertionError(f"the plain Newton stopped at {np.abs(residual).max():.1e}")
        mesh.commit()
        rows.append((z[-6:].copy(), uniform.T @ forces / mesh.volume))
    strains, stresses = zip(*rows, strict=True)
    return np.array(strains), np.array(stresses)
