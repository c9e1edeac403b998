"""The patch test passes, and would not with a material that is a little off."""

import pytest
from fe_cases import assert_quadratic, run_quick  # skips without dolfinx

from fe_examples import common, patch_test


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return run_quick(patch_test.main, tmp_path_factory.mktemp("patch"))


def test_block_gives_the_stress_of_the_point_along_the_path(numbers):
    assert numbers["off"] < 1e-8 and numbers["stress_off"] < 1e-8
    assert max(numbers["force"]) > 0.07  # GPa: far beyond the first yield


def test_stress_is_the_same_at_all_points(numbers):
    assert numbers["spread"] < 1e-8


def test_newton_converges_quadratically(numbers):
    assert_quadratic(numbers, at_least=3)


def test_block_of_another_epoxy_is_told_apart(tmp_path, monkeypatch):
    material = patch_test.composite()
    matrix = material.phases["matrix"]
    other = material.network.with_phases(
        matrix=type(matrix)(E=1.01 * matrix.E, nu=matrix.nu, hardening=matrix.hardening),
        fibre=material.phases["fibre"],
    )
    right = patch_test.block
    monkeypatch.setattr(patch_test, "block", lambda material, n: right(other, n))
    with pytest.raises(common.CheckError, match=r"^force at the end is .*\(matnet.drive\)"):
        patch_test.main(["--quick", "--out", str(tmp_path)])
