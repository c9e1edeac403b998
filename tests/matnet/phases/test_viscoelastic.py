"""Generalised Maxwell model: closed forms in time and frequency, energies, tangent."""

import numpy as np
import pytest

from matnet.errors import ParameterError
from matnet.phases import Viscoelastic, read_phases, write_phases
from matnet.simd import LANES

E, NU = 3000.0, 0.35
K0, G0 = E / (3 * (1 - 2 * NU)), E / (2 * (1 + NU))
G_I, K_I, TAU = (0.2, 0.3, 0.1), (0.05, 0.0, 0.4), (0.1, 3.0, 50.0)
LAW = Viscoelastic(E=E, nu=NU, g=G_I, k=K_I, tau=TAU)
MAXWELL = Viscoelastic(E=E, nu=NU, g=[1.0], tau=[2.0])
LAWS = [LAW, MAXWELL, Viscoelastic(E=E, nu=NU, g=[0.4], k=[0.4], tau=[2.0])]


def prony(modulus, relative, t):
    return modulus * (1 - sum(r * (1 - np.exp(-t / s)) for r, s in zip(relative, TAU, strict=True)))


def follow(law, strains, steps, state=None):
    """Stress, energies and final state along a path that starts from zero strain."""
    state = law.initial_state()[None] if state is None else state
    stress, energy = [], []
    for eps, dt in zip(strains, np.broadcast_to(steps, len(strains)), strict=True):
        out = law.evaluate(eps[None], dt, state)
        assert out.status[0] == 0
        state = out.state
        stress.append(out.stress[0])
        energy.append(out.energy[0])
    return np.array(stress), np.array(energy), state


def split(vectors):
    """Trace and deviator of Mandel vectors."""
    trace = vectors[..., :3].sum(-1)
    dev = vectors.copy()
    dev[..., :3] -= trace[..., None] / 3
    return trace, dev


def test_stress_after_a_jump_follows_the_prony_series():
    eps = np.array([0.01, -0.004, 0.002, 0.003, -0.001, 0.005])
    jump = 1e-9
    steps = np.concatenate([[jump], np.geomspace(1e-3, 100.0, 60)])
    stress, *_ = follow(LAW, np.tile(eps, (61, 1)), steps)
    t = np.cumsum(steps) - jump / 2
    tr_eps, dev_eps = split(eps)
    tr_sig, dev_sig = split(stress)
    assert np.allclose(tr_sig, 3 * prony(K0, K_I, t) * tr_eps, rtol=1e-7)
    assert np.allclose(dev_sig, 2 * prony(G0, G_I, t)[:, None] * dev_eps, rtol=1e-7)
    K, G = LAW.relaxation_moduli(t)
    assert np.allclose(K, prony(K0, K_I, t)) and np.allclose(G, prony(G0, G_I, t))


def test_ramp_follows_the_integral_of_the_prony_series():
    rate, t = 1e-3, np.linspace(0.5, 40.0, 80)
    strains = np.zeros((80, 6))
    strains[:, 3] = rate * t
    stress, *_ = follow(LAW, strains, np.diff(t, prepend=0.0))
    kept = sum(g * (t - s * (1 - np.exp(-t / s))) for g, s in zip(G_I, TAU, strict=True))
    assert np.allclose(stress[:, 3], 2 * G0 * rate * (t - kept), rtol=1e-12)


def test_a_ramp_in_one_step_equals_the_ramp_in_many():
    rng = np.random.default_rng(3)
    start, end = rng.normal(scale=0.02, size=(2, 6))
    _, first, state = follow(LAW, start[None], 0.7)
    once = LAW.evaluate(end[None], 5.0, state)
    n = 500
    path = start + (end - start) * np.arange(1, n + 1)[:, None] / n
    stress, energy, final = follow(LAW, path, 5.0 / n, state)
    assert np.allclose(once.state, final, rtol=0, atol=1e-13)
    assert np.allclose(once.stress[0], stress[-1], rtol=1e-11)
    assert np.allclose(once.energy[0], [energy[-1, 0], energy[:, 1].sum()], rtol=1e-11)
    # work by Simpson's rule over pairs of the short steps
    sig = np.vstack([LAW.evaluate(start[None], 1e-12, state).stress, stress])
    power = sig @ (end - start) / n
    work = (power[0] + power[-1] + 4 * power[1:-1:2].sum() + 2 * power[2:-1:2].sum()) / 3
    assert np.isclose(work, once.energy[0, 0] - first[-1, 0] + once.energy[0, 1], rtol=1e-6)


