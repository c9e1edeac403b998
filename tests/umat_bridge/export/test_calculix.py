"""CalculiX with the exported material: one element against `matnet.drive`, failures, threads."""

from importlib.resources import files

import numpy as np
import pytest

import matnet
from matnet.mandel import ABAQUS, from_mandel
from matnet.phases import (
    J2,
    DuctileDamage,
    Elastic,
    LemaitreDamage,
    LinearVoce,
    ThermalExpansion,
    read_phases,
)
from umat_bridge.export import cube_deck, export_material
from umat_bridge.export.cube import material_lines
from umat_bridge.export.decks import there_and_back
from umat_bridge.export.expected import reference_temperature
from umat_bridge.export.mesh import CORNERS

from ...calculix import MISSING_EXTERNAL, dat_tables, find_ccx_build, run_ccx
from ..c.cases import LAWS, VOCE, make_material
from .conftest import FLAGS, make

TOL = 1e-6  # CalculiX prints seven digits, which is 5e-7 at worst
STEEL = J2(E=200e3, nu=0.3, hardening=LinearVoce(sig_y=250.0, H=1e3, Q=80.0, b=15.0))
PATHS = (
    "uniaxial-11:0.004x12",
    "uniaxial-33:-0.003x8",
    "shear-12:0.004x10",
    "shear-23:0.004x10",
    "strain-22:0.003x8",
    "biaxial-11+33:0.003x8",
    "cyclic-22:0.003x24",
)
ONE_OF_EACH_KERNEL = (
    "J2, expanding",
    "J2, Chaboche",
    "Perzyna",
    "viscoelastic",
    "damage",
    "ductile damage",
    "Drucker-Prager",
)


def truss():
    """The shipped octet truss of aluminium."""
    data = files("fe_examples") / "data"
    network = matnet.load(data / "truss.matnet")
    return network.with_phases(**read_phases(data / "aluminium_j2.toml", network.phase_names))


def on_one_element(calculix, name, material, path, folder, **options):
    """Stress (n, 6) and strain (n, 6), plain components, after each step."""
    known = calculix.add(name, material)
    deck = cube_deck(path, material_lines(known, material.n_state), known, **options)
    tables, _ = calculix.run(deck, folder)
    stress, strain = (
        np.array(next(table for title, table in tables.items() if title.startswith(word)))
        for word in ("stresses", "strains")
    )
    # the field is uniform: eight points with the same stress
    spread = np.ptp(stress[:, :, 2:], axis=1)
    assert spread.max() <= TOL * np.abs(stress[:, :, 2:]).max()
    return stress[:, 0, 2:], strain[:, 0, 2:]


