"""PH-Net on the harness: its network, cells with a shape, prediction."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.homogenization import homogenize
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.predict import DensePredictor
from offline.surrogates.families import family
from offline.surrogates.phnet.network import PHNetConfig, material_voxels
from offline.surrogates.phnet.task import ARCHITECTURE, load_predictor
from offline.surrogates.registry import find_architecture
from offline.surrogates.stream import CellStream, DataOptions
from offline.surrogates.training import TrainOptions, train

DATA = DataOptions(
    families=("tubular-gyroid",), resolution=16, cells=6, validation_cells=2, batch=2
)
QUICK = TrainOptions(epochs=4, learning_rate=5e-3, warm_up=2, device="cpu", tensorboard=False)


def task(**settings):
    return ARCHITECTURE.task(DATA, {"width": "0.1", "references": "2", **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(task(), QUICK, tmp_path_factory.mktemp("phnet"))


def validation_cells():
    (batch,) = CellStream(DATA, "validation").all_in_order()
    return [(sample.rve, sample.stiffnesses) for sample in batch]


def test_architecture_is_registered_with_the_papers_recipe():
    assert find_architecture("phnet") is ARCHITECTURE
    recipe = ARCHITECTURE.recipe
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("adam", 5e-4, 66)


def test_blocks_have_the_widths_of_table_1():
    module = PHNetConfig().module()
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv3d)]
    down = [(c.in_channels, c.out_channels) for c in convolutions[:6]]
    assert down == [(36, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    assert [c.out_channels for c in convolutions[6:12:2]] == [128, 64, 32]
    assert (convolutions[-1].in_channels, convolutions[-1].out_channels) == (32, 18)


def test_network_moves_with_its_cell_by_whole_pools():
    torch.manual_seed(0)
    module = PHNetConfig(width=0.1).module().eval()
    voxels = torch.rand(1, 36, 16, 8, 8)
    with torch.no_grad():
        gap = module(voxels.roll(8, 2)) - module(voxels).roll(8, 3)
    assert float(gap.abs().max()) < 1e-5


def test_material_voxels_carry_the_transformed_stiffness_of_each_voxel():
    sample = family("tubular-gyroid").sample(3, 16)
    cells = DenseCells.of([(sample.rve, sample.stiffnesses)], soft=1e-3, dtype=torch.float64)
    voxels = material_voxels(cells)[0].reshape(6, 6, -1).permute(2, 0, 1) * cells.scale
    solid = sample.stiffnesses[~sample.rve.void][0]
    want = cells.shapes[0].to_cube(solid)
    inside = torch.from_numpy(sample.rve.solid_mask.reshape(-1).copy())
    np.testing.assert_allclose(voxels[inside][0].numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(voxels[~inside][0].numpy(), 1e-3 * want, rtol=1e-12)


def test_training_lowers_energy_and_error(trained):
    first, last = trained.history[0], trained.history[-1]
    for name in ("loss", "validation", "delta"):
        assert last[name] < first[name], name


def test_energy_is_taken_in_single_precision_under_autocast():
    job = task()
    torch.manual_seed(0)
    module, batch = job.module(), job.prepare(next(job.batches(0, 0, 1)), torch.device("cpu"))
    plain = float(job.loss(module, batch, 0.0)["loss"].detach())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = job.loss(module, batch, 0.0)["loss"]
    assert mixed.dtype == torch.float32
    assert float(mixed.detach()) == pytest.approx(plain, rel=2e-2)
    mixed.backward()


def test_displacement_of_a_sheared_cell_gives_the_predicted_stiffness(trained):
    """Integrated on the sheared cell by the solver's own operator, void empty."""
    from offline.homogenization import CellSolver

    predictor = load_predictor(trained.folder / "final")
    cells = validation_cells()
    u = predictor.predict(cells)
    for field, (rve, c), found in zip(u, cells, predictor.stiffness(cells), strict=True):
        solver = CellSolver(rve, void=~c.any(axis=(1, 2)))
        energy = solver.with_stiffness(c).energy(solver.pack(field))
        assert np.linalg.norm(energy - found) < 1e-3 * np.linalg.norm(found)
        assert np.linalg.eigvalsh(found - homogenize(rve, c).stiffness).min() > -1e-5


