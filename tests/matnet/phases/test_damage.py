"""Elastic-brittle damage: softening curves, fracture energy, viscosity, tangent, energies."""

import dataclasses
import itertools

import numpy as np
import pytest

from matnet.errors import ParameterError
from matnet.mandel import from_mandel, rotation_matrix
from matnet.phases import Damage, read_phases, write_phases
from matnet.simd import LANES

E, NU, K0, KF = 10e3, 0.22, 1e-3, 4e-3
GRID = [
    Damage(E=E, nu=NU, kappa_0=K0, kappa_f=KF, measure=m, softening=s, tau=tau)
    for m in ("mazars", "energy", "von-mises")
    for s in ("exponential", "linear")
    for tau in (0.0, 0.5)
]
IDS = [f"{law.measure}-{law.softening}-{law.tau}" for law in GRID]


def uniaxial(eps):
    """Strain of uniaxial stress: damage leaves Poisson's ratio alone."""
    return np.multiply.outer(eps, [1.0, -NU, -NU, 0.0, 0.0, 0.0])


def softened(law, kappa):
    """Uniaxial tensile stress without viscosity."""
    if law.softening == "linear":
        curve = E * K0 * (KF - kappa) / (KF - K0)
    else:
        curve = E * K0 * np.exp(-(kappa - K0) / (KF - K0))
    return np.where(kappa <= K0, E * kappa, np.maximum(curve, (1 - law.d_max) * E * kappa))


def follow(law, strains, dt=1.0):
    """Stress, state and energies along a path, by the kernel itself: many short steps."""
    par, n = law.parameters, len(strains)
    stress, state, energy = np.zeros((n, 6)), np.zeros((n + 1, 2)), np.zeros((n, 2))
    tangent = np.zeros((6, 6))
    for i, eps in enumerate(strains):
        out = (stress[i], state[i + 1], tangent, energy[i])
        assert law.kernel(eps, dt, 0.0, par, state[i], *out) == 0
    return stress, state[1:], energy


def twin(law, eps, dt, kappa_n, d_n):
    """Stress, kappa, d from the equations as the docstring has them."""
    tensor = from_mandel(eps)
    trace, dev = np.trace(tensor), tensor - np.trace(tensor) / 3 * np.eye(3)
    sig = law.stiffness @ eps
    if law.measure == "mazars":
        value = np.sqrt((np.maximum(np.linalg.eigvalsh(tensor), 0) ** 2).sum())
    elif law.measure == "energy":
        value = np.sqrt(eps @ sig / E)
    else:
        k, j2 = law.ratio, (dev**2).sum() / 2
        i1 = (k - 1) / (1 - 2 * NU) * trace
        value = (i1 + np.sqrt(i1**2 + 12 * k / (1 + NU) ** 2 * j2)) / (2 * k)
    kappa = max(value, kappa_n, K0)
    target = 1 - softened(law, np.array(kappa)) / (E * kappa)
    d = d_n + dt / (law.tau + dt) * (target - d_n)
    return (1 - d) * sig, kappa, d


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_random_cyclic_paths_agree_with_the_twin(law):
    rng = np.random.default_rng(1)
    kappa, d, state = 0.0, 0.0, law.initial_state()[None]
    for _ in range(60):
        eps = rng.normal(scale=10 ** rng.uniform(-4, -1.5), size=6)
        out = law.evaluate(eps[None], 0.3, state)
        sig, kappa, d = twin(law, eps, 0.3, kappa, d)
        assert np.allclose(out.stress[0], sig, rtol=1e-11, atol=1e-11 * np.abs(sig).max())
        assert np.allclose(out.state[0], [kappa, d], rtol=1e-11)
        state = out.state


@pytest.mark.parametrize("law", GRID[::2], ids=IDS[::2])
def test_uniaxial_tension_softens_along_the_curve(law):
    eps = np.linspace(0.0, 3 * KF, 200)[1:]
    stress, state, _ = follow(law, uniaxial(eps))
    if law.measure == "mazars":  # only the axial strain is positive
        assert np.allclose(state[:, 0], np.maximum(eps, K0), rtol=1e-12)
    assert np.allclose(stress[:, 0], softened(law, eps), rtol=1e-10)
    assert np.allclose(stress[:, 1:], 0.0, atol=1e-9)


