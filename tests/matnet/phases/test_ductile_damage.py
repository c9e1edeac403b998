"""Ductile damage: growth along uniaxial tension, twin, tangent, energies."""

import dataclasses
import itertools

import numpy as np
import pytest

from matnet.errors import ParameterError
from matnet.mandel import rotation_matrix
from matnet.phases import (
    J2,
    DuctileDamage,
    ExponentialDamage,
    LemaitreDamage,
    Linear,
    Swift,
    Tabulated,
    Voce,
    read_phases,
    write_phases,
)

E, NU = 200e3, 0.3
G, K = E / 2 / (1 + NU), E / 3 / (1 - 2 * NU)
LEMAITRE = LemaitreDamage(S=1.5, s=1.4, p_D=0.01, d_c=0.6)
EXPONENTIAL = ExponentialDamage(p_f=0.05, p_D=0.01, d_c=0.6)
HARDENINGS = (
    Linear(sig_y=400.0, H=1500.0),
    Voce(sig_y=300.0, Q=200.0, b=25.0),
    Swift(sig_y=350.0, e0=0.01, n=0.2),
    Tabulated(p=[0.0, 0.03, 0.2], sig_y=[300.0, 420.0, 500.0]),
)
GRID = [
    DuctileDamage(E=E, nu=NU, hardening=h, damage=d, tau=tau)
    for h in HARDENINGS
    for d in (LEMAITRE, EXPONENTIAL)
    for tau in (0.0, 0.5)
]
IDS = [f"{law.hardening.kind}-{law.damage.kind}-{law.tau}" for law in GRID]


def follow(law, strains, dt=1.0):
    """Stress, state and energies along a path, by the kernel itself: many short steps."""
    par, n = law.parameters, len(strains)
    stress, state, energy = np.zeros((n, 6)), np.zeros((n + 1, law.n_state)), np.zeros((n, 2))
    tangent = np.zeros((6, 6))
    for i, eps in enumerate(strains):
        out = (stress[i], state[i + 1], tangent, energy[i])
        assert law.kernel(eps, dt, 0.0, par, state[i], *out) == 0
    return stress, state[1:], energy


def tension(law, p_end, steps):
    """Strains of uniaxial stress up to a plastic strain: the effective stress is sigma_y(p)."""
    p = np.linspace(0.0, p_end, steps + 1)
    elastic = law.hardening.yield_stress(p) / E
    axial, lateral = elastic + p, -NU * elastic - p / 2
    zero = np.zeros_like(p)
    return p, np.stack([axial, lateral, lateral, zero, zero, zero], axis=1)


def twin(law, eps, dt, eps_p, p_n, d_n, target_n):
    """The equations as the docstring has them, the return by bisection."""
    elastic = law.stiffness @ (eps - eps_p)
    dev = elastic - elastic[:3].mean() * np.array([1, 1, 1, 0, 0, 0])
    q = np.sqrt(1.5 * dev @ dev)
    dp, flow = 0.0, law.hardening.yield_stress
    if q > flow(p_n):
        low, high = 0.0, q / (3 * G)
        for _ in range(200):
            dp = (low + high) / 2
            low, high = (dp, high) if q - 3 * G * dp > flow(p_n + dp) else (low, dp)
    eps_p = eps_p + (1.5 * dp / q * dev if dp else 0.0)
    sig = law.stiffness @ (eps - eps_p)
    p, rule, target = p_n + dp, law.damage, target_n
    release = sig @ (eps - eps_p) / 2
    if dp and p > rule.p_D:
        if rule.kind == "lemaitre":
            growth = (release / rule.S) ** rule.s * (p - max(p_n, rule.p_D))
            target = min(target_n + growth, rule.d_c)
        else:
            target = rule.d_c * (1 - np.exp(-(p - rule.p_D) / rule.p_f))
    d = d_n + dt / (law.tau + dt) * (target - d_n)
    return (1 - d) * sig, eps_p, p, d, target


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_random_cyclic_paths_agree_with_the_twin(law):
    rng = np.random.default_rng(1)
    eps_p, p, d, target, eps = np.zeros(6), 0.0, 0.0, 0.0, np.zeros(6)
    state = law.initial_state()[None]
    for _ in range(30):
        eps = eps + rng.normal(scale=4e-3, size=6)
        out = law.evaluate(eps[None], 0.3, state)
        sig, eps_p, p, d, target = twin(law, eps, 0.3, eps_p, p, d, target)
        expected = [*eps_p, p, d, target] if law.tau else [*eps_p, p, d]
        assert np.allclose(out.state[0], expected, rtol=1e-9, atol=1e-14)
        assert np.allclose(out.stress[0], sig, rtol=1e-9, atol=1e-9 * np.abs(sig).max())
        state = out.state
    assert d > 0.1


