"""Truss topologies: nodes and struts in fractions of the unit cell, shipped or user-made JSON."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError, MatnetError, ParameterError, ShapeError, require_finite

__all__ = ["Topology", "find_topology", "read_topology", "topology_names"]

SAME = 1e-7  # fractions of the cell below which points coincide
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

    def joints(self) -> np.ndarray:
        """Ends of the struts (m, 3) modulo whole cells, each once, in [0, 1)."""
        return self._net()[0]

    def links(self) -> np.ndarray:
        """Struts without periodic copies (s, 5): joint i, joint j, and the cell of j."""
        return self._net()[1]

    def segments(self) -> np.ndarray:
        """End points (s, 2, 3) of the `links`."""
        joints, links, _ = self._net()
        return np.stack([joints[links[:, 0]], joints[links[:, 1]] + links[:, 2:]], axis=1)

    def segment_radii(self) -> np.ndarray:
        """Relative radius (s,) of each of the `links`; the largest where copies differ."""
        return self._net()[2]

    def _net(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        used, ends = np.unique(self.struts, return_inverse=True)
        joints, index, cell = _modulo_cells(self.nodes[used])
        i, j = ends.reshape(-1, 2).T
        links = np.column_stack([index[i], index[j], cell[j] - cell[i]])
        back = np.column_stack([index[j], index[i], cell[i] - cell[j]])
        forward = [tuple(a) >= tuple(b) for a, b in zip(links.tolist(), back.tolist(), strict=True)]
        links = np.where(np.array(forward)[:, None], links, back)
        distinct, which = np.unique(links, axis=0, return_inverse=True)
        radii = np.zeros(len(distinct))
        np.maximum.at(radii, which.ravel(), self.radii)
        return joints, distinct, radii


def _modulo_cells(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points that differ by whole cells merged: joints (m, 3), index (n,), cell (n, 3)."""
    cell = np.floor(points + SAME).astype(int)
    inside = points - cell
    gap = inside[:, None] - inside[None]
    same = (np.abs(gap - np.round(gap)) < SAME).all(axis=2)
    first = same.argmax(axis=1)  # the first point that each one coincides with
    kept, index = np.unique(first, return_inverse=True)
    joints = inside[kept]
    return joints, index, np.round(points - joints[index]).astype(int)


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
        if np.linalg.norm(np.subtract(*nodes[pair.astype(int)])) < SAME:
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
    return _shipped(name)


@functools.cache
def _shipped(name: str) -> Topology:
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
