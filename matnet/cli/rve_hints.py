"""Options that say what a microstructure file does not say itself (docs/rve-files.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["HINTS", "hint_options", "reading_hints"]

Command = TypeVar("Command", bound=Callable[..., Any])


class Numbers(click.ParamType):
    """Numbers separated by commas, such as ``64,64,32``."""

    def __init__(self, kind: type, counts: tuple[int, ...] = ()) -> None:
        self.kind = kind
        self.counts = counts
        self.name = "integers" if kind is int else "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self.kind(text) for text in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is not a list of {self.name} like 64,64,32.", param, ctx)
        if self.counts and len(numbers) not in self.counts:
            wanted = " or ".join(map(str, self.counts))
            self.fail(f"'{value}' has {len(numbers)} values, expected {wanted}.", param, ctx)
        return numbers


class Names(click.ParamType):
    """Names separated by commas, such as ``void,solid``."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(str(value).split(","))


HINTS: dict[str, tuple[click.ParamType, str]] = {
    "phase_names": (Names(), "Names of the phases in order, e.g. void,solid."),
    "cell": (
        Numbers(float, (3, 9)),
        "Edge lengths L1,L2,L3 or nine components of the lattice vectors [length].",
    ),
    "voxel_size": (Numbers(float, (1, 3)), "Edge of a voxel, or three edges [length]."),
    "shape": (Numbers(int, (1, 3)), "Voxels along x1,x2,x3 (raw, STL); one number for a cube."),
    "dtype": (click.STRING, "Number type of a raw file, e.g. uint8 or >u2."),
    "order": (
        click.Choice(["F", "C"]),
        "Raw file: F if x1 runs fastest, C if x3 does.",
    ),
    "threshold": (Numbers(float), "Grey values that separate the phases, ascending."),
    "dataset": (click.STRING, "Array inside a FANS HDF5 file."),
    "field": (click.STRING, "Cell array of a VTK or Gmsh file that holds the phases."),
    "origin": (Numbers(float, (3,)), "Corner of the periodic box around an STL surface."),
}


def hint_options(command: Command) -> Command:
    """Add one option per hint; they arrive as keyword arguments, None where not given."""
    for name, (kind, text) in reversed(HINTS.items()):
        option = click.option(f"--{name.replace('_', '-')}", name, type=kind, help=text)
        command = option(command)
    return command


def reading_hints(options: dict[str, Any]) -> dict[str, Any]:
    """The hints among `options` in the form `offline.rve.read` takes."""
    hints = {name: options[name] for name in HINTS if options.get(name) is not None}
    if len(hints.get("cell", ())) == 9:
        flat = hints["cell"]
        hints["cell"] = (flat[0:3], flat[3:6], flat[6:9])
    if len(hints.get("shape", ())) == 1:
        hints["shape"] = hints["shape"][0]
    return hints
