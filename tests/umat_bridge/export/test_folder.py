"""The exported folder: equal bytes, a check that passes, sentences for bad input."""

import re
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import matnet
from matnet.errors import ParameterError
from matnet.phases import CrystalPlasticity, Elastic
from umat_bridge.export import TARGETS, export_material
from umat_bridge.export.mesh import Block

from ..c.cases import LAWS, make_material

MATERIAL = make_material("IMN", LAWS["J2, linear Voce"], depth=2)


def require_tools(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is needed (on Debian: apt-get install gcc gfortran make).")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("target", TARGETS)
def test_exports_are_equal_byte_by_byte(target, tmp_path):
    written = export_material(MATERIAL, tmp_path / "one", target, name="STEEL")
    again = make_material("IMN", LAWS["J2, linear Voce"], depth=2)
    export_material(again, tmp_path / "two", target, name="STEEL")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert [path.as_posix() for path in written] == sorted(one)
    assert {"README.md", "LICENSE", "Makefile", "material.matnet", "src/matnet_umat.h"} <= set(one)


@pytest.mark.parametrize("target", TARGETS)
def test_make_test_reproduces_the_numbers(target, tmp_path):
    require_tools("make", "cc", *(["gfortran"] if target == "lsdyna" else []))
    material = make_material("DMN", LAWS["J2, expanding"], depth=2)
    export_material(material, tmp_path / "out", target, name="STEEL")
    command = ["make", "-s", "test", "CFLAGS=-O1 -fPIC"]
    done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = re.findall(r": good, .* stress (\S+), tangent (\S+)", done.stdout)
    assert len(results) == (2 if target == "abaqus" else 1)
    assert all(float(value) < 1e-10 for row in results for value in row)


def test_check_finds_a_changed_coefficient(tmp_path):
    """One per cent off in the matrix's modulus is seen."""
    require_tools("make", "cc")
    export_material(MATERIAL, tmp_path / "out", "c", name="STEEL")
    stiffer = replace(MATERIAL.phases["solid"], E=202e3)
    MATERIAL.network.with_phases(**{**MATERIAL.phases, "solid": stiffer}).save(
        tmp_path / "out" / "material.matnet"
    )
    command = ["make", "-s", "test", "CFLAGS=-O1 -fPIC"]
    done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode != 0
    assert "WRONG" in done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_texts_have_no_open_words(target, tmp_path):
    export_material(MATERIAL, tmp_path / "out", target, name="STEEL")
    for name, data in contents(tmp_path / "out").items():
        if not name.startswith("src/"):
            assert not re.search(rb"\{\{\w", data), name
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "STEEL" in readme
    assert str(MATERIAL.n_state) in readme or str(MATERIAL.n_state + 36) in readme


def test_depvar_and_nhv_are_in_the_decks(tmp_path):
    for target in ("calculix", "abaqus"):
        export_material(MATERIAL, tmp_path / target, target, name="STEEL")
        for deck in ("one_element.inp", "part.inp"):
            text = (tmp_path / target / deck).read_text()
            assert f"*DEPVAR\n{MATERIAL.n_state}\n" in text
    export_material(MATERIAL, tmp_path / "lsdyna", "lsdyna", name="STEEL")
    lines = (tmp_path / "lsdyna" / "part.k").read_text().splitlines()
    card = lines[lines.index("*MAT_USER_DEFINED_MATERIAL_MODELS") + 1]
    fields = [card[at : at + 10].strip() for at in range(0, 80, 10)]
    assert fields[2:] == ["41", "4", str(MATERIAL.n_state + 36), "1", "1", "2"]


def test_bulk_and_shear_modulus_are_those_of_an_isotropic_material(tmp_path):
    material = matnet.Material.homogeneous(Elastic(E=210.0, nu=0.25))
    export_material(material, tmp_path / "out", "lsdyna", name="STEEL")
    lines = (tmp_path / "out" / "one_element.k").read_text().splitlines()
    values = lines[lines.index("*MAT_USER_DEFINED_MATERIAL_MODELS") + 5]
    assert [float(values[at : at + 10]) for at in (0, 10)] == [140.0, 84.0]


def test_sources_and_templates_are_package_data():
    for name in ("matnet_umat.h", "solvers/abaqus_umat.c", "solvers/lsdyna_umat41.f"):
        assert (files("umat_bridge.c") / name).is_file()
    names = {name for target in TARGETS.values() for name in target.templates.values()}
    for name in names:
        assert (files("umat_bridge.export") / "templates" / name).is_file()


def test_export_carries_the_licence():
    own = files("umat_bridge.export") / "templates" / "LICENSE"
    assert own.read_bytes() == (Path(__file__).parents[3] / "LICENSE").read_bytes()


def test_bricks_of_a_block_are_right_handed_and_fill_it():
    block = Block((6.0, 2.0, 1.0), (3, 2, 2))
    points, bricks = block.points(), block.bricks() - 1
    edges = points[bricks[:, [1, 3, 4]]] - points[bricks[:, [0]]]
    assert np.linalg.det(edges).sum() == pytest.approx(12.0)
    assert (np.linalg.det(edges) > 0.0).all()
    assert (points[block.on(0, 6.0) - 1, 0] == 6.0).all()
    assert len(block.on(0, 6.0)) == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "ansys"}, "target 'ansys' is unknown, expected one of calculix, abaqus, lsdyna, c"),
        ({"name": "My_steel"}, "name 'My_steel' does not fit, expected a capital letter"),
        ({"folder": "nowhere/out"}, "nowhere/out: folder 'nowhere' does not exist. Create it"),
        ({"folder": "file"}, "file: is a file, expected a folder."),
        ({"folder": "full"}, "full: is not empty. Choose another folder or pass --force"),
    ],
)
def test_bad_input_is_one_sentence(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("full").mkdir()
    Path("full/kept").write_text("")
    folder = options.get("folder", "out")
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}"):
        export_material(MATERIAL, folder, options.get("to", "c"), name=options.get("name", "STEEL"))
    assert sorted(path.name for path in Path().iterdir()) == ["file", "full"]


def test_law_without_kernel_in_c_is_one_sentence(tmp_path):
    crystal = CrystalPlasticity(
        C11=168e3, C12=121e3, C44=75e3, g0=16.0, gammadot0=1e-3, n=20.0, h0=0.0
    )
    material = matnet.Material.homogeneous(crystal)
    with pytest.raises(
        ParameterError, match="phase 'solid' has the law 'crystal', which exists in"
    ):
        export_material(material, tmp_path / "out", "c", name="CRYSTAL")


def test_force_replaces_the_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    export_material(MATERIAL, tmp_path / "out", "c", name="STEEL", force=True)
    assert not (tmp_path / "out" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
