import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest

import fe_examples
from matnet.errors import ParameterError
from matnet.mandel import (
    from_mandel,
    interface_matrix,
    rotate_stiffness,
    rotation_matrix,
    to_mandel,
)
from matnet.network import Network
from matnet.online.documents import plain_tree_newton, secant_stiffness, solve
from matnet.online.layout import StateLayout
from matnet.online.options import SolverOptions
from matnet.online.solution import Solution, Status
from matnet.phases import Elastic, PhaseLaw, Void
from matnet.phases.backstress import ArmstrongFrederick
from matnet.phases.hardening import Linear, LinearVoce, Voce
from matnet.phases.j2 import J2
from matnet.phases.thermal import ThermalExpansion
from matnet.phases.toml import read_phases

from .laminate_reference import (
    Layer,
    equibiaxial,
    in_plane_shear,
    laminate_path,
    out_of_plane_shear,
)

DOCUMENTS = ("dense-newton", "fixed-point", "dmn", "dmn-no-residual")
SOLVERS = ("plain", *DOCUMENTS)
NAMES = ("matrix", "fibre")
DATA = Path(fe_examples.__file__).parent / "data" / "composites"
LOADS = np.diag([1.0, 1.0, 1.0, 0.5**0.5, 0.5**0.5, 0.5**0.5])  # the documents' six, 1 = 100 %

EPOXY = J2(E=3.8, nu=0.387, hardening=Linear(sig_y=0.03, H=0.2))
GLASS = Elastic(E=72.0, nu=0.22)


@pytest.fixture(autouse=True)
def one_thread():
    """Starting threads for a few dozen points costs more than the points, on a busy machine."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


def composite(number: int) -> dict[str, PhaseLaw]:
    return read_phases(DATA / f"ud{number}.toml", NAMES)


class Point:
    """Points that remember their state, one solver."""

    def __init__(self, network: Network, laws: Mapping, solver: str, n: int, **options) -> None:
        self.layout = StateLayout(network, laws)
        self.given = (network, laws, self.layout)
        if solver != "plain":
            options["solver"] = solver
        self.options = SolverOptions(**options)
        self.function: Callable[..., Solution] = plain_tree_newton if solver == "plain" else solve
        self.state = self.layout.initial(n)

    def trial(self, strain, temperature=None, **more) -> Solution:
        return self.function(
            *self.given, self.options, strain, 1.0, self.state, temperature, **more
        )

    def step(self, strain, temperature=None, **more) -> Solution:
        solution = self.trial(strain, temperature, **more)
        assert (solution.status == Status.OK).all(), solution.status
        self.state = solution.state
        return solution


def ud_network(kind: str = "imn", depth: int = 4, seed: int = 0) -> Network:
    return Network.random(kind, depth, NAMES, (0.4, 0.6), seed=seed)


def laminate(f1: float, normal) -> Network:
    return Network(
        kind="imn",
        depth=1,
        phase_names=NAMES,
        weights=np.array([f1, 1.0 - f1]),
        base_phase=np.array([0, 1]),
        normals=np.array([normal], dtype=float),
        children=np.array([[-1, -2]]),
    )


def cycle(steps: int, size: float) -> np.ndarray:
    """Up, down beyond zero, and up again."""
    turns = size * np.array([0.0, 1.0, -0.7, 0.4])
    return np.interp(np.linspace(0.0, 3.0, steps + 1)[1:], range(4), turns)


# --- one block against computations that share no code with matnet


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_block_is_the_exact_elastoplastic_laminate(solver: str) -> None:
    """Random strain directions, loading and unloading, against scipy's root of the tractions."""
    rng = np.random.default_rng(0)
    normal = np.array([0.48, -0.6, 0.64])
    hardening = LinearVoce(sig_y=0.03, H=0.2, Q=0.02, b=150.0)
    matrix = Layer(3.8, 0.387, lambda p: 0.03 + 0.2 * p + 0.02 * (1.0 - np.exp(-150.0 * p)))
    laws = {"matrix": J2(E=3.8, nu=0.387, hardening=hardening), "fibre": GLASS}
    directions = rng.standard_normal((2, 6))
    point = Point(laminate(0.4, normal), laws, solver, 2, tol=1e-11)
    amounts = cycle(12, 0.012)
    path = np.stack([point.step(amount * directions).stress for amount in amounts])
    for i, direction in enumerate(directions):
        strains = from_mandel(amounts[:, None] * direction)
        exact = laminate_path((matrix, Layer(72.0, 0.22)), 0.4, normal, strains)
        np.testing.assert_allclose(path[:, i], to_mandel(exact), atol=1e-9 * np.abs(exact).max())
    plastic = point.layout.phase(point.state, "matrix")[:, 0]
    assert np.abs(plastic).max() > 0.01


