"""What the C reader says about files that are wrong."""

import hashlib

import pytest

from matnet import Network
from matnet.errors import FileFormatError
from umat_bridge.c import CMaterial

from .cases import LAWS, make_material


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Text of a sound file above its checksum: a DMN of two laminates and three base nodes."""
    path = tmp_path_factory.mktemp("sound") / "a.matnet"
    tree = Network.random("dmn", 2, ("solid", "fibre"), (0.9, 0.1), 0).pruned(0.05)
    assert tree.n_base == 3
    material = make_material("DMN", LAWS["J2, linear"])
    tree.with_phases(**material.phases).save(path)
    return path.read_bytes().rpartition(b"sha256 ")[0]


def signed(body: bytes) -> bytes:
    return body + f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode()


def wrong(tmp_path, data: bytes) -> str:
    path = tmp_path / "a.matnet"
    path.write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        CMaterial(path)
    return str(caught.value)


def test_a_sound_file_is_read_with_either_line_end(tmp_path, sound):
    for data in (signed(sound), signed(sound).replace(b"\n", b"\r\n")):
        (tmp_path / "a.matnet").write_bytes(data)
        assert CMaterial(tmp_path / "a.matnet").n_state > 0


def test_cards_are_skipped_and_later_minor_versions_read(tmp_path, sound):
    body = sound.replace(b"kind = ", "card.note = \u00e9 = not JSON\nkind = ".encode(), 1)
    (tmp_path / "a.matnet").write_bytes(signed(body))
    stiffness = CMaterial(tmp_path / "a.matnet").stiffness
    body = sound.replace(b"matnet 1.1\n", b"matnet 1.2\nnew = x\n", 1) + b"block new what 1 1\n0\n"
    later = body.replace(b"block new what", b"block new real")
    (tmp_path / "a.matnet").write_bytes(signed(later))
    assert (CMaterial(tmp_path / "a.matnet").stiffness == stiffness).all()


def test_symmetry_and_rate_dependence_follow_from_the_parameters(tmp_path):
    for law in LAWS.values():
        make_material("IMN", law).save(tmp_path / "a.matnet")
        body = (tmp_path / "a.matnet").read_bytes().rpartition(b"sha256 ")[0]
        CMaterial(tmp_path / "a.matnet")
        for flag in ("symmetric", "rate_dependent"):
            is_set = int(getattr(law, flag))
            old, new = (f"phase.0.{flag} = {value}".encode() for value in (is_set, 1 - is_set))
            assert "but its parameters say" in wrong(tmp_path, signed(body.replace(old, new)))


def test_a_void_has_no_stiffness(tmp_path):
    make_material("porous", LAWS["J2, linear"]).save(tmp_path / "a.matnet")
    body = (tmp_path / "a.matnet").read_bytes().rpartition(b"sha256 ")[0]
    body = replaced_row(body, b"phase.1.stiffness", 5, b"0 0 0 0 0 1e-9")
    assert "the stiffness of phase 'void', a void, is not zero." in wrong(tmp_path, signed(body))


def test_cards_may_hold_any_character_that_json_leaves(tmp_path, sound):
    body = sound.replace(b"kind = ", b'card.a = "\x7f\xc2\x85"\nkind = ', 1)
    (tmp_path / "a.matnet").write_bytes(signed(body))
    assert CMaterial(tmp_path / "a.matnet").n_state > 0


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"b\.matnet: cannot be opened \(No such file"):
        CMaterial(tmp_path / "b.matnet")
    assert wrong(tmp_path, b"") == (
        "a.matnet: is not a .matnet file, expected it to begin with 'matnet'."
    )
    assert "is larger than 16 MiB" in wrong(tmp_path, bytes(2**24 + 1))


def test_damage_is_seen_by_the_checksum(tmp_path, sound):
    data = signed(sound)
    assert wrong(tmp_path, data[:-1]).endswith("It is truncated, or text was appended.")
    assert wrong(tmp_path, data + b"\n").endswith("It is truncated, or text was appended.")
    for at in (20, len(data) // 2, len(data) - 90):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert wrong(tmp_path, damaged).endswith("It was changed or damaged after writing.")


# what is replaced in the sound file, by what, and a part of the message
CHANGES = {
    "version": (b"matnet 1.1", b"matnet 2.0", "line 1: format version 2.0, this library reads 1.x"),
    "too old for laws": (b"matnet 1.1", b"matnet 1.0", "has no law: the file holds a network only"),
    "no version": (b"matnet 1.1", b"matnet one", "line 1: expected 'matnet' and a version"),
    "no key": (b"kind = dmn\n", b"kind dmn\n", "line 2: is neither 'key = value' nor a block."),
    "twice": (b"kind = dmn\n", b"kind = dmn\nkind = dmn\n", "line 3: key 'kind' comes twice."),
    "kind": (b"kind = dmn", b"kind = d", "kind is 'd', expected imn or dmn."),
    "depth": (b"depth = 2", b"depth = 11", "depth = '11', expected a whole number from 0 to 10."),
    "unknown key": (b"kind = dmn", b"color = red\nkind = dmn", "unknown header key 'color'."),
    "phases": (b"phases = 2", b"phases = 3", "phase.2.name' is missing"),
    "fewer phases": (b"phases = 2", b"phases = 1", "has phase 1, expected 0 to 0."),
    "names": (b"name = fibre", b"name = solid", "two phases have the name 'solid'."),
    "rows": (b"block weights real 3 1", b"block weights real 9999 1", "has 9999 rows, but"),
    "fewer rows": (b"block weights real 3 1", b"block weights real 2 1", "expected a block"),
    "type": (b"block normals real", b"block normals whole", "expected 'block', a name, real or"),
    "columns": (b"block normals real 2 3", b"block normals real 2 4", "expected real with 3 col"),
    "no rotations": (b"block rotations", b"block rotation", "block 'rotations' is missing."),
    "flag": (b"phase.0.symmetric = 1", b"phase.0.symmetric = 2", "phase.0.symmetric = '2', expec"),
    "no flag": (b"phase.0.isotropic = 1\n", b"", "header key 'phase.0.isotropic' is missing."),
    "kernel": (b"kernel = radial-return", b"kernel = clay", "phase 'solid' has the law 'clay', wh"),
    "law": (b"phase.0.law = j2\n", b"", "header key 'phase.0.law' is missing."),
    "other kernel": (b"kernel = radial-return", b"kernel = damage", "do not make a law 'damage'."),
    "symmetric": (b"phase.0.symmetric = 1", b"phase.0.symmetric = 0", "parameters say 1 and 0."),
    "rate": (b"0.rate_dependent = 0", b"0.rate_dependent = 1", "but its parameters"),
    "elastic": (b"kernel = radial-return", b"kernel = elastic", "do not make a law 'elastic'."),
    "void": (b"kernel = elastic", b"kernel = void", "do not make a law 'void'."),
    "control": (b"kind = dmn", b"kind = \x07mn", "is not UTF-8 text, or holds control characters."),
    "not UTF-8": (b"kind = dmn", b"card.a = \xff\nkind = dmn", "is not UTF-8 text"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_mistake_has_its_sentence(tmp_path, sound, name):
    old, new, part = CHANGES[name]
    assert sound.count(old) >= 1
    message = wrong(tmp_path, signed(sound.replace(old, new, 1)))
    assert message.startswith("a.matnet: ") and part in message


def replaced_row(body: bytes, block: bytes, row: int, text: bytes) -> bytes:
    lines = body.split(b"\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(b"block " + block + b" "))
    lines[at + 1 + row] = text
    return b"\n".join(lines)


ROWS = {
    "weight": (b"weights", 0, b"-0.5", "weights: base node 0 has -0.5, expected > 0."),
    "sum": (b"weights", 0, b"0.5", "weights sum to"),
    "phase": (b"base_phase", 1, b"-1", "base_phase: base node 1 has phase -1, expected 0 to 1."),
    "nan": (b"weights", 0, b"nan", "'nan' in block 'weights', expected 1 numbers"),
    "hexadecimal": (b"weights", 0, b"0x1p-1", "'0x1p-1' in block 'weights'"),
    "overflow": (b"phase.0.stiffness", 0, b"1e999 0 0 0 0 0", "a number overflows."),
    "two numbers": (b"normals", 0, b"1 0", "'0' in block 'normals', expected 3 numbers"),
    "normal": (b"normals", 0, b"1 1 0", "normals: laminate 0 has length 1.41421, expected unit"),
    "rotation": (b"rotations", 0, b"1 0 0 0 1 0 0 0 -1", "that of base node 0 is no proper rot"),
    "child twice": (b"children", 0, b"-1 -1", "laminate 0 has child -1, expected each"),
    "cycle": (b"children", 0, b"0 1", "laminate 0 has child 0, expected each"),
    "child": (b"children", 0, b"-1 -9", "laminate 0 has child -9, expected each"),
    "stiffness": (b"phase.0.stiffness", 0, b"1 2 3 0 0 0", "stiffness of phase 'solid' is not sym"),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_wrong_number_has_its_sentence(tmp_path, sound, name):
    block, row, text, part = ROWS[name]
    message = wrong(tmp_path, signed(replaced_row(sound, block, row, text)))
    assert message.startswith("a.matnet: ") and part in message


def test_headers_without_end_are_refused_at_once(tmp_path, sound):
    body = b"matnet 1.1\n" + b"".join(b"card.%d = 0\n" % i for i in range(5000))
    assert "line 4098: the header is too long" in wrong(tmp_path, signed(body))
