"""Closed surfaces: solid where the voxel's centre lies inside."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from matnet.errors import FileFormatError, ParameterError
from offline.rve import read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part.stl"


def test_a_sphere_is_solid_where_the_centre_is_inside(path: Path) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    sphere.export(path)
    rve = read(path, shape=24, cell=(2.5, 2.5, 2.5), origin=(-1.25, -1.25, -1.25))
    centres = (np.indices(rve.shape) + 0.5) * 2.5 / 24 - 1.25
    radius = np.sqrt((centres**2).sum(axis=0))
    clear = np.abs(radius - 1.0) > 0.005  # the facets lie up to 0.001 inside the sphere
    assert (rve.phases == (radius < 1.0))[clear].all()
    assert rve.phase_names == ("void", "solid")


def test_the_box_defaults_to_the_bounding_box(path: Path) -> None:
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    box.export(path)
    rve = read(path, shape=6)
    assert rve.shape == (2, 4, 6)
    assert rve.cell.diagonal() == pytest.approx((1.0, 2.0, 3.0))
    assert rve.fractions.tolist() == [0.0, 1.0]


def test_an_offset_box_fills_exactly_its_voxels(path: Path) -> None:
    box = trimesh.creation.box((0.4, 0.2, 0.6))
    box.apply_translation((0.5, 0.5, 0.5))
    box.export(path, file_type="stl_ascii")
    rve = read(path, shape=(10, 10, 10), cell=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0))
    wanted = np.zeros((10, 10, 10), dtype=int)
    wanted[3:7, 4:6, 2:8] = 1
    assert (rve.phases == wanted).all()


def test_cavities_stay_empty(path: Path) -> None:
    outer, inner = trimesh.creation.box((2.0, 2.0, 2.0)), trimesh.creation.box((1.0, 1.0, 1.0))
    inner.invert()
    trimesh.util.concatenate([outer, inner]).export(path)
    assert read(path, shape=8).fractions[1] == pytest.approx(7 / 8)


def test_open_and_damaged_surfaces_are_refused(path: Path) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=1)
    sphere.update_faces(np.arange(len(sphere.faces)) > 0)
    sphere.export(path)
    with pytest.raises(FileFormatError, match=r"part.stl: the surface is not closed"):
        read(path, shape=4)
    path.write_text("solid nothing\nendsolid nothing\n")
    with pytest.raises(FileFormatError, match=r"part.stl: (holds no triangles|not a readable)"):
        read(path, shape=4)
    path.write_bytes(b"\0" * 80 + b"\xff\xff\xff\x7f" + b"\0" * 50)
    with pytest.raises(FileFormatError, match=r"part.stl: "):
        read(path, shape=4)


def test_bad_hints_are_named(path: Path) -> None:
    trimesh.creation.box((1.0, 1.0, 1.0)).export(path)
    with pytest.raises(ParameterError, match="a surface has no voxels, pass shape"):
        read(path)
    with pytest.raises(ParameterError, match="cell must be three edge lengths > 0"):
        read(path, shape=4, cell=np.ones((3, 3)))
    with pytest.raises(ParameterError, match="cell must be three edge lengths > 0"):
        read(path, shape=4, cell=(1.0, -1.0, 1.0))
    with pytest.raises(ParameterError, match=r"origin is \(0, 1\), expected three numbers"):
        read(path, shape=4, origin=(0, 1))
