import itertools

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve import connectivity
from offline.rve.generators.net import PeriodicNet
from offline.rve.generators.random_truss import random_topology, random_truss

SYMMETRIES = ("none", "orthotropic", "cubic")


def joined(topology):
    net = PeriodicNet(len(topology.joints()))
    for i, j, *shift in topology.links().tolist():
        net.join(i, j, shift)
    return net


@pytest.mark.parametrize(("symmetry", "seed"), [*itertools.product(SYMMETRIES, range(8))])
def test_random_topologies_are_in_one_piece(symmetry, seed):
    topology = random_topology(nodes=1 + seed, symmetry=symmetry, seed=seed)
    assert joined(topology).in_one_piece


@pytest.mark.parametrize("seed", range(3))
def test_random_joints_have_three_struts_and_the_mean_asked_for(seed):
    topology = random_topology(nodes=12, coordination=5.0, seed=seed)
    degree = np.bincount(topology.links()[:, :2].ravel())
    assert degree.min() >= 3
    assert degree.mean() == pytest.approx(5.0, abs=0.2)


@pytest.mark.parametrize(("symmetry", "n"), [("orthotropic", 15), ("cubic", 16)])
def test_random_cells_have_the_symmetry_asked_for(symmetry, n):
    phases = random_truss(
        n=n, volume_fraction=0.2, nodes=3, symmetry=symmetry, radius_spread=0.5, seed=4
    ).phases
    for axis in range(3):
        np.testing.assert_array_equal(np.flip(phases, axis), phases)
    if symmetry == "cubic":
        np.testing.assert_array_equal(phases.transpose(1, 0, 2), phases)
        np.testing.assert_array_equal(phases.transpose(1, 2, 0), phases)


def test_seed_decides_the_cell():
    first, again, other = (random_truss(n=12, radius=0.08, seed=s) for s in (5, 5, 6))
    assert first == again
    assert first != other
    assert first.source == "random_truss(n=12, radius=0.08, seed=5)"


def test_random_truss_percolates_at_low_volume_fraction():
    assert connectivity(random_truss(n=48, volume_fraction=0.1, seed=2)).percolates.all()


def test_radius_spread_scatters_the_radii_about_their_mean():
    even = random_topology(nodes=20, seed=1)
    spread = random_topology(nodes=20, radius_spread=0.3, seed=1)
    np.testing.assert_array_equal(even.radii, 1.0)
    assert spread.radii.mean() == pytest.approx(1.0)
    assert np.log(spread.radii).std() == pytest.approx(0.3, rel=0.25)  # 60 struts


def test_seeds_give_a_hundred_topologies():
    signatures = {
        tuple(random_topology(nodes=4, symmetry="cubic", seed=seed).segments().ravel().round(6))
        for seed in range(130)
    }
    assert len(signatures) >= 100  # some small symmetric nets come twice


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 0}, "nodes is 0, expected an integer, 1 to 64"),
        ({"coordination": 2.0}, "coordination is 2, expected 3 to 14"),
        ({"symmetry": "tetragonal"}, "symmetry is 'tetragonal', expected none, orthotropic or"),
        ({"radius_spread": -1.0}, "radius_spread is -1, expected 0 to 1"),
        ({"seed": -1}, "seed is -1, expected an integer, 0 or more"),
        ({"volume_fraction": 0.2}, "volume_fraction and radius given, expected exactly one"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, message):
    with pytest.raises(ParameterError, match=message):
        random_truss(**{"n": 8, "radius": 0.1, **options})
