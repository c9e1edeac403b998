import itertools
import json
import math

import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError, ShapeError
from offline.rve.generators.cells import cell_vectors
from offline.rve.generators.distance import strut_distance
from offline.rve.generators.lattice import truss, truss_cell
from offline.rve.generators.net import PeriodicNet
from offline.rve.generators.topology import (
    Topology,
    find_topology,
    read_topology,
    topology_names,
)

# joints and struts per unit cell
COUNTS = {
    "simple-cubic": (1, 3),
    "bcc": (2, 8),
    "fcc": (4, 12),
    "octet": (4, 24),
    "kelvin": (12, 24),
    "diamond": (8, 16),
    "rhombic-dodecahedron": (12, 32),
    "cuboctahedron": (3, 12),
    "truncated-cube": (6, 15),
    "reentrant": (7, 27),
    "star": (2, 11),
    "face-center": (4, 15),
    "x-cross-grid": (5, 23),
    "grid-octet": (4, 27),
    "tesseract": (9, 23),
    "vintiles": (12, 24),
}
NOT_CUBIC_ABOUT_THE_CORNER = ("diamond", "vintiles")


def naive_distance(segments, radii, lattice, shape):
    """Relative distance to every copy of every strut within two cells, one by one."""
    field = np.full(shape, np.inf)
    for voxel in np.ndindex(*shape):
        point = (np.array(voxel) + 0.5) / shape @ lattice
        for (a, b), radius in zip(segments, radii, strict=True):
            for shift in itertools.product(range(-3, 4), repeat=3):
                start, end = (a + shift) @ lattice, (b + shift) @ lattice
                along = end - start
                t = np.clip((point - start) @ along / (along @ along), 0.0, 1.0)
                distance = np.linalg.norm(point - start - t * along)
                field[voxel] = min(field[voxel], distance / radius)
    return field


def in_one_piece(topology):
    net = PeriodicNet(len(topology.joints()))
    for i, j, *shift in topology.links().tolist():
        net.join(i, j, shift)
    return net.in_one_piece


def test_all_shipped_topologies_are_listed_here():
    assert set(COUNTS) == set(topology_names())


@pytest.mark.parametrize("name", COUNTS)
def test_shipped_topologies_have_their_joints_and_struts(name):
    topology = find_topology(name)
    assert (len(topology.joints()), len(topology.links())) == COUNTS[name]
    assert in_one_piece(topology)


@pytest.mark.parametrize("name", ["octet", "kelvin", "diamond", "cuboctahedron", "truncated-cube"])
def test_regular_topologies_have_equal_struts(name):
    ends = find_topology(name).segments()
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    np.testing.assert_allclose(length, length[0], rtol=1e-8)


def test_distance_equals_the_naive_one_in_a_sheared_cell():
    rng = np.random.default_rng(1)
    segments = rng.uniform(-0.5, 1.5, (3, 2, 3))
    radii = np.array([1.0, 0.5, 1.7])
    shape = (5, 6, 3)
    lattice = cell_vectors((1.0, 0.8, 1.4, 70, 100, 110), shape)
    np.testing.assert_allclose(
        strut_distance(segments, radii, lattice, shape),
        naive_distance(segments, radii, lattice, shape),
        rtol=1e-12,
    )


@pytest.mark.parametrize("name", [n for n in COUNTS if n not in NOT_CUBIC_ABOUT_THE_CORNER])
def test_cubic_symmetry_survives_voxelisation(name):
    phases = truss(topology=name, n=18, volume_fraction=0.17).phases
    for axes in ((1, 0, 2), (1, 2, 0)):
        np.testing.assert_array_equal(phases.transpose(axes), phases)
    np.testing.assert_array_equal(phases[::-1], phases)


@pytest.mark.parametrize("name", COUNTS)
def test_volume_fraction_is_exact_up_to_symmetric_voxels(name):
    n = 32
    solid = truss(topology=name, n=n, volume_fraction=0.2).fractions[1]
    assert abs(solid - 0.2) * n**3 <= 108  # the largest orbit has 192 voxels


def test_voxels_are_solid_within_the_radius_of_an_axis():
    topology = find_topology("octet")
    distance = strut_distance(
        topology.segments(), topology.segment_radii(), np.eye(3), (13, 13, 13)
    )
    np.testing.assert_array_equal(
        truss(topology="octet", n=13, radius=0.09).phases, distance <= 0.09
    )


def test_simple_cubic_volume_follows_the_closed_form():
    grid = find_topology("simple-cubic")
    rng = np.random.default_rng(0)
    errors = []
    for radius in np.linspace(0.1, 0.2, 16):  # radii and places differ: voxel noise averages out
        moved = Topology(nodes=grid.nodes + rng.random(3), struts=grid.struts)
        exact = 3 * math.pi * radius**2 - 8 * math.sqrt(2) * radius**3
        errors.append(truss_cell(moved, n=64, radius=radius).fractions[1] / exact - 1)
    assert abs(np.mean(errors)) < 1e-3
    assert np.abs(errors).max() < 1.5e-2


def test_parallelepiped_strut_has_its_volume_in_the_physical_metric():
    bar = Topology(nodes=[[0.5, 0.5, 0.0], [0.5, 0.5, 1.0]], struts=[[0, 1]])
    rve = truss_cell(bar, n=(80, 80, 4), radius=0.25, cell=(1, 1, 2, 90, 90, 60))
    exact = math.pi * 0.25**2 * 2 / rve.volume
    assert rve.fractions[1] == pytest.approx(exact, rel=5e-3)


