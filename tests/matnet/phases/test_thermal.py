"""Thermal expansion on top of any law, against closed forms."""

import copy
import pickle

import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError
from matnet.mandel import SQRT2, rotation_matrix, to_mandel
from matnet.phases import (
    J2,
    Elastic,
    Linear,
    ThermalExpansion,
    Viscoelastic,
    Void,
    read_phases,
    write_phases,
)
from matnet.phases.frames import bunge_axes

E, NU, ALPHA, T0 = 210e3, 0.3, 12e-6, 20.0
STEEL = Elastic(E=E, nu=NU)
FIBRE = Elastic(
    E_axial=230e3, E_transverse=15e3, nu_axial=0.2, nu_transverse=0.3, G_axial=24e3
)  # fmt: skip


def evaluate(law, strain, temperature, state=None):
    strain = np.atleast_2d(strain)
    state = np.tile(law.initial_state(), (len(strain), 1)) if state is None else state
    return law.evaluate(strain, 1.0, state, temperature)


@pytest.mark.parametrize(
    ("alpha", "tensor"),
    [
        (ALPHA, ALPHA * np.eye(3)),
        ((1e-6, 2e-6, -3e-6), np.diag([1e-6, 2e-6, -3e-6])),
        (
            (1e-6, 2e-6, 3e-6, 4e-6, 5e-6, 6e-6),
            np.array([[1e-6, 4e-6, 5e-6], [4e-6, 2e-6, 6e-6], [5e-6, 6e-6, 3e-6]]),
        ),
    ],
)
def test_free_expansion_is_stress_free(alpha, tensor):
    law = ThermalExpansion(FIBRE, alpha, T0)
    assert np.allclose(law.expansion, to_mandel(tensor), rtol=1e-15)
    rises = np.linspace(-200.0, 300.0, 11)
    out = evaluate(law, to_mandel(rises[:, None, None] * tensor), T0 + rises)
    assert np.abs(out.stress).max() < 1e-15 * 250e3
    assert out.energy.max() < 1e-28


def test_a_held_bar_carries_minus_E_alpha_dT():
    law = ThermalExpansion(STEEL, ALPHA, T0)
    for rise in (-50.0, 30.0, 100.0):
        across = (1.0 + NU) * ALPHA * rise  # free across, held along 1
        out = evaluate(law, [0.0, across, across, 0.0, 0.0, 0.0], T0 + rise)
        assert out.stress[0, 0] == pytest.approx(-E * ALPHA * rise, rel=1e-12)
        assert np.abs(out.stress[0, 1:]).max() < 1e-10


def test_a_held_plastic_bar_follows_the_closed_form_while_heated_and_cooled():
    sig_y, H = 250.0, 5e3
    law = ThermalExpansion(J2(E=E, nu=NU, hardening=Linear(sig_y=sig_y, H=H)), ALPHA, T0)
    across, state, plastic, p = 0.0, law.initial_state()[None], 0.0, 0.0
    for rise in np.concatenate((np.linspace(20, 400, 20), np.linspace(380, 0, 20))):
        for _ in range(30):  # lateral strain that leaves the bar free across
            out = evaluate(law, [0.0, across, across, 0.0, 0.0, 0.0], T0 + rise, state)
            slope = out.tangent[0, 1, 1] + out.tangent[0, 1, 2]
            across -= out.stress[0, 1] / slope
        trial = E * (-ALPHA * rise - plastic)  # one-dimensional return mapping
        f = abs(trial) - (sig_y + H * p)
        step = max(f, 0.0) / (E + H)
        plastic, p = plastic + step * np.sign(trial), p + step
        assert out.stress[0, 0] == pytest.approx(E * (-ALPHA * rise - plastic), abs=1e-8)
        state = out.state
    assert p > 2e-3 and out.stress[0, 0] > 250.0  # yielded both ways


def test_everything_else_is_the_inner_law():
    inner = J2(E=E, nu=NU, hardening=Linear(sig_y=250.0, H=1e3))
    law = ThermalExpansion(inner, ALPHA, T0)
    for name in ("law", "kernel", "lane_kernel", "state_names", "n_state", "symmetric"):
        assert getattr(law, name) == getattr(inner, name)
    assert np.array_equal(law.parameters, inner.parameters)
    assert np.array_equal(law.stiffness, inner.stiffness)
    visco = ThermalExpansion(Viscoelastic(E=3.0, nu=0.3, g=(0.5,), tau=(1.0,)), ALPHA)
    assert visco.rate_dependent and not law.rate_dependent
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        visco.evaluate(np.zeros((1, 6)), 0.0, np.zeros((1, visco.n_state)))
    strain = np.random.default_rng(0).normal(size=(5, 6)) * 0.01
    hot = law.evaluate(strain, 1.0, np.zeros((5, 7)), temperature=T0 + 50.0)
    cold = inner.evaluate(strain - 50.0 * law.expansion, 1.0, np.zeros((5, 7)))
    for got, wanted in zip(hot, cold, strict=True):
        assert np.array_equal(got, wanted)
    at_rest = law.evaluate(strain, 1.0, np.zeros((5, 7)))  # no temperature: the reference
    assert np.array_equal(at_rest.stress, inner.evaluate(strain, 1.0, np.zeros((5, 7))).stress)


