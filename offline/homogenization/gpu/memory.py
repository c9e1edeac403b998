"""How much memory a solve takes on the device, known before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from matnet.errors import MatnetError
from offline.homogenization.gpu.cell import COMPONENTS, LOADS

__all__ = ["DeviceMemoryError", "Plan", "make_plan", "peak_memory", "too_small"]

SLAB_BYTES = {"cuda": 2**30, "cpu": 2**25}  # temporaries of the plain kernels
HEADROOM = 1.05  # the allocator rounds up


class DeviceMemoryError(MatnetError, MemoryError):
    """The device has too little free memory; the message says how much is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a solve divides its work.

    Attributes
    ----------
    loads_at_once : int
        (sample, load) pairs whose transforms run together.
    slab_bytes : int
        Temporaries of the plain kernels.
    peak_bytes : int
        Most memory that tensors take at any time, see `peak_memory`.
    """

    loads_at_once: int
    slab_bytes: int
    peak_bytes: int


def peak_memory(
    shape: tuple[int, int, int],
    *,
    samples: int = 1,
    density: bool = False,
    loads_at_once: int = 1,
    slab_bytes: int = 0,
) -> int:
    """Bytes that the tensors of a solve take on the device at most.

    Four fields live throughout: three in single precision and the fluctuations in double precision,
    20 bytes for each of the 18 values of a node. To them come the inverse symbol, materials and
    densities, and the larger of the workspace of the transforms (five times their size: input,
    spectrum, copy, result and the library's own) and of the plain kernels' slabs. For 512^3 this is
    60 GB.

    Parameters
    ----------
    shape : (n1, n2, n3)
    samples : int
    density : bool
        Whether the cells have a density field.
    loads_at_once : int
        Transforms of 3 components times this many (sample, load) pairs run together.
    slab_bytes : int
        Temporaries of the plain kernels; 0 for the compiled ones.

    Examples
    --------
    >>> peak_memory((512, 512, 512)) / 1e9 < 60.0
    True
    """
    nodes = int(np.prod(shape))
    half = shape[0] * shape[1] * (shape[2] // 2 + 1)
    fields = samples * nodes * LOADS * COMPONENTS * (3 * 4 + 8)
    symbol = samples * half * 6 * 4
    voxels = samples * nodes * (4 + 12 * density)
    transform = COMPONENTS * min(loads_at_once, samples * LOADS) * 8 * half * 5
    return fields + symbol + voxels + max(transform, _setup_bytes(shape, slab_bytes))


def _setup_bytes(shape: tuple[int, int, int], slab_bytes: int) -> int:
    """Temporaries outside the transforms: a slab of at least one layer, counts of active nodes."""
    layer = LOADS * COMPONENTS * shape[1] * shape[2] * 8 * 40 if slab_bytes else 0
    return max(slab_bytes, layer, 12 * int(np.prod(shape)))


def make_plan(
    shape: tuple[int, int, int],
    *,
    device: torch.device,
    samples: int = 1,
    density: bool = False,
    plain: bool = True,
) -> Plan:
    """The fastest division of a solve that fits the device.

    Raises
    ------
    DeviceMemoryError
        Even the leanest does not fit.
    """
    slab = SLAB_BYTES[device.type if device.type in SLAB_BYTES else "cuda"] if plain else 0
    free = _free_bytes(device)
    choices = sorted({LOADS * samples, LOADS, 3, 2, 1}, reverse=True)
    for loads in choices:
        peak = peak_memory(
            shape, samples=samples, density=density, loads_at_once=loads, slab_bytes=slab
        )
        if free is None or peak * HEADROOM <= free:
            return Plan(loads_at_once=loads, slab_bytes=slab, peak_bytes=peak)
    raise DeviceMemoryError(too_small(shape, samples, peak, device))


def _free_bytes(device: torch.device) -> int | None:
    """Memory that tensors can still get; None where there is no limit of its own."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + cached)


def too_small(shape: tuple[int, int, int], samples: int, needed: int, device: torch.device) -> str:
    """What to tell when a solve does not fit."""
    free = _free_bytes(device) or 0
    cells = f"{samples} cells" if samples > 1 else "a cell"
    advice = "Solve fewer cells at once" if samples > 1 else "Coarsen the cell"
    return (
        f"Homogenising {cells} of {' x '.join(map(str, shape))} voxels needs {needed / 1e9:.1f} GB "
        f"on {device}, which has {free / 1e9:.1f} GB free. {advice}, free the memory that other "
        "programs hold, or pass device='cpu' (--device cpu)."
    )
