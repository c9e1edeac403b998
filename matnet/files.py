"""The ``.matnet`` file: a material network as text; docs/matnet-file.md holds the grammar.

It may hold a law for each phase; what of the file concerns them is in `matnet.law_blocks`.

Files carry no dates or host names, so equal networks give equal bytes, and numbers have 17
significant digits, so that reading gives the same bits back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import FileFormatError, MatnetError, ParameterError
from matnet.law_blocks import LAW_BLOCKS, law_arrays, law_header, take_laws
from matnet.network import Network
from matnet.phases import PhaseLaw

__all__ = ["FORMAT_VERSION", "read_network", "read_network_and_laws", "write_network"]

FORMAT_VERSION = (1, 1)
LAWLESS_VERSION = (1, 0)  # what files without laws say, so that older readers take them as theirs
MAX_BYTES = 16 * 2**20  # a network of depth 10 with rotations takes 0.4 MB

# block name -> (type, columns); rotations are row by row
BLOCKS = {
    "weights": ("real", 1),
    "base_phase": ("integer", 1),
    "normals": ("real", 3),
    "children": ("integer", 2),
    "rotations": ("real", 9),
}
OPTIONAL_BLOCKS = {"rotations"}
PATTERNS = {
    "real": re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?"),
    "integer": re.compile(r"-?[0-9]{1,18}"),
}
COUNT = re.compile(r"[0-9]{1,9}")
FIRST_LINE = re.compile(r"matnet ([0-9]{1,4})\.([0-9]{1,4})")
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
LAST_LINE = re.compile(r"sha256 ([0-9a-f]{64})")


def write_network(
    path: str | Path, network: Network, laws: Mapping[str, PhaseLaw] | None = None
) -> None:
    """Write `network`, and the laws of its phases if given, to `path`, whole or not at all.

    `laws` has a law for each phase in the network's order, as `Material.phases`, whose method
    `Material.save` is the usual way to write them.

    Raises
    ------
    ParameterError
        The file cannot be written, a name holds a line break, the card holds something that
        JSON cannot, a law has no table that gives it back, or the file would be larger than
        readers take.
    """
    if laws is not None and tuple(laws) != network.phase_names:
        raise ParameterError(
            f"laws came for {', '.join(laws)}, expected {', '.join(network.phase_names)}."
        )
    lines = [*_header_lines(network, laws), *_block_lines(network, laws), ""]
    body = "\n".join(lines).encode("utf-8")
    checksum = f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode()
    if len(body) + len(checksum) > MAX_BYTES:
        raise ParameterError(
            f"{path}: would take {len(body) / 2**20:.1f} MiB, readers take at most "
            f"{MAX_BYTES // 2**20} MiB. Use shorter tables or a smaller card."
        )
    try:
        with whole_file(path) as beside:
            beside.write_bytes(body + checksum)
    except OSError as wrong:
        raise ParameterError(f"{path}: cannot be written ({wrong.strerror}).") from None


def read_network(path: str | Path) -> Network:
    """Read the network in the ``.matnet`` file at `path`; its laws are checked, then left out.

    Raises
    ------
    FileFormatError
        Anything is wrong with the file; the message starts with its name and gives the line.
    """
    return read_network_and_laws(path)[0]


def read_network_and_laws(path: str | Path) -> tuple[Network, dict[str, PhaseLaw] | None]:
    """Read the network in the file at `path`, and its laws by phase, None if it has none.

    `matnet.load_material` makes a material of both.

    Raises
    ------
    FileFormatError
        Anything is wrong with the file; the message starts with its name and gives the line.
    """
    source = Path(path)
    try:
        lines = _Lines(_checked_text(_read_bytes(source)))
        return _network_and_laws(lines)
    except (_Wrong, MatnetError) as wrong:
        raise FileFormatError(f"{source.name}: {wrong}") from None


class _Wrong(Exception):
    """What is wrong with the text; `read_network` adds the file's name."""


# writing


def _header_lines(network: Network, laws: Mapping[str, PhaseLaw] | None) -> Iterator[str]:
    yield "matnet {}.{}".format(*(LAWLESS_VERSION if laws is None else FORMAT_VERSION))
    yield f"kind = {network.kind}"
    yield f"depth = {network.depth}"
    yield f"phases = {network.n_phases}"
    for index, (name, fraction) in enumerate(
        zip(network.phase_names, network.fractions, strict=True)
    ):
        yield f"phase.{index}.name = {_one_line('phase name', name)}"
        yield f"phase.{index}.fraction = {fraction:.17g}"
    yield from law_header(laws or {})
    for key, value in network.card.items():
        if not isinstance(key, str) or " = " in key or not key:
            raise ParameterError(f"card key {key!r}, expected text without ' = '.")
        yield f"card.{_one_line('card key', key)} = {_json(key, value)}"


def _one_line(what: str, text: str) -> str:
    if len(text.splitlines()) > 1 or not text.isprintable():
        raise ParameterError(f"{what} {text!r} holds a line break or control character.")
    return text


