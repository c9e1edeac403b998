"""Judging networks: error measures, paths, kept simulations, what the card says."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit

import matnet
from matnet import Network, paths
from matnet.elasticity import isotropic, laminate
from matnet.errors import ConvergenceError, FileFormatError, ParameterError
from matnet.mandel import SQRT2
from matnet.phases import J2, Elastic, LinearVoce, UserLaw
from offline.reference import ReferenceOptions
from offline.rve import Rve
from offline.verification import (
    Curve,
    PathVerdict,
    ReferenceStore,
    default_paths,
    refined,
    six_loadings,
    verify,
)
from offline.verification.default_paths import square

LAYERS = Rve(phases=np.array([0, 0, 1, 1, 1]).reshape(1, 1, 5), phase_names=("matrix", "fibre"))
PLASTIC = {
    "matrix": J2(E=3.8, nu=0.387, hardening=LinearVoce(sig_y=0.01, H=0.05, Q=0.04, b=100.0)),
    "fibre": Elastic(E=72.0, nu=0.22),
}
ELASTIC = {"matrix": Elastic(E=3.8, nu=0.387), "fibre": Elastic(E=72.0, nu=0.22)}


def layers(share=0.4, **card):
    """The exact network of `LAYERS` (share 0.4), or one of other fractions."""
    return Network(
        kind="imn",
        depth=1,
        phase_names=("matrix", "fibre"),
        weights=np.array([share, 1.0 - share]),
        base_phase=np.array([0, 1]),
        normals=np.array([[0.0, 0.0, 1.0]]),
        children=np.array([[-1, -2]]),
        card=card,
    )


def step_report(step, n_steps, seconds):
    return SimpleNamespace(step=step, n_steps=n_steps, seconds=seconds)


def simulated(curve):
    """As `offline.reference.simulate` answers: the first step waited 60 s for the compiler."""
    n = len(curve.strain) - 1
    reports = [step_report(step, n, 60.0 if step == 1 else 0.25) for step in range(1, n + 1)]
    return SimpleNamespace(response=curve, reports=reports)


class StandIn:
    """In place of the full-field simulation: the exact laminate, and how often it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, rve, phases, path, *, options=None, progress=None):
        self.asked.append(path.name)
        if progress is not None:
            progress(step_report(1, path.n_steps, 0.5))
        return simulated(matnet.drive(layers().with_phases(**phases), path))


def pair(reference, network, path):
    """A verdict from stresses (n, 6); strains as prescribed."""
    return PathVerdict(
        path=path,
        reference=Curve(path.target, np.asarray(reference, dtype=float)),
        network=Curve(path.target, np.asarray(network, dtype=float)),
    )


# error measures


def test_error_is_the_norm_over_steps_and_components_of_the_difference():
    path = paths.uniaxial_strain("11", 0.02, steps=2)
    true, ours = np.zeros((3, 6)), np.zeros((3, 6))
    true[1:, 0], true[2, 3] = (3.0, 4.0), 12.0
    ours[1:, 0], ours[2, 3] = (3.0, 4.5), 13.2
    verdict = pair(true, ours, path)
    assert verdict.e_sigma == pytest.approx(1.3 / 13.0, rel=1e-12)
    assert verdict.e_driven == pytest.approx(0.5 / 5.0, rel=1e-12)
    assert verdict.e_peak == pytest.approx(0.5 / 4.0, rel=1e-12)
    assert verdict.e_elastic == 0.0 and verdict.e_epsilon == 0.0
    assert verdict.error == verdict.e_sigma and verdict.judged_by == "stress"


def test_too_soft_a_network_has_a_negative_peak_error_on_either_side_of_zero():
    path = paths.uniaxial_strain("22", -0.02, steps=4)
    true = np.linspace(0.0, -5.0, 5)[:, None] * np.eye(6)[1]
    verdict = pair(true, 0.9 * true, path)
    assert verdict.e_peak == pytest.approx(-0.1) and verdict.e_elastic == pytest.approx(0.1)


def test_creep_counts_with_the_strain():
    path = paths.creep("11", 2.0, steps=3)
    strain = np.linspace(0.0, 1.0, 5)[:, None] * np.array([1.0, -0.3, -0.3, 0.0, 0.0, 0.0])
    stress = path.target
    verdict = PathVerdict(
        path=path, reference=Curve(strain, stress), network=Curve(1.2 * strain, stress)
    )
    assert verdict.judged_by == "strain" and verdict.e_sigma == 0.0
    assert verdict.error == pytest.approx(0.2) and verdict.e_peak == pytest.approx(0.2)


