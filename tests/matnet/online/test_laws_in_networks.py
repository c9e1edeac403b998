"""Every law inside every kind of network: tangents, energies, statuses, batches."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numba import njit

from matnet import Material, Network
from matnet.online.documents import plain_tree_newton
from matnet.online.solution import Status
from matnet.phases import (
    J2,
    LAWS,
    ArmstrongFrederick,
    CrystalPlasticity,
    Damage,
    DruckerPrager,
    DuctileDamage,
    Elastic,
    ExponentialDamage,
    JohnsonCook,
    LemaitreDamage,
    Linear,
    LinearVoce,
    Norton,
    Perzyna,
    PowerLaw,
    Prager,
    Swift,
    Tabulated,
    ThermalExpansion,
    UserLaw,
    Viscoelastic,
    Viscoplastic,
    Voce,
    Void,
)

METAL = {"E": 70.0, "nu": 0.33}
VOCE = Voce(sig_y=0.1, Q=0.1, b=30.0)
CHABOCHE = (ArmstrongFrederick(C=10.0, gamma=100.0), Prager(C=1.0))
GLASS = {"E": 70.0, "nu": 0.2, "kappa_0": 2e-3, "kappa_f": 2e-2}
SAND = {"E": 30.0, "nu": 0.3, "cohesion": 0.05, "friction": 30.0}
COPPER = {"C11": 168.0, "C12": 121.0, "C44": 75.0, "g0": 0.05, "gammadot0": 1e-2, "n": 10.0}
FIBRE = Elastic(
    E1=19.8, E2=19.8, E3=245.0, nu12=0.67, nu13=0.02, nu23=0.02, G12=5.9, G13=29.2, G23=29.2
)


@njit(error_model="numpy")
def cubic_spring(strain, dt, temperature, par, state_n, stress, state, tangent, energy):
    """sigma = (k + m |eps|^2) eps: no state, symmetric."""
    square = 0.0
    for i in range(6):
        square += strain[i] * strain[i]
    for i in range(6):
        stress[i] = (par[0] + par[1] * square) * strain[i]
        for j in range(6):
            tangent[i, j] = 2.0 * par[1] * strain[i] * strain[j]
        tangent[i, i] += par[0] + par[1] * square
    energy[0] = 0.5 * par[0] * square + 0.25 * par[1] * square * square
    energy[1] = 0.0
    return 0


J2_VOCE = J2(**METAL, hardening=VOCE)
CATALOGUE = {
    "elastic": Elastic(E=20.0, nu=0.3),
    "void": Void(),
    "thermal elastic": ThermalExpansion(FIBRE, (1e-5, 2e-5, -1e-6, 3e-6, 0.0, 0.0), 20.0),
    "thermal j2": ThermalExpansion(J2_VOCE, (1e-5, 2e-5, 3e-5, 1e-6, 0.0, 0.0), 10.0),
    "thermal damage": ThermalExpansion(Damage(**GLASS), 1e-5, 30.0),
    "perfect": J2(**METAL, hardening=Linear(sig_y=0.1)),
    "linear": J2(**METAL, hardening=Linear(sig_y=0.1, H=1.0)),
    "voce": J2_VOCE,
    "linear voce": J2(**METAL, hardening=LinearVoce(sig_y=0.1, H=0.5, Q=0.1, b=30.0)),
    "swift": J2(**METAL, hardening=Swift(K=0.3, e0=0.005, n=0.2)),
    "power": J2(**METAL, hardening=PowerLaw(sig_y=0.1, K=0.2, n=0.3)),
    "table": J2(**METAL, hardening=Tabulated(p=(0.0, 0.01, 0.2), sig_y=(0.1, 0.13, 0.2))),
    "prager": J2(**METAL, hardening=Linear(sig_y=0.1), backstresses=(Prager(C=2.0),)),
    "chaboche": J2(**METAL, hardening=VOCE, backstresses=CHABOCHE),
    "perzyna": Viscoplastic(**METAL, hardening=VOCE, rate=Perzyna(eta=0.3, n=2.0)),
    "perzyna chaboche": Viscoplastic(
        **METAL, hardening=VOCE, backstresses=CHABOCHE, rate=Perzyna(eta=0.3, n=1.0)
    ),
    "norton": Viscoplastic(E=16.0, nu=0.4, rate=Norton(A=1e3, n=5.0)),
    "johnson-cook": Viscoplastic(**METAL, hardening=VOCE, rate=JohnsonCook(C=0.05, rate0=1e-3)),
    "viscoelastic": Viscoelastic(E=3.0, nu=0.35, g=(0.2, 0.3), tau=(0.1, 10.0), k=(0.1, 0.05)),
    "mazars": Damage(**GLASS),
    "mazars viscous": Damage(**GLASS, tau=0.5),
    "von mises damage": Damage(**GLASS, measure="von-mises", ratio=8.0),
    "energy damage": Damage(**GLASS, measure="energy", softening="linear"),
    "lemaitre": DuctileDamage(**METAL, hardening=VOCE, damage=LemaitreDamage(S=1e-3, s=1.5)),
    "ductile": DuctileDamage(**METAL, hardening=VOCE, damage=ExponentialDamage(p_f=0.1)),
    "ductile viscous": DuctileDamage(
        **METAL, hardening=VOCE, damage=ExponentialDamage(p_f=0.05), tau=0.5
    ),
    "drucker-prager": DruckerPrager(**SAND, dilatancy=10.0),
    "associated": DruckerPrager(**SAND, dilatancy=30.0, H=0.5, Q=0.05, b=10.0),
    "crystal": CrystalPlasticity(**COPPER, h0=0.3, g_inf=0.15, a=2.0, euler=(30.0, 45.0, 0.0)),
    "user": UserLaw(
        kernel=cubic_spring,
        stiffness=30.0 * np.eye(6),
        parameters=[30.0, 1e5],
        isotropic=True,
        symmetric=True,
    ),
}
EACH = pytest.mark.parametrize("name", CATALOGUE)
SOFTENING = ("thermal damage", "mazars", "von mises damage", "energy damage")  # no unique solution
UNSYMMETRIC = DruckerPrager(E=20.0, nu=0.3, cohesion=0.2, friction=20.0, dilatancy=5.0, H=1.0)
DT = 0.1


def two_phases(kind, other, seed=1):
    net = Network.random(kind, 3, ("a", "b"), (0.4, 0.6), seed)
    return lambda law: Material(network=net, phases={"a": law, "b": other})


def porous(law):
    """Void at 3 of 8 base nodes, so that the solid carries load."""
    base = Network.random("imn", 3, ("a", "void"), (0.5, 0.5), 2)
    weights = np.random.default_rng(2).uniform(0.2, 1.0, base.n_base)
    phase = np.array([0, 1, 0, 0, 1, 0, 1, 0])
    net = replace(base, weights=weights / weights.sum(), base_phase=phase)
    return Material(network=net, phases={"a": law})


def pruned(law):
    net = Network.random("imn", 4, ("a", "b"), (0.5, 0.5), 3).pruned(0.04)
    return Material(network=net, phases={"a": law, "b": FIBRE})


NETWORKS = {
    "imn": two_phases("imn", FIBRE),
    "dmn": two_phases("dmn", FIBRE),
    "beside unsymmetric": two_phases("dmn", UNSYMMETRIC),
    "porous": porous,
    "pruned": pruned,
}


def cyclic(n, seed=0, size=4e-3):
    """Load, go on, unload, reload the other way (4, n, 6)."""
    rng = np.random.default_rng(seed)
    ray = rng.standard_normal((2, n, 6))
    ray /= np.linalg.norm(ray, axis=2, keepdims=True)
    first, second = size * ray
    return np.stack([first, 1.7 * first + 0.5 * second, 1.03 * first, second - 0.8 * first])


def largest(array):
    return np.abs(array).reshape(len(array), -1).max(axis=1)


def differences(material, eps, state, warmth, size):
    """Central differences (n, 6, 6) of the stress, all points and directions in one batch."""
    n = len(eps)
    shift = size * np.concatenate([np.eye(6), -np.eye(6)])
    many = (eps[:, None] + shift).reshape(-1, 6)
    out = material.update(many, DT, np.repeat(state, 12, axis=0), warmth)
    stress = out.stress.reshape(n, 2, 6, 6)
    return np.swapaxes(stress[:, 0] - stress[:, 1], 1, 2) / (2.0 * size)


def test_the_catalogue_holds_every_registered_law_and_a_users():
    assert {law.law for law in CATALOGUE.values()} == {*LAWS, "user"}


@pytest.mark.parametrize("kind", NETWORKS)
@EACH
def test_steps_in_networks(name, kind):
    """Tangent, averages, dissipation, old state and the plain twin along a cycle."""
    if name == "void" and kind == "porous":
        pytest.skip("nothing would be left")
    material = NETWORKS[kind](CATALOGUE[name]).with_options(tol=1e-12)
    n, tested = 9, 0
    state, weights = material.initial_state(n), material.network.weights
    for step, eps in enumerate(cyclic(n)):
        warmth = 20.0 + 15.0 * step
        before = state.copy()
        out = material.solve(eps, DT, state, warmth)
        np.testing.assert_array_equal(state, before)
        ok = out.status == Status.OK
        assert ok.all() or (name in SOFTENING and ok.any())
        # averages
        stress = np.einsum("b,nbi->ni", weights, out.base_stress[ok])
        assert (largest(stress - out.stress[ok]) <= 1e-10 * largest(out.stress[ok])).all()
        local = np.einsum("b,nbi,nbi->n", weights, out.base_stress[ok], out.base_strain[ok])
        np.testing.assert_allclose(
            local, np.einsum("ni,ni->n", out.stress[ok], eps[ok]), rtol=1e-10, atol=1e-15
        )
        assert (out.base_energy[ok, :, 1] >= 0.0).all()
        # tangent
        coarse, fine = (differences(material, eps, state, warmth, h) for h in (2e-7, 1e-7))
        scale = largest(out.tangent)
        smooth = ok & (largest(fine - coarse) < 1e-6 * scale)
        error = largest(fine - out.tangent)[smooth] / scale[smooth]
        assert (error < 1e-6).all()
        tested += smooth.sum()
        # the plain twin, which has no safeguards
        plain = plain_tree_newton(
            material.network,
            material.phases,
            material.layout,
            material.options,
            eps,
            DT,
            state,
            np.full(n, warmth),
        )
        both = ok & (plain.status == Status.OK)
        same = largest(plain.stress - out.stress)[both] <= 1e-9 * largest(out.stress)[both]
        assert same.all() or name in SOFTENING
        state = out.state if material.n_state else state
    assert tested >= (2 * n if name in SOFTENING else 3 * n)  # the others are at a kink


@EACH
def test_large_random_steps_are_answered_or_refused(name):
    material = NETWORKS["beside unsymmetric"](CATALOGUE[name])
    n = 200
    rng = np.random.default_rng(4)
    state = material.initial_state(n)
    for dt in (1e-3, 10.0):
        eps = rng.standard_normal((n, 6))
        eps *= 0.2 * rng.uniform(size=(n, 1)) / np.linalg.norm(eps, axis=1, keepdims=True)
        before = state.copy()
        out = material.update(eps, dt, state, 25.0)
        np.testing.assert_array_equal(state, before)
        ok = out.status == Status.OK
        assert np.isfinite(out.stress[ok]).all()
        assert np.isfinite(out.tangent[ok]).all()
        assert np.isfinite(out.state).all()
        assert np.isnan(out.stress[~ok]).all()
        np.testing.assert_array_equal(out.state[~ok], before[~ok])
        if material.n_state:
            assert (out.state[ok, 7] >= before[ok, 7]).all()
        assert ok.mean() > 0.9 or name in SOFTENING
        state = out.state


@EACH
def test_points_do_not_depend_on_their_company(name):
    """Batches of all sizes around the lanes, in any order, with points that fail among them."""
    material = NETWORKS["beside unsymmetric"](CATALOGUE[name])
    n = 41
    eps = cyclic(n, seed=7)
    state = material.update(eps[0], DT, material.initial_state(n), 22.0).state
    whole = material.update(eps[1], DT, state, 22.0)
    for size in (0, 1, 7, 8, 9, 31, 32, 33):
        part = material.update(eps[1][:size], DT, state[:size], 22.0)
        for ours, theirs in zip(part, whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[:size])
    mixed = np.random.default_rng(8).permutation(n)
    wild = eps[1][mixed].copy()
    wild[::3] = [np.nan, 0.0, 0.0, 0.0, 0.0, 0.0]
    wild[1::3] *= 1e6
    out = material.update(wild, DT, state[mixed], 22.0)
    for ours, theirs in zip(out, whole, strict=True):
        np.testing.assert_array_equal(ours[2::3], theirs[mixed][2::3])
    assert (out.status[::3] == Status.NOT_FINITE).all()


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_stresses_that_cancel_far_out_are_no_solution(seed):
    """Beyond the apex there is no stiffness: a runaway iteration finds no traction jumps."""
    material = porous(CATALOGUE["drucker-prager"])
    n, rng = 4000, np.random.default_rng(seed)
    state = material.initial_state(n)
    for _ in range(3):
        eps = rng.standard_normal((n, 6))
        eps *= 0.2 * rng.uniform(size=(n, 1)) / np.linalg.norm(eps, axis=1, keepdims=True)
        out = material.solve(eps, DT, state)
        ok = out.status == Status.OK
        assert np.abs(out.base_strain[ok]).max() < 100.0
        assert ok.mean() > 0.99
        state = out.state


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_is_a_status(wrong):
    material = NETWORKS["dmn"](CATALOGUE["voce"])
    eps, n = cyclic(9), material.n_state
    state = material.update(eps[0], DT, material.initial_state(9)).state
    good = material.update(eps[1], DT, state)
    for column in (0, 7, 9, 20, n - 1):
        bad = state.copy()
        bad[4, column] = wrong
        out = material.update(eps[1], DT, bad)
        assert out.status.tolist() == [0, 0, 0, 0, Status.NOT_FINITE, 0, 0, 0, 0]
        assert np.isnan(out.stress[4]).all()
        np.testing.assert_array_equal(np.delete(out.state, 4, 0), np.delete(good.state, 4, 0))


SPRING = """
import numpy as np
from numba import njit
from matnet.phases import UserLaw

@njit(error_model="numpy")
def spring(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    tangent[:] = 0.0
    energy[:] = 0.0
    for i in range(6):
        stress[i] = parameters[0] * strain[i]
        tangent[i, i] = parameters[0]
        energy[0] += 0.5 * stress[i] * strain[i]
    return 0

law = UserLaw(kernel=spring, stiffness=2.0 * np.eye(6), parameters=[2.0])
"""


def test_a_users_kernel_may_be_imported_under_another_name(tmp_path):
    folder = tmp_path / "laws"
    folder.mkdir()
    (folder / "my_spring.py").write_text(SPRING)
    for place, name in ((folder, "my_spring"), (tmp_path, "laws.my_spring")):
        code = f"from {name} import law; print(law.evaluate([[1, 0, 0, 0, 0, 0]], 0, [[]]).stress)"
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False
        )
        assert run.stdout.startswith("[[2."), run.stderr