@pytest.mark.parametrize("solver", SOLVERS)
def test_laminate_follows_closed_forms(solver: str) -> None:
    """Shear along and across the layers and equibiaxial stretch, elastic and then plastic."""
    soft, stiff = Layer(3.8, 0.387), Layer(72.0, 0.22)
    point = Point(
        laminate(0.4, [0.0, 0.0, 1.0]), {"matrix": EPOXY, "fibre": GLASS}, solver, 3, tol=1e-11
    )
    amounts = np.linspace(0.0, 0.02, 11)[1:]
    for e in amounts:
        strain = e * np.array([LOADS[3], LOADS[4], [1.0, 1.0, -1.0, 0.0, 0.0, 0.0]])
        along, across, biaxial = point.step(strain).stress
        given = (e, soft, 0.03, 0.2, stiff, 0.4)
        assert along[3] / 2**0.5 == pytest.approx(in_plane_shear(*given), rel=1e-10)
        assert across[4] / 2**0.5 == pytest.approx(out_of_plane_shear(*given), rel=1e-10)
        sig11, sig33 = equibiaxial(*given)
        np.testing.assert_allclose(biaxial[:3], [sig11, sig11, sig33], rtol=1e-10)
    assert (point.layout.phase(point.state, "matrix")[:, 0, 6] > 0.004).all()


# --- whole networks


@pytest.fixture(scope="module", params=[1, 2, 3])
def ud(request) -> tuple[dict[str, PhaseLaw], Network]:
    return composite(request.param), ud_network(seed=request.param)


@pytest.mark.parametrize("solver", DOCUMENTS)
@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_documents_solvers_agree_with_the_tree_newton(ud, kind: str, solver: str) -> None:
    """Six loadings to 0.8 % in 0.1 % increments, back to 0.2 %; stresses to 1e-7, tangents too."""
    laws, network = ud
    if kind == "dmn":
        network = ud_network("dmn", seed=7)
    plain = Point(network, laws, "plain", 6, tol=1e-9)
    other = Point(network, laws, solver, 6, tol=1e-9)
    for amount in (1e-3, 2e-3, 3e-3, 4e-3, 6e-3, 8e-3, 2e-3):
        expected, found = plain.step(amount * LOADS), other.step(amount * LOADS)
        for name in ("stress", "tangent", "base_stress", "base_strain", "base_energy"):
            a, b = getattr(found, name), getattr(expected, name)
            np.testing.assert_allclose(a, b, atol=1e-7 * np.abs(b).max(), err_msg=name)
    np.testing.assert_allclose(other.state, plain.state, atol=1e-8)


def test_iterations_on_the_composites(ud) -> None:
    """0.1 % increments: Newton needs at most 5, the documents' others more, in order."""
    laws, network = ud
    counts = {}
    for solver in ("plain", "dense-newton", "dmn", "dmn-no-residual"):
        point = Point(network, laws, solver, 6)  # tol 1e-8
        steps = [point.step(amount * LOADS).iterations for amount in 1e-3 * np.arange(1, 9)]
        counts[solver] = np.stack(steps)
    assert counts["plain"].max() <= 5
    assert counts["dense-newton"].max() <= 5
    mean = {solver: count.mean() for solver, count in counts.items()}
    assert mean["plain"] < mean["dense-newton"] < mean["dmn"]
    assert 1.4 * mean["dmn"] < mean["dmn-no-residual"]  # residual stress pays (section 3.4)
    assert 1.9 * mean["dense-newton"] < mean["dmn-no-residual"]  # and Newton (section 3.5)


