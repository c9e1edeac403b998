"""Are the compiled kernels right on this machine? Asked once per device, on a tiny cell."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from offline.homogenization.gpu.cell import DeviceCell, prepare
from offline.homogenization.gpu.compiled import CompiledStencil, CompiledVectors, multiply
from offline.homogenization.gpu.precondition import FourierInverse, multiply_symbol
from offline.homogenization.gpu.stencil import PlainStencil
from offline.homogenization.gpu.vectors import PlainVectors
from offline.rve.rve import Rve

__all__ = ["check_kernels"]

SMALL = 2**24  # bytes of temporaries


@lru_cache
def check_kernels(device: torch.device) -> None:
    """Compare every compiled kernel with its plain twin.

    Raises
    ------
    ArithmeticError
        A kernel disagrees; the message names it.
    """
    rng = np.random.default_rng(0)
    phases = rng.integers(0, 3, (5, 4, 7))
    c = [np.zeros((6, 6)), np.eye(6), 3.0 * np.eye(6) + 0.5]
    rve = Rve(phases=phases, phase_names=("void", "soft", "stiff"))
    cell = DeviceCell([prepare(rve, c, allow_disconnected=True)], device)
    _check_stencil(cell, rng)
    _check_vectors(cell, rng)


def _check_stencil(cell: DeviceCell, rng: np.random.Generator) -> None:
    plain, compiled = PlainStencil(cell, SMALL), CompiledStencil(cell)
    u = _random(cell, rng).double()
    a, b = cell.zeros(torch.float32), cell.zeros(torch.float32)
    works = [s.apply(u.float(), out) for s, out in ((plain, a), (compiled, b))]
    _compare("stiffness product", a, b)
    _compare("work", *works)
    plain.forces(u, a)
    compiled.forces(u, b)
    _compare("forces", a, b)
    _compare("energies", plain.energies(u), compiled.energies(u))


def _check_vectors(cell: DeviceCell, rng: np.random.Generator) -> None:
    plain, compiled = PlainVectors(SMALL), CompiledVectors()
    r, p, q = (_random(cell, rng) for _ in range(3))
    factor = torch.as_tensor(rng.random((1, 6)), device=cell.device)
    _compare("dot", plain.dot(r, q), compiled.dot(r, q))
    _compare("gap", plain.gap(r, q), compiled.gap(r, q))
    results = []
    for vectors in (plain, compiled):
        direction, u, rest = p.clone(), r.double(), r.clone()
        vectors.direction(q, factor, direction)
        square = vectors.advance(factor, direction, q, u, rest)
        results.append((direction, u, rest, square))
    for name, a, b in zip(("direction", "u", "residual", "norm"), *results, strict=True):
        _compare(name, a, b)
    inverses = []
    for kernel in (multiply_symbol, multiply):
        inverses.append(cell.zeros(torch.float32))
        FourierInverse(cell, 2, kernel).apply(r, inverses[-1])
    _compare("preconditioner", *inverses)


def _random(cell: DeviceCell, rng: np.random.Generator) -> torch.Tensor:
    values = rng.normal(size=cell.field_shape).astype(np.float32)
    return torch.as_tensor(values, device=cell.device)


def _compare(name: str, a: torch.Tensor, b: torch.Tensor) -> None:
    gap = float((a - b).abs().max() / a.abs().max())
    if not gap < 2e-5:
        raise ArithmeticError(f"the compiled kernel for '{name}' is off by {gap:.1e}")
