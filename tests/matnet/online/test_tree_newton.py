"""The compiled tree Newton: against its plain twin, physics, and what users rely on."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from matnet import Material, Network
from matnet.directions import random_rotations
from matnet.errors import ParameterError, ShapeError
from matnet.mandel import rotation_matrix
from matnet.mixed import MixedMaterial
from matnet.online.documents import plain_tree_newton
from matnet.online.solution import Status
from matnet.phases import (
    J2,
    ArmstrongFrederick,
    CrystalPlasticity,
    Elastic,
    LinearVoce,
    ThermalExpansion,
    Viscoelastic,
    Voce,
)

MATRIX = J2(E=3.8, nu=0.387, hardening=LinearVoce(sig_y=0.01, H=0.05, Q=0.04, b=100.0))
RECALL = J2(
    E=70.0,
    nu=0.33,
    hardening=Voce(sig_y=0.1, Q=0.05, b=30.0),
    backstresses=(ArmstrongFrederick(C=10.0, gamma=100.0),),
)
FIBRE = Elastic(
    E1=19.8,
    E2=19.8,
    E3=245.0,
    nu12=0.67,
    nu13=0.02,
    nu23=0.02,
    G12=5.9,
    G13=29.2,
    G23=29.2,
)
CRYSTAL = CrystalPlasticity(
    C11=168.0,
    C12=121.0,
    C44=75.0,
    gammadot0=1e-3,
    n=10.0,
    g0=0.02,
    g_inf=0.1,
    h0=0.3,
    a=2.0,
    q=1.4,
)


def network(kind="imn", depth=4, names=("matrix", "fibre"), fractions=(0.4, 0.6), seed=1):
    return Network.random(kind, depth, names, fractions, seed)


def porous(depth=5, seed=2):
    """Void at 3 of 8 base nodes, so that the solid carries load."""
    rng = np.random.default_rng(seed)
    base = Network.random("imn", depth, ("solid", "void"), (0.5, 0.5), seed)
    weights = rng.uniform(0.2, 1.0, base.n_base)
    return replace(
        base,
        weights=weights / weights.sum(),
        base_phase=np.tile([0, 1, 0, 0, 1, 0, 1, 0], base.n_base // 8),
    )


MATERIALS = {
    "imn": lambda: Material(network=network(), phases={"matrix": MATRIX, "fibre": FIBRE}),
    "dmn": lambda: Material(network=network("dmn"), phases={"matrix": MATRIX, "fibre": FIBRE}),
    "unsymmetric": lambda: Material(
        network=network("dmn"), phases={"matrix": RECALL, "fibre": FIBRE}
    ),
    "porous": lambda: Material(
        network=porous(),
        phases={"solid": J2(E=70.0, nu=0.33, hardening=Voce(sig_y=0.1, Q=0.1, b=20.0))},
    ),
    "crystals": lambda: Material(
        network=network("dmn", 3, ("grain",), (1.0,)), phases={"grain": CRYSTAL}
    ),
    "three phases": lambda: Material(
        network=network("dmn", 4, ("matrix", "fibre", "rubber"), (0.3, 0.3, 0.4)),
        phases={
            "matrix": MATRIX,
            "fibre": ThermalExpansion(FIBRE, alpha=(1e-5, 1e-5, -1e-6), reference_temperature=20.0),
            "rubber": ThermalExpansion(
                Viscoelastic(E=2.0, nu=0.4, g=(0.3, 0.2), k=(0.1, 0.0), tau=(0.5, 5.0)), alpha=5e-5
            ),
        },
    ),
    "pruned": lambda: Material(
        network=network(depth=5).pruned(0.025), phases={"matrix": MATRIX, "fibre": FIBRE}
    ),
    "single block": lambda: Material(
        network=network(depth=1), phases={"matrix": MATRIX, "fibre": FIBRE}
    ),
    "homogeneous": lambda: Material.homogeneous(MATRIX),
}


@pytest.fixture(params=MATERIALS, scope="module")
def material(request):
    return MATERIALS[request.param]()


def strain_path(n, steps, size, seed=0):
    """Random walks (steps, n, 6) with steps of Frobenius norm `size`."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_normal((steps, n, 6))
    return np.cumsum(size * moves / np.linalg.norm(moves, axis=2, keepdims=True), axis=0)


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


