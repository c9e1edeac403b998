"""Stiffness operators of a batch of sparse cells, differentiable."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from matnet.errors import ParameterError
from offline.surrogates.cgins import stencil_kernels
from offline.surrogates.cgins.elements import ElementSet, Stencil
from offline.surrogates.cgins.precision import full_precision
from offline.surrogates.cgins.sparse_grid import SparseGrid
from offline.surrogates.cgins.threads import torch_threads

__all__ = ["ENGINES", "ElementOperator", "MaterialTable", "StiffnessOperator", "to_displacement"]

Engine = Literal["stencil", "elements", "assembled"]
ENGINES: tuple[Engine, ...] = ("stencil", "elements", "assembled")
ASSEMBLED_NODES = 64**3  # up to here a GPU multiplies with the assembled matrix (METHODS 2)
ROUNDING = 8.0  # sums of eight forces below that many rounding errors are zero


class ElementOperator:
    """K of a set of trilinear elements, symmetric: u -> K u on fields (N, 3, 6).

    Three ways give the same product. ``stencil`` reads compiled loops over the 27 neighbours of a
    node from blocks that nodes with equal surroundings share; ``elements`` gathers, multiplies and
    sums element by element with torch; ``assembled`` is a sparse matrix in compressed rows.

    Parameters
    ----------
    elements : ElementSet
    engine : {"stencil", "elements", "assembled"}, optional
        Default: ``stencil`` on the CPU, else ``assembled`` up to 64^3 nodes, then ``elements``.

    Raises
    ------
    ParameterError
        The engine is unknown, or ``stencil`` is asked for on another device than the CPU.
    """

    def __init__(self, elements: ElementSet, engine: Engine | None = None) -> None:
        on_cpu = elements.ke.device.type == "cpu"
        if engine is None:
            small = elements.grid.n_nodes <= ASSEMBLED_NODES
            engine = "stencil" if on_cpu else "assembled" if small else "elements"
        if engine not in ENGINES or (engine == "stencil" and not on_cpu):
            raise ParameterError(
                f"engine '{engine}' on device {elements.ke.device} is not known, expected one of "
                f"{', '.join(ENGINES)}, where stencil needs the CPU."
            )
        self.elements, self.grid, self.engine = elements, elements.grid, engine

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrices."""
        return self.elements.ke.dtype

    def apply(self, u: Tensor) -> Tensor:
        """K u (N, 3, 6) of `u` (N, 3, 6); its derivative is the same product."""
        result = _Apply.apply(u, self)
        assert isinstance(result, Tensor)
        return result

    @full_precision
    def product(self, u: Tensor) -> Tensor:
        """K u without a record for differentiation."""
        if self.engine == "stencil":
            return _compiled_product(self, u)
        if self.engine == "assembled":
            return torch.mm(self.matrix, u.reshape(-1, u.shape[2])).reshape(u.shape)
        return self._element_product(u)

    @cached_property
    def stencil(self) -> Stencil:
        """Blocks towards the neighbours."""
        return self.elements.stencil()

    @cached_property
    def block_diagonal(self) -> Tensor:
        """The 3x3 blocks (N, 3, 3) on the diagonal of K."""
        return self.stencil.diagonal_blocks(self.grid.shape)

    @cached_property
    def diagonal(self) -> Tensor:
        """Diagonal (N, 3) of K."""
        return torch.diagonal(self.block_diagonal, dim1=1, dim2=2).contiguous()

    @cached_property
    def matrix(self) -> Tensor:
        """K (3N, 3N) in compressed sparse rows."""
        n = self.grid.n_nodes
        blocks = self.stencil.expanded()
        row, number = (self.grid.neighbours < n).nonzero(as_tuple=True)
        column = self.grid.neighbours[row, number]
        three = torch.arange(3, device=row.device)
        rows = (3 * row[:, None, None] + three[:, None]).expand(-1, 3, 3)
        columns = (3 * column[:, None, None] + three).expand(-1, 3, 3)
        index = torch.stack([rows.reshape(-1), columns.reshape(-1)])
        values = blocks[row, number].reshape(-1)
        size = (3 * n, 3 * n)
        with _quiet_sparse():
            matrix = torch.sparse_coo_tensor(index, values, size, check_invariants=False)
            return matrix.coalesce().to_sparse_csr()

    @cached_property
    def compiled(self) -> Compiled:
        """What the compiled loops read; on the CPU."""
        return Compiled.of(self.grid, self.stencil)

    @cached_property
    def _runs(self) -> tuple[Tensor, list[int]]:
        """Elements in the order of their matrices, and where each matrix begins."""
        material = self.elements.material
        order = torch.argsort(material, stable=True)
        counts = torch.bincount(material, minlength=len(self.elements.ke))
        return order, [0, *counts.cumsum(0).tolist()]

    def _element_product(self, u: Tensor) -> Tensor:
        elements = self.elements
        local = u.reshape(len(u), -1)[elements.nodes].reshape(len(elements.nodes), 24, -1)
        if len(elements.ke) < 256:  # one product for each matrix, else one for each element
            order, runs = self._runs
            forces = torch.empty_like(local)
            for m, ke in enumerate(elements.ke):
                some = order[runs[m] : runs[m + 1]]
                forces[some] = torch.matmul(ke, local[some])
        else:
            forces = torch.bmm(elements.ke[elements.material], local)
        forces = forces * elements.density[:, None, None]
        return elements.scattered(forces.reshape(len(local), 8, -1)).reshape(u.shape)