@pytest.mark.parametrize("hardening", HARDENINGS, ids=lambda part: part.kind)
def test_exponential_damage_follows_its_curve_in_uniaxial_tension(hardening):
    law = DuctileDamage(E=E, nu=NU, hardening=hardening, damage=EXPONENTIAL)
    p, strains = tension(law, 0.3, 120)
    stress, state, _ = follow(law, strains)
    d = np.where(p > 0.01, 0.6 * (1 - np.exp(-(p - 0.01) / 0.05)), 0.0)
    assert np.allclose(state[:, 6], p, atol=1e-12)
    assert np.allclose(state[:, 7], d, atol=1e-11)
    assert np.allclose(stress[:, 0], (1 - d) * hardening.yield_stress(p), rtol=1e-9)
    assert np.allclose(stress[:, 1:], 0.0, atol=1e-7)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
def test_lemaitre_damage_is_linear_in_p_without_hardening(s):
    # uniaxial tension, perfect plasticity: Y = sig_y^2 / 2E all along, whatever the steps
    rule = LemaitreDamage(S=0.8, s=s, p_D=0.02, d_c=0.4)
    law = DuctileDamage(E=E, nu=NU, hardening=Linear(sig_y=400.0), damage=rule)
    p, strains = tension(law, 1.0, 37)
    stress, state, _ = follow(law, strains)
    d = np.minimum((400.0**2 / (2 * E) / 0.8) ** s * np.maximum(p - 0.02, 0.0), 0.4)
    assert np.allclose(state[:, 7], d, atol=1e-10)
    assert np.allclose(stress[:, 0], (1 - d) * 400.0, rtol=1e-9)
    assert (d[-1] == 0.4) == (s < 2.0)


def test_lemaitre_damage_with_hardening_converges_to_its_integral():
    sig_y, H, S = 400.0, 1500.0, 1.5
    rule = LemaitreDamage(S=S, p_D=0.01, d_c=0.9)
    law = DuctileDamage(E=E, nu=NU, hardening=Linear(sig_y=sig_y, H=H), damage=rule)
    errors = []
    for steps in (300, 600):
        p, strains = tension(law, 0.3, steps)
        _, state, _ = follow(law, strains)
        start = np.maximum(p, 0.01)
        d = ((sig_y + H * start) ** 3 - (sig_y + H * 0.01) ** 3) / (6 * H * E * S)
        errors.append(np.abs(state[:, 7] - d).max() / d[-1])
    assert errors[1] < 2e-3 and np.isclose(errors[0] / errors[1], 2.0, atol=0.1)


def test_triaxiality_hastens_damage():
    # shear against plane strain with pressure: Y = q^2/2E (2 (1 + nu)/3 + 3 (1 - 2 nu) (s_m/q)^2)
    law = DuctileDamage(
        E=E, nu=NU, hardening=Linear(sig_y=400.0), damage=LemaitreDamage(S=2.0, d_c=0.9)
    )
    for s_m in (0.0, 400.0, -800.0):
        elastic = 400.0 / (np.sqrt(3) * 2 * G) * np.sqrt(2)
        shear = np.linspace(elastic, elastic + 0.1 * np.sqrt(1.5), 11)
        strains = np.zeros((11, 6))
        strains[:, 3] = shear
        strains[:, :3] = s_m / (3 * K)
        _, state, _ = follow(law, strains)
        ratio = 2 * (1 + NU) / 3 + 3 * (1 - 2 * NU) * (s_m / 400.0) ** 2
        p = np.linspace(0.0, 0.1, 11)
        assert np.allclose(state[:, 6], p, atol=1e-12)
        assert np.allclose(state[:, 7], 400.0**2 / (2 * E) * ratio / 2.0 * p, atol=1e-11)