def test_strength_in_compression_depends_on_the_measure():
    peaks = []
    for measure in ("mazars", "energy", "von-mises"):
        law = Damage(E=E, nu=NU, kappa_0=K0, kappa_f=KF, measure=measure, ratio=8.0)
        stress, *_ = follow(law, uniaxial(-np.linspace(0.0, 0.02, 4001)[1:]))
        damaged = np.flatnonzero(np.abs(stress[:, 0]) < E * np.linspace(0, 0.02, 4001)[1:] - 1e-9)
        peaks.append(E * 0.02 * damaged[0] / 4000)
    # Mazars: two lateral strains nu eps
    assert np.allclose(peaks, [E * K0 / (NU * np.sqrt(2)), E * K0, 8 * E * K0], rtol=2e-3)


@pytest.mark.parametrize("softening", ["exponential", "linear"])
def test_failure_dissipates_the_fracture_energy(softening):
    law = Damage.from_strength(
        E=E, nu=NU, strength=9.0, toughness=0.1, size=2.5, softening=softening, d_max=1 - 1e-9
    )
    assert np.isclose(law.kappa_0 * E, 9.0)
    eps = np.concatenate(
        [np.linspace(0, law.kappa_f, 4000)[1:], np.linspace(1, 12, 4000) * law.kappa_f]
    )
    stress, _, energy = follow(law, uniaxial(eps))
    sig, at = np.append(0.0, stress[:, 0]), np.append(0.0, eps)
    work = np.sum(0.5 * (sig[1:] + sig[:-1]) * np.diff(at))
    assert np.isclose(work * 2.5, 0.1, rtol=1e-3)
    assert np.isclose(energy[:, 1].sum() * 2.5, 0.1, rtol=4e-3)  # backward Euler


def test_unloading_goes_to_the_origin_and_reloading_back():
    law = GRID[0]
    eps = np.concatenate([np.linspace(0, 3e-3, 30), np.linspace(3e-3, -3e-3, 30)])
    stress, state, energy = follow(law, uniaxial(eps))
    d = 1 - softened(law, np.array(3e-3)) / (E * 3e-3)
    assert np.allclose(state[30:], [3e-3, d])
    assert np.allclose(stress[30:, 0], (1 - d) * E * eps[30:])
    assert (energy[30:, 1] == 0.0).all()


def test_viscous_damage_approaches_its_target_exponentially():
    law = dataclasses.replace(GRID[0], tau=2.0)
    eps = np.tile(uniaxial(3e-3), (400, 1))
    dt = 0.02
    _, state, _ = follow(law, eps, dt)
    target = 1 - softened(law, np.array(3e-3)) / (E * 3e-3)
    n = np.arange(1, 401)
    assert np.allclose(state[:, 1], target * (1 - (1 + dt / 2.0) ** -n), rtol=1e-10)
    assert np.allclose(state[:, 1], target * (1 - np.exp(-n * dt / 2.0)), atol=2e-3)
    assert law.rate_dependent and not GRID[0].rate_dependent


