"""The stiffness matrix applied row by row equals element matrices added one by one."""

import numpy as np
import pytest

from matnet.elasticity import cubic, isotropic
from offline.homogenization import CellSolver, element_rows
from offline.rve import Rve

SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])
BRICK = np.diag([1.0, 2.0, 0.7])
STEEL = isotropic(E=1.0, nu=0.3)
VOID = np.zeros((6, 6))
SHAPES = [(3, 4, 5), (1, 4, 5), (5, 1, 7), (6, 5, 1), (2, 2, 2), (13, 3, 11), (9, 6, 2)]
NAMES = ("void", "soft", "stiff")


def plain(operator, p):
    """K p by loops over elements and dense 24x24 matrices."""
    mesh, q = operator.mesh, np.zeros_like(p)
    matrices = operator.solver.grid.element_stiffness(operator.stiffness)
    for nodes, phase, density in zip(mesh.elements, mesh.phase, mesh.density, strict=True):
        forces = density * matrices[phase] @ p[nodes].reshape(24, 6)
        np.add.at(q, nodes, forces.reshape(8, 18))
    return q


def operator_of(rve, stiffnesses):
    void = [not np.any(c) for c in stiffnesses]
    return CellSolver(rve, void=void, allow_disconnected=True).with_stiffness(stiffnesses)


def require_equal(operator, rng):
    p = rng.normal(size=(operator.mesh.n_nodes, 18))
    expected = plain(operator, p)
    size = np.abs(expected).max()
    found, work = operator.apply(p)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * size)
    per_load = (p * expected).reshape(-1, 3, 6).sum(axis=(0, 1))
    np.testing.assert_allclose(work, per_load, rtol=1e-12)
    single = np.empty(p.shape, np.float32)
    work = operator.apply_scaled(p.astype(np.float32), single)
    np.testing.assert_allclose(single * operator.unit, expected, rtol=0, atol=1e-5 * size)
    np.testing.assert_allclose(work * operator.unit, per_load, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lattice", [BRICK, SHEARED], ids=["brick", "sheared"])
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
def test_rows_equal_plain_loops(shape, lattice, kind, rng, random_stiffness):
    phases = rng.integers(0, 3, shape)
    phases[0, 0, 0] = 1
    some = [3.0 * STEEL, 0.4 * STEEL]
    if kind == "anisotropic":
        some = [random_stiffness(rng), random_stiffness(rng)]
    for first in (VOID, STEEL):
        for density in (None, rng.random(shape)):
            rve = Rve(phases=phases, cell=lattice, density=density, phase_names=NAMES)
            require_equal(operator_of(rve, [first, *some]), rng)


def test_rows_take_many_turned_phases(rng):
    turns = np.linalg.qr(rng.normal(size=(7, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    rve = Rve(phases=rng.integers(0, 7, (8, 5, 6)), orientations=turns)
    require_equal(operator_of(rve, [cubic(C11=168.4, C12=121.4, C44=75.4)] * 7), rng)


def test_rows_without_elements_are_skipped(rng):
    phases = np.zeros((9, 7, 6), int)
    phases[:, 2, :], phases[4, 4:6, 1:3], phases[8, 6, 5] = 1, 1, 1
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    solver = CellSolver(rve, void=[True, False], allow_disconnected=True)
    require_equal(solver.with_stiffness([VOID, STEEL]), rng)


def test_only_aligned_orthotropic_boxes_leave_products_out(rng, random_stiffness):
    def products(lattice, stiffness):
        operator = operator_of(Rve(phases=np.zeros((2, 2, 2), int), cell=lattice), [stiffness])
        return operator._tables[np.float64].shape[1]

    assert (len(element_rows.ALIGNED), len(element_rows.GENERAL)) == (45, 171)
    assert products(BRICK, cubic(C11=3.0, C12=1.0, C44=2.0)) == 45
    assert products(SHEARED, STEEL) == products(BRICK, random_stiffness(rng)) == 171


def test_threads_do_not_change_a_bit(rng):
    rve = Rve(phases=rng.integers(0, 2, (32, 32, 40)))
    found = []
    for threads in (1, 2):
        operator = CellSolver(rve, threads=threads).with_stiffness([STEEL, 9.0 * STEEL])
        p = np.random.default_rng(4).normal(size=(operator.mesh.n_nodes, 18)).astype(np.float32)
        q = np.empty_like(p)
        found.append((q, operator.apply_scaled(p, q)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_fields_with_strides_are_copied_first(rng):
    rve = Rve(phases=rng.integers(0, 2, (4, 3, 5)))
    operator = CellSolver(rve).with_stiffness([STEEL, 9.0 * STEEL])
    p = rng.normal(size=(18, 60)).T
    expected, work = operator.apply(np.ascontiguousarray(p))
    found, same_work = operator.apply(p)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(work, same_work)
    with pytest.raises(TypeError, match="have to be contiguous"):
        operator.apply(p, out=np.empty((18, 60)).T)
