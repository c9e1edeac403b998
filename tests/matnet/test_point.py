"""One point along a path: control, Newton, results."""

import matplotlib as mpl
import numpy as np
import pytest

from matnet import paths
from matnet.elasticity import isotropic
from matnet.errors import ConvergenceError, ParameterError
from matnet.mandel import SQRT2
from matnet.material import Material, Status, Update
from matnet.network import Network
from matnet.paths import LoadPath
from matnet.phases import (
    J2,
    Damage,
    Elastic,
    Linear,
    Norton,
    ThermalExpansion,
    Viscoelastic,
    Viscoplastic,
    Void,
)
from matnet.point import drive

mpl.use("agg")

E, NU = 70.0, 0.33
STEEL = Material.homogeneous(Elastic(E=E, nu=NU))
ORTHO = Material.homogeneous(
    Elastic(E1=1.0, E2=2.0, E3=3.0, nu12=0.1, nu13=0.2, nu23=0.3, G12=0.5, G13=0.6, G23=0.7)
)


class Cubic:
    """sigma = C0 eps + a eps^3 in each component: nonlinear, exact tangent, state = eps_11."""

    def __init__(self, a=1e4, fails_beyond=np.inf):
        self.a, self.fails_beyond = a, fails_beyond
        self.stiffness = isotropic(E=1.0, nu=0.3)

    def initial_state(self, n_points):
        return np.zeros((n_points, 1))

    def update(self, strain, dt, state_n):
        stress = strain @ self.stiffness + self.a * strain**3
        tangent = self.stiffness + 3.0 * self.a * strain[:, :, None] ** 2 * np.eye(6)
        jump = np.abs(strain[:, 0] - state_n[:, 0])  # too large a step fails, as plasticity may
        status = np.where(jump > self.fails_beyond, Status.NOT_CONVERGED, Status.OK)
        return Update(stress, tangent, strain[:, :1].copy(), status)


@pytest.mark.parametrize("component", ["11", "22", "33"])
def test_uniaxial_stress_gives_youngs_modulus_and_poisson_along_the_path(component):
    response = drive(STEEL, paths.uniaxial_stress(component, 0.02, steps=10))
    strain, stress = response.component(component)
    assert np.allclose(stress, E * strain, rtol=1e-12)
    for across in {"11", "22", "33"} - {component}:
        assert np.allclose(response.component(across)[0], -NU * strain, rtol=1e-12)
        assert np.abs(response.component(across)[1]).max() < 1e-12


def test_simple_shear_stress_is_shear_modulus_times_gamma():
    response = drive(STEEL, paths.simple_shear("12", 0.02, steps=3))
    gamma = np.linspace(0.0, 0.02, 4)
    assert np.allclose(response.component("12")[1], E / 2 / (1 + NU) * gamma, rtol=1e-12)
    assert np.allclose(response.component("12")[0], gamma / 2, rtol=1e-12)


def test_hydrostatic_stress_is_three_bulk_moduli_times_strain():
    response = drive(STEEL, paths.hydrostatic(0.01, steps=2))
    assert np.allclose(response.stress[-1, :3], E / (1 - 2 * NU) * 0.01, rtol=1e-12)


def test_stress_control_inverts_the_law():
    target = np.outer([0.0, 0.5, 1.0], [1.0, -2.0, 0.5, 0.3, 0.2, 0.1])
    path = LoadPath(time=[0, 1, 2], target=target, stress_controlled=np.ones(6, dtype=bool))
    response = drive(ORTHO, path)
    expected = np.linalg.solve(ORTHO.stiffness, target.T).T
    assert np.allclose(response.strain, expected, rtol=1e-11)
    assert np.allclose(response.stress, target, rtol=1e-11)


def test_linear_material_needs_one_iteration_per_step():
    response = drive(ORTHO, paths.biaxial(amplitude=0.01, steps=5))
    assert response.iterations.tolist() == [0, 1, 1, 1, 1, 1]


def test_control_may_change_between_steps():
    control = np.ones((3, 6), dtype=bool)
    control[:2, 0] = False  # pull by strain, then let go
    target = np.zeros((3, 6))
    target[1, 0] = 0.01
    response = drive(STEEL, LoadPath(time=[0, 1, 2], target=target, stress_controlled=control))
    assert response.stress[1, 0] == pytest.approx(E * 0.01)
    assert np.abs(response.stress[2]).max() < 1e-12 and np.abs(response.strain[2]).max() < 1e-12


