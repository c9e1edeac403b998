"""Pictures: what is visible where, for every kind of cell."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from matplotlib import pyplot
from PIL import Image

from offline.rve import Rve
from offline.rve.draw import draw, save_picture
from offline.rve.raycast import HAZE, HIDDEN, Camera, render

FRONT = Camera(azimuth=0.0, elevation=0.0)  # looks along -x1: x2 to the right, x3 up


def truss() -> Rve:
    phases = np.zeros((8, 8, 8), dtype=int)
    phases[:, 3:5, 3:5] = phases[3:5, :, 3:5] = phases[3:5, 3:5, :] = 1
    return Rve(phases=phases, phase_names=("void", "solid"))


def cells() -> dict[str, Rve]:
    rng = np.random.default_rng(0)
    cube = truss()
    shear = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [0.0, 0.2, 1.5]])
    return {
        "truss": cube,
        "sheared": Rve(phases=cube.phases, phase_names=("void", "solid"), cell=shear),
        "composite": Rve(phases=cube.phases, phase_names=("matrix", "fibre")),
        "three": Rve(phases=rng.integers(0, 3, (5, 5, 5)), phase_names=("void", "a", "b")),
        "density": Rve(phases=0 * cube.phases, density=rng.random((8, 8, 8))),
        "grains": Rve(phases=rng.integers(0, 12, (6, 6, 6))),
        "plane": Rve(phases=cube.phases[:, :, 3:4], phase_names=("matrix", "fibre")),
        "plane density": Rve(phases=np.zeros((1, 4, 6), int), density=rng.random((1, 4, 6))),
        "empty": Rve(phases=np.zeros((4, 4, 4), int), phase_names=("void",)),
    }


@pytest.mark.parametrize("name", cells())
def test_every_kind_of_cell_has_a_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cell.png"
    save_picture(path, cells()[name], pixels=150)
    assert [file.name for file in tmp_path.iterdir()] == ["cell.png"]
    with Image.open(path) as image:
        assert min(image.size) >= 800
        assert np.asarray(image.convert("L")).std() > 1.0 or name == "empty"


def test_draw_uses_the_given_axes_and_makes_its_own_otherwise() -> None:
    _, ax = pyplot.subplots()
    assert draw(truss(), ax, pixels=50) is ax
    own = draw(truss(), pixels=50)
    assert own is not ax
    pyplot.close("all")


def silhouette(codes: np.ndarray, cell: np.ndarray, camera: Camera) -> np.ndarray:
    image, _ = render(codes, cell, np.full((256, 3), 0.5), camera, pixels=80)
    return np.asarray(image[..., 3])


def test_one_voxel_covers_exactly_its_square() -> None:
    codes = np.full((4, 4, 4), HIDDEN, dtype=np.uint8)
    codes[1, 2, 3] = 1
    opacity = silhouette(codes, np.eye(3), FRONT)
    assert opacity.shape == (80, 80)
    rows, columns = np.nonzero(opacity)
    assert (rows.min(), rows.max()) == (0, 19)  # x3 from 3/4 to 1, at the top
    assert (columns.min(), columns.max()) == (40, 59)  # x2 from 2/4 to 3/4
    assert (opacity[opacity > 0] == 1.0).all()


@pytest.mark.parametrize("azimuth", [-58.0, 10.0, 130.0])
def test_a_full_sheared_cell_covers_its_projected_hull(azimuth: float) -> None:
    cell = np.array([[1.0, 0.0, 0.0], [0.4, 1.2, 0.0], [0.1, 0.2, 0.8]])
    camera = Camera(azimuth=azimuth, elevation=25.0)
    codes = np.ones((3, 4, 5), dtype=np.uint8)
    image, extent = render(codes, cell, np.full((256, 3), 0.5), camera, pixels=400)
    pixel = (extent[1] - extent[0]) / image.shape[1]
    faces = [np.cross(cell[i], cell[j]) @ camera.axes[2] for i, j in ((0, 1), (1, 2), (2, 0))]
    assert image[..., 3].sum() * pixel**2 == pytest.approx(np.abs(faces).sum(), rel=2e-3)


def test_the_nearer_voxel_hides_the_farther() -> None:
    codes = np.full((2, 1, 1), HIDDEN, dtype=np.uint8)
    codes[:, 0, 0] = 1, 2
    palette = np.zeros((256, 3))
    palette[1, 0] = palette[2, 2] = 1.0  # far voxel red, near voxel blue
    image, _ = render(codes, np.diag([2.0, 1.0, 1.0]), palette, FRONT, pixels=10)
    assert image[5, 5, 2] > 0.3 and image[5, 5, 0] == 0.0


def test_haze_tints_more_the_deeper_it_is() -> None:
    palette = np.full((256, 3), 0.7)
    thick, _ = render(
        np.full((2, 1, 1), HAZE, np.uint8), np.diag([2, 1, 1.0]), palette, FRONT, pixels=20
    )
    codes = np.full((2, 1, 1), HIDDEN, dtype=np.uint8)
    codes[0] = HAZE
    thin, _ = render(codes, np.diag([2, 1, 1.0]), palette, FRONT, pixels=20)
    full, half = thick[5, 5, 3], thin[5, 5, 3]
    assert 0.0 < half < full < 1.0
    assert 1 - full == pytest.approx((1 - half) ** 2)  # exponential attenuation


def test_faces_towards_the_lamp_are_brighter() -> None:
    image, extent = render(
        np.ones((4, 4, 4), np.uint8), np.eye(3), np.full((256, 3), 0.5), Camera(), pixels=200
    )
    grey = image[..., 0]
    top = grey[int(0.1 * grey.shape[0]), grey.shape[1] // 2]
    left = grey[grey.shape[0] // 2, int(0.2 * grey.shape[1])]
    right = grey[grey.shape[0] // 2, int(0.9 * grey.shape[1])]
    assert top > left > right > 0.2
    assert extent[1] > extent[0] and extent[3] > extent[2]


def test_the_matrix_is_see_through_whatever_its_index() -> None:
    box = truss().phases
    plain = Rve(phases=box, phase_names=("matrix", "fibre"))
    swapped = Rve(phases=1 - box, phase_names=("fibre", "matrix"))
    pictures = []
    for rve in (plain, swapped):
        ax = draw(rve, pyplot.subplots()[1], pixels=60)
        pictures.append(np.asarray(ax.images[0].get_array()))
        labels = [text.get_text() for text in ax.get_legend().get_texts()]  # type: ignore[union-attr]
        assert sorted(labels) == ["fibre 15.6 %", "matrix 84.4 %"]
    pyplot.close("all")
    assert pictures[0] == pytest.approx(pictures[1])
    assert 0.0 < pictures[0][..., 3][pictures[0][..., 3] > 0].min() < 0.9
