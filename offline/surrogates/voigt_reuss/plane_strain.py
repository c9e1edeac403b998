r"""Effective plane-strain stiffness of periodic pixel images, fast: labels by the thousand.

The same discretisation as `offline.homogenization` on a cell one voxel thick, without what is
constant there: one bilinear element per pixel with full 2x2 integration, periodic nodes, the three
loads 11, 22, 12, conjugate gradients preconditioned with the Fourier inverse of a homogeneous
medium, stopped on the energy error of the effective stiffness. The result is in energy form: an
upper bound of the exact stiffness of the discretisation.

In element modes (constant, xi, eta, xi eta) the stiffness of a rectangle splits: the linear modes
carry the mean strain, the bilinear one a 2x2 hourglass block, whatever the anisotropy. Fields are
planes (6, n1, n2), component ``3 * i + load``, so that a row of pixels is contiguous and all loops
run over it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import ducc0  # type: ignore[import-not-found]
import numpy as np

from matnet.errors import ConvergenceError, ParameterError, ShapeError, require_finite
from offline.homogenization.error_estimate import EnergyErrorEstimate
from offline.surrogates.voigt_reuss.plane_kernels import (
    FIELDS,
    LOADS,
    advance,
    apply_stiffness,
    apply_symbol,
    dot,
    energies,
    load_vectors,
    new_direction,
    shrink,
)

__all__ = [
    "PlaneStrain",
    "PlaneStrainSolver",
    "homogenize_images",
    "pixel_coefficients",
    "plane_strain_stiffness",
]

TOL, MAX_ITERATIONS, FEWEST_STEPS = 1e-5, 2000, 5
PLANE = [0, 1, 3]  # 11 22 12 of the Mandel order
CHUNK = 16  # cells handed to an executor at once


def plane_strain_stiffness(stiffness: Any) -> np.ndarray:
    """The block 11 22 12 (..., 3, 3) of Mandel stiffnesses (..., 6, 6).

    Examples
    --------
    >>> from matnet.elasticity import isotropic
    >>> plane_strain_stiffness(isotropic(K=1.0, G=3.0)).diagonal()
    array([5., 5., 6.])
    """
    c = np.asarray(stiffness, dtype=float)
    if c.shape[-2:] != (6, 6):
        raise ShapeError(f"stiffness has shape {c.shape}, expected (..., 6, 6).")
    return np.asarray(c[..., PLANE, :][..., PLANE])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneStrain:
    """Effective stiffness of one image.

    Attributes
    ----------
    stiffness : (3, 3)
        Mandel, order 11 22 12 [stress unit].
    iterations : int
    error_estimate : float
        Estimated error of `stiffness` relative to its Frobenius norm.
    converged : bool
    displacement : (6, n1, n2)
        Periodic part at the nodes [pixels], component ``3 * i + load``: node (i, j) is the corner
        of pixel (i, j) nearest the origin. The total strain is the unit strain minus its own.
    """

    stiffness: np.ndarray
    iterations: int
    error_estimate: float
    converged: bool
    displacement: np.ndarray


class PlaneStrainSolver:
    """Everything that images of one size and one set of phases share.

    Parameters
    ----------
    shape : (int, int)
        Pixels along axes 1 and 2; pixels are squares.
    phases : (n, 3, 3)
        Plane-strain stiffness of each phase, symmetric positive definite [stress unit].

    Raises
    ------
    ShapeError, ParameterError
        The shape is empty, or a phase is not a symmetric positive definite (3, 3) matrix.
    """

    def __init__(self, shape: tuple[int, int], phases: Any) -> None:
        if len(shape) != 2 or min(shape) < 1:
            raise ShapeError(f"shape is {tuple(shape)}, expected two positive numbers.")
        self.shape = (int(shape[0]), int(shape[1]))
        self.phases = _checked_phases(phases)
        self._coefficients = np.ascontiguousarray(pixel_coefficients(self.phases))
        # the harmonic mean, as in `offline.homogenization.fourier`
        mean = np.linalg.inv(np.linalg.inv(self.phases).mean(axis=0))
        symbol = _inverse_symbol(self.shape, mean)
        self._magnitude = float(np.abs(symbol).max()) or 1.0
        self._symbol = (symbol / self._magnitude).astype(np.float32)

    def solve(
        self,
        image: Any,
        tol: float = TOL,
        max_iterations: int = MAX_ITERATIONS,
        throw: bool = True,
    ) -> PlaneStrain:
        """Effective stiffness of an image (n1, n2) of phase numbers.

        Parameters
        ----------
        image : (n1, n2) int
            Phase of each pixel; index 0 runs along axis 1.
        tol : float
            Estimated error of the stiffness relative to its Frobenius norm at which to stop.
        max_iterations : int
        throw : bool
            Raise `ConvergenceError` when `tol` is not met; False returns the last iterate.
        """
        phase = self._checked_image(image)
        state = _Iteration(phase, self._coefficients)
        area = float(phase.size)
        estimate = EnergyErrorEstimate(LOADS)
        mean = np.bincount(phase.ravel(), minlength=len(self.phases)) / area
        energy = np.einsum("p,pii->i", mean, self.phases) * area
        floor = 1e-14 * np.abs(self.phases).max() * np.sqrt(area)
        rz_old, converged, step = np.ones(LOADS), False, 0
        for step in range(max_iterations + 1):
            moving = state.norm > floor
            # an energy form of rank one: its trace is its Frobenius norm; else within sqrt 3
            size = np.linalg.norm(energy)
            met = estimate.steps >= FEWEST_STEPS and estimate.current.sum() <= tol * size
            converged = bool(met or not moving.any())
            if converged or step == max_iterations:
                break
            rz = self._precondition(state)
            beta = np.where(moving & (step > 0), rz / rz_old, 0.0)
            power = state.direction_and_apply(beta, self._magnitude)
            moving &= power > 0.0
            alpha = np.where(moving, rz / np.where(moving, power, 1.0), 0.0)
            state.advance(alpha)
            rz_old = np.where(moving, rz, 1.0)
            energy = energy - alpha * rz
            estimate.add(alpha * rz)
        stiffness = state.energy() / area
        error = float(estimate.current[state.norm > floor].sum())
        error /= area * float(np.linalg.norm(stiffness))
        result = PlaneStrain(
            stiffness=stiffness,
            iterations=step,
            error_estimate=error,
            converged=converged,
            displacement=state.u,
        )
        if throw and not converged:
            raise ConvergenceError(
                f"Plane-strain homogenisation stopped after {step} iterations, estimated error "
                f"{error:.1e} > tol {tol:.1e}. Raise max_iterations or loosen tol.",
                result,
            )
        return result

    def _precondition(self, state: _Iteration) -> np.ndarray:
        spectrum = ducc0.fft.r2c(state.scaled, axes=(1, 2))
        apply_symbol(self._symbol, spectrum.view(np.float32))
        ducc0.fft.c2r(
            spectrum, axes=(1, 2), lastsize=self.shape[1], forward=False, inorm=2, out=state.z
        )
        products = np.empty(LOADS)
        dot(state.r, state.z, products)
        return products * state.norm * self._magnitude

    def _checked_image(self, image: Any) -> np.ndarray:
        phase = np.asarray(image)
        if phase.shape != self.shape:
            raise ShapeError(f"image has shape {phase.shape}, expected {self.shape}.")
        if phase.dtype.kind not in "biu" or phase.min() < 0 or phase.max() >= len(self.phases):
            raise ParameterError(
                f"image holds {phase.dtype} values from {phase.min()} to {phase.max()}, expected "
                f"phase numbers 0 to {len(self.phases) - 1}."
            )
        return np.ascontiguousarray(phase, dtype=np.uint8)


class _Iteration:
    """Fields of the conjugate gradients, each (6, n1, n2)."""

    def __init__(self, phase: np.ndarray, coefficients: np.ndarray) -> None:
        self.phase, self.coefficients = phase, coefficients
        shape = (FIELDS, *phase.shape)
        self.u, self.p, self.q = np.zeros(shape), np.zeros(shape), np.empty(shape)
        self.r = np.zeros(shape)
        self.scaled, self.z = np.empty(shape, np.float32), np.empty(shape, np.float32)
        load_vectors(phase, coefficients, self.r)
        self.norm = np.zeros(LOADS)
        advance(np.zeros(LOADS), self.p, self.r, self.u, self.r, self.norm)
        self._scale()

    def direction_and_apply(self, beta: np.ndarray, magnitude: float) -> np.ndarray:
        """p = z + beta p, q = K p; returns p . q per load."""
        power = np.empty(LOADS)
        new_direction(beta, self.norm * magnitude, self.z, self.p)
        apply_stiffness(self.phase, self.coefficients, self.p, self.q)
        dot(self.p, self.q, power)
        return power

    def advance(self, alpha: np.ndarray) -> None:
        """u += alpha p, r -= alpha q, and the size of r."""
        advance(alpha, self.p, self.q, self.u, self.r, self.norm)
        self._scale()

    def energy(self) -> np.ndarray:
        """Energy products (3, 3) of the three total strain fields, times the cell's pixels."""
        products = np.empty((LOADS, LOADS))
        energies(self.phase, self.coefficients, self.u, products)
        return products

    def _scale(self) -> None:
        # single precision for the transforms: sizes are taken out first
        factor = np.where(self.norm > 0.0, 1.0 / np.where(self.norm > 0.0, self.norm, 1.0), 0.0)
        shrink(factor, self.r, self.scaled)


