"""Embedded conjugate gradients against plain ones, and their derivatives."""

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError
from offline.surrogates.cgins.cell_batch import CellBatch
from offline.surrogates.cgins.embedded_pcg import embedded_pcg
from offline.surrogates.cgins.stiffness import StiffnessOperator

from .cells import DEVICES, composite, dense, graded, truss

SHAPE = (4, 4, 4)


def small_batch(dtype=torch.float64, device="cpu", engine=None, levels=1):
    cells = [composite(0, SHAPE), graded(1, SHAPE), truss(2, SHAPE)]
    batch = CellBatch.of(cells, dtype=dtype, device=device, levels=levels)
    operator = StiffnessOperator(batch.operator.elements, batch.operator.materials, engine)
    torch.manual_seed(0)
    start = torch.randn(batch.load.shape, dtype=torch.float64).to(device, dtype)
    return batch, operator, start


def plain_pcg(k_matrix, f, u, steps):
    """Textbook Jacobi-PCG for one load (Saad, Iterative Methods, 2nd ed., algorithm 9.1)."""
    inverse = 1.0 / np.diag(k_matrix)
    r = f - k_matrix @ u
    residuals = [np.linalg.norm(r)]
    z = inverse * r
    p = z
    for _ in range(steps):
        q = k_matrix @ p
        alpha = r @ z / (p @ q)
        u, r_next = u + alpha * p, r - alpha * q
        z_next = inverse * r_next
        p = z_next + (r_next @ z_next) / (r @ z) * p
        r, z = r_next, z_next
        residuals.append(np.linalg.norm(r))
    return u, np.array(residuals) / np.linalg.norm(f)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("engine", [None, "elements", "assembled"])
def test_steps_are_those_of_plain_pcg_for_each_cell_and_load(device, engine):
    batch, operator, start = small_batch(device=device, engine=engine)
    u, residual = embedded_pcg(operator, batch.load, start, 6, batch.grid, history=True)
    k_matrix = dense(operator).numpy()
    for cell, (first, stop) in enumerate(batch.grid.slices):
        block = k_matrix[3 * first : 3 * stop, 3 * first : 3 * stop]
        for load in (0, 4):
            begin = start[first:stop, :, load].cpu()
            begin = (begin - begin.mean(0)).reshape(-1).numpy()
            f = batch.load[first:stop, :, load].cpu().reshape(-1).numpy()
            expected, residuals = plain_pcg(block, f, begin, 6)
            found = u[first:stop, :, load].cpu().reshape(-1).numpy()
            assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
            assert np.allclose(residual[:, cell, load].cpu(), residuals, rtol=1e-9)


@pytest.mark.parametrize("engine", ["stencil", "elements"])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_derivatives_by_start_and_load_match_differences(engine, k):
    cells = [truss(0, (2, 3, 2)), graded(1, (2, 3, 2))]
    batch = CellBatch.of(cells, dtype=torch.float64)
    operator = StiffnessOperator(batch.operator.elements, batch.operator.materials, engine)
    torch.manual_seed(1)
    start = torch.randn(batch.load.shape, dtype=torch.float64, requires_grad=True)
    load = batch.load.clone().requires_grad_(k > 0)

    def solve(u0, f):
        return embedded_pcg(operator, f, u0, k, batch.grid)

    assert torch.autograd.gradcheck(solve, (start, load), fast_mode=True)
    loss = solve(start, load).pow(2).sum()
    slope = torch.autograd.grad(loss, start)[0]
    step = 1e-6
    for index in [(0, 0, 0), (5, 2, 3), (batch.grid.n_nodes - 1, 1, 5)]:
        shifted = [start.detach().clone() for _ in range(2)]
        shifted[0][index] += step
        shifted[1][index] -= step
        up, down = (solve(s, load.detach()).pow(2).sum().item() for s in shifted)
        assert abs((up - down) / (2 * step) - slope[index].item()) < 1e-6 * slope.abs().max()