def test_newton_meets_mixed_control_of_a_nonlinear_law():
    material = Cubic()
    response = drive(material, paths.uniaxial_stress("11", 0.02, steps=4))
    assert np.abs(response.stress[1:, 1:]).max() < 1e-9 * np.abs(response.stress).max()
    strain, stress = response.component("11")
    C = material.stiffness
    for e, sig in zip(strain[1:], stress[1:], strict=True):
        # across: C12 e + (C11 + C12) t + a t^3 = 0 has one real root
        roots = np.roots([1e4, 0.0, C[0, 0] + C[0, 1], C[0, 1] * e])
        t = float(roots[np.abs(roots.imag) < 1e-12].real[0])
        assert sig == pytest.approx(C[0, 0] * e + 2 * C[0, 1] * t + 1e4 * e**3, rel=1e-8)
    assert response.iterations[1:].min() >= 2 and response.iterations.max() <= 8


def test_newton_converges_quadratically_for_stress_control():
    material, path = Cubic(), paths.uniaxial_stress("11", 0.02, steps=1)
    tight = drive(material, path, tol=1e-13).iterations[1]
    loose = drive(material, path, tol=1e-6).iterations[1]
    assert loose >= 2 and tight - loose <= 2  # each iteration doubles the digits


def test_a_failing_step_is_halved_until_it_passes():
    material = Cubic(fails_beyond=0.003)
    whole = drive(Cubic(), paths.uniaxial_stress("11", 0.02, steps=1))
    cut = drive(material, paths.uniaxial_stress("11", 0.02, steps=1))
    assert len(cut.time) == 2 and cut.iterations[1] > 8  # eight substeps of 0.0025
    assert np.allclose(cut.stress[1], whole.stress[1], rtol=1e-8, atol=1e-12)


def test_a_step_that_fails_at_every_size_says_where_and_keeps_the_rest():
    class Breaks(Cubic):
        def update(self, strain, dt, state_n):
            result = super().update(strain, dt, state_n)
            broken = np.abs(strain[:, 0]) > 0.0101
            return result._replace(status=np.where(broken, Status.NOT_CONVERGED, Status.OK))

    with pytest.raises(
        ConvergenceError,
        match=r"step 3 of 4 \(uniaxial strain 11\) failed: the "
        r"material answered NOT_CONVERGED. Reached time 0.50\d+ of 1, in parts down to 1/1024 of "
        r"the step. Try smaller steps",
    ) as caught:
        drive(Breaks(), paths.uniaxial_strain("11", 0.02, steps=4))
    reached = caught.value.result  # whole steps, then as far as the third one got
    assert reached.strain[:3, 0] == pytest.approx([0, 0.005, 0.01])
    assert 0.0101 - 0.005 / 1024 < reached.strain[3, 0] <= 0.0101
    assert reached.time == pytest.approx(reached.strain[:, 0] / 0.02)


def test_free_components_without_stiffness_are_named():
    with pytest.raises(ConvergenceError, match="singular for the stress-controlled components 22,"):
        drive(Material.homogeneous(Void()), paths.uniaxial_stress("11", 0.01))


def test_newton_out_of_iterations_reports_its_residual():
    with pytest.raises(
        ConvergenceError, match="Newton stopped after 1 iterations, stress residual"
    ):
        drive(Cubic(1e9), paths.uniaxial_stress("11", 0.02), max_iterations=1)


def test_a_tangent_that_is_not_finite_is_named():
    class Torn(Cubic):
        def update(self, strain, dt, state_n):
            result = super().update(strain, dt, state_n)
            return result._replace(tangent=result.tangent * np.nan)

    with pytest.raises(ConvergenceError, match="the tangent is not finite"):
        drive(Torn(), paths.uniaxial_stress("11", 0.02))


@pytest.mark.parametrize("wrong", [{"tol": 0.0}, {"tol": 2.0}, {"max_iterations": 0}])
def test_wrong_tolerances_are_refused(wrong):
    with pytest.raises(ParameterError, match="expected tol between 0 and 1"):
        drive(STEEL, paths.hydrostatic(), **wrong)


