"""Reduced labels: exact at snapshots, upper bounds elsewhere, the closer the more fields."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from matnet.errors import ParameterError
from matnet.mandel import rotate_stiffness
from offline.homogenization import CellSolver
from offline.labels import SamplingOptions, sample_stiffnesses
from offline.labels.reduced_basis import ReducedBasis
from offline.labels.strain_products import StrainProducts, stiffness_pairs
from offline.rve import Rve

CONTRAST = SamplingOptions(contrast=(1e-2, 1e2))


def basis_of(rve, stiffness):
    products = StrainProducts.of(CellSolver(rve), stiffness_pairs(stiffness))
    return ReducedBasis.empty(products, products.coefficients(stiffness).mean(axis=0))


def test_orthotropic_phases_need_nine_products_each():
    c = sample_stiffnesses(5, [True, False, False], CONTRAST)
    assert len(stiffness_pairs(c)) == 18


def test_empty_basis_gives_the_voigt_mean(small):
    c = sample_stiffnesses(4, [False, False], CONTRAST)
    voigt = np.einsum("p,npij->nij", small.fractions, c)
    assert np.allclose(basis_of(small, c).effective(c), voigt, rtol=1e-12, atol=1e-12)


def anisotropic(n, rng):
    a = rng.standard_normal((n, 2, 6, 6))
    return a @ np.swapaxes(a, -1, -2) + np.eye(6)


def general_cells():
    rng = np.random.default_rng(0)
    phases = rng.integers(0, 2, (4, 3, 2))
    sheared = np.array([[2.0, 0.0, 0.0], [0.5, 1.5, 0.0], [-0.3, 0.2, 0.7]])
    turned = Rotation.from_rotvec([[0.4, 0.1, -0.3], [0.0, 1.0, 0.5]]).as_matrix()
    plain = Rve(phases=phases, cell=sheared, phase_names=("a", "b"))
    return {
        "sheared": plain,
        "turned": replace(plain, orientations=turned),
        "density": replace(plain, density=rng.uniform(0.1, 1.0, phases.shape)),
        "void": Rve(phases=phases + 1 - (phases > 0) * (rng.random(phases.shape) < 0.2) * 2,
                    cell=sheared, phase_names=("void", "a", "b")),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["sheared", "turned", "density", "void"])
def test_labels_of_snapshots_are_exact(name, full_solve, relative_error):
    rve = general_cells()[name]
    c = anisotropic(3, np.random.default_rng(1))
    if rve.n_phases == 3:
        c = np.concatenate([np.zeros((3, 1, 6, 6)), c], axis=1)
    exact, fields = full_solve(rve, c)
    basis = basis_of(rve, c).extended(np.concatenate(list(fields), axis=1))
    # single precision of the fields enters squared
    assert relative_error(basis.effective(c), exact).max() < 1e-8


def test_energy_of_any_field_is_reproduced(small):
    rng = np.random.default_rng(2)
    c = anisotropic(1, rng)
    cell = CellSolver(small)
    u = rng.standard_normal((cell.mesh.n_nodes, 18)).astype(np.float32)
    basis = basis_of(small, c)
    products, raw = basis.products, u.reshape(-1, 6)
    factors = products.coefficients(c)[0]
    mixed = np.tensordot(factors, products.macro_field(raw), axes=1)
    energy = (
        np.tensordot(factors, products.macro_macro(), axes=1)
        + mixed
        + mixed.T
        + np.tensordot(factors, products.field_field(raw, [raw])[0], axes=1)
    )
    assert np.allclose(energy, cell.with_stiffness(c[0]).energy(u.astype(float)), rtol=1e-10)


def test_reduced_labels_are_upper_bounds_that_fall(octet, full_solve):
    c = sample_stiffnesses(14, octet.void)
    exact, fields = full_solve(octet, c)
    basis = basis_of(octet, c)
    before = basis.effective(c)
    for k in range(3):
        basis = basis.extended(fields[k])
        now = basis.effective(c)
        size = np.linalg.norm(exact, axis=(1, 2))[:, None]
        assert (np.linalg.eigvalsh(before - now) / size).min() > -1e-12
        assert (np.linalg.eigvalsh(now - exact) / size).min() > -1e-8  # the solver's error
        before = now


def test_basis_is_orthonormal_in_its_reference_energy(octet, full_solve):
    c = sample_stiffnesses(5, octet.void)
    _, fields = full_solve(octet, c)
    basis = basis_of(octet, c)
    for field in fields:
        basis = basis.extended(field)
    gram = np.tensordot(basis.reference, basis.tensor, axes=1)[: basis.size, : basis.size]
    assert np.abs(gram - np.eye(basis.size)).max() < 1e-8


def test_known_fields_add_nothing(octet, full_solve):
    c = sample_stiffnesses(3, octet.void)
    _, fields = full_solve(octet, c)
    basis = basis_of(octet, c).extended(fields[0].astype(np.float32))
    again = basis.extended(fields[0].astype(np.float32) * np.float32(2.0))
    assert again.size == basis.size == 6


def test_displacement_is_the_minimiser(small, full_solve):
    c = sample_stiffnesses(2, [False, False], CONTRAST)
    _, fields = full_solve(small, c)
    basis = basis_of(small, c).extended(fields[0]).extended(fields[1])
    u = basis.displacement(list(basis.solve(c))[1].coefficients)
    # up to a translation and to directions of 1e-10 of the energy, which are dropped
    u, want = (f.reshape(-1, 3, 6) - f.reshape(-1, 3, 6).mean(axis=0) for f in (u, fields[1]))
    assert np.abs(u - want).max() < 1e-4 * np.abs(want).max()


def test_laminate_is_exact_after_three_snapshots(full_solve, relative_error):
    """Fields of a laminate are constant in each layer: three jumps span them all."""
    rve = Rve(phases=(np.arange(8) < 3)[:, None, None], phase_names=("a", "b"))
    c = sample_stiffnesses(6, [False, False], CONTRAST)
    c = np.stack([rotate_stiffness(c[:, p], Rotation.from_rotvec([0.3, 0.2, p]).as_matrix())
                  for p in (0, 1)], axis=1)  # fmt: skip
    exact, fields = full_solve(rve, c)
    basis = basis_of(rve, c).extended(fields[0])
    assert basis.size == 3
    assert relative_error(basis.effective(c), exact).max() < 1e-9


def test_cell_without_the_sampled_phase_is_refused(small):
    with pytest.raises(ParameterError, match="no voxel of the cell belongs to a phase"):
        StrainProducts.of(CellSolver(small), [])
