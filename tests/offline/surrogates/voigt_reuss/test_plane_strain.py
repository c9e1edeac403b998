"""The plane-strain engine equals the three-dimensional one, and closed forms."""

import numpy as np
import pytest

from matnet.elasticity import isotropic, laminate
from matnet.errors import ConvergenceError, ParameterError, ShapeError
from offline.homogenization import SolverOptions, homogenize
from offline.rve import Rve
from offline.surrogates.voigt_reuss.plane_strain import (
    PlaneStrainSolver,
    homogenize_images,
    plane_strain_stiffness,
)

STIFF, SOFT = isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)
PAIR = plane_strain_stiffness([STIFF, SOFT])


def anisotropic(seed):
    """A stiffness that couples nothing in the plane with 13 and 23, as plane strain needs."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(6, 6))
    stiffness = factor @ factor.T + 0.5 * np.eye(6)
    stiffness[np.ix_([4, 5], [0, 1, 2, 3])] = stiffness[np.ix_([0, 1, 2, 3], [4, 5])] = 0.0
    return stiffness


@pytest.mark.parametrize("shape", [(12, 12), (9, 14)])
@pytest.mark.parametrize(
    "phases", [[STIFF, SOFT], [anisotropic(1), 20.0 * anisotropic(2), 0.1 * anisotropic(3)]]
)
def test_result_is_that_of_the_three_dimensional_engine(shape, phases):
    image = np.random.default_rng(4).integers(0, len(phases), shape)
    # square pixels, as the three-dimensional cell has to have
    cell = np.diag([shape[0] / 12.0, shape[1] / 12.0, 1.0])
    rve = Rve(phases=image[:, :, None].astype(np.uint8), cell=cell)
    three = homogenize(rve, phases, SolverOptions(tol=1e-11)).stiffness
    solver = PlaneStrainSolver(shape, plane_strain_stiffness(phases))
    two = solver.solve(image, tol=1e-11).stiffness
    assert np.abs(two - plane_strain_stiffness(three)).max() < 1e-8 * np.abs(two).max()


def test_laminates_are_exact():
    image = (np.arange(8) % 2)[:, None] * np.ones((1, 8), dtype=int)
    phases = [anisotropic(5), 30.0 * anisotropic(6)]
    exact = laminate(phases, [0.5, 0.5], [1.0, 0.0, 0.0])
    found = homogenize_images(image[None], plane_strain_stiffness(phases), tol=1e-12)[0]
    assert np.abs(found - plane_strain_stiffness(exact)).max() < 1e-9 * np.abs(exact).max()


def test_one_phase_gives_its_stiffness():
    found = homogenize_images(np.ones((1, 5, 5), dtype=int), PAIR)[0]
    assert np.abs(found - PAIR[1]).max() < 1e-12 * np.abs(PAIR[1]).max()


def test_tolerance_bounds_the_error_from_above():
    rng = np.random.default_rng(7)
    image = (rng.uniform(size=(24, 24)) < 0.4).astype(int)
    solver = PlaneStrainSolver((24, 24), PAIR)
    exact = solver.solve(image, tol=1e-12)
    for tol in (1e-3, 1e-5):
        result = solver.solve(image, tol=tol)
        error = np.linalg.norm(result.stiffness - exact.stiffness)
        assert error < tol * np.linalg.norm(exact.stiffness)
        assert np.linalg.eigvalsh(result.stiffness - exact.stiffness)[0] > -1e-9
        assert result.iterations < exact.iterations
        assert result.converged


def test_shifting_and_turning_the_picture_shifts_nothing_and_turns_the_stiffness():
    rng = np.random.default_rng(8)
    image = rng.integers(0, 2, (10, 10))
    quarter = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    images = np.stack([image, np.roll(image, (3, 4), (0, 1)), np.rot90(image)])
    base, shifted, turned = homogenize_images(images, PAIR, tol=1e-11)
    assert np.abs(shifted - base).max() < 1e-8 * np.abs(base).max()
    assert np.abs(turned - quarter @ base @ quarter.T).max() < 1e-8 * np.abs(base).max()


def test_an_executor_gives_the_same_numbers():
    from concurrent.futures import ThreadPoolExecutor

    images = np.random.default_rng(9).integers(0, 2, (20, 6, 6))
    done = []
    with ThreadPoolExecutor(2) as executor:
        there = homogenize_images(images, PAIR, executor=executor, progress=done.append)
    assert (there == homogenize_images(images, PAIR)).all()
    assert done == [16, 20]
    assert homogenize_images(images[:0], PAIR).shape == (0, 3, 3)


def test_wrong_input_is_named():
    image = np.zeros((4, 4), dtype=int)
    solver = PlaneStrainSolver((4, 4), PAIR)
    with pytest.raises(ShapeError, match=r"image has shape \(3, 4\), expected \(4, 4\)"):
        solver.solve(image[:3])
    with pytest.raises(ParameterError, match="expected phase numbers 0 to 1"):
        solver.solve(image + 2)
    with pytest.raises(ParameterError, match="expected phase numbers 0 to 1"):
        solver.solve(image + 0.5)
    with pytest.raises(ShapeError, match="expected two positive numbers"):
        PlaneStrainSolver((4, 0), PAIR)
    with pytest.raises(ShapeError, match=r"phases have shape \(3, 3\)"):
        PlaneStrainSolver((4, 4), PAIR[0])
    with pytest.raises(ParameterError, match="phase 1 is not symmetric"):
        PlaneStrainSolver((4, 4), [PAIR[0], np.triu(PAIR[0])])
    with pytest.raises(ParameterError, match="phase 0 has smallest eigenvalue"):
        PlaneStrainSolver((4, 4), [0.0 * PAIR[0]])
    with pytest.raises(ShapeError, match=r"expected \(n, n1, n2\)"):
        homogenize_images(image, PAIR)
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 6, 6\)"):
        plane_strain_stiffness(PAIR)
    image[0, :2] = 1
    with pytest.raises(ConvergenceError, match="stopped after 1 iterations") as caught:
        solver.solve(image, max_iterations=1)
    assert not caught.value.result.converged
