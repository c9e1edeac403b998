"""The inverse root of the Laplacian behind the networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.dense.integration import Integration
from offline.surrogates.dense.matrix import dense_matrix
from offline.surrogates.label_free.network import LabelFreeConfig
from offline.surrogates.phnet.network import PHNetConfig


def test_twice_is_the_inverse_of_the_difference_laplacian():
    w = torch.randn(2, 3, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    u = Integration()(Integration()(w))
    grid = (-3, -2, -1)
    laplacian = sum(u.roll(s, a) for a in grid for s in (1, -1)) - 6.0 * u
    mean = w.mean(grid, keepdim=True)
    torch.testing.assert_close(-laplacian, w - mean, atol=1e-5, rtol=1e-4)
    assert float(u.mean(grid).abs().max()) < 1e-6


def test_derivative_is_the_map_itself():
    a, b = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    a.requires_grad_()
    (Integration()(a) * b).sum().backward()
    torch.testing.assert_close(a.grad, Integration()(b), atol=1e-6, rtol=1e-5)


def condition(n, integrated):
    """Of the energy of a homogeneous cell in what the network predicts, translations apart."""
    cell = Rve(phases=np.zeros((n, n, n), dtype=np.uint8)), isotropic(E=1.0, nu=0.3)[None]
    k = dense_matrix(DenseCells.of([cell], soft=0.0, dtype=torch.float64))
    if integrated:
        unit = torch.eye(3 * n**3).reshape(-1, 3, n, n, n)
        root = Integration()(unit).flatten(1).double().numpy()
        k = root @ k @ root.T
    values = np.linalg.eigvalsh(k)[3:]
    return values[-1] / values[0]


def test_energy_is_as_well_conditioned_on_fine_grids_as_on_coarse_ones():
    assert condition(8, False) > 2.5 * condition(4, False)
    assert condition(8, True) < 1.3 * condition(4, True) < 30.0


@pytest.mark.parametrize("config", [LabelFreeConfig(width=0.1), PHNetConfig(width=0.05)])
def test_networks_predict_without_translations_if_asked(config):
    cell = Rve(phases=np.zeros((8, 8, 8), dtype=np.uint8)), isotropic(E=1.0, nu=0.3)[None]
    cells = DenseCells.of([cell], soft=1e-3)
    torch.manual_seed(0)
    plain = config.module().eval()
    other = replace(config, integrate=True).module().eval()
    other.load_state_dict(plain.state_dict())
    with torch.no_grad():
        found = other(config.inputs(cells))
        want = Integration()(plain(config.inputs(cells)))
    torch.testing.assert_close(found, want)
    assert float(found.mean((-3, -2, -1)).abs().max()) < 1e-6
