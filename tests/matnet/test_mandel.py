"""The tensor convention against plain index notation."""

import numpy as np
import pytest

from matnet.errors import ParameterError
from matnet.mandel import (
    ABAQUS,
    COMPONENTS,
    DMN_PAPER,
    IDENTITY,
    LS_DYNA,
    PAIRS,
    VUMAT,
    component_index,
    from_mandel,
    interface_matrix,
    rotate_stiffness,
    rotation_matrix,
    to_mandel,
)

EXACT = 1e-13  # a few roundings of numbers of order one


def symmetric(rng, *batch):
    a = rng.normal(size=(*batch, 3, 3))
    return 0.5 * (a + np.swapaxes(a, -1, -2))


def spd(rng):
    a = rng.normal(size=(6, 6))
    return a @ a.T + np.eye(6)


def rotation(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def fourth_order(C):
    """Components C_ijkl (3, 3, 3, 3) of a Mandel matrix, entry by entry."""
    full = np.empty((3, 3, 3, 3))
    for a, (i, j) in enumerate(PAIRS):
        for b, (k, m) in enumerate(PAIRS):
            value = C[a, b] / (np.sqrt(2.0) ** ((i != j) + (k != m)))
            full[i, j, k, m] = full[j, i, k, m] = full[i, j, m, k] = full[j, i, m, k] = value
    return full


def test_mandel_vectors_keep_the_frobenius_product():
    rng = np.random.default_rng(0)
    a, b = symmetric(rng, 5), symmetric(rng, 5)
    product = np.einsum("nij,nij->n", a, b)
    assert np.allclose((to_mandel(a) * to_mandel(b)).sum(axis=1), product, rtol=EXACT)


def test_from_mandel_undoes_to_mandel():
    a = symmetric(np.random.default_rng(1), 2, 3)
    assert np.abs(from_mandel(to_mandel(a)) - a).max() < EXACT


def test_stiffness_times_strain_is_the_double_contraction():
    rng = np.random.default_rng(2)
    C, eps = spd(rng), symmetric(rng)
    sig = np.einsum("ijkl,kl->ij", fourth_order(C), eps)
    assert np.allclose(from_mandel(C @ to_mandel(eps)), sig, rtol=1e-12, atol=1e-12)


def test_identity_is_the_unit_tensor_and_read_only():
    assert np.array_equal(from_mandel(IDENTITY), np.eye(3)) and not IDENTITY.flags.writeable


def test_rotation_matrix_is_orthogonal_and_rotates_tensors():
    rng = np.random.default_rng(3)
    q, a = rotation(rng), symmetric(rng)
    r = rotation_matrix(q)
    assert np.abs(r @ r.T - np.eye(6)).max() < EXACT
    assert np.abs(from_mandel(r @ to_mandel(a)) - q @ a @ q.T).max() < EXACT


def test_rotate_stiffness_matches_index_notation():
    rng = np.random.default_rng(4)
    q, C = rotation(rng), spd(rng)
    turned = np.einsum("ip,jq,kr,ls,pqrs->ijkl", q, q, q, q, fourth_order(C))
    assert np.allclose(fourth_order(rotate_stiffness(C, q)), turned, rtol=1e-11, atol=1e-11)


def test_rotations_work_in_batches():
    rng = np.random.default_rng(5)
    q, C = np.stack([rotation(rng) for _ in range(4)]), spd(rng)
    one_by_one = np.stack([rotate_stiffness(C, each) for each in q])
    assert np.abs(rotate_stiffness(C, q) - one_by_one).max() < 1e-12


def test_interface_matrix_gives_the_symmetric_dyad_and_its_transpose_the_traction():
    rng = np.random.default_rng(6)
    n, b, sig = rng.normal(size=3), rng.normal(size=3), symmetric(rng)
    H = interface_matrix(n)
    dyad = 0.5 * (np.outer(n, b) + np.outer(b, n))
    assert np.abs(from_mandel(H @ b) - dyad).max() < EXACT
    assert np.abs(H.T @ to_mandel(sig) - sig @ n).max() < EXACT


@pytest.mark.parametrize("border", [ABAQUS, LS_DYNA, DMN_PAPER, VUMAT])
def test_borders_round_trip(border):
    rng = np.random.default_rng(7)
    vector, C = rng.normal(size=(3, 6)), spd(rng)
    assert np.abs(border.strain_to_mandel(border.strain_from_mandel(vector)) - vector).max() < EXACT
    assert np.abs(border.stress_to_mandel(border.stress_from_mandel(vector)) - vector).max() < EXACT
    assert np.abs(border.stiffness_to_mandel(border.stiffness_from_mandel(C)) - C).max() < 1e-12


@pytest.mark.parametrize("border", [ABAQUS, LS_DYNA, DMN_PAPER, VUMAT])
def test_borders_stiffness_maps_their_strain_to_their_stress(border):
    rng = np.random.default_rng(8)
    C, eps = spd(rng), rng.normal(size=6)
    theirs = border.stiffness_from_mandel(C) @ border.strain_from_mandel(eps)
    assert np.allclose(theirs, border.stress_from_mandel(C @ eps), rtol=1e-12)


def test_borders_order_and_scale_as_their_programs_do():
    eps = to_mandel([[1.0, 4.0, 5.0], [4.0, 2.0, 6.0], [5.0, 6.0, 3.0]])
    assert np.allclose(ABAQUS.strain_from_mandel(eps), [1, 2, 3, 8, 10, 12])
    assert np.allclose(ABAQUS.stress_from_mandel(eps), [1, 2, 3, 4, 5, 6])
    assert np.allclose(LS_DYNA.strain_from_mandel(eps), [1, 2, 3, 8, 12, 10])
    assert np.allclose(DMN_PAPER.strain_from_mandel(eps), [1, 2, 3, 12, 10, 8])
    assert np.allclose(VUMAT.strain_from_mandel(eps), [1, 2, 3, 4, 6, 5])


def test_component_index_takes_both_orders_of_digits():
    assert [component_index(name) for name in COMPONENTS] == list(range(6))
    assert component_index("32") == 5


def test_unknown_component_is_named():
    with pytest.raises(ParameterError, match="component '14' is unknown, expected one of 11, 22"):
        component_index("14")
