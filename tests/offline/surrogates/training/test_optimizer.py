"""Muon for weights of any number of dimensions."""

import pytest
import torch
from torch import nn

from offline.surrogates.training import TrainOptions
from offline.surrogates.training.optimizer import MuonAdam, make_optimizer


def small_network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4))


def one_gradient(module):
    torch.manual_seed(5)
    module(torch.randn(2, 2, 4, 4, 4)).square().mul(torch.randn(2, 4, 2, 2, 2)).sum().backward()


def test_step_of_a_convolution_is_nearly_orthogonal_and_as_large_as_adams():
    module = small_network()
    weight = module[0].weight
    before = weight.detach().clone()
    optimizer = MuonAdam(list(module.parameters()), lr=1e-2)
    one_gradient(module)
    optimizer.step()
    move = (before - weight.detach()).flatten(1)  # (4, 54)
    singular = torch.linalg.svdvals(move) / (1e-2 * 0.2 * 54**0.5)
    # five steps of the quintic leave singular values between about 0.7 and 1.2
    assert 0.6 < float(singular.min()) <= float(singular.max()) < 1.3
    assert float((move * weight.grad.flatten(1)).sum()) > 0.0  # downhill


def test_biases_and_factors_move_as_with_adamw():
    ours, theirs = small_network(), small_network()
    for module, optimizer in (
        (ours, MuonAdam(list(ours.parameters()), lr=1e-2, weight_decay=0.1)),
        (theirs, torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.1)),
    ):
        one_gradient(module)
        optimizer.step()
    assert torch.equal(ours[1].weight, theirs[1].weight)
    assert torch.equal(ours[0].bias, theirs[0].bias)
    assert not torch.equal(ours[0].weight, theirs[0].weight)


def test_state_goes_on_where_it_was():
    whole, cut = small_network(), small_network()
    a = MuonAdam(list(whole.parameters()), lr=1e-2)
    b = MuonAdam(list(cut.parameters()), lr=1e-2)
    for step in range(4):
        if step == 2:
            state = b.state_dict()
            b = MuonAdam(list(cut.parameters()), lr=1e-2)
            b.load_state_dict(state)
        for module, optimizer in ((whole, a), (cut, b)):
            optimizer.zero_grad()
            one_gradient(module)
            optimizer.step()
    assert torch.equal(whole[0].weight, cut[0].weight)
    assert torch.equal(whole[1].bias, cut[1].bias)


def test_order_of_memory_does_not_matter():
    plain, last = small_network(), small_network()
    last[0].weight.data = last[0].weight.data.contiguous(memory_format=torch.channels_last_3d)
    for module in (plain, last):
        optimizer = MuonAdam(list(module.parameters()), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            one_gradient(module)
            optimizer.step()
    assert not last[0].weight.is_contiguous()
    # matrix products in half precision inside, in another order
    torch.testing.assert_close(last[0].weight, plain[0].weight, rtol=0, atol=2e-3)


def test_rate_is_read_at_each_step():
    module = small_network()
    before = module[0].weight.detach().clone()
    optimizer = MuonAdam(list(module.parameters()), lr=1e-2)
    optimizer.param_groups[0]["lr"] = 0.0
    one_gradient(module)
    optimizer.step()
    assert torch.equal(module[0].weight.detach(), before)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon", "sgd"])
def test_every_name_makes_an_optimiser_that_moves(name):
    module = small_network()
    before = [p.detach().clone() for p in module.parameters()]
    optimizer = make_optimizer(list(module.parameters()), TrainOptions(optimizer=name))
    one_gradient(module)
    optimizer.step()
    moved = [not torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True)]
    assert moved[0] and moved[2] and moved[3]