def test_strain_and_stress_prescribed_together_count_with_the_worse():
    target, control = np.zeros((2, 6)), np.array([False, True, True, True, True, True])
    target[1, :2] = 0.01, 5.0
    path = paths.LoadPath(time=[0.0, 1.0], target=target, stress_controlled=control)
    reference = Curve(np.array([np.zeros(6), np.ones(6)]), np.array([np.zeros(6), np.ones(6)]))
    network = Curve(1.3 * reference.strain, 1.1 * reference.stress)
    verdict = PathVerdict(path=path, reference=reference, network=network)
    assert verdict.e_sigma == pytest.approx(0.1) and verdict.error == pytest.approx(0.3)


def test_nothing_to_compare_is_no_number():
    path = paths.uniaxial_strain("11", 0.02, steps=2)
    verdict = pair(np.zeros((3, 6)), np.ones((3, 6)), path)
    assert np.isnan(verdict.e_sigma)
    assert verdict.as_dict(curves=False)["e_sigma"] is None


# paths


def test_six_loadings_are_three_free_pulls_and_three_simple_shears():
    six = six_loadings(0.03, steps=5)
    for place, path in enumerate(six[:3]):
        assert path.target[-1, place] == 0.03
        assert path.stress_controlled.sum() == 5 * 6 and not path.stress_controlled[:, place].any()
    for place, path in enumerate(six[3:], start=3):
        assert path.target[-1, place] == pytest.approx(0.015 * SQRT2)
        assert not path.stress_controlled.any()
    assert {path.n_steps for path in six} == {5}


def test_cycle_and_square_go_to_half_the_strain():
    *_, cycle, around = default_paths(0.02, steps=8, duration=2.0)
    np.testing.assert_allclose(cycle.target[[2, 6, 8], 0], [0.01, -0.01, 0.0], atol=1e-16)
    np.testing.assert_allclose(around.target[::2, 0], [0, 0.01, 0.01, 0, 0])
    np.testing.assert_allclose(around.target[::2, 3], np.array([0, 0, 1, 1, 0]) * 0.005 * SQRT2)
    assert cycle.time[-1] == around.time[-1] == 2.0
    assert around.stress_controlled[0].tolist() == [False, True, True, False, True, True]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: default_paths(0.02, steps=6), "steps = 6, expected a multiple of 4"),
        (lambda: square(steps=2), "square: steps = 2, expected a multiple of 4"),
        (lambda: six_loadings(0.0), "strain = 0, expected the strain at the end"),
        (lambda: six_loadings(np.nan), "strain: 1 of 1 values are not finite"),
    ],
)
def test_impossible_paths_are_refused(make, text):
    with pytest.raises(ParameterError, match=text):
        make()


# verdicts


def test_exact_network_has_no_error_and_another_has_that_of_its_stiffness():
    """Against the closed form of the laminate, pulled with free lateral faces and sheared."""

    def closed_form(rve, phases, path, *, options=None, progress=None):
        C = laminate(
            [isotropic(E=3.8, nu=0.387), isotropic(E=72.0, nu=0.22)], [0.4, 0.6], [0, 0, 1]
        )
        free = path.stress_controlled[0]
        strain = path.target.copy()
        if free.any():
            held = ~free
            inner = np.linalg.solve(C[np.ix_(free, free)], C[np.ix_(free, held)])
            strain[:, free] = -strain[:, held] @ inner.T
        return simulated(SimpleNamespace(strain=strain, stress=strain @ C))

    six = six_loadings(steps=4)
    exact = verify(layers(), LAYERS, ELASTIC, six, timed=False, simulate=closed_form)
    assert exact.worst < 1e-12 and exact.e_sigma < 1e-12
    other = verify(layers(0.5), LAYERS, ELASTIC, six, timed=False, simulate=closed_form)
    C = [
        laminate([isotropic(E=3.8, nu=0.387), isotropic(E=72.0, nu=0.22)], [f, 1 - f], [0, 0, 1])
        for f in (0.4, 0.5)
    ]
    moduli = [1.0 / np.diag(np.linalg.inv(stiffness))[:3] for stiffness in C]
    pulls = np.abs(moduli[1] / moduli[0] - 1.0)
    shears = np.abs(np.diag(C[1])[3:] / np.diag(C[0])[3:] - 1.0)
    np.testing.assert_allclose(other.errors, [*pulls, *shears], rtol=1e-8)
    assert other.e_sigma == pytest.approx(np.mean([*pulls, *shears]), rel=1e-8)
    assert other.worst == other.worst_path.error == pytest.approx(max(*pulls, *shears))
    assert [p.e_peak for p in other.paths[:3]] == pytest.approx(moduli[1] / moduli[0] - 1.0)


