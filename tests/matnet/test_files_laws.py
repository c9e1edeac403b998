"""Laws in a .matnet file: the same laws back, and one sentence for every damage."""

import hashlib
import json

import numpy as np
import pytest
from numba import njit

import matnet
from matnet.cli.app import run
from matnet.errors import FileFormatError, ParameterError
from matnet.files import read_network, read_network_and_laws, write_network
from matnet.law_blocks import kernel_name
from matnet.network import Network
from matnet.phases import (
    J2,
    ArmstrongFrederick,
    CrystalPlasticity,
    Damage,
    DruckerPrager,
    DuctileDamage,
    Elastic,
    JohnsonCook,
    LemaitreDamage,
    Linear,
    LinearVoce,
    Norton,
    Prager,
    Swift,
    Tabulated,
    ThermalExpansion,
    UserLaw,
    Viscoelastic,
    Viscoplastic,
    Voce,
    Void,
)

VOCE = LinearVoce(sig_y=250.0, H=1e3, Q=80.0, b=15.0)
TURNED = Elastic(C11=168e3, C12=121e3, C44=75e3, euler=(30.0, 45.0, 0.1))
LAWS = {
    "elastic": Elastic(E=70e3, nu=0.33),
    "turned": TURNED,
    "matrix": Elastic(stiffness=TURNED.stiffness),
    "void": Void(),
    "j2": J2(E=210e3, nu=0.25, hardening=VOCE),
    "swift": J2(E=210e3, nu=0.3, hardening=Swift(e0=1e-3, n=0.2, sig_y=100.0)),
    "table": J2(E=1.0, nu=0.3, hardening=Tabulated(p=(0.0, 0.1), sig_y=(1e-3, 2e-3))),
    "chaboche": J2(
        E=210e3,
        nu=0.3,
        hardening=Voce(sig_y=250.0, Q=80.0, b=15.0),
        backstresses=(ArmstrongFrederick(C=3e4, gamma=200.0), Prager(C=1e3)),
    ),
    "creep": Viscoplastic(E=16e3, nu=0.44, rate=Norton(A=1e-9, n=5.0)),
    "fast": Viscoplastic(E=2e5, nu=0.3, rate=JohnsonCook(C=0.02), hardening=Linear(sig_y=300.0)),
    "epoxy": Viscoelastic(E=3e3, nu=0.35, g=(0.2, 0.3), tau=(0.1, 10.0)),
    "glass": Damage(E=70e3, nu=0.2, kappa_0=1e-3, kappa_f=3e-3, measure="von-mises", tau=0.1),
    "ductile": DuctileDamage(E=2e5, nu=0.3, hardening=VOCE, damage=LemaitreDamage(S=2.0), tau=0.2),
    "sand": DruckerPrager(E=100.0, nu=0.3, cohesion=0.02, friction=30.0, dilatancy=10.0),
    "warm": ThermalExpansion(J2(E=2e5, nu=0.3, hardening=VOCE), (1e-5, 2e-5, 3e-5), 293.15),
    "copper": CrystalPlasticity(
        C11=168e3, C12=121e3, C44=75e3, g0=16.0, gammadot0=1e-3, n=20.0, euler=(30.0, 45.0, 0.0)
    ),
}
KERNELS = {
    "elastic": "elastic",
    "turned": "elastic",
    "void": "void",
    "warm": "radial-return",
    "chaboche": "general-return",
    "creep": "general-return",
    "epoxy": "viscoelastic",
    "glass": "damage",
    "ductile": "ductile-damage",
    "sand": "drucker-prager",
    "copper": None,
}


def two_phases():
    return Network.random("imn", 2, ("void", "solid"), (0.66, 0.34), seed=1).with_card(seed=7)


def signed(body):
    return body + f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode()