@dataclass(frozen=True, eq=False)
class Compiled:
    """Arrays of an operator for the loops of `stencil_kernels`.

    Attributes
    ----------
    neighbours : (N, 27) int32
    pattern : (N,) int32
    blocks : (U, 27, 9)
    """

    neighbours: np.ndarray
    pattern: np.ndarray
    blocks: np.ndarray

    @classmethod
    def of(cls, grid: SparseGrid, stencil: Stencil) -> Compiled:
        """From torch tensors on the CPU."""
        return cls(
            grid.compiled_neighbours,
            stencil.pattern.numpy(),
            stencil.blocks.reshape(-1, 27, 9).numpy(),
        )


@dataclass(frozen=True, eq=False)
class MaterialTable:
    """Materials of a batch; the rows belong to ``ElementSet.ke``.

    Attributes
    ----------
    stiffness : (M, 6, 6)
        In the frame of the cell [stress unit].
    fe : (M, 24, 6)
        Nodal forces of an element under the unit strains.
    solid : (M,) bool
        False for padding.
    cell : (M,) int64
        Cell that the material belongs to.
    macro : (n_cells, 24, 6)
        Displacements of an element's nodes under the unit strains, mean zero [length].
    volume : (n_cells,)
        Of the cells [length cubed].
    voxel : (E,) int64
        Flat voxel number of each element in its cell.
    """

    stiffness: Tensor
    fe: Tensor
    solid: Tensor
    cell: Tensor
    macro: Tensor
    volume: Tensor
    voxel: Tensor


class StiffnessOperator(ElementOperator):
    """The operator of the voxels themselves, with loads and effective stiffness.

    Parameters
    ----------
    elements : ElementSet
    materials : MaterialTable
    engine : {"stencil", "elements", "assembled"}, optional
    """

    def __init__(
        self, elements: ElementSet, materials: MaterialTable, engine: Engine | None = None
    ) -> None:
        super().__init__(elements, engine)
        self.materials = materials

    @cached_property
    def load(self) -> Tensor:
        """f (N, 3, 6): forces of the unit macro strains, Mandel order."""
        return self._forces(self.materials.fe)

    @cached_property
    def solid_load(self) -> Tensor:
        """f (N, 3, 6) without the padding."""
        return self._forces(self.materials.fe * self.materials.solid[:, None, None])

    @cached_property
    def solid_part(self) -> ElementOperator:
        """K without the padding."""
        weight = self.materials.solid.to(self.dtype)
        if bool(weight.all()):
            return self
        elements = self.elements
        part = ElementOperator(
            ElementSet(
                self.grid,
                elements.nodes,
                elements.material,
                elements.density,
                elements.ke * weight[:, None, None],
            ),
            self.engine,
        )
        part.elements.__dict__.update(
            {name: getattr(elements, name) for name in ("around", "_patterns")}
        )
        return part

    def mean_stiffness(self, include_soft: bool = False) -> Tensor:
        """Volume mean (n_cells, 6, 6) of the stiffness [stress unit]."""
        materials, elements = self.materials, self.elements
        count = torch.zeros(len(materials.solid), dtype=torch.float64, device=elements.ke.device)
        count.index_add_(0, elements.material, elements.density.to(torch.float64))
        if not include_soft:
            count = count * materials.solid
        n_voxels = self.grid.shape[0] * self.grid.shape[1] * self.grid.shape[2]
        weighted = (count / n_voxels)[:, None, None].to(self.dtype) * materials.stiffness
        result = weighted.new_zeros(self.grid.n_cells, 6, 6)
        return result.index_add(0, materials.cell, weighted)

    def effective(self, u: Tensor, include_soft: bool = False) -> Tensor:
        r"""C^H (n_cells, 6, 6) of fluctuations `u` (N, 3, 6), in energy form; differentiable.

        .. math:: C_{kl} = \frac1{|Y|} \int (e_k - B u_k)^T C (e_l - B u_l)
                  = \bar C_{kl} - \frac1{|Y|} (u_k \cdot f_l + u_l \cdot f_k - u_k \cdot K u_l)

        Hence symmetric and, up to rounding, not below the exact one. Sums run in double precision.
        """
        operator = self if include_soft else self.solid_part
        f = self.load if include_soft else self.solid_load
        work = _Work.apply(u, f, operator)
        assert isinstance(work, Tensor)
        mean = self.mean_stiffness(include_soft)
        return mean - work / self.materials.volume[:, None, None]

    def energy(self, u: Tensor) -> Tensor:
        """`effective` with the padding, whose smallest value is where K u = f."""
        return self.effective(u, include_soft=True)

    @full_precision
    def element_energies(self, u: Tensor) -> Tensor:
        r"""Energies (E, 6, 6) of the elements at density 1, per volume of their cell.

        With the padding they sum to `energy` where all densities are 1; at the solution they are
        the derivatives of C^H by the elements' densities, because C^H is stationary in u.
        """
        elements, materials = self.elements, self.materials
        cell = materials.cell[elements.material]
        local = u.detach().reshape(-1, 18)[elements.nodes].reshape(-1, 8, 3, 6)
        local = (local - local.mean(1, keepdim=True)).reshape(-1, 24, 6)
        strain = materials.macro[cell] - local
        order, runs = self._runs
        stress = torch.empty_like(strain)
        for m, ke in enumerate(elements.ke):
            some = order[runs[m] : runs[m + 1]]
            stress[some] = torch.matmul(ke, strain[some])
        energies = torch.bmm(strain.transpose(1, 2), stress)
        return energies / materials.volume[cell][:, None, None]

    def _forces(self, fe: Tensor) -> Tensor:
        """Assembled forces; what is left where contributions cancel is set to zero."""
        corners = fe.reshape(-1, 8, 18)
        forces = self.elements.assembled(corners)
        size = self.elements.assembled(corners.abs())
        rounding = forces.abs() <= ROUNDING * torch.finfo(self.dtype).eps * size
        return forces.masked_fill(rounding, 0.0).reshape(-1, 3, 6)


