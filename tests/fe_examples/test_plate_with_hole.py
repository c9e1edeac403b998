"""The plate with a hole: Lekhnitskii's stresses, the load-displacement curve, two ranks."""

import doctest

import numpy as np
import pytest
from fe_cases import (
    assert_quadratic,
    needs_mpirun,
    run_on_ranks,
    run_quick,
)  # skips without dolfinx

from fe_examples import plate_with_hole, plate_with_hole_exact
from fe_examples.plate_with_hole_exact import HoleInPlate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plate")


@pytest.fixture(scope="module")
def numbers(folder):
    return run_quick(plate_with_hole.main, folder)


@pytest.fixture(scope="module")
def anisotropic():
    root = np.random.default_rng(0).normal(size=(3, 3))
    return HoleInPlate(compliance=root @ root.T + np.diag([1.0, 3.0, 5.0]), radius=1.3, tension=2.0)


def test_examples_in_the_docstrings_of_the_exact_solution_run():
    found = doctest.testmod(plate_with_hole_exact)
    assert found.attempted > 5 and found.failed == 0


def test_exact_solution_has_no_traction_at_the_hole(anisotropic):
    angle = np.linspace(0.0, 6.0, 7)
    normal = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    s11, s22, s12 = anisotropic.stress(1.3 * normal).T
    assert abs(s11).max() > 2.0
    traction = [s11 * normal[:, 0] + s12 * normal[:, 1], s12 * normal[:, 0] + s22 * normal[:, 1]]
    np.testing.assert_allclose(traction, 0.0, atol=1e-13)


def test_exact_strains_are_compliance_times_exact_stresses(anisotropic):
    x = np.array([[1.5, 0.3], [-0.5, 2.0], [1.0, -3.0]])
    h = 1e-5 * np.eye(2)
    along_x, along_y = (
        (anisotropic.displacement(x + d) - anisotropic.displacement(x - d)) / 2e-5 for d in h
    )
    strain = np.stack((along_x[:, 0], along_y[:, 1], along_x[:, 1] + along_y[:, 0]), axis=1)
    expected = anisotropic.stress(x) @ anisotropic.compliance
    np.testing.assert_allclose(strain, expected, rtol=1e-6, atol=1e-7)


def test_far_from_the_hole_there_is_only_the_tension(anisotropic):
    np.testing.assert_allclose(anisotropic.stress([1e5, 1e5]), [2.0, 0.0, 0.0], atol=1e-8)


def test_largest_elastic_stress_is_lekhnitskiis(numbers):
    assert numbers["closed_form"] == pytest.approx(2.5805, abs=1e-4)  # of the shipped network
    assert numbers["peak"] == pytest.approx(numbers["exact"], rel=1e-2)
    # a coarse mesh of straight edges: 3 % in the mean square, less than half of twice as coarse
    assert numbers["error"] < 0.04 and numbers["error"] < 0.5 * numbers["coarse_error"]


def test_hole_weakens_the_plate_by_less_than_the_section_it_takes(numbers):
    ratio = np.array(numbers["force"][1:]) / numbers["whole"][1:]
    assert (ratio > 0.75).all() and (ratio < 1.0).all()  # the hole takes a quarter of the section
    assert ratio[-1] < ratio[0]  # and more so once the epoxy flows
    gains = np.diff(numbers["force"])
    assert 0.0 < gains[-1] < 0.5 * gains[0]  # far beyond first yield


def test_newton_converges_quadratically(numbers):
    assert_quadratic(numbers, at_least=4)


@pytest.mark.mpi
@needs_mpirun
def test_two_ranks_give_the_serial_answer(numbers, tmp_path):
    two = run_on_ranks("plate_with_hole", tmp_path, 2)
    np.testing.assert_allclose(two["force"], numbers["force"], rtol=1e-8)
    assert two["peak"] == pytest.approx(numbers["peak"], rel=1e-8)
    assert two["error"] == pytest.approx(numbers["error"], rel=1e-8)
