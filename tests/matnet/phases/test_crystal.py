"""Crystal plasticity of face-centred cubic metals."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import root

from matnet.directions import random_rotations
from matnet.errors import ParameterError
from matnet.mandel import rotation_matrix, to_mandel
from matnet.phases import CrystalPlasticity, read_phases, write_phases
from matnet.phases.crystal_kernel import BASIS, SLIP, SYSTEMS, eliminate
from matnet.phases.frames import bunge_axes

COPPER = CrystalPlasticity(  # MPa, s
    C11=168e3,
    C12=121e3,
    C44=75e3,
    g0=16.0,
    gammadot0=1e-3,
    n=20.0,
    h0=180.0,
    g_inf=148.0,
    a=2.25,
    q=1.4,
)
TURNED = replace(COPPER, euler=(30.0, 45.0, 70.0))
PERFECT = replace(TURNED, h0=0.0)
VISCOUS = replace(TURNED, n=1.0, q=1.0)
SHARP = replace(TURNED, n=100.0)
LAWS = (TURNED, PERFECT, VISCOUS, SHARP)
NAMES = ("copper", "perfect", "viscous", "sharp")
each_law = pytest.mark.parametrize("law", LAWS, ids=NAMES)
SQRT6 = math.sqrt(6.0)

# the model in plain numpy, by system and with tensors


def schmid(axes=None):
    """Schmid tensors (12, 6), Mandel, in the given frame."""
    axes = np.eye(3) if axes is None else axes
    full = [np.outer(axes @ d, axes @ n) / SQRT6 for n, d in SYSTEMS]
    return to_mandel([0.5 * (m + m.T) for m in full])


def latent(law):
    """q_ab (12, 12)."""
    planes = [n for n, _ in SYSTEMS]
    return np.array([[1.0 if n == m else law.q for m in planes] for n in planes])


def slip_increments(law, stress, g, dt):
    r = schmid(law_axes(law)) @ stress / g
    return law.gammadot0 * dt * np.abs(r) ** law.n * np.sign(r)


def law_axes(law):
    return np.eye(3) if law.euler is None else bunge_axes(law.euler)


def gains(law, g, slip):
    """Growth of the resistances (12,) by these slips, with h at the resistances g."""
    rest = 1.0 - g / (law.g_inf or 1.0)
    return latent(law) @ (law.h0 * np.abs(rest) ** law.a * np.sign(rest) * np.abs(slip))


def virgin(law, n=1):
    return np.tile(law.initial_state(), (n, 1))


def random_steps(law, n, seed, size):
    """Strains and the states of an earlier step; sizes from a hundredth of `size` to `size`."""
    rng = np.random.default_rng(seed)
    strain = rng.standard_normal((n, 6)) * size * 10.0 ** rng.uniform(-2, 0, (n, 1))
    return strain, law.evaluate(0.3 * strain[::-1], 1.0, virgin(law, n)).state


def under_stress(law, strain_33, dt, state_n, start):
    """Uniaxial stress along 3 at given strain 33: Newton with the law's tangent."""
    free = [0, 1, 3, 4, 5]
    strain = start.copy()
    strain[2] = strain_33
    for _ in range(60):
        out = law.evaluate(strain[None], dt, state_n)
        residual = out.stress[0, free]
        if np.abs(residual).max() < 1e-8:
            return strain, out
        strain[free] -= np.linalg.solve(out.tangent[0][np.ix_(free, free)], residual)
    raise AssertionError("no equilibrium")


# systems


def test_systems_are_the_twelve_octahedral_ones_three_to_a_plane():
    assert len({(n, frozenset([d, tuple(-x for x in d)])) for n, d in SYSTEMS}) == 12
    for a, (n, d) in enumerate(SYSTEMS):
        assert np.dot(n, d) == 0 and sorted(map(abs, d)) == [0, 1, 1]
        assert n == SYSTEMS[a - a % 3][0]
    assert np.allclose(SLIP @ BASIS, schmid(), atol=1e-15)
    assert np.allclose(np.sum(SLIP**2, axis=1), 0.5)


