r"""Random phase stiffnesses for the training of material networks.

Each phase is orthotropic in its material frame, in the manner of Liu & Wu, J. Mech. Phys. Solids
127 (2019) 20-46: moduli and contrast log-uniform, shear moduli and Poisson ratios uniform in a
normalised form. The intervals are options; the defaults keep clear of the incompressible limit,
where the stiffness is singular. In normalised form the compliance is

.. math:: S_{ii} = 1/E_i, \quad S_{ij} = -a_{ij} / \sqrt{E_i E_j}, \quad
          G_{ij} = g_{ij} \sqrt{E_i E_j}, \qquad a_{ij} = \nu_{ij} \sqrt{E_j / E_i},

so that the 3x3 matrix with 1 and :math:`-a_{ij}` is positive definite whenever all
:math:`a_{ij} < 1/2`, for every choice of the moduli.

The effective stiffness is homogeneous of degree one in the phase stiffnesses, so nothing is
lost by giving the first solid phase the mean modulus :math:`(E_1 E_2 E_3)^{1/3} = 1`; the others
get a mean modulus that is log-uniform over the contrast interval.

Liu & Wu sample orthotropic phases only. Phases of real parts are mostly isotropic, a corner of
the parameter space that such samples never reach exactly, so a share of the samples is isotropic in
all phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matnet.errors import ParameterError

__all__ = ["SamplingOptions", "sample_stiffnesses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How phase stiffnesses are drawn. Every pair is an interval (low, high).

    Parameters
    ----------
    contrast : (float, float)
        Mean modulus of each further solid phase over the first one's, log-uniform.
    anisotropy : float
        ``E2 / E1`` and ``E3 / E1`` are log-uniform in [1 / anisotropy, anisotropy]; >= 1.
    shear : (float, float)
        ``G_ij / sqrt(E_i E_j)``, uniform.
    poisson : (float, float)
        ``nu_ij sqrt(E_j / E_i)``, uniform, inside (-1/2, 1/2).
    isotropic : float
        Share of samples whose phases are all isotropic, in [0, 1].
    isotropic_poisson : (float, float)
        Poisson ratio of the isotropic samples, uniform, inside (-1, 1/2).

    Raises
    ------
    ParameterError
        An interval is empty or reaches a stiffness that is not positive definite.
    """

    contrast: tuple[float, float] = (1e-3, 1e3)
    anisotropy: float = 10.0
    shear: tuple[float, float] = (0.25, 0.5)
    poisson: tuple[float, float] = (0.0, 0.45)
    isotropic: float = 0.25
    isotropic_poisson: tuple[float, float] = (0.0, 0.45)

    def __post_init__(self) -> None:
        _check_interval(self, "contrast", 0.0, np.inf)
        _check_interval(self, "shear", 0.0, np.inf)
        _check_interval(self, "poisson", -0.5, 0.5)
        _check_interval(self, "isotropic_poisson", -1.0, 0.5)
        if not (np.isfinite(self.anisotropy) and self.anisotropy >= 1.0):
            raise ParameterError(f"anisotropy is {self.anisotropy}, expected a number >= 1.")
        if not 0.0 <= self.isotropic <= 1.0:
            raise ParameterError(f"isotropic is {self.isotropic}, expected a share in [0, 1].")


def sample_stiffnesses(
    n: int, void: Sequence[bool] | np.ndarray, options: SamplingOptions | None = None, seed: int = 0
) -> np.ndarray:
    """Draw phase stiffnesses, in each phase's material frame.

    The samples form one stream: the first samples of a longer draw are those of a shorter one.

    Parameters
    ----------
    n : int
        Number of samples, >= 1.
    void : (n_phases,) bool
        Which phases have no stiffness; they stay zero. At least one phase is solid.
    options : SamplingOptions, optional
    seed : int

    Returns
    -------
    (n, n_phases, 6, 6)
        Mandel stiffnesses [unit: mean modulus of the first solid phase].

    Raises
    ------
    ParameterError
        `n` is below 1 or every phase is void.

    Examples
    --------
    >>> C = sample_stiffnesses(3, [True, False], seed=1)
    >>> C.shape, bool(C[:, 0].any())
    ((3, 2, 6, 6), False)
    """
    opts = options or SamplingOptions()
    empty = np.asarray(void, dtype=bool)
    if n < 1:
        raise ParameterError(f"number of samples is {n}, expected at least 1.")
    solids = np.flatnonzero(~empty)
    if solids.size == 0:
        raise ParameterError("every phase is void, expected at least one phase with stiffness.")
    # One row of numbers per sample, so that a longer draw begins with the shorter one.
    unit = np.random.default_rng(seed).random((n, 1 + 9 * solids.size))
    isotropic = unit[:, 0] < opts.isotropic
    result = np.zeros((n, empty.size, 6, 6))
    for rank, phase in enumerate(solids):
        u = unit[:, 1 + 9 * rank : 10 + 9 * rank]
        scale = np.ones(n) if rank == 0 else _log_uniform(u[:, 0], *opts.contrast)
        result[:, phase] = scale[:, None, None] * _unit_stiffness(u[:, 1:], isotropic, opts)
    return result


def _unit_stiffness(u: np.ndarray, isotropic: np.ndarray, opts: SamplingOptions) -> np.ndarray:
    """Stiffnesses (n, 6, 6) of mean modulus 1 from uniform numbers u (n, 8)."""
    ratios = np.ones((len(u), 3))
    ratios[:, 1:] = _log_uniform(u[:, :2], 1.0 / opts.anisotropy, opts.anisotropy)
    poisson = _uniform(u[:, 2:5], *opts.poisson)
    shear = _uniform(u[:, 5:8], *opts.shear)
    nu = _uniform(u[:, 2], *opts.isotropic_poisson)
    ratios[isotropic] = 1.0
    poisson[isotropic] = nu[isotropic, None]
    shear[isotropic] = 0.5 / (1.0 + nu[isotropic, None])
    moduli = ratios / ratios.prod(axis=1, keepdims=True) ** (1.0 / 3.0)
    return _orthotropic(moduli, poisson, shear)


def _orthotropic(moduli: np.ndarray, poisson: np.ndarray, shear: np.ndarray) -> np.ndarray:
    """Stiffnesses from E_i (n, 3), a_ij and g_ij (n, 3) with ij in 12, 13, 23."""
    root = np.sqrt(moduli)
    pairs = ((0, 1), (0, 2), (1, 2))
    compliance = np.tile(np.eye(3), (len(moduli), 1, 1))
    stiffness = np.zeros((len(moduli), 6, 6))
    for k, (i, j) in enumerate(pairs):
        compliance[:, i, j] = compliance[:, j, i] = -poisson[:, k]
        stiffness[:, 3 + k, 3 + k] = 2.0 * shear[:, k] * root[:, i] * root[:, j]
    normal = np.linalg.inv(compliance) * root[:, :, None] * root[:, None, :]
    stiffness[:, :3, :3] = 0.5 * (normal + np.swapaxes(normal, 1, 2))
    return stiffness


def _uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return low + (high - low) * u


def _log_uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.asarray(np.exp(_uniform(u, float(np.log(low)), float(np.log(high)))))


def _check_interval(options: Any, name: str, low: float, high: float) -> None:
    interval = tuple(getattr(options, name))
    if len(interval) != 2 or not low < interval[0] <= interval[1] < high:
        raise ParameterError(
            f"{name} is {interval}, expected two numbers (low, high) with "
            f"{low:g} < low <= high < {high:g}."
        )
