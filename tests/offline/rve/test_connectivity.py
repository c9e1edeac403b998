"""Periodic connectivity against a plain search that carries the cell it is in."""

from collections import deque
from itertools import product

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve import Connectivity, Rve, check_solid, complaint, connectivity, remove_islands
from offline.rve.connectivity import _lattice_basis


def cell(solid: np.ndarray) -> Rve:
    return Rve(phases=np.asarray(solid).astype(int), phase_names=("void", "solid"))


def plain(solid: np.ndarray, neighbours: str) -> list[tuple[frozenset[tuple[int, ...]], int]]:
    """Components as sets of voxels, with the rank of their winding vectors."""
    steps = [
        np.array(step)
        for step in product((-1, 0, 1), repeat=3)
        if any(step) and (neighbours == "node" or np.abs(step).sum() == 1)
    ]
    where: dict[tuple[int, ...], np.ndarray] = {}
    result = []
    for seed in map(tuple, np.argwhere(solid)):
        if seed in where:
            continue
        where[seed] = np.zeros(3, dtype=int)
        members, loops, queue = [seed], [np.zeros(3, dtype=int)], deque([seed])
        while queue:
            voxel = queue.popleft()
            for step in steps:
                image, target = np.divmod(np.array(voxel) + step, solid.shape)
                other = tuple(int(x) for x in target)
                if not solid[other]:
                    continue
                reached = where[voxel] + image
                if other not in where:
                    where[other] = reached
                    members.append(other)
                    queue.append(other)
                else:
                    loops.append(reached - where[other])
        result.append((frozenset(members), int(np.linalg.matrix_rank(np.array(loops)))))
    return result


@pytest.mark.parametrize("neighbours", ["face", "node"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (6, 6, 1), (1, 5, 5), (2, 2, 7)])
def test_components_and_ranks_match_a_plain_search(
    shape: tuple[int, int, int], neighbours: str
) -> None:
    rng = np.random.default_rng(5)
    for fraction in (0.15, 0.3, 0.45, 0.6):
        solid = rng.random(shape) < fraction
        found = connectivity(cell(solid), neighbours)  # type: ignore[arg-type]
        wanted = plain(solid, neighbours)
        groups = {
            frozenset(tuple(int(x) for x in v) for v in np.argwhere(found.labels == k + 1)): rank
            for k, rank in enumerate(found.rank)
        }
        assert groups == dict(wanted)
        assert (found.labels > 0).sum() == solid.sum() == found.sizes.sum()
        assert (np.diff(found.sizes) <= 0).all()


def test_touching_both_faces_is_not_percolation() -> None:
    solid = np.zeros((6, 6, 6), dtype=bool)
    solid[:3, 1, 2] = solid[2, 1:5, 2] = solid[2:, 4, 2] = True  # leaves at y=4, enters at y=1
    assert solid[0].any() and solid[-1].any()
    assert not connectivity(cell(solid)).percolates.any()


def rod(axis: int, n: int = 6, at: tuple[int, int] = (0, 0)) -> np.ndarray:
    solid = np.zeros((n, n, n), dtype=bool)
    np.moveaxis(solid, axis, 0)[:, at[0], at[1]] = True
    return solid


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rod_percolates_along_its_axis_only(axis: int) -> None:
    found = connectivity(cell(rod(axis)))
    assert found.percolates.tolist() == [i == axis for i in range(3)]
    assert found.n_supported_strains == 1


def test_a_plate_percolates_in_its_plane() -> None:
    solid = np.zeros((5, 6, 7), dtype=bool)
    solid[2] = True
    found = connectivity(cell(solid))
    assert found.percolates.tolist() == [False, True, True]
    assert found.windings[0].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert found.n_supported_strains == 3


def test_separate_rods_percolate_everywhere_but_resist_no_shear() -> None:
    solid = rod(0, at=(0, 0)) | rod(1, at=(2, 2)) | rod(2, at=(4, 4))
    found = connectivity(cell(solid))
    assert found.n_components == 3
    assert found.percolates.all()
    assert found.n_supported_strains == 3
    with pytest.raises(ParameterError, match="separate pieces that resist only 3 of 6 strains"):
        check_solid(cell(solid))


def test_joined_rods_are_a_frame_and_pass() -> None:
    solid = rod(0) | rod(1) | rod(2)
    found = connectivity(cell(solid))
    assert found.rank.tolist() == [3]
    assert found.n_supported_strains == 6
    check_solid(cell(solid))


