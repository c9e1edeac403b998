"""What is described: names, groups, and how every number turns with the image.

A block is a family of numbers that turn among themselves: a scalar, a value per axis or per line
through voxel centres, the components of a tensor. Most exist for both phases. The layout of the
vector, its names and the action of the cube's symmetries follow from `BLOCKS` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np

from matnet.errors import ParameterError
from offline.morphology.symmetry import CUBE, signed_permutation

__all__ = [
    "BANDS",
    "BLOCKS",
    "CONTACT",
    "COVARIANCE",
    "GROUPS",
    "LINEAL",
    "LINES",
    "TENSOR2",
    "TENSOR4",
    "THICKNESS",
    "Block",
    "names",
    "selection",
    "swap",
    "turns",
]

GROUPS = ("isotropic", "directional", "conduction")
# lags and lengths in edges of the cell
COVARIANCE = ("1/24", "1/16", "1/12", "1/8", "1/6", "1/4", "1/3", "1/2")
LINEAL = ("1/12", "1/6", "1/3", "2/3", "1")
CONTACT = (25, 50, 75, 95, 100)  # percentiles
THICKNESS = (25, 50, 75, 100)
BANDS = ("long", "middle", "short")

# half of the 26 directions to neighbouring voxels
LINES = np.array(
    [
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (1, 1, 0),
        (1, -1, 0),
        (1, 0, 1),
        (1, 0, -1),
        (0, 1, 1),
        (0, 1, -1),
        (1, 1, 1),
        (1, 1, -1),
        (1, -1, 1),
        (1, -1, -1),
    ]
)
TENSOR2 = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
TENSOR4 = tuple(combinations_with_replacement(range(3), 4))  # of a fully symmetric tensor


@dataclass(frozen=True, slots=True)
class Block:
    """Numbers that turn among themselves.

    Attributes
    ----------
    name : str
    kind : {"scalar", "axes", "lines", "tensor2", "tensor4"}
    group : str
        One of `GROUPS`.
    both : bool
        One set of numbers for each phase.
    """

    name: str
    kind: str
    group: str
    both: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the components."""
        if self.kind == "scalar":
            return ("",)
        if self.kind == "axes":
            return (".x", ".y", ".z")
        if self.kind == "lines":
            return tuple("." + _line_name(line) for line in LINES)
        indices = TENSOR2 if self.kind == "tensor2" else TENSOR4
        return tuple("." + "".join(str(i + 1) for i in index) for index in indices)

    @property
    def shape(self) -> tuple[int, ...]:
        """(components,), or (2, components) for both phases."""
        return (2, len(self.parts)) if self.both else (len(self.parts),)

    @property
    def names(self) -> list[str]:
        """Names of the numbers in the order of the vector."""
        heads = [f"{self.name}.{p}" for p in (0, 1)] if self.both else [self.name]
        return [head + part for head in heads for part in self.parts]

    def turned(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Where each component comes from under symmetry `number`, and its sign."""
        order, signs = signed_permutation(number)
        count = len(self.parts)
        if self.kind == "scalar":
            return np.zeros(1, dtype=int), np.ones(1)
        if self.kind == "axes":
            return order, np.ones(count)
        if self.kind == "lines":
            back = LINES @ CUBE[number]  # rows Q^T d: the line that now lies along d
            return np.array([_line_index(line) for line in back]), np.ones(count)
        indices = TENSOR2 if self.kind == "tensor2" else TENSOR4
        source = [indices.index(tuple(sorted(order[list(index)]))) for index in indices]
        return np.array(source), np.array([signs[list(index)].prod() for index in indices], float)


def _line_name(line: np.ndarray) -> str:
    text = "".join(
        f"{'+' if s > 0 else '-'}{axis}" for s, axis in zip(line, "xyz", strict=True) if s
    )
    return text.removeprefix("+")


def _line_index(line: np.ndarray) -> int:
    parallel = (LINES @ line) ** 2 == (LINES**2).sum(axis=1) * (line**2).sum()
    return int(np.flatnonzero(parallel)[0])


def _blocks() -> tuple[Block, ...]:
    plain, directed = "isotropic", "directional"
    return (
        Block("fraction", "scalar", plain, both=True),
        Block("surface", "scalar", plain),
        Block("breadth", "scalar", plain, both=True),
        Block("euler", "scalar", plain, both=True),
        *(Block(f"covariance.shell.{r}", "scalar", plain) for r in COVARIANCE),
        *(Block(f"lineal.mean.{r}", "scalar", plain, both=True) for r in LINEAL),
        Block("contact.mean", "scalar", plain, both=True),
        *(Block(f"contact.q{q}", "scalar", plain, both=True) for q in CONTACT),
        Block("thickness.mean", "scalar", plain, both=True),
        *(Block(f"thickness.q{q}", "scalar", plain, both=True) for q in THICKNESS),
        Block("components", "scalar", plain, both=True),
        Block("largest", "scalar", plain, both=True),
        Block("percolation.mean", "scalar", plain, both=True),
        *(Block(f"power.{band}", "scalar", plain) for band in BANDS),
        *(Block(f"anisotropy.{of}", "scalar", plain) for of in ("spectrum", "interface")),
        Block("crossings", "lines", directed),
        *(Block(f"covariance.{r}", "lines", directed) for r in COVARIANCE),
        *(Block(f"lineal.{r}", "lines", directed, both=True) for r in LINEAL),
        *(Block(f"spectrum.{band}", "tensor4", directed) for band in ("all", *BANDS)),
        Block("interface", "tensor4", directed),
        Block("percolation", "axes", directed, both=True),
        Block("conduction", "tensor2", "conduction", both=True),
    )


BLOCKS = _blocks()


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Names of all descriptors, in the order of the vector.

    >>> len(names()), names()[0], names()[-1]
    (398, 'fraction.0', 'conduction.1.23')
    """
    return tuple(name for block in BLOCKS for name in block.names)


def selection(groups: tuple[str, ...]) -> np.ndarray:
    """Positions of the descriptors of some groups.

    Raises
    ------
    ParameterError
        A group is unknown, or none is given.
    """
    wrong = [group for group in groups if group not in GROUPS]
    if wrong or not groups:
        raise ParameterError(
            f"groups are {', '.join(groups) or 'none'}, expected some of {', '.join(GROUPS)}."
        )
    kept = [block.group in groups for block in BLOCKS for _ in block.names]
    return np.flatnonzero(kept)


@lru_cache(maxsize=1)
def turns() -> tuple[np.ndarray, np.ndarray]:
    """Source and sign (48, d): ``sign[g] * values[source[g]]`` describes the turned image."""
    sources, signs = [], []
    for number in range(len(CUBE)):
        row, factors, start = [], [], 0
        for block in BLOCKS:
            source, sign = block.turned(number)
            for _ in range(2 if block.both else 1):
                row.append(start + source)
                factors.append(sign)
                start += len(source)
        sources.append(np.concatenate(row))
        signs.append(np.concatenate(factors))
    return np.stack(sources), np.stack(signs)


@lru_cache(maxsize=1)
def swap() -> np.ndarray:
    """Source (d,): ``values[swap()]`` is what the image with exchanged phases has."""
    row, start = [], 0
    for block in BLOCKS:
        count = len(block.parts)
        pair = [1, 0] if block.both else [0]
        row += [start + count * p + np.arange(count) for p in pair]
        start += len(pair) * count
    return np.concatenate(row)
