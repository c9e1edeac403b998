r"""Two-point statistics and orientation tensors.

``covariance``
    :math:`A(h) = (\langle \chi(x) \chi(x+h) \rangle - f_1^2) / (f_0 f_1)`, by FFT; 1 at lag zero,
    the same for both phases (Torquato, *Random Heterogeneous Materials*, 2002, sec. 2.2).
``spectrum``
    :math:`\sum_k |\hat\chi(k)|^2\, n\,n\,n\,n \,/ \sum_k |\hat\chi(k)|^2` with :math:`n = k/|k|`,
    over all waves but the constant one or a band of them. With isotropic phases the effective
    stiffness depends, to second order in the contrast, on the volume fraction and this tensor
    alone (Willis, *J. Mech. Phys. Solids* 25, 1977, 185-202): the polarisation couples through
    the Green operator, which is a sum of nn and nnnn terms.
``interface``
    :math:`\langle n\,n\,n\,n \rangle` over the interface with its normals n, the Minkowski tensor
    :math:`W_1^{0,4}` divided by the area (Schroeder-Turk et al., *Adv. Mater.* 23, 2011, 2535).
    Normals: gradient of the image smoothed by a Gaussian of one voxel.

Traces of the fourth-order tensors are the second-order ones, so these are not listed.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from offline.morphology.catalogue import BANDS, COVARIANCE, LINES, TENSOR2, TENSOR4

__all__ = ["covariances", "harmonic_norm", "interface_moments", "spectral_moments"]

EDGES = (2.5, 5.5)  # waves per cell that bound the bands
SMOOTHING = 1.0  # voxels


def covariances(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Along the lines (8, 13) and averaged over shells (8,), from `power` of `spectral_moments`."""
    n = len(power)
    correlation = fft.ifftn(power).real
    correlation = correlation / correlation[0, 0, 0]
    lags = n * np.array([float(Fraction(r)) for r in COVARIANCE])
    below = np.floor(lags).astype(int)
    part = (lags - below)[:, None]
    along = []
    for whole in (below, below + 1):
        steps = whole[:, None, None] * LINES % n
        along.append(correlation[steps[..., 0], steps[..., 1], steps[..., 2]])
    shells = _shells(n) @ correlation.ravel()
    return (1.0 - part) * along[0] + part * along[1], shells


def spectral_moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power (n, n, n), shares of the bands (3,), tensors (4, 15) of all waves and each band.

    Tensors of bands carry the share of their band, so that their sum is that of all waves.
    """
    power = np.abs(fft.fftn(image.astype(float))) ** 2
    power[0, 0, 0] = 0.0
    moments, member = _wave_moments(len(image))
    waves = power.ravel() / power.sum()
    tensors = np.stack([moments @ (waves * band) for band in member])
    shares = member @ waves
    return power, shares, np.concatenate([tensors.sum(axis=0, keepdims=True), tensors])


def interface_moments(image: np.ndarray) -> np.ndarray:
    """Components (15,) of the mean of n n n n over the interface."""
    smooth = ndimage.gaussian_filter(image.astype(float), SMOOTHING, mode="wrap")
    gradient = np.stack([np.roll(smooth, -1, a) - np.roll(smooth, 1, a) for a in range(3)])
    gradient = gradient.reshape(3, -1)
    size = np.sqrt((gradient**2).sum(axis=0))
    kept = size > 1e-9
    if not kept.any():  # a checkerboard of single voxels is smoothed away: no direction prevails
        return _isotropic_moments()
    pairs = np.stack([gradient[i, kept] * gradient[j, kept] for i, j in TENSOR2])
    moments = (pairs / size[kept] ** 3) @ pairs.T / size[kept].sum()
    places = [(TENSOR2.index(index[:2]), TENSOR2.index(index[2:])) for index in TENSOR4]
    return np.array([moments[place] for place in places])


def harmonic_norm(tensor: np.ndarray) -> float:
    """Distance of a fully symmetric tensor of unit trace, by its components (15,), from isotropy.

    The isotropic one has 1/5 for 1111 and 1/15 for 1122; the Frobenius norm of the difference is
    the same in every frame.
    """
    difference = tensor - _isotropic_moments()
    return float(np.sqrt((_multiplicity() * difference**2).sum()))


@lru_cache(maxsize=1)
def _isotropic_moments() -> np.ndarray:
    even = [[index.count(axis) for axis in range(3)] for index in TENSOR4]
    return np.array([_even_value(counts) for counts in even])


def _even_value(counts: list[int]) -> float:
    if any(count % 2 for count in counts):
        return 0.0
    return 1.0 / 5.0 if 4 in counts else 1.0 / 15.0


@lru_cache(maxsize=1)
def _multiplicity() -> np.ndarray:
    """How often each component occurs among the 81."""
    factorial = (1, 1, 2, 6, 24)
    return np.array(
        [24.0 / np.prod([factorial[index.count(axis)] for axis in range(3)]) for index in TENSOR4]
    )


@lru_cache(maxsize=4)
def _shells(n: int) -> np.ndarray:
    """Weights (8, n^3) of lags in shells one voxel wide, each summing to 1."""
    lag = np.minimum(np.arange(n), n - np.arange(n)).astype(float)
    size = np.sqrt(lag[:, None, None] ** 2 + lag[:, None] ** 2 + lag**2).ravel()
    radii = n * np.array([float(Fraction(r)) for r in COVARIANCE])
    weights = np.maximum(0.0, 1.0 - np.abs(size - radii[:, None]))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@lru_cache(maxsize=4)
def _wave_moments(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n n n n of every wave (15, n^3), and the band it belongs to (3, n^3) of 0 and 1."""
    wave = fft.fftfreq(n, 1.0 / n)
    k = np.stack(np.meshgrid(wave, wave, wave, indexing="ij")).reshape(3, -1)
    size = np.sqrt((k**2).sum(axis=0))
    unit = k / np.where(size > 0.0, size, 1.0)
    moments = np.empty((len(TENSOR4), n**3))
    # the highest wave of an even grid has no sign: its odd powers vanish in the mean of both
    signless = np.abs(k) == n / 2
    for row, index in enumerate(TENSOR4):
        moments[row] = np.prod(unit[list(index)], axis=0)
        for axis in range(3):
            if index.count(axis) % 2:
                moments[row, signless[axis]] = 0.0
    band = np.digitize(size, EDGES)
    member = (band == np.arange(len(BANDS))[:, None]).astype(float)
    return moments, member
