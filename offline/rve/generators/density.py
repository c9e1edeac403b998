r"""Random density fields by Latin hypercube sampling, plain and penalised.

A data set of N fields on m voxels is a Latin hypercube sample of the m-dimensional unit cube
(McKay, Beckman & Conover, Technometrics 21, 239, 1979): at every voxel the N fields hold exactly
one value from each of the N strata of [rho_min, 1]. The permutation of strata at each voxel is a
keyed bijection that can be evaluated for one field alone, so no field needs the others.

The penalised fields are :math:`\rho^{d}` with one exponent :math:`d \sim |N(0, 1.2^2)|` per field,
which spreads the volume fractions (label-free CNN paper, section 5.1, data sets 3 and 4:
m = 40^3, N = 8192, rho_min = 1e-9).
"""

from __future__ import annotations

import numpy as np

from offline.rve.generators.voxelgrid import (
    call_text,
    grid_shape,
    require_count,
    require_in_range,
)
from offline.rve.rve import Rve

__all__ = ["RHO_MIN", "lhs", "penalised_lhs"]

RHO_MIN = 1e-9  # the papers' smallest density: keeps the stiffness matrix regular
EXPONENT_SPREAD = 1.2
MIXING_ROUNDS = 4


def lhs(
    *, n: int | tuple[int, int, int] = 40, samples: int = 8192, index: int = 0, seed: int = 0
) -> Rve:
    """One field of a Latin hypercube sample of random densities.

    Parameters
    ----------
    n : int or tuple of int
        Voxels per axis: one number for a cube, or three.
    samples : int
        Number of fields in the set, N; 1 makes voxels independent and uniform.
    index : int
        Which field of the set, 0 to samples - 1.
    seed : int
        Seed of the whole set.

    Returns
    -------
    Rve
        One phase ``solid`` with densities in [1e-9, 1].

    Raises
    ------
    ParameterError
        A value is out of range.

    Examples
    --------
    >>> fields = [lhs(n=2, samples=4, index=i).density for i in range(4)]
    >>> sorted(int(4 * f[0, 0, 0]) for f in fields)  # each quarter of [0, 1] once
    [0, 1, 2, 3]
    """
    density = _lhs_density(n, samples, index, seed)
    source = call_text("lhs", n=n, samples=samples, index=index, seed=seed)
    return _density_rve(density, source)


def penalised_lhs(
    *,
    n: int | tuple[int, int, int] = 40,
    samples: int = 8192,
    index: int = 0,
    exponent: float | None = None,
    seed: int = 0,
) -> Rve:
    """One field of a penalised Latin hypercube sample: the field of `lhs` to a power.

    Parameters
    ----------
    n : int or tuple of int
        Voxels per axis: one number for a cube, or three.
    samples : int
        Number of fields in the set, N.
    index : int
        Which field of the set, 0 to samples - 1.
    exponent : float, optional
        The power d >= 0; default: drawn for this field from |N(0, 1.2^2)|.
    seed : int
        Seed of the whole set.

    Returns
    -------
    Rve
        One phase ``solid`` with densities in [1e-9, 1].

    Raises
    ------
    ParameterError
        A value is out of range.

    Examples
    --------
    >>> rve = penalised_lhs(n=20, exponent=3.0)
    >>> round(float(rve.density.mean()), 2)  # the mean of rho^d is 1 / (1 + d)
    0.25
    """
    source = call_text(
        "penalised_lhs", n=n, samples=samples, index=index, exponent=exponent, seed=seed
    )
    density = _lhs_density(n, samples, index, seed)
    if exponent is None:
        draw = np.random.default_rng([seed, index]).standard_normal()
        exponent = float(abs(EXPONENT_SPREAD * draw))
    require_in_range("exponent", exponent, 0.0)
    return _density_rve(np.maximum(density**exponent, RHO_MIN), source)


def _density_rve(density: np.ndarray, source: str) -> Rve:
    phases = np.zeros(density.shape, dtype=np.uint8)
    return Rve(phases=phases, phase_names=("solid",), density=density, source=source)


def _lhs_density(n: int | tuple[int, int, int], samples: int, index: int, seed: int) -> np.ndarray:
    shape = grid_shape(n)
    require_count("samples", samples, 1, 2**30)
    require_count("index", index, 0, samples - 1)
    require_count("seed", seed, 0)
    stratum = _strata(int(np.prod(shape)), samples, index, seed)
    within = np.random.default_rng([seed, index, samples]).random(stratum.size)
    unit = (stratum + within) / samples
    return np.asarray((RHO_MIN + (1.0 - RHO_MIN) * unit).reshape(shape))


def _strata(voxels: int, samples: int, index: int, seed: int) -> np.ndarray:
    """Stratum (voxels,) of field `index` at each voxel: a random bijection of 0..N-1 per voxel.

    Each round maps b-bit integers one to one (add a key, multiply by an odd key, fold the high
    bits down); values that leave 0..N-1 are mapped on until they return (cycle walking).
    """
    bits = max((samples - 1).bit_length(), 1)
    mask, fold = np.uint64(2**bits - 1), np.uint64((bits + 1) // 2)
    rng = np.random.default_rng([seed, samples])
    keys = rng.integers(0, 2**63, (2 * MIXING_ROUNDS, voxels), dtype=np.uint64)
    keys[1::2] |= np.uint64(1)
    value = np.full(voxels, index, dtype=np.uint64)
    walking = np.ones(voxels, dtype=bool)
    while walking.any():
        x, k = value[walking], keys[:, walking]
        for add, multiply in zip(k[::2], k[1::2], strict=True):
            x = (x + add) * multiply & mask  # uint64 arithmetic wraps, as wanted
            x ^= x >> fold
        value[walking] = x
        walking[walking] = x >= samples
    return value.astype(np.int64)
