"""The sandwich beam deflects as Timoshenko's beam, and beyond yield its core shears."""

import numpy as np
import pytest
from fe_cases import assert_quadratic, run_quick  # skips without dolfinx

from fe_examples import common, sandwich_beam


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return run_quick(sandwich_beam.main, tmp_path_factory.mktemp("sandwich"))


def test_elastic_deflection_is_timoshenkos_within_four_percent(numbers):
    expected = numbers["bending"] + numbers["shear"]
    assert numbers["compliance"] == pytest.approx(expected, rel=0.04)
    assert numbers["shear"] > 0.1 * expected  # bending alone would miss it


def test_load_levels_off_below_the_shear_of_the_core_and_unloads_elastically(numbers):
    force, w = np.array(numbers["force"]), np.array(numbers["w"])
    assert force[6] < 0.3 * w[6] / numbers["compliance"]
    slope = (force[6] - force[7]) / (w[6] - w[7])
    assert slope * numbers["compliance"] == pytest.approx(1.0, abs=0.05)


def test_newton_converges_quadratically(numbers):
    assert_quadratic(numbers, at_least=5)


def test_stiffness_of_a_uniform_beam_is_that_of_a_rectangle():
    stiffness = np.diag([3.0, 3.0, 3.0, 2.0, 2.0, 2.0])  # E' = 3, G = 1
    D, S = sandwich_beam.beam_stiffness(stiffness, stiffness)
    assert pytest.approx(3.0 * sandwich_beam.DEPTH**3 / 12.0, rel=1e-6) == D
    assert pytest.approx(5.0 / 6.0 * sandwich_beam.DEPTH, rel=1e-6) == S


def test_panel_with_wrong_shear_stiffness_is_told_apart(tmp_path, monkeypatch):
    right = sandwich_beam.timoshenko
    monkeypatch.setattr(
        sandwich_beam, "timoshenko", lambda laws: (right(laws)[0], 1.25 * right(laws)[1])
    )
    with pytest.raises(common.CheckError, match=r"^elastic deflection .*Timoshenko's beam"):
        sandwich_beam.main(["--quick", "--out", str(tmp_path)])
