"""The XML image format of VTK, read without trusting a byte of it.

Arrays stand in the file as text, as base64 or as appended raw bytes, whole or in zlib or LZMA
blocks (VTK File Formats, section "XML File Formats"). VTK's own reader ends the process on some
damaged files, so this one reads the few tags that a voxel image needs.
"""

from __future__ import annotations

import base64
import lzma
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from matnet.errors import FileFormatError
from offline.rve.formats.common import MAX_INFLATION, check_size, decoding

__all__ = ["Image", "parse", "serialise"]

TYPES = {
    "Int8": "i1",
    "UInt8": "u1",
    "Int16": "i2",
    "UInt16": "u2",
    "Int32": "i4",
    "UInt32": "u4",
    "Int64": "i8",
    "UInt64": "u8",
    "Float32": "f4",
    "Float64": "f8",
}


@dataclass(frozen=True, kw_only=True)
class Image:
    """A voxel image: ``arrays`` of the cells (n,) or (n, components), x1 fastest, and notes."""

    shape: tuple[int, int, int]
    spacing: np.ndarray
    axes: np.ndarray  # columns are the directions of the grid's axes
    arrays: dict[str, np.ndarray]
    texts: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class _Coding:
    """How the numbers of this file are stored."""

    path: Path
    order: str  # "<" or ">"
    head: str  # number type of the block headers
    unpack: Callable[[bytes, int], bytes] | None
    appended: bytes
    appended_raw: bool


def parse(path: Path) -> Image:
    """Read the .vti file at `path`; raises nothing but `FileFormatError`."""
    with decoding(path, "VTK image file"):
        content = path.read_bytes()
        text, appended, raw = _split_appended(content)
        root = ElementTree.fromstring(text)
        if root.tag != "VTKFile" or root.get("type") != "ImageData":
            raise FileFormatError(f"{path}: no VTK ImageData header, expected a .vti file.")
        coding = _coding(path, root, appended, raw)
        image = root.find("ImageData")
        pieces = [] if image is None else image.findall("Piece")
        if image is None or len(pieces) != 1:
            raise FileFormatError(f"{path}: has {len(pieces)} pieces of an image, expected one.")
        shape = _shape(path, image.get("WholeExtent", ""))
        if _shape(path, pieces[0].get("Extent", "")) != shape:
            raise FileFormatError(f"{path}: the piece does not cover the whole extent.")
        check_size(path, shape, 1, MAX_INFLATION * len(content))
        arrays = {
            str(item.get("Name")): _array(coding, item, math.prod(shape))
            for item in pieces[0].findall("CellData/DataArray")
        }
        texts, notes = _field_data(coding, image)
        return Image(
            shape=shape,
            spacing=_floats(path, image.get("Spacing", "1 1 1"), 3),
            axes=_floats(path, image.get("Direction", "1 0 0 0 1 0 0 0 1"), 9).reshape(3, 3),
            arrays=arrays,
            texts=texts,
            notes=notes,
        )


def _split_appended(content: bytes) -> tuple[bytes, bytes, bool]:
    """XML text without the appended bytes, those bytes, and whether they are raw."""
    begin = content.find(b"<AppendedData")
    if begin < 0:
        return content, b"", False
    tag_end = content.index(b">", begin) + 1
    mark = content.index(b"_", tag_end) + 1
    end = content.rindex(b"</AppendedData")
    raw = b'"raw"' in content[begin:tag_end]
    return content[:tag_end] + content[end:], content[mark:end], raw


def _coding(path: Path, root: ElementTree.Element, appended: bytes, raw: bool) -> _Coding:
    compressor = root.get("compressor", "")
    unpackers: dict[str, Callable[[bytes, int], bytes] | None] = {
        "": None,
        "vtkZLibDataCompressor": lambda block, size: zlib.decompressobj().decompress(block, size),
        "vtkLZMADataCompressor": lambda block, size: lzma.LZMADecompressor().decompress(
            block, size
        ),
    }
    if compressor not in unpackers:
        raise FileFormatError(
            f"{path}: is compressed by {compressor}, expected zlib, LZMA or no compression."
        )
    order = ">" if root.get("byte_order") == "BigEndian" else "<"
    head = order + TYPES[root.get("header_type", "UInt32")]
    return _Coding(path, order, head, unpackers[compressor], appended, raw)


def _shape(path: Path, extent: str) -> tuple[int, int, int]:
    bounds = [int(number) for number in extent.split()]
    if len(bounds) != 6:
        raise FileFormatError(f"{path}: extent '{extent[:60]}', expected six integers.")
    n1, n2, n3 = (max(bounds[2 * i + 1] - bounds[2 * i], 0) for i in range(3))
    if 0 in (n1, n2, n3):
        raise FileFormatError(
            f"{path}: has {n1} x {n2} x {n3} cells: axis {(n1, n2, n3).index(0)} is empty."
        )
    return n1, n2, n3


def _floats(path: Path, text: str, count: int) -> np.ndarray:
    values = np.array([float(number) for number in text.split()])
    if values.size != count or not np.isfinite(values).all():
        raise FileFormatError(f"{path}: '{text[:60]}' in the header, expected {count} numbers.")
    return values


