"""The Triton kernels: against plain torch through Triton's interpreter, and by compiling."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.homogenization import SolverOptions
from offline.homogenization.gpu import homogenize_on
from offline.homogenization.gpu.backend import KernelWarning, choose_kernels
from offline.homogenization.gpu.cell import DeviceCell, prepare
from offline.rve import Rve

TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)
STEEL = isotropic(E=1.0, nu=0.3)

INTERPRETED = """
import numpy as np, torch
from offline.homogenization import SolverOptions
from offline.homogenization.gpu import homogenize_many
from offline.homogenization.gpu.selfcheck import check_kernels
from offline.rve import Rve
torch.set_num_threads(1)
check_kernels(torch.device("cpu"))
rng = np.random.default_rng(1)
c = np.eye(6)
cells = [
    (Rve(phases=rng.integers(0, 2, (3, 2, 5)), density=rng.random((3, 2, 5))), [c, 4.0 * c]),
    (Rve(phases=rng.integers(0, 2, (3, 2, 5))), [7.0 * c, c]),
]
options = SolverOptions(max_iterations=1, tol=1e-9)
a, b = (
    homogenize_many(cells, options, "cpu", kernels=kernels, throw=False)
    for kernels in ("plain", "triton")
)
for plain, compiled in zip(a, b):
    np.testing.assert_allclose(compiled.stiffness, plain.stiffness, rtol=0, atol=1e-6)
    np.testing.assert_allclose(compiled.residual, plain.residual, rtol=1e-4)
"""


@TRITON
def test_kernels_agree_with_plain_torch_in_the_interpreter():
    run = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@TRITON
def test_stencil_compiles_for_hopper_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", 90, 32)
    from offline.homogenization.gpu.triton_stencil import stencil_kernel

    constants = {"T1": 2, "T2": 2, "T3": 32, "DENSITY": True, "TOTAL": False}
    pointers = {"x": "*fp32", "out": "*fp32", "power": "*fp64", "table": "*fp32"}
    pointers |= {"affine": "*fp64", "pairs": "*i32", "material": "*u8", "density": "*fp64"}
    names = stencil_kernel.arg_names
    kinds = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in names}
    values = {(names.index(n),): value for n, value in constants.items()}
    source = compiler.ASTSource(stencil_kernel, kinds, values)
    options = {"num_warps": 4, "enable_fp_fusion": True}
    ptx = compiler.compile(source, target=target, options=options).asm["ptx"]
    assert "atom." not in ptx and "red.global" not in ptx  # the same sums in every run
    assert ptx.count("fma.rn.f32") >= 63  # 3x3 blocks times six loads, density times 9


def test_triton_on_the_cpu_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr("offline.homogenization.gpu.backend.find_spec", lambda name: object())
    with pytest.raises(ParameterError, match="needs a CUDA device, or TRITON_INTERPRET=1"):
        homogenize_on("cpu", Rve(phases=np.zeros((2, 2, 2), int)), [STEEL], kernels="triton")


def test_kernels_that_fail_give_way_to_plain_torch(monkeypatch):
    def broken(cell):
        raise RuntimeError("no compiler\nand a long trace")

    monkeypatch.setattr("offline.homogenization.gpu.backend.wants_triton", lambda k, d: True)
    monkeypatch.setattr("offline.homogenization.gpu.backend._compiled", broken)
    rve = Rve(phases=np.zeros((2, 2, 2), int))
    cell = DeviceCell([prepare(rve, [STEEL])], torch.device("cpu"))
    with pytest.warns(KernelWarning, match=r"cannot be used on cpu \(no compiler\); going on with"):
        assert choose_kernels(cell, 0, "auto").name == "plain"
    with pytest.raises(RuntimeError, match="no compiler"):
        choose_kernels(cell, 0, "triton")


def test_options_travel_to_the_device():
    result = homogenize_on(
        "cpu", Rve(phases=np.arange(8).reshape(2, 2, 2) % 2), [STEEL, 2 * STEEL],
        SolverOptions(tol=1e-3),
    )  # fmt: skip
    assert result.options.tol == 1e-3
