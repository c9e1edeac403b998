"""Periodic sparse grids: neighbours, sums over cells, refusals."""

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError, ShapeError
from offline.surrogates.cgins.sparse_grid import OFFSETS, SparseGrid


def random_active(seed, shape=(3, 4, 5, 6)):
    active = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.4
    active[:, 0, 0, 0] = True
    return active


@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (2, 1, 2, 3)])
@pytest.mark.parametrize("periodic", [True, False])
def test_neighbours_are_those_of_a_shifted_dense_array(shape, periodic):
    active = random_active(0, shape)
    grid = SparseGrid.of(active, periodic)
    n = grid.n_nodes
    number = torch.full(shape, n)
    number[active] = torch.arange(n)
    for k, offset in enumerate(OFFSETS):
        if periodic:
            seen = torch.roll(number, [-o for o in offset], (1, 2, 3))
        else:
            padded = np.pad(number.numpy(), [(0, 0)] + [(1, 1)] * 3, constant_values=n)
            box = tuple(slice(1 + o, 1 + o + s) for o, s in zip(offset, shape[1:], strict=True))
            seen = torch.from_numpy(padded[(slice(None), *box)])
        assert torch.equal(grid.neighbours[:, k], seen[active])


def test_cutting_a_grid_gives_the_grid_without_wrap():
    active = random_active(1)
    cut = SparseGrid.of(active).cut()
    assert torch.equal(cut.neighbours, SparseGrid.of(active, periodic=False).neighbours)
    assert not cut.periodic


def test_nodes_are_numbered_as_the_homogenisation_grid():
    active = random_active(2)
    grid = SparseGrid.of(active)
    expected = np.concatenate([np.flatnonzero(cell) for cell in active.numpy()])
    assert np.array_equal(grid.node.numpy(), expected)
    position = np.array(np.unravel_index(expected, grid.shape)).T / np.array(grid.shape)
    assert np.allclose(grid.positions(torch.float64).numpy(), position, atol=1e-15)


def test_mean_and_spread_treat_each_cell_alone():
    grid = SparseGrid.of(random_active(3))
    x = torch.randn(grid.n_nodes, 3, 6, dtype=torch.float64)
    spread = grid.spread(grid.mean(x))
    for cell in range(grid.n_cells):
        rows = grid.sample == cell
        assert torch.allclose(spread[rows], x[rows].mean(0).expand(int(rows.sum()), 3, 6))


def test_a_cell_without_nodes_is_refused():
    with pytest.raises(ParameterError, match="a cell has no active node, expected at least one"):
        SparseGrid.of(torch.zeros(1, 2, 2, 2, dtype=torch.bool))


def test_marks_of_another_kind_are_refused():
    with pytest.raises(ShapeError, match=r"dtype torch.float32, expected bool \(n_cells, n1"):
        SparseGrid.of(torch.ones(1, 2, 2, 2))
