"""Rate-independent von Mises plasticity: closed forms, twin, tangent, energies, lanes."""

import numpy as np
import pytest
from scipy.optimize import brentq, root

from matnet.errors import ParameterError
from matnet.mandel import rotation_matrix
from matnet.phases import (
    J2,
    ArmstrongFrederick,
    Linear,
    LinearVoce,
    PowerLaw,
    Prager,
    Swift,
    Tabulated,
    Voce,
)

E, NU = 210e3, 0.3
G = E / (2 * (1 + NU))
LINEAR = Linear(sig_y=250.0, H=2e3)
HARDENING = {
    "perfect": Linear(sig_y=250.0),
    "linear": LINEAR,
    "voce": Voce(sig_y=250.0, Q=80.0, b=40.0),
    "softening": Voce(sig_y=250.0, Q=-80.0, b=40.0),
    "linear-voce": LinearVoce(sig_y=250.0, H=500.0, Q=80.0, b=300.0),
    "swift": Swift(K=600.0, e0=2e-3, n=0.2),
    "power": PowerLaw(sig_y=200.0, K=400.0, n=0.3),
    "table": Tabulated(p=[0.0, 0.01, 0.03, 0.1], sig_y=[250.0, 300.0, 310.0, 400.0]),
}
CHABOCHE = (Prager(C=3e3), ArmstrongFrederick(C=3e4, gamma=200.0))
LAWS = {name: J2(E=E, nu=NU, hardening=part) for name, part in HARDENING.items()} | {
    "prager": J2(E=E, nu=NU, hardening=LINEAR, backstresses=(Prager(C=3e3), Prager(C=1e3))),
    "af": J2(E=E, nu=NU, hardening=LINEAR, backstresses=CHABOCHE[1:]),
    "chaboche": J2(E=E, nu=NU, hardening=HARDENING["voce"], backstresses=CHABOCHE),
}


def q(stress):
    """Von Mises stress of the rows of a Mandel array."""
    dev = stress - stress[..., :3].sum(-1, keepdims=True) / 3.0 * np.array([1, 1, 1, 0, 0, 0])
    return np.sqrt(1.5) * np.linalg.norm(dev, axis=-1)


def follow(law, strains, dt=1.0):
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


def uniaxial(law, values, dt=1.0):
    """Strain 11 prescribed, all other stresses zero: stress 11 and state."""
    state, eps, rows = law.initial_state()[None], np.zeros(6), []
    for value in values:
        eps[0] = value
        for _ in range(40):
            step = law.evaluate(eps[None], dt, state)
            rest = step.stress[0, 1:]
            if np.abs(rest).max() < 1e-11 * E * 1e-2:
                break
            eps[1:] -= np.linalg.solve(step.tangent[0, 1:, 1:], rest)
        else:
            raise AssertionError("no uniaxial stress found")
        state = step.state
        rows.append((step.stress[0, 0], step.state[0]))
    return (np.array(column) for column in zip(*rows, strict=True))


def random_path(law, rng, n_points, n_steps, scale, dt=1.0):
    """Random strains and states after a few random steps from the virgin material."""
    state = np.tile(law.initial_state(), (n_points, 1))
    eps = np.zeros((n_points, 6))
    for _ in range(n_steps):
        eps = eps + scale * rng.normal(size=eps.shape)
        state = law.evaluate(eps, dt, state).state
    return eps, state


def central_difference(law, eps, state, dt=1.0, h=1e-7):
    columns = []
    for k in range(6):
        up, down = eps.copy(), eps.copy()
        up[:, k] += h
        down[:, k] -= h
        difference = law.evaluate(up, dt, state).stress - law.evaluate(down, dt, state).stress
        columns.append(difference / (2 * h))
    return np.stack(columns, axis=-1)


def assert_tangent_exact(law, eps, state, dt=1.0, h=1e-7):
    tangent = law.evaluate(eps, dt, state).tangent
    near = central_difference(law, eps, state, dt, h)
    error = np.linalg.norm(tangent - near, axis=(1, 2)) / np.linalg.norm(near, axis=(1, 2))
    assert error.max() < 1e-6


# closed forms


