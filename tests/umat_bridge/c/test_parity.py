"""The C material gives what numba gives, to round-off, for every law and network."""

from pathlib import Path

import numpy as np
import pytest

from matnet import Material, Network
from matnet.errors import FileFormatError, ParameterError, ShapeError
from matnet.material import Status
from matnet.phases import J2, CrystalPlasticity, Elastic, Linear, ThermalExpansion
from umat_bridge.c import CMaterial

from .cases import LAWS, NETWORKS, increments, make_material

N_POINTS, N_STEPS = 2500, 4  # 10 000 increments per law and network
SAME = 1e-10


def both(tmp_path: Path, material: Material) -> tuple[Material, CMaterial]:
    material.save(tmp_path / "material.matnet")
    options = material.options
    limits = {"max_iterations": options.max_iterations, "max_cuts": options.max_cuts}
    return material, CMaterial(tmp_path / "material.matnet", tol=options.tol, **limits)


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest error of a point's stress or tangent over its norm."""
    n = len(ours)
    error = np.linalg.norm((ours - theirs).reshape(n, -1), axis=1)
    return float((error / np.linalg.norm(theirs.reshape(n, -1), axis=1)).max())


def require_equal(ours, theirs, state_scale) -> None:
    assert np.array_equal(ours.status, theirs.status)
    good = theirs.status == Status.OK
    assert good.mean() > 0.9
    assert np.isnan(ours.stress[~good]).all() and np.isnan(ours.tangent[~good]).all()
    assert relative(ours.stress[good], theirs.stress[good]) < SAME
    assert relative(ours.tangent[good], theirs.tangent[good]) < SAME
    assert (np.abs(ours.state - theirs.state) <= SAME * state_scale).all()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", LAWS)
def test_random_increments_equal_numba(tmp_path, name, network):
    material, c = both(tmp_path, make_material(network, LAWS[name]))
    rng = np.random.default_rng(5)
    state = material.initial_state(N_POINTS)
    assert np.array_equal(c.initial_state(N_POINTS), state)
    for strain in increments(N_POINTS, N_STEPS):
        kelvin = (
            rng.uniform(250.0, 400.0, N_POINTS) if "expanding" in name or "heated" in name else None
        )
        theirs = material.update(strain, 0.7, state, kelvin)
        ours = c.update(strain, 0.7, state, kelvin)
        require_equal(ours, theirs, 1.0 + np.abs(theirs.state).max(axis=0))
        state = theirs.state


def test_all_c_kernels_are_compared(tmp_path):
    kernels = set()
    for law in LAWS.values():
        path = tmp_path / "law.matnet"
        Material.homogeneous(law).save(path)
        header = path.read_text()
        kernels.add(header.split("phase.0.kernel = ")[1].split("\n")[0])
    assert kernels == {
        "elastic",
        "radial-return",
        "general-return",
        "viscoelastic",
        "damage",
        "ductile-damage",
        "drucker-prager",
    }


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["J2, Voce", "Drucker-Prager"])
def test_steps_that_need_continuation_equal_numba(tmp_path, name, network):
    few = make_material(network, LAWS[name]).with_options(max_iterations=4, max_cuts=3)
    material, c = both(tmp_path, few)
    strain = increments(500, 1, size=0.1)[0]
    state = material.initial_state(500)
    solution = material.solve(strain, 1.0, state)
    good = solution.status == Status.OK
    assert (good & (solution.iterations > 4)).sum() > 5
    ours = c.update(strain, 1.0, state)
    assert np.array_equal(ours.status, solution.status)
    assert relative(ours.stress[good], solution.stress[good]) < SAME
    # at a limit load the tangent vanishes, but for the round-off of what cancelled
    floor = 1e-3 * np.abs(material.stiffness).max() * np.eye(6)
    assert relative(ours.tangent[good] + floor, solution.tangent[good] + floor) < SAME


@pytest.mark.parametrize("name", ["J2, Voce", "J2, Chaboche", "viscoelastic"])
def test_one_point_at_a_time_equals_a_batch(tmp_path, name):
    _, c = both(tmp_path, make_material("DMN", LAWS[name]))
    state = c.initial_state(20)
    for strain in increments(20, 3):
        batch = c.update(strain, 0.7, state)
        for i in range(20):
            one = c.update(strain[i : i + 1], 0.7, state[i : i + 1])
            assert relative(one.stress, batch.stress[i : i + 1]) < 1e-12
            assert relative(one.tangent, batch.tangent[i : i + 1]) < 1e-10
        state = batch.state


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 8, 9, 17])
def test_any_number_of_points_is_served(tmp_path, n):
    material, c = both(tmp_path, make_material("IMN", LAWS["J2, Voce"]))
    strain = increments(n, 1)[0]
    theirs = material.update(strain, 1.0, material.initial_state(n))
    ours = c.update(strain, 1.0, c.initial_state(n))
    assert ours.stress.shape == (n, 6) and ours.tangent.shape == (n, 6, 6)
    np.testing.assert_allclose(ours.stress, theirs.stress, rtol=1e-11, atol=1e-9)


def test_linear_phases_have_no_state_and_one_stiffness(tmp_path):
    material, c = both(tmp_path, make_material("DMN", Elastic(E=70e3, nu=0.33)))
    strain = increments(5, 1)[0]
    ours = c.update(strain, 0.0, np.empty((5, 0)))
    assert c.n_state == 0 and not c.rate_dependent
    np.testing.assert_allclose(c.stiffness, material.stiffness, rtol=1e-12, atol=1e-6)
    np.testing.assert_allclose(ours.stress, strain @ material.stiffness, rtol=1e-11)
    np.testing.assert_allclose(ours.tangent[3], material.stiffness, rtol=1e-12, atol=1e-6)


