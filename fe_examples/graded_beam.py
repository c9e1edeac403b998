"""A cantilever whose cells change from place to place: a neural surrogate as constitutive law.

**Question.** How much stiffer is a cantilever of two phases if every cell may have a structure of
its own, compared with the best cell repeated everywhere? Homogenising each candidate of each cell
would take tens of thousands of cell problems; a network answers, with derivatives.

**Sketch.** A plate in plane strain, clamped on the left, pulled down by a force on the middle of
its right edge. Each finite element is one cell: 40 % of a stiff phase (E = 1000 MPa) in a soft one
(1 MPa)::

    |#################
    |#   n x m cells  | F
    |#################

**Equations.** Cell e is a thresholded sum of four waves, solid where it is below tau_e:

    psi = a1 cos 2 pi x + a2 cos 2 pi y + a3 cos 2 pi (x + y) + a4 cos 2 pi (x - y)

The shipped Voigt-Reuss net gives C(a, tau) between Voigt's and Reuss's bound. Minimise F u subject
to mean(c0) <= 0.4, with d(F u) / dp = - integral of eps : dC/dp : eps from one backward pass
through network and picture. Parameters are averaged over neighbours (a cone of 1.5 cells), so that
the structure changes gradually. The method of moving asymptotes moves all of them at once, by less
and less. The best repeated cell comes from the same method with one cell, from several starts.

A search prefers cells that the network thinks too stiff. So every few steps all cells are
homogenised, and until the next time C(a, tau) becomes A C(a, tau) A with the positive definite A
per cell that makes it true where it was tried. The network gives the slopes, the engine the level,
and only designs that were tried count.

**Number.** Every cell homogenised for what it is, the compliance is at least 50 % below that of
the best repeated cell, and within 5 % of what the corrected network said before it was tried.

    python fe_examples/graded_beam.py [--out DIR] [--quick]

References: K. Svanberg, Int. J. Numer. Meth. Engng 24 (1987) 359-373 (moving asymptotes). S. Keshav
and F. Fritzen, Robust inverse material design with physical guarantees using the Voigt-Reuss net.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI
from petsc4py import PETSc

from fe_examples import common
from offline.surrogates.voigt_reuss.fields import render, scaled_field
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate, load_surrogate
from umat_bridge.dolfinx import compat

FRACTION = 0.4  # of the stiff phase
WAVES = ((2, 1), (1, 2), (2, 2), (2, 0))  # places of a1 to a4 in the 3 x 3 amplitudes
LOW, HIGH = np.array([-1.0] * 4 + [0.05]), np.array([1.0] * 4 + [0.95])
SOFTNESS = 0.02  # of the threshold, so that pictures have derivatives
REACH = 1.5  # of the filter, in cells
FORCE = 1.0  # N/mm
MOVE, STARTS = 0.15, 4
SLOWEST = 0.05  # of MOVE, at the end
EVERY = 4  # steps from one homogenisation of all cells to the next
SLACK = 1e-3  # of the share
GREY = 5e-3  # what soft thresholds may hide of it
TOL, LEAST = 0.05, 0.50
Pull = Callable[[np.ndarray, np.ndarray], np.ndarray]


# ## The cells
# Parameters to pictures to stiffness; derivatives come back the same way.
class Cells:
    """The law: parameters (n, 5) of cells to stiffness (n, 3, 3) [MPa] and solid share (n,)."""

    def __init__(self, net: PlaneSurrogate, factors: np.ndarray | None = None) -> None:
        # in single precision rounding would soon decide between designs that are equally good
        self.net = net.double().requires_grad_(False)
        self.factors = factors  # A (n, 3, 3) of as many cells

    def __call__(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, Pull]:
        """The third pulls weights of C (n, 3, 3) and c0 (n,) back to p (n, 5)."""
        x = torch.tensor(p, requires_grad=True)
        pictures = render(amplitudes(x), x[:, 4], self.net.config.resolution, SOFTNESS)
        c0 = 1.0 - pictures.mean(dim=(1, 2))
        stiffness = self.net.stiffness(pictures, c0, symmetric=False)
        if self.factors is not None:
            a = torch.tensor(self.factors)
            stiffness = a @ stiffness @ a

        def pull(on_stiffness: np.ndarray, on_share: np.ndarray) -> np.ndarray:
            weights = (torch.tensor(on_stiffness), torch.tensor(on_share))
            (slope,) = torch.autograd.grad((stiffness, c0), x, weights, retain_graph=True)
            return slope.numpy()

        return stiffness.detach().numpy(), c0.detach().numpy(), pull

    def corrected(self, p: np.ndarray) -> Cells:
        """The law that is true at p (n, 5), with the network's relative change around it.

        A = C^-1/2 (C^1/2 E C^1/2)^1/2 C^-1/2 is the only positive definite A with A C A = E.
        """
        plain = Cells(self.net)
        c, exact = plain(p)[0], plain.exact(p)
        root, back = power(c, 0.5), power(c, -0.5)
        return Cells(self.net, back @ power(root @ exact @ root, 0.5) @ back)

    def exact(self, p: np.ndarray) -> np.ndarray:
        """Stiffness (n, 3, 3) by homogenising the black and white pictures."""
        images = self.pictures(p, self.net.config.resolution)
        return homogenize_images(images, self.net.output.phases.numpy())

    def pictures(self, p: np.ndarray, resolution: int) -> np.ndarray:
        """0 in the stiff phase, 1 in the soft one (n, res, res); axis 0 along x."""
        x = torch.tensor(p)
        level = scaled_field(amplitudes(x), resolution)
        return (level >= x[:, 4, None, None]).numpy().astype(np.uint8)


def power(c: np.ndarray, exponent: float) -> np.ndarray:
    """Powers of positive definite matrices (n, 3, 3)."""
    values, vectors = np.linalg.eigh(c)
    return np.asarray((vectors * values[:, None, :] ** exponent) @ vectors.transpose(0, 2, 1))


def amplitudes(x: torch.Tensor) -> torch.Tensor:
    """Matrices (n, 3, 3) of a trigonometric field."""
    matrix = x.new_zeros(len(x), 3, 3)
    for k, (row, column) in enumerate(WAVES):
        matrix[:, row, column] = x[:, k]
    return matrix


# ## The beam
# One quadrilateral per cell. The design lives on all ranks, cells are numbered column by column.
class Beam:
    """Finite elements with a stiffness per cell."""

    def __init__(self, n: int, m: int) -> None:
        kind = mesh.CellType.quadrilateral
        corners = [[0.0, 0.0], [float(n), float(m)]]
        self.domain = mesh.create_rectangle(MPI.COMM_WORLD, corners, [n, m], cell_type=kind)
        middle = compat.cell_coordinates(self.domain).mean(axis=1)
        self.own = (np.floor(middle[:, 0]) * m + np.floor(middle[:, 1])).astype(int)
        self.shape = (n, m)
        V = compat.function_space(self.domain, "Lagrange", 1, 2)
        Q = compat.function_space(self.domain, "DG", 0, 9)
        self.rows = compat.cell_dofs(Q)[: len(self.own), 0]
        self.C, self.u = fem.Function(Q), fem.Function(V, name="u")
        C = ufl.as_matrix([[self.C[3 * i + j] for j in range(3)] for i in range(3)])
        trial, test = ufl.TrialFunction(V), ufl.TestFunction(V)
        self.lhs = fem.form(ufl.dot(ufl.dot(C, mandel(trial)), mandel(test)) * ufl.dx)
        here = mesh.locate_entities_boundary(
            self.domain, 1, lambda x: np.isclose(x[0], n) & (abs(x[1] - m / 2) < m / 6 + 1e-9)
        )
        tags = mesh.meshtags(self.domain, 1, np.sort(here), np.ones(len(here), np.int32))
        ds = ufl.Measure("ds", self.domain, subdomain_data=tags)
        length = self.domain.comm.allreduce(
            fem.assemble_scalar(fem.form(fem.Constant(self.domain, 1.0) * ds(1)))
        )
        self.rhs = fem.form(fem.Constant(self.domain, -FORCE / length) * test[1] * ds(1))
        e, q = mandel(self.u), ufl.TestFunction(Q)
        self.squares = fem.form(
            sum(e[i] * e[j] * q[3 * i + j] for i in range(3) for j in range(3)) * ufl.dx
        )
        clamped = mesh.locate_entities_boundary(self.domain, 1, lambda x: np.isclose(x[0], 0.0))
        zero = fem.Function(V)
        self.bcs = [fem.dirichletbc(zero, fem.locate_dofs_topological(V, 1, clamped))]
        self.matrix = compat.create_matrix(self.lhs)
        self.solver = PETSc.KSP().create(self.domain.comm)
        self.solver.setType("preonly")
        self.solver.getPC().setType("lu")
        package = compat.direct_solver()
        if package is not None:
            self.solver.getPC().setFactorSolverType(package)

    def everywhere(self, own: np.ndarray) -> np.ndarray:
        """Values (n_cells, ...) of all cells from those of each rank."""
        whole = np.zeros((self.shape[0] * self.shape[1], *own.shape[1:]))
        whole[self.own] = own
        return np.asarray(self.domain.comm.allreduce(whole))

    def solve(self, stiffness: np.ndarray) -> tuple[float, np.ndarray]:
        """Compliance F u [N] and its slope (own cells, 3, 3) by the own cells' stiffness."""
        values = self.C.x.array.reshape(-1, 9)
        values[self.rows] = stiffness.reshape(-1, 9)
        self.C.x.scatter_forward()
        compat.assemble_matrix(self.matrix, self.lhs, self.bcs)
        load = assembled(self.rhs)
        compat.impose(load, self.bcs)
        self.solver.setOperators(self.matrix)
        self.solver.solve(load, compat.petsc_vector(self.u))
        self.u.x.scatter_forward()
        squares = assembled(self.squares).array.reshape(-1, 9)[self.rows]
        return float(load.dot(compat.petsc_vector(self.u))), -squares.reshape(-1, 3, 3)


