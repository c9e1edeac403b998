"""The graded beam is what the network says, and its slopes are true."""

import numpy as np
import pytest
from fe_cases import run_quick  # skips without dolfinx

pytest.importorskip("torch")

from fe_examples import graded_beam as example
from offline.surrogates.voigt_reuss.cells import printer_phases
from offline.surrogates.voigt_reuss.surrogate import load_surrogate


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return run_quick(example.main, tmp_path_factory.mktemp("graded"))


def test_graded_cells_save_half_of_the_compliance_and_the_network_knows(numbers):
    assert 0.5 < numbers["saved"] < 0.8
    assert numbers["predicted"] == pytest.approx(numbers["compliance"], rel=0.05)
    assert numbers["share"] < 0.405
    assert numbers["median_error"] < 0.04
    assert numbers["history"][-1] < 0.5 * numbers["history"][0]


def test_compliance_of_equal_cells_is_that_of_a_beam():
    beam = example.Beam(24, 6)
    c = np.diag([1.0, 1.0, 1.0]) * 100.0  # E = 100, nu = 0, G = 50 in the plane
    compliance, slope = beam.solve(np.repeat(c[None], len(beam.own), axis=0))
    inertia, area = 6.0**3 / 12.0, 6.0
    bending, shear = 24.0**3 / (3.0 * 100.0 * inertia), 24.0 / (5.0 / 6.0 * 50.0 * area)
    # bilinear elements bend too stiffly with six over the height; the clamp adds a little
    assert compliance == pytest.approx(bending + shear, rel=0.03)
    # C scaled by 1 + h scales the compliance by 1 / (1 + h)
    assert (slope * c).sum() == pytest.approx(-compliance, rel=1e-9)


def test_asymptotes_find_the_minimum_of_a_convex_problem():
    # minimise sum a / t under mean t <= 0.4: t = 0.4 n sqrt(a) / sum sqrt(a)
    a = np.linspace(1.0, 3.0, 7)

    def evaluate(x):
        t, rest = x[:, 4], np.zeros_like(x)
        up, share = rest.copy(), rest.copy()
        up[:, 4], share[:, 4] = -a / t**2, 1.0 / len(a)
        return example.Value(float((a / t).sum()), float(t.mean()), up, share)

    x, _, history = example.optimise(evaluate, np.full((7, 5), 0.3), 40)
    assert x[:, 4] == pytest.approx(0.4 * 7 * np.sqrt(a) / np.sqrt(a).sum(), rel=5e-3)
    assert history[-1] < history[0]


def test_corrected_law_is_true_where_it_was_tried_and_keeps_its_slopes():
    cells = example.Cells(load_surrogate())
    p = np.random.default_rng(2).uniform(-0.6, 0.6, (3, 5))
    p[:, 4] = (0.4, 0.5, 0.6)
    law = cells.corrected(p)
    assert law(p)[0] == pytest.approx(cells.exact(p), rel=1e-8)
    weight, h = np.random.default_rng(3).normal(size=(3, 3, 3)), 1e-7
    slope = law(p)[2](weight, np.zeros(3))[:, 4]
    aside = [((law(p + s * h * np.eye(5)[4])[0] * weight).sum(axis=(1, 2))) for s in (1, -1)]
    assert slope == pytest.approx((aside[0] - aside[1]) / (2 * h), rel=1e-4)


def test_only_tried_designs_count_and_claims_are_those_before():
    # the law says 1 / t; the truth is twice that
    factor, tried = [1.0], []

    def evaluate(x):
        t, up, share = x[:, 4], np.zeros_like(x), np.zeros_like(x)
        up[:, 4], share[:, 4] = -factor[0] / t**2, 1.0
        return example.Value(float((factor[0] / t).sum()), float(t.mean()), up, share)

    def correct(x):
        tried.append(x)
        factor[0] = 2.0

    found = example.optimise(evaluate, np.full((1, 5), 0.3), 8, correct)
    assert len(tried) == 3 and any(found.design is x for x in tried)
    assert found.design[0, 4] == pytest.approx(0.4, abs=2e-3)
    assert found.claimed == pytest.approx(2.0 / found.design[0, 4])
    assert found.history[0] == pytest.approx(2.0 / 0.3)


def test_parameters_are_those_of_the_picture():
    cells = example.Cells(load_surrogate())
    p = np.array([[1.0, 0.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0, 0.3]])
    pictures = cells.pictures(p, 64)
    x = (np.arange(64) + 0.5) / 64 - 0.5
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * x)
    assert np.array_equal(pictures[0], np.repeat((wave >= 0.5)[:, None], 64, axis=1))
    tilted = 0.5 + 0.5 * np.cos(2 * np.pi * (x[:, None] - x[None]))
    assert (pictures[1] != (tilted >= 0.3)).mean() < 0.01  # rounding at the threshold
    stiffness, c0, _ = cells(p)
    assert c0 == pytest.approx(1.0 - pictures.mean(axis=(1, 2)), abs=0.02)
    exact = cells.exact(p)
    assert stiffness.shape == exact.shape == (2, 3, 3)
    # layers along x2: <c22 - c12^2 / c11> + <c12 / c11>^2 / <1 / c11>
    c11, c12 = printer_phases()[:, 0, 0], printer_phases()[:, 0, 1]
    along = (c11 - c12**2 / c11).mean() + (c12 / c11).mean() ** 2 / (1.0 / c11).mean()
    assert exact[0, 1, 1] == pytest.approx(along, rel=1e-3)


def test_filter_keeps_equal_designs():
    weights = example.cone(5, 3)
    assert weights.sum(axis=1) == pytest.approx(np.ones(15))
    assert weights[7, 7] == pytest.approx(1.5 / (1.5 + 4 * 0.5 + 4 * (1.5 - np.sqrt(2))))
