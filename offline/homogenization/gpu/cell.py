"""Samples on a torch device: voxels, element matrices, densities and the reference medium.

Everything on the device is dimensionless: lengths in units of the cube root of the voxel volume,
stiffnesses in units of the largest entry of a sample's Voigt mean. Single precision then serves
any system of units. Fields are arrays (samples, 6 loads, 3 components, n1, n2, n3) over all nodes
of the grid; node (i, j, k) is the corner of voxel (i, j, k) nearest the origin. Nodes inside void
carry values without meaning: no element reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from matnet.errors import ParameterError, ShapeError
from matnet.mandel import rotate_stiffness
from offline.homogenization.fourier import LARGEST_SCALE, reference_medium
from offline.homogenization.grid import HexGrid
from offline.homogenization.solver import _without_islands, checked_stiffnesses
from offline.rve.rve import Rve

__all__ = ["COMPONENTS", "LOADS", "DeviceCell", "Sample", "around_nodes", "as_sample", "prepare"]

LOADS, COMPONENTS = 6, 3
SAME_CELL = 1e-12  # lattice vectors of one batch may differ by rounding
MAX_VOXELS = 2**31 - 1  # offsets within one component are 32-bit numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One cell on the host, made by `prepare`.

    Attributes
    ----------
    rve : Rve
    material : (n1, n2, n3) uint8 or int16
        0 where there is no stiffness, otherwise phase + 1.
    stiffness : (n_phases, 6, 6)
        In the cell's frame, divided by `unit`.
    mean_stiffness : (6, 6)
        Voigt mean over the whole cell, divided by `unit`.
    reference : (6, 6)
        Reference medium, divided by `unit`.
    unit : float
        Largest entry of the Voigt mean [Pa].
    lowest : float
        Smallest eigenvalue of the stiffnesses, density included, over the largest.
    removed_voxels : int
        Voxels of floating islands, treated as void.
    """

    rve: Rve
    material: np.ndarray
    stiffness: np.ndarray
    mean_stiffness: np.ndarray
    reference: np.ndarray
    unit: float
    lowest: float
    removed_voxels: int


def prepare(rve: Rve, stiffnesses: object, *, allow_disconnected: bool = False) -> Sample:
    """Check a cell and its phase stiffnesses (n_phases, 6, 6), zeros meaning void [Pa].

    Raises
    ------
    ShapeError, ParameterError
        As `offline.homogenization.homogenize`.
    """
    c = checked_stiffnesses(stiffnesses, rve.phase_names)
    void = ~c.any(axis=(1, 2))
    active = np.logical_not(void[rve.phases])
    if rve.density is not None:
        active = active & (rve.density > 0.0)
    if not active.any():
        raise ParameterError(
            "the cell has no solid: every voxel is void or has density 0. "
            "Check the phase names and the stiffness of each phase."
        )
    active, removed = _without_islands(active, allow_disconnected)
    if rve.orientations is not None:
        c = rotate_stiffness(c, rve.orientations)
    return as_sample(rve, c, active, removed)


def as_sample(rve: Rve, c: np.ndarray, active: np.ndarray, removed: int = 0) -> Sample:
    """The voxels where `active` (n1, n2, n3) holds, with stiffnesses in the cell's frame."""
    volumes = _phase_volumes(rve, active)
    mean = np.einsum("p,pij->ij", volumes, c)
    unit = float(np.abs(mean).max())
    present = volumes > 0.0
    eigenvalues = np.linalg.eigvalsh(c[present])
    thinnest = 1.0 if rve.density is None else float(rve.density[active].min())
    material = np.where(active, rve.phases.astype(np.int16) + 1, 0)
    return Sample(
        rve=rve,
        material=material.astype(np.uint8) if rve.n_phases < 256 else material,
        stiffness=c / unit,
        mean_stiffness=mean / unit,
        reference=reference_medium(c, volumes) / unit,
        unit=unit,
        lowest=float(eigenvalues.min() / eigenvalues.max()) * thinnest,
        removed_voxels=removed,
    )


def _phase_volumes(rve: Rve, active: np.ndarray) -> np.ndarray:
    """Volume fraction of each phase times density (n_phases,), layer by layer to save memory."""
    total = np.zeros(rve.n_phases)
    for layer in range(rve.shape[0]):
        on = active[layer]
        weights = None if rve.density is None else rve.density[layer][on]
        total += np.bincount(rve.phases[layer][on], weights=weights, minlength=rve.n_phases)
    return total / rve.phases.size


