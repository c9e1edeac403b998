"""The range of training pictures lets its own cells in and keeps strangers out."""

import json

import numpy as np
import pytest

from matnet.errors import FileFormatError, ShapeError
from offline.surrogates.voigt_reuss.cells import draw_cells
from offline.surrogates.voigt_reuss.training_range import DESCRIPTORS, TrainingRange, describe

SIDE = 32


def pictures(count, seed, modes=(3, 5)):
    found = draw_cells(seed, SIDE, modes, per_field=1)
    return np.stack([image for (_, _, _, image), _ in zip(found, range(count), strict=False)])


@pytest.fixture(scope="module")
def seen():
    return TrainingRange.of_pictures(pictures(1500, 1))


def by_name(row):
    return dict(zip(DESCRIPTORS, row, strict=True))


def test_descriptors_of_layers_are_known_in_closed_form():
    layers = np.zeros((1, 16, 16))
    layers[:, :, 4:8] = layers[:, :, 12:] = 1.0  # two layers per cell, normal 2
    row = by_name(describe(layers)[0])
    assert row["volume fraction of phase 0"] == 0.5
    assert row["number of phase changes per line, along the axis with more"] == 4.0
    assert row["number of phase changes per line, along the axis with fewer"] == 0.0
    assert row["anisotropy of the spectrum"] == pytest.approx(1.0)
    assert row["share of straight lines within phase 0, axis with more"] == 0.5
    assert row["share of the contrast without point symmetry"] == 0.0
    # a square wave of period 8 pixels: waves 2 and 6 (of 16) with powers as 1 / sin(pi k / 16)^2
    power = 1.0 / np.sin(np.pi * np.array([2, 6]) / 16) ** 2
    assert row["mean wave number"] == pytest.approx((power * [2, 6]).sum() / power.sum())


def test_descriptors_follow_the_symmetries_that_networks_are_shown():
    images = pictures(20, 3)
    base = describe(images)
    for other in (images.transpose(0, 2, 1), images[:, ::-1], np.roll(images, (3, 7), (1, 2))):
        assert describe(other) == pytest.approx(base, abs=1e-9)
    assert describe(np.kron(images[:1], np.ones((1, 2, 2))))[0, :3] == pytest.approx(base[0, :3])


def test_point_asymmetry_of_a_triangle_is_that_of_the_best_overlap():
    image = np.zeros((1, 24, 24))
    for i in range(8):
        image[0, i, : i + 1] = 1.0
    field = image[0] - image.mean()
    mirrored = field[::-1, ::-1]
    overlaps = [
        (field * np.roll(mirrored, (a, b), (0, 1))).sum() for a in range(24) for b in range(24)
    ]
    expected = 1.0 - max(overlaps) / (field**2).sum()
    assert 0.2 < expected < 0.8
    assert describe(image)[0, 9] == pytest.approx(expected)


def test_other_cells_of_the_family_are_inside(seen):
    reasons = seen.outside(pictures(400, 2))
    assert sum(reason is not None for reason in reasons) <= 8  # 2 %


def test_strangers_are_outside_and_the_reason_is_named(seen):
    rng = np.random.default_rng(0)
    noise = (rng.random((SIDE, SIDE)) > 0.5).astype(float)
    grey = np.full((SIDE, SIDE), 0.5)
    dense = np.zeros((SIDE, SIDE))
    dense[0, 0] = 1.0
    reasons = seen.outside([noise, grey, dense])
    assert "number of phase changes per line" in reasons[0]
    assert "share of grey at the network's resolution is 1 (training: 0)" in reasons[1]
    assert "share of straight lines within phase 0, axis with more is 0.969 (" in reasons[2]


def test_unusual_combinations_of_usual_numbers_are_outside(seen):
    row = describe(pictures(1, 8))
    strange = row.copy()
    strange[0, 0], strange[0, 7:9] = 0.9, 0.8  # lines of phase 1 fill more than phase 1 does
    assert (strange >= seen.low - 1e-3).all() and (strange <= seen.high + 1e-3).all()
    assert seen.distance(row)[0] < seen.limit < seen.distance(strange)[0]
    nothing = np.zeros(len(DESCRIPTORS), bool)
    reason = seen._reason(strange[0], nothing, seen.distance(strange)[0])
    assert "no training cell is like it: the nearest is" in reason


def test_range_survives_a_card_and_damage_is_named(seen):
    values = json.loads(json.dumps(seen.as_dict()))
    images = pictures(50, 5)
    back = TrainingRange.from_dict(values)
    assert back.outside(images) == seen.outside(images)
    assert np.array_equal(back.cells, seen.cells) and back.limit == seen.limit
    with pytest.raises(FileFormatError, match="training range cannot be used"):
        TrainingRange.from_dict({**values, "low": values["low"][1:]})
    with pytest.raises(FileFormatError, match="training range cannot be used"):
        TrainingRange.from_dict({})


def test_pictures_have_to_be_square():
    with pytest.raises(ShapeError, match=r"expected \(n, s, s\)"):
        describe(np.zeros((2, 4, 5)))