@pytest.mark.parametrize("solver", ["plain", "dmn", "fixed-point"])
def test_hill_mandel_and_mean_strain(ud, solver: str) -> None:
    laws, network = ud
    point = Point(network, laws, solver, 6, tol=1e-12)
    for amount in (3e-3, 6e-3):
        found = point.step(amount * LOADS)
        strain, stress = found.base_strain, found.base_stress
        np.testing.assert_allclose(network.weights @ strain, amount * LOADS, atol=1e-16)
        np.testing.assert_allclose(network.weights @ stress, found.stress, rtol=0, atol=1e-12)
        micro = network.weights @ (strain * stress).sum(axis=2).T
        macro = (amount * LOADS * found.stress).sum(axis=1)
        np.testing.assert_allclose(micro, macro, rtol=1e-10)


def test_newton_converges_quadratically(ud) -> None:
    """Each residual is at most a constant times the square of the last, down to round-off."""
    laws, network = ud
    point = Point(network, laws, "plain", 6, tol=1e-13)
    point.step(4e-3 * LOADS)
    history: list[np.ndarray] = []
    point.step(7e-3 * LOADS, history=history)
    residuals = np.array(history)
    assert len(residuals) >= 4
    last = residuals[-3:] if (residuals[-3] < 1e-2).all() else residuals[-2:]
    for before, after in itertools.pairwise(last):
        assert (after <= 30.0 * before**2 + 1e-13).all()
    assert (residuals[-1] < 1e-12).all()


UNSYMMETRIC = J2(
    E=3.8,
    nu=0.387,
    hardening=Voce(sig_y=0.02, Q=0.02, b=80.0),
    backstresses=(ArmstrongFrederick(C=2.0, gamma=60.0),),
)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("matrix", [EPOXY, UNSYMMETRIC], ids=["symmetric", "unsymmetric"])
def test_tangent_matches_central_difference(solver: str, matrix: PhaseLaw) -> None:
    network = ud_network("dmn", depth=3, seed=4)
    laws = {"matrix": matrix, "fibre": composite(1)["fibre"]}
    point = Point(network, laws, solver, 1, tol=1e-12)
    point.step(8e-3 * np.array([[1.0, -0.3, 0.2, 0.6, -0.4, 0.1]]))
    eps = 1e-2 * np.array([[0.7, 0.3, 0.2, 0.9, -0.4, 0.5]])
    tangent = point.trial(eps).tangent[0]
    h = 1e-6
    difference = np.empty((6, 6))
    for j in range(6):
        up, down = (point.trial(eps + sign * h * np.eye(6)[j]).stress[0] for sign in (1, -1))
        difference[:, j] = (up - down) / (2.0 * h)
    np.testing.assert_allclose(tangent, difference, atol=1e-6 * np.abs(tangent).max())
    assert (np.abs(tangent - tangent.T).max() > 1e-4 * np.abs(tangent).max()) == (
        matrix is UNSYMMETRIC
    )


@pytest.mark.parametrize("solver", DOCUMENTS)
def test_three_phases_with_void_in_an_uneven_tree(solver: str) -> None:
    network = Network.random("imn", 5, (*NAMES, "void"), (0.5, 0.3, 0.2), seed=3).pruned(0.03)
    laws = {"matrix": EPOXY, "fibre": GLASS, "void": Void()}
    plain, other = (Point(network, laws, s, 6, tol=1e-10) for s in ("plain", solver))
    for amount in (4e-3, 8e-3, 12e-3):
        expected, found = plain.step(amount * LOADS), other.step(amount * LOADS)
        scale = np.abs(expected.stress).max()
        np.testing.assert_allclose(found.stress, expected.stress, atol=1e-8 * scale)
        scale = np.abs(expected.tangent).max()
        np.testing.assert_allclose(found.tangent, expected.tangent, atol=1e-7 * scale)
    void = network.base_phase == 2
    assert not expected.base_stress[:, void].any()
    assert plain.layout.phase(plain.state, "matrix")[..., 6].max() > 1e-3


