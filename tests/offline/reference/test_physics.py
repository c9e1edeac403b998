"""What holds for every cell: balance, control, cuts, threads; and what is refused."""

import numpy as np
import pytest

from matnet import paths
from matnet.errors import ConvergenceError, ParameterError
from matnet.paths import LoadPath
from matnet.phases import J2, Damage, DruckerPrager, Elastic, Void
from matnet.phases.hardening import Linear, Voce
from offline.reference import ReferenceOptions, memory_estimate, simulate
from offline.reference import cell as cell_module
from offline.reference.cell import NonlinearCell
from offline.reference.newton import CellPoint
from offline.rve import Rve
from offline.rve.generators import make

MATRIX = J2(E=1e3, nu=0.3, hardening=Voce(sig_y=8.0, Q=6.0, b=40.0))
LAWS = {"matrix": MATRIX, "sphere": Elastic(E=1e4, nu=0.2)}
FREE = np.array([False, True, True, True, True, True])


def sphere(n=8, names=("matrix", "sphere"), radius=0.36):
    x = (np.indices((n, n, n)) + 0.5) / n
    return Rve(phases=((x - 0.5) ** 2).sum(0) < radius**2, phase_names=names)


def cyclic(steps=24):
    return paths.cyclic("11", 0.02, steps=steps)


def test_uniaxial_stress_leaves_the_other_components_free():
    result = simulate(sphere(), LAWS, cyclic(), options=ReferenceOptions(tol=1e-8))
    stress = result.response.stress
    assert np.abs(stress[:, FREE]).max() < 1e-8 * np.abs(stress).max()
    assert (result.error <= 1e-8).all()
    assert np.array_equal(result.response.strain[:, 0], cyclic().target[:, 0])


def test_prescribed_stress_is_reached_and_its_strain_leads_back_to_it():
    target = np.linspace(0.0, 1.0, 6)[:, None] * np.array([6.0, 3.0, 0.0, 2.0, 0.0, -1.0])
    path = LoadPath(time=np.arange(6.0), target=target, stress_controlled=np.ones(6, dtype=bool))
    options = ReferenceOptions(tol=1e-9)
    found = simulate(sphere(), LAWS, path, options=options).response
    np.testing.assert_allclose(found.stress, target, atol=1e-8 * 6.0, rtol=0)
    back = LoadPath(time=path.time, target=found.strain, stress_controlled=np.zeros(6, dtype=bool))
    again = simulate(sphere(), LAWS, back, options=options).response
    np.testing.assert_allclose(again.stress, target, atol=1e-7 * 6.0, rtol=0)


def test_work_inside_equals_macroscopic_work():
    """Hill and Mandel: the mean of stress times strain is mean stress times mean strain."""
    options = ReferenceOptions(tol=1e-9)
    for rve in (sphere(), sphere(names=("matrix", "void"))):
        laws = {name: LAWS[name] for name in rve.phase_names if name in LAWS}
        result = simulate(rve, laws, cyclic(), options=options)
        outside = (result.response.stress * result.response.strain).sum(axis=1)
        np.testing.assert_allclose(result.work, outside, atol=1e-8 * np.abs(outside).max(), rtol=0)


def test_energy_balance_closes_to_first_order_in_the_step():
    """External work is stored or dissipated; backward Euler's error halves with the step."""
    defects = []
    for steps in (20, 40, 80):
        found = simulate(sphere(4), LAWS, paths.uniaxial_stress("11", 0.03, steps=steps)).response
        middle = 0.5 * (found.stress[1:] + found.stress[:-1])
        power = (middle * np.diff(found.strain, axis=0)).sum(axis=1)
        balance = power - np.diff(found.stored) - np.diff(found.dissipated)
        assert (np.diff(found.dissipated) >= 0.0).all()
        defects.append(np.abs(balance).sum() / power.sum())
    rates = np.log2(np.array(defects[:-1]) / defects[1:])
    assert (rates > 0.8).all() and defects[-1] < 1e-2


