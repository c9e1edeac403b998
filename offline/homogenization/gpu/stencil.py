r"""The element operator in plain torch, slab by slab: runs on every device and in any precision.

As in `offline.homogenization.element_kernels`, three additions and subtractions per axis turn
nodal values into amplitudes of the eight modes :math:`\xi_1^a \xi_2^b \xi_3^c` (times 8), in which
the element matrix of a parallelepiped splits into blocks 9 + 9 + 3; the transposed additions turn
forces back to the nodes. The constant mode carries no force. Only differences of neighbouring
values enter, so that single precision does not lose digits on fine grids.
"""

from __future__ import annotations

import numpy as np
import torch

from matnet.mandel import from_mandel
from offline.homogenization.gpu.cell import COMPONENTS, LOADS, DeviceCell
from offline.homogenization.grid import CORNERS, MODES

__all__ = ["PlainStencil", "affine_modes", "slab_layers"]

BLOCKS = ((1, 2, 4), (3, 5, 6), (7,))  # rows of MODES of equal parity
TEMPORARIES = 40  # arrays of 18 doubles per voxel that a slab needs at once, rounded up


def slab_layers(shape: tuple[int, int, int], samples: int, limit: int) -> int:
    """Layers of axis 0 whose temporaries fit `limit` bytes, at least one."""
    layer = samples * LOADS * COMPONENTS * shape[1] * shape[2] * 8 * TEMPORARIES
    return max(1, min(shape[0], limit // layer))


def affine_modes(cell: DeviceCell) -> np.ndarray:
    """Modes times 8 of one element's displacements E x under unit strains (8, 3, 6)."""
    corners = CORNERS @ (cell.grid.cell / np.array(cell.shape)[:, None])
    nodal = np.einsum("ad,kdi->aik", corners, from_mandel(np.eye(LOADS)))
    return np.asarray((MODES @ nodal.reshape(8, -1)).reshape(8, COMPONENTS, LOADS))


class PlainStencil:
    """Stiffness, forces and energies of a `DeviceCell`.

    Parameters
    ----------
    cell : DeviceCell
    slab_bytes : int
        Temporaries that one slab of layers may take.
    """

    def __init__(self, cell: DeviceCell, slab_bytes: int) -> None:
        self.cell, self.slab_bytes = cell, slab_bytes
        transform = torch.as_tensor(np.kron(MODES, np.eye(3)) / 8.0, device=cell.device)
        in_modes = transform @ cell.matrices @ transform.T
        self._blocks = [
            {dtype: _block(in_modes, modes).to(dtype) for dtype in (torch.float32, torch.float64)}
            for modes in BLOCKS
        ]
        affine = torch.as_tensor(affine_modes(cell), device=cell.device)
        self._affine = affine.permute(0, 2, 1)[:, None, :, :, None, None, None]
        n1 = cell.shape[0]
        layers = slab_layers(cell.shape, len(cell.samples), slab_bytes)
        self._slabs = [_Slab(cell, n, min(n + layers, n1)) for n in range(0, n1, layers)]

    def apply(self, p: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out = K p; returns the works p . K p (samples, 6) in double precision."""
        power = torch.zeros(self._scalars, dtype=torch.float64, device=p.device)
        nodes = _Nodes(out)
        for slab in self._slabs:
            w = _to_modes(p.index_select(3, slab.planes))
            y = self._multiply(w, slab)
            for m in range(1, 8):
                power += (w[m] * y[m]).sum(dim=(2, 3, 4, 5), dtype=torch.float64)
            nodes.add(_to_planes(y))
        nodes.close()
        return power

    def forces(self, u: torch.Tensor, out: torch.Tensor) -> None:
        """out = f - K u, computed in double precision from the total displacements E x - u."""
        nodes = _Nodes(out)
        for slab in self._slabs:
            nodes.add(_to_planes(self._multiply(self._total(u, slab), slab)))
        nodes.close()

    def energies(self, u: torch.Tensor) -> torch.Tensor:
        r"""Energy products :math:`\int (e_0^k - B u^k)^T C (e_0^l - B u^l)` (samples, 6, 6)."""
        size = (*self._scalars, LOADS)
        energy = torch.zeros(size, dtype=torch.float64, device=u.device)
        for slab in self._slabs:
            w = self._total(u, slab)
            y = self._multiply(w, slab)
            for m in range(1, 8):
                energy += w[m].flatten(2) @ y[m].flatten(2).transpose(1, 2)
        return 0.5 * (energy + energy.transpose(1, 2))

    def _total(self, u: torch.Tensor, slab: _Slab) -> list[torch.Tensor]:
        """Total displacements of the elements of a slab, in modes."""
        modes = _to_modes(u.index_select(3, slab.planes).double())
        return [a - b for a, b in zip(self._affine, modes, strict=True)]

    @property
    def _scalars(self) -> tuple[int, int]:
        return len(self.cell.samples), LOADS

    def _multiply(self, w: list[torch.Tensor], slab: _Slab) -> list[torch.Tensor]:
        """Forces in modes, the constant one left out (None)."""
        y: list[torch.Tensor] = [w[0]] * 8
        for modes, blocks in zip(BLOCKS, self._blocks, strict=True):
            x = torch.stack([w[m] for m in modes])  # (modes, samples, 6, 3, voxels...)
            rows = x.permute(0, 3, 2, 1, 4, 5, 6).reshape(3 * len(modes), LOADS, -1)
            forces = slab.multiply(blocks[x.dtype], rows)
            back = forces.reshape(len(modes), COMPONENTS, LOADS, *slab.shape)
            for m, force in zip(modes, back.permute(0, 3, 2, 1, 4, 5, 6), strict=True):
                y[m] = force
        return y


class _Slab:
    """The voxels of some layers, grouped by material, and the planes of nodes around them."""

    def __init__(self, cell: DeviceCell, first: int, stop: int) -> None:
        self.planes = torch.arange(first, stop + 1, device=cell.device) % cell.shape[0]
        material = cell.material[:, first:stop]
        self.shape = tuple(material.shape)
        self.density = None if cell.density is None else cell.density[:, first:stop].reshape(-1)
        flat = material.reshape(-1)
        rows, counts = torch.unique(flat, return_counts=True)
        self.rows, self.counts = rows.tolist(), counts.tolist()
        self.order = None if len(self.rows) == 1 else torch.argsort(flat.int(), stable=True)

    def multiply(self, block: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """block[material] (n, n) times x (n, 6, voxels), times density; zero in void."""
        y = torch.zeros_like(x)
        first = 0
        for row, count in zip(self.rows, self.counts, strict=True):
            if row and self.order is None:
                y = (block[row] @ x.flatten(1)).view_as(x)
            elif row and self.order is not None:
                chosen = self.order[first : first + count]
                y[..., chosen] = torch.einsum("ab,bkn->akn", block[row], x[..., chosen])
            first += count
        return y if self.density is None else y.mul_(self.density.to(y.dtype))


def _block(in_modes: torch.Tensor, modes: tuple[int, ...]) -> torch.Tensor:
    dofs = [3 * m + i for m in modes for i in range(3)]
    return in_modes[:, dofs][:, :, dofs].contiguous()


def _to_modes(x: torch.Tensor) -> list[torch.Tensor]:
    """Modes times 8 of the elements between the planes of x (samples, 6, 3, planes, n2, n3)."""
    lower, upper = x[:, :, :, :-1], x[:, :, :, 1:]
    modes = [upper + lower, upper - lower]
    for axis in (4, 5):
        shifted = [torch.roll(m, -1, axis) for m in modes]
        pairs = zip(modes, shifted, strict=True)
        modes = [part for a, b in pairs for part in (b + a, b - a)]
    return modes


def _to_planes(y: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Transpose of `_to_modes`: forces of the elements on their lower and on their upper planes."""
    values = [torch.zeros_like(y[1]), *y[1:]]  # the constant mode carries no force
    for axis in (5, 4):
        values = [
            (s - d) + torch.roll(s + d, 1, axis)
            for s, d in zip(values[0::2], values[1::2], strict=True)
        ]
    total, slope = values
    return total - slope, total + slope


class _Nodes:
    """Collects nodal forces plane by plane; rounds each sum to the precision of `out` once."""

    def __init__(self, out: torch.Tensor) -> None:
        self.out, self.plane = out, 0
        self.first = self.carry = torch.zeros_like(out[:, :, :, 0])

    def add(self, forces: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Add the next slab's forces on lower and upper planes."""
        lower, upper = forces
        if self.plane == 0:
            self.first = lower[:, :, :, 0].clone()  # still lacks what the last slab adds
        else:
            lower[:, :, :, 0] += self.carry
        lower[:, :, :, 1:] += upper[:, :, :, :-1]
        self.carry = upper[:, :, :, -1].clone()
        stop = self.plane + lower.shape[3]
        self.out[:, :, :, self.plane : stop] = lower
        self.plane = stop

    def close(self) -> None:
        """Complete the first plane."""
        self.out[:, :, :, 0] = self.first + self.carry