def test_response_is_read_only_and_has_state_and_tangent():
    response = drive(Cubic(), paths.uniaxial_strain("11", 0.01, steps=2))
    assert response.state.shape == (3, 1) and response.tangent.shape == (3, 6, 6)
    assert np.allclose(response.state[:, 0], response.strain[:, 0])
    assert str(response) == "Response to uniaxial strain 11: 2 steps"
    with pytest.raises(ValueError, match="read-only"):
        response.stress[0] = 1.0


def test_csv_holds_tensor_components_bit_by_bit(tmp_path):
    response = drive(ORTHO, paths.simple_shear("12", 0.01, steps=3))
    response.to_csv(tmp_path / "r.csv", record={"matnet": "1", "command": "a\nb"})
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[:2] == ["# matnet: 1", "# command: a b"]
    start = "t,e11,e22,e33,e12,e13,e23,s11,s22,s33,s12,s13,s23,stored,dissipated,solid_e11,"
    assert lines[2].startswith(start)
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines[3:]])
    assert np.array_equal(table[:, 0], response.time)
    assert np.array_equal(table[:, 7:10], response.stress[:, :3])
    assert np.allclose(table[:, 4] * SQRT2, response.strain[:, 3], rtol=1e-15)


def test_csv_that_cannot_be_written_is_named(tmp_path):
    response = drive(STEEL, paths.hydrostatic(steps=1))
    with pytest.raises(ParameterError, match=r"r\.csv: cannot be written"):
        response.to_csv(tmp_path / "none" / "r.csv")


def test_plot_draws_with_and_without_axes():
    from matplotlib import pyplot

    response = drive(STEEL, paths.uniaxial_stress("12", 0.02, steps=2))
    given = pyplot.subplots()[1]
    assert response.plot(given, component="12", unit="GPa", color="k") is given
    made = response.plot(component="11")
    assert made is not given and made.get_xlabel() == r"strain $\varepsilon_{11}$ [%]"
    assert given.get_ylabel() == r"stress $\sigma_{12}$ [GPa]"
    x, y = given.lines[0].get_data()
    assert x[-1] == pytest.approx(2.0) and y[-1] == pytest.approx(E / (1 + NU) * 0.02)
    pyplot.close("all")


SIG_Y, HARD = 0.2, 5.0
PLASTIC = Material.homogeneous(J2(E=E, nu=NU, hardening=Linear(sig_y=SIG_Y, H=HARD)))


def test_uniaxial_plastic_stress_follows_the_bilinear_curve_and_unloads_elastically():
    response = drive(PLASTIC, paths.uniaxial_stress("11", [0.02, 0.018], steps=10))
    strain, stress = response.component("11")
    slope = E * HARD / (E + HARD)
    pulled = np.minimum(E * strain, SIG_Y + slope * (strain - SIG_Y / E))
    assert np.allclose(stress[:11], pulled[:11], rtol=1e-8)
    assert np.allclose(stress[11:], pulled[10] + E * (strain[11:] - strain[10]), rtol=1e-8)
    p = (pulled[10] - SIG_Y) / HARD  # dissipated: p times the mean flow stress
    assert response.stored == pytest.approx(0.5 * stress**2 / E, rel=1e-7, abs=1e-12)
    exact = SIG_Y * p + 0.5 * HARD * p**2
    assert exact <= response.dissipated[-1] * (1 + 1e-9) < 1.15 * exact  # backward Euler
    assert np.allclose(response.phase("solid", "11")[1], stress, rtol=1e-8)


def test_stress_control_follows_the_same_curve_and_lets_go():
    top = 0.25
    target = np.zeros((3, 6))
    target[1, 0] = top
    response = drive(
        PLASTIC, LoadPath(time=[0, 1, 2], target=target, stress_controlled=np.ones(6, bool))
    )
    plastic = (top - SIG_Y) / HARD
    assert response.strain[1, 0] == pytest.approx(top / E + plastic, rel=1e-7)
    assert response.strain[2] == pytest.approx(np.array([1, -0.5, -0.5, 0, 0, 0]) * plastic)


