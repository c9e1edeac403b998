"""The best combination of six predicted displacements."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError
from offline.homogenization import SolverOptions, homogenize
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.predict import DensePredictor
from offline.surrogates.families import family
from offline.surrogates.label_free.network import LabelFreeConfig
from offline.surrogates.label_free.task import LabelFreeLoss, LabelFreeTask
from offline.surrogates.phnet.network import PHNetConfig
from offline.surrogates.stream import DataOptions

SOFT = 1e-4


def two_cells():
    samples = [family("tubular-gyroid").sample(seed, 8) for seed in (3, 4)]
    return [(sample.rve, sample.stiffnesses) for sample in samples]


@pytest.fixture
def cells():
    return DenseCells.of(two_cells(), soft=SOFT, dtype=torch.float64)


@pytest.fixture
def fields():
    torch.manual_seed(0)
    return 0.02 * torch.randn(2, 3, 6, 8, 8, 8, dtype=torch.float64)


def mixed(fields, factors):
    return torch.einsum("biknml,kj->bijnml", fields, factors)


def test_no_other_combination_has_less_energy(cells, fields):
    best = cells.energies(cells.combined(fields))
    assert (best < cells.energies(fields)).all() and (best < 1.0).all()
    torch.manual_seed(1)
    for _ in range(5):
        factors = torch.eye(6, dtype=torch.float64) + 0.1 * torch.randn(6, 6, dtype=torch.float64)
        assert (cells.energies(mixed(cells.combined(fields), factors)) > best).all()


def test_depends_on_the_span_alone(cells, fields):
    torch.manual_seed(2)
    factors = torch.randn(6, 6, dtype=torch.float64)
    again = cells.energies(cells.combined(mixed(fields, factors)))
    torch.testing.assert_close(again, cells.energies(cells.combined(fields)), rtol=1e-6, atol=1e-7)


def test_solution_stays(cells):
    """Six combinations of the solver's displacements give the solver's back."""
    found = [
        homogenize(
            replace(rve, phase_names=("filling", "solid")),
            np.where((~np.any(c, axis=(1, 2)))[:, None, None], SOFT * c[1], c),
            SolverOptions(tol=1e-10),
            keep_displacement=True,
        )
        for rve, c in two_cells()
    ]
    exact = np.stack(
        [
            shape.to_cube_displacement(one.displacement).transpose(4, 0, 1, 2, 3)
            for shape, one in zip(cells.shapes, found, strict=True)
        ]
    )
    torch.manual_seed(3)
    factors = torch.eye(6, dtype=torch.float64) + 0.3 * torch.randn(6, 6, dtype=torch.float64)
    combined = cells.combined(mixed(torch.from_numpy(exact), factors))
    effective = cells.effective(combined).numpy()
    for c, one in zip(effective, found, strict=True):
        np.testing.assert_allclose(c, one.stiffness, rtol=0, atol=1e-6 * abs(c).max())


def test_derivative_with_the_factors_held_fixed_is_the_whole_one(cells, fields):
    u = fields.clone().requires_grad_()
    cells.energies(cells.combined(u)).sum().backward()
    torch.manual_seed(4)
    direction, h = torch.randn_like(fields), 1e-6
    ends = [cells.energies(cells.combined(fields + s * h * direction)).sum() for s in (1, -1)]
    slope = float(ends[0] - ends[1]) / (2 * h)
    assert float((u.grad * direction).sum()) == pytest.approx(slope, rel=1e-5)


def test_fields_of_zero_and_equal_fields_are_no_trouble(cells, fields):
    assert torch.equal(cells.combined(0.0 * fields), 0.0 * fields)
    equal = fields[:, :, :1].expand_as(fields).contiguous()
    assert (cells.energies(cells.combined(equal)) <= 1.0).all()


def test_predictor_combines_if_the_configuration_says_so():
    torch.manual_seed(5)
    plain = PHNetConfig(width=0.1, soft=SOFT)
    module = plain.module()
    one = DensePredictor("plain", {}, plain, module).stiffness(two_cells())
    other = DensePredictor("combined", {}, replace(plain, combine=True), module)
    assert (np.diagonal(other.stiffness(two_cells()), axis1=1, axis2=2)[:, :3].sum(1)
            < np.diagonal(one, axis1=1, axis2=2)[:, :3].sum(1)).all()  # fmt: skip
    u = other.predict(two_cells())
    assert u.shape == (2, 6, 8, 8, 8, 3)


def test_net_without_displacements_has_nothing_to_combine():
    with pytest.raises(ParameterError, match="combine is set, and the net 'stiffness' has no"):
        LabelFreeConfig(net="stiffness", combine=True)


@pytest.mark.parametrize("loss", ["weak", "displacement", "stiffness"])
def test_only_the_energy_is_made_least(loss):
    data = DataOptions(families=("frame",), resolution=8, cells=2, validation_cells=2, batch=2)
    with pytest.raises(ParameterError, match=f"combine is for the loss 'energy', .*'{loss}'"):
        LabelFreeTask(data, LabelFreeConfig(combine=True), LabelFreeLoss(loss=loss))
