"""Where what stands in the state of a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from matnet.errors import ParameterError
from matnet.network import Network
from matnet.phases import PhaseLaw

__all__ = ["StateLayout"]

HEADER = 14


@dataclass(frozen=True, slots=True, eq=False)
class StateLayout:
    """The state of a point is one flat row of float64.

    ====================  ==========================================================
    columns               content
    ====================  ==========================================================
    0 .. 5                macroscopic strain, Mandel
    6                     stored energy density (mean over the base nodes)
    7                     energy density dissipated since the start
    8 .. 13               macroscopic strain increment of the last step
    next 3 n_blocks       jump vector of each block, in the network's order
    next 3 n_blocks       their increments in the last step
    the rest              for each phase in order, for each of its base nodes in
                          ascending order: the law's internal variables
    ====================  ==========================================================

    With linear phases only, there is no state at all. The children of a block with strain eps have
    the strains ``eps + f2 H a`` and ``eps - f1 H a``, a being the jump vector and H that of the
    block's normal. State variables of anisotropic laws are in the base node's own frame. The
    increments only serve to guess the next step; zeros are always right.
    """

    network: Network
    laws: Mapping[str, PhaseLaw]
    n_state: int = field(init=False)
    starts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        starts, column = {}, HEADER + 6 * self.network.n_blocks
        for name, law in self.laws.items():
            starts[name] = column
            column += self.nodes(name).size * law.n_state
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "n_state", 0 if self.linear else column)

    @property
    def linear(self) -> bool:
        """Whether there is no state."""
        return all(law.linear and not law.expansion.any() for law in self.laws.values())

    def nodes(self, phase: str) -> np.ndarray:
        """Base nodes of a phase, ascending."""
        return np.flatnonzero(self.network.base_phase == self._index(phase))

    def initial(self, n_points: int) -> np.ndarray:
        """State (n_points, n_state) of the virgin material."""
        state = np.zeros((n_points, self.n_state))
        for name, law in self.laws.items():
            if law.n_state:
                self.phase(state, name)[:] = law.initial_state()
        return state

    def strain(self, state: np.ndarray) -> np.ndarray:
        """View (n, 6): macroscopic strain."""
        return state[:, :6]

    def energy(self, state: np.ndarray) -> np.ndarray:
        """View (n, 2): stored and dissipated energy density."""
        return state[:, 6:8]

    def jumps(self, state: np.ndarray) -> np.ndarray:
        """View (n, n_blocks, 3): jump vectors."""
        n_blocks = self.network.n_blocks
        return state[:, HEADER : HEADER + 3 * n_blocks].reshape(len(state), n_blocks, 3)

    def jump_increments(self, state: np.ndarray) -> np.ndarray:
        """View (n, n_blocks, 3): increments of the jump vectors in the last step."""
        n_blocks = self.network.n_blocks
        start = HEADER + 3 * n_blocks
        return state[:, start : start + 3 * n_blocks].reshape(len(state), n_blocks, 3)

    def phase(self, state: np.ndarray, phase: str) -> np.ndarray:
        """View (n, nodes of the phase, the law's n_state); variables as in its `state_names`."""
        n_nodes, n_law = self.nodes(phase).size, self.laws[phase].n_state
        start = self.starts[phase]
        view = state[:, start : start + n_nodes * n_law]
        return view.reshape(len(state), n_nodes, n_law)

    def _index(self, phase: str) -> int:
        if phase not in self.network.phase_names:
            names = ", ".join(self.network.phase_names)
            raise ParameterError(f"phase '{phase}' is unknown, the network has {names}.")
        return self.network.phase_names.index(phase)