def _compiled_product(operator: ElementOperator, u: Tensor) -> Tensor:
    compiled, pieces = operator.compiled, operator.grid.pieces
    array = u.detach().reshape(-1, 18).contiguous().numpy()
    wide = np.zeros((len(array) + 1, stencil_kernels.WIDTH), array.dtype)
    product = np.empty_like(wide)
    parts = np.empty((len(pieces), 1, stencil_kernels.LOADS))
    out = np.empty_like(array)
    matrix = (compiled.neighbours, compiled.pattern, compiled.blocks)
    with torch_threads():
        stencil_kernels.widen(array, wide)
        stencil_kernels.multiply(wide, *matrix, pieces, product, parts)
        stencil_kernels.narrow(product, out)
    return torch.from_numpy(out).reshape(u.shape)


@contextmanager
def _quiet_sparse() -> Iterator[None]:
    """Without torch's notes at the first sparse matrix: a young interface, unchecked indices."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        warnings.filterwarnings("ignore", message="Sparse invariant checks")
        yield


class _Apply(torch.autograd.Function):
    """Product with a symmetric operator: its derivative is the same product."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, operator: ElementOperator) -> Tensor:
        ctx.operator = operator
        return operator.product(u)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _Apply.apply(gradient, ctx.operator), None


class _Work(torch.autograd.Function):
    """u_k . f_l + u_l . f_k - u_k . K u_l (n_cells, 6, 6) with one product for value and slope."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, f: Tensor, operator: ElementOperator) -> Tensor:
        residual = f - operator.product(u.detach())
        ctx.save_for_backward(residual)
        ctx.grid = operator.grid
        work = _pairs(u.detach(), residual + f, operator.grid)  # u_k . (2 f - K u)_l
        return (0.5 * (work + work.transpose(1, 2))).to(u.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (residual,) = ctx.saved_tensors
        both = (gradient + gradient.transpose(1, 2)).to(residual.dtype)
        parts = [
            torch.matmul(residual[start:stop], both[cell])
            for cell, (start, stop) in enumerate(ctx.grid.slices)
        ]
        return torch.cat(parts), None, None


def _pairs(x: Tensor, y: Tensor, grid: SparseGrid) -> Tensor:
    """Products x_k . y_l (n_cells, 6, 6) in double precision."""
    parts = [
        x[start:stop].reshape(-1, 6).double().T @ y[start:stop].reshape(-1, 6).double()
        for start, stop in grid.slices
    ]
    return torch.stack(parts)


def to_displacement(u: Tensor, grid: SparseGrid) -> np.ndarray:
    """Array (n_cells, 6, n1, n2, n3, 3) of fluctuations `u` (N, 3, 6), zero at other nodes.

    Row by row what ``homogenize(start=...)`` takes.
    """
    n1, n2, n3 = grid.shape
    result = u.new_zeros(grid.n_cells, n1 * n2 * n3, 3, 6)
    result[grid.sample, grid.node] = u.detach()
    array = result.permute(0, 3, 1, 2).reshape(grid.n_cells, 6, n1, n2, n3, 3).cpu().numpy()
    return np.asarray(array)