# against independent computations


def test_compiled_and_plain_newton_agree(material):
    tight = material.with_options(tol=1e-12)
    state = material.initial_state(11)
    for step, eps in enumerate(strain_path(11, 4, 2e-3)):
        warmth = 20.0 + 10.0 * step
        fast = tight.solve(eps, 0.1, state, warmth)
        plain = plain_tree_newton(
            tight.network, tight.phases, tight.layout, tight.options, eps, 0.1, state, warmth
        )
        assert (fast.status == Status.OK).all()
        ok = plain.status == Status.OK  # it has no safeguards: some points of stiff laws fail
        assert ok.sum() >= 8
        assert relative(fast.stress[ok], plain.stress[ok]) < 1e-10
        assert relative(fast.tangent[ok], plain.tangent[ok]) < 1e-7
        assert relative(fast.base_strain[ok], plain.base_strain[ok]) < 1e-8
        assert relative(fast.base_stress[ok], plain.base_stress[ok]) < 1e-8
        np.testing.assert_allclose(
            fast.base_energy[ok],
            plain.base_energy[ok],
            rtol=1e-6,
            atol=1e-9 * fast.base_energy.max(),
        )
        guesses = np.r_[8:14, 14 + 3 * tight.network.n_blocks : 14 + 6 * tight.network.n_blocks]
        both = [np.delete(s[ok], guesses, axis=1) for s in (fast.state, plain.state)]
        np.testing.assert_allclose(*both, rtol=1e-6, atol=1e-9)
        state = fast.state


@pytest.mark.parametrize("solver", ["dense-newton", "dmn", "fixed-point", "dmn-no-residual"])
@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_all_solvers_agree(kind, solver):
    default = MATERIALS[kind]()
    other = default.with_options(solver=solver)
    state = state_other = default.initial_state(3)
    for eps in strain_path(3, 3, 1e-3):
        ours, theirs = default.update(eps, 1.0, state), other.update(eps, 1.0, state_other)
        assert relative(theirs.stress, ours.stress) < 1e-7
        state, state_other = ours.state, theirs.state


def test_linear_phases_give_the_homogenized_stiffness_and_the_localized_strains():
    net = network("dmn")
    laws = {"matrix": Elastic(E=3.8, nu=0.387), "fibre": FIBRE}
    material = Material(network=net, phases=laws)
    eps = strain_path(5, 1, 1e-3)[0]
    result = material.solve(eps, 1.0, material.initial_state(5))
    c = np.stack([law.stiffness for law in laws.values()])
    assert relative(result.stress, eps @ net.homogenize(c)) < 1e-12
    assert relative(result.tangent[0], net.homogenize(c)) < 1e-12
    assert relative(result.base_strain, net.localize(c, eps)) < 1e-12
    assert (result.iterations == 1).all()
    assert result.state.shape == (5, 0)


def test_thermal_stress_of_a_laminate_is_that_of_its_layers():
    """Layers normal to 3, strain held at zero: in-plane stresses are the means of E alpha dT."""
    one = ThermalExpansion(Elastic(E=70.0, nu=0.0), alpha=2e-5, reference_temperature=20.0)
    two = ThermalExpansion(Elastic(E=200.0, nu=0.0), alpha=1e-5, reference_temperature=20.0)
    net = replace(network(depth=1, fractions=(0.3, 0.7)), normals=np.array([[0.0, 0.0, 1.0]]))
    material = Material(network=net, phases={"matrix": one, "fibre": two})
    stress = material.update(np.zeros((1, 6)), 1.0, material.initial_state(1), 120.0).stress[0]
    in_plane = -100.0 * (0.3 * 70.0 * 2e-5 + 0.7 * 200.0 * 1e-5)
    through = -100.0 * (0.3 * 2e-5 + 0.7 * 1e-5) / (0.3 / 70.0 + 0.7 / 200.0)
    np.testing.assert_allclose(stress[:3], [in_plane, in_plane, through], rtol=1e-10)
    assert np.abs(stress[3:]).max() < 1e-12


