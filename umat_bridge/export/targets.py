"""What goes into the folder for each solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matnet.material import Material
from umat_bridge.export.cube import material_lines
from umat_bridge.export.decks import (
    keyword_beam,
    keyword_cube,
    one_element_deck,
    part_deck,
)

__all__ = ["TARGETS", "Exported", "Target"]


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """A material under a name.

    Parameters
    ----------
    name : str
        Capital letters and digits.
    material : Material
        What is exported.
    temperature : float or None
        Reference temperature of the first phase that expands, None if none does.
    """

    name: str
    material: Material
    temperature: float | None

    @property
    def symmetric(self) -> bool:
        """Whether every tangent is symmetric."""
        return all(law.symmetric or law.linear for law in self.material.phases.values())

    @property
    def history(self) -> int:
        """LS-DYNA's NHV: the state, or six strains; and the tangent."""
        return max(self.material.n_state, 6) + 36

    @property
    def moduli(self) -> tuple[float, float]:
        """Bulk and shear modulus of the isotropic mean of the initial stiffness [stress unit]."""
        stiffness = self.material.stiffness
        bulk = float(stiffness[:3, :3].sum()) / 9.0
        return bulk, (float(np.trace(stiffness)) - 3.0 * bulk) / 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A solver.

    Parameters
    ----------
    title : str
        Its name.
    sources : tuple of str
        Its files in ``umat_bridge/c/solvers``.
    templates : dict
        Name in the folder -> template.
    decks : function
        Name in the folder -> text.
    """

    title: str
    sources: tuple[str, ...]
    templates: dict[str, str]
    decks: Callable[[Exported], dict[str, str]]


def _calculix_decks(what: Exported) -> dict[str, str]:
    name = f"@ABAQUS_{what.name}"
    lines = material_lines(name, what.material.n_state)
    return {
        "one_element.inp": one_element_deck(lines, name, what.temperature, ("1.e-6,1.e-6",)),
        "part.inp": part_deck(lines, name, what.temperature),
    }


def _abaqus_decks(what: Exported) -> dict[str, str]:
    lines = material_lines(
        what.name, what.material.n_state, unsymmetric=not what.symmetric, abaqus=True
    )
    return {
        "one_element.inp": one_element_deck(lines, what.name, what.temperature, ("1.e-6,1.e-6",)),
        "part.inp": part_deck(lines, what.name, what.temperature),
    }


def _lsdyna_decks(what: Exported) -> dict[str, str]:
    lines = _keyword_material(what)
    return {"one_element.k": keyword_cube(lines), "part.k": keyword_beam(lines)}


def _keyword_material(what: Exported) -> list[str]:
    """The material card: IORTHO = IBULK = IFAIL = 1, IG = 2, AOPT = 2 with the global axes."""
    bulk, shear = what.moduli
    thermal = 1 if what.temperature is not None else 0
    return [
        "*MAT_USER_DEFINED_MATERIAL_MODELS",
        f"{1:>10}{1e-9:>10.3g}{41:>10}{4:>10}{what.history:>10}{1:>10}{1:>10}{2:>10}",
        f"{0:>10}{1:>10}{thermal:>10}{0:>10}{0:>10}{0:>10}",
        f"{2.0:>10.1f}{1:>10}{0:>10}{0:>10}{0:>10}{1.0:>10.1f}{0.0:>10.1f}{0.0:>10.1f}",
        f"{0:>10}{0:>10}{0:>10}{0.0:>10.1f}{1.0:>10.1f}{0.0:>10.1f}",
        f"{bulk:>10.4g}{shear:>10.4g}{what.history:>10}{0:>10}",
    ]


def _no_decks(what: Exported) -> dict[str, str]:
    return {}


SAME = {"LICENSE": "LICENSE", "check.h": "check.h"}
TARGETS: dict[str, Target] = {
    "calculix": Target(
        "CalculiX",
        ("abaqus_umat.c", "entry.c", "entry.h"),
        {
            **SAME,
            "Makefile": "calculix.mk",
            "README.md": "calculix.md",
            "check.c": "check_umat.c",
        },
        _calculix_decks,
    ),
    "abaqus": Target(
        "Abaqus",
        ("abaqus_umat.c", "abaqus_vumat.c", "entry.c", "entry.h"),
        {
            **SAME,
            "Makefile": "abaqus.mk",
            "README.md": "abaqus.md",
            "check.c": "check_umat.c",
            "check_explicit.c": "check_vumat.c",
        },
        _abaqus_decks,
    ),
    "lsdyna": Target(
        "LS-DYNA",
        ("lsdyna_umat41.f", "lsdyna_point.c", "entry.c", "entry.h"),
        {
            **SAME,
            "Makefile": "lsdyna.mk",
            "README.md": "lsdyna.md",
            "check.c": "check_umat41.c",
        },
        _lsdyna_decks,
    ),
    "c": Target(
        "C",
        (),
        {**SAME, "Makefile": "c.mk", "README.md": "c.md", "check.c": "check_c.c"},
        _no_decks,
    ),
}
"""Word after ``--to`` -> solver."""
