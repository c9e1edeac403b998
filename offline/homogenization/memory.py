"""Memory of a solve: what it takes, and where it comes from."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from offline.homogenization.node_kernels import WIDTH

__all__ = ["MemoryWarning", "Workspace", "available_bytes", "peak_bytes", "warn_if_short"]

FIELD = 4 * WIDTH  # bytes of six fields at a node, single precision
SYMBOL = 6 * 4 / 2  # bytes per voxel of the symbol's inverse, half of the frequencies
MAPS = 8 + 8 + 4 + 1  # per voxel: the cell itself, masks and the numbering
PER_NODE = 8 + 4  # grid number, density scaling
PER_ELEMENT = 2 * 32 + 8 + 8 + 1 + 8 + 4 + 2  # nodes twice, numbers, phases, densities


class MemoryWarning(UserWarning):
    """A solve takes more memory than is free."""


class Workspace:
    """Fields that only live during a solve, kept for the next one.

    Attributes
    ----------
    n_nodes, n_voxels : int
    """

    def __init__(self, n_nodes: int, n_voxels: int) -> None:
        self.n_nodes, self.n_voxels = n_nodes, n_voxels
        self._pair: np.ndarray | None = None
        self._grid: np.ndarray | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no solve has taken memory yet."""
        return self._pair is None

    @property
    def pair(self) -> np.ndarray:
        """Two fields (2, n_nodes, 18) in single precision."""
        if self._pair is None:
            self._pair = np.empty((2, self.n_nodes, WIDTH), dtype=np.float32)
        return self._pair

    @property
    def pair_as_double(self) -> np.ndarray:
        """The memory of `pair` as one field (n_nodes, 18) in double precision."""
        return self.pair.reshape(-1).view(np.float64).reshape(self.n_nodes, WIDTH)

    @property
    def grid(self) -> np.ndarray:
        """Fields (n_voxels, 18) on the whole grid in single precision."""
        if self._grid is None:
            self._grid = np.empty((self.n_voxels, WIDTH), dtype=np.float32)
        return self._grid


def peak_bytes(n_voxels: int, n_elements: int, n_nodes: int) -> int:
    """Peak memory of `homogenize` beyond the cell's own arrays [bytes], stated in advance.

    Holds for solves that single precision carries (``tol`` down to about 1e-9). Four fields live at
    the nodes (displacements, residuals, direction, its forces); one more on the grid where some
    voxels are void. Tighter solves and solves from a start hold up to three fields in double
    precision on top, ``432 n_nodes`` bytes.

    Parameters
    ----------
    n_voxels, n_elements, n_nodes : int
        Voxels of the cell, voxels with stiffness, nodes they touch.

    Examples
    --------
    >>> round(peak_bytes(64**3, 64**3, 64**3) / 1e6)  # all voxels solid
    112
    """
    fields = 4 * FIELD * n_nodes + (FIELD * n_voxels if n_nodes < n_voxels else 0)
    mesh = MAPS * n_voxels + PER_NODE * n_nodes + PER_ELEMENT * n_elements
    return int(fields + mesh + SYMBOL * n_voxels)


def available_bytes() -> int | None:
    """Memory that can be taken without swapping [bytes]; None where the system does not tell.

    On Linux, what the kernel estimates, or less where a control group sets a limit.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = dict(line.split(":") for line in lines)
        free = 1024 * int(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        used = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, int((group / "memory.max").read_text()) - int(used["anon"]))
    except (OSError, KeyError, ValueError):  # no limit
        return free


def warn_if_short(needed: int) -> None:
    """Warn where a solve needs more memory than there is.

    Warns
    -----
    MemoryWarning
        The message gives both sizes.
    """
    free = available_bytes()
    if free is not None and needed > free:
        warnings.warn(
            f"this solve takes about {needed / 1e9:.3g} GB of memory, and {max(free, 0) / 1e9:.3g} "
            "GB are free: it may swap or be ended by the system. Use fewer voxels, or a machine "
            "with more memory.",
            MemoryWarning,
            stacklevel=3,
        )
