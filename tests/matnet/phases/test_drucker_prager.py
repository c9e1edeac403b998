"""Drucker-Prager plasticity."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from matnet.directions import random_rotations
from matnet.errors import ParameterError
from matnet.mandel import from_mandel, rotation_matrix, to_mandel
from matnet.phases import DruckerPrager, read_phases, write_phases

SAND = DruckerPrager(E=100.0, nu=0.3, cohesion=0.02, friction=30.0, dilatancy=10.0)
HARD = replace(SAND, H=0.5, Q=0.02, b=60.0)
NON_DILATANT = replace(HARD, dilatancy=0.0, matching="inner")
ASSOCIATED = replace(HARD, dilatancy=30.0, matching="plane-strain")
MISES = replace(HARD, friction=0.0, dilatancy=0.0)
LAWS = (SAND, HARD, NON_DILATANT, ASSOCIATED, MISES)
NAMES = ("perfect", "hardening", "non-dilatant", "associated", "mises")
each_law = pytest.mark.parametrize("law", LAWS, ids=NAMES)


def virgin(law, n=1):
    return np.zeros((n, law.n_state))


def twin(law, strain, state_n):
    """The update with tensors, brackets and no derivative: stress, alpha, branch."""
    K, G, eta, eta_bar, xi, c0, H, Q, b = law.parameters

    def cohesion(alpha):
        return c0 + H * alpha + Q * (1 - math.exp(-b * alpha))

    elastic, alpha_n = from_mandel(strain - state_n[:6]), state_n[6]
    s = 2 * G * (elastic - np.trace(elastic) / 3 * np.eye(3))
    p, q = K * np.trace(elastic), math.sqrt(0.5 * np.tensordot(s, s))

    def cone(gam):
        return q - G * gam + eta * (p - K * eta_bar * gam) - xi * cohesion(alpha_n + xi * gam)

    if cone(0.0) <= 0.0:
        return to_mandel(s + p * np.eye(3)), alpha_n, "elastic"
    if cone(q / G) <= 0.0:
        gam = brentq(cone, 0.0, q / G, xtol=1e-18, rtol=1e-15)
        stress = s * (1 - G * gam / q) + (p - K * eta_bar * gam) * np.eye(3)
        return to_mandel(stress), alpha_n + xi * gam, "cone"
    gam = q / G

    def apex(zeta):
        alpha = alpha_n + xi * gam + xi / eta * zeta
        return eta * (p - K * (eta_bar * gam + zeta)) - xi * cohesion(alpha)

    zeta = brentq(apex, 0.0, 10.0, xtol=1e-18, rtol=1e-15)
    alpha = alpha_n + xi * gam + xi / eta * zeta
    return to_mandel((p - K * (eta_bar * gam + zeta)) * np.eye(3)), alpha, "apex"


def random_steps(law, n, seed, size=2e-3):
    """Strains and states of which a good part lies on each branch."""
    rng = np.random.default_rng(seed)
    strain = size * rng.standard_normal((n, 6))
    strain[:, :3] += size * rng.standard_normal((n, 1))
    strain *= rng.uniform(0.0, 1.0, (n, 1)) ** 2
    first = law.evaluate(0.3 * strain[::-1], 1.0, virgin(law, n))
    return strain, first.state


def under_stress(law, strain_11, free, state_n):
    """Strain 11 given, stress zero in the components `free`: Newton with the law's tangent."""
    strain = np.zeros(6)
    strain[0] = strain_11
    for _ in range(50):
        out = law.evaluate(strain[None], 1.0, state_n)
        residual = out.stress[0, free]
        if np.abs(residual).max() < 1e-14 * law.E:
            return strain, out
        strain[free] -= np.linalg.solve(out.tangent[0][np.ix_(free, free)], residual)
    raise AssertionError("no equilibrium")


@each_law
def test_update_equals_a_plain_computation_on_every_branch(law):
    strain, state_n = random_steps(law, 150, seed=1)
    out = law.evaluate(strain, 1.0, state_n)
    plain = [twin(law, e, s) for e, s in zip(strain, state_n, strict=True)]
    assert np.allclose(out.stress, [row[0] for row in plain], rtol=0, atol=1e-13 * law.E)
    assert np.allclose(out.state[:, 6], [row[1] for row in plain], rtol=1e-10, atol=1e-16)
    elastic = np.linalg.solve(law.stiffness, out.stress.T).T
    assert np.allclose(out.state[:, :6], strain - elastic, atol=1e-15)
    branches = [row[2] for row in plain]
    wanted = {"elastic", "cone"} | ({"apex"} if law.friction else set())
    assert {b for b in set(branches) if branches.count(b) > 8} == wanted


