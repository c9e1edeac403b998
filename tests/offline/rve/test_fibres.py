"""Unidirectional fibres: fractions, arrangement, distances."""

import math

import numpy as np
import pytest

from matnet.errors import ConvergenceError, ParameterError
from offline.rve.generators.fibres import disc_packing, ud_hexagonal, ud_random

SMALL = {"n": 40, "volume_fraction": 0.6, "n_fibres": 12, "min_gap": 0.05, "seed": 3}


@pytest.mark.parametrize("n", [16, 33, 64])
@pytest.mark.parametrize("fraction", [0.2, 0.6, 0.85])
def test_hexagonal_fraction_is_met_within_one_group_of_symmetric_voxels(
    n: int, fraction: float
) -> None:
    rve = ud_hexagonal(n=n, volume_fraction=fraction)
    assert abs(rve.fractions[1] - fraction) * rve.phases.size <= 8


def test_hexagonal_cell_has_aspect_sqrt3_and_nearly_square_voxels() -> None:
    rve = ud_hexagonal(n=64, thickness=3)
    assert rve.cell[0, 0] / rve.cell[1, 1] == pytest.approx(math.sqrt(3.0))
    assert rve.shape == (110, 64, 3)
    spacing = np.diag(rve.cell) / rve.shape
    assert spacing == pytest.approx(spacing[1], rel=0.01)


def test_hexagonal_radius_follows_from_the_fraction() -> None:
    rve = ud_hexagonal(n=128, volume_fraction=0.5)
    radius = math.sqrt(0.5 * math.sqrt(3.0) / (2.0 * math.pi)) / math.sqrt(3.0)  # two per cell
    row = rve.phases[:, rve.shape[1] // 2, 0]  # through the centre of one fibre
    assert row.sum() / rve.shape[0] == pytest.approx(2.0 * radius, abs=2.0 / rve.shape[0])


def test_hexagonal_cell_has_all_mirrors_and_the_centring_translation() -> None:
    phases = ud_hexagonal(n=32, volume_fraction=0.63).phases
    assert (phases == phases[::-1]).all() and (phases == phases[:, ::-1]).all()
    half = (phases.shape[0] // 2, phases.shape[1] // 2)
    assert (phases == np.roll(phases, half, axis=(0, 1))).all()


def test_random_fraction_is_exact() -> None:
    for fraction in (0.1, 0.45, 0.6, 0.7):
        rve = ud_random(n=50, volume_fraction=fraction)
        assert rve.phases.sum() == round(fraction * 2500)


def test_random_fibres_keep_their_gap_in_all_images() -> None:
    _, discs = disc_packing(**SMALL)  # type: ignore[arg-type]
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 2), axis=-1).reshape(-1, 2)
    offsets = discs.centres[:, None, None, :2] - discs.centres[None, :, None, :2] + shifts
    distances = np.linalg.norm(offsets, axis=-1)
    distances[distances == 0.0] = np.inf  # each disc with itself
    assert distances.min() >= 1.05 * 2.0 * discs.radii[0] - 1e-12
    assert distances.min() - 1.0 < 1e-9  # images were looked at


def test_random_voxels_are_those_with_centres_inside_a_disc() -> None:
    mask, discs = disc_packing(**SMALL)  # type: ignore[arg-type]
    x = (np.arange(40) + 0.5) / 40
    inside = np.zeros((40, 40), dtype=bool)
    for centre, radius in zip(discs.centres, discs.radii, strict=True):
        dx, dy = (d - np.round(d) for d in (x - centre[0], x - centre[1]))
        inside |= dx[:, None] ** 2 + dy[None, :] ** 2 <= radius**2
    assert (mask[:, :, 0] == inside).all()
    assert discs.radii[0] == pytest.approx(math.sqrt(0.6 / (12 * math.pi)), rel=5e-3)


def test_random_cell_is_the_same_for_a_seed_and_its_source_makes_it_again() -> None:
    rve = ud_random(n=32, seed=5)
    assert rve == eval(rve.source) and rve != ud_random(n=32, seed=6)
    assert rve.source == "ud_random(n=32, volume_fraction=0.6, n_fibres=20, min_gap=0.05, seed=5)"
    assert ud_hexagonal(n=16) == eval(ud_hexagonal(n=16).source)


def test_three_sizes_give_a_thick_oblong_cell() -> None:
    rve = ud_random(n=(60, 30, 4), volume_fraction=0.5)
    assert rve.shape == (60, 30, 4)
    assert (rve.phases == rve.phases[:, :, :1]).all()
    np.testing.assert_allclose(np.diag(rve.cell), [1.0, 0.5, 4 / 60])


def test_impossible_requests_say_what_to_do() -> None:
    with pytest.raises(ParameterError, match=r"volume_fraction is 1.2, expected a number str"):
        ud_random(volume_fraction=1.2)
    with pytest.raises(ParameterError, match=r"0.92 is denser than the densest packing of equal"):
        ud_hexagonal(volume_fraction=0.92)
    with pytest.raises(ParameterError, match=r"0.85 with min_gap 0.05 is denser"):
        ud_random(volume_fraction=0.85)
    with pytest.raises(
        ConvergenceError, match=r"packing of 15 bodies got no further .* Lower volume_fr"
    ):
        ud_random(n=32, volume_fraction=0.89, n_fibres=15, min_gap=0.0)
    with pytest.raises(ParameterError, match=r"own periodic image"):
        ud_random(volume_fraction=0.8, n_fibres=1, min_gap=0.0)
    with pytest.raises(ParameterError, match=r"radius of 0.17 voxels, too small to be resolved"):
        ud_random(n=8, n_fibres=200, volume_fraction=0.3)
