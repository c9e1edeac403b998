"""Learning rates against torch's own schedulers."""

import pytest
import torch

from offline.surrogates.training import TrainOptions
from offline.surrogates.training.schedule import Plateau, learning_rate, momentum

STEPS = 50


def torch_rates(make, after=lambda scheduler, step: scheduler.step()):
    """Rate and momentum of each step as torch sets them."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.2, momentum=0.9)
    scheduler = make(optimizer)
    rates, momenta = [], []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        after(scheduler, step)
    return rates, momenta


def test_cosine_is_torchs_cosine():
    options = TrainOptions(learning_rate=0.2, warm_up=0)
    ours = [learning_rate(options, s, s / STEPS) for s in range(STEPS)]
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR
    assert ours == pytest.approx(torch_rates(lambda o: cosine(o, STEPS))[0], rel=1e-9)


def test_one_cycle_is_torchs_one_cycle_with_its_momentum():
    options = TrainOptions(learning_rate=0.2, schedule="one-cycle", optimizer="sgd")
    cycle = torch.optim.lr_scheduler.OneCycleLR
    # torch places the peak at 0.3 * steps - 1 and the end at steps - 1: one step apart from ours
    peak, end = 0.3 * STEPS - 1, STEPS - 1
    shares = [0.3 * s / peak if s <= peak else 0.3 + 0.7 * (s - peak) / (end - peak)
              for s in range(STEPS)]  # fmt: skip
    rates, momenta = torch_rates(lambda o: cycle(o, 0.2, total_steps=STEPS))
    assert [learning_rate(options, 0, t) for t in shares] == pytest.approx(rates, rel=1e-9)
    assert [momentum(options, t) for t in shares] == pytest.approx(momenta, rel=1e-9)


def test_plateau_is_torchs_plateau():
    values = [1.0, 0.9, *[0.95] * 12, 0.5, *[0.6] * 6, *[0.55] * 40]
    options = TrainOptions(learning_rate=0.2, warm_up=0, schedule="plateau")
    reduce = torch.optim.lr_scheduler.ReduceLROnPlateau
    theirs, _ = torch_rates(
        lambda o: reduce(o, factor=0.5, patience=4),
        lambda scheduler, step: scheduler.step(values[step]),
    )
    state, ours = Plateau(), []
    for value in values[:STEPS]:
        ours.append(learning_rate(options, 0, 0.0, state.factor))
        state = state.after(value)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_warm_up_rises_linearly_to_the_schedule():
    options = TrainOptions(learning_rate=2.0, warm_up=4, schedule="constant")
    assert [learning_rate(options, s, 0.0) for s in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
