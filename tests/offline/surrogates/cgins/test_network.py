"""Features, nets and loss: invariances, gradients, and the minimum of the energy."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from offline.homogenization import SolverOptions, homogenize
from offline.rve.generators.registry import make
from offline.rve.rve import Rve
from offline.surrogates.cgins.cell_batch import CellBatch
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.features import FourierFeatures
from offline.surrogates.cgins.loss import energy_loss, relative_energies
from offline.surrogates.cgins.mode_net import ModeNet
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.stiffness import to_displacement

SMALL = {"levels": 2, "channels": 4, "depth": 1, "modes": 3, "frequencies": 0, "pcg_steps": 2}
NETS = ("direct", "modes")


def cell(n=8, seed=1, volume_fraction=0.4, E=1.0):
    rve = make("random-truss", n=n, volume_fraction=volume_fraction, seed=seed, nodes=3)
    return rve, np.stack([np.zeros((6, 6)), isotropic(E=E, nu=0.3)])


def batch_of(cells, config, dtype=torch.float64):
    return CellBatch.of(cells, levels=config.n_grids, soft=config.soft, dtype=dtype)


def network(**changes):
    """A net whose last layers are as large as the others, so that it matters."""
    torch.manual_seed(3)
    net = CGiNS(CGiNSConfig(**SMALL | changes)).double()
    with torch.no_grad():
        for part in net.nets:
            (part.emit if isinstance(part, ModeNet) else part.out).weight.mul_(20.0)
    return net


def displacement(net, cells):
    batch = batch_of(cells, net.config)
    with torch.no_grad():
        return to_displacement(net(batch).displacements[0], batch.grid)


def with_cell(rve, edges):
    return Rve(phases=rve.phases, phase_names=rve.phase_names, cell=np.diag(edges))


def test_fourier_features_repeat_with_the_cell():
    features = FourierFeatures(12, 2.0, seed=5).double()
    x = torch.rand(20, 3, dtype=torch.float64)
    shifted = x + torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    assert torch.allclose(features(x), features(shifted), atol=1e-12)
    assert features.waves.abs().sum(1).min() >= 1.0
    assert torch.equal(features.waves, FourierFeatures(12, 2.0, seed=5).waves.double())
    assert not torch.equal(features.waves, FourierFeatures(12, 2.0, seed=6).waves.double())


@pytest.mark.parametrize("net", NETS)
def test_displacement_does_not_depend_on_the_unit_of_stiffness(net):
    net = network(net=net)
    assert np.allclose(displacement(net, [cell()]), displacement(net, [cell(E=70e9)]), atol=1e-10)


@pytest.mark.parametrize("net", NETS)
def test_displacement_scales_with_the_cell(net):
    net, (rve, c) = network(net=net), cell()
    small, large = (displacement(net, [(with_cell(rve, 3 * [edge]), c)]) for edge in (1.0, 2.5))
    assert np.abs(small).max() > 0.05
    assert np.allclose(2.5 * small, large, atol=1e-10)


@pytest.mark.parametrize("net", NETS)
def test_displacement_moves_with_a_periodic_shift_of_the_cell(net):
    net, (rve, c) = network(net=net), cell()
    halvings = 2 ** (net.config.n_grids - 1)
    moved = Rve(phases=np.roll(rve.phases, halvings, axis=1), phase_names=rve.phase_names)
    u, v = displacement(net, [(rve, c), (moved, c)])
    assert np.allclose(np.roll(u, halvings, axis=2), v, atol=1e-10)


def test_cut_faces_break_the_periodic_shift():
    net, (rve, c) = network(periodic=False), cell()
    moved = Rve(phases=np.roll(rve.phases, 4, axis=1), phase_names=rve.phase_names)
    u, v = displacement(net, [(rve, c), (moved, c)])
    assert np.abs(np.roll(u, 4, axis=2) - v).max() > 1e-3


@pytest.mark.parametrize("net", NETS)
def test_cells_of_a_batch_do_not_see_each_other(net):
    net, cells = network(net=net), [cell(seed=1), cell(seed=2, volume_fraction=0.5)]
    together = displacement(net, cells)
    for one, alone in zip(cells, together, strict=True):
        assert np.allclose(displacement(net, [one])[0], alone, atol=1e-10)


@pytest.mark.parametrize("net", NETS)
def test_every_grid_predicts_and_starts_with_mean_zero(net):
    net = network(net=net, levels=3)
    batch = batch_of([cell(16)], net.config)
    prediction = net(batch)
    assert [len(u) for u in prediction.displacements] == [g.n_nodes for g in batch.grids[:3]]
    for grid, u in zip(batch.grids, prediction.starts, strict=False):
        assert grid.mean(u).abs().max() < 1e-12
    assert all(shift.abs().max() > 1e-6 for shift in prediction.shifts)


def test_anchor_holds_the_first_node_of_what_the_net_says():
    net = network(constraint="anchor", levels=1, pcg_steps=0)
    batch = batch_of([cell()], net.config)
    assert net(batch).starts[0][0].abs().max() < 1e-14


def test_mode_net_is_linear_in_what_flows_through():
    net = network(net="modes")
    part = net.nets[0]
    batch = batch_of([cell()], net.config)
    n = batch.grid.n_nodes
    inputs = part.trunk.embed.in_features
    x, s, t = (torch.randn(n, *k, dtype=torch.float64) for k in ((inputs,), (6, 6), (6, 6)))
    result = [part(x, y, batch.grids, batch.transfers)[0] for y in (s, t, 2.0 * s - 3.0 * t)]
    assert result[0].abs().max() > 1e-3
    assert torch.allclose(2.0 * result[0] - 3.0 * result[1], result[2], atol=1e-10)


@pytest.mark.parametrize("net", NETS)
def test_more_embedded_steps_lower_the_energy(net):
    energies = []
    for steps in (0, 2, 6):
        each = network(net=net, pcg_steps=steps)
        batch = batch_of([cell()], each.config)
        with torch.no_grad():
            energies.append(relative_energies(batch, 0, each(batch).displacements[0]))
    assert (energies[0] > energies[1]).all() and (energies[1] > energies[2]).all()


def test_cycles_converge_far_faster_than_steps_alone():
    errors = []
    for steps, cycles in ((100, 1), (24, 1), (4, 6)):
        each = network(levels=2, pcg_steps=steps, cycles=cycles, coarse_pcg_steps=20)
        with torch.no_grad():
            for part in each.nets:
                part.out.weight.zero_()
        batch = batch_of([cell(16)], each.config)
        with torch.no_grad():
            found = each(batch).displacements[0]
            errors.append(relative_energies(batch, 0, found).sum().item())
    exact, steps_alone, cycles = errors
    assert 0.0 < cycles - exact < 0.3 * (steps_alone - exact)


def test_relative_energy_of_the_solution_is_c_eff_over_voigt():
    rve, c = cell()
    options = SolverOptions(residual_tol=1e-9)
    exact = homogenize(rve, c, options, keep_displacement=True)
    config = CGiNSConfig(**SMALL | {"soft": None})
    batch = batch_of([(rve, c)], config)
    rows = torch.from_numpy(exact.displacement.reshape(6, -1, 3))[:, batch.grid.node]
    u = rows.permute(1, 2, 0).contiguous()
    voigt = rve.fractions[1] * c[1].diagonal()
    expected = exact.stiffness.diagonal() / voigt
    assert np.allclose(relative_energies(batch, 0, u)[0], expected, rtol=1e-7)
    worse = relative_energies(batch, 0, u + 1e-3 * torch.randn_like(u))[0].numpy()
    assert (worse > expected * 1.0001).all()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("relative", [False, True])
def test_gradient_of_the_loss_matches_differences(net, relative):
    net = network(net=net, pcg_steps=3, soft=None)
    batch = batch_of([cell()], net.config)

    def loss():
        return energy_loss(batch, net(batch), 0.1, relative=relative)["loss"]

    value = loss()
    value.backward()
    h = 1e-6
    for part in net.nets:
        for weight in (
            (part.trunk if isinstance(part, ModeNet) else part.unet).encode[0].weight,
            (part.emit if isinstance(part, ModeNet) else part.out).weight,
        ):
            direction = torch.randn_like(weight)
            with torch.no_grad():
                weight += h * direction
                above = loss()
                weight -= 2 * h * direction
                below = loss()
                weight += h * direction
            slope = float((above - below).detach() / (2 * h))
            assert float((weight.grad * direction).sum()) == pytest.approx(slope, rel=1e-4)


def test_loss_sums_grids_and_penalises_translation():
    net = network()
    batch = batch_of([cell()], net.config)
    with torch.no_grad():
        prediction = net(batch)
        parts = energy_loss(batch, prediction, 7.0)
    energies = [
        relative_energies(batch, i, v).mean() for i, v in enumerate(prediction.displacements)
    ]
    assert float(parts["loss"]) == pytest.approx(float(sum(energies) + 7.0 * parts["shift"]))
    assert float(parts["shift"]) == pytest.approx(
        sum(float((s**2).sum(1).mean()) for s in prediction.shifts)
    )
    logs = energy_loss(batch, prediction, 0.0, relative=True)
    assert float(logs["energy_0"]) == pytest.approx(
        float(relative_energies(batch, 0, prediction.displacements[0]).log().mean())
    )


@pytest.mark.parametrize("net", NETS)
def test_a_few_steps_of_training_lower_the_energy_of_the_start(net):
    torch.manual_seed(0)
    net = CGiNS(CGiNSConfig(**SMALL | {"net": net, "channels": 8, "soft": None}))
    batch = batch_of([cell()], net.config, torch.float32)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        parts = energy_loss(batch, net(batch), 1e-3, relative=True)
        parts["loss"].backward()
        optimizer.step()
        losses.append(float(parts["energy_0"].detach()))
    assert losses[-1] < losses[0] - 0.003


@pytest.mark.parametrize("net", NETS)
def test_mixed_precision_moves_the_energy_little(net):
    torch.manual_seed(0)
    net = CGiNS(CGiNSConfig(**SMALL | {"net": net}))
    batch = batch_of([cell()], net.config, torch.float32)
    values = []
    for mixed in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            prediction = net(batch)
        assert prediction.displacements[0].dtype == torch.float32
        loss = energy_loss(batch, prediction, 1e-3)["loss"]
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
        values.append(float(loss.detach()))
    assert values[1] == pytest.approx(values[0], rel=1e-2)


@pytest.mark.parametrize("net", NETS)
def test_line_search_keeps_wild_predictions_from_raising_the_energy(net):
    wild = network(net=net, levels=1, pcg_steps=0, line_search=False)
    batch = batch_of([cell(), cell(seed=2)], wild.config)
    held = network(net=net, levels=1, pcg_steps=0)
    with torch.no_grad():
        assert relative_energies(batch, 0, wild(batch).starts[0]).max() > 1.001
        start = held(batch).starts[0]
        energies = relative_energies(batch, 0, start)
        stretched = relative_energies(batch, 0, 1.02 * start)
    assert energies.max() <= 1.0  # that of no displacement
    assert (stretched - energies).min() > 0.0
