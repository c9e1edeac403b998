"""Rate-dependent von Mises laws: closed forms, twin, tangent, energies, limits."""

import numpy as np
import pytest
from scipy.optimize import root

from matnet.errors import ParameterError
from matnet.phases import (
    J2,
    ArmstrongFrederick,
    JohnsonCook,
    Linear,
    Norton,
    Perzyna,
    Prager,
    Viscoplastic,
    Voce,
)

E, NU = 210e3, 0.3
G = E / (2 * (1 + NU))
FLAT = Linear(sig_y=250.0)
VOCE = Voce(sig_y=250.0, Q=80.0, b=40.0)
AF = (ArmstrongFrederick(C=3e4, gamma=200.0), Prager(C=2e3))


def viscoplastic(rate, hardening=None, backstresses=()):
    return Viscoplastic(E=E, nu=NU, rate=rate, hardening=hardening, backstresses=backstresses)


LAWS = {
    "perzyna": viscoplastic(Perzyna(eta=1e4), FLAT),
    "perzyna n": viscoplastic(Perzyna(eta=200.0, n=7.5), VOCE),
    "perzyna n 200": viscoplastic(Perzyna(eta=50.0, n=200.0), VOCE),
    "norton 1": viscoplastic(Norton(A=1e-6, n=1.0)),
    "norton": viscoplastic(Norton(A=1e-14, n=5.0)),
    "norton threshold": viscoplastic(Norton(A=1e-8, n=3.0), VOCE),
    "norton prager": viscoplastic(Norton(A=1e-14, n=5.0), None, AF[1:]),
    "johnson-cook": viscoplastic(JohnsonCook(C=0.02, rate0=1e-3), VOCE),
    "chaboche": viscoplastic(Perzyna(eta=200.0, n=5.0), VOCE, AF),
    "johnson-cook af": viscoplastic(JohnsonCook(C=0.02, rate0=1e-3), VOCE, AF),
}


def q(stress):
    """Von Mises stress of the rows of a Mandel array."""
    dev = stress - stress[..., :3].sum(-1, keepdims=True) / 3.0 * np.array([1, 1, 1, 0, 0, 0])
    return np.sqrt(1.5) * np.linalg.norm(dev, axis=-1)


def follow(law, strains, dt):
    """Stress, state and energies along a path of strains (n, 6)."""
    state, rows = law.initial_state()[None], []
    for strain in strains:
        step = law.evaluate(strain[None], dt, state)
        assert step.status[0] == 0
        state = step.state
        rows.append((step.stress[0], step.state[0], step.energy[0]))
    return (np.array(column) for column in zip(*rows, strict=True))


def shear(values):
    """Strains with tensor component 12 only."""
    strain = np.zeros((len(values), 6))
    strain[:, 3] = np.sqrt(2) * np.asarray(values)
    return strain


def random_path(law, rng, n_points, n_steps, scale, dt):
    state = np.tile(law.initial_state(), (n_points, 1))
    eps = np.zeros((n_points, 6))
    for _ in range(n_steps):
        eps = eps + scale * rng.normal(size=eps.shape)
        state = law.evaluate(eps, dt, state).state
    return eps, state


def assert_tangent_exact(law, eps, state, dt, h=1e-7):
    columns = []
    for k in range(6):
        up, down = eps.copy(), eps.copy()
        up[:, k] += h
        down[:, k] -= h
        difference = law.evaluate(up, dt, state).stress - law.evaluate(down, dt, state).stress
        columns.append(difference / (2 * h))
    near = np.stack(columns, axis=-1)
    tangent = law.evaluate(eps, dt, state).tangent
    error = np.linalg.norm(tangent - near, axis=(1, 2)) / np.linalg.norm(near, axis=(1, 2))
    assert error.max() < 1e-6


# closed forms


def test_overstress_relaxes_exponentially():
    law, dt, steps = LAWS["perzyna"], 1e-4, 400
    stress, _, _ = follow(law, shear(np.full(steps, 0.003)), dt)
    eta, start = law.rate.eta, 2 * np.sqrt(3) * G * 0.003
    count = np.arange(1, steps + 1)
    euler = 250.0 + (start - 250.0) / (1.0 + 3 * G * dt / eta) ** count
    np.testing.assert_allclose(q(stress), euler, rtol=1e-10)
    exact = 250.0 + (start - 250.0) * np.exp(-3 * G * dt / eta * count)
    np.testing.assert_allclose(q(stress), exact, rtol=2e-3)