@pytest.mark.parametrize("name", ["perfect", "linear"])
def test_shear_and_tension_of_linear_hardening(name):
    law = LAWS[name]
    sig_y, H = law.hardening.sig_y, law.hardening.H
    strain = np.linspace(0.0, 0.02, 30)
    stress, state, _ = follow(law, shear(strain))
    p = np.maximum(2 * np.sqrt(3) * G * strain - sig_y, 0.0) / (3 * G + H)
    tau = 2 * G * (strain - np.sqrt(3) / 2 * p)
    np.testing.assert_allclose(stress[:, 3] / np.sqrt(2), tau, rtol=1e-12)
    np.testing.assert_allclose(state[:, 6], p, rtol=1e-12, atol=1e-18)
    tension, state = uniaxial(law, strain)
    p = np.maximum(E * strain - sig_y, 0.0) / (E + H)
    np.testing.assert_allclose(tension, E * (strain - p), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(state[:, 0], p, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("name", ["voce", "softening", "linear-voce", "swift", "power", "table"])
def test_tension_follows_the_hardening_curve(name):
    law = LAWS[name]
    strain = np.linspace(0.0, 0.06, 40)
    stress, state = uniaxial(law, strain)
    for eps, sig, p in zip(strain, stress, state[:, 6], strict=True):

        def miss(p, eps=eps):
            return E * (eps - p) - law.hardening.yield_stress(p)

        wanted = brentq(miss, 0.0, eps, xtol=1e-16, rtol=1e-14) if miss(0.0) > 0.0 else 0.0
        assert p == pytest.approx(wanted, rel=1e-9, abs=1e-13)
        assert sig == pytest.approx(E * (eps - wanted), rel=1e-9, abs=1e-8)


def test_prager_in_cyclic_tension():
    law = J2(E=E, nu=NU, hardening=Linear(sig_y=250.0), backstresses=(Prager(C=3e3),))
    up, down = np.linspace(0.0, 0.01, 11), np.linspace(0.01, -0.01, 21)[1:]
    stress, _ = uniaxial(law, np.concatenate([up, down]))
    slope = E * 3e3 / (E + 3e3)
    first = np.minimum(E * up, 250.0 + slope * (up - 250.0 / E))
    peak = first[-1]
    turned = 0.01 - down
    second = np.maximum(peak - E * turned, peak - 500.0 - slope * (turned - 500.0 / E))
    np.testing.assert_allclose(stress, np.concatenate([first, second]), rtol=1e-9, atol=1e-8)


def test_recall_follows_its_recursion_and_saturates_at_c_over_gamma():
    law = J2(E=E, nu=NU, hardening=Linear(sig_y=250.0), backstresses=CHABOCHE[1:])
    C, gamma = law.backstresses[0].numbers
    stress, state, _ = follow(law, shear(np.linspace(0.0, 0.1, 201)))
    p, X = state[:, 6], q(state[:, 7:])
    grown = (X[:-1] + C * np.diff(p)) / (1.0 + gamma * np.diff(p))  # backward Euler
    np.testing.assert_allclose(X[1:], grown, rtol=1e-12, atol=1e-12)
    flowing = p > 0.0
    np.testing.assert_allclose(q(stress)[flowing], 250.0 + X[flowing], rtol=1e-12)
    assert X[-1] == pytest.approx(C / gamma, rel=1e-4)
    np.testing.assert_allclose(X, C / gamma * (1 - np.exp(-gamma * p)), atol=0.02 * C / gamma)


def test_recall_in_stable_cycles():
    # stress amplitude sig_y + C / gamma tanh(gamma amplitude of plastic strain)
    errors = []
    for steps in (200, 400):
        law = J2(E=E, nu=NU, hardening=Linear(sig_y=250.0), backstresses=CHABOCHE[1:])
        C, gamma = law.backstresses[0].numbers
        leg = np.linspace(0.0, 1.0, steps + 1)[1:]
        cycle = np.concatenate([0.008 * (1 - 2 * leg), 0.008 * (2 * leg - 1)])
        strains = np.concatenate([0.008 * leg, np.tile(cycle, 4)])
        stress, state, _ = follow(law, shear(strains))
        size = q(state[-2 * steps - 1 :, :6]) * 2 / 3
        wanted = 250.0 + C / gamma * np.tanh(gamma * size.max())
        errors.append(abs(q(stress[-1:])[0] / wanted - 1.0))
    assert errors[1] < 0.55 * errors[0]
    assert errors[1] < 0.003


# an independent solution of the full tensor equations


def twin(law, eps, state_n):
    """Backward Euler of the equations in `J2`'s docstring, by a general root finder."""
    pairs = [part.numbers for part in law.backstresses]
    ones = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    scale = np.concatenate([np.full(7, 1e-3), np.full(6 * len(pairs), 100.0)])

    def split(state):
        sig = law.stiffness @ (eps - state[:6])
        back = state[7:].reshape(len(pairs), 6)
        xi = sig - sig[:3].sum() / 3.0 * ones - back.sum(axis=0)
        return sig, back, xi, np.sqrt(1.5) * np.linalg.norm(xi)

    def miss(unknown):
        state = unknown * scale
        _, back, xi, size = split(state)
        dep, dp = state[:6] - state_n[:6], state[6] - state_n[6]
        rows = [dep - 1.5 * dp * xi / size, [size - law.hardening.yield_stress(state[6])]]
        old = state_n[7:].reshape(len(pairs), 6)
        for (C, gamma), x, x_n in zip(pairs, back, old, strict=True):
            rows.append(x - x_n - 2.0 / 3.0 * C * dep + gamma * dp * x)
        rows[0] = rows[0] * 1e3
        return np.concatenate(rows[:1] + [np.asarray(row) / 100.0 for row in rows[1:]])

    _, _, xi, size = split(state_n)
    excess = size - law.hardening.yield_stress(state_n[6])
    if excess <= 0.0:
        return split(state_n)[0], state_n
    guess = state_n.copy()
    dp = excess / (3 * G + 5e4)
    guess[:6] += 1.5 * dp * xi / size
    guess[6] += dp
    found = root(miss, guess / scale, tol=1e-13)
    assert np.abs(found.fun).max() < 1e-9
    return split(found.x * scale)[0], found.x * scale


@pytest.mark.parametrize("name", ["linear-voce", "prager", "af", "chaboche"])
def test_step_solves_the_tensor_equations(name):
    law, rng = LAWS[name], np.random.default_rng(4)
    eps, state_n = random_path(law, rng, 12, 3, 1e-3)
    eps = eps + 1e-3 * rng.normal(size=eps.shape)
    step = law.evaluate(eps, 1.0, state_n)
    assert (step.state[:, 6] > state_n[:, 6]).sum() > 6
    for i in range(len(eps)):
        sig, state = twin(law, eps[i], state_n[i])
        np.testing.assert_allclose(step.stress[i], sig, rtol=1e-7, atol=1e-5)
        np.testing.assert_allclose(step.state[i], state, rtol=1e-7, atol=1e-9 * np.abs(state).max())


# tangent


@pytest.mark.parametrize("name", LAWS)
def test_tangent_matches_central_difference_on_every_branch(name):
    law, rng = LAWS[name], np.random.default_rng(2)
    virgin = np.tile(law.initial_state(), (20, 1))
    assert_tangent_exact(law, 1e-4 * rng.normal(size=(20, 6)), virgin)  # elastic
    eps, state = random_path(law, rng, 20, 3, 3e-3)
    more = eps + 3e-3 * rng.normal(size=eps.shape)
    assert_tangent_exact(law, more, state)  # mixed, mostly plastic
    assert_tangent_exact(law, more + 0.1 * rng.normal(size=eps.shape), state)  # large
    assert_tangent_exact(law, eps - 1e-4 * np.sign(eps), state)  # unloading
    step = law.evaluate(more, 1.0, state)
    grown = more + 1e-5 * (more - eps) / np.linalg.norm(more - eps, axis=1, keepdims=True)
    assert_tangent_exact(law, grown, step.state, h=1e-9)  # just beyond the corner
    assert_tangent_exact(law, 2 * more - grown, step.state, h=1e-9)  # just before it


def test_tangent_on_both_sides_of_a_row_of_the_table():
    law = LAWS["table"]
    reach = (np.sqrt(1 / 3) * 300.0 / (2 * G)) + np.sqrt(3) / 2 * 0.01  # p = 0.01 in shear
    for strain in (reach * 0.9999, reach * 1.0001):
        assert_tangent_exact(law, shear([strain]), law.initial_state()[None])


@pytest.mark.parametrize("name", LAWS)
def test_symmetric_is_said_of_symmetric_tangents_alone(name):
    law, rng = LAWS[name], np.random.default_rng(3)
    eps, state = random_path(law, rng, 50, 4, 3e-3)
    c = law.evaluate(eps + 3e-3 * rng.normal(size=eps.shape), 1.0, state).tangent
    skew = np.abs(c - c.swapaxes(1, 2)).max() / np.abs(c).max()
    assert law.symmetric == (skew < 1e-12)
    assert law.symmetric == (name not in ("af", "chaboche"))


@pytest.mark.parametrize("name", LAWS)
def test_response_is_the_same_in_every_frame(name):
    law, rng = LAWS[name], np.random.default_rng(8)
    eps, state = random_path(law, rng, 20, 3, 3e-3)
    eps = eps + 3e-3 * rng.normal(size=eps.shape)
    R = rotation_matrix(np.linalg.qr(rng.normal(size=(3, 3)))[0])

    def turn(rows):
        tensors = [rows[:, :6] @ R.T, rows[:, 6:7]]
        tensors += [rows[:, i : i + 6] @ R.T for i in range(7, rows.shape[1], 6)]
        return np.hstack(tensors)

    step, turned = law.evaluate(eps, 1.0, state), law.evaluate(eps @ R.T, 1.0, turn(state))
    np.testing.assert_allclose(turned.stress, step.stress @ R.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(turned.state, turn(step.state), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(turned.tangent, R @ step.tangent @ R.T, rtol=1e-8, atol=1e-5)
    np.testing.assert_allclose(turned.energy, step.energy, rtol=1e-9, atol=1e-12)


# energies and robustness


@pytest.mark.parametrize("name", LAWS)
def test_stress_power_is_stored_or_dissipated(name):
    law, gaps = LAWS[name], []
    corners = np.vstack([np.zeros(6), 0.01 * np.random.default_rng(5).normal(size=(4, 6))])
    for steps in (50, 100, 200):
        t = np.linspace(0.0, 4.0, 4 * steps + 1)
        strains = np.stack([np.interp(t, range(5), column) for column in corners.T], axis=1)
        stress, _, energy = follow(law, strains[1:])
        stress = np.vstack([np.zeros(6), stress])
        power = 0.5 * (stress[1:] + stress[:-1]) * np.diff(strains, axis=0)
        assert (energy[:, 1] >= 0.0).all()
        gaps.append(abs(power.sum() - energy[-1, 0] - energy[:, 1].sum()) / power.sum())
    assert gaps[2] < 5e-3
    assert gaps[2] < 0.6 * gaps[1] < 0.36 * gaps[0] or gaps[2] < 1e-4


@pytest.mark.parametrize("name", LAWS)
def test_stored_energy_is_that_of_elastic_strain_and_backstresses(name):
    law, rng = LAWS[name], np.random.default_rng(9)
    eps, state = random_path(law, rng, 20, 3, 3e-3)
    step = law.evaluate(eps + 1e-3 * rng.normal(size=eps.shape), 1.0, state)
    elastic = np.linalg.solve(law.stiffness, step.stress.T).T
    stored = 0.5 * (step.stress * elastic).sum(axis=1)
    for i, part in enumerate(law.backstresses):
        X = step.state[:, 7 + 6 * i : 13 + 6 * i]
        alpha = 1.5 * X / part.C  # X = 2/3 C alpha
        stored += 0.5 * (X * alpha).sum(axis=1)
    np.testing.assert_allclose(step.energy[:, 0], stored, rtol=1e-10)


@pytest.mark.parametrize("name", LAWS)
def test_strains_up_to_100_percent_have_a_solution(name):
    law, rng = LAWS[name], np.random.default_rng(6)
    state = np.tile(law.initial_state(), (2000, 1))
    for scale in (1.0, 1e-3, 1e-8, 0.3, 1e-2, 0.0):
        eps = scale * rng.uniform(-1.0, 1.0, size=(2000, 6))
        step = law.evaluate(eps, 1.0, state)
        assert not step.status.any()
        assert (step.energy[:, 1] >= 0.0).all()
        assert (step.state[:, 6] >= state[:, 6]).all()
        dev = step.stress - step.state[:, 7:].reshape(2000, -1, 6).sum(axis=1)
        limit = law.hardening.yield_stress(step.state[:, 6])
        size = E * (np.linalg.norm(eps, axis=1) + np.linalg.norm(state[:, :6], axis=1)) + limit
        assert (q(dev) - limit <= 1e-12 * size).all()
        state = step.state


def test_strains_without_solution_give_a_status_and_the_old_state():
    law = LAWS["chaboche"]
    bad = np.zeros((4, 6))
    bad[0, 3], bad[1, 0], bad[2, 5] = np.nan, np.inf, 1e200
    state = np.tile(law.initial_state(), (4, 1))
    step = law.evaluate(bad, 1.0, state)
    assert (step.status != 0).tolist() == [True, True, True, False]
    assert np.isnan(step.stress[:3]).all()
    np.testing.assert_array_equal(step.state, state)


def test_state_is_named():
    assert LAWS["linear"].state_names == (
        *(f"eps_p_{k}" for k in ("11", "22", "33", "12", "13", "23")),
        "p",
    )
    assert LAWS["chaboche"].state_names[7:9] == ("X1_11", "X1_22")
    assert LAWS["chaboche"].n_state == 19


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"E": 0.0}, "J2: E = 0.0, expected > 0"),
        ({"nu": 0.5}, "J2: nu = 0.5, expected a value between -1 and 0.5"),
        ({"hardening": None}, "J2: hardening = None, expected one of Linear, "),
        ({"backstresses": LINEAR}, "J2: backstresses = Linear.*, expected a list"),
        ({"backstresses": (LINEAR,)}, r"J2: backstresses\[0\] = Linear.*, expected one of Prager"),
        (
            {"hardening": Voce(sig_y=1e4, Q=-9e3, b=100.0)},
            "J2: hardening falls by 900000 per plastic strain, expected less than 3 G = 242308",
        ),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        J2(**({"E": E, "nu": NU, "hardening": LINEAR} | change))
