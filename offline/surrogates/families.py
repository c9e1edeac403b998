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
from functools import lru_cache, partial

import numpy as np

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.rve.connectivity import complaint, connectivity, remove_islands
from offline.rve.generators.cells import CELLULAR, solid_below
from offline.rve.generators.density import lhs, penalised_lhs
from offline.rve.generators.distance import blended_distance
from offline.rve.generators.frames import FRAMES, frame, frame_radii
from offline.rve.generators.lattice import TAPER, joint_distance, truss
from offline.rve.generators.random_truss import random_truss
from offline.rve.generators.shells import FOAMS, PLATES, RANDOM, foam, plate, shell, skin_distance
from offline.rve.generators.topology import find_topology, topology_names
from offline.rve.generators.tpms import tpms
from offline.rve.generators.voxelgrid import require_count, require_in_range
from offline.rve.rve import Rve

__all__ = ["FAMILIES", "METAL_NU", "Family", "Sample", "family", "family_names"]

METAL_NU = (0.25, 0.45)  # Koester & Franz, Metallurgical Reviews 6, 1961: the range of metals
ATTEMPTS = 200
# volume fractions of the solid
TRUSS_FRACTIONS, TPMS_FRACTIONS, PSL_FRACTIONS = (0.08, 0.5), (0.1, 0.6), (0.1, 0.5)
FRAME_FRACTIONS, TUBULAR_FRACTIONS = (0.05, 0.9), (0.02, 0.33)
DENSITY_SET = 8192  # fields of one Latin hypercube sample, as in the label-free CNN paper
BLEND = 0.05  # of the tubes in skins [edge of the cell]
CACHED = 64  # voxels per axis up to which the distance fields of skins stay in memory

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


