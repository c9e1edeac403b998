"""Judgement of predictions: exact ones, known errors, the network's own soft material."""

import csv
import json

import numpy as np
import pytest
import torch

from matnet.errors import FileFormatError, ParameterError
from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.surrogates import weights
from offline.surrogates.cgins.cell_batch import CellBatch, padded_cell
from offline.surrogates.cgins.predict import predict
from offline.surrogates.evaluation import (
    EvaluationOptions,
    evaluate,
    load_predictor,
    write_report,
)
from offline.surrogates.evaluation.judge import judge
from offline.surrogates.evaluation.predictor import weights_stem
from offline.surrogates.evaluation.report import verdicts

SMALL = EvaluationOptions(families=("tpms",), resolution=8, cells=4)
SOFT = 1e-3


class Scaled:
    """The solution times a factor: every error is known."""

    name, card, steps = "scaled", {"kind": "scaled", "parameters": 0}, 0

    def __init__(self, factor):
        self.factor = factor

    def predict(self, cells):
        options = SolverOptions(residual_tol=1e-9)
        problems = [self.problem(*cell) for cell in cells]
        return np.stack(
            [
                self.factor * homogenize(*p, options, keep_displacement=True).displacement
                for p in problems
            ]
        )

    def problem(self, rve, stiffnesses):
        return padded_cell(rve, stiffnesses, SOFT)

    def misfit(self, rve):
        return None

    def breakdown(self, cells):
        return {"all": 1.0}


@pytest.fixture(scope="module")
def evaluation(stem):
    return evaluate(load_predictor(stem), SMALL)


def test_known_errors_are_found():
    sample = SMALL.samples()[0]
    found = judge(
        Scaled(0.9), sample, Scaled(0.9).predict([(sample.rve, sample.stiffnesses)])[0], 1
    )
    cell, c = padded_cell(sample.rve, sample.stiffnesses, SOFT)
    exact = homogenize(cell, c, SolverOptions(tol=1e-10)).stiffness
    voigt = np.einsum("p,pij->ij", cell.fractions, c)
    gap = 0.01 * np.linalg.norm(voigt - exact) / np.linalg.norm(exact)  # (1 - 0.9)^2
    assert found.delta_soft == pytest.approx(gap, rel=1e-5)
    assert found.residual == pytest.approx(0.1, rel=1e-6)
    assert found.residual_worst == pytest.approx(0.1, rel=1e-6)
    assert found.projection == pytest.approx(0.01, rel=1e-5)
    assert found.projection_low == pytest.approx(0.01 * found.projection_low_zero, rel=1e-3)
    assert 0.0 < found.projection_low_zero < 1.0
    assert 0 < found.iterations < found.iterations_zero


def test_an_exact_prediction_needs_no_steps_and_differs_by_the_soft_material_only():
    sample = SMALL.samples()[1]
    u = Scaled(1.0).predict([(sample.rve, sample.stiffnesses)])[0]
    found = judge(Scaled(1.0), sample, u, 1.0)
    assert found.iterations == 0 and found.delta_soft < 1e-8 and found.residual < 1e-8
    assert 1e-8 < found.delta < 10 * SOFT


def test_predictions_that_are_not_finite_are_refused():
    sample = SMALL.samples()[0]
    with pytest.raises(ParameterError) as refused:
        judge(Scaled(1.0), sample, np.full((6, 8, 8, 8, 3), np.nan), 1.0)
    assert str(refused.value) == (
        "weights 'scaled' predict values that are not finite for cell 2000000000 of family "
        "'tpms'. Train them again, or choose others."
    )


def test_padded_cell_is_the_system_of_the_network():
    sample = SMALL.samples()[0]
    cell = (sample.rve, sample.stiffnesses)
    u = np.random.default_rng(0).normal(size=(6, 8, 8, 8, 3)) * 0.01
    batch = CellBatch.of([cell], soft=SOFT)
    i, j, k = batch.grid.index().numpy().T
    rows = u[:, i, j, k].transpose(1, 2, 0)
    found = batch.operator.energy(torch.from_numpy(rows.copy()).float())[0].double().numpy()
    solver = CellSolver(padded_cell(*cell, SOFT)[0])
    operator = solver.with_stiffness(padded_cell(*cell, SOFT)[1])
    np.testing.assert_allclose(found, operator.energy(solver.pack(u)), rtol=2e-4, atol=1e-4)


