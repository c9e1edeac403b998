r"""Random packings without overlap in a periodic box: discs, spheres and straight fibres.

Every body is the set of points within a radius of a segment (a sphere has a segment of length 0,
a disc is a sphere kept in a plane). From random positions the overlap energy

.. math:: E = \tfrac12 \sum_{i<j,\ \mathrm{images}} \max(0,\ 1 - d_{ij} / D_{ij})^2

is driven to zero by L-BFGS over the positions; d is the distance of the two segments and D the
distance asked for. Bodies that stay stuck are placed anew at random, the others stay, and so on.
Directions and radii stay as given. This is the soft-particle route to random packings below
jamming (O'Hern, Silbert, Liu & Nagel, Phys. Rev. E 68, 011306, 2003), which passes the 0.54
(discs) and 0.38 (spheres) at which random sequential addition stalls.

The minimiser amplifies rounding: a seed gives the same packing with the same versions of numpy
and scipy, elsewhere possibly another of the same kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from scipy.optimize import minimize

from matnet.errors import ConvergenceError, ParameterError

__all__ = ["Packing", "pack"]

STAGES = (0.7, 0.9)  # shares of the asked distance at first: growing in stages avoids early jams
PATIENCE = 12  # times that the worst bodies are placed anew without progress before giving up
SURPLUS = 1e-3  # L-BFGS aims this much further than asked, so that it arrives in finite steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Positions of non-overlapping bodies in a periodic rectangular box.

    Parameters
    ----------
    edges : (3,) floats
        Edge lengths of the box [any length unit].
    centres : (n, 3) floats
        Midpoints, in [0, edge).
    halves : (n, 3) floats
        Vector from the midpoint to the end of the segment; zero for spheres and discs.
    radii : (n,) floats
        Distance of the surface from the segment.
    """

    edges: np.ndarray
    centres: np.ndarray
    halves: np.ndarray
    radii: np.ndarray

    def gap(self) -> float:
        """Smallest distance between two surfaces as a share of the pair's mean diameter.

        Negative when bodies overlap; images of a body with itself are not counted.
        """
        return float(_smallest_ratio(self.centres, self.halves, self.radii, self.edges)) - 1.0


def pack(
    edges: np.ndarray,
    halves: np.ndarray,
    radii: np.ndarray,
    *,
    gap: float,
    flat: bool,
    rng: np.random.Generator,
) -> Packing:
    """Place bodies at random so that any two surfaces are `gap` mean diameters apart.

    Parameters
    ----------
    edges : (3,) floats
        Edge lengths of the periodic box.
    halves : (n, 3) floats
        Half segment of each body (zero for spheres).
    radii : (n,) floats
        Radius of each body.
    gap : float
        Smallest surface distance, as a share of the pair's mean diameter, >= 0.
    flat : bool
        Discs: keep all centres in the plane half-way up the box.
    rng : numpy.random.Generator
        Random source.

    Raises
    ------
    ParameterError
        A body with its gap is longer than the box along some axis, so it would meet its own image.
    ConvergenceError
        Some are closer than asked after many attempts; `result` is the best packing found.
    """
    reach = (1.0 + gap) * radii
    _require_room(edges, halves, reach)
    centres = _random_centres(radii.size, edges, flat, rng)
    for stage in STAGES:
        centres = _relaxed(centres, halves, stage * reach, edges)
    best, least, idle = Packing(edges=edges, centres=centres, halves=halves, radii=radii), np.inf, 0
    while idle < PATIENCE:
        centres = _relaxed(centres, halves, (1.0 + SURPLUS) * reach, edges) % edges
        found = replace(best, centres=centres)
        if found.gap() >= gap:
            return found
        shares = _overlap_shares(centres, halves, reach, edges)
        idle += 1
        if shares.sum() < 0.98 * least:
            best, least, idle = found, shares.sum(), 0
        fresh = _random_centres(radii.size, edges, flat, rng)
        centres = np.where((shares >= 0.5 * shares.max())[:, None], fresh, centres)
    left = best.gap()
    state = (
        f"overlap by {-left:.2g}" if left < 0.0 else f"are only {left:.2g} apart, asked {gap:.2g}"
    )
    raise ConvergenceError(
        f"packing of {radii.size} bodies got no further in {PATIENCE} rearrangements: "
        f"the closest two {state} (in diameters). "
        "Lower volume_fraction or min_gap, or try another seed or another number of bodies.",
        best,
    )


def _random_centres(
    count: int, edges: np.ndarray, flat: bool, rng: np.random.Generator
) -> np.ndarray:
    centres = rng.random((count, 3)) * edges
    if flat:
        centres[:, 2] = 0.5 * edges[2]
    return np.asarray(centres)


