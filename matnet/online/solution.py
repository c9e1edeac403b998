"""What the solvers of a network return."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

__all__ = ["Solution", "Status"]


class Status(IntEnum):
    """What became of a point in a step."""

    OK = 0
    NOT_FINITE = 1  # the strain or state that came in holds NaN or infinity
    NOT_CONVERGED = 2  # the caller cuts its step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """One step of n points; rows of points that failed hold NaN, and their old state.

    Attributes
    ----------
    stress : (n, 6)
        Macroscopic stress, Mandel [stress unit].
    tangent : (n, 6, 6)
        Its derivative with respect to the macroscopic strain at the end of the step.
    state : (n, n_state)
        As in `matnet.online.layout.StateLayout`.
    status : (n,)
        Of `Status`.
    iterations : (n,)
        How often the phase laws were evaluated.
    base_strain, base_stress : (n, n_base, 6)
        Of the base nodes in the network's order, in the global frame.
    base_energy : (n, n_base, 2)
        Stored energy density and energy density dissipated in the step [stress unit].
    """

    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    status: np.ndarray
    iterations: np.ndarray
    base_strain: np.ndarray
    base_stress: np.ndarray
    base_energy: np.ndarray
