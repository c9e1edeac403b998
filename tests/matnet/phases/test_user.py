"""A user's own kernel as a law."""

import copy
import pickle

import numpy as np
import pytest
from numba import njit

from matnet.errors import FileFormatError, ParameterError, ShapeError
from matnet.phases import Elastic, UserLaw, read_phases, write_phases


@njit(error_model="numpy")
def spring(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    """Stress 2 G strain, which counts its steps; refuses strains above 1."""
    tangent[:] = 0.0
    energy[:] = 0.0
    for i in range(6):
        if abs(strain[i]) > 1.0:
            return 3
        stress[i] = 2.0 * parameters[0] * strain[i]
        tangent[i, i] = 2.0 * parameters[0]
        energy[0] += parameters[0] * strain[i] ** 2
    state[0] = state_n[0] + 1.0
    return 0


@njit
def eight_arguments(strain, dt, temperature, parameters, state_n, stress, state, tangent):
    return 0


@njit
def misspelt(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    stress[:] = 2.0 * strian  # noqa: F821
    return 0


@njit
def misused(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    stress[0] = parameters.shear
    return 0


@njit
def without_status(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    stress[:] = strain


def plain(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    return 0


def spring_law(**changed):
    given = {
        "kernel": spring,
        "stiffness": 6.0 * np.eye(6),
        "parameters": [3.0],
        "state_names": ["steps"],
        "isotropic": True,
        "symmetric": True,
    }
    return UserLaw(**{**given, **changed})


def test_the_kernel_is_what_the_law_evaluates():
    law = spring_law()
    strain = np.random.default_rng(0).normal(size=(4, 6)) * 0.1
    out = law.evaluate(strain, 0.0, [[0.0], [1.0], [2.0], [3.0]])
    assert np.allclose(out.stress, 6.0 * strain, rtol=1e-15)
    assert np.array_equal(out.state[:, 0], [1, 2, 3, 4])
    assert np.array_equal(out.tangent, np.tile(6.0 * np.eye(6), (4, 1, 1)))
    assert np.allclose(out.energy[:, 0], 3.0 * (strain**2).sum(axis=1), rtol=1e-14)


def test_a_status_keeps_the_state():
    out = spring_law().evaluate([[2.0, 0, 0, 0, 0, 0], [0.0] * 6], 0.0, [[5.0], [5.0]])
    assert out.status.tolist() == [3, 0] and out.state[:, 0].tolist() == [5.0, 6.0]
    assert np.isnan(out.stress[0]).all()


def test_user_laws_are_values():
    law = spring_law()
    assert law == spring_law() and hash(law) == hash(spring_law())
    assert law != spring_law(parameters=[3.03]) and law != spring_law(symmetric=False)
    assert law != Elastic(E=1.0, nu=0.3)
    assert law == pickle.loads(pickle.dumps(law)) == copy.deepcopy(law)
    assert repr(law) == "UserLaw(spring, parameters=(3.0,), state_names=('steps',))"
    assert (law.isotropic, law.symmetric, law.rate_dependent, law.linear) == (
        True,
        True,
        False,
        False,
    )
    assert law.lane_kernel is None and law.n_state == 1
    with pytest.raises(AttributeError, match="UserLaw is immutable: 'parameters' cannot be set"):
        law.parameters = [1.0]
    with pytest.raises(ValueError, match="read-only"):
        law.parameters[0] = 1.0


def test_rate_dependence_is_as_claimed():
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        spring_law(rate_dependent=True).evaluate([[0.0] * 6], 0.0, [[0.0]])


def test_compiled_code_is_not_written_to_files(tmp_path):
    with pytest.raises(ParameterError, match="kernel 'spring' is compiled code and cannot be"):
        write_phases(tmp_path / "phases.toml", {"a": spring_law()})
    assert not list(tmp_path.iterdir())
    path = tmp_path / "user.toml"
    path.write_text('[a]\nlaw = "user"\n')
    with pytest.raises(FileFormatError, match="law 'user' is unknown, expected one of "):
        read_phases(path, ("a",))
    with pytest.raises(ParameterError, match="law 'user' cannot be read from a file"):
        UserLaw.from_table({})


POINT = "strain, dt, temperature, parameters, state_n, stress, state, tangent, energy"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"kernel": plain}, "kernel = plain is not compiled, expected a function under @numba.nj"),
        ({"kernel": 3}, "kernel = 3 is not compiled"),
        (
            {"kernel": eight_arguments},
            f"kernel 'eight_arguments' takes 8 arguments, expected 9: {POINT}.",
        ),
        (
            {"lane_kernel": spring},
            f"lane_kernel 'spring' takes 9 arguments, expected 11: point, active, {POINT}.",
        ),
        (
            {"kernel": misspelt},
            "kernel 'misspelt' cannot be compiled to the contract of matnet.phases.calls: "
            "NameError: name 'strian' is not defined",
        ),
        (
            {"kernel": misused},
            "kernel 'misused' cannot be compiled to the contract of matnet.phases.calls: "
            "Unknown attribute 'shear' of type array(float64, 1d, C), File ",
        ),
        (
            {"kernel": without_status},
            "kernel 'without_status' cannot be compiled to the contract of matnet.phases.calls: "
            "No conversion from none to int64",
        ),
        ({"parameters": [np.nan]}, "parameters: 1 of 1 values are not finite"),
        ({"parameters": ["soft"]}, "parameters = ['soft'], expected numbers"),
        ({"stiffness": np.triu(np.ones((6, 6)))}, "stiffness is not symmetric"),
        ({"state_names": ["p", "p"]}, "state_names = ('p', 'p'), expected a different text"),
        ({"state_names": [3]}, "state_names = (3,), expected a different text"),
    ],
)
def test_wrong_arguments_get_one_sentence(changed, text):
    with pytest.raises(ParameterError) as caught:
        spring_law(**changed)
    message = str(caught.value)
    assert message.startswith("UserLaw: ") and text in message and "\n" not in message


@pytest.mark.parametrize(
    "changed", [{"stiffness": np.eye(3)}, {"parameters": 3.0}, {"parameters": [[3.0]]}]
)
def test_wrong_shapes_are_shape_errors(changed):
    with pytest.raises(ShapeError, match=r"UserLaw: .* has shape"):
        spring_law(**changed)
