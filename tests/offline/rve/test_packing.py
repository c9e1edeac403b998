"""The packing engine against brute force."""

import itertools

import numpy as np
import pytest

from matnet.errors import ConvergenceError, ParameterError
from offline.rve.generators import packing
from offline.rve.generators.directions import directions_with_tensor, orientation_tensor
from offline.rve.generators.inclusions import body_levels


def segment_distance(r: np.ndarray, h1: np.ndarray, h2: np.ndarray) -> float:
    """Distance of the segments r + s h1 and t h2: best of the interior and the four end points."""
    best = np.inf
    for end1, end2 in itertools.product((-1.0, 1.0, None), repeat=2):
        if end1 is None and end2 is None:
            s, t = np.linalg.lstsq(np.stack([-h1, h2], axis=1), r, rcond=None)[0]
        elif end1 is None:
            t = end2
            s = (t * h2 - r) @ h1 / (h1 @ h1)
        elif end2 is None:
            s = end1
            t = (r + s * h1) @ h2 / (h2 @ h2)
        else:
            s, t = end1, end2
        best = min(best, np.linalg.norm(r + np.clip(s, -1, 1) * h1 - np.clip(t, -1, 1) * h2))
    return float(best)


def test_segment_distance_matches_case_by_case_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        r, h1, h2 = rng.standard_normal((3, 3))
        offset = np.empty(3)
        assert packing._closest_offset(r, h1, h2, offset) == pytest.approx(
            segment_distance(r, h1, h2), abs=1e-10
        )


def test_parallel_segments_and_points_have_their_distance() -> None:
    e1, e2 = np.eye(3)[:2]
    offset = np.empty(3)
    assert packing._closest_offset(3.0 * e1, e1, e1, offset) == pytest.approx(1.0)
    assert packing._closest_offset(0.5 * e1 + 2.0 * e2, e1, e1, offset) == pytest.approx(2.0)
    assert packing._closest_offset(3.0 * e1, 0.0 * e1, e1, offset) == pytest.approx(2.0)
    assert packing._closest_offset(3.0 * e1, e1, 0.0 * e1, offset) == pytest.approx(2.0)
    assert packing._closest_offset(3.0 * e1, 0.0 * e1, 0.0 * e1, offset) == pytest.approx(3.0)


def test_energy_gradient_matches_central_difference() -> None:
    rng = np.random.default_rng(1)
    edges = np.array([1.0, 0.8, 1.2])
    centres, halves = rng.random((6, 3)) * edges, 0.15 * rng.standard_normal((6, 3))
    reach = np.full(6, 0.2)

    def energy(x: np.ndarray) -> float:
        return float(
            packing._overlap_energy(x, halves, reach, edges, np.zeros((6, 3)), np.zeros(6))
        )

    gradient, shares = np.zeros((6, 3)), np.zeros(6)
    value = packing._overlap_energy(centres, halves, reach, edges, gradient, shares)
    assert value > 0.1 and shares.sum() / 4.0 == pytest.approx(value)
    for body, axis in itertools.product(range(6), range(3)):
        step = np.zeros((6, 3))
        step[body, axis] = 1e-6
        slope = (energy(centres + step) - energy(centres - step)) / 2e-6
        assert gradient[body, axis] == pytest.approx(slope, abs=1e-5)


def test_gap_sees_periodic_images() -> None:
    pair = packing.Packing(
        edges=np.ones(3),
        centres=np.array([[0.05, 0.5, 0.5], [0.95, 0.5, 0.5]]),
        halves=np.zeros((2, 3)),
        radii=np.array([0.02, 0.03]),
    )
    assert pair.gap() == pytest.approx(1.0)


def test_levels_move_with_the_bodies_through_the_faces() -> None:
    rng = np.random.default_rng(2)
    halves = 0.2 * directions_with_tensor(np.eye(3) / 3, 8, rng)
    found = packing.pack(np.ones(3), halves, np.full(8, 0.07), gap=0.0, flat=False, rng=rng)
    moved = packing.Packing(
        edges=found.edges,
        centres=found.centres + np.array([3.0, -5.0, 20.0]) / 16.0,
        halves=halves,
        radii=found.radii,
    )
    rolled = np.roll(body_levels(found, (16, 16, 16)), (3, -5, 20), axis=(0, 1, 2))
    np.testing.assert_allclose(body_levels(moved, (16, 16, 16)), rolled, atol=1e-12)


def test_jammed_packing_reports_the_overlap_and_keeps_the_best() -> None:
    radii = np.full(12, 0.19)  # discs at volume fraction 1.36
    with pytest.raises(ConvergenceError, match=r"closest two overlap by .*Lower volume_frac") as e:
        packing.pack(
            np.array([1.0, 1.0, 2.0]),
            np.zeros((12, 3)),
            radii,
            gap=0.0,
            flat=True,
            rng=np.random.default_rng(0),
        )
    assert isinstance(e.value.result, packing.Packing) and e.value.result.gap() < 0.0


def test_body_longer_than_the_cell_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"body 0 .* takes 1.2 of the cell along axis 2"):
        packing.pack(
            np.ones(3),
            np.array([[0.0, 0.5, 0.0]]),
            np.array([0.1]),
            gap=0.0,
            flat=False,
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize(
    "tensor",
    [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.15, 0.05), (0.5, 0.5, 0.0), (0.0, 0.0, 1.0)],
)
@pytest.mark.parametrize("count", [10, 200])
def test_directions_have_the_asked_tensor(tensor: tuple[float, ...], count: int) -> None:
    p = directions_with_tensor(np.diag(tensor), count, np.random.default_rng(3))
    np.testing.assert_allclose(np.linalg.norm(p, axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(p.T @ p / count, np.diag(tensor), atol=1e-7)
    assert len(np.unique(p.round(9), axis=0)) >= (count if tensor[2] < 1.0 else 1)


def test_directions_follow_a_tensor_with_shear() -> None:
    tensor = orientation_tensor((0.5, 0.3, 0.2, 0.2, -0.1, 0.05))
    p = directions_with_tensor(tensor, 60, np.random.default_rng(4))
    np.testing.assert_allclose(p.T @ p / 60, tensor, atol=1e-7)


def test_isotropic_directions_have_isotropic_fourth_moments() -> None:
    p = directions_with_tensor(np.eye(3) / 3, 20_000, np.random.default_rng(5))
    np.testing.assert_allclose((p**4).mean(axis=0), 1 / 5, atol=5e-3)
    assert (p[:, 0] ** 2 * p[:, 1] ** 2).mean() == pytest.approx(1 / 15, abs=2e-3)


def test_tensor_that_is_none_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"orientation has shape \(2,\)"):
        orientation_tensor((0.5, 0.5))
    with pytest.raises(ParameterError, match=r"trace 1.2 .*trace 1 without negative"):
        orientation_tensor((0.5, 0.5, 0.2))
    with pytest.raises(ParameterError, match=r"eigenvalues \[-0.1, 0.3, 0.8\]"):
        orientation_tensor((0.8, 0.3, -0.1))
    with pytest.raises(ParameterError, match=r"orientation: 1 of 3 values are not finite"):
        orientation_tensor((0.8, 0.2, float("nan")))


def test_two_fibres_cannot_be_isotropic() -> None:
    with pytest.raises(ConvergenceError, match=r"2 fibres cannot have .* Use more fibres"):
        directions_with_tensor(np.eye(3) / 3, 2, np.random.default_rng(0))
