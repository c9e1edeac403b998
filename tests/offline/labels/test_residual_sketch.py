"""The error sketch against a plain evaluation of its formula."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver
from offline.labels.greedy import ReducedLabels
from offline.labels.reduced_basis import ReducedBasis
from offline.labels.residual_sketch import N_TESTS, ResidualSketch
from offline.labels.sampling import sample_stiffnesses
from offline.labels.strain_products import StrainProducts, stiffness_pairs
from offline.rve import Rve

CELL = np.array([[2.0, 0.0, 0.0], [0.4, 1.0, 0.0], [0.0, 0.3, 1.5]])


@pytest.fixture(scope="module")
def sketched():
    """A solver, phase stiffnesses, a basis of six random fields and its sketch."""
    rng = np.random.default_rng(4)
    phases = rng.integers(0, 2, (5, 4, 6))
    solver = CellSolver(Rve(phases=phases, cell=CELL))
    stiffness = np.stack([isotropic(E=1.0, nu=0.3), isotropic(E=7.0, nu=0.1)])[None]
    products = StrainProducts.of(solver, stiffness_pairs(stiffness))
    reference = products.coefficients(stiffness)[0]
    basis = ReducedBasis.empty(products, reference)
    sketch = ResidualSketch.of(solver, products, seed=1)
    fields = rng.standard_normal((3 * solver.mesh.n_nodes, 6)).astype(np.float32)
    basis, beside = basis.extended_beside(fields, sketch.tests)
    return solver, stiffness, basis, sketch.extended(beside)


def node_scales(solver, sizes):
    """Mean size of the phases around each node's group, by loops over nodes and voxels."""
    shape, phases = solver.grid.shape, solver.rve.phases
    share = np.zeros((phases.size, 2))
    for node, (i, j, k) in enumerate(np.ndindex(*shape)):
        for a, b, c in np.ndindex(2, 2, 2):
            share[node, phases[i - a, j - b, k - c]] += 0.125
    group = [tuple(row > 0.0) for row in share]
    means = {g: share[[h == g for h in group]].mean(axis=0) for g in set(group)}
    return np.array([means[g] @ sizes for g in group])


def test_errors_equal_the_sketched_norm_of_the_residual(sketched):
    solver, stiffness, basis, sketch = sketched
    reduced = next(iter(basis.solve(stiffness)))
    operator = solver.with_stiffness(stiffness[0])
    u = basis.displacement(reduced.coefficients).reshape(-1, 18)
    residual = (operator.load_vectors() - operator.apply(u)[0]).reshape(-1, 6)
    sizes = np.prod(np.linalg.eigvalsh(stiffness[0]), axis=1) ** (1.0 / 6.0)
    tests = sum(np.asarray(t, dtype=float) for t in sketch.tests) / solver.grid.volume
    rows = (tests / np.sqrt(np.repeat(node_scales(solver, sizes), 3))[:, None]).T @ residual
    wanted = np.linalg.norm(rows.T @ rows) / N_TESTS / np.linalg.norm(reduced.effective)
    found = sketch.errors(stiffness, [reduced], basis.transform)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_unit_of_stress_does_not_change_relative_errors(sketched):
    _, stiffness, basis, sketch = sketched
    errors = [
        sketch.errors(c, list(basis.solve(c)), basis.transform)
        for c in (stiffness, 1e6 * stiffness)
    ]
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-9)


def test_test_fields_have_one_unit_of_reference_energy_per_unknown():
    solver = CellSolver(Rve(phases=np.zeros((12, 12, 12), int), cell=CELL))
    stiffness = np.eye(6)[None, None]  # the reference medium itself
    sketch = ResidualSketch.of(solver, StrainProducts.of(solver, stiffness_pairs(stiffness)))
    operator = solver.with_stiffness(stiffness[0])
    white = np.asarray(sketch.tests[0][:, :60], dtype=float) / np.sqrt(solver.grid.volume)
    works = [
        operator.apply(np.ascontiguousarray(white[:, s : s + 6]).reshape(-1, 18))[1]
        for s in range(0, 60, 6)
    ]
    # the mean of 311 000 squares of normal numbers is 1 up to 0.25 %
    assert np.mean(works) == pytest.approx(3 * 12**3 - 3, rel=6e-3)


def test_error_from_a_residual_is_that_of_the_reduced_solution():
    rve = Rve(phases=np.random.default_rng(5).integers(0, 2, (5, 4, 3)), phase_names=("a", "b"))
    samples = sample_stiffnesses(3, rve.void, seed=2)
    cell = CellSolver(rve)
    products = StrainProducts.of(cell, stiffness_pairs(samples))
    basis = ReducedBasis.empty(products, np.ones(len(products.pairs)))
    sketch = ResidualSketch.of(cell, products, seed=1)
    labels = ReducedLabels(samples, basis, sketch)
    labels.renew(np.arange(3))
    for i, stiffness in enumerate(samples):
        residual = cell.with_stiffness(stiffness).load_vectors().reshape(-1, 6)  # of u = 0
        found = sketch.field_error(stiffness, residual, labels.effective[i], rve.volume)
        assert found == pytest.approx(labels.raw[i], rel=1e-5)