def homogenize_images(
    images: Any,
    phases: Any,
    *,
    tol: float = TOL,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Effective plane-strain stiffness (n, 3, 3) of images (n, n1, n2) of phase numbers.

    Parameters
    ----------
    images : (n, n1, n2) int
    phases : (n_phases, 3, 3)
        Mandel, order 11 22 12 [stress unit]; see `plane_strain_stiffness`.
    tol : float
        Relative error of each stiffness.
    executor : concurrent.futures.Executor, optional
        Runs chunks of images; default: this process.
    progress : callable, optional
        Called with the number of images done.

    Raises
    ------
    ShapeError, ParameterError, ConvergenceError

    Examples
    --------
    A laminate of equal layers, normal 1:

    >>> images = np.array([[[0], [1]]])
    >>> homogenize_images(images, [np.eye(3), 3.0 * np.eye(3)])[0].diagonal().round(6)
    array([1.5, 2. , 1.5])
    """
    array = np.asarray(images)
    if array.ndim != 3:
        raise ShapeError(f"images have shape {array.shape}, expected (n, n1, n2).")
    phases = _checked_phases(phases)
    chunks = [array[i : i + CHUNK] for i in range(0, len(array), CHUNK)]
    run = map if executor is None else executor.map
    parts: list[np.ndarray] = []
    done = 0
    for part in run(_chunk, chunks, [phases] * len(chunks), [tol] * len(chunks)):
        parts.append(part)
        done += len(part)
        if progress is not None:
            progress(done)
    return np.concatenate(parts) if parts else np.empty((0, 3, 3))


def _chunk(images: np.ndarray, phases: np.ndarray, tol: float) -> np.ndarray:
    solver = PlaneStrainSolver((images.shape[1], images.shape[2]), phases)
    return np.stack([solver.solve(image, tol).stiffness for image in images])


def _checked_phases(phases: Any) -> np.ndarray:
    c = np.array(phases, dtype=float)
    if c.ndim != 3 or c.shape[1:] != (3, 3) or not 0 < len(c) < 256:
        raise ShapeError(f"phases have shape {c.shape}, expected (n_phases, 3, 3).")
    require_finite("phases", c)
    for number, one in enumerate(c):
        if np.abs(one - one.T).max() > 1e-8 * np.abs(one).max():
            raise ParameterError(f"phase {number} is not symmetric. Pass Mandel matrices.")
        lowest = np.linalg.eigvalsh(one)[0]
        if lowest <= 1e-14 * np.abs(one).max():
            raise ParameterError(
                f"phase {number} has smallest eigenvalue {lowest:.4g}, expected a positive "
                "definite matrix; give voids a small stiffness."
            )
    return np.asarray(0.5 * (c + np.swapaxes(c, 1, 2)))


def pixel_coefficients(phases: np.ndarray) -> np.ndarray:
    r"""Rows (n_phases, 9): stiffness 11 22 33 12 13 23 per unit area, hourglass block 11 22 12.

    On the unit square the bilinear mode :math:`u = h\,\xi\eta` (:math:`\xi, \eta = \pm 1`) has the
    gradient :math:`2 (\eta, \xi)`; :math:`\xi^2` and :math:`\eta^2` have mean 1/3, also with 2x2
    Gauss points.
    """
    c = phases
    s = np.sqrt(0.5)
    block11 = 4.0 / 3.0 * (c[:, 0, 0] + 0.5 * c[:, 2, 2])
    block22 = 4.0 / 3.0 * (c[:, 1, 1] + 0.5 * c[:, 2, 2])
    block12 = 4.0 / 3.0 * s * (c[:, 0, 2] + c[:, 1, 2])
    stiffness = [c[:, 0, 0], c[:, 1, 1], c[:, 2, 2], c[:, 0, 1], c[:, 0, 2], c[:, 1, 2]]
    return np.stack([*stiffness, block11, block22, block12], axis=1)


def _inverse_symbol(shape: tuple[int, int], stiffness: np.ndarray) -> np.ndarray:
    """Inverse 2x2 symbols (n1, n2 // 2 + 1, 3), stored 11 22 12, of a homogeneous medium."""
    n1, n2 = shape
    response = np.zeros((2, 2, n1, n2))
    for load in range(2):
        p, q = np.zeros((FIELDS, n1, n2)), np.empty((FIELDS, n1, n2))
        p[LOADS * load, 0, 0] = 1.0
        apply_stiffness(np.zeros(shape, np.uint8), pixel_coefficients(stiffness[None]), p, q)
        response[:, load] = q[::LOADS]
    symbol = np.fft.rfft2(response).real  # the element has a centre of symmetry
    a, b, c = symbol[0, 0], symbol[1, 1], 0.5 * (symbol[0, 1] + symbol[1, 0])
    determinant = a * b - c * c
    singular = determinant <= 1e-12 * determinant.max()
    determinant[singular] = 1.0
    inverse = np.stack([b, a, -c], axis=-1) / determinant[..., None]
    inverse[singular] = 0.0  # translations
    return np.asarray(inverse)