def test_a_pruned_three_phase_network_equals_numba(tmp_path):
    tree = Network.random("dmn", 4, ("a", "void", "b"), (0.5, 0.2, 0.3), seed=2).pruned(0.04)
    assert tree.n_base < 16
    laws = {"a": LAWS["J2, expanding"], "b": LAWS["Drucker-Prager"]}
    material, c = both(tmp_path, tree.with_phases(**laws))
    state = material.initial_state(200)
    for strain in increments(200, 3):
        theirs, ours = (m.update(strain, 1.0, state, 300.0) for m in (material, c))
        require_equal(ours, theirs, 1.0 + np.abs(theirs.state).max(axis=0))
        state = theirs.state


def test_a_single_base_node_equals_its_law(tmp_path):
    law = LAWS["J2, Voce"]
    _, c = both(tmp_path, Material.homogeneous(law))
    strain = increments(10, 1, size=5e-3)[0]
    alone = law.evaluate(strain, 1.0, np.zeros((10, 7)))
    np.testing.assert_allclose(
        c.update(strain, 1.0, c.initial_state(10)).stress, alone.stress, rtol=1e-12, atol=1e-9
    )


def test_free_thermal_expansion_is_free_of_stress(tmp_path):
    law = ThermalExpansion(J2(E=210e3, nu=0.3, hardening=Linear(sig_y=250.0)), 1e-5, 20.0)
    _, c = both(tmp_path, Material.homogeneous(law))
    strain = np.array([[1e-3, 1e-3, 1e-3, 0.0, 0.0, 0.0]])
    update = c.update(strain, 1.0, c.initial_state(1), temperature=120.0)
    assert np.abs(update.stress).max() < 1e-9
    assert c.update(0.0 * strain, 1.0, c.initial_state(1)).stress.any() == 0


@pytest.mark.parametrize("n", [1, 9])
def test_points_that_are_not_finite_say_so_and_keep_their_state(tmp_path, n):
    _, c = both(tmp_path, make_material("IMN", LAWS["J2, Voce"]))
    strain = increments(n, 1)[0]
    state = c.update(strain, 1.0, c.initial_state(n)).state
    good = c.update(1.1 * strain, 1.0, state)
    bad = 1.1 * strain
    bad[0, 2] = np.nan
    update = c.update(bad, 1.0, state)
    assert update.status[0] == Status.NOT_FINITE and not update.status[1:].any()
    assert np.isnan(update.stress[0]).all() and np.isnan(update.tangent[0]).all()
    assert np.array_equal(update.state[0], state[0])
    assert np.array_equal(update.stress[1:], good.stress[1:])
    state[0, 20] = np.inf
    assert c.update(strain, 1.0, state).status[0] == Status.NOT_FINITE


def test_the_given_state_is_never_changed(tmp_path):
    _, c = both(tmp_path, make_material("IMN", LAWS["J2, Voce"]))
    state = c.initial_state(9)
    before = state.copy()
    c.update(increments(9, 1)[0], 1.0, state)
    assert np.array_equal(state, before)


def test_options_reach_the_solver(tmp_path):
    make_material("IMN", LAWS["J2, Voce"]).save(tmp_path / "m.matnet")
    strain = increments(50, 1, size=0.2)[0]
    strict = CMaterial(tmp_path / "m.matnet", max_iterations=3, max_cuts=0)
    assert (strict.update(strain, 1.0, strict.initial_state(50)).status == 2).any()
    with pytest.raises(ParameterError, match=r"tol = 0, max_iterations = 30 and max_cuts = 6"):
        CMaterial(tmp_path / "m.matnet", tol=0.0)


def test_bad_arguments_are_named(tmp_path):
    _, c = both(tmp_path, make_material("IMN", LAWS["Perzyna"]))
    state, strain = c.initial_state(2), np.zeros((2, 6))
    with pytest.raises(ShapeError, match=r"strain has shape \(2, 5\), expected \(any, 6\)"):
        c.update(strain[:, :5], 1.0, state)
    with pytest.raises(ShapeError, match="state_n has shape"):
        c.update(strain, 1.0, state[:, 1:])
    with pytest.raises(ParameterError, match="dt = 0, expected a time > 0"):
        c.update(strain, 0.0, state)
    with pytest.raises(ParameterError, match="temperature: 1 of 1 values are not finite"):
        c.update(strain, 1.0, state, np.nan)


def test_laws_without_c_kernels_are_named(tmp_path):
    copper = CrystalPlasticity(C11=168e3, C12=121e3, C44=75e3, g0=16.0, gammadot0=1e-3, n=20.0)
    Material.homogeneous(copper).save(tmp_path / "m.matnet")
    with pytest.raises(
        FileFormatError, match=r"m\.matnet: phase 'solid' has the law 'crystal.*Python only"
    ):
        CMaterial(tmp_path / "m.matnet")


def test_a_network_without_laws_is_refused(tmp_path):
    Network.random("imn", 2, ("a", "b"), (0.4, 0.6), 0).save(tmp_path / "m.matnet")
    with pytest.raises(FileFormatError, match=r"m\.matnet: phase 'a' has no law: .* network only"):
        CMaterial(tmp_path / "m.matnet")