def _choice(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _truss(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Two of three cells are random trusses, the others shipped topologies."""
    fraction = float(rng.uniform(*TRUSS_FRACTIONS))
    if rng.random() < 1 / 3:
        name = _choice(rng, topology_names())
        return truss(topology=name, n=n, volume_fraction=fraction), name
    symmetry = ("none", "orthotropic", "cubic")[int(rng.integers(3))]
    most = {"none": 8, "orthotropic": 4, "cubic": 2}[symmetry]
    rve = random_truss(
        n=n,
        volume_fraction=fraction,
        nodes=int(rng.integers(1, most + 1)),
        coordination=float(rng.uniform(4.0, 8.0)),
        symmetry=symmetry,  # type: ignore[arg-type]  # one of the three literals above
        radius_spread=float(rng.choice([0.0, 0.2])),
        seed=int(rng.integers(2**31)),
    )
    return rve, f"random-{symmetry}"


def _tpms(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Networks of either side, and sheets around surfaces of shifted level."""
    surface = _choice(rng, ("schwarz-p", "gyroid", "schwarz-d", "iwp", "frd"))
    fraction = float(rng.uniform(*TPMS_FRACTIONS))
    if rng.random() < 0.5:
        side = "below" if rng.random() < 0.5 else "above"
        rve = tpms(surface=surface, n=n, volume_fraction=fraction, side=side)  # type: ignore[arg-type]
        return rve, f"{surface} network"
    level = float(rng.uniform(-0.4, 0.4))
    rve = tpms(surface=surface, n=n, kind="sheet", volume_fraction=fraction, level=level)
    return rve, f"{surface} sheet"


def _psl(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Skins around the shipped trusses (half of the cells), plates and foams."""
    fraction = float(rng.uniform(*PSL_FRACTIONS))
    kind = rng.random()
    if kind < 0.5:
        topology = _choice(rng, topology_names())
        enclosed = float(rng.uniform(0.3, 0.7))
        return _skin(topology, n, fraction, enclosed), f"shell {topology}"
    if kind < 0.75:
        topology = _choice(rng, tuple(PLATES))
        return plate(topology=topology, n=n, volume_fraction=fraction), f"plate {topology}"
    topology = _choice(rng, (*FOAMS, RANDOM))
    rve = foam(
        topology=topology,
        n=n,
        volume_fraction=fraction,
        seeds=int(rng.integers(4, 13)),
        seed=int(rng.integers(2**31)),
    )
    return rve, f"foam {topology}"


def _skin(topology: str, n: int, fraction: float, enclosed: float) -> Rve:
    """`shells.shell` with the costly distance fields kept in memory on small grids."""
    if n > CACHED:
        return shell(
            topology=topology, n=n, volume_fraction=fraction, enclosed=enclosed, blend=BLEND
        )
    distance, slope, joints = _tube_fields(topology, n)
    field = skin_distance(distance, slope, enclosed) + TAPER * joints
    return Rve(phases=solid_below(field, None, fraction), phase_names=CELLULAR)


@lru_cache(maxsize=32)
def _tube_fields(topology: str, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blended distance to the struts, its slope, and the distance to the joints (n, n, n)."""
    net, shape, once = find_topology(topology), (n, n, n), (1, 1, 1)
    field, slope = blended_distance(
        net.segments(), net.segment_radii(), BLEND, np.eye(3), shape, once
    )
    return field, slope, joint_distance(net, np.eye(3), shape, once)


def _frame(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Nine topologies with radii between volume fractions 5 % and 90 %."""
    topology = _choice(rng, tuple(FRAMES))
    low, high = _radius_range(topology, n)
    return frame(topology=topology, n=n, radius=float(rng.uniform(low, high))), topology


@lru_cache(maxsize=64)
def _radius_range(topology: str, n: int) -> tuple[float, float]:
    least, most = FRAME_FRACTIONS
    low, high = frame_radii(topology, 2, n=n, low=least, high=most)
    return float(low), float(high)


def _tubular_gyroid(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Sheared and stretched cells; lengths are divided by the longest."""
    lengths, angles = rng.uniform(1.0, 2.0, 3), rng.uniform(75.0, 90.0, 3)
    rve = tpms(
        surface="tubular-gyroid",
        side="above",
        n=n,
        volume_fraction=float(rng.uniform(*TUBULAR_FRACTIONS)),
        cell=np.concatenate([lengths / lengths.max(), angles]),
    )
    return rve, "tubular-gyroid"


def _density(n: int, rng: np.random.Generator, penalised: bool) -> tuple[Rve, str]:
    """One field of the documents' Latin hypercube sets of 8192."""
    index, seed = int(rng.integers(DENSITY_SET)), int(rng.integers(2**31))
    make = penalised_lhs if penalised else lhs
    return make(n=n, samples=DENSITY_SET, index=index, seed=seed), make.__name__


def _mixed(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    return (_truss, _tpms, _psl)[int(rng.integers(3))](n, rng)


FIXED_NU = (0.3, 0.3)  # PH-Net and the label-free CNN do not see the material
FAMILIES = {
    f.name: f
    for f in (
        Family(
            name="truss",
            about="random trusses of three symmetries, 16 named",
            draw=_truss,
            fractions=TRUSS_FRACTIONS,
        ),
        Family(
            name="tpms",
            about="P, G, D, I-WP, F-RD: networks and sheets",
            draw=_tpms,
            fractions=TPMS_FRACTIONS,
        ),
        Family(
            name="psl",
            about="shell lattices: skins, plates, foams",
            draw=_psl,
            fractions=PSL_FRACTIONS,
        ),
        Family(
            name="mixed",
            about="truss, tpms and psl in equal parts",
            draw=_mixed,
            fractions=(TRUSS_FRACTIONS[0], TPMS_FRACTIONS[1]),
        ),
        Family(
            name="frame",
            about="nine frames, fractions 5 to 90 %",
            draw=_frame,
            nu=FIXED_NU,
            fractions=FRAME_FRACTIONS,
        ),
        Family(
            name="tubular-gyroid",
            about="parallelepipeds: angles 75 to 90 degrees, lengths 1 to 2",
            draw=_tubular_gyroid,
            nu=FIXED_NU,
            fractions=TUBULAR_FRACTIONS,
            cubes=False,
        ),
        Family(
            name="density-lhs",
            about="independent random densities",
            draw=partial(_density, penalised=False),
            nu=FIXED_NU,
        ),
        Family(
            name="density-plhs",
            about="random densities to a random power",
            draw=partial(_density, penalised=True),
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
        truss, tpms, psl, mixed, frame, tubular-gyroid, density-lhs or density-plhs.
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