def test_two_crossing_diagonals_percolate_along_the_axes() -> None:
    n = 6
    solid = np.zeros((n, n, 1), dtype=bool)
    for i in range(n):
        solid[i, i, 0] = solid[i, (i + 1) % n, 0] = True
        solid[i, -1 - i, 0] = solid[i, (-2 - i) % n, 0] = True
    found = connectivity(cell(solid))
    assert found.n_components == 1
    assert found.percolates.tolist() == [True, True, True]


def test_full_and_empty_cells() -> None:
    full = connectivity(cell(np.ones((3, 3, 3))))
    assert full.percolates.all() and full.n_components == 1 and full.n_islands == 0
    empty = connectivity(cell(np.zeros((3, 3, 3))))
    assert not empty.percolates.any() and empty.n_components == 0 and empty.island_voxels == 0


def test_lattice_basis_spans_the_same_lattice() -> None:
    assert _lattice_basis(np.array([[2, 0, 0], [3, 0, 0]])).tolist() == [[1, 0, 0]]
    basis = _lattice_basis(np.array([[1, 1, 0], [1, -1, 0], [3, 5, 0]]))
    assert abs(round(np.linalg.det(basis[:, :2]))) == 2  # index 2: (1,0,0) is not in it
    assert len(_lattice_basis(np.zeros((2, 3), dtype=int))) == 0


def with_island() -> np.ndarray:
    solid = rod(0) | rod(1) | rod(2)
    solid[3, 3, 3] = solid[3, 3, 2] = True
    return solid


def test_islands_are_counted_and_removed() -> None:
    solid = with_island()
    found = connectivity(cell(solid))
    assert (found.n_islands, found.island_voxels) == (1, 2)
    rve, removed = remove_islands(cell(solid))
    assert removed == 2
    assert (rve.phases == (rod(0) | rod(1) | rod(2))).all()
    assert remove_islands(rve) == (rve, 0)


def test_an_inclusion_of_another_solid_phase_is_no_island() -> None:
    phases = np.ones((5, 5, 5), dtype=int)
    phases[2, 2, 2] = 2
    phases[0, 0, 0] = 0
    rve = Rve(phases=phases, phase_names=("void", "matrix", "fibre"))
    assert connectivity(rve).n_components == 1


def test_islands_of_a_density_field_lose_their_density() -> None:
    density = np.where(with_island(), 0.5, 0.0)
    rve = Rve(phases=np.zeros(density.shape, int), phase_names=("solid",), density=density)
    cleared, removed = remove_islands(rve)
    assert removed == 2
    assert cleared.density is not None and cleared.density[3, 3, 3] == 0.0
    assert cleared.density.sum() == pytest.approx(density.sum() - 1.0)


def test_a_lone_blob_is_a_complaint_and_no_island() -> None:
    solid = np.zeros((6, 6, 6), dtype=bool)
    solid[2:4, 2:4, 2:4] = True
    assert connectivity(cell(solid)).n_islands == 0
    assert remove_islands(cell(solid))[1] == 0


def test_check_solid_says_what_is_wrong() -> None:
    with pytest.raises(ParameterError, match="the cell has no solid") as caught:
        check_solid(cell(np.zeros((3, 3, 3))), allow_disconnected=True)
    assert "--allow" not in str(caught.value)
    plate = np.zeros((5, 6, 7), dtype=bool)
    plate[:, 2] = True
    sentence = r"does not percolate along x2: C\^H is singular there. Pass --allow-disconnected"
    with pytest.raises(ParameterError, match=sentence):
        check_solid(cell(plate))
    check_solid(cell(plate), allow_disconnected=True)
    with pytest.raises(ParameterError, match="along x1 and x2:"):
        check_solid(cell(rod(2)))
    assert complaint(cell(np.ones((2, 2, 2)))) is None


def test_hinges_count_for_nodes_but_are_refused() -> None:
    solid = np.indices((4, 4, 4)).sum(axis=0) % 2 == 0  # three-dimensional checkerboard
    by_node = connectivity(cell(solid), "node")
    assert by_node.rank.tolist() == [3]
    assert connectivity(cell(solid)).n_components == 32
    with pytest.raises(ParameterError, match="x1, x2 and x3 only through voxel edges or corners"):
        check_solid(cell(solid))


def test_unknown_neighbourhood_is_refused() -> None:
    with pytest.raises(ParameterError, match="neighbours is 'edge', expected 'face' or 'node'"):
        connectivity(cell(np.ones((2, 2, 2))), "edge")  # type: ignore[arg-type]


def test_many_components_keep_their_labels_apart() -> None:
    solid = np.random.default_rng(0).random((40, 40, 40)) < 0.28
    found = connectivity(cell(solid))
    assert isinstance(found, Connectivity)
    assert found.n_components > 1000
    assert (np.bincount(found.labels.ravel())[1:] == found.sizes).all()
