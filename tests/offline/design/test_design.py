"""Sensitivities, polishing and designs from end to end with an untrained network."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import ConvergenceError, ParameterError
from offline.design.design import DesignOptions, design
from offline.design.difference import DIFFERENT, difference
from offline.design.laminate import best_coupling
from offline.design.limits import Limits
from offline.design.objective import Objective, Target, Term
from offline.design.output import as_dict, cell_of, phases_text, write_designs
from offline.design.pictures import raster, start_amplitudes
from offline.design.polish import Polisher
from offline.design.search import SearchOptions, search
from offline.design.sensitivity import GreySolver
from offline.homogenization import SolverOptions, homogenize
from offline.rve import read
from offline.surrogates.voigt_reuss.cells import printer_phases
from offline.surrogates.voigt_reuss.networks import NetConfig
from offline.surrogates.voigt_reuss.plane_strain import homogenize_images
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

MILD = np.stack([4.0 * np.eye(3) + 1.0, np.eye(3)])
COUPLING = Objective((Term(name="coupling", sense="maximize"),))


def network(**changes):
    torch.manual_seed(0)
    values = {"resolution": 16, "channels": (4,), "kernels": (3,), "readout": "mean"}
    values |= {"widths": (8,), "with_tau": False}
    return PlaneSurrogate(NetConfig(**(values | changes)), "voigt-reuss", printer_phases()).eval()


def options(**changes):
    few = SearchOptions(starts=8, steps=3, modes=5, batch=4, seed=1)
    return DesignOptions(search=few, **({"count": 2, "rounds": 4} | changes))


@pytest.mark.parametrize("phases", [MILD, printer_phases()])
def test_pixel_sensitivities_match_central_differences(phases):
    rng = np.random.default_rng(0)
    chi = rng.integers(20, 230, (6, 9)) / 254.0
    solver = GreySolver((6, 9), phases)
    slope = solver.solve(chi, 1e-11)[1]
    h = 1.0 / 254.0  # one grey level
    for pixel in ((0, 0), (3, 8), (5, 4)):
        ahead, behind = chi.copy(), chi.copy()
        ahead[pixel] += h
        behind[pixel] -= h
        expected = (solver.solve(ahead, 1e-11)[0] - solver.solve(behind, 1e-11)[0]) / (2 * h)
        size = np.abs(expected).max()
        np.testing.assert_allclose(slope[:, :, pixel[0], pixel[1]], expected, atol=2e-4 * size)
    with pytest.raises(ParameterError, match="picture holds values from 0 to 2"):
        solver.solve(np.array([[0.0, 2.0]]))


def test_black_and_white_is_the_sharp_engine():
    picture = raster(start_amplitudes(1, 5, 0)[0], 0.4, 16)
    found, _ = GreySolver((16, 16), printer_phases()).solve(picture, 1e-9)
    expected = homogenize_images(picture[None], printer_phases(), tol=1e-9)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_polishing_turns_a_crooked_laminate_towards_the_limit():
    limit, _ = best_coupling([isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)])
    amplitudes = 0.12 * np.random.default_rng(3).uniform(-1.0, 1.0, (5, 5))
    amplitudes[3, 3] = 1.0
    polisher = Polisher(printer_phases(), COUPLING, Limits(), 32)
    first = polisher.judge(amplitudes, 0.4)
    last = polisher.polish(first, 12)
    assert -first.objective < 0.99 * limit < -last.objective < limit


def test_polishing_matches_a_tensor_and_keeps_the_limits():
    field = start_amplitudes(6, 5, seed=3)[1]
    phases = printer_phases()
    target = homogenize_images(raster(field, 0.5, 24)[None], phases)[0]
    near = field + 0.1 * np.random.default_rng(1).normal(size=field.shape)
    polisher = Polisher(phases, Objective((Target(target),)), Limits(volume=(0.45, 0.55)), 24)
    first = polisher.judge(near, 0.47)
    last = polisher.polish(first, 15)
    assert last.violation == 0.0 and 0.45 <= last.c0 <= 0.55
    assert last.objective < 0.015 < 0.08 < first.objective
    assert polisher.judge(last.amplitudes, last.c0).objective == last.objective


def test_search_lowers_the_predicted_objective():
    objective = Objective((Term(name="bulk", sense="reach", goal=100.0),))
    few = SearchOptions(starts=4, steps=1, modes=5, learning_rate=1e-9)
    many = SearchOptions(starts=4, steps=25, modes=5)
    before, after = (search(network(), objective, Limits(), one) for one in (few, many))
    assert after.objective.mean() < 0.7 * before.objective.mean()
    assert after.stiffness.shape == (4, 3, 3)


def test_search_keeps_a_fixed_volume():
    few = SearchOptions(starts=2, steps=3, modes=5)
    found = search(network(), COUPLING, Limits(volume=(0.4, 0.4)), few)
    np.testing.assert_allclose(found.c0, 0.4, rtol=1e-6)


def test_starts_of_one_batch_do_not_know_of_each_other():
    net = network().double()
    runs = [
        search(net, COUPLING, Limits(), SearchOptions(starts=4, steps=3, modes=5, batch=batch))
        for batch in (4, 3)
    ]
    np.testing.assert_allclose(runs[0].amplitudes, runs[1].amplitudes, atol=1e-6)


@pytest.mark.parametrize(
    "changes", [{"with_tau": True}, {"inputs": "parameters", "with_tau": True}]
)
def test_networks_with_other_inputs_are_searched_too(changes):
    found = search(network(**changes), COUPLING, Limits(), SearchOptions(starts=2, steps=2))
    assert np.isfinite(found.objective).all()


def test_designs_are_verified_distinct_and_ranked():
    stages = []
    found = design(
        network(),
        COUPLING,
        Limits(volume=(0.3, 0.7)),
        options(),
        lambda stage, done, total, best: stages.append((stage, done, total)),
    )
    pictures = np.stack([one.picture for one in found.designs])
    true = homogenize_images(pictures, printer_phases(), tol=1e-8)
    np.testing.assert_allclose([one.stiffness for one in found.designs], true, rtol=1e-12)
    objectives = [one.objective for one in found.designs]
    np.testing.assert_allclose(objectives, COUPLING.of(true), rtol=1e-12)
    assert objectives == sorted(objectives) and len(objectives) == 2
    assert difference(*pictures) >= DIFFERENT
    for one in found.designs:
        assert one.within_bounds and one.verdict.kept
        assert 0.29 <= one.verdict.c0 <= 0.71
        assert one.objective <= one.unpolished + 1e-4
        missed = np.linalg.norm(one.predicted - one.stiffness) / np.linalg.norm(one.stiffness)
        assert one.surrogate_error == pytest.approx(missed)
    assert stages[5] == ("network", 6, 6) and {name for name, _, _ in stages} == {
        "network",
        "homogenisation",
        "polishing",
    }


def test_designs_have_the_asked_pixels_whatever_the_network_takes():
    found = design(network(), COUPLING, None, options(count=1, rounds=1, resolution=24)).designs[0]
    assert found.picture.shape == (24, 24)
    np.testing.assert_array_equal(raster(found.amplitudes, found.verdict.c0, 24), found.picture)
    double = raster(found.amplitudes, found.verdict.c0, 48)
    fine = homogenize_images(double[None], printer_phases(), tol=1e-6)[0]
    change = np.linalg.norm(fine - found.stiffness) / np.linalg.norm(found.stiffness)
    assert found.refined_change == pytest.approx(change, rel=0.05)


def test_equal_seeds_make_equal_designs():
    first, second = (design(network(), COUPLING, None, options(rounds=2)) for _ in range(2))
    for one, other in zip(first.designs, second.designs, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)


def test_limits_that_no_start_keeps_are_said():
    with pytest.raises(ConvergenceError, match=r"None of 8 starts led to a cell.*features of 0.45"):
        design(network(), COUPLING, Limits(feature=0.45), options(rounds=1))


def test_written_cells_have_the_reported_stiffness_in_space(tmp_path):
    found = design(network(), COUPLING, None, options(count=1, rounds=1))
    written = write_designs(tmp_path / "out", found, COUPLING, {"command": "test"})
    names = [path.name for path in written]
    assert names == ["design_01.npz", "designs.json", "designs.png", "phases.toml"]
    rve = read(tmp_path / "out" / "design_01.npz")
    assert rve.shape == (16, 16, 1) and rve.phase_names == ("stiff", "soft")
    assert rve == cell_of(found.designs[0], found.phases)
    solids = np.array([isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)])
    solver = SolverOptions(tol=1e-9, threads=1)
    space = homogenize(rve, solids, solver, allow_disconnected=True).stiffness
    plane = space[np.ix_([0, 1, 3], [0, 1, 3])]
    missed = np.linalg.norm(plane - found.designs[0].stiffness)
    assert missed < 1e-6 * np.linalg.norm(plane)


def test_phases_are_written_as_solids():
    text = phases_text(printer_phases())
    assert "[stiff]" in text and "E = 1000\n" in text and "nu = 0.49\n" in text
    assert phases_text(np.stack([np.diag([1.0, 2.0, 1.0]), np.eye(3)])) is None


def test_json_compares_the_designs():
    found = design(network(), COUPLING, None, options(rounds=0))
    stored = as_dict(found, COUPLING, {})
    assert stored["phases"]["stiff"] == printer_phases()[0].tolist()
    assert np.diag(stored["difference"]).tolist() == [0.0, 0.0]
    assert stored["designs"][0]["values"]["maximize coupling"] == -found.designs[0].objective


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SearchOptions(modes=4), "modes is 4, expected an odd number, 3 to 11"),
        (lambda: SearchOptions(starts=0), "starts is 0, expected at least 1"),
        (lambda: SearchOptions(temperature=(0.1, 0.0)), "have to be > 0"),
        (lambda: DesignOptions(count=0), "count is 0 and rounds 25"),
        (lambda: DesignOptions(difference=1.0), "difference is 1, expected"),
        (lambda: Polisher(MILD, COUPLING, Limits(), 4), "resolution is 4, expected at least 8"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
