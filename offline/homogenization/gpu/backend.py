"""Which kernels run: compiled ones (Triton) on CUDA, plain torch everywhere else."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch

from matnet.errors import MissingExtraError, ParameterError
from offline.homogenization.gpu.cell import DeviceCell
from offline.homogenization.gpu.pcg import Stencil, Vectors
from offline.homogenization.gpu.precondition import multiply_symbol
from offline.homogenization.gpu.stencil import PlainStencil
from offline.homogenization.gpu.vectors import PlainVectors

__all__ = ["Backend", "KernelWarning", "Kernels", "choose_kernels", "wants_triton"]

Kernels = Literal["auto", "plain", "triton"]
FALLBACK_SLAB_BYTES = 2**28


class KernelWarning(UserWarning):
    """The compiled kernels cannot be used; the plain ones give the same result, more slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The kernels of one solve."""

    stencil: Stencil
    vectors: Vectors
    multiply: Callable[[torch.Tensor, torch.Tensor], None]
    name: str


def wants_triton(kernels: Kernels, device: torch.device) -> bool:
    """Whether the compiled kernels are to be tried.

    Raises
    ------
    ParameterError, MissingExtraError
        `kernels` is unknown, or asks for Triton where it is not installed.
    """
    if kernels not in ("auto", "plain", "triton"):
        raise ParameterError(f"kernels is '{kernels}', expected 'auto', 'plain' or 'triton'.")
    found = find_spec("triton") is not None
    if kernels == "triton" and not found:
        raise MissingExtraError(
            "kernels='triton' needs Triton. Install it with: pip install triton, or pass "
            "kernels='plain'."
        )
    if kernels == "triton" and device.type == "cpu" and not os.environ.get("TRITON_INTERPRET"):
        raise ParameterError(
            "kernels='triton' needs a CUDA device, or TRITON_INTERPRET=1 to run on the CPU, slowly."
        )
    return kernels == "triton" or (kernels == "auto" and device.type == "cuda" and found)


def choose_kernels(cell: DeviceCell, slab_bytes: int, kernels: Kernels) -> Backend:
    """The kernels for a cell. With ``auto``, a failure to compile falls back to plain torch.

    Warns
    -----
    KernelWarning
        The compiled kernels fail on this machine, or disagree with the plain ones.
    """
    if not wants_triton(kernels, cell.device):
        return _plain(cell, slab_bytes)
    if kernels == "triton":
        return _compiled(cell)
    try:
        return _compiled(cell)
    except Exception as error:  # whatever compilers and drivers raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"Triton kernels cannot be used on {cell.device} ({reason}); going on with plain "
            "torch, which gives the same result but is slower.",
            KernelWarning,
            stacklevel=2,
        )
        return _plain(cell, FALLBACK_SLAB_BYTES)


def _plain(cell: DeviceCell, slab_bytes: int) -> Backend:
    return Backend(
        stencil=PlainStencil(cell, slab_bytes),
        vectors=PlainVectors(slab_bytes),
        multiply=multiply_symbol,
        name="plain",
    )


def _compiled(cell: DeviceCell) -> Backend:
    from offline.homogenization.gpu.compiled import CompiledStencil, CompiledVectors, multiply
    from offline.homogenization.gpu.selfcheck import check_kernels

    check_kernels(cell.device)
    return Backend(
        stencil=CompiledStencil(cell), vectors=CompiledVectors(), multiply=multiply, name="triton"
    )
