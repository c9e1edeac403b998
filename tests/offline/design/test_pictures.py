"""From amplitudes to pictures, how different these are, and what they keep."""

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError, ShapeError
from offline.design.difference import difference, distinct
from offline.design.limits import Limits, feature_size, percolating
from offline.design.pictures import raster, soft_pictures, start_amplitudes
from offline.surrogates.voigt_reuss.cells import draw_cells


def disc(n, radius):
    x = np.arange(n) - n // 2
    return (x[:, None] ** 2 + x[None, :] ** 2 <= radius**2).astype(np.uint8)


def bands(n, width, diagonal=False):
    i = np.arange(n)
    level = (i[:, None] + i[None, :]) % n if diagonal else np.repeat(i[:, None], n, axis=1)
    return (level < width).astype(np.uint8)


@pytest.mark.parametrize("temperature", [0.2, 0.05, 0.01])
def test_soft_pictures_have_the_asked_volume(temperature):
    a = torch.tensor(start_amplitudes(4, 7, seed=1))
    c0 = torch.tensor([0.1, 0.35, 0.5, 0.9], dtype=a.dtype)
    chi, tau = soft_pictures(a, c0, 24, temperature)
    np.testing.assert_allclose(1.0 - chi.mean(dim=(1, 2)), c0, atol=1e-6)
    assert tau.shape == (4,)


def test_gradient_through_the_renderer_matches_central_differences():
    a = torch.tensor(start_amplitudes(2, 5, seed=2)).requires_grad_()
    c0 = torch.tensor([0.3, 0.6], dtype=a.dtype).requires_grad_()
    rng = np.random.default_rng(0)
    weight = torch.tensor(rng.normal(size=(2, 16, 16)))

    def total(amplitudes, fraction):
        return (soft_pictures(amplitudes, fraction, 16, 0.07)[0] * weight).sum()

    total(a, c0).backward()
    da, dc = torch.tensor(rng.normal(size=a.shape)), torch.tensor([1.0, -0.7], dtype=a.dtype)
    h = 1e-4
    with torch.no_grad():
        for step_a, step_c in ((da, 0.0 * dc), (0.0 * da, dc)):
            ahead = total(a + h * step_a, c0 + h * step_c)
            behind = total(a - h * step_a, c0 - h * step_c)
            expected = (a.grad * step_a).sum() + (c0.grad * step_c).sum()
            assert float((ahead - behind) / (2 * h)) == pytest.approx(float(expected), rel=1e-3)


def test_sharp_limit_of_soft_pictures_is_the_raster():
    for _, a, _, image in (cell for cell, _ in zip(draw_cells(3, 32), range(4), strict=False)):
        c0 = 1.0 - image.mean()
        np.testing.assert_array_equal(raster(a, c0, 32), image)
        chi, _ = soft_pictures(torch.tensor(a)[None], torch.tensor([c0]), 32, 1e-3)
        assert np.abs(chi[0].numpy() - image).mean() < 0.02


def test_starts_depend_on_seed_and_number_alone():
    few, many = start_amplitudes(3, 7, seed=5), start_amplitudes(6, 7, seed=5)
    np.testing.assert_array_equal(few, many[:3])
    assert [int(np.count_nonzero(a)) for a in many] == [9, 25, 49] * 2
    with pytest.raises(ParameterError, match="modes is 4, expected an odd number from 3"):
        start_amplitudes(1, 4, 0)


def test_difference_ignores_shifts_and_sees_turns():
    rng = np.random.default_rng(1)
    a = raster(start_amplitudes(3, 7, 8)[2], 0.4, 32)
    shifted = np.roll(a, tuple(rng.integers(0, 32, 2)), axis=(0, 1))
    assert difference(a, shifted) == 0.0
    assert difference(a, a.T) > 0.25
    assert difference(a, a.T) == pytest.approx(difference(a.T, a))
    assert difference(bands(16, 8), bands(16, 8).T) == pytest.approx(1.0)


def test_difference_is_the_share_of_changed_pixels():
    a = disc(32, 8)
    b = a.copy()
    b[0, :5] = 1
    expected = a.mean() * (1 - b.mean()) + b.mean() * (1 - a.mean())
    assert difference(a, b) == pytest.approx(5 / 32**2 / expected, rel=1e-12)
    with pytest.raises(ShapeError, match=r"pictures have shapes \(2, 2\) and \(3, 3\)"):
        difference(np.zeros((2, 2)), np.zeros((3, 3)))


def test_distinct_keeps_the_first_of_every_kind():
    pictures = [bands(16, 8), np.roll(bands(16, 8), 3, axis=0), bands(16, 8).T, disc(16, 5)]
    assert list(distinct(pictures, [1, 0, 2, 3])) == [1, 2, 3]


def test_percolation_is_periodic_and_per_axis():
    assert percolating(bands(16, 4) == 1) == (False, True)
    assert percolating(disc(16, 4) == 1) == (False, False)
    assert percolating(disc(16, 4) == 0) == (True, True)
    # a diagonal band closes on itself along (1, -1) alone
    assert percolating(bands(16, 4, diagonal=True) == 1) == (False, False)


def test_feature_sizes_of_bands_and_discs_are_their_widths():
    assert 32 * feature_size(bands(32, 7) == 1) == 7
    assert 32 * feature_size(np.roll(bands(32, 7), -3, axis=0) == 1) == 7
    assert 32 * feature_size(disc(32, 5.5) == 1) == 11
    assert feature_size(np.zeros((8, 8), dtype=bool)) == 0.0
    # a band with a wire that holds more than 2 % of the phase
    wired = bands(32, 9)
    wired[:, 3] = 1
    assert 32 * feature_size(wired == 1) == 1


def test_limits_are_judged_on_pixels():
    inside = disc(32, 8.5)
    assert Limits(volume=(0.7, 0.9), connected=(0,), feature=0.15).violation(inside) == 0.0
    assert Limits(connected=(1,)).violation(inside) == 2.0
    assert Limits(volume=(0.5, 0.5)).violation(inside) == pytest.approx(0.5 - inside.mean())
    # bands of 3 pixels vanish for a disc of 5
    assert Limits(feature=5 / 32).violation(bands(32, 3)) == pytest.approx(0.98)
    verdict = Limits(feature=5 / 32).judge(bands(32, 3))
    assert not verdict.kept and verdict.feature == (29 / 32, 3 / 32)


def test_feature_size_limits_the_modes():
    assert Limits().largest_modes(11) == 11
    assert Limits(feature=0.2).largest_modes(11) == 5
    assert Limits(feature=0.3).largest_modes(11) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"volume": (0.0, 0.5)}, "volume is 0 to 0.5, expected fractions"),
        ({"volume": (0.6, 0.5)}, "volume is 0.6 to 0.5"),
        ({"connected": (2,)}, r"connected is \(2,\), expected phase 0 or 1"),
        ({"connected": (0, 1)}, "both phases are to be connected, which no plane cell can be"),
        ({"feature": 0.5}, "feature is 0.5 cell edges"),
    ],
)
def test_wrong_limits_are_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        Limits(**values)
