import itertools
import math

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve import connectivity
from offline.rve.generators.cells import cell_vectors
from offline.rve.generators.distance import blended_distance, strut_distance, wall_distances
from offline.rve.generators.lattice import truss
from offline.rve.generators.shells import FOAMS, PLATES, foam, plate, shell
from offline.rve.generators.topology import find_topology, topology_names

SHIFTS = np.array(list(itertools.product(range(-3, 4), repeat=3)))
NOT_CUBIC_ABOUT_THE_CORNER = ("diamond", "vintiles")
CUBIC = [
    *[(shell, name) for name in topology_names() if name not in NOT_CUBIC_ABOUT_THE_CORNER],
    *[(plate, name) for name in PLATES],
    *[(foam, name) for name in ("cube", "kelvin", "rhombic-dodecahedron")],
]


def centres(shape, lattice):
    return [(np.array(v) + 0.5) / shape @ lattice for v in np.ndindex(*shape)]


def naive_blend(segments, radii, blend, point, lattice):
    """Smooth minimum over all copies within three cells."""
    total = 0.0
    for (a, b), radius in zip(segments, radii, strict=True):
        start, end = (a + SHIFTS) @ lattice, (b + SHIFTS) @ lattice
        along = end - start
        t = np.clip(((point - start) * along).sum(1) / (along**2).sum(1), 0.0, 1.0)
        distance = np.linalg.norm(point - start - t[:, None] * along, axis=1)
        total += np.exp(-distance / (radius * blend)).sum()
    return -blend * math.log(total)


def test_smooth_minimum_and_its_gradient_equal_the_naive_ones():
    rng = np.random.default_rng(2)
    segments, radii, blend = rng.random((3, 2, 3)), np.array([1.0, 0.7, 1.5]), 0.05
    shape = (3, 4, 2)
    lattice = cell_vectors((1.0, 1.2, 0.9, 75, 80, 95), shape)
    field, slope = blended_distance(segments, radii, blend, lattice, shape)
    for x, value, size in zip(centres(shape, lattice), field.flat, slope.flat, strict=True):
        assert value == pytest.approx(naive_blend(segments, radii, blend, x, lattice), abs=1e-9)
        gradient = [
            naive_blend(segments, radii, blend, x + h, lattice)
            - naive_blend(segments, radii, blend, x - h, lattice)
            for h in 1e-5 * np.eye(3)
        ]
        assert size == pytest.approx(np.linalg.norm(gradient) / 2e-5, abs=1e-6)


def test_smooth_minimum_without_blend_is_the_distance():
    net = find_topology("kelvin")
    arguments = (net.segments(), net.segment_radii())
    field, slope = blended_distance(*arguments, 0.0, np.eye(3), (9, 9, 9))
    np.testing.assert_array_equal(field, strut_distance(*arguments, np.eye(3), (9, 9, 9)))
    np.testing.assert_allclose(slope, 1.0, rtol=1e-12)


def test_sharp_shell_is_a_thick_truss_less_a_thin_one():
    skin = shell(topology="bcc", n=20, tube_radius=0.15, thickness=0.06, blend=0.0).phases
    outer = truss(topology="bcc", n=20, radius=0.18).phases
    inner = truss(topology="bcc", n=20, radius=0.12 - 1e-12).phases
    np.testing.assert_array_equal(skin, outer - inner)


def test_thin_shell_follows_the_area_of_its_tube():
    # far from joints the blended skin is a round tube: 2 pi R t per length
    solid = shell(
        topology="simple-cubic",
        n=(1, 400, 400),
        tube_radius=0.2,
        thickness=0.05,
        blend=0.002,
        cell=(1, 1, 1),
    ).phases[0, :, :]  # the slice half-way between joints
    assert solid.mean() == pytest.approx(2 * math.pi * 0.2 * 0.05, rel=5e-3)


def test_shell_encloses_the_fraction_asked_for():
    thin = shell(topology="octet", n=32, enclosed=0.4, thickness=0.03)
    void = connectivity(thin.with_phases(1 - thin.phases))
    inside = min(void.sizes[:2]) / thin.phases.size  # two labyrinths, less half the skin each
    assert inside + 0.5 * thin.fractions[1] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("topology", topology_names())
def test_shells_of_all_trusses_percolate_in_all_directions(topology):
    found = connectivity(shell(topology=topology, n=24, volume_fraction=0.25))
    assert found.percolates.all()
    assert found.sizes.max() > 0.97 * found.sizes.sum()  # crumbs where the grid is too coarse


@pytest.mark.parametrize(("family", "topology"), CUBIC)
def test_cubic_symmetry_survives_voxelisation(family, topology):
    phases = family(topology=topology, n=14, volume_fraction=0.25).phases
    for axes in ((1, 0, 2), (1, 2, 0)):
        np.testing.assert_array_equal(phases.transpose(axes), phases)
    np.testing.assert_array_equal(phases[::-1], phases)