def test_a_load_beyond_the_peak_says_so_and_keeps_the_rest():
    perfect = Material.homogeneous(J2(E=E, nu=NU, hardening=Linear(sig_y=SIG_Y)))
    target = np.zeros((4, 6))
    target[:, 0] = [0.0, 0.1, 0.19, 0.3]
    path = LoadPath(time=[0, 1, 2, 3], target=target, stress_controlled=np.ones(6, bool))
    with pytest.raises(ConvergenceError, match="step 3 of 3") as caught:
        drive(perfect, path)
    text, reached = str(caught.value), caught.value.result
    assert "The stress prescribed for 11 may be more than the material can carry" in text
    assert reached.stress[:3, 0] == pytest.approx([0.0, 0.1, 0.19], rel=1e-8)
    # the last row is as near the yield stress as the smallest part of the step
    assert reached.stress[3, 0] == pytest.approx(SIG_Y, abs=0.11 / 1024)
    assert reached.time[3] == pytest.approx(2.0 + (reached.stress[3, 0] - 0.19) / 0.11)
    top = reached.stress[3, 0]
    assert f"Reached time {reached.time[3]:.6g} of 3, s11 = {top:.6g} of 0.3," in text
    assert len(reached.columns()["t"]) == len(reached.stored) == len(reached.phase_stress) == 4


def test_softening_under_stress_control_stops_at_the_peak():
    kappa_0, kappa_f = 1e-3, 4e-3
    brittle = Material.homogeneous(Damage(E=E, nu=NU, kappa_0=kappa_0, kappa_f=kappa_f))
    pulled = drive(brittle, paths.uniaxial_stress("11", 0.004, steps=160))
    peak = pulled.stress[:, 0].max()  # the curve has the peak, found under strain control
    assert pulled.stress[-1, 0] < 0.6 * peak
    with pytest.raises(ConvergenceError, match=r"s11 = [\d.]+ of") as caught:
        drive(brittle, paths.creep("11", 2.0 * peak, steps=4))
    reached = caught.value.result
    assert len(reached.time) == 2
    assert reached.stress[-1, 0] == pytest.approx(peak, rel=2.0 / 1024 + 1e-2)


def test_a_broken_point_does_not_jump_to_giant_strains_that_carry_the_load_again():
    soft = Damage(E=1.0, nu=0.3, kappa_0=1e-3, kappa_f=4e-3)  # keeps a hundredth of its stiffness
    load = paths.creep("11", 0.02, steps=4)
    with pytest.raises(ConvergenceError, match=r"s11 = 0\.00\d+ of 0\.02") as caught:
        drive(Material.homogeneous(soft), load)
    assert caught.value.result.stress[-1, 0] == pytest.approx(1e-3, rel=0.02)


PRONY = {"g": (0.5, 0.3), "tau": (0.1, 10.0)}
VISCO = Material.homogeneous(Viscoelastic(E=E, nu=NU, k=PRONY["g"], **PRONY))


def relaxing_modulus(time, ramp):
    """Mean of E(s) for s from time - ramp to time: stress after a linear ramp, over its height."""
    kept = 1.0 - sum(PRONY["g"])
    total = np.full_like(time, kept)
    for g, tau in zip(PRONY["g"], PRONY["tau"], strict=True):
        total += g * tau / ramp * (np.exp(-(time - ramp) / tau) - np.exp(-time / tau))
    return E * total


def test_relaxation_follows_the_prony_series():
    """All moduli relax alike, so that uniaxial stress does as the modulus in one dimension."""
    path = paths.relaxation("11", 0.01, duration=20.0, steps=16, ramp=0.05)
    response = drive(VISCO, path)
    expected = 0.01 * relaxing_modulus(response.time[1:], 0.05)
    assert np.allclose(response.stress[1:, 0], expected, rtol=1e-7)
    assert np.allclose(response.strain[1:, 1], -NU * 0.01, rtol=1e-6)


