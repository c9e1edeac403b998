"""Grid sizes, exact volume fractions and the call as text."""

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve.generators import voxelgrid


def test_fraction_without_ties_is_the_nearest_voxel_count() -> None:
    field = np.random.default_rng(0).random((5, 7, 9))
    for fraction in (0.01, 0.31, 0.497, 0.997):
        mask, level = voxelgrid.fill_to_fraction(field, fraction)
        assert mask.sum() == round(fraction * field.size)
        assert (mask == (field < level)).all()


def test_equal_values_stay_together() -> None:
    field = np.repeat(np.arange(6.0), 4).reshape(2, 3, 4) * (1.0 + 1e-13)
    mask, level = voxelgrid.fill_to_fraction(field, 0.4)
    assert mask.sum() == 8  # 9.6 asked, groups of four
    assert level == pytest.approx(1.5)


def test_infinite_values_are_never_chosen() -> None:
    field = np.full((1, 2, 5), np.inf)
    field[0, 0, :3] = 1.0, 2.0, 3.0
    mask, level = voxelgrid.fill_to_fraction(field, 0.9)
    assert mask.sum() == 3 and level == 3.0


def test_empty_phase_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"cannot be met on 2 x 2 x 2 voxels.*more voxels"):
        voxelgrid.fill_to_fraction(np.arange(8.0).reshape(2, 2, 2), 0.05)


@pytest.mark.parametrize("n", [0, -3, 2.5, (4, 4), (4, 0, 4), "8"])
def test_bad_grid_sizes_are_refused(n: object) -> None:
    with pytest.raises(ParameterError, match=r"n is .*, expected voxels per axis"):
        voxelgrid.grid_shape(n)  # type: ignore[arg-type]


def test_huge_grid_is_refused_before_allocation() -> None:
    with pytest.raises(ParameterError, match=r"1e\+12 voxels, expected at most 2\^31"):
        voxelgrid.grid_shape(10_000)


def test_limits_name_the_value() -> None:
    with pytest.raises(ParameterError, match=r"count is 0, expected an integer, 1 or more"):
        voxelgrid.require_count("count", 0)
    with pytest.raises(ParameterError, match=r"count is 300, expected an integer, 1 to 256"):
        voxelgrid.require_count("count", 300, 1, 256)
    with pytest.raises(ParameterError, match=r"gap is nan, expected at least 0"):
        voxelgrid.require_in_range("gap", float("nan"), 0.0)
    with pytest.raises(ParameterError, match=r"share is 1, expected a number strictly between"):
        voxelgrid.require_fraction("share", 1.0)
    with pytest.raises(ParameterError, match=r"seed is -1, expected an integer, 0 or more"):
        voxelgrid.random_source(-1)


def test_call_text_shows_plain_numbers() -> None:
    text = voxelgrid.call_text("f", n=np.int64(3), a=np.array([[1.0, 2.0]]), t=(np.float64(0.5),))
    assert text == "f(n=3, a=[[1.0, 2.0]], t=(0.5,))"
