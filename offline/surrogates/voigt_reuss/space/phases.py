r"""Two isotropic phases: contrasts, bounds, and the spectral normalisation in closed form.

With isotropic phases both bounds are isotropic, and with the projectors :math:`P_1` (volumetric)
and :math:`P_2` (deviatoric) the gap of `normalisation.SpectralGap` is

.. math:: G = 3 \Delta_K P_1 + 2 \Delta_G P_2, \qquad
          \Delta_K = \frac{f_0 f_1 (K_2 - K_1)^2}{f_0 K_2 + f_1 K_1}

and :math:`\Delta_G` likewise; its root needs no eigenvectors. Phase 0 of an image is material 1
(K1, G1), phase 1 material 2. Contrasts are those of the paper (eq. 26),
:math:`\pi_1 = K_2/K_1, \pi_2 = G_1/K_1, \pi_3 = G_2/K_1`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from matnet.errors import ParameterError, ShapeError, require_finite
from offline.surrogates.voigt_reuss.normalisation import SpectralGap

__all__ = [
    "DEVIATORIC",
    "VOLUMETRIC",
    "contrasts",
    "isotropic_gap",
    "isotropic_phases",
    "moduli_of",
    "root_and_upper",
    "swapped_contrasts",
]

VOLUMETRIC = np.zeros((6, 6))
VOLUMETRIC[:3, :3] = 1.0 / 3.0
DEVIATORIC = np.eye(6) - VOLUMETRIC


def isotropic_phases(moduli: Any) -> np.ndarray:
    """Stiffness (n, 2, 6, 6) of moduli (n, 4): K1, G1, K2, G2 [stress unit]."""
    pairs = np.asarray(moduli, dtype=float).reshape(-1, 2, 2)
    bulk, shear = pairs[..., 0, None, None], pairs[..., 1, None, None]
    return np.asarray(3.0 * bulk * VOLUMETRIC + 2.0 * shear * DEVIATORIC)


def moduli_of(log_ratios: Any) -> np.ndarray:
    """K1 = 1, G1, K2, G2 (n, 4) of the decimal logarithms (n, 3) of the contrasts.

    >>> moduli_of([[1.0, 0.0, -1.0]])
    array([[ 1. ,  1. , 10. ,  0.1]])
    """
    ratios = 10.0 ** np.asarray(log_ratios, dtype=float)
    one = np.ones(len(ratios))
    return np.stack([one, ratios[:, 1], ratios[:, 0], ratios[:, 2]], axis=1)


def contrasts(moduli: Any) -> np.ndarray:
    """Decimal logarithms (n, 3) of the contrasts of moduli (n, 4).

    Raises
    ------
    ShapeError, ParameterError
        Moduli are not (n, 4), or not finite and positive.
    """
    m = np.asarray(moduli, dtype=float)
    if m.ndim != 2 or m.shape[1] != 4:
        raise ShapeError(f"moduli have shape {m.shape}, expected (n, 4): K1, G1, K2, G2.")
    require_finite("moduli", m)
    if m.min() <= 0.0:
        raise ParameterError(
            f"moduli hold {m.min():g}, expected values > 0 (void: give it a small stiffness)."
        )
    return np.asarray(np.log10(m[:, [2, 1, 3]] / m[:, :1]))


def swapped_contrasts(log_ratios: Tensor) -> Tensor:
    """Contrasts (n, 3) after exchanging the phases, relative to the new K1."""
    a, b, c = log_ratios.unbind(dim=1)
    return torch.stack([-a, c - a, b - a], dim=1)


def isotropic_gap(moduli: Any, fraction: Any) -> SpectralGap:
    """The bounds of moduli (n, 4) with volume fractions (n,) of phase 1."""
    f = np.asarray(fraction, dtype=float)
    return SpectralGap.from_phases(isotropic_phases(moduli), np.stack([1.0 - f, f], axis=1))


def root_and_upper(moduli: Tensor, fraction: Tensor) -> tuple[Tensor, Tensor]:
    """Root L of the gap and Voigt's bound, (n, 6, 6) each in float64, differentiable.

    Parameters
    ----------
    moduli : (n, 4)
        K1, G1, K2, G2.
    fraction : (n,)
        Of phase 1.
    """
    m, f = moduli.double(), fraction.double()
    first, second = m[:, :2], m[:, 2:]  # (n, 2): K and G
    f1 = f[:, None]
    upper = (1.0 - f1) * first + f1 * second
    step = second - first
    factor = ((1.0 - f1) * f1 / ((1.0 - f1) * second + f1 * first)).sqrt()
    return _isotropic(step.abs() * factor, root=True), _isotropic(upper, root=False)


def _isotropic(pair: Tensor, root: bool) -> Tensor:
    """3 k P1 + 2 g P2, or the root of that where `pair` holds the roots of k and g."""
    scale = torch.tensor([3.0, 2.0], dtype=pair.dtype, device=pair.device)
    values = pair * (scale.sqrt() if root else scale)
    projectors = torch.tensor(np.stack([VOLUMETRIC, DEVIATORIC]), device=pair.device)
    return torch.einsum("nk,kij->nij", values, projectors)
