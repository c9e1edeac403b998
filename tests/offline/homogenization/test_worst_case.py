"""Worst stress over unit loads: closed forms, and searches over many loads."""

import numpy as np
import pytest

from matnet.elasticity import isotropic, laminate
from matnet.errors import ParameterError
from offline.homogenization import SolverOptions, homogenize, von_mises
from offline.homogenization.fields import gauss_strains
from offline.homogenization.grid import HexGrid
from offline.homogenization.worst_case import worst_stress
from offline.rve.rve import Rve

EXACT = SolverOptions(residual_tol=1e-9)


def solved(rve, c):
    return homogenize(rve, c, EXACT, keep_displacement=True)


@pytest.fixture(scope="module")
def composite():
    rng = np.random.default_rng(2)
    rve = Rve(
        phases=rng.integers(0, 2, (4, 3, 5)),
        density=rng.uniform(0.4, 1.0, (4, 3, 5)),
        cell=np.array([[1.0, 0.0, 0.1], [0.2, 0.8, 0.0], [0.0, 0.0, 1.2]]),
    )
    c = [isotropic(E=1.0, nu=0.3), isotropic(E=8.0, nu=0.2)]
    return rve, c, solved(rve, c)


@pytest.mark.parametrize("loading", ["stress", "strain"])
def test_no_load_of_unit_norm_does_worse(composite, loading):
    rve, c, result = composite
    found = worst_stress(rve, c, result.displacement, loading)
    grid = HexGrid(rve.shape, rve.cell)
    strains = gauss_strains(grid, result.displacement).mean(axis=2)
    stress = rve.density.ravel()[:, None, None] * np.array(c)[rve.phases.ravel()]
    stress = np.einsum("mij,kmj->kmi", stress, strains)
    loads = np.random.default_rng(0).normal(size=(4000, 6))
    loads = np.concatenate([loads / np.linalg.norm(loads, axis=1)[:, None], found.load[None]])
    into = np.linalg.inv(result.stiffness) if loading == "stress" else np.eye(6)
    seen = von_mises(np.einsum("nk,kmi->nmi", loads @ into, stress))  # (loads, voxels)
    field = found.field.ravel()
    assert (seen <= field * (1.0 + 1e-9)).all()
    assert (seen.max(axis=0) > 0.8 * field).all()  # a search comes near everywhere
    assert found.largest == pytest.approx(field.max())
    at = np.ravel_multi_index(found.voxel, rve.shape)
    assert seen[-1, at] == pytest.approx(found.largest, rel=1e-8)
    assert np.linalg.norm(found.load) == pytest.approx(1.0)


def test_laminate_has_the_worst_stress_of_the_closed_form():
    c = [isotropic(E=1.0, nu=0.3), isotropic(E=10.0, nu=0.3)]
    rve = Rve(phases=np.array([0, 1, 1, 1]).reshape(4, 1, 1), phase_names=("soft", "stiff"))
    found = worst_stress(rve, c, solved(rve, c).displacement)
    # traction (11, 12, 13) and in-plane strain (22, 33, 23) are those of the whole in each layer
    effective = laminate(c, [0.25, 0.75], [1, 0, 0])
    t, s = [0, 3, 4], [1, 2, 5]
    p = 1.5 * (np.eye(6) - np.pad(np.full((3, 3), 1 / 3), (0, 3)))
    for layer, stiffness in zip((0, 2), c, strict=True):
        traction, strain = np.eye(6)[t], np.linalg.inv(effective)[s]
        rest = np.linalg.inv(stiffness[np.ix_(t, t)])
        local = np.zeros((6, 6))
        local[s] = strain
        local[t] = rest @ (traction - stiffness[np.ix_(t, s)] @ strain)
        form = (stiffness @ local).T @ p @ (stiffness @ local)
        expected = np.sqrt(np.linalg.eigvalsh(form)[-1])
        assert found.field[layer, 0, 0] == pytest.approx(expected, rel=1e-7)
    assert found.voxel[0] > 0  # stiff layers carry more


def test_a_uniform_cell_sees_the_load_itself():
    rve = Rve(phases=np.zeros((2, 2, 2), int))
    c = [isotropic(E=3.0, nu=0.25)]
    zero = np.zeros((6, 2, 2, 2, 3))
    assert worst_stress(rve, c, zero).largest == pytest.approx(np.sqrt(1.5))
    shear = 3.0 / 2.5  # sigma = 2 G eps for deviators
    assert worst_stress(rve, c, zero, "strain").largest == pytest.approx(2 * shear * np.sqrt(1.5))


def test_singular_cells_take_strains_only():
    rve = Rve(phases=np.array([0, 1]).reshape(1, 2, 1), phase_names=("void", "solid"))
    c = np.stack([np.zeros((6, 6)), isotropic(E=1.0, nu=0.3)])
    u = homogenize(rve, c, EXACT, keep_displacement=True, allow_disconnected=True).displacement
    with pytest.raises(ParameterError, match="the cell's stiffness is singular"):
        worst_stress(rve, c, u)
    found = worst_stress(rve, c, u, "strain")
    assert found.field[0, 0, 0] == 0.0 and found.field[0, 1, 0] > 0.0
    with pytest.raises(ParameterError, match="loading is 'force', expected one of stress, strain"):
        worst_stress(rve, c, u, "force")


def test_picture_shows_the_layer_of_the_worst_voxel(composite):
    from matplotlib.figure import Figure

    rve, c, result = composite
    found = worst_stress(rve, c, result.displacement)
    ax = found.plot()
    assert ax.get_title() == f"layer {found.voxel[0]} along 1"
    np.testing.assert_allclose(ax.images[0].get_array(), found.field[found.voxel[0]].T)
    given = Figure().add_subplot()
    assert found.plot(given, axis=2, index=1) is given
    np.testing.assert_allclose(given.images[0].get_array(), found.field[:, :, 1].T)
