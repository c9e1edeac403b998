"""The stated memory is the memory taken."""

import tracemalloc

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.homogenization.memory import Workspace, peak_bytes
from offline.rve import Rve
from offline.rve.generators import make


def solid(n):
    phases = (np.indices((n, n, n)).sum(0) // 6 % 2).astype(np.uint8)
    return Rve(phases=phases), [isotropic(E=1.0, nu=0.3), isotropic(E=9.0, nu=0.3)]


def lattice(n):
    stiff = isotropic(E=1.0, nu=0.3)
    return make("octet", n=n, volume_fraction=0.5), [0.0 * stiff, stiff]


@pytest.mark.parametrize("cell", [solid, lattice])
def test_stated_peak_is_within_15_percent(cell):
    homogenize(*cell(24))  # compiled and imported before
    rve, stiffness = cell(40)
    solver = CellSolver(rve, void=[not c.any() for c in stiffness])
    stated = peak_bytes(rve.phases.size, solver.mesh.n_elements, solver.mesh.n_nodes)
    del solver
    tracemalloc.start()
    options = SolverOptions(max_iterations=6)
    homogenize(rve, stiffness, options, throw=False)
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.85 < stated / taken < 1.15


def test_64_voxels_a_side_stay_below_150_megabytes():
    assert peak_bytes(64**3, 64**3, 64**3) < 150e6


def test_workspace_gives_the_same_memory_again():
    workspace = Workspace(5, 8)
    assert workspace.pair is workspace.pair
    assert workspace.grid is workspace.grid
    assert workspace.pair_as_double.shape == (5, 18)
    assert np.shares_memory(workspace.pair_as_double, workspace.pair)