# the tangent


def central_difference(material, eps, dt, state, size):
    columns = []
    for k in range(6):
        h = size * np.eye(6)[k]
        up, down = (material.update(eps + s * h, dt, state).stress for s in (1.0, -1.0))
        columns.append((up - down) / (2.0 * size))
    return np.stack(columns, axis=-1)


def test_tangent_matches_central_differences(material):
    tight = material.with_options(tol=1e-12)
    path = strain_path(6, 3, 3e-3, seed=4)
    state = tight.initial_state(6)
    for eps in path[:-1]:
        state = tight.update(eps, 0.1, state).state
    tangent = tight.update(path[-1], 0.1, state).tangent
    coarse, fine = (central_difference(tight, path[-1], 0.1, state, h) for h in (2e-7, 1e-7))
    error = np.abs(fine - tangent).max(axis=(1, 2)) / np.abs(tangent).max(axis=(1, 2))
    smooth = np.abs(fine - coarse).max(axis=(1, 2)) < 1e-6 * np.abs(tangent).max(axis=(1, 2))
    assert smooth.sum() >= 4  # a base node at its yield point has no derivative
    assert error[smooth].max() < 1e-6


def test_tangent_is_exact_also_where_the_increment_was_approached_in_parts():
    material = MATERIALS["porous"]().with_options(max_iterations=7)
    eps = strain_path(8, 1, 0.02, seed=8)[0]
    state = material.initial_state(8)
    result = material.solve(eps, 1.0, state)
    assert (result.status == Status.OK).all()
    assert (result.iterations > 7).sum() >= 4
    free = MATERIALS["porous"]().update(eps, 1.0, state)
    assert relative(result.stress, free.stress) < 1e-8
    difference = central_difference(material.with_options(tol=1e-12), eps, 1.0, state, 1e-7)
    error = np.abs(difference - result.tangent).max(axis=(1, 2))
    assert np.sort(error / np.abs(result.tangent).max(axis=(1, 2)))[5] < 1e-6


def test_newton_converges_quadratically():
    """Jumps of 1e-3 or so become 1e-6 and 1e-12: two digits of tol cost at most one iteration."""
    material = MATERIALS["imn"]()
    state = material.initial_state(50)
    path = strain_path(50, 1, 3e-3, seed=5)
    needed = {
        tol: material.with_options(tol=tol).solve(path[0], 1.0, state).iterations
        for tol in (1e-3, 1e-6, 1e-12)
    }
    assert (needed[1e-6] - needed[1e-3] <= 1).all()
    assert (needed[1e-12] - needed[1e-6] <= 1).all()


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_an_increment_of_a_tenth_of_a_percent_takes_few_iterations(kind):
    material = MATERIALS[kind]()
    state, iterations = material.initial_state(6), []
    for step in range(1, 21):
        result = material.solve(1e-3 * step * np.eye(6), 1.0, state)
        state = result.state
        iterations.append(result.iterations)
    assert np.max(iterations) <= 5
    assert np.mean(iterations) < 4.0


# physics


def test_hill_mandel_and_averages_hold(material):
    tight = material.with_options(tol=1e-12)
    state = tight.initial_state(7)
    weights = material.network.weights
    for eps in strain_path(7, 3, 2e-3, seed=6):
        result = tight.solve(eps, 0.1, state)
        state = result.state
        mean_strain = np.einsum("b,nbi->ni", weights, result.base_strain)
        mean_stress = np.einsum("b,nbi->ni", weights, result.base_stress)
        if "void" not in material.network.phase_names:
            np.testing.assert_allclose(mean_strain, eps, atol=1e-15)
        assert relative(mean_stress, result.stress) < 1e-10
        local = np.einsum("b,nbi,nbi->n", weights, result.base_stress, result.base_strain)
        assert relative(local, np.einsum("ni,ni->n", result.stress, eps)) < 1e-10