def test_problem_fills_void_with_the_soft_material(trained):
    predictor = load_predictor(trained.folder / "final")
    rve, c = validation_cells()[0]
    filled, stiffness = predictor.problem(rve, c)
    assert "void" not in filled.phase_names and not filled.void.any()
    solid = c[~rve.void][0]
    np.testing.assert_allclose(stiffness[rve.void][0], 1e-6 * solid)


def test_grids_that_cannot_be_halved_are_refused(trained):
    predictor = load_predictor(trained.folder / "final")
    rve = Rve(phases=np.zeros((8, 8, 12), dtype=np.uint8))
    with pytest.raises(ParameterError, match="8 x 8 x 12 voxels are not multiples of 8"):
        predictor.predict([(rve, [isotropic(E=1.0, nu=0.3)])])


def test_batches_with_one_voxel_on_the_coarsest_grid_are_refused():
    data = DataOptions(families=("truss",), resolution=8, cells=2, validation_cells=1, batch=1)
    with pytest.raises(ParameterError, match="batch is 1 at 8 voxels per axis: the coarsest grid"):
        ARCHITECTURE.task(data, {})


def test_more_fields_than_loads_are_combined_to_six():
    cell = family("tubular-gyroid").sample(3, 16)
    config = PHNetConfig(width=0.1, fields=14, combine=True)
    torch.manual_seed(0)
    predictor = DensePredictor("wide", {}, config, config.module())
    cells = [(cell.rve, cell.stiffnesses)]
    assert predictor.module(config.inputs(DenseCells.of(cells, soft=1e-6))).shape[1:3] == (3, 14)
    assert predictor.predict(cells).shape == (1, 6, 16, 16, 16, 3)
    assert predictor.stiffness(cells).shape == (1, 6, 6)


def test_weights_with_fewer_fields_are_taken_up_and_more_fields_have_no_more_energy():
    cell = family("tubular-gyroid").sample(3, 16)
    small = PHNetConfig(width=0.1, combine=True)
    wide = replace(small, fields=10)
    torch.manual_seed(0)
    one, other = small.module(), wide.module()
    other.load_state_dict(other.grown(one.state_dict()))
    assert torch.equal(other.last.weight[:18], one.last.weight)
    old, new = one.last.weight.detach().std(), other.last.weight.detach()[18:].std()
    assert float(new) == pytest.approx(float(old), rel=0.2)
    cells = [(cell.rve, cell.stiffnesses)]
    few, many = (
        DensePredictor("", {}, config, module).stiffness(cells)[0]
        for config, module in ((small, one), (wide, other))
    )
    assert np.linalg.eigvalsh(few - many).min() > -3e-5 * np.abs(few).max()  # rounding
    assert np.trace(many) < np.trace(few)
    assert torch.equal(other.grown(other.state_dict())["last.weight"], other.last.weight)
    stranger = replace(small, last_width=1.0).module().state_dict()
    assert other.grown(stranger) is stranger


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fields": 5}, "fields is 5, expected a whole number from 6 to 192."),
        ({"fields": 12}, "fields is 12, and without combine each of the 6 loads has one."),
        ({"last_width": 0.0}, "last_width is 0.0, expected a number above 0, at most 8."),
    ],
)
def test_settings_of_the_last_layers_are_named(wrong, message):
    with pytest.raises(ParameterError, match=message):
        PHNetConfig(**wrong)


def test_last_block_keeps_its_channels_if_asked():
    widths = [m.out_channels for m in PHNetConfig(width=0.25, last_width=2.0).module().modules()
              if isinstance(m, torch.nn.Conv3d)]  # fmt: skip
    assert widths == [16, 16, 32, 32, 64, 64, 32, 32, 16, 16, 64, 64, 18]