def mandel(u: Any) -> Any:
    """Strain 11 22 12 in Mandel components."""
    e = ufl.sym(ufl.grad(u))
    return ufl.as_vector([e[0, 0], e[1, 1], np.sqrt(2.0) * e[0, 1]])


def assembled(form: Any) -> Any:
    """The vector of a linear form, complete on its owners."""
    vector = fem.petsc.assemble_vector(form)
    compat.sum_ghosts(vector)
    return vector


# ## Gradual change
# Each cell gets the mean of its neighbours' parameters, weighted by a cone.
def cone(n: int, m: int) -> np.ndarray:
    """Weights (n m, n m), rows sum to 1."""
    place = np.stack(np.meshgrid(np.arange(n), np.arange(m), indexing="ij"), -1).reshape(-1, 2)
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    weights = np.maximum(REACH - distance, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


class Value(NamedTuple):
    """Compliance, mean share of the stiff phase, and their slopes (as the design)."""

    compliance: float
    share: float
    d_compliance: np.ndarray
    d_share: np.ndarray


def graded(beam: Beam, cells: Cells, weights: np.ndarray, x: np.ndarray) -> Value:
    """A design x (cells, 5) with a structure per cell."""
    p = (weights @ x)[beam.own]
    stiffness, c0, pull = cells(p)
    compliance, on_stiffness = beam.solve(stiffness)
    count = len(weights)
    none, each = np.zeros_like(stiffness), np.full(len(c0), 1.0 / count)
    return Value(
        compliance,
        float(beam.everywhere(c0).mean()),
        weights.T @ beam.everywhere(pull(on_stiffness, 0.0 * each)),
        weights.T @ beam.everywhere(pull(none, each)),
    )


def repeated(beam: Beam, cells: Cells, x: np.ndarray) -> Value:
    """A design x (1, 5) that is the same everywhere."""
    stiffness, c0, pull = cells(x)
    compliance, slopes = beam.solve(np.repeat(stiffness, len(beam.own), axis=0))
    total = beam.everywhere(slopes).sum(axis=0, keepdims=True)
    none, one = np.zeros_like(stiffness), np.ones(1)
    return Value(compliance, float(c0[0]), pull(total, 0.0 * one), pull(none, one))


# ## Moving asymptotes
# Convex models of both functions, separable, between asymptotes x - reach and x + reach. With one
# constraint their best point is found by bisection for its multiplier, the price.
class Asymptotes:
    """Svanberg's method; `step` moves a design (n, 5) by at most `move` of the ranges."""

    def __init__(self, x: np.ndarray) -> None:
        self.reach = np.broadcast_to(0.3 * (HIGH - LOW), x.shape)
        self.old = self.older = x

    def step(self, x: np.ndarray, value: Value, scale: float, move: float = MOVE) -> np.ndarray:
        """The next design; `scale` makes the compliance of order one."""
        turn = (x - self.old) * (self.old - self.older)
        factor = np.where(turn < 0.0, 0.7, np.where(turn > 0.0, 1.2, 1.0))
        width = HIGH - LOW
        self.reach = np.clip(self.reach * factor, 0.02 * width, width)
        self.old, self.older = x, self.old
        room = np.minimum(move * width, 0.9 * self.reach)
        least, most = np.maximum(LOW, x - room), np.minimum(HIGH, x + room)
        goal, limit = self._model(value.d_compliance / scale), self._model(value.d_share)

        def best(price: float) -> np.ndarray:
            up, down = (np.sqrt(a + price * b) for a, b in zip(goal, limit, strict=True))
            return np.clip(x + self.reach * (down - up) / (down + up), least, most)

        def excess(new: np.ndarray) -> float:
            up, down = limit
            change = up / (self.reach - new + x) + down / (self.reach + new - x)
            return value.share - FRACTION + float((change - (up + down) / self.reach).sum())

        low, high = 1e-6, 1e6
        for _ in range(60):
            price = np.sqrt(low * high)
            low, high = (price, high) if excess(best(price)) > 0.0 else (low, price)
        return best(high)

    def _model(self, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What rises towards the upper asymptote, and towards the lower one."""
        little = 1e-6 * np.abs(slope).max()  # keeps the models strictly convex
        square = self.reach**2
        return square * (np.maximum(slope, 0.0) + little), square * (
            np.maximum(-slope, 0.0) + little
        )


class Found(NamedTuple):
    """The best design that was tried, its compliance as claimed before, and that of each step."""

    design: np.ndarray
    claimed: float
    history: list[float]


def optimise(
    evaluate: Callable[[np.ndarray], Value],
    x: np.ndarray,
    steps: int,
    correct: Callable[[np.ndarray], None] | None = None,
) -> Found:
    """The best admissible design among all steps, or among those at which `correct` is called.

    `correct(x)`, called every few steps and after the last one, makes `evaluate` true at x.
    """
    method, history, scale = Asymptotes(x), [], 1.0
    best, found = np.inf, Found(x, np.nan, history)
    for number in range(steps + 1):
        claimed = value = evaluate(x)
        tried = correct is None or number % EVERY == 0 or number == steps
        if correct is not None and tried:
            correct(x)
            value = evaluate(x)
        scale = value.compliance if number == 0 else scale
        history.append(value.compliance)
        if tried and value.share <= FRACTION + SLACK and value.compliance < best:
            best, found = value.compliance, Found(x, claimed.compliance, history)
        x = method.step(x, value, scale, MOVE * max(1.0 - (number / steps) ** 2, SLOWEST))
    return found


def best_repeated(beam: Beam, cells: Cells, steps: int) -> np.ndarray:
    """The best of some starts (1, 5)."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(STARTS):
        x = np.append(rng.uniform(-1.0, 1.0, len(WAVES)), 0.5)[None]
        x = optimise(lambda p: repeated(beam, cells, p), x, steps).design
        value = repeated(beam, cells, x)
        found.append((value.share > FRACTION + SLACK, value.compliance, x))
    return min(found, key=lambda one: one[:2])[2]


def best_graded(beam: Beam, cells: Cells, weights: np.ndarray, x: np.ndarray, steps: int) -> Found:
    """From a design x (cells, 5), with corrections on the way."""
    law = cells

    def correct(design: np.ndarray) -> None:
        nonlocal law
        law = cells.corrected((weights @ design)[beam.own])

    return optimise(lambda design: graded(beam, law, weights, design), x, steps, correct)


# ## Is it true?
def slope_error(beam: Beam, cells: Cells, weights: np.ndarray, x: np.ndarray) -> float:
    """Relative difference of the slope along a random direction to a central difference."""
    direction = np.random.default_rng(1).uniform(-1.0, 1.0, x.shape)
    h = 1e-7  # networks have kinks
    up, down = (graded(beam, cells, weights, x + s * h * direction).compliance for s in (1, -1))
    slope = float((graded(beam, cells, weights, x).d_compliance * direction).sum())
    return abs((up - down) / (2.0 * h * slope) - 1.0)


def verified(beam: Beam, cells: Cells, p: np.ndarray) -> tuple[float, np.ndarray]:
    """Compliance with each own cell of p (own, 5) homogenised, and the network's errors."""
    exact = cells.exact(p)
    predicted = cells(p)[0]
    axes = (1, 2)
    error = np.linalg.norm(predicted - exact, axis=axes) / np.linalg.norm(exact, axis=axes)
    return beam.solve(exact)[0], beam.everywhere(error)


# ## The picture
def draw(
    beam: Beam, cells: Cells, p: np.ndarray, history: list[float], one: float, path: Any
) -> None:
    """All cells side by side, and the compliance over the steps."""
    n, m = beam.shape
    fine = 40
    tiles = cells.pictures(p, fine).reshape(n, m, fine, fine)
    whole = tiles.transpose(0, 2, 1, 3).reshape(n * fine, m * fine)
    fig = common.figure(8.0, 6.5)
    top, bottom = fig.subplots(2, 1, height_ratios=[2.2, 1.0])
    top.imshow(1 - whole.T, origin="lower", extent=(0, n, 0, m), cmap="Blues", vmin=0.0, vmax=1.3)
    top.set(xticks=[], yticks=[], title="stiff phase of all cells (clamped left, force right)")
    bottom.plot(np.array(history) / one, color="#1b6ca8")
    bottom.axhline(1.0, color="#b05a2c", label="best cell repeated")
    bottom.set(xlabel="step", ylabel="compliance [-]", ylim=(0.0, 1.1))
    bottom.legend(loc="lower left")
    common.save_figure(fig, path)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Optimise, verify, draw."""
    given = common.options("graded_beam", __doc__, arguments)
    torch.set_num_threads(1)
    n, m, steps = (12, 6, 30) if given.quick else (18, 9, 40)
    beam, cells, weights = Beam(n, m), Cells(load_surrogate()), cone(n, m)
    single = best_repeated(beam, cells, 20)
    start = np.repeat(single, n * m, axis=0)
    common.check(
        "slope by the network",
        1.0 + slope_error(beam, cells, weights, start),
        1.0,
        1e-4,
        "differences",
    )
    design, claimed, history = best_graded(beam, cells, weights, start, steps)
    p = weights @ design
    compliance, errors = verified(beam, cells, p[beam.own])
    whole, _ = verified(beam, cells, start[beam.own])
    share = float(1.0 - cells.pictures(p, cells.net.config.resolution).mean())
    saved = 1.0 - compliance / whole
    common.say(
        f"compliance {compliance:.5g} N, best repeated cell {whole:.5g} N: {saved:.1%} less with "
        f"{share:.2%} of the stiff phase; errors of the cells' stiffness: median "
        f"{np.median(errors):.2%}, mean {errors.mean():.2%}, largest {errors.max():.2%}"
    )
    common.check("compliance", claimed, compliance, TOL, "every cell homogenised")
    if share > FRACTION + GREY:
        raise common.CheckError(
            f"the design has {share:.2%} of stiff phase, allowed {FRACTION:.0%}."
        )
    if saved < LEAST:
        raise common.CheckError(
            f"the graded beam saves {saved:.1%}, expected at least {LEAST:.0%}."
        )
    numbers = {
        "cells": n * m,
        "compliance": compliance,
        "predicted": claimed,
        "repeated": whole,
        "saved": saved,
        "share": share,
        "median_error": float(np.median(errors)),
        "largest_error": float(errors.max()),
        "history": history,
        "repeated_cell": single[0].tolist(),
    }
    common.write_numbers(given.out / "graded_beam.json", numbers)
    with common.ParaView(given.out / "graded_beam.xdmf", beam.u) as file:
        file.write(0.0)
    draw(beam, cells, p, history, history[0], given.out / "graded_beam.png")
    return numbers


if __name__ == "__main__":
    main()
