"""The networks' counts, symmetries and limits; the measure of errors; condition numbers."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import ParameterError, ShapeError
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.matrix import dense_matrix
from offline.surrogates.label_free.metrics import component_error, condition_numbers
from offline.surrogates.label_free.network import LabelFreeConfig, symmetric_stiffness


def count(config):
    return sum(p.numel() for p in config.module().parameters())


def test_networks_have_the_papers_numbers_of_parameters():
    assert count(LabelFreeConfig()) == 437_642
    assert count(LabelFreeConfig(net="stiffness")) == 592_643


def test_displacement_network_has_fourteen_convolutions():
    convolutions = [
        m for m in LabelFreeConfig().module().modules() if isinstance(m, torch.nn.Conv3d)
    ]
    assert len(convolutions) == 14


@pytest.mark.parametrize(("padding", "moves"), [("periodic", True), ("zero", False)])
def test_periodic_network_moves_with_its_cell(padding, moves):
    torch.manual_seed(0)
    module = LabelFreeConfig(width=0.2, padding=padding).module().eval()
    rho = torch.rand(1, 1, 6, 6, 6)
    shift = {"shifts": (1, 2, 3), "dims": (-3, -2, -1)}
    with torch.no_grad():
        gap = module(rho.roll(**shift)) - module(rho).roll(**shift)
    assert bool(gap.abs().max() < 1e-5) is moves


def test_nine_numbers_fill_an_orthotropic_stiffness():
    c = symmetric_stiffness(torch.arange(1.0, 10.0)[None])[0]
    assert torch.equal(c, c.T)
    assert c[:3, :3].tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]
    assert c.diagonal()[3:].tolist() == [7, 8, 9] and float(c.abs().sum()) == 55.0


def test_cells_that_the_network_cannot_take_are_named():
    flat = np.zeros((4, 4, 4), dtype=np.uint8)
    config = LabelFreeConfig()
    assert config.misfit(Rve(phases=flat)) is None
    two = Rve(phases=np.arange(64).reshape(4, 4, 4).astype(np.uint8) % 2, phase_names=("a", "b"))
    assert config.misfit(two) == "it sees one density, and the cell has phases a, b"
    long = Rve(phases=flat, cell=np.diag([1.0, 1.0, 2.0]))
    assert config.misfit(long) == "it sees no shape, and the voxels are not cubes"
    pooled = LabelFreeConfig(net="stiffness", resolution=8)
    assert "takes 8 voxels per axis, and the cell has 4 x 4 x 4" in str(
        pooled.misfit(Rve(phases=flat))
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0.0}, "width is 0.0, expected a number above 0, at most 8."),
        ({"padding": "mirror"}, "padding is 'mirror', expected one of periodic, zero."),
        ({"soft": 0.0}, "soft is 0.0, expected a number above 0, at most 0.5."),
        ({"net": "graph"}, "net is 'graph', expected one of displacement, stiffness."),
        ({"resolution": 20}, "resolution is 20, expected a multiple of 8."),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ParameterError) as refused:
        LabelFreeConfig(**settings)
    assert str(refused.value) == message


def test_component_error_is_the_mean_over_36_entries_above_the_threshold():
    wanted = isotropic(E=1.0, nu=0.3)
    found = wanted.copy()
    found[0, 1] *= 0.9
    found[3, 3] *= 1.2
    found[0, 4] = 5.0  # the reference is zero there
    assert component_error(found[None], wanted[None])[0] == pytest.approx((0.1 + 0.2) / 36)
    with pytest.raises(ShapeError, match="expected equal 6x6"):
        component_error(found, wanted[None])


def test_condition_number_of_the_weak_form_is_the_square():
    phases = np.zeros((3, 3, 3), dtype=np.uint8)
    phases[:, 1:, 1:] = 1
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    stiffness = [np.zeros((6, 6)), isotropic(E=1.0, nu=0.3)]
    cells = DenseCells.of([(rve, stiffness)], soft=1e-2, dtype=torch.float64)
    k = dense_matrix(cells)
    np.testing.assert_allclose(k, k.T, atol=1e-15)
    u = torch.randn(
        1, 3, 6, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    want = cells.product(u)[0, :, 2].reshape(-1).numpy()
    np.testing.assert_allclose(k @ u[0, :, 2].reshape(-1).numpy(), want, atol=1e-13)
    energy, weak = condition_numbers(k)
    assert energy > 100.0 and weak == pytest.approx(energy**2)
    with pytest.raises(ShapeError, match="expected a square one"):
        condition_numbers(np.zeros((2, 3)))
