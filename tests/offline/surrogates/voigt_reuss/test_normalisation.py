"""Spectral normalisation: numpy and torch agree with each other and with closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matnet.elasticity import isotropic, laminate, mori_tanaka, reuss, voigt
from matnet.errors import ParameterError, ShapeError
from offline.surrogates.voigt_reuss import (
    SpectralGap,
    SpectralHead,
    bound_tolerance,
    denormalise,
    normalise,
    voigt_reuss,
)
from offline.surrogates.voigt_reuss.layers import (
    denormalise as torch_denormalise,
)
from offline.surrogates.voigt_reuss.layers import (
    matrix_root,
    matrix_sigmoid,
    normalised_error,
    phase_bounds,
    symmetric_from_vector,
    vector_from_symmetric,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def random_definite(rng, *shape, m, contrast=1e3):
    """SPD matrices of random orientation, eigenvalues log-uniform over `contrast`."""
    frame = np.linalg.qr(rng.normal(size=(*shape, m, m)))[0]
    values = contrast ** rng.uniform(-0.5, 0.5, (*shape, m))
    matrix = (frame * values[..., None, :]) @ np.swapaxes(frame, -1, -2)
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2))


def random_admissible(rng, *shape, m):
    values = rng.uniform(size=(*shape, m))
    frame = np.linalg.qr(rng.normal(size=(*shape, m, m)))[0]
    return (frame * values[..., None, :]) @ np.swapaxes(frame, -1, -2)


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("m", [2, 3, 6])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_there_and_back_is_exact_for_anisotropic_phases(m, n):
    rng = np.random.default_rng(10 * m + n)
    phases = random_definite(rng, 50, n, m=m, contrast=10.0)
    phases[:, 0] *= 1000.0  # far from the others: no direction without a gap
    gap = SpectralGap.from_phases(phases, rng.dirichlet(np.full(n, 9.0), 50))
    assert (gap.rank == m).all()
    normalised = random_admissible(rng, 50, m=m)
    tensors = gap.denormalise(normalised)
    assert relative(gap.normalise(tensors), normalised) < 1e-10
    assert relative(gap.denormalise(gap.normalise(tensors)), tensors) < 1e-10
    assert not any(found.any() for found in gap.violations(tensors).values())


def test_bounds_are_those_of_the_elasticity_module():
    rng = np.random.default_rng(1)
    phases, fractions = random_definite(rng, 3, m=6), [0.2, 0.3, 0.5]
    upper, lower = voigt_reuss(phases, fractions)
    assert relative(upper, voigt(phases, fractions)) < 1e-14
    assert relative(lower, reuss(phases, fractions)) < 1e-11


def test_voigt_normalises_to_zero_and_reuss_to_one():
    rng = np.random.default_rng(2)
    upper, lower = voigt_reuss(random_definite(rng, 2, m=3), [0.4, 0.6])
    assert np.abs(normalise(upper, upper, lower)).max() < 1e-12
    assert relative(normalise(lower, upper, lower), np.eye(3)) < 1e-10


def test_a_laminate_has_normalised_eigenvalues_zero_and_one():
    # layers of equal K and G ratio: some directions are stretched in parallel, one in series
    phases = [isotropic(E=1.0, nu=0.0), isotropic(E=100.0, nu=0.0)]
    tensor = laminate(phases, [0.5, 0.5], [1.0, 0.0, 0.0])
    values = np.linalg.eigvalsh(SpectralGap.from_phases(phases, [0.5, 0.5]).normalise(tensor))
    assert np.abs(values - [0, 0, 0, 1, 1, 1]).max() < 1e-9


@pytest.mark.parametrize(("K", "G", "rank"), [((5, 5), (1, 9), 5), ((2, 8), (3, 3), 1)])
def test_equal_bulk_or_shear_moduli_leave_no_gap_in_that_direction(K, G, rank):
    phases = [isotropic(K=k, G=g) for k, g in zip(K, G, strict=True)]
    gap = SpectralGap.from_phases(phases, [0.3, 0.7])
    assert gap.rank == rank
    assert SpectralGap.from_bounds(gap.upper, reuss(phases, [0.3, 0.7])).rank == rank
    tensor = mori_tanaka(phases[0], phases[1], 0.7)
    values = np.linalg.eigvalsh(gap.normalise(tensor))
    assert values.min() > -1e-10
    assert values.max() < 1 + 1e-10
    assert relative(gap.denormalise(gap.normalise(tensor)), tensor) < 1e-10


def test_root_for_equal_bulk_moduli_is_equation_24():
    gap = SpectralGap.from_phases([isotropic(K=5, G=1), isotropic(K=5, G=9)], [0.5, 0.5])
    deviator = np.eye(6)
    deviator[:3, :3] -= 1.0 / 3.0
    assert relative(gap.root, np.sqrt(2.0 * (5.0 - 1.8)) * deviator) < 1e-12
    assert relative(gap.inverse_root, deviator / np.sqrt(2.0 * (5.0 - 1.8))) < 1e-12


def test_equal_phases_give_voigt_exactly():
    phase = random_definite(np.random.default_rng(3), m=6)
    gap = SpectralGap.from_phases([phase, phase], [0.25, 0.75])
    assert gap.rank == 0
    assert (gap.denormalise(0.7 * np.eye(6)) == gap.upper).all()
    assert (denormalise(0.3 * np.eye(6), phase, phase) == phase).all()
    assert (normalise(phase, phase, phase) == 0.0).all()


def test_phases_that_touch_in_no_direction_of_a_turned_frame_are_found():
    # anisotropic phases that differ in one direction only
    rng = np.random.default_rng(4)
    phase, direction = random_definite(rng, m=6), rng.normal(size=6)
    gap = SpectralGap.from_phases(
        [phase, phase + 50.0 * np.outer(direction, direction)], [0.5, 0.5]
    )
    assert gap.rank == 1


def test_turning_the_frame_turns_the_normalised_tensor():
    rng = np.random.default_rng(5)
    phases, turn = random_definite(rng, 2, m=3), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    gap = SpectralGap.from_phases(phases, [0.5, 0.5])
    turned = SpectralGap.from_phases(turn @ phases @ turn.T, [0.5, 0.5])
    tensor = gap.denormalise(random_admissible(rng, m=3))
    expected = turn @ gap.normalise(tensor) @ turn.T
    assert relative(turned.normalise(turn @ tensor @ turn.T), expected) < 1e-10


def test_violations_are_counted_per_bound():
    gap = SpectralGap.from_phases([np.eye(3), 3.0 * np.eye(3)], [0.5, 0.5])
    found = gap.violations(np.array([2.1, 1.75, 1.4, -0.1])[:, None, None] * np.eye(3))
    assert found["voigt"].tolist() == [True, False, False, False]
    assert found["reuss"].tolist() == [False, False, True, True]
    assert found["definite"].tolist() == [False, False, False, True]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.sampled_from([2, 3, 6]),
    n=st.integers(2, 4),
    decades=st.floats(0.0, 6.0),
    scale=st.floats(-20.0, 20.0),
)
def test_admissible_in_admissible_out(seed, m, n, decades, scale):
    rng = np.random.default_rng(seed)
    phases = 10.0**scale * random_definite(rng, n, m=m, contrast=10.0**decades)
    gap = SpectralGap.from_phases(phases, rng.dirichlet(np.full(n, 0.5)))
    tensor = gap.denormalise(random_admissible(rng, m=m))
    assert not any(found.any() for found in gap.violations(tensor).values())
    assert relative(gap.denormalise(gap.normalise(tensor)), tensor) < 1e-10


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layer", ["matrix", "cayley"])
@pytest.mark.parametrize(("m", "chunks"), [(3, 4), (6, 1)])
def test_bounds_hold_in_float32_for_many_random_outputs(device, layer, m, chunks):
    """Together a million over the parametrisations, a fifth of them saturated."""
    rng = np.random.default_rng(6)
    head = SpectralHead(m, layer, dtype=torch.float32)
    tolerance = bound_tolerance(np.float32, m)
    for _ in range(chunks):
        n = 100_000
        gap = SpectralGap.from_phases(
            random_definite(rng, 1000, 2, m=m, contrast=1e4), rng.dirichlet([1, 1], 1000)
        )
        scale = 10.0 ** rng.choice([-1, 0, 1, 1, 3], (n, 1))
        raw = torch.tensor(rng.normal(size=(n, head.n_outputs)) * scale, dtype=torch.float32)
        pick = rng.integers(0, 1000, n)
        upper, root = (
            torch.tensor(a[pick], dtype=torch.float32, device=device) for a in (gap.upper, gap.root)
        )
        tensors = torch_denormalise(head(raw.to(device)), upper, root).double().cpu().numpy()
        size = np.linalg.norm(gap.upper[pick], 2, axis=(-2, -1))
        above = np.linalg.eigvalsh(gap.upper[pick] - tensors)[:, 0] / size
        below = np.linalg.eigvalsh(tensors - gap.lower[pick])[:, 0] / size
        assert min(above.min(), below.min()) > -tolerance


@pytest.mark.parametrize("layer", ["matrix", "cayley"])
def test_float32_outputs_keep_the_bounds_to_rounding_of_float64(layer):
    rng = np.random.default_rng(7)
    gap = SpectralGap.from_phases(random_definite(rng, 2, m=6, contrast=1e6), [0.5, 0.5])
    head = SpectralHead(6, layer)
    raw = torch.tensor(10.0 * rng.normal(size=(20_000, 21)), dtype=torch.float32)
    upper, root = torch.tensor(gap.upper), torch.tensor(gap.root)
    found = gap.violations(torch_denormalise(head(raw), upper, root).numpy())
    assert not any(broken.any() for broken in found.values())


@pytest.mark.parametrize("layer", ["matrix", "cayley"])
def test_head_has_the_right_derivative_also_for_equal_eigenvalues(layer):
    head = SpectralHead(3, layer)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(4, 6, dtype=torch.float64, generator=generator)
    raw[0] = 0.0  # three equal eigenvalues
    raw[1, 3:] = 0.0
    raw[1, 0] = raw[1, 1]  # two
    raw.requires_grad_()
    assert torch.autograd.gradcheck(head, raw)


def test_matrix_sigmoid_is_the_logistic_function_of_a_matrix():
    matrix = symmetric_from_vector(torch.tensor([0.3, -1.0, 2.0, 0.5, 0.1, -0.7]).double(), 3)
    series = torch.linalg.inv(torch.eye(3).double() + torch.linalg.matrix_exp(-matrix))
    assert torch.allclose(matrix_sigmoid(matrix), series, atol=1e-14)
    assert torch.equal(
        vector_from_symmetric(matrix), torch.tensor([0.3, -1.0, 2.0, 0.5, 0.1, -0.7]).double()
    )


def test_a_sign_per_eigenvector_lets_small_skew_matrices_reach_every_frame():
    rng = np.random.default_rng(8)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    for _ in range(200):
        frame = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        sizes = []
        for sign in signs:
            turned = frame * sign
            if abs(np.linalg.det(np.eye(3) + turned)) > 1e-9:
                skew = np.linalg.solve(np.eye(3) + turned, np.eye(3) - turned)
                sizes.append(np.abs(skew).max())
        assert min(sizes) <= 1.0 + 1e-9


def test_torch_bounds_are_numpys_and_differentiable_in_the_fractions():
    rng = np.random.default_rng(9)
    phases = random_definite(rng, 2, m=3)
    gap = SpectralGap.from_phases(phases, [0.3, 0.7])
    fractions = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    upper, root = phase_bounds(torch.tensor(phases), fractions)
    assert relative(upper.detach().numpy(), gap.upper) < 1e-13
    assert relative(root.detach().numpy(), gap.root) < 1e-10

    def both(c0):
        return phase_bounds(torch.tensor(phases), torch.stack([c0, 1.0 - c0], -1))

    assert torch.autograd.gradcheck(both, torch.tensor([0.3, 0.8]).double().requires_grad_())


def test_root_of_a_singular_matrix_has_a_finite_derivative():
    matrix = torch.diag(torch.tensor([4.0, 0.0])).double().requires_grad_()
    root = matrix_root(matrix, torch.tensor(1e-12).double())
    root.sum().backward()
    assert torch.equal(root.detach(), torch.diag(torch.tensor([2.0, 0.0])).double())
    assert torch.isfinite(matrix.grad).all()


def test_error_is_relative_to_the_admissible_range():
    zero, one = torch.zeros(3, 3).double(), torch.eye(3).double()
    assert normalised_error(zero, one) == 1.0
    projector = torch.diag(torch.tensor([1.0, 0.0, 0.0])).double()
    assert normalised_error(zero, one, projector) == pytest.approx(3**-0.5)


def test_wrong_input_is_named():
    one = np.eye(3)
    with pytest.raises(ParameterError, match="Are they interchanged"):
        normalise(one, one, 2.0 * one)
    with pytest.raises(ShapeError, match=r"C_V has shape \(3, 2\)"):
        normalise(one, np.ones((3, 2)), one)
    with pytest.raises(ShapeError, match="expected the same"):
        SpectralGap.from_bounds(np.eye(2), one)
    with pytest.raises(ParameterError, match="C_V is not symmetric"):
        normalise(one, one + np.eye(3, k=1), one)
    with pytest.raises(ParameterError, match="sum to 1"):
        SpectralGap.from_phases([one, one], [0.5, 0.6])
    with pytest.raises(ParameterError, match="expected positive definite"):
        SpectralGap.from_phases([one, 0.0 * one], [0.5, 0.5])
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., n, m, m\)"):
        SpectralGap.from_phases(one, [1.0])
    with pytest.raises(ShapeError, match=r"fractions have shape \(1,\), expected \(\.\.\., 2\)"):
        SpectralGap.from_phases([one, one], [1.0])
    with pytest.raises(ShapeError, match="C has shape"):
        SpectralGap.from_phases([one, one], [0.5, 0.5]).normalise(np.eye(2))
    with pytest.raises(ParameterError, match="expected one of matrix, cayley"):
        SpectralHead(3, "euler")
    with pytest.raises(ParameterError, match="at least 1"):
        SpectralHead(0)
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 6\)"):
        SpectralHead(3)(torch.zeros(5))