@each_law
def test_tangent_is_the_derivative_of_the_stress_on_every_branch(law):
    strain, state_n = random_steps(law, 300, seed=2)
    out = law.evaluate(strain, 1.0, state_n)
    h = 1e-8
    numeric = np.empty_like(out.tangent)
    for j in range(6):
        step = h * np.eye(6)[j]
        plus = law.evaluate(strain + step, 1.0, state_n).stress
        numeric[:, :, j] = (plus - law.evaluate(strain - step, 1.0, state_n).stress) / (2 * h)
    error = np.abs(numeric - out.tangent).max(axis=(1, 2)) / np.abs(law.stiffness).max()
    assert error.max() < 1e-6
    asymmetry = np.abs(out.tangent - np.swapaxes(out.tangent, 1, 2)).max() / law.E
    assert (asymmetry < 1e-12) == law.symmetric


def uniaxial(law, sign, gam):
    """Strain (6,), stress 11 and alpha of uniaxial stress after the multiplier gam."""
    _, _, eta, eta_bar, xi, c0, H, Q, b = law.parameters
    alpha = xi * gam
    stress = sign * xi * (c0 + H * alpha + Q * (1 - math.exp(-b * alpha)))
    stress /= 1 / math.sqrt(3) + sign * eta / 3
    along = stress / law.E + gam * (sign / math.sqrt(3) + eta_bar / 3)
    across = -law.nu * stress / law.E + gam * (-sign / math.sqrt(12) + eta_bar / 3)
    return np.array([along, across, across, 0.0, 0.0, 0.0]), stress, alpha


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["tension", "compression"])
@each_law
def test_uniaxial_stress_follows_the_closed_form_along_the_path(law, sign):
    state = virgin(law)
    for gam in np.linspace(0.0, 0.02, 12):
        strain, stress, alpha = uniaxial(law, sign, gam)
        out = law.evaluate(strain[None], 1.0, state)
        state = out.state
        assert np.allclose(out.stress[0], stress * np.eye(6)[0], atol=1e-12 * law.E)
        assert state[0, 6] == pytest.approx(alpha, rel=1e-8, abs=1e-14)


def test_outer_and_inner_cones_have_the_strengths_of_mohr_coulomb():
    phi = math.radians(SAND.friction)
    compression = 2 * SAND.cohesion * math.cos(phi) / (1 - math.sin(phi))
    tension = 2 * SAND.cohesion * math.cos(phi) / (1 + math.sin(phi))
    for matching, sign, strength in (("outer", -1.0, -compression), ("inner", 1.0, tension)):
        law = replace(SAND, matching=matching)
        out = law.evaluate(uniaxial(law, sign, 0.01)[0][None], 1.0, virgin(law))
        assert out.stress[0, 0] == pytest.approx(strength, rel=1e-10)


def test_plane_strain_cone_collapses_as_mohr_coulomb_does():
    law = replace(SAND, dilatancy=30.0, matching="plane-strain")
    phi, state = math.radians(30.0), virgin(law)
    for strain in np.linspace(-0.001, -0.1, 60):
        _, out = under_stress(law, strain, [1, 3, 4, 5], state)
        state = out.state
    collapse = 2 * law.cohesion * math.cos(phi) / (1 - math.sin(phi))
    assert out.stress[0, 0] == pytest.approx(-collapse, rel=1e-6)


@pytest.mark.parametrize("matching", ["outer", "inner", "plane-strain"])
def test_dilatancy_enters_as_friction_does(matching):
    law = replace(SAND, matching=matching)
    same = replace(law, friction=10.0)
    assert law.eta_bar == same.eta == same.eta_bar < law.eta
    strain, _, _ = uniaxial(law, -1.0, 0.01)
    plastic = law.evaluate(strain[None], 1.0, virgin(law)).state[0]
    deviator = np.linalg.norm(plastic[:3] - plastic[:3].mean())
    assert plastic[:3].sum() / deviator == pytest.approx(math.sqrt(2.0) * same.eta, rel=1e-9)


@pytest.mark.parametrize("matching", ["outer", "inner", "plane-strain"])
def test_hydrostatic_tension_ends_at_the_apex(matching):
    law = replace(SAND, matching=matching, H=0.5)
    K, cot = law.parameters[0], 1 / math.tan(math.radians(30.0))
    limit, state = law.cohesion * cot, virgin(law)
    for volume in np.linspace(0.0, 3 * limit / K, 13):
        out = law.evaluate([[volume / 3] * 3 + [0.0] * 3], 1.0, state)
        state = out.state
        # p = (c0 + H cot(phi) vol_p) cot(phi) and p = K (vol - vol_p)
        vol_p = max(K * volume - limit, 0.0) / (K + law.H * cot**2)
        assert np.allclose(out.stress, K * (volume - vol_p) * np.eye(6)[:3].sum(0), rtol=1e-12)
        assert state[0, 6] == pytest.approx(cot * vol_p, rel=1e-10)


def test_hydrostatic_compression_is_elastic():
    out = HARD.evaluate([[-0.5] * 3 + [0.0] * 3], 1.0, virgin(HARD))
    assert np.allclose(out.stress[0, :3], -1.5 * HARD.parameters[0], rtol=1e-14)
    assert not out.state.any() and np.allclose(out.tangent[0], HARD.stiffness, rtol=1e-14)


