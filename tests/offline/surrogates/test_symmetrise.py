"""Symmetries of cells, and the mean of displacements over them."""

from math import prod

import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.mandel import rotate_stiffness
from offline.homogenization import CellSolver, SolverOptions
from offline.rve.generators.registry import make
from offline.rve.rve import Rve
from offline.surrogates.symmetrise import _applied, stages, symmetrise

SOLID = isotropic(E=1.0, nu=0.3)
TURN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # a mirror, 1 <-> 2


def truss(name="octet", n=12):
    return make(name, n=n, volume_fraction=0.5), np.stack([0.0 * SOLID, SOLID])


def anisotropic(seed=3):
    a = np.random.default_rng(seed).normal(size=(6, 6))
    return a @ a.T + 3.0 * np.eye(6)


def mirrored_pair():
    """Two anisotropic phases, the second the mirror image of the first, as is its shape."""
    phases = np.zeros((6, 6, 4), dtype=int)
    phases[1:4, 2, :3] = 1
    phases = phases + 2 * phases.swapaxes(0, 1)
    phases[phases == 3] = 0
    c = anisotropic()
    return Rve(phases=phases), np.stack([SOLID, c, rotate_stiffness(c, TURN)])


def sheared():
    """Lattice vectors of equal length at 70 degrees, which only some permutations keep."""
    angle = np.deg2rad(70.0)
    phases = np.zeros((6, 6, 4), dtype=int)
    phases[1, 1] = 1
    cell = [[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0], [0.0, 0.0, 0.7]]
    return Rve(phases=phases, cell=np.array(cell)), np.stack([SOLID, 5.0 * SOLID])


def graded():
    """A density that is even along axis 3 about a plane through voxel centres."""
    density = np.random.default_rng(0).uniform(0.3, 1.0, (4, 4, 5))
    density[..., 3:] = density[..., 1::-1]
    return Rve(phases=np.zeros((4, 4, 5), dtype=int), density=density), SOLID[None]


CELLS = {
    "octet": truss,
    "gyroid": lambda: truss("gyroid"),
    "mirrored pair": mirrored_pair,
    "sheared": sheared,
}


def operations(cell):
    """All elements of a cell's group."""
    rve, _ = cell
    found = None
    for stage in stages(*cell):
        found = stage if found is None else [a.after(b, rve.shape) for a in stage for b in found]
    return found


def system(cell):
    rve, c = cell
    solver = CellSolver(rve, void=~c.any(axis=(1, 2)))
    return solver, solver.with_stiffness(c)


def random_field(rve, seed=0):
    return 0.1 * np.random.default_rng(seed).normal(size=(6, *rve.shape, 3))


def applied(operation, u, rve):
    turned = _applied(operation, np.moveaxis(u, -1, 1), rve.cell)
    return np.moveaxis(turned, 1, -1)


@pytest.mark.parametrize(
    ("cell", "order"),
    [
        (truss("simple-cubic"), 48),  # P m-3m
        (truss("kelvin"), 96),  # I m-3m
        (truss("octet"), 192),  # F m-3m
        (truss("gyroid"), 48),  # I 4_1 32
        (mirrored_pair(), 2),
        (sheared(), 32),  # m m m, and four shifts along the fibre
    ],
)
def test_groups_have_the_order_of_the_space_group(cell, order):
    found = operations(cell)
    assert len(found) == len(set(found)) == order == prod(map(len, stages(*cell)))


@pytest.mark.parametrize("name", CELLS)
def test_operations_turn_the_stiffness_that_a_field_gives(name):
    cell = CELLS[name]()
    rve, _ = cell
    solver, operator = system(cell)
    u = random_field(rve)
    c = operator.energy(solver.pack(u))
    for operation in operations(cell)[1:20]:
        turned = operator.energy(solver.pack(applied(operation, u, rve)))
        q = operation.rotation(rve.cell)
        assert np.abs(turned - rotate_stiffness(c, q)).max() < 1e-12 * np.abs(c).max()


