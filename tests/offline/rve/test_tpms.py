import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve.generators.tpms import SURFACES, surface_field, tpms

MIRROR_SYMMETRIC = ("schwarz-p", "iwp", "frd", "tubular-p")

# (X, Y, Z) / pi and the value there, worked out by hand from the formulas
KNOWN = [
    ("schwarz-p", (0, 0, 0), 3.0),
    ("schwarz-p", (1 / 3, 1 / 2, 1), -0.5),
    ("gyroid", (1 / 4, 1 / 4, 1 / 4), 1.5),
    ("gyroid", (1 / 2, 0, 0), 1.0),
    ("gyroid", (0, 1 / 2, 0), 1.0),
    ("gyroid", (0, 0, 1 / 2), 1.0),
    ("schwarz-d", (0, 0, 0), 1.0),
    ("schwarz-d", (1 / 2, 1 / 2, 1 / 2), -1.0),
    ("iwp", (0, 0, 0), 3.0),
    ("iwp", (0, 0, 1), -5.0),
    ("iwp", (1 / 2, 1 / 2, 1 / 2), 3.0),
    ("frd", (0, 0, 0), 1.0),
    ("frd", (0, 0, 1), -7.0),
    ("frd", (1 / 2, 0, 0), 1.0),
    ("tubular-gyroid", (1 / 4, 1 / 4, 1 / 4), 1.0),
    ("tubular-gyroid", (0, 0, 0), -15.5),
    ("tubular-p", (0, 0, 0), 0.1),
    ("tubular-p", (1, 1, 1), -59.9),
]


@pytest.mark.parametrize(("surface", "angles", "value"), KNOWN)
def test_surface_functions_take_their_known_values(surface, angles, value):
    x = [np.array((a + 1.0) / 2.0) for a in angles]  # X = 2 pi x - pi
    assert surface_field(surface, *x) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("surface", SURFACES)
def test_surface_functions_have_period_one_along_each_axis(surface):
    x = np.random.default_rng(0).random((3, 50))
    for axis in range(3):
        moved = x.copy()
        moved[axis] += 1.0
        np.testing.assert_allclose(
            surface_field(surface, *moved), surface_field(surface, *x), atol=1e-12
        )


@pytest.mark.parametrize("surface", ["schwarz-p", "gyroid"])
def test_level_zero_halves_the_cell_of_balanced_surfaces(surface):
    solid = tpms(surface=surface, n=17, level=0.0).fractions[1]
    assert solid == pytest.approx(0.5, abs=0.01)
    field_sign = tpms(surface=surface, n=17, level=0.0, side="above").fractions[1]
    assert field_sign == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["network", "sheet"])
@pytest.mark.parametrize("surface", SURFACES)
def test_volume_fraction_is_exact_up_to_symmetric_voxels(surface, kind):
    n = 24
    solid = tpms(surface=surface, n=n, kind=kind, volume_fraction=0.3).fractions[1]
    assert abs(solid - 0.3) * n**3 <= 192  # half of the largest orbit, 384 for the D sheet


@pytest.mark.parametrize("kind", ["network", "sheet"])
@pytest.mark.parametrize("surface", MIRROR_SYMMETRIC)
def test_cubic_symmetry_survives_voxelisation(surface, kind):
    phases = tpms(surface=surface, n=14, kind=kind, volume_fraction=0.23).phases
    for axes in ((1, 0, 2), (1, 2, 0)):
        np.testing.assert_array_equal(phases.transpose(axes), phases)
    np.testing.assert_array_equal(phases[::-1], phases)


@pytest.mark.parametrize("surface", ["gyroid", "schwarz-d", "tubular-gyroid"])
def test_threefold_axis_survives_voxelisation(surface):
    phases = tpms(surface=surface, n=15, volume_fraction=0.23).phases
    np.testing.assert_array_equal(phases.transpose(1, 2, 0), phases)


def test_sheet_lies_between_two_offset_networks():
    sheet = tpms(surface="gyroid", n=16, kind="sheet", level=0.2, offset=0.3).phases
    inner = tpms(surface="gyroid", n=16, level=-0.1).phases
    outer = tpms(surface="gyroid", n=16, level=0.5).phases
    np.testing.assert_array_equal(sheet, outer - inner)


def test_sides_of_a_level_complement_each_other():
    below = tpms(surface="iwp", n=15, level=0.4).phases
    above = tpms(surface="iwp", n=15, level=0.4, side="above").phases
    np.testing.assert_array_equal(below + above, 1)


def test_periods_repeat_the_unit_cell():
    one = tpms(surface="frd", n=10, level=0.3).phases
    many = tpms(surface="frd", n=(20, 10, 30), level=0.3, periods=(2, 1, 3)).phases
    np.testing.assert_array_equal(many, np.tile(one, (2, 1, 3)))


def test_tubular_gyroid_is_connected_from_two_percent_on():
    from offline.rve import connectivity

    rve = tpms(surface="tubular-gyroid", n=32, side="above", volume_fraction=0.02)
    assert connectivity(rve).percolates.all()


def test_sheared_cell_keeps_the_voxels_and_their_lattice():
    straight = tpms(surface="G", n=12, level=0.0)
    sheared = tpms(surface="G", n=12, level=0.0, cell=(1, 1, 2, 75, 80, 85))
    np.testing.assert_array_equal(sheared.phases, straight.phases)
    a, b, c = sheared.cell
    lengths = np.linalg.norm(sheared.cell, axis=1)
    np.testing.assert_allclose(lengths, (1, 1, 2))
    cosines = (b @ c / 2, a @ c / 2, a @ b)
    np.testing.assert_allclose(np.degrees(np.arccos(cosines)), (75, 80, 85))


def test_source_records_the_call():
    assert tpms(surface="gyroid", n=8, level=0.1).source == (
        "tpms(surface='gyroid', n=8, level=0.1)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"surface": "q", "level": 0.0}, "surface 'q' is unknown, expected one of schwarz-p, "),
        ({}, "none given, expected exactly one of volume_fraction or level"),
        ({"level": 0.0, "volume_fraction": 0.2}, "volume_fraction and level given, expected"),
        ({"level": 0.0, "offset": 0.2}, "offset belongs to kind 'sheet'"),
        ({"kind": "sheet", "offset": -1.0}, "offset is -1, expected at least 0"),
        ({"kind": "tube", "level": 0.0}, "kind is 'tube', expected network or sheet"),
        ({"side": "left", "level": 0.0}, "side is 'left', expected below or above"),
        ({"volume_fraction": 1.2}, "volume_fraction is 1.2, expected a number strictly between"),
        ({"level": 0.0, "periods": 0}, "periods is 0, expected unit cells per axis"),
        ({"level": 0.0, "cell": (1, 1)}, "cell has 2 numbers, expected 3 edge lengths"),
        ({"level": 0.0, "cell": (1, 1, 1, 30, 30, 90)}, "no parallelepiped has the angles 30, 30"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, message):
    with pytest.raises((ParameterError, ValueError), match=message.replace("(", r"\(")):
        tpms(**{"n": 8, **options})