def test_full_field_simulation_of_layers_agrees_with_their_exact_network():
    """The exact elastoplastic laminate: jumps of strain are constant within the layers."""
    around = square("11", "13", 0.01, steps=12)
    chosen = [paths.simple_shear("13", 0.02, steps=10), paths.uniaxial_stress("33", 0.02, steps=10)]
    options = ReferenceOptions(tol=1e-8)
    verdict = verify(layers(), LAYERS, PLASTIC, [*chosen, around], options=options, timed=False)
    assert verdict.worst < 1e-6
    assert verdict.e_sigma is None  # not the six loadings
    assert verdict.paths[0].seconds > 0.0


def test_too_little_matrix_is_too_stiff_in_every_measure():
    path = paths.simple_shear("13", 0.02, steps=20)
    verdict = verify(layers(0.36), LAYERS, PLASTIC, [path], timed=False, simulate=StandIn())
    (only,) = verdict.paths
    ratio = only.network.stress[-1, 4] / only.reference.stress[-1, 4]
    assert only.e_peak == pytest.approx(ratio - 1.0) and only.e_peak > 0.0
    assert only.e_driven > 0.005 and only.e_elastic > 0.05


def test_simulations_are_kept_and_used_again(tmp_path):
    stand_in, store = StandIn(), ReferenceStore(tmp_path / "refs")
    chosen = [paths.uniaxial_stress("11", 0.02, steps=4), paths.cyclic("33", 0.01, steps=4)]
    first = verify(
        layers(0.5), LAYERS, PLASTIC, chosen, timed=False, store=store, simulate=stand_in
    )
    again = verify(
        layers(0.5), LAYERS, PLASTIC, chosen, timed=False, store=store, simulate=stand_in
    )
    assert len(stand_in.asked) == 2
    np.testing.assert_allclose(again.errors, first.errors, rtol=1e-12)
    assert [p.seconds for p in again.paths] == pytest.approx(
        [p.seconds for p in first.paths], rel=1e-4
    )
    names = sorted(path.name for path in (tmp_path / "refs").iterdir())
    assert names[0].startswith("cyclic-33.") and names[1].startswith("uniaxial-stress-11.")


def other_law(rve, laws, path):
    return rve, {**laws, "fibre": Elastic(E=73.0, nu=0.22)}, path


def other_cell(rve, laws, path):
    return rve.with_phases(rve.phases[:, :, ::-1]), laws, path


def other_path(rve, laws, path):
    return rve, laws, paths.uniaxial_stress("11", 0.021, steps=4)


@pytest.mark.parametrize("change", [other_law, other_cell, other_path])
def test_another_cell_law_or_path_is_simulated_anew(tmp_path, change):
    stand_in, store = StandIn(), ReferenceStore(tmp_path)
    case = (LAYERS, PLASTIC, paths.uniaxial_stress("11", 0.02, steps=4))
    for rve, laws, path in (case, change(*case)):
        verify(layers(), rve, laws, [path], timed=False, store=store, simulate=stand_in)
    assert len(stand_in.asked) == 2 and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda text: text.replace("# key: ", "# key: 0"), "its key is another one"),
        (lambda text: text.replace("t,e11", "t,e12"), "its columns are others"),
        (lambda text: text[: text.rstrip().rfind("\n") + 1], "it has 4 rows of the path's 5"),
        (lambda text: text.rstrip()[:-3] + "abc\n", "could not convert"),
        (lambda text: text.rstrip().rsplit(",", 1)[0] + ",nan\n", "not finite"),
    ],
)
def test_damaged_simulations_are_not_believed(tmp_path, damage, text):
    store = ReferenceStore(tmp_path)
    chosen = [paths.uniaxial_stress("11", 0.02, steps=4)]
    verify(layers(), LAYERS, PLASTIC, chosen, timed=False, store=store, simulate=StandIn())
    (kept,) = tmp_path.iterdir()
    kept.write_text(damage(kept.read_text()))
    with pytest.raises(FileFormatError, match=text) as wrong:
        verify(layers(), LAYERS, PLASTIC, chosen, timed=False, store=store, simulate=StandIn())
    assert str(wrong.value).startswith(kept.name) and "Delete it" in str(wrong.value)


