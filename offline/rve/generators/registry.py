"""All generators by name, and what their signatures and docstrings say about the parameters.

A new generator needs a function of keyword-only parameters with a numpydoc "Parameters" section,
and one line in `REGISTRY`; the command line follows.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from matnet.errors import MissingExtraError, ParameterError
from offline.rve.generators.voxelgrid import call_text
from offline.rve.rve import Rve

__all__ = ["REGISTRY", "Generator", "Parameter", "find_generator", "make"]

_HERE = "offline.rve.generators"

# name -> module:function, after "?" the parameters that the name stands for
REGISTRY = {
    "truss": f"{_HERE}.lattice:truss",
    "simple-cubic": f"{_HERE}.lattice:truss?topology=simple-cubic",
    "bcc": f"{_HERE}.lattice:truss?topology=bcc",
    "fcc": f"{_HERE}.lattice:truss?topology=fcc",
    "octet": f"{_HERE}.lattice:truss?topology=octet",
    "kelvin": f"{_HERE}.lattice:truss?topology=kelvin",
    "diamond": f"{_HERE}.lattice:truss?topology=diamond",
    "rhombic-dodecahedron": f"{_HERE}.lattice:truss?topology=rhombic-dodecahedron",
    "cuboctahedron": f"{_HERE}.lattice:truss?topology=cuboctahedron",
    "truncated-cube": f"{_HERE}.lattice:truss?topology=truncated-cube",
    "reentrant": f"{_HERE}.lattice:truss?topology=reentrant",
    "random-truss": f"{_HERE}.random_truss:random_truss",
    "frame": f"{_HERE}.frames:frame",
    "tpms": f"{_HERE}.tpms:tpms",
    "gyroid": f"{_HERE}.tpms:tpms?surface=gyroid",
    "schwarz-p": f"{_HERE}.tpms:tpms?surface=schwarz-p",
    "schwarz-d": f"{_HERE}.tpms:tpms?surface=schwarz-d",
    "iwp": f"{_HERE}.tpms:tpms?surface=iwp",
    "frd": f"{_HERE}.tpms:tpms?surface=frd",
    "tubular-gyroid": f"{_HERE}.tpms:tpms?surface=tubular-gyroid&side=above",
    "shell": f"{_HERE}.shells:shell",
    "plate": f"{_HERE}.shells:plate",
    "foam": f"{_HERE}.shells:foam",
    "ud-hexagonal": f"{_HERE}.fibres:ud_hexagonal",
    "ud-random": f"{_HERE}.fibres:ud_random",
    "spheres": f"{_HERE}.spheres:random_spheres",
    "short-fibres": f"{_HERE}.short_fibres:random_short_fibres",
    "density-lhs": f"{_HERE}.density:lhs",
    "density-plhs": f"{_HERE}.density:penalised_lhs",
    "trigonometric": f"{_HERE}.trigonometric:trigonometric",
    "polycrystal": f"{_HERE}.polycrystal:voronoi",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a generator."""

    name: str
    help: str
    annotation: Any
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A generator and its description; call `make` of it with keyword parameters."""

    name: str
    function: Callable[..., Rve]
    fixed: dict[str, str]
    summary: str
    parameters: tuple[Parameter, ...]

    def make(self, **parameters: Any) -> Rve:
        """Generate; the cell's `source` becomes the call with the registered name.

        Raises
        ------
        ParameterError
            A parameter is unknown or missing, or the generator refuses its value.
        """
        known = {p.name: p for p in self.parameters}
        for name in parameters:
            if name not in known:
                raise ParameterError(
                    f"generator '{self.name}' has no parameter '{name}', "
                    f"it knows {', '.join(known)}."
                )
        missing = [p.name for p in self.parameters if p.required and p.name not in parameters]
        if missing:
            raise ParameterError(f"generator '{self.name}' needs {' and '.join(missing)}.")
        rve = self.function(**self.fixed, **parameters)
        given = {name: value for name, value in parameters.items() if value is not None}
        return replace(rve, source=call_text(self.name, **given))


def make(name: str, **parameters: Any) -> Rve:
    """Generate a microstructure by the registered name of its family.

    Raises
    ------
    ParameterError
        The name or a parameter is unknown, or a value is refused.

    Examples
    --------
    >>> rve = make("octet", n=16, volume_fraction=0.3)
    >>> rve.source
    'octet(n=16, volume_fraction=0.3)'
    """
    return find_generator(name).make(**parameters)


def find_generator(name: str) -> Generator:
    """The generator of that name; its module is imported only now.

    Raises
    ------
    ParameterError
        No generator has that name.
    MissingExtraError
        It needs a library that is not installed.
    """
    if name not in REGISTRY:
        close = difflib.get_close_matches(name, REGISTRY, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(REGISTRY)}."
        raise ParameterError(f"generator '{name}' is unknown. {hint}")
    path, _, preset = REGISTRY[name].partition("?")
    module, _, attribute = path.partition(":")
    try:
        function: Callable[..., Rve] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"generator '{name}' needs '{missing.name}', which is not installed. "
            "Install it with: pip install 'matnet[offline]'"
        ) from missing
    fixed = dict(item.split("=", 1) for item in preset.split("&")) if preset else {}
    doc = inspect.getdoc(function) or ""
    summary = doc.split("\n", 1)[0]
    if fixed:
        summary = f"{summary.rstrip('.')}: {next(iter(fixed.values()))}."
    return Generator(
        name=name,
        function=function,
        fixed=fixed,
        summary=summary,
        parameters=_parameters(function, doc, set(fixed)),
    )


def _parameters(function: Callable[..., Rve], doc: str, without: set[str]) -> tuple[Parameter, ...]:
    helps = documented_parameters(doc)
    hints = typing.get_type_hints(function)
    return tuple(
        Parameter(
            name=name,
            help=helps.get(name, ""),
            annotation=hints.get(name, str),
            required=parameter.default is inspect.Parameter.empty,
            default=None if parameter.default is inspect.Parameter.empty else parameter.default,
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in without
    )


def documented_parameters(doc: str) -> dict[str, str]:
    """Description of each parameter in a numpydoc text, on one line each.

    >>> text = '''Summary.
    ...
    ... Parameters
    ... ----------
    ... n, m : int
    ...     Voxels
    ...     per axis.
    ...
    ... Returns
    ... -------
    ... Rve
    ... '''
    >>> documented_parameters(text)
    {'n': 'Voxels per axis.', 'm': 'Voxels per axis.'}
    """
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", doc, re.M | re.S)
    if section is None:
        return {}
    found: dict[str, str] = {}
    for entry in re.split(r"^(?=\S)", section[1], flags=re.M):
        head, _, body = entry.partition("\n")
        for name in head.partition(":")[0].split(","):
            if name.strip():
                found[name.strip()] = " ".join(body.split())
    return found
