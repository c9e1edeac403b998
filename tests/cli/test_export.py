"""matnet export."""

import json

import pytest

from matnet.cli.app import run
from matnet.network import Network

PHASES = '[solid]\nlaw = "elastic"\nE = 70e3\nnu = 0.3\n'


@pytest.fixture
def truss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Network.random("imn", 3, ("void", "solid"), (0.66, 0.34), seed=0).save("my_truss.matnet")
    (tmp_path / "phases.toml").write_text(PHASES)
    return tmp_path


def test_export_writes_the_folder_and_says_what_comes_next(truss, capsys):
    arguments = ["export", "my_truss.matnet", "--phases", "phases.toml", "--to", "calculix"]
    assert run([*arguments, "-o", "out"]) == 0
    text = capsys.readouterr().out
    assert "MYTRUSS" in text
    assert "make test" in text
    assert "@ABAQUS_MYTRUSS" in (truss / "out" / "one_element.inp").read_text()


def test_export_takes_the_laws_in_the_file_and_a_name(truss, capsys):
    from matnet.phases import Elastic

    network = Network.random("imn", 2, ("matrix", "fibre"), (0.6, 0.4), seed=1)
    material = network.with_phases(matrix=Elastic(E=3e3, nu=0.4), fibre=Elastic(E=70e3, nu=0.2))
    material.save("composite.matnet")
    arguments = ["export", "composite.matnet", "--to", "c", "-o", "out", "--name", "UD", "--json"]
    assert run(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["name"], result["target"], result["state_variables"]) == ("UD", "c", 0)
    assert "src/matnet_umat.h" in result["files"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "ansys"], "target 'ansys' is unknown"),
        (["--to", "c", "--name", "no"], "name 'no' does not fit"),
    ],
)
def test_bad_arguments_are_one_sentence(truss, capsys, arguments, message):
    base = ["export", "my_truss.matnet", "--phases", "phases.toml", "-o", "out"]
    assert run([*base, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (truss / "out").exists()


def test_laws_are_asked_for_where_there_are_none_but_not_for_the_void(truss, capsys):
    assert run(["export", "my_truss.matnet", "--to", "c", "-o", "out"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Error: my_truss.matnet holds no laws, expected --phases with a law ")
    assert "for each of solid; see docs/phases.md." in told


def test_folder_in_use_needs_force(truss, capsys):
    base = ["export", "my_truss.matnet", "--phases", "phases.toml", "--to", "c", "-o", "out"]
    assert run(base) == 0
    assert run(base) == 2
    assert "out: is not empty" in capsys.readouterr().err
    assert run([*base, "--force"]) == 0


def test_file_that_gives_no_name_asks_for_one(truss, capsys):
    (truss / "my_truss.matnet").rename(truss / "123.matnet")
    arguments = ["export", "123.matnet", "--phases", "phases.toml", "--to", "c", "-o", "out"]
    assert run(arguments) == 2
    assert "'123.matnet' gives no name for the material, expected --name" in capsys.readouterr().err