@pytest.mark.parametrize("name", LAWS)
def test_every_law_comes_back_bit_by_bit(tmp_path, name):
    law = LAWS[name]
    material = two_phases().with_phases(solid=law)
    material.save(tmp_path / "a.matnet")
    again = matnet.load_material(tmp_path / "a.matnet")
    assert again.network == material.network and list(again.phases) == ["void", "solid"]
    read = again.phases["solid"]
    assert read == law and type(read) is type(law) and again.phases["void"] == Void()
    for part in ("parameters", "expansion", "stiffness"):
        assert getattr(read, part).tobytes() == getattr(law, part).tobytes()
    again.save(tmp_path / "b.matnet")
    assert (tmp_path / "a.matnet").read_bytes() == (tmp_path / "b.matnet").read_bytes()


@pytest.mark.parametrize("name", KERNELS)
def test_laws_know_their_c_kernels(name):
    assert kernel_name(LAWS[name]) == KERNELS[name]


def test_files_without_laws_are_as_before(tmp_path):
    write_network(tmp_path / "a.matnet", two_phases())
    text = (tmp_path / "a.matnet").read_bytes()
    assert text.startswith(b"matnet 1.0\n") and b"law" not in text
    assert read_network_and_laws(tmp_path / "a.matnet") == (two_phases(), None)


def test_numbers_stand_in_their_blocks(tmp_path):
    two_phases().with_phases(solid=LAWS["warm"]).save(tmp_path / "a.matnet")
    text = (tmp_path / "a.matnet").read_text(encoding="utf-8")
    assert text.startswith("matnet 1.1\n")
    for line in (
        "phase.0.law = void",
        "phase.0.law.table = {}",
        "phase.1.law = j2",
        "phase.1.kernel = radial-return",
        "phase.1.symmetric = 1",
        "phase.1.isotropic = 0",  # its expansion is not
        "phase.1.rate_dependent = 0",
        "phase.1.reference_temperature = 293.14999999999998",
        "block phase.0.parameters real 0 1",
        "block phase.1.parameters real 11 1",
        "block phase.1.initial_state real 7 1",
        "block phase.1.stiffness real 6 6",
    ):
        assert f"\n{line}\n" in text
    expansion = text.partition("block phase.1.expansion real 6 1\n")[2].split("\n")[:6]
    assert [float(number) for number in expansion] == [1e-5, 2e-5, 3e-5, 0.0, 0.0, 0.0]


def test_a_network_is_read_from_a_file_with_laws(tmp_path):
    two_phases().with_phases(solid=LAWS["j2"]).save(tmp_path / "a.matnet")
    assert matnet.load(tmp_path / "a.matnet") == two_phases()


def test_a_file_without_laws_is_no_material(tmp_path):
    two_phases().save(tmp_path / "a.matnet")
    with pytest.raises(FileFormatError, match=r"a\.matnet: holds a network without laws for void"):
        matnet.load_material(tmp_path / "a.matnet")


@njit
def spring(strain, dt, temperature, parameters, state_n, stress, state, tangent, energy):
    return 1


def test_user_laws_are_refused_before_writing(tmp_path):
    law = UserLaw(kernel=spring, stiffness=np.eye(6))
    with pytest.raises(ParameterError, match="phase 'solid': law 'user' with kernel 'spring'"):
        two_phases().with_phases(solid=law).save(tmp_path / "a.matnet")
    assert not list(tmp_path.iterdir())


class OddElastic(Elastic):
    """A user's subclass, of which no reader knows."""


def test_laws_that_no_reader_knows_are_refused(tmp_path):
    law = OddElastic(E=1.0, nu=0.3)
    with pytest.raises(ParameterError, match="Only laws of a phases file can be written"):
        two_phases().with_phases(solid=law).save(tmp_path / "a.matnet")


COPPER = {"g0": 16.0, "gammadot0": 1e-3, "n": 20.0}


