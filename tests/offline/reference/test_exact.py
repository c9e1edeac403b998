"""Cells whose answer is known: laminates, homogeneous cells, linear phases."""

import numpy as np
import pytest

import matnet
from matnet import paths
from matnet.mandel import from_mandel, rotation_matrix, to_mandel
from matnet.network import Network
from matnet.paths import LoadPath
from matnet.phases import J2, CrystalPlasticity, DruckerPrager, Elastic, Viscoelastic
from matnet.phases.backstress import ArmstrongFrederick
from matnet.phases.hardening import Linear, LinearVoce
from matnet.phases.thermal import ThermalExpansion
from offline.homogenization import SolverOptions, homogenize
from offline.reference import ReferenceOptions, simulate
from offline.rve import Rve

from ...matnet.online.laminate_reference import Layer, laminate_path

TIGHT = ReferenceOptions(tol=1e-11)
EPOXY = J2(E=3.8, nu=0.387, hardening=LinearVoce(sig_y=0.03, H=0.2, Q=0.02, b=150.0))
GLASS = Elastic(E=72.0, nu=0.22)
COPPER = CrystalPlasticity(
    C11=168e3, C12=121e3, C44=75e3, g0=16.0, gammadot0=1e-3, n=20.0, h0=180.0, g_inf=148.0, a=2.25
)
TURN = matnet.phases.frames.bunge_axes([30.0, 45.0, 10.0])
SHEAR = np.array([[1.0, 0.0, 0.0], [0.4, 1.1, 0.0], [-0.2, 0.3, 0.9]])


def strain_path(
    direction, amounts=(0.0, 0.3, 0.7, 1.0, 0.4, -0.3, 0.1), controlled=(0,) * 6, **more
):
    amounts = np.asarray(amounts)
    return LoadPath(
        time=np.arange(float(len(amounts))),
        target=amounts[:, None] * np.asarray(direction),
        stress_controlled=np.array(controlled, dtype=bool),
    )


def some_direction(seed=0, size=0.01):
    return size * np.random.default_rng(seed).standard_normal(6)


def layers(phases):
    return Rve(phases=np.array(phases).reshape(1, 1, -1), phase_names=("soft", "stiff"))


def laminate_network(f1):
    return Network(
        kind="imn",
        depth=1,
        phase_names=("soft", "stiff"),
        weights=np.array([f1, 1.0 - f1]),
        base_phase=np.array([0, 1]),
        normals=np.array([[0.0, 0.0, 1.0]]),
        children=np.array([[-1, -2]]),
    )


@pytest.mark.parametrize(("phases", "f1"), [([0, 1], 0.5), ([0, 0, 1, 0], 0.75)])
def test_layers_of_voxels_are_the_exact_elastoplastic_laminate(phases, f1):
    """Random strain directions, against scipy's root of the tractions."""
    matrix = Layer(3.8, 0.387, lambda p: 0.03 + 0.2 * p + 0.02 * (1.0 - np.exp(-150.0 * p)))
    path = strain_path(some_direction())
    found = simulate(layers(phases), {"soft": EPOXY, "stiff": GLASS}, path, options=TIGHT).response
    strains = from_mandel(path.target[1:])
    exact = laminate_path((matrix, Layer(72.0, 0.22)), f1, np.array([0.0, 0.0, 1.0]), strains)
    np.testing.assert_allclose(
        found.stress[1:], to_mandel(exact), atol=1e-8 * np.abs(exact).max(), rtol=0
    )


SOFT_LAWS = {
    "recall": J2(
        E=3.8,
        nu=0.387,
        hardening=Linear(sig_y=0.03, H=0.05),
        backstresses=(ArmstrongFrederick(C=2.0, gamma=40.0),),
    ),
    "friction": DruckerPrager(E=3.8, nu=0.3, cohesion=0.03, friction=25.0, dilatancy=5.0, H=0.2),
    "viscous": Viscoelastic(E=3.8, nu=0.35, g=[0.2, 0.3], tau=[0.5, 10.0]),
}