def test_energy_balances_as_steps_get_small():
    material = MATERIALS["imn"]()
    defects = []
    for steps in (50, 100, 200):
        state, work, old = material.initial_state(1), 0.0, np.zeros(6)
        for step in range(1, steps + 1):
            eps = np.array([[0.01, -0.004, 0.002, 0.003, 0.0, 0.001]]) * step / steps
            result = material.update(eps, 1.0, state)
            work += 0.5 * (result.stress[0] + old) @ (eps[0] - state[0, :6])
            state, old = result.state, result.stress[0]
        defects.append(abs(work - state[0, 6] - state[0, 7]) / work)
    assert defects[2] < 3e-3
    assert defects[2] < 0.6 * defects[1] < 0.4 * defects[0]


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_isotropic_laws_in_a_turned_network_answer_in_the_turned_frame(kind):
    turn = random_rotations(1, np.random.default_rng(7))[0]
    q = rotation_matrix(turn)
    net = network(kind)
    rotations = None if net.rotations is None else turn @ net.rotations
    turned = replace(net, normals=net.normals @ turn.T, rotations=rotations)
    laws = {"matrix": MATRIX, "fibre": FIBRE if kind == "dmn" else Elastic(E=72.0, nu=0.22)}
    here, there = (Material(network=n, phases=laws) for n in (net, turned))
    state_here, state_there = here.initial_state(4), there.initial_state(4)
    for eps in strain_path(4, 3, 3e-3, seed=9):
        a, b = here.update(eps, 1.0, state_here), there.update(eps @ q.T, 1.0, state_there)
        assert relative(b.stress, a.stress @ q.T) < 1e-9
        assert relative(b.tangent, q @ a.tangent @ q.T) < 1e-6
        state_here, state_there = a.state, b.state


def test_large_random_steps_converge_or_leave_the_state_intact(material):
    n = 10_000 if material.network.n_base > 1 and "grain" not in material.phases else 200
    rng = np.random.default_rng(10)
    state = material.initial_state(n)
    for _ in range(2):
        moves = rng.standard_normal((n, 6))
        eps = 0.2 * rng.uniform(size=(n, 1)) * moves / np.linalg.norm(moves, axis=1)[:, None]
        before = state.copy()
        result = material.update(eps, 1.0, state)
        ok = result.status == Status.OK
        assert np.isfinite(result.stress[ok]).all()
        assert np.isfinite(result.tangent[ok]).all()
        assert np.isfinite(result.state).all()
        assert np.isnan(result.stress[~ok]).all()
        np.testing.assert_array_equal(result.state[~ok], state[~ok])
        np.testing.assert_array_equal(state, before)
        assert (result.state[ok, 7] >= state[ok, 7]).all()  # dissipation
        assert ok.mean() > 0.99
        state = result.state


# the interface