def _field_data(
    coding: _Coding, image: ElementTree.Element
) -> tuple[dict[str, list[str]], dict[str, np.ndarray]]:
    texts, notes = {}, {}
    for item in image.findall("FieldData/*"):
        name, count = str(item.get("Name")), int(item.get("NumberOfTuples", "0"))
        if item.get("type") == "String":
            if item.get("format") == "ascii":
                codes = bytes(int(number) for number in (item.text or "").split())
                texts[name] = codes.decode("utf-8").split("\0")[:count]
        else:
            notes[name] = _array(coding, item, count)
    return texts, notes


def _array(coding: _Coding, item: ElementTree.Element, n_tuples: int) -> np.ndarray:
    """One array, (n_tuples,) or (n_tuples, components)."""
    path, name = coding.path, item.get("Name")
    kind = np.dtype(coding.order + TYPES[item.get("type", "")])
    components = int(item.get("NumberOfComponents") or 1)
    available = MAX_INFLATION * path.stat().st_size
    check_size(path, (n_tuples, components), kind.itemsize, available)
    if item.get("format") == "ascii":
        values = np.array((item.text or "").split()).astype(kind)
    else:
        values = np.frombuffer(_bytes(coding, item, n_tuples * components * kind.itemsize), kind)
    if values.size != n_tuples * components:
        raise FileFormatError(
            f"{path}: array '{name}' has {values.size} values, expected {n_tuples * components}."
        )
    values = values.astype(kind.newbyteorder("="))
    return values if components == 1 else values.reshape(n_tuples, components)


def _bytes(coding: _Coding, item: ElementTree.Element, wanted: int) -> bytes:
    """The stored bytes of an array that should have `wanted` of them."""
    if item.get("format") == "appended":
        stream, is_raw = coding.appended[int(item.get("offset", "")) :], coding.appended_raw
    else:
        stream, is_raw = (item.text or "").strip().encode("ascii"), False
    size = np.dtype(coding.head).itemsize
    if coding.unpack is None:
        data = _plain(stream, is_raw, size + wanted)
        return data[size : size + wanted]
    n_blocks = int(np.frombuffer(_plain(stream, is_raw, size), coding.head)[0])
    check_size(coding.path, (3 + n_blocks,), size, len(stream))
    head = np.frombuffer(_plain(stream, is_raw, (3 + n_blocks) * size), coding.head)
    block, last, packed = int(head[1]), int(head[2]), head[3:].astype(int)
    start = head.nbytes if is_raw else 4 * -(-head.nbytes // 3)  # the header is padded by itself
    data = _plain(stream[start:], is_raw, int(packed.sum()))
    ends = np.cumsum(packed)
    parts = []
    for k, end in enumerate(ends):
        length = last if k == n_blocks - 1 and last else block
        parts.append(coding.unpack(data[end - packed[k] : end], min(length, wanted)))
    return b"".join(parts)


def _plain(stream: bytes, is_raw: bool, count: int) -> bytes:
    """The first `count` bytes that `stream` stands for."""
    if is_raw:
        return stream[:count]
    return base64.b64decode(stream[: 4 * -(-count // 3)], validate=True)[:count]


def serialise(image: Image) -> str:
    """The .vti text of `image`, arrays as zlib blocks in base64."""
    extent = " ".join(f"0 {n}" for n in image.shape)
    spacing = " ".join(repr(float(x)) for x in image.spacing)
    axes = " ".join(repr(float(x)) for x in image.axes.ravel())
    notes = [_text_tag(name, texts) for name, texts in image.texts.items()]
    notes += [_array_tag(name, values, tuples=True) for name, values in image.notes.items()]
    cells = [_array_tag(name, values) for name, values in image.arrays.items()]
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            '<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" '
            'header_type="UInt64" compressor="vtkZLibDataCompressor">',
            f'<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{spacing}" '
            f'Direction="{axes}">',
            *(["<FieldData>", *notes, "</FieldData>"] if notes else []),
            f'<Piece Extent="{extent}">',
            f'<CellData Scalars="{next(iter(image.arrays))}">',
            *cells,
            "</CellData>",
            "</Piece>",
            "</ImageData>",
            "</VTKFile>",
            "",
        ]
    )


def _text_tag(name: str, texts: list[str]) -> str:
    codes = " ".join(str(code) for text in texts for code in (*text.encode(), 0))
    return (
        f'<Array type="String" Name="{name}" NumberOfTuples="{len(texts)}" format="ascii">'
        f"{codes}</Array>"
    )


def _array_tag(name: str, values: np.ndarray, tuples: bool = False) -> str:
    kind = values.dtype.newbyteorder("=")
    type_name = next(key for key, code in TYPES.items() if np.dtype(code) == kind)
    data = np.ascontiguousarray(values, dtype=kind.newbyteorder("<")).tobytes()
    packed = zlib.compress(data, 6)
    head = np.array([1, len(data), 0, len(packed)], dtype="<u8").tobytes()  # one full block
    body = base64.b64encode(head).decode() + base64.b64encode(packed).decode()
    count = f' NumberOfTuples="{len(values)}"' if tuples else ""
    components = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    return (
        f'<DataArray type="{type_name}" Name="{name}"{components}{count} format="binary">'
        f"{body}</DataArray>"
    )