def test_simulation_that_stops_early_is_compared_up_to_there(tmp_path):
    def stops(rve, phases, path, *, options=None, progress=None):
        whole = matnet.drive(layers().with_phases(**phases), path)
        part = SimpleNamespace(strain=whole.strain[:3], stress=whole.stress[:3])
        raise ConvergenceError("step 3 failed.", simulated(part))

    chosen = [paths.uniaxial_stress("11", 0.02, steps=8)]
    for _ in range(2):  # the second time from the folder
        verdict = verify(
            layers(0.5), LAYERS, PLASTIC, chosen,
            timed=False, store=ReferenceStore(tmp_path), simulate=stops,
        )  # fmt: skip
        (only,) = verdict.incomplete
        assert only.n_steps == 2 and only.note == "simulation: step 3 failed."
        assert 0.0 < only.error < 1.0


def test_nothing_simulated_is_an_error():
    def fails(rve, phases, path, *, options=None, progress=None):
        start = SimpleNamespace(strain=np.zeros((1, 6)), stress=np.zeros((1, 6)))
        raise ConvergenceError("step 1 failed.", simulated(start))

    with pytest.raises(ConvergenceError, match=r"nothing to compare\. simulation: step 1 failed"):
        verify(layers(), LAYERS, PLASTIC, [paths.hydrostatic()], timed=False, simulate=fails)


def test_progress_names_the_path():
    told = []
    path = paths.simple_shear("12", 0.01, steps=4)
    verify(
        layers(), LAYERS, PLASTIC, [path],
        timed=False, simulate=StandIn(), progress=lambda *words: told.append(words),
    )  # fmt: skip
    assert told == [("simple shear 12", 1, 4, "0.5 s a step")]


# what the reader is told


def remarks(network, laws=PLASTIC, strain=0.02):
    path = paths.simple_shear("13", strain, steps=2)
    return verify(network, LAYERS, laws, [path], timed=False, simulate=StandIn()).warnings


def test_the_right_network_of_the_right_cell_needs_no_remark():
    assert remarks(layers(rve_hash=LAYERS.hash(), contrast=[0.01, 100.0])) == ()


@pytest.mark.parametrize(
    ("network", "more", "text"),
    [
        (layers(0.41), {}, "The cell has 40.00 % of 'matrix', the network 41.00 %"),
        (layers(rve_hash="0"), {}, "The network was fitted to another cell"),
        (layers(contrast=[0.1, 10.0]), {}, "'fibre' is 18.95 times as stiff as 'matrix'"),
        (layers(), {"strain": 1e-5}, "No path leaves the elastic range"),
    ],
)
def test_doubts_are_told(network, more, text):
    (only,) = remarks(network, **more)
    assert only.startswith(text)


def test_refined_cell_is_simulated_and_is_no_other_cell():
    shapes = []

    def watching(rve, phases, path, **more):
        shapes.append(rve.shape)
        return StandIn()(rve, phases, path, **more)

    path = paths.simple_shear("13", 0.02, steps=2)
    network = layers(rve_hash=LAYERS.hash())
    found = verify(network, LAYERS, PLASTIC, [path], refine=3, timed=False, simulate=watching)
    assert shapes == [(1, 1, 15)] and found.cell_shape == (1, 1, 15)
    assert found.warnings == () and found.cell_hash == LAYERS.hash()
    with pytest.raises(ParameterError, match="refine = 0, expected a whole number >= 1"):
        verify(network, LAYERS, PLASTIC, [path], refine=0, simulate=watching)


