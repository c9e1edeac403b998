r"""How far the energies of conjugate gradients are from their limits.

One step lowers the squared energy error by :math:`\Delta_j = \alpha_j\, r_j^T z_j` (Hestenes &
Stiefel 1952), hence :math:`\lVert u - u_i \rVert_K^2 = \sum_{j \ge i} \Delta_j` (Strakos & Tichy
2002). What the sum still lacks after step k is judged from the past: S is the largest ratio of a
reached remainder :math:`\sum_{i \le j \le k} \Delta_j` to its first term :math:`\Delta_i`. Then
:math:`S \Delta_k` estimates the error before step k, from above as long as convergence is no slower
than it was (Meurant, Papez & Tichy, *Numer. Algorithms* 88, 2021, 1337-1359, section 3).
"""

from __future__ import annotations

import numpy as np

__all__ = ["EnergyErrorEstimate"]

WINDOW = 1e-4  # older steps than a drop of the remainder by this factor are forgotten


class EnergyErrorEstimate:
    """Estimated squared energy error of the current iterate, per load case.

    Examples
    --------
    >>> estimate = EnergyErrorEstimate(1)
    >>> for k in range(12):
    ...     estimate.add(np.array([0.5**k]))  # the error after step k is 0.5**k
    >>> bool(0.5 < estimate.current[0] / 0.5**11 < 3.0)
    True
    """

    def __init__(self, n_loads: int) -> None:
        self._drops = np.empty((0, n_loads))
        self.n_loads = n_loads

    @property
    def steps(self) -> int:
        """Number of steps so far."""
        return len(self._drops)

    def add(self, drop: np.ndarray) -> None:
        """Record the energy drops (n_loads,) of one step."""
        self._drops = np.vstack([self._drops, np.maximum(drop, 0.0)])

    @property
    def current(self) -> np.ndarray:
        """Estimates (n_loads,) for the iterate after the last step."""
        if self.steps == 0:
            return np.full(self.n_loads, np.inf)
        return np.array([_remainder(self._drops[:, k]) for k in range(self.n_loads)])


def _remainder(drops: np.ndarray) -> float:
    drops = drops[drops > 0.0]  # load cases that stand still
    if len(drops) < 2:
        return float(drops.sum())
    reached = np.cumsum(drops[::-1])[::-1]
    recent = np.flatnonzero(drops[-1] / reached <= WINDOW)
    first = int(recent[-1]) if len(recent) else 0
    safety = float(np.max(reached[first:-1] / drops[first:-1]))
    # S * last drop is the error before the last step
    return float(max(safety - 1.0, 0.1) * drops[-1])
