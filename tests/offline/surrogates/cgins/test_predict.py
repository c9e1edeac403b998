"""A network's predictions and its files."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import FileFormatError, ParameterError
from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.rve.generators.registry import make
from offline.surrogates import weights
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.predict import load_network, predict

CONFIG = CGiNSConfig(channels=4, depth=1, frequencies=2, pcg_steps=60)
STEEL = isotropic(E=1.0, nu=0.3)


@pytest.fixture(scope="module")
def cell():
    rve = make("random-truss", n=8, volume_fraction=0.4, seed=1, nodes=3)
    return rve, np.stack([0.0 * STEEL, STEEL])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CGiNS(CONFIG).eval()


def card(**data):
    config = CGiNSConfig.from_json(CONFIG.to_json())
    return {"kind": "cgins", "config": {k: getattr(config, k) for k in config.__slots__}, **data}


def test_prediction_after_many_steps_is_the_solution(cell, network):
    found = predict(network, [cell])
    exact = homogenize(*cell, SolverOptions(residual_tol=1e-8))
    gap = np.linalg.norm(found.stiffness[0] - exact.stiffness) / np.linalg.norm(exact.stiffness)
    assert gap < 2e-3  # the padding's influence and single precision
    assert found.displacement.shape == (1, 6, 8, 8, 8, 3)
    assert found.residual.shape == (1, 6) and found.residual.max() < 1e-2


def test_prediction_is_an_upper_bound_that_its_displacement_attains(cell):
    torch.manual_seed(0)
    rough = CGiNS(CGiNSConfig(channels=4, depth=1, pcg_steps=1, soft=None))
    found = predict(rough, [cell])
    solver = CellSolver(cell[0])
    operator = solver.with_stiffness(cell[1])
    u = solver.pack(found.displacement[0])
    assert np.allclose(operator.energy(u), found.stiffness[0], atol=1e-5)
    f = operator.load_vectors()
    residual = operator.apply(u)[0] - f
    norms = [np.linalg.norm(x.reshape(-1, 6), axis=0) for x in (residual, f)]
    assert np.allclose(found.residual[0], norms[0] / norms[1], rtol=1e-3)
    exact = homogenize(*cell).stiffness
    assert np.linalg.eigvalsh(found.stiffness[0] - exact).min() > -1e-6


def test_shapes_that_cannot_be_halved_are_named(network):
    rve = make("random-truss", n=10, volume_fraction=0.4, seed=1, nodes=3)
    with pytest.raises(ParameterError) as refused:
        predict(network, [(rve, [0.0 * STEEL, STEEL])])
    assert str(refused.value) == (
        "the network cannot take the cell: it halves the grid 2 times, "
        "and 10 x 10 x 10 voxels are not multiples of 4."
    )


def test_a_network_comes_back_from_its_files(tmp_path, cell, network):
    stem = weights.save(tmp_path / "net", network, card())
    again = load_network(stem)
    assert again.config == CONFIG
    assert np.array_equal(predict(again, [cell]).stiffness, predict(network, [cell]).stiffness)
    weights.save(tmp_path / "odd", network, {"kind": "cgins", "config": {"levels": 9}})
    with pytest.raises(FileFormatError, match=r"odd\.safetensors: card with an invalid config"):
        load_network(tmp_path / "odd")
