"""Exponential and logarithm of lanes against numpy's."""

import numpy as np
from numba import njit

from matnet.simd import LANES, load, store
from matnet.simd_math import exp_lanes, log_lanes


@njit
def both(x, exp, log):
    for i in range(x.shape[0]):
        store(exp, i, exp_lanes(load(x, i)))
        store(log, i, log_lanes(load(x, i)))


def evaluate(numbers):
    x = np.ascontiguousarray(np.reshape(numbers, (-1, LANES)), dtype=float)
    exp, log = np.empty_like(x), np.empty_like(x)
    both(x, exp, log)
    return x, exp, log


def test_exponential_is_exact_to_round_off():
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=80000)
    x, exp, _ = evaluate(signs * np.exp(rng.uniform(-40.0, np.log(700.0), size=80000)))
    np.testing.assert_allclose(exp, np.exp(x), rtol=5e-16)


def test_logarithm_is_exact_to_round_off():
    rng = np.random.default_rng(1)
    wide, near = np.exp(rng.uniform(-700.0, 700.0, size=40000)), rng.uniform(0.5, 2.0, size=40000)
    x, _, log = evaluate(np.concatenate([wide, near, 1.0 + 1e-9 * rng.normal(size=8000)]))
    np.testing.assert_allclose(log, np.log(x), rtol=5e-16)


def test_exponential_at_the_ends_of_the_range():
    _, exp, _ = evaluate([np.nan, -np.inf, -709.0, -708.0, 0.0, 709.0, 710.0, np.inf])
    assert np.isnan(exp[0, 0])
    np.testing.assert_allclose(
        exp[0, 1:], [0.0, 0.0, np.exp(-708.0), 1.0, np.exp(709.0), np.inf, np.inf], rtol=5e-16
    )
