"""From a cell to a network: frames of the phases, refusals, checkpoints."""

from dataclasses import replace

import numpy as np
import pytest

from matnet.elasticity import laminate
from matnet.errors import ConvergenceError, ParameterError
from matnet.mandel import rotate_stiffness
from matnet.phases import J2, Elastic
from offline.fit import FitOptions, fit, prepared
from offline.homogenization import CellSolver
from offline.labels import LabelOptions, SamplingOptions, compute_labels, sample_stiffnesses
from offline.rve import Rve
from offline.selection import SelectionOptions
from offline.training import TrainingOptions


def options(depth=1, network="imn", mode="elastic", **more):
    sampling = SamplingOptions(contrast=(0.1, 10.0))
    return FitOptions(
        labels=LabelOptions(n=24, tol=1e-4, sampling=sampling, **more),
        training=TrainingOptions(network=network, depth=depth, starts=2),
        selection=SelectionOptions(mode=mode, steps=2),
    )


def turned_layers():
    """Two layers, normal 1, with material frames turned by 0.5 about axis 3 and 0.8 about 1."""
    c, s = np.cos((0.5, 0.8)), np.sin((0.5, 0.8))
    turns = [
        [[c[0], -s[0], 0.0], [s[0], c[0], 0.0], [0.0, 0.0, 1.0]],
        [[1.0, 0.0, 0.0], [0.0, c[1], -s[1]], [0.0, s[1], c[1]]],
    ]
    return Rve(phases=np.array([0, 1, 1, 1]).reshape(4, 1, 1), orientations=np.array(turns))


@pytest.mark.parametrize("network", ["imn", "dmn"])
def test_orientations_of_the_cells_phases_are_kept_by_the_network(network):
    rve = turned_layers()
    result = fit(rve, options(network=network))
    assert result.training.validation_worst < 2e-3
    stiffness = sample_stiffnesses(20, [False, False], SamplingOptions(contrast=(3.0, 3.0)), seed=9)
    turned = rotate_stiffness(stiffness, rve.orientations)
    exact = np.array([laminate(list(pair), [0.25, 0.75], [1, 0, 0]) for pair in turned])
    off = np.linalg.norm(result.network.homogenize(stiffness) - exact, axis=(1, 2))
    assert (off < 5e-3 * np.linalg.norm(exact, axis=(1, 2))).all()


def test_card_tells_stress_errors_and_what_they_were_judged_by(tmp_path):
    rve = turned_layers()
    result = fit(rve, options(mode="inelastic"), work=tmp_path / "work")
    card = result.network.card
    assert card["inelastic_error_mean"] < card["inelastic_error_worst"] < 0.02
    told = card["selection"]
    assert told["mode"] == "inelastic"
    assert list(told["errors"]) == list(result.judge.names)
    assert max(told["errors"].values()) == card["inelastic_error_worst"]
    assert [law["law"] for law in told["laws"].values()] == ["j2", "elastic"]
    assert told["rve_shape"] == [4, 1, 1]
    assert 0.01 < told["strain"] < 0.03
    assert told["judged"] == len(result.training.candidates)
    # the judge saw the network with the orientations of the cell's phases, as it is returned
    again = replace(result.judge, finish=lambda network: network)(result.network)
    np.testing.assert_allclose(again, list(told["errors"].values()), rtol=1e-6)
    elastic = fit(rve, options(), labels=result.labels)
    assert elastic.network.card["selection"] == {"mode": "elastic"}
    assert "inelastic_error_mean" not in elastic.network.card and elastic.judge is None


def test_coarsened_cell_chooses_but_does_not_refine():
    wanted = options(mode="inelastic")
    coarse = SelectionOptions(steps=1, budget=1e-9, max_elements=2)
    result = fit(turned_layers(), replace(wanted, selection=coarse))
    assert result.judge.shape == (2, 1, 1)
    stages = [candidate.stage for candidate in result.training.candidates]
    assert stages and not any("refinement" in stage for stage in stages)


def test_laws_of_the_user_are_what_is_judged_by():
    soft = J2(E=2.0, nu=0.3, hardening={"kind": "linear", "sig_y": 0.01, "H": 0.1})
    laws = {"phase0": soft, "phase1": Elastic(E=4.0, nu=0.2)}
    wanted = options(mode="inelastic")
    wanted = replace(wanted, selection=SelectionOptions(phases=laws, steps=1, budget=1e-9))
    card = fit(turned_layers(), wanted).network.card
    assert card["selection"]["laws"]["phase0"]["hardening"]["sig_y"] == 0.01
    assert len(card["selection"]["errors"]) == 2


def octet_like():
    solid = np.zeros((6, 6, 6), int)
    solid[:2] = solid[:, :2] = solid[:, :, :2] = 1
    return Rve(phases=solid, phase_names=("void", "solid"))


def pillar():
    solid = np.zeros((4, 4, 4), int)
    solid[1:3, 1:3] = 1
    return Rve(phases=solid, phase_names=("void", "solid"))


@pytest.mark.parametrize(
    ("rve", "depth", "allowed", "text"),
    [
        (Rve(phases=np.arange(5).reshape(5, 1, 1)), 2, False, "4 base nodes for 5 phases; take"),
        (octet_like(), 2, False, "depth 2 is too little beside void: .* at least 3"),
        (pillar(), 3, False, "does not percolate along x1 and x2"),
        (pillar(), 3, True, "the solid resists only 1 of 6 strains: C.H is singular"),
        (Rve(phases=np.zeros((2, 2, 2), int), density=np.full((2, 2, 2), 0.5)), 1, False, "densit"),
    ],
)
def test_cells_that_no_network_can_fit_are_refused_before_any_work(
    rve, depth, allowed, text, tmp_path
):
    opts = FitOptions(training=TrainingOptions(depth=depth), allow_disconnected=allowed)
    with pytest.raises(ParameterError, match=text):
        fit(rve, opts, work=tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_failed_labels_leave_no_work_folder(tmp_path):
    with pytest.raises(ConvergenceError, match="the solver stopped after 1 iterations"):
        fit(octet_like(), options(depth=3, max_iterations=1), work=tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_labels_of_another_cell_are_refused(tmp_path):
    labels = compute_labels(turned_layers(), options().labels)
    with pytest.raises(ParameterError, match="the labels belong to another cell"):
        fit(octet_like(), options(depth=3), labels=labels, work=tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_the_same_islands_are_removed_as_in_homogenisation():
    phases = np.zeros((8, 8, 8), int)
    phases[0] = phases[:, 0] = phases[:, :, 0] = 1
    phases[1, 1, 1] = phases[2, 2, 2] = 1  # the second hangs on the first by one node
    phases[5, 5, 5] = 1  # floats
    rve = Rve(phases=phases, phase_names=("void", "solid"))
    cell, removed = prepared(rve, allow_disconnected=False)
    solver = CellSolver(rve)
    assert removed == solver.removed_voxels == 1
    assert np.count_nonzero(cell.phases) == solver.mesh.n_elements == phases.sum() - 1
