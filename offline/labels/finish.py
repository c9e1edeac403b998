"""When to stop growing the basis and solve the labels that are still open one by one.

A reduced basis pays when few fields serve many labels. Two anisotropic phases of high contrast can
need a hundred snapshots, and on a small cell a warm-started full solution costs no more than a
reduced problem of that size. The choice is made from operation counts, not from clocks: the same
run takes the same path on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["finishing_pays"]

# measured on one core of a current server, in nanoseconds; only their ratios matter
PER_VOXEL_ITERATION = 400.0  # six load cases of one voxel
PER_FLOP_FACTOR = 0.1  # of a Cholesky factor of a few hundred rows
PER_FLOP_PRODUCT = 0.03  # of a large matrix product
PER_FIELD_VALUE = 1.0  # one number of a start field, from the basis
WARM = 0.4  # iterations to a label's tolerance, over those of the last snapshots
LOOK_BACK = 4  # rounds from which the decay of the worst error is read


def finishing_pays(
    worst: Sequence[float],
    tol: float,
    *,
    n_open: int,
    n_voxels: int,
    n_fields: int,
    n_pairs: int,
    batch: int,
    iterations: float,
) -> bool:
    """Whether solving the open labels is cheaper than the rounds the basis still needs.

    Parameters
    ----------
    worst : sequence of float
        Largest estimated error before each round so far.
    tol : float
        Tolerance of the labels.
    n_open : int
        Labels above the tolerance.
    n_voxels, n_fields, n_pairs : int
        Size of the cell, of the basis, and number of sampled stiffness entries.
    batch : int
        Snapshots per round.
    iterations : float
        Mean iterations of the last snapshots.
    """
    if len(worst) <= LOOK_BACK or n_open == 0:
        return False
    decay = np.log(worst[-1 - LOOK_BACK] / worst[-1]) / LOOK_BACK
    rounds = np.log(worst[-1] / tol) / max(decay, 1e-3)
    values = 3.0 * n_voxels
    solve = PER_VOXEL_ITERATION * n_voxels * iterations
    reduced = PER_FLOP_FACTOR * n_fields**3 / 3.0 + PER_FLOP_PRODUCT * 2.0 * n_pairs * n_fields**2
    products = PER_FLOP_PRODUCT * 2.0 * n_pairs * 6 * batch * n_fields * values
    one_round = batch * solve + products + 0.5 * n_open * reduced  # ever fewer are open
    start = PER_FIELD_VALUE * values * n_fields / 6.0
    return bool(n_open * (WARM * solve + start) < rounds * one_round)