@pytest.mark.parametrize(
    ("name", "flow_stress"),
    [
        ("perzyna", lambda rate: 250.0 + 1e4 * rate),
        ("norton 1", lambda rate: rate / 1e-6),
        ("norton", lambda rate: (rate / 1e-14) ** 0.2),
        ("norton threshold", lambda rate: 330.0 + (rate / 1e-8) ** (1 / 3)),
        ("perzyna n", lambda rate: 330.0 + 200.0 * rate ** (1 / 7.5)),
        ("perzyna n 200", lambda rate: 330.0 + 50.0 * rate**0.005),
        ("johnson-cook", lambda rate: 330.0 * (1.0 + 0.02 * np.log(np.maximum(1.0, rate / 1e-3)))),
    ],
)
def test_flow_at_constant_rate_becomes_stationary(name, flow_stress):
    # Voce is saturated by then; below its reference rate Johnson-Cook has no rate effect
    for rate in (1e-5, 1e-4, 1e-2):
        dp = 0.02
        strain = shear(np.sqrt(3) / 2 * dp * np.arange(1, 101))
        stress, state, _ = follow(LAWS[name], strain, dp / rate)
        assert q(stress[-1:])[0] == pytest.approx(flow_stress(rate), rel=1e-6)
        assert state[-1, 6] - state[-2, 6] == pytest.approx(dp, rel=1e-6)


def test_creep_at_constant_stress_follows_norton():
    law, dt, sig = LAWS["norton"], 10.0, 80.0
    target = np.array([sig, 0, 0, 0, 0, 0])
    state, eps = law.initial_state()[None], np.zeros((1, 6))
    for count in range(1, 21):
        for _ in range(30):
            step = law.evaluate(eps, dt, state)
            rest = step.stress[0] - target
            if np.abs(rest).max() < 1e-10 * sig:
                break
            eps = eps - np.linalg.solve(step.tangent[0], rest)
        state = step.state
        crept = 1e-14 * sig**5 * dt * count
        assert state[0, 0] == pytest.approx(crept, rel=1e-8)
        assert eps[0, 0] == pytest.approx(sig / E + crept, rel=1e-8)
        assert eps[0, 1] == pytest.approx(-NU * sig / E - 0.5 * crept, rel=1e-8)


def test_relaxation_from_creep_law_is_that_of_its_differential_equation():
    # dq/dt = -3 G A q^n from q0: q = (q0^(1-n) + (n-1) 3 G A t)^(1/(1-n))
    law, levels = LAWS["norton"], []
    start = 2 * np.sqrt(3) * G * 0.001
    for steps in (200, 400):
        dt = 0.3 / steps
        stress, _, _ = follow(law, shear(np.full(steps, 0.001)), dt)
        t = dt * np.arange(1, steps + 1)
        exact = (start**-4.0 + 4.0 * 3 * G * 1e-14 * t) ** -0.25
        every = steps // 20
        levels.append(q(stress)[every - 1 :: every])
    exact = exact[every - 1 :: every]
    coarse, fine = (np.abs(level / exact - 1.0).max() for level in levels)
    assert exact[-1] < 0.6 * start
    assert fine < 0.6 * coarse < 0.03
    np.testing.assert_allclose(2 * levels[1] - levels[0], exact, rtol=1e-3)  # order 1 taken off


def test_johnson_cook_stress_ratio_at_two_rates():
    law = viscoplastic(JohnsonCook(C=0.02, rate0=1e-3), FLAT)
    levels = []
    for rate in (1e-1, 1e2):
        strain = shear(np.sqrt(3) / 2 * 0.001 * np.arange(1, 41))
        stress, _, _ = follow(law, strain, 0.001 / rate)
        levels.append(q(stress[-1:])[0])
    wanted = (1.0 + 0.02 * np.log(1e5)) / (1.0 + 0.02 * np.log(1e2))
    assert levels[1] / levels[0] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", ["perzyna n", "chaboche", "johnson-cook", "johnson-cook af"])