def test_batch_gives_the_points_one_by_one(material):
    """More points than fit into the lanes of one thread's block, and not a multiple of them."""
    n = 83
    eps = strain_path(n, 1, 3e-3, seed=11)[0]
    state = material.initial_state(n)
    batch = material.update(eps, 0.1, state)
    for i in (0, 7, 8, 41, 82):
        alone = material.update(eps[i : i + 1], 0.1, state[i : i + 1])
        np.testing.assert_allclose(alone.stress[0], batch.stress[i], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(alone.state[0], batch.state[i], rtol=1e-6, atol=1e-9)


def test_bad_points_fail_alone():
    material = MATERIALS["imn"]()
    eps = strain_path(10, 1, 3e-3)[0]
    good = material.update(eps, 1.0, material.initial_state(10))
    eps[3, 2], eps[8, 0] = np.nan, np.inf
    mixed = material.update(eps, 1.0, material.initial_state(10))
    bad = [3, 8]
    assert mixed.status[bad].tolist() == [Status.NOT_FINITE] * 2
    assert np.isnan(mixed.stress[bad]).all()
    np.testing.assert_array_equal(mixed.state[bad], material.initial_state(2))
    rest = np.delete(np.arange(10), bad)
    np.testing.assert_allclose(mixed.stress[rest], good.stress[rest], rtol=1e-9)


def test_an_impossible_tolerance_is_a_status():
    material = MATERIALS["imn"]().with_options(tol=1e-15, max_iterations=2, max_cuts=0)
    result = material.update(strain_path(2, 1, 0.02)[0], 1.0, material.initial_state(2))
    assert (result.status == Status.NOT_CONVERGED).all()
    assert np.isnan(result.tangent).all()
    np.testing.assert_array_equal(result.state, material.initial_state(2))


def test_state_is_compact_and_laid_out_as_documented():
    material = Material(network=network(depth=6), phases={"matrix": MATRIX, "fibre": FIBRE})
    assert 8 * material.n_state / material.network.n_base <= 110
    eps = strain_path(2, 1, 5e-3)[0]
    result = material.solve(eps, 1.0, material.initial_state(2))
    layout, state = material.layout, result.state
    np.testing.assert_array_equal(layout.strain(state), eps)
    p = layout.phase(state, "matrix")[:, :, 6]
    assert p.shape == (2, 32)
    sig = result.base_stress[:, layout.nodes("matrix")]
    mises = np.sqrt(1.5) * np.linalg.norm(
        sig - sig[..., :3].mean(-1)[..., None] * [1, 1, 1, 0, 0, 0], axis=2
    )
    flow = MATRIX.hardening
    expected = flow.sig_y + flow.H * p + flow.Q * (1.0 - np.exp(-flow.b * p))
    np.testing.assert_allclose(mises[p > 0], expected[p > 0], rtol=1e-9)
    assert (p > 0).sum() > 30
    stored = np.einsum("b,nb->n", material.network.weights, result.base_energy[..., 0])
    np.testing.assert_allclose(layout.energy(state)[:, 0], stored, rtol=1e-12)


def test_a_material_survives_pickling():
    material = MATERIALS["dmn"]()
    eps, state = strain_path(2, 1, 3e-3)[0], material.initial_state(2)
    expected = material.update(eps, 1.0, state).stress
    again = pickle.loads(pickle.dumps(material))
    np.testing.assert_array_equal(again.update(eps, 1.0, state).stress, expected)


def test_mixed_materials_are_each_their_own():
    one, two = MATERIALS["imn"](), MATERIALS["crystals"]()
    index = np.array([0, 1, 1, 0, 1])
    mixed = MixedMaterial(materials=(one, two), of_point=index)
    eps, state = strain_path(5, 1, 2e-3)[0], mixed.initial_state()
    result = mixed.update(eps, 0.5, state)
    for number, material in enumerate((one, two)):
        points = index == number
        part = material.update(eps[points], 0.5, state[points, : material.n_state])
        np.testing.assert_array_equal(result.stress[points], part.stress)
        np.testing.assert_array_equal(result.state[points, : material.n_state], part.state)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m, e, s: m.update(e, -1.0, s),
            ParameterError,
            "dt = -1, expected a finite time >= 0.",
        ),
        (lambda m, e, s: m.update(e, 1.0, s[:, 1:]), ShapeError, "state_n has shape"),
        (
            lambda m, e, s: m.update(e[:, :5], 1.0, s),
            ShapeError,
            "strain has shape (2, 5), expected",
        ),
        (
            lambda m, e, s: m.update(e, 1.0, s, np.nan),
            ParameterError,
            "temperature: 1 of 1 values are not finite",
        ),
        (
            lambda m, e, s: m.with_options(solver="magic"),
            ParameterError,
            "solver 'magic' is unknown, expected one of tree-newton,",
        ),
        (
            lambda m, e, s: m.with_options(tol=0.0),
            ParameterError,
            "tol = 0.0, expected a value between",
        ),
        (
            lambda m, e, s: m.with_options(max_iterations=1),
            ParameterError,
            "max_iterations = 1 and max_cuts = 6, expected at least 2 and 0.",
        ),
        (
            lambda m, e, s: MixedMaterial(materials=(m,), of_point=[0, 1]),
            ParameterError,
            "of_point must hold whole numbers from 0 to 0",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    material = MATERIALS["imn"]()
    with pytest.raises(error) as caught:
        call(material, np.zeros((2, 6)), material.initial_state(2))
    assert message in str(caught.value)


def test_a_rate_law_needs_a_time_step():
    material = MATERIALS["crystals"]()
    with pytest.raises(
        ParameterError, match="dt = 0, expected a time > 0: a law depends on the rate"
    ):
        material.update(np.zeros((1, 6)), 0.0, material.initial_state(1))
