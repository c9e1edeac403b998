"""What every base-material law offers."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from matnet.errors import ParameterError, require_finite, require_shape

__all__ = ["PhaseLaw", "PhaseUpdate"]


class PhaseUpdate(NamedTuple):
    """What `PhaseLaw.evaluate` returns, for n points.

    stress (n, 6), tangent (n, 6, 6), Mandel [stress unit]; state (n, n_state); energy (n, 2): the
    stored energy density and the energy density dissipated in the step [stress unit]; status (n,),
    0 where there is a solution. Other rows hold NaN and the old state.
    """

    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    energy: np.ndarray
    status: np.ndarray


class PhaseLaw(ABC):
    """A base material: an immutable value, equal to another one with the same parameters.

    Laws work at small strain, with strains and stresses as Mandel vectors (11 22 33 12 13 23) in
    any consistent set of units. Subclasses are frozen dataclasses (their fields are the TOML keys),
    or override `from_table` and `to_table`. What they compute is `kernel`; its contract is in
    `matnet.phases.calls`.
    """

    __slots__ = ()

    law: ClassVar[str]
    """The word after ``law =`` in a phases file."""

    linear: ClassVar[bool] = False
    """Whether stress is `stiffness` times strain, without state."""
    rate_dependent: ClassVar[bool] = False
    """Whether the response depends on the length of the step (which then has to be > 0)."""

    @property
    @abstractmethod
    def stiffness(self) -> np.ndarray:
        """Initial elastic stiffness (6, 6), Mandel [stress unit]; zeros for a void."""

    @property
    @abstractmethod
    def kernel(self) -> Any:
        """The point kernel, compiled with ``numba.njit``."""

    @property
    def lane_kernel(self) -> Any:
        """The lane kernel, or None: then the point kernel serves one point after the other."""
        return None

    @property
    def parameters(self) -> np.ndarray:
        """The numbers (k,) that the kernel reads."""
        return np.zeros(0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each internal variable, such as ``eps_p_11`` or ``p``."""
        return ()

    @property
    def isotropic(self) -> bool:
        """Whether the response is the same in every frame, so that it may be computed in any."""
        return False

    @property
    def symmetric(self) -> bool:
        """Whether the tangent is symmetric in every state."""
        return False

    @property
    def expansion(self) -> np.ndarray:
        """Thermal expansion (6,), Mandel [1 / temperature unit]; see `ThermalExpansion`."""
        return np.zeros(6)

    @property
    def reference_temperature(self) -> float:
        """Temperature of zero thermal strain, and the one assumed where none is given."""
        return 0.0

    @property
    def n_state(self) -> int:
        """Number of internal variables."""
        return len(self.state_names)

    def initial_state(self) -> np.ndarray:
        """Internal variables (n_state,) of the virgin material."""
        return np.zeros(self.n_state)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> PhaseLaw:
        """Build from the keys of a TOML table, ``law`` left out; raises `ParameterError`."""
        fields = {entry.name: entry for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = [key for key in table if key not in fields]
        if unknown:
            raise ParameterError(
                f"law '{cls.law}': unknown key {', '.join(unknown)}, "
                f"expected {', '.join(fields) or 'none'}."
            )
        missing = [
            name
            for name, entry in fields.items()
            if name not in table
            and entry.default is dataclasses.MISSING
            and entry.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ParameterError(f"law '{cls.law}': {', '.join(missing)} missing.")
        return cls(**table)

    def to_table(self) -> dict[str, Any]:
        """The keys from which `from_table` rebuilds this law."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {entry.name: getattr(self, entry.name) for entry in fields}

    def evaluate(
        self, strain: Any, dt: float, state_n: np.ndarray, temperature: Any = None
    ) -> PhaseUpdate:
        """This law alone at many points; `Material.update` is its counterpart for a network.

        Parameters
        ----------
        strain : (n, 6)
            Total strain at the end of the step, Mandel [-].
        dt : float
            Length of the step [time unit].
        state_n : (n, n_state)
            State at the start of the step; never changed.
        temperature : float or (n,), optional
            At the end of the step; the reference temperature if not given.

        Raises
        ------
        ShapeError, ParameterError
            An array has the wrong shape, or dt is negative, not finite, or zero for a law that
            depends on the rate. Bad strains are no error but a status.
        """
        from matnet.phases.calls import evaluate_points, point_address

        eps = np.array(strain, dtype=float, order="C")
        require_shape("strain", eps, (None, 6))
        n = len(eps)
        old = np.array(state_n, dtype=float, order="C")
        require_shape("state_n", old, (n, self.n_state))
        require_time_step(dt, rate_dependent=self.rate_dependent)
        kelvin = temperatures(temperature, n, self.reference_temperature)
        eps -= (kelvin - self.reference_temperature)[:, None] * self.expansion
        out = PhaseUpdate(
            stress=np.empty((n, 6)),
            tangent=np.empty((n, 6, 6)),
            state=np.empty_like(old),
            energy=np.empty((n, 2)),
            status=np.empty(n, dtype=np.int64),
        )
        par = np.array(self.parameters, dtype=float)
        arrays = (out.stress, out.state, out.tangent, out.energy, out.status)
        evaluate_points(point_address(self.kernel), eps, float(dt), kelvin, par, old, *arrays)
        _fail_visibly(out, eps, old)
        return out

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the response to one uniaxial-stress cycle; see `matnet.phases.picture.plot_law`."""
        from matnet.phases.picture import plot_law

        return plot_law(self, ax, **style)


def require_time_step(dt: float, *, rate_dependent: bool) -> None:
    """Raise `ParameterError` unless dt is finite and >= 0, or > 0 where rates matter."""
    if not 0.0 <= dt < np.inf:
        raise ParameterError(f"dt = {dt:g}, expected a finite time >= 0.")
    if rate_dependent and dt == 0.0:
        raise ParameterError("dt = 0, expected a time > 0: a law depends on the rate.")


def temperatures(temperature: Any, n: int, reference: float) -> np.ndarray:
    """Temperature (n,) of each point; raises `ShapeError` or `ParameterError`."""
    if temperature is None:
        return np.full(n, float(reference))
    given = np.asarray(temperature, dtype=float)
    require_finite("temperature", given)
    if given.ndim == 0:
        return np.full(n, float(given))
    require_shape("temperature", given, (n,))
    return np.array(given)


def _fail_visibly(out: PhaseUpdate, eps: np.ndarray, old: np.ndarray) -> None:
    """NaN and the old state wherever the kernel gave up or was given NaN."""
    good = np.isfinite(eps).all(axis=1) & (out.status == 0)
    good &= np.isfinite(out.stress).all(axis=1) & np.isfinite(out.tangent).all(axis=(1, 2))
    good &= np.isfinite(out.state).all(axis=1)
    if good.all():
        return
    bad = ~good
    out.status[bad & (out.status == 0)] = 1
    for array in (out.stress, out.tangent, out.energy):
        array[bad] = np.nan
    out.state[bad] = old[bad]
