r"""The spectral layer in torch: any numbers in, a tensor between its bounds out.

A regressor gives m (m + 1) / 2 numbers for a symmetric :math:`\tilde C` with spectrum in [0, 1].
Two layers do that:

``matrix`` (default)
    The numbers are the entries of a symmetric matrix S, and :math:`\tilde C = \sigma(S)`, the
    logistic function of its eigenvalues. This is a smooth one-to-one map between all symmetric
    matrices and :math:`0 \prec \tilde C \prec I`; turning S turns :math:`\tilde C`.
``cayley``
    As in the Voigt-Reuss net paper: m eigenvalues :math:`\sigma(\cdot)` and m (m - 1) / 2 numbers
    for an orthogonal Q, :math:`\tilde C = Q \Lambda Q^T`. Here Q is the Cayley transform of a
    skew matrix with entries below 1.2: a sign per eigenvector is free, and with the right signs
    entries up to 1 reach every Q (O'Dorney, *Linear Algebra Appl.* 448, 2014, 97-103). A frame of
    eigenvectors cannot follow the tensor continuously all round a tensor with equal
    eigenvalues (half a turn of the tensor brings back the tensor, not the frame), so a network
    in front of this layer has jumps to learn. That is why it is not the default.

Everything after the regressor runs in float64 by default, whatever the regressor's dtype: then the
bounds hold to `bound_tolerance` of float64. In float32 they hold to that of float32.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from matnet.errors import ParameterError, ShapeError

__all__ = [
    "LAYERS",
    "SpectralHead",
    "denormalise",
    "normalised_error",
    "phase_bounds",
    "symmetric_from_vector",
    "vector_from_symmetric",
]

LAYERS = ("matrix", "cayley")
SKEW_LIMIT = 1.2  # above the 1 that suffices, so that tanh need not saturate
GAP_RTOL = 1e-15  # as `normalisation.PHASES_RTOL`


class SpectralHead(nn.Module):
    """Raw outputs (..., m (m + 1) / 2) to normalised tensors (..., m, m), spectrum in [0, 1].

    Parameters
    ----------
    m : int
        Rows of the tensor.
    layer : {"matrix", "cayley"}
        See the module.
    dtype : torch.dtype
        In which to compute.

    Examples
    --------
    >>> SpectralHead(2)(torch.zeros(3))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]], dtype=torch.float64)
    """

    def __init__(self, m: int, layer: str = "matrix", dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        if layer not in LAYERS:
            raise ParameterError(
                f"layer '{layer}' is unknown, expected one of {', '.join(LAYERS)}."
            )
        if m < 1:
            raise ParameterError(f"m is {m}, expected at least 1.")
        self.m, self.layer, self.dtype = m, layer, dtype

    @property
    def n_outputs(self) -> int:
        """Numbers that the regressor has to give."""
        return self.m * (self.m + 1) // 2

    def forward(self, raw: Tensor) -> Tensor:
        """Normalised tensors (..., m, m) of raw outputs (..., n_outputs)."""
        if raw.shape[-1] != self.n_outputs:
            raise ShapeError(
                f"raw outputs have shape {tuple(raw.shape)}, expected (..., {self.n_outputs})."
            )
        raw = raw.to(self.dtype)
        if self.layer == "matrix":
            return matrix_sigmoid(symmetric_from_vector(raw, self.m))
        frame = _cayley(SKEW_LIMIT * torch.tanh(raw[..., self.m :]), self.m)
        scaled: Tensor = frame * torch.sigmoid(raw[..., None, : self.m])
        return _symmetrised(scaled @ frame.mT)


def denormalise(normalised: Tensor, upper: Tensor, root: Tensor) -> Tensor:
    """C = C_V - L Ct L, all (..., m, m), in the dtype of `upper` and `root`."""
    product = root @ normalised.to(root.dtype) @ root
    return upper - _symmetrised(product)


def normalised_error(target: Tensor, prediction: Tensor, range_of: Tensor | None = None) -> Tensor:
    r""":math:`\phi = \lVert \tilde C - \hat{\tilde C} \rVert_F / \sqrt m` (...), eq. 25.

    `range_of` (..., m, m), the projector onto the directions with a gap (L times its
    pseudo-inverse), leaves out what has no influence on C.
    """
    difference = target - prediction
    if range_of is not None:
        difference = range_of @ difference @ range_of
    error: Tensor = torch.linalg.matrix_norm(difference) / math.sqrt(target.shape[-1])
    return error


def phase_bounds(phases: Tensor, fractions: Tensor) -> tuple[Tensor, Tensor]:
    r"""Voigt's bound and the root of the gap, (..., m, m) each, differentiable in `fractions`.

    Parameters
    ----------
    phases : (n, m, m)
        Symmetric positive definite [stress unit].
    fractions : (..., n)
        Volume fractions, sum 1; zero is allowed.

    Notes
    -----
    The same numbers as `normalisation.SpectralGap.from_phases`.
    """
    upper = torch.einsum("...p,pij->...ij", fractions, phases)
    compliance = torch.linalg.inv(phases)
    lower = torch.linalg.inv(torch.einsum("...p,pij->...ij", fractions, compliance))
    step = phases - lower[..., None, :, :]
    gap = torch.einsum("...p,...pij->...ij", fractions, step.mT @ compliance @ step)
    size = torch.linalg.matrix_norm(upper.detach(), 2)
    return upper, matrix_root(_symmetrised(gap), GAP_RTOL * size)


def symmetric_from_vector(vector: Tensor, m: int) -> Tensor:
    """Symmetric (..., m, m): the diagonal first, then the upper triangle row by row."""
    rows, columns = torch.triu_indices(m, m, 1, device=vector.device)
    matrix = torch.diag_embed(vector[..., :m])
    matrix[..., rows, columns] = matrix[..., columns, rows] = vector[..., m:]
    return matrix


def vector_from_symmetric(matrix: Tensor) -> Tensor:
    """Inverse of `symmetric_from_vector`."""
    m = matrix.shape[-1]
    rows, columns = torch.triu_indices(m, m, 1, device=matrix.device)
    diagonal = torch.diagonal(matrix, dim1=-2, dim2=-1)
    return torch.cat([diagonal, matrix[..., rows, columns]], dim=-1)


def matrix_sigmoid(matrix: Tensor) -> Tensor:
    """Logistic function of symmetric matrices (..., m, m)."""
    result: Tensor = _MatrixSigmoid.apply(matrix)
    return result


def matrix_root(matrix: Tensor, smallest: Tensor) -> Tensor:
    """Square root of symmetric positive matrices (..., m, m).

    Eigenvalues up to `smallest` (...) count as zero, in the result and in its derivative.
    """
    result: Tensor = _MatrixRoot.apply(matrix, smallest)
    return result


# The derivative of Q f(D) Q^T in direction X is Q [F o (Q^T X Q)] Q^T with the divided differences
# F_ij = (f(d_i) - f(d_j)) / (d_i - d_j) (Daleckii and Krein; Higham, Functions of Matrices, 2008,
# theorem 3.11). Written without that quotient, it is exact for equal eigenvalues too, where the
# derivative of an eigendecomposition is infinite.
class _MatrixSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        ctx.save_for_backward(values, vectors)
        return _symmetrised((vectors * torch.sigmoid(values)[..., None, :]) @ vectors.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        high = torch.maximum(values[..., :, None], values[..., None, :])
        low = torch.minimum(values[..., :, None], values[..., None, :])
        step = high - low
        # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)) for a >= b
        safe = torch.where(step > 0.0, step, torch.ones_like(step))
        shrink = torch.where(step > 0.0, -torch.expm1(-safe) / safe, torch.ones_like(step))
        divided = torch.sigmoid(high) * torch.sigmoid(-low) * shrink
        return _turned_back(divided, vectors, gradient)


class _MatrixRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, smallest: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        kept = values > smallest[..., None]
        roots = torch.where(kept, values, torch.zeros_like(values)).sqrt()
        ctx.save_for_backward(roots, vectors)
        return _symmetrised((vectors * roots[..., None, :]) @ vectors.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        roots, vectors = ctx.saved_tensors
        # (sqrt a - sqrt b) / (a - b) = 1 / (sqrt a + sqrt b)
        total = roots[..., :, None] + roots[..., None, :]
        kept = (roots[..., :, None] > 0.0) & (roots[..., None, :] > 0.0)
        safe = torch.where(kept, total, torch.ones_like(total))
        divided = torch.where(kept, 1.0 / safe, torch.zeros_like(total))
        return _turned_back(divided, vectors, gradient), None


def _turned_back(divided: Tensor, vectors: Tensor, gradient: Tensor) -> Tensor:
    inner = vectors.mT @ _symmetrised(gradient) @ vectors
    return vectors @ (divided * inner) @ vectors.mT


def _cayley(entries: Tensor, m: int) -> Tensor:
    """Orthogonal (I - A)(I + A)^-1 (..., m, m) of skew A with upper triangle `entries`."""
    rows, columns = torch.triu_indices(m, m, 1, device=entries.device)
    skew = entries.new_zeros(*entries.shape[:-1], m, m)
    skew[..., rows, columns] = entries
    skew[..., columns, rows] = -entries
    unit = torch.eye(m, dtype=entries.dtype, device=entries.device)
    frame: Tensor = 2.0 * torch.linalg.inv(unit + skew) - unit
    return frame


def _symmetrised(matrix: Tensor) -> Tensor:
    return 0.5 * (matrix + matrix.mT)
