"""VTK images and voxel meshes: axis order, lattice vectors, names, damage."""

from pathlib import Path

import meshio
import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError
from offline.rve import Rve, read, write

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
PHASES = np.random.default_rng(4).integers(0, 3, (3, 4, 5))

DAMASK_GEOMETRY = """<?xml version="1.0"?>
<VTKFile type="ImageData" version="0.1" byte_order="LittleEndian">
  <ImageData WholeExtent="0 2 0 3 0 1" Origin="0 0 0" Spacing="0.5 0.5 2">
    <Piece Extent="0 2 0 3 0 1">
      <CellData>
        <DataArray type="Int64" Name="material" format="ascii"> 1 2 3 1 1 7 </DataArray>
      </CellData>
    </Piece>
  </ImageData>
</VTKFile>
"""


def test_an_image_keeps_everything(tmp_path: Path) -> None:
    rve = Rve(
        phases=PHASES,
        cell=np.diag([1.5, 2.0, 2.5]) @ TURN,
        phase_names=("void", "a", "b", "unused"),
        density=np.random.default_rng(5).random(PHASES.shape),
        orientations=np.array([np.eye(3), TURN, TURN.T, np.eye(3)]),
    )
    path = tmp_path / "cell.vti"
    write(path, rve)
    back = read(path)
    assert (back.phases == rve.phases).all()
    assert back.phase_names == rve.phase_names
    assert back.cell == pytest.approx(rve.cell, rel=1e-12)
    assert back.density == pytest.approx(rve.density, rel=1e-15)
    assert back.orientations == pytest.approx(rve.orientations, rel=1e-15)


def test_a_sheared_cell_has_no_image(tmp_path: Path) -> None:
    cell = np.array([[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ParameterError, match="lattice vectors are not orthogonal"):
        write(tmp_path / "a.vti", Rve(phases=PHASES, cell=cell))
    assert list(tmp_path.iterdir()) == []


def test_damask_geometry_has_x1_fastest(tmp_path: Path) -> None:
    path = tmp_path / "grid.vti"
    path.write_text(DAMASK_GEOMETRY)
    rve = read(path)
    assert rve.shape == (2, 3, 1)
    assert rve.phase_names == ("phase1", "phase2", "phase3", "phase7")
    assert rve.phases[:, :, 0].tolist() == [[0, 2, 0], [1, 0, 3]]
    assert rve.cell.diagonal().tolist() == [1.0, 1.5, 2.0]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"material"', '"temperature"', None),
        ("CellData", "PointData", r"cannot tell which cell array holds the phases \(found: none"),
        ("0 2 0 3 0 1", "0 2 0 3 0 0", "axis 2 is empty|not a readable|has .* cells"),
        ("0 2 0 3 0 1", "0 90000 0 90000 0 90000", "the header claims an array"),
        ("ImageData", "PolyData", "no VTK ImageData header"),
        (" 1 2 3 1 1 7 ", " 1 2 ", "not a readable|has .* values"),
        ("</CellData>", "", "not a readable"),
    ],
)
def test_changed_images(tmp_path: Path, old: str, new: str, sentence: str | None) -> None:
    path = tmp_path / "grid.vti"
    path.write_text(DAMASK_GEOMETRY.replace(old, new))
    if sentence is None:
        assert read(path).n_phases == 4
        return
    with pytest.raises(FileFormatError, match=sentence) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_the_field_hint_picks_an_array(tmp_path: Path) -> None:
    path = tmp_path / "grid.vti"
    path.write_text(DAMASK_GEOMETRY)
    assert read(path, field="material").n_phases == 4
    assert read(path, field="material", threshold=(3,)).phases.sum() == 2
    with pytest.raises(FileFormatError, match=r"no cell array 'x' \(found: 'material'\)"):
        read(path, field="x")


def test_truncated_images_raise_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cell.vti"
    write(path, Rve(phases=PHASES))
    good = path.read_bytes()
    for cut in np.random.default_rng(1).integers(1, len(good), 30):
        path.write_bytes(good[:cut])
        try:
            read(path)
        except FileFormatError as wrong:
            assert str(wrong).startswith(str(path))
    assert capfd.readouterr() == ("", "")


def voxel_mesh(cell: np.ndarray, seed: int = 0) -> meshio.Mesh:
    """The grid of PHASES as hexahedra in random order."""
    shape = np.array(PHASES.shape)
    nodes = np.array(list(np.ndindex(*(shape + 1)))) / shape @ cell + 0.3
    number = np.arange(len(nodes)).reshape(shape + 1)
    ring = [(0, 0), (1, 0), (1, 1), (0, 1)]
    order = np.random.default_rng(seed).permutation(PHASES.size)
    voxels = np.array(list(np.ndindex(*PHASES.shape)))[order]
    hexahedra = [
        [number[i + a, j + b, k + c] for c in (0, 1) for a, b in ring] for i, j, k in voxels
    ]
    tags = PHASES.ravel()[order] + 1
    return meshio.Mesh(nodes, [("hexahedron", np.array(hexahedra))], cell_data={"phases": [tags]})


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
@pytest.mark.parametrize(
    "cell", [np.diag([1.0, 2.0, 3.0]), np.array([[1.0, 0, 0], [0.3, 1.2, 0], [0.1, 0.2, 0.9]])]
)
def test_a_voxel_mesh_becomes_its_grid(tmp_path: Path, suffix: str, cell: np.ndarray) -> None:
    path = tmp_path / f"mesh{suffix}"
    voxel_mesh(cell).write(path)
    rve = read(path)
    assert (rve.phases == PHASES).all()
    assert rve.phase_names == ("phase1", "phase2", "phase3")
    assert rve.cell == pytest.approx(cell, abs=1e-9)