def _json(key: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, default=_plain_number)
    except (TypeError, ValueError, RecursionError) as wrong:
        raise ParameterError(f"card entry '{key}' cannot be written as JSON: {wrong}.") from None


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"objects of type {type(value).__name__} have no JSON form")


def _block_lines(network: Network, laws: Mapping[str, PhaseLaw] | None) -> Iterator[str]:
    for name, (kind, columns) in BLOCKS.items():
        array = getattr(network, name)
        if array is not None:
            yield from _block(name, kind, array.reshape(-1, columns))
    for name, array in law_arrays(laws or {}):
        yield from _block(name, "real", array)


def _block(name: str, kind: str, rows: np.ndarray) -> Iterator[str]:
    yield f"block {name} {kind} {rows.shape[0]} {rows.shape[1]}"
    form = "{:d}" if kind == "integer" else "{:.17g}"
    for row in rows.tolist():
        yield " ".join(form.format(number) for number in row)


# reading


def _read_bytes(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as wrong:
        raise _Wrong(f"cannot be read ({wrong.strerror}).") from None
    except ValueError:  # a zero byte in the name
        raise _Wrong("is no path of a file.") from None
    if len(data) > MAX_BYTES:
        raise _Wrong(f"is larger than {MAX_BYTES // 2**20} MiB, which no network needs.")
    return data.replace(b"\r\n", b"\n")  # a transfer in text mode is harmless


def _checked_text(data: bytes) -> str:
    """The text above the checksum line, once the checksum agrees."""
    if not data.startswith(b"matnet "):
        raise _Wrong("is not a .matnet file, expected it to begin with 'matnet'.")
    body, _, last = data[:-1].rpartition(b"\n")
    body += b"\n"
    found = LAST_LINE.fullmatch(last.decode("ascii", "replace"))
    if found is None or not data.endswith(b"\n"):
        raise _Wrong("does not end with its sha256 line. It is truncated, or text was appended.")
    if hashlib.sha256(body).hexdigest() != found[1]:
        raise _Wrong("does not match its sha256 line. It was changed or damaged after writing.")
    wrong = _Wrong("is not UTF-8 text, or holds control characters.")
    if CONTROL.search(body):
        raise wrong
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise wrong from None


class _Lines:
    """The lines of a file, one after the other, with their numbers."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")[:-1]
        self.at = 0

    def left(self) -> int:
        return len(self.lines) - self.at

    def peek(self) -> str | None:
        return self.lines[self.at] if self.left() else None

    def next(self) -> str:
        if not self.left():
            raise _Wrong("ends too early, expected more lines above the checksum.")
        self.at += 1
        return self.lines[self.at - 1]

    def wrong(self, text: str) -> _Wrong:
        return _Wrong(f"line {self.at}: {text}")


def _network_and_laws(lines: _Lines) -> tuple[Network, dict[str, PhaseLaw] | None]:
    version = _read_version(lines)
    newer = version > FORMAT_VERSION  # its additions may be skipped
    header = _read_header(lines)
    names, fractions = _phases(header)
    with_laws = version > LAWLESS_VERSION
    blocks = _read_blocks(lines, _known_blocks(len(names) if with_laws else 0), newer)
    kind = _take(header, "kind")
    depth = _whole(header, "depth")
    card = _card(header)
    laws = take_laws(header, blocks, names) if with_laws else None
    if header and not newer:
        raise _Wrong(f"unknown header key '{_shown(next(iter(header)))}'.")
    rotations = blocks.get("rotations")
    network = Network(
        kind=kind,  # type: ignore[arg-type]  # Network checks it
        depth=depth,
        phase_names=names,
        weights=blocks["weights"][:, 0],
        base_phase=blocks["base_phase"][:, 0],
        normals=blocks["normals"],
        children=blocks["children"],
        rotations=None if rotations is None else rotations.reshape(-1, 3, 3),
        card=card,
    )
    _require_fractions(network, fractions)
    return network, laws


def _known_blocks(n_phases: int) -> dict[str, tuple[str, int]]:
    """Block name -> type and columns, those of the laws of `n_phases` phases included."""
    of_laws = {
        f"phase.{i}.{name}": ("real", columns)
        for i in range(n_phases)
        for name, columns in LAW_BLOCKS.items()
    }
    return BLOCKS | of_laws


def _read_version(lines: _Lines) -> tuple[int, int]:
    found = FIRST_LINE.fullmatch(lines.next())
    if found is None:
        raise lines.wrong("expected 'matnet' and a version such as 1.0.")
    version = (int(found[1]), int(found[2]))
    if version[0] != FORMAT_VERSION[0]:
        raise lines.wrong(
            f"format version {version[0]}.{version[1]}, this matnet reads {FORMAT_VERSION[0]}.x. "
            "Use the matnet that wrote it, or a later one."
        )
    return version


def _read_header(lines: _Lines) -> dict[str, str]:
    header: dict[str, str] = {}
    while (line := lines.peek()) is not None and not line.startswith("block "):
        key, separator, value = lines.next().partition(" = ")
        if not separator:
            raise lines.wrong(f"'{_shown(line)}' is neither 'key = value' nor a block.")
        if key in header:
            raise lines.wrong(f"key '{_shown(key)}' comes twice.")
        header[key] = value
    return header


def _read_blocks(
    lines: _Lines, known: Mapping[str, tuple[str, int]], newer: bool
) -> dict[str, np.ndarray]:
    blocks: dict[str, np.ndarray] = {}
    while lines.left():
        name, kind, rows, columns = _block_head(lines)
        shown = _shown(name)
        if name in blocks:
            raise lines.wrong(f"block '{shown}' comes twice.")
        if name in known and (kind, columns) != known[name]:
            wanted = "{} with {} columns".format(*known[name])
            raise lines.wrong(
                f"block '{name}' is {kind} with {columns} columns, expected {wanted}."
            )
        if name not in known and not newer:
            raise lines.wrong(
                f"block '{shown}' is unknown, expected one of {', '.join(_families(known))}."
            )
        if rows > lines.left():
            raise lines.wrong(f"block '{shown}' has {rows} rows, but {lines.left()} lines follow.")
        table = _read_rows(lines, name, kind, rows, columns)
        if kind == "real" and name in known:
            _require_bounded(lines, name, table)
        if name in known:
            blocks[name] = table
    missing = [name for name in BLOCKS if name not in blocks and name not in OPTIONAL_BLOCKS]
    if missing:
        raise _Wrong(f"block '{missing[0]}' is missing.")
    return blocks


def _families(known: Mapping[str, tuple[str, int]]) -> list[str]:
    """Names of blocks for a message, those of all phases as one."""
    return [*BLOCKS, *(f"phase.<i>.{name}" for name in LAW_BLOCKS if len(known) > len(BLOCKS))]


def _require_bounded(lines: _Lines, name: str, table: np.ndarray) -> None:
    if name in BLOCKS and not (np.abs(table) <= 1.0 + 1e-6).all():
        raise lines.wrong(f"block '{name}' holds a number beyond [-1, 1].")
    if not np.isfinite(table).all():
        raise lines.wrong(f"block '{name}' holds a number that is too large.")


def _block_head(lines: _Lines) -> tuple[str, str, int, int]:
    words = lines.next().split(" ")
    sound = (
        len(words) == 5
        and words[0] == "block"
        and words[2] in PATTERNS
        and all(COUNT.fullmatch(word) for word in words[3:])
    )
    if not sound:
        raise lines.wrong("expected 'block', a name, real or integer, rows and columns.")
    return words[1], words[2], int(words[3]), int(words[4])


def _read_rows(lines: _Lines, name: str, kind: str, rows: int, columns: int) -> np.ndarray:
    convert = float if kind == "real" else int
    values = []
    for _ in range(rows):
        words = lines.next().split(" ")
        if len(words) != columns:
            raise lines.wrong(
                f"{len(words)} numbers in block '{_shown(name)}', expected {columns}."
            )
        for word in words:
            if not PATTERNS[kind].fullmatch(word):
                raise lines.wrong(f"'{_shown(word)}' in block '{_shown(name)}' is not {_a(kind)}.")
        values.append([convert(word) for word in words])
    dtype = float if kind == "real" else np.int64
    return np.array(values, dtype=dtype).reshape(rows, columns)


def _phases(header: dict[str, str]) -> tuple[tuple[str, ...], list[float]]:
    count = _whole(header, "phases")
    if not 1 <= count <= len(header):
        raise _Wrong(f"phases = {count}, but the header does not describe that many.")
    names = tuple(_take(header, f"phase.{i}.name") for i in range(count))
    fractions = []
    for i in range(count):
        text = _take(header, f"phase.{i}.fraction")
        if not PATTERNS["real"].fullmatch(text):
            raise _Wrong(f"phase.{i}.fraction = '{_shown(text)}' is not a number.")
        fractions.append(float(text))
    return names, fractions


def _card(header: dict[str, str]) -> dict[str, Any]:
    card = {}
    for key in [key for key in header if key.startswith("card.")]:
        try:
            card[key.removeprefix("card.")] = json.loads(
                header.pop(key), parse_constant=_refuse_constant
            )
        except (ValueError, RecursionError):
            raise _Wrong(f"'{_shown(key)}' does not hold JSON.") from None
    return card


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _require_fractions(network: Network, fractions: list[float]) -> None:
    for name, found, stated in zip(network.phase_names, network.fractions, fractions, strict=True):
        if not abs(found - stated) <= 1e-9:
            raise _Wrong(
                f"weights of phase '{name}' sum to {found:.9g}, the header says {stated:.9g}."
            )


def _whole(header: dict[str, str], key: str) -> int:
    text = _take(header, key)
    if not COUNT.fullmatch(text):
        raise _Wrong(f"{key} = '{_shown(text)}' is not a whole number.")
    return int(text)


def _take(header: dict[str, str], key: str) -> str:
    if key not in header:
        raise _Wrong(f"header key '{key}' is missing.")
    return header.pop(key)


def _a(kind: str) -> str:
    return "a number" if kind == "real" else "an integer"


def _shown(text: str) -> str:
    """A piece of the file that is safe and short enough for a message."""
    return ascii(text[:40])[1:-1] + ("..." if len(text) > 40 else "")
