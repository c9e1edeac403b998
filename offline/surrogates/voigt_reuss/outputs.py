r"""What six numbers mean: the spectral layer, and the twins that it is judged against.

``voigt-reuss``, ``voigt-reuss-cayley``
    The spectral layer with its two parametrisations; loss: mean of the normalised error, eq. 25.
``cholesky``
    Entries of a lower-triangular factor; loss: mean square of their errors. Positive definite.
``vanilla``
    Entries of C; loss: mean square of their errors. Symmetric, nothing more.

The twins' entries are in units of the stiffest entry of the phases (its root for the factor), so
that all losses have like sizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from matnet.errors import ParameterError, ShapeError
from offline.surrogates.voigt_reuss.layers import (
    SpectralHead,
    denormalise,
    normalised_error,
    phase_bounds,
    symmetric_from_vector,
    vector_from_symmetric,
)
from offline.surrogates.voigt_reuss.normalisation import SpectralGap

__all__ = ["OUTPUTS", "OutputLayer"]

OUTPUTS = ("voigt-reuss", "voigt-reuss-cayley", "cholesky", "vanilla")
M = 3


class OutputLayer(nn.Module):
    """Raw numbers (n, 6) and c0 to stiffness, labels to targets, and the loss between the two.

    Parameters
    ----------
    kind : one of `OUTPUTS`
    phases : (2, 3, 3)
        Stiffness of the phases [stress unit]; phase 0 has the volume fraction c0.
    """

    phases: Tensor

    def __init__(self, kind: str, phases: Any) -> None:
        super().__init__()
        if kind not in OUTPUTS:
            raise ParameterError(
                f"output '{kind}' is unknown, expected one of {', '.join(OUTPUTS)}."
            )
        array = np.asarray(phases, dtype=float)
        if array.shape != (2, M, M):
            raise ShapeError(f"phases have shape {array.shape}, expected (2, 3, 3).")
        self.kind = kind
        self.unit = float(np.abs(array).max())
        self.register_buffer("phases", torch.tensor(array), persistent=False)
        self.head = SpectralHead(M, "cayley" if kind.endswith("cayley") else "matrix")

    @property
    def spectral(self) -> bool:
        """Whether the bounds hold by construction."""
        return self.kind.startswith("voigt-reuss")

    def label(self, stiffness: Any, c0: Any) -> np.ndarray:
        """What the loss compares with (n, 3, 3): normalised tensors, or C in units of the phases.

        Both turn with the frame (normalised tensors if the phases do not mind).
        """
        c = np.asarray(stiffness, dtype=float)
        if not self.spectral:
            return np.asarray(c / self.unit)
        f = np.asarray(c0, dtype=float)
        phases = self.phases.cpu().numpy()
        return SpectralGap.from_phases(phases, np.stack([f, 1.0 - f], -1)).normalise(c)

    def loss(self, raw: Tensor, label: Tensor) -> Tensor:
        """Mean loss of raw numbers (n, 6) against labels (n, 3, 3)."""
        if self.spectral:
            return normalised_error(label.to(self.head.dtype), self.head(raw)).mean()
        if self.kind == "vanilla":
            target = vector_from_symmetric(label)
        else:
            factor = torch.linalg.cholesky(label)
            rows, columns = torch.tril_indices(M, M, -1, device=raw.device)
            diagonal = torch.diagonal(factor, dim1=-2, dim2=-1)
            target = torch.cat([diagonal, factor[:, rows, columns]], dim=1)
        return (raw - target).square().mean()

    def normalised(self, raw: Tensor) -> Tensor:
        """What may be averaged over turned pictures (n, 3, 3): as `label`, without c0."""
        if self.spectral:
            result: Tensor = self.head(raw)
            return result
        values = raw.double()
        if self.kind == "vanilla":
            return symmetric_from_vector(values, M)
        rows, columns = torch.tril_indices(M, M, -1, device=raw.device)
        factor = torch.diag_embed(values[:, :M])
        factor[:, rows, columns] = values[:, M:]
        return factor @ factor.mT

    def stiffness(self, normalised: Tensor, c0: Tensor) -> Tensor:
        """C (n, 3, 3) of `normalised` (n, 3, 3), in float64, differentiable in both.

        Parameters
        ----------
        normalised : (n, 3, 3)
        c0 : (n,)
            Volume fraction of phase 0; the twins do not use it.
        """
        if not self.spectral:
            return self.unit * normalised
        fraction = c0.double()
        upper, root = phase_bounds(self.phases, torch.stack([fraction, 1.0 - fraction], -1))
        return denormalise(normalised, upper, root)
