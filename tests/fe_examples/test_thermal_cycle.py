"""The strip under cycles of temperature and tension curves as beams do."""

import doctest

import numpy as np
import pytest
from fe_cases import assert_quadratic, run_quick  # skips without dolfinx

from fe_examples import common, thermal_cycle, thermal_cycle_beam
from fe_examples.thermal_cycle_beam import LayeredBeam, elastic_beam


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return run_quick(thermal_cycle.main, tmp_path_factory.mktemp("thermal"))


@pytest.mark.parametrize("module", [common, thermal_cycle_beam])
def test_examples_in_docstrings_run(module):
    found = doctest.testmod(module)
    assert found.attempted > 1 and found.failed == 0


def test_beam_of_elastic_points_is_the_closed_form():
    beam = LayeredBeam(thermal_cycle.composite(elastic=True), thermal_cycle.LAYERS, n=3)
    T = thermal_cycle.BONDED - 100.0
    material = thermal_cycle.composite(elastic=True)
    compliance = np.linalg.inv(material.stiffness)
    held = material.update(np.zeros((1, 6)), 1.0, material.initial_state(1), T).stress[0]
    free = compliance @ held / 100.0
    moduli = 1.0 / compliance[[2, 0], [2, 0]]
    expected = elastic_beam(thermal_cycle.LAYERS, moduli, free[[2, 0]], 0.01, -100.0)
    np.testing.assert_allclose(beam.step(0.01, 0.0, T), expected, rtol=1e-7)


def test_first_curvature_is_the_closed_form(numbers):
    assert numbers["curvature"][0] == pytest.approx(numbers["elastic"], rel=1e-6)
    assert numbers["elastic"] != 0.0


def test_strip_follows_the_beam_along_the_cycle(numbers):
    curvature, beam = np.array(numbers["curvature"]), np.array(numbers["beam"])
    np.testing.assert_allclose(curvature, beam, atol=1e-4 * abs(beam).max())
    assert abs(curvature[-1]) > 0.5 * abs(curvature).max()  # back at the start it stays bent


def test_newton_converges_quadratically(numbers):
    assert_quadratic(numbers, at_least=6)
