"""Von Mises flow that depends on the rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matnet.elasticity import isotropic
from matnet.errors import ParameterError, require_between, require_positive
from matnet.phases.backstress import Backstress, read_backstresses
from matnet.phases.base import PhaseLaw
from matnet.phases.general_return_lanes import general_return_lanes
from matnet.phases.hardening import HARDENING, Hardening
from matnet.phases.j2 import require_slow_softening
from matnet.phases.parts import read_part
from matnet.phases.radial_return import pack, radial_return_point, state_names
from matnet.phases.rates import RATES, FlowRate, JohnsonCook

__all__ = ["Viscoplastic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Viscoplastic(PhaseLaw):
    r"""Viscoplasticity and creep of von Mises type: `J2` with a flow stress that knows the rate.

    Elasticity, flow direction, backstresses, state and energies are those of `J2`. Its condition
    f <= 0 is replaced by a law for the rate of the accumulated plastic strain: overstress
    (`Perzyna`), creep (`Norton`) or a factor on the yield stress (`JohnsonCook`). Integrated by
    backward Euler, stable for every step length.

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit], > 0; Poisson's ratio, between -1 and 0.5.
    rate : FlowRate
        `Perzyna`, `Norton` or `JohnsonCook`, or its TOML table as a dict.
    hardening : Hardening, optional
        As for `J2`. Without it there is no yield surface: all stress makes flow. `JohnsonCook`
        needs it.
    backstresses : tuple of Backstress
        As for `J2`.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.

    References
    ----------
    Simo & Hughes, *Computational Inelasticity*, 1998, sec. 2.7 and 3.8; Lemaitre & Chaboche,
    *Mechanics of Solid Materials*, 1990, ch. 6. The equations as solved are in
    `matnet.phases.radial_return`.

    Examples
    --------
    >>> from matnet.phases.rates import Norton
    >>> lead = Viscoplastic(E=16e3, nu=0.44, rate=Norton(A=1e-9, n=5.0))  # MPa, s
    >>> shear = np.array([[0.0, 0, 0, 0.01, 0, 0]])
    >>> fast = lead.evaluate(shear, 1e-3, np.zeros((1, lead.n_state)))
    >>> slow = lead.evaluate(shear, 1e3, np.zeros((1, lead.n_state)))
    >>> bool(slow.stress[0, 3] < 0.1 * fast.stress[0, 3])
    True
    """

    law: ClassVar[str] = "viscoplastic"
    rate_dependent: ClassVar[bool] = True

    E: float
    nu: float
    rate: FlowRate
    hardening: Hardening | None = None
    backstresses: tuple[Backstress, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self, "E")
        require_between(self, "nu", low=-1.0, high=0.5)
        object.__setattr__(self, "rate", read_part("Viscoplastic: rate", self.rate, RATES))
        if self.hardening is not None:
            hardening = read_part("Viscoplastic: hardening", self.hardening, HARDENING)
            object.__setattr__(self, "hardening", hardening)
            require_slow_softening("Viscoplastic", self.E, self.nu, hardening)
        elif isinstance(self.rate, JohnsonCook):
            raise ParameterError("Viscoplastic: rate JohnsonCook needs a hardening, none came.")
        backstresses = read_backstresses("Viscoplastic: backstresses", self.backstresses)
        object.__setattr__(self, "backstresses", backstresses)

    @property
    def stiffness(self) -> np.ndarray:
        """Isotropic stiffness (6, 6), Mandel [stress unit]."""
        return isotropic(E=self.E, nu=self.nu)

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return radial_return_point

    @property
    def lane_kernel(self) -> Any:
        """The lane kernel."""
        return general_return_lanes

    @property
    def parameters(self) -> np.ndarray:
        """Numbers (k,) as `matnet.phases.radial_return.pack` orders them."""
        return pack(self.E, self.nu, self.hardening, self.backstresses, self.rate)

    @property
    def state_names(self) -> tuple[str, ...]:
        """``eps_p_11`` to ``eps_p_23``, ``p``, then ``X1_11`` and so on."""
        return state_names(len(self.backstresses))

    @property
    def isotropic(self) -> bool:
        """True."""
        return True

    @property
    def symmetric(self) -> bool:
        """Unless a backstress has a recall term."""
        return all(part.numbers[1] == 0.0 for part in self.backstresses)

    def to_table(self) -> dict[str, Any]:
        """The keys from which `from_table` rebuilds this law, its parts as tables."""
        table: dict[str, Any] = {"E": self.E, "nu": self.nu, "rate": self.rate.to_table()}
        if self.hardening is not None:
            table["hardening"] = self.hardening.to_table()
        if self.backstresses:
            table["backstresses"] = [part.to_table() for part in self.backstresses]
        return table
