import json

import pytest

from matnet.cli.app import EXIT_UNREADABLE, EXIT_USAGE, run
from offline.rve import read
from offline.rve.generators import REGISTRY, make


def run_make(*arguments):
    return run(["rve", "make", *map(str, arguments)])


def test_make_writes_the_cell_of_the_library_call(tmp_path, capsys):
    path = tmp_path / "truss.npz"
    assert run_make("octet", "--n", 12, "--volume-fraction", 0.3, "-o", path) == 0
    made = read(path)
    assert made == make("octet", n=12, volume_fraction=0.3)
    assert made.source == "octet(n=12, volume_fraction=0.3)"
    assert capsys.readouterr().out == f"{path}: {made}\n"


def test_make_prints_json(tmp_path, capsys):
    path = tmp_path / "cell.npz"
    arguments = ("--n", "8,6,4", "--level", "-0.2", "--cell", "1,0,0;0.2,1,0;0,0,2", "--json")
    assert run_make("gyroid", *arguments, "-o", path) == 0
    printed = json.loads(capsys.readouterr().out)
    made = read(path)
    assert printed == {
        "file": str(path),
        "shape": [8, 6, 4],
        "cell": [[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [0.0, 0.0, 2.0]],
        "fractions": {"void": made.fractions[0], "solid": made.fractions[1]},
        "source": "gyroid(n=(8, 6, 4), level=-0.2, cell=((1, 0, 0), (0.2, 1, 0), (0, 0, 2)))",
        "hash": made.hash(),
    }


def test_make_takes_a_truss_from_json(tmp_path):
    topology = tmp_path / "my.json"
    topology.write_text('{"nodes": [[0, 0, 0], [1, 0, 0]], "struts": [[0, 1]]}')
    path = tmp_path / "bar.npz"
    assert run_make("truss", "--topology", topology, "--n", 8, "--radius", 0.3, "-o", path) == 0
    assert read(path).fractions[1] > 0.2


def test_make_says_when_the_solid_does_not_percolate(tmp_path, capsys):
    topology = tmp_path / "my.json"
    topology.write_text('{"nodes": [[0, 0, 0], [1, 0, 0]], "struts": [[0, 1]]}')
    run_make("truss", "--topology", topology, "--n", 8, "--radius", 0.2, "-o", tmp_path / "a.npz")
    assert "Note: the solid does not percolate along x2 and x3" in capsys.readouterr().err


def test_make_lists_all_generators(capsys):
    assert run_make("--list") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[2:3] != " "]
    assert [name for name in listed if name in REGISTRY] == list(REGISTRY)


@pytest.mark.parametrize("name", REGISTRY)
def test_make_explains_the_options_of_every_generator(name, capsys):
    assert run_make(name, "--help") == 0
    text = capsys.readouterr().out
    assert "--out" in text
    assert "--n " in text


def test_make_keeps_an_existing_file_unless_forced(tmp_path, capsys):
    path = tmp_path / "cell.npz"
    path.write_text("precious")
    arguments = ("plate", "--n", 6, "--thickness", 0.4, "-o", path)
    assert run_make(*arguments) == EXIT_USAGE
    assert "exists already. Choose another name or pass --force." in capsys.readouterr().err
    assert path.read_text() == "precious"
    assert run_make(*arguments, "--force") == 0
    assert read(path).shape == (6, 6, 6)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("octett",), EXIT_USAGE, "generator 'octett' is unknown. Did you mean 'octet'?"),
        (("octet", "--size", 3), EXIT_USAGE, "o such option"),
        (("octet", "--n", "big"), EXIT_USAGE, "'big' is not a number or numbers like 64,64,1."),
        (("octet", "--n", "8,8", "--radius", 0.1), EXIT_USAGE, "n is (8, 8), expected voxels per"),
        (("octet", "--n", 8), EXIT_USAGE, "none given, expected exactly one of volume_fraction"),
        (("gyroid", "--kind", "tube"), EXIT_USAGE, "'tube' is not one of 'network', 'sheet'"),
        (("truss", "--topology", "gone.json", "--radius", 1), EXIT_UNREADABLE, "gone.json: cannot"),
    ],
)
def test_make_refuses_bad_input_and_writes_nothing(tmp_path, capsys, arguments, code, message):
    assert run_make(*arguments, "-o", tmp_path / "cell.npz") == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
