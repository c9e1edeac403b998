"""The callable for dolfinx-external-operator, with that package's shapes and orders."""

import subprocess
import sys

import numpy as np
import pytest
from adapter_cases import MATRIX, VISCOUS, composite, padded, strains

from matnet.errors import ParameterError, ShapeError
from matnet.material import Material, Status
from matnet.phases import Elastic, ThermalExpansion
from umat_bridge.adapters import ExternalOperatorLaw


@pytest.fixture(scope="module")
def material():
    return composite()


def test_tangent_and_stress_are_flat_cell_by_cell_and_point_by_point(material):
    eps = strains(3, 4, 6)
    tangent, stress = ExternalOperatorLaw(material)((1,))(eps)
    assert tangent.shape == (3 * 4 * 36,) and stress.shape == (3 * 4 * 6,)
    for cell in range(3):
        for point in range(4):
            one = material.update(eps[cell, point, None], 1.0, material.initial_state(1))
            start = 4 * cell + point
            np.testing.assert_allclose(stress[6 * start :][:6], one.stress[0], rtol=1e-9)
            rows = tangent[36 * start :][:36].reshape(6, 6)
            np.testing.assert_allclose(rows, one.tangent[0], rtol=1e-9, atol=1e-9)


def test_tangent_is_the_derivative_of_the_stress_by_mandel_strain(material):
    eps = strains(1, 1, 6, seed=3)
    tangent, _ = ExternalOperatorLaw(material)((1,))(eps)
    stress, h = ExternalOperatorLaw(material)((0,)), 1e-7
    columns = []
    for j in range(6):
        step = np.zeros(6)
        step[j] = h
        law = ExternalOperatorLaw(material)
        columns.append((law((0,))(eps + step) - law((0,))(eps - step)) / (2 * h))
    assert stress(eps).shape == (6,)
    expected = np.array(columns).T
    np.testing.assert_allclose(tangent.reshape(6, 6), expected, atol=1e-5 * np.abs(expected).max())


def test_four_components_have_no_strain_out_of_the_plane(material):
    eps = strains(2, 3, 4)
    tangent, stress = ExternalOperatorLaw(material)((1,))(eps)
    full = material.update(padded(eps).reshape(6, 6), 1.0, material.initial_state(6))
    np.testing.assert_array_equal(stress.reshape(6, 4), full.stress[:, :4])
    np.testing.assert_array_equal(tangent.reshape(6, 4, 4), full.tangent[:, :4, :4])


def test_calls_start_from_the_last_commit(material):
    first, second = strains(2, 2, 6, seed=1), strains(2, 2, 6, seed=2)
    law = ExternalOperatorLaw(material)
    evaluate = law((1,))
    evaluate(second)  # an iterate of Newton's method leaves no trace
    evaluate(first)
    law.commit()
    law.commit()  # nothing new to accept
    again = evaluate(second)[1]
    step_1 = material.update(first.reshape(4, 6), 1.0, material.initial_state(4))
    step_2 = material.update(second.reshape(4, 6), 1.0, step_1.state)
    np.testing.assert_array_equal(again.reshape(4, 6), step_2.stress)
    virgin = material.update(second.reshape(4, 6), 1.0, material.initial_state(4))
    assert np.abs(step_2.stress - virgin.stress).max() > 0.01 * np.abs(virgin.stress).max()


def test_rollback_forgets_the_step(material):
    first, second = strains(2, 2, 6, seed=1), strains(2, 2, 6, seed=2)
    law = ExternalOperatorLaw(material)
    law((1,))(first)
    law.rollback()
    law.commit()
    stress = law((0,))(second)
    virgin = material.update(second.reshape(4, 6), 1.0, material.initial_state(4))
    np.testing.assert_array_equal(stress.reshape(4, 6), virgin.stress)


