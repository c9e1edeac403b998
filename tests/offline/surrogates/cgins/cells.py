"""Small cells for the tests of sparse operators, and the devices to run them on."""

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from offline.rve.rve import Rve

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    ),
]


def rotation(rng):
    """A random rotation (3, 3)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def anisotropic(rng, low=1.0, high=4.0):
    """A stiffness with eigenvalues in [low, high]."""
    q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    return q @ np.diag(rng.uniform(low, high, 6)) @ q.T


def struts(rng, shape=(6, 4, 8), noise=0.15):
    """Voxels (n1, n2, n3) bool of three crossing struts with rough faces."""
    solid = rng.random(shape) < noise
    solid[:, :2, :2] = solid[:2, :, :2] = solid[:2, :2, :] = True
    return solid


def truss(seed, shape=(6, 4, 8)):
    """Void and one isotropic phase."""
    rng = np.random.default_rng(seed)
    rve = Rve(phases=struts(rng, shape), phase_names=("void", "solid"))
    return rve, np.stack([np.zeros((6, 6)), isotropic(E=1.0, nu=rng.uniform(0.2, 0.4))])


def composite(seed, shape=(6, 4, 8)):
    """Void and two rotated anisotropic phases in a sheared cell."""
    rng = np.random.default_rng(seed)
    phases = np.where(struts(rng, shape), rng.integers(1, 3, shape), 0)
    rve = Rve(
        phases=phases,
        phase_names=("void", "a", "b"),
        cell=np.array([[1.0, 0.0, 0.0], [0.2, 0.9, 0.0], [0.0, -0.1, 1.3]]),
        orientations=np.stack([np.eye(3), rotation(rng), rotation(rng)]),
    )
    return rve, np.stack([np.zeros((6, 6)), anisotropic(rng), anisotropic(rng, 5.0, 20.0)])


def graded(seed, shape=(6, 4, 8)):
    """A density field without void."""
    rng = np.random.default_rng(seed)
    rve = Rve(phases=np.zeros(shape, int), density=rng.uniform(0.1, 1.0, shape))
    return rve, isotropic(E=2.0, nu=0.3)[None]


KINDS = {"truss": truss, "composite": composite, "graded": graded}


def dense(operator):
    """K (3 N, 3 N) of an operator, column by column, as float64 on the CPU."""
    n = 3 * operator.grid.n_nodes
    unit = torch.eye(n, dtype=operator.dtype, device=operator.grid.device)
    padded = torch.cat([unit, unit.new_zeros(n, -n % 6)], dim=1)
    columns = [
        operator.apply(block.reshape(-1, 3, 6)).reshape(n, 6) for block in padded.split(6, 1)
    ]
    return torch.cat(columns, dim=1)[:, :n].double().cpu()