@pytest.mark.parametrize("name", SOFT_LAWS)
def test_layers_with_any_law_are_the_laminate_of_a_network(name):
    """Laws without symmetric tangents, mixed control, energies and means over the phases."""
    laws = {"soft": SOFT_LAWS[name], "stiff": GLASS}
    controlled = (0, 1, 1, 0, 1, 0)
    direction = np.where(controlled, 0.05, 0.01) * some_direction(3, 1.0)
    path = strain_path(direction, controlled=controlled)
    material = matnet.Material(network=laminate_network(0.5), phases=laws).with_options(tol=1e-12)
    exact = matnet.drive(material, path, tol=1e-11)
    found = simulate(layers([0, 1]), laws, path, options=TIGHT).response
    for key in ("strain", "stress", "stored", "dissipated", "phase_strain", "phase_stress"):
        wanted = getattr(exact, key)
        np.testing.assert_allclose(
            getattr(found, key), wanted, atol=1e-7 * np.abs(wanted).max(), rtol=0, err_msg=key
        )


def test_thermal_stress_of_layers_is_that_of_a_network():
    laws = {
        "soft": ThermalExpansion(EPOXY, 6e-5, 20.0),
        "stiff": ThermalExpansion(GLASS, (5e-6, 5e-6, 2e-5), 20.0),
    }
    path = LoadPath(
        time=np.arange(5.0),
        target=np.zeros((5, 6)),
        stress_controlled=np.ones(6, dtype=bool),
        temperature=np.array([20.0, 120.0, 220.0, 100.0, 20.0]),
    )
    material = matnet.Material(network=laminate_network(0.5), phases=laws).with_options(tol=1e-12)
    exact = matnet.drive(material, path, tol=1e-11)
    found = simulate(layers([0, 1]), laws, path, options=TIGHT).response
    np.testing.assert_allclose(
        found.strain, exact.strain, atol=1e-8 * np.abs(exact.strain).max(), rtol=0
    )
    np.testing.assert_allclose(found.stored, exact.stored, atol=1e-7 * exact.stored.max(), rtol=0)
    assert np.array_equal(found.columns()["T"], path.temperature)
    assert np.abs(found.phase_stress[-1, 0]).max() > 0.01  # residual, after plastic flow


@pytest.mark.parametrize("cell", [None, SHEAR], ids=["box", "skew"])
def test_homogeneous_cell_answers_like_its_law(cell):
    """A crystal, turned: stress, energies and mean internal variables along the path."""
    rve = Rve(
        phases=np.zeros((2, 3, 2), dtype=int),
        phase_names=("grain",),
        cell=cell,
        orientations=TURN[None],
    )
    path = strain_path(some_direction(2, 2e-3), controlled=(0, 0, 1, 0, 1, 0))
    path = LoadPath(
        time=path.time,
        target=np.where(path.stress_controlled, 0.0, path.target),
        stress_controlled=path.stress_controlled,
    )
    law = CrystalPlasticity(
        C11=168e3,
        C12=121e3,
        C44=75e3,
        g0=16.0,
        gammadot0=1e-3,
        n=20.0,
        h0=180.0,
        g_inf=148.0,
        a=2.25,
        axes=TURN.tolist(),
    )
    exact = matnet.drive(matnet.Material.homogeneous(law), path, tol=1e-12)
    result = simulate(rve, {"grain": COPPER}, path, options=TIGHT)
    found = result.response
    for key in ("strain", "stress", "stored", "dissipated"):
        wanted = getattr(exact, key)
        np.testing.assert_allclose(
            getattr(found, key), wanted, atol=1e-8 * np.abs(wanted).max(), rtol=0, err_msg=key
        )
    assert np.abs(result.fields.displacement).max() < 1e-12
    inner = exact.state[-1, 14:]
    hardening = law.state_names.index(law.state_names[-1])
    assert found.state[-1, hardening] == pytest.approx(inner[hardening], rel=1e-7)


