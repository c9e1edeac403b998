"""The torch engine against the CPU engine; on CUDA too, where there is one."""

import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from matnet.elasticity import cubic, isotropic
from matnet.errors import ConvergenceError, MissingExtraError, ParameterError, ShapeError
from offline.homogenization import SolverOptions, Status, homogenize
from offline.homogenization.gpu import (
    DeviceMemoryError,
    homogenize_many,
    homogenize_on,
    peak_memory,
    solve_operator,
)
from offline.homogenization.gpu.backend import wants_triton
from offline.homogenization.gpu.cell import DeviceCell, prepare
from offline.homogenization.gpu.memory import make_plan
from offline.homogenization.gpu.precondition import inverse_symbol
from offline.homogenization.gpu.stencil import PlainStencil
from offline.homogenization.grid import HexGrid
from offline.homogenization.solver import CellSolver
from offline.rve import Rve

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]
STEEL = isotropic(E=1.0, nu=0.3)
VOID = np.zeros((6, 6))
SHEARED = np.array([[1.0, 0.2, 0.1], [0.3, 1.4, 0.0], [-0.2, 0.25, 0.8]])
CPU = SolverOptions(device="cpu")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def centres(*shape):
    return (np.indices(shape) + 0.5) / np.array(shape)[:, None, None, None]


def sphere(*shape, cell=None):
    phases = ((centres(*shape) - 0.5) ** 2).sum(0) < 0.36**2
    return Rve(phases=phases, phase_names=("matrix", "sphere"), cell=cell)


def truss(n):
    slim = np.abs(centres(n, n, n) - 0.5) < 0.2
    solid = (slim[0] & slim[1]) | (slim[1] & slim[2]) | (slim[0] & slim[2])
    solid[0, 0, 0] = True  # an island
    return Rve(phases=solid, phase_names=("void", "solid"))


def grains(n, count):
    rng = np.random.default_rng(3)
    gaps = centres(n, n, n)[None] - rng.random((count, 3))[:, :, None, None, None]
    q = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    q *= np.sign(np.linalg.det(q))[:, None, None]
    phases = ((gaps - np.round(gaps)) ** 2).sum(1).argmin(0)
    return Rve(phases=phases, orientations=q)


def smooth(n):
    x = 2 * np.pi * centres(n, n, n)
    field = 0.5 + 0.25 * (np.sin(x[0]) * np.cos(x[1]) + np.sin(x[2]))
    return Rve(phases=np.zeros((n, n, n), int), density=field**3)


def thin_layers(*shape):
    return Rve(phases=np.random.default_rng(5).integers(0, 2, shape))


CASES = {
    "spheres": lambda: (sphere(12, 12, 12), [STEEL, 100.0 * STEEL]),
    "truss": lambda: (truss(12), [VOID, STEEL]),
    "polycrystal": lambda: (grains(8, 12), [cubic(C11=168.4, C12=121.4, C44=75.4)] * 12),
    "density": lambda: (smooth(10), [STEEL]),
    "sheared": lambda: (sphere(6, 10, 8, cell=2e-6 * SHEARED), [7e10 * STEEL, 3e9 * STEEL]),
    "prime": lambda: (sphere(7, 11, 5), [STEEL, 0.01 * STEEL]),
    "one voxel along 1": lambda: (thin_layers(1, 6, 5), [STEEL, 20.0 * STEEL]),
    "one voxel along 3": lambda: (thin_layers(4, 7, 1), [STEEL, 20.0 * STEEL]),
    "two axes of one voxel": lambda: (thin_layers(1, 1, 6), [STEEL, 20.0 * STEEL]),
}


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_same_stiffness_as_the_cpu_engine(name, device):
    rve, stiffnesses = CASES[name]()
    for tol, close in ((1e-6, 1e-6), (1e-10, 1e-8)):
        options = SolverOptions(tol=tol)
        ours = homogenize_on(device, rve, stiffnesses, options)
        expected = homogenize(rve, stiffnesses, SolverOptions(tol=tol, device="cpu"))
        assert distance(ours.stiffness, expected.stiffness) < close
        assert ours.error_estimate <= tol
        assert ours.removed_voxels == expected.removed_voxels


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("contrast", [1e-9, 1e-4, 1e4, 1e9])
def test_extreme_contrasts_agree(contrast, device):
    rve, stiffnesses = sphere(9, 8, 10), [STEEL, contrast * STEEL]
    options = SolverOptions(tol=1e-8, device="cpu")
    ours = homogenize_on(device, rve, stiffnesses, options).stiffness
    assert distance(ours, homogenize(rve, stiffnesses, options).stiffness) < 1e-6


