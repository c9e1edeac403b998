"""A material at a point: a network with a law for each phase."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from matnet.elasticity import orthotropic_constants
from matnet.errors import FileFormatError, ParameterError, RangeWarning, require_shape
from matnet.files import read_network_and_laws, write_network
from matnet.network import Network
from matnet.online import solvers
from matnet.online.layout import HEADER, StateLayout
from matnet.online.options import SolverOptions
from matnet.online.solution import Solution, Status
from matnet.phases import PhaseLaw, Void
from matnet.phases.base import require_time_step, temperatures

__all__ = ["Material", "Status", "Update", "load_material"]


class Update(NamedTuple):
    """What `Material.update` returns; rows of failed points hold NaN and their old state.

    stress (n, 6) and tangent (n, 6, 6), Mandel [stress unit]; state (n, n_state); status (n,) of
    `Status`.
    """

    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    status: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    r"""A network whose phases have laws: strain in, stress, tangent and state out.

    The base nodes' laws and the continuity of tractions across all interfaces of the tree are
    solved together, implicitly in time. With linear phases the response is
    :math:`\sigma = C^H : \varepsilon`.

    Parameters
    ----------
    network : Network
        The tree.
    phases : mapping
        Law of each phase by name. A phase called ``void`` may be left out.
    options : SolverOptions
        Solver, tolerance, limits.

    Raises
    ------
    ParameterError
        A law is missing, is not one, or belongs to no phase of the network.

    Warns
    -----
    RangeWarning
        The phases' stiffness ratio is outside the range that the network was trained for.

    Examples
    --------
    >>> from matnet.phases import Elastic
    >>> material = Material.homogeneous(Elastic(E=70e3, nu=0.3))
    >>> stress, tangent, state, status = material.update(
    ...     [[1e-3, -3e-4, -3e-4, 0.0, 0.0, 0.0]], 1.0, material.initial_state(1))
    >>> stress.round(9) + 0.0
    array([[70.,  0.,  0.,  0.,  0.,  0.]])
    """

    network: Network
    phases: Mapping[str, PhaseLaw]
    options: SolverOptions = field(default_factory=SolverOptions)
    stiffness: np.ndarray = field(init=False)
    layout: StateLayout = field(init=False, repr=False)
    compiled: dict[str, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        laws = _laws(self.network.phase_names, self.phases)
        object.__setattr__(self, "phases", laws)
        _warn_beyond_contrast(self.network, laws)
        stiffness = self.network.homogenize(np.stack([law.stiffness for law in laws.values()]))
        stiffness.setflags(write=False)
        object.__setattr__(self, "stiffness", stiffness)
        object.__setattr__(self, "layout", StateLayout(self.network, laws))

    @classmethod
    def from_laws(cls, network: Network, laws: Mapping[str, PhaseLaw]) -> Material:
        """The network with these laws by phase name; same as the constructor."""
        return cls(network=network, phases=laws)

    @classmethod
    def homogeneous(cls, law: PhaseLaw) -> Material:
        """A material without microstructure: one law everywhere, in the global frame."""
        point = Network(
            kind="imn",
            depth=0,
            phase_names=("solid",),
            weights=np.ones(1),
            base_phase=np.zeros(1, dtype=np.int64),
            normals=np.empty((0, 3)),
            children=np.empty((0, 2), dtype=np.int64),
        )
        return cls(network=point, phases={"solid": law})

    def save(self, path: str | Path) -> None:
        """Write the network with its laws to a ``.matnet`` file, from which `load_material` reads.

        The file is whole or not there; `options` are not in it. `Network.save` writes the network
        alone.

        Raises
        ------
        ParameterError
            The file cannot be written, or a law has no table, as a `UserLaw`.
        """
        write_network(path, self.network, self.phases)

    def with_options(self, **options: Any) -> Material:
        """A copy with other `SolverOptions`, such as ``tol=1e-10``."""
        return replace(self, options=replace(self.options, **options))

    @property
    def n_state(self) -> int:
        """Number of internal variables per point; 0 for linear phases. See `layout`."""
        return self.layout.n_state

    @property
    def rate_dependent(self) -> bool:
        """Whether the response depends on the length of the step."""
        return any(law.rate_dependent for law in self.phases.values())

    def initial_state(self, n_points: int) -> np.ndarray:
        """State (n_points, n_state) of the virgin material."""
        return self.layout.initial(n_points)

    def update(
        self, strain: Any, dt: float, state_n: np.ndarray, temperature: Any = None
    ) -> Update:
        """Stress, consistent tangent and state at the end of a step, for a batch of points.

        Parameters
        ----------
        strain : (n, 6)
            Total strain at the end of the step, Mandel [-].
        dt : float
            Length of the step [time unit], >= 0; > 0 if a law depends on the rate.
        state_n : (n, n_state)
            State at the start of the step; never changed.
        temperature : float or (n,), optional
            At the end of the step; each law's reference temperature if not given.

        Returns
        -------
        Update
            stress (n, 6), tangent (n, 6, 6), state (n, n_state), status (n,). Points whose status
            is not ``Status.OK`` have NaN and their old state: cut the step.

        Raises
        ------
        ShapeError, ParameterError
            An array has the wrong shape, dt is out of range, or a temperature is not finite. Bad
            strains are no error but a status.
        """
        eps, kelvin = self._checked(strain, dt, state_n, temperature)
        if self.layout.linear:
            return self._linear(eps, state_n)
        result = solvers.solve(self, eps, dt, state_n, kelvin, local=False)
        return Update(result.stress, result.tangent, result.state, result.status)

    def solve(
        self, strain: Any, dt: float, state_n: np.ndarray, temperature: Any = None
    ) -> Solution:
        """As `update`, with the number of iterations and the fields in the base nodes."""
        eps, kelvin = self._checked(strain, dt, state_n, temperature)
        if not self.layout.linear:
            return solvers.solve(self, eps, dt, state_n, kelvin, local=True)
        blank = np.zeros((len(eps), HEADER + 6 * self.network.n_blocks))
        result = solvers.solve(self, eps, dt, blank, kelvin, local=True)
        return replace(result, state=state_n.copy())

    def _checked(
        self, strain: Any, dt: float, state_n: np.ndarray, temperature: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        eps = np.array(strain, dtype=float, order="C")
        require_shape("strain", eps, (None, 6))
        require_shape("state_n", state_n, (len(eps), self.n_state))
        require_time_step(dt, rate_dependent=self.rate_dependent)
        return eps, temperatures(temperature, len(eps), np.nan)

    def _linear(self, eps: np.ndarray, state_n: np.ndarray) -> Update:
        """Without internal variables: one multiplication."""
        finite = np.isfinite(eps).all(axis=1)
        tangent = np.broadcast_to(self.stiffness, (len(eps), 6, 6))
        if finite.all():
            status = np.full(len(eps), Status.OK, dtype=np.int8)
            return Update(eps @ self.stiffness, tangent, state_n.copy(), status)
        stress = np.where(finite[:, None], eps, np.nan) @ self.stiffness
        stress[~finite] = np.nan
        tangent = np.where(finite[:, None, None], tangent, np.nan)
        tangent.setflags(write=False)
        status = np.where(finite, Status.OK, Status.NOT_FINITE).astype(np.int8)
        return Update(stress, tangent, state_n.copy(), status)

    def __reduce__(self) -> tuple[Any, ...]:
        # addresses of compiled code mean nothing to another process
        return (_rebuild, (self.network, dict(self.phases), self.options))

    def __str__(self) -> str:
        laws = ", ".join(f"{name}: {law!r}" for name, law in self.phases.items())
        return f"{self.network.kind.upper()} material, {laws}"


def load_material(path: str | Path) -> Material:
    """Read a material from a ``.matnet`` file with laws, as `Material.save` writes it.

    Raises
    ------
    FileFormatError
        The file is wrong or holds no laws.

    Examples
    --------
    >>> import tempfile
    >>> from matnet.phases import Elastic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Material.homogeneous(Elastic(E=70e3, nu=0.3)).save(f"{folder}/a.matnet")
    ...     load_material(f"{folder}/a.matnet").phases["solid"]
    Elastic(E=70000.0, nu=0.3)
    """
    network, laws = read_network_and_laws(path)
    if laws is None:
        names = ", ".join(network.phase_names)
        raise FileFormatError(
            f"{Path(path).name}: holds a network without laws for {names}. Read it with "
            "matnet.load, and give laws with network.with_phases."
        )
    return Material(network=network, phases=laws)


def _rebuild(network: Network, phases: dict[str, PhaseLaw], options: SolverOptions) -> Material:
    return Material(network=network, phases=phases, options=options)


def _warn_beyond_contrast(network: Network, laws: Mapping[str, PhaseLaw]) -> None:
    """Compare mean moduli (E1 E2 E3)^(1/3) with the card's range, over the first solid phase's."""
    trained = np.asarray(network.card.get("contrast"))
    solids = {name: law.stiffness for name, law in laws.items() if law.stiffness.any()}
    if not solids or trained.dtype.kind not in "fiu" or trained.shape != (2,):
        return
    low, high = trained
    moduli = {name: _mean_modulus(stiffness) for name, stiffness in solids.items()}
    first = next(iter(moduli))
    for name, modulus in moduli.items():
        ratio = modulus / moduli[first]
        if name != first and not 0.999 * low <= ratio <= 1.001 * high:
            warnings.warn(
                f"'{name}' is {ratio:.4g} times as stiff as '{first}', but the network was trained "
                f"for ratios from {low:g} to {high:g}. Expect larger errors, or fit again with "
                "--contrast.",
                RangeWarning,
                stacklevel=4,
            )


def _mean_modulus(stiffness: np.ndarray) -> float:
    constants = orthotropic_constants(stiffness)
    return float(np.cbrt(constants["E1"] * constants["E2"] * constants["E3"]))


def _laws(names: tuple[str, ...], given: Mapping[str, PhaseLaw]) -> dict[str, PhaseLaw]:
    """One law per phase in the network's order, or the sentence that says what is wrong."""
    known = ", ".join(f"'{name}'" for name in names)
    for name, law in given.items():
        if name not in names:
            raise ParameterError(f"phase '{name}' is unknown, the network has {known}.")
        if not isinstance(law, PhaseLaw) or isinstance(law, type):
            raise ParameterError(
                f"phase '{name}' came with {law!r}, expected a law such as "
                "matnet.phases.Elastic(E=70e3, nu=0.3)."
            )
    laws: dict[str, PhaseLaw] = {}
    for name in names:
        if name not in given and name != "void":
            raise ParameterError(f"phase '{name}' has no law, the network has {known}.")
        laws[name] = given.get(name, Void())
    return laws