@pytest.mark.parametrize(
    ("direction", "factor", "count"),
    [((0, 0, 1), 1 / SQRT6, 8), ((1, 1, 1), 2 / (3 * SQRT6), 6), ((1, 2, 3), 8 / (7 * SQRT6), 1)],
    ids=["001", "111", "123"],
)
def test_tension_activates_the_systems_of_the_largest_schmid_factor(direction, factor, count):
    """Strain made from a stress that slips visibly gives back that stress and these systems."""
    d = np.array(direction) / np.linalg.norm(direction)
    pull = to_mandel(np.outer(d, d))
    law = replace(COPPER, n=100.0, h0=0.0)
    stress = 1.01 * law.g0 / factor * pull
    slip = slip_increments(law, stress, law.g0, 1.0)
    active = np.abs(slip) > 0.9 * np.abs(slip).max()
    assert active.sum() == count
    assert np.allclose(np.abs(slip[active]), 1e-3 * 1.01**100, rtol=1e-9)
    strain = np.linalg.solve(law.stiffness, stress) + slip @ schmid()
    out = law.evaluate(strain[None], 1.0, virgin(law))
    assert np.allclose(out.stress[0], stress, atol=1e-9)
    assert out.state[0, 10] == pytest.approx(np.abs(slip).sum(), rel=1e-9)


MORE = (*LAWS, replace(TURNED, q=1.0), replace(TURNED, n=12.5, a=1.0))


@pytest.mark.parametrize("law", MORE, ids=(*NAMES, "even", "odd"))
def test_steps_made_from_their_end_are_found_along_a_path(law):
    """Choose stress and resistances at the end: strain and resistances at the start follow."""
    rng = np.random.default_rng(1)
    systems = schmid(law_axes(law))
    for size in np.geomspace(0.2, 1.02 if law.n == 100.0 else 1.1, 12):
        stress = rng.standard_normal(6)
        g = np.repeat(rng.uniform(30.0, 60.0, 4), 3)
        stress *= size / np.abs(systems @ stress / g).max()
        dt = 10.0
        slip = slip_increments(law, stress, g, dt)
        eps_p_n = 0.01 * rng.standard_normal(6)
        eps_p = eps_p_n + slip @ systems
        strain = np.linalg.solve(law.stiffness, stress) + eps_p
        g_n = g - gains(law, g, slip)
        assert g_n.min() > 10.0
        state_n = np.concatenate([eps_p_n, g_n[::3], [0.5]])
        out = law.evaluate(strain[None], dt, state_n[None])
        assert np.allclose(out.stress[0], stress, rtol=1e-9, atol=1e-8)
        assert np.allclose(out.state[0, :6], eps_p, atol=1e-12)
        assert np.allclose(out.state[0, 6:10], g[::3], rtol=1e-10)
        assert out.state[0, 10] == pytest.approx(0.5 + np.abs(slip).sum(), rel=1e-9)
        tau = systems @ stress
        assert out.energy[0, 1] == pytest.approx(tau @ slip, rel=1e-8)
        assert out.energy[0, 0] == pytest.approx(0.5 * stress @ (strain - eps_p), rel=1e-8)


@pytest.mark.parametrize("size", [3e-4, 2e-3, 2e-2])
def test_update_equals_a_root_of_the_plain_residual(size):
    law, rng = TURNED, np.random.default_rng(2)
    strain, dt = size * rng.standard_normal(6), 1.0
    systems = schmid(law_axes(law))

    def residual(x, law):
        stress, g = 100.0 * x[:6], 100.0 * x[6:]
        slip = slip_increments(law, stress, g, dt)
        elastic = law.stiffness @ (strain - slip @ systems)
        return np.concatenate(
            [(stress - elastic) / 100.0, (g - law.g0 - gains(law, g, slip)) / 100]
        )

    x = np.concatenate([np.zeros(6), np.full(12, law.g0 / 100.0)])
    for n in np.geomspace(1.0, law.n, 25):
        x = root(residual, x, args=(replace(law, n=float(n)),), method="hybr", tol=1e-12).x
    assert np.abs(residual(x, law)).max() < 1e-6
    out = law.evaluate(strain[None], dt, virgin(law))
    assert np.allclose(out.stress[0], 100.0 * x[:6], rtol=1e-6, atol=1e-4)
    assert np.allclose(out.state[0, 6:10], 100.0 * x[6::3], rtol=1e-6)