def branches(law):
    """Name, strain, state: every branch of the kernel."""
    rng = np.random.default_rng(11)
    for _ in range(4):
        eps = rng.normal(size=6)
        eps *= 2.5e-3 / twin(law, eps, 1.0, 0.0, 0.0)[1]
        yield "elastic", 0.3 * eps, (0.0, 0.0)
        yield "damaging from the virgin state", eps, (0.0, 0.0)
        d = twin(dataclasses.replace(law, tau=0.0), 0.8 * eps, 1.0, 0.0, 0.0)[2]
        yield "damaging further", eps, (2e-3, 0.9 * d if law.tau else d)
        yield "unloading", 0.5 * eps, (2e-3, 0.9 * d if law.tau else d)
        yield "saturated", 20 * eps, (40e-3, law.d_max)
        yield "saturating", 400 * eps, (2e-3, d)
    # no principal strain is 0: there the second derivative of <eps>^2 jumps
    for eps in (
        [1, 1, 1, 0, 0, 0],
        [1, 1, -0.3, 0, 0, 0],
        [2, -0.3, -0.3, 0, 0, 0],
        [-0.5] * 3 + [3, 0, 0],
    ):
        yield "equal principal strains", 1.5e-3 * np.array(eps, dtype=float), (0.0, 0.0)


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_tangent_matches_central_difference_on_each_branch(law):
    for name, eps, state_n in branches(law):
        state, h = np.array([state_n]), 1e-5 * np.abs(eps).max()
        tangent = law.evaluate(eps[None], 0.3, state).tangent[0]
        ends = [
            law.evaluate(eps + sign * h * np.eye(6), 0.3, np.tile(state, (6, 1))).stress
            for sign in (1, -1)
        ]
        numeric = ((ends[0] - ends[1]) / (2 * h)).T
        assert np.abs(tangent - numeric).max() < 1e-6 * np.abs(numeric).max(), name
        if law.symmetric:
            assert np.allclose(tangent, tangent.T, rtol=1e-13, atol=1e-10)


def test_only_the_energy_measure_claims_and_has_a_symmetric_tangent():
    eps = np.array([2e-3, -1e-3, 4e-4, 1e-3, 0, -5e-4])
    for law in GRID:
        tangent = law.evaluate(eps[None], 1.0, np.zeros((1, 2))).tangent[0]
        gap = np.abs(tangent - tangent.T).max() / np.abs(tangent).max()
        assert law.symmetric == (law.measure == "energy") == (gap < 1e-12)


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_energy_balance_closes_as_steps_shrink(law):
    rng = np.random.default_rng(2)
    corners = np.vstack([np.zeros(6), rng.normal(scale=3e-3, size=(5, 6))])
    gaps = []
    for n in (200, 400):
        s = np.arange(1, n + 1)[:, None] / n
        path = np.vstack([a + s * (b - a) for a, b in itertools.pairwise(corners)])
        stress, _, energy = follow(law, path, dt=1.0 / n)
        sig, at = np.vstack([np.zeros(6), stress]), np.vstack([np.zeros(6), path])
        work = np.sum(0.5 * (sig[1:] + sig[:-1]) * np.diff(at, axis=0))
        gaps.append(abs(work - energy[-1, 0] - energy[:, 1].sum()) / work)
    assert gaps[1] < 1e-2 and gaps[1] < 0.6 * gaps[0]  # first order


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_large_random_cyclic_paths_dissipate_and_stay_finite(law):
    rng = np.random.default_rng(4)
    state = np.zeros((200, 2))
    for _ in range(40):
        scale = 10 ** rng.uniform(-6, 0)
        out = law.evaluate(rng.uniform(-scale, scale, (200, 6)), 10 ** rng.uniform(-6, 6), state)
        assert (out.status == 0).all() and (out.energy >= 0).all()
        assert (out.state[:, 1] >= state[:, 1]).all() and (out.state[:, 1] < 1).all()
        state = out.state


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_zero_strain_is_answered(law):
    out = law.evaluate(np.zeros((1, 6)), 1.0, np.zeros((1, 2)))
    assert out.status[0] == 0 and not out.stress.any() and not out.energy.any()
    assert np.allclose(out.tangent[0], law.stiffness)


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_response_does_not_depend_on_the_frame(law):
    rng = np.random.default_rng(6)
    for _ in range(5):
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        q *= np.sign(np.linalg.det(q))
        turn = rotation_matrix(q)
        eps = rng.normal(scale=2e-3, size=6)
        here = law.evaluate(eps[None], 1.0, np.zeros((1, 2)))
        there = law.evaluate((turn @ eps)[None], 1.0, np.zeros((1, 2)))
        assert np.allclose(there.stress[0], turn @ here.stress[0], atol=1e-11)
        assert np.allclose(there.tangent[0], turn @ here.tangent[0] @ turn.T, atol=1e-7)
        assert np.allclose(there.state, here.state, rtol=1e-12)


