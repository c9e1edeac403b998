"""Networks in space: symmetries, bounds, outputs, training on the shared harness."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from matnet.errors import FileFormatError, ParameterError, ShapeError
from matnet.mandel import rotate_stiffness
from offline.homogenization import SolverOptions, homogenize
from offline.morphology import CUBE, descriptor_matrix, selection, turn_image
from offline.rve.rve import Rve
from offline.surrogates.voigt_reuss.layers import vector_from_symmetric
from offline.surrogates.voigt_reuss.space.cells import generate_3d
from offline.surrogates.voigt_reuss.space.compare import (
    TWINS,
    cpu_options,
    space_estimates,
    space_table,
    train_space_twin,
    twin_config,
)
from offline.surrogates.voigt_reuss.space.evaluation import SpaceEvaluation, parts
from offline.surrogates.voigt_reuss.space.networks import (
    SpaceConfig,
    SpaceNet,
    documented,
    small,
    standardisation,
    voxels,
)
from offline.surrogates.voigt_reuss.space.outputs import OUTPUTS, SpaceOutput
from offline.surrogates.voigt_reuss.space.phases import isotropic_phases
from offline.surrogates.voigt_reuss.space.surrogate import SpaceSurrogate, load_surrogate
from offline.surrogates.voigt_reuss.space.symmetry import (
    turn_descriptors,
    turn_stiffness,
    turn_stiffness_back,
    turn_voxels,
)
from offline.surrogates.voigt_reuss.space.task import SpaceTask

SIDE = 8
TINY = SpaceConfig(widths=(16,))
TINY_VOXELS = voxels(resolution=SIDE, channels=(8, 8), kernels=(3, 3), widths=(16,))


@pytest.fixture(scope="module")
def cells():
    return generate_3d(72, seed=1, resolution=SIDE, contrasts=4)


def surrogate(config=TINY, output="voigt-reuss", cells=None):
    torch.manual_seed(0)
    net = SpaceSurrogate(config, output)
    if cells is not None and config.inputs == "descriptors":
        mean, scale = standardisation(cells.descriptors)
        net.net.mean.copy_(torch.tensor(mean))
        net.net.scale.copy_(torch.tensor(scale))
    return net.eval()


def test_documented_network_has_the_papers_widths():
    net = SpaceNet(documented(), 21)
    widths = [m.out_features for m in net.regressor if isinstance(m, torch.nn.Linear)]
    assert widths == [1024, 512, 256, 128, 128, 21]
    assert net.regressor[0].in_features == len(net.mean) + 5
    assert small(groups=("isotropic",)).groups == ("isotropic",)


def test_standardising_commutes_with_turning(cells):
    mean, scale = standardisation(cells.descriptors)
    x = torch.tensor(cells.descriptors)
    for number in (3, 20, 41):
        turn = torch.full((len(x),), number)
        after = (turn_descriptors(x, turn).numpy() - mean) / scale
        before = turn_descriptors(torch.tensor((cells.descriptors - mean) / scale), turn).numpy()
        assert np.abs(after - before).max() < 1e-9


@pytest.mark.parametrize("number", [1, 17, 30, 47])
def test_turned_image_has_the_turned_stiffness(number, cells):
    image, turn = cells.images[3], torch.full((1,), number)
    phases = isotropic_phases(cells.moduli[12])[0]
    options = SolverOptions(tol=1e-9)
    exact = torch.tensor(homogenize(Rve(phases=image), phases, options).stiffness)[None]
    turned = homogenize(Rve(phases=turn_image(image, number)), phases, options).stiffness
    found = turn_stiffness(exact, turn)
    assert np.abs(found[0].numpy() - turned).max() < 1e-7 * np.abs(turned).max()
    assert np.allclose(found[0], rotate_stiffness(exact[0].numpy(), CUBE[number]))
    assert torch.allclose(turn_stiffness_back(found, turn), exact)
    assert np.array_equal(
        turn_voxels(torch.tensor(image)[None], turn)[0], turn_image(image, number)
    )


@pytest.mark.parametrize("config", [TINY, TINY_VOXELS], ids=["descriptors", "voxels"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_symmetric_prediction_turns_with_the_image(config, output, cells):
    net = surrogate(config, output, cells)
    images = cells.images[:2]
    straight = net.predict(images, 1.0, 0.5, [20.0, 0.1], 8.0)
    turned = net.predict(np.stack([turn_image(i, 29) for i in images]), 1.0, 0.5, [20.0, 0.1], 8.0)
    expected = turn_stiffness(torch.tensor(straight), torch.full((2,), 29)).numpy()
    assert np.abs(turned - expected).max() < 1e-5 * np.abs(expected).max()
    assert straight.shape == (2, 6, 6)


@pytest.mark.parametrize("output", ["voigt-reuss", "voigt-reuss-cayley"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_bounds_hold_for_wild_weights(output, symmetric, cells):
    net = surrogate(TINY, output, cells)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(30.0)
    c = net.of_cells(cells, symmetric)
    assert not any(v.any() for v in cells.gap.violations(c).values())


def test_prediction_is_linear_in_the_unit_of_the_moduli(cells):
    net = surrogate(cells=cells)
    one = net.predict(cells.images[:1], 2.0, 1.0, 10.0, 3.0)
    assert np.allclose(net.predict(cells.images[:1], 2e9, 1e9, 1e10, 3e9), 1e9 * one, rtol=1e-6)


def test_stiffness_has_derivatives_in_moduli_and_inputs(cells):
    net = surrogate(cells=cells).double()
    x = torch.tensor(cells.descriptors[:1], requires_grad=True)
    moduli = torch.tensor([[1.0, 0.5, 4.0, 2.0]], dtype=torch.float64, requires_grad=True)
    fraction = torch.tensor([0.4], dtype=torch.float64)
    net.net.float()
    c = net.stiffness(x.float(), moduli, fraction)[0, 0, 0]
    (slope,) = torch.autograd.grad(c, moduli)
    # homogeneous of degree one (Euler)
    total = (slope * moduli).sum()
    assert total.item() == pytest.approx(c.item(), rel=1e-5)


@pytest.mark.parametrize("output", OUTPUTS)
def test_exact_numbers_give_the_label_and_no_loss(output, cells):
    layer = SpaceOutput(output)
    label = torch.tensor(layer.label(cells.stiffness, cells.moduli, cells.fraction))
    if output == "voigt-reuss":
        values, vectors = torch.linalg.eigh(label)
        logit = torch.logit(values.clamp(1e-9, 1.0 - 1e-9))
        raw = vector_from_symmetric((vectors * logit[:, None, :]) @ vectors.mT)
    elif output == "vanilla":
        raw = vector_from_symmetric(label)
    elif output == "cholesky":
        factor = torch.linalg.cholesky(label)
        rows, columns = torch.tril_indices(6, 6, -1)
        raw = torch.cat([factor.diagonal(dim1=1, dim2=2), factor[:, rows, columns]], dim=1)
    else:
        return
    moduli, fraction = torch.tensor(cells.moduli), torch.tensor(cells.fraction)
    c = layer.stiffness(layer.normalised(raw), moduli, fraction).numpy()
    assert np.abs(c - cells.stiffness).max() < 1e-7 * np.abs(cells.stiffness).max()
    assert float(layer.loss(raw, label)) < 1e-6
    assert float(layer.loss(1.01 * raw + 0.01, label)) > 1e-5


def test_isotropic_twin_learns_the_moduli_of_the_projection(cells):
    layer = SpaceOutput("isotropic")
    label = torch.tensor(layer.label(cells.stiffness, cells.moduli, cells.fraction))
    exact = space_estimates(cells)["isotropic projection"]
    bulk = label[:, :3, :3].sum(dim=(1, 2)) / 9.0
    shear = (label.diagonal(dim1=1, dim2=2).sum(1) - 3.0 * bulk) / 10.0
    raw = torch.log(torch.expm1(torch.stack([bulk, shear], dim=1)))
    assert float(layer.loss(raw, label)) < 1e-20
    moduli, fraction = torch.tensor(cells.moduli), torch.tensor(cells.fraction)
    c = layer.stiffness(layer.normalised(raw), moduli, fraction).numpy()
    found = SpaceEvaluation.of(c, cells.stiffness, cells.gap)
    assert np.allclose(found.error, exact.error)
    assert found.r2_parts["isotropic"] == pytest.approx(1.0)


def test_parts_add_up_and_are_orthogonal(cells):
    found = parts(cells.stiffness)
    whole = np.linalg.norm(cells.stiffness, axis=(1, 2)) ** 2
    total = sum((found[n] ** 2).sum(axis=1) for n in ("isotropic", "cubic", "beyond_cubic"))
    assert np.allclose(total, whole)
    assert np.allclose(found["cubic"] + found["beyond_cubic"], found["anisotropic"])
    cubic = np.diag([3.0, 3.0, 3.0, 4.0, 4.0, 4.0])
    alone = parts(cubic[None])
    assert np.abs(alone["beyond_cubic"]).max() < 1e-14
    assert np.abs(alone["cubic"]).max() > 0.1


def test_scores_of_known_predictions(cells):
    true = cells.stiffness
    perfect = SpaceEvaluation.of(true, true, cells.gap)
    assert perfect.as_dict()["mean_error"] == 0.0
    assert perfect.r2_parts["couplings"] == perfect.r2_raw["anisotropic"] == 1.0
    off = SpaceEvaluation.of(1.01 * true, true, cells.gap)
    assert np.allclose(off.error, 0.01)
    assert np.nanmax(off.r2) < 1.0
    beyond = SpaceEvaluation.of(1.01 * cells.gap.upper, true, cells.gap)
    assert beyond.violations["voigt"] == len(cells)
    hill = space_estimates(cells)["Hill"]
    assert set(hill.violations.values()) == {0}


def test_isotropic_descriptors_cannot_tell_what_is_beyond_cubic(cells):
    net = surrogate(dataclasses.replace(TINY, groups=("isotropic",)), "voigt-reuss", cells)
    assert net.net.regressor[0].in_features == len(selection(("isotropic",))) + 5
    c = net.of_cells(cells, symmetric=True)
    unit = np.linalg.norm(cells.gap.upper, axis=(1, 2))[:, None, None]
    assert np.abs(parts(c / unit)["beyond_cubic"]).max() < 1e-6


@pytest.mark.parametrize("config", [TINY, TINY_VOXELS], ids=["descriptors", "voxels"])
def test_augmented_batches_keep_exact_labels(config, cells):
    task = SpaceTask(cells, cells, config, "vanilla", batch=6)
    batch = next(task.batches(0, 0, 1))
    again = next(task.batches(0, 0, 1))
    assert torch.equal(batch.inputs, again.inputs)
    assert torch.equal(batch.labels, again.labels)
    if config.inputs == "descriptors":
        return
    for k in range(3):
        image = batch.inputs[k].numpy()
        assert image.mean() == pytest.approx(float(batch.fraction[k]))
        b, g1, g2 = 10.0 ** batch.ratios[k].double().numpy()
        phases = isotropic_phases([[1.0, g1, b, g2]])[0]
        exact = homogenize(Rve(phases=image), phases, SolverOptions(tol=1e-7)).stiffness
        f = image.mean()
        label = exact / np.linalg.norm((1.0 - f) * phases[0] + f * phases[1])
        assert np.abs(batch.labels[k].numpy() - label).max() < 1e-4


def test_descriptors_of_a_batch_are_those_of_turned_images(cells):
    plain = SpaceTask(cells, cells, TINY, "vanilla", batch=4, augment=False)
    turned = SpaceTask(cells, cells, TINY, "vanilla", batch=4)
    first, second = next(plain.batches(0, 0, 1)), next(turned.batches(0, 0, 1))
    image = cells.images[cells.image[[int(i) for i in _order(cells)[:4]]]]
    assert np.allclose(first.inputs, descriptor_matrix(image), atol=1e-4)
    kept = selection(("isotropic",))
    assert np.allclose(first.inputs[:, kept].sum(1), second.inputs[:, kept].sum(1), rtol=1e-4)
    assert not torch.equal(first.inputs, second.inputs)


def _order(cells):
    from offline.surrogates.voigt_reuss.labelled_task import generator

    return torch.randperm(len(cells), generator=generator(0, 0))


def test_a_twin_is_trained_saved_and_loaded(tmp_path, cells):
    training, held = cells.split(0.3, seed=0)
    options = cpu_options(epochs=40, warm_up=5, tensorboard=False)
    net = train_space_twin("voigt-reuss", training, held, tmp_path, options, TINY, batch=16)
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert len(rows) == 41
    fresh, after = surrogate(TINY, cells=training).evaluate(training), net.evaluate(held).as_dict()
    seen = net.evaluate(training).as_dict()
    assert seen["normalised_error"] < 0.8 * fresh.as_dict()["normalised_error"]
    assert after["voigt_violations"] == after["reuss_violations"] == 0
    again = load_surrogate(tmp_path / "best")
    assert np.array_equal(again.of_cells(held), net.of_cells(held))
    stem = tmp_path / "copy"
    net.save(stem)
    card = json.loads((tmp_path / "copy.json").read_text())
    assert card["config"]["net"]["widths"] == [16]
    card["config"]["net"]["inputs"] = "mesh"
    (tmp_path / "copy.json").write_text(json.dumps(card))
    with pytest.raises(FileFormatError, match="card does not describe a network"):
        load_surrogate(stem)


def test_twins_differ_in_what_they_are_named_for_alone():
    for name, (output, changes) in TWINS.items():
        assert output in OUTPUTS
        assert twin_config(name, TINY) == dataclasses.replace(TINY, **changes)
    assert twin_config("cnn").inputs == "voxels"
    assert twin_config("vanilla") == small()
    with pytest.raises(ParameterError, match="twin 'ldlt' is unknown, expected one of voigt"):
        twin_config("ldlt")


def test_table_has_a_line_per_method(cells):
    found = space_estimates(cells)
    lines = space_table(found).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| Hill | ")
    assert f"{100.0 * np.median(found['Hill'].error):.2f}" in lines[2]
    assert "0 of 72" in lines[2]


def test_wrong_input_is_named(cells):
    net = surrogate(cells=cells)
    with pytest.raises(ShapeError, match=r"images have shape \(8, 8, 8\), expected \(n, r, r, r\)"):
        net.predict(cells.images[0], 1.0, 1.0, 2.0, 2.0)
    with pytest.raises(ParameterError, match="images hold other values than 0 and 1"):
        net.predict(2 * cells.images[:1], 1.0, 1.0, 2.0, 2.0)
    with pytest.raises(ParameterError, match="moduli hold 0, expected values > 0"):
        net.predict(cells.images[:1], 1.0, 1.0, 0.0, 2.0)
    with pytest.raises(ShapeError, match="expected cubes of a multiple of 8 voxels"):
        surrogate(TINY_VOXELS).predict(np.zeros((1, 12, 12, 12)), 1.0, 1.0, 2.0, 2.0)
    with pytest.raises(ParameterError, match="output 'ldlt' is unknown"):
        SpaceOutput("ldlt")
    with pytest.raises(ParameterError, match="inputs are 'mesh', expected one of descriptors"):
        SpaceConfig(inputs="mesh")
    with pytest.raises(ParameterError, match="resolution 10 cannot be divided by the patch of 2"):
        voxels(resolution=10)
    with pytest.raises(ParameterError, match="cells have 8 voxels per axis, the network takes 24"):
        SpaceTask(cells, cells, voxels())
    with pytest.raises(ParameterError, match="batch is 1, expected at least 2"):
        SpaceTask(cells, cells, TINY, batch=1)
    with pytest.raises(ParameterError, match="72 cells do not fill 1 x 256"):
        SpaceTask(cells, cells, TINY).steps(1)