def test_creep_of_the_standard_solid_follows_its_laplace_solution():
    # one branch, bulk and shear relax alike: eps(t) = sig/E (1 + g/(1-g) (1 - exp(-(1-g) t/tau)))
    g, tau, sig = 0.4, 2.0, 10.0
    law = Viscoelastic(E=E, nu=NU, g=[g], k=[g], tau=[tau])
    target = np.array([sig, 0, 0, 0, 0, 0])
    state, eps = law.initial_state()[None], np.zeros((1, 6))
    steps = np.concatenate([[1e-9], np.full(400, 0.02)])
    for t, dt in zip(np.cumsum(steps), steps, strict=True):
        out = law.evaluate(eps, dt, state)
        eps = eps + np.linalg.solve(out.tangent[0], target - out.stress[0])
        state = law.evaluate(eps, dt, state).state
        creep = sig / E * (1 + g / (1 - g) * (1 - np.exp(-(1 - g) * t / tau)))
        assert np.isclose(eps[0, 0], creep, rtol=1e-5)
        assert np.isclose(eps[0, 1], -NU * creep, rtol=1e-5)


@pytest.mark.parametrize("omega", [0.05, 1.0, 20.0])
def test_sinusoidal_shear_gives_storage_and_loss_modulus(omega):
    x = omega * np.array(TAU)
    storage = G0 * (1 - sum(G_I) + np.sum(np.array(G_I) * x**2 / (1 + x**2)))
    loss = G0 * np.sum(np.array(G_I) * x / (1 + x**2))
    _, G = LAW.complex_moduli(omega)
    assert np.isclose(G, storage + 1j * loss)
    per_cycle, amplitude = 200, 0.01
    cycles = int(np.ceil(8 * max(TAU) * omega / (2 * np.pi))) + 1
    t = np.arange(1, cycles * per_cycle + 1) * 2 * np.pi / omega / per_cycle
    strains = np.zeros((len(t), 6))
    strains[:, 4] = amplitude * np.sin(omega * t)
    stress, energy, _ = follow(LAW, strains, 2 * np.pi / omega / per_cycle)
    last = slice(-per_cycle, None)
    sine, cosine = np.sin(omega * t[last]), np.cos(omega * t[last])
    # chords of the sine shrink it by about (omega dt)^2 / 12 = 8e-5
    measured = 2 * np.mean(stress[last, 4] * sine), 2 * np.mean(stress[last, 4] * cosine)
    assert np.allclose(measured, 2 * amplitude * np.array([storage, loss]), rtol=2e-4)
    assert np.isclose(energy[last, 1].sum(), np.pi * 2 * loss * amplitude**2, rtol=3e-4)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dt", [1e-9, 1e-3, 0.04, 1.0, 30.0, 1e12])
def test_tangent_matches_central_difference(law, dt):
    rng = np.random.default_rng(5)
    state = rng.normal(scale=0.02, size=(1, law.n_state))
    eps = rng.normal(scale=0.02, size=(1, 6))
    out = law.evaluate(eps, dt, state)
    h = 1e-3  # linear in the strain: any increment will do
    columns = [
        (law.evaluate(eps + h * e, dt, state).stress - law.evaluate(eps - h * e, dt, state).stress)
        / (2 * h)
        for e in np.eye(6)
    ]
    numeric = np.array(columns)[:, 0].T
    assert np.abs(out.tangent[0] - numeric).max() < 1e-9 * np.abs(law.stiffness).max()
    assert np.array_equal(out.tangent[0], out.tangent[0].T)