def test_moving_the_topology_by_voxels_rolls_the_cell():
    n, moved_by = 12, (3, 5, 7)
    octet = find_topology("octet")
    moved = Topology(nodes=octet.nodes + np.array(moved_by) / n, struts=octet.struts)
    for options in ({"radius": 0.123}, {"volume_fraction": 0.3}):
        rolled = np.roll(truss_cell(octet, n=n, **options).phases, moved_by, axis=(0, 1, 2))
        np.testing.assert_array_equal(truss_cell(moved, n=n, **options).phases, rolled)


def test_periods_repeat_the_unit_cell():
    one = truss(topology="kelvin", n=10, radius=0.1).phases
    many = truss(topology="kelvin", n=(20, 10, 30), radius=0.1 / 3, periods=(2, 1, 3)).phases
    np.testing.assert_array_equal(many, np.tile(one, (2, 1, 3)))


def test_relative_radii_scale_each_strut(tmp_path):
    path = tmp_path / "bars.json"
    nodes = [[0.25, 0.25, 0], [0.25, 0.25, 1], [0.75, 0.75, 0], [0.75, 0.75, 1]]
    path.write_text(json.dumps({"nodes": nodes, "struts": [[0, 1], [2, 3]], "radii": [1, 2]}))
    phases = truss(topology=str(path), n=(100, 100, 1), radius=0.1).phases
    assert phases[:50, :50].mean() / 4 == pytest.approx(math.pi * 0.1**2, rel=8e-3)
    assert phases[50:, 50:].mean() / 4 == pytest.approx(math.pi * 0.2**2, rel=8e-3)


def test_listing_periodic_copies_of_a_strut_is_harmless():
    corners = list(itertools.product((0, 1), repeat=3))
    edges = [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate(corners), 2)
        if np.abs(np.subtract(a, b)).sum() == 1
    ]
    grid = Topology(nodes=corners, struts=edges)
    assert len(grid.links()) == 3
    np.testing.assert_array_equal(
        truss_cell(grid, n=9, radius=0.2).phases,
        truss(topology="simple-cubic", n=9, radius=0.2).phases,
    )


def test_nets_that_interpenetrate_are_not_in_one_piece():
    twofold = Topology(
        nodes=[[0, 0, 0], [1, 1, 0], [1, -1, 0], [0, 0, 1]], struts=[[0, 1], [0, 2], [0, 3]]
    )
    assert not in_one_piece(twofold)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nodes", "is not JSON"),
        ("[1]", "expected an object with 'nodes' "),
        ('{"nodes": [[0, 0, 0]]}', "expected an object with 'nodes' "),
        ('{"nodes": [[0, 0]], "struts": [[0, 1]]}', "nodes has 2 columns, expected 3"),
        ('{"nodes": [0, 0], "struts": [[0, 1]]}', r"nodes has shape \(2,\), expected one row"),
        ('{"nodes": [[0, 0, 0], [1]], "struts": []}', "nodes is not a table of numbers"),
        ('{"nodes": [[0, 0, "x"]], "struts": [[0, 1]]}', "nodes is not a table of numbers"),
        ('{"nodes": [[0, 0, NaN]], "struts": [[0, 1]]}', "nodes: 1 of 3 values are not finite"),
        ('{"nodes": [[0, 0, 0]], "struts": []}', r"struts has shape \(0,\), expected one row"),
        ('{"nodes": [[0, 0, 0]], "struts": [[0, 0, 1]]}', "struts has 3 columns, expected 2"),
        ('{"nodes": [[0, 0, 0]], "struts": [[0, 1]]}', "strut 0 joins nodes 0 and 1, expected"),
        ('{"nodes": [[0, 0, 0]], "struts": [[0, 0.5]]}', "strut 0 joins nodes 0 and 0.5, expected"),
        ('{"nodes": [[0, 0, 0]], "struts": [[0, 0]]}', "strut 0 has no length: nodes 0 and 0"),
        (
            '{"nodes": [[0, 0, 0], [1, 0, 0]], "struts": [[0, 1]], "radii": [1, 2]}',
            r"radii has shape \(2,\), expected \(1,\)",
        ),
        (
            '{"nodes": [[0, 0, 0], [1, 0, 0]], "struts": [[0, 1]], "radii": [0]}',
            "radii: the smallest is 0, expected > 0",
        ),
        ('{"nodes": [], "struts": [], "edges": []}', "key 'edges' is unknown, expected name, "),
    ],
)
def test_bad_topology_files_are_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "my.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        truss(topology=str(path), n=8, radius=0.1)
    assert str(caught.value).startswith(f"{path}: ")


def test_missing_topology_file_is_named():
    with pytest.raises(FileFormatError, match=r"^gone.json: cannot be read \(No such file"):
        read_topology("gone.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topology": "octett", "radius": 0.1}, "topology 'octett' is unknown, expected the path"),
        ({}, "none given, expected exactly one of volume_fraction or radius"),
        ({"radius": 0.1, "volume_fraction": 0.1}, "volume_fraction and radius given, expected"),
        ({"radius": -0.1}, "radius is -0.1, expected at least 0"),
        ({"radius": math.nan}, "radius is nan, expected at least 0"),
        ({"radius": 0.1, "n": 0}, "n is 0, expected voxels per axis"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, message):
    with pytest.raises(ParameterError, match=message):
        truss(**{"n": 8, **options})


def test_struts_need_finite_whole_indices():
    with pytest.raises(ShapeError, match="struts has 3 columns, expected 2"):
        Topology(nodes=[[0, 0, 0]], struts=[[0, 0, 1]])
