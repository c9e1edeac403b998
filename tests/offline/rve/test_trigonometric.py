"""Thresholded trigonometric fields, eq. 31-34 of the Voigt-Reuss net paper."""

import math

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve.generators.trigonometric import (
    random_amplitudes,
    trigonometric,
    trigonometric_field,
)


def test_field_is_the_normalised_cosine_sum() -> None:
    amplitudes = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    psi = np.zeros((6, 7))
    for i in range(6):
        for j in range(7):
            x1, x2 = (i + 0.5) / 6 - 0.5, (j + 0.5) / 7 - 0.5
            for m in range(-2, 3):
                for n in range(-1, 2):
                    angle = 2.0 * math.pi * (m * x1 + n * x2)
                    psi[i, j] += amplitudes[m + 2, n + 1] * math.cos(angle)
    expected = (psi - psi.min()) / (psi.max() - psi.min())
    np.testing.assert_allclose(trigonometric_field(amplitudes, (6, 7)), expected, atol=1e-13)


def test_defaults_are_the_papers_100_pixels_and_11_modes() -> None:
    rve = trigonometric()
    assert rve.shape == (100, 100, 1) and rve.phase_names == ("matrix", "inclusion")
    amplitudes = random_amplitudes(11, 0)
    assert rve == trigonometric(amplitudes=amplitudes.tolist(), modes=3)
    assert np.abs(amplitudes).max() <= 1.0
    assert random_amplitudes(101, 0).var() == pytest.approx(1 / 3, rel=0.02)  # uniform in [-1, 1]


@pytest.mark.parametrize("modes", [3, 5, 7, 9, 11])
@pytest.mark.parametrize("c0", [0.01, 0.3, 0.77])
def test_c0_is_the_matrix_fraction_within_half_a_pair_of_pixels(modes: int, c0: float) -> None:
    rve = trigonometric(n=50, modes=modes, c0=c0, seed=modes)
    assert abs(rve.fractions[0] - c0) * 2500 <= 1.0 + 1e-9


def test_inclusion_is_where_the_field_reaches_tau() -> None:
    rve = trigonometric(n=40, modes=5, tau=0.6, seed=2)
    field = trigonometric_field(random_amplitudes(5, 2), (40, 40))
    assert (rve.phases[:, :, 0] == (field >= 0.6)).all()
    assert rve == trigonometric(n=40, modes=5, c0=float(rve.fractions[0]), seed=2)


def test_zero_padding_keeps_the_cell() -> None:
    small = random_amplitudes(3, 1)
    assert trigonometric(amplitudes=np.pad(small, 4).tolist()) == trigonometric(modes=3, seed=1)


def test_one_diagonal_mode_is_a_laminate_at_45_degrees() -> None:
    phases = trigonometric(n=20, amplitudes=[[0, 0, 0], [0, 0, 0], [0, 0, 1]]).phases[:, :, 0]
    assert (phases == np.roll(phases, (1, -1), axis=(0, 1))).all()
    assert phases.mean() == pytest.approx(0.5, abs=0.051)


def test_cell_is_the_same_for_a_seed_and_its_source_makes_it_again() -> None:
    rve = trigonometric(n=(20, 30, 2), modes=5, seed=4)
    assert rve.shape == (20, 30, 2)
    assert rve == eval(rve.source) and rve != trigonometric(n=(20, 30, 2), modes=5, seed=5)
    given = trigonometric(n=10, amplitudes=random_amplitudes(3, 7).tolist(), tau=0.5)
    assert given == eval(given.source)


def test_bad_values_are_named() -> None:
    with pytest.raises(ParameterError, match=r"c0 and tau are both given, expected one"):
        trigonometric(c0=0.5, tau=0.5)
    with pytest.raises(ParameterError, match=r"modes is 4, expected an odd number"):
        trigonometric(modes=4)
    with pytest.raises(ParameterError, match=r"c0 is 1.5, expected a number strictly between"):
        trigonometric(c0=1.5)
    with pytest.raises(ParameterError, match=r"tau is -0.1, expected 0 to 1"):
        trigonometric(tau=-0.1)
    with pytest.raises(ParameterError, match=r"amplitudes have shape \(2, 3\), expected a matrix"):
        trigonometric(amplitudes=[[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ParameterError, match=r"amplitudes make a constant field"):
        trigonometric(amplitudes=[[1.0]])
    with pytest.raises(ParameterError, match=r"amplitudes: 1 of 3 values are not finite"):
        trigonometric(amplitudes=[[1.0, 2.0, float("nan")]])
