"""Random spheres: fractions, distances, sizes."""

import math

import numpy as np
import pytest

from matnet.errors import ConvergenceError, ParameterError
from offline.rve.generators.spheres import random_spheres, sphere_packing

SMALL = {
    "n": (20, 24, 16),
    "volume_fraction": 0.45,
    "n_spheres": 12,
    "spread": 0.3,
    "min_gap": 0.03,
    "seed": 1,
}


def images(edges: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3) * edges


@pytest.mark.parametrize("spread", [0.0, 0.4])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.45, 0.5])
def test_fraction_is_exact(fraction: float, spread: float) -> None:
    rve = random_spheres(n=24, volume_fraction=fraction, spread=spread)
    assert rve.phases.sum() == round(fraction * 24**3)
    assert rve.phase_names == ("matrix", "sphere")


def test_spheres_keep_their_gap_in_all_images() -> None:
    _, spheres = sphere_packing(**SMALL)  # type: ignore[arg-type]
    offsets = spheres.centres[:, None, None] - spheres.centres[None, :, None]
    distances = np.linalg.norm(offsets + images(spheres.edges), axis=-1)
    distances[distances == 0.0] = np.inf
    touching = spheres.radii[:, None] + spheres.radii[None, :]
    assert (distances.min(axis=-1) >= 1.03 * touching - 1e-12).all()


def test_voxels_are_those_with_centres_inside_a_sphere() -> None:
    mask, spheres = sphere_packing(**SMALL)  # type: ignore[arg-type]
    spacing = 1.0 / 24
    points = (np.indices(mask.shape).transpose(1, 2, 3, 0) + 0.5) * spacing
    inside = np.zeros(mask.shape, dtype=bool)
    for centre, radius in zip(spheres.centres, spheres.radii, strict=True):
        for shift in images(spheres.edges):
            inside |= ((points - centre - shift) ** 2).sum(axis=-1) <= radius**2
    assert (mask == inside).all()
    volume = (4.0 / 3.0 * math.pi * spheres.radii**3).sum()
    assert volume == pytest.approx(0.45 * spheres.edges.prod(), rel=0.02)


def test_spread_is_the_deviation_of_the_logarithm_of_the_radii() -> None:
    request = {"n": 32, "volume_fraction": 0.1, "n_spheres": 500, "min_gap": 0.0, "seed": 0}
    _, spheres = sphere_packing(spread=0.2, **request)  # type: ignore[arg-type]
    assert np.log(spheres.radii).std() == pytest.approx(0.2, rel=0.05)


def test_cell_is_the_same_for_a_seed_and_its_source_makes_it_again() -> None:
    rve = random_spheres(n=16, n_spheres=5, seed=2)
    assert rve == eval(rve.source) and rve != random_spheres(n=16, n_spheres=5, seed=3)


def test_impossible_requests_say_what_to_do() -> None:
    with pytest.raises(ParameterError, match=r"volume_fraction is 0, expected a number strictly"):
        random_spheres(volume_fraction=0.0)
    with pytest.raises(ParameterError, match=r"0.73 with min_gap 0.02 is denser .*Lower one"):
        random_spheres(volume_fraction=0.73)
    with pytest.raises(ConvergenceError, match=r"Lower volume_fraction or min_gap"):
        random_spheres(n=16, volume_fraction=0.7, n_spheres=12, min_gap=0.0)
    with pytest.raises(ParameterError, match=r"n_spheres is 2.5, expected an integer, 1 or more"):
        random_spheres(n_spheres=2.5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"along axis 3 and would overlap its own periodic"):
        random_spheres(n=(32, 32, 4), n_spheres=3)
    with pytest.raises(ParameterError, match=r"spread is -0.1, expected 0 to 1"):
        random_spheres(spread=-0.1)
