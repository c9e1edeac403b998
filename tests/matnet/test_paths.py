"""Load paths: what they prescribe, and the tables they are read from."""

import numpy as np
import pytest

from matnet import paths
from matnet.errors import FileFormatError, ParameterError, ShapeError
from matnet.mandel import SQRT2, from_mandel
from matnet.paths import LoadPath


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "load.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def strain(path):
    """The prescribed tensor at the end."""
    return from_mandel(path.target[-1])


def test_uniaxial_stress_leaves_all_but_one_component_free():
    path = paths.uniaxial_stress("23", 0.02, steps=4, duration=8.0)
    assert np.allclose(path.time, [0, 2, 4, 6, 8]) and path.n_steps == 4
    assert np.allclose(strain(path), [[0, 0, 0], [0, 0, 0.02], [0, 0.02, 0]])
    assert path.stress_controlled.tolist() == [[True] * 5 + [False]] * 5
    assert np.allclose(path.target[1] * 4, path.target[4])


def test_uniaxial_strain_prescribes_all_strains():
    path = paths.uniaxial_strain("22", -0.01)
    assert np.allclose(strain(path), np.diag([0, -0.01, 0])) and not path.stress_controlled.any()
    assert path.n_steps == 40


def test_simple_shear_takes_engineering_shear():
    path = paths.simple_shear("13", 0.02)
    assert np.allclose(strain(path), [[0, 0, 0.01], [0, 0, 0], [0.01, 0, 0]])
    with pytest.raises(ParameterError, match="simple_shear: component '11', expected 12, 13 or 23"):
        paths.simple_shear("11")


def test_biaxial_drives_two_components():
    path = paths.biaxial(("11", "33"), 0.02, ratio=-0.5)
    assert np.allclose(strain(path), np.diag([0.02, 0, -0.01]))
    assert path.stress_controlled[0].tolist() == [False, True, False, True, True, True]
    with pytest.raises(ParameterError, match="expected two different ones"):
        paths.biaxial(("12", "21"))


def test_hydrostatic_changes_volume_only():
    path = paths.hydrostatic(0.01)
    assert np.allclose(strain(path), 0.01 * np.eye(3)) and not path.stress_controlled.any()


@pytest.mark.parametrize(
    "make", [getattr(paths, n) for n in paths.__all__ if n[0] in "bchsu" and n != "creep"]
)
def test_defaults_are_two_percent_in_forty_steps_over_one_time_unit(make):
    path = make()
    largest = np.abs(from_mandel(path.target)).max()
    shear = make is paths.simple_shear  # half of gamma
    assert largest == pytest.approx(0.01 if shear else 0.02) and path.n_steps == 40
    assert path.time[-1] == 1.0 and np.count_nonzero(path.target[10]) in (1, 2, 3)
    if make is paths.biaxial:
        assert path.target[-1, 0] == path.target[-1, 1]


def test_cyclic_meets_its_peaks():
    path = paths.cyclic("11", 0.02, cycles=2, steps=8, duration=2.0)
    wave = np.array([0, 0.01, 0.02, 0.01, 0, -0.01, -0.02, -0.01] * 2 + [0])
    assert np.allclose(path.target[:, 0], wave, atol=1e-16)
    assert path.time[-1] == 4.0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: paths.uniaxial_stress("44"), "component '44' is unknown"),
        (lambda: paths.uniaxial_stress(steps=0), "steps = 0, expected 1 to 1000000"),
        (lambda: paths.uniaxial_stress(steps=2.5), "steps = 2.5, expected a whole number"),
        (
            lambda: paths.uniaxial_stress(amplitude=np.nan),
            "amplitude: 1 of 1 values are not finite",
        ),
        (lambda: paths.uniaxial_stress(duration=0.0), "duration = 0, expected a finite time > 0"),
        (lambda: paths.cyclic(steps=6), "cyclic: 6 steps and 1 cycles, expected a multiple of 4"),
        (lambda: paths.cyclic(cycles=0), "cyclic: 40 steps and 0 cycles"),
        (lambda: paths.cyclic(duration=-1.0), "duration = -1, expected a finite time > 0"),
    ],
)
def test_wrong_arguments_are_named(make, text):
    with pytest.raises(ParameterError) as caught:
        make()
    assert text in str(caught.value)


