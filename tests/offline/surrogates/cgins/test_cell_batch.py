"""Batches of cells against the homogenisation engine, assembled matrices and differences."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError, ShapeError
from offline.homogenization.effective import homogenize
from offline.homogenization.options import SolverOptions
from offline.rve.rve import Rve
from offline.surrogates.cgins.cell_batch import UPPER, CellBatch
from offline.surrogates.cgins.embedded_pcg import embedded_pcg
from offline.surrogates.cgins.galerkin import coarse_operator
from offline.surrogates.cgins.stiffness import ENGINES, StiffnessOperator, to_displacement
from offline.surrogates.cgins.transfer import coarsen

from .cells import DEVICES, KINDS, composite, dense, graded, truss

DOUBLE = torch.float64


def converged(batch, steps=300):
    return embedded_pcg(batch.operator, batch.load, torch.zeros_like(batch.load), steps, batch.grid)


@pytest.mark.parametrize("device", DEVICES)
def test_effective_stiffness_is_that_of_the_engine(device):
    cells = [make(seed) for seed, make in enumerate(KINDS.values())]
    batch = CellBatch.of(cells, soft=None, dtype=DOUBLE, device=device)
    found = batch.operator.effective(converged(batch)).cpu().numpy()
    starts = to_displacement(converged(batch), batch.grid)
    options = SolverOptions(residual_tol=1e-9)
    for (rve, c), stiffness, start in zip(cells, found, starts, strict=True):
        exact = homogenize(rve, c, options, start=start)
        assert exact.iterations.max() == 0  # the same u, in the same convention
        assert np.abs(stiffness - exact.stiffness).max() < 1e-8 * np.abs(exact.stiffness).max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_all_engines_give_the_same_product(kind, engine):
    batch = CellBatch.of([KINDS[kind](0), KINDS[kind](1)], levels=2, dtype=DOUBLE)
    torch.manual_seed(0)
    for operator in batch.operators:
        other = StiffnessOperator(operator.elements, batch.operator.materials, engine)
        u = torch.randn(operator.grid.n_nodes, 3, 6, dtype=DOUBLE)
        expected = operator.apply(u)
        assert (other.apply(u) - expected).abs().max() < 1e-13 * expected.abs().max()


def test_blocks_gathered_by_torch_equal_the_compiled_ones():
    batch = CellBatch.of([composite(0), composite(1)], dtype=DOUBLE)
    elements = batch.operator.elements
    rows = torch.arange(batch.grid.n_nodes)
    gathered = elements._gathered_blocks(rows, elements.ke)
    assert (gathered - batch.operator.stencil.expanded()).abs().max() < 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_coarse_operators_are_galerkin_products(kind):
    batch = CellBatch.of([KINDS[kind](0, (4, 8, 4))], levels=3, dtype=DOUBLE)
    for level in (0, 1):
        fine, coarse = batch.operators[level], batch.operators[level + 1]
        n = fine.grid.n_nodes
        p = batch.transfers[level].prolong(torch.eye(coarse.grid.n_nodes, dtype=DOUBLE))
        p = torch.kron(p, torch.eye(3, dtype=DOUBLE))
        expected = p.T @ dense(fine) @ p
        found = dense(coarse)
        assert (found - expected).abs().max() < 1e-13 * expected.abs().max()
        assert torch.allclose(coarse.diagonal.reshape(-1), expected.diagonal())
        load = p.T @ batch.loads[level].reshape(3 * n, 6)
        assert (batch.loads[level + 1].reshape(-1, 6) - load).abs().max() < 1e-13


@pytest.mark.parametrize("include_soft", [True, False])
def test_effective_stiffness_is_the_sum_of_element_energies(include_soft):
    batch = CellBatch.of([composite(0), truss(1)], soft=1e-2, dtype=DOUBLE)
    operator, grid = batch.operator, batch.grid
    torch.manual_seed(0)
    u = torch.randn(batch.load.shape, dtype=DOUBLE)
    energies = operator.element_energies(u)
    if not include_soft:
        solid = operator.materials.solid[operator.elements.material]
        energies = energies * solid[:, None, None]
    cell = grid.sample[operator.elements.nodes[:, 0]]
    expected = torch.zeros(2, 6, 6, dtype=DOUBLE).index_add_(0, cell, energies)
    found = operator.effective(u, include_soft)
    assert (found - expected).abs().max() < 1e-12 * expected.abs().max()


def test_element_energies_are_the_derivative_of_the_stiffness_by_density():
    rve, c = graded(3, (4, 4, 4))
    batch = CellBatch.of([(rve, c)], dtype=DOUBLE)
    energies = batch.operator.element_energies(converged(batch)).numpy()
    voxel = 37
    assert batch.operator.materials.voxel[voxel] == voxel
    step, changed = 1e-4, []
    for sign in (1.0, -1.0):
        density = rve.density.copy()
        density.ravel()[voxel] += sign * step
        shifted = CellBatch.of([(replace(rve, density=density), c)], dtype=DOUBLE)
        changed.append(shifted.operator.effective(converged(shifted))[0].numpy())
    difference = (changed[0] - changed[1]) / (2 * step)
    assert np.abs(difference - energies[voxel]).max() < 1e-6 * np.abs(difference).max()


def test_derivatives_of_product_and_stiffness_match_differences():
    batch = CellBatch.of([truss(0, (2, 4, 2)), truss(1, (2, 4, 2))], dtype=DOUBLE)
    torch.manual_seed(0)
    u = torch.randn(batch.load.shape, dtype=DOUBLE, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(batch.operator.apply, u, fast_mode=True)
    for include_soft in (True, False):
        assert check(lambda v, s=include_soft: batch.operator.effective(v, s), u, fast_mode=True)


def test_padding_is_one_layer_of_voxels_with_the_given_stiffness():
    phases = np.zeros((6, 6, 6), int)
    phases[1, 2, 0] = 1
    c = np.stack([np.zeros((6, 6)), 3.0 * np.eye(6)])
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    batch = CellBatch.of([(rve, c)], soft=1e-3, dtype=DOUBLE)
    materials, elements = batch.operator.materials, batch.operator.elements
    around = {tuple(n % 6 for n in (1 + i, 2 + j, k)) for i, j, k in product((-1, 0, 1), repeat=3)}
    voxels = np.array(np.unravel_index(materials.voxel.numpy(), rve.shape)).T
    assert {tuple(v) for v in voxels.tolist()} == around
    stiffness = materials.stiffness[elements.material]
    solid = materials.solid[elements.material]
    assert solid.sum() == 1
    assert torch.allclose(stiffness[~solid], 3e-3 * torch.eye(6, dtype=DOUBLE))
    assert batch.grid.n_nodes == 64 and batch.solid.sum() == 8
    mean = torch.eye(6, dtype=DOUBLE)[UPPER] / 8.0
    assert torch.allclose(batch.node_stiffness[batch.solid], mean)
    assert not batch.node_stiffness[~batch.solid].any()
    assert torch.allclose(batch.mean_stiffness[0], 3.0 * torch.eye(6, dtype=DOUBLE) / 216)


def test_stiffness_at_nodes_is_the_mean_of_the_voxels_around_them():
    rve, c = composite(5)
    batch = CellBatch.of([(rve, c)], dtype=DOUBLE)
    local = np.zeros((len(batch.operator.materials.stiffness), 6, 6))
    local[:-1] = batch.operator.materials.stiffness[:-1].numpy()
    field = local[rve.phases]
    mean = sum(np.roll(field, s, (0, 1, 2)) for s in product((0, 1), repeat=3)) / 8.0
    mean = mean.reshape(-1, 6, 6)[batch.grid.node.numpy()] / np.abs(c).max()
    found = batch.node_stiffness.numpy()
    assert np.allclose(found, mean[:, UPPER[0], UPPER[1]], atol=1e-14)


def test_mean_stiffness_weighs_densities():
    rve, c = graded(6)
    batch = CellBatch.of([(rve, c)], dtype=DOUBLE)
    assert np.allclose(batch.mean_stiffness[0].numpy(), rve.density.mean() * c[0])
    assert np.allclose(batch.volume.numpy(), rve.volume)


def test_soft_padding_changes_the_stiffness_little():
    cell = truss(7, (4, 4, 4))
    bare = CellBatch.of([cell], soft=None, dtype=DOUBLE)
    padded = CellBatch.of([cell], soft=1e-6, dtype=DOUBLE)
    exact = bare.operator.effective(converged(bare, 200))
    found = padded.operator.effective(converged(padded, 400))
    assert (found - exact).abs().max() < 1e-3 * exact.abs().max()


def test_coarse_operator_of_a_batch_without_padding_is_exact_too():
    batch = CellBatch.of([truss(0, (4, 4, 4))], soft=None, dtype=DOUBLE)
    coarse, transfer = coarsen(batch.grid)
    operator = coarse_operator(batch.operator, coarse)
    u = torch.randn(coarse.n_nodes, 3, 6, dtype=DOUBLE)
    expected = transfer.restrict(batch.operator.apply(transfer.prolong(u)))
    assert (operator.apply(u) - expected).abs().max() < 1e-13 * expected.abs().max()


def test_cells_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match="expected one shape"):
        CellBatch.of([truss(0, (4, 4, 4)), truss(1, (4, 4, 6))])


def test_no_cells_are_refused():
    with pytest.raises(ParameterError, match="a batch needs at least one cell"):
        CellBatch.of([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "levels is 0, expected 1 or more"),
        ({"soft": 2.0}, "soft is 2, expected between 0 and 1"),
        ({"levels": 3}, "cannot be coarsened"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        CellBatch.of([truss(0, (6, 4, 6))], **options)


def test_a_cell_of_void_is_refused():
    rve = Rve(phases=np.zeros((2, 2, 2), int), phase_names=("void",))
    with pytest.raises(ParameterError, match="a cell has no solid"):
        CellBatch.of([(rve, np.zeros((1, 6, 6)))])


def test_unknown_engines_are_refused():
    operator = CellBatch.of([truss(0)]).operator
    with pytest.raises(ParameterError, match="engine 'fast' on device cpu is not known"):
        StiffnessOperator(operator.elements, operator.materials, "fast")


def test_displacements_are_zero_at_inactive_nodes():
    batch = CellBatch.of([truss(0), truss(1)], dtype=DOUBLE)
    u = torch.randn(batch.load.shape, dtype=DOUBLE)
    array = to_displacement(u, batch.grid)
    assert array.shape == (2, 6, *batch.grid.shape, 3)
    assert np.count_nonzero(array) == u.numel()
    index = batch.grid.index()[5]
    assert np.array_equal(array[0, :, index[0], index[1], index[2], :], u[5].T.numpy())


def test_operators_made_and_used_in_mixed_precision_are_exact():
    plain = CellBatch.of([truss(3)], levels=2)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = CellBatch.of([truss(3)], levels=2)
        forces = [op.apply(f) for op, f in zip(mixed.operators, mixed.loads, strict=True)]
    for op, f, force in zip(plain.operators, plain.loads, forces, strict=True):
        assert torch.equal(force, op.apply(f))