def test_without_damage_it_is_j2_plasticity():
    law = dataclasses.replace(GRID[0], damage=LemaitreDamage(S=1.0, p_D=1e3))
    plain = J2(E=E, nu=NU, hardening=law.hardening)
    rng = np.random.default_rng(3)
    state = np.zeros((20, 8))
    for _ in range(10):
        eps = rng.normal(scale=0.02, size=(20, 6))
        ours, theirs = law.evaluate(eps, 1.0, state), plain.evaluate(eps, 1.0, state[:, :7].copy())
        for field in ("stress", "tangent", "energy"):
            assert np.array_equal(getattr(ours, field), getattr(theirs, field))
        state = ours.state


def test_viscous_damage_lags_and_catches_up():
    law = dataclasses.replace(GRID[1], tau=2.0)
    _, strains = tension(law, 0.1, 20)
    held = np.vstack([strains, np.tile(strains[-1], (200, 1))])
    _, state, energy = follow(law, held, 0.1)
    assert (state[:, 7] <= state[:, 8]).all() and (state[21:, 8] == state[20, 8]).all()
    gap = state[20:, 8] - state[20:, 7]
    assert gap[0] > 0.01
    assert np.allclose(gap, gap[0] * (1 + 0.1 / 2.0) ** -np.arange(201.0), atol=1e-12)
    assert (energy[21:40, 1] > 0).all()
    assert law.rate_dependent and not GRID[0].rate_dependent


def branches(law):
    """Name, strain, state on every branch of the kernel; p and d stand for the past."""
    rng = np.random.default_rng(11)
    tail = (0.2,) if law.tau else ()
    virgin, used = np.zeros(law.n_state), np.zeros(law.n_state)
    used[6:] = 0.05, 0.15, *tail
    full = used.copy()
    full[7:] = 0.6
    early = virgin.copy()
    early[6] = 0.004
    for _ in range(3):
        n = rng.normal(size=6)
        n[:3] -= 0.7 * n[:3].mean()
        n /= np.linalg.norm(n)
        used[:6] = full[:6] = 0.002 * rng.normal(size=6)
        used[2] = full[2] = -used[0] - used[1]
        yield "elastic", 1e-4 * n, virgin
        yield "elastic with damage", used[:6] + 5e-4 * n, used
        yield "plastic before damage", 6e-3 * n, virgin
        yield "damage begins in the step", 3e-2 * n, early
        yield "damage grows", used[:6] + 2e-2 * n, used
        yield "saturated", full[:6] + 2e-2 * n, full
        yield "saturates in a huge step", n, used


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_tangent_matches_central_difference_on_each_branch(law):
    for name, eps, state_n in branches(law):
        state, h = np.tile(state_n, (12, 1)), 1e-5 * np.abs(eps).max()
        out = law.evaluate(eps[None], 0.3, state[:1])
        ends = law.evaluate(eps + h * np.vstack([np.eye(6), -np.eye(6)]), 0.3, state).stress
        numeric = ((ends[:6] - ends[6:]) / (2 * h)).T
        assert np.abs(out.tangent[0] - numeric).max() < 1e-6 * np.abs(numeric).max(), name
        grew = out.state[0, 7] > state_n[7]
        expected = {
            "damage begins in the step": True,
            "damage grows": True,
            "plastic before damage": False,
            "saturated": False,
        }
        assert grew == expected.get(name, grew), name


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_energy_balance_closes_as_steps_shrink(law):
    rng = np.random.default_rng(2)
    corners = np.vstack([np.zeros(6), rng.normal(scale=0.015, size=(4, 6))])
    gaps = []
    for n in (300, 600):
        s = np.arange(1, n + 1)[:, None] / n
        path = np.vstack([a + s * (b - a) for a, b in itertools.pairwise(corners)])
        stress, state, energy = follow(law, path, dt=1.0 / n)
        sig, at = np.vstack([np.zeros(6), stress]), np.vstack([np.zeros(6), path])
        work = np.sum(0.5 * (sig[1:] + sig[:-1]) * np.diff(at, axis=0))
        gaps.append(abs(work - energy[-1, 0] - energy[:, 1].sum()) / work)
    assert state[-1, 7] > 0.1
    assert gaps[1] < 5e-3 and gaps[1] < 0.6 * gaps[0]  # first order


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_large_random_cyclic_paths_dissipate_and_stay_finite(law):
    rng = np.random.default_rng(4)
    state = np.zeros((200, law.n_state))
    for _ in range(40):
        scale = 10 ** rng.uniform(-6, 0)
        out = law.evaluate(rng.uniform(-scale, scale, (200, 6)), 10 ** rng.uniform(-6, 6), state)
        assert (out.status == 0).all() and (out.energy >= 0).all()
        assert (out.state[:, 7] >= state[:, 7]).all() and (out.state[:, 7] <= 0.6).all()
        state = out.state