def test_macroscopic_tangent_matches_differences():
    """Of the discrete step: the last increment is varied in each component."""
    options = ReferenceOptions(tol=1e-10, tangent=True)
    last = np.array([0.012, -0.004, -0.003, 0.004, -0.002, 0.003])
    target = np.array([0.0, 0.4, 0.7, 1.0])[:, None] * last

    def stress(change):
        moved = target.copy()
        moved[-1] += change
        path = LoadPath(
            time=np.arange(4.0), target=moved, stress_controlled=np.zeros(6, dtype=bool)
        )
        return simulate(sphere(4), LAWS, path, options=options).response

    tangent, h = stress(np.zeros(6)).tangent[-1], 1e-6
    for k, unit in enumerate(np.eye(6)):
        difference = (stress(h * unit).stress[-1] - stress(-h * unit).stress[-1]) / (2 * h)
        np.testing.assert_allclose(
            tangent[:, k], difference, atol=2e-4 * np.abs(tangent).max(), rtol=0
        )


@pytest.mark.parametrize(
    "soft",
    [MATRIX, DruckerPrager(E=1e3, nu=0.3, cohesion=4.0, friction=25.0, dilatancy=5.0, H=50.0)],
    ids=["symmetric", "not"],
)
def test_linearised_forces_match_differences(soft):
    """Matrix-free product against internal forces, skewed cell with turned grains, void around."""
    phases = np.random.default_rng(0).integers(0, 2, (4, 4, 3))
    phases[0, 0, 0] = 2
    angle = np.radians(30.0)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    rve = Rve(
        phases=phases,
        phase_names=("matrix", "sphere", "void"),
        cell=np.array([[1.0, 0, 0], [0.3, 1.0, 0], [0.1, -0.2, 0.8]]),
        orientations=np.stack([turn, np.eye(3), np.eye(3)]),
    )
    cell = NonlinearCell(rve, {"matrix": soft, "sphere": LAWS["sphere"]})
    rng = np.random.default_rng(1)
    free = np.array([1, 2, 4])
    x, step = cell.zeros(), cell.zeros()
    x[:-2] = 2e-3 * rng.standard_normal(x[:-2].shape)
    x[-2:] = 6e-3 * rng.standard_normal((2, 3))
    step[:-2] = rng.standard_normal(x[:-2].shape)
    step[-2:].reshape(6)[free] = rng.standard_normal(3)
    given = (1.0, np.zeros(3), np.zeros(6), free)
    h = 1e-8
    after, before = cell.evaluate(x + h * step, *given), cell.evaluate(x - h * step, *given)
    cell.evaluate(x, *given)
    product = np.empty_like(x)
    stress = cell.apply(step, free, product)
    difference = (before.residual - after.residual) / (2 * h)
    np.testing.assert_allclose(product, difference, atol=2e-5 * np.abs(product).max(), rtol=0)
    difference = (after.stress - before.stress) / (2 * h)
    np.testing.assert_allclose(stress, difference, atol=2e-5 * np.abs(stress).max(), rtol=0)
    assert np.abs(cell.state[:, 0]).max() > 1e-4  # plastic


def test_results_do_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr(cell_module, "VOXELS_PER_THREAD", 64)
    path = paths.uniaxial_stress("11", 0.02, steps=4)
    one, two = (
        simulate(sphere(9), LAWS, path, options=ReferenceOptions(threads=n)) for n in (1, 2)
    )
    assert (one.threads, two.threads) == (1, 2)
    assert np.array_equal(one.response.stress, two.response.stress)
    assert np.array_equal(one.fields.stress, two.fields.stress)


