from importlib import resources

import numpy as np
import pytest

from matnet.errors import MissingExtraError, ParameterError
from offline.rve import read
from offline.rve.generators import REGISTRY, Generator, find_generator, make
from offline.rve.generators.registry import Parameter, documented_parameters

FEW_VOXELS = {  # what a cheap cell of each family needs
    "tpms": {"level": 0.0},
    "gyroid": {"level": 0.0},
    "schwarz-p": {"level": 0.0},
    "schwarz-d": {"level": 0.0},
    "iwp": {"level": 0.0},
    "frd": {"level": 0.0},
    "tubular-gyroid": {"volume_fraction": 0.2},
    "shell": {"thickness": 0.2},
    "plate": {"thickness": 0.2},
    "foam": {"thickness": 0.2},
}
TRUSSES = (
    *("truss", "simple-cubic", "bcc", "fcc", "octet", "kelvin", "diamond"),
    *("rhombic-dodecahedron", "cuboctahedron", "truncated-cube", "reentrant"),
    *("random-truss", "frame"),
)
FEW_VOXELS.update({name: {"radius": 0.1} for name in TRUSSES})


@pytest.mark.parametrize("name", REGISTRY)
def test_generators_document_every_parameter(name):
    generator = find_generator(name)
    assert generator.summary.endswith(".")
    for parameter in generator.parameters:
        assert parameter.help.endswith("."), parameter.name
        assert parameter.name not in generator.fixed


@pytest.mark.parametrize("name", FEW_VOXELS)
def test_source_is_the_call_that_makes_the_cell_again(name):
    rve = make(name, n=8, **FEW_VOXELS[name])
    call, _, arguments = rve.source.partition("(")
    assert call == name
    assert make(name, **eval(f"dict({arguments}")) == rve
    assert rve.phase_names == ("void", "solid")


@pytest.mark.parametrize("topology", ["octet", "kelvin"])
def test_named_trusses_fix_the_topology(topology):
    named = make(topology, n=10, radius=0.1)
    assert named == make("truss", topology=topology, n=10, radius=0.1)
    assert named.fractions[1] > 0.1


def test_tubular_gyroid_is_the_tube_not_its_outside():
    tube = make("tubular-gyroid", n=20, volume_fraction=0.1)
    shell = make("tpms", surface="tubular-gyroid", n=20, side="above", volume_fraction=0.1)
    np.testing.assert_array_equal(tube.phases, shell.phases)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("octett", {}, "generator 'octett' is unknown. Did you mean 'octet'\\?"),
        ("zzz", {}, "generator 'zzz' is unknown. Known are truss, simple-cubic, "),
        ("octet", {"size": 1}, "generator 'octet' has no parameter 'size', it knows n, volume_"),
        ("octet", {"topology": "bcc"}, "generator 'octet' has no parameter 'topology', it knows"),
    ],
)
def test_unknown_names_are_refused_in_one_sentence(name, options, message):
    with pytest.raises(ParameterError, match=message):
        make(name, **options)


def test_missing_parameters_are_named():
    required = Parameter(name="shape", help="Any.", annotation=int, required=True)
    generator = Generator(
        name="box", function=make, fixed={}, summary="A box.", parameters=(required,)
    )
    with pytest.raises(ParameterError, match="generator 'box' needs shape"):
        generator.make()


def test_missing_library_comes_with_the_install_line(monkeypatch):
    monkeypatch.setitem(REGISTRY, "far", "no_such_library.far:away")
    expected = r"generator 'far' needs 'no_such_library', .* pip install 'matnet\[offline\]'"
    with pytest.raises(MissingExtraError, match=expected):
        find_generator("far")


def test_shipped_truss_is_what_the_generator_makes():
    shipped = read(resources.files("fe_examples") / "data" / "truss.npz")
    assert shipped.source == "octet(n=48, volume_fraction=0.2)"
    assert shipped == make("octet", n=48, volume_fraction=0.2)
    assert shipped.fractions[1] == pytest.approx(0.2, abs=1e-3)


def test_numpydoc_sections_end_the_parameters():
    text = "S.\n\nParameters\n----------\na : int\n    One.\nb\n    Two,\n    three.\n"
    assert documented_parameters(text) == {"a": "One.", "b": "Two, three."}
    assert documented_parameters(text + "\nRaises\n------\nE\n    X.\n").keys() == {"a", "b"}
    assert documented_parameters("S.") == {}
