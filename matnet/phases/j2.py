"""Rate-independent von Mises plasticity."""

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
from matnet.phases.parts import read_part
from matnet.phases.radial_return import pack, radial_return_point, state_names
from matnet.phases.radial_return_lanes import radial_return_lanes

__all__ = ["J2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class J2(PhaseLaw):
    r"""Von Mises plasticity with isotropic and kinematic hardening.

    .. math::
        \sigma = C : (\varepsilon - \varepsilon^p), \qquad
        f = q\big(s - \textstyle\sum_i X_i\big) - \sigma_y(p) \le 0, \qquad
        q(a) = \sqrt{3/2}\, |a|

    .. math::
        \dot\varepsilon^p = \tfrac32\, \dot p\, \frac{s - \sum X_i}{q(s - \sum X_i)}, \qquad
        \dot X_i = \tfrac23 C_i \dot\varepsilon^p - \gamma_i X_i \dot p

    with the stress deviator s and the accumulated plastic strain
    :math:`p = \int \sqrt{2/3}\, |\dot\varepsilon^p| dt`. Integrated by backward Euler. The work of
    the backstresses is stored, that of isotropic hardening counts as dissipated. State: plastic
    strain, p, then each backstress X (Mandel).

    Parameters
    ----------
    E, nu : float
        Young's modulus [stress unit], > 0; Poisson's ratio, between -1 and 0.5.
    hardening : Hardening
        The yield stress: `Linear`, `Voce`, `LinearVoce`, `Swift`, `PowerLaw` or `Tabulated`, or its
        TOML table as a dict. It may soften at most as fast as the material unloads elastically.
    backstresses : tuple of Backstress
        Any number of `ArmstrongFrederick` and `Prager`, or their tables.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.

    References
    ----------
    Simo & Hughes, *Computational Inelasticity*, 1998, ch. 3; Chaboche, *Int. J. Plasticity* 5,
    1989. The equations as solved are in `matnet.phases.radial_return`.

    Examples
    --------
    >>> from matnet.phases.hardening import Linear
    >>> steel = J2(E=210e3, nu=0.3, hardening=Linear(sig_y=250.0, H=1e3))  # MPa
    >>> shear = np.array([[0.0, 0, 0, 0.01 * np.sqrt(2), 0, 0]])  # tensor component 0.01
    >>> step = steel.evaluate(shear, 1.0, np.zeros((1, steel.n_state)))
    >>> round(float(step.stress[0, 3] / np.sqrt(2)), 1)  # (250 + H p) / sqrt(3)
    150.4
    """

    law: ClassVar[str] = "j2"

    E: float
    nu: float
    hardening: Hardening
    backstresses: tuple[Backstress, ...] = ()

    def __post_init__(self) -> None:
        require_positive(self, "E")
        require_between(self, "nu", low=-1.0, high=0.5)
        hardening = read_part("J2: hardening", self.hardening, HARDENING)
        object.__setattr__(self, "hardening", hardening)
        backstresses = read_backstresses("J2: backstresses", self.backstresses)
        object.__setattr__(self, "backstresses", backstresses)
        require_slow_softening("J2", self.E, self.nu, hardening)

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
        """The lane kernel; there is a faster one without backstresses."""
        return general_return_lanes if self.backstresses else radial_return_lanes

    @property
    def parameters(self) -> np.ndarray:
        """Numbers (k,) as `matnet.phases.radial_return.pack` orders them."""
        return pack(self.E, self.nu, self.hardening, self.backstresses)

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
        table: dict[str, Any] = {"E": self.E, "nu": self.nu}
        table["hardening"] = self.hardening.to_table()
        if self.backstresses:
            table["backstresses"] = [part.to_table() for part in self.backstresses]
        return table


def require_slow_softening(owner: str, E: float, nu: float, hardening: Hardening) -> None:
    """Raise `ParameterError` if the yield stress may fall faster than -3G over p."""
    limit = -3.0 * E / (2.0 * (1.0 + nu))
    if hardening.lowest_slope <= limit:
        raise ParameterError(
            f"{owner}: hardening falls by {-hardening.lowest_slope:g} per plastic strain, expected "
            f"less than 3 G = {-limit:g}: beyond, the stress jumps."
        )
