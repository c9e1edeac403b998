"""Phase laws and the TOML file that names them."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from matnet.elasticity import cubic, isotropic, orthotropic, transversely_isotropic
from matnet.errors import FileFormatError, ParameterError, ShapeError
from matnet.mandel import rotate_stiffness, to_mandel
from matnet.phases import LAWS, Elastic, PhaseLaw, Void, read_phases, write_phases
from matnet.phases.frames import bunge_axes

NAMES = ("matrix", "fibre", "void")
FIBRE = {
    "E1": 19.8,
    "E2": 19.8,
    "E3": 245.0,
    "nu12": 0.67,
    "nu13": 0.02,
    "nu23": 0.02,
    "G12": 5.9,
    "G13": 29.2,
    "G23": 29.2,
}
AXIAL = {
    "E_axial": 10.0,
    "E_transverse": 2.0,
    "nu_axial": 0.3,
    "nu_transverse": 0.4,
    "G_axial": 1.0,
}
MATRIX = '[matrix]\nlaw = "elastic"\nE = 3.8\nnu = 0.387\n'


@pytest.fixture
def phases_file(tmp_path):
    def write(text):
        path = tmp_path / "phases.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# laws


@pytest.mark.parametrize(
    ("constants", "stiffness"),
    [
        ({"E": 70.0, "nu": 0.33}, isotropic(E=70.0, nu=0.33)),
        ({"K": 70.0, "G": 30.0}, isotropic(K=70.0, G=30.0)),
        (FIBRE, orthotropic(**FIBRE)),
        (AXIAL, transversely_isotropic(**AXIAL)),
        ({"C11": 3, "C12": 1, "C44": 1}, cubic(C11=3.0, C12=1.0, C44=1.0)),
        ({"stiffness": np.diag([1.0, 2, 3, 4, 5, 6])}, np.diag([1.0, 2, 3, 4, 5, 6])),
    ],
)
def test_elastic_takes_each_set_of_constants(constants, stiffness):
    law = Elastic(**constants)
    assert np.array_equal(law.stiffness, stiffness)
    assert isinstance(law, PhaseLaw)
    assert Elastic.from_table(law.to_table()) == law
    assert pickle.loads(pickle.dumps(law)) == law == copy.deepcopy(law)


def test_laws_are_values():
    law = Elastic(E=1.0, nu=0.3)
    assert law == Elastic(E=1, nu=0.3) and hash(law) == hash(Elastic(E=1, nu=0.3))
    assert law != Elastic(E=1.01, nu=0.3) and law != Void() and Void() == Void()
    assert repr(law) == "Elastic(E=1.0, nu=0.3)"
    assert "nearest isotropic E=1, nu=0.3" in repr(Elastic(stiffness=law.stiffness))
    with pytest.raises(AttributeError, match="Elastic is immutable: 'E' cannot be set"):
        law.E = 2.0
    with pytest.raises(ValueError, match="read-only"):
        law.stiffness[0, 0] = 2.0


# material frames

TURN = bunge_axes([20.0, 35.0, 50.0])
CONSTANTS = {
    "orthotropic": FIBRE,
    "transversely isotropic": AXIAL,
    "cubic": {"C11": 3.0, "C12": 1.0, "C44": 2.0},
    "full": {"stiffness": np.diag([1.0, 2, 3, 4, 5, 6]).tolist()},
}


@pytest.mark.parametrize("constants", CONSTANTS.values(), ids=list(CONSTANTS))
def test_a_material_frame_turns_the_stiffness(constants):
    turned = Elastic(**constants, axes=TURN)
    straight = Elastic(**constants)
    wanted = rotate_stiffness(straight.stiffness, TURN)
    assert np.abs(turned.stiffness - wanted).max() < 1e-14 * np.abs(wanted).max()
    assert np.array_equal(turned.stiffness, turned.stiffness.T) and turned != straight
    # the energy of a strain that is turned along is the same
    tensor = np.array([[1.0, 0.2, 0.3], [0.2, -2.0, 0.5], [0.3, 0.5, 0.7]])
    energies = [
        law.evaluate(to_mandel(strain)[None], 0.0, np.empty((1, 0))).energy[0, 0]
        for law, strain in ((straight, tensor), (turned, TURN @ tensor @ TURN.T))
    ]
    assert energies[1] == pytest.approx(energies[0], rel=1e-13)


def test_the_columns_of_axes_are_the_material_axes():
    onto_2 = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]  # 1 -> 2, 2 -> 3, 3 -> 1
    compliance = np.linalg.inv(Elastic(**FIBRE, axes=onto_2).stiffness)
    moduli = 1.0 / np.diag(compliance)
    assert moduli[:3] == pytest.approx([FIBRE["E3"], FIBRE["E1"], FIBRE["E2"]], rel=1e-12)
    assert moduli[3:] == pytest.approx(  # 12 is the material's 13, and so on
        [2 * FIBRE["G13"], 2 * FIBRE["G23"], 2 * FIBRE["G12"]], rel=1e-12
    )


def test_euler_angles_are_those_of_bunge():
    c1, s1, c, s, c2, s2 = (f(np.radians(a)) for a in (20.0, 35.0, 50.0) for f in (np.cos, np.sin))
    g = [  # Bunge 1982, eq. 2.50: from the sample frame to the crystal's
        [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
        [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
        [s1 * s, -c1 * s, c],
    ]
    assert np.abs(TURN - np.transpose(g)).max() < 1e-15
    by_angles = Elastic(**FIBRE, euler=[20.0, 35, 50])
    assert np.allclose(by_angles.stiffness, Elastic(**FIBRE, axes=TURN).stiffness, rtol=1e-13)


@pytest.mark.parametrize("frame", [{"axes": TURN.tolist()}, {"euler": (20, 35.0, 50.0)}])
def test_laws_with_frames_are_written_and_pickled(frame, tmp_path):
    law = Elastic(**FIBRE, **frame)
    write_phases(tmp_path / "phases.toml", {"fibre": law})
    assert read_phases(tmp_path / "phases.toml", ("fibre",)) == {"fibre": law}
    assert pickle.loads(pickle.dumps(law)) == law


def test_turned_isotropic_laws_stay_isotropic():
    assert Elastic(E=1.0, nu=0.3, euler=[10, 20, 30]).isotropic
    assert Elastic(E=1.0, nu=0.3).isotropic and not Elastic(**AXIAL).isotropic


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"axes": np.eye(3), "euler": [0, 0, 0]}, "axes and euler came, expected one of them"),
        ({"axes": -np.eye(3)}, "axes is no rotation matrix (off by 0.0e+00, determinant -1)"),
        ({"axes": 1.01 * np.eye(3)}, "axes is no rotation matrix (off by 1.0e-02"),
        ({"axes": [1, 0, 0]}, "axes = [1, 0, 0], expected a rotation matrix (3, 3)"),
        ({"axes": [[1], 2]}, "axes = [[1], 2], expected a rotation matrix (3, 3)"),
        ({"euler": 30}, "euler = 30, expected 3 angles in degrees"),
        ({"euler": [0, 0, np.nan]}, "euler = [0, 0, nan], expected 3 angles in degrees"),
    ],
)
def test_wrong_frames_get_one_sentence(frame, text):
    with pytest.raises(ParameterError) as caught:
        Elastic(**FIBRE, **frame)
    assert str(caught.value).startswith("law 'elastic': ") and text in str(caught.value)


def test_elastic_stores_the_work_and_dissipates_nothing():
    law = Elastic(**FIBRE, axes=TURN)
    strain = np.random.default_rng(0).normal(size=(20, 6))
    out = law.evaluate(strain, 0.0, np.empty((20, 0)))
    assert np.allclose(out.stress, strain @ law.stiffness, rtol=1e-13, atol=1e-12)
    assert np.allclose(out.energy[:, 0], 0.5 * np.einsum("ni,ni->n", out.stress, strain))
    assert not out.energy[:, 1].any()


def test_void_has_no_stiffness_and_no_parameters():
    assert not Void().stiffness.any() and isinstance(Void(), PhaseLaw)
    with pytest.raises(ParameterError, match="law 'void' takes no parameters, but E came"):
        Void.from_table({"E": 1.0})


@pytest.mark.parametrize(
    ("constants", "text"),
    [
        ({}, "law 'elastic': nothing came, expected exactly one of the sets E, nu; K, G;"),
        ({"E": 1.0}, "law 'elastic': nu missing"),
        ({"E1": 1.0, "E2": 1.0}, "law 'elastic': E3, nu12, nu13, nu23, G12, G13, G23 missing"),
        ({"E": 1.0, "G": 1.0}, "law 'elastic': E, G came, expected exactly one of the sets"),
        ({"E": 1.0, "nu": 0.3, "K": 1.0}, "E, K, nu came, expected exactly one"),
        ({"E": 1.0, "poisson": 0.3}, "law 'elastic': unknown key poisson, expected one of"),
        ({"E": "1", "nu": 0.3}, "law 'elastic': E = '1', expected a number"),
        ({"E": True, "nu": 0.3}, "law 'elastic': E = True, expected a number"),
        ({"E": 10**400, "nu": 0.3}, "law 'elastic': E is too large"),
        ({"E": 1.0, "nu": 0.5}, "nu = 0.5, expected a value between -1 and 0.5"),
        ({"E": -1.0, "nu": 0.3}, "E = -1, expected > 0"),
        ({"stiffness": -np.eye(6)}, "not positive definite: its smallest eigenvalue is -1"),
        ({"stiffness": np.zeros((6, 6))}, "not positive definite"),
        ({"stiffness": "soft"}, "stiffness is not an array of numbers"),
    ],
)
def test_wrong_constants_get_one_sentence(constants, text):
    with pytest.raises(ParameterError) as caught:
        Elastic(**constants)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_stiffness_of_wrong_shape_is_a_shape_error():
    with pytest.raises(ShapeError, match=r"stiffness has shape \(3, 3\), expected \(6, 6\)"):
        Elastic(stiffness=np.eye(3))


def test_the_registry_knows_every_law_by_its_name():
    assert LAWS["elastic"] is Elastic and LAWS["void"] is Void
    assert all(name == law.law for name, law in LAWS.items())


# the file


def test_tables_are_found_by_name_and_by_index(phases_file):
    path = phases_file(MATRIX + '[1]\nlaw = "elastic"\nK = 50.0\nG = 30.0\n')
    laws = read_phases(path, NAMES)
    assert list(laws.items()) == [
        ("matrix", Elastic(E=3.8, nu=0.387)),
        ("fibre", Elastic(K=50.0, G=30.0)),
        ("void", Void()),
    ]


def test_star_table_serves_all_others_but_void(phases_file):
    laws = read_phases(phases_file(MATRIX + '["*"]\nlaw = "elastic"\nK = 5\nG = 3\n'), NAMES)
    assert laws["matrix"] == Elastic(E=3.8, nu=0.387)
    assert laws["fibre"] == Elastic(K=5, G=3)
    assert laws["void"] == Void()


def test_void_may_be_given_a_soft_stiffness(phases_file):
    text = MATRIX + '[fibre]\nlaw = "void"\n[void]\nlaw = "elastic"\nE = 1e-3\nnu = 0.0\n'
    laws = read_phases(phases_file(text), NAMES)
    assert laws["void"] == Elastic(E=1e-3, nu=0.0) and laws["fibre"] == Void()


def test_phases_named_by_numbers_are_names_first(phases_file):
    text = '[1]\nlaw = "void"\n[0]\nlaw = "elastic"\nK = 5\nG = 3\n'
    laws = read_phases(phases_file(text), ("1", "0"))
    assert laws == {"1": Void(), "0": Elastic(K=5, G=3)}


def test_written_laws_read_back_equal(tmp_path):
    phases = {
        "matrix": Elastic(E=1.0 / 3.0, nu=0.387),
        'odd "name" \t\x7f é': Elastic(stiffness=orthotropic(**FIBRE)),
        "fibre": Elastic(**FIBRE),
        "hole": Void(),
    }
    path = tmp_path / "phases.toml"
    write_phases(path, phases)
    assert read_phases(path, tuple(phases)) == phases


def test_unwritable_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"phases\.toml: cannot be written"):
        write_phases(tmp_path / "missing" / "phases.toml", {"a": Void()})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[matrix\n", "is not valid TOML: "),
        ("[matrix]\n\nE = = 3\n", "(at line 3, column 5)"),
        (b"\xff\xfe", "is not UTF-8 text"),
        ("x = " + "[" * 5000, "is not valid TOML"),
        ("", "phase 'matrix' (index 0) has no table. Add [matrix] with its law"),
        (MATRIX, "phase 'fibre' (index 1) has no table"),
        (MATRIX + "[3]\n", "phase '3' is unknown, the cell has 0 'matrix', 1 'fibre', 2 'void'."),
        (MATRIX + "[0]\n[1]\n", "phase 'matrix' has two tables, [matrix] and [0]"),
        ("matrix = 3\nfibre = 3\n", "'matrix' stands outside a table"),
        (
            MATRIX + "[fibre]\nE = 1\n",
            "table [fibre] has no key 'law', expected one of ",
        ),
        (MATRIX + '[fibre]\nlaw = "steel"\n', "table [fibre]: law 'steel' is unknown"),
        (MATRIX + "[fibre]\nlaw = []\n", "table [fibre]: law [] is unknown"),
        (
            MATRIX + '[fibre]\nlaw = "void"\nE = 1\n',
            "table [fibre]: law 'void' takes no parameters",
        ),
        (
            MATRIX + '[fibre]\nlaw = "elastic"\nE = 1\nnu = 0.6\n',
            "table [fibre]: nu = 0.6, expected",
        ),
        (MATRIX + '[fibre]\nlaw = "elastic"\nE = inf\nnu = 0.3\n', "E = inf, expected a finite"),
        (
            MATRIX + '[fibre]\nlaw = "elastic"\nstiffness = [[1]]\n',
            "has shape (1, 1), expected (6, 6)",
        ),
        (MATRIX + '[fibre]\nlaw = "elastic"\nstiffness = [[1], 2]\n', "is not an array of numbers"),
        (MATRIX + '["*"]\nlaw = "elastic"\nE = 1\n', "table [*]: law 'elastic': nu missing"),
    ],
)
def test_bad_files_get_one_sentence_with_their_name(phases_file, text, wanted):
    with pytest.raises(FileFormatError) as caught:
        read_phases(phases_file(text), NAMES)
    message = str(caught.value)
    assert message.startswith("phases.toml: ") and wanted in message and "\n" not in message


def test_documented_examples_are_read(phases_file):
    docs = Path(__file__).parents[2] / "docs"
    fibres, grain, turned = (
        piece.partition("```")[0]
        for name in ("phases.md", "laws/elastic.md")
        for piece in (docs / name).read_text(encoding="utf-8").split("```toml\n")[1:]
    )
    laws = read_phases(phases_file(fibres), ("matrix", "fibre"))
    assert laws == {"matrix": Elastic(E=3.8, nu=0.387), "fibre": Elastic(**FIBRE)}
    copper = Elastic(C11=168.4, C12=121.4, C44=75.4)
    assert np.allclose(
        read_phases(phases_file(grain), ("grain",))["grain"].stiffness, copper.stiffness
    )
    along_1 = read_phases(phases_file(turned), ("fibre",))["fibre"].stiffness
    assert 1.0 / np.linalg.inv(along_1)[0, 0] == pytest.approx(230.0, rel=1e-12)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"^none\.toml: cannot be read \(No such file"):
        read_phases(tmp_path / "none.toml", NAMES)


def test_mutated_files_raise_only_file_format_errors(phases_file):
    good = (MATRIX + '["*"]\nlaw = "elastic"\nstiffness = [[1.0, 2], [3, 4e5]]\n').encode()
    rng = np.random.default_rng(0)
    for _ in range(400):
        text = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            text[rng.integers(len(text))] = rng.choice(list(b'0123456789.-e="[]\n #Ec\xff\x00'))
        try:
            read_phases(phases_file(bytes(text)), NAMES)
        except FileFormatError as wrong:
            assert str(wrong).startswith("phases.toml: ")
