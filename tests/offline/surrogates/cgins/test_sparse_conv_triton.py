"""The fused sparse convolution: in Triton's interpreter, by compiling, and on CUDA where there is
a device."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
import torch

from matnet.errors import ParameterError
from offline.homogenization.gpu.backend import KernelWarning
from offline.surrogates.cgins import sparse_conv
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.cgins.sparse_conv import SparseConv3, fused_for, use_kernels
from offline.surrogates.cgins.sparse_grid import SparseGrid

TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

# Output and gradients of three ways: fused, plain, and a dense convolution in double precision.
COMPARISON = """
import sys
import torch
from torch.nn.functional import conv3d, pad
from offline.surrogates.cgins import sparse_conv_triton
from offline.surrogates.cgins.sparse_conv import SparseConv3
from offline.surrogates.cgins.sparse_grid import SparseGrid

torch.set_num_threads(1)
torch.manual_seed(0)
device, precisions = sys.argv[1], sys.argv[2:]
sparse_conv_triton.PIECE = 64  # more than one piece and tile for a few nodes and channels
sparse_conv_triton.WIDEST = 32
CASES = ((1, 19, True, True), (35, 33, False, False))

def dense(active, x, conv, mode):
    volume = x.new_zeros(*active.shape, conv.in_channels)
    volume[active] = x
    kernel = conv.weight.reshape(3, 3, 3, *conv.weight.shape[1:]).permute(4, 3, 0, 1, 2)
    padded = pad(volume.permute(0, 4, 1, 2, 3), (1,) * 6, mode=mode)
    return conv3d(padded, kernel, conv.bias).permute(0, 2, 3, 4, 1)[active]

def outcome(forward, conv, x, target):
    x = x.detach().clone().requires_grad_()
    out = forward(x)
    wanted = (x, *conv.parameters())
    return (out, *torch.autograd.grad((out.double() * target).sum(), wanted))

for name in precisions:
    dtype, single = getattr(torch, name), name == "float32"
    for ins, outs, periodic, bias in CASES if single or device == "cuda" else CASES[:1]:
        active = torch.rand(2, 4, 3, 5) < 0.5
        active[1] = True
        grid = SparseGrid.of(active, periodic).to(device)
        conv = SparseConv3(ins, outs, bias, device=device)
        with torch.no_grad():
            conv.weight.copy_(conv.weight.to(dtype))
        x = torch.randn(grid.n_nodes, ins, device=device).to(dtype)
        target = torch.randn(grid.n_nodes, outs, device=device).to(dtype)
        results = []
        for kernels in ("triton", "plain"):
            conv.kernels = kernels
            results.append(outcome(lambda y: conv(y, grid), conv, x, target))
        mode = "circular" if periodic else "constant"
        double = SparseConv3(ins, outs, bias, device=device, dtype=torch.float64)
        double.load_state_dict(conv.state_dict())
        marked = active.to(device)
        exact = outcome(lambda y: dense(marked, y, double, mode), double, x.double(), target)
        assert [r.dtype for r in results[0]] == [r.dtype for r in results[1]]
        for fused, plain, reference in zip(*results, exact):
            size = reference.abs().max()
            gaps = [((fused - other).abs().max() / size).item() for other in (reference, plain)]
            rounding = torch.finfo(dtype).eps
            assert gaps[0] < (16 if single else 1) * rounding, (name, ins, gaps)
            assert gaps[1] < (16 if single else 4) * rounding, (name, ins, gaps)
"""


def compare(device, *precisions, **environment):
    run = subprocess.run(
        [sys.executable, "-c", COMPARISON, device, *precisions],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@TRITON
def test_fused_convolution_is_the_plain_and_the_dense_one_in_the_interpreter():
    # bfloat16 is left out: the interpreter multiplies its bits as whole numbers
    compare("cpu", "float32", "float16", TRITON_INTERPRET="1")


@TRITON
@CUDA
def test_fused_convolution_is_the_plain_and_the_dense_one_on_cuda():
    compare("cuda", "float32", "float16", "bfloat16")


@TRITON
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", ["product_kernel", "gradient_kernel"])
def test_kernels_compile_for_hopper_without_a_gpu(name, precision, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", 90, 32)
    from offline.surrogates.cgins import sparse_conv_triton

    kernel = getattr(sparse_conv_triton, name)
    constants = {"BIAS": True, "ROWS": 64, "INS": 32, "OUTS": 32, "PRECISION": "ieee"}
    pointers = dict.fromkeys(("x", "weight", "out", "gradient"), f"*{precision}")
    pointers |= {"bias": "*fp32", "parts": "*fp32", "neighbours": "*i64"}
    names = kernel.arg_names
    kinds = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in names}
    values = {(names.index(n),): v for n, v in constants.items() if n in names}
    source = compiler.ASTSource(kernel, kinds, values)
    ptx = compiler.compile(source, target=target, options=sparse_conv_triton.LAUNCH).asm["ptx"]
    assert not re.search(r"\b(atom|red)\.", ptx)  # the same sums in every run
    assert ("fma.rn.f32" if precision == "fp32" else "mma") in ptx  # tensor cores
    assert f"{precision.replace('p', '')}.tf32" not in ptx  # not fewer digits than asked for


def case(kernels):
    grid = SparseGrid.of(torch.ones(1, 2, 2, 2, dtype=torch.bool))
    conv = SparseConv3(2, 2)
    conv.kernels = kernels
    return conv, torch.randn(8, 2), grid


def test_triton_on_the_cpu_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr("offline.homogenization.gpu.backend.find_spec", lambda name: object())
    fused_for.cache_clear()
    conv, x, grid = case("triton")
    with pytest.raises(ParameterError, match="needs a CUDA device, or TRITON_INTERPRET=1"):
        conv(x, grid)
    conv, x, grid = case("fast")
    with pytest.raises(ParameterError, match="kernels is 'fast', expected 'auto', 'plain' or"):
        conv(x, grid)


def test_kernels_that_fail_give_way_to_plain_torch(monkeypatch):
    def broken(device, dtype):
        raise ArithmeticError("the compiled product is off by 1.0e+00")

    conv, x, grid = case("plain")
    plain = conv(x, grid)
    monkeypatch.setattr(sparse_conv, "wants_triton", lambda kernels, device: True)
    monkeypatch.setattr(sparse_conv, "_check_kernels", broken)
    fused_for.cache_clear()
    try:
        conv.kernels = "auto"
        with pytest.warns(KernelWarning, match=r"on cpu \(the compiled product is off by 1"):
            assert torch.equal(conv(x, grid), plain)
        conv.kernels = "triton"
        with pytest.raises(ArithmeticError, match="is off by"):
            conv(x, grid)
        assert not fused_for("triton", torch.device("cpu"), torch.float64)
    finally:
        fused_for.cache_clear()


def test_kernels_are_chosen_for_a_whole_network():
    network = CGiNS(CGiNSConfig(channels=4, depth=1))
    use_kernels(network, "plain")
    found = [m.kernels for m in network.modules() if isinstance(m, SparseConv3)]
    assert len(found) > 2 and set(found) == {"plain"}
