"""Voronoi polycrystals."""

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.rve.generators.polycrystal import random_rotations, voronoi


def test_voxels_belong_to_the_nearest_point_over_all_images() -> None:
    rve = voronoi(n=(10, 12, 8), n_grains=9, seed=3)
    edges = np.array([10, 12, 8]) / 12
    points = np.random.default_rng(3).random((9, 3)) * edges
    centres = (np.indices(rve.shape).transpose(1, 2, 3, 0) + 0.5) / 12
    offset = centres[..., None, :] - points
    offset -= edges * np.round(offset / edges)
    assert (rve.phases == np.linalg.norm(offset, axis=-1).argmin(axis=-1)).all()


def test_orientations_are_rotations_uniform_in_the_haar_measure() -> None:
    q = random_rotations(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.det(q), 1.0)
    np.testing.assert_allclose(q.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose((q**2).mean(axis=0), 1 / 3, atol=0.01)
    trace = np.trace(q, axis1=1, axis2=2)  # moments 1, 3 of the character of SO(3)
    assert (trace**2).mean() == pytest.approx(1.0, rel=0.03)
    assert (trace**4).mean() == pytest.approx(3.0, rel=0.08)


def test_lloyd_steps_make_grains_more_equal() -> None:
    spread = [voronoi(n=20, n_grains=30, lloyd_steps=s).fractions.std() for s in (0, 2, 10)]
    assert spread[0] > 1.3 * spread[1] > 1.3 * spread[2]


def test_grains_are_columns_along_an_axis_of_one_voxel() -> None:
    thin, points = voronoi(n=(16, 16, 1), n_grains=6), voronoi(n=(16, 16, 1), n_grains=6, seed=1)
    assert thin.shape == (16, 16, 1) and thin != points
    edge_lengths = np.random.default_rng(0).random((6, 3))[:, :2]
    centres = (np.indices((16, 16)).transpose(1, 2, 0) + 0.5) / 16
    offset = centres[..., None, :] - edge_lengths
    offset -= np.round(offset)
    assert (thin.phases[:, :, 0] == np.linalg.norm(offset, axis=-1).argmin(axis=-1)).all()


def test_names_orientations_and_source_describe_the_grains() -> None:
    rve = voronoi(n=8, n_grains=4, lloyd_steps=1, seed=7)
    assert rve.phase_names == ("grain0", "grain1", "grain2", "grain3")
    assert rve.orientations is not None and rve.orientations.shape == (4, 3, 3)
    assert rve == eval(rve.source) and rve != voronoi(n=8, n_grains=4, lloyd_steps=1, seed=8)
    assert voronoi(n=8, n_grains=4, texture="none").orientations is None


def test_bad_values_are_named() -> None:
    with pytest.raises(ParameterError, match=r"n_grains is 257, expected an integer, 1 to 256"):
        voronoi(n_grains=257)
    with pytest.raises(ParameterError, match=r"grains own no voxel \(first: grain\d+\). Use more"):
        voronoi(n=4, n_grains=60)
    with pytest.raises(ParameterError, match=r"texture is 'cube', expected 'random' or 'none'"):
        voronoi(texture="cube")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"lloyd_steps is -1, expected an integer, 0 or more"):
        voronoi(lloyd_steps=-1)