def test_slow_loading_is_rate_independent(name):
    law, rng = LAWS[name], np.random.default_rng(1)
    plastic = J2(E=E, nu=NU, hardening=law.hardening, backstresses=law.backstresses)
    strains = np.cumsum(2e-3 * rng.normal(size=(6, 6)), axis=0)
    slow, _, _ = follow(law, strains, 1e60)
    wanted, _, _ = follow(plastic, strains, 1.0)
    np.testing.assert_allclose(slow, wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", ["perzyna n", "chaboche", "norton", "norton 1"])
def test_fast_loading_is_elastic(name):
    law = LAWS[name]
    strain = 1e-3 * np.random.default_rng(1).normal(size=(5, 6))
    step = law.evaluate(strain, 1e-60, np.zeros((5, law.n_state)))
    np.testing.assert_allclose(step.stress, strain @ law.stiffness, rtol=1e-6, atol=1e-5)


# an independent solution of the full tensor equations


def excess(law, p, rate):
    """Flow stress, written from the classes' docstrings."""
    base = law.hardening.yield_stress(p) if law.hardening is not None else 0.0
    kind = law.rate
    if isinstance(kind, Perzyna):
        return base + kind.eta * max(rate, 0.0) ** (1.0 / kind.n)
    if isinstance(kind, Norton):
        return base + (max(rate, 0.0) / kind.A) ** (1.0 / kind.n)
    return base * (1.0 + kind.C * np.log(max(1.0, rate / kind.rate0)))


def twin(law, eps, dt, state_n, guess):
    """Backward Euler of the differential equations, by a general root finder."""
    pairs = [part.numbers for part in law.backstresses]
    scale = np.concatenate([np.full(7, 1e-3), np.full(6 * len(pairs), 100.0)])
    ones = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])

    def miss(unknown):
        state = unknown * scale
        sig = law.stiffness @ (eps - state[:6])
        back = state[7:].reshape(len(pairs), 6)
        xi = sig - sig[:3].sum() / 3.0 * ones - back.sum(axis=0)
        size = np.sqrt(1.5) * np.linalg.norm(xi)
        dep, dp = state[:6] - state_n[:6], state[6] - state_n[6]
        rows = [1e3 * (dep - 1.5 * dp * xi / size)]
        rows.append(np.array([size - excess(law, state[6], dp / dt)]) / 100.0)
        old = state_n[7:].reshape(len(pairs), 6)
        for (C, gamma), x, x_n in zip(pairs, back, old, strict=True):
            rows.append((x - x_n - 2.0 / 3.0 * C * dep + gamma * dp * x) / 100.0)
        return np.concatenate(rows)

    found = root(miss, guess / scale, tol=1e-13)
    assert np.abs(found.fun).max() < 1e-9
    state = found.x * scale
    return law.stiffness @ (eps - state[:6]), state


@pytest.mark.parametrize("name", [name for name in LAWS if name != "perzyna n 200"])
def test_step_solves_the_tensor_equations(name):
    law, rng, dt = LAWS[name], np.random.default_rng(4), 0.1
    eps, state_n = random_path(law, rng, 8, 3, 1e-3, dt)
    eps = eps + 2e-3 * rng.normal(size=eps.shape)
    step = law.evaluate(eps, dt, state_n)
    flowing = np.flatnonzero(step.state[:, 6] > state_n[:, 6] + 1e-9)
    assert flowing.size > 3
    for i in flowing:
        away = state_n[i] + (step.state[i] - state_n[i]) * rng.uniform(0.9, 1.1)
        sig, state = twin(law, eps[i], dt, state_n[i], away)
        np.testing.assert_allclose(step.stress[i], sig, rtol=1e-7, atol=1e-5)
        np.testing.assert_allclose(step.state[i], state, rtol=1e-7, atol=1e-9 * np.abs(state).max())


# tangent, energies, robustness


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dt", [1e-3, 1.0, 1e3])
def test_tangent_matches_central_difference_on_every_branch(name, dt):
    law, rng = LAWS[name], np.random.default_rng(2)
    virgin = np.tile(law.initial_state(), (20, 1))
    assert_tangent_exact(law, 1e-4 * rng.normal(size=(20, 6)), virgin, dt)
    eps, state = random_path(law, rng, 20, 3, 3e-3, dt)
    more = eps + 3e-3 * rng.normal(size=eps.shape)
    assert_tangent_exact(law, more, state, dt)
    assert_tangent_exact(law, more + 0.1 * rng.normal(size=eps.shape), state, dt)
    assert_tangent_exact(law, eps - 1e-4 * np.sign(eps), state, dt, h=2e-8)  # unloading


def test_tangent_of_linear_creep_at_zero_stress():
    law = LAWS["norton 1"]
    for dt in (1e-2, 1.0, 1e2):
        assert_tangent_exact(law, np.zeros((1, 6)), law.initial_state()[None], dt)