@pytest.mark.parametrize("device", DEVICES)
def test_fluctuations_and_residuals_agree(device):
    rve, stiffnesses = truss(10), [VOID, STEEL]
    options = SolverOptions(residual_tol=1e-9, device="cpu")
    ours = homogenize_on(device, rve, stiffnesses, options, keep_displacement=True)
    expected = homogenize(rve, stiffnesses, options, keep_displacement=True)
    assert ours.residual.max() <= 1e-9
    assert distance(ours.displacement, expected.displacement) < 1e-7
    solver = CellSolver(rve, void=[True, False])
    operator = solver.with_stiffness(stiffnesses)
    u = solver.pack(ours.displacement).astype(float)
    np.testing.assert_allclose(operator.energy(u), ours.stiffness, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_engine_for_operators_returns_the_cpu_engines_solution(device):
    rve = sphere(6, 8, 7, cell=3.0 * SHEARED)
    operator = CellSolver(rve).with_stiffness([5.0 * STEEL, 90.0 * STEEL])
    options = SolverOptions(residual_tol=1e-8, device="cpu")
    expected = operator.solve(options)
    object.__setattr__(options, "device", device)  # `solve_operator` takes any device
    ours = solve_operator(operator, options)
    for name in ("effective", "u"):
        assert distance(getattr(ours, name), getattr(expected, name)) < 1e-7
    product = operator.apply(ours.u.astype(np.float64))[0]
    assert distance(product + ours.r, operator.load_vectors()) < 1e-6
    again = solve_operator(operator, options, start=ours.u)
    assert again.iterations.max() <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_start_from_the_solution_needs_no_work(device):
    rve, stiffnesses = sphere(8, 8, 8), [STEEL, 50.0 * STEEL]
    first = homogenize_on(device, rve, stiffnesses, SolverOptions(tol=1e-8), keep_displacement=True)
    options = SolverOptions(residual_tol=1e-3)
    again = homogenize_on(device, rve, stiffnesses, options, start=first.displacement)
    assert again.iterations.max() == 0
    np.testing.assert_allclose(again.stiffness, first.stiffness, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_homogeneous_cell_is_exact_without_iterations(device):
    same = Rve(phases=np.arange(60).reshape(3, 4, 5) % 2)
    result = homogenize_on(device, same, [STEEL, STEEL])
    assert result.iterations.max() == 0 and result.error_estimate == 0.0
    np.testing.assert_allclose(result.stiffness, STEEL, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("device", DEVICES)
def test_progress_reports_the_falling_error(device):
    seen = []
    rve, stiffnesses = sphere(8, 8, 8), [STEEL, 50.0 * STEEL]
    result = homogenize_on(
        device, rve, stiffnesses, progress=lambda step, error: seen.append((step, error))
    )
    assert [step for step, _ in seen] == list(range(1, result.iterations.max() + 1))
    assert seen[-1][1] <= 1e-6 < seen[-2][1]


@pytest.mark.parametrize("device", DEVICES)
def test_result_repeats_bit_for_bit(device):
    rve, stiffnesses = sphere(8, 7, 8), [STEEL, 50.0 * STEEL]
    one, two = (homogenize_on(device, rve, stiffnesses).stiffness for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("device", DEVICES)
def test_unmet_tolerance_is_told_with_the_last_iterate(device):
    rve, stiffnesses = sphere(8, 8, 8), [STEEL, 50.0 * STEEL]
    options = SolverOptions(tol=1e-9, max_iterations=3)
    with pytest.raises(ConvergenceError, match="after 3 iterations, estimated error") as caught:
        homogenize_on(device, rve, stiffnesses, options)
    assert caught.value.result.status is Status.MAX_ITERATIONS
    assert homogenize_on(device, rve, stiffnesses, options, throw=False).iterations.max() == 3


def test_slabs_do_not_change_the_operator(rng):
    rve = sphere(7, 4, 5, cell=SHEARED)
    cell = DeviceCell([prepare(rve, [STEEL, 9.0 * STEEL])], torch.device("cpu"))
    u = torch.as_tensor(rng.normal(size=cell.field_shape))
    results = []
    for slab_bytes in (1, 2 * 18 * 20 * 8 * 40, 2**30):  # one layer, two layers, all of them
        stencil, forces = PlainStencil(cell, slab_bytes), torch.empty_like(u)
        stencil.forces(u, forces)
        results.append((forces, stencil.energies(u), stencil.apply(u, torch.empty_like(u))))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * float(a.abs().max()))


def test_operator_is_that_of_the_cpu_engine(rng):
    rve = sphere(5, 4, 6, cell=SHEARED)
    stiffnesses = [STEEL, 9.0 * STEEL]
    cell = DeviceCell([prepare(rve, stiffnesses)], torch.device("cpu"))
    operator = CellSolver(rve).with_stiffness(stiffnesses)
    u = rng.normal(size=(6, *rve.shape, 3))
    field = torch.as_tensor(np.moveaxis(u, -1, 1)[None].copy())
    q = torch.empty_like(field)
    work = PlainStencil(cell, 2**20).apply(field, q)[0].numpy()
    product = operator.solver.unpack(
        operator.apply(operator.solver.pack(u).astype(float))[0]
    )  # in the cell's units
    unit = cell.samples[0].unit * cell.length
    np.testing.assert_allclose(np.moveaxis(q[0].numpy(), 1, -1) * unit, product, atol=1e-6)
    np.testing.assert_allclose(work * unit, (u * product).sum(axis=(1, 2, 3, 4)), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 5), (1, 6, 4)])
def test_symbol_is_inverted_as_in_the_cpu_engine(shape):
    from offline.homogenization.fourier import invert_symmetric, reference_symbol

    grid, c = HexGrid(shape, SHEARED), cubic(C11=2.0, C12=0.8, C44=0.9)
    expected = reference_symbol(grid, c).reshape(-1, 6)
    invert_symmetric(expected[1:])
    expected[0] = 0.0
    half = (*shape[:2], shape[2] // 2 + 1)
    ours = torch.empty((6, *half), dtype=torch.float64)
    inverse_symbol(grid, c, torch.device("cpu"), ours)
    np.testing.assert_allclose(np.moveaxis(ours.numpy(), 0, -1).reshape(-1, 6), expected, rtol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_batch_gives_each_cell_its_own_result(device):
    rng = np.random.default_rng(2)
    cells = [
        (Rve(phases=rng.random((6, 5, 7)) < share), [scale * STEEL, scale * contrast * STEEL])
        for share, contrast, scale in ((0.2, 5.0, 1.0), (0.5, 300.0, 1e9), (0.4, 1.0, 2.0))
    ]
    cells.append((Rve(phases=np.zeros((6, 5, 7), int), density=rng.random((6, 5, 7))), [STEEL]))
    batch = homogenize_many(cells, CPU, device, kernels="plain", keep_displacement=True)
    for (rve, stiffnesses), together in zip(cells, batch, strict=True):
        alone = homogenize(rve, stiffnesses, CPU)
        assert distance(together.stiffness, alone.stiffness) < 1e-6
        assert together.rve_hash == rve.hash()
        assert np.abs(together.iterations.max() - alone.iterations.max()) <= 1
    assert len({r.iterations.max() for r in batch}) > 1  # each stops by itself


def test_batch_on_the_cpu_runs_the_cpu_engine():
    cells = [(sphere(5, 5, 5), [STEEL, s * STEEL]) for s in (2.0, 4.0)]
    batch = homogenize_many(cells, device="cpu")
    for (rve, stiffnesses), result in zip(cells, batch, strict=True):
        np.testing.assert_array_equal(result.stiffness, homogenize(rve, stiffnesses, CPU).stiffness)


def test_batch_of_different_shapes_is_refused():
    cells = [(sphere(5, 5, n), [STEEL, 2.0 * STEEL]) for n in (4, 5)]
    with pytest.raises(ShapeError, match=r"cell 1 has shape \(5, 5, 5\) .* Sort them by shape"):
        homogenize_many(cells, device="cpu", kernels="plain")


def test_peak_memory_of_the_largest_cell_fits_80_gb():
    peak = peak_memory((512, 512, 512))
    fields = 512**3 * 18 * 20
    assert fields < peak < 62e9
    assert peak_memory((512, 512, 512), density=True) - peak == 12 * 512**3


def test_too_large_a_cell_is_told_in_bytes(monkeypatch):
    monkeypatch.setattr("offline.homogenization.gpu.memory._free_bytes", lambda device: 10**9)
    with pytest.raises(DeviceMemoryError, match=r"needs \d+\.\d GB on cpu, which has 1\.0"):
        make_plan((256, 256, 256), device=torch.device("cpu"))
    with pytest.raises(DeviceMemoryError, match="Coarsen the cell, free the memory"):
        make_plan((256, 256, 256), device=torch.device("cpu"))


def test_small_memory_makes_transforms_take_turns(monkeypatch):
    shape, device = (64, 64, 64), torch.device("cpu")
    lean = peak_memory(shape, loads_at_once=1)
    roomy = peak_memory(shape, loads_at_once=6)
    assert lean < roomy
    for free, loads in ((1.06 * lean, 1), (1.06 * roomy, 6)):
        monkeypatch.setattr("offline.homogenization.gpu.memory._free_bytes", lambda d, f=free: f)
        assert make_plan(shape, device=device, plain=False).loads_at_once == loads


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all tensors that live at the same time."""

    def __init__(self):
        super().__init__()
        self.live, self.now, self.most = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_flatten(result)[0]:
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().nbytes():
                self.count(leaf.untyped_storage())
        return result

    def count(self, storage):
        key = storage._cdata
        if key not in self.live:
            self.live[key] = storage.nbytes()
            self.now += self.live[key]
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self.freed, key)

    def freed(self, key):
        self.now -= self.live.pop(key)


@pytest.mark.parametrize("shape", [(24, 24, 24), (40, 32, 20)])
def test_peak_memory_bounds_what_tensors_hold(shape):
    rve = Rve(phases=np.random.default_rng(0).integers(0, 2, shape))
    plan = make_plan(shape, device=torch.device("cpu"))
    with LiveTensors() as tensors:
        block = torch.zeros(10**6, dtype=torch.float64)
        assert tensors.now == 8 * 10**6
        del block
        assert tensors.now == 0
        options = SolverOptions(tol=1e-2, max_iterations=2)
        homogenize_on("cpu", rve, [STEEL, 2.0 * STEEL], options, throw=False)
    assert 0.6 * plan.peak_bytes < tensors.most <= plan.peak_bytes


@CUDA
@pytest.mark.parametrize("kernels", ["plain", "auto"])
def test_peak_memory_holds_on_cuda(kernels):
    rve = sphere(96, 96, 96)
    plan = make_plan(rve.shape, device=torch.device("cuda"), plain=kernels == "plain")
    torch.cuda.reset_peak_memory_stats()
    homogenize_on("cuda", rve, [STEEL, 10.0 * STEEL], kernels=kernels)
    assert torch.cuda.max_memory_allocated() <= plan.peak_bytes


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_missing_cuda_is_told():
    with pytest.raises(ParameterError, match=r"torch sees no CUDA devices\. Install a CUDA build"):
        homogenize(sphere(4, 4, 4), [STEEL, STEEL], SolverOptions(device="cuda"))
    assert SolverOptions().resolve_device(512**3) == "cpu"


def test_unknown_devices_and_kernels_are_refused():
    with pytest.raises(ParameterError, match="device is 'gpu', expected 'auto', 'cpu' or 'cuda'"):
        SolverOptions(device="gpu")
    with pytest.raises(ParameterError, match="kernels is 'fast', expected 'auto', 'plain' or"):
        homogenize_on("cpu", sphere(4, 4, 4), [STEEL, STEEL], kernels="fast")


def test_missing_triton_is_told(monkeypatch):
    monkeypatch.setattr("offline.homogenization.gpu.backend.find_spec", lambda name: None)
    assert not wants_triton("auto", torch.device("cuda"))
    with pytest.raises(MissingExtraError, match=r"needs Triton\. Install it with: pip install"):
        wants_triton("triton", torch.device("cuda"))
