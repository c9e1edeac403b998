"""What a solve may be asked for, and how it ended."""

from __future__ import annotations

import ctypes
import enum
import math
import os
import re
from dataclasses import dataclass
from numbers import Real

from matnet.errors import ParameterError

__all__ = ["CUDA_VOXELS", "SolverOptions", "Status", "multigrid_pays", "require_device"]

CUDA_VOXELS = 32**3  # a guess, not measured: below, launching kernels takes longer than their work

# Measured, see docs/multigrid.md.
SOLID_NODES = 0.28  # multigrid's time follows the nodes of the solid, that of transforms all voxels
MULTIGRID_NODES = 5000  # fewer: multigrid's preparation takes longer than the solve


def multigrid_pays(n_voxels: int, n_nodes: int) -> bool:
    """Whether multigrid beats the Fourier engine where the solid touches `n_nodes` nodes.

    >>> multigrid_pays(64**3, 40_000), multigrid_pays(64**3, 64**3), multigrid_pays(16**3, 900)
    (True, False, False)
    """
    return MULTIGRID_NODES <= n_nodes <= SOLID_NODES * n_voxels


class Status(enum.Enum):
    """How a solve ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverOptions:
    """When to stop, and with which engine.

    Parameters
    ----------
    tol : float
        Estimated error of the effective stiffness relative to its Frobenius norm. The energy form
        is second order in the residual: 1e-6 leaves residuals around 1e-3.
    residual_tol : float, optional
        Stop each load case at this ``||K u - f|| / ||f||`` instead (for local fields).
    max_iterations : int
    engine : str
        Name of the solver, a key of `offline.homogenization.engines.ENGINES`; ``auto`` chooses by
        the share of nodes in the solid, see docs/multigrid.md.
    threads : int, optional
        Default: all cores this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to solve; ``auto`` takes CUDA for cells of `CUDA_VOXELS` voxels and more if there is
        such a device. ``cuda:1`` names the second one.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.
    """

    tol: float = 1e-6
    residual_tol: float | None = None
    max_iterations: int = 2000
    engine: str = "auto"
    threads: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("tol", "residual_tol"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and 0.0 < float(value) < 1.0):
                raise ParameterError(f"{name} is {value}, expected a number between 0 and 1.")
        for name in ("max_iterations", "threads"):
            value = getattr(self, name)
            if value is not None and not _is_count(value):
                raise ParameterError(f"{name} is {value}, expected a positive whole number.")
        if not isinstance(self.engine, str):
            raise ParameterError(f"engine is {self.engine}, expected its name, such as 'auto'.")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(self.device)):
            raise ParameterError(f"device is '{self.device}', expected 'auto', 'cpu' or 'cuda'.")

    @property
    def n_threads(self) -> int:
        """Threads to use now."""
        if self.threads is not None:
            return int(self.threads)
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def resolve_device(self, voxels: int) -> str:
        """``cpu`` or ``cuda`` for a cell of so many voxels.

        Raises
        ------
        ParameterError
            CUDA was asked for and there is none, or it does not know the engine.
        """
        everywhere = self.engine in ("auto", "fourier")
        if self.device == "auto":
            return (
                "cuda"
                if everywhere and voxels >= CUDA_VOXELS and _has_driver() and _cuda_devices()
                else "cpu"
            )
        require_device(self.device)
        if self.device != "cpu" and not everywhere:
            raise ParameterError(
                f"engine '{self.engine}' runs on the CPU only. Pass device='cpu' or "
                "engine='fourier'."
            )
        return self.device


def _is_count(value: object) -> bool:
    return isinstance(value, Real) and 1 <= float(value) < math.inf and float(value).is_integer()


def require_device(device: object) -> None:
    """Raise `ParameterError` if `device` is a CUDA device that torch does not see."""
    name = str(device)
    if not name.startswith("cuda"):
        return
    count = _cuda_devices()
    if int(name.partition(":")[2] or 0) >= count:
        raise ParameterError(
            f"device '{name}' was asked for, but torch sees {count or 'no'} CUDA "
            f"{'device' if count == 1 else 'devices'}. Install a CUDA build of torch and a driver, "
            "or use device 'cpu' or 'auto' (--device cpu)."
        )


def _has_driver() -> bool:
    """Whether NVIDIA's driver library is there: a quick look that spares importing torch."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _cuda_devices() -> int:
    try:
        import torch
    except ModuleNotFoundError:
        return 0
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