def test_tangent_of_very_short_and_long_steps_is_that_of_the_limits():
    state = LAW.initial_state()[None]
    fast = LAW.evaluate(np.zeros((1, 6)), 1e-12, state).tangent[0]
    slow = LAW.evaluate(np.zeros((1, 6)), 1e12, state).tangent[0]
    K, G = K0 * (1 - sum(K_I)), G0 * (1 - sum(G_I))
    long_term = 2 * G * np.eye(6)
    long_term[:3, :3] += K - 2 * G / 3
    assert np.allclose(fast, LAW.stiffness, rtol=1e-9, atol=1e-6)
    assert np.allclose(slow, long_term, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_random_cyclic_paths_dissipate_and_stay_finite(law):
    rng = np.random.default_rng(7)
    n = 200
    state = np.zeros((n, law.n_state))
    for _ in range(50):
        dt = 10.0 ** rng.uniform(-8, 8)
        out = law.evaluate(rng.uniform(-1, 1, size=(n, 6)), dt, state)
        assert (out.status == 0).all() and (out.energy >= 0).all()
        state = out.state


@pytest.mark.parametrize("x", [1e-320, 1e-12, 1e-3, 0.1, 0.499, 0.501, 2.0, 40.0, 1e200])
def test_energies_match_quadrature_in_time(x):
    # shear of a Maxwell element: h' = d/dt - h/tau, by 40 Gauss points in s = t/tau
    tau, h0, d = 2.0, 0.013, -0.02
    G = G0
    state = np.zeros((1, 12))
    state[0, [0, 9]] = 0.0, h0
    eps = np.zeros((1, 6))
    eps[0, 3] = d
    out = MAXWELL.evaluate(eps, min(x * tau, 1e300), state)
    if x > 1e2:
        expected = G * h0**2  # what the spring held, the rest of the ramp is slow
    else:
        node, weight = np.polynomial.legendre.leggauss(40)
        s = x * (node + 1) / 2
        h = h0 * np.exp(-s) - d * np.expm1(-s) / x
        expected = x / 2 * np.sum(weight * 2 * G * h**2)
    assert np.isclose(out.energy[0, 1], expected, rtol=1e-12)


def test_no_infinite_or_undefined_number_passes():
    eps = np.zeros((3, 6))
    eps[0, 2], eps[1, 0] = np.nan, 1e200
    out = LAW.evaluate(eps, 1.0, np.zeros((3, LAW.n_state)))
    assert out.status.astype(bool).tolist() == [True, True, False]


@pytest.mark.parametrize("law", LAWS)
def test_lanes_agree_with_points_whatever_the_length_of_their_steps(law):
    rng, n, m = np.random.default_rng(9), 3, law.n_state
    strain, state_n = rng.normal(scale=0.02, size=(n, 6, LANES)), rng.normal(size=(n, m, LANES))
    state_n *= 0.02
    dt = np.array([0.3, 0.3, 1e-6, 0.3, 40.0, 0.02, 1e9, 0.3])
    strain[1, 2, 7] = np.nan
    filled = [np.full((n, k, LANES), np.nan) for k in (6, m, 36, 2)]
    active = 0b11101111
    failed = law.lane_kernel(
        0, active, strain, dt, np.zeros(LANES), law.parameters, state_n, *filled
    )
    assert failed == 0b10000000
    stress, state, tangent, energy = filled
    upper = np.triu_indices(6)
    for at in (0, 1, 2, 3, 5, 6):
        out = law.evaluate(strain[..., at], dt[at], state_n[..., at])
        assert np.allclose(stress[..., at], out.stress, rtol=1e-12, atol=1e-12)
        assert np.allclose(state[..., at], out.state, rtol=1e-12, atol=1e-16)
        assert np.allclose(energy[..., at], out.energy, rtol=1e-12)
        square = tangent[..., at].reshape(n, 6, 6)
        assert np.allclose(
            square[:, upper[0], upper[1]],
            out.tangent[:, upper[0], upper[1]],
            rtol=1e-13,
            atol=1e-10,
        )


def test_state_names_and_size():
    assert LAW.n_state == 24 == len(set(LAW.state_names))
    assert LAW.state_names[0] == "eps_11" and LAW.state_names[-1] == "eps_spring3_23"
    assert LAW.rate_dependent and LAW.symmetric and LAW.isotropic


def test_branch_moduli_give_the_same_law():
    law = Viscoelastic.from_branches(
        K_long=K0 * (1 - sum(K_I)),
        G_long=G0 * (1 - sum(G_I)),
        K=[K0 * k for k in K_I],
        G=[G0 * g for g in G_I],
        tau=TAU,
    )
    assert np.allclose(law.parameters, LAW.parameters, rtol=1e-13)


def test_file_round_trip(tmp_path):
    path = tmp_path / "phases.toml"
    write_phases(path, {"matrix": LAW, "other": MAXWELL})
    assert read_phases(path, ["matrix", "other"]) == {"matrix": LAW, "other": MAXWELL}
    assert hash(Viscoelastic.from_table(LAW.to_table())) == hash(LAW)
    path.write_text('[matrix]\nlaw = "viscoelastic"\nE = 3000\nnu = 0.35\ng = [0.2]\ntau = [1]\n')
    assert read_phases(path, ["matrix"])["matrix"].k == (0.0,)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"E": 0.0}, "Viscoelastic: E = 0.0, expected > 0"),
        ({"nu": 0.5}, "nu"),
        ({"g": [0.2]}, "1 values of g, 3 of k and 3 of tau, expected one of each per branch"),
        ({"g": [], "k": [], "tau": []}, "at least one branch"),
        ({"g": [0.5, 0.5, 0.1]}, "g = .*expected values >= 0 with a sum of at most 1"),
        ({"k": [-0.1, 0.0, 0.0]}, "k = .*expected values >= 0 with a sum of at most 1"),
        ({"tau": [0.0, 1.0, 2.0]}, "tau = .*expected times > 0"),
        ({"tau": [1.0, np.nan, 2.0]}, "tau = .*expected finite numbers"),
        ({"g": ["a", 0.1, 0.2]}, "g = .*expected finite numbers"),
        ({"g": [[0.1], [0.1], [0.2]]}, "g = .*expected finite numbers"),
    ],
)
def test_bad_parameters_are_named(change, text):
    with pytest.raises(ParameterError, match=text):
        Viscoelastic(**{"E": E, "nu": NU, "g": G_I, "k": K_I, "tau": TAU, **change})


def test_bad_branches_are_named():
    good = {"K_long": 1.0, "G_long": 1.0, "K": [0.0], "G": [1.0], "tau": [1.0]}
    for change, text in [
        ({"G_long": -1.0}, "G_long = -1.0, expected >= 0"),
        ({"K": [np.inf]}, "K = .*expected finite numbers"),
        ({"K_long": 0.0}, "all bulk or all shear moduli are 0"),
    ]:
        with pytest.raises(ParameterError, match=text):
            Viscoelastic.from_branches(**{**good, **change})


def test_a_step_without_length_is_refused():
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        LAW.evaluate(np.zeros((1, 6)), 0.0, LAW.initial_state()[None])