def test_load_path_checks_itself():
    two, free = np.zeros((2, 6)), np.ones(6, dtype=bool)
    with pytest.raises(ShapeError, match=r"target has shape \(2, 6\), expected \(3, 6\)"):
        LoadPath(time=[0, 1, 2], target=two, stress_controlled=free)
    with pytest.raises(ShapeError, match=r"stress_controlled has shape \(5,\)"):
        LoadPath(time=[0, 1], target=two, stress_controlled=free[:5])
    with pytest.raises(ParameterError, match="time 0 in row 1 follows 0, expected increasing"):
        LoadPath(time=[0, 0], target=two, stress_controlled=free)
    with pytest.raises(ParameterError, match="a path needs at least one step"):
        LoadPath(time=[0], target=two[:1], stress_controlled=free)
    with pytest.raises(ParameterError, match="row 0 of target has to be zero"):
        LoadPath(time=[0, 1], target=two + 1.0, stress_controlled=free)


def test_table_with_strain_stress_and_shear_columns(table):
    path = paths.from_csv(
        table("# pull and twist\ntime,e11,g12,s22\n0,0,0,0\n\n0.5, 0.01, 0.002,3\n2,0.02,0.004,6\n")
    )
    assert np.allclose(path.time, [0, 0.5, 2]) and path.name == "load"
    assert np.allclose(path.target[2], [0.02, 6.0, 0, 0.002 * SQRT2, 0, 0])
    assert path.stress_controlled[1].tolist() == [False, True, True, False, True, True]


def test_table_without_time_or_start_gets_both(table):
    path = paths.from_csv(table("e11\n0.01\n0.03\n"))
    assert path.time.tolist() == [0, 1, 2]
    assert path.target[:, 0].tolist() == [0, 0.01, 0.03]


def test_table_may_change_control_between_rows(table):
    path = paths.from_csv(table("e11,s11\n0.01,\n,0\n"))
    assert path.stress_controlled[1:, 0].tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "has no rows of numbers below a header"),
        ("e11\n", "has no rows of numbers below a header"),
        ("time\n1\n", "header has no component"),
        (
            "e14\n1\n",
            "column 'e14' is unknown, expected t, e11 .. e23, g12 g13 g23, s11 .. s23 or T",
        ),
        ("g11\n1\n", "column 'g11' is unknown"),
        ("e11,e11\n1,1\n", "header e11,e11 repeats a column"),
        ("# c\ne11,e22\n1\n", "line 3: 1 cells, expected 2 as in the header"),
        ("e11\nx\n", "line 2: 'x' is not a number"),
        ("e11,s11\n1,1\n", "line 2: component 11 is given twice"),
        ("e11,s11\n,\n", "line 2: component 11 is empty"),
        ("e12,g12\n1,1\n", "line 2: component 12 is given twice"),
        ("e11\nnan\n", "line 2: 'nan' is not a finite number"),
        ("e11,T\n1,20\n1,inf\n", "line 3: 'inf' is not a finite number"),
        ("time,e11\n2,1\n1,2\n", "line 3: time 1 follows 2, expected increasing"),
        ("t,e11\n0,0\n# held\n1,1\n1,1\n", "line 5: time 1 follows 1, expected increasing"),
        ("t,e11\n-1,0\n1,2\n", "line 2: time -1, expected 0 or later"),
        ("time,e11\n0,1\n1,2\n", "line 2: a path starts at rest, expected zeros at time 0"),
        ('e11\n"1\n', "unexpected end of data"),
        ("t,time,e11\n1,1,1\n", "header t,time,e11 repeats a column"),
        ("t;e11\n1;1\n", "cells are separated by ';', expected commas"),
        ("t\te11\n1\t1\n", "cells are separated by tabs, expected commas"),
        (b"\xff\n1\n", "is not UTF-8 text"),
    ],
)
def test_bad_tables_get_one_sentence_with_their_name(table, text, wanted):
    with pytest.raises(FileFormatError) as caught:
        paths.from_csv(table(text))
    message = str(caught.value)
    assert message.startswith("load.csv: ") and wanted in message


def test_missing_table_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"^none\.csv: cannot be read"):
        paths.from_csv(tmp_path / "none.csv")


