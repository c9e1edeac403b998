"""Crystal plasticity of face-centred cubic metals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matnet.elasticity import cubic
from matnet.errors import ParameterError, require_between, require_non_negative, require_positive
from matnet.mandel import COMPONENTS, rotate_stiffness, rotation_matrix
from matnet.phases.base import PhaseLaw
from matnet.phases.crystal_kernel import BASIS, N_PLANES, crystal_point
from matnet.phases.frames import material_axes

__all__ = ["CrystalPlasticity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrystalPlasticity(PhaseLaw):
    r"""Rate-dependent slip on the 12 systems {111}<110> of a face-centred cubic crystal.

    Small strain, cubic elasticity. On each system a, with Schmid tensor
    :math:`M_a = \mathrm{sym}(d_a \otimes n_a)` and :math:`\tau_a = M_a : \sigma`,

    .. math::

        \dot\varepsilon^p &= \sum_a \dot\gamma_a M_a, \qquad
            \dot\gamma_a = \dot\gamma_0 \left| \frac{\tau_a}{g_a} \right|^n
            \operatorname{sign} \tau_a \\
        \dot g_a &= \sum_b q_{ab}\, h(g_b) |\dot\gamma_b|, \qquad
            h(g) = h_0 \left| 1 - \frac{g}{g_\infty} \right|^a
            \operatorname{sign} \Bigl(1 - \frac{g}{g_\infty}\Bigr)

    with :math:`q_{ab} = 1` for systems on the same slip plane and q otherwise. The systems of one
    plane thus share their resistance, and only four are stored. Lattice rotation is neglected.
    All is integrated by backward Euler, stress and resistances together. Elastic energy is
    stored, :math:`\sum_a \tau_a \Delta\gamma_a \ge 0` dissipated. The tangent is symmetric only
    without hardening.

    Parameters
    ----------
    C11, C12, C44 : float
        Cubic constants (Voigt) [stress unit].
    g0 : float
        Initial slip resistance [stress unit], > 0.
    gammadot0 : float
        Reference slip rate [1 / time unit], > 0.
    n : float
        Rate exponent [-], from 1 to 200; the flow stress grows with the rate to the power 1/n.
    h0 : float
        Initial hardening modulus [stress unit], >= 0.
    g_inf : float, optional
        Saturation resistance [stress unit], >= g0; needed if there is hardening.
    a : float
        Hardening exponent [-], >= 1.
    q : float
        Latent hardening of systems on other planes [-], between 1 and 2.
    axes : (3, 3), optional
        Rotation matrix whose columns are the cube axes in the given frame; or
    euler : (3,), optional
        Bunge's angles (phi1, Phi, phi2) [degrees] of the cube axes; see `bunge_axes`. Neither:
        they lie along the coordinates.

    Stress, strain and state (plastic strain, resistances, accumulated slip) are in the given
    frame, not the crystal's.

    Raises
    ------
    ParameterError
        A value is out of range; the message names it.

    References
    ----------
    Peirce, Asaro & Needleman, Acta Metall. 31 (1983) 1951 (rate dependence); Brown, Kim & Anand,
    Int. J. Plast. 5 (1989) 95 (form of h); Kalidindi, Bronkhorst & Anand, J. Mech. Phys. Solids
    40 (1992) 537 (q by coplanar systems). DAMASK calls this law *phenopowerlaw*.

    Examples
    --------
    >>> copper = CrystalPlasticity(  # MPa, s
    ...     C11=168e3, C12=121e3, C44=75e3, g0=16.0, gammadot0=1e-3, n=20.0,
    ...     h0=180.0, g_inf=148.0, a=2.25, q=1.4, euler=(30.0, 45.0, 0.0),
    ... )
    >>> sheared = copper.evaluate([[0, 0, 0, 0.002, 0, 0]], 1.0, copper.initial_state()[None])
    >>> round(float(sheared.stress[0, 3]), 2)
    32.39
    """

    law: ClassVar[str] = "crystal"
    rate_dependent: ClassVar[bool] = True

    C11: float
    C12: float
    C44: float
    g0: float
    gammadot0: float
    n: float
    h0: float = 0.0
    g_inf: float | None = None
    a: float = 1.0
    q: float = 1.4
    axes: tuple[tuple[float, ...], ...] | None = None
    euler: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        require_positive(self, "C11", "C44", "g0")
        require_between(self, "C12", low=-self.C11 / 2, high=self.C11)
        require_positive(self, "gammadot0", unit="1/time")
        require_non_negative(self, "h0")
        for name, low, high in (("n", 1.0, 200.0), ("a", 1.0, 100.0), ("q", 1.0, 2.0)):
            _require_within(self, name, low, high)
        if self.g_inf is not None:
            require_positive(self, "g_inf")
            if self.g_inf < self.g0:
                raise ParameterError(
                    f"CrystalPlasticity: g_inf = {self.g_inf!r}, "
                    f"expected at least g0 = {self.g0!r}."
                )
        elif self.h0 > 0.0:
            raise ParameterError("CrystalPlasticity: h0 > 0 needs g_inf, the saturation value.")
        kept = self._frame()[1]
        for name in kept:  # lists from a file become tuples, to compare and to hash
            object.__setattr__(self, name, _tuples(kept[name]))

    def _frame(self) -> tuple[np.ndarray, dict[str, Any]]:
        given = {name: getattr(self, name) for name in ("axes", "euler")}
        frame = {name: value for name, value in given.items() if value is not None}
        if not frame:
            return np.eye(3), {}
        return material_axes("CrystalPlasticity", frame)

    @property
    def stiffness(self) -> np.ndarray:
        """Stiffness (6, 6) in the given frame, Mandel [stress unit]."""
        crystal = cubic(C11=self.C11, C12=self.C12, C44=self.C44)
        return rotate_stiffness(crystal, self._frame()[0])

    @property
    def kernel(self) -> Any:
        """The point kernel."""
        return crystal_point

    @property
    def parameters(self) -> np.ndarray:
        """See `crystal_point`."""
        shear, direct = 2.0 * self.C44, self.C11 - self.C12
        limit = self.g0 if self.g_inf is None else self.g_inf
        bulk = (self.C11 + 2.0 * self.C12) / 3.0
        head = (bulk, self.gammadot0, self.n, limit, self.h0, self.a, self.q)
        to_basis = BASIS @ rotation_matrix(self._frame()[0]).T
        return np.array([*head, direct, direct, shear, shear, shear, *to_basis.ravel()])

    @property
    def state_names(self) -> tuple[str, ...]:
        """Plastic strain (Mandel), resistance of each slip plane, accumulated slip."""
        resistance = (f"g_{plane + 1}" for plane in range(N_PLANES))
        return (*(f"eps_p_{ij}" for ij in COMPONENTS), *resistance, "slip")

    def initial_state(self) -> np.ndarray:
        """No strain, no slip, resistances g0."""
        state = np.zeros(self.n_state)
        state[6 : 6 + N_PLANES] = self.g0
        return state

    @property
    def symmetric(self) -> bool:
        """Whether there is no hardening."""
        return self.h0 == 0.0

    def to_table(self) -> dict[str, Any]:
        """The keys that were given."""
        keys = super(CrystalPlasticity, self).to_table()
        return {key: value for key, value in keys.items() if value is not None}


def _require_within(law: CrystalPlasticity, name: str, low: float, high: float) -> None:
    """Raise `ParameterError` unless low <= value <= high."""
    require_positive(law, name)
    value = getattr(law, name)
    if not low <= value <= high:
        raise ParameterError(
            f"CrystalPlasticity: {name} = {value!r}, expected {low:g} <= {name} <= {high:g}."
        )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else float(value)
