"""Two scales against every voxel, for a beam of three cells."""

from types import SimpleNamespace

import numpy as np
import pytest
from fe_cases import assert_quadratic, run_quick  # skips without dolfinx

from fe_examples import common, resolved_beam
from matnet.errors import ParameterError
from umat_bridge.dolfinx import compat


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return run_quick(resolved_beam.main, tmp_path_factory.mktemp("beam"))


def test_tension_agrees_within_five_percent_beyond_yield(numbers):
    gap = numbers["rows"]["3 x 1 x 1, tension"]["gap"]
    assert max(map(abs, gap)) < 0.05


def test_bending_of_a_single_cell_agrees_within_ten_percent(numbers):
    row = numbers["rows"]["3 x 1 x 1, bending"]
    assert max(map(abs, row["gap"])) < 0.1
    force = np.array(row["resolved"])
    assert force[-1] < 0.4 * force[0] / resolved_beam.TIMES[0]  # far beyond yield


def test_newton_converges_quadratically(numbers):
    assert_quadratic(numbers, at_least=8)


def test_resolved_mesh_has_the_solid_voxels_and_no_others():
    solid = np.zeros((2, 2, 2), dtype=bool)
    solid[0], solid[1, 0, 1] = True, True
    domain = resolved_beam.resolved_mesh(solid, 1)
    middle = compat.cell_coordinates(domain).mean(axis=1)
    places = {tuple(place) for place in np.round(4.0 * middle).astype(int).tolist()}
    expected = {
        (4 * cell + 2 * i + 1, 2 * j + 1, 2 * k + 1)
        for cell in range(3)
        for i, j, k in np.argwhere(solid).tolist()
    }
    assert places == expected and len(middle) == len(expected)


def test_several_ranks_are_refused(monkeypatch):
    monkeypatch.setattr(resolved_beam, "WORLD", SimpleNamespace(size=2))
    with pytest.raises(ParameterError, match=r"came with 2 ranks, expected one: .*without mpirun"):
        resolved_beam.main(["--quick"])


def test_beam_of_stronger_aluminium_is_told_apart(tmp_path, monkeypatch):
    solid, lattice, aluminium = resolved_beam.materials()
    law = lattice.phases["solid"]
    strong = type(law)(E=1.1 * law.E, nu=law.nu, hardening=law.hardening)
    other = lattice.network.with_phases(solid=strong)
    monkeypatch.setattr(resolved_beam, "GAP", 1e-3)
    monkeypatch.setattr(resolved_beam, "TIMES", (0.1,))
    monkeypatch.setattr(resolved_beam, "materials", lambda: (solid, other, aluminium))
    with pytest.raises(common.CheckError, match=r"^force, 3 x 1 x 1, tension is .*\(resolved\)"):
        resolved_beam.main(["--quick", "--out", str(tmp_path)])
