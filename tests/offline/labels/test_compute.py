"""From a cell to labels: errors as promised, any executor, resumable, clear refusals."""

import concurrent.futures
import itertools

import numpy as np
import pytest

from matnet.errors import ConvergenceError, ParameterError
from offline.labels import LabelOptions, SamplingOptions, compute_labels, read_labels
from offline.rve import Rve

WIDE = SamplingOptions(contrast=(1e-3, 1e3))
CENTURY = SamplingOptions(contrast=(1e-2, 1e2))


@pytest.mark.parametrize(
    ("cell", "sampling"), [("octet", WIDE), ("fibres", WIDE), ("spheres", CENTURY)]
)
def test_error_estimate_is_reliable(cell, sampling, request, full_solve, relative_error):
    """On 50 random samples the estimate is 0.5 to 20 times the true error."""
    rve = request.getfixturevalue(cell)
    options = LabelOptions(n=200, tol=5e-3, sampling=sampling, seed=1)
    labels = compute_labels(rve, options)
    unsolved = np.setdiff1d(np.arange(200), labels.card["solved"])
    picked = np.random.default_rng(7).choice(unsolved, 50, replace=False)
    exact, _ = full_solve(rve, labels.phase_stiffness[picked])
    true = relative_error(labels.effective[picked], exact)
    ratio = labels.error[picked] / true
    assert ratio.min() > 0.5 and ratio.max() < 20.0
    assert true.max() < options.tol
    assert labels.error.max() <= options.tol
    assert labels.card["snapshots"] < 60


def test_direct_labels_agree_with_reduced_ones(small, relative_error):
    options = {"n": 30, "tol": 1e-4, "sampling": CENTURY}
    direct = compute_labels(small, LabelOptions(**options, direct=True))
    reduced = compute_labels(small, LabelOptions(**options))
    assert direct.card["method"] == "direct"
    assert np.array_equal(direct.phase_stiffness, reduced.phase_stiffness)
    assert relative_error(reduced.effective, direct.effective).max() < 2e-4


def test_all_samples_are_solved_when_they_are_few(small, full_solve, relative_error):
    labels = compute_labels(small, LabelOptions(n=3, tol=1e-6, sampling=CENTURY))
    exact, _ = full_solve(small, labels.phase_stiffness)
    assert labels.card["snapshots"] == 3
    assert relative_error(labels.effective, exact).max() < 1e-6


def test_one_label_of_a_homogeneous_cell_is_its_phase():
    rve = Rve(phases=np.zeros((2, 2, 2), dtype=int), phase_names=("solid",))
    labels = compute_labels(rve, LabelOptions(n=1))
    assert np.allclose(labels.effective[0], labels.phase_stiffness[0, 0], rtol=1e-12, atol=1e-12)


def test_three_phases_with_void(relative_error, full_solve):
    phases = np.random.default_rng(0).choice(3, (4, 4, 4), p=[0.1, 0.5, 0.4])
    rve = Rve(phases=phases, phase_names=("void", "a", "b"))
    labels = compute_labels(rve, LabelOptions(n=60, tol=1e-2, sampling=CENTURY))
    exact, _ = full_solve(rve, labels.phase_stiffness)
    assert relative_error(labels.effective, exact).max() < 1e-2


def test_labels_do_not_depend_on_the_executor(small):
    options = LabelOptions(n=25, tol=1e-2, sampling=CENTURY)
    alone = compute_labels(small, options)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pooled = compute_labels(small, options, executor=pool)
    assert np.array_equal(alone.effective, pooled.effective)
    assert np.array_equal(alone.error, pooled.error)


def test_labels_do_not_depend_on_the_number_of_processes(small):
    alone = compute_labels(small, LabelOptions(n=12, tol=3e-2, sampling=CENTURY))
    two = compute_labels(small, LabelOptions(n=12, tol=3e-2, sampling=CENTURY, workers=2))
    assert np.array_equal(alone.effective, two.effective)
    assert np.array_equal(alone.error, two.error)


def test_progress_is_reported(small):
    seen = []
    compute_labels(small, LabelOptions(n=20, tol=1e-2), on_progress=seen.append)
    assert seen[0].snapshots == 0 and seen[0].n == 20
    assert seen[-1].done == 20 and seen[-1].worst <= 1e-2
    assert all(a.snapshots < b.snapshots for a, b in itertools.pairwise(seen))
    assert seen[-1].memory > seen[0].memory


def test_a_stopped_run_goes_on_and_ends_with_the_same_labels(small, tmp_path):
    options = LabelOptions(n=40, tol=1e-3, sampling=CENTURY)
    whole = compute_labels(small, options)
    solved = []

    def stop_in_the_third_round(progress):
        if progress.snapshots >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_labels(small, options, store=tmp_path / "a.h5", on_progress=stop_in_the_third_round)
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a.h5.work").glob("sample-*")}
    assert len(kept) == 8
    assert not (tmp_path / "a.h5").exists()

    def untouched(progress):
        work = tmp_path / "a.h5.work"
        solved.append(all((work / n).stat().st_mtime_ns == t for n, t in kept.items()))

    labels = compute_labels(small, options, store=tmp_path / "a.h5", on_progress=untouched)
    assert solved and all(solved)
    assert np.array_equal(labels.effective, whole.effective)
    assert np.array_equal(labels.error, whole.error)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_finished_file_is_read_instead_of_computed(small, tmp_path):
    options = LabelOptions(n=5, tol=1e-2)
    first = compute_labels(small, options, store=tmp_path / "a.h5")
    seen = []
    second = compute_labels(small, options, store=tmp_path / "a.h5", on_progress=seen.append)
    assert not seen
    assert np.array_equal(first.effective, second.effective)
    assert read_labels(tmp_path / "a.h5").card == first.card


def test_a_finished_file_of_other_options_is_kept(small, tmp_path):
    compute_labels(small, LabelOptions(n=5, tol=1e-2), store=tmp_path / "a.h5")
    with pytest.raises(ParameterError, match=r"a\.h5 exists and holds labels of another cell"):
        compute_labels(small, LabelOptions(n=6, tol=1e-2), store=tmp_path / "a.h5")


def test_unfinished_work_of_other_options_is_kept(small, tmp_path):
    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_labels(small, LabelOptions(n=5), store=tmp_path / "a.h5", on_progress=stop)
    with pytest.raises(ParameterError, match=r"a\.h5\.work holds unfinished labels of another"):
        compute_labels(small, LabelOptions(n=6), store=tmp_path / "a.h5")


def test_a_solver_that_gives_up_names_the_sample(small):
    options = LabelOptions(n=3, tol=1e-6, max_iterations=2, sampling=WIDE)
    with pytest.raises(
        ConvergenceError, match=r"sample \d+: the solver stopped after 2 iterations"
    ):
        compute_labels(small, options)


def test_a_solid_that_falls_apart_is_refused():
    rve = Rve(phases=(np.arange(6) < 3)[:, None, None] * 1, phase_names=("void", "solid"))
    with pytest.raises(ParameterError, match=r"percolate|connected|direction"):
        compute_labels(rve, LabelOptions(n=3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0, expected a positive whole number"),
        ({"batch": 2.5}, "batch is 2.5"),
        ({"workers": 0}, "workers is 0"),
        ({"tol": 0.0}, "tol is 0.0, expected a number from 1e-9 to 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        LabelOptions(**options)