@pytest.mark.parametrize("cell", [None, SHEAR], ids=["box", "skew"])
def test_linear_phases_give_the_stiffness_of_homogenize(cell):
    """Turned anisotropic grains and a void: stress, tangent and local fields."""
    rng = np.random.default_rng(1)
    phases = rng.integers(0, 2, (5, 4, 3))
    phases[1, 1, 1] = 2
    rve = Rve(
        phases=phases,
        phase_names=("a", "b", "void"),
        cell=cell,
        orientations=np.stack([TURN, np.eye(3), np.eye(3)]),
    )
    laws = {
        "a": Elastic(C11=168.0, C12=121.0, C44=75.0),
        "b": Elastic(
            E_axial=200.0, E_transverse=20.0, nu_axial=0.2, nu_transverse=0.3, G_axial=9.0
        ),
    }
    stiffness = [laws["a"].stiffness, laws["b"].stiffness, np.zeros((6, 6))]
    exact = homogenize(rve, stiffness, SolverOptions(residual_tol=1e-11), keep_displacement=True)
    direction = some_direction()
    options = ReferenceOptions(tol=1e-11, tangent=True, element="full")
    result = simulate(rve, laws, strain_path(direction, (0.0, 1.0, -2.0)), options=options)
    size = np.abs(exact.stiffness).max()
    for tangent in result.response.tangent:
        np.testing.assert_allclose(tangent, exact.stiffness, atol=1e-9 * size, rtol=0)
    wanted = result.response.strain @ exact.stiffness
    np.testing.assert_allclose(result.response.stress, wanted, atol=1e-9 * np.abs(wanted).max())
    u = -2.0 * np.einsum("k,k...->...", direction, -exact.displacement)
    found = result.fields.displacement
    found = found - found[0, 0, 0]
    np.testing.assert_allclose(found, u - u[0, 0, 0], atol=1e-8 * np.abs(u).max(), rtol=0)
    assert not result.fields.stress[1, 1, 1].any() and np.isnan(result.fields.strain[1, 1, 1]).all()
    assert np.isnan(result.response.phase_strain[:, 2]).all()


def test_turned_orientation_equals_turned_load():
    """A polycrystal turned as a whole answers like the first one, turned."""
    rng = np.random.default_rng(4)
    turns = np.stack([matnet.phases.frames.bunge_axes(rng.uniform(0, 180, 3)) for _ in range(3)])
    phases = rng.integers(0, 3, (3, 3, 3))
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    laws = dict.fromkeys(("a", "b", "c"), COPPER)
    names = tuple(laws)
    one = Rve(phases=phases, phase_names=names, orientations=turns)
    # voxel (i, j, k) goes to (n - 1 - j, i, k)
    other = Rve(
        phases=np.rot90(phases, axes=(0, 1)), phase_names=names, orientations=quarter @ turns
    )
    direction = some_direction(6, 2e-3)
    first = simulate(one, laws, strain_path(direction, (0.0, 0.5, 1.0)), options=TIGHT).response
    turned = rotation_matrix(quarter)
    second = simulate(
        other, laws, strain_path(turned @ direction, (0.0, 0.5, 1.0)), options=TIGHT
    ).response
    size = np.abs(first.stress).max()
    np.testing.assert_allclose(second.stress, first.stress @ turned.T, atol=1e-8 * size, rtol=0)


def test_drive_and_reference_write_the_same_columns(tmp_path):
    laws = {"soft": EPOXY, "stiff": GLASS}
    path = paths.uniaxial_stress("11", 0.02, steps=3)
    network = matnet.drive(matnet.Material(network=laminate_network(0.5), phases=laws), path)
    cell = simulate(layers([0, 1]), laws, path).response
    assert list(cell.columns()) == list(network.columns())
    cell.to_csv(tmp_path / "cell.csv")
    table = np.genfromtxt(tmp_path / "cell.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["s11"], network.component("11")[1], rtol=1e-5, atol=1e-9)
