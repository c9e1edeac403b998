"""The decks that go with an export: one element and a small part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from matnet.paths import LoadPath
from umat_bridge.export.cube import cube_deck
from umat_bridge.export.mesh import CORNERS, Block

__all__ = [
    "BEAM",
    "keyword_beam",
    "keyword_cube",
    "one_element_deck",
    "part_deck",
    "there_and_back",
]

STRAIN = 4e-3
BEAM = Block((6.0, 1.0, 1.0), (12, 2, 2))
DEFLECTION = 0.15
PER_LINE = 10


def there_and_back(strain: float = STRAIN, steps: int = 10) -> LoadPath:
    """Uniaxial stress along 1 up to `strain` and back, in increments of 0.1 in time.

    >>> there_and_back(0.004, steps=2).target[:, 0].tolist()
    [0.0, 0.002, 0.004, 0.002, 0.0]
    """
    time = np.linspace(0.0, 0.2 * steps, 2 * steps + 1)
    target = np.zeros((2 * steps + 1, 6))
    target[:, 0] = strain * (1.0 - np.abs(1.0 - np.linspace(0.0, 2.0, 2 * steps + 1)))
    free = np.array([False, True, True, True, True, True])
    return LoadPath(time=time, target=target, stress_controlled=free, name="there and back")


def one_element_deck(
    material: Sequence[str], name: str, temperature: float | None, controls: Sequence[str]
) -> str:
    """One element under uniaxial stress, for CalculiX and Abaqus."""
    return cube_deck(
        there_and_back(),
        material,
        name,
        controls=controls,
        temperature=temperature,
        heading="One element: uniaxial stress along 1 to a strain of 0.4 % and back",
    )


def part_deck(material: Sequence[str], name: str, temperature: float | None) -> str:
    """A short beam, clamped at x = 0, whose other end is pushed down; CalculiX and Abaqus."""
    lines = ["*HEADING", "A beam of 6 x 1 x 1, clamped at x = 0, its end pushed along -z"]
    lines.append("*NODE,NSET=ALL")
    lines += [f"{n + 1},{x:g},{y:g},{z:g}" for n, (x, y, z) in enumerate(BEAM.points())]
    lines.append("*ELEMENT,TYPE=C3D8I,ELSET=BEAM")
    lines += [f"{n + 1}," + ",".join(map(str, row)) for n, row in enumerate(BEAM.bricks())]
    lines += _node_set("CLAMP", BEAM.on(0, 0.0)) + _node_set("TIP", BEAM.on(0, BEAM.size[0]))
    lines += [*material, f"*SOLID SECTION,ELSET=BEAM,MATERIAL={name}"]
    if temperature is not None:
        lines += ["*INITIAL CONDITIONS,TYPE=TEMPERATURE", f"ALL,{temperature:.12g}"]
    lines += ["*BOUNDARY", "CLAMP,1,3", "*STEP,INC=100", "*STATIC", "0.1,1.,1e-4,0.25"]
    lines += ["*BOUNDARY", f"TIP,3,3,{-DEFLECTION:g}"]
    lines += ["*NODE PRINT,NSET=TIP", "RF", "*EL PRINT,ELSET=BEAM", "S", "*END STEP"]
    return "\n".join(lines) + "\n"


def _node_set(name: str, nodes: Iterable[int]) -> list[str]:
    numbers = [str(node) for node in nodes]
    rows = (numbers[at : at + PER_LINE] for at in range(0, len(numbers), PER_LINE))
    return [f"*NSET,NSET={name}", *(",".join(row) for row in rows)]


# LS-DYNA


def keyword_cube(material: Sequence[str]) -> str:
    """One element under uniaxial stress along x, for LS-DYNA's implicit solver."""
    points = np.array(CORNERS, dtype=float)
    moved = [n + 1 for n, corner in enumerate(CORNERS) if corner[0] == 1]
    lines = _keyword_start("one element: uniaxial stress along x and back")
    lines += _keyword_mesh(points, np.arange(1, 9)[None])
    fixed = [
        tuple(1 if value == 0 else 0 for value in corner)
        for corner in CORNERS  # each corner rests on the planes x, y, z = 0 that it lies in
    ]
    for n, flags in enumerate(fixed):
        if any(flags):
            lines += ["*BOUNDARY_SPC_NODE", _card(n + 1, 0, *flags, 0, 0, 0)]
    lines += [*material, *_motion(moved, 1, STRAIN), "*END"]
    return "\n".join(lines) + "\n"


def keyword_beam(material: Sequence[str]) -> str:
    """The beam of `part_deck` for LS-DYNA's implicit solver."""
    lines = _keyword_start("beam of 6 x 1 x 1, clamped at x = 0, its end pushed along -z and back")
    lines += _keyword_mesh(BEAM.points(), BEAM.bricks())
    for node in BEAM.on(0, 0.0):
        lines += ["*BOUNDARY_SPC_NODE", _card(node, 0, 1, 1, 1, 0, 0, 0)]
    tip = BEAM.on(0, BEAM.size[0]).tolist()
    lines += [*material, *_motion(tip, 3, -DEFLECTION), "*END"]
    return "\n".join(lines) + "\n"


def _card(*fields: object) -> str:
    """Fields of ten columns."""
    return "".join(
        f"{field:>10.4g}" if isinstance(field, float) else f"{field:>10}" for field in fields
    )


def _keyword_start(title: str) -> list[str]:
    return [
        "*KEYWORD",
        "*TITLE",
        title,
        "*CONTROL_TERMINATION",
        _card(2.0),
        "*CONTROL_IMPLICIT_GENERAL",
        _card(1, 0.1),
        "*CONTROL_IMPLICIT_AUTO",
        _card(1),
        "*CONTROL_IMPLICIT_SOLUTION",
        _card(12, 1, 15, 1e-4, 1e-4),
        "*DATABASE_ELOUT",
        _card(0.1),
        "*DATABASE_HISTORY_SOLID",
        _card(1),
    ]


def _keyword_mesh(points: np.ndarray, bricks: np.ndarray) -> list[str]:
    lines = ["*NODE"]
    lines += [f"{n + 1:>8}" + "".join(f"{x:>16.8g}" for x in row) for n, row in enumerate(points)]
    lines.append("*ELEMENT_SOLID")
    lines += [
        f"{n + 1:>8}{1:>8}" + "".join(f"{node:>8}" for node in row) for n, row in enumerate(bricks)
    ]
    return [*lines, "*PART", "part", _card(1, 1, 1), "*SECTION_SOLID", _card(1, 2)]


def _motion(nodes: Sequence[int], direction: int, size: float) -> list[str]:
    """Displacement of nodes, up to `size` at time 1 and back at time 2."""
    lines = ["*DEFINE_CURVE", _card(1)]
    lines += [f"{t:>20.8g}{value:>20.8g}" for t, value in ((0, 0), (1, size), (2, 0))]
    for node in nodes:
        lines += ["*BOUNDARY_PRESCRIBED_MOTION_NODE", _card(node, direction, 2, 1)]
    return lines