def _overlap_shares(
    centres: np.ndarray, halves: np.ndarray, reach: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Sum (n,) of the squared overlaps of each body with all others."""
    gradient, shares = np.zeros((reach.size, 3)), np.zeros(reach.size)
    _overlap_energy(centres, halves, reach, edges, gradient, shares)
    return shares


def _require_room(edges: np.ndarray, halves: np.ndarray, reach: np.ndarray) -> None:
    """Raise unless every body with its gap fits between the faces of the box along every axis."""
    extent = 2.0 * (np.abs(halves) + reach[:, None]) / edges
    body, axis = np.unravel_index(int(np.argmax(extent)), extent.shape)
    if extent[body, axis] > 1.0:
        raise ParameterError(
            f"body {body} with its gap takes {extent[body, axis]:.3g} of the cell along axis "
            f"{axis + 1} and would overlap its own periodic image. "
            "Use more bodies, a lower volume fraction, a lower aspect ratio or a longer cell."
        )


def _relaxed(
    centres: np.ndarray, halves: np.ndarray, reach: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Centres (n, 3) after minimisation of the overlap energy of bodies with radius `reach`."""
    unit = float(reach.mean())  # lengths in units of the radius: well scaled for L-BFGS
    halves, reach, edges = halves / unit, reach / unit, edges / unit

    shares = np.zeros(reach.size)

    def energy(positions: np.ndarray) -> tuple[float, np.ndarray]:
        gradient = np.zeros((reach.size, 3))
        value = _overlap_energy(positions.reshape(-1, 3), halves, reach, edges, gradient, shares)
        return value, gradient.ravel()

    options = {"maxiter": 300, "maxfun": 500, "ftol": 1e-10, "gtol": 1e-7, "maxcor": 20}
    start = (centres / unit).ravel()
    found = minimize(energy, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x.reshape(-1, 3) * unit)


@njit(cache=True)
def _closest_offset(r: np.ndarray, h1: np.ndarray, h2: np.ndarray, offset: np.ndarray) -> float:
    """Vector between the closest points of two segments; fills offset (3,), returns its length.

    Segment 1 is r + s h1, segment 2 is t h2, -1 <= s, t <= 1 (Ericson, *Real-Time Collision
    Detection*, 2005, sec. 5.1.9, with midpoints instead of end points).
    """
    a = h1[0] * h1[0] + h1[1] * h1[1] + h1[2] * h1[2]
    b = h1[0] * h2[0] + h1[1] * h2[1] + h1[2] * h2[2]
    e = h2[0] * h2[0] + h2[1] * h2[1] + h2[2] * h2[2]
    c = h1[0] * r[0] + h1[1] * r[1] + h1[2] * r[2]
    f = h2[0] * r[0] + h2[1] * r[1] + h2[2] * r[2]
    s, t = 0.0, 0.0
    determinant = a * e - b * b
    if determinant > 1e-12 * a * e:  # not parallel, both of positive length
        s = min(max((b * f - c * e) / determinant, -1.0), 1.0)
    if e > 0.0:
        t = min(max((b * s + f) / e, -1.0), 1.0)
    if a > 0.0:
        s = min(max((b * t - c) / a, -1.0), 1.0)
    for k in range(3):
        offset[k] = r[k] + s * h1[k] - t * h2[k]
    return math.sqrt(offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2)


@njit(cache=True)
def _nearest_image(x: float, edge: float) -> float:
    """`x` moved by whole edges into [-edge/2, edge/2)."""
    return x - edge * math.floor(x / edge + 0.5)


@njit(cache=True)
def _overlap_energy(
    centres: np.ndarray,
    halves: np.ndarray,
    reach: np.ndarray,
    edges: np.ndarray,
    gradient: np.ndarray,
    shares: np.ndarray,
) -> float:
    """Overlap energy of all pairs and images; adds to gradient (n, 3) and bodies' shares (n,)."""
    energy = 0.0
    base, r, offset = np.empty(3), np.empty(3), np.empty(3)
    for i in range(reach.size):
        for j in range(i):
            wanted = reach[i] + reach[j]
            for k in range(3):
                base[k] = _nearest_image(centres[i, k] - centres[j, k], edges[k])
            for corner in range(8):  # images on the far side are more than a cell away
                image = _near_image(base, corner)
                if not _shifted(base, image, halves[i], halves[j], wanted, edges, r):
                    continue
                d = _closest_offset(r, halves[i], halves[j], offset)
                if d >= wanted:
                    continue
                overlap = 1.0 - d / wanted
                energy += 0.5 * overlap * overlap
                shares[i] += overlap * overlap
                shares[j] += overlap * overlap
                for k in range(3):
                    # crossing segments (d = 0) have no direction: leave them to their neighbours
                    pull = overlap / wanted * offset[k] / d if d > 0.0 else 0.0
                    gradient[i, k] -= pull
                    gradient[j, k] += pull
    return energy


@njit(cache=True)
def _near_image(base: np.ndarray, corner: int) -> int:
    """Image number of the nearest image (corner 0) or its mirror across axes in the bits."""
    image = 13
    step = 1
    for k in range(3):
        if corner >> k & 1:
            image += step if base[k] < 0.0 else -step
        step *= 3
    return image


@njit(cache=True)
def _shifted(
    base: np.ndarray,
    image: int,
    h1: np.ndarray,
    h2: np.ndarray,
    reach: float,
    edges: np.ndarray,
    r: np.ndarray,
) -> bool:
    """Fill r with image 0..26 of `base`; False if its boxes are further apart than `reach`."""
    r[0] = base[0] + (image % 3 - 1) * edges[0]
    if abs(r[0]) >= abs(h1[0]) + abs(h2[0]) + reach:
        return False
    r[1] = base[1] + (image // 3 % 3 - 1) * edges[1]
    if abs(r[1]) >= abs(h1[1]) + abs(h2[1]) + reach:
        return False
    r[2] = base[2] + (image // 9 - 1) * edges[2]
    return bool(abs(r[2]) < abs(h1[2]) + abs(h2[2]) + reach)


@njit(cache=True)
def _smallest_ratio(
    centres: np.ndarray, halves: np.ndarray, radii: np.ndarray, edges: np.ndarray
) -> float:
    """Smallest segment distance over sum of radii, all pairs and images; inf for one body."""
    smallest = np.inf
    base, r, offset = np.empty(3), np.empty(3), np.empty(3)
    for i in range(radii.size):
        for j in range(i):
            touching = radii[i] + radii[j]
            for k in range(3):
                base[k] = _nearest_image(centres[i, k] - centres[j, k], edges[k])
            for image in range(27):
                if _shifted(base, image, halves[i], halves[j], smallest * touching, edges, r):
                    d = _closest_offset(r, halves[i], halves[j], offset)
                    smallest = min(smallest, d / touching)
    return smallest
