"""Peers of `homogenization.py`: muGrid, scipy and pyamg, run by their own Python interpreter.

    PYTHON homogenization_peers.py JOB.json

Each solves the same discretisation: one trilinear hexahedron per voxel, 2x2x2 Gauss points,
periodic. All give C^H in energy form, whose error is the square of the field's; the time for it is
counted. One load case after the other, as their interfaces want it.

* muGrid: `IsotropicStiffnessOperator3D` (fused, element q1), `FFTEngine`, its own conjugate
  gradients, `make_reference_stiffness_preconditioner` with the mean Lame constants as its example
  does. The wheel of PyPI has neither MPI nor threads: one core. Double precision: in single it was
  slower on this machine's CPU, and stagnated at contrast 100.
* scipy: CSR matrix over the nodes that touch stiffness, `scipy.sparse.linalg.cg`, Jacobi.
* pyamg: the same matrix, smoothed aggregation with the six rigid motions as near null space, as
  preconditioner of the same `cg`.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from homogenization_search import Run, TooSlow, measure_all

MAX_ITERATIONS = 5000
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
ROOT2 = np.sqrt(2.0)
CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))


def unit_strains() -> np.ndarray:
    """The six Mandel basis strains as tensors (6, 3, 3)."""
    strains = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(PAIRS):
        strains[k, i, j] = strains[k, j, i] = 1.0 if i == j else 1.0 / ROOT2
    return strains


class Clock:
    """Seconds since it was made; `check` raises TooSlow after the limit."""

    def __init__(self, limit: float) -> None:
        self.begin, self.limit, self.steps = time.perf_counter(), limit, 0

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self.begin

    def check(self, *_: Any) -> None:
        """Count one iteration."""
        self.steps += 1
        if self.seconds > self.limit:
            raise TooSlow


class MuGrid:
    """Green-preconditioned conjugate gradients of muGrid on a cube of edge 1 per voxel."""

    def __init__(self, lmbda: np.ndarray, mu: np.ndarray) -> None:
        import muGrid
        from muGrid.Preconditioners import make_reference_stiffness_preconditioner
        from muGrid.Solvers import conjugate_gradients

        self.cg, self.communicator = conjugate_gradients, muGrid.Communicator()
        spacing, self.volume = (1.0, 1.0, 1.0), float(mu.size)
        self.engine = muGrid.FFTEngine(
            mu.shape, self.communicator, nb_ghosts_left=(1,) * 3, nb_ghosts_right=(1,) * 3
        )
        self.fields = self.engine.real_space_collection
        self.lmbda, self.mu = (self._scalar(n, v) for n, v in (("l", lmbda), ("m", mu)))
        self.operator = muGrid.IsotropicStiffnessOperator3D(spacing, muGrid.FEMElement.q1)
        self.preconditioner = make_reference_stiffness_preconditioner(
            self.engine,
            element=muGrid.FEMElement.q1,
            grid_spacing=spacing,
            lambda_ref=float(lmbda.mean()),
            mu_ref=float(mu.mean()),
        )
        self.u, self.f, self.r = (self.fields.real_field(n, (3,)) for n in "ufr")

    def _scalar(self, name: str, values: np.ndarray) -> Any:
        field = self.fields.real_field(name)
        field.p[...] = values
        self.engine.communicate_ghosts(field)
        return field

    def apply(self, u: Any, f: Any) -> None:
        """f = K u."""
        self.engine.communicate_ghosts(u)
        self.operator.apply(u, self.lmbda, self.mu, f)

    def stiffness(self, tol: float, clock: Clock) -> tuple[np.ndarray, int]:
        """C^H (6, 6) and the iterations of the slowest load case."""
        c, solutions, iterations = np.zeros((6, 6)), [], []
        strains = unit_strains()
        for k, strain in enumerate(strains):
            before = clock.steps
            self.operator.apply_macro_rhs(self.lmbda, self.mu, strain.ravel().tolist(), self.f)
            self.f.s[...] *= -1.0
            self.u.s[...] = 0.0
            self.cg(
                self.communicator,
                self.fields,
                self.f,
                self.u,
                hessp=self.apply,
                prec=self.preconditioner,
                rtol=tol,
                maxiter=MAX_ITERATIONS,
                callback=clock.check,
                residual=self.r,
            )
            iterations.append(clock.steps - before - 1)  # its first call is before iteration 1
            self.engine.communicate_ghosts(self.u)
            stress = self.operator.average_stress(
                self.u, self.lmbda, self.mu, strain.ravel().tolist()
            )
            solutions.append(np.array(self.u.s))
            mean = np.array(stress).reshape(3, 3)
            for i in range(k + 1):  # energy form: strain_i : stress_k - u_i . r_k
                virtual = np.vdot(solutions[i], self.r.s)
                c[i, k] = c[k, i] = (np.sum(strains[i] * mean) - virtual) / self.volume
        return c, max(iterations)


def strain_matrices() -> np.ndarray:
    """B (8, 6, 24) of a voxel of edge 1 at its Gauss points; Mandel rows."""
    points = 0.5 + (CORNERS - 0.5) / np.sqrt(3.0)
    b = np.zeros((8, 6, 24))
    for g, x in enumerate(points):
        for a, corner in enumerate(CORNERS):
            shape = np.where(corner, x, 1.0 - x)
            gradient = [np.prod(np.delete(shape, d)) * (2 * corner[d] - 1) for d in range(3)]
            for k, (i, j) in enumerate(PAIRS):
                if i == j:
                    b[g, k, 3 * a + i] = gradient[i]
                else:
                    b[g, k, 3 * a + i], b[g, k, 3 * a + j] = (
                        gradient[j] / ROOT2,
                        gradient[i] / ROOT2,
                    )
    return b


class Assembled:
    """CSR matrix over the nodes that touch stiffness, and one of two preconditioners."""

    def __init__(self, lmbda: np.ndarray, mu: np.ndarray, amg: bool) -> None:
        import scipy.sparse as sp
        import scipy.sparse.linalg as spla

        self.cg, self.volume = spla.cg, float(mu.size)
        voxels = np.argwhere(mu > 0.0)
        kind, phase = np.unique(
            np.stack([lmbda[mu > 0.0], mu[mu > 0.0]]), axis=1, return_inverse=True
        )
        identity = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
        c = np.array([x * np.outer(identity, identity) + 2.0 * y * np.eye(6) for x, y in kind.T])
        b = strain_matrices()
        self.mean = np.bincount(phase) @ c.reshape(len(c), -1)
        ke = np.einsum("gia,nij,gjb->nab", b, c, b) / 8.0
        fe = np.einsum("gia,nij->naj", b, c) / 8.0
        around = (voxels[:, None, :] + CORNERS) % mu.shape
        nodes, number = np.unique(
            np.ravel_multi_index(tuple(around.reshape(-1, 3).T), mu.shape), return_inverse=True
        )
        dofs = (3 * number.reshape(-1, 8, 1) + np.arange(3)).reshape(-1, 24).astype(np.int32)
        size = 3 * len(nodes)
        rows, columns = np.repeat(dofs, 24, axis=1).ravel(), np.tile(dofs, (1, 24)).ravel()
        self.matrix = sp.csr_matrix((ke[phase].ravel(), (rows, columns)), shape=(size, size))
        self.loads = np.zeros((size, 6))
        for k in range(6):
            self.loads[:, k] = np.bincount(dofs.ravel(), fe[phase, :, k].ravel(), minlength=size)
        if amg:
            self.preconditioner = self._aggregation(np.array(np.unravel_index(nodes, mu.shape)))
        else:
            inverse = 1.0 / self.matrix.diagonal()
            self.preconditioner = spla.LinearOperator(self.matrix.shape, lambda r: inverse * r)

    def _aggregation(self, x: np.ndarray) -> Any:
        import pyamg

        x = x - x.mean(axis=1, keepdims=True)
        motions = np.zeros((x.shape[1], 3, 6))
        motions[:, :, :3] = np.eye(3)
        for k, (i, j) in enumerate(((0, 1), (1, 2), (2, 0))):
            motions[:, i, 3 + k], motions[:, j, 3 + k] = x[j], -x[i]
        blocks = self.matrix.tobsr(blocksize=(3, 3))
        levels = pyamg.smoothed_aggregation_solver(blocks, B=motions.reshape(-1, 6))
        return levels.aspreconditioner()

    def stiffness(self, tol: float, clock: Clock) -> tuple[np.ndarray, int]:
        """C^H (6, 6) and the iterations of the slowest load case."""
        u, iterations = np.zeros_like(self.loads), []
        for k in range(6):
            before = clock.steps
            u[:, k], _ = self.cg(
                self.matrix,
                self.loads[:, k],
                M=self.preconditioner,
                rtol=tol,
                maxiter=MAX_ITERATIONS,
                callback=clock.check,
            )
            iterations.append(clock.steps - before)
        virtual = self.loads.T @ u
        c = self.mean.reshape(6, 6) - virtual - virtual.T + u.T @ (self.matrix @ u)
        return c / self.volume, max(iterations)


def make_solver(name: str, lmbda: np.ndarray, mu: np.ndarray) -> Any:
    """Setup of the peer called `name`."""
    if name == "muGrid":
        return MuGrid(lmbda, mu)
    return Assembled(lmbda, mu, amg=name == "pyamg")


def versions() -> dict[str, str]:
    """Versions of the peers here."""
    from importlib.metadata import version

    return {name: version(name) for name in ("muGrid", "scipy", "pyamg", "numpy")}


def main(path: str) -> None:
    """Measure what the job file asks for."""
    job = json.loads(Path(path).read_text())
    with np.load(job["cell"]) as cell:
        phases, (E, nu) = cell["phases"], cell["moduli"].T
    lmbda, mu = (E * nu / ((1.0 + nu) * (1.0 - 2.0 * nu)))[phases], (E / (2.0 + 2.0 * nu))[phases]
    warm = np.random.default_rng(0).uniform(1.0, 2.0, (4, 4, 4))
    make_solver(job["solver"], warm, warm).stiffness(1e-3, Clock(60.0))  # imports

    def solve(tol: float, limit: float) -> Run:
        clock, cpu = Clock(limit), time.process_time()
        solver = make_solver(job["solver"], lmbda, mu)
        setup = clock.seconds
        clock.check()
        clock.steps = 0
        stiffness, iterations = solver.stiffness(tol, clock)
        cpu = time.process_time() - cpu
        return Run(tol, clock.seconds, cpu, setup, iterations, stiffness)

    measure_all(job, solve, np.load(job["exact"]), order=2.0)


if __name__ == "__main__" and len(sys.argv) > 1:
    if sys.argv[1] == "--versions":
        print(json.dumps(versions()))
    else:
        main(sys.argv[1])