def test_step_that_fails_is_cut_and_ends_where_small_steps_end(monkeypatch):
    """Laws that refuse large increments: the steps go through in parts."""
    evaluate, before = NonlinearCell.evaluate, NonlinearCell.accept
    reached = [0.0]

    def unwilling(self, x, *given):
        return None if abs(x[-2, 0] - reached[0]) > 0.0045 else evaluate(self, x, *given)

    def accept(self):
        before(self)
        reached[0] += 0.015 / 4

    monkeypatch.setattr(NonlinearCell, "evaluate", unwilling)
    monkeypatch.setattr(NonlinearCell, "accept", accept)
    path = paths.uniaxial_stress("11", 0.03, steps=2)
    found = simulate(sphere(4), LAWS, path)
    assert [report.cuts > 0 for report in found.reports] == [True, True]
    monkeypatch.undo()
    parts = simulate(sphere(4), LAWS, paths.uniaxial_stress("11", 0.03, steps=8))
    np.testing.assert_allclose(
        found.response.stress[1:], parts.response.stress[[4, 8]], atol=1e-5 * 10.0, rtol=0
    )
    assert found.response.dissipated[-1] == pytest.approx(parts.response.dissipated[-1], rel=1e-5)


def test_load_beyond_the_limit_stops_with_the_steps_before_it():
    perfect = J2(E=1e3, nu=0.3, hardening=Linear(sig_y=8.0, H=0.0))
    path = paths.creep("11", 50.0, steps=2, ramp=1.0)
    up = LoadPath(
        time=np.array([0.0, 1.0, 2.0]),
        target=np.array([0.0, 5.0, 50.0])[:, None] * np.eye(6)[0],
        stress_controlled=path.stress_controlled[0],
    )
    rve = sphere(4, names=("matrix", "void"), radius=0.3)
    options = ReferenceOptions(max_halvings=2, max_iterations=6)
    with pytest.raises(
        ConvergenceError, match=r"step 2 of 2 .*more than the cell can carry"
    ) as hit:
        simulate(rve, {"matrix": perfect}, up, options=options)
    stopped = hit.value.result
    assert len(stopped.response.time) == 2
    assert stopped.response.component("11")[1][-1] == pytest.approx(5.0, rel=1e-6)


def test_void_carries_nothing_whether_left_out_or_given():
    rve = sphere(names=("matrix", "void"))
    path = paths.uniaxial_stress("11", 0.02, steps=6)
    one = simulate(rve, {"matrix": MATRIX}, path)
    two = simulate(rve, {"matrix": MATRIX, "void": Void()}, path)
    assert np.array_equal(one.response.stress, two.response.stress)
    porosity = rve.fractions[1]
    solid = simulate(sphere(names=("matrix", "void"), radius=0.0), {"matrix": MATRIX}, path)
    ratio = one.response.component("11")[1][-1] / solid.response.component("11")[1][-1]
    assert 0.5 * (1.0 - porosity) < ratio < 1.0 - porosity
    inside = rve.phases == 1
    assert not one.fields.stress[inside].any() and np.isnan(one.fields.strain[inside]).all()
    mean = one.fields.stress.reshape(-1, 6).mean(axis=0)
    np.testing.assert_allclose(mean, one.response.stress[-1], atol=1e-10)


def test_means_over_the_phases_add_up():
    result = simulate(sphere(), LAWS, paths.uniaxial_stress("12", 0.01, steps=3))
    fractions, found = sphere().fractions, result.response
    for mean, whole in ((found.phase_strain, found.strain), (found.phase_stress, found.stress)):
        total = np.einsum("p,npk->nk", fractions, mean)
        np.testing.assert_allclose(total, whole, atol=1e-10 * np.abs(whole).max())
    p = result.fields.variables["p"][sphere().phases == 0].mean()
    assert found.state[-1, 6] == pytest.approx(p, rel=1e-10) and p > 0.0


