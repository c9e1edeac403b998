"""Random phase stiffnesses are admissible, in their intervals, and form one stream."""

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.labels import SamplingOptions, sample_stiffnesses

SOLIDS = [False, False]


def engineering(stiffness):
    """E (n, 3), nu (n, 3) as nu12 nu13 nu23, G (n, 3) of Mandel stiffnesses."""
    s = np.linalg.inv(stiffness)
    e = 1.0 / np.diagonal(s, axis1=1, axis2=2)[:, :3]
    nu = -np.stack([s[:, 0, 1] * e[:, 0], s[:, 0, 2] * e[:, 0], s[:, 1, 2] * e[:, 1]], axis=1)
    shear = 0.5 / np.diagonal(s, axis1=1, axis2=2)[:, 3:]
    return e, nu, shear


def test_samples_are_positive_definite_and_symmetric():
    c = sample_stiffnesses(2000, SOLIDS, seed=4)
    assert np.array_equal(c, np.swapaxes(c, -1, -2))
    assert np.linalg.eigvalsh(c).min() > 0.0


def test_condition_is_bounded():
    c = sample_stiffnesses(2000, [False], seed=4)[:, 0]
    values = np.linalg.eigvalsh(c)
    # the normal block: moduli within anisotropy^2, correlation eigenvalues in [0.1, 1.9]
    assert (values[:, -1] / values[:, 0]).max() < 100.0 / 0.1


def test_moduli_ratios_and_poisson_stay_in_their_intervals():
    options = SamplingOptions(anisotropy=4.0, shear=(0.3, 0.4), poisson=(0.1, 0.2), isotropic=0.0)
    e, nu, shear = engineering(sample_stiffnesses(20_000, [False], options, seed=1)[:, 0])
    for ratio in (e[:, 1] / e[:, 0], e[:, 2] / e[:, 0]):
        assert 0.25 - 1e-12 <= ratio.min() < 0.251 and 3.98 < ratio.max() <= 4.0 + 1e-12
        assert abs(np.log(ratio).mean()) < 0.02  # log-uniform: mean 0, deviation 0.8 / sqrt(20000)
    for k, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        g = shear[:, k] / np.sqrt(e[:, i] * e[:, j])
        a = nu[:, k] * np.sqrt(e[:, j] / e[:, i])
        assert 0.3 - 1e-12 <= g.min() < 0.302 and 0.398 < g.max() <= 0.4 + 1e-12
        assert a.min() + 1e-12 >= 0.1 and a.min() < 0.102 and 0.198 < a.max() <= 0.2 + 1e-12


def test_first_solid_has_mean_modulus_one_and_the_second_the_contrast():
    options = SamplingOptions(contrast=(1e-2, 1e3))
    c = sample_stiffnesses(1000, [True, False, False], options, seed=2)
    assert not c[:, 0].any()
    first = engineering(c[:, 1])[0].prod(axis=1) ** (1.0 / 3.0)
    second = engineering(c[:, 2])[0].prod(axis=1) ** (1.0 / 3.0)
    assert np.allclose(first, 1.0, rtol=1e-10)
    assert 1e-2 <= second.min() < 1.1e-2 and 0.9e3 < second.max() <= 1e3 * (1 + 1e-9)
    assert abs(np.log10(second).mean() - 0.5) < 0.15


def test_a_quarter_of_the_samples_is_isotropic_in_all_phases():
    c = sample_stiffnesses(2000, SOLIDS, seed=0)
    e, nu, shear = engineering(c.reshape(-1, 6, 6))
    isotropic = np.ptp(e, axis=1) < 1e-9 * e[:, 0]
    assert np.array_equal(isotropic[::2], isotropic[1::2])
    assert abs(isotropic.mean() - 0.25) < 0.03
    picked_nu = nu[isotropic, 0]
    assert np.allclose(shear[isotropic, 0], e[isotropic, 0] / (2.0 * (1.0 + picked_nu)))
    assert picked_nu.max() > 0.44


def test_a_longer_draw_begins_with_the_shorter_one():
    short, long = sample_stiffnesses(7, SOLIDS, seed=5), sample_stiffnesses(20, SOLIDS, seed=5)
    assert np.array_equal(long[:7], short)
    assert not np.array_equal(sample_stiffnesses(7, SOLIDS, seed=6), short)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contrast": (0.0, 1.0)}, r"contrast is \(0.0, 1.0\), expected two numbers"),
        ({"contrast": (2.0, 1.0)}, "contrast is"),
        ({"poisson": (0.0, 0.5)}, "poisson is"),
        ({"isotropic_poisson": (0.0, 0.5)}, "isotropic_poisson is"),
        ({"anisotropy": 0.5}, "anisotropy is 0.5, expected a number >= 1"),
        ({"isotropic": 1.5}, "isotropic is 1.5, expected a share"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        SamplingOptions(**options)


def test_no_solid_phase_is_refused():
    with pytest.raises(ParameterError, match="every phase is void"):
        sample_stiffnesses(3, [True])


def test_no_sample_is_refused():
    with pytest.raises(ParameterError, match="number of samples is 0"):
        sample_stiffnesses(0, SOLIDS)
