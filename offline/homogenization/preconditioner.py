"""What conjugate gradients ask of a preconditioner."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Preconditioner"]


class Preconditioner(Protocol):
    """Approximate inverse M of the stiffness matrix for six fields at once, in single precision.

    M must be linear, symmetric and positive (semi-)definite with respect to the plain dot product
    over active nodes, and the same in every call: conjugate gradients rely on it. A positive
    constant factor does not matter, so M may work in any unit; results should be of a size
    between 1e-15 and 1e15 for residuals of norm 1.
    """

    def apply(self, r: np.ndarray, z: np.ndarray) -> None:
        """z = M r.

        Parameters
        ----------
        r : (n_nodes, 18) float32
            Residuals at active nodes, component ``6 * i + load``, each load case scaled by its
            first norm: entries are at most 1 and usually much smaller. Not changed.
        z : (n_nodes, 18) float32
            Filled whole; holds anything before. Contiguous and distinct from `r`.
        """
