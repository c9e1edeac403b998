r"""A batch of cells as dense grids of unit cubes, with K u, f, energies and C^H on torch.

Fields are (B, 3, 6, n1, n2, n3): component, load case, node. Node (i, j, k) is the corner of voxel
(i, j, k) nearest the origin, and nodes repeat periodically. Lengths are voxels, strains those on
the cube (see `shape`); the local strain of load k is ``e0^k - B u^k`` and K u = f.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from matnet.errors import ParameterError, ShapeError
from matnet.mandel import rotate_stiffness
from offline.homogenization.grid import CORNERS, HexGrid
from offline.homogenization.solver import checked_stiffnesses
from offline.rve.rve import Rve
from offline.surrogates.dense.shape import Shape

__all__ = ["DenseCells"]

UNIT = HexGrid((1, 1, 1), np.eye(3))
AXES = (-3, -2, -1)
SMALLEST = 1e-30  # energy of a field that counts as none
DEPENDENT = 1e-7  # share of a field's energy that makes it differ from combinations of others


@dataclass(frozen=True, eq=False)
class DenseCells:
    """Cells of one shape on one device.

    Attributes
    ----------
    density : (B, P, n1, n2, n3)
        Share of each phase that is not void, in [0, 1].
    soft : (B, n1, n2, n3)
        What is added to the first phase so that no voxel is without stiffness.
    stiffness : (B, P, 6, 6)
        Of the phases on the cube, over `scale`.
    scale : (B,)
        Mean diagonal entry of the stiffest phase [stress unit].
    solid : (B, n1, n2, n3) bool
        Whether a node touches a voxel that is not void.
    shapes : tuple of Shape
    """

    density: Tensor
    soft: Tensor
    stiffness: Tensor
    scale: Tensor
    solid: Tensor
    shapes: tuple[Shape, ...]

    @classmethod
    def of(
        cls,
        cells: Sequence[tuple[Rve, Any]],
        *,
        soft: float,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> DenseCells:
        """Build a batch.

        Parameters
        ----------
        cells : sequence of (Rve, (n_phases, 6, 6))
            Cells of one shape and the stiffness of their phases in Mandel form; zeros mean void.
        soft : float
            Stiffness of void relative to the first phase that is not void, >= 0.
        device, dtype

        Raises
        ------
        ShapeError, ParameterError
            No cells, different shapes, a stiffness is not positive definite, or no solid.
        """
        if not cells:
            raise ParameterError("a batch needs at least one cell, got none.")
        found = sorted({rve.shape for rve, _ in cells})
        if len(found) > 1:
            raise ShapeError(
                f"cells of a batch have shapes {found}, expected one shape. Batch them separately."
            )
        parts = [_arrays(rve, stiffnesses) for rve, stiffnesses in cells]
        shapes = tuple(Shape.of(rve.cell, rve.shape) for rve, _ in cells)
        most = max(len(density) for density, _ in parts)
        density = np.zeros((len(parts), most, *found[0]))
        stiffness = np.zeros((len(parts), most, 6, 6))
        for b, (rho, c) in enumerate(parts):
            density[b, : len(rho)] = rho
            stiffness[b, : len(c)] = shapes[b].to_cube(c)
        scale = np.trace(stiffness, axis1=2, axis2=3).max(1) / 6.0
        filled = density.sum(1)

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device, dtype)

        return cls(
            density=tensor(density),
            soft=tensor(soft * (1.0 - filled)),
            stiffness=tensor(stiffness / scale[:, None, None, None]),
            scale=tensor(scale),
            solid=torch.from_numpy(_touching(filled > 0.0)).to(device),
            shapes=shapes,
        )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Voxels per axis."""
        n1, n2, n3 = self.density.shape[2:]
        return n1, n2, n3

    def shares(self) -> Tensor:
        """Density of each phase (B, P, n1, n2, n3) with the soft filling."""
        first = self.density[:, :1] + self.soft[:, None]
        return torch.cat([first, self.density[:, 1:]], dim=1)

    def product(self, u: Tensor) -> Tensor:
        """K u, differentiable: its derivative is the same product."""
        result = _Product.apply(u, self)
        assert isinstance(result, Tensor)
        return result

    def load(self) -> Tensor:
        """f (B, 3, 6, n1, n2, n3), forces of the unit strains."""
        fe = torch.einsum("ai,bpik->bpak", _strain_sum(self.stiffness), self.stiffness)
        table = fe.unflatten(2, (8, 3)).permute(0, 3, 4, 1, 2).flatten(3).flatten(1, 2)
        forces = torch.bmm(table, _around(self.shares()))
        return forces.reshape(len(forces), 3, 6, *self.grid)

    def mean_stiffness(self) -> Tensor:
        """Voigt mean (B, 6, 6) on the cube, over `scale`."""
        weights = self.shares().flatten(2).mean(2)
        return torch.einsum("bp,bpij->bij", weights, self.stiffness)

    def energies(self, u: Tensor) -> Tensor:
        r"""Potential energies (B, 6), as the effective stiffness of each load over its Voigt mean.

        .. math:: 1 + \frac{2}{V \bar C_{kk}} (\tfrac12 u_k \cdot K u_k - u_k \cdot f_k)
        """
        work = _Energy.apply(u, self.load(), self)
        assert isinstance(work, Tensor)
        voigt = self.mean_stiffness().diagonal(dim1=1, dim2=2)
        return 1.0 + 2.0 * work / (voigt * self.soft[0].numel())

    def residuals(self, u: Tensor) -> Tensor:
        """K u - f, differentiable."""
        return self.product(u) - self.load()

    def combined(self, u: Tensor) -> Tensor:
        """For each of the six loads the combination of all fields with the least energy (Ritz).

        With ``G_kl = u_k . K u_l`` and ``r_kl = u_k . f_l`` load l takes the factors ``G^-1 r``.
        The energy is stationary in them: its derivative by u holds with the factors held fixed.

        Parameters
        ----------
        u : (B, 3, F, n1, n2, n3)
            Any number F of fields.

        Returns
        -------
        Tensor
            (B, 3, 6, n1, n2, n3)
        """
        with torch.no_grad():
            fields = u.detach().flatten(3).double()
            gram = torch.einsum("bikn,biln->bkl", fields, self.product(u).flatten(3).double())
            work = torch.einsum("bikn,biln->bkl", fields, self.load().flatten(3).double())
            size = gram.diagonal(dim1=1, dim2=2).clamp_min(SMALLEST).rsqrt()
            gram = 0.5 * (gram + gram.transpose(1, 2)) * size[:, :, None] * size[:, None, :]
            gram.diagonal(dim1=1, dim2=2).add_(DEPENDENT)
            factors = size[:, :, None] * torch.linalg.solve(gram, size[:, :, None] * work)
        return torch.einsum("biknml,bkj->bijnml", u, factors.to(u.dtype))

    def effective(self, u: Tensor) -> Tensor:
        """C^H (B, 6, 6) of the cells in energy form, void's filling included [stress unit].

        Sums run in double precision; not differentiable.
        """
        with torch.no_grad():
            f = self.load()
            rest = (f + f - self.product(u)).flatten(3).double()  # u_k . (2 f - K u)_l
            work = torch.einsum("bikn,biln->bkl", u.flatten(3).double(), rest)
            work = 0.5 * (work + work.transpose(1, 2)) / self.soft[0].numel()
            cube = (self.mean_stiffness().double() - work) * self.scale[:, None, None].double()
            maps = torch.from_numpy(np.stack([s.strain_map for s in self.shapes])).to(cube)
            return maps.transpose(1, 2) @ cube @ maps

    def to_displacement(self, u: Tensor) -> np.ndarray:
        """Array (B, 6, n1, n2, n3, 3) [length] for the cells' unit strains, zero inside void."""
        kept = (u.detach() * self.solid[:, None, None]).permute(0, 2, 3, 4, 5, 1)
        arrays = kept.double().cpu().numpy()
        pairs = zip(self.shapes, arrays, strict=True)
        return np.stack([shape.displacement(array) for shape, array in pairs])