def test_creep_inverts_relaxation():
    """What creep under stress control finds gives the stress back under strain control."""
    creep = drive(VISCO, paths.creep("11", 0.5, duration=20.0, steps=12, ramp=0.05))
    assert np.allclose(creep.stress[1:, 0], 0.5, rtol=1e-8)
    x = creep.strain[:, 0]
    rates = np.diff(x) / np.diff(creep.time)
    for k in range(1, len(x)):  # superposition of the ramps of all steps
        stress = 0.0
        for rate, begin, end in zip(rates[:k], creep.time, creep.time[1:], strict=False):
            since = creep.time[k : k + 1] - begin
            stress += rate * (end - begin) * relaxing_modulus(since, end - begin)[0]
        assert stress == pytest.approx(0.5, rel=1e-6)
    assert x[-1] > 2.0 * x[1] > 0.0


def test_norton_creep_has_the_constant_rate_of_its_law():
    A, n, stress = 1e-3, 4.0, 1.5
    law = Viscoplastic(E=E, nu=NU, rate=Norton(A=A, n=n))
    response = drive(Material.homogeneous(law), paths.creep("11", stress, duration=8.0, steps=8))
    crept = A * stress**n * response.time[1:]  # backward Euler: the ramp at its end stress too
    assert np.allclose(response.strain[1:, 0], stress / E + crept, rtol=1e-6)
    assert np.allclose(response.strain[1:, 2], -NU * stress / E - crept / 2, rtol=1e-6)


def test_plane_stress_follows_its_closed_form_into_yield():
    """Elastic: s11 = E e / (1 - nu^2), s22 = nu s11. At yield s11^2 - s11 s22 + s22^2 = sig_y^2."""
    response = drive(PLASTIC, paths.plane_stress("11", 0.01, steps=40))
    strain, s11 = response.component("11")
    s22, s33 = response.component("22")[1], response.component("33")[1]
    trial = E * strain / (1.0 - NU**2)
    elastic = trial * np.sqrt(1.0 - NU + NU**2) <= SIG_Y
    assert 5 < elastic.sum() < 20
    assert np.allclose(s11[elastic], trial[elastic], rtol=1e-8)
    assert np.allclose(s22[elastic], NU * trial[elastic], rtol=1e-8)
    assert np.allclose(response.component("33")[0][elastic], -NU / (1 - NU) * strain[elastic])
    p = response.state[~elastic, PLASTIC.layout.n_state - 1]
    flow = np.sqrt(s11**2 - s11 * s22 + s22**2)[~elastic]
    assert np.allclose(flow, SIG_Y + HARD * p, rtol=1e-7) and p[-1] > 5e-3
    assert np.abs(s33).max() < 1e-8 * s11.max()
    assert np.abs(response.component("22")[0]).max() == 0.0


def test_free_heating_strains_without_stress():
    law = ThermalExpansion(inner=PLASTIC.phases["solid"], alpha=2e-5, reference_temperature=20.0)
    path = LoadPath(
        time=[0, 1, 2],
        target=np.zeros((3, 6)),
        stress_controlled=np.ones(6, bool),
        temperature=[20.0, 70.0, 120.0],
    )
    response = drive(Material.homogeneous(law), path)
    assert response.strain[:, 0] == pytest.approx([0, 1e-3, 2e-3], rel=1e-8)
    assert response.columns()["T"].tolist() == [20.0, 70.0, 120.0]


def test_local_fields_come_with_every_step_where_asked_for():
    response = drive(PLASTIC, paths.uniaxial_stress("11", 0.02, steps=3), local=True)
    for fields, stress in zip(response.local, response.component("11")[1][1:], strict=True):
        assert fields.summary("von_mises", "solid").largest == pytest.approx(stress)
    with pytest.raises(ParameterError, match="Cubic tells no local fields"):
        drive(Cubic(), paths.hydrostatic(), local=True)


def test_what_cannot_be_driven_is_refused_with_what_to_pass():
    pull = paths.uniaxial_stress("11", 0.02, steps=3)
    network = Network.random("imn", 1, ("matrix", "fibre"), (0.6, 0.4), seed=0)
    with pytest.raises(ParameterError, match=r"is of type Network, expected a matnet\.Material"):
        drive(network, pull)
    with pytest.raises(ParameterError, match=r"of type Elastic, .* matnet\.Material\.homogeneous"):
        drive(Elastic(E=70e3, nu=0.3), pull)
    with pytest.raises(ParameterError, match=r"path is of type str, expected a matnet\.paths"):
        drive(PLASTIC, "uniaxial-11:0.02x40")
