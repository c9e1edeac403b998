"""Random short fibres: fractions, directions, distances, shape."""

import math
from typing import Any

import numpy as np
import pytest

from matnet.errors import ConvergenceError, ParameterError
from offline.rve.generators.short_fibres import fibre_packing, random_short_fibres
from offline.rve.generators.voxelgrid import cell_edges

SMALL: dict[str, Any] = {
    "n": (24, 30, 28),
    "volume_fraction": 0.15,
    "aspect_ratio": 6.0,
    "orientation": (0.6, 0.3, 0.1, 0.1, 0.0, -0.05),
    "n_fibres": 24,
    "min_gap": 0.02,
    "seed": 1,
}


def images(edges: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3) * edges


def distance_to_segment(points: np.ndarray, centre: np.ndarray, half: np.ndarray) -> np.ndarray:
    along = np.clip((points - centre) @ half / (half @ half), -1.0, 1.0)
    return np.asarray(np.linalg.norm(points - centre - along[..., None] * half, axis=-1))


@pytest.mark.parametrize(
    ("aspect_ratio", "fraction"), [(10.0, 0.1), (10.0, 0.15), (5.0, 0.2), (1.0, 0.3)]
)
@pytest.mark.parametrize("ends", ["round", "flat"])
def test_fraction_is_exact(aspect_ratio: float, fraction: float, ends: Any) -> None:
    rve = random_short_fibres(
        n=32, aspect_ratio=aspect_ratio, volume_fraction=fraction, n_fibres=40, ends=ends
    )
    assert rve.phases.sum() == round(fraction * 32**3)
    assert rve.phase_names == ("matrix", "fibre")


def test_orientation_tensor_of_the_fibres_is_the_asked_one() -> None:
    _, fibres = fibre_packing(ends="round", **SMALL)
    p = fibres.halves / np.linalg.norm(fibres.halves, axis=1, keepdims=True)
    wanted = [[0.6, 0.1, 0.0], [0.1, 0.3, -0.05], [0.0, -0.05, 0.1]]
    np.testing.assert_allclose(p.T @ p / len(p), wanted, atol=1e-7)


@pytest.mark.parametrize("ends", ["round", "flat"])
def test_fibres_keep_their_gap_in_all_images(ends: Any) -> None:
    _, fibres = fibre_packing(ends=ends, **SMALL)
    stations = np.linspace(-1.0, 1.0, 201)[:, None]
    closest = np.inf
    for i in range(len(fibres.radii)):
        points = fibres.centres[i] + stations * fibres.halves[i]
        for j in range(i):
            for shift in images(fibres.edges):
                centre = fibres.centres[j] + shift
                closest = min(closest, distance_to_segment(points, centre, fibres.halves[j]).min())
    diameter = 2.0 * fibres.radii[0]
    assert closest >= 1.02 * diameter
    assert closest / diameter - 1.0 == pytest.approx(fibres.gap(), abs=2e-3)


@pytest.mark.parametrize("ends", ["round", "flat"])
def test_voxels_are_those_with_centres_inside_a_fibre(ends: Any) -> None:
    mask, fibres = fibre_packing(ends=ends, **SMALL)
    points = (np.indices(mask.shape).transpose(1, 2, 3, 0) + 0.5) / 30.0
    inside = np.zeros(mask.shape, dtype=bool)
    for centre, half, radius in zip(fibres.centres, fibres.halves, fibres.radii, strict=True):
        for shift in images(fibres.edges):
            near = distance_to_segment(points, centre + shift, half) <= radius
            if ends == "flat":
                near &= np.abs((points - centre - shift) @ half) <= half @ half
            inside |= near
    assert (mask == inside).all()


@pytest.mark.parametrize("ends", ["round", "flat"])
def test_size_follows_from_aspect_ratio_and_volume(ends: Any) -> None:
    _, fibres = fibre_packing(ends=ends, **SMALL)
    radius, length = fibres.radii[0], 2.0 * np.linalg.norm(fibres.halves[0])
    caps = 4.0 / 3.0 * math.pi * radius**3 if ends == "round" else 0.0
    volume = math.pi * radius**2 * length + caps
    assert 24 * volume == pytest.approx(0.15 * cell_edges((24, 30, 28)).prod(), rel=0.02)
    total = length + (2.0 * radius if ends == "round" else 0.0)
    assert total / (2.0 * radius) == pytest.approx(6.0, rel=0.005)


def test_aligned_fibres_run_along_their_axis() -> None:
    rve = random_short_fibres(n=24, aspect_ratio=4.0, orientation=(0.0, 1.0, 0.0), n_fibres=20)
    faces = [np.count_nonzero(rve.phases != np.roll(rve.phases, 1, axis=k)) for k in range(3)]
    assert faces[1] < 0.5 * min(faces[0], faces[2])


def test_cell_is_the_same_for_a_seed_and_its_source_makes_it_again() -> None:
    rve = random_short_fibres(n=16, aspect_ratio=4.0, n_fibres=12, seed=2)
    other = random_short_fibres(n=16, aspect_ratio=4.0, n_fibres=12, seed=3)
    assert rve == eval(rve.source) and rve != other


def test_impossible_requests_say_what_to_do() -> None:
    with pytest.raises(ParameterError, match=r"volume_fraction is 1, expected a number strictly"):
        random_short_fibres(volume_fraction=1.0)
    with pytest.raises(ParameterError, match=r"aspect_ratio is 0.5, expected at least 1"):
        random_short_fibres(aspect_ratio=0.5)
    with pytest.raises(ParameterError, match=r"ends is 'sharp', expected 'round' or 'flat'"):
        random_short_fibres(ends="sharp")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"Use more bodies, a lower volume fraction, a lower"):
        random_short_fibres(aspect_ratio=30.0, n_fibres=5)
    with pytest.raises(ParameterError, match=r"trace 0.9"):
        random_short_fibres(orientation=(0.3, 0.3, 0.3))
    with pytest.raises(ConvergenceError, match=r"Lower volume_fraction or min_gap"):
        random_short_fibres(n=24, volume_fraction=0.6, aspect_ratio=4.0, n_fibres=20)
