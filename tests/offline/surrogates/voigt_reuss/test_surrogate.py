"""Networks, their output layers, and training on the shared harness."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch

from matnet.errors import FileFormatError, ParameterError, ShapeError
from offline.surrogates.training import TrainOptions, train
from offline.surrogates.voigt_reuss.cells import generate_2d, printer_phases
from offline.surrogates.voigt_reuss.fields import render
from offline.surrogates.voigt_reuss.layers import vector_from_symmetric
from offline.surrogates.voigt_reuss.networks import (
    MixedActivation,
    NetConfig,
    PlaneNet,
    documented,
    small,
)
from offline.surrogates.voigt_reuss.outputs import OUTPUTS, OutputLayer
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images
from offline.surrogates.voigt_reuss.surrogate import Evaluation, PlaneSurrogate, load_surrogate
from offline.surrogates.voigt_reuss.symmetry import (
    SQUARE,
    invariant,
    shift_pictures,
    turn_pictures,
    turn_stiffness,
)
from offline.surrogates.voigt_reuss.task import PlaneTask

PHASES = printer_phases()
UPPER = torch.triu_indices(3, 3, 1)
TRIANGLE = torch.tril_indices(3, 3, -1)
TINY = NetConfig(
    resolution=16, channels=(8, 8), kernels=(3, 3), readout="mean", widths=(16,), with_tau=False
)
MLP = dataclasses.replace(TINY, inputs="parameters")


@pytest.fixture(scope="module")
def cells():
    return generate_2d(160, seed=1, resolution=16, modes=(3,))


def surrogate(config=TINY, output="voigt-reuss", phases=PHASES, seed=0):
    torch.manual_seed(seed)
    return PlaneSurrogate(config, output, phases).eval()


def test_documented_network_has_the_papers_sizes():
    net = PlaneNet(documented())
    assert [block.body[0].kernel_size[0] for block in net.encoder.blocks] == [3, 5, 7, 9]
    assert [block.body[3].out_channels for block in net.encoder.blocks] == [18, 24, 30, 36]
    widths = [m.out_features for m in net.regressor if isinstance(m, torch.nn.Linear)]
    assert widths == [256, 128, 64, 64, 64, 6]
    assert net.regressor[0].in_features == 36 * 6 * 6 + 2  # 100, 50, 25, 12, 6 pixels
    assert net(torch.rand(2, 100, 100), torch.rand(2, 2)).shape == (2, 6)
    assert PlaneNet(small())(torch.rand(2, 64, 64), torch.rand(2, 1)).shape == (2, 6)


def test_mixed_activation_uses_each_function_on_a_quarter():
    x = torch.linspace(-2.0, 2.0, 9).repeat(2, 1)
    parts = [torch.selu, torch.tanh, torch.sigmoid]
    expected = [f(x[:, 2 * i : 2 * i + 2]) for i, f in enumerate(parts)]
    assert torch.equal(MixedActivation()(x), torch.cat([*expected, x[:, 6:]], dim=1))


def test_mean_readout_does_not_see_where_the_picture_starts():
    net = PlaneNet(TINY).eval()
    picture, c0 = (torch.rand(1, 16, 16) > 0.5).float(), torch.full((1, 1), 0.5)
    shifted = shift_pictures(picture, torch.tensor([[4, 8]]))  # whole positions of the last map
    assert torch.equal(shifted[0], picture[0].roll((4, 8), (0, 1)))
    assert torch.allclose(net(picture, c0), net(shifted, c0), atol=1e-6)


@pytest.mark.parametrize("number", range(SQUARE))
def test_turned_picture_has_the_turned_stiffness(number, cells):
    some = cells.pick(slice(0, 2))
    turn = torch.full((2,), number)
    pictures = turn_pictures(torch.tensor(some.images), turn)
    label = homogenize_images(pictures.numpy(), PHASES, tol=1e-9)
    exact = torch.tensor(homogenize_images(some.images, PHASES, tol=1e-9))
    assert np.abs(turn_stiffness(exact, turn).numpy() - label).max() < 1e-7 * np.abs(label).max()
    drawn = render(
        turn_pictures(torch.tensor(some.amplitudes).double(), turn), torch.tensor(some.tau), 16
    )
    assert torch.equal(drawn.round().to(torch.uint8), pictures)


def raw_numbers(output, label):
    """Numbers that a network would have to give for a label (n, 3, 3), in closed form."""
    if output == "voigt-reuss":
        values, frame = torch.linalg.eigh(label)
        return vector_from_symmetric(frame @ torch.diag_embed(values.logit()) @ frame.mT)
    if output == "vanilla":
        return vector_from_symmetric(label)
    if output == "cholesky":
        factor = torch.linalg.cholesky(label)
        return torch.cat(
            [torch.diagonal(factor, dim1=1, dim2=2), factor[:, TRIANGLE[0], TRIANGLE[1]]], dim=1
        )
    values, frames = torch.linalg.eigh(label)
    raw = torch.empty(len(label), 6, dtype=torch.float64)
    unit = torch.eye(3, dtype=torch.float64)
    for i, frame in enumerate(frames):
        # the signs with the smallest skew matrix
        turned = [frame * torch.tensor(signs) for signs in itertools.product((1.0, -1.0), repeat=3)]
        regular = [q for q in turned if abs(torch.linalg.det(unit + q)) > 1e-6]
        skews = [torch.linalg.solve(unit + q, unit - q) for q in regular]
        skew = min(skews, key=lambda a: a.abs().max())
        raw[i] = torch.cat([values[i].logit(), torch.atanh(skew[UPPER[0], UPPER[1]] / 1.2)])
    return raw


@pytest.mark.parametrize("output", OUTPUTS)
def test_label_and_raw_numbers_that_fit_it_have_no_loss(output, cells):
    layer = OutputLayer(output, PHASES)
    some = cells.pick(slice(0, 20))
    label = torch.tensor(layer.label(some.stiffness, some.c0))
    back = layer.stiffness(label, torch.tensor(some.c0)).numpy()
    assert np.abs(back - some.stiffness).max() < 1e-9 * np.abs(some.stiffness).max()
    raw = raw_numbers(output, label)
    assert layer.loss(raw, label).item() < 1e-8
    assert layer.loss(raw + 0.1, label).item() > 1e-3
    assert (layer.normalised(raw) - label).abs().max() < 1e-8


def test_loss_of_the_spectral_layer_is_equation_25(cells):
    layer, some = OutputLayer("voigt-reuss", PHASES), cells.pick(slice(0, 5))
    label = torch.tensor(layer.label(some.stiffness, some.c0))
    raw = torch.randn(5, 6)
    found = Evaluation.of(
        layer.stiffness(layer.normalised(raw), torch.tensor(some.c0)).numpy(),
        some.stiffness,
        some.gap,
    )
    assert layer.loss(raw, label).item() == pytest.approx(found.normalised_error.mean(), rel=1e-6)


@pytest.mark.parametrize("output", ["voigt-reuss", "voigt-reuss-cayley"])
def test_bounds_hold_for_any_weights_and_any_input(output):
    net = surrogate(output=output)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(30.0)  # saturates the layer
    generator = torch.Generator().manual_seed(2)
    pictures = torch.rand(300, 16, 16, generator=generator)
    c0 = torch.rand(300, generator=generator).double()
    tensors = net.stiffness(pictures, c0).detach().numpy()
    from offline.surrogates.voigt_reuss import SpectralGap

    gap = SpectralGap.from_phases(PHASES, np.stack([c0, 1.0 - c0], axis=1))
    assert not any(found.any() for found in gap.violations(tensors).values())


def test_turning_the_picture_turns_the_prediction(cells):
    net, some = surrogate(), cells.pick(slice(0, 3))
    base = net.predict(some.images)
    for number in range(SQUARE):
        turn = torch.full((3,), number)
        turned = net.predict(turn_pictures(torch.tensor(some.images), turn).numpy())
        expected = turn_stiffness(torch.tensor(base), turn).numpy()
        assert np.abs(turned - expected).max() < 1e-5 * np.abs(base).max()


def test_anisotropic_phases_are_not_turned():
    phases = np.stack([np.diag([1.0, 2.0, 1.0]), np.diag([3.0, 2.0, 1.0])])
    assert not invariant(phases)
    assert invariant(PHASES)
    assert surrogate(phases=phases).turns == 1


def test_gradient_goes_through_renderer_network_and_bounds():
    net = surrogate().double()
    amplitudes = torch.zeros(1, 11, 11, dtype=torch.float64)
    amplitudes[0, 4:7, 4:7] = torch.rand(3, 3, generator=torch.Generator().manual_seed(1))
    tau = torch.tensor([0.5], dtype=torch.float64)

    def trace(t):
        tensors = net.design(amplitudes, t, temperature=0.2)
        return torch.diagonal(tensors, dim1=1, dim2=2).sum()

    variable = tau.clone().requires_grad_()
    (slope,) = torch.autograd.grad(trace(variable), variable)
    with torch.no_grad():
        secant = (trace(tau + 1e-5) - trace(tau - 1e-5)) / 2e-5
    assert slope.item() == pytest.approx(secant.item(), rel=1e-5)
    assert slope.item() > 0.0  # more of the stiff phase


def test_pictures_of_any_size_are_brought_to_the_networks_resolution(cells):
    net, some = surrogate(), cells.pick(slice(0, 3))
    fine = np.kron(some.images, np.ones((1, 3, 2)))
    assert net.predict(fine) == pytest.approx(net.predict(some.images), rel=1e-5)
    odd = net.predict((np.random.default_rng(0).random((1, 13, 29)) > 0.5).astype(int))
    assert np.linalg.eigvalsh(odd).min() > 0.0


def test_evaluation_counts_what_the_definitions_say():
    from offline.surrogates.voigt_reuss import SpectralGap

    gap = SpectralGap.from_phases([np.eye(3), 3.0 * np.eye(3)], [0.5, 0.5])
    true = np.array([1.75, 1.6, 1.9])[:, None, None] * np.eye(3)
    predicted = np.array([1.75, 1.68, 2.1])[:, None, None] * np.eye(3)
    found = Evaluation.of(predicted, true, gap)
    assert found.error == pytest.approx([0.0, 0.05, 0.2 / 1.9])
    assert found.normalised_error == pytest.approx([0.0, 0.16, 0.4])
    assert found.violations == {"voigt": 1, "reuss": 0, "definite": 0}
    assert found.r2[0, 0] == pytest.approx(1.0 - (0.08**2 + 0.2**2) / 0.045)
    assert np.isnan(found.r2[0, 1])
    assert found.as_dict()["median_error"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("config", "output"),
    [(TINY, "voigt-reuss"), (TINY, "cholesky"), (TINY, "vanilla"), (MLP, "voigt-reuss")],
)
def test_training_lowers_the_error_and_the_weights_survive_the_disk(
    tmp_path, cells, config, output
):
    training, held = cells.split(0.25, seed=0)
    task = PlaneTask(training, held, config, output, batch=16)
    before = surrogate(config, output).evaluate(held).error.mean()
    options = TrainOptions(
        epochs=6, learning_rate=5e-3, warm_up=5, optimizer="adamw", device="cpu", tensorboard=False
    )
    result = train(task, options, tmp_path)
    found = load_surrogate(tmp_path / "final")
    evaluation = found.evaluate(held)
    assert evaluation.error.mean() < 0.7 * before
    assert set(result.history[-1]) >= {"validation", "median_error", "reuss_violations"}
    if output == "voigt-reuss":
        assert sum(evaluation.violations.values()) == 0
    found.save(tmp_path / "copy", note="a test")
    assert json.loads((tmp_path / "copy.json").read_text())["note"] == "a test"
    assert np.array_equal(load_surrogate(tmp_path / "copy").of_cells(held), found.of_cells(held))


def test_batches_depend_on_epoch_and_step_alone(cells):
    task = PlaneTask(cells, cells, TINY, batch=16)
    all_of_them = list(task.batches(3, 0, 1))
    later = list(task.batches(3, 0, 1, start=4))
    assert len(all_of_them) == task.steps(1) == 10
    assert torch.equal(all_of_them[4].inputs, later[0].inputs)
    shares = [batch for rank in range(2) for batch in task.batches(3, rank, 2)]
    assert torch.equal(shares[5].labels, all_of_them[1].labels)
    assert not torch.equal(next(task.batches(4, 0, 1)).labels, all_of_them[0].labels)


def test_augmented_labels_are_those_of_the_augmented_pictures(cells):
    task = PlaneTask(cells, cells, TINY, "vanilla", batch=16)
    batch = next(task.batches(0, 0, 1))
    exact = homogenize_images(batch.inputs.numpy(), PHASES)
    error = np.abs(PHASES.max() * batch.labels.numpy() - exact).max()
    assert error < 3e-4 * np.abs(exact).max()


def test_wrong_use_is_named(tmp_path, cells):
    with pytest.raises(ParameterError, match="picture or parameters"):
        NetConfig(inputs="voxels")
    with pytest.raises(ParameterError, match="flatten or mean"):
        NetConfig(readout="max")
    with pytest.raises(ParameterError, match="odd kernels"):
        NetConfig(kernels=(2, 3, 5, 7))
    with pytest.raises(ParameterError, match="multiple of the patch"):
        NetConfig(patch=3)
    with pytest.raises(ParameterError, match="expected one of voigt-reuss"):
        OutputLayer("ldlt", PHASES)
    with pytest.raises(ShapeError, match=r"expected \(2, 3, 3\)"):
        OutputLayer("vanilla", PHASES[0])
    with pytest.raises(ShapeError, match=r"expected \(n, 16, 16\)"):
        PlaneNet(TINY)(torch.rand(2, 8, 8), torch.rand(2, 1))
    with pytest.raises(ShapeError, match=r"expected \(n, 1\) c0"):
        PlaneNet(TINY)(torch.rand(2, 16, 16), torch.rand(2, 2))
    with pytest.raises(ParameterError, match="none was given"):
        surrogate(dataclasses.replace(TINY, with_tau=True)).predict(cells.images[:1])
    with pytest.raises(ParameterError, match="not pictures"):
        surrogate(MLP).predict(cells.images[:1])
    with pytest.raises(ParameterError, match="expected 0 to 1"):
        surrogate().predict(2 * np.ones((1, 4, 4)))
    with pytest.raises(ShapeError, match=r"expected \(n, h, w\)"):
        surrogate().predict(np.ones((4, 4)))
    with pytest.raises(ParameterError, match="16 pixels per side, the network takes 64"):
        PlaneTask(cells, cells, small())
    with pytest.raises(ParameterError, match="batch is 1"):
        PlaneTask(cells, cells, TINY, batch=1)
    with pytest.raises(ParameterError, match="do not fill 1 x 200"):
        PlaneTask(cells, cells, TINY, batch=200).steps(1)
    other = dataclasses.replace(cells, phases=2.0 * PHASES)
    with pytest.raises(ParameterError, match="different phases"):
        PlaneTask(cells, other, TINY)
    surrogate().save(tmp_path / "net")
    card = json.loads((tmp_path / "net.json").read_text())
    card["config"]["net"]["patch"] = 5
    (tmp_path / "net.json").write_text(json.dumps(card))
    with pytest.raises(FileFormatError, match="does not describe a network"):
        load_surrogate(tmp_path / "net")
