"""Materials and strains that the adapters' tests share."""

import numpy as np

from matnet import Network
from matnet.phases import J2, Damage, Elastic, LinearVoce

MATRIX = J2(E=3.8, nu=0.387, hardening=LinearVoce(sig_y=0.01, H=0.05, Q=0.04, b=100.0))
VISCOUS = Damage(E=3.8, nu=0.387, kappa_0=1e-3, kappa_f=8e-3, tau=1.0)  # virgin state not zero
FIBRE = Elastic(E=72.0, nu=0.22)


def composite(matrix=MATRIX):
    """An anisotropic elastoplastic network, yielding at a strain of a few thousandths."""
    network = Network.random("imn", 2, ("matrix", "fibre"), (0.6, 0.4), 1)
    return network.with_phases(matrix=matrix, fibre=FIBRE)


def strains(*shape, seed=0, size=5e-3):
    """Every point another one."""
    return size * np.random.default_rng(seed).normal(size=shape)


def padded(eps):
    """Four components to six, 13 and 23 zero."""
    return np.concatenate([eps, np.zeros((*eps.shape[:-1], 2))], axis=-1)
