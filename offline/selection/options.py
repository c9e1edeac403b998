"""How networks are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from matnet.errors import ParameterError
from matnet.phases import PhaseLaw
from offline.reference import ReferenceOptions

__all__ = ["MODES", "SelectionOptions"]

MODES = ("inelastic", "elastic")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionOptions:
    """By what the network is chosen among those that training brings forth.

    Parameters
    ----------
    mode : {"inelastic", "elastic"}
        By its stress error against simulations of the cell with inelastic phases, or by its error
        on elastic labels alone.
    phases : mapping, optional
        Law by phase name for these simulations; `generic_laws` if not given.
    budget : float
        Seconds of simulation after which no further load path is simulated; the first two always
        are. Paths that differ by a symmetry of the cell are simulated once.
    strain : float
        Largest strain of the paths, engineering shear where they shear [-].
    steps : int
        Of each leg of a path.
    max_elements : int
        Voxels with stiffness that are simulated, twice as many beside void; larger cells are
        coarsened.
    element : {"b-bar", "full"}
        Of these simulations, see `offline.reference.ReferenceOptions`.
    refine : int
        Iterations that fit the chosen network to the simulations beside the labels; none if the
        cell was coarsened or the budget left a load path out.

    Raises
    ------
    ParameterError
        A value is unknown or out of range; the message names it.
    """

    mode: str = "inelastic"
    phases: Mapping[str, PhaseLaw] | None = None
    budget: float = 60.0
    strain: float = 0.02
    steps: int = 4
    max_elements: int = 33_000
    element: str = "b-bar"
    refine: int = 10

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ParameterError(
                f"selection mode is '{self.mode}', expected one of {', '.join(MODES)}."
            )
        ReferenceOptions(element=self.element)  # says what is wrong
        for name in ("budget", "strain"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0.0):
                raise ParameterError(f"selection {name} is {value}, expected a positive number.")
        for name in ("steps", "max_elements"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ParameterError(
                    f"selection {name} is {value}, expected a positive whole number."
                )
        if int(self.refine) != self.refine or self.refine < 0:
            raise ParameterError(
                f"selection refine is {self.refine}, expected a whole number >= 0."
            )
