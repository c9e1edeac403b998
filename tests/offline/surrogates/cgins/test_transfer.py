"""Trilinear transfer between sparse periodic grids."""

import pytest
import torch

from matnet.errors import ParameterError
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.transfer import coarsen

from .cells import DEVICES


def sparse_case(device="cpu"):
    torch.manual_seed(0)
    grid = SparseGrid.of(torch.rand(2, 4, 6, 8) < 0.3).to(device)
    return (grid, *coarsen(grid))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_restriction_is_the_transpose_of_prolongation(device, dtype):
    fine, coarse, transfer = sparse_case(device)
    x = torch.randn(fine.n_nodes, 5, dtype=torch.float64, device=device)
    y = torch.randn(coarse.n_nodes, 5, dtype=torch.float64, device=device)
    left = (transfer.restrict(x.to(dtype)).double() * y).sum()
    right = (x * transfer.prolong(y.to(dtype)).double()).sum()
    scale = (x.norm() * y.norm()).item()
    assert abs(left - right) < (1e-14 if dtype == torch.float64 else 1e-2) * scale


def test_values_are_interpolated_linearly_along_each_axis():
    grid = SparseGrid.of(torch.ones(1, 4, 2, 6, dtype=torch.bool))
    coarse, transfer = coarsen(grid)
    assert coarse.shape == (2, 1, 3)
    values = torch.randn(2, 1, 3, dtype=torch.float64)
    dense = values
    for axis in range(3):
        between = 0.5 * (dense + dense.roll(-1, axis))
        dense = torch.stack([dense, between], axis + 1).flatten(axis, axis + 1)
    found = transfer.prolong(values.reshape(-1, 1))
    assert torch.allclose(found, dense.reshape(-1, 1), atol=1e-15)


def test_constants_stay_constant_on_a_sparse_grid():
    fine, coarse, transfer = sparse_case()
    ones = torch.ones(coarse.n_nodes, 1, dtype=torch.float64)
    assert torch.equal(transfer.prolong(ones), torch.ones(fine.n_nodes, 1, dtype=torch.float64))


def test_coarse_grid_holds_the_parents_and_nothing_else():
    fine, coarse, transfer = sparse_case()
    used = transfer.parents[transfer.parent_weights > 0].unique()
    assert torch.equal(used, torch.arange(coarse.n_nodes))
    assert torch.allclose(transfer.parent_weights.sum(1), torch.ones((), dtype=torch.float64))
    assert coarse.n_nodes < fine.n_nodes


def test_transfers_are_differentiable():
    fine, coarse, transfer = sparse_case()
    x = torch.randn(coarse.n_nodes, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transfer.prolong, x, fast_mode=True)
    x = torch.randn(fine.n_nodes, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transfer.restrict, x, fast_mode=True)


def test_odd_axes_are_refused():
    grid = SparseGrid.of(torch.ones(1, 4, 3, 2, dtype=torch.bool))
    with pytest.raises(ParameterError, match=r"shape \(4, 3, 2\) cannot be coarsened"):
        coarsen(grid)