def test_response_does_not_depend_on_the_frame():
    rng = np.random.default_rng(6)
    for law in GRID[:4]:
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turn = rotation_matrix(q * np.sign(np.linalg.det(q)))
        eps, state = rng.normal(scale=2e-2, size=6), law.initial_state()[None]
        here, there = (law.evaluate(e[None], 1.0, state) for e in (eps, turn @ eps))
        assert np.allclose(there.stress[0], turn @ here.stress[0], atol=1e-8)
        assert np.allclose(there.tangent[0], turn @ here.tangent[0] @ turn.T, atol=1e-5)
        assert np.allclose(there.state[0, 6:], here.state[0, 6:], rtol=1e-11)


def test_no_infinite_or_undefined_number_passes():
    eps = np.zeros((3, 6))
    eps[0, 2], eps[1, 0] = np.nan, 1e200
    for law in GRID:
        out = law.evaluate(eps, 1.0, np.zeros((3, law.n_state)))
        assert out.status.astype(bool).tolist() == [True, True, False]


def test_state_is_small_and_named():
    assert GRID[0].state_names[-2:] == ("p", "d") and GRID[0].n_state == 8
    assert GRID[1].state_names[-2:] == ("d", "d_inviscid") and GRID[1].n_state == 9
    assert not GRID[0].symmetric and GRID[0].isotropic


def test_file_round_trip(tmp_path):
    path = tmp_path / "phases.toml"
    laws = dict(zip(IDS, GRID, strict=True))
    write_phases(path, laws)
    assert read_phases(path, IDS) == laws
    assert len({hash(law) for law in GRID}) == len(GRID)
    path.write_text(
        '[matrix]\nlaw = "ductile-damage"\nE = 2e5\nnu = 0.3\n'
        'hardening = { kind = "linear", sig_y = 400.0, H = 1500.0 }\n'
        'damage = { kind = "lemaitre", S = 1.5, s = 1.4, p_D = 0.01, d_c = 0.6 }\n'
    )
    assert read_phases(path, ["matrix"])["matrix"] == GRID[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"E": 0.0}, r"DuctileDamage: E = 0.0, expected > 0"),
        ({"nu": 0.5}, r"DuctileDamage: nu = 0.5, expected a value between -1 and 0.5"),
        ({"tau": -1.0}, r"DuctileDamage: tau = -1.0, expected >= 0"),
        ({"hardening": 3}, r"DuctileDamage: hardening = 3, expected one of Linear"),
        ({"damage": {"kind": "x"}}, r"DuctileDamage: damage: kind 'x' is unknown, expected one of"),
        ({"damage": {"kind": "lemaitre"}}, r"damage: kind 'lemaitre' lacks S"),
        ({"hardening": Voce(sig_y=400.0, Q=-300.0, b=1e4)}, r"DuctileDamage: hardening falls by"),
    ],
)
def test_bad_parameters_are_named(change, text):
    good = {"E": E, "nu": NU, "hardening": HARDENINGS[0], "damage": LEMAITRE}
    with pytest.raises(ParameterError, match=text):
        DuctileDamage(**{**good, **change})


def test_bad_damage_rules_are_named():
    for make, text in [
        (lambda: LemaitreDamage(S=0.0), r"LemaitreDamage: S = 0.0, expected > 0"),
        (lambda: LemaitreDamage(S=1.0, s=-1.0), r"LemaitreDamage: s = -1.0, expected > 0"),
        (lambda: LemaitreDamage(S=1.0, p_D=-1.0), r"LemaitreDamage: p_D = -1.0, expected >= 0"),
        (lambda: ExponentialDamage(p_f=0.0), r"ExponentialDamage: p_f = 0.0, expected > 0"),
        (lambda: ExponentialDamage(p_f=1.0, d_c=1.0), r"d_c = 1.0, expected a value between 0"),
    ]:
        with pytest.raises(ParameterError, match=text):
            make()
