"""The stated memory is the memory taken."""

import tracemalloc

import numpy as np
import pytest

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver, SolverOptions, homogenize, memory
from offline.homogenization.memory import MemoryWarning, Workspace, peak_bytes
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


def test_too_little_memory_is_said_before_the_solve(monkeypatch):
    rve, stiffness = solid(12)
    operator = CellSolver(rve).with_stiffness(stiffness)
    needed = peak_bytes(12**3, 12**3, 12**3)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    text = r"takes about 0\.000\d+ GB of memory, and 0\.000\d+ GB are free.* Use fewer voxels"
    with pytest.warns(MemoryWarning, match=text):
        operator.solve(SolverOptions(tol=1e-2))
    operator.solve(SolverOptions(tol=1e-2))  # the memory is there now
    for free in (needed, None):
        monkeypatch.setattr(memory, "available_bytes", lambda free=free: free)
        CellSolver(rve).with_stiffness(stiffness).solve(SolverOptions(tol=1e-2))


def test_free_memory_is_known_on_linux():
    free = memory.available_bytes()
    assert free is None or 1e6 < free < 1e14
