"""How the cells of each family are drawn: grid and random numbers to a cell and its kind."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from offline.rve.generators.cells import CELLULAR, solid_below
from offline.rve.generators.density import lhs, penalised_lhs
from offline.rve.generators.distance import blended_distance
from offline.rve.generators.frames import FRAMES, frame, frame_radii
from offline.rve.generators.lattice import TAPER, joint_distance, truss
from offline.rve.generators.random_truss import random_truss
from offline.rve.generators.shells import FOAMS, PLATES, RANDOM, foam, plate, shell, skin_distance
from offline.rve.generators.topology import find_topology, topology_names
from offline.rve.generators.tpms import tpms
from offline.rve.rve import Rve

__all__ = [
    "FRAME_FRACTIONS",
    "PSL_FRACTIONS",
    "TPMS_FRACTIONS",
    "TRUSS_FRACTIONS",
    "TUBULAR_FRACTIONS",
    "draw_density",
    "draw_frame",
    "draw_mixed",
    "draw_psl",
    "draw_shell_types",
    "draw_tpms",
    "draw_truss",
    "draw_truss_types",
    "draw_tubular_gyroid",
    "skin",
]

# volume fractions of the solid
TRUSS_FRACTIONS, TPMS_FRACTIONS, PSL_FRACTIONS = (0.08, 0.5), (0.1, 0.6), (0.1, 0.5)
FRAME_FRACTIONS, TUBULAR_FRACTIONS = (0.05, 0.9), (0.02, 0.33)
DENSITY_SET = 8192  # fields of one Latin hypercube sample, as in the label-free CNN paper
TRUSS_TYPES = 100  # of PH-Net's second set
BLEND = 0.05  # of the tubes in skins [edge of the cell]
CACHED = 64  # voxels per axis up to which the distance fields of skins stay in memory


def _choice(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def draw_truss(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Two of three cells are random trusses, the others shipped topologies."""
    fraction = float(rng.uniform(*TRUSS_FRACTIONS))
    if rng.random() < 1 / 3:
        name = _choice(rng, topology_names())
        return truss(topology=name, n=n, volume_fraction=fraction), name
    return _random_truss(n, fraction, rng)


def _random_truss(n: int, fraction: float, rng: np.random.Generator) -> tuple[Rve, str]:
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


def draw_truss_types(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """One of 100 fixed trusses, the shipped topologies first, at any volume fraction."""
    kind, fraction = int(rng.integers(TRUSS_TYPES)), float(rng.uniform(*TRUSS_FRACTIONS))
    names = topology_names()
    if kind < len(names):
        return truss(topology=names[kind], n=n, volume_fraction=fraction), names[kind]
    rve, name = _random_truss(n, fraction, np.random.default_rng([TRUSS_TYPES, kind]))
    return rve, f"{name} {kind}"


def draw_shell_types(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """The skin of one of the shipped trusses whose tubes take half the cell."""
    topology = _choice(rng, topology_names())
    fraction = float(rng.uniform(*PSL_FRACTIONS))
    return skin(topology, n, fraction, 0.5), f"shell {topology}"


def draw_tpms(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
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


def draw_psl(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Skins around the shipped trusses (half of the cells), plates and foams."""
    fraction = float(rng.uniform(*PSL_FRACTIONS))
    kind = rng.random()
    if kind < 0.5:
        topology = _choice(rng, topology_names())
        enclosed = float(rng.uniform(0.3, 0.7))
        return skin(topology, n, fraction, enclosed), f"shell {topology}"
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


def skin(topology: str, n: int, fraction: float, enclosed: float) -> Rve:
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


def draw_frame(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    """Nine topologies with radii between volume fractions 5 % and 90 %."""
    topology = _choice(rng, tuple(FRAMES))
    low, high = _radius_range(topology, n)
    return frame(topology=topology, n=n, radius=float(rng.uniform(low, high))), topology


@lru_cache(maxsize=64)
def _radius_range(topology: str, n: int) -> tuple[float, float]:
    least, most = FRAME_FRACTIONS
    low, high = frame_radii(topology, 2, n=n, low=least, high=most)
    return float(low), float(high)


def draw_tubular_gyroid(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
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


def draw_density(n: int, rng: np.random.Generator, penalised: bool) -> tuple[Rve, str]:
    """One field of the documents' Latin hypercube sets of 8192."""
    index, seed = int(rng.integers(DENSITY_SET)), int(rng.integers(2**31))
    make = penalised_lhs if penalised else lhs
    return make(n=n, samples=DENSITY_SET, index=index, seed=seed), make.__name__


def draw_mixed(n: int, rng: np.random.Generator) -> tuple[Rve, str]:
    return (draw_truss, draw_tpms, draw_psl)[int(rng.integers(3))](n, rng)
