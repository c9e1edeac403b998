"""Sparse convolution against dense circular convolution."""

import pytest
import torch
from torch.nn.functional import conv3d, pad

from offline.surrogates.cgins import sparse_conv
from offline.surrogates.cgins.sparse_conv import SparseConv3
from offline.surrogates.cgins.sparse_grid import SparseGrid

from .cells import DEVICES

INS, OUTS, SHAPE = 5, 4, (2, 4, 6, 5)


def case(device, periodic=True):
    torch.manual_seed(0)
    active = torch.rand(SHAPE) < 0.5
    grid = SparseGrid.of(active, periodic).to(device)
    conv = SparseConv3(INS, OUTS, device=device, dtype=torch.float64)
    x = torch.randn(grid.n_nodes, INS, dtype=torch.float64, device=device)
    return active.to(device), grid, conv, x


def dense_convolution(active, x, conv, mode):
    """The same by `conv3d` of the array with zeros where nothing is active."""
    volume = x.new_zeros(*SHAPE, INS)
    volume[active] = x
    kernel = conv.weight.reshape(3, 3, 3, INS, OUTS).permute(4, 3, 0, 1, 2)
    padded = pad(volume.permute(0, 4, 1, 2, 3), (1,) * 6, mode=mode)
    return conv3d(padded, kernel, conv.bias).permute(0, 2, 3, 4, 1)[active]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("piece", [1, 2**21])
def test_values_and_gradients_are_those_of_conv3d(device, periodic, piece, monkeypatch):
    monkeypatch.setattr(sparse_conv, "GATHERED", {"cpu": piece, "cuda": piece})
    active, grid, conv, x = case(device, periodic)
    mode = "circular" if periodic else "constant"
    target = torch.randn(grid.n_nodes, OUTS, dtype=torch.float64, device=device)
    results = []
    for forward in (
        lambda y: conv(y, grid),
        lambda y: dense_convolution(active, y, conv, mode),
    ):
        y = x.clone().requires_grad_()
        out = forward(y)
        slopes = torch.autograd.grad(((out - target) ** 2).sum(), (y, conv.weight, conv.bias))
        results.append((out, *slopes))
    for sparse, whole in zip(*results, strict=True):
        assert (sparse - whole).abs().max() < 1e-10 * whole.abs().max()


def test_derivatives_match_differences():
    _, grid, conv, x = case("cpu")
    x = x.requires_grad_()
    assert torch.autograd.gradcheck(lambda *a: conv(a[0], grid), (x, *conv.parameters()))


@pytest.mark.parametrize("device", DEVICES)
def test_autocast_runs_in_bfloat16_and_keeps_gradients_of_the_weights_in_float32(device):
    _, grid, conv, x = case(device)
    exact = conv(x, grid)
    conv, x = conv.float(), x.float()
    with torch.autocast(device, torch.bfloat16):
        out = conv(x, grid)
    assert out.dtype == torch.bfloat16
    assert (out - exact).norm() < 0.02 * exact.norm()
    out.float().square().sum().backward()
    assert conv.weight.grad.dtype == torch.float32


def test_layer_without_bias_maps_zero_to_zero():
    _, grid, _, x = case("cpu")
    conv = SparseConv3(INS, OUTS, bias=False, dtype=torch.float64)
    assert conv.bias is None
    assert not conv(torch.zeros_like(x), grid).any()