@pytest.mark.parametrize("law", GRID, ids=IDS)
def test_lanes_agree_with_points(law):
    rng, n = np.random.default_rng(9), 3
    strain = rng.normal(scale=2e-3, size=(n, 6, LANES)) * np.geomspace(0.1, 10.0, LANES)
    state_n = np.zeros((n, 2, LANES))
    state_n[1] = np.array([1.5e-3, 0.2])[:, None]
    state_n[2] = np.array([0.05, law.d_max])[:, None]
    dt = np.geomspace(1e-3, 10.0, LANES)
    strain[1, 2, 7] = np.nan
    filled = [np.full((n, k, LANES), np.nan) for k in (6, 2, 36, 2)]
    failed = law.lane_kernel(
        0, 0b11101111, strain, dt, np.zeros(LANES), law.parameters, state_n, *filled
    )
    assert failed == 0b10000000
    for at in (0, 1, 2, 3, 5, 6):
        out = law.evaluate(strain[..., at], dt[at], state_n[..., at])
        points = (out.stress, out.state, out.tangent.reshape(n, 36), out.energy)
        for ours, theirs in zip(filled, points, strict=True):
            assert np.allclose(ours[..., at], theirs, rtol=1e-12, atol=1e-14 * np.abs(theirs).max())


def test_no_infinite_or_undefined_number_passes():
    eps = np.zeros((3, 6))
    eps[0, 2], eps[1, 0] = np.nan, 1e200
    for law in GRID:
        out = law.evaluate(eps, 1.0, np.zeros((3, 2)))
        assert out.status.astype(bool).tolist() == [True, True, False]


def test_file_round_trip(tmp_path):
    path = tmp_path / "phases.toml"
    laws = dict(zip(IDS, GRID, strict=True))
    write_phases(path, laws)
    assert read_phases(path, IDS) == laws
    path.write_text('[0]\nlaw = "damage"\nE = 1e4\nnu = 0.22\nkappa_0 = 1e-3\nkappa_f = 4e-3\n')
    assert read_phases(path, ["matrix"])["matrix"] == GRID[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"E": -1.0}, "Damage: E = -1.0, expected > 0"),
        ({"nu": -1.0}, "nu"),
        ({"kappa_0": 0.0}, "Damage: kappa_0 = 0.0, expected > 0"),
        ({"kappa_f": K0}, "Damage: kappa_f = 0.001, expected more than kappa_0 = 0.001"),
        ({"measure": "rankine"}, "measure = 'rankine', expected one of mazars, energy, von-mises"),
        ({"softening": 3}, "softening = 3, expected one of exponential, linear"),
        ({"ratio": 0.9}, "ratio = 0.9, expected at least 1"),
        ({"d_max": 1.0}, "d_max = 1.0, expected a value between 0 and 1"),
        ({"tau": -1.0}, "tau = -1.0, expected >= 0"),
    ],
)
def test_bad_parameters_are_named(change, text):
    with pytest.raises(ParameterError, match=text):
        Damage(**{"E": E, "nu": NU, "kappa_0": K0, "kappa_f": KF, **change})


def test_a_zone_too_large_for_its_crack_is_refused():
    good = {"E": E, "nu": NU, "strength": 10.0, "toughness": 0.1, "size": 1.0}
    with pytest.raises(ParameterError, match=r"size = 20.0, expected less than 20"):
        Damage.from_strength(**{**good, "size": 20.0})
    with pytest.raises(ParameterError, match=r"strength = 0.0, expected > 0"):
        Damage.from_strength(**{**good, "strength": 0.0})


def test_viscous_damage_needs_a_step_of_some_length():
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        GRID[1].evaluate(np.zeros((1, 6)), 0.0, np.zeros((1, 2)))
    assert GRID[0].evaluate(np.zeros((1, 6)), 0.0, np.zeros((1, 2))).status[0] == 0