def _arrays(rve: Rve, stiffnesses: Any) -> tuple[np.ndarray, np.ndarray]:
    """Densities (P, n1, n2, n3) and stiffnesses (P, 6, 6) of the phases that are not void."""
    c = checked_stiffnesses(stiffnesses, rve.phase_names)
    if rve.orientations is not None:
        c = rotate_stiffness(c, rve.orientations)
    density = np.ones(rve.shape) if rve.density is None else np.asarray(rve.density)
    kept = [p for p in range(len(c)) if c[p].any() and (density * (rve.phases == p)).any()]
    if not kept:
        raise ParameterError(
            "a cell has no solid: every voxel is void or has density 0. "
            "Check the phase names and the stiffness of each phase."
        )
    return np.stack([density * (rve.phases == p) for p in kept]), c[kept]


def _touching(solid: np.ndarray) -> np.ndarray:
    """Nodes around the marked voxels (B, n1, n2, n3)."""
    for axis in (1, 2, 3):
        solid = solid | np.roll(solid, 1, axis)
    return solid


def _strain_sum(stiffness: Tensor) -> Tensor:
    """Integral of B^T (24, 6) over the unit cube."""
    return torch.tensor(UNIT.gauss_b.sum(0).T * UNIT.weight).to(stiffness)


def _element_stiffness(stiffness: Tensor) -> Tensor:
    """K_e (B, P, 24, 24) of unit cubes."""
    b = torch.tensor(UNIT.gauss_b).to(stiffness)
    return UNIT.weight * torch.einsum("gia,bpij,gjc->bpac", b, stiffness, b)