# closed forms


def steady_tension(law, rate):
    """Stress 33 at the end of tension along [001] by 30 % at a constant rate."""
    state, strain = virgin(law), np.zeros(6)
    for end in np.linspace(0.0, 0.3, 31)[1:]:
        start = strain + 0.01 * np.array([-0.5, -0.5, 1.0, 0, 0, 0])
        strain, out = under_stress(law, end, 0.01 / rate, state, start)
        state = out.state
    return out.stress[0, 2], state[0]


def test_flow_stress_along_001_saturates_at_the_closed_form_of_eight_systems():
    law = replace(COPPER, h0=3000.0, g_inf=60.0, a=1.0)
    flow = {}
    for rate in (1e-4, 1e-2):
        slow = rate * SQRT6 / 8.0  # eight systems with M_33 = 1 / sqrt(6) each
        flow[rate], state = steady_tension(law, rate)
        closed = SQRT6 * law.g_inf * (slow / law.gammadot0) ** (1.0 / law.n)
        assert flow[rate] == pytest.approx(closed, rel=2e-4)
        assert np.ptp(state[6:10]) < 1e-9 * law.g_inf
    assert flow[1e-2] / flow[1e-4] == pytest.approx(100.0 ** (1.0 / law.n), rel=1e-6)


def test_small_loads_are_elastic():
    strain = 1e-6 * np.random.default_rng(3).standard_normal((5, 6))
    out = SHARP.evaluate(strain, 1.0, virgin(SHARP, 5))
    assert np.allclose(out.stress, strain @ SHARP.stiffness, rtol=1e-12)
    assert np.allclose(out.tangent, SHARP.stiffness, rtol=1e-12)
    assert not SHARP.evaluate(np.zeros((1, 6)), 1.0, virgin(SHARP)).stress.any()


def test_pressure_stays_elastic():
    strain, state_n = random_steps(TURNED, 20, seed=4, size=0.05)
    out = TURNED.evaluate(strain, 1.0, state_n)
    bulk = (COPPER.C11 + 2 * COPPER.C12) / 3
    assert np.allclose(out.stress[:, :3].mean(axis=1), bulk * strain[:, :3].sum(axis=1), rtol=1e-9)
    assert np.abs(out.state[:, :3].sum(axis=1)).max() < 1e-15


# symmetry and frames


def cube_rotations():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            axes = np.eye(3)[list(order)] * signs
            if np.linalg.det(axes) > 0:
                yield axes


def test_response_is_the_same_after_each_of_the_24_rotations_of_the_cube():
    strain = 0.01 * np.random.default_rng(5).standard_normal((4, 6))
    stress = COPPER.evaluate(strain, 1.0, virgin(COPPER, 4)).stress
    rotations = list(cube_rotations())
    assert len(rotations) == 24
    for axes in rotations:
        turned = replace(COPPER, axes=tuple(map(tuple, axes)))
        assert np.allclose(
            turned.evaluate(strain, 1.0, virgin(turned, 4)).stress, stress, rtol=1e-9
        )
    off = replace(COPPER, euler=(10.0, 0.0, 0.0))
    assert np.abs(off.evaluate(strain, 1.0, virgin(off, 4)).stress - stress).max() > 1.0


def test_turned_crystal_under_turned_strain_gives_turned_stress():
    strain, state_n = random_steps(COPPER, 20, seed=6, size=0.02)
    Q = random_rotations(1, np.random.default_rng(7))[0]
    R = rotation_matrix(Q)
    law = replace(COPPER, axes=tuple(map(tuple, Q)))
    state_turned = np.hstack([state_n[:, :6] @ R.T, state_n[:, 6:]])
    out = COPPER.evaluate(strain, 1.0, state_n)
    turned = law.evaluate(strain @ R.T, 1.0, state_turned)
    assert np.allclose(turned.stress, out.stress @ R.T, rtol=1e-8, atol=1e-8)
    assert np.allclose(turned.tangent, R @ out.tangent @ R.T, rtol=1e-7, atol=1e-3)
    assert np.allclose(turned.state[:, :6], out.state[:, :6] @ R.T, atol=1e-12)
    assert not law.isotropic and law.rate_dependent


