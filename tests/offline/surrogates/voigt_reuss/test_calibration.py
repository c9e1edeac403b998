"""Errors expected from spreads are those of cells made the same way."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from matnet.errors import FileFormatError, ParameterError
from offline.surrogates.voigt_reuss.calibration import Calibration, rank_correlation


def series(seed, n=4000):
    """Spreads, and errors 3 s^0.8 times a lognormal number."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(-4.0, 1.0, n))
    return spread, 3.0 * spread**0.8 * np.exp(0.4 * rng.normal(size=n))


def test_the_line_and_its_quantiles_are_found():
    rule = Calibration.of(*series(0))
    assert rule.exponent == pytest.approx(0.8, abs=0.02)
    assert rule.median == pytest.approx(np.log(3.0), abs=0.1)
    assert rule.ninety - rule.median == pytest.approx(0.4 * 1.2816, abs=0.03)
    median, ninety = rule.expected([0.02])
    assert median[0] == pytest.approx(3.0 * 0.02**0.8, rel=0.05)
    spread, error = series(1)
    median, ninety = rule.expected(spread)
    assert (error <= median).mean() == pytest.approx(0.5, abs=0.03)
    assert (error <= ninety).mean() == pytest.approx(0.9, abs=0.02)


def test_rank_correlation_is_spearmans_with_ties():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 5, 60), rng.integers(0, 9, 60)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b)[0])
    assert np.isnan(rank_correlation(a, np.ones(60)))


def test_equal_spreads_give_the_errors_quantiles():
    error = np.linspace(0.01, 0.1, 91)
    rule = Calibration.of(np.full(91, 0.02), error)
    assert [float(x) for x in rule.expected(0.3)] == pytest.approx([0.055, 0.091])


def test_card_and_refusals():
    rule = Calibration.of(*series(3, 40))
    assert Calibration.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule
    with pytest.raises(FileFormatError, match="calibration cannot be used"):
        Calibration.from_dict({"exponent": 1.0})
    with pytest.raises(ParameterError, match="3 cells to calibrate with, expected at least 20"):
        Calibration.of(np.ones(3), np.ones(3))
    with pytest.raises(ParameterError, match="spread: expected finite values"):
        Calibration.of(np.full(30, np.nan), np.ones(30))