def assert_same(calculix, name, material, path, folder, tol=TOL):
    response = matnet.drive(material, path)
    start = reference_temperature(material)
    stress, strain = on_one_element(calculix, name, material, path, folder, temperature=start)
    expected = ABAQUS.stress_from_mandel(response.stress[1:])
    np.testing.assert_allclose(stress, expected, atol=tol * np.abs(expected).max(), rtol=0.0)
    expected = ABAQUS.strain_from_mandel(response.strain[1:]) / [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(strain, expected, atol=tol * np.abs(expected).max(), rtol=0.0)


@pytest.mark.parametrize("path", PATHS)
def test_element_of_fibre_composite_answers_as_drive(calculix, path, tmp_path):
    material = make_material("IMN", STEEL)
    assert_same(calculix, "imn", material, matnet.paths.from_text(path), tmp_path)


def test_element_of_dmn_answers_as_drive(calculix, tmp_path):
    path = matnet.paths.from_text("cyclic-11:0.003x20")
    assert_same(calculix, "dmn", make_material("DMN", STEEL), path, tmp_path)


def test_element_of_truss_answers_as_drive(calculix, tmp_path):
    path = matnet.paths.from_text("cyclic-11:0.01x20")
    assert_same(calculix, "truss", truss(), path, tmp_path)


@pytest.mark.parametrize("law", ONE_OF_EACH_KERNEL)
def test_element_with_every_law_answers_as_drive(calculix, law, tmp_path):
    path = matnet.paths.from_text("uniaxial-11:0.004x10")
    material = make_material("IMN", LAWS[law], depth=2)
    name = "".join(c for c in law if c.isalnum())[:20]
    assert_same(calculix, name, material, path, tmp_path)


def test_linear_material_answers_as_drive(calculix, tmp_path):
    material = make_material("DMN", Elastic(E=200e3, nu=0.3))
    assert material.n_state == 0
    assert_same(calculix, "linear", material, matnet.paths.from_text("shear-13:0.001x2"), tmp_path)


def test_element_heated_under_constraint_answers_as_drive(calculix, tmp_path):
    material = make_material("IMN", ThermalExpansion(STEEL, 1.2e-5, 293.15))
    time = np.linspace(0.0, 1.0, 9)
    path = matnet.paths.LoadPath(
        time=time,
        target=np.zeros((9, 6)),
        stress_controlled=np.array([False, True, True, True, True, True]),
        temperature=293.15 + 150.0 * time,
        name="heating",
    )
    response = matnet.drive(material, path)
    assert abs(response.stress[-1, 0]) > 100.0  # compressed by what it cannot expand
    assert_same(calculix, "heated", material, path, tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A material, and the folder with its compiled export."""
    material = make_material("IMN", STEEL)
    folder = tmp_path_factory.mktemp("export") / "out"
    export_material(material, folder, "calculix", name="STEEL")
    make(folder, FLAGS)
    return material, folder


def test_compiled_in_material_needs_no_file(calculix, exported):
    material, folder = exported
    run_ccx(calculix.program, folder / "one_element.inp", LD_LIBRARY_PATH=str(folder))
    tables = dat_tables(folder / "one_element.dat")
    stress = next(
        np.array(table) for title, table in tables.items() if title.startswith("stresses")
    )
    expected = ABAQUS.stress_from_mandel(matnet.drive(material, there_and_back()).stress[1:])
    size = np.abs(expected).max()
    np.testing.assert_allclose(stress[:, 0, 2:], expected, atol=TOL * size, rtol=0.0)


def test_exported_part_runs_the_same_on_two_threads(calculix, exported):
    folder = exported[1]
    results = []
    for threads in ("1", "2"):
        env = {"LD_LIBRARY_PATH": str(folder), "OMP_NUM_THREADS": threads}
        run_ccx(calculix.program, folder / "part.inp", **env)
        results.append(dat_tables(folder / "part.dat"))
    one, two = results
    assert one.keys() == two.keys()
    for title, tables in one.items():
        size = max(np.abs(table[:, -3:]).max() for table in tables)
        for first, second in zip(tables, two[title], strict=True):  # sums in another order
            np.testing.assert_allclose(second, first, atol=1e-6 * size, rtol=0.0)


def test_failing_point_cuts_the_increment(calculix, tmp_path):
    """Ductile damage has no solution for the whole load at once, but in parts."""
    law = DuctileDamage(E=200e3, nu=0.3, hardening=VOCE, damage=LemaitreDamage(S=0.5))
    material = make_material("IMN", law)
    strain = direction_that_needs_parts(material)
    path = matnet.paths.LoadPath(
        time=[0.0, 1.0], target=[np.zeros(6), strain], stress_controlled=np.zeros(6, dtype=bool)
    )
    name = calculix.add("ductile", material)
    deck = cube_deck(path, material_lines(name, material.n_state), name)
    deck = deck.replace("*STATIC,DIRECT\n1,1\n", "*STATIC\n1.,1.,1e-4,1.\n")
    tables, log = calculix.run(deck, tmp_path)
    assert "decrease requested by a material user routine (through pnewdt)" in log
    state = material.initial_state(1)
    times = increments_taken(tmp_path / "job.sta")
    assert len(times) > 2
    for before, time in zip([0.0, *times[:-1]], times, strict=True):
        update = material.update(time * strain[None], time - before, state)
        state = update.state
    stress = next(table[-1] for title, table in tables.items() if title.startswith("stresses"))
    expected = ABAQUS.stress_from_mandel(update.stress[0])
    np.testing.assert_allclose(stress[0, 2:], expected, atol=TOL * np.abs(expected).max(), rtol=0.0)


def direction_that_needs_parts(material, size=0.02, n=400, parts=64):
    """A strain (6,) that fails in one step of a random search, but not in many."""
    strain = np.random.default_rng(0).normal(size=(n, 6))
    strain *= size / np.linalg.norm(strain, axis=1)[:, None]
    failed = material.update(strain, 1.0, material.initial_state(n)).status != 0
    good, state = failed.copy(), material.initial_state(n)
    for part in range(parts):
        update = material.update(strain * (part + 1) / parts, 1.0 / parts, state)
        state = update.state
        good &= update.status == 0
    return strain[np.flatnonzero(good)[0]]


def increments_taken(path):
    """Times at the end of the increments that CalculiX accepted."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [float(row[4]) for row in rows if len(row) == 7 and row[0].isdigit()]


def test_too_few_state_variables_are_one_sentence(calculix, tmp_path):
    material = make_material("IMN", STEEL)
    name = calculix.add("few", material)
    path = matnet.paths.from_text("strain-11:0.001x2")
    deck = cube_deck(path, material_lines(name, 7), name)
    with pytest.raises(
        AssertionError,
        match=rf"matnet: the material has {material.n_state} state "
        r"variables, the deck gives room for 7. Write",
    ):
        calculix.run(deck, tmp_path)


def test_missing_material_file_is_one_sentence(calculix, tmp_path):
    name = "@ABAQUS_ANY@NOWHERE"
    deck = cube_deck(matnet.paths.from_text("strain-11:0.001x2"), material_lines(name, 7), name)
    with pytest.raises(AssertionError, match=r"matnet: nowhere.matnet: cannot be opened"):
        calculix.run(deck, tmp_path)


def test_linked_material_gives_the_loaded_ones_numbers(exported, calculix):
    build = find_ccx_build()
    if build is None:
        pytest.skip(MISSING_EXTERNAL)
    folder = exported[1]
    make(folder, "ccx", f"RELINK={build / 'relink'}", FLAGS)
    deck = (folder / "one_element.inp").read_text()
    (folder / "linked.inp").write_text(deck.replace("@ABAQUS_STEEL", "ABAQUSSTEEL"))
    run_ccx(calculix.program, folder / "one_element.inp", LD_LIBRARY_PATH=str(folder))
    run_ccx(folder / "ccx_steel", folder / "linked.inp")
    assert (folder / "linked.dat").read_text() == (folder / "one_element.dat").read_text()


def test_stress_turns_with_large_rotations(calculix, tmp_path):
    """With NLGEOM: stretched by 0.2 %, then turned by 60 degrees, the principal stresses stay."""
    material = make_material("IMN", STEEL)
    name = calculix.add("turned", material)
    tables, _ = calculix.run(turning_deck(name, material.n_state), tmp_path)
    stress = next(np.array(table) for title, table in tables.items() if "stresses" in title)
    principal = np.linalg.eigvalsh(from_mandel(ABAQUS.stress_to_mandel(stress[:, 0, 2:])))
    stretched, turned = principal[3], principal[4:]
    assert stretched[2] > 500.0
    np.testing.assert_allclose(turned, np.tile(stretched, (4, 1)), rtol=3e-6)


def turning_deck(name, n_state, parts=4, stretch=2e-3, angle=np.pi / 3.0):
    """The cube stretched along 1 and turned about 3, a step for each part."""
    lines = ["*NODE", *(f"{n + 1},{x},{y},{z}" for n, (x, y, z) in enumerate(CORNERS))]
    lines += ["*ELEMENT,TYPE=C3D8,ELSET=CUBE", "1,1,2,3,4,5,6,7,8", *material_lines(name, n_state)]
    lines.append(f"*SOLID SECTION,ELSET=CUBE,MATERIAL={name}")
    for part in range(1, 2 * parts + 1):
        a = angle * max(part - parts, 0) / parts
        rotation = [[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]]
        gradient = rotation @ np.diag([1.0 + stretch * min(part, parts) / parts, 1.0, 1.0])
        moved = np.array(CORNERS) @ (gradient - np.eye(3)).T
        lines += ["*STEP,NLGEOM", "*STATIC,DIRECT", "1.,1.", "*BOUNDARY"]
        lines += [
            f"{n + 1},{k + 1},{k + 1},{u:.15g}"
            for n, row in enumerate(moved)
            for k, u in enumerate(row)
        ]
        lines += ["*EL PRINT,ELSET=CUBE", "S", "*END STEP"]
    return "\n".join(lines) + "\n"