# tangent and energy


@pytest.mark.parametrize("size", [5e-4, 1e-2, 0.2])
@each_law
def test_tangent_is_the_derivative_of_the_stress(law, size):
    strain, state_n = random_steps(law, 40, seed=8, size=size)
    out = law.evaluate(strain, 1.0, state_n)
    assert not out.status.any()
    h = 1e-6 * np.linalg.norm(strain, axis=1)
    numeric = np.empty_like(out.tangent)
    for j in range(6):
        stress = [
            law.evaluate(strain + k * h[:, None] * np.eye(6)[j], 1.0, state_n).stress
            for k in (-2, -1, 1, 2)
        ]
        central = stress[0] - 8 * stress[1] + 8 * stress[2] - stress[3]
        numeric[:, :, j] = central / (12 * h[:, None])
    error = np.abs(numeric - out.tangent).max(axis=(1, 2)) / law.C11
    assert error.max() < 1e-6
    asymmetry = np.abs(out.tangent - np.swapaxes(out.tangent, 1, 2)).max() / law.C11
    assert law.symmetric == (law.h0 == 0.0) and (asymmetry < 1e-12 or not law.symmetric)


def test_hardening_makes_the_tangent_unsymmetric():
    out = TURNED.evaluate([[0.01, -0.003, 0, 0.004, 0, 0.002]], 1.0, virgin(TURNED))
    assert np.abs(out.tangent[0] - out.tangent[0].T).max() > 1.0 and not TURNED.symmetric


@each_law
def test_dissipation_is_not_negative_and_energy_balances_to_first_order(law):
    rng = np.random.default_rng(9)
    corners = np.cumsum(5e-3 * rng.standard_normal((3, 8, 6)), axis=0)
    errors = []
    for steps in (25, 50, 100):
        strain, stress = np.zeros((8, 6)), np.zeros((8, 6))
        state, work, dissipated = virgin(law, 8), np.zeros(8), np.zeros(8)
        for start, end in zip((np.zeros((8, 6)), *corners[:-1]), corners, strict=True):
            for t in np.linspace(0.0, 1.0, steps + 1)[1:]:
                new = start + t * (end - start)
                out = law.evaluate(new, 1.0 / steps, state)
                work += np.einsum("ij,ij->i", 0.5 * (stress + out.stress), new - strain)
                assert (out.energy[:, 1] >= 0.0).all()
                dissipated += out.energy[:, 1]
                strain, stress, state = new, out.stress, out.state
        errors.append(np.abs((work - out.energy[:, 0] - dissipated) / work).max())
    assert errors[-1] < 0.02 and errors[0] / errors[2] > 2.5


# robustness


def assert_solves(law, strain, dt, state_n, out):
    """The equations in plain numpy hold at the end of each step that has a solution."""
    systems, good = schmid(law_axes(law)), out.status == 0
    for eps, old, stress, new in zip(
        strain[good], state_n[good], out.stress[good], out.state[good], strict=True
    ):
        g, g_n = np.repeat(new[6:10], 3), np.repeat(old[6:10], 3)
        slip = slip_increments(law, stress, g, dt)
        elastic = np.linalg.solve(law.stiffness, stress)
        assert np.allclose(elastic + old[:6] + slip @ systems, eps, atol=1e-9)
        assert np.allclose(g - gains(law, g, slip), g_n, rtol=1e-7)


@pytest.mark.parametrize("n", [1.0, 5.0, 20.0, 100.0, 200.0])
def test_strain_steps_of_20_percent_are_solved(n):
    law = replace(TURNED, n=n)
    rng = np.random.default_rng(10)
    strain = rng.uniform(-0.2, 0.2, (400, 6))
    for dt in (1e-6, 1.0, 1e6):
        out = law.evaluate(strain, dt, virgin(law, 400))
        assert not out.status.any()
        back = law.evaluate(-strain, dt, out.state)
        assert not back.status.any() and (back.energy >= 0.0).all()
        assert_solves(law, strain, dt, virgin(law, 400), out)


