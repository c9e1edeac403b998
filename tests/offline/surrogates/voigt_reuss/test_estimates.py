"""Plane estimates equal the three-dimensional ones where those exist."""

import numpy as np
import pytest

from matnet.elasticity import hill, isotropic, mori_tanaka
from matnet.errors import ParameterError, ShapeError
from offline.surrogates.voigt_reuss.estimates import (
    hashin_shtrikman_plane,
    hill_plane,
    isotropic_plane,
    mori_tanaka_plane,
    plane_moduli,
)
from offline.surrogates.voigt_reuss.plane_strain import plane_strain_stiffness

STIFF, SOFT = isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)
PAIR = plane_strain_stiffness([STIFF, SOFT])


@pytest.mark.parametrize("c0", [0.0, 0.1, 0.5, 0.9])
def test_mori_tanaka_is_that_of_long_fibres_in_space(c0):
    expected = plane_strain_stiffness(mori_tanaka(SOFT, STIFF, c0, shape="cylinder"))
    assert mori_tanaka_plane(PAIR, c0) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    other = plane_strain_stiffness(mori_tanaka(STIFF, SOFT, 1.0 - c0, shape="cylinder"))
    assert mori_tanaka_plane(PAIR, c0, matrix=0) == pytest.approx(other, rel=1e-9, abs=1e-7)


def test_hashin_shtrikman_bounds_lie_between_voigt_and_reuss_and_meet_at_the_ends():
    c0 = np.linspace(0.0, 1.0, 11)
    low, high = hashin_shtrikman_plane(PAIR, c0)
    assert np.linalg.eigvalsh(high - low).min() > -1e-9
    assert low[0] == pytest.approx(PAIR[1], abs=1e-12)
    assert high[-1] == pytest.approx(PAIR[0], abs=1e-9)
    middle = hill_plane(PAIR, c0)
    voigt_minus_hill = c0[:, None, None] * PAIR[0] + (1 - c0)[:, None, None] * PAIR[1] - middle
    assert np.linalg.eigvalsh(middle + voigt_minus_hill - high).min() > -1e-9
    assert np.linalg.eigvalsh(low - (middle - voigt_minus_hill)).min() > -1e-9


def test_hill_is_the_block_of_the_mean_of_bounds_in_the_plane():
    # Reuss's bound in the plane is not the block of that in space; for equal Poisson ratios zero
    # both are
    phases = [isotropic(E=1.0, nu=0.0), isotropic(E=9.0, nu=0.0)]
    expected = plane_strain_stiffness(hill(phases, [0.3, 0.7]))
    assert hill_plane(plane_strain_stiffness(phases), 0.3) == pytest.approx(expected)


def test_wrong_input_is_named():
    with pytest.raises(ParameterError, match="not isotropic in the plane"):
        hashin_shtrikman_plane([np.diag([1.0, 2.0, 1.0]), np.eye(3)], 0.5)
    with pytest.raises(ParameterError, match="expected values from 0 to 1"):
        mori_tanaka_plane(PAIR, 1.5)
    with pytest.raises(ParameterError, match="expected phase 0 or 1"):
        mori_tanaka_plane(PAIR, 0.5, matrix=2)
    with pytest.raises(ShapeError, match=r"expected \(2, 3, 3\)"):
        hashin_shtrikman_plane(PAIR[0], 0.5)
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 3, 3\)"):
        plane_moduli(STIFF)
    assert isotropic_plane([1.0, 2.0], 1.0).shape == (2, 3, 3)