class DeviceCell:
    """What the kernels read: samples of one shape and one cell, side by side.

    Parameters
    ----------
    samples : sequence of Sample
    device : torch.device

    Attributes
    ----------
    grid : HexGrid
        With voxels of volume 1.
    length : float
        Edge that a voxel's volume would have as a cube [length].
    material : (samples, n1, n2, n3) uint8 or int32 tensor
        Row of `matrices`; row 0 is void.
    matrices : (n_rows, 24, 24) tensor
        Element stiffnesses in double precision.
    density : (samples, n1, n2, n3) float64 tensor or None
        Factor on the stiffness of each voxel.
    nodal_scale : (samples, n1, n2, n3) float32 tensor or None
        One over the root of the mean density around each node, over its smallest; see
        `density_scale`.
    force_scale : (samples,)
        Size of nodal forces below which everything is rounding error, times 1e14.

    Raises
    ------
    ShapeError
        The samples differ in shape or cell, or have too many voxels.
    """

    def __init__(self, samples: Sequence[Sample], device: torch.device) -> None:
        self.samples, self.device = tuple(samples), device
        first = self.samples[0].rve
        for n, sample in enumerate(self.samples):
            apart = np.abs(np.asarray(sample.rve.cell) - first.cell).max()
            if sample.rve.shape != first.shape or apart > SAME_CELL * np.abs(first.cell).max():
                raise ShapeError(
                    f"cell {n} has shape {sample.rve.shape} or lattice vectors other than cell 0 "
                    f"with {first.shape}; cells of one batch must agree. Sort them by shape first."
                )
        if first.phases.size > MAX_VOXELS:
            raise ShapeError(f"the cell has {first.phases.size} voxels, expected below 2**31.")
        self.length = float((first.volume / first.phases.size) ** (1.0 / 3.0))
        self.grid = HexGrid(first.shape, first.cell / self.length)
        self.material = self._materials()
        void = np.zeros((1, 24, 24))
        blocks = [void, *(self.grid.element_stiffness(s.stiffness) for s in self.samples)]
        self.matrices = torch.as_tensor(np.concatenate(blocks), device=device)
        self.density, self.nodal_scale = self._densities()
        nodes = self._active_nodes()
        norms = np.array([np.linalg.norm(s.mean_stiffness) for s in self.samples])
        self.force_scale = norms * np.sqrt(nodes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        return self.grid.shape

    @property
    def field_shape(self) -> tuple[int, ...]:
        """Shape of a field: samples, loads, components, n1, n2, n3."""
        return (len(self.samples), LOADS, COMPONENTS, *self.shape)

    @property
    def first_row(self) -> np.ndarray:
        """Row of `matrices` of each sample's phase 0 (samples,)."""
        counts = [len(s.stiffness) for s in self.samples]
        return np.cumsum([1, *counts])[:-1]

    def zeros(self, dtype: torch.dtype) -> torch.Tensor:
        """A field of zeros."""
        return torch.zeros(self.field_shape, dtype=dtype, device=self.device)

    def _materials(self) -> torch.Tensor:
        rows = 1 + sum(len(s.stiffness) for s in self.samples)
        dtype = torch.uint8 if rows <= 256 else torch.int32
        result = torch.empty((len(self.samples), *self.shape), dtype=dtype, device=self.device)
        for n, (sample, first) in enumerate(zip(self.samples, self.first_row, strict=True)):
            local = torch.as_tensor(sample.material).to(self.device).to(dtype)
            result[n] = torch.where(local > 0, local + int(first - 1), local)
        return result

    def _densities(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if all(s.rve.density is None for s in self.samples):
            return None, None
        size = (len(self.samples), *self.shape)
        density = torch.ones(size, dtype=torch.float64, device=self.device)
        scale = torch.ones(size, dtype=torch.float32, device=self.device)
        for n, sample in enumerate(self.samples):
            if sample.rve.density is not None:
                density[n] = torch.as_tensor(np.array(sample.rve.density)).to(self.device)
            active = (self.material[n] > 0).double()
            count, total = around_nodes(active), around_nodes(active * density[n])
            roots = torch.sqrt(count / total)  # not a number inside void
            lowest = roots.nan_to_num(nan=torch.inf).min()
            scale[n] = torch.where(total > 0.0, (roots / lowest).clamp(max=LARGEST_SCALE), 1.0)
        return density, scale

    def _active_nodes(self) -> np.ndarray:
        counts = [around_nodes((m > 0).to(torch.uint8)).count_nonzero() for m in self.material]
        return np.array([int(n) for n in counts], dtype=float)


def around_nodes(voxels: torch.Tensor) -> torch.Tensor:
    """Sum of the eight voxels around each node of a periodic (n1, n2, n3) array."""
    for axis in range(3):
        voxels = voxels + torch.roll(voxels, 1, axis)
    return voxels
