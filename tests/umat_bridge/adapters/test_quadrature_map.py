"""The law for dolfinx_materials, called as that package's QuadratureMap calls it."""

import numpy as np
import pytest
from adapter_cases import MATRIX, VISCOUS, composite, padded, strains

from matnet.errors import ConvergenceError, ParameterError, ShapeError
from matnet.material import Material, Status
from matnet.phases import Elastic, ThermalExpansion
from umat_bridge.adapters import QuadratureMapLaw


def started(law, n):
    """As QuadratureMap does before the first update: everything zero."""
    law.set_data_manager(n)
    sizes = {**law.gradients, **law.fluxes, **law.internal_state_variables}
    law.set_initial_state_dict({name: np.zeros((n, size)) for name, size in sizes.items()})
    return law


@pytest.fixture(scope="module")
def material():
    return composite()


def test_description_has_shapes_as_the_package_reads_them(material):
    law = QuadratureMapLaw(material)
    assert law.gradients == {"Strain": 6} and law.fluxes == {"Stress": 6}
    assert law.internal_state_variables == {"state": material.n_state}
    assert law.tangent_blocks == {("Stress", "Strain"): (6, 6)}
    assert law.gradient_names == ["Strain"] and law.flux_names == ["Stress"]
    assert law.internal_state_variable_names == ["state"]
    assert law.variables == {"Strain": 6, "Stress": 6, "state": material.n_state}
    assert law.material_properties == {} and law.rotation_matrix is None
    assert law.name == "QuadratureMapLaw"


def test_steps_are_those_of_the_material(material):
    law = started(QuadratureMapLaw(material), 5)
    state = material.initial_state(5)
    for seed in (1, 2, 3):
        eps = strains(5, 6, seed=seed)
        law.integrate(strains(5, 6, seed=seed + 10))  # an iterate leaves no trace
        stress, isv, tangent = law.integrate(eps)
        expected = material.update(eps, 1.0, state)
        np.testing.assert_array_equal(stress, expected.stress)
        np.testing.assert_array_equal(tangent, expected.tangent)
        np.testing.assert_array_equal(isv, expected.state)
        law.data_manager.update()
        state = expected.state
        final = law.get_final_state_dict()
        np.testing.assert_array_equal(final["Strain"], eps)
        np.testing.assert_array_equal(law.data_manager.s0.fluxes, final["Stress"])
        np.testing.assert_array_equal(law.get_initial_state_dict()["state"], state)


def test_revert_goes_back_to_the_start_of_the_step(material):
    law = started(QuadratureMapLaw(material), 2)
    law.integrate(strains(2, 6))
    assert law.data_manager.s1.fluxes.any()
    law.data_manager.revert()
    assert not law.data_manager.s1.fluxes.any()
    assert not law.data_manager.s1.internal_state_variables.any()


def test_virgin_states_that_are_not_zero_survive_the_packages_zeros():
    damage = composite(VISCOUS)
    assert damage.initial_state(1).any()
    law = started(QuadratureMapLaw(damage, dt=0.5), 4)
    eps = strains(4, 6)
    stress, isv, _ = law.integrate(eps)
    expected = damage.update(eps, 0.5, damage.initial_state(4))
    np.testing.assert_array_equal(stress, expected.stress)
    np.testing.assert_allclose(isv + damage.initial_state(4), expected.state, atol=1e-15)
    law.data_manager.update()
    again, _, _ = law.integrate(2 * eps)
    np.testing.assert_allclose(
        again, damage.update(2 * eps, 0.5, expected.state).stress, rtol=1e-9, atol=1e-12
    )


def test_length_of_the_step_is_an_attribute_unless_given():
    damage = composite(VISCOUS)
    eps = strains(3, 6)
    law = started(QuadratureMapLaw(damage, dt=0.1), 3)
    short = law.integrate(eps)[0].copy()
    long = law.integrate(eps, 10.0)[0].copy()
    law.dt = 10.0
    np.testing.assert_array_equal(law.integrate(eps)[0], long)
    assert np.abs(short - long).max() > 0.01 * np.abs(long).max()


def test_four_components_have_no_strain_out_of_the_plane(material):
    law = started(QuadratureMapLaw(material, size=4), 3)
    assert law.gradients == {"Strain": 4}
    eps = strains(3, 4)
    stress, _, tangent = law.integrate(eps)
    full = material.update(padded(eps), 1.0, material.initial_state(3))
    np.testing.assert_array_equal(stress, full.stress[:, :4])
    np.testing.assert_array_equal(tangent, full.tangent[:, :4, :4])


def test_linear_materials_have_no_state():
    law = started(QuadratureMapLaw(Material.homogeneous(Elastic(E=70e3, nu=0.3))), 2)
    assert law.internal_state_variables == {}
    stress, isv, tangent = law.integrate(np.tile([1e-3, 0, 0, 0, 0, 1e-3], (2, 1)))
    assert isv.shape == (2, 0) and tangent.shape == (2, 6, 6)
    assert stress[1, 5] == pytest.approx(70e3 / 1.3 * 1e-3)


def test_temperature_comes_as_external_state_variable():
    heated = composite(ThermalExpansion(MATRIX, alpha=2e-4, reference_temperature=300.0))
    law = started(QuadratureMapLaw(heated), 3)
    eps, heat = strains(3, 6), np.array([300.0, 330.0, 360.0])
    law.initialize_external_state_variable("Temperature", heat)
    expected = heated.update(eps, 1.0, heated.initial_state(3), heat)
    np.testing.assert_array_equal(law.integrate(eps)[0], expected.stress)
    law.update_external_state_variable("Temperature", [330.0])
    expected = heated.update(eps, 1.0, heated.initial_state(3), 330.0)
    np.testing.assert_array_equal(law.integrate(eps)[0], expected.stress)
    with pytest.raises(ParameterError, match="'Humidity' is unknown, the law has Temperature"):
        law.update_external_state_variable("Humidity", heat)


def test_failure_names_the_first_point_and_leaves_the_end_of_the_step(material):
    law = started(QuadratureMapLaw(material), 4)
    eps = strains(4, 6)
    before = law.integrate(eps)[0].copy()
    eps[2, 0] = np.nan
    with pytest.raises(ConvergenceError, match=r"1 of 4 points \(first: 2, its strain is not"):
        law.integrate(eps)
    np.testing.assert_array_equal(law.data_manager.s1.fluxes, before)
    assert law.status[2] == Status.NOT_FINITE


def test_bad_input_is_named(material):
    law = started(QuadratureMapLaw(material), 2)
    with pytest.raises(ShapeError, match=r"gradients has shape \(3, 6\), expected \(2, 6\)"):
        law.integrate(np.zeros((3, 6)))
    with pytest.raises(
        ParameterError, match="'Slip' is unknown, the law has Strain, Stress, state"
    ):
        law.set_initial_state_dict({"Slip": 0.0})
    with pytest.raises(ParameterError, match="give them to network"):
        law.update_material_property("E", 1.0)
    with pytest.raises(ParameterError, match="3 strain components, expected 6"):
        QuadratureMapLaw(material, size=3)
    with pytest.raises(ParameterError, match=r"expected a matnet\.Material"):
        QuadratureMapLaw(MATRIX)
