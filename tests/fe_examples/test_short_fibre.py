"""Frames in the cells of a short-fibre strip: closed forms, bounds, balance of energy."""

import numpy as np
import pytest
from fe_cases import assert_quadratic, run_quick  # skips without dolfinx

from fe_examples import common, short_fibre_part
from matnet.elasticity import isotropic
from umat_bridge.dolfinx import frames_from_euler


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return run_quick(short_fibre_part.main, tmp_path_factory.mktemp("strip"))


def test_fibres_at_30_degrees_give_the_rotated_modulus(numbers):
    # off-axis modulus of an orthotropic sheet (Jones, Mechanics of Composite Materials, 1999,
    # eq. 2.97), without the network's small coupling of shear and stretch
    S = np.linalg.inv(short_fibre_part.composite().stiffness)
    c, s = np.cos(np.pi / 6.0), 0.5
    compliance = S[0, 0] * c**4 + (2.0 * S[0, 1] + 2.0 * S[3, 3]) * (s * c) ** 2 + S[1, 1] * s**4
    assert numbers["modulus_30"] == pytest.approx(1.0 / compliance, rel=0.01)


def test_modulus_lies_between_bounds_that_tell_something(numbers):
    low, high = numbers["bounds"]
    assert low < numbers["modulus"] < high < 1.1 * low


def test_work_is_the_energy_of_all_points_to_first_order_of_the_step(numbers):
    assert numbers["work_off"] < 0.04


def test_strip_yields_without_softening(numbers):
    force, strain = np.array(numbers["force"]), np.array(numbers["strain"])
    assert np.all(np.diff(force) > 0.0)
    assert force[-1] / strain[-1] < 0.65 * force[1] / strain[1]  # far beyond yield


def test_newton_converges_quadratically(numbers):
    assert_quadratic(numbers, at_least=5)


def test_turned_isotropic_stiffness_is_itself():
    Q = frames_from_euler([[0.3, 1.1, -0.7]])
    C = isotropic(E=2.0, nu=0.3)
    before = short_fibre_part.turned(C, np.eye(3)[None])
    np.testing.assert_allclose(short_fibre_part.turned(C, Q), before, atol=1e-14)


def test_wrong_angle_is_told_apart(tmp_path, monkeypatch):
    right = short_fibre_part.frames
    # 3 degrees more than the closed form has
    monkeypatch.setattr(
        short_fibre_part, "frames", lambda angle, x: right(lambda y: angle(y) + 0.05, x)
    )
    with pytest.raises(common.CheckError, match=r"^modulus at 30 degrees .*rotated compliance"):
        short_fibre_part.main(["--quick", "--out", str(tmp_path)])
