"""Bad starts, rounding limits and unlike cells on torch devices."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import ConvergenceError, ParameterError, ShapeError
from offline.homogenization import SolverOptions, Status, homogenize
from offline.homogenization.gpu import homogenize_many, homogenize_on
from offline.homogenization.gpu.stencil import PlainStencil
from offline.homogenization.solver import CellSolver
from offline.rve import Rve

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]
STEEL = isotropic(E=1.0, nu=0.3)
CPU = SolverOptions(device="cpu")


def random_phases(*shape):
    return Rve(phases=np.random.default_rng(7).integers(0, 2, shape))


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1e3, 1e8, 1e20, 1e300])
def test_useless_starts_do_no_harm(size, device):
    rve, stiffnesses = random_phases(5, 4, 6), [STEEL, 50.0 * STEEL]
    start = np.zeros((6, 5, 4, 6, 3))
    start[1:, 2, 1, 3, 1] = size
    expected = homogenize(rve, stiffnesses, SolverOptions(tol=1e-10, device="cpu")).stiffness
    for result in (
        homogenize_on(device, rve, stiffnesses, start=start),
        homogenize(rve, stiffnesses, CPU, start=start),
    ):
        assert result.status is Status.CONVERGED
        assert distance(result.stiffness, expected) < 1e-6


@pytest.mark.parametrize("solve", [homogenize, lambda *a, **k: homogenize_on("cpu", *a, **k)])
def test_start_that_is_not_finite_is_refused(solve):
    start = np.zeros((6, 3, 3, 3, 3))
    start[4, 0, 1, 2, 0] = np.nan
    with pytest.raises(ParameterError, match="start: 1 of 486 values are not finite"):
        solve(random_phases(3, 3, 3), [STEEL, 2.0 * STEEL], CPU, start=start)
    with pytest.raises(ShapeError, match="start has shape"):
        solve(random_phases(3, 3, 3), [STEEL, 2.0 * STEEL], CPU, start=np.zeros((6, 3)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("residual_tol", [1e-3, 1e-7, 1e-11])
def test_asked_residual_is_the_true_one(residual_tol, device):
    rve, stiffnesses = random_phases(6, 5, 7), [STEEL, 100.0 * STEEL]
    options = SolverOptions(residual_tol=residual_tol, device="cpu")
    result = homogenize_on(device, rve, stiffnesses, options, keep_displacement=True)
    solver = CellSolver(rve)
    operator = solver.with_stiffness(stiffnesses)
    u, r = solver.pack(result.displacement), np.empty((rve.phases.size, 18))
    operator.evaluate(u, out=r)
    sizes = [np.linalg.norm(x.reshape(-1, 6), axis=0) for x in (r, operator.load_vectors())]
    assert (sizes[0] / sizes[1]).max() <= residual_tol * (1.0 + 1e-3)


def test_tolerance_out_of_reach_of_rounding_is_not_called_converged(monkeypatch):
    true_forces = PlainStencil.forces
    random = torch.Generator().manual_seed(0)

    def inexact(stencil, u, out):
        true_forces(stencil, u, out)
        noise = torch.randn(out.shape, generator=random)
        out.add_(1e-6 * (noise - noise.mean(dim=(3, 4, 5), keepdim=True)))

    monkeypatch.setattr(PlainStencil, "forces", inexact)
    options = SolverOptions(residual_tol=1e-9, max_iterations=500)
    with pytest.raises(ConvergenceError, match=r"> residual_tol 1.0e-09, at .* Loosen the tol"):
        homogenize_on("cpu", random_phases(4, 4, 4), [STEEL, 5.0 * STEEL], options)


@pytest.mark.parametrize("device", DEVICES)
def test_densities_keep_double_precision(device):
    rng = np.random.default_rng(2)
    density = np.where(rng.random((4, 3, 4)) < 0.3, 1e-12, rng.uniform(0.1, 1.0, (4, 3, 4)))
    rve = Rve(phases=np.zeros((4, 3, 4), int), density=density)
    options = SolverOptions(tol=1e-12, device="cpu")
    ours = homogenize_on(device, rve, [STEEL], options).stiffness
    assert distance(ours, homogenize(rve, [STEEL], options).stiffness) < 1e-10


@pytest.mark.parametrize("device", DEVICES)
def test_batch_of_tiny_cells_of_other_proportions_is_refused(device):
    phases = np.random.default_rng(7).integers(0, 2, (4, 4, 4))
    cells = [Rve(phases=phases, cell=1e-9 * np.diag([1.0, 1.0, a])) for a in (1.0, 3.0)]
    with pytest.raises(ShapeError, match="cells of one batch must agree"):
        homogenize_many(
            [(rve, [STEEL, 9.0 * STEEL]) for rve in cells], device=device, kernels="plain"
        )


def test_batch_without_cells_is_empty():
    assert homogenize_many([]) == []
    assert homogenize_many([], device="cpu", kernels="plain") == []


def test_unknown_device_of_a_batch_is_refused():
    with pytest.raises(ParameterError, match="device is 'nonsense', expected 'cpu'"):
        homogenize_many([(random_phases(2, 2, 2), [STEEL, STEEL])], device="nonsense")


@pytest.mark.parametrize("engine", ["auto", "multigrid", "fourier"])
def test_operators_never_ignore_a_device(engine):
    operator = CellSolver(random_phases(4, 4, 4)).with_stiffness([STEEL, 2.0 * STEEL])
    options = SolverOptions(engine=engine, device="cuda:99")
    with pytest.raises(ParameterError, match="device 'cuda:99' was asked for, but torch sees"):
        operator.solve(options)


def islands(decades):
    phases = np.zeros((8, 8, 8), int)
    phases[1:4, 1:4, 1:4], phases[5:7, 4:7, 5:7] = 1, 2
    stiff = 10.0**decades
    return Rve(phases=phases), [STEEL, stiff * STEEL, 0.3 * stiff * isotropic(E=1.0, nu=0.1)]


@pytest.mark.parametrize("device", DEVICES)
def test_estimate_counts_against_the_stiffness_reached(device):
    result = homogenize_on(device, *islands(9), SolverOptions(tol=1e-2))  # C^H: 1e-8 of the mean
    assert result.status is Status.CONVERGED
    assert result.error_estimate <= 1e-2


@pytest.mark.parametrize("device", DEVICES)
def test_stiff_islands_many_decades_above_their_matrix_are_refused(device):
    with pytest.raises(ParameterError, match="too little for double precision"):
        homogenize_on(device, *islands(11), SolverOptions(tol=1e-2))
