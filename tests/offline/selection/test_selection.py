"""The judge of networks: laws, coarse cells, errors along paths."""

import numpy as np
import pytest

from matnet.errors import ConvergenceError, ParameterError
from matnet.material import Material
from matnet.network import Network
from matnet.paths import uniaxial_stress
from matnet.phases import J2, Elastic
from matnet.point import drive
from offline.reference import simulate
from offline.rve import Rve
from offline.selection import (
    Judge,
    SelectionOptions,
    coarse_cell,
    generic_laws,
    judge_paths,
    judged_by_cell,
)
from offline.selection.symmetry import axis_symmetries, equivalent_curve
from offline.verification.compare import Curve


def layers():
    return Rve(phases=np.array([0, 1, 1, 1]).reshape(1, 1, 4), phase_names=("soft", "stiff"))


def walls(n=8, thick=2):
    phases = np.zeros((n, n, n), int)
    phases[:thick] = phases[:, :thick] = phases[:, :, :thick] = 1
    return Rve(phases=phases, phase_names=("void", "solid"))


def modulus(law):
    """Young's modulus."""
    return 1.0 / np.linalg.inv(law.stiffness)[0, 0]


def laminate(normal=(0.0, 0.0, 1.0)):
    return Network(
        kind="imn",
        depth=1,
        phase_names=("soft", "stiff"),
        base_phase=np.array([0, 1]),
        weights=np.array([0.25, 0.75]),
        normals=np.array([normal]),
        children=np.array([[-1, -2]]),
    )


def test_exact_network_has_no_error_and_a_turned_one_has():
    judge = judged_by_cell(layers(), SelectionOptions(steps=2))
    assert judge(laminate()).max() < 2e-3
    assert judge(laminate((1.0, 0.0, 0.0))).mean() > 0.05


def test_simulations_use_the_element_that_was_asked_for():
    asked = []

    def noted(rve, phases, path, *, options, **rest):
        asked.append(options.element)
        return simulate(rve, phases, path, options=options, **rest)

    options = SelectionOptions(steps=1, budget=1e-9, element="full")
    judged_by_cell(layers(), options, run=noted)
    assert set(asked) == {"full"}


def test_error_is_that_of_the_stress_over_the_path():
    laws = generic_laws(layers())
    path = judge_paths(steps=2)[0]
    response = drive(Material(network=laminate(), phases=laws), path)
    reference = Curve(response.strain, 1.1 * response.stress)
    judge = Judge(references=((path, reference),), phases=laws, shape=(1, 1, 4))
    assert judge(laminate())[0] == pytest.approx(0.1 / 1.1, rel=1e-5)


def test_residuals_are_errors_where_no_stress_is_prescribed_and_vanish_with_them_elsewhere():
    judge = judged_by_cell(layers(), SelectionOptions(steps=3))
    assert np.abs(judge.residuals(laminate())).max() < 2e-3
    near = laminate((np.sin(0.02), 0.0, np.cos(0.02)))
    sizes = np.linalg.norm(judge.residuals(near), axis=1)
    errors = judge(near)
    assert errors.max() > 0.003
    shear = np.array(["shear" in name for name in judge.names])
    np.testing.assert_allclose(sizes[shear], errors[shear], rtol=1e-6)
    assert (sizes[~shear] > 0.1 * errors[~shear]).all()
    assert (sizes[~shear] < 1.5 * errors[~shear]).all()


def test_residuals_end_where_a_simulation_stopped():
    laws = generic_laws(layers())
    references = []
    for path, rows in zip(judge_paths(steps=2), (3, 2), strict=False):
        response = drive(Material(network=laminate(), phases=laws), path)
        references.append((path, Curve(response.strain[:rows], 1.25 * response.stress[:rows])))
    judge = Judge(references=tuple(references), phases=laws, shape=(1, 1, 4))
    rows = judge.residuals(laminate())
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 0.2, rtol=1e-6)
    assert not rows[1, 6:].any()


def test_simulation_that_stopped_early_is_compared_up_to_there():
    laws = generic_laws(layers())
    path = judge_paths(steps=2)[1]
    response = drive(Material(network=laminate(), phases=laws), path)
    reference = Curve(response.strain[:2], 0.5 * response.stress[:2])
    judge = Judge(references=((path, reference),), phases=laws, shape=(1, 1, 4))
    assert judge(laminate())[0] == pytest.approx(1.0, rel=1e-5)