@pytest.mark.parametrize(
    ("law", "part"),
    [
        (J2(E=1.0, nu=0.3, hardening=Swift(e0=1e-3, n=0.2, sig_y=1e308)), "parameters"),
        (CrystalPlasticity(C11=168e3, C12=121e3, C44=1e308, **COPPER), "parameters|stiffness"),
    ],
)
def test_laws_with_infinite_numbers_are_refused_before_writing(tmp_path, law, part):
    tree = Network.random("imn", 1, ("a", "void"), (0.5, 0.5), 0)
    with pytest.raises(ParameterError, match=f"law '.*': a number of its ({part}) is too large"):
        write_network(tmp_path / "a.matnet", tree, {"a": law, "void": Void()})
    assert list(tmp_path.iterdir()) == []


def test_laws_of_other_phases_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="laws came for solid, expected void, solid"):
        write_network(tmp_path / "a.matnet", two_phases(), {"solid": LAWS["j2"]})


# damage


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.matnet"
    two_phases().with_phases(solid=LAWS["j2"]).save(path)
    return path, path.read_bytes().rpartition(b"sha256")[0]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("matnet 1.1", "matnet 1.0", "block 'phase.0.parameters' is unknown"),
        ("phase.1.law = j2\n", "", "header key 'phase.1.law' is missing"),
        ("phase.1.law = j2", "phase.1.law = j3", "law 'j3' is unknown, expected one of crystal"),
        ("phase.1.law = j2", "phase.1.law = damage", "law 'damage': unknown key hardening"),
        ('{"E": 210000.0, ', "{E: 1, ", "'phase.1.law.table' does not hold JSON"),
        ('{"E": 210000.0, ', '{"E": NaN, ', "'phase.1.law.table' does not hold JSON"),
        ('{"E": 210000.0, ', '{"E": null, ', "phase.1.law.table: J2"),
        ('{"E": 210000.0, ', '{"E": -1.0, ', "phase.1.law.table: J2: E"),
        ('{"E": 210000.0, ', '{"E": 210001.0, ', "block 'phase.1.parameters' holds 140000 in row"),
        ("table = {}", "table = []", "'phase.0.law.table' does not hold a JSON object"),
        ("kernel = radial-return", "kernel = damage", "phase.1.kernel = damage, but the law's"),
        ("phase.1.kernel = radial-return\n", "", "header key 'phase.1.kernel' is missing"),
        ("phase.1.symmetric = 1", "phase.1.symmetric = 0", "phase.1.symmetric = 0, but the law's"),
        ("phase.1.isotropic = 1", "phase.1.isotropic = yes", "phase.1.isotropic = yes, but the"),
        ("phase.1.rate_dependent = 0\n", "", "header key 'phase.1.rate_dependent' is missing"),
        (
            "phase.1.reference_temperature = 0",
            "phase.1.reference_temperature = 1",
            "phase.1.reference_temperature = 1, but the law's table says 0",
        ),
        ("phase.0.law = void", "phase.0.law = void\nphase.2.law = j2", "unknown header key"),
        ("block phase.1.stiffness", "block phase.2.stiffness", "block 'phase.2.stiffness' is unkn"),
        ("real 11 1", "real 11 2", "block 'phase.1.parameters' is real with 2 columns, expected"),
        ("real 11 1\n", "real 12 1\n1\n", "has 12 rows, but the law's table gives 11"),
        ("real 11 1\n140000\n", "real 11 1\n1e999\n", "holds a number that is too large"),
        ("real 11 1\n1400", "real 11 1\n1401", "holds 140100 in row 1, but the law's table gives"),
        ("real 7 1\n0\n", "real 7 1\n1e-12\n", "block 'phase.1.initial_state' holds 9.99999"),
        ("expansion real 6 1\n0\n", "expansion real 6 1\n1e-6\n", "phase.0.expansion' holds 9.9"),
    ],
)
def test_wrong_laws_with_a_good_checksum_get_one_sentence(small, old, new, text):
    path, body = small
    assert old.encode() in body
    path.write_bytes(signed(body.replace(old.encode(), new.encode(), 1)))
    with pytest.raises(FileFormatError) as caught:
        read_network(path)
    assert text in str(caught.value) and str(caught.value).startswith("small.matnet: ")