def _gathered(u: Tensor) -> Tensor:
    """Values (B, 24, F, N) at the corners of each voxel."""
    n1, n2, n3 = u.shape[-3:]
    for axis in AXES:  # one layer of the opposite side, then every corner is a slice
        u = torch.cat([u, u.narrow(axis, 0, 1)], dim=axis)
    corners = [u[..., i : i + n1, j : j + n2, k : k + n3] for i, j, k in CORNERS.tolist()]
    return torch.cat(corners, dim=1).flatten(3)


def _scattered(corners: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """The transpose of `_gathered`: sums (B, 3, F, n1, n2, n3) at the nodes."""
    n1, n2, n3 = grid
    batch, _, fields, _ = corners.shape
    parts = corners.reshape(batch, 8, 3, fields, *grid)
    result = corners.new_zeros(batch, 3, fields, n1 + 1, n2 + 1, n3 + 1)
    for a, (i, j, k) in enumerate(CORNERS.tolist()):
        result[..., i : i + n1, j : j + n2, k : k + n3] += parts[:, a]
    for axis, n in zip(AXES, grid, strict=True):
        result.narrow(axis, 0, 1).add_(result.narrow(axis, n, 1))
        result = result.narrow(axis, 0, n)
    return result.contiguous()


def _around(voxels: Tensor) -> Tensor:
    """Values (B, 8 P, N) of the voxels (B, P, n1, n2, n3) of which a node is corner 0 to 7."""
    rolled = [voxels.roll(corner, AXES) for corner in CORNERS.tolist()]
    return torch.stack(rolled, dim=2).flatten(3).flatten(1, 2)


def _product(u: Tensor, cells: DenseCells) -> Tensor:
    ke, shares = _element_stiffness(cells.stiffness), cells.shares().flatten(2)
    local = _gathered(u)

    def forces(p: int) -> Tensor:
        part = torch.bmm(ke[:, p], local.flatten(2)).reshape(local.shape)
        return part.mul_(shares[:, p, None, None])

    result = forces(0)
    for p in range(1, ke.shape[1]):
        result += forces(p)
    return _scattered(result, cells.grid)


class _Product(torch.autograd.Function):
    """Product with a symmetric operator."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, cells: DenseCells) -> Tensor:
        ctx.cells = cells
        return _product(u.detach().to(cells.density.dtype), cells)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _product(gradient, ctx.cells), None


class _Energy(torch.autograd.Function):
    """1/2 u_k . K u_k - u_k . f_k (B, 6) and its slope K u - f with one product."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, f: Tensor, cells: DenseCells) -> Tensor:
        v = u.detach().to(f.dtype)
        product = _product(v, cells)
        ctx.save_for_backward(product - f)
        work = (v * (0.5 * product - f)).double()
        return work.sum((1, 3, 4, 5)).to(f.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (residual,) = ctx.saved_tensors
        return residual * gradient[:, None, :, None, None, None], None, None
