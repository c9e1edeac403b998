"""The .matnet file: same bits back, same bytes again, and one sentence for every damage."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import matnet
from matnet.errors import FileFormatError, ParameterError
from matnet.files import MAX_BYTES, read_network, write_network
from matnet.network import Network

CARD = {"seed": 7, "elastic_error_mean": 1.0 / 3.0, "cell": {"shape": [4, 4, 4], "name": "é"}}


def network(kind="imn", depth=3, **card):
    return Network.random(kind, depth, ("void", "solid"), (0.66, 0.34), seed=1).with_card(**card)


def signed(body):
    """A file with this body and a checksum that agrees."""
    return body + f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode()


@pytest.fixture
def small(tmp_path):
    """Path and body (without checksum line) of a written file."""
    path = tmp_path / "small.matnet"
    write_network(path, network(depth=2, **CARD))
    return path, path.read_bytes().rpartition(b"sha256")[0]


@pytest.mark.parametrize("kind", ["imn", "dmn"])
@pytest.mark.parametrize("depth", [1, 4, 10])
def test_networks_come_back_bit_by_bit(tmp_path, kind, depth):
    written = network(kind, depth, **CARD)
    write_network(tmp_path / "a.matnet", written)
    read = read_network(tmp_path / "a.matnet")
    assert read == written
    for name in ("weights", "base_phase", "normals", "children", "rotations"):
        one, other = getattr(written, name), getattr(read, name)
        assert (one is None and other is None) or one.tobytes() == other.tobytes()


def test_one_node_networks_have_empty_blocks(tmp_path):
    point = matnet.Material.homogeneous(matnet.phases.Elastic(E=1.0, nu=0.3)).network
    point.save(tmp_path / "point.matnet")
    assert matnet.load(tmp_path / "point.matnet") == point


def test_pruned_networks_come_back(tmp_path):
    pruned = network(depth=5).pruned(0.03)
    assert pruned.n_base < 32
    pruned.save(tmp_path / "p.matnet")
    assert matnet.load(tmp_path / "p.matnet") == pruned


def test_equal_networks_give_equal_bytes(tmp_path):
    write_network(tmp_path / "a.matnet", network("dmn", **CARD))
    write_network(tmp_path / "b.matnet", read_network(tmp_path / "a.matnet"))
    assert (tmp_path / "a.matnet").read_bytes() == (tmp_path / "b.matnet").read_bytes()


def test_a_file_looks_as_documented(tmp_path):
    two = Network(
        kind="imn",
        depth=1,
        phase_names=("matrix", "fibre"),
        weights=np.array([0.4, 0.6]),
        base_phase=np.array([0, 1]),
        normals=np.array([[0.0, 0.0, 1.0]]),
        children=np.array([[-1, -2]]),
        card={"seed": 0},
    )
    two.save(tmp_path / "two.matnet")
    page = (Path(__file__).parents[2] / "docs/matnet-file.md").read_text(encoding="utf-8")
    example = page.partition("```text\n")[2].partition("```")[0]
    assert (tmp_path / "two.matnet").read_text(encoding="utf-8") == example
    body, _, checksum = example.rpartition("sha256 ")
    assert checksum.strip() == hashlib.sha256(body.encode()).hexdigest()


def test_carriage_returns_of_a_text_transfer_are_harmless(small):
    path, body = small
    path.write_bytes(signed(body).replace(b"\n", b"\r\n"))
    assert read_network(path) == network(depth=2, **CARD)


def test_numpy_numbers_in_the_card_are_numbers(tmp_path):
    write_network(tmp_path / "a.matnet", network(error=np.float64(0.5), count=np.int64(3)))
    assert read_network(tmp_path / "a.matnet").card == {"error": 0.5, "count": 3}


@pytest.mark.parametrize(
    ("card", "text"),
    [
        ({"x": object()}, "card entry 'x' cannot be written as JSON"),
        ({"x": float("nan")}, "card entry 'x' cannot be written as JSON"),
        ({"x": np.zeros(2)}, "objects of type ndarray have no JSON form"),
        ({"a = b": 1}, "card key 'a = b', expected text without ' = '"),
        ({"": 1}, "card key '', expected text"),
        ({"a\nb": 1}, r"card key 'a\nb' holds a line break"),
    ],
)
def test_cards_that_do_not_fit_are_refused_before_writing(tmp_path, card, text):
    with pytest.raises(ParameterError) as caught:
        write_network(tmp_path / "a.matnet", network(**card))
    assert text in str(caught.value) and not list(tmp_path.iterdir())


def test_phase_names_with_line_breaks_are_refused(tmp_path):
    odd = Network.random("imn", 1, ("a\nb", "solid"), (0.5, 0.5), seed=0)
    with pytest.raises(ParameterError, match=r"phase name 'a\\nb' holds a line break"):
        write_network(tmp_path / "a.matnet", odd)


def test_files_that_no_reader_takes_are_not_written(tmp_path):
    with pytest.raises(ParameterError, match=r"would take 16\.0 MiB, readers take at most 16 MiB"):
        write_network(tmp_path / "a.matnet", network(text="x" * MAX_BYTES))
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"a\.matnet: cannot be written \(No such file"):
        write_network(tmp_path / "none" / "a.matnet", network())


# damage


def message_of(path):
    with pytest.raises(FileFormatError) as caught:
        read_network(path)
    text = str(caught.value)
    assert text.startswith(f"{path.name}: ") and "\n" not in text
    return text


def test_missing_file_and_folder_are_named(tmp_path):
    assert "cannot be read (No such file" in message_of(tmp_path / "none.matnet")
    assert "cannot be read (Is a directory" in message_of(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"matne"])
def test_other_files_are_told_apart(tmp_path, content):
    path = tmp_path / "a.matnet"
    path.write_bytes(content)
    assert "is not a .matnet file" in message_of(path)


def test_truncation_is_noticed_at_every_length(small):
    path, body = small
    whole = signed(body)
    for length in range(8, len(whole), 7):
        path.write_bytes(whole[:length])
        assert "does not end with its sha256 line" in message_of(path)


def test_appended_text_is_noticed(small):
    path, body = small
    path.write_bytes(signed(body) + b"more\n")
    assert "does not end with its sha256 line" in message_of(path)


def test_every_flipped_byte_is_noticed(small):
    path, body = small
    whole = signed(body)
    for at in range(0, len(whole), 11):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        message_of(path)


def test_huge_files_are_not_read(tmp_path):
    path = tmp_path / "a.matnet"
    with path.open("wb") as file:
        file.write(b"matnet 1.0\n")
        file.truncate(MAX_BYTES + 1)
    assert "is larger than 16 MiB" in message_of(path)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("matnet 1.0", "matnet one", "line 1: expected 'matnet' and a version"),
        ("matnet 1.0", "matnet 2.0", "line 1: format version 2.0, this matnet reads 1.x"),
        ("kind = imn", "kind = tree", "kind is 'tree', expected one of imn, dmn"),
        ("kind = imn", "kind = dmn", "rotations are missing"),
        ("kind = imn\n", "", "header key 'kind' is missing"),
        ("kind = imn", "kind=imn", "line 2: 'kind=imn' is neither 'key = value' nor a block"),
        ("kind = imn", "kind = imn\nkind = imn", "line 3: key 'kind' comes twice"),
        ("kind = imn", "kind = imn\ncolour = red", "unknown header key 'colour'"),
        ("depth = 2", "depth = 11", "depth is 11, expected"),
        ("depth = 2", "depth = -2", "depth = '-2' is not a whole number"),
        ("phases = 2", "phases = 3", "header key 'phase.2.name' is missing"),
        ("phases = 2", "phases = 999999999", "phases = 999999999, but the header does not"),
        ("phases = 2", "phases = 1", "unknown header key 'phase.1.name'"),
        ("phase.1.name = solid", "phase.1.name = void", "expected distinct"),
        ("phase.0.fraction = 0.66", "phase.0.fraction = 0.65", "weights of phase 'void' sum to"),
        ("phase.0.fraction = 0.66", "phase.0.fraction = nan ", "is not a number"),
        ("card.seed = 7", "card.seed = NaN", "'card.seed' does not hold JSON"),
        ("card.seed = 7", "card.seed = " + "[" * 9999, "'card.seed' does not hold JSON"),
        ("real 4 1", "real 5 1", "numbers in block 'weights', expected 1"),
        ("real 4 1", "real 999999999 1", "block 'weights' has 999999999 rows, but "),
        ("real 4 1", "real 9999999999 1", "expected 'block', a name, real or integer, rows"),
        ("real 4 1", "integer 4 1", "block 'weights' is integer with 1 columns, expected real"),
        ("real 3 3", "real 3 999999999", "block 'normals' is real with 999999999 columns"),
        ("block normals", "block normal", "block 'normal' is unknown, expected one of weights,"),
        ("block children", "block normals", "block 'normals' comes twice"),
        ("block weights real 4 1", "weights", "line 12: 'weights' is neither"),
        ("\n1 2\n", "\n1 2 3\n", "3 numbers in block 'children', expected 2"),
        ("\n1 2\n", "\n1 x\n", "'x' in block 'children' is not an integer"),
        ("\n1 2\n", "\n1 2.0\n", "'2.0' in block 'children' is not an integer"),
        ("\n1 2\n", "\n1 1\n", "children must name each of the 4 base nodes"),
        ("\n1 2\n", "\n1 999999999999999999\n", "children must name each"),
        ("integer 4 1\n0\n", "integer 4 1\n7\n", "base_phase runs from 0 to 7"),
    ],
)
def test_wrong_content_with_a_good_checksum_gets_one_sentence(small, old, new, text):
    path, body = small
    assert old.encode() in body
    path.write_bytes(signed(body.replace(old.encode(), new.encode(), 1)))
    assert text in message_of(path)


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "0x1p-2", "1_0", "", "٣", "1.5", "-2"])
def test_weights_that_are_no_fractions_are_refused(small, number):
    path, body = small
    head, _, tail = body.partition(b"real 4 1\n")
    tail = tail.partition(b"\n")[2]
    path.write_bytes(signed(head + b"real 4 1\n" + number.encode() + b"\n" + tail))
    message_of(path)


@pytest.mark.parametrize("name", ["x" * 10000, "\u009b31m", "\u202e"])
def test_long_and_strange_names_are_cut_in_messages(small, name):
    path, body = small
    path.write_bytes(signed(body.replace(b"block normals", f"block {name}".encode())))
    assert len(message_of(path)) < 250 and message_of(path).isprintable()


def test_missing_block_is_named(small):
    path, body = small
    head, _, _ = body.partition(b"block children")
    path.write_bytes(signed(head))
    assert "block 'children' is missing" in message_of(path)


def test_what_is_no_text_is_named(small):
    path, body = small
    for name in (b"sol\xffd", b"sol\td", b"sol\x00d"):
        path.write_bytes(signed(body.replace(b"solid", name)))
        assert "is not UTF-8 text, or holds control characters." in message_of(path)


def test_additions_of_a_later_minor_version_are_skipped(small):
    path, body = small
    newer = body.replace(b"matnet 1.0", b"matnet 1.2", 1)
    newer = newer.replace(b"depth = 2", b"depth = 2\nphase.1.grain = 7\ncolour = red", 1)
    newer += b"block moduli real 2 2\n1 2\n3 1e5\n"
    path.write_bytes(signed(newer))
    assert read_network(path) == network(depth=2, **CARD)


@pytest.mark.parametrize("kind", ["imn", "dmn"])
def test_mutated_files_raise_only_file_format_errors(tmp_path, kind):
    path = tmp_path / "m.matnet"
    write_network(path, network(kind, 2, **CARD))
    body = path.read_bytes().rpartition(b"sha256")[0]
    rng = np.random.default_rng(0)
    inserts = [b"9" * 30, b"e999", b"-", b"nan", b"\n", b" ", b" = ", b"block x real 1 1\n"]
    for _ in range(600):
        text = bytearray(body)
        for _ in range(rng.integers(1, 4)):
            at, what = int(rng.integers(len(text))), rng.integers(4)
            if what == 0:
                text[at] = rng.choice(list(b"0123456789-. e=\n\xff\x00"))
            elif what == 1:
                del text[at : at + int(rng.integers(1, 60))]
            elif what == 2:
                text[at:at] = inserts[rng.integers(len(inserts))]
            else:
                text[at:at] = body[: int(rng.integers(100))]
        path.write_bytes(signed(bytes(text)))
        try:
            read_network(path)
        except FileFormatError as wrong:
            assert str(wrong).startswith("m.matnet: ")