def test_network_that_fails_has_an_infinite_error():
    crushed = J2(E=1.0, nu=0.3, hardening={"kind": "linear", "sig_y": 1e-3, "H": 0.0})
    void = Rve(phases=np.array([[[0, 1]]]), phase_names=("void", "solid"))
    sheet = Network(
        kind="imn",
        depth=1,
        phase_names=void.phase_names,
        base_phase=np.array([0, 1]),
        weights=np.array([0.5, 0.5]),
        normals=np.array([[1.0, 0.0, 0.0]]),
        children=np.array([[-1, -2]]),
    )
    path = uniaxial_stress("11", [0.02, 0.0], steps=1)
    curve = Curve(np.ones((3, 6)), np.ones((3, 6)))
    judge = Judge(references=((path, curve),), phases={"solid": crushed}, shape=(1, 1, 2))
    assert judge(sheet).tolist() == [np.inf]


def test_a_pull_holds_shears_and_leaves_the_other_normal_stresses_free():
    pull = judge_paths(0.02, steps=2)[2]
    assert pull.name == "pull 33"
    assert pull.target[-1].tolist() == [0.0, 0.0, 0.02, 0.0, 0.0, 0.0]
    assert pull.stress_controlled[-1].tolist() == [True, True, False, False, False, False]


def test_budget_bounds_the_paths_but_leaves_two_and_those_that_symmetry_gives():
    said = []
    judge = judged_by_cell(
        layers(),
        SelectionOptions(steps=1, budget=1e-9),
        progress=lambda *now: said.append(now),
    )
    assert judge.names == (
        "pull 11",
        "simple shear 23",
        "pull 22",
        "simple shear 13",
    )
    assert said[-1] == ("judge", 6, 6, "4 paths simulated")
    assert not judge.complete


def test_directions_that_the_cell_cannot_tell_apart_are_simulated_once():
    """Unequal in plane, 12 turned; then every path of the judge beside a simulation of its own."""
    phases = np.zeros((6, 6, 4), int)
    phases[:4, :4, :2] = 1  # symmetric to a change of axes 1 and 2 only
    rve = Rve(phases=phases, phase_names=("soft", "stiff"), cell=np.diag([1.0, 1.0, 0.7]))
    made = []

    def counted(rve, phases, path, **more):
        made.append(path.name)
        return simulate(rve, phases, path, **more)

    judge = judged_by_cell(rve, SelectionOptions(steps=2), run=counted)
    assert judge.complete
    assert made == [
        "pull 11",
        "simple shear 23",
        "pull 33",
        "simple shear 12",
    ]
    for path, curve in judge.references:
        own = simulate(rve, judge.phases, path).response
        np.testing.assert_allclose(
            curve.stress, own.stress, atol=1e-3 * np.abs(own.stress).max(), err_msg=path.name
        )
        np.testing.assert_allclose(curve.strain, own.strain, atol=1e-3 * np.abs(own.strain).max())


def test_anisotropic_laws_and_orientations_have_no_symmetry_of_axes():
    cubic = walls()
    soft = Elastic(E=1.0, nu=0.3)
    assert len(axis_symmetries(cubic, {"solid": soft})) == 5
    fibre = Elastic(E_axial=2.0, E_transverse=1.0, nu_axial=0.3, nu_transverse=0.3, G_axial=0.5)
    assert axis_symmetries(cubic, {"solid": fibre}) == ()
    turned = Rve(
        phases=cubic.phases,
        phase_names=cubic.phase_names,
        orientations=np.tile(np.eye(3), (2, 1, 1)),
    )
    assert axis_symmetries(turned, {"solid": soft}) == ()


def test_rates_ask_for_the_same_times():
    path = uniaxial_stress("33", 0.02, steps=4, duration=2.0)
    curve = Curve(np.ones((5, 6)), np.ones((5, 6)))
    every = ((2, 1, 0),)
    slow = [(uniaxial_stress("11", 0.02, steps=4, duration=2.0), curve)]
    fast = [(uniaxial_stress("11", 0.02, steps=4, duration=1.0), curve)]
    assert equivalent_curve(path, fast, every, timeless=True) is not None
    assert equivalent_curve(path, fast, every, timeless=False) is None
    assert equivalent_curve(path, slow, every, timeless=False) is not None


def test_kept_simulations_are_not_made_again(tmp_path):
    options = SelectionOptions(steps=1, budget=1e-9)
    first = judged_by_cell(layers(), options, work=tmp_path)

    def never(*args, **more):
        raise AssertionError

    again = judged_by_cell(layers(), options, work=tmp_path, run=never)
    assert again.names == first.names
    assert again(laminate((1.0, 0.0, 0.0))) == pytest.approx(first(laminate((1.0, 0.0, 0.0))))
    damaged = next(tmp_path.iterdir())
    damaged.write_text("cut of")
    assert judged_by_cell(layers(), options, work=tmp_path).names == first.names