def test_refinement_keeps_shapes_orientations_and_size():
    rng = np.random.default_rng(4)
    turns = np.array([np.eye(3), [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    cell = Rve(phases=rng.integers(0, 2, (3, 4, 1)), orientations=turns, cell=np.diag([3.0, 2, 1]))
    fine = refined(cell, 2)
    assert fine.shape == (6, 8, 1) and np.array_equal(fine.phases[::2, 1::2], cell.phases)
    assert np.array_equal(fine.cell, cell.cell) and np.array_equal(fine.orientations, turns)
    np.testing.assert_allclose(fine.fractions, cell.fractions)


def test_phase_unknown_to_the_network_is_refused():
    cell = Rve(phases=LAYERS.phases, phase_names=("matrix", "glass"))
    with pytest.raises(
        ParameterError, match="the cell has a phase 'glass', the network has 'matrix'"
    ):
        verify(layers(), cell, PLASTIC, simulate=StandIn())


def test_no_paths_are_refused():
    with pytest.raises(ParameterError, match="there is no path"):
        verify(layers(), LAYERS, PLASTIC, [], simulate=StandIn())


# card, JSON, times, pictures


@pytest.fixture(scope="module")
def verdict():
    chosen = default_paths(0.02, steps=8)
    return verify(layers(0.45, seed=7), LAYERS, PLASTIC, chosen, timed=False, simulate=StandIn())


def test_card_survives_the_network_file_beside_what_was_there(verdict, tmp_path):
    verdict.judged_network().save(tmp_path / "a.matnet")
    read = matnet.load(tmp_path / "a.matnet")
    assert read == verdict.judged_network() and read.card["seed"] == 7
    found = read.card["inelastic"]
    assert found["mean"] == verdict.mean and found["e_sigma"] == verdict.e_sigma
    assert [entry["path"] for entry in found["paths"]] == [p.path.name for p in verdict.paths]
    assert found["phases"]["matrix"]["law"] == "j2" and found["rve_hash"] == LAYERS.hash()


def test_json_holds_errors_and_curves(verdict):
    told = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
    assert told["worst"] == verdict.worst and told["worst_path"] == verdict.worst_path.path.name
    assert np.shape(told["paths"][0]["network"]["stress"]) == (9, 6)
    assert told["paths"][-1]["driven"] == ["11", "12"] and told["timing"] is None


def test_times_are_measured_per_point_and_increment():
    path = paths.simple_shear("13", 0.02, steps=5)
    timing = verify(layers(), LAYERS, PLASTIC, [path], simulate=StandIn()).timing
    assert timing.reference == 0.25  # not what the compiler took
    assert 0.0 < timing.batch < timing.single and timing.n_points == 10_000
    assert timing.speed_up_batch == timing.reference / timing.batch
    assert timing.as_dict()["speed_up_single"] == timing.reference / timing.single


def test_every_path_draws_itself(verdict):
    from matplotlib.figure import Figure

    for path in verdict.paths:
        ax = Figure().subplots()
        assert path.plot(ax, unit="GPa") is ax
        assert "GPa" in ax.get_ylabel() and f"{100 * path.error:.2f} %" in ax.get_title()
    assert ax.get_xlabel() == "step" and len(ax.lines) == 4  # the square: two components
    assert verdict.paths[0].plot(color="black").lines[1].get_color() == "black"


def test_the_figure_has_a_panel_per_path_and_one_legend(verdict):
    figure = verdict.plot(unit="GPa")
    assert [ax.get_title().split("\n")[0] for ax in figure.axes] == [
        p.path.name for p in verdict.paths
    ]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["full-field simulation, 1 x 1 x 5", "network, 2 base nodes"]


@njit(error_model="numpy")
def spring(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    """Uncoupled springs of stiffness `parameters[0]`."""
    energy[0] = energy[1] = 0.0
    for i in range(6):
        stress[i] = parameters[0] * strain[i]
        energy[0] += 0.5 * stress[i] * strain[i]
        for j in range(6):
            tangent[i, j] = parameters[0] if i == j else 0.0
    return 0


def test_compiled_law_of_ones_own_can_be_judged_but_not_kept(tmp_path):
    own = UserLaw(kernel=spring, stiffness=50.0 * np.eye(6), parameters=[50.0])
    laws = {"matrix": PLASTIC["matrix"], "fibre": own}
    path = paths.simple_shear("13", 0.02, steps=2)
    found = verify(layers(), LAYERS, laws, [path], timed=False, simulate=StandIn())
    assert found.worst < 1e-12
    assert json.loads(json.dumps(found.card()))["phases"]["fibre"]["law"] == "user"
    with pytest.raises(
        ParameterError, match="cannot be written to a file, so that its simulations"
    ):
        verify(
            layers(), LAYERS, laws, [path], timed=False,
            store=ReferenceStore(tmp_path), simulate=StandIn(),
        )  # fmt: skip