def test_legacy_structured_points_have_x1_fastest(tmp_path: Path) -> None:
    path = tmp_path / "grid.vtk"
    path.write_text(
        "# vtk DataFile Version 3.0\ntest\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 3 4 2\n"
        "ORIGIN 0 0 0\nSPACING 0.5 0.5 2\nCELL_DATA 6\nSCALARS material int 1\n"
        "LOOKUP_TABLE default\n1 2 3 1 1 7\n"
    )
    rve = read(path)
    assert rve.phases[:, :, 0].tolist() == [[0, 2, 0], [1, 0, 3]]
    assert rve.cell.diagonal() == pytest.approx((1.0, 1.5, 2.0))


def test_gmsh_names_of_physical_volumes_are_kept(tmp_path: Path) -> None:
    mesh = voxel_mesh(np.eye(3))
    tags = mesh.cell_data.pop("phases")
    mesh.cell_data = {"gmsh:physical": tags, "gmsh:geometrical": tags}
    mesh.field_data = {"matrix": np.array([1, 3]), "fibre": np.array([3, 3])}
    path = tmp_path / "mesh.msh"
    meshio.gmsh.write(str(path), mesh, "2.2", binary=False)
    rve = read(path)
    assert rve.phase_names == ("matrix", "phase2", "fibre")
    assert (rve.phases == PHASES).all()


def test_meshes_that_are_no_voxel_grid_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mesh.vtu"
    mesh = voxel_mesh(np.eye(3))
    holes = meshio.Mesh(
        mesh.points,
        [("hexahedron", mesh.cells[0].data[:-1])],
        cell_data={"phases": [mesh.cell_data["phases"][0][:-1]]},
    )
    holes.write(path)
    with pytest.raises(FileFormatError, match="59 elements do not fill the grid of 3 x 4 x 5"):
        read(path)
    bent = voxel_mesh(np.eye(3))
    bent.points[:, 0] **= 2
    bent.write(path)
    with pytest.raises(FileFormatError, match="do not lie on a regular grid"):
        read(path)
    tetra = meshio.Mesh(np.eye(4)[:, :3], [("tetra", [[0, 1, 2, 3]])])
    tetra.write(path)
    with pytest.raises(FileFormatError, match="has elements tetra, expected hexahedra only"):
        read(path)
    path.write_text("<VTKFile")
    with pytest.raises(FileFormatError, match=r"mesh.vtu: not a readable .vtu mesh"):
        read(path)


@pytest.mark.parametrize("mode", ["ascii", "binary", "appended", "appended raw"])
@pytest.mark.parametrize("compressor", ["None", "ZLib", "LZMA"])
@pytest.mark.parametrize("header", [32, 64])
def test_files_written_by_vtk_are_understood(
    tmp_path: Path, mode: str, compressor: str, header: int
) -> None:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

    phases = np.random.default_rng(6).integers(0, 3, (30, 20, 50))
    image = vtkImageData()
    image.SetDimensions(31, 21, 51)
    image.SetSpacing(0.5, 0.25, 2.0)
    array = numpy_to_vtk(phases.astype(np.float64).ravel(order="F"), deep=True)
    array.SetName("material")
    image.GetCellData().AddArray(array)  # 240 kB: several blocks
    writer = vtkXMLImageDataWriter()
    path = tmp_path / "grid.vti"
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    getattr(writer, f"SetDataModeTo{mode.split()[0].capitalize()}")()
    writer.SetEncodeAppendedData(not mode.endswith("raw"))
    getattr(writer, f"SetCompressorTypeTo{compressor}")()
    getattr(writer, f"SetHeaderTypeToUInt{header}")()
    assert writer.Write()
    rve = read(path)
    assert (rve.phases == phases).all()
    assert rve.cell.diagonal().tolist() == [15.0, 5.0, 100.0]


def test_vtk_reads_what_we_write(tmp_path: Path) -> None:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader

    path = tmp_path / "cell.vti"
    rve = Rve(phases=PHASES, cell=np.diag([3.0, 8.0, 15.0]), phase_names=("void", "Ölfilm", "c"))
    write(path, rve)
    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    assert image.GetDimensions() == (4, 5, 6)
    assert image.GetSpacing() == (1.0, 2.0, 3.0)
    values = vtk_to_numpy(image.GetCellData().GetArray("phases"))
    assert (values.reshape(PHASES.shape, order="F") == PHASES).all()
    assert image.GetFieldData().GetAbstractArray("phase_names").GetValue(0) == "void"
    assert read(path) == rve


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "cell.vti"
    write(path, Rve(phases=PHASES, phase_names=("void", "a", "b")))
    good = path.read_bytes()
    rng = np.random.default_rng(12)
    for _ in range(300):
        hurt = bytearray(good)
        for place in rng.integers(0, len(good), 2):
            hurt[place] = rng.integers(0, 256)
        path.write_bytes(bytes(hurt))
        try:
            read(path)
        except FileFormatError as wrong:
            assert str(wrong).startswith(str(path))
