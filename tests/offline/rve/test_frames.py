import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve.generators.frames import FRAMES, frame, frame_data_set, frame_radii, frame_series
from offline.rve.generators.lattice import truss


def test_there_are_nine_frames():
    assert len(FRAMES) == 9


def test_vintiles_is_the_kelvin_net_moved_by_half_a_face_diagonal():
    n = 12
    kelvin = truss(topology="kelvin", n=n, radius=0.1).phases
    vintiles = frame(topology="vintiles", n=n, radius=0.1).phases
    np.testing.assert_array_equal(vintiles, np.roll(kelvin, (n // 2, n // 2), axis=(0, 1)))


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("star", ("grid", "x")),
        ("x-cross-grid", ("face-center", "x")),
        ("grid-octet", ("grid", "octet")),
    ],
)
def test_compound_frames_are_unions(whole, parts):
    union = np.maximum(*(frame(topology=part, n=16, radius=0.07).phases for part in parts))
    np.testing.assert_array_equal(frame(topology=whole, n=16, radius=0.07).phases, union)


@pytest.mark.parametrize("topology", FRAMES)
def test_radii_run_between_the_volume_fractions(topology):
    radii = frame_radii(topology, 4, n=40, low=0.1, high=0.8)
    solid = [frame(topology=topology, n=40, radius=r).fractions[1] for r in radii]
    assert (np.diff(radii) > 0.0).all()
    np.testing.assert_allclose((solid[0], solid[-1]), (0.1, 0.8), atol=0.03)  # groups of voxels


def test_data_set_has_the_published_count_and_no_cell_twice():
    series = frame_series(n=20)
    assert len(set(series)) == 598
    assert {topology for topology, _ in series} == set(FRAMES)


def test_data_set_yields_the_cells_of_its_series():
    cells = list(frame_data_set(10, n=6))
    assert [cell.source for cell in cells] == [
        f"frame(topology={topology!r}, n=6, radius={radius!r})"
        for topology, radius in frame_series(10, n=6)
    ]


def test_unknown_frame_is_refused():
    with pytest.raises(ParameterError, match="topology 'bcc' is unknown, expected one of grid, x"):
        frame(topology="bcc", n=8, radius=0.1)