def test_softening_with_viscosity_passes_its_peak():
    """A law that loses stiffness: the tangent of single points is not definite."""
    brittle = Damage(E=1e3, nu=0.2, kappa_0=2e-3, kappa_f=2e-2, tau=0.05)
    path = paths.uniaxial_stress("11", 0.01, steps=20)
    found = simulate(sphere(6), {"matrix": brittle, "sphere": LAWS["sphere"]}, path).response
    stress = found.component("11")[1]
    assert 0 < stress.argmax() < 20 and (np.diff(found.dissipated) >= 0.0).all()


def test_fields_are_handed_out_after_steps():
    seen = {}
    path = paths.uniaxial_stress("11", 0.02, steps=4)
    reports = []

    def watch(step, fields):
        if step % 2 == 0:
            seen[step] = fields()

    result = simulate(sphere(), LAWS, path, watch=watch, progress=reports.append)
    assert [report.step for report in reports] == [1, 2, 3, 4] and result.reports == tuple(reports)
    assert list(seen) == [2, 4]
    for step, fields in seen.items():
        np.testing.assert_allclose(
            fields.stress.reshape(-1, 6).mean(axis=0), result.response.stress[step], atol=1e-10
        )
    assert np.array_equal(seen[4].stress, result.fields.stress)


def test_memory_estimate_is_near_what_is_allocated():
    """Tangents and state are counted exactly but for incomplete groups of eight."""
    n = 32
    estimate = memory_estimate(sphere(n), LAWS)
    cell = NonlinearCell(sphere(n), LAWS)
    assert estimate.tangents == pytest.approx(cell.tangent.nbytes, rel=0.02)
    assert estimate.state == pytest.approx(cell.state.nbytes + cell.state_n.nbytes, rel=0.02)
    assert "MiB" in str(estimate)


@pytest.mark.parametrize(
    ("change", "laws", "message"),
    [
        ({"density": np.full((4, 4, 4), 0.5)}, LAWS, "has a density field"),
        ({}, {"matrix": MATRIX}, "phase 'sphere' has no law"),
        (
            {},
            {**LAWS, "other": MATRIX},
            "phase 'other' is unknown, the cell has 'matrix'",
        ),
        ({}, {**LAWS, "sphere": 3.0}, "came with 3.0, expected a law"),
        ({}, {"matrix": Void(), "sphere": Void()}, "the cell has no solid"),
    ],
)
def test_cells_and_laws_that_do_not_fit_are_refused(change, laws, message):
    base = sphere(4)
    rve = Rve(phases=base.phases, phase_names=base.phase_names, **change)
    with pytest.raises(ParameterError, match=message):
        simulate(rve, laws, cyclic(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": 0.0}, "tol is 0.0, expected"),
        ({"max_iterations": 0}, "max_iterations is 0, expected a whole number >= 1"),
        ({"max_halvings": -1}, "max_halvings is -1, expected a whole number >= 0"),
        ({"threads": 0}, "threads is 0"),
        ({"element": "b"}, "element is 'b', expected one of b-bar, full"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        ReferenceOptions(**options)


def test_point_at_rest_is_zero():
    point = CellPoint(np.zeros((5, 3)))
    assert not point.strain.any() and not point.stress.any() and point.newton == 0


def test_mean_dilatation_keeps_coarse_fibre_cells_from_locking():
    """Flow in the plane between stiff fibres: four times coarser voxels, 6 % against 15 % more."""
    laws = {
        "matrix": J2(E=2.1, nu=0.3, hardening=Linear(sig_y=0.029, H=0.05)),
        "fibre": Elastic(E=72.0, nu=0.22),
    }

    def stress(n, element):
        cell = make(name="ud-hexagonal", n=n, volume_fraction=0.5)
        options = ReferenceOptions(tol=1e-4, element=element)
        path = paths.uniaxial_stress("11", 0.02, steps=4)
        return simulate(cell, laws, path, options=options).response.component("11")[1][-1]

    fine = stress(64, "b-bar")
    assert stress(16, "b-bar") == pytest.approx(fine, rel=0.10)
    assert stress(16, "full") > 1.15 * fine