def test_path_that_cannot_be_simulated_is_left_out_and_none_is_an_error():
    def stops_on_shear(rve, phases, path, **more):
        if "shear" in path.name:
            raise ConvergenceError("step 1 failed.")
        return simulate(rve, phases, path, **more)

    def stops(rve, phases, path, **more):
        raise ConvergenceError("step 1 failed.")

    options = SelectionOptions(steps=1)
    judge = judged_by_cell(layers(), options, run=stops_on_shear)
    assert len(judge.names) == 3 and not any("shear" in name for name in judge.names)
    with pytest.raises(ConvergenceError, match=r"no inelastic simulation .* step 1 failed"):
        judged_by_cell(layers(), options, run=stops)


def test_single_solid_yields_and_of_several_all_but_the_stiffest():
    porous = generic_laws(walls())
    assert list(porous) == ["solid"]
    solid = porous["solid"]
    assert (solid.E, solid.nu, solid.hardening.sig_y) == (1.0, 0.33, 0.003)
    names = ("void", "a", "b", "c")
    cell = Rve(phases=np.arange(4).reshape(4, 1, 1), phase_names=names)
    laws = generic_laws(cell)
    assert [type(laws[name]) for name in "abc"] == [J2, J2, Elastic]
    assert abs(modulus(laws["c"]) - 10.0) < 1e-9
    assert laws["b"].hardening.sig_y == pytest.approx(0.003 * laws["b"].E)
    assert abs(modulus(generic_laws(cell, (0.5, 4.0))["c"]) - 4.0) < 1e-9
    soft = generic_laws(layers(), (0.01, 0.5))  # labels where the second phase is the softer one
    assert type(soft["soft"]) is Elastic and abs(modulus(soft["stiff"]) - 0.5) < 1e-9
    unused = Rve(phases=np.zeros((1, 1, 1), int), phase_names=("a", "unused"))
    assert generic_laws(unused)["unused"] == Elastic(E=1.0, nu=0.33)


def test_small_cells_are_taken_as_they_are():
    assert coarse_cell(layers(), 4) == layers()


def test_coarse_cell_keeps_fractions_symmetry_and_connection():
    fine = walls(16, 4)
    coarse = coarse_cell(fine, 600)
    assert coarse.shape == (8, 8, 8)
    assert coarse.phase_names == fine.phase_names
    np.testing.assert_array_equal(coarse.cell, fine.cell)
    np.testing.assert_array_equal(coarse.phases, walls(8, 2).phases)
    rng = np.random.default_rng(0)
    noise = Rve(phases=rng.choice(3, p=(0.5, 0.3, 0.2), size=(12, 10, 9)))
    small = coarse_cell(noise, 200)
    assert small.phases.size <= 200
    np.testing.assert_allclose(small.fractions, noise.fractions, atol=0.01)


def test_cell_that_would_fall_apart_stays_finer():
    fine = walls(12, 1)
    assert coarse_cell(fine, 1).n_phases == 2
    from offline.rve.connectivity import connectivity

    assert connectivity(coarse_cell(fine, 1), "node").n_supported_strains == 6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mode": "magic"}, "selection mode is 'magic', expected one of inelastic, elastic."),
        ({"budget": 0.0}, "selection budget is 0.0, expected a positive number."),
        ({"strain": np.nan}, "selection strain is nan, expected a positive number."),
        ({"steps": 0}, "selection steps is 0, expected a positive whole number."),
        ({"refine": -1}, "selection refine is -1, expected a whole number >= 0."),
        ({"element": "tet"}, "element is 'tet', expected one of b-bar, full."),
        ({"max_elements": 1.5}, "selection max_elements is 1.5, expected a positive whole number."),
    ],
)
def test_bad_options_are_named(changes, text):
    with pytest.raises(ParameterError) as error:
        SelectionOptions(**changes)
    assert str(error.value) == text


def test_elastic_laws_cannot_select():
    laws = {"soft": Elastic(E=1.0, nu=0.3), "stiff": Elastic(E=2.0, nu=0.3)}
    with pytest.raises(ParameterError, match="all elastic, expected an inelastic one"):
        judged_by_cell(layers(), SelectionOptions(phases=laws))
