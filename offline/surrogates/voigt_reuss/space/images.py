"""Two-phase voxel images in space, drawn by number: many kinds, many of them anisotropic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from matnet.errors import ConvergenceError, ParameterError
from offline.rve.generators.fibres import ud_random
from offline.rve.generators.polycrystal import voronoi
from offline.rve.generators.short_fibres import random_short_fibres
from offline.rve.generators.spheres import random_spheres
from offline.rve.generators.voxelgrid import fill_to_fraction
from offline.surrogates.families import family

__all__ = ["KINDS", "draw_image", "sheared"]

FRACTION_LIMITS = (0.03, 0.97)  # images beyond are drawn again
SHEARED = 1 / 3  # share of images that are sheared by a whole cell
ATTEMPTS = 100
LARGEST_SEED = 2**31

Draw = Callable[[int, np.random.Generator], np.ndarray]


def draw_image(seed: int, number: int, resolution: int) -> tuple[np.ndarray, str]:
    """Image (n, n, n) of 0 and 1, and its kind; a function of the arguments alone.

    Kinds take turns; a third of the images is sheared (`sheared`).

    Raises
    ------
    ParameterError
        The grid is too coarse for the kind.

    Examples
    --------
    >>> image, kind = draw_image(0, 1, 16)
    >>> image.shape, kind
    ((16, 16, 16), 'laminate')
    """
    kind = tuple(KINDS)[number % len(KINDS)]
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, number, attempt])
        try:
            image = KINDS[kind](resolution, rng)
        except (ParameterError, ConvergenceError):  # a fraction or packing this grid cannot meet
            continue
        if FRACTION_LIMITS[0] <= image.mean() <= FRACTION_LIMITS[1]:
            if rng.random() < SHEARED:
                axis, along = rng.permutation(3)[:2]
                image = sheared(image, int(axis), int(along), int(rng.choice([-1, 1])))
            return np.ascontiguousarray(image, dtype=np.uint8), kind
    raise ParameterError(
        f"none of {ATTEMPTS} images '{kind}' of {resolution} voxels per axis has both phases. "
        "Use a higher resolution."
    )


def sheared(image: np.ndarray, axis: int, along: int, times: int = 1) -> np.ndarray:
    """The image with layers normal to `along` shifted in direction `axis`, by one cell in all.

    The shear maps the lattice of the cell onto itself, so the image stays periodic.

    >>> sheared(np.eye(3, dtype=int)[:, :, None], 0, 1)[:, :, 0]
    array([[1, 0, 0],
           [0, 0, 1],
           [0, 1, 0]])
    """
    position = list(np.meshgrid(*map(np.arange, image.shape), indexing="ij", sparse=True))
    position[axis] = (position[axis] - times * position[along]) % image.shape[axis]
    return np.asarray(image[tuple(position)])


def _trigonometric(n: int, rng: np.random.Generator) -> np.ndarray:
    """A thresholded sum of waves with random amplitudes and phases, at times of few waves."""
    reach = int(rng.integers(1, 4))
    wave = np.arange(-reach, reach + 1)
    k = np.stack(np.meshgrid(wave, wave, wave, indexing="ij"), axis=-1).reshape(-1, 3)
    k = k[len(k) // 2 + 1 :]  # of k and -k one
    stretch = np.exp(rng.normal(0.0, 0.7, 3))  # longer waves along some axes
    decay = np.exp(-(((k * stretch) ** 2).sum(axis=1)) / reach**2)
    chosen = rng.random(len(k)) < rng.choice([0.15, 0.5, 1.0])
    amplitude = rng.normal(size=len(k)) * decay * chosen
    x = (np.arange(n) + 0.5) / n
    phase = rng.uniform(0.0, 2.0 * np.pi, len(k))
    field = np.zeros((n, n, n))
    for a, (k1, k2, k3), p in zip(amplitude, k, phase, strict=True):
        if a != 0.0:
            angle = k1 * x[:, None, None] + k2 * x[:, None] + k3 * x
            field += a * np.cos(2.0 * np.pi * angle + p)
    if np.ptp(field) == 0.0:
        raise ParameterError("no wave was chosen")
    return fill_to_fraction(field, float(rng.uniform(0.08, 0.92)))[0]


def _laminate(n: int, rng: np.random.Generator) -> np.ndarray:
    """Layers normal to a lattice vector of small entries, two of three wavy or perforated."""
    normal = rng.integers(-2, 3, 3)
    if not normal.any():
        raise ParameterError("a laminate needs a normal")
    x = (np.arange(n) + 0.5) / n
    level = normal[0] * x[:, None, None] + normal[1] * x[:, None] + normal[2] * x
    kind, fraction = rng.integers(3), float(rng.uniform(0.1, 0.9))
    if kind == 1:
        axis = int(rng.integers(3))
        wave = np.sin(2.0 * np.pi * (x + rng.random()))
        level = level + rng.uniform(0.02, 0.2) * np.moveaxis(wave[:, None, None], 0, axis)
    layers = np.cos(2.0 * np.pi * (level + rng.random()))
    image = fill_to_fraction(layers + 0.05 * np.cos(4.0 * np.pi * level), fraction)[0]
    return image & _trigonometric(n, rng) if kind == 2 else image


def _fibres(n: int, rng: np.random.Generator) -> np.ndarray:
    """Aligned fibres along one of the axes."""
    rve = ud_random(
        n=(n, n, n),
        volume_fraction=float(rng.uniform(0.08, 0.65)),
        n_fibres=int(rng.integers(1, 9)),
        min_gap=0.02,
        seed=int(rng.integers(LARGEST_SEED)),
    )
    return np.moveaxis(rve.phases, 2, int(rng.integers(3)))


def _short_fibres(n: int, rng: np.random.Generator) -> np.ndarray:
    weights = rng.dirichlet((0.7, 0.7, 0.7))
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    tensor = (axes * (0.96 * weights + 0.04 / 3.0)) @ axes.T
    orientation = tensor[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    rve = random_short_fibres(
        n=n,
        volume_fraction=float(rng.uniform(0.05, 0.22)),
        aspect_ratio=float(rng.uniform(2.0, 6.0)),
        orientation=tuple(orientation.tolist()),
        n_fibres=int(rng.integers(6, 25)),
        seed=int(rng.integers(LARGEST_SEED)),
    )
    return rve.phases


def _spheres(n: int, rng: np.random.Generator) -> np.ndarray:
    rve = random_spheres(
        n=n,
        volume_fraction=float(rng.uniform(0.05, 0.45)),
        n_spheres=int(rng.integers(1, 17)),
        spread=float(rng.choice([0.0, 0.3])),
        seed=int(rng.integers(LARGEST_SEED)),
    )
    return rve.phases


def _grains(n: int, rng: np.random.Generator) -> np.ndarray:
    """Voronoi cells of either phase, at times flattened: several layers of points per axis."""
    count = int(rng.integers(8, 61))
    shape = [n, n, n]
    flat = int(rng.integers(4))
    if flat < 3:  # drawn on a grid that is shorter along one axis, then stretched
        shape[flat] = max(n // int(rng.integers(2, 5)), 2)
    grains = voronoi(
        n=(shape[0], shape[1], shape[2]),
        n_grains=count,
        texture="none",
        seed=int(rng.integers(LARGEST_SEED)),
    ).phases
    stiff = rng.random(count) < rng.uniform(0.15, 0.85)
    image = stiff[grains]
    for axis in range(3):
        image = image.take(np.arange(n) * image.shape[axis] // n, axis)
    return np.asarray(image)


def _family(name: str) -> Draw:
    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        return family(name).sample(int(rng.integers(LARGEST_SEED)), n).rve.phases

    return draw


KINDS: dict[str, Draw] = {
    "trigonometric": _trigonometric,
    "laminate": _laminate,
    "fibres": _fibres,
    "short-fibres": _short_fibres,
    "truss": _family("truss"),
    "spheres": _spheres,
    "grains": _grains,
    "tpms": _family("tpms"),
    "psl": _family("psl"),
}