@pytest.mark.parametrize("topology", PLATES)
def test_plate_volume_fraction_is_exact_up_to_symmetric_voxels(topology):
    n = 32
    solid = plate(topology=topology, n=n, volume_fraction=0.2).fractions[1]
    assert abs(solid - 0.2) * n**3 <= 96


def test_plates_along_cube_faces_have_their_closed_form():
    rve = plate(topology="sc", n=40, thickness=0.2, periods=2, cell=(1, 2, 4))
    lengths = 1 - 0.2 / (np.array((1, 2, 4)) / 2)
    assert rve.fractions[1] == pytest.approx(1 - lengths.prod(), abs=1e-12)


def test_octet_plates_are_the_planes_through_octet_joints():
    # {111} plates of thickness t leave, per cell of edge 1, 4 octahedra of inradius
    # 1/sqrt(6) * 1/sqrt(2) and 8 tetrahedra of inradius 1/sqrt(24) * 1/sqrt(2), all less t/2
    t = 10 / (90 * math.sqrt(3))  # ten layers of voxels
    octahedron = 4 * math.sqrt(3) * (math.sqrt(1 / 12) - t / 2) ** 3
    tetrahedron = 8 * math.sqrt(3) * (math.sqrt(1 / 48) - t / 2) ** 3
    exact = 1 - 4 * octahedron - 8 * tetrahedron
    assert plate(topology="fcc", n=90, thickness=t).fractions[1] == pytest.approx(exact, rel=5e-3)


def test_kelvin_foam_has_its_closed_form():
    # two truncated octahedra per cell: hexagons at h, squares at d from the centre, less t/2
    t = 0.07
    h, d = math.sqrt(3) / 4 - t / 2, 0.5 - t / 2
    cell = 4 * math.sqrt(3) * h**3 - 4 * (math.sqrt(3) * h - d) ** 3
    rve = foam(topology="kelvin", n=90, thickness=t)
    assert rve.fractions[1] == pytest.approx(1 - 2 * cell, rel=5e-3)


def test_cube_foam_equals_cube_plates():
    walls = foam(topology="cube", n=12, thickness=0.3).phases
    np.testing.assert_array_equal(walls, plate(topology="sc", n=12, thickness=0.3).phases)


def test_wall_distance_equals_the_naive_one_in_a_sheared_cell():
    seeds, shape = np.random.default_rng(3).random((5, 3)), (5, 9, 4)
    lattice = cell_vectors((1.0, 1.5, 0.8, 70, 95, 100), shape)
    points = (seeds[:, None] + SHIFTS).reshape(-1, 3) @ lattice
    nearest, _ = wall_distances(seeds, lattice, shape)
    for x, value in zip(centres(shape, lattice), nearest.flat, strict=True):
        d = np.linalg.norm(points - x, axis=1)
        own = np.argmin(d)
        gap = np.linalg.norm(points - points[own], axis=1)
        walls = np.delete(d**2 - d[own] ** 2, own) / (2 * np.delete(gap, own))
        assert value == pytest.approx(walls.min(), abs=1e-12)


def test_random_foam_depends_on_its_seed_only():
    first, again, other = (
        foam(topology="random", n=12, volume_fraction=0.3, seed=s) for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("topology", [*FOAMS, "random"])
def test_foams_close_every_cell(topology):
    rve = foam(topology=topology, n=32, thickness=0.1, seeds=5)
    void = connectivity(rve.with_phases(1 - rve.phases))
    assert len(void.sizes) == len(FOAMS.get(topology, range(5)))
    assert not void.percolates.any()


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        (shell, {}, "none given, expected exactly one of thickness or volume_fraction"),
        (shell, {"thickness": -1}, "thickness is -1, expected at least 0"),
        (shell, {"thickness": 0.1, "blend": -0.1}, "blend is -0.1, expected at least 0"),
        (shell, {"thickness": 0.1, "enclosed": 0}, "enclosed is 0, expected a number strictly"),
        (shell, {"thickness": 0.1, "enclosed": 0.5, "tube_radius": 0.1}, "expected exactly one of"),
        (shell, {"thickness": 0.1, "tube_radius": 2}, "tube_radius 2 leaves no skin: between"),
        (shell, {"thickness": 0.1, "topology": "q"}, "topology 'q' is unknown"),
        (plate, {"thickness": 0.1, "topology": "q"}, "topology 'q' is unknown, expected one of sc"),
        (foam, {"thickness": 0.1, "topology": "q"}, "topology 'q' is unknown, expected one of cub"),
        (foam, {"thickness": 0.1, "topology": "random", "seeds": 1}, "seeds is 1, expected an int"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(family, options, message):
    with pytest.raises(ParameterError, match=message):
        family(**{"n": 8, **options})
