"""Random periodic trusses: random joints, struts drawn until the net is in one piece."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np

from matnet.errors import ParameterError
from offline.rve.generators.cells import Numbers, Triple, recorded
from offline.rve.generators.lattice import truss_cell
from offline.rve.generators.net import PeriodicNet
from offline.rve.generators.topology import Topology
from offline.rve.generators.voxelgrid import require_count, require_in_range
from offline.rve.rve import Rve

__all__ = ["random_topology", "random_truss"]

Symmetry = Literal["none", "orthotropic", "cubic"]

NEIGHBOURS = 14  # candidate struts reach at least this many neighbours of each joint
PREFERENCE = 0.3  # scatter of the strut order: 0 would always draw the shortest
MIN_DEGREE = 3  # joints with fewer struts are served first


@recorded
def random_truss(
    *,
    n: Triple = 48,
    volume_fraction: float | None = None,
    radius: float | None = None,
    nodes: int = 6,
    coordination: float = 6.0,
    symmetry: Symmetry = "none",
    radius_spread: float = 0.0,
    seed: int = 0,
    cell: Numbers | None = None,
) -> Rve:
    """Random truss, connected in all directions; each seed gives another topology.

    Parameters
    ----------
    n : int or three ints
        Voxels per axis.
    volume_fraction : float, optional
        Fraction of solid in (0, 1).
    radius : float, optional
        Mean strut radius [length unit of the cell, whose longest edge is 1 by default], > 0.
    nodes : int
        Joints before symmetry is applied, 1 to 64.
    coordination : float
        Mean number of struts per joint to reach, 3 to 14 (more where connection needs it).
    symmetry : {"none", "orthotropic", "cubic"}
        Mirror planes of the topology: none, 3, or all 9 of the cube.
    radius_spread : float
        Standard deviation of the logarithm of the strut radii, 0 to 1.
    seed : int
        Seed of the random numbers.
    cell : 3, 6 or 9 numbers, optional
        Edge lengths, lengths and angles [degrees], or lattice vectors; cubic voxels by default.

    Returns
    -------
    Rve
        Phases ("void", "solid").

    Raises
    ------
    ParameterError
        A parameter is out of range.

    Examples
    --------
    >>> print(random_truss(n=16, volume_fraction=0.2, seed=3))
    Rve 16 x 16 x 16: void 80.00 %, solid 20.00 %
    """
    topology = random_topology(
        nodes=nodes,
        coordination=coordination,
        symmetry=symmetry,
        radius_spread=radius_spread,
        seed=seed,
    )
    return truss_cell(topology, n=n, volume_fraction=volume_fraction, radius=radius, cell=cell)


def random_topology(
    *,
    nodes: int = 6,
    coordination: float = 6.0,
    symmetry: Symmetry = "none",
    radius_spread: float = 0.0,
    seed: int = 0,
) -> Topology:
    """The topology that `random_truss` voxelises; same parameters.

    Joints are scattered with a minimum distance. Struts, in orbits of the symmetry, come in the
    order of length times a random factor: first those that connect the net, then those that serve
    joints with fewer than three struts, then any until the coordination is reached.
    """
    require_count("nodes", nodes, 1, 64)
    require_in_range("coordination", coordination, 3.0, 14.0)
    require_in_range("radius_spread", radius_spread, 0.0, 1.0)
    require_count("seed", seed, 0)
    rng = np.random.default_rng(seed)
    operations = _operations(symmetry)
    points = _joints(nodes, symmetry, operations, rng)
    links, orbit = _candidates(points, operations)
    chosen = _connected_choice(points, links, orbit, coordination, rng)
    radii = np.exp(radius_spread * rng.standard_normal(orbit.max() + 1))[orbit[chosen]]
    start = points[links[chosen, 0]]
    end = points[links[chosen, 1]] + links[chosen, 2:]
    pairs = np.arange(2 * len(chosen)).reshape(-1, 2)
    ends = np.stack([start, end], axis=1).reshape(-1, 3)
    return Topology(nodes=ends, struts=pairs, radii=radii / radii.mean(), name=f"random-{seed}")


def _operations(symmetry: str) -> np.ndarray:
    """Signed permutation matrices (g, 3, 3) of the point group."""
    if symmetry not in ("none", "orthotropic", "cubic"):
        raise ParameterError(f"symmetry is '{symmetry}', expected none, orthotropic or cubic.")
    axes = list(itertools.permutations(range(3))) if symmetry == "cubic" else [(0, 1, 2)]
    signs = [(1, 1, 1)] if symmetry == "none" else list(itertools.product((1, -1), repeat=3))
    return np.array([np.diag(s) @ np.eye(3, dtype=int)[list(a)] for a in axes for s in signs])


def _joints(
    count: int, symmetry: str, operations: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Random points (m, 3) in [0, 1) that keep apart, closed under the symmetry."""
    points = np.zeros((0, 3))
    apart = 0.6 if symmetry != "none" else 0.8 * count ** (-1.0 / 3.0)
    for _ in range(count):
        while True:
            orbit = _orbit(_random_point(symmetry, rng), operations)
            if _smallest_gap(np.concatenate([points, orbit]), len(points)) >= apart:
                points = np.concatenate([points, orbit])
                break
            apart *= 0.98
    return points


