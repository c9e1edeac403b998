"""check_material passes what keeps the contract and catches each way of breaking it."""

import math
import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numba import njit

import matnet
from matnet.checks import CheckError, check_material
from matnet.elasticity import isotropic
from matnet.errors import MatnetError, ParameterError
from matnet.phases import LAWS, Elastic, PhaseLaw, ThermalExpansion, UserLaw, Void

K, G, YIELD, H = 140e3, 80e3, 250.0, 2e3
NAMES = ("eps_p_11", "eps_p_22", "eps_p_33", "eps_p_12", "eps_p_13", "eps_p_23", "p")
FAULTS = {name: float(code) for code, name in enumerate(
    (
        "none", "plastic tangent", "elastic tangent", "negative dissipation", "lost energy",
        "skew", "nan", "nan hidden", "rate", "residual stress", "large", "energy not filled",
        "softer stress", "rejects all",
    )
)}  # fmt: skip


@njit(error_model="numpy")
def steel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    """Von Mises plasticity with linear hardening (Simo & Hughes box 3.1), with faults on demand."""
    bulk, shear, sig_y, slope, fault = parameters
    volume = strain[0] + strain[1] + strain[2]
    square = 0.0
    for i in range(6):
        stress[i] = 2.0 * shear * (strain[i] - state_n[i] - (volume / 3.0 if i < 3 else 0.0))
        square += stress[i] ** 2
    norm = math.sqrt(square)
    limit = math.sqrt(2.0 / 3.0)
    f = norm - limit * (sig_y + slope * state_n[6])
    multiplier = max(f, 0.0) / (2.0 * shear + 2.0 / 3.0 * slope)
    beta, along = 0.0, 0.0
    if multiplier > 0.0:
        beta = 2.0 * shear * multiplier / norm
        along = 2.0 * shear * (1.0 / (1.0 + slope / (3.0 * shear)) - beta)
    for i in range(6):
        for j in range(6):
            unit = (1.0 if i == j else 0.0) - (1.0 / 3.0 if i < 3 and j < 3 else 0.0)
            tangent[i, j] = 2.0 * shear * (1.0 - beta) * unit
            if multiplier > 0.0:
                tangent[i, j] -= along * stress[i] * stress[j] / square
            if i < 3 and j < 3:
                tangent[i, j] += bulk
            wrong = 1.0 if multiplier > 0.0 else 2.0
            if fault == wrong:
                tangent[i, j] *= 1.01
    energy[0] = 0.5 * bulk * volume**2
    energy[1] = limit * multiplier * (sig_y + slope * (state_n[6] + limit * multiplier))
    state[6] = state_n[6] + limit * multiplier
    for i in range(6):
        direction = stress[i] / norm if norm > 0.0 else 0.0
        state[i] = state_n[i] + multiplier * direction
        stress[i] -= 2.0 * shear * multiplier * direction
        energy[0] += stress[i] ** 2 / (4.0 * shear)
        stress[i] += bulk * volume if i < 3 else 0.0
    if fault == 3.0:
        energy[1] = -energy[1]
    elif fault == 4.0:
        energy[1] *= 0.99
    elif fault == 5.0:
        stress[0] += 10.0 * shear * strain[1] ** 2
        tangent[0, 1] += 20.0 * shear * strain[1]
    elif fault == 6.0 and volume > 0.06:
        stress[0] = np.nan
    elif fault == 7.0 and not volume <= 1e300:
        stress[:] = 0.0
        tangent[:] = 0.0
        state[:] = 0.0
        energy[:] = 0.0
    elif fault == 8.0:
        stress[0] += 1e-6 * dt
    elif fault == 9.0:
        stress[0] += 1e-3
    elif fault == 10.0 and norm > 2.0 * shear * 0.11:
        stress[0] = np.nan
    elif fault == 11.0:
        energy[1] = np.nan
    elif fault == 12.0:
        for i in range(6):
            stress[i] *= 0.99
            for j in range(6):
                tangent[i, j] *= 0.99
    elif fault == 13.0:
        return 7
    return 0


@njit(error_model="numpy")
def writes_state_n(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    status = steel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy)
    state_n[:] = state
    return status


