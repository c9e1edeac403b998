"""A network with laws: stress, tangent, state and status at a batch of points."""

import numpy as np
import pytest

import matnet
from matnet.elasticity import isotropic, laminate
from matnet.errors import MatnetError, ParameterError, RangeWarning, ShapeError
from matnet.material import Material, Status
from matnet.network import Network
from matnet.phases import Elastic, Void

SOFT, STIFF = Elastic(E=1.0, nu=0.3), Elastic(E=20.0, nu=0.2)


def two_layers(**card):
    return Network(
        kind="imn",
        depth=1,
        phase_names=("matrix", "fibre"),
        weights=np.array([0.4, 0.6]),
        base_phase=np.array([0, 1]),
        normals=np.array([[0.6, 0.0, 0.8]]),
        children=np.array([[-1, -2]]),
        card=card,
    )


def test_two_layers_are_the_exact_laminate():
    material = two_layers().with_phases(matrix=SOFT, fibre=STIFF)
    exact = laminate([SOFT.stiffness, STIFF.stiffness], [0.4, 0.6], [0.6, 0.0, 0.8])
    assert np.allclose(material.stiffness, exact, rtol=1e-12, atol=1e-12)


def test_linear_update_is_stiffness_times_strain():
    material = two_layers().with_phases(matrix=SOFT, fibre=STIFF)
    eps = np.random.default_rng(0).normal(size=(5, 6))
    stress, tangent, state, status = material.update(eps, 1.0, material.initial_state(5))
    assert np.allclose(stress, np.einsum("ij,nj->ni", material.stiffness, eps), rtol=1e-12)
    assert tangent.shape == (5, 6, 6) and np.array_equal(tangent[3], material.stiffness)
    assert state.shape == (5, 0) and (status == Status.OK).all()


def test_batch_equals_point_by_point_and_inputs_stay():
    material = two_layers().with_phases(matrix=SOFT, fibre=STIFF)
    eps, state_n = np.random.default_rng(1).normal(size=(3, 6)), material.initial_state(3)
    kept = eps.copy()
    batch = material.update(eps, 1.0, state_n).stress
    single = [material.update(eps[k : k + 1], 1.0, state_n[k : k + 1]).stress[0] for k in range(3)]
    assert np.allclose(batch, single, rtol=1e-14) and np.array_equal(eps, kept)


def test_a_bad_strain_is_a_status_of_its_point_only():
    material = Material.homogeneous(SOFT)
    eps = np.ones((3, 6))
    eps[1, 2] = np.nan
    stress, tangent, _, status = material.update(eps, 0.0, material.initial_state(3))
    assert status.tolist() == [Status.OK, Status.NOT_FINITE, Status.OK]
    assert np.isnan(stress[1]).all() and np.isnan(tangent[1]).all()
    assert np.allclose(stress[[0, 2]], SOFT.stiffness.sum(axis=1))


def test_empty_batch_is_fine():
    material = Material.homogeneous(SOFT)
    assert material.update(np.empty((0, 6)), 1.0, material.initial_state(0)).stress.shape == (0, 6)


def test_homogeneous_material_is_its_law():
    assert np.allclose(Material.homogeneous(STIFF).stiffness, isotropic(E=20.0, nu=0.2))
    assert "Elastic(E=20.0, nu=0.2)" in str(Material.homogeneous(STIFF))


def test_void_needs_no_law():
    network = Network.random("imn", 2, ("void", "solid"), (0.5, 0.5), seed=0)
    material = network.with_phases(solid=SOFT)
    assert material.phases == {"void": Void(), "solid": SOFT}


def test_wrong_arguments_of_update_are_named():
    material = Material.homogeneous(SOFT)
    with pytest.raises(ShapeError, match=r"strain has shape \(6,\), expected \(any, 6\)"):
        material.update(np.zeros(6), 1.0, material.initial_state(1))
    with pytest.raises(ShapeError, match=r"state_n has shape \(2, 0\), expected \(1, 0\)"):
        material.update(np.zeros((1, 6)), 1.0, material.initial_state(2))
    with pytest.raises(ParameterError, match="dt = -1, expected a finite time >= 0"):
        material.update(np.zeros((1, 6)), -1.0, material.initial_state(1))


def test_wrong_laws_are_named():
    network = two_layers()
    with pytest.raises(ParameterError, match="phase 'fibre' has no law, the network has 'matrix',"):
        network.with_phases(matrix=SOFT)
    with pytest.raises(ParameterError, match="phase 'solid' is unknown, the network has 'matrix'"):
        network.with_phases(matrix=SOFT, fibre=STIFF, solid=SOFT)
    with pytest.raises(ParameterError, match=r"phase 'matrix' came with 3\.0, expected a law"):
        network.with_phases(matrix=3.0, fibre=STIFF)
    with pytest.raises(ParameterError, match="phase 'matrix' came with <class"):
        network.with_phases(matrix=Elastic, fibre=STIFF)


def test_use_beyond_the_trained_contrast_warns():
    network = two_layers(contrast=[0.1, 10.0])
    with pytest.warns(RangeWarning, match="'fibre' is 20 times as stiff as 'matrix'.* 0.1 to 10"):
        network.with_phases(matrix=SOFT, fibre=STIFF)
    two_layers(contrast=[0.1, 20.0]).with_phases(matrix=SOFT, fibre=STIFF)  # inside: silent


@pytest.mark.parametrize("contrast", ["wide", [1.0], [None, 2.0], ["a", "b"]])
def test_other_content_of_the_card_does_no_harm(contrast):
    two_layers(contrast=contrast).with_phases(matrix=SOFT, fibre=STIFF)


def test_public_names_load_at_first_use():
    for name in matnet.__all__:
        assert getattr(matnet, name) is not None
    assert set(matnet.__all__) <= set(dir(matnet))
    with pytest.raises(AttributeError, match="module 'matnet' has no attribute 'fit'"):
        matnet.fit  # noqa: B018


def test_errors_are_all_matnet_errors():
    with pytest.raises(MatnetError):
        two_layers().with_phases()