def test_tangent_on_both_sides_of_the_johnson_cook_kink():
    law, dt = viscoplastic(JohnsonCook(C=0.02, rate0=1e-2), Linear(sig_y=250.0, H=1e3)), 0.1
    p = 1e-3  # reached in one step at the reference rate
    strain = (250.0 + (1e3 + 3 * G) * p) / (2 * np.sqrt(3) * G)
    for factor, flowing in ((0.999, 250.0), (1.001, 250.0 * 1.00001)):
        at = shear([strain * factor])
        assert_tangent_exact(law, at, law.initial_state()[None], dt)
        assert q(law.evaluate(at, dt, law.initial_state()[None]).stress)[0] > flowing


@pytest.mark.parametrize("name", LAWS)
def test_symmetric_is_said_of_symmetric_tangents_alone(name):
    law, rng = LAWS[name], np.random.default_rng(3)
    eps, state = random_path(law, rng, 50, 4, 3e-3, 0.1)
    c = law.evaluate(eps + 3e-3 * rng.normal(size=eps.shape), 0.1, state).tangent
    skew = np.abs(c - c.swapaxes(1, 2)).max() / np.abs(c).max()
    assert law.symmetric == (skew < 1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_stress_power_is_stored_or_dissipated(name):
    law, gaps = LAWS[name], []
    corners = np.vstack([np.zeros(6), 0.01 * np.random.default_rng(5).normal(size=(4, 6))])
    for steps in (50, 100, 200):
        t = np.linspace(0.0, 4.0, 4 * steps + 1)
        strains = np.stack([np.interp(t, range(5), column) for column in corners.T], axis=1)
        stress, _, energy = follow(law, strains[1:], 1.0 / steps)
        stress = np.vstack([np.zeros(6), stress])
        power = 0.5 * (stress[1:] + stress[:-1]) * np.diff(strains, axis=0)
        assert (energy[:, 1] >= 0.0).all()
        gaps.append(abs(power.sum() - energy[-1, 0] - energy[:, 1].sum()) / power.sum())
    assert gaps[2] < 0.02
    assert gaps[2] < 0.6 * gaps[1] < 0.36 * gaps[0] or gaps[2] < 1e-4


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dt", [1e-12, 1e-3, 1.0, 1e12])
def test_strains_up_to_100_percent_have_a_solution(name, dt):
    law, rng = LAWS[name], np.random.default_rng(6)
    state = np.tile(law.initial_state(), (500, 1))
    for scale in (1.0, 1e-3, 1e-8, 0.3, 1e-2, 0.0):
        step = law.evaluate(scale * rng.uniform(-1.0, 1.0, size=(500, 6)), dt, state)
        assert not step.status.any()
        assert (step.energy[:, 1] >= 0.0).all()
        assert (step.state[:, 6] >= state[:, 6]).all()
        state = step.state


def test_strains_without_solution_give_a_status_and_the_old_state():
    law = LAWS["chaboche"]
    bad = np.zeros((3, 6))
    bad[0, 3], bad[1, 0], bad[2, 5] = np.nan, np.inf, 1e200
    state = np.zeros((3, law.n_state))
    step = law.evaluate(bad, 1.0, state)
    assert (step.status != 0).all()
    assert np.isnan(step.stress).all()
    np.testing.assert_array_equal(step.state, state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"E": -1.0}, "Viscoplastic: E = -1.0, expected > 0"),
        ({"nu": -1.0}, "Viscoplastic: nu = -1.0, expected a value between -1 and 0.5"),
        ({"rate": FLAT}, "Viscoplastic: rate = Linear.*, expected one of Perzyna, Norton, John"),
        ({"rate": JohnsonCook(C=0.1)}, "rate JohnsonCook needs a hardening, none came"),
        ({"hardening": 3.0}, "Viscoplastic: hardening = 3.0, expected one of Linear"),
        ({"backstresses": 3.0}, "Viscoplastic: backstresses = 3.0, expected a list"),
        ({"hardening": Voce(sig_y=1e4, Q=-9e3, b=100.0)}, "Viscoplastic: hardening falls by 9000"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        Viscoplastic(**({"E": E, "nu": NU, "rate": Perzyna(eta=1.0)} | change))


def test_zero_time_is_refused():
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        LAWS["norton"].evaluate(np.zeros((1, 6)), 0.0, np.zeros((1, 7)))