def test_linear_materials_have_tangents_too():
    law = ExternalOperatorLaw(Material.homogeneous(Elastic(E=70e3, nu=0.3)))
    tangent, stress = law((1,))(np.tile([1e-3, 0, 0, 0, 0, 0], (2, 8, 1)))
    lame = 70e3 * 0.3 / (1.3 * 0.4)
    assert tangent.shape == (576,) and tangent.flags.contiguous
    assert tangent[0] == pytest.approx(lame + 70e3 / 1.3)
    assert tangent[1] == pytest.approx(lame)
    assert tangent[21] == pytest.approx(70e3 / 1.3)  # 2 G in Mandel
    assert stress[1] == pytest.approx(lame * 1e-3)


def test_temperature_is_one_value_per_point():
    heated = composite(ThermalExpansion(MATRIX, alpha=2e-4, reference_temperature=300.0))
    eps = strains(2, 3, 6)
    heat = 300.0 + 20.0 * np.arange(6).reshape(2, 3)
    law = ExternalOperatorLaw(heated, temperature=heat)
    stress = law((0,))(eps).reshape(6, 6)
    virgin = heated.initial_state(6)
    expected = heated.update(eps.reshape(6, 6), 1.0, virgin, heat.reshape(6)).stress
    np.testing.assert_array_equal(stress, expected)
    law.temperature = 300.0
    cold = law((0,))(eps).reshape(6, 6)
    assert np.abs(cold - expected).max(axis=1)[1:].min() > 0.01 * np.abs(cold).max()


def test_length_of_the_step_is_an_attribute():
    viscous = composite(VISCOUS)
    eps = strains(2, 3, 6)
    law = ExternalOperatorLaw(viscous, dt=0.1)
    short = law((0,))(eps)
    law.dt = 10.0
    long = law((0,))(eps)
    for dt, stress in ((0.1, short), (10.0, long)):
        expected = viscous.update(eps.reshape(6, 6), dt, viscous.initial_state(6)).stress
        np.testing.assert_array_equal(stress.reshape(6, 6), expected)
    assert np.abs(short - long).max() > 0.01 * np.abs(long).max()


def test_points_without_solution_are_nan_and_cannot_be_committed(material):
    law = ExternalOperatorLaw(material)
    eps = strains(2, 2, 6)
    eps[1, 0, 2] = np.inf
    tangent, stress = law((1,))(eps)
    assert law.failed == 1 and law.status[1, 0] == Status.NOT_FINITE
    assert np.isnan(stress.reshape(2, 2, 6)).any(axis=2).tolist() == [[False] * 2, [True, False]]
    assert np.isnan(tangent.reshape(2, 2, 36)[1, 0]).all()
    with pytest.raises(ParameterError, match=r"1 of 4 points of the last call have no solution"):
        law.commit()
    law.rollback()
    law.commit()
    assert law.failed == 0


@pytest.mark.parametrize("derivatives", [(2,), (0, 1), ()])
def test_other_derivatives_are_refused(material, derivatives):
    with pytest.raises(ParameterError, match=r"expected \(0,\) or \(1,\)"):
        ExternalOperatorLaw(material)(derivatives)


def test_strains_of_another_shape_are_refused(material):
    evaluate = ExternalOperatorLaw(material)((1,))
    with pytest.raises(ShapeError, match=r"shape \(3, 6\), expected \(cells, points, 6\)"):
        evaluate(np.zeros((3, 6)))
    with pytest.raises(ParameterError, match="3 strain components, expected 6"):
        evaluate(np.zeros((2, 2, 3)))
    evaluate(np.zeros((2, 2, 6)))
    with pytest.raises(ShapeError, match="3 cells with 2 points, but the state belongs to 2 with"):
        evaluate(np.zeros((3, 2, 6)))


def test_it_takes_a_material_only():
    with pytest.raises(ParameterError, match=r"expected a matnet\.Material"):
        ExternalOperatorLaw(MATRIX)


def test_import_needs_neither_dolfinx_nor_the_packages():
    blocked = ("dolfinx", "ufl", "petsc4py", "dolfinx_external_operator", "dolfinx_materials")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); import umat_bridge.adapters"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
