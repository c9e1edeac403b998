"""Families of cells to learn from: seeded samplers on top of the generators.

A family turns a whole number, the seed, into a cell and its base material. The volume fraction and
Poisson's ratio are drawn for every cell, Young's modulus is 1: C^H is linear in it. Cells whose
solid does not carry all six strains are drawn again. METHODS of CGiNS, PH-Net and the label-free
CNN name these families; where they leave ranges open, the ranges here are this project's choice.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.rve.connectivity import complaint, connectivity, remove_islands
from offline.rve.generators.voxelgrid import require_count, require_in_range
from offline.rve.rve import Rve
from offline.surrogates.draws import (
    FRAME_FRACTIONS,
    PSL_FRACTIONS,
    TPMS_FRACTIONS,
    TRUSS_FRACTIONS,
    TUBULAR_FRACTIONS,
    draw_density,
    draw_frame,
    draw_mixed,
    draw_psl,
    draw_shell_types,
    draw_tpms,
    draw_truss,
    draw_truss_types,
    draw_tubular_gyroid,
)

__all__ = ["FAMILIES", "METAL_NU", "Family", "Sample", "family", "family_names"]

METAL_NU = (0.25, 0.45)  # Koester & Franz, Metallurgical Reviews 6, 1961: the range of metals
ATTEMPTS = 200

Draw = Callable[[int, np.random.Generator], tuple[Rve, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A cell and its material.

    Attributes
    ----------
    rve : Rve
        Cubic voxels unless the family says otherwise, percolating, without islands.
    stiffnesses : (n_phases, 6, 6)
        Mandel stiffness of each phase for E = 1; zero for void.
    family, name : str
        The family that was asked for, and which kind of cell it drew.
    seed : int
    volume_fraction : float
        Of the solid; the mean density of density fields.
    nu : float
        Poisson's ratio of the solid.
    """

    rve: Rve
    stiffnesses: np.ndarray
    family: str
    name: str
    seed: int
    volume_fraction: float
    nu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A named sampler of cells.

    Parameters
    ----------
    name : str
    about : str
        One line.
    draw : callable
        ``draw(n, rng)`` makes a cell of n voxels per axis and names its kind.
    nu : (low, high)
        Range of Poisson's ratio.
    fractions : (low, high), optional
        Range of the volume fraction of the solid that is asked for; None where it is not drawn.
    cubes : bool
        Whether all cells are cubes.
    """

    name: str
    about: str
    draw: Draw = field(repr=False)
    nu: tuple[float, float] = METAL_NU
    fractions: tuple[float, float] | None = None
    cubes: bool = True

    def sample(self, seed: int, resolution: int) -> Sample:
        """The cell of a seed, a function of its arguments alone.

        Raises
        ------
        ParameterError
            A number is out of range, or the grid is too coarse for the family.

        Examples
        --------
        >>> print(family("tpms").sample(3, 16).rve)
        Rve 16 x 16 x 16: void 82.03 %, solid 17.97 %
        """
        require_count("seed", seed, 0)
        require_count("resolution", resolution, 4)
        code = zlib.crc32(self.name.encode())
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([code, seed, attempt])
            nu = float(rng.uniform(*self.nu))
            found = self._sound_cell(resolution, rng)
            if found is not None:
                return self._sample(*found, nu, seed)
        raise ParameterError(
            f"family '{self.name}': none of {ATTEMPTS} cells of {resolution} voxels per axis "
            f"(seed {seed}) carries all strains. Use a higher resolution."
        )

    def _sound_cell(self, resolution: int, rng: np.random.Generator) -> tuple[Rve, str] | None:
        """A cell whose C^H is positive definite, or None if the draw is not."""
        try:
            rve, name = self.draw(resolution, rng)
        except ParameterError:  # a fraction that this grid cannot meet
            return None
        rve, _ = remove_islands(rve, connectivity(rve))
        return None if complaint(rve) else (rve, name)

    def _sample(self, rve: Rve, name: str, nu: float, seed: int) -> Sample:
        solid = isotropic(E=1.0, nu=nu)
        stiffnesses = np.where(rve.void[:, None, None], 0.0, solid)
        density = rve.solid_mask if rve.density is None else rve.density
        return Sample(
            rve=rve,
            stiffnesses=stiffnesses,
            family=self.name,
            name=name,
            seed=seed,
            volume_fraction=float(density.mean()),
            nu=nu,
        )


FIXED_NU = (0.3, 0.3)  # PH-Net and the label-free CNN do not see the material
FAMILIES = {
    f.name: f
    for f in (
        Family(
            name="truss",
            about="random trusses of three symmetries, 16 named",
            draw=draw_truss,
            fractions=TRUSS_FRACTIONS,
        ),
        Family(
            name="tpms",
            about="P, G, D, I-WP, F-RD: networks and sheets",
            draw=draw_tpms,
            fractions=TPMS_FRACTIONS,
        ),
        Family(
            name="psl",
            about="shell lattices: skins, plates, foams",
            draw=draw_psl,
            fractions=PSL_FRACTIONS,
        ),
        Family(
            name="mixed",
            about="truss, tpms and psl in equal parts",
            draw=draw_mixed,
            fractions=(TRUSS_FRACTIONS[0], TPMS_FRACTIONS[1]),
        ),
        Family(
            name="frame",
            about="nine frames, fractions 5 to 90 %",
            draw=draw_frame,
            nu=FIXED_NU,
            fractions=FRAME_FRACTIONS,
        ),
        Family(
            name="tubular-gyroid",
            about="parallelepipeds: angles 75 to 90 degrees, lengths 1 to 2",
            draw=draw_tubular_gyroid,
            nu=FIXED_NU,
            fractions=TUBULAR_FRACTIONS,
            cubes=False,
        ),
        Family(
            name="truss-types",
            about="100 fixed trusses, 16 of them named",
            draw=draw_truss_types,
            nu=FIXED_NU,
            fractions=TRUSS_FRACTIONS,
        ),
        Family(
            name="shell-types",
            about="skins of 16 named trusses",
            draw=draw_shell_types,
            nu=FIXED_NU,
            fractions=PSL_FRACTIONS,
        ),
        Family(
            name="density-lhs",
            about="independent random densities",
            draw=partial(draw_density, penalised=False),
            nu=FIXED_NU,
        ),
        Family(
            name="density-plhs",
            about="random densities to a random power",
            draw=partial(draw_density, penalised=True),
            nu=FIXED_NU,
        ),
    )
}


def family_names() -> tuple[str, ...]:
    """Names that `family` knows."""
    return tuple(FAMILIES)


def family(name: str, *, nu: float | None = None) -> Family:
    """The family of that name.

    Parameters
    ----------
    name : str
        truss, tpms, psl, mixed, frame, tubular-gyroid, truss-types, shell-types, density-lhs or
        density-plhs.
    nu : float, optional
        One Poisson's ratio for all cells instead of the family's range; the cells stay the same.

    Raises
    ------
    ParameterError
        The name is unknown, or nu is out of range.

    Examples
    --------
    >>> sample = family("frame").sample(0, 16)
    >>> sample.name, round(sample.volume_fraction, 3), sample.nu
    ('grid', 0.119, 0.3)
    """
    if name not in FAMILIES:
        raise ParameterError(f"family '{name}' is unknown, expected one of {', '.join(FAMILIES)}.")
    if nu is None:
        return FAMILIES[name]
    require_in_range("nu", nu, -0.99, 0.49)
    return replace(FAMILIES[name], nu=(nu, nu))
