r"""What a network's numbers mean in space: the spectral layer, and the twins it is judged against.

``voigt-reuss``, ``voigt-reuss-cayley``
    21 numbers for `layers.SpectralHead`; loss: mean of the normalised error, eq. 25.
``cholesky``
    21 entries of a lower-triangular factor; loss: mean square of their errors.
``vanilla``
    21 entries of C; loss: mean square of their errors.
``isotropic``
    Two numbers for bulk and shear modulus, made positive; loss: mean square of the errors of the
    moduli of the isotropic projection (eq. 29). The paper makes them positive by ReLU, which can
    leave an output at zero without a gradient; here it is softplus.

The twins' tensors are relative to the Frobenius norm of each cell's Voigt bound. The paper's are
relative to K1, where cells with stiff second phases outweigh all others: ours have it easier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError
from offline.surrogates.voigt_reuss.layers import (
    SpectralHead,
    denormalise,
    normalised_error,
    symmetric_from_vector,
    vector_from_symmetric,
)
from offline.surrogates.voigt_reuss.space.phases import (
    DEVIATORIC,
    VOLUMETRIC,
    isotropic_gap,
    root_and_upper,
)

__all__ = ["OUTPUTS", "SpaceOutput"]

OUTPUTS = ("voigt-reuss", "voigt-reuss-cayley", "cholesky", "vanilla", "isotropic")
M = 6


class SpaceOutput(nn.Module):
    """Raw numbers to stiffness, labels to targets, and the loss between the two.

    Parameters
    ----------
    kind : one of `OUTPUTS`
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind not in OUTPUTS:
            raise ParameterError(
                f"output '{kind}' is unknown, expected one of {', '.join(OUTPUTS)}."
            )
        self.kind = kind
        self.head = SpectralHead(M, "cayley" if kind.endswith("cayley") else "matrix")

    @property
    def spectral(self) -> bool:
        """Whether the bounds hold by construction."""
        return self.kind.startswith("voigt-reuss")

    @property
    def n_outputs(self) -> int:
        """Numbers that the regressor has to give."""
        return 2 if self.kind == "isotropic" else self.head.n_outputs

    def label(self, stiffness: Any, moduli: Any, fraction: Any) -> np.ndarray:
        """What the loss compares with (n, 6, 6); it turns with the frame, not with the phases."""
        c = np.asarray(stiffness, dtype=float)
        gap = isotropic_gap(moduli, fraction)
        if self.spectral:
            return gap.normalise(c)
        return np.asarray(c / np.linalg.norm(gap.upper, axis=(1, 2), keepdims=True))

    def loss(self, raw: Tensor, label: Tensor) -> Tensor:
        """Mean loss of raw numbers (n, n_outputs) against labels (n, 6, 6)."""
        if self.spectral:
            return normalised_error(label.to(self.head.dtype), self.head(raw)).mean()
        if self.kind == "vanilla":
            target = vector_from_symmetric(label)
        elif self.kind == "cholesky":
            target = _factor_entries(torch.linalg.cholesky(label))
        else:
            raw, target = nn.functional.softplus(raw), _moduli(label)
        return (raw - target).square().mean()

    def normalised(self, raw: Tensor) -> Tensor:
        """What may be averaged over turned images (n, 6, 6): as `label`."""
        if self.spectral:
            result: Tensor = self.head(raw)
            return result
        values = raw.double()
        if self.kind == "vanilla":
            return symmetric_from_vector(values, M)
        if self.kind == "isotropic":
            bulk, shear = nn.functional.softplus(values).unbind(dim=1)
            p1, p2 = (torch.tensor(p, device=raw.device) for p in (VOLUMETRIC, DEVIATORIC))
            tensor: Tensor = 3.0 * bulk[:, None, None] * p1 + 2.0 * shear[:, None, None] * p2
            return tensor
        rows, columns = torch.tril_indices(M, M, -1, device=raw.device)
        factor = torch.diag_embed(values[:, :M])
        factor[:, rows, columns] = values[:, M:]
        product: Tensor = factor @ factor.mT
        return product

    def stiffness(self, normalised: Tensor, moduli: Tensor, fraction: Tensor) -> Tensor:
        """C (n, 6, 6) in float64, differentiable.

        Parameters
        ----------
        normalised : (n, 6, 6)
        moduli : (n, 4)
            K1, G1, K2, G2 [stress unit].
        fraction : (n,)
            Of phase 1.
        """
        root, upper = root_and_upper(moduli, fraction)
        if self.spectral:
            return denormalise(normalised, upper, root)
        size: Tensor = torch.linalg.matrix_norm(upper)
        return normalised * size[:, None, None]


def _factor_entries(factor: Tensor) -> Tensor:
    rows, columns = torch.tril_indices(M, M, -1, device=factor.device)
    diagonal = torch.diagonal(factor, dim1=-2, dim2=-1)
    return torch.cat([diagonal, factor[:, rows, columns]], dim=1)


def _moduli(label: Tensor) -> Tensor:
    """K and G (n, 2) of the isotropic projection, eq. 29."""
    bulk = label[:, :3, :3].sum(dim=(1, 2)) / 9.0
    shear = (torch.diagonal(label, dim1=-2, dim2=-1).sum(dim=1) - 3.0 * bulk) / 10.0
    return torch.stack([bulk, shear], dim=1)
