"""Launching the Triton kernels; the interface of `PlainStencil` and `PlainVectors`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton

from matnet.mandel import from_mandel
from offline.homogenization.gpu.cell import LOADS, DeviceCell
from offline.homogenization.gpu.precondition import multiply_symbol
from offline.homogenization.gpu.triton_stencil import energy_kernel, pair_table, stencil_kernel
from offline.homogenization.gpu.triton_vectors import (
    advance_kernel,
    direction_kernel,
    dot_kernel,
    gap_kernel,
    symbol_kernel,
)

__all__ = ["CompiledStencil", "CompiledVectors", "multiply", "tile_shape"]

NODES = 128  # nodes of one program, one per thread of four warps
BLOCK = 1024  # values of one program of the vector kernels
SYMBOL_BLOCK = 512
LAUNCH: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": True}


def tile_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Nodes of one tile along each axis, powers of two with product `NODES`.

    >>> tile_shape((512, 512, 512)), tile_shape((4, 1, 3))
    ((2, 2, 32), (32, 1, 4))
    """
    along = min(32, triton.next_power_of_2(shape[2]))
    across = min(triton.next_power_of_2(shape[1]), 2 ** int(np.log2(NODES // along) / 2))
    return NODES // (along * across), across, along


class CompiledStencil:
    """Stiffness, forces and energies of a `DeviceCell` by Triton kernels."""

    def __init__(self, cell: DeviceCell) -> None:
        self.cell = cell
        self._tables = {t: cell.matrices.to(t) for t in (torch.float32, torch.float64)}
        edges = cell.grid.cell / np.array(cell.shape)[:, None]
        offsets = np.indices((3, 3, 3)).reshape(3, -1).T - 1
        steps = np.einsum("da,kab->dkb", offsets @ edges, from_mandel(np.eye(LOADS)))
        self._affine = torch.as_tensor(np.ascontiguousarray(steps), device=cell.device)
        self._pairs = torch.as_tensor(pair_table(), device=cell.device)
        self._tile = tile_shape(cell.shape)
        self._tiles = [triton.cdiv(n, t) for n, t in zip(cell.shape, self._tile, strict=True)]

    def apply(self, p: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """out = K p; returns the works p . K p (samples, 6) in double precision."""
        parts = self._parts(LOADS)
        self._launch(p, out, parts, total=False)
        return parts.sum(dim=-1)

    def forces(self, u: torch.Tensor, out: torch.Tensor) -> None:
        """out = f - K u, computed in double precision from the total displacements."""
        self._launch(u, out, self._affine, total=True)

    def energies(self, u: torch.Tensor) -> torch.Tensor:
        """Energy products of the total displacements (samples, 6, 6)."""
        parts = self._parts(LOADS, LOADS)
        energy_kernel[(self._n_tiles, len(self.cell.samples), LOADS)](
            u, parts, self._tables[u.dtype], self._affine, *self._geometry(), **self._constants()
        )
        total = parts.sum(dim=-1)
        return 0.5 * (total + total.transpose(1, 2))

    @property
    def _n_tiles(self) -> int:
        return int(np.prod(self._tiles))

    def _parts(self, *columns: int) -> torch.Tensor:
        size = (len(self.cell.samples), *columns, self._n_tiles)
        return torch.empty(size, dtype=torch.float64, device=self.cell.device)

    def _launch(
        self, x: torch.Tensor, out: torch.Tensor, parts: torch.Tensor, *, total: bool
    ) -> None:
        stencil_kernel[(self._n_tiles, len(self.cell.samples))](
            x,
            out,
            parts,
            self._tables[x.dtype],
            self._affine,
            self._pairs,
            *self._geometry(),
            **self._constants(),
            TOTAL=total,
        )

    def _geometry(self) -> tuple[object, ...]:
        cell = self.cell
        density = cell.material if cell.density is None else cell.density
        return (cell.material, density, *cell.shape, *self._tiles[1:], self._n_tiles)

    def _constants(self) -> dict[str, object]:
        t1, t2, t3 = self._tile
        return {"T1": t1, "T2": t2, "T3": t3, "DENSITY": self.cell.density is not None, **LAUNCH}


class CompiledVectors:
    """The vector operations by Triton kernels; see `PlainVectors`."""

    def dot(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """a . b per sample and load (samples, 6), in double precision."""
        grid, n, parts = _rows(a)
        dot_kernel[grid](a, b, parts, n, grid[0], BLOCK=BLOCK, **LAUNCH)
        return parts.sum(dim=-1)

    def gap(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(a - b) . (a - b) per sample and load (samples, 6)."""
        grid, n, parts = _rows(a)
        gap_kernel[grid](a, b, parts, n, grid[0], BLOCK=BLOCK, **LAUNCH)
        return parts.sum(dim=-1)

    def direction(self, z: torch.Tensor, beta: torch.Tensor, p: torch.Tensor) -> None:
        """p = z + beta p with beta (samples, 6)."""
        grid, n, _ = _rows(p)
        direction_kernel[grid](z, p, beta.contiguous(), n, BLOCK=BLOCK, **LAUNCH)

    def advance(
        self,
        alpha: torch.Tensor,
        p: torch.Tensor,
        q: torch.Tensor,
        u: torch.Tensor,
        r: torch.Tensor,
    ) -> torch.Tensor:
        """u += alpha p, r -= alpha q; returns r . r (samples, 6)."""
        grid, n, parts = _rows(p)
        advance_kernel[grid](
            p, q, u, r, alpha.contiguous(), parts, n, grid[0], BLOCK=BLOCK, **LAUNCH
        )
        return parts.sum(dim=-1)


def multiply(inverse: torch.Tensor, spectrum: torch.Tensor) -> None:
    """In place: spectrum (samples, loads, 3, ...) times inverse (samples, 6, ...)."""
    if not spectrum.is_contiguous():  # as some transforms may leave it
        multiply_symbol(inverse, spectrum)
        return
    samples, loads = spectrum.shape[:2]
    n = inverse[0, 0].numel()
    grid = (triton.cdiv(2 * n, SYMBOL_BLOCK), samples)
    symbol_kernel[grid](
        inverse, torch.view_as_real(spectrum), n, LOADS=loads, BLOCK=SYMBOL_BLOCK, **LAUNCH
    )


def _rows(a: torch.Tensor) -> tuple[tuple[int, int], int, torch.Tensor]:
    """Launch grid, length of a row, and room for the sums of the blocks."""
    rows, n = a.shape[0] * LOADS, a[0, 0].numel()
    blocks = triton.cdiv(n, BLOCK)
    size = (a.shape[0], LOADS, blocks)
    return (blocks, rows), n, torch.empty(size, dtype=torch.float64, device=a.device)
