"""Dense operators against the project's own solver."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import ParameterError, ShapeError
from offline.homogenization import SolverOptions, homogenize
from offline.rve.rve import Rve
from offline.surrogates.dense.cells import DenseCells
from offline.surrogates.families import family

SHEARED = np.array([[1.0, 0.0, 0.0], [0.2, 1.1, 0.0], [0.1, 0.15, 0.9]])
STIFF = np.array([isotropic(E=1.0, nu=0.3), np.diag([3.0, 1.0, 2.0, 0.5, 0.7, 0.9])])
DENSE = {"soft": 0.0, "dtype": torch.float64}


def composite(seed=0, n=4):
    phases = np.random.default_rng(seed).integers(0, 2, (n, n, n)).astype(np.uint8)
    return Rve(phases=phases, cell=SHEARED), STIFF


@pytest.fixture(scope="module")
def solved():
    """Two cells, their dense batch, exact results, and the exact fields on the cube."""
    pairs = [composite(0), composite(1)]
    exact = [
        homogenize(*p, SolverOptions(residual_tol=1e-11), keep_displacement=True) for p in pairs
    ]
    cells = DenseCells.of(pairs, **DENSE)
    fields = [
        s.to_cube_displacement(e.displacement) for s, e in zip(cells.shapes, exact, strict=True)
    ]
    u = torch.from_numpy(np.stack(fields)).permute(0, 5, 1, 2, 3, 4).contiguous()
    return cells, exact, u


def test_solution_balances_the_loads(solved):
    cells, _, u = solved
    assert float(cells.residuals(u).abs().max()) < 1e-9 * float(cells.load().abs().max())


def test_effective_stiffness_and_displacement_are_the_solvers(solved):
    cells, exact, u = solved
    for found, want in zip(cells.effective(u).numpy(), exact, strict=True):
        np.testing.assert_allclose(found, want.stiffness, atol=1e-9)
    for found, want in zip(cells.to_displacement(u), exact, strict=True):
        np.testing.assert_allclose(found, want.displacement, atol=1e-9)


def test_energies_are_smallest_at_the_solution_and_equal_effective_stiffness(solved):
    cells, _, u = solved
    voigt = cells.mean_stiffness().diagonal(dim1=1, dim2=2)
    energies = cells.energies(u)
    shape = [np.linalg.inv(s.strain_map) for s in cells.shapes]
    for b, inverse in enumerate(shape):
        cube = inverse.T @ cells.effective(u)[b].numpy() @ inverse / float(cells.scale[b])
        np.testing.assert_allclose((energies * voigt)[b], np.diag(cube), atol=1e-10)
    other = u + 1e-2 * torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
    assert bool((cells.energies(other) > energies).all())


def test_derivatives_of_energy_and_product_match_differences():
    cells = DenseCells.of([composite(2, 2)], **DENSE)
    u = torch.randn(
        1, 3, 6, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    u.requires_grad_()
    assert torch.autograd.gradcheck(cells.energies, (u,))
    assert torch.autograd.gradcheck(lambda v: cells.residuals(v).square().sum(), (u,))


def test_density_scales_the_stiffness_and_void_is_filled_with_the_soft_share():
    sample = family("density-lhs").sample(0, 6)
    assert sample.rve.density is not None
    cells = DenseCells.of([(sample.rve, sample.stiffnesses)], soft=0.25, dtype=torch.float64)
    rho = torch.from_numpy(np.array(sample.rve.density))
    assert torch.allclose(cells.shares()[0, 0], rho + 0.25 * (1.0 - rho))


def test_nodes_inside_void_are_zero():
    rve = Rve(phases=np.zeros((4, 4, 4), dtype=np.uint8), phase_names=("void", "solid"))
    phases = rve.phases.copy()
    phases[0] = 1
    rve = rve.with_phases(phases)
    cells = DenseCells.of([(rve, [np.zeros((6, 6)), STIFF[0]])], soft=1e-6)
    u = cells.to_displacement(torch.ones(1, 3, 6, 4, 4, 4))[0]
    assert (u[:, 2:] == 0.0).all() and (u[:3, :2] != 0.0).any()


def test_batches_of_several_shapes_or_without_solid_are_refused():
    with pytest.raises(ShapeError, match="expected one shape"):
        DenseCells.of([composite(0, 2), composite(0, 4)], soft=0.0)
    with pytest.raises(ParameterError, match="needs at least one cell"):
        DenseCells.of([], soft=0.0)
    void = Rve(phases=np.zeros((2, 2, 2), dtype=np.uint8), phase_names=("void",))
    with pytest.raises(ParameterError, match="a cell has no solid"):
        DenseCells.of([(void, np.zeros((1, 6, 6)))], soft=0.0)