@pytest.mark.parametrize("name", CELLS)
def test_mean_is_the_same_in_every_image(name):
    cell = CELLS[name]()
    rve, _ = cell
    u = symmetrise(random_field(rve), *cell)
    for operation in operations(cell):
        assert np.abs(applied(operation, u, rve) - u).max() < 1e-14
    images = [applied(g, random_field(rve), rve) for g in operations(cell)]
    assert np.abs(np.mean(images, axis=0) - u).max() < 1e-14


def test_mean_over_a_cubic_cell_gives_a_cubic_stiffness():
    cell = truss()
    solver, operator = system(cell)
    c = operator.energy(solver.pack(symmetrise(random_field(cell[0]), *cell)))
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = c[0, 1]
    cubic[range(6), range(6)] = [c[0, 0]] * 3 + [c[3, 3]] * 3
    assert np.abs(c - cubic).max() < 1e-13 * np.abs(c).max()


@pytest.mark.parametrize("name", CELLS)
def test_energy_of_the_mean_is_not_above_the_mean_energy(name):
    cell = CELLS[name]()
    rve, _ = cell
    solver, operator = system(cell)
    u = random_field(rve)
    before, after = (operator.energy(solver.pack(v)) for v in (u, symmetrise(u, *cell)))
    images = [rotate_stiffness(before, g.rotation(rve.cell)) for g in operations(cell)]
    assert np.linalg.eigvalsh(np.mean(images, axis=0) - after)[0] > 0.0
    assert np.trace(after) < 0.99 * np.trace(before)


@pytest.mark.parametrize("name", CELLS)
def test_solution_is_its_own_mean(name):
    cell = CELLS[name]()
    solver, operator = system(cell)
    exact = solver.unpack(operator.solve(SolverOptions(residual_tol=1e-10)).u)
    assert np.abs(symmetrise(exact, *cell) - exact).max() < 1e-8


def test_field_of_a_cell_without_symmetry_comes_back_untouched():
    rng = np.random.default_rng(0)
    rve = Rve(phases=rng.integers(0, 2, (6, 6, 6)))
    u = random_field(rve)
    assert symmetrise(u, rve, [SOLID, 2.0 * SOLID]) is u


def test_one_voxel_breaks_the_symmetry():
    rve, c = truss()
    phases = rve.phases.copy()
    phases[0, 1, 3:5] = 1 - phases[0, 1, 3:5]
    assert stages(rve.with_phases(phases), c) == []


def test_three_voxels_among_thousands_are_seen():
    spots = ([1, 2, 7], [5, 5, 9], [3, 11, 12])
    phases, density = np.zeros((16, 16, 16), dtype=int), np.ones((16, 16, 16))
    assert len(operations((Rve(phases=phases, density=density), SOLID[None]))) == 48 * 4**3
    density[spots] = 0.9
    assert stages(Rve(phases=phases, density=density), SOLID[None]) == []
    phases[spots] = 1
    assert stages(Rve(phases=phases), [SOLID, 1.1 * SOLID]) == []
    assert len(stages(Rve(phases=phases), [SOLID, SOLID])) > 0  # phases may be equal


def test_phases_without_symmetry_break_that_of_the_shape():
    rve = Rve(phases=np.zeros((3, 3, 3), dtype=int))
    assert len(operations((rve, SOLID[None]))) == 48
    c = anisotropic()
    assert len(operations((rve, c[None]))) == 2  # every stiffness is its own inversion
    turned = Rve(phases=rve.phases, orientations=np.array([[[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]]))
    orthotropic = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert len(operations((turned, orthotropic[None]))) == 8


def test_densities_count_and_void_has_none():
    cell = graded()
    assert len(operations(cell)) == 2
    rve, _ = cell
    u = symmetrise(random_field(rve), *cell)
    solver, operator = system(cell)
    c = operator.energy(solver.pack(u))
    assert np.abs(c[[0, 1, 2, 3]][:, [4, 5]]).max() < 1e-13  # the mirror changes sign of 13, 23
    assert operations((rve, 0.0 * SOLID[None])) == operations(
        (Rve(phases=rve.phases), 0.0 * SOLID[None])
    )