def test_coarse_levels_have_the_same_derivatives_with_compiled_and_plain_loops():
    batch, _, _ = small_batch(levels=2)
    coarse = batch.operators[1]
    slopes = []
    for engine in ("stencil", "elements"):
        operator = type(coarse)(coarse.elements, engine)
        start = torch.zeros_like(batch.loads[1]).requires_grad_()
        u = embedded_pcg(operator, batch.loads[1], start, 8, batch.grids[1])
        slopes.append(torch.autograd.grad(u.pow(3).sum(), start)[0])
    assert (slopes[0] - slopes[1]).abs().max() < 1e-10 * slopes[0].abs().max()


def test_a_batch_gives_what_its_cells_give_one_by_one():
    batch, operator, start = small_batch()
    whole = embedded_pcg(operator, batch.load, start, 5, batch.grid)
    for cell, (first, stop) in zip(
        (composite(0, SHAPE), graded(1, SHAPE), truss(2, SHAPE)), batch.grid.slices, strict=True
    ):
        one = CellBatch.of([cell], dtype=torch.float64)
        alone = embedded_pcg(one.operator, one.load, start[first:stop], 5, one.grid)
        assert (alone - whole[first:stop]).abs().max() < 1e-13 * whole.abs().max()


def test_gradient_in_single_precision_is_close_to_double():
    slopes = []
    for dtype in (torch.float64, torch.float32):
        batch, operator, start = small_batch(dtype)
        start.requires_grad_()
        u = embedded_pcg(operator, batch.load, start, 10, batch.grid)
        slopes.append(torch.autograd.grad((u * start.detach()).sum(), start)[0].double())
    assert (slopes[0] - slopes[1]).norm() < 1e-4 * slopes[0].norm()


@pytest.mark.parametrize("engine", ["stencil", "elements"])
def test_zero_load_and_converged_start_stay_finite_in_single_precision(engine):
    batch, operator, _ = small_batch(torch.float32, engine=engine)
    start = torch.zeros_like(batch.load).requires_grad_()
    nothing = torch.zeros_like(batch.load)
    u, residual = embedded_pcg(operator, nothing, start, 4, batch.grid, history=True)
    assert not u.any() and not residual.any()
    assert torch.isfinite(torch.autograd.grad(u.sum(), start)[0]).all()
    u = embedded_pcg(operator, batch.load, start, 60, batch.grid)
    assert torch.isfinite(torch.autograd.grad(u.sum(), start)[0]).all()


@pytest.mark.parametrize("engine", ["stencil", "elements"])
def test_converged_cells_rest_and_let_derivatives_through(engine):
    rve, c = truss(0, SHAPE)
    full = rve.with_phases(np.ones(SHAPE, int))  # homogeneous: no load, u = 0
    batch = CellBatch.of([(full, c), (rve, c)], dtype=torch.float32)
    operator = StiffnessOperator(batch.operator.elements, batch.operator.materials, engine)
    start = torch.zeros_like(batch.load).requires_grad_()
    u = embedded_pcg(operator, batch.load, start, 8, batch.grid)
    first = batch.grid.sample == 0
    assert u[first].abs().max() < 1e-5 * u[~first].abs().max()
    weight = torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
    slope = torch.autograd.grad((u * weight).sum(), start)[0]
    assert slope.abs().max() < 10.0 * weight.abs().max()


def test_no_step_only_takes_the_mean_off():
    batch, operator, start = small_batch()
    u = embedded_pcg(operator, batch.load, start, 0, batch.grid)
    assert batch.grid.mean(u).abs().max() < 1e-14
    assert torch.allclose(start - u, batch.grid.spread(batch.grid.mean(start)))


def test_results_do_not_depend_on_the_number_of_threads():
    batch, operator, start = small_batch(torch.float32)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(embedded_pcg(operator, batch.load, start, 5, batch.grid))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_negative_steps_are_refused():
    batch, operator, start = small_batch()
    with pytest.raises(ParameterError, match="k is -1, expected 0 or more"):
        embedded_pcg(operator, batch.load, start, -1, batch.grid)
