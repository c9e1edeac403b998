r"""Stresses in the voxels from a displacement, and estimates of yield from them.

A macroscopic stress S makes the macroscopic strain :math:`(C^H)^{-1} S`; the local stress is
:math:`\sigma = C \sum_k \bar\varepsilon_k (e^k - B u^k)`, here the mean over each voxel. The first
voxel to reach the yield stress of the solid in von Mises' measure sets the estimate. On voxel grids
the largest stress depends on the resolution: `quantile` 1 is the paper's worst case, slightly
smaller values forgive the steps of the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_shape
from matnet.mandel import rotate_stiffness
from offline.homogenization.fields import gauss_strains, von_mises
from offline.homogenization.grid import HexGrid
from offline.rve.rve import Rve

__all__ = ["Strength", "strength", "voxel_stresses"]

LOADS = ("11", "22", "33", "12", "13", "23")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strength:
    """First yield under one macroscopic stress component at a time.

    Attributes
    ----------
    yield_stress : (6,)
        Macroscopic stress at first yield: uniaxial stress 11, 22, 33, shear 12, 13, 23, tensor
        components [stress unit].
    worst : (6, n1, n2, n3)
        Von Mises stress per unit macroscopic stress; zero in void. Its largest value over the
        loads is the worst-case stress of the voxel under unit stresses.
    """

    yield_stress: np.ndarray
    worst: np.ndarray


def voxel_stresses(rve: Rve, stiffnesses: Any, displacement: Any, macro_strain: Any) -> np.ndarray:
    """Mean Mandel stress (n, n1, n2, n3, 6) of each voxel under macroscopic strains (n, 6).

    Parameters
    ----------
    rve : Rve
    stiffnesses : (n_phases, 6, 6)
        In the phases' material frames; zeros mean void [stress unit].
    displacement : (6, n1, n2, n3, 3)
        Fluctuations of the six unit strains [length].
    macro_strain : (n, 6)
        Mandel.
    """
    c = np.array(stiffnesses, dtype=float)
    require_shape("stiffnesses", c, (rve.n_phases, 6, 6))
    if rve.orientations is not None:
        c = rotate_stiffness(c, rve.orientations)
    grid = HexGrid(rve.shape, rve.cell)
    unit = gauss_strains(grid, displacement).mean(2)  # (6 loads, voxels, 6)
    strain = np.einsum("nk,kvi->nvi", np.asarray(macro_strain, dtype=float), unit)
    density = np.ones(rve.shape) if rve.density is None else np.asarray(rve.density)
    local = density.reshape(-1, 1, 1) * c[rve.phases.reshape(-1)]
    stress = np.einsum("vij,nvj->nvi", local, strain)
    return np.asarray(stress.reshape(len(strain), *rve.shape, 6))


def strength(
    rve: Rve,
    stiffnesses: Any,
    displacement: Any,
    effective: Any,
    *,
    solid_yield: float,
    quantile: float = 1.0,
) -> Strength:
    """Estimates of yield and shear strength.

    Parameters
    ----------
    rve, stiffnesses, displacement
        See `voxel_stresses`.
    effective : (6, 6)
        C^H that belongs to the displacement [stress unit].
    solid_yield : float
        Uniaxial yield stress of the solid [stress unit].
    quantile : float
        Of the stresses of the solid voxels that has to yield, in (0, 1].

    Raises
    ------
    ParameterError
        A number is out of range.
    """
    if solid_yield <= 0.0:
        raise ParameterError(f"solid_yield is {solid_yield:g}, expected a positive stress.")
    if not 0.0 < quantile <= 1.0:
        raise ParameterError(f"quantile is {quantile:g}, expected above 0, at most 1.")
    c_eff = np.array(effective, dtype=float)
    require_shape("effective", c_eff, (6, 6))
    unit_stress = np.diag([1.0] * 3 + [np.sqrt(2.0)] * 3)  # tensor component 1 in Mandel form
    macro = np.linalg.solve(c_eff, unit_stress).T
    worst = von_mises(voxel_stresses(rve, stiffnesses, displacement, macro))
    solid = np.array(stiffnesses, dtype=float).any(axis=(1, 2))[rve.phases]
    largest = np.quantile(worst[:, solid], quantile, axis=1)
    return Strength(yield_stress=solid_yield / largest, worst=worst)