@pytest.mark.parametrize("solver", SOLVERS)
def test_linear_phases_give_the_effective_stiffness(solver: str) -> None:
    network = ud_network("dmn", seed=5)
    laws = {"matrix": Elastic(E=3.8, nu=0.387), "fibre": composite(1)["fibre"]}
    point = Point(network, laws, solver, 6)
    assert point.state.shape == (6, 0)
    stiffness = network.homogenize(np.stack([law.stiffness for law in laws.values()]))
    found = point.step(1e-3 * LOADS)
    np.testing.assert_allclose(found.stress, 1e-3 * LOADS @ stiffness, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(found.tangent, np.tile(stiffness, (6, 1, 1)), atol=1e-10)
    energy = np.einsum("b,nb->n", network.weights, found.base_energy[..., 0])
    counts = {"plain": 1, "dense-newton": 2}  # from the elastic jumps, and from none
    assert (found.iterations == counts.get(solver, 3)).all()
    np.testing.assert_allclose(energy, 0.5e-3 * (found.stress * LOADS).sum(axis=1), rtol=1e-8)


def test_softening_matrix_is_solved_without_residual_stress() -> None:
    matrix = J2(E=3.8, nu=0.387, hardening=Voce(sig_y=0.05, Q=-0.02, b=60.0))
    laws, network = {"matrix": matrix, "fibre": GLASS}, ud_network(depth=3, seed=2)
    plain, fixed = (Point(network, laws, s, 6, tol=1e-10) for s in ("plain", "fixed-point"))
    for amount in 1e-3 * np.arange(4, 16, 2):
        expected, found = plain.step(amount * LOADS), fixed.step(amount * LOADS)
        scale = np.abs(expected.stress).max()
        np.testing.assert_allclose(found.stress, expected.stress, atol=1e-8 * scale)


@pytest.mark.parametrize("solver", ["dense-newton", "dmn"])
def test_unloading_after_perfectly_plastic_flow_starts_elastically(solver: str) -> None:
    """On the yield surface, round-off must not choose the tangent of the first step back."""
    laws = {"matrix": J2(E=3.8, nu=0.387, hardening=Linear(sig_y=0.03)), "fibre": GLASS}
    network = ud_network("dmn", depth=5, seed=3)
    plain, other = (Point(network, laws, s, 6, tol=1e-9) for s in ("plain", solver))
    for amount in (2e-3, 4e-3, 6e-3, 8e-3, 6e-3, 4e-3):
        expected, found = plain.step(amount * LOADS), other.step(amount * LOADS)
        scale = np.abs(expected.stress).max()
        np.testing.assert_allclose(found.stress, expected.stress, atol=1e-7 * scale)


# --- temperature and frames


@pytest.mark.parametrize("solver", ["plain", "dense-newton", "dmn"])
def test_thermal_strain_of_a_turned_node(solver: str) -> None:
    """One base node in its own frame: stress is R C (eps - alpha dT), all turned by hand."""
    turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    network = replace(laminate(0.5, [0.0, 0.0, 1.0]), kind="dmn", rotations=np.stack((turn, turn)))
    fibre = composite(1)["fibre"]
    alpha = np.array([3e-5, 2e-5, 1e-6])
    law = ThermalExpansion(fibre, tuple(alpha), reference_temperature=20.0)
    point = Point(network, {"matrix": law, "fibre": law}, solver, 2)
    strain = 1e-3 * np.array([[1.0, 2.0, 0.0, 0.5, 0.0, 1.0], [0.0] * 6])
    found = point.step(strain, temperature=np.array([20.0, 120.0]))
    stiffness = rotate_stiffness(fibre.stiffness, turn)
    free = rotation_matrix(turn) @ np.array([*alpha, 0.0, 0.0, 0.0])
    expected = (strain - np.outer([0.0, 100.0], free)) @ stiffness
    np.testing.assert_allclose(found.stress, expected, atol=1e-12)


@pytest.mark.parametrize("solver", ["dense-newton", "dmn"])
def test_heated_composite_agrees(solver: str) -> None:
    laws = {
        "matrix": ThermalExpansion(EPOXY, (6e-5, 6e-5, 7e-5), reference_temperature=20.0),
        "fibre": ThermalExpansion(GLASS, 5e-6, reference_temperature=20.0),
    }
    network = ud_network("dmn", seed=8)
    plain, other = (Point(network, laws, s, 6, tol=1e-10) for s in ("plain", solver))
    for amount, kelvin in ((0.0, 60.0), (4e-3, 90.0), (8e-3, 20.0)):
        expected = plain.step(amount * LOADS, kelvin)
        found = other.step(amount * LOADS, np.full(6, kelvin))
        scale = np.abs(expected.stress).max()
        np.testing.assert_allclose(found.stress, expected.stress, atol=1e-8 * scale)
    assert np.abs(plain.layout.phase(plain.state, "matrix")[..., 6]).max() > 1e-3
    each = np.linspace(20.0, 120.0, 6)
    mixed = other.trial(8e-3 * LOADS, each).stress
    for i, kelvin in enumerate(each):
        alone = other.trial(8e-3 * LOADS, float(kelvin)).stress
        np.testing.assert_allclose(mixed[i], alone[i], rtol=0, atol=1e-14)


# --- state, energy and failure


@pytest.mark.parametrize("solver", SOLVERS)
def test_state_holds_strain_jumps_and_energies(solver: str) -> None:
    """Stored plus dissipated energy is the work of the mean stress, up to the size of the step."""
    network = ud_network(depth=3, seed=6)
    laws = {"matrix": EPOXY, "fibre": GLASS}
    point = Point(network, laws, solver, 6, tol=1e-9)
    work, old, eps_old = np.zeros(6), np.zeros((6, 6)), np.zeros((6, 6))
    flow, plastic_old = np.zeros(6), 0.0
    nodes = point.layout.nodes("matrix")
    for amount in np.linspace(0.0, 0.01, 21)[1:]:
        strain = amount * LOADS
        found = point.step(strain)
        work += 0.5 * ((old + found.stress) * (strain - eps_old)).sum(axis=1)
        old, eps_old = found.stress, strain
        plastic = point.layout.phase(point.state, "matrix")[..., :6].copy()
        power = (found.base_stress[:, nodes] * (plastic - plastic_old)).sum(axis=2)
        flow, plastic_old = flow + power @ network.weights[nodes], plastic
    np.testing.assert_array_equal(point.layout.strain(point.state), eps_old)
    stored, lost = point.layout.energy(point.state).T
    np.testing.assert_allclose(stored + lost, work, rtol=8e-3)
    np.testing.assert_allclose(lost, flow, rtol=1e-7)  # sum of w sig : d_eps_p
    assert (lost > 0.02 * work).all()
    jumps = point.layout.jumps(point.state)
    root = jumps[:, 0] @ interface_matrix(network.normals[0]).T
    first, second = _halves(network, found.base_strain)
    np.testing.assert_allclose(first - second, root, atol=1e-15)


def _halves(network: Network, base: np.ndarray) -> list[np.ndarray]:
    """Mean strains of the root's two children; base nodes lie in order below a complete tree."""
    parts = np.split(np.arange(network.n_base), 2)
    if network.children[-1, 0] != -(network.n_base - 1):
        raise AssertionError("expected a complete tree")
    return [np.average(base[:, part], axis=1, weights=network.weights[part]) for part in parts]


@pytest.mark.parametrize("solver", SOLVERS)
def test_nothing_happens_without_an_increment(solver: str) -> None:
    laws = {"matrix": EPOXY, "fibre": GLASS}
    point = Point(ud_network(depth=3), laws, solver, 6, tol=1e-11)
    before = point.step(8e-3 * LOADS)
    after = point.step(8e-3 * LOADS)
    np.testing.assert_allclose(after.stress, before.stress, atol=1e-13)
    np.testing.assert_allclose(after.state, before.state, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_batch_is_point_by_point(solver: str) -> None:
    laws, network = {"matrix": EPOXY, "fibre": GLASS}, ud_network(depth=2)
    together = Point(network, laws, solver, 6).step(1e-2 * LOADS)
    for i in range(6):
        alone = Point(network, laws, solver, 1).step(1e-2 * LOADS[i : i + 1])
        np.testing.assert_allclose(alone.stress[0], together.stress[i], rtol=0, atol=1e-15)
        assert alone.iterations[0] == together.iterations[i]


@pytest.mark.parametrize("solver", SOLVERS)
def test_bad_points_are_nan_with_their_old_state(solver: str) -> None:
    laws, network = {"matrix": EPOXY, "fibre": GLASS}, ud_network(depth=2)
    point = Point(network, laws, solver, 3)
    point.step(4e-3 * LOADS[:3])
    strain = 8e-3 * LOADS[:3]
    strain[1, 2] = np.nan
    kept = point.state.copy()
    found = point.trial(strain)
    np.testing.assert_array_equal(found.status, [Status.OK, Status.NOT_FINITE, Status.OK])
    for array in (found.stress, found.tangent, found.base_strain, found.base_energy):
        assert np.isnan(array[1]).all() and np.isfinite(array[[0, 2]]).all()
    np.testing.assert_array_equal(found.state[1], kept[1])
    np.testing.assert_array_equal(point.state, kept)
    assert found.iterations[1] == 0


@pytest.mark.parametrize("solver", ["plain", "dense-newton", "dmn"])
def test_too_few_iterations_are_a_status(solver: str) -> None:
    laws, network = {"matrix": EPOXY, "fibre": GLASS}, ud_network(depth=3)
    point = Point(network, laws, solver, 6, max_iterations=2, tol=1e-12)
    found = point.trial(2e-2 * LOADS)
    assert (found.status == Status.NOT_CONVERGED).all()
    assert np.isnan(found.stress).all()
    np.testing.assert_array_equal(found.state, point.state)
    np.testing.assert_array_equal(found.iterations, 2)


# --- secants and messages


def test_secant_maps_the_increment_exactly() -> None:
    """Plastic, elastic, zero and softening increments; where it can be, it is symmetric and > 0."""
    d_eps = 1e-2 * np.array([[1.0, 0.2, -0.3, 0.5, 0.1, 0.4]] * 4)
    d_eps[2] = 0.0
    d_sig = d_eps @ EPOXY.stiffness
    d_sig[0] = EPOXY.evaluate(d_eps[:1], 0.0, np.zeros((1, EPOXY.n_state))).stress
    d_sig[3] = -0.1 * d_sig[3] + 1e-3 * np.eye(6)[3]
    secant = secant_stiffness(EPOXY.stiffness, d_eps, d_sig)
    np.testing.assert_allclose((secant @ d_eps[..., None])[..., 0], d_sig, atol=1e-14)
    for elastic in (1, 2):
        np.testing.assert_allclose(secant[elastic], EPOXY.stiffness, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(secant[0], secant[0].T, atol=1e-13)
    assert np.linalg.eigvalsh(secant[0])[0] > 0.0
    assert not np.allclose(secant[3], secant[3].T)


@pytest.mark.parametrize("solver", ["fixed-point", "dmn-no-residual"])
def test_secant_solvers_say_what_they_cannot_do(solver: str) -> None:
    from matnet.phases.viscoelastic import Viscoelastic

    slow = Viscoelastic(E=3.0, nu=0.3, g=(0.5,), tau=(1.0,))
    warm = ThermalExpansion(EPOXY, 1e-5)
    for law, what in ((slow, "depends on the rate"), (warm, "expands with temperature")):
        point = Point(ud_network(depth=2), {"matrix": law, "fibre": GLASS}, solver, 6)
        with pytest.raises(ParameterError) as caught:
            point.trial(1e-3 * LOADS)
        assert str(caught.value) == (
            f"solver '{solver}' has no residual stress, but the law of phase 'matrix' {what}; "
            "take 'dmn', 'dense-newton' or 'tree-newton'."
        )


def test_compiled_solver_is_not_solved_here() -> None:
    point = Point(ud_network(depth=2), {"matrix": EPOXY, "fibre": GLASS}, "tree-newton", 6)
    with pytest.raises(ParameterError, match="'tree-newton' is not one of the documents' own"):
        point.trial(1e-3 * LOADS)
