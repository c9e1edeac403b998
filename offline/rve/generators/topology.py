"""Truss topologies: nodes and struts in fractions of the unit cell, shipped or user-made JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, MatnetError, ParameterError, ShapeError, require_finite

__all__ = ["Topology", "find_topology", "read_topology", "topology_names"]

KEYS = ("name", "about", "nodes", "struts", "radii")
FOLDER = resources.files("offline.rve.generators") / "topologies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Struts of a periodic truss, drawn in one unit cell.

    A strut runs straight between the coordinates of its two nodes; nodes may lie outside [0, 1].
    All copies shifted by whole cells belong to the truss, so a strut on the boundary of the cell
    needs to be listed once (listing its copies too is harmless).

    Parameters
    ----------
    nodes : (n, 3) floats
        Fractional coordinates.
    struts : (s, 2) ints
        Node indices, from 0.
    radii : (s,) floats, optional
        Radius of each strut relative to the radius asked for, > 0. Default 1.
    name : str
        For messages.

    Raises
    ------
    ShapeError, ParameterError
        A shape or an index is wrong, or a strut has no length; the message says which.

    Examples
    --------
    >>> bar = Topology(nodes=[[0, 0, 0], [1, 0, 0]], struts=[[0, 1]])
    >>> bar.segments()
    array([[[0., 0., 0.],
            [1., 0., 0.]]])
    """

    nodes: np.ndarray
    struts: np.ndarray
    radii: np.ndarray = None  # type: ignore[assignment]  # filled in __post_init__
    name: str = "truss"

    def __post_init__(self) -> None:
        nodes = _numbers("nodes", self.nodes, 3, "fractional coordinates x, y, z")
        struts = _numbers("struts", self.struts, 2, "node indices").astype(float)
        radii = np.ones(len(struts)) if self.radii is None else np.array(self.radii, dtype=float)
        _check_struts(nodes, struts)
        _check_radii(radii, len(struts))
        for name, array in (("nodes", nodes), ("struts", struts.astype(np.intp)), ("radii", radii)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def segments(self) -> np.ndarray:
        """End points (s, 2, 3) of the struts without periodic copies, start node in [0, 1)."""
        return self._distinct()[0]

    def segment_radii(self) -> np.ndarray:
        """Relative radius (s,) of each of `segments`; the largest where copies differ."""
        return self._distinct()[1]

    def joints(self) -> np.ndarray:
        """Ends of the struts (m, 3) modulo whole cells, each once, in [0, 1)."""
        points = self.segments().reshape(-1, 3)
        inside = points - np.floor(points + 1e-9)
        return np.array(list({_key(point): point for point in inside}.values()))

    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        ends = self.nodes[self.struts]
        found: dict[tuple[int, ...], tuple[np.ndarray, float]] = {}
        for segment, radius in zip(ends, self.radii, strict=True):
            moved = max((_into_cell(s) for s in (segment, segment[::-1])), key=_key)
            first, best = found.get(_key(moved), (moved, 0.0))
            found[_key(moved)] = (first, max(best, float(radius)))
        segments, radii = zip(*found.values(), strict=True)
        return np.array(segments), np.array(radii)

    def edges(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Struts as links (i, j, shift) of the nodes modulo whole cells."""
        base: dict[tuple[int, ...], int] = {}
        for start, end in self.segments():
            cells = np.floor(end + 1e-9)
            i, j = (base.setdefault(_key(p[None]), len(base)) for p in (start, end - cells))
            yield i, j, cells.astype(int)


def _into_cell(segment: np.ndarray) -> np.ndarray:
    return np.asarray(segment - np.floor(segment[0] + 1e-9))


def _key(points: np.ndarray) -> tuple[int, ...]:
    return tuple(np.round(points.ravel() * 1e8).astype(np.int64).tolist())


def _numbers(name: str, values: Any, columns: int, meaning: str) -> np.ndarray:
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ShapeError(
            f"{name} is not a table of numbers, expected rows of {columns} ({meaning})."
        ) from None
    if array.ndim != 2 or len(array) == 0:
        raise ShapeError(
            f"{name} has shape {array.shape}, expected one row of {columns} per entry ({meaning})."
        )
    if array.shape[1] != columns:
        raise ShapeError(f"{name} has {array.shape[1]} columns, expected {columns} ({meaning}).")
    require_finite(name, array)
    return array


def _check_struts(nodes: np.ndarray, struts: np.ndarray) -> None:
    for i, pair in enumerate(struts):
        if (pair % 1 != 0).any() or (pair < 0).any() or (pair >= len(nodes)).any():
            a, b = (f"{p:g}" for p in pair)
            raise ParameterError(
                f"strut {i} joins nodes {a} and {b}, expected indices from 0 to {len(nodes) - 1}."
            )
        if np.linalg.norm(np.subtract(*nodes[pair.astype(int)])) < 1e-9:
            a, b = (f"{p:g}" for p in pair)
            raise ParameterError(f"strut {i} has no length: nodes {a} and {b} coincide.")


def _check_radii(radii: np.ndarray, n_struts: int) -> None:
    if radii.shape != (n_struts,):
        raise ShapeError(f"radii has shape {radii.shape}, expected ({n_struts},): one per strut.")
    require_finite("radii", radii)
    if (radii <= 0.0).any():
        raise ParameterError(f"radii: the smallest is {radii.min():g}, expected > 0.")


def topology_names() -> tuple[str, ...]:
    """Names of the shipped topologies."""
    names = (file.name for file in FOLDER.iterdir())
    return tuple(sorted(name[:-5] for name in names if name.endswith(".json")))


def find_topology(name: str) -> Topology:
    """A shipped topology by name, or a JSON file by path.

    Raises
    ------
    ParameterError
        No topology has that name.
    FileFormatError
        The file is not a topology.
    """
    if name.endswith(".json"):
        return read_topology(name)
    if name not in topology_names():
        raise ParameterError(
            f"topology '{name}' is unknown, expected the path of a .json file or one of "
            f"{', '.join(topology_names())}."
        )
    with resources.as_file(FOLDER / f"{name}.json") as path:
        return read_topology(path)


def read_topology(path: str | Path) -> Topology:
    """Read ``{"nodes": [[x, y, z], ...], "struts": [[i, j], ...], "radii": [r, ...]}``.

    ``radii`` (relative), ``name`` and ``about`` (texts) may be left out.

    Raises
    ------
    FileFormatError
        The file cannot be read as a topology; the message starts with its name.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise FileFormatError(f"{path}: cannot be read ({wrong.strerror}).") from None
    except ValueError as wrong:
        raise FileFormatError(f"{path}: is not JSON ({wrong}).") from None
    if not isinstance(content, dict) or not {"nodes", "struts"} <= content.keys():
        raise FileFormatError(
            f"{path}: expected an object with 'nodes' (rows of fractional coordinates x, y, z) "
            "and 'struts' (pairs of node indices from 0)."
        )
    for key in content:
        if key not in KEYS:
            raise FileFormatError(f"{path}: key '{key}' is unknown, expected {', '.join(KEYS)}.")
    try:
        return Topology(
            nodes=content["nodes"],
            struts=content["struts"],
            radii=content.get("radii"),  # type: ignore[arg-type]
            name=str(content.get("name", path.stem)),
        )
    except (MatnetError, TypeError, ValueError) as wrong:
        raise FileFormatError(f"{path}: {wrong}") from wrong
