"""Reports side by side."""

import csv
import json

import pytest

from matnet.errors import FileFormatError
from offline.surrogates.evaluation.compare import comparison, draw_projection, read_runs


def report(folder, delta, resolution=16, **config):
    folder.mkdir(parents=True)
    one = {"mean": delta, "median": delta, "min": delta, "max": 3 * delta}
    answer = {
        "config": {"pcg_steps": 8, "soft": 1e-4, **config},
        "parameters": 1234,
        "pcg_steps": config.get("pcg_steps", 8),
        "iterations_share": 0.4,
        "options": {
            "families": ["truss"],
            "resolution": resolution,
            "cells": 2,
            "first": 0,
            "nu": None,
        },
        "statistics": dict.fromkeys(("delta", "residual", "projection", "seconds"), one),
    }
    (folder / "evaluation.json").write_text(json.dumps(answer))
    with (folder / "cells.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["projection"], [delta], [3 * delta]])


def test_rows_name_errors_and_differences(tmp_path):
    report(tmp_path / "full", 0.004)
    report(tmp_path / "anchor", 0.02, soft=None, pcg_steps=0)
    columns, rows = comparison(read_runs(tmp_path))
    table = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [row["run"] for row in table] == ["full", "anchor"]
    assert table[0]["differs in"] == "" and table[1]["differs in"] == "pcg_steps=0, soft=None"
    assert [row["delta_C mean [%]"] for row in table] == ["0.4", "2"]
    assert [row["worst [%]"] for row in table] == ["1.2", "6"]
    assert table[1]["steps"] == "0" and table[1]["steps left"] == "40 %"
    assert table[0]["parameters"] == "1234" and table[0]["ms"] == "4"
    assert comparison(read_runs(tmp_path), "anchor")[1][0][0] == "anchor"
    with pytest.raises(FileFormatError, match="no report is called 'none', there are anchor, full"):
        comparison(read_runs(tmp_path), "none")


def test_picture_has_a_box_for_each_run(tmp_path):
    from matplotlib.figure import Figure

    for name in ("full", "anchor"):
        report(tmp_path / name, 0.01)
    ax = draw_projection(read_runs(tmp_path), Figure().add_subplot())
    assert [label.get_text() for label in ax.get_xticklabels()] == ["anchor", "full"]


def test_reports_that_cannot_be_compared_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"holds no \*/evaluation\.json"):
        read_runs(tmp_path)
    report(tmp_path / "a", 0.01)
    report(tmp_path / "b", 0.01, resolution=32)
    with pytest.raises(FileFormatError, match=r"judge different cells \(resolution: 16 and 32\)"):
        read_runs(tmp_path)
    (tmp_path / "b" / "evaluation.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"b: not a report of an evaluation"):
        read_runs(tmp_path)
