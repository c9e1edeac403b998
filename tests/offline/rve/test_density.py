"""Latin hypercube density fields."""

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve.generators.density import RHO_MIN, lhs, penalised_lhs


def density(rve: object) -> np.ndarray:
    field = rve.density  # type: ignore[attr-defined]
    assert field is not None
    return np.asarray(field)


@pytest.mark.parametrize("samples", [1, 2, 7, 32])
def test_every_stratum_is_used_once_at_every_voxel(samples: int) -> None:
    fields = np.stack([density(lhs(n=4, samples=samples, index=i)) for i in range(samples)])
    strata = np.floor((fields - RHO_MIN) / (1.0 - RHO_MIN) * samples).astype(int)
    assert (np.sort(strata, axis=0) == np.arange(samples)[:, None, None, None]).all()


def test_strata_of_different_voxels_and_fields_are_independent() -> None:
    fields = np.stack([density(lhs(n=6, index=i)).ravel() for i in range(300)])
    variance = fields.mean(axis=1).var()  # independent voxels: 1/12 over their number
    assert variance == pytest.approx(1 / 12 / 216, rel=0.25)
    neighbours = np.corrcoef(fields[:-1].ravel(), fields[1:].ravel())[0, 1]
    assert abs(neighbours) < 4.0 / np.sqrt(fields.size)


def test_field_is_uniform_between_rho_min_and_one() -> None:
    field = density(lhs(n=30))
    assert field.min() >= RHO_MIN == 1e-9 and field.max() <= 1.0
    np.testing.assert_allclose(np.quantile(field, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.01)


def test_penalised_field_is_the_plain_one_to_a_power_per_field() -> None:
    plain, penalised = density(lhs(n=8, index=5)), density(penalised_lhs(n=8, index=5))
    powers = np.log(penalised) / np.log(plain)
    drawn = abs(1.2 * np.random.default_rng([0, 5]).standard_normal())
    np.testing.assert_allclose(powers, drawn, rtol=1e-9)
    np.testing.assert_array_equal(density(penalised_lhs(n=8, index=5, exponent=2.0)), plain**2)


def test_exponents_are_the_absolute_value_of_a_normal_of_deviation_1_2() -> None:
    powers = np.array(
        [
            np.log(density(penalised_lhs(n=1, index=i))).item()
            / np.log(density(lhs(n=1, index=i))).item()
            for i in range(3000)
        ]
    )
    assert powers.mean() == pytest.approx(1.2 * np.sqrt(2.0 / np.pi), rel=0.03)
    assert (powers**2).mean() == pytest.approx(1.44, rel=0.06)


def test_penalised_densities_never_fall_below_rho_min() -> None:
    assert density(penalised_lhs(n=6, exponent=500.0)).min() == RHO_MIN


def test_density_cell_has_one_solid_phase_and_a_source_that_makes_it_again() -> None:
    rve = penalised_lhs(n=(3, 4, 5), index=2, seed=9)
    assert rve.shape == (3, 4, 5) and rve.phase_names == ("solid",) and not rve.phases.any()
    assert rve == eval(rve.source) and rve != penalised_lhs(n=(3, 4, 5), index=2, seed=8)
    assert lhs(n=3, index=4) == eval(lhs(n=3, index=4).source)


def test_bad_values_are_named() -> None:
    with pytest.raises(ParameterError, match=r"index is 8192, expected an integer, 0 to 8191"):
        lhs(index=8192)
    with pytest.raises(ParameterError, match=r"samples is 0, expected an integer"):
        lhs(samples=0)
    with pytest.raises(ParameterError, match=r"exponent is -1, expected at least 0"):
        penalised_lhs(n=4, exponent=-1.0)
    with pytest.raises(ParameterError, match=r"seed is -1, expected"):
        penalised_lhs(n=4, seed=-1)
