"""Load paths that a cell cannot tell apart, so that one simulation serves them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from matnet.paths import LoadPath
from matnet.phases import PhaseLaw
from offline.rve import Rve
from offline.verification.compare import Curve

__all__ = ["axis_symmetries", "equivalent_curve"]

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # of the Mandel components
TURNS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
CLOSE = 1e-12  # of prescribed values, over the largest one


def axis_symmetries(rve: Rve, phases: Mapping[str, PhaseLaw]) -> tuple[tuple[int, int, int], ...]:
    """Permutations of the axes, other than none, under which the cell with its laws is itself.

    Examples
    --------
    >>> from matnet.phases import Elastic
    >>> rod = np.zeros((4, 4, 2), dtype=int)
    >>> rod[1:3, 1:3] = 1
    >>> laws = {"phase0": Elastic(E=1.0, nu=0.3), "phase1": Elastic(E=9.0, nu=0.3)}
    >>> axis_symmetries(Rve(phases=rod, cell=np.diag([2.0, 2.0, 1.0])), laws)
    ((1, 0, 2),)
    """
    solids = [law for law in phases.values() if law.stiffness.any()]
    if rve.orientations is not None or not all(law.isotropic for law in solids):
        return ()
    return tuple(
        axes
        for axes in TURNS
        if np.array_equal(rve.phases, rve.phases.transpose(axes))
        and np.array_equal(rve.cell, rve.cell[np.ix_(axes, axes)])
    )


def equivalent_curve(
    path: LoadPath,
    known: Sequence[tuple[LoadPath, Curve]],
    symmetries: Sequence[tuple[int, int, int]],
    *,
    timeless: bool,
) -> Curve | None:
    """What the cell does along `path`, if it is the turned beginning of a known path.

    Parameters
    ----------
    path : LoadPath
    known : sequence of (LoadPath, Curve)
        Simulations.
    symmetries : sequence
        See `axis_symmetries`.
    timeless : bool
        Whether times do not matter: no law depends on the rate.
    """
    rows = len(path.time)
    for other, curve in known:
        if len(curve.strain) < rows or (path.temperature is None) != (other.temperature is None):
            continue
        for axes in symmetries:
            order = _components(axes)
            size = CLOSE * np.abs(path.target).max()
            if (
                np.array_equal(other.stress_controlled[:rows, order], path.stress_controlled)
                and np.abs(other.target[:rows, order] - path.target).max() <= size
                and (timeless or np.array_equal(other.time[:rows], path.time))
                and (path.temperature is None or _same_temperatures(path, other))
            ):
                return Curve(curve.strain[:rows, order], curve.stress[:rows, order])
    return None


def _same_temperatures(path: LoadPath, other: LoadPath) -> bool:
    return np.array_equal(path.temperature, other.temperature[: len(path.time)])  # type: ignore


def _components(axes: tuple[int, int, int]) -> list[int]:
    """Component of the known path that stands for each component after the axes are permuted."""
    return [PAIRS.index(tuple(sorted((axes[i], axes[j])))) for i, j in PAIRS]  # type: ignore
