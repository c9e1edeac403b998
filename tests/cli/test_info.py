"""matnet info."""

import json

import numpy as np
import pytest

from matnet.cli.app import run
from matnet.network import Network


@pytest.fixture
def truss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = Network.random("imn", 3, ("void", "solid"), (0.66, 0.34), seed=0)
    card = {"seed": 4, "elastic_error_mean": 0.0123, "cell": {"shape": [8, 8, 8]}}
    network.with_card(**card).save("truss.matnet")
    return network


def test_info_prints_tree_phases_and_card(truss, capsys):
    assert run(["info", "truss.matnet"]) == 0
    text = capsys.readouterr().out
    for expected in (
        "interaction-based",
        "8 of 8",
        "66.000 %",
        "0.0123",
        "cell.shape",
        "[8, 8, 8]",
    ):
        assert expected in text


def test_info_json_holds_everything(truss, capsys):
    assert run(["info", "truss.matnet", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["kind"], info["depth"], info["base_nodes"], info["blocks"]) == ("imn", 3, 8, 7)
    assert [phase["name"] for phase in info["phases"]] == ["void", "solid"]
    assert np.allclose([phase["fraction"] for phase in info["phases"]], [0.66, 0.34])
    assert [phase["base_nodes"] for phase in info["phases"]] == [4, 4]
    assert info["card"]["cell"] == {"shape": [8, 8, 8]}


def test_unreadable_file_is_exit_code_3(truss, capsys):
    assert run(["info", "none.matnet"]) == 3
    captured = capsys.readouterr()
    assert captured.out == "" and "Error: none.matnet: cannot be read" in captured.err


def test_any_entry_called_inelastic_is_shown(truss, capsys):
    truss.with_card(inelastic={"note": "made by hand"}).save("truss.matnet")
    assert run(["info", "truss.matnet"]) == 0
    assert "inelastic.note" in capsys.readouterr().out


def test_interrupted_verb_is_exit_code_130(truss, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("matnet.files.read_network_and_laws", interrupted)
    assert run(["info", "truss.matnet"]) == 130
    told = capsys.readouterr().err
    assert "Run again: fit and surrogate train resume, other verbs start anew." in told