@njit(error_model="numpy")
def writes_strain(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    strain[0] -= state_n[0]
    return steel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy)


@njit(error_model="numpy")
def writes_beyond(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    state[7] = 1.0
    return steel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy)


@njit(error_model="numpy")
def reads_beyond(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    status = steel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy)
    stress[0] += 0.0 * parameters[5]
    return status


@njit(error_model="numpy")
def reads_state(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    before = state[6]
    status = steel(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy)
    energy[1] += 0.0 * before
    return status


@njit(error_model="numpy")
def spring(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    tangent[:] = 0.0
    energy[:] = 0.0
    for i in range(6):
        stress[i] = parameters[i] * strain[i]
        tangent[i, i] = parameters[i]
        energy[0] += 0.5 * stress[i] * strain[i]
    return 0


@njit(error_model="numpy")
def springs(
    point, active, strain, dt, temperature, parameters, state_n, stress, state, tangent, energy
):
    tangent[:] = 0.0
    energy[:] = 0.0
    for n in range(strain.shape[0]):
        for i in range(6):
            for lane in range(8):
                stress[n, i, lane] = parameters[i] * strain[n, i, lane] * parameters[6]
                tangent[n, 7 * i, lane] = parameters[i]
                energy[n, 0, lane] += 0.5 * parameters[i] * strain[n, i, lane] ** 2
    return int(parameters[7])


def steel_with(fault="none", kernel=steel, **changed):
    given = {
        "kernel": kernel,
        "stiffness": isotropic(K=K, G=G),
        "parameters": (K, G, YIELD, H, FAULTS[fault]),
        "state_names": NAMES,
        "isotropic": True,
        "symmetric": True,
    }
    return UserLaw(**{**given, **changed})


def spring_with(stiff=(2.0,) * 6, *, lanes=(1.0, 0.0), **changed):
    return UserLaw(kernel=spring, stiffness=np.diag(stiff), parameters=(*stiff, *lanes), **changed)


@pytest.mark.parametrize(
    "law",
    [
        Elastic(E=70e3, nu=0.33),
        Elastic(C11=3.0, C12=1.0, C44=2.0, euler=[10, 20, 30]),
        Void(),
        ThermalExpansion(Elastic(E=70e3, nu=0.33), (1e-5, 2e-5, 3e-5), 20.0),
        steel_with(),
        spring_with(isotropic=True, symmetric=True, lane_kernel=springs),
        spring_with((1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    ],
    ids=repr,
)
def test_sound_laws_pass(law):
    report = check_material(law)
    assert report.passed and not report.failed
    assert {check.name for check in report.checks} >= {"tangent", "dissipation", "save and load"}


def test_the_report_prints_as_a_table():
    report = check_material(steel_with(), seed=3)
    lines = str(report).splitlines()
    assert lines[0].startswith("UserLaw(steel, ") and "seed 3" in lines[1]
    assert len(lines) == 2 + len(report.checks)
    # yield under shear at sqrt(2/3) 250 / (2 G) = 0.00128, found on a ladder of 26 % steps
    assert report.strain_scale == pytest.approx(math.sqrt(2 / 3) * YIELD / (2 * G), rel=0.5)
    tangent = next(line for line in lines if line.startswith("tangent"))
    assert "ok" in tangent and "eps_p, p: 40" in tangent and "elastic: 40" in tangent


@pytest.mark.parametrize(
    ("law", "name", "text"),
    [
        (steel_with("plastic tangent"), "tangent", "off by 9.9e-03 of its largest entry at most"),
        (steel_with("plastic tangent"), "tangent", "worst in branch 'eps_p, p' at strain ["),
        (steel_with("elastic tangent"), "tangent", "worst in branch 'state kept' at strain"),
        (steel_with("negative dissipation"), "dissipation", "smallest dissipation of a step -"),
        (steel_with("negative dissipation"), "large steps", "dissipation down to -"),
        (steel_with("lost energy"), "energy balance", "work less stored less dissipated energy"),
        (steel_with("skew"), "symmetry", "claims symmetric, largest skew part"),
        (steel_with("skew"), "frame", "claims isotropic, turned paths give"),
        (spring_with((1, 1, 1, 1, 1, 1.01), isotropic=True), "frame", "claims isotropic"),
        (steel_with("nan"), "answers", "NaN with status 0 in"),
        (steel_with("nan hidden"), "NaN in", "the kernel turns strain nan into numbers"),
        (steel_with("rate"), "time step", "claims no rate dependence, steps of 0, 1 and 1000 give"),
        (steel_with("residual stress"), "zero strain", "stress of the virgin state 2.6e-06 of"),
        (steel_with("large"), "large steps", "NaN without"),
        (steel_with("energy not filled"), "arrays", "a result is NaN or not filled in"),
        (steel_with("softer stress"), "initial stiffness", "differ from stiffness by 1.3e-02"),
        (steel_with("rejects all"), "answers", "480 steps on random paths up to 10 % strain, 480"),
        (steel_with(kernel=writes_state_n), "arrays", "writes to its input state_n"),
        (steel_with(kernel=writes_strain), "arrays", "writes to its input strain"),
        (steel_with(kernel=writes_beyond), "arrays", "writes beyond the end of state"),
        (steel_with(kernel=reads_beyond), "arrays", "reads more parameters or variables"),
        (steel_with(kernel=reads_state), "arrays", "a result is NaN or not filled in"),
        (
            spring_with(lanes=(1.0 + 1e-9, 0.0), lane_kernel=springs),
            "lanes",
            "lane and point kernel differ by",
        ),
        (
            spring_with(lanes=(1.0, 1.0), lane_kernel=springs),
            "lanes",
            "lanes report another status than the point kernel",
        ),
    ],
)
def test_broken_laws_are_caught(law, name, text):
    report = check_material(law, throw=False)
    found = {check.name: check.text for check in report.failed}
    assert text in found[name], found
    assert not report.passed


def test_the_error_lists_each_failed_check_in_a_line():
    with pytest.raises(CheckError) as caught:
        matnet.check_material(steel_with("negative dissipation"))
    lines = str(caught.value).splitlines()
    report = caught.value.report
    assert isinstance(caught.value, MatnetError)
    assert lines[0].startswith("UserLaw(steel, ")
    assert lines[0].endswith(f"fails {len(report.failed)} of {len(report.checks)} checks.")
    assert [line.partition(":")[0] for line in lines[1:]] == [c.name for c in report.failed]
    assert {"dissipation", "energy balance"} <= {check.name for check in report.failed}
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.report == report


@dataclass(frozen=True, slots=True, kw_only=True)
class Spring(PhaseLaw):
    """A subclass as a user may write it, with a name in phases files."""

    law: ClassVar[str] = "spring"
    E: float
    keys: tuple[str, ...] = ("E",)
    start: tuple[float, ...] = ()

    @property
    def stiffness(self):
        return self.E * np.eye(6)

    @property
    def kernel(self):
        return spring

    @property
    def parameters(self):
        return np.full(6, self.E)

    def initial_state(self):
        return np.array(self.start)

    def to_table(self):
        return {key: getattr(self, key) for key in self.keys}


def test_laws_that_a_file_does_not_give_back_are_caught(monkeypatch):
    monkeypatch.setitem(LAWS, "spring", Spring)
    assert check_material(Spring(E=3.0)).passed
    report = check_material(Spring(E=3.0, keys=()), throw=False)
    assert [check.name for check in report.failed] == ["save and load"]
    assert "law 'spring': E missing" in report.failed[0].text


def test_states_of_the_wrong_length_stop_the_checks():
    report = check_material(Spring(E=3.0, start=(0.0, 0.0)), throw=False)
    assert [check.text for check in report.checks] == [
        "initial_state has shape (2,), but there are 0 state_names"
    ]


def test_the_same_seed_gives_the_same_report():
    assert check_material(steel_with(), seed=1) == check_material(steel_with(), seed=1)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: check_material(Elastic), "check_material: law = <class"),
        (lambda: check_material(Void(), time_scale=0.0), "time_scale = 0.0, expected > 0"),
        (lambda: check_material(Void(), strain_scale=-1.0), "strain_scale = -1.0, expected > 0"),
    ],
)
def test_bad_arguments_get_one_sentence(call, text):
    with pytest.raises(ParameterError) as caught:
        call()
    assert text in str(caught.value)