def test_any_step_has_a_solution_or_a_code():
    rng = np.random.default_rng(11)
    wild = replace(TURNED, h0=3000.0)
    for size in (0.2, 1.0):
        strain, state_n = rng.uniform(-size, size, (150, 6)), virgin(wild, 150)
        kept = state_n.copy()
        out = wild.evaluate(strain, 1.0, state_n)
        assert (out.status == 0).mean() > 0.95 and np.array_equal(state_n, kept)
        assert np.isfinite(out.energy[out.status == 0]).all()
        assert_solves(wild, strain, 1.0, kept, out)
        assert np.array_equal(out.state[out.status != 0], kept[out.status != 0])
    for bad in (np.nan, np.inf, 1e300):
        assert TURNED.evaluate(
            np.full((1, 6), bad) * [1, -1, 1, 1, 1, 1], 1.0, virgin(TURNED)
        ).status


def test_elimination_pivots_and_reports_singular_matrices():
    A = np.random.default_rng(12).standard_normal((9, 14))
    A[0, 0] = 0.0
    expected = np.linalg.solve(A[:, :9], A[:, 9:])
    assert eliminate(A, 9, 5) and np.allclose(A[:, 9:], expected, rtol=1e-10)
    assert not eliminate(np.ones((2, 3)), 2, 1) and not eliminate(np.full((2, 3), np.nan), 2, 1)


# input


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"C11": 0.0}, "CrystalPlasticity: C11 = 0.0, expected > 0"),
        ({"C12": 168e3}, "C12 = 168000.0, expected a value between -84000 and 168000"),
        ({"g0": -1.0}, "CrystalPlasticity: g0 = -1.0, expected > 0"),
        ({"gammadot0": 0.0}, "gammadot0 = 0.0 1/time, expected > 0"),
        ({"n": 0.5}, "CrystalPlasticity: n = 0.5, expected 1 <= n <= 200"),
        ({"a": 0.5}, "CrystalPlasticity: a = 0.5, expected 1 <= a <= 100"),
        ({"q": 3.0}, "CrystalPlasticity: q = 3.0, expected 1 <= q <= 2"),
        ({"h0": -1.0}, "CrystalPlasticity: h0 = -1.0, expected >= 0"),
        ({"g_inf": None}, "CrystalPlasticity: h0 > 0 needs g_inf"),
        ({"g_inf": 10.0}, "g_inf = 10.0, expected at least g0 = 16.0"),
        ({"n": "20"}, "CrystalPlasticity: n = '20', expected a number"),
        ({"euler": (1.0, 2.0)}, "euler = (1.0, 2.0), expected 3 angles in degrees"),
        ({"axes": 2.0 * np.eye(3)}, "CrystalPlasticity: axes is no rotation matrix"),
        ({"axes": np.eye(3), "euler": (0, 0, 0)}, "axes and euler came, expected one of them"),
    ],
)
def test_bad_parameters_are_named(changed, text):
    with pytest.raises(ParameterError) as caught:
        replace(COPPER, **changed)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_zero_time_is_refused():
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        COPPER.evaluate(np.zeros((1, 6)), 0.0, virgin(COPPER))


def test_laws_survive_a_phases_file_and_hash(tmp_path):
    axes = replace(PERFECT, euler=None, axes=bunge_axes([10.0, 20.0, 30.0]).tolist(), g_inf=None)
    laws = {"a": COPPER, "b": TURNED, "c": axes}
    write_phases(tmp_path / "p.toml", laws)
    assert read_phases(tmp_path / "p.toml", ("a", "b", "c")) == laws
    assert len({*laws.values(), replace(TURNED, euler=[30, 45, 70])}) == 3
    with pytest.raises(ParameterError, match="law 'crystal': unknown key tau0, expected C11"):
        CrystalPlasticity.from_table({"tau0": 1.0})