def test_mutated_tables_raise_only_file_format_errors(table):
    good = b"time,e11,s22,g12\n0,0,0,0\n1,0.01,2e1,-3\n2,0.02,4e1,-6\n"
    rng = np.random.default_rng(0)
    for _ in range(400):
        text = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            text[rng.integers(len(text))] = rng.choice(list(b'0123456789.-e,"\n\r #s\xff\x00'))
        try:
            paths.from_csv(table(bytes(text)))
        except FileFormatError as wrong:
            assert str(wrong).startswith("load.csv: ")


def test_table_may_hold_a_temperature(table):
    path = paths.from_csv(table("t,e11,T\n0,0,20\n1,0.01,120\n"))
    assert path.temperature.tolist() == [20, 120] and path.time.tolist() == [0, 1]
    assert paths.from_csv(table("t,e11\n1,0.01\n")).temperature is None


def test_ramps_go_through_their_turning_points():
    path = paths.uniaxial_stress("11", [0.02, -0.01], steps=2, duration=3.0)
    assert path.target[:, 0] == pytest.approx([0, 0.01, 0.02, 0.005, -0.01])
    assert path.time == pytest.approx([0, 1.5, 3, 4.5, 6])


def test_creep_and_relaxation_hold_what_they_put_on():
    path = paths.creep("12", 100.0, duration=10.0, steps=2)
    assert path.time == pytest.approx([0, 0.01, 5.01, 10.01])
    assert path.target[:, 3] == pytest.approx(np.array([0, 100, 100, 100]) * SQRT2)
    assert path.stress_controlled.all()
    held = paths.relaxation("22", 0.01, steps=1, ramp=0.5)
    assert held.time == pytest.approx([0, 0.5, 1.5]) and not held.stress_controlled[1, 1]


def test_plane_stress_frees_what_points_out_of_the_plane():
    path = paths.plane_stress("22", 0.01)
    assert path.stress_controlled[1].tolist() == [False, False, True, False, True, True]
    assert np.allclose(strain(path), np.diag([0, 0.01, 0]))


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("uniaxial-22:0.02x8", paths.uniaxial_stress("22", 0.02, steps=8)),
        ("uniaxial:0.02,0@3x5", paths.uniaxial_stress("11", [0.02, 0], steps=5, duration=3.0)),
        ("strain-33:-1e-2", paths.uniaxial_strain("33", -0.01)),
        ("shear-13:0.02@2", paths.simple_shear("13", 0.02, duration=2.0)),
        ("biaxial-11+33:0.02x4", paths.biaxial(("11", "33"), 0.02, steps=4)),
        ("plane-stress-12:0.02", paths.plane_stress("12", 0.02)),
        ("hydrostatic:0.01x2", paths.hydrostatic(0.01, steps=2)),
        ("cyclic-11:0.02@2x8x3", paths.cyclic("11", 0.02, cycles=3, steps=8, duration=2.0)),
        ("creep-11:100@60x6", paths.creep("11", 100.0, duration=60.0, steps=6)),
        ("relaxation-12:0.01@5x3", paths.relaxation("12", 0.01, duration=5.0, steps=3)),
    ],
)
def test_text_says_the_same_as_the_function(text, twin):
    path = paths.from_text(text)
    assert path.name == twin.name and np.array_equal(path.time, twin.time)
    assert np.array_equal(path.target, twin.target)
    assert np.array_equal(path.stress_controlled, twin.stress_controlled)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "cannot be read, expected KIND-COMPONENT:VALUE[@TIME][xSTEPS]"),
        ("uniaxial-11", "cannot be read, expected KIND-COMPONENT:VALUE"),
        ("twist-11:1", "kind 'twist' is unknown, expected one of uniaxial, strain"),
        ("uniaxial-11:ax4", "value 'a' is not a number"),
        ("uniaxial-44:1", "component '44' is unknown"),
        ("uniaxial-11:1x2.5", "steps '2.5', expected a whole number"),
        ("uniaxial-11:1x2x3", "uniaxial takes no cycles"),
        ("cyclic-11:1,2", "cyclic takes one value, not 2"),
        ("hydrostatic-11:1", "hydrostatic takes no component"),
        ("biaxial-11:1", "expected two such as 11+22"),
        ("creep-11:1@soon", "time 'soon' is not a number"),
        ("creep-11:1@0", "duration = 0, expected a finite time > 0"),
    ],
)
def test_bad_text_gets_one_sentence(text, wanted):
    with pytest.raises(ParameterError) as caught:
        paths.from_text(text)
    assert str(caught.value).startswith(f"load '{text}': ") and wanted in str(caught.value)
