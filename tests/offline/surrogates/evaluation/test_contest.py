"""Several architectures on the same cells of 8 voxels per axis, all untrained."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from matnet.cli.app import run
from matnet.errors import FileFormatError, ParameterError
from offline.homogenization import SolverOptions, homogenize
from offline.surrogates import weights
from offline.surrogates.evaluation.contest import (
    Entrant,
    common_resolution,
    contest,
    entrants,
    families_seen_by_none,
)
from offline.surrogates.evaluation.contest_report import contest_tables, draw_errors
from offline.surrogates.evaluation.evaluate import EvaluationOptions
from offline.surrogates.evaluation.exam import Exam
from offline.surrogates.evaluation.figures import figure
from offline.surrogates.families import family
from offline.surrogates.label_free.network import LabelFreeConfig
from offline.surrogates.phnet.network import PHNetConfig
from offline.surrogates.symmetrise import symmetrise

TRAINED = {"steps": 40, "seconds": 90.0, "device": "cpu", "processes": 1}


def written(path, kind, config, families, resolution=8):
    torch.manual_seed(0)
    data = {"families": families, "resolution": resolution, "batch": 4}
    card = {"kind": kind, "config": asdict(config), "data": data, "training": TRAINED}
    weights.save(path / "best", config.module(), card)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory, stem):
    """CGiNS trained on tpms, a displacement CNN and a pooled one on frames, a PH-Net on mixed."""
    here = tmp_path_factory.mktemp("runs")
    pooled = LabelFreeConfig(net="stiffness", width=0.2, resolution=8)
    return [
        stem,
        written(here / "cnn", "label-free", LabelFreeConfig(width=0.2), ["frame"]),
        written(here / "pooled", "label-free", pooled, ["frame"]),
        written(here / "phnet", "phnet", PHNetConfig(width=0.05), ["mixed"]),
    ]


@pytest.fixture(scope="module")
def result(runs, tmp_path_factory):
    damaged = tmp_path_factory.mktemp("damaged")
    (damaged / "best.json").write_text("{}")
    options = EvaluationOptions(families=("frame", "tubular-gyroid"), resolution=8, cells=2)
    return contest(entrants([*runs, damaged], "cpu"), options)


def outcome(result, entrant, name):
    (found,) = [o for o in result.of_family(name) if o.entrant == entrant]
    return found


@pytest.fixture(scope="module")
def exam():
    return Exam.of(family("tpms").sample(0, 8))


def test_marks_of_the_solution_vanish_and_those_of_zero_are_the_solvers_own(exam):
    sample = exam.sample
    exact = homogenize(
        sample.rve, sample.stiffnesses, SolverOptions(residual_tol=1e-10), keep_displacement=True
    )
    best = exam.of_displacement(exact.displacement)
    assert best.delta < 1e-7 and best.residual < 1e-8 and best.iterations == 0
    zero = exam.of_displacement(np.zeros((6, 8, 8, 8, 3)))
    voigt = sample.volume_fraction * sample.stiffnesses[1]
    gap = np.linalg.norm(voigt - exact.stiffness) / np.linalg.norm(exact.stiffness)
    assert zero.delta == pytest.approx(gap, rel=1e-6)
    assert zero.residual == pytest.approx(1.0) and zero.iterations == exam.iterations > 5


def test_stiffness_that_is_one_per_cent_off_has_a_mark_of_one_per_cent(exam):
    marks = exam.of_stiffness(1.01 * exam.stiffness)
    assert marks.delta == pytest.approx(0.01)
    counted = np.abs(exam.stiffness) >= 0.01 * np.abs(exam.stiffness).max()
    assert marks.components == pytest.approx(0.01 * counted.mean())
    assert marks.residual is None and marks.iterations is None


def test_all_networks_see_the_same_cells_and_their_marks_are_those_of_each_cell(result, runs):
    (predictor,) = [e.predictor for e in result.entrants if e.name == "phnet"]
    sample = result.options.samples()[0]
    u = predictor.predict([(sample.rve, sample.stiffnesses)])[0]
    want = Exam.of(sample).of_displacement(u)
    found = outcome(result, "phnet", "frame")
    assert found.marks[0].delta == pytest.approx(want.delta)
    zero = [o.iterations_zero for o in result.of_family("frame")]
    assert all((z == zero[0]).all() for z in zero)
    saved = 1.0 - found.values("iterations") / zero[0]
    assert found.saved() == pytest.approx(saved.mean())


def test_network_without_displacements_has_an_error_only(result):
    found = outcome(result, "pooled", "frame")
    assert (found.values("delta") > 0.0).all()
    assert found.saved() is None and len(found.values("residual")) == 0
    (table,) = [one for one in contest_tables(result) if one.title.startswith("frame")]
    assert "no displacement" in {row[0]: row for row in table.rows}["pooled"]


def test_means_over_symmetries_are_judged_if_asked(runs, result):
    options = EvaluationOptions(families=("frame",), resolution=8, cells=1, symmetrise=True)
    found = contest(entrants(runs[3:], "cpu"), options)
    exam = Exam.of(options.samples()[0])
    (predictor,) = [e.predictor for e in found.entrants]
    cell = exam.sample.rve, exam.sample.stiffnesses
    u = predictor.predict([cell])[0]
    want = exam.of_displacement(symmetrise(u, *cell))
    assert found.outcomes[0].marks[0].delta == pytest.approx(want.delta)
    assert want.delta < outcome(result, "phnet", "frame").marks[0].delta


def test_training_is_marked_and_what_does_not_fit_keeps_its_reason(result):
    assert outcome(result, "cnn", "frame").seen == "yes"
    assert outcome(result, "phnet", "frame").seen == "no"
    found = outcome(result, "cnn", "tubular-gyroid")
    assert found.reason == (
        "the network cannot take the cells: it sees no shape, and the voxels are not cubes."
    )
    runs = contest_tables(result)[0]
    table = {row[0]: row for row in runs.rows}
    (refused,) = (row for name, row in table.items() if name.startswith("damaged"))
    assert refused[1] == "refused"
    (note,) = runs.notes
    assert note.startswith(f"{refused[0]}: ") and "not a card" in note
    (gyroids,) = [one for one in contest_tables(result) if one.title.startswith("tubular")]
    assert f"cnn: {found.reason}" in gyroids.notes
    assert table["cnn"][3:] == ("frame at 8^3", "160", "1.5", "cpu")


def test_mixed_counts_as_its_parts(runs):
    (phnet,) = entrants(runs[3:], "cpu")
    assert [phnet.seen(name) for name in ("truss", "mixed", "frame")] == ["yes", "yes", "no"]
    (cgins,) = entrants(runs[:1], "cpu")
    assert cgins.seen("mixed") == "partly"


@pytest.mark.parametrize(
    ("trained", "asked", "seen"),
    [
        ("truss", "truss-types", "partly"),
        ("truss-types", "truss", "partly"),
        ("truss-types", "mixed", "partly"),
        ("mixed", "shell-types", "partly"),
        ("shell-types", "truss-types", "no"),
        ("shell-types", "shell-types", "yes"),
    ],
)
def test_fixed_kinds_are_a_part_of_the_family_they_come_from(trained, asked, seen):
    predictor = SimpleNamespace(card={"data": {"families": [trained]}})
    assert Entrant(name="one", predictor=predictor, reason=None).seen(asked) == seen


def test_families_are_those_that_no_run_has_seen(runs):
    assert families_seen_by_none(entrants(runs, "cpu")) == (
        *("tubular-gyroid", "density-lhs", "density-plhs"),
    )


def test_runs_of_several_resolutions_ask_for_one(runs, tmp_path):
    assert common_resolution(entrants(runs, "cpu")) == 8
    other = written(tmp_path / "large", "phnet", PHNetConfig(width=0.05), ["truss"], 16)
    with pytest.raises(ParameterError, match=r"different resolutions .*large: 16"):
        common_resolution(entrants([*runs, other], "cpu"))


def test_shipped_weights_go_by_their_kind(runs):
    (one, _) = entrants(["label-free", *runs[:1]], "cpu")
    assert one.name == "label-free"


@pytest.mark.parametrize("count", [1, 6, 7, 15])
def test_every_run_has_a_colour_of_its_own(count):
    runs = tuple(Entrant(name=f"run {k}", predictor=SimpleNamespace()) for k in range(count))
    result = SimpleNamespace(entrants=runs, options=SimpleNamespace(families=()))
    ax = draw_errors(result, figure(4.0, 3.0).subplots())
    colours = {tuple(dots.get_facecolor()[0]) for dots in ax.collections}
    assert len(colours) == count


def test_no_usable_run_is_an_error(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        entrants([tmp_path], "cpu")


def test_command_writes_table_json_and_picture(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["surrogate", "compare", *map(str, runs[1:]), "--family", "frame", "--cells", "2"]
    assert run([*arguments, "-o", "report"]) == 0
    printed = capsys.readouterr().out
    assert "Runs" in printed and "eq. 34" in printed
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        *("comparison.json", "errors.png", "report.md"),
    ]
    found = json.loads((tmp_path / "report" / "comparison.json").read_text())
    first = found["outcomes"][0]
    assert first["delta"]["mean"] == pytest.approx(np.mean([c["delta"] for c in first["cells"]]))
    assert [e["kind"] for e in found["entrants"]] == ["label-free", "label-free", "phnet"]
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## frame, 2 cells of 8^3 voxels" in text
    assert run([*arguments, "-o", "report"]) == 2
    assert "holds a report" in capsys.readouterr().err