def test_numbers_are_those_of_the_network(stem, evaluation):
    predictor = load_predictor(stem)
    samples = SMALL.samples()
    found = predict(predictor.network, [(s.rve, s.stiffnesses) for s in samples])
    np.testing.assert_allclose(
        evaluation.values("residual"), found.residual.mean(axis=1), rtol=1e-2
    )
    for cell, sample, c in zip(evaluation.cells, samples, found.stiffness, strict=True):
        exact = homogenize(sample.rve, sample.stiffnesses, SolverOptions(tol=1e-9)).stiffness
        delta = np.linalg.norm(c - exact) / np.linalg.norm(exact)
        assert cell.delta == pytest.approx(delta, rel=1e-2, abs=1e-6)
    parts = evaluation.breakdown
    assert set(parts) == {"preparation", "encoder", "U-Net", "decoder", "solver"}
    assert all(seconds > 0.0 for seconds in parts.values())


def test_bins_hold_every_cell_once(evaluation):
    some = np.array([chosen for _, _, chosen in evaluation.bins()])
    assert (some.sum(axis=0) == 1).all()
    for low, high, chosen in evaluation.bins():
        fraction = evaluation.values("volume_fraction")[chosen]
        assert (low <= fraction).all() and (fraction < high).all()


def test_report_is_written_whole_and_replaced_with_force_only(tmp_path, evaluation):
    folder = write_report(tmp_path / "report", evaluation, {"command": "matnet"})
    names = {path.name for path in folder.iterdir()}
    pictures = {"histograms.png", "convergence.png", "projection.png"}
    assert names == {"cells.csv", "evaluation.json", "report.md"} | pictures
    answer = json.loads((folder / "evaluation.json").read_text())
    delta = evaluation.values("delta")
    assert answer["statistics"]["delta"]["mean"] == pytest.approx(delta.mean())
    assert answer["statistics"]["delta"]["max"] == delta.max()
    assert answer["n_cells"] == 4 and sum(b["cells"] for b in answer["bins"]) == 4
    with (folder / "cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["delta"]) for row in rows] == delta.tolist()
    text = (folder / "report.md").read_text()
    assert f"{100 * delta.mean():.3g}" in text and "](projection.png)" in text
    with pytest.raises(ParameterError, match="holds a report"):
        write_report(folder, evaluation, {})
    write_report(folder, evaluation, {}, force=True)
    (folder / "mine.txt").write_text("")
    with pytest.raises(ParameterError, match=r"holds 'mine\.txt', which is not of a report"):
        write_report(folder, evaluation, {}, force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"report"}


def test_targets_are_reached_or_missed(evaluation):
    said = [text for _, text in verdicts(evaluation)]
    delta = evaluation.statistics("delta")
    assert said[0].startswith(f"{delta['mean']:.2%}: ")
    assert said[0].endswith("reached" if delta["mean"] <= 0.01 else "missed")
    assert len(said) == 3


def test_weights_are_found_in_a_run_or_by_name(stem):
    assert weights_stem(stem.parent) == stem
    assert weights_stem(stem.with_suffix(".json")) == stem
    assert load_predictor(stem.parent).steps == 10


def test_weights_of_something_else_are_refused(tmp_path, stem):
    other = load_predictor(stem)
    weights.save(tmp_path / "w", other.network, {"kind": "astrology", "config": {}})
    with pytest.raises(FileFormatError, match="architecture 'astrology' is unknown"):
        load_predictor(tmp_path / "w")
    with pytest.raises(FileFormatError, match=r"none\.json: cannot be read"):
        load_predictor(tmp_path / "none")


def test_cells_that_do_not_fit_are_refused(stem):
    options = EvaluationOptions(families=("tpms",), resolution=10, cells=1)
    with pytest.raises(ParameterError, match="weights 'best' do not fit the cells: it halves"):
        evaluate(load_predictor(stem), options)
    with pytest.raises(ParameterError, match="no family was named"):
        EvaluationOptions(families=())
    with pytest.raises(ParameterError, match="cells is 0, expected 1 or more"):
        EvaluationOptions(families=("tpms",), cells=0)