def test_a_missing_block_of_a_law_is_named(small):
    path, body = small
    path.write_bytes(signed(body.partition(b"block phase.1.stiffness")[0]))
    with pytest.raises(FileFormatError, match=r"block 'phase\.1\.stiffness' is missing"):
        read_network(path)


def test_rounding_of_another_c_library_is_accepted(tmp_path):
    two_phases().with_phases(solid=TURNED).save(tmp_path / "a.matnet")
    body = (tmp_path / "a.matnet").read_bytes().rpartition(b"sha256")[0]
    head, mark, tail = body.partition(b"block phase.1.parameters real 36 1\n")
    first, _, rest = tail.partition(b"\n")
    other = repr(float(first) * (1.0 + 5e-16)).encode()
    assert other != first
    (tmp_path / "a.matnet").write_bytes(signed(head + mark + other + b"\n" + rest))
    assert matnet.load_material(tmp_path / "a.matnet").phases["solid"] == TURNED


@pytest.mark.parametrize("name", ["chaboche", "turned", "glass"])
def test_mutated_laws_raise_only_file_format_errors(tmp_path, name):
    path = tmp_path / "m.matnet"
    two_phases().with_phases(solid=LAWS[name]).save(path)
    body = path.read_bytes().rpartition(b"sha256")[0]
    start, end = body.index(b"phase.0.law"), body.index(b"card.")
    rng = np.random.default_rng(0)
    inserts = [b"9" * 400, b"e999", b"-", b"null", b"\n", b'"', b"{}", b"[[]]", b"true", b", "]
    for _ in range(300):
        text = bytearray(body)
        for _ in range(rng.integers(1, 4)):
            at, what = int(rng.integers(start, end)), rng.integers(3)
            if what == 0:
                text[at] = rng.choice(list(b'0123456789-. e={}[]":,'))
            elif what == 1:
                del text[at : at + int(rng.integers(1, 30))]
            else:
                text[at:at] = inserts[rng.integers(len(inserts))]
        path.write_bytes(signed(bytes(text)))
        try:
            read_network(path)
        except FileFormatError as wrong:
            assert str(wrong).startswith("m.matnet: ") and "\n" not in str(wrong)


# the command line


@pytest.fixture
def plies(tmp_path, monkeypatch):
    """A file with laws and one without, in the working folder; and the laws."""
    monkeypatch.chdir(tmp_path)
    network = Network.random("imn", 2, ("matrix", "fibre"), (0.6, 0.4), seed=1)
    laws = {"matrix": Elastic(E=3e3, nu=0.3), "fibre": Elastic(E=70e3, nu=0.2)}
    network.with_phases(**laws).save("laws.matnet")
    network.save("bare.matnet")
    return laws


def test_drive_takes_the_laws_of_the_file(plies, capsys):
    load = ["--load", "uniaxial-11:0.001x2"]
    assert run(["drive", "laws.matnet", *load]) == 0
    own = capsys.readouterr().out
    matnet.phases.write_phases("same.toml", plies)
    assert run(["drive", "bare.matnet", "--phases", "same.toml", *load]) == 0
    assert capsys.readouterr().out == own
    matnet.phases.write_phases("soft.toml", {**plies, "fibre": plies["matrix"]})
    assert run(["drive", "laws.matnet", "--phases", "soft.toml", *load]) == 0
    assert capsys.readouterr().out != own  # a phases file comes first


def test_drive_asks_for_laws_where_there_are_none(plies, capsys):
    assert run(["drive", "bare.matnet", "--load", "uniaxial-11:0.001x2"]) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert "bare.matnet holds no laws, expected --phases with a law for each of matrix" in text


def test_info_names_the_laws(plies, capsys):
    assert run(["info", "laws.matnet"]) == 0
    text = capsys.readouterr().out
    assert "laws in the file" in text and "elastic, E 3000.0, nu 0.3" in text
    assert run(["info", "laws.matnet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["laws"]["fibre"]["E"] == 70e3
    assert run(["info", "bare.matnet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["laws"] is None