def test_no_friction_is_von_mises_and_no_dilatancy_keeps_the_volume():
    strain, state_n = random_steps(MISES, 50, seed=3)
    out = MISES.evaluate(strain, 1.0, state_n)
    yielding = out.state[:, 6] > state_n[:, 6]
    deviator = out.stress - out.stress[:, :3].mean(axis=1)[:, None] * np.eye(6)[:3].sum(0)
    mises = np.sqrt(1.5) * np.linalg.norm(deviator, axis=1)
    alpha = out.state[:, 6]
    cohesion = 0.02 + 0.5 * alpha + 0.02 * (1 - np.exp(-60 * alpha))
    assert yielding.sum() > 20
    assert np.allclose(mises[yielding], 2 * cohesion[yielding], rtol=1e-12)
    assert np.abs(out.state[:, :3].sum(axis=1)).max() < 1e-17


@each_law
def test_dissipation_is_not_negative_and_energy_balances_to_first_order(law):
    rng = np.random.default_rng(4)
    corners = np.cumsum(2e-3 * rng.standard_normal((4, 20, 6)), axis=0)
    errors = []
    for steps in (50, 100, 200):
        strain, stress = np.zeros((20, 6)), np.zeros((20, 6))
        state, work, dissipated = virgin(law, 20), np.zeros(20), np.zeros(20)
        for start, end in zip((np.zeros((20, 6)), *corners[:-1]), corners, strict=True):
            for t in np.linspace(0.0, 1.0, steps + 1)[1:]:
                new = start + t * (end - start)
                out = law.evaluate(new, 1.0, state)
                work += np.einsum("ij,ij->i", 0.5 * (stress + out.stress), new - strain)
                assert (out.energy[:, 1] >= 0.0).all()
                dissipated += out.energy[:, 1]
                strain, stress, state = new, out.stress, out.state
        errors.append(np.abs(work - out.energy[:, 0] - dissipated).max() / work.max())
    assert errors[-1] < 0.01 and errors[0] / errors[2] > 3.0
    elastic = np.linalg.solve(law.stiffness, stress.T).T
    assert np.allclose(out.energy[:, 0], 0.5 * np.einsum("ij,ij->i", stress, elastic), rtol=1e-9)


@each_law
def test_response_turns_with_the_frame(law):
    strain, state_n = random_steps(law, 30, seed=5)
    R = rotation_matrix(random_rotations(1, np.random.default_rng(6))[0])
    turned_state = np.hstack([state_n[:, :6] @ R.T, state_n[:, 6:]])
    out, turned = law.evaluate(strain, 1.0, state_n), law.evaluate(strain @ R.T, 1.0, turned_state)
    assert law.isotropic
    assert np.allclose(turned.stress, out.stress @ R.T, atol=1e-13 * law.E)
    assert np.allclose(turned.tangent, R @ out.tangent @ R.T, atol=1e-9 * law.E)


@each_law
def test_huge_strains_have_a_solution_and_nan_has_none(law):
    strain, state_n = random_steps(law, 2000, seed=7, size=1.0)
    kept = state_n.copy()
    out = law.evaluate(strain, 1.0, state_n)
    assert not out.status.any() and np.isfinite(out.energy).all()
    assert np.array_equal(state_n, kept)
    assert law.evaluate(np.full((1, 6), np.nan), 1.0, virgin(law)).status[0] != 0
    assert law.evaluate(np.full((1, 6), 1e300), 1.0, virgin(law)).status[0] != 0


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"E": 0.0}, "DruckerPrager: E = 0.0, expected > 0"),
        ({"nu": 0.5}, "DruckerPrager: nu = 0.5, expected a value between -1 and 0.5"),
        ({"cohesion": 0.0}, "DruckerPrager: cohesion = 0.0, expected > 0"),
        ({"friction": -1.0}, "friction = -1.0 degrees, expected >= 0"),
        ({"friction": 90.0}, "friction = 90.0 degrees, expected less than 90"),
        (
            {"dilatancy": 31.0},
            "dilatancy = 31.0 degrees, expected at most the friction angle, 30.0",
        ),
        ({"H": -1.0}, "DruckerPrager: H = -1.0, expected >= 0"),
        ({"b": float("nan")}, "DruckerPrager: b = nan, expected >= 0"),
        ({"matching": "best"}, "matching = 'best', expected one of outer, inner, plane-strain"),
    ],
)
def test_bad_parameters_are_named(changed, text):
    with pytest.raises(ParameterError) as caught:
        replace(SAND, **changed)
    assert text in str(caught.value)


def test_law_survives_a_phases_file(tmp_path):
    write_phases(tmp_path / "p.toml", {"a": ASSOCIATED, "b": SAND})
    assert read_phases(tmp_path / "p.toml", ("a", "b")) == {"a": ASSOCIATED, "b": SAND}
    with pytest.raises(ParameterError, match="law 'drucker-prager': E, dilatancy missing"):
        DruckerPrager.from_table({"nu": 0.3, "cohesion": 1.0, "friction": 10.0})