def test_isotropic_only_with_equal_expansion_in_all_directions():
    assert ThermalExpansion(STEEL, ALPHA).isotropic
    assert ThermalExpansion(STEEL, (ALPHA, ALPHA, ALPHA)).isotropic
    assert not ThermalExpansion(STEEL, (ALPHA, ALPHA, 1.01 * ALPHA)).isotropic
    assert not ThermalExpansion(STEEL, (ALPHA, ALPHA, ALPHA, 1e-8, 0.0, 0.0)).isotropic
    assert not ThermalExpansion(FIBRE, ALPHA).isotropic


def test_linear_laws_are_linear_in_strain_only_without_expansion():
    assert ThermalExpansion(STEEL, 0.0).linear and not ThermalExpansion(STEEL, ALPHA).linear


def test_a_turned_expansion_tensor_turns_the_stress():
    turn = bunge_axes([30.0, 40.0, 50.0])
    tensor = np.diag([1e-5, 2e-5, 5e-5])
    given = (turn @ tensor @ turn.T)[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    straight = evaluate(ThermalExpansion(STEEL, np.diag(tensor)), np.zeros(6), 100.0)
    turned = evaluate(ThermalExpansion(STEEL, given), np.zeros(6), 100.0)
    assert np.allclose(turned.stress[0], rotation_matrix(turn) @ straight.stress[0], rtol=1e-12)
    assert ThermalExpansion(STEEL, given).expansion[3] == SQRT2 * given[3]


@pytest.mark.parametrize("alpha", [ALPHA, [1e-6, 2e-6, 3e-6], np.array([1, 2, 3, 4, 5, 6]) * 1e-6])
def test_written_laws_read_back_equal(alpha, tmp_path):
    phases = {
        "a": ThermalExpansion(STEEL, alpha, T0),
        "b": ThermalExpansion(J2(E=E, nu=NU, hardening=Linear(sig_y=250.0)), alpha),
    }
    write_phases(tmp_path / "phases.toml", phases)
    assert read_phases(tmp_path / "phases.toml", ("a", "b")) == phases
    for law in phases.values():
        again = pickle.loads(pickle.dumps(law))
        assert again == law == copy.deepcopy(law) and hash(again) == hash(law)
        assert np.array_equal(again.expansion, law.expansion)


def test_any_table_may_carry_thermal_expansion(tmp_path):
    path = tmp_path / "phases.toml"
    path.write_text(
        '[a]\nlaw = "elastic"\nE = 210e3\nnu = 0.3\nthermal_expansion = 12e-6\n'
        "reference_temperature = 20\n"
        '[b]\nlaw = "elastic"\nE = 210e3\nnu = 0.3\nthermal_expansion = [1e-6, 2e-6, 3e-6]\n'
        '[c]\nlaw = "void"\n'
    )
    assert read_phases(path, ("a", "b", "c")) == {
        "a": ThermalExpansion(STEEL, ALPHA, T0),
        "b": ThermalExpansion(STEEL, (1e-6, 2e-6, 3e-6)),
        "c": Void(),
    }


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("thermal_expansion = [1e-6, 2e-6]", "alpha has shape (2,), expected one number, 3 along"),
        ("thermal_expansion = 'hot'", "alpha = 'hot', expected numbers"),
        ("thermal_expansion = nan", "alpha: 1 of 1 values are not finite"),
        ("thermal_expansion = true", "alpha = True, expected numbers"),
        ("thermal_expansion = [[1], 2]", "alpha = [[1], 2], expected numbers"),
        ("reference_temperature = [1]", "reference_temperature, expected one number"),
        ("reference_temperature = inf", "reference_temperature: 1 of 1 values are not finite"),
    ],
)
def test_wrong_keys_get_one_sentence(line, text, tmp_path):
    path = tmp_path / "phases.toml"
    path.write_text(f'[a]\nlaw = "elastic"\nE = 1\nnu = 0.3\n{line}\n')
    with pytest.raises(FileFormatError) as caught:
        read_phases(path, ("a",))
    assert str(caught.value).startswith("phases.toml: table [a]: ThermalExpansion: ")
    assert text in str(caught.value)


def test_only_laws_can_be_wrapped_and_only_once():
    for inner in (STEEL.stiffness, ThermalExpansion(STEEL, ALPHA), Elastic):
        with pytest.raises(ParameterError, match="expected a law without thermal expansion"):
            ThermalExpansion(inner, ALPHA)
    with pytest.raises(ParameterError, match="thermal expansion is no law of its own"):
        ThermalExpansion.from_table({})