def _random_point(symmetry: str, rng: np.random.Generator) -> np.ndarray:
    """Uniform; with symmetry, mostly on corners, edges and faces of the fundamental domain."""
    if symmetry == "none":
        return np.asarray(rng.random(3))
    if symmetry == "orthotropic":
        special = rng.choice([0.0, 0.5, -1.0], size=3, p=[0.35, 0.35, 0.3])
        return np.asarray(np.where(special < 0.0, 0.5 * rng.random(3), special))
    corners = 0.5 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    n_corners = int(rng.choice([1, 2, 3], p=[0.25, 0.5, 0.25]))
    chosen = corners[rng.permutation(4)[:n_corners]]
    return np.asarray(rng.dirichlet(np.full(n_corners, 4.0)) @ chosen)


def _orbit(point: np.ndarray, operations: np.ndarray) -> np.ndarray:
    images = np.round((operations @ point) % 1.0, 9) % 1.0
    return np.asarray(np.unique(images, axis=0))


def _smallest_gap(points: np.ndarray, first: int) -> float:
    """Smallest periodic distance from points[first:] to all others; 1 for a lone point."""
    gap = points[first:, None] - points[None]
    distance = np.linalg.norm(gap - np.round(gap), axis=2)
    distance[np.arange(len(points) - first), np.arange(first, len(points))] = 1.0
    return float(distance.min())


def _candidates(points: np.ndarray, operations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Possible struts (e, 5) as rows i, j, shift, and the orbit number (e,) of each."""
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    ends = points[None, :, None] + shifts
    length = np.linalg.norm(ends - points[:, None, None], axis=3)
    length[length < 1e-6] = np.inf  # not to itself
    n = len(points)
    reach = np.sort(length.reshape(n, -1), axis=1)[:, NEIGHBOURS - 1].max()
    # any net is in one piece once every lattice vector is a candidate
    i, j, s = np.nonzero(length <= max(reach, 1.0 if n < 9 else 0.0) * (1 + 1e-9))
    links = _canonical(np.column_stack([i, j, shifts[s]]))
    links = np.unique(links, axis=0)
    codes = np.min([_code(_moved(links, points, op), n) for op in operations], axis=0)
    return links, np.unique(codes, return_inverse=True)[1]


def _canonical(links: np.ndarray) -> np.ndarray:
    """Each link in the direction with the smaller code."""
    n = int(links[:, :2].max()) + 1
    back = np.column_stack([links[:, 1], links[:, 0], -links[:, 2:]])
    turn = _code(back, n) < _code(links, n)
    return np.where(turn[:, None], back, links)


def _code(links: np.ndarray, n: int) -> np.ndarray:
    i, j, a, b, c = links.T
    return np.asarray((((i * n + j) * 9 + a + 4) * 9 + b + 4) * 9 + c + 4)


def _moved(links: np.ndarray, points: np.ndarray, operation: np.ndarray) -> np.ndarray:
    """The links after a symmetry operation."""
    images = points @ operation.T
    gap = images[:, None] - points[None]
    index = np.argmin(np.linalg.norm(gap - np.round(gap), axis=2), axis=1)
    cells = np.round(images - points[index]).astype(int)
    i, j = links[:, 0], links[:, 1]
    shift = cells[j] + links[:, 2:] @ operation.T - cells[i]
    return _canonical(np.column_stack([index[i], index[j], shift]))


def _connected_choice(
    points: np.ndarray,
    links: np.ndarray,
    orbit: np.ndarray,
    coordination: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Indices of the links drawn."""
    n, n_orbits = len(points), int(orbit.max()) + 1
    members = [np.flatnonzero(orbit == o) for o in range(n_orbits)]
    vectors = points[links[:, 1]] + links[:, 2:] - points[links[:, 0]]
    lengths = np.linalg.norm(vectors, axis=1)[[m[0] for m in members]]
    order = np.argsort(lengths * np.exp(PREFERENCE * rng.standard_normal(n_orbits)))
    net = PeriodicNet(n)
    degree = np.zeros(n, dtype=int)
    drawn: list[int] = []

    def draw(o: int) -> None:
        drawn.append(o)
        np.add.at(degree, links[members[o], :2].ravel(), 1)

    for o in order:
        if net.in_one_piece:
            break
        joined = [net.join(i, j, shift) for i, j, *shift in links[members[o]].tolist()]
        if any(joined):
            draw(o)
    rest = [o for o in order if o not in set(drawn)]
    for wanted in (MIN_DEGREE, np.inf):
        for o in rest:
            needed = degree[links[members[o], :2]].min() < wanted
            if needed and o not in drawn and (wanted < np.inf or degree.mean() < coordination):
                draw(o)
    return np.sort(np.concatenate([members[o] for o in drawn]))
