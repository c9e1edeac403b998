"""The optimised cell comes near the bound, and its derivatives are those of the bulk modulus."""

import json

import numpy as np
import pytest
from fe_cases import SMALLEST_PICTURE  # skips without dolfinx

from fe_examples import topology_optimisation as example
from matnet.elasticity import isotropic_constants


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    out = tmp_path_factory.mktemp("topology")
    found = example.main(["--quick", "--out", str(out)])
    assert (out / "topology_optimisation.png").stat().st_size > SMALLEST_PICTURE
    assert json.loads((out / "topology_optimisation.json").read_text()) == found
    return found


def test_bulk_modulus_is_near_the_bound_and_below_it(numbers):
    assert 0.92 < numbers["share"] < 1.0
    assert 0.88 < numbers["share_refined"] < numbers["share"]  # finer elements are softer
    assert numbers["fraction"] == pytest.approx(0.3, abs=1e-3)


def test_bound_is_that_of_hashin_and_shtrikman(numbers):
    base, f = isotropic_constants(example.SOLID), numbers["fraction"]
    K, G = base["K"], base["G"]
    assert numbers["bound"] == pytest.approx(4 * G * f * K / (4 * G + 3 * (1 - f) * K))


def test_the_design_gets_stiffer(numbers):
    first, *_ = np.array_split(numbers["history"], len(example.SHARPNESS))
    assert (np.diff(first) > 0.0).all()
    assert numbers["history"][-1] > 4 * numbers["history"][0]


def test_slopes_of_a_design_match_differences():
    n, b, h = 6, 4.0, 1e-3
    smooth = example.Filter(n)
    x = np.random.default_rng(0).uniform(0.3, 0.7, (n, n, n))

    def bulk(x):
        dense, push = example.projection(smooth(x), b)
        rho = example.SOFTEST + (1.0 - example.SOFTEST) * dense**example.POWER
        K, slope, _ = example.bulk_modulus(rho, None, tol=1e-8)
        return K, smooth(
            slope * (1.0 - example.SOFTEST) * example.POWER * dense ** (example.POWER - 1.0) * push
        )

    slope = bulk(x)[1]
    for voxel in ((0, 0, 0), (3, 2, 5)):
        e = np.zeros_like(x)
        e[voxel] = h
        expected = (bulk(x + e)[0] - bulk(x - e)[0]) / (2 * h)
        assert slope[voxel] == pytest.approx(expected, rel=2e-3)


def test_filter_keeps_the_mean_and_is_its_own_transpose():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 5, 5, 5))
    smooth = example.Filter(5)
    assert smooth(a).mean() == pytest.approx(a.mean())
    assert (smooth(a) * b).sum() == pytest.approx((a * smooth(b)).sum())
    assert np.abs(smooth(a) - a).max() > 0.05
